"""Are ranks of truths among draws uniform? The statistic of simulation-based calibration, and its limit."""

from typing import Final

import numpy as np
from scipy import stats

from mcpbayes.inference.small_matrices import Array

#: Thinned draws that a truth is ranked among.
DRAWS: Final = 99

#: Simulated rank distributions behind a limit.
BAND: Final = 40_000


def least_tail(counts: Array, tables: int) -> Array:
    """Return the smallest two-sided binomial tail probability of empirical distribution functions.

    Parameters
    ----------
    counts : array (..., DRAWS + 1)
        How often each rank occurred.
    tables : int

    Notes
    -----
    At every rank r the number of truths with rank ≤ r is Binomial(tables, (r + 1)/(DRAWS + 1)) if the ranks are
    uniform; the least of these probabilities over r is the statistic (Säilynoja, Bürkner & Vehtari 2022,
    doi:10.1007/s11222-022-10090-6).
    """
    below = np.cumsum(counts, axis=-1)[..., :-1]
    share = np.arange(1, DRAWS + 1) / (DRAWS + 1)
    values = np.arange(tables + 1)
    lower = stats.binom.cdf(values[:, None], tables, share)
    upper = stats.binom.sf(values[:, None] - 1, tables, share)
    tails = np.minimum(1.0, 2 * np.minimum(lower, upper))
    return np.asarray(tails[below, np.arange(DRAWS)].min(axis=-1))


def threshold(tables: int, level: float, rng: np.random.Generator) -> float:
    """Return the `least_tail` that uniform ranks fall below with probability `level`."""
    counts = rng.multinomial(tables, np.full(DRAWS + 1, 1 / (DRAWS + 1)), size=BAND)
    return float(np.quantile(least_tail(counts, tables), level))
