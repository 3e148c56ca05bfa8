"""Plain tables in, a validated `Specification` out; section by section, in the order of the file."""

import re
from collections.abc import Mapping
from typing import Any, Final

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.specification import grammar
from mcpbayes.specification.factors import check_set
from mcpbayes.specification.fields import (
    Check,
    boolean,
    by_outcome,
    joined,
    number,
    one_of,
    positive_integer,
    read,
    refusal,
    suggestion,
    table,
    text,
    texts,
    unknown,
)
from mcpbayes.specification.merging import inherit_prior
from mcpbayes.specification.prior_rules import (
    ALLOWED,
    CVS,
    check_prior,
    correlation_of,
    foreign_priors,
    required_priors,
    split_slopes,
)
from mcpbayes.specification.scheme import check_scheme
from mcpbayes.specification.structure import (
    DataSection,
    Defaults,
    LevelSection,
    ModeratorSection,
    Prior,
    SamplingSection,
    Specification,
    SummarySection,
)
from mcpbayes.specification.two_pool_rules import check_two_pools

#: Newest version of the file format that this version of the package reads.
SCHEMA: Final = 1

#: Where the CVs behind sampling covariances come from.
SD_MODELS: Final = ("reported", "pooled", "hierarchical")

SECTIONS: Final = ("data", "moderators", "levels", "priors", "delta_mcp", "scenarios", "sampling", "summary")

_FAMILY = one_of(words.ARM_BASED, words.CONTRAST_BASED, words.TWO_POOL)
_SWITCH = one_of("auto", "on", "off")
_TOP: Mapping[str, Check] = {
    "schema": positive_integer,
    "name": text,
    "title": text,
    "family": _FAMILY,
    **dict.fromkeys(SECTIONS, table),
}
_SAMPLING: Mapping[str, Check] = {
    "engine": one_of("auto", "collapsed", "nuts"),
    "chains": positive_integer,
    "draws": positive_integer,
    "tune": positive_integer,
    "target_accept": number("(0, 1)"),
    "worlds": lambda value, key: None if value == "auto" else positive_integer(value, key),
}
_SUMMARY: Mapping[str, Check] = {"interval_kind": one_of("eti", "hdi"), "interval_prob": number("(0, 1)")}
_MODERATORS: Mapping[str, Check] = {
    "formula": text,
    "standardise": boolean,
    "within_between": boolean,
    "missing": one_of("error", "drop"),
}
_LEVELS: Mapping[str, Check] = {"site": _SWITCH, "kind": _SWITCH}
#: Keys that are easily written without their section.
_HOMES: Final = (
    {key: "sampling" for key in _SAMPLING} | {key: "summary" for key in _SUMMARY} | {"formula": "moderators"}
)


def validate(raw: Mapping[str, Any]) -> Specification:
    """Return the specification that plain tables describe.

    Parameters
    ----------
    raw : mapping
        As read from TOML, after ``extends`` and settings.

    Raises
    ------
    SpecificationError
        For the first thing that is not as it must be: key, value, what was expected.
    """
    check_schema(raw)
    for name in raw:
        if name in _HOMES:
            raise SpecificationError(f"unknown key; did you mean '{_HOMES[name]}.{name}'?", name)
    top = read(raw, "", _TOP, ("schema", "name", "title", "family", "data"))
    family = top["family"]
    data = _data(top["data"], family)
    moderators = ModeratorSection(**read(top.get("moderators", {}), "moderators", _MODERATORS))
    _check_formula(moderators.formula, data)
    reference = read(top.get("delta_mcp", {}), "delta_mcp", {"reference": _reference}).get("reference")
    if reference is not None and words.has_parts(data.outcomes):
        raise refusal(
            "'observed': with fungal and bacterial necromass apart, each needs a ratio of its own", reference,
            "delta_mcp.reference",
        )  # fmt: skip
    levels = LevelSection(**read(top.get("levels", {}), "levels", _LEVELS))
    sampling = SamplingSection(**read(top.get("sampling", {}), "sampling", _SAMPLING))
    priors = _priors(top.get("priors", {}), family, data, grammar.terms(moderators.formula))
    if family == words.TWO_POOL:
        check_two_pools(data, moderators, levels, sampling, priors)
    return Specification(
        schema=top["schema"],
        name=top["name"],
        title=top["title"],
        family=family,
        data=data,
        moderators=moderators,
        levels=levels,
        priors=priors,
        scenarios=check_scheme(top.get("scenarios", {})),
        sampling=sampling,
        summary=SummarySection(**read(top.get("summary", {}), "summary", _SUMMARY)),
        reference=reference,
    )


