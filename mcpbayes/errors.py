"""What can go wrong, each error carrying its evidence (file, row, column, value, limit)."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """One finding about a table, a specification or a fit.

    Parameters
    ----------
    check : str
        Name of the check, in kebab case, for example ``"not-a-number"``.
    message : str
        What was found, as a sentence without the place.
    severity : {"error", "warning", "note"}
        Errors stop a run; warnings and notes travel with the result and are shown in every report.
    file, column, value : str, optional
        Where it was found and what stood there.
    rows : tuple of int
        Spreadsheet rows (the header is row 1).
    expected, remedy : str, optional
        What was expected, and what the user can do.
    """

    check: str
    message: str
    severity: Severity = "error"
    file: str | None = None
    rows: tuple[int, ...] = ()
    column: str | None = None
    value: str | None = None
    expected: str | None = None
    remedy: str | None = None

    def __str__(self) -> str:
        """Return one line: place, finding, value, expectation, remedy."""
        place = [self.file] if self.file else []
        if self.rows:
            shown = ", ".join(str(row) for row in self.rows[:8])
            more = f" and {len(self.rows) - 8} more" if len(self.rows) > 8 else ""
            place.append(f"row{'s' if len(self.rows) > 1 else ''} {shown}{more}")
        if self.column:
            place.append(f"column {self.column}")
        text = f"{', '.join(place)}: {self.message}" if place else self.message
        if self.value is not None:
            text += f" (found {self.value!r})"
        if self.expected:
            text += f"; expected {self.expected}"
        return f"{text}. {self.remedy}" if self.remedy else f"{text}."

    def as_dict(self) -> dict[str, object]:
        """Return the fields as a plain dictionary, for JSON."""
        return asdict(self)


class McpbayesError(Exception):
    """Base of every error that is the input's or the fit's, not a bug of ours."""


class DataError(McpbayesError):
    """A table cannot be analysed; carries every problem found, not only the first.

    Parameters
    ----------
    problems : iterable of Problem
        At least one, all of them errors.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "" if count == 1 else f"{count} problems:\n"
        super().__init__(head + "\n".join(str(problem) for problem in self.problems))


class SpecificationError(McpbayesError):
    """A specification, formula or setting cannot be used.

    Parameters
    ----------
    message : str
        Full sentence: what was required, what came, what to do.
    key : str, optional
        Dotted key of the specification.
    """

    def __init__(self, message: str, key: str | None = None) -> None:
        self.key = key
        super().__init__(f"{key}: {message}" if key else message)


class ConvergenceError(McpbayesError):
    """Sampling did not produce draws that can be used at all."""


class StageError(McpbayesError):
    """A verb was called on a result that lacks the group it needs; the message names the verb to call first."""
