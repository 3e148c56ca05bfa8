"""Which column of a foreign table is meant: names are taken apart into words, and words compared by what they mean."""

import re
from collections.abc import Collection, Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from typing import Final

import pandas as pd
import tomli_w

from mcpbayes.specification.structure import Specification
from mcpbayes.tables.columns import CONTROL, ROLES, columns, mean_column, measured
from mcpbayes.tables.recognising import other_layout
from mcpbayes.vocabulary import (
    AMINO_SUGARS,
    BACTERIAL_NECROMASS,
    FUNGAL_NECROMASS,
    GLUCOSAMINE,
    MURAMIC_ACID,
    NECROMASS,
    SOC,
)

#: Words met in published tables (the Soil Necromass Database and data supplements) → the word of our column names.
_MEANINGS: Final = {
    NECROMASS: ("mnc", "necromass", "mbnc", "mr", "microbialresidue", "residue", "necromassc", "amnc"),
    GLUCOSAMINE: ("glucosamine", "glucosamin"),
    MURAMIC_ACID: ("muramic", "muramicacid", "muraminic"),
    SOC: ("soc", "c", "oc", "orgc", "toc", "carbon", "organicc", "soilc"),
    "control": ("control", "ctl", "ctrl", "ck", "con", "cont", "c0", "untreated", "reference", "before"),
    "treatment": (
        ("treatment", "treatments", "treat", "treated", "trt", "tr", "exp", "experimental", "t", "after")
        + ("management", "practice", "practices", "intervention", "manipulation", "amendment", "amendments", "amended")
        + ("fertilization", "fertilisation", "fertilizer", "fertiliser", "fertilizers", "fertilisers")
        + ("fertilized", "fertilised")
    ),
    "study": ("study", "paper", "reference", "ref", "author", "publication", "article"),
    "sd": ("sd", "stdev", "std", "stddev"),
    "se": ("se", "sem", "stderr"),
    "cv": ("cv",),
    "n": ("n", "rep", "reps", "replicates", "replicate", "replication"),
    "id": ("id", "code"),
    "site": ("site", "location", "place", "field", "station"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "long", "lng"),
    "depth": ("depth", "layer", "lyr"),
    "top": ("top", "upper", "from", "min"),
    "bottom": ("bottom", "bot", "lower", "to", "max"),
    "comparison": ("comparison", "obs", "contrast", "level", "case"),
    "duration": ("duration", "age", "time"),
    "years": ("years", "year", "yr", "yrs", "y"),
    "date": ("date", "sampled"),
    "role": ("role", "arm", "group"),
    "yi": ("yi", "lnrr", "rr", "effect", "lrr"),
    "vi": ("vi", "var", "variance", "v"),
    "rho": ("rho", "cor", "corr", "r"),
    "cov": ("cov", "covariance"),
    "within": ("within",),
    "design": ("design",),
    "block": ("block", "blocks", "blk"),
    "plot": ("plot", "plots", "subplot"),
}
_WORDS: Final = {word: meaning for meaning, words in _MEANINGS.items() for word in words}
#: Words that do not tell one column from another: units, statistics that all columns hold, a database's own prefix.
_SILENT: Final = frozenset(
    ("gkg", "mgkg", "mg", "g", "kg", "ugg", "mgg", "percent", "pct", "cm", "number", "no", "mean", "average", "avg")
    + ("sndb", "the", "of", "in", "acid")
)
#: Words that say that a column holds one part of necromass.
_PART: Final = {
    FUNGAL_NECROMASS: frozenset(("fungal", "fungi", "fnc")),
    BACTERIAL_NECROMASS: frozenset(("bacterial", "bacteria", "bnc")),
}
#: Short names of the amino sugars, whose N is no word of its own: GlcN, GluN, MurN, MurA.
_SHORT: Final = (
    (GLUCOSAMINE, r"(?<![A-Za-z])[Gg][Ll][CcUu]_?[Nn](?![a-z])"),
    (MURAMIC_ACID, r"(?<![A-Za-z])[Mm][Uu][Rr]_?[NnAa](?![a-z])"),
)
#: Units as they stand in names of columns.
_UNITS: Final = (
    ("mg/kg", r"mg[\W_]*kg|[uμ]g[\W_]*g"),
    ("g/kg", r"(?<![a-z])g[\W_]*kg|mg[\W_]*g(?![a-z])"),
    ("%", r"%|percent|pct"),
)
#: Share of common meanings from which one column is guessed, and from which a whole mapping is proposed.
_ONE: Final = 0.5
_PROPOSED: Final = 0.7


def nearest(name: str, available: Iterable[str]) -> str | None:
    """Return the existing name that is spelt most alike, or None where none is."""
    by_case = {candidate.casefold(): candidate for candidate in available}
    found = get_close_matches(name.casefold(), by_case, n=1, cutoff=0.6)
    return by_case[found[0]] if found else None


def best_guess(canonical: str, available: Sequence[str]) -> str | None:
    """Return the column of a table that a canonical column might be, or None."""
    available = [name for name in available if not _part_for_whole(canonical, name)]
    scored = [(_likeness(canonical, name), -i, name) for i, name in enumerate(available)]
    score, _, name = max(scored, default=(0.0, 0, ""))
    return name if score >= _ONE else nearest(canonical, available)


def pool_meant(text: str) -> str | None:
    """Return the pool, ``necromass`` or ``soc``, that a word of a table means (``MNC``, ``SOC``), or None."""
    found = _meanings(text) & {NECROMASS, SOC}
    return next(iter(found)) if len(found) == 1 else None


