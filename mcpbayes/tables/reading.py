"""A file or a user's DataFrame in, one form of table out: every cell a text, every row with its number.

Nothing is interpreted here beyond what a spreadsheet did to the text: encoding, separator, decimal comma, missing
values. Where that can be read in more than one way, the reader stops and says what to do.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.delimited import read_delimited
from mcpbayes.tables.grid import Grid, cell_text, tidy, without_counter
from mcpbayes.tables.numerals import settle_decimals, with_point
from mcpbayes.tables.workbook import read_workbook

TEXT_FILES: Final = (".csv", ".tsv", ".tab", ".txt")
WORKBOOKS: Final = (".xlsx", ".xlsm")
_ZIP: Final = b"PK\x03\x04"
ROW: Final = "row"
_NUMBERS: Final = (int, float, np.integer, np.floating)


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
        ``sha256`` (of its bytes), ``path``.

    Raises
    ------
    DataError
        If there is no such file or table, or if it can be read in more than one way; it names every place.

    Examples
    --------
    >>> import mcpbayes as mb
    >>> table = mb.read_table("pairs.csv")  # doctest: +SKIP
    """
    content = _content(Path(path))
    file, suffix = Path(path).name, Path(path).suffix.lower()
    if suffix in WORKBOOKS:
        grid = read_workbook(content, file, sheet)
    else:
        _require_text(content, suffix, file, sheet)
        grid = read_delimited(content, file)
    table = _table(grid, file)
    table.attrs = {"source": file, "sha256": _sha256(content), "path": str(path), "cells": _sha256_of_cells(table)}
    return table


def as_table(frame: pd.DataFrame, source: str = "DataFrame") -> pd.DataFrame:
    """Return a user's DataFrame in the form of `read_table`.

    Parameters
    ----------
    frame : DataFrame
        Any types and any index. A table from `read_table` keeps its row numbers, also where rows were taken out.
    source : str
        What messages call the table.

    Returns
    -------
    DataFrame
        As from `read_table`; rows are numbered from 2, ``sha256`` is that of the cells.

    Raises
    ------
    DataError
        As `read_table`.
    """
    was_read = frame.index.name == ROW and "cells" in frame.attrs
    if was_read and _is_text(frame) and _sha256_of_cells(frame) == frame.attrs["cells"]:
        return frame
    name = f"{frame.attrs['source']} (changed after reading)" if was_read else source
    numbers = list(frame.index) if was_read else range(2, len(frame) + 2)
    table = _table(_grid_of(frame, numbers), name)
    cells = _sha256_of_cells(table)
    table.attrs = {"source": name, "sha256": cells, "path": frame.attrs.get("path", ""), "cells": cells}
    return table


def _grid_of(frame: pd.DataFrame, numbers: Sequence[int]) -> Grid:
    """Return the cells of a DataFrame."""
    columns = [frame.iloc[:, i].array for i in range(frame.shape[1])]  # arrays keep the width of a float
    rows = [(numbers[i], cells) for i, cells in enumerate(zip(*columns, strict=True))]
    return Grid(
        tuple(cell_text(name) for name in frame.columns),
        tuple((row, tuple(cell_text(value) for value in cells)) for row, cells in rows),
        frozenset((row, i) for row, cells in rows for i, value in enumerate(cells) if isinstance(value, _NUMBERS)),
    )


def _table(grid: Grid, file: str) -> pd.DataFrame:
    """Return a grid as a table, or raise all its problems."""
    grid, problems = tidy(without_counter(grid), file)
    if problems:
        raise DataError(problems)
    columns = {
        name: [(row, cells[i], (row, i) in grid.stored) for row, cells in grid.rows if cells[i]]
        for i, name in enumerate(grid.header)
    }
    converted, problems = settle_decimals(columns, comma_separated=grid.separator == ",", file=file)
    if problems:
        raise DataError(problems)
    cells_of = {
        name: [with_point(cells[i]) if name in converted else cells[i] for _, cells in grid.rows]
        for i, name in enumerate(grid.header)
    }
    return pd.DataFrame(cells_of, index=pd.Index([row for row, _ in grid.rows], name=ROW), dtype="str")


def _content(path: Path) -> bytes:
    """Return the bytes of a file of a kind that can be read."""
    kinds = ", ".join(TEXT_FILES + WORKBOOKS)
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
    found = sorted(other.name for other in path.parent.iterdir() if other.suffix.lower() in TEXT_FILES + WORKBOOKS)
    return f", which holds {', '.join(found[:5])}{', ...' if len(found) > 5 else ''}" if found else ""


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
