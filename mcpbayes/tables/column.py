"""One column of a table: its name, what stands in it, what a cell may be."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["id", "text", "number", "choice"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    name : str
        Canonical name; ``[data.columns]`` maps it to the user's.
    meaning : str
        What stands in it, as a sentence for the template's reader.
    kind : {"id", "text", "number", "choice"}
        An id is a name that a spreadsheet may have turned into a number (``25.0`` is ``25``).
    examples : tuple of str
        One cell per example row of the template.
    required : bool
        Whether the column must exist.
    blank : bool
        Whether cells may be empty.
    unit : str
        Unit, or `mcpbayes.tables.columns.UNIT_OF_POOL`; empty where there is none.
    outcome : str or None
        The pool a number belongs to.
    lower, upper : float or None
        Bounds of a number.
    strict : bool
        Whether the bounds themselves are excluded.
    choices : tuple of str
        The words of a choice.
    shown : bool
        Whether the template's table has the column; the others stand only in its explaining sheet.
    """

    name: str
    meaning: str
    kind: Kind = "number"
    examples: tuple[str, ...] = ()
    required: bool = False
    blank: bool = True
    unit: str = ""
    outcome: str | None = None
    lower: float | None = None
    upper: float | None = None
    strict: bool = False
    choices: tuple[str, ...] = ()
    shown: bool = True
