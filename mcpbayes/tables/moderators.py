"""Moderators: any column of the table that the formula names, numeric where every cell is a number."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.guess import best_guess
from mcpbayes.tables.schema import LEAVE_EMPTY, bad_cells, bad_rows, numbers

#: Moderators stand beside the other columns under this prefix, in frames and in the Dataset.
PREFIX = "moderator_"


def read_moderators(
    raw: pd.DataFrame, names: Mapping[str, str], moderators: Sequence[str], frame: pd.DataFrame
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the moderators of every row, and what is wrong with them.

    Parameters
    ----------
    raw : DataFrame
        Cells as texts, the user's column names, spreadsheet row as index.
    names : mapping of str to str
        Canonical name → the user's; a moderator that is not in it is looked up as it is.
    moderators : sequence of str
        Names in the formula.
    frame : DataFrame
        The cells that were read already, under canonical names.

    Returns
    -------
    frame : DataFrame
        Columns ``moderator_<name>``: float (missing = NaN), or object of str (missing = ``""``).
    problems : list of Problem
        Absent columns, infinite numbers, text among numbers.
    """
    found: dict[str, pd.Series] = {}
    problems: list[Problem] = []
    for name in moderators:
        column = names.get(name, name)
        if column not in raw:
            problems.append(_absent(name, raw.columns))
            continue
        if name in frame and pd.api.types.is_numeric_dtype(frame[name]):
            found[PREFIX + name] = frame[name]
            continue
        found[PREFIX + name], new = _cells(raw[column])
        problems += new
    return pd.DataFrame(found, index=raw.index), problems


def moderator_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns of a frame that hold moderators, in order of name."""
    return sorted(str(column) for column in frame if str(column).startswith(PREFIX))


def complete_rows(
    frame: pd.DataFrame, names: Mapping[str, str], missing: str, known: Sequence[Problem]
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows whose moderators are all there, and errors or a note for the others.

    Parameters
    ----------
    frame : DataFrame
        One row per comparison, with columns ``moderator_<name>``.
    names : mapping of str to str
        Canonical name → the user's.
    missing : {"error", "drop"}
        What is done with incomplete rows.
    known : sequence of Problem
        What has been found already; a cell with an error is not called missing.
    """
    gaps = {}
    for column in moderator_columns(frame):
        name = names.get(column.removeprefix(PREFIX), column.removeprefix(PREFIX))
        gap = frame[column].isna() | (frame[column] == "")
        gaps[name] = gap & ~frame.index.isin(bad_rows(known, name))
    incomplete = pd.DataFrame(gaps, frame.index).any(axis=1)
    if not incomplete.any():
        return frame, []
    if missing == "drop" and not incomplete.all():
        empty = ", ".join(name for name, gap in gaps.items() if gap.any())
        rows = tuple(frame.index[incomplete])
        dropped = Problem(
            "dropped-rows",
            f"{len(rows)} of {len(frame)} comparisons were left out, since a moderator is missing",
            "warning",
            rows=rows,
            column=empty,
            expected="a value of each moderator",
        )
        return frame[~incomplete], [dropped]
    remedy = "Fill in the cells, or leave these rows out: --set moderators.missing=drop."
    if missing == "drop":
        remedy = "Fill in the cells, or take the moderator out of the formula: no row is complete."
    return frame, [
        Problem(
            "missing-moderator",
            "the moderator is missing",
            rows=tuple(frame.index[gap]),
            column=name,
            value="",
            expected="a value of each moderator",
            remedy=remedy,
        )
        for name, gap in gaps.items()
        if gap.any()
    ]


def _cells(text: pd.Series) -> tuple[pd.Series, list[Problem]]:
    """Return one moderator's values: numbers, or categories where the texts are not mere slips among numbers."""
    values, unreadable = numbers(text)
    distinct = text[text != ""].drop_duplicates()
    if unreadable.any() and 2 * unreadable[distinct.index].sum() >= len(distinct):
        return text.astype(object), []
    problems = bad_cells(
        "not-a-number",
        "text stands among the numbers of a moderator",
        text[unreadable],
        "a number",
        f"{LEAVE_EMPTY} If categories are meant, write none of them as a bare number.",
    )
    infinite = np.isinf(values)
    problems += bad_cells("infinite", "the number is infinite", text[infinite], "a finite number")
    return values, problems


def _absent(name: str, available: Sequence[str] | pd.Index) -> Problem:
    guess = best_guess(name, list(available))
    return Problem(
        "moderator-absent",
        f"the table has no column for the moderator {name!r}",
        column=name,
        expected="a column of the table, by its own name or by one mapped in data.columns",
        remedy=f"Did you mean {guess!r}?" if guess else "Correct the formula, or add the column.",
    )
