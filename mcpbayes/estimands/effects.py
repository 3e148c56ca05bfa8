"""Effects at their levels: mean, new, study, comparison; one draw per posterior draw, never mixed up.

Definitions, for B the coefficients, κ the effects of treatment kinds, u, v, w those of studies, sites, comparisons:

=============  ====================================================================================================
``mean``       B'x + κ, the typical (median) comparison
``new``        B'x + κ + fresh u + v + w, the true effect of a comparison in a study not seen, no sampling error
``study``      B'x̄ + κ̄ + u, x̄ and κ̄ averaged over the study's comparisons
``comparison`` B'x + κ + u + v + w, the true effect of one comparison of the table
=============  ====================================================================================================

"Averaged over kinds" is the average of κ over kinds at ``mean``, and one kind drawn per draw at ``new``. The levels of
the table, study and comparison, are worked out block by block in `walk`. Draws are innermost: see `layout`.
"""

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.heterogeneity import factor, total_planes
from mcpbayes.estimands.layout import Array, node_major
from mcpbayes.streams import generator


def typical_effects(row: Array, weight: Array, beta: Array, kind: Array | None) -> Array:
    """Return B'x + Σ_k weight_k κ_k.

    Parameters
    ----------
    row : ndarray, shape (T, p)
        Design rows of the targets.
    weight : ndarray, shape (T, kinds)
        Weights of the kinds; not looked at where `kind` is None.
    beta : ndarray, shape (p, K, draw)
    kind : ndarray, shape (kinds, K, draw), or None

    Returns
    -------
    ndarray, shape (T, K, draw)
        Log response ratios.
    """
    flat = beta.reshape(len(beta), -1)
    theta = np.empty((len(row), flat.shape[1]))
    # Target by target: a matrix product may round otherwise in other company, and no number shall depend on that.
    for i, one in enumerate(row):
        np.dot(one, flat, out=theta[i])
    if kind is not None:
        for i, one in enumerate(weight):
            theta[i] += one @ kind.reshape(len(kind), -1)
    return theta.reshape(len(row), *beta.shape[1:])


def fresh_effects(
    row: Array, weight: Array, beta: Array, kind: Array | None, spread: Array, rng: np.random.Generator
) -> Array:
    """Return the effects of one fresh comparison per draw, N(B'x + κ, Σ_total), for one target.

    Parameters
    ----------
    row : ndarray, shape (p,)
    weight : ndarray, shape (kinds,)
        Probabilities with which the comparison's kind is drawn.
    beta, kind : ndarray
        As `typical_effects`.
    spread : ndarray, shape (K, K, draw)
        L with LL' = Σ_total of each draw.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (K, draw)
    """
    outcomes, draws = beta.shape[1:]
    normals = rng.standard_normal((draws, outcomes)).T
    theta = (row @ beta.reshape(len(beta), -1)).reshape(outcomes, draws)
    theta += np.einsum("ijs,js->is", spread, normals)
    if kind is None:
        return np.asarray(theta)
    edges = np.cumsum(weight)
    chosen = np.searchsorted(edges / edges[-1], rng.random(draws), side="right")
    return np.asarray(theta + kind[chosen, :, np.arange(draws)].T)


def average_change(fixed: Array, weight: Array, kind: Array | None, sigma: Array) -> Array:
    """Return the relative change averaged over comparisons, Σ_k weight_k exp(B'x + κ_k + ½ diag Σ_total) − 1.

    Parameters
    ----------
    fixed : ndarray, shape (T, K, draw)
        B'x, log scale.
    weight : ndarray, shape (T, kind)
        Weights of the kinds of treatment.
    kind : ndarray, shape (kind, K, draw), or None
        κ; None where that level is off.
    sigma : ndarray, shape (K, K, draw)
        Σ_total of each draw.

    Returns
    -------
    ndarray, shape (T, K, draw)
        Fractions; carbon budgets need this mean, not the median exp(θ) − 1.
    """
    change = np.exp(fixed + np.einsum("kks->ks", sigma) / 2)
    if kind is not None:
        change *= np.tensordot(weight, np.exp(kind), axes=1)
    return np.asarray(change - 1.0)


def coefficients(posterior: xr.Dataset) -> tuple[Array, Array | None]:
    """Return draws of B, (p, K, draw), and of κ, (kind, K, draw) or None where that level is off."""
    kind = node_major(posterior["kind_effect"], "kind", "outcome") if "kind_effect" in posterior else None
    return node_major(posterior["beta"], "coefficient", "outcome"), kind


def population_effects(posterior: xr.Dataset, targets: xr.Dataset, seed: int) -> tuple[Array, Array]:
    """Return the effect draws of the targets at the levels mean and new.

    Parameters
    ----------
    posterior : Dataset
        Group of the result.
    targets : Dataset
        Of `targets.targets`, those of the levels mean and new.
    seed : int
        Of the result; each target at ``new`` has a generator of its own, keyed by its place among them, so that more
        points asked for leave the numbers of the others as they are.

    Returns
    -------
    effect : ndarray, shape (target, K, draw)
        Log response ratios θ.
    average : ndarray, shape (mean target, K, draw)
        `average_change` of the targets at mean.
    """
    beta, kind = coefficients(posterior)
    sigma = total_planes(posterior)
    spread = np.moveaxis(factor(np.moveaxis(sigma, -1, 0)), 0, -1)
    rows, weights, levels = targets["row"].values, targets["kind_weight"].values, targets["level"].values
    theta = typical_effects(rows, weights, beta, kind)
    for block, place in enumerate(np.flatnonzero(levels == words.NEW)):
        rng = generator(seed, "new", block)
        theta[place] = fresh_effects(rows[place], weights[place], beta, kind, spread, rng)
    typical = levels == words.MEAN
    fixed = typical_effects(rows[typical], weights[typical], beta, None)
    return theta, average_change(fixed, weights[typical], kind, sigma)
