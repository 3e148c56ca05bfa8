"""What tables of soil carbon mix up: aggregates with bulk soil, total with organic carbon, zeros that were negative.

These columns need not be ones of ours: they are known by their names and by what stands in them.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem, Severity
from mcpbayes.tables.columns import ROLES, mean_column
from mcpbayes.tables.schema import numbers
from mcpbayes.vocabulary import FUNGAL_NECROMASS, SOC

#: Words of names of columns with soil fractions, and what stands in their cells; an empty cell is bulk soil.
_FRACTIONATED: Final = frozenset(("fraction", "fractions", "aggregate", "aggregates", "fractionation"))
_BULK: Final = re.compile(r"(?:(?:bulk|whole|total|unfractionated)(?:[ _-]?soil)?|none|)")
_FRACTION: Final = re.compile(
    r"aggregat|rhizo|fraction|\b[fo]?pom\b|\bmaom\b|macro|micro|silt|sand|clay|dens|light|heavy|[<>\u2264\u2265]"
    r"|[0-9] ?(?:mm|[\u00b5\u03bcu]m)\b|g ?/? ?cm"
)
#: Words for carbon in names of columns, and in cells that say which carbon a row holds.
_ORGANIC: Final = frozenset(("soc", "oc", "toc", "corg", "orgc", "socc"))
_TOTAL: Final = frozenset(("total", "tc", "stc", "tot"))
_ORGANIC_CELL: Final = re.compile(r"soc|oc|toc|(?:soil )?organic(?: c| carbon)?")
_TOTAL_CELL: Final = re.compile(r"soil[ _]c|tc|total(?: c| carbon)?(?: in soil)?")
_NO_MEANS: Final = frozenset(("sd", "se", "cv", "n", "ln", "log", "yi", "vi"))


def soil_traps(raw: pd.DataFrame, names: Mapping[str, str], layout: str, outcomes: Sequence[str]) -> list[Problem]:
    """Return warnings and notes of what the soils and the carbon of a table may be.

    Parameters
    ----------
    raw : DataFrame
        Cells as typed under the user's names; spreadsheet row as index.
    names : mapping of str to str
        Canonical name → the user's.
    layout : str
        Layout of the table.
    outcomes : sequence of str
        Pools that are analysed.
    """
    soils = mixed_fractions(raw, names)
    analysed = [names[c] for c in (mean_column(layout, FUNGAL_NECROMASS, role) for role in ROLES) if c in names]
    if FUNGAL_NECROMASS in outcomes and layout != "plot":
        raw = raw.drop(columns=analysed)  # where it is a pool of its own, more is said of it
    return soils + fungal_zeros(raw) + (which_carbon(raw, names, layout) if SOC in outcomes else [])


def soil_fractions(raw: pd.DataFrame, names: Mapping[str, str]) -> tuple[pd.Series, list[str]]:
    """Return which rows hold aggregates or other fractions of the soil, and the columns that say so."""
    labels = {names.get(name) for name in ("study", "treatment", "comparison", "control_id")}
    fraction, said = pd.Series(False, raw.index), []
    for name in (str(column) for column in raw if column not in labels):
        cells = raw[name].str.casefold()
        bulk, named = _where(cells, _BULK.fullmatch), bool(words(name) & _FRACTIONATED)
        if not named and (cells[bulk] == "").all():
            continue
        found = _where(cells, _FRACTION.search) & ~bulk
        if found.any() and (named or (found | bulk).all()):
            fraction |= found
            said.append(name)
    return fraction, said


def _where(cells: pd.Series, test: Callable[[str], object]) -> pd.Series:
    """Return which cells pass a test, each spelling tried once: large tables repeat their texts."""
    return cells.isin([text for text in cells.unique() if test(text)])


def mixed_fractions(raw: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return a warning where rows with aggregates stand among rows with bulk soil."""
    fraction, said = soil_fractions(raw, names)
    if not fraction.any() or fraction.all():
        return []
    message = (
        f"{int(fraction.sum())} of {len(raw)} rows hold aggregates or other fractions of soil, the others bulk soil; a "
        "fraction's carbon is a part of its soil's, and its effects are no further replicates"
    )
    remedy = "Leave the fractions out, or analyse them in a table of their own."
    rows = tuple(int(row) for row in raw.index[fraction])
    return [Problem("aggregates-with-bulk-soil", message, "warning", rows=rows, column=", ".join(said), remedy=remedy)]


