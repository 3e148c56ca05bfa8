"""Effects at their levels: mean, new, study, comparison; one draw per posterior draw, never mixed up.

Definitions, for B the coefficients, κ the effects of treatment kinds, u, v, w those of studies, sites, comparisons:

=============  ====================================================================================================
``mean``       B'x + κ, the typical (median) comparison
``new``        B'x + κ + fresh u + v + w, the true effect of a comparison in a study not seen, no sampling error
``study``      B'x̄ + κ̄ + u, x̄ and κ̄ averaged over the study's comparisons
``comparison`` B'x + κ + u + v + w, the true effect of one comparison of the table
=============  ====================================================================================================

"Averaged over kinds" is the average of κ over kinds at ``mean``, and one kind drawn per draw at ``new``.
"""

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.heterogeneity import factor, total_covariance
from mcpbayes.streams import generator


def typical_effects(row: np.ndarray, weight: np.ndarray, beta: np.ndarray, kind: np.ndarray | None) -> np.ndarray:
    """Return B'x + Σ_k weight_k κ_k.

    Parameters
    ----------
    row : ndarray, shape (T, p)
        Design rows of the targets.
    weight : ndarray, shape (T, kinds)
        Weights of the kinds; not looked at where `kind` is None.
    beta : ndarray, shape (chain, draw, p, K)
    kind : ndarray, shape (chain, draw, kinds, K), or None

    Returns
    -------
    ndarray, shape (chain, draw, T, K)
        Log response ratios.
    """
    theta = np.einsum("tp,cdpk->cdtk", row, beta, optimize=True)
    if kind is not None:
        theta = theta + np.einsum("tj,cdjk->cdtk", weight, kind, optimize=True)
    return np.asarray(theta)


def fresh_effects(
    row: np.ndarray,
    weight: np.ndarray,
    beta: np.ndarray,
    kind: np.ndarray | None,
    spread: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the effects of one fresh comparison per draw, N(B'x + κ, Σ_total), for one target.

    Parameters
    ----------
    row : ndarray, shape (p,)
    weight : ndarray, shape (kinds,)
        Probabilities with which the comparison's kind is drawn.
    beta, kind : ndarray
        As `typical_effects`.
    spread : ndarray, shape (chain, draw, K, K)
        L with LL' = Σ_total of each draw.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (chain, draw, K)
    """
    theta = np.einsum("p,cdpk->cdk", row, beta)
    theta = theta + np.einsum("cdij,cdj->cdi", spread, rng.standard_normal(theta.shape))
    if kind is None:
        return np.asarray(theta)
    edges = np.cumsum(weight)
    chosen = np.searchsorted(edges / edges[-1], rng.random(theta.shape[:2]), side="right")
    return np.asarray(theta + np.take_along_axis(kind, chosen[..., None, None], axis=2)[:, :, 0])


def average_change(fixed: np.ndarray, weight: np.ndarray, kind: np.ndarray | None, sigma: np.ndarray) -> np.ndarray:
    """Return the relative change averaged over comparisons, Σ_k weight_k exp(B'x + κ_k + ½ diag Σ_total) − 1.

    Parameters
    ----------
    fixed : ndarray, shape (chain, draw, T, K)
        B'x, log scale.
    weight : ndarray, shape (T, kind)
        Weights of the kinds of treatment.
    kind : ndarray, shape (chain, draw, kind, K), or None
        κ; None where that level is off.
    sigma : ndarray, shape (chain, draw, K, K)
        Σ_total of each draw.

    Returns
    -------
    ndarray, shape (chain, draw, T, K)
        Fractions; carbon budgets need this mean, not the median exp(θ) − 1.
    """
    variance = np.diagonal(sigma, axis1=-2, axis2=-1)[:, :, None, :]
    factor = np.exp(fixed + variance / 2)
    if kind is not None:
        factor = factor * np.einsum("tj,cdjk->cdtk", weight, np.exp(kind))
    return factor - 1.0


def typical_change(posterior: xr.Dataset, targets: xr.Dataset, sigma: np.ndarray) -> np.ndarray:
    """Return `average_change` of targets of the level mean, shape (chain, draw, target, outcome)."""
    beta = _draws(posterior, "beta", "coefficient")
    if beta is None:
        raise ValueError("a posterior holds beta")
    fixed = np.einsum("tp,cdpk->cdtk", targets["row"].values, beta)
    return average_change(fixed, targets["kind_weight"].values, _draws(posterior, "kind_effect", "kind"), sigma)


def _draws(posterior: xr.Dataset, name: str, dim: str) -> np.ndarray | None:
    if name not in posterior:
        return None
    return posterior[name].transpose("chain", "draw", dim, "outcome").values


def _positions(names: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    places = {str(name): place for place, name in enumerate(names)}
    return np.array([places[str(name)] for name in wanted], dtype=int)


def _random_effects(data: xr.Dataset, posterior: xr.Dataset, level: str) -> np.ndarray:
    """Return what study or comparison targets add to their typical effect, shape (chain, draw, T, K)."""
    study = np.asarray(_draws(posterior, "study_effect", "study"))
    if level == words.STUDY:
        return study[:, :, _positions(posterior["study"].values, data["study"].values)]
    total = study[:, :, _positions(posterior["study"].values, data["study_of_comparison"].values)]
    site = _draws(posterior, "site_effect", "site")
    if site is not None:
        total = total + site[:, :, _positions(posterior["site"].values, data["site_of_comparison"].values)]
    comparison = np.asarray(_draws(posterior, "comparison_effect", "comparison"))
    total = total + comparison[:, :, _positions(posterior["comparison"].values, data["comparison"].values)]
    return np.asarray(total)


def effect_draws(data: xr.Dataset, posterior: xr.Dataset, targets: xr.Dataset, seed: int) -> np.ndarray:
    """Return the effect draws of all targets.

    Parameters
    ----------
    data, posterior : Dataset
        Groups of the result.
    targets : Dataset
        Of `targets.targets`.
    seed : int
        Of the result; each target at ``new`` has a generator of its own, keyed by its place among them, so that more
        points asked for leave the numbers of the others as they are.

    Returns
    -------
    ndarray, shape (chain, draw, target, outcome)
        Log response ratios θ.
    """
    beta = np.asarray(_draws(posterior, "beta", "coefficient"))
    kind = _draws(posterior, "kind_effect", "kind")
    rows, weights = targets["row"].values, targets["kind_weight"].values
    theta = typical_effects(rows, weights, beta, kind)
    levels = targets["level"].values.astype(str)
    spread = factor(total_covariance(posterior))
    for block, place in enumerate(np.flatnonzero(levels == words.NEW)):
        rng = generator(seed, "new", block)
        theta[:, :, place] = fresh_effects(rows[place], weights[place], beta, kind, spread, rng)
    for level in (words.STUDY, words.COMPARISON):
        if (levels == level).any():
            theta[:, :, levels == level] += _random_effects(data, posterior, level)
    return theta
