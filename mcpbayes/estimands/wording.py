"""Numbers as prose writes them, so that rounding never says more than the number does."""

from collections.abc import Sequence
from typing import Final

import numpy as np

#: Probabilities beyond these are printed as bounds: draws can show neither 0 nor 1.
_LEAST, _MOST = 0.01, 0.99

#: Most decimals that are tried to keep a rounded number on its own side of zero or of a threshold.
_MOST_DECIMALS: Final = 6

_INTERVALS: Final = {"eti": "equal-tailed", "hdi": "highest-density"}


def probability_text(probability: float, threshold: float | None = None) -> str:
    """Return a probability with two decimals, ``"> 0.99"`` or ``"< 0.01"`` at the ends.

    Parameters
    ----------
    probability : float
    threshold : float, optional
        More decimals are given where rounding would move the probability across it.

    Examples
    --------
    >>> probability_text(0.973), probability_text(1.0), probability_text(0.797, threshold=0.8)
    ('0.97', '> 0.99', '0.797')
    """
    if probability > _MOST:
        return f"> {_MOST}"
    if probability < _LEAST:
        return f"< {_LEAST}"
    decimals = 2
    while threshold is not None and decimals < _MOST_DECIMALS:
        if (round(probability, decimals) >= threshold) == (probability >= threshold):
            break
        decimals += 1
    return f"{probability:.{decimals}f}"


def decimals_of(values: Sequence[float]) -> int:
    """Return how many decimals numbers on one scale need: two digits of their range, and none rounded to zero.

    Parameters
    ----------
    values : sequence of float
        Estimate and interval ends; finite.

    Examples
    --------
    >>> decimals_of([3.14, 1.02, 5.23]), decimals_of([0.021, 0.014, 0.033]), decimals_of([3.14, -0.0012, 5.23])
    (1, 3, 3)
    """
    width = max(values) - min(values)
    decimals = 1 if width == 0 else int(np.clip(1 - np.floor(np.log10(width)), 1, _MOST_DECIMALS))
    while decimals < _MOST_DECIMALS and any(value != 0 and round(value, decimals) == 0 for value in values):
        decimals += 1
    return decimals


def number_text(value: float, decimals: int, sign: bool = False) -> str:
    """Return a number with fixed decimals, without a minus before zero; `sign` shows a plus too."""
    rounded = round(value, decimals) + 0.0
    return f"{rounded:+.{decimals}f}" if sign else f"{rounded:.{decimals}f}"


def interval_name(kind: str, prob: float) -> str:
    """Return what an interval is called, for example ``"95 % equal-tailed credible interval"``."""
    return f"{100 * prob:.4g} % {_INTERVALS[kind]} credible interval"
