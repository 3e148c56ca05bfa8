"""Which distribution has which numbers, and which prior may have which distribution: the closed lists."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.specification.fields import Check, boolean, by_outcome, joined, number, refusal, suggestion, table
from mcpbayes.specification.structure import Number, Prior

_ANY = number()
_POSITIVE = number("(0, inf)")
#: Shapes of beta distributions: below, quantiles underflow and nearly all mass is at ±1; above, `fixed` says the same.
_SHAPE = number("[0.1, 10000]")

#: Distribution → its numbers and their ranges; the ranges of correlation and value depend on the prior.
NUMBERS: Final[Mapping[str, Mapping[str, Check]]] = MappingProxyType(
    {
        "flat": {},
        "normal": {"mean": _ANY, "sd": _POSITIVE, "correlation": number("(-1, 1)")},
        "half_normal": {"sd": _POSITIVE},
        "half_student_t": {"df": _POSITIVE, "scale": _POSITIVE},
        "lognormal": {"median": _POSITIVE, "sd_log": _POSITIVE},
        "lkj": {"eta": _SHAPE},
        "beta": {"a": _SHAPE, "b": _SHAPE},
        "fixed": {"value": _ANY},
    }
)
ALL_NUMBERS: Final = frozenset(name for numbers in NUMBERS.values() for name in numbers)

#: Numbers that describe the outcomes jointly, and so cannot be given by outcome.
JOINT: Final = frozenset({"correlation", "eta", "a", "b"})

_COEFFICIENT: Final = ("normal", "flat", "fixed")
_TAU: Final = ("half_normal", "half_student_t", "lognormal", "fixed")
_RHO: Final = ("lkj", "beta", "fixed")

#: The prior that may be absent: correlation of the pools over plots of one arm, where the table does not say it.
WITHIN: Final = "rho_within"

#: Priors of the hierarchical model of CVs: of the typical CV, and of how CVs vary between studies and between arms.
CVS: Final = ("cv", "tau_cv", "omega_cv")
#: Below this scale of a half-normal prior the mean squared CV, which sampling variances need, has a finite value.
_FINITE: Final = "(0, 0.5)"

#: Priors of the two-pool model alone: logit of the controls' ratio (mean and spread), turnover rates of the pools.
MU_R: Final = "mu_r"
SIGMA_R: Final = "sigma_r"
TURNOVER: Final = "turnover_rate"
TWO_POOL_PRIORS: Final = (MU_R, SIGMA_R, TURNOVER)

#: Levels that may carry heterogeneity.
HETEROGENEITY: Final = ("study", "site", "kind", "comparison")

#: Priors of something that all outcomes or pools share: studies differ in how much their plots vary, whichever pool is
#: measured, and a control has one ratio.
ONE_NUMBER: Final = ("tau_cv", MU_R, SIGMA_R)

#: Prior → distributions that it may have.
ALLOWED: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {"baseline": ("flat",), "intercept": _COEFFICIENT, "slope": _COEFFICIENT}
    | {f"tau_{level}": _TAU for level in HETEROGENEITY}
    | {f"rho_{level}": _RHO for level in HETEROGENEITY}
    | {"cv": ("lognormal",), "tau_cv": ("half_normal", "fixed"), "omega_cv": ("half_normal", "fixed")}
    | {WITHIN: _RHO}
    | {MU_R: ("normal", "fixed"), SIGMA_R: ("half_normal", "fixed"), TURNOVER: ("lognormal", "fixed")}
)


def check_prior(entries: Mapping[str, Any], key: str, role: str, outcomes: Sequence[str]) -> Prior:
    """Check one prior's table.

    Parameters
    ----------
    entries : mapping
        ``distribution``, its numbers, and perhaps ``why``; of ``rho_within`` also ``update``.
    key : str
        Dotted key, for messages.
    role : str
        A key of `ALLOWED`.
    outcomes : sequence of str
        K names; numbers may be given by outcome.

    Raises
    ------
    SpecificationError
        Naming the key, what was expected and what was found.
    """
    distribution = _distribution(entries, key, role)
    if role == WITHIN and len(outcomes) > 2:
        raise SpecificationError("is available for two outcomes; data.defaults.rho_within serves more", key)
    checks, k = dict(NUMBERS[distribution]), len(outcomes)
    if distribution == "fixed" and not role.startswith(("intercept", "slope")):
        # a correlation of one over plots would make the two pools of an arm a single measurement
        ends = "()" if role == WITHIN else "[]"
        checks["value"] = _fixed_number(role, correlation_of(k, ends))
    if distribution == "half_normal" and role in CVS:
        checks["sd"] = number(_FINITE)
    if distribution == "normal":
        checks["correlation"] = correlation_of(k, "()")
    if role == MU_R:
        checks.pop("correlation", None)
    if distribution == "beta" and k > 2:
        raise SpecificationError("beta is a prior for two outcomes; use lkj with more", f"{key}.distribution")
    update = role == WITHIN and boolean(entries.get("update", False), joined(key, "update"))
    if update and distribution == "fixed":
        raise SpecificationError("a fixed correlation cannot be estimated; give a beta or lkj prior", f"{key}.update")
    others = ["distribution", "why", *(["update"] if role == WITHIN else [])]
    for name in entries:
        if name not in checks and name not in others:
            what = f"unknown key of a {distribution} prior"
            raise SpecificationError(f"{what}; {suggestion(name, [*checks, *others[1:]])}", joined(key, name))
    if absent := [name for name in checks if name not in entries]:
        raise SpecificationError(f"a {distribution} prior needs {' and '.join(absent)}", key)
    parameters: dict[str, Number] = {}
    for name, check in checks.items():
        joint = name in JOINT or (name == "value" and role.startswith("rho")) or role in ONE_NUMBER
        place = joined(key, name)
        parameters[name] = check(entries[name], place) if joint else by_outcome(entries[name], place, check, outcomes)
    return Prior(distribution, parameters, _why(entries, key), update)


def required_priors(family: str, outcomes: Collection[str], sd_model: str = "reported") -> tuple[str, ...]:
    """Return the priors that a family needs: baselines belong to arms, correlations to several outcomes, CVs to arms.

    Those of the CVs are needed where `sd_model` is ``hierarchical``.
    """
    modelled = family in words.OF_ARMS and sd_model == "hierarchical"
    return tuple(
        role
        for role in ALLOWED
        if role != WITHIN
        and role not in foreign_priors(family)
        and (role not in CVS or modelled)
        and (role != "baseline" or family in words.OF_ARMS)
        and (not role.startswith("rho") or len(outcomes) > 1)
    )


def foreign_priors(family: str) -> tuple[str, ...]:
    """Return the priors of what a family's model does not have."""
    return ("tau_kind", "rho_kind") if family == words.TWO_POOL else TWO_POOL_PRIORS


