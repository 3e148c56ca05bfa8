"""XLSX workbooks: sheets, stored values, formulas, merged cells."""

import io
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from openpyxl.cell.cell import Cell
from openpyxl.reader.excel import load_workbook

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.columns import GUIDE_TITLE
from mcpbayes.tables.grid import UNCALCULATED, Grid, cell_text

#: Digits of a percentage that are kept when a stored 0.025 is shown as 2.5%.
_DIGITS: Final = 12
#: What openpyxl and the modules below it raise over a damaged file.
_UNREADABLE: Final = (BadZipFile, zlib.error, ParseError, EOFError, KeyError, ValueError, TypeError)


def read_workbook(content: bytes, file: str, sheet: str | None) -> Grid:
    """Return the cells of one sheet of an XLSX workbook.

    Parameters
    ----------
    content : bytes
        The file.
    file : str
        Its name, for the problems.
    sheet : str or None
        Name of the sheet; None takes the only visible one with cells in it (the explaining sheet of our template does
        not count).

    Returns
    -------
    Grid
        Values as they are shown: dates ISO, percentages with their sign, whole numbers without decimals.

    Raises
    ------
    DataError
        If the file cannot be opened, the sheet is not certain or cells are merged.
    """
    formulas = _open(content, file, values=False)
    name = _choose(formulas, file, sheet)
    chosen = formulas[name]
    with_formula = {cell.coordinate for cell in _filled(chosen) if cell.data_type == "f"}
    values = _open(content, file, values=True)[name] if with_formula else chosen
    problems = _merged(values, file)
    if problems:
        raise DataError(problems)
    return replace(_grid(_filled(values)), unread=_uncalculated(values, with_formula, file))


def _grid(filled: list[Cell]) -> Grid:
    """Return the filled cells in their places."""
    shown = {(cell.row, cell.column - 1): _shown(cell) for cell in filled}
    places = range(max((column for _, column in shown), default=-1) + 1)
    rows = {row: tuple(shown.get((row, i), "") for i in places) for row in sorted({row for row, _ in shown})}
    stored = frozenset((cell.row, cell.column - 1) for cell in filled if _is_number(cell) and not _is_percent(cell))
    return Grid(rows.pop(1, ("",) * len(places)), tuple(rows.items()), stored)


def _open(content: bytes, file: str, *, values: bool) -> Any:
    """Open a workbook for its formulas or its stored values."""
    with warnings.catch_warnings():
        # openpyxl warns of what it does not keep when it writes (styles, validation, headers); nothing is written here
        warnings.simplefilter("ignore", UserWarning)
        try:
            return load_workbook(io.BytesIO(content), data_only=values)
        except _UNREADABLE as unreadable:
            raise DataError(
                [
                    Problem(
                        "unreadable-workbook",
                        "the file is no readable .xlsx workbook: damaged, protected by a password or of another kind",
                        file=file,
                        remedy="Open it in a spreadsheet and save it as .xlsx or .csv.",
                    )
                ]
            ) from unreadable


def _choose(workbook: Any, file: str, sheet: str | None) -> str:
    """Return the name of the sheet to read."""
    names: list[str] = [worksheet.title for worksheet in workbook.worksheets]
    if sheet is not None:
        if sheet in names:
            return sheet
        message = f"there is no sheet {sheet!r}"
    else:
        candidates: list[str] = [worksheet.title for worksheet in workbook.worksheets if _is_candidate(worksheet)]
        if len(candidates) == 1:
            return candidates[0]
        if not candidates:
            raise DataError([Problem("empty-table", "no sheet has cells in it", file=file)])
        message = f"{len(candidates)} sheets have cells in them, and it is not certain which is meant"
        names = candidates
    raise DataError(
        [
            Problem(
                "which-sheet",
                message,
                file=file,
                expected=f"one of {', '.join(repr(name) for name in names)}",
                remedy=f"Name it: sheet={names[0]!r} in Python, --sheet on the command line, data.sheet in a model.",
            )
        ]
    )


def _is_candidate(worksheet: Any) -> bool:
    return bool(_filled(worksheet)) and worksheet.sheet_state == "visible" and worksheet["A1"].value != GUIDE_TITLE


def _filled(worksheet: Any) -> list[Cell]:
    """Return the cells that hold something, in no order.

    The sheet's own dictionary is asked, since walking over its rows would make a cell for every place up to the last
    one that was ever formatted: a stray one in the last row of the sheet costs minutes and gigabytes.
    """
    return [cell for cell in worksheet._cells.values() if cell.value is not None]


def _merged(worksheet: Any, file: str) -> list[Problem]:
    """Return an error for merged cells with a value below the header: the other cells would count as empty."""
    ranges = [
        area for area in worksheet.merged_cells.ranges if area.max_row > 1 and area.start_cell.value not in (None, "")
    ]
    if not ranges:
        return []
    shown = ", ".join(area.coord for area in sorted(ranges, key=lambda area: (area.min_row, area.min_col))[:8])
    return [
        Problem(
            "merged-cells",
            f"cells are merged: {shown}{', ...' if len(ranges) > 8 else ''}",
            file=file,
            rows=tuple(sorted({area.min_row for area in ranges})),
            expected="one value in each cell",
            remedy="Unmerge them and write the value into each row.",
        )
    ]


def _uncalculated(worksheet: Any, with_formula: Iterable[str], file: str) -> tuple[Problem, ...]:
    """Return an error for each column with formulas whose result was never stored: their cells would count as empty."""
    cells = [worksheet[place] for place in with_formula if worksheet[place].value is None]
    by_column: dict[int, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.column, cell.row)):
        by_column.setdefault(cell.column, []).append(cell)
    return tuple(
        Problem(
            UNCALCULATED,
            f"the formula in cell {found[0].coordinate} has no stored result",
            file=file,
            rows=tuple(cell.row for cell in found),
            column=" ".join(cell_text(worksheet.cell(1, column).value).split()) or found[0].column_letter,
            value="",
            expected="a value",
            remedy="Open the file in a spreadsheet, so that it is calculated, and save it again.",
        )
        for column, found in by_column.items()
    )


def _is_number(cell: Cell) -> bool:
    return isinstance(cell.value, int | float) and not isinstance(cell.value, bool)


def _is_percent(cell: Cell) -> bool:
    return _is_number(cell) and "%" in str(cell.number_format)


def _shown(cell: Cell) -> str:
    """Return a cell as the user sees it, numbers in full."""
    if isinstance(cell.value, bool):
        return str(cell.value).upper()
    if _is_percent(cell):
        return f"{cell_text(float(f'{100 * cell.value:.{_DIGITS}g}'))}%"
    return cell_text(cell.value)
