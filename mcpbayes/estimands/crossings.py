"""When does a trajectory leave the scenario it was in? By which year, and with which probability."""

from collections.abc import Callable
from typing import Final

import numpy as np

from mcpbayes.estimands.layout import Array, Index

#: Steps between the first and the last year in which classes are looked at.
STEPS: Final = 400


def years_between(since: float, horizons: Array) -> Array:
    """Return the years in which classes are looked at, in order: even steps, and every finite horizon."""
    finite = horizons[np.isfinite(horizons) & (horizons > since)]
    if not len(finite):
        return np.array([since])
    return np.union1d(np.linspace(since, finite.max(), STEPS + 1), finite)


def first_crossings(codes_at: Callable[[float], Index], since: float, horizons: Array) -> tuple[Array, np.ndarray]:
    """Return when trajectories first are in another class than they were in.

    Parameters
    ----------
    codes_at : callable
        Year → class of every target and draw, (target, draw).
    since : float
        The year whose class is left.
    horizons : ndarray, shape (horizon,)
        Years of interest, ascending; the last may be infinite.

    Returns
    -------
    first : ndarray, shape (target, draw)
        First of `years_between` in another class; infinity where there is none.
    crossed : ndarray of bool, shape (horizon, target, draw)
        Whether this had happened by each horizon; False at horizons that are not later than `since`.

    Notes
    -----
    At an infinite horizon a trajectory counts as crossed also where it ends in another class after the last finite one.
    """
    start = codes_at(since)
    first = np.full(start.shape, np.inf)
    for year in years_between(since, horizons)[1:]:
        new = ~np.isfinite(first)
        if not new.any():
            break
        first[new & (codes_at(float(year)) != start)] = year
    crossed = first[None] <= np.where(np.isfinite(horizons), horizons, np.finfo(float).max)[:, None, None]
    if len(horizons) and not np.isfinite(horizons[-1]):
        crossed[-1] |= codes_at(np.inf) != start
    return first, crossed
