"""Cells as they stand in a file, before anybody knows what the columns mean."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.numerals import looks_like_number

#: Cells that say "no value"; a lone dash of any length does, too.
MISSING: Final = frozenset(("", "NA", "N/A", "NaN", "nan", "#N/A", "-", "\N{EN DASH}", "\N{EM DASH}", "\N{MINUS SIGN}"))
#: What spreadsheets write where a formula failed. ``#N/A`` is not among them: it says "no value".
FAILED_FORMULAS: Final = frozenset(
    ("#DIV/0!", "#REF!", "#VALUE!", "#NAME?", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA")
)
#: Checks by which formulas without a value are reported.
FAILED: Final = "failed-formula"
UNCALCULATED: Final = "formula-without-value"
#: Whole numbers up to here are exact in a spreadsheet's floats.
_EXACT: Final = 2.0**53

#: Spreadsheet row and cells.
Rows = Sequence[tuple[int, tuple[str, ...]]]


@dataclass(frozen=True)
class Grid:
    """The cells of one table.

    Parameters
    ----------
    header : tuple of str
        Names of the columns, ``""`` where there is none.
    rows : tuple of (int, tuple of str)
        Spreadsheet row and cells, in the order of the file; lengths may differ.
    stored : frozenset of (int, int)
        (row, position) of the cells that were stored as numbers, so that their decimal point is certain.
    separator : str or None
        What stands between the cells of a text file.
    unread : tuple of Problem
        Cells whose value is not to be had, by column: they matter only where the column is used.
    encoding : str or None
        Encoding of a text file.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    stored: frozenset[tuple[int, int]] = frozenset()
    separator: str | None = None
    unread: tuple[Problem, ...] = ()
    encoding: str | None = None


def cell_text(value: object) -> str:
    """Return a stored value as it would be typed: ``25.0`` is ``25``, dates are ISO, a missing value is ``""``."""
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, float | np.floating):
        number = float(value)
        if number.is_integer() and abs(number) < _EXACT:
            return str(int(number))
        return str(value)  # the shortest digits that come back as the same float of this width
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ")
    return str(value).strip()


def column_letters(position: int) -> str:
    """Return the spreadsheet's name of a column, ``A`` for 0, ``AA`` for 26."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def tidy(grid: Grid, file: str) -> tuple[Grid, list[Problem]]:
    """Return the grid as a rectangle of named columns and filled rows, and what is wrong with its shape.

    Parameters
    ----------
    grid : Grid
        Cells as read.
    file : str
        Name of the file, for the problems.

    Returns
    -------
    grid : Grid
        Without blank rows and columns that have neither name nor values; missing cells are ``""``. Failed formulas
        join the unread cells.
    problems : list of Problem
        No header, no rows, duplicated names, nameless columns with values, rows that are too long.
    """
    header = tuple(" ".join(name.split()) for name in grid.header)
    rows = [(row, tuple("" if cell in MISSING else cell for cell in cells)) for row, cells in grid.rows]
    rows = [(row, cells) for row, cells in rows if any(cells)]
    unusable = _unusable(header, rows, file)
    if unusable:
        return grid, [unusable]
    width = len(header)
    problems = _names(header, rows, file) + _lengths(width, rows, grid.separator, file)
    kept = [i for i, name in enumerate(header) if name]
    position = {i: new for new, i in enumerate(kept)}
    return (
        Grid(
            tuple(header[i] for i in kept),
            tuple((row, tuple(cells[i] if i < len(cells) else "" for i in kept)) for row, cells in rows),
            frozenset((row, position[i]) for row, i in grid.stored if i in position),
            grid.separator,
            (*grid.unread, *_failures(header, rows, file)),
        ),
        problems,
    )


def without_counter(grid: Grid) -> Grid:
    """Return the grid without a nameless first column that only counts the rows, as R and pandas write it."""
    if not grid.header or grid.header[0].strip():
        return grid
    first = [cells[0] for _, cells in grid.rows if cells]
    if not first or not any(first == [str(i + start) for i in range(len(first))] for start in (0, 1)):
        return grid
    return Grid(
        grid.header[1:],
        tuple((row, cells[1:]) for row, cells in grid.rows),
        frozenset((row, i - 1) for row, i in grid.stored if i),
        grid.separator,
        grid.unread,
    )


def _unusable(header: Sequence[str], rows: Rows, file: str) -> Problem | None:
    """Return why there is no table at all, or None."""
    names = [name for name in header if name]
    if not names and not rows:
        return Problem("empty-table", "the table is empty", file=file, expected="a header and at least one row")
    if not names or 2 * sum(looks_like_number(name) for name in names) >= len(names):
        return Problem(
            "no-header",
            "the first row does not hold the names of the columns",
            file=file,
            rows=(1,),
            value=", ".join(names[:6]) or None,
            expected="one name per column",
            remedy="Put the names into the first row of the sheet, with no title or empty row above them.",
        )
    if not rows:
        return Problem("empty-table", "the table has a header but no rows", file=file, expected="at least one row")
    return None


def _names(header: Sequence[str], rows: Rows, file: str) -> list[Problem]:
    """Return duplicated names and nameless columns that hold values."""
    problems = []
    for name in dict.fromkeys(name for name in header if name and header.count(name) > 1):
        places = ", ".join(column_letters(i) for i, other in enumerate(header) if other == name)
        problems.append(
            Problem(
                "duplicated-column",
                f"{header.count(name)} columns ({places}) have the same name",
                file=file,
                rows=(1,),
                column=name,
                expected="a name of its own for each column",
                remedy="Rename or delete all but one of them.",
            )
        )
    for i, name in enumerate(header):
        filled = [(row, cells[i]) for row, cells in rows if not name and i < len(cells) and cells[i]]
        if filled:
            problems.append(
                Problem(
                    "nameless-column",
                    f"column {column_letters(i)} holds values but has no name in the first row",
                    file=file,
                    rows=tuple(row for row, _ in filled),
                    value=filled[0][1],
                    remedy="Name the column or delete it; merged cells and title lines leave names out.",
                )
            )
    return problems


def _lengths(width: int, rows: Rows, separator: str | None, file: str) -> list[Problem]:
    """Return an error for the rows with values beyond the last column."""
    long = [(row, cells) for row, cells in rows if any(cells[width:])]
    if not long:
        return []
    remedy = "Take the surplus cells out."
    if separator == ",":
        remedy = (
            "A text that holds a comma needs quotation marks around it. If the numbers are written with decimal "
            "commas, save the file with semicolons between the cells, or with decimal points."
        )
    return [
        Problem(
            "row-too-long",
            f"more cells than the {width} columns of the header",
            file=file,
            rows=tuple(row for row, _ in long),
            value=(separator or " ").join(long[0][1]),
            expected=f"{width} cells",
            remedy=remedy,
        )
    ]


def _failures(header: Sequence[str], rows: Rows, file: str) -> list[Problem]:
    """Return an error for each column and kind of failed formula."""
    found: dict[tuple[int, str], list[int]] = {}
    for row, cells in rows:
        for i, cell in enumerate(cells[: len(header)]):
            if cell in FAILED_FORMULAS:
                found.setdefault((i, cell), []).append(row)
    return [
        Problem(
            FAILED,
            f"the formula in cell {column_letters(i)}{at[0]} failed",
            file=file,
            rows=tuple(at),
            column=header[i] or column_letters(i),
            value=value,
            expected="a value",
            remedy="Mend the formula, or leave the cell empty if the value is not known.",
        )
        for (i, value), at in found.items()
    ]