def check_schema(raw: Mapping[str, Any]) -> None:
    """Refuse a file format newer than known, before anything else in it is judged."""
    found = raw.get("schema", SCHEMA)
    if positive_integer(found, "schema") > SCHEMA:
        raise SpecificationError(
            f"this file has format {found}, this version of mcpbayes reads up to {SCHEMA}; install a newer one",
            "schema",
        )


def _data(entries: Mapping[str, Any], family: str) -> DataSection:
    checks: dict[str, Check] = {
        "layout": one_of(*words.LAYOUTS),
        "outcomes": _outcomes,
        "sheet": text,
        "columns": texts,
        "units": texts,
        "kinds": texts,
        "necromass_from": one_of("auto", "reported", "amino sugars"),
        "defaults": table,
        "factors": check_set,
        "dispersion": table,
        "effect_size": table,
    }
    found = read(entries, "data", checks, ("layout", "outcomes", "defaults"))
    _check_layout(found["layout"], found["outcomes"], family)
    dispersion = read(found.pop("dispersion", {}), "data.dispersion", {"sd_model": one_of(*SD_MODELS)})
    effect_size = read(found.pop("effect_size", {}), "data.effect_size", {"bias_correction": boolean})
    found["defaults"] = _defaults(found["defaults"], found["outcomes"], family)
    return DataSection(**found, **dispersion, **effect_size)


def _defaults(entries: object, outcomes: tuple[str, ...], family: str) -> Defaults:
    positive = number("(0, inf)")

    def cv(value: object, key: str) -> dict[str, float]:
        # CVs inherited for outcomes that are not analysed, and those of contrasts, which have no arms, are never used
        names: tuple[str, ...] = outcomes
        value = _parts_as_necromass(value, outcomes)
        if isinstance(value, Mapping) and family == words.CONTRAST_BASED:
            names = tuple(value)
        elif isinstance(value, Mapping):
            known = [pool for pool in words.POOLS if pool in value]
            names = tuple(dict.fromkeys([*outcomes, *known]))
        found = by_outcome(value, key, positive, names)
        return dict.fromkeys(names, found) if isinstance(found, float) else found

    # a correlation of one would make the two pools of an arm a single measurement
    checks: dict[str, Check] = {"n": number("[2, inf)"), "cv": cv, "rho_within": correlation_of(len(outcomes), "()")}
    optional: dict[str, Check] = {"rho_amino_sugars": number("(-1, 1)")}
    return Defaults(**read(entries, "data.defaults", checks | optional, tuple(checks)))


