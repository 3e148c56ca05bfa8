"""What stands below a table in a spreadsheet, after an empty row: sources, remarks, means, but no comparisons."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.numerals import looks_like_number

_SUM: Final = (
    r"(?:(?:grand|overall|total|weighted) )?(?:means?|averages?|medians?|sum|totals?|count)"
    r"|subtotal|s\.?d|s\.?e|sem|std(?:ev| ?dev)?|standard (?:deviation|error)|min(?:imum)?|max(?:imum)?|n"
)
#: What a row below a table has for a study: whole cells, since Min and Mean may begin the names of authors.
_STRAY: Final = re.compile(
    rf"(?:{_SUM})(?:\W+(?:{_SUM}))*\W*|(?:source|note|footnote|remark|comment)s?(?:\s*:.*|\W*)", re.DOTALL
)
#: What is a treatment all the same: nitrogen.
_TREATMENTS: Final = frozenset(("n",))
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
    return not cells[study] or _is_stray(cells[study]) or remark


def _is_stray(cell: str) -> bool:
    return _STRAY.fullmatch(cell.casefold().strip()) is not None


def stray_rows(frame: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return a warning for each study or treatment that is called as a mean or a note below the table would be.

    Parameters
    ----------
    frame : DataFrame
        Cells under canonical names; spreadsheet row as index.
    names : mapping of str to str
        Canonical name → the user's.
    """
    return [
        Problem(
            "looks-like-note",
            f"looks like a mean or note below the table, not a {name}",
            "warning",
            rows=tuple(int(row) for row in rows),
            column=names.get(name, name),
            value=str(cell)[:60],
            remedy="Delete the row if it is one.",
        )
        for name in ("study", "treatment")
        if name in frame
        for cell, rows in frame.groupby(name, sort=False).groups.items()
        if _is_stray(str(cell)) and not (name == "treatment" and str(cell).casefold() in _TREATMENTS)
    ]
