"""Covariances of the random effects, from draws of standard deviations and correlations."""

from itertools import combinations
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array, labelled_view, node_major

#: Levels of random effects whose sum is a fresh comparison's departure from the mean; kinds are targets of their own.
FRESH: Final = ("study", "site", "comparison")


def covariance(tau: np.ndarray, rho: np.ndarray | None) -> np.ndarray:
    """Return Σ = diag(τ) R diag(τ).

    Parameters
    ----------
    tau : ndarray, shape (..., K)
        Standard deviations, ≥ 0.
    rho : ndarray, shape (..., K(K−1)/2), or None
        Correlations of the pairs (0, 1), (0, 2), ..., (1, 2), ...; None with one outcome.

    Returns
    -------
    ndarray, shape (..., K, K)
    """
    sigma = tau[..., :, None] * tau[..., None, :]
    for pair, (i, j) in enumerate(combinations(range(tau.shape[-1]), 2)):
        if rho is None:
            raise ValueError(f"{tau.shape[-1]} outcomes need correlations")
        sigma[..., i, j] *= rho[..., pair]
        sigma[..., j, i] = sigma[..., i, j]
    return np.asarray(sigma)


def factor(sigma: np.ndarray) -> np.ndarray:
    """Return L with LL' = Σ, also where Σ is singular.

    Parameters
    ----------
    sigma : ndarray, shape (..., K, K)
        Covariance, positive semi-definite.

    Returns
    -------
    ndarray, shape (..., K, K)

    Notes
    -----
    Two outcomes: L = [[s₁, 0], [c/s₁, √(s₂² − c²/s₁²)]] with 0/0 = 0, so that τ = 0 and ρ = ±1 are exact. More: from
    eigenvalues, negative ones (rounding) set to zero.
    """
    outcomes = sigma.shape[-1]
    if outcomes == 1:
        return np.sqrt(sigma)
    if outcomes > 2:
        values, vectors = np.linalg.eigh(sigma)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])
    out = np.zeros_like(sigma)
    first = np.sqrt(sigma[..., 0, 0])
    slope = np.divide(sigma[..., 1, 0], first, out=np.zeros_like(first), where=first > 0)
    out[..., 0, 0] = first
    out[..., 1, 0] = slope
    out[..., 1, 1] = np.sqrt(np.maximum(sigma[..., 1, 1] - slope**2, 0.0))
    return out


def level_planes(posterior: xr.Dataset, level: str) -> Array:
    """Return Σ of one level of random effects, shape (K, K, chain × draw)."""
    tau = node_major(posterior[f"tau_{level}"], "outcome")
    outcomes = [str(name) for name in posterior["outcome"].values]
    sigma = tau[:, None] * tau[None]
    if len(outcomes) > 1:
        places = {str(name): place for place, name in enumerate(posterior["pair"].values)}
        rho = node_major(posterior[f"rho_{level}"], "pair")
        for i, j in combinations(range(len(outcomes)), 2):
            sigma[i, j] *= rho[places[words.pair_name(outcomes, i, j)]]
            sigma[j, i] = sigma[i, j]
    return np.asarray(sigma)


def total_planes(posterior: xr.Dataset) -> Array:
    """Return Σ_total = Σ_study (+ Σ_site) + Σ_comparison, shape (K, K, chain × draw)."""
    return np.asarray(sum(level_planes(posterior, level) for level in FRESH if f"tau_{level}" in posterior))


def level_covariance(posterior: xr.Dataset, level: str) -> np.ndarray:
    """Return Σ of one level of random effects.

    Parameters
    ----------
    posterior : Dataset
        Draws of ``tau_<level>(outcome)`` and, with several outcomes, ``rho_<level>(pair)``.
    level : str
        ``study``, ``site``, ``comparison`` or ``kind``.

    Returns
    -------
    ndarray, shape (chain, draw, outcome, outcome)
    """
    return labelled_view(level_planes(posterior, level), posterior.sizes["chain"])


def total_covariance(posterior: xr.Dataset) -> np.ndarray:
    """Return Σ_total = Σ_study (+ Σ_site) + Σ_comparison, shape (chain, draw, outcome, outcome)."""
    return labelled_view(total_planes(posterior), posterior.sizes["chain"])
