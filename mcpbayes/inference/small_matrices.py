"""Algebra of many small matrices at once, written out element by element.

Arrays are laid out ``(node, i, j, draw)`` with K × K matrices in the middle and draws innermost: for the one to three
outcomes of this package that is faster than a LAPACK call per matrix, and it broadcasts over draws. Determinants and
adjugates are explicit up to K = 3, so that ``I + A S`` may be inverted although it is not symmetric and its leading
minors may vanish.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def determinant(a: Array) -> Array:
    """Return the determinants of ``(node, K, K, draw)`` arrays, shape ``(node, draw)``."""
    size = a.shape[1]
    if size == 1:
        return a[:, 0, 0]
    if size == 2:
        return a[:, 0, 0] * a[:, 1, 1] - a[:, 0, 1] * a[:, 1, 0]
    if size == 3:
        return np.asarray(np.sum([a[:, 0, j] * _cofactor(a, 0, j) for j in range(3)], axis=0))
    return np.asarray(np.linalg.det(np.moveaxis(a, 3, 1)))


def _cofactor(a: Array, i: int, j: int) -> Array:
    """Return the cofactors of element (i, j) of 3 × 3 matrices; cyclic indices carry the sign."""
    r, s = (i + 1) % 3, (i + 2) % 3
    c, d = (j + 1) % 3, (j + 2) % 3
    return np.asarray(a[:, r, c] * a[:, s, d] - a[:, r, d] * a[:, s, c])


def inverse_and_determinant(a: Array) -> tuple[Array, Array]:
    """Return inverses ``(node, K, K, draw)`` and determinants ``(node, draw)``."""
    size = a.shape[1]
    det = determinant(a)
    if size > 3:
        return np.moveaxis(np.linalg.inv(np.moveaxis(a, 3, 1)), 1, 3), det
    adjugate = np.empty_like(a)
    if size == 1:
        adjugate[:] = 1.0
    elif size == 2:
        adjugate[:, 0, 0], adjugate[:, 1, 1] = a[:, 1, 1], a[:, 0, 0]
        adjugate[:, 0, 1], adjugate[:, 1, 0] = -a[:, 0, 1], -a[:, 1, 0]
    else:
        for i in range(3):
            for j in range(3):
                adjugate[:, j, i] = _cofactor(a, i, j)
    return adjugate / det[:, None, None], det


def observed_inverse(a: Array, observed: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Invert the observed block of each symmetric matrix and put zeros elsewhere.

    Parameters
    ----------
    a : array (node, K, K, draw)
        Symmetric, positive definite on the observed block; other entries are ignored.
    observed : array of bool (node, K)

    Returns
    -------
    inverse : array (node, K, K, draw)
        E'(E a E')⁻¹E with E selecting the observed outcomes.
    log_determinant : array (node, draw)
        Of the observed block; 0 where nothing is observed.
    """
    block = (observed[:, :, None] & observed[:, None, :])[..., None]
    identity = np.eye(a.shape[1])[None, :, :, None]
    # The unobserved diagonal is set to one: it leaves the determinant alone and drops out of the inverse.
    inverse, det = inverse_and_determinant(np.where(block, a, identity))
    return np.where(block, inverse, 0.0), np.log(det)


def cholesky(a: Array) -> Array:
    """Return lower factors L with L L' = a for positive *semi*-definite ``(node, K, K, draw)`` arrays.

    A pivot that is zero (no variance left) gives a column of zeros, so τ = 0 and ρ = ±1 are exact.
    """
    size = a.shape[1]
    factor = np.zeros_like(a)
    for j in range(size):
        rest = a[:, j, j] - np.sum(factor[:, j, :j] ** 2, axis=1)
        pivot = np.sqrt(np.maximum(rest, 0.0))
        factor[:, j, j] = pivot
        scale = np.divide(1.0, pivot, out=np.zeros_like(pivot), where=pivot > 0)
        for i in range(j + 1, size):
            factor[:, i, j] = (a[:, i, j] - np.sum(factor[:, i, :j] * factor[:, j, :j], axis=1)) * scale
    return factor


def covariance(tau: Array, rho: Array) -> Array:
    """Return diag(τ) R diag(τ), shape ``(K, K, draw)``.

    Parameters
    ----------
    tau : array (draw, K)
        Standard deviations.
    rho : array (draw, K(K-1)/2)
        Correlations of the pairs (0, 1), (0, 2), ..., (1, 2), ... .
    """
    draws, size = tau.shape
    correlation = np.broadcast_to(np.eye(size)[..., None], (size, size, draws)).copy()
    for pair, (i, j) in enumerate(zip(*np.triu_indices(size, 1), strict=True)):
        correlation[i, j] = correlation[j, i] = rho[:, pair]
    return np.asarray(correlation * tau.T[:, None] * tau.T[None, :])