def _distribution(entries: Mapping[str, Any], key: str, role: str) -> str:
    found, allowed = entries.get("distribution"), ALLOWED[role]
    place = f"{key}.distribution"
    if found is None:
        raise SpecificationError(f"is missing; one of {', '.join(allowed)}", place)
    if not isinstance(found, str) or found not in NUMBERS:
        nearest = suggestion(str(found), list(NUMBERS))
        raise SpecificationError(f"unknown distribution {found!r}; {nearest}", place)
    if found in allowed:
        return found
    if role == "baseline":
        raise SpecificationError(f"{found!r} is not available in this version: baselines are 'flat'", place)
    raise refusal(f"one of {', '.join(map(repr, allowed))}", found, place)


def _fixed_number(role: str, correlation: Check) -> Check:
    """Return the range of what a prior is fixed at."""
    if role == MU_R:
        return _ANY
    if role in CVS or role.startswith(("tau", SIGMA_R, TURNOVER)):
        return number("(0, inf)" if role in ("omega_cv", SIGMA_R, TURNOVER) else "[0, inf)")
    return correlation


def correlation_of(k: int, ends: str) -> Check:
    """Accept an equal correlation of k outcomes; the matrix is positive definite above −1/(k − 1)."""
    low = -1.0 if k < 3 else -1.0 / (k - 1)
    return number(f"{ends[0]}{low:.6g}, 1{ends[1]}")


def _why(entries: Mapping[str, Any], key: str) -> str | None:
    why = entries.get("why")
    if why is not None and not isinstance(why, str):
        raise refusal("text", why, f"{key}.why")
    return why.strip() or None if why else None


def split_slopes(entries: object, key: str) -> tuple[dict[str, Any], dict[str, Mapping[str, Any]]]:
    """Separate ``[priors.slope]`` from the tables of single coefficients in it.

    Returns
    -------
    shared : dict
        The prior of all slopes.
    single : dict of str to mapping
        Name of a term → what ``[priors.slope.<name>]`` says.
    """
    shared, single = dict(table(entries, key)), {}
    for name, entry in list(shared.items()):
        if name not in ALL_NUMBERS and isinstance(entry, Mapping):
            single[name] = shared.pop(name)
    return shared, single
