"""Sampling covariances of log ratios that share a control: what is theirs, what is the control's. NumPy in and out."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Smallest eigenvalue, relative to the variances, down to which a matrix counts as positive semi-definite.
TOLERANCE = 1e-9


def smallest_eigenvalue(matrices: Array, scale: Array) -> Array:
    """Return the smallest eigenvalue of each matrix after both sides are divided by √scale.

    Parameters
    ----------
    matrices : array (row, K, K)
        Symmetric, NaN in the rows and columns of outcomes that were not observed: those are left out.
    scale : array (row, K)
        Positive variances, NaN where not observed.

    Returns
    -------
    array (row,)
        Of a covariance with its own variances as scale: of the correlation matrix, 1 where uncorrelated.
    """
    sd = np.sqrt(scale)
    scaled = matrices / (sd[:, :, None] * sd[:, None, :])
    return np.asarray(np.linalg.eigvalsh(np.where(np.isnan(scaled), np.eye(matrices.shape[-1]), scaled))[:, 0])


def assumed_control_covariance(covariance: Array, group: NDArray[np.intp]) -> Array:
    """Return what a group of log ratios is assumed to share where only the group is known: half the smallest V.

    Parameters
    ----------
    covariance : array (row, K, K)
        Sampling covariances V_i, positive definite where observed, NaN where not.
    group : array of int (row,)
        Group of each row, 0, 1, ..., each with at least one row.

    Returns
    -------
    array (group, K, K)
        V_0g; 0 for outcomes that no row of the group observed.

    Notes
    -----
    With proportional V_i the smallest of them is S_g. In general none is below all others in every direction, so S_g
    has the smallest variance of each outcome and the correlation nearest to zero (zero where signs differ), shrunk by
    the largest λ ≤ 1 for which no V_i − λ S_g has a negative eigenvalue. V_0g = ½ λ S_g: then V_i − V_0g ≥ ½ V_i.
    """
    groups, k = int(group.max()) + 1, covariance.shape[-1]
    variance = np.full((groups, k), np.inf)
    np.fmin.at(variance, group, np.einsum("rkk->rk", covariance))
    variance = np.where(np.isinf(variance), 0.0, variance)
    smallest = nearest_zero(correlations(covariance), group) * np.sqrt(variance[:, :, None] * variance[:, None, :])
    # for three and more outcomes correlations taken one by one need not go together
    indefinite = np.linalg.eigvalsh(smallest)[:, 0] < 0 if k > 2 else np.zeros(groups, bool)
    smallest[indefinite] *= np.eye(k)
    seen = ~np.isnan(covariance)
    root = np.linalg.cholesky(np.where(seen, covariance, np.eye(k)))
    half = np.linalg.solve(root, np.where(seen, smallest[group], 0.0))
    excess = np.ones(groups)
    np.fmax.at(excess, group, np.linalg.eigvalsh(np.linalg.solve(root, half.swapaxes(1, 2)))[:, -1])
    return np.asarray(smallest / (2 * excess[:, None, None]))


def correlations(covariance: Array) -> Array:
    """Return the correlation matrices of covariances ``(row, K, K)``, NaN where not observed."""
    sd = np.sqrt(np.einsum("rkk->rk", covariance))
    return np.asarray(covariance / (sd[:, :, None] * sd[:, None, :]))


def nearest_zero(correlation: Array, group: NDArray[np.intp]) -> Array:
    """Return the correlation nearest to zero in each group, 0 where signs differ or no row observed both outcomes."""
    shape = (int(group.max()) + 1, *correlation.shape[1:])
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    np.fmin.at(low, group, correlation)
    np.fmax.at(high, group, correlation)
    one_sign = (low > 0) & np.isfinite(low)
    found = np.where(one_sign, low, np.where((high < 0) & np.isfinite(high), high, 0.0))
    diagonal = np.arange(shape[-1])
    found[:, diagonal, diagonal] = 1.0
    return found