def column_block(table: pd.DataFrame, model: Specification) -> str:
    """Return a specification file in TOML with the best guesses for a foreign table.

    Empty where there are none, or where the table has another layout.

    Parameters
    ----------
    table : DataFrame
        From `mcpbayes.read_table`.
    model : Specification
        What it maps already is kept.
    """
    data = model.data
    if other_layout(list(table.columns), data):
        return ""
    located = {c: name for c, name in data.columns.items() if name in table}
    free = [str(name) for name in table.columns if name not in located.values()]
    guesses = guess_columns(free, data.layout, data.outcomes, located, wordy=text_columns(table))
    if not guesses:
        return ""
    mapped = located | guesses
    means = {stem: mapped.get(mean_column(data.layout, stem, CONTROL), "") for stem in measured(data.outcomes)}
    units = {o: unit for o, name in means.items() if (unit := _unit_in(name))}
    own = {"data": {"layout": data.layout, "columns": mapped} | ({"units": units} if units else {})}
    return tomli_w.dumps({"extends": model.family} | own)


def guess_columns(
    available: Sequence[str],
    layout: str = "comparison",
    outcomes: Sequence[str] = (NECROMASS, SOC),
    located: Collection[str] = (),
    *,
    wordy: Collection[str] = (),
) -> dict[str, str]:
    """Return guesses for the columns of a layout that a table does not have under their own names.

    Parameters
    ----------
    available : sequence of str
        Names of the table's columns.
    layout : str
        ``comparison``, ``arm``, ``plot`` or ``contrast``.
    outcomes : sequence of str
        Pools, in the order of the outcome dimension.
    located : collection of str
        Canonical names of columns that are known already.
    wordy : collection of str
        Columns that hold texts, which are no guess for numbers.

    Returns
    -------
    dict of str to str
        Canonical name → column of the table, ready for ``[data.columns]``. No column is given twice, but one column of
        replicates counts for both arms; the best matches are settled first.
    """
    known = {column.name: column for column in columns(layout, outcomes)}
    wanted = [name for name in known if name not in available and name not in located]
    free = [name for name in available if name not in known]
    pairs = [
        (_likeness(w, name), -i, -j, w, name)
        for i, w in enumerate(wanted)
        for j, name in enumerate(free)
        if not (known[w].kind == "number" and name in wordy) and not _part_for_whole(w, name)
    ]
    guesses: dict[str, str] = {}
    for score, _, _, canonical, name in sorted(pairs, reverse=True):
        if score >= _PROPOSED and canonical not in guesses and name not in guesses.values():
            guesses[canonical] = name
    left = [name for name in free if name not in guesses.values() and name not in wordy]
    guesses |= _replicates_of_both(wanted, guesses, left)
    return {name: guesses[name] for name in wanted if name in guesses}


def parts_of(canonical: str, available: Sequence[str]) -> list[str]:
    """Return the columns of a table that hold fungal and bacterial necromass where a column is of both; else none."""
    other = _meanings(canonical) - {NECROMASS}
    found = [
        [name for name in available if words & _meanings(name) and _meanings(name) - words - {NECROMASS} == other]
        for words in _PART.values()
    ]
    whole = NECROMASS in _meanings(canonical) and not any(words & other for words in _PART.values())
    return [names[0] for names in found] if whole and all(found) else []


def _part_for_whole(canonical: str, name: str) -> bool:
    """Say whether a column holds a part of necromass, where the whole or the other part is looked for."""
    ours, theirs = _meanings(canonical), _meanings(name)
    return NECROMASS in ours and any(words & theirs and not words & ours for words in _PART.values())


def text_columns(table: pd.DataFrame) -> set[str]:
    """Return the columns whose filled cells, as texts, are for the most part no numbers."""
    found = set()
    for name in table:
        cells = table[name].astype(str).str.strip().str.replace(",", ".")
        cells = cells[cells != ""]
        if len(cells) and pd.to_numeric(cells, errors="coerce").isna().mean() > _ONE:
            found.add(str(name))
    return found


def amino_sugar_meant(text: str) -> bool:
    """Say whether the name of a column means an amino sugar."""
    return bool(_meanings(text) & {word for sugar in AMINO_SUGARS for word in _meanings(sugar)})


def _replicates_of_both(wanted: Sequence[str], guesses: Collection[str], free: Sequence[str]) -> dict[str, str]:
    """Return the one column of replicates as the guess of both arms; a capital N may be nitrogen."""
    both = [f"n_{role}" for role in ROLES]
    found = [name for name in free if name != "N" and _meanings(name) == {"n"}]
    if len(found) != 1 or not all(name in wanted and name not in guesses for name in both):
        return {}
    return dict.fromkeys(both, found[0])


def _likeness(canonical: str, name: str) -> float:
    """Return the share of meanings that two names have in common, spelling as the tie-breaker."""
    ours, theirs = _meanings(canonical), _meanings(name)
    if not ours & theirs:
        return 0.0
    shared = len(ours & theirs) / len(ours | theirs)
    return shared + 0.01 * SequenceMatcher(None, canonical.casefold(), name.casefold()).ratio()


def _meanings(name: str) -> frozenset[str]:
    """Return the meanings of a name's words; words are split at signs, digits and changes of case."""
    for amino_sugar, short in _SHORT:
        name = re.sub(short, f"{amino_sugar.split('_')[0]} ", name)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=^lyr)|(?<=^depth)", " ", name)
    words = [word for word in re.split(r"[\W_]+", spaced.casefold()) if word and word not in _SILENT]
    return frozenset(_WORDS.get(word, word) for word in words)


def _unit_in(name: str) -> str | None:
    """Return the unit that stands in the name of a column."""
    return next((unit for unit, pattern in _UNITS if re.search(pattern, name.casefold())), None)
