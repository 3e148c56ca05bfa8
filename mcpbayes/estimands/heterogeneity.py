"""Covariances of the random effects, from draws of standard deviations and correlations."""

from itertools import combinations
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words

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
    tau = posterior[f"tau_{level}"].transpose("chain", "draw", "outcome").values
    outcomes = [str(name) for name in posterior["outcome"].values]
    if len(outcomes) == 1:
        return covariance(tau, None)
    pairs = [words.pair_name(outcomes, i, j) for i, j in combinations(range(len(outcomes)), 2)]
    rho = posterior[f"rho_{level}"].sel(pair=pairs).transpose("chain", "draw", "pair").values
    return covariance(tau, rho)


def total_covariance(posterior: xr.Dataset) -> np.ndarray:
    """Return Σ_total = Σ_study (+ Σ_site) + Σ_comparison, shape (chain, draw, outcome, outcome)."""
    parts = [level_covariance(posterior, level) for level in FRESH if f"tau_{level}" in posterior]
    return np.sum(parts, axis=0)
