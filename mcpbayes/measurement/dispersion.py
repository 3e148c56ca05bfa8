"""Standard deviations from what papers report instead: standard errors and coefficients of variation."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
