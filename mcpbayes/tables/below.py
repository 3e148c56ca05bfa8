"""What stands below a table in a spreadsheet, after an empty row: sources, remarks, means, but no comparisons."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.numerals import looks_like_number

#: What a row that sums up others has for a study; whole cells, since Min and Max may begin the names of authors.
_SUMS: Final = frozenset(
    ("mean", "means", "average", "averages", "median", "sum", "total", "sd", "se", "sem", "min", "max", "n", "count")
)
#: A remark fills so many cells at most, all with text.
_CELLS: Final = 2


def without_notes(raw: pd.DataFrame, study: str) -> tuple[pd.DataFrame, list[Problem]]:
    """Return a table without what stands below it, and an error that names those rows.

    Parameters
    ----------
    raw : DataFrame
        Cells as typed; spreadsheet row as index, in which an empty row is a gap.
    study : str
        Name of the column of studies.

    Notes
    -----
    These are the rows from the first gap on after which no row could be a comparison: none has both a study and more
    than a remark.
    """
    if study not in raw or raw.empty:
        return raw, []
    place, start = raw.columns.get_loc(study), len(raw)
    assert isinstance(place, int)
    cells, rows = raw.to_numpy(dtype=object).tolist(), raw.index.tolist()
    for i in range(len(raw) - 1, 0, -1):
        if not _is_note(cells[i], place):
            break
        if rows[i] - rows[i - 1] > 1:
            start = i
    if start == len(raw):
        return raw, []
    texts = [cell for cell in cells[start] if cell]
    problem = Problem(
        "note-below-table",
        "looks like a note or a mean below the table, after an empty row",
        rows=tuple(int(row) for row in rows[start:]),
        value=" ".join(texts)[:60],
        expected="comparisons only",
        remedy="Delete these rows or move them to another sheet; in a comparison, fill in the study.",
    )
    return raw.iloc[:start], [problem]


def _is_note(cells: Sequence[str], study: int) -> bool:
    """Say whether a row is no comparison: without a study, a summary of others, or a remark."""
    filled = [cell for cell in cells if cell]
    remark = len(filled) <= _CELLS and not any(looks_like_number(cell) for cell in filled)
    return not cells[study] or cells[study].casefold().strip(" :.") in _SUMS or remark
