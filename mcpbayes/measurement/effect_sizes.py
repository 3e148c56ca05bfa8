"""Log means of arms and their sampling covariance: what the likelihood compares with the model."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def log_mean(mean: ArrayLike, cv: ArrayLike, n: ArrayLike, *, bias_correction: bool) -> Array:
    """Return the estimate of an arm's log mean.

    Parameters
    ----------
    mean : array_like
        Sample means, positive, NaN where not reported.
    cv : array_like
        Coefficients of variation among plots, as a fraction.
    n : array_like
        Replicate plots.
    bias_correction : bool
        Whether to add the second-order term. Without it, n and CV leave no trace.

    Returns
    -------
    ndarray
        ln(mean), corrected or not, in the broadcast shape; NaN where anything that is used is NaN.

    Notes
    -----
    The logarithm of a sample mean underestimates ln μ by CV²/(2n) to second order, so ŷ = ln x̄ + CV²/(2n). Applied
    to each arm, the difference of two arms is the log response ratio RRΔ of Lajeunesse (2015).

    References
    ----------
    Lajeunesse, M. J. (2015). Bias and correction for the log response ratio in ecological meta-analysis. Ecology 96,
    2056-2063. doi:10.1890/14-2402.1
    """
    plain = np.log(np.asarray(mean, dtype=float))
    return plain + sampling_variance(cv, n) / 2 if bias_correction else plain


def sampling_variance(cv: ArrayLike, n: ArrayLike) -> Array:
    """Return the first-order sampling variance of an arm's log mean, v = CV²/n.

    Parameters
    ----------
    cv : array_like
        Coefficients of variation among plots, as a fraction; NaN where the pool was not reported.
    n : array_like
        Replicate plots.

    Returns
    -------
    ndarray
        Variances in the broadcast shape.

    References
    ----------
    Hedges, L. V., Gurevitch, J. & Curtis, P. S. (1999). The meta-analysis of response ratios in experimental ecology.
    Ecology 80, 1150-1156. doi:10.1890/0012-9658(1999)080[1150:TMAORR]2.0.CO;2
    """
    variance: Array = np.asarray(cv, dtype=float) ** 2 / np.asarray(n, dtype=float)
    return variance


def sampling_covariance(cv: ArrayLike, n: ArrayLike, rho_within: ArrayLike) -> Array:
    """Return the sampling covariance of the log means of K pools measured in the same arm.

    Parameters
    ----------
    cv : array_like, shape (..., K)
        Coefficients of variation among plots, as a fraction; NaN where a pool was not reported.
    n : array_like, shape (..., K)
        Replicate plots in which each pool was measured.
    rho_within : array_like, shape (...)
        Correlation of the pools over the plots of one arm.

    Returns
    -------
    ndarray, shape (..., K, K)
        NaN in the rows and columns of the pools that were not reported.

    Notes
    -----
    On the diagonal v = CV²/n; off it c = ϱ CVᵢ CVⱼ / max(nᵢ, nⱼ): where one pool was measured in fewer plots, those
    plots are taken to be a part of the other's.
    """
    rho = np.asarray(rho_within, dtype=float)[..., np.newaxis, np.newaxis]
    return correlated_covariance(cv, n, np.where(np.eye(np.shape(cv)[-1], dtype=bool), 1.0, rho))


def correlated_covariance(cv: ArrayLike, n: ArrayLike, correlation: ArrayLike) -> Array:
    """Return what `sampling_covariance` does, from a matrix of correlations over plots, shape (..., K, K)."""
    cv, n = np.broadcast_arrays(np.asarray(cv, dtype=float), np.asarray(n, dtype=float))
    plots = np.maximum(n[..., :, np.newaxis], n[..., np.newaxis, :])
    product = cv[..., :, np.newaxis] * cv[..., np.newaxis, :]
    covariance: Array = np.asarray(correlation, dtype=float) * product / plots  # the product first: exactly symmetric
    return covariance
