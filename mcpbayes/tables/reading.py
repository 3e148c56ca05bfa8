"""A file or a user's DataFrame in, one form of table out: every cell a text, every row with its number.

Nothing is interpreted here beyond what a spreadsheet did to the text: encoding, separator, decimal comma, missing
values. Where the file as a whole can be read in more than one way, the reader stops and says what to do. Where single
cells can, they stay as typed and travel with the table as problems of their column, which count where it is used.
"""

import hashlib
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.delimited import read_delimited
from mcpbayes.tables.grid import FAILED, UNCALCULATED, Grid, cell_text, tidy, without_counter
from mcpbayes.tables.numerals import is_doubtful, settle_decimals, with_point

TEXT_FILES: Final = (".csv", ".tsv", ".tab", ".txt")
WORKBOOKS: Final = (".xlsx", ".xlsm")
_ZIP: Final = b"PK\x03\x04"
ROW: Final = "row"
_NUMBERS: Final = (int, float, np.integer, np.floating)
#: Where a table's attributes hold the problems of its columns (JSON), its separator and its encoding.
UNREAD: Final = "problems"
SEPARATOR: Final = "separator"
ENCODING: Final = "encoding"


class UnreadCells(UserWarning):
    """A table was read but for some cells, which stay as typed: failed formulas, numbers of uncertain meaning."""


def read_table(path: str | Path, sheet: str | None = None) -> pd.DataFrame:
    """Read a table from a CSV, TSV or XLSX file.

    Parameters
    ----------
    path : str or Path
        File with the names of the columns in its first row.
    sheet : str, optional
        Sheet of a workbook; needed only where several have cells in them.

    Returns
    -------
    DataFrame
        Every cell a stripped text as typed (``""`` where missing, decimal point). The index ``row`` counts as the
        spreadsheet does (header = row 1); blank rows are left out. ``attrs``: ``source`` (name of the file),
        ``sha256`` (of its bytes), ``path``, ``problems`` (JSON list, see below).

    Raises
    ------
    DataError
        If there is no such file or table, or if it can be taken apart in more than one way; it names every place.

    Warns
    -----
    UnreadCells
        If formulas failed or numbers can be read in more than one way (``1,234``; ``0,5`` between commas). These cells
        stay as typed; `mcpbayes.prepare` refuses them in columns that are used, and only there.

    Examples
    --------
    >>> import mcpbayes as mb
    >>> table = mb.read_table("pairs.csv")  # doctest: +SKIP
    """
    table = read_file(path, sheet)
    for problem in unread_cells(table):
        warnings.warn(f"{problem} This counts only where the column is used.", UnreadCells, stacklevel=2)
    return table


def read_file(path: str | Path, sheet: str | None = None, row_names: str | None = None) -> pd.DataFrame:
    """Return the table of a file as `read_table`, without warnings: for callers that report `unread_cells` themselves.

    Parameters
    ----------
    path, sheet
        As for `read_table`.
    row_names : str, optional
        What a nameless first column is called that does more than count the rows: R writes names of rows there.
    """
    content = _content(Path(path))
    file, suffix = Path(path).name, Path(path).suffix.lower()
    if suffix in WORKBOOKS:
        from mcpbayes.tables.workbook import read_workbook  # brings openpyxl, which text files do not need

        grid = read_workbook(content, file, sheet)
    else:
        _require_text(content, suffix, file, sheet)
        grid = read_delimited(content, file)
    table = _table(grid, file, row_names)
    table.attrs |= {"source": file, "sha256": _sha256(content), "path": str(path), "cells": _sha256_of_cells(table)}
    return table


def unread_cells(table: pd.DataFrame) -> list[Problem]:
    """Return the problems of single columns that travel with a table: cells that stayed as typed."""
    return [Problem(**fields | {"rows": tuple(fields["rows"])}) for fields in json.loads(table.attrs.get(UNREAD, "[]"))]


def as_table(frame: pd.DataFrame, source: str = "DataFrame") -> pd.DataFrame:
    """Return a user's DataFrame in the form of `read_table`.

    Parameters
    ----------
    frame : DataFrame
        Any types and any index. A table from `read_table` keeps its row numbers, also where rows were taken out, but
        not where some were added twice.
    source : str
        What messages call the table.

    Returns
    -------
    DataFrame
        As from `read_table`; rows are numbered from 2, ``sha256`` is that of the cells.

    Raises
    ------
    DataError
        As `read_table`, which tells of unread cells, too; here they only travel with the table.
    """
    was_read = frame.index.name == ROW and "cells" in frame.attrs
    if was_read and _is_text(frame) and _sha256_of_cells(frame) == frame.attrs["cells"]:
        return frame
    name = f"{frame.attrs['source']} (changed after reading)" if was_read else source
    # rows that were taken twice need numbers of their own
    numbers = list(frame.index) if was_read and frame.index.is_unique else list(range(2, len(frame) + 2))
    grid = _grid_of(frame, numbers)
    if was_read:
        grid = replace(grid, separator=frame.attrs.get(SEPARATOR), unread=_still_unread(frame, numbers, name))
    table = _table(grid, name)
    cells = _sha256_of_cells(table)
    table.attrs |= {"source": name, "sha256": cells, "path": frame.attrs.get("path", ""), "cells": cells}
    return table