def _outcomes(value: object, key: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise refusal("a list of at least one outcome", value, key)
    names = tuple(text(name, key) for name in value)
    if len(set(names)) < len(names):
        raise refusal("outcomes that differ from each other", value, key)
    if odd := [name for name in names if not re.fullmatch(r"\w(?:[\w .-]*\w)?", name)]:
        raise refusal("names of letters, digits, _, -, . and spaces", odd[0], key)
    return names


def _check_layout(layout: str, outcomes: tuple[str, ...], family: str) -> None:
    key = "data.layout"
    if family == words.CONTRAST_BASED and layout != "contrast":
        raise refusal("'contrast', the layout of the contrast-based family", layout, key)
    if family in words.OF_ARMS and layout == "contrast":
        raise refusal(f"'comparison', 'arm' or 'plot', the layouts of the {family} family", layout, key)
    if family == words.TWO_POOL and outcomes != (words.NECROMASS, words.SOC):
        raise refusal(
            "both pools, necromass and soc in this order, for the two-pool family", list(outcomes), "data.outcomes"
        )
    two, three = {words.NECROMASS, words.SOC}, {*words.PARTS, words.SOC}
    if family == words.ARM_BASED and not (set(outcomes) <= two or set(outcomes) == three):
        fungal, bacterial = words.PARTS
        raise refusal(
            f"{words.NECROMASS!r}, {words.SOC!r} or both, or {fungal!r}, {bacterial!r} and {words.SOC!r} together, in "
            "any order, for the arm-based family",
            list(outcomes),
            "data.outcomes",
        )


def _check_formula(formula: str, data: DataSection) -> None:
    """Refuse moderators that are the analysed pools themselves, also under the table's own names."""
    arms = [f"{outcome}_{arm}" for outcome in data.outcomes for arm in ("control", "treatment")]
    pools = {*data.outcomes, *arms} | {data.columns[pool] for pool in (*data.outcomes, *arms) if pool in data.columns}
    for name in grammar.parse(formula):
        if name in pools or data.columns.get(name) in pools:
            raise grammar.coupled(name)


def _priors(entries: object, family: str, data: DataSection, terms: tuple[grammar.Term, ...]) -> dict[str, Prior]:
    outcomes = words.PARTS_OF_SOC if family == words.TWO_POOL else data.outcomes
    required, foreign = required_priors(family, outcomes, data.sd_model), foreign_priors(family)
    found: dict[str, Prior] = {}
    for role, entry in table(entries, "priors").items():
        key = joined("priors", role)
        if role not in ALLOWED:
            raise SpecificationError(f"unknown prior; {suggestion(role, list(ALLOWED))}", key)
        if role in foreign:
            raise SpecificationError(f"the {family} family has no such parameter; leave this prior out", key)
        if role == "baseline" and role not in required:
            check_prior(table(entry, key), key, role, outcomes)  # inherited from an arm-based model, without effect
        elif role in CVS:
            entry = {name: _parts_as_necromass(value, data.outcomes) for name, value in table(entry, key).items()}
            prior = check_prior(entry, key, role, _pools_too(entry, data.outcomes, family))
            found |= {role: prior} if family in words.OF_ARMS else {}
        elif role != "slope":
            found[role] = check_prior(table(entry, key), key, role, outcomes)
        else:
            found |= _slopes(entry, key, outcomes, terms)
    for role in required:
        if role not in found:
            raise SpecificationError("is missing", f"priors.{role}")
    return {role: found[role] for role in sorted(found, key=_file_order)}


def _parts_as_necromass(value: object, outcomes: tuple[str, ...]) -> object:
    """Return numbers of CVs by outcome in which fungal and bacterial necromass, where not given, have necromass's."""
    if not isinstance(value, Mapping) or words.NECROMASS not in value:
        return value
    return {**{part: value[words.NECROMASS] for part in words.PARTS if part in outcomes}, **value}


def _pools_too(prior: object, outcomes: tuple[str, ...], family: str) -> tuple[str, ...]:
    """Return the outcomes that a prior of CVs may name: pools that are inherited and not analysed are never used."""
    inner = [numbers for numbers in table(prior, "priors").values() if isinstance(numbers, Mapping)]
    named = {pool for numbers in inner for pool in numbers if pool in words.POOLS}
    return tuple(dict.fromkeys([*(outcomes if family in words.OF_ARMS else ()), *sorted(named)]))


def _slopes(entry: object, key: str, outcomes: tuple[str, ...], terms: tuple[grammar.Term, ...]) -> dict[str, Prior]:
    """Return the prior of all slopes and those of single terms, which say only what differs."""
    shared, single = split_slopes(entry, key)
    found = {"slope": check_prior(shared, key, "slope", outcomes)}
    known = [":".join(term) for term in terms]
    for name, own in single.items():
        if name not in known and grammar.term_of(name, terms) is None:
            raise unknown("moderator", name, known, joined(key, name))
        found[f"slope.{name}"] = check_prior(inherit_prior(shared, own), joined(key, name), "slope", outcomes)
    return found


def _file_order(role: str) -> tuple[int, str]:
    return list(ALLOWED).index(role.partition(".")[0]), role


def _reference(value: object, key: str) -> float | None:
    """Accept ``observed``, kept as None, or a ratio."""
    if value == "observed":
        return None
    if isinstance(value, str):
        raise refusal("'observed' or a number in (0, 1)", value, key)
    found: float = number("(0, 1)")(value, key)
    return found
