"""Numbers as a reader sees them: the only rounding in the package besides the figures' labels."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Final

#: A probability is never printed as 0 or 1: draws cannot show either.
LEAST: Final = 0.01

MINUS: Final = "\N{MINUS SIGN}"
ABSENT: Final = "–"
#: Separates thousands.
THIN: Final = "\N{NARROW NO-BREAK SPACE}"

#: Interval kinds of `[summary] interval_kind`, in words.
KINDS: Final[Mapping[str, str]] = {"eti": "equal-tailed", "hdi": "highest-density"}


def signed(value: float, digits: int = 1) -> str:
    """Return a number with its sign and a true minus; what rounds to zero has no sign, what is missing is a dash."""
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:+,.{digits}f}".replace("-", MINUS).replace(",", THIN)
    return text if any(digit in text for digit in "123456789") else text[1:]


def plain(value: float, digits: int = 2) -> str:
    """Return a number without a plus sign, with a true minus; what is missing is a dash."""
    return signed(value, digits).removeprefix("+")


def true_minus(text: str) -> str:
    """Return a sentence with minus signs before its numbers instead of hyphens."""
    return re.sub(r"(?<=[\s(])-(?=\d)", MINUS, text)


def unbroken(text: str) -> str:
    """Return a sentence whose lines do not break before a per cent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def significant(value: float, digits: int = 3) -> str:
    """Return a number to some significant digits and without an exponent where that stays short."""
    return f"{value:.{digits}g}".replace("-", MINUS) if math.isfinite(value) else ABSENT


def count(value: float) -> str:
    """Return a count with thousands separated by a narrow space; a fractional value, such as a mean n, keeps it."""
    if not math.isfinite(value):
        return ABSENT
    return f"{value:,.0f}".replace(",", THIN) if value == round(value) else f"{value:.3g}"


def plural(value: int, noun: str, several: str | None = None) -> str:
    """Return a count with its noun, for example ``1 study`` and ``15 studies``."""
    return f"{count(value)} {noun if value == 1 else several or noun + 's'}"


def percent_change(log_ratio: float) -> float:
    """Return a log response ratio as a change in percent, 100 (e^θ − 1)."""
    return 100.0 * math.expm1(log_ratio)


def probability(value: float) -> str:
    """Return a probability to two decimals, never 0 and never 1."""
    if not math.isfinite(value):
        return ABSENT
    if value < LEAST:
        return f"< {LEAST:g}"
    if value > 1.0 - LEAST:
        return f"> {1.0 - LEAST:g}"
    return f"{value:.2f}"


def interval(lower: str, upper: str) -> str:
    """Return two limits as one text, empty where one is missing."""
    return "" if ABSENT in (lower, upper) else f"[{lower}, {upper}]"


def interval_words(kind: str, prob: float) -> str:
    """Return kind and probability of the intervals, for example ``95 % equal-tailed credible interval``."""
    return f"{100 * prob:g}\N{NO-BREAK SPACE}% {KINDS[kind]} credible interval"


def listing(items: Sequence[str], last: str = "and") -> str:
    """Return items as a phrase: ``a``, ``a and b``, ``a, b and c``."""
    return f" {last} ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
