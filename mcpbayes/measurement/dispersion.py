"""Standard deviations from what papers report instead: standard errors, confidence intervals, CVs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]


def sd_from_se(se: ArrayLike, n: ArrayLike) -> Array:
    """Return the standard deviation among plots, SE √n.

    Parameters
    ----------
    se : array_like
        Standard errors of the mean, in any unit.
    n : array_like
        Replicate plots.

    Returns
    -------
    ndarray
        Standard deviations in the unit of `se`; NaN where anything is NaN.
    """
    sd: Array = np.asarray(se, dtype=float) * np.sqrt(np.asarray(n, dtype=float))
    return sd


def se_from_ci(width: ArrayLike, n: ArrayLike, level: ArrayLike = 0.95) -> Array:
    """Return the standard error of a mean from its confidence interval, width / (2 t).

    Parameters
    ----------
    width : array_like
        Upper minus lower bound, in any unit.
    n : array_like
        Replicate plots.
    level : array_like
        Confidence level, as a fraction.

    Returns
    -------
    ndarray
        Standard errors in the unit of `width`; NaN where anything is NaN or n is below 2.

    Notes
    -----
    t is the quantile (1 + level)/2 of Student's t with n - 1 degrees of freedom. With n = 3 it is 4.30: an interval of
    so few plots that was made with 1.96 would give an SE less than half as large as it should be.
    """
    n = np.asarray(n, dtype=float)
    t = stdtrit(np.where(n >= 2, n - 1, np.nan), (1 + np.asarray(level, dtype=float)) / 2)
    se: Array = np.asarray(width, dtype=float) / (2 * t)
    return se


def sd_from_ci(width: ArrayLike, n: ArrayLike, level: ArrayLike = 0.95) -> Array:
    """Return the standard deviation among plots from the confidence interval of their mean, √n width / (2 t).

    Parameters
    ----------
    width, n, level : array_like
        As for `se_from_ci`.

    Returns
    -------
    ndarray
        Standard deviations in the unit of `width`; NaN where anything is NaN or n is below 2.
    """
    return sd_from_se(se_from_ci(width, n, level), n)


def sd_from_cv(cv: ArrayLike, mean: ArrayLike) -> Array:
    """Return the standard deviation among plots, CV · mean.

    Parameters
    ----------
    cv : array_like
        Coefficients of variation, as a fraction.
    mean : array_like
        Means, in any unit.

    Returns
    -------
    ndarray
        Standard deviations in the unit of `mean`; NaN where anything is NaN.
    """
    sd: Array = np.asarray(cv, dtype=float) * np.asarray(mean, dtype=float)
    return sd


def cv_from_sd(sd: ArrayLike, mean: ArrayLike) -> Array:
    """Return the coefficient of variation among plots, SD/mean.

    Parameters
    ----------
    sd : array_like
        Standard deviations.
    mean : array_like
        Means in the same unit, positive.

    Returns
    -------
    ndarray
        Coefficients of variation, as a fraction; NaN where anything is NaN.
    """
    cv: Array = np.asarray(sd, dtype=float) / np.asarray(mean, dtype=float)
    return cv
