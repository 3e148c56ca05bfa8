"""When does a trajectory leave the scenario it was in? By which year, and with which probability."""

from collections.abc import Callable
from typing import Final

import numpy as np

from mcpbayes.estimands.layout import Array, Index

#: First step after the starting year, years, and by how much the time since then grows with each further step.
FIRST_STEP: Final = 0.05
GROWTH: Final = 1.02
#: Least year to look up to: what crosses later than this and the last horizon has no year.
LEAST_END: Final = 1000.0
#: Halvings of the step in which a trajectory crosses.
HALVINGS: Final = 12


def years_after(since: float, horizons: Array) -> Array:
    """Return the years in which classes are looked at, in order; where they lie does not hang on the horizons."""
    span = max([LEAST_END, *horizons[np.isfinite(horizons)]]) - since
    steps = max(int(np.ceil(np.log(max(span, FIRST_STEP) / FIRST_STEP) / np.log(GROWTH))), 0)
    return np.asarray(since + FIRST_STEP * GROWTH ** np.arange(steps + 1))


def first_crossings(
    codes_at: Callable[[float | Array], Index], since: float, horizons: Array
) -> tuple[Array, np.ndarray]:
    """Return when trajectories first are in another class than they were in.

    Parameters
    ----------
    codes_at : callable
        Year → class of every target and draw, (target, draw); takes a number, or a year of each, (target, draw).
    since : float
        The year whose class is left.
    horizons : ndarray, shape (horizon,)
        Years of interest, ascending; the last may be infinite.

    Returns
    -------
    first : ndarray, shape (target, draw)
        First year in another class; infinity where there is none.
    crossed : ndarray of bool, shape (horizon, target, draw)
        Whether this had happened by each horizon; False at horizons that are not later than `since`.

    Notes
    -----
    The step of `years_after` in which a class is left is halved `HALVINGS` times, so that neither year nor probability
    hangs on what other horizons were asked for. At an infinite horizon a trajectory counts as crossed also where it
    ends in another class after the last of these years.
    """
    start = codes_at(since)
    before, after = np.full(start.shape, since), np.full(start.shape, np.inf)
    last = since
    for year in years_after(since, horizons).tolist():
        new = ~np.isfinite(after)
        if not new.any():
            break
        new &= codes_at(year) != start
        before[new], after[new] = last, year
        last = year
    found = np.isfinite(after)
    for _ in range(HALVINGS if found.any() else 0):
        middle = np.where(found, 0.5 * (before + np.where(found, after, since)), since)
        left = codes_at(middle) != start
        after[found & left] = middle[found & left]
        before[found & ~left] = middle[found & ~left]
    crossed = after[None] <= np.where(np.isfinite(horizons), horizons, np.finfo(float).max)[:, None, None]
    if len(horizons) and not np.isfinite(horizons[-1]):
        crossed[-1] |= codes_at(np.inf) != start
    return after, crossed
