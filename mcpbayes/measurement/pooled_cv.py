"""One CV for all arms of a pool, from the studies that report SDs."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def pooled_cv(sample_cv: Array, n: Array, study: NDArray[np.intp]) -> Array:
    """Return the pooled CV of each pool, (pool,); NaN where no arm has a sample CV.

    Parameters
    ----------
    sample_cv : array (arm, pool)
        NaN where there is none.
    n : array (arm, pool)
        Replicate plots.
    study : array of int (arm,)

    Notes
    -----
    CV² of a study is the mean over its arms weighted by n, that of the pool the mean over studies weighted by their
    mean n: the "all cases" method of Nakagawa et al. (2023), where it takes the place of every arm's own CV², reported
    or not. They average treatments and controls apart; here an arm is an arm, and a control shared by several
    treatments counts once.

    References
    ----------
    Nakagawa, S., Noble, D. W. A., Lagisz, M., Spake, R., Viechtbauer, W. & Senior, A. M. (2023). A robust and readily
    implementable method for the meta-analysis of response ratios with and without missing standard deviations. Ecology
    Letters 26, 232-244. doi:10.1111/ele.14144
    """
    out = np.full(sample_cv.shape[1], np.nan)
    for pool, (values, plots) in enumerate(zip(sample_cv.T, n.T, strict=True)):
        there = ~np.isnan(values)
        if not there.any():
            continue
        _, place = np.unique(study[there], return_inverse=True)
        own = plots[there]
        arms, total = np.bincount(place), np.bincount(place, own)
        squares = np.bincount(place, own * values[there] ** 2) / total
        out[pool] = np.sqrt(np.average(squares, weights=total / arms))
    return out
