"""Checks of single values: each takes a value and its dotted key, and returns the value as it is kept.

All messages about a specification are worded here: the key, what was expected, what came, the nearest known name.
"""

import math
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

from mcpbayes.errors import SpecificationError

Check = Callable[[object, str], Any]


def refusal(expected: str, value: object, key: str) -> SpecificationError:
    """Return the error for a value of the wrong type or range."""
    return SpecificationError(f"expected {expected}, found {value!r}", key)


def suggestion(name: str, known: Collection[str]) -> str:
    """Return advice for a name that does not exist: the nearest known one, else all of them."""
    alike = [one for one in known if one.casefold() == name.casefold()]
    nearest = alike or get_close_matches(name, known, n=1, cutoff=0.6)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"there is {', '.join(map(repr, known))}" if known else "there is none"


def unknown(what: str, name: str, known: Collection[str], key: str) -> SpecificationError:
    """Return the error for a name that does not exist."""
    return SpecificationError(f"unknown {what} {name!r}; {suggestion(name, known)}", key)


def text(value: object, key: str) -> str:
    """Accept text that is not blank."""
    if not isinstance(value, str):
        raise refusal('text (a number or true is text when it stands in quotes: "10")', value, key)
    if not value.strip():
        raise refusal("text that is not blank", value, key)
    return value


def boolean(value: object, key: str) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise refusal("true or false", value, key)
    return value


def table(value: object, key: str) -> Mapping[str, Any]:
    """Accept a table."""
    if not isinstance(value, Mapping):
        raise refusal("a table", value, key)
    return value


def texts(value: object, key: str) -> dict[str, str]:
    """Accept a table of texts, such as the names of columns."""
    return {name: text(entry, joined(key, name)) for name, entry in table(value, key).items()}


def one_of(*options: str) -> Check:
    """Accept one of a few words."""

    def check(value: object, key: str) -> str:
        if value not in options:
            raise refusal(f"one of {', '.join(map(repr, options))}", value, key)
        return str(value)

    return check


def number(interval: str = "(-inf, inf)") -> Check:
    """Accept a finite number in an interval, which is written as in mathematics: ``"(0.5, 1]"``."""
    low, high = (float(end) for end in interval[1:-1].split(","))
    above, below = interval[0] == "(", interval[-1] == ")"
    expected = f"a number in {interval}"
    if high == math.inf:
        expected = "a number" if low == -math.inf else f"a number {'above' if above else 'of at least'} {low:g}"

    def check(value: object, key: str) -> float:
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise refusal(expected, value, key)
        kept = float(value)
        if kept < low or kept > high or (above and kept == low) or (below and kept == high):
            raise refusal(expected, value, key)
        return kept

    return check


def positive_integer(value: object, key: str) -> int:
    """Accept 1, 2, 3, ..."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise refusal("a whole number of at least 1", value, key)
    return int(value)


def by_outcome(value: object, key: str, check: Check, outcomes: Collection[str]) -> float | dict[str, float]:
    """Accept one number for all outcomes, or a table with one number for each of them."""
    if not isinstance(value, Mapping):
        kept: float = check(value, key)
        return kept
    for name in value:
        if name not in outcomes:
            raise unknown("outcome", name, outcomes, joined(key, name))
    if absent := [outcome for outcome in outcomes if outcome not in value]:
        raise SpecificationError(f"a number for {', '.join(absent)} is missing", key)
    return {outcome: check(value[outcome], joined(key, outcome)) for outcome in outcomes}


def read(value: object, key: str, checks: Mapping[str, Check], required: Collection[str] = ()) -> dict[str, Any]:
    """Check every entry of a table.

    Parameters
    ----------
    value : object
        Should be a table.
    key : str
        Its dotted key; empty for the whole file.
    checks : mapping of str to Check
        One check per key that may occur.
    required : collection of str
        Keys that must occur.

    Raises
    ------
    SpecificationError
        For an unknown or missing key, or the first value that its check refuses.
    """
    entries = table(value, key)
    for name in entries:
        if name not in checks:
            raise SpecificationError(f"unknown key; {suggestion(name, list(checks))}", joined(key, name))
    for name in required:
        if name not in entries:
            raise SpecificationError("is missing", joined(key, name))
    return {name: checks[name](entry, joined(key, name)) for name, entry in entries.items()}


def joined(key: str, name: str) -> str:
    """Return the dotted key of an entry, quoted where a dot in the name would be misread."""
    part = f'"{name}"' if "." in name else name
    return f"{key}.{part}" if key else part
