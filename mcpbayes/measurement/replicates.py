"""From replicate plots to the moments of arms: relative deviations, blocks taken out of them, and what they give."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def relative_deviations(values: ArrayLike) -> Array:
    """Return by which part of their mean the plots of one arm deviate from it, x/x̄ - 1.

    Parameters
    ----------
    values : array_like, shape (..., plots)
        Values of the plots of each arm in any unit, positive.

    Notes
    -----
    To first order the deviation of ln x̄ from ln μ is the mean of these, so that their variance over n is that of the
    log mean: the arm's CV²/n.
    """
    values = np.asarray(values, dtype=float)
    deviations: Array = values / values.mean(axis=-1, keepdims=True) - 1
    return deviations


def without_blocks(deviations: ArrayLike) -> Array:
    """Return the deviations of plots with the effects of their blocks taken out.

    Parameters
    ----------
    deviations : array_like, shape (arms, blocks)
        Relative deviations, one plot of each arm in each block.

    Returns
    -------
    ndarray, shape (arms, blocks)
        Residuals with (arms - 1)(blocks - 1) degrees of freedom.

    Notes
    -----
    What all arms of a block share cancels out of the ratio of their means. With two arms, 2 s²/n of these residuals is
    the variance of the mean difference of pairs, d_b = x_1b/x̄_1 - x_0b/x̄_0.
    """
    deviations = np.asarray(deviations, dtype=float)
    residuals: Array = deviations - deviations.mean(axis=0)
    return residuals


def pooled_correlation(first: ArrayLike, second: ArrayLike) -> float:
    """Return the correlation of two pools over the residuals of plots of many arms, each around zero.

    Parameters
    ----------
    first, second : array_like, shape (plots,)
        Relative residuals of either pool in the same plots.

    Returns
    -------
    float
        Σ r₁r₂ / √(Σ r₁² Σ r₂²); NaN where a pool does not vary.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    size = float(np.sqrt(first @ first) * np.sqrt(second @ second))
    return float(first @ second) / size if size > 0 else float("nan")