def _still_unread(frame: pd.DataFrame, numbers: Sequence[int], name: str) -> tuple[Problem, ...]:
    """Return the unread cells of a table that were neither taken out nor mended after it was read.

    The table does not show them any more: decimal commas of other columns have become points, formulas are empty cells.
    """
    kept = []
    for problem in unread_cells(frame):
        column = frame[problem.column] if problem.column in frame else pd.Series(dtype=object)
        rows = set(problem.rows)
        cells = [
            (number, str(cell))
            for number, (row, cell) in zip(numbers, column.items(), strict=False)
            if row in rows and _is_unread(cell, problem.check)
        ]
        if cells:
            kept.append(replace(problem, file=name, rows=tuple(row for row, _ in cells), value=cells[0][1]))
    return tuple(kept)


def _is_unread(cell: object, check: str) -> bool:
    """Tell whether a cell is still as its problem describes it; failed formulas are found anew."""
    if check == FAILED or not isinstance(cell, str):
        return False
    return cell == "" if check == UNCALCULATED else is_doubtful(cell.strip())


def _grid_of(frame: pd.DataFrame, numbers: Sequence[int]) -> Grid:
    """Return the cells of a DataFrame."""
    columns = [frame.iloc[:, i].array for i in range(frame.shape[1])]  # arrays keep the width of a float
    rows = [(numbers[i], cells) for i, cells in enumerate(zip(*columns, strict=True))]
    return Grid(
        tuple(cell_text(name) for name in frame.columns),
        tuple((row, tuple(cell_text(value) for value in cells)) for row, cells in rows),
        frozenset((row, i) for row, cells in rows for i, value in enumerate(cells) if isinstance(value, _NUMBERS)),
    )


def _table(grid: Grid, file: str, row_names: str | None = None) -> pd.DataFrame:
    """Return a grid as a table that carries its unread cells and its separator, or raise what its shape forbids."""
    encoding, grid = grid.encoding, without_counter(grid)
    if row_names and grid.header and not grid.header[0]:
        grid = replace(grid, header=(row_names, *grid.header[1:]))
    grid, problems = tidy(grid, file)
    if problems:
        raise DataError(problems)
    columns = {
        name: [(row, cells[i], (row, i) in grid.stored) for row, cells in grid.rows if cells[i]]
        for i, name in enumerate(grid.header)
    }
    converted, doubtful = settle_decimals(columns, comma_separated=grid.separator == ",", file=file)
    reported = {problem.column for problem in grid.unread if problem.check not in (FAILED, UNCALCULATED)}
    converted -= reported
    unread = [*grid.unread, *(problem for problem in doubtful if problem.column not in reported)]
    cells_of = {
        name: [with_point(cells[i]) if name in converted else cells[i] for _, cells in grid.rows]
        for i, name in enumerate(grid.header)
    }
    table = pd.DataFrame(cells_of, index=pd.Index([row for row, _ in grid.rows], name=ROW), dtype="str")
    problems_of_columns = json.dumps([problem.as_dict() for problem in unread], ensure_ascii=False)
    table.attrs = {SEPARATOR: grid.separator, UNREAD: problems_of_columns, ENCODING: encoding}
    return table


def _content(path: Path) -> bytes:
    """Return the bytes of a file of a kind that can be read."""
    try:
        return _bytes(path)
    except OSError as unreadable:
        reason = unreadable.strerror or str(unreadable)
        remedy = "Check that the file may be read and is not open in a program that locks it."
        raise DataError(
            [Problem("unreadable-file", f"the file {path} cannot be read: {reason}", remedy=remedy)]
        ) from unreadable


def _bytes(path: Path) -> bytes:
    kinds = ", ".join(TEXT_FILES + WORKBOOKS)
    if path.is_dir():
        tables = _tables_in(path)
        remedy = f"Name a table in it: {tables}." if tables else "Name a file; there is no table in this folder."
        raise DataError([Problem("file-kind", f"{path} is a folder, not a table", expected=kinds, remedy=remedy)])
    if path.suffix.lower() not in TEXT_FILES + WORKBOOKS:
        raise DataError(
            [
                Problem(
                    "file-kind",
                    f"files of the kind {path.suffix!r} cannot be read",
                    file=path.name,
                    expected=kinds,
                    remedy="Open the file in a spreadsheet and save it as .xlsx or .csv.",
                )
            ]
        )
    if not path.is_file():
        raise DataError(
            [
                Problem(
                    "file-not-found",
                    f"there is no file {path}",
                    remedy=f"Check the name and the folder{_neighbours(path)}.",
                )
            ]
        )
    return path.read_bytes()


def _neighbours(path: Path) -> str:
    """Return the tables that the folder does hold, for the message."""
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent}"
    tables = _tables_in(path.parent)
    return f", which holds {tables}" if tables else ""


def _tables_in(folder: Path) -> str:
    """Return the names of the first tables in a folder."""
    found = sorted(other.name for other in folder.iterdir() if other.suffix.lower() in TEXT_FILES + WORKBOOKS)
    return f"{', '.join(found[:5])}{', ...' if len(found) > 5 else ''}"


def _require_text(content: bytes, suffix: str, file: str, sheet: str | None) -> None:
    if content.startswith(_ZIP):
        message = f"the file is a workbook or archive, not text, though its name ends in {suffix}"
        raise DataError([Problem("file-kind", message, file=file, remedy="Give it its proper ending, .xlsx.")])
    if sheet is not None:
        message = f"a text file has no sheets, but the sheet {sheet!r} was asked for"
        raise DataError([Problem("which-sheet", message, file=file, remedy="Leave the sheet out.")])


def _is_text(frame: pd.DataFrame) -> bool:
    return all(isinstance(value, str) for i in range(frame.shape[1]) for value in frame.iloc[:, i])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sha256_of_cells(table: pd.DataFrame) -> str:
    """Return the hash of names, row numbers and cells, whatever file they came from."""
    return _sha256(table.to_csv(lineterminator="\n").encode())
