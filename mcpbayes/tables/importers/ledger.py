"""What became of every row of a source: used as what, in which comparison, or left out and why."""

from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.guess import nearest
from mcpbayes.tables.schema import bad_cells, numbers

NOT_USED: Final = "not used"
CONTROL_USE: Final = "control"
TREATMENT_USE: Final = "treatment"
#: Columns of a ledger that every importer fills; an importer puts its own identifying columns between row and used_as.
USED_AS: Final = "used_as"
REASON: Final = "reason"
COMPARISON: Final = "comparison"
FLAG: Final = "flag"


@dataclass(frozen=True)
class Imported:
    """A table made from a source, and what became of the source's rows.

    Parameters
    ----------
    table : DataFrame
        Canonical columns of a layout, ready to be written as CSV.
    rows : DataFrame
        One row per row of the source: its spreadsheet row, ``used_as``, ``reason``, ``comparison``, ``flag``.
    notes : tuple of Problem
        Warnings and notes that the user should read once.
    settings : str
        Options that ``mcpbayes check`` and ``mcpbayes run`` need for the table; empty for layout ``comparison``.
    """

    table: pd.DataFrame
    rows: pd.DataFrame
    notes: tuple[Problem, ...]
    settings: str = ""

    @property
    def uses(self) -> dict[str, int]:
        """How many rows were used as what, or not used."""
        return {str(use): int(count) for use, count in self.rows[USED_AS].value_counts(sort=False).items()}

    @property
    def reasons(self) -> dict[str, int]:
        """How many rows were not used for which reason, the most frequent first."""
        counts = self.rows.loc[self.rows[USED_AS] == NOT_USED, REASON].value_counts()
        return {str(reason): int(counts[reason]) for reason in sorted(counts.index, key=lambda r: (-counts[r], r))}


def require_source_columns(frame: pd.DataFrame, needed: tuple[str, ...], what: str) -> None:
    """Raise one error per column that the source's file should have.

    Parameters
    ----------
    frame : DataFrame
        From `mcpbayes.tables.reading.read_file`.
    needed : tuple of str
        Names of the columns.
    what : str
        What the file should be.

    Raises
    ------
    DataError
        Naming every absent column, with the nearest existing one.
    """
    problems = []
    for name in needed:
        if name not in frame:
            near = nearest(name, [str(column) for column in frame])
            remedy = f"The nearest existing column is {near!r}: rename it." if near else "Check that it is that file."
            problems.append(
                Problem(
                    "source-column-absent",
                    "the file lacks a column of its source",
                    file=frame.attrs["source"],
                    column=name,
                    expected=what,
                    remedy=remedy,
                )
            )
    if problems:
        raise DataError(problems)


def source_numbers(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """Return columns of a source as numbers, NaN where empty.

    Raises
    ------
    DataError
        Naming every cell that is no number.
    """
    found: dict[str, pd.Series] = {}
    problems: list[Problem] = []
    for name in names:
        found[name], unreadable = numbers(frame[name])
        problems += bad_cells(
            "not-a-number", "text stands where a number is needed", frame[name][unreadable], "a number"
        )
    if problems:
        raise DataError(replace(problem, file=frame.attrs["source"]) for problem in problems)
    return pd.DataFrame(found, index=frame.index)
