"""Text in figures: names that the font can print, widths, line breaks, and numbers as figures print them."""

from bisect import bisect_right
from functools import lru_cache
from typing import Final

import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags

#: Printed for a character that the font lacks.
TOFU: Final = "\N{WHITE SQUARE}"


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return a name as one line of characters that the figures' font holds.

    Notes
    -----
    Only DejaVu Sans travels with Matplotlib. A character it lacks would warn at every drawing, also in the caller's
    own ``savefig``; it is printed as ``□``. Tables and the report keep the name as it is.
    """
    font = get_font(findfont("DejaVu Sans"))
    line = " ".join(text.split())
    return "".join(c if font.get_char_index(ord(c)) else TOFU for c in line)


def shorten(text: str, most: int = 34) -> str:
    """Return `plain` text of at most `most` characters, the cut marked by an ellipsis."""
    line = plain(text)
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def fit(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Return `plain` text cut with an ellipsis to at most `width` inches."""
    lengths = range(1, len(plain(text)) + 1)
    fitting = bisect_right(lengths, width, key=lambda most: text_width(shorten(text, most), size, weight))
    return shorten(text, max(fitting, 1))


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Return the width in inches of the widest line of a text, with the 6 % that hinting may add on a screen."""
    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight=weight)))
    font.set_size(size, 72.0)
    widths = []
    for line in text.splitlines():
        font.set_text(line, flags=LoadFlags.NO_HINTING)
        widths.append(font.get_width_height()[0] / 64)
    return 1.06 * max(widths, default=0.0) / 72


def wrap(text: str, width: float, size: float) -> str:
    """Return a text broken at spaces into lines of at most `width` inches; numbers keep their percent sign."""
    parts = text.replace(" %", "\N{NO-BREAK SPACE}%").split(" ")
    lengths = range(1, len(parts) + 1)
    fitting = max(bisect_right(lengths, width, key=lambda most: text_width(" ".join(parts[:most]), size)), 1)
    first, rest = " ".join(parts[:fitting]), " ".join(parts[fitting:])
    return f"{first}\n{wrap(rest, width, size)}" if rest else first


def note_height(text: str, size: float = 7.0) -> float:
    """Return the height in inches that a wrapped note needs."""
    return (text.count("\n") + 1) * size * 1.35 / 72


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, for example ``1 study``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def probability(value: float) -> str:
    """Return a probability in percent; draws are too few for ``0`` and ``100``."""
    return "<1" if value < 0.005 else ">99" if value >= 0.995 else f"{100 * value:.0f}"


def percent(change: float, digits: int = 0) -> str:
    """Return a log ratio as a signed percent change, with a true minus sign and without the percent sign."""
    return signed(100.0 * float(np.expm1(change)), digits)


def signed(value: float, digits: int = 0) -> str:
    """Return a number with its sign; what rounds to zero has none."""
    rounded = round(value, digits)
    if not np.isfinite(value):
        return "–"
    return f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if rounded else f"{0.0:.{digits}f}"