def fungal_zeros(raw: pd.DataFrame) -> list[Problem]:
    """Return a warning for each column of fungal necromass with negative values, or with zeros that were negative."""
    problems = []
    for name in (str(column) for column in raw):
        own = words(name)
        if own & _NO_MEANS or not ("fnc" in own or ("fungal" in own and own & {"necromass", "residue", "residues"})):
            continue
        values, _ = numbers(raw[name])
        below, cut = raw.loc[values < 0, name], raw.loc[values == 0, name]
        doubt = "fungal necromass is zero: a negative value that was cut off?"
        problems += _problem("fungal-necromass-negative", "fungal necromass is negative", "warning", below)
        problems += _problem("fungal-necromass-zero", doubt, "warning", cut)
    return problems


def _problem(check: str, message: str, severity: Severity, cells: pd.Series) -> list[Problem]:
    """Return a problem for cells of fungal necromass, if there are any."""
    if cells.empty:
        return []
    whole = f"{message}; more glucosamine of bacteria was taken off than was measured"
    remedy = "Check both amino sugars; a total necromass from a part that was cut off is too large."
    rows = tuple(int(str(row)) for row in cells.index)
    return [Problem(check, whole, severity, rows=rows, column=str(cells.name), remedy=remedy)]


def which_carbon(raw: pd.DataFrame, names: Mapping[str, str], layout: str) -> list[Problem]:
    """Return what names and cells say against the carbon being organic."""
    mapped = dict.fromkeys(names[c] for c in (mean_column(layout, SOC, role) for role in ROLES) if c in names)
    organic = {name: "organic" in name.casefold() or bool(words(name) & _ORGANIC) for name in mapped}
    total = [name for name in mapped if not organic[name] and _is_total(words(name))]
    vague = [name for name in mapped if not organic[name] and name not in total and words(name) & {"c", "carbon"}]
    remedy = "In calcareous soils total C holds carbonates: subtract inorganic C, or leave the cells empty."
    problems = []
    if total:
        message = "the column's name says total C, but is read as organic C"
        problems.append(Problem("total-carbon", message, "warning", column=", ".join(total), remedy=remedy))
    if vague:
        message = "the column's name does not say whether its carbon is organic; it is read as organic C"
        problems.append(Problem("which-carbon", message, "note", column=", ".join(vague), remedy=remedy))
    return problems + _rows_of_total(raw, mapped, remedy)


def _rows_of_total(raw: pd.DataFrame, mapped: Collection[str], remedy: str) -> list[Problem]:
    """Return a warning where a column says row by row which carbon was measured, and some rows hold total C."""
    problems = []
    for name in (str(column) for column in raw if column not in mapped):
        cells = raw[name].str.casefold()
        total = _where(cells, _TOTAL_CELL.fullmatch)
        if total.any() and (total | (cells == "") | _where(cells, _ORGANIC_CELL.fullmatch)).all():
            message = f"total C stands in for organic C in {int(total.sum())} of {len(raw)} rows"
            rows = tuple(int(row) for row in raw.index[total])
            problems.append(Problem("total-carbon", message, "warning", rows=rows, column=name, remedy=remedy))
    return problems


def words(name: str) -> frozenset[str]:
    """Return the words of a column's name, in lower case; split at signs, digits and changes of case."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return frozenset(word for word in re.split(r"[\W\d_]+", spaced.casefold()) if word)


def _is_total(own: frozenset[str]) -> bool:
    return bool(own & _TOTAL) or {"soil", "c"} <= own or "soilc" in own
