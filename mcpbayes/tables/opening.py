"""The first look at a table: columns are found, cells become numbers, pools come into g/kg or Mg/ha."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem, SpecificationError
from mcpbayes.measurement.units import CONCENTRATION, STOCK, canonical_unit
from mcpbayes.specification.formula import parse
from mcpbayes.specification.structure import DataSection, Specification
from mcpbayes.tables.columns import UNIT_OF_POOL, Column, columns, measured
from mcpbayes.tables.guess import text_columns
from mcpbayes.tables.locating import locate_columns, unused_columns
from mcpbayes.tables.moderators import read_moderators
from mcpbayes.tables.reading import unread_cells
from mcpbayes.tables.recognising import lacking_columns
from mcpbayes.tables.schema import bad_rows, read_cells
from mcpbayes.vocabulary import AMINO_SUGARS, FUNGAL_NECROMASS, NECROMASS, POOLS, TWO_POOL


@dataclass(frozen=True)
class Opened:
    """A table whose columns have been found.

    Parameters
    ----------
    raw : DataFrame
        Cells as typed, under the user's names; spreadsheet row as index.
    frame : DataFrame
        Cells as numbers and texts under canonical names, moderators under ``moderator_<name>``; bad cells are empty.
    names : mapping of str to str
        Canonical name → the user's.
    factors : mapping of outcome to float
        What turned each pool and amino sugar into `unit`; what is in an unknown unit is absent. Amino sugars are in
        the unit of necromass, or of its fungal part, unless they have their own.
    unit : str
        ``g/kg``, or ``Mg/ha`` where the pools are stocks.
    complete : bool
        Whether all required columns are there.
    """

    raw: pd.DataFrame
    frame: pd.DataFrame
    names: Mapping[str, str]
    factors: Mapping[str, float]
    unit: str
    complete: bool


def open_table(raw: pd.DataFrame, model: Specification) -> tuple[Opened, list[Problem]]:
    """Return the cells of a table, and every bad column and cell.

    Parameters
    ----------
    raw : DataFrame
        From `mcpbayes.tables.reading.read_table` or `as_table`.
    model : Specification
        Layout, names and units of columns, formula.
    """
    data, moderators = model.data, parse(model.moderators.formula)
    known = columns(data.layout, data.outcomes)
    two_pools = model.family == TWO_POOL
    names, problems = locate_columns(list(raw.columns), data, moderators, text_columns(raw), two_pools=two_pools)
    problems += unused_columns(list(raw.columns), names, data, moderators)
    used = {*names.values(), *(names.get(name, name) for name in moderators)}
    unread = [problem for problem in unread_cells(raw) if problem.column in used]
    readable = _without_unread(raw, unread)
    frame, bad = read_cells(readable, names, known)
    factors, unit, bad_units = _factors(data)
    # a moderator whose mapped column is absent has been reported
    wanted = [name for name in moderators if name in names or name not in data.columns]
    extra, bad_moderators = read_moderators(readable, names, wanted, frame)
    problems += [*unread, *_elsewhere([*bad, *bad_moderators], unread), *bad_units]
    if raw.empty:
        problems.append(Problem("empty-table", "the table has no rows", remedy="Add one row per comparison."))
    frame = _without_bad_cells(_in_one_unit(frame, known, factors), names, problems).join(extra)
    complete = not lacking_columns(names, data.layout, data.outcomes)
    return Opened(raw, frame, names, factors, unit, complete), problems


def _without_unread(raw: pd.DataFrame, unread: Sequence[Problem]) -> pd.DataFrame:
    """Return the cells with those emptied that the reader could not read."""
    readable = raw.copy()
    for problem in unread:
        readable.loc[readable.index.isin(problem.rows), problem.column] = ""
    return readable


def _elsewhere(problems: Sequence[Problem], unread: Sequence[Problem]) -> list[Problem]:
    """Return the problems without the cells that were emptied because they could not be read."""
    kept = []
    for problem in problems:
        known = bad_rows(unread, problem.column)
        rows = tuple(row for row in problem.rows if row not in known)
        if rows or not problem.rows:
            kept.append(replace(problem, rows=rows))
    return kept


def _factors(data: DataSection) -> tuple[dict[str, float], str, list[Problem]]:
    """Return what turns each pool's unit into the unit of all, that unit, and what is wrong with them."""
    if data.layout == "contrast":
        return {}, CONCENTRATION, []
    factors: dict[str, float] = {}
    found: dict[str, str] = {}
    problems = []
    for stem in measured(data.outcomes):
        if stem in AMINO_SUGARS and stem not in data.units:
            pool = NECROMASS if NECROMASS in data.outcomes else FUNGAL_NECROMASS
            factors |= {stem: factors[pool]} if pool in factors else {}
            continue
        try:
            factors[stem], found[stem] = canonical_unit(data.units.get(stem, CONCENTRATION))
        except SpecificationError as unknown:
            problems.append(Problem("unknown-unit", str(unknown), value=data.units[stem]))
    if len(set(found.values())) > 1:
        problems.append(_stock_and_concentration(found, data))
        factors = {stem: factor for stem, factor in factors.items() if found.get(stem) == CONCENTRATION}
    problems += [
        Problem("unit-unused", f"data.units.{stem} is of no analysed pool", "warning", value=unit)
        for stem, unit in data.units.items()
        if stem not in (*data.outcomes, *POOLS, *AMINO_SUGARS)  # a pool may be left out
    ]
    return factors, next(iter(found.values()), CONCENTRATION), problems


def _stock_and_concentration(found: Mapping[str, str], data: DataSection) -> Problem:
    units = {outcome: data.units.get(outcome, CONCENTRATION) for outcome in found}
    stocks = " and ".join(outcome for outcome, unit in found.items() if unit == STOCK)
    others = [outcome for outcome, unit in found.items() if unit != STOCK]
    setting = " ".join(f"--set data.units.{outcome}={STOCK}" for outcome in others)
    return Problem(
        "stock-and-concentration",
        f"{stocks} is a stock per area and {' and '.join(others)} a concentration: their ratio is no share",
        value=", ".join(f"data.units.{outcome} = {unit}" for outcome, unit in units.items()),
        expected="stocks of both pools, or concentrations of both",
        remedy=f"If both are stocks of one layer: {setting}. Otherwise convert one of them: a stock is the "
        "concentration times bulk density times the thickness of the layer.",
    )


def _in_one_unit(frame: pd.DataFrame, known: Sequence[Column], factors: Mapping[str, float]) -> pd.DataFrame:
    cells = [column for column in known if column.unit == UNIT_OF_POOL and column.name in frame]
    return frame.assign(**{c.name: frame[c.name] * factors.get(c.outcome or "", 1.0) for c in cells})


def _without_bad_cells(frame: pd.DataFrame, names: Mapping[str, str], problems: Sequence[Problem]) -> pd.DataFrame:
    """Return the frame with bad numbers emptied, so that what follows from them is not reported again."""
    kept = {}
    for column in frame:
        if pd.api.types.is_numeric_dtype(frame[column]):
            bad = frame.index.isin(bad_rows(problems, names[str(column)]))
            kept[str(column)] = frame[column].where(~bad, np.nan)
    return frame.assign(**kept)
