"""The two-pool equations of one study in standard coordinates z ~ N(0, I): what its arms should have, and slopes.

A level without spread is no special case::

    u = L_study z,  v = L_site z,  w = L_comparison z,  logit r₀ = μ_r + σ_r z
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.special import expit, logit

from mcpbayes.inference.completion import draws_last
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, Index, select_studies
from mcpbayes.inference.two_pool_study import Population, Study
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change


@dataclass(frozen=True, eq=False)
class Places:
    """Where the coordinates of each level stand in z."""

    site: int
    comparison: int
    ratio: int
    size: int


def places(study: Study, shared: Population) -> Places:
    """Return where each level's coordinates begin: study, sites where on, comparisons, controls."""
    comparison = 2 + (2 * study.sites if shared.site is not None else 0)
    ratio = comparison + 2 * len(study.years)
    return Places(2, comparison, ratio, ratio + study.controls)


def _changes(study: Study, shared: Population, z: Array) -> Array:
    """Return a of every comparison, (draw, inner, comparison, pool)."""
    at = places(study, shared)
    change = (study.design @ shared.beta)[:, None] + _effects(shared.study, z[..., :2], 1)
    if shared.site is not None:
        change = change + _effects(shared.site, z[..., at.site : at.comparison], study.sites)[:, :, study.site]
    return np.asarray(change)


def _effects(factor: Array, z: Array, nodes: int) -> Array:
    """Return L z of every node, (draw, inner, node, 2)."""
    return np.asarray(z.reshape(*z.shape[:2], nodes, 2) @ np.swapaxes(factor, 1, 2)[:, None])


def _pools(study: Study, shared: Population, z: Array) -> Array:
    """Return ln f + w of both pools, (draw, inner, comparison, pool)."""
    at = places(study, shared)
    moved = log_pool_change(_changes(study, shared, z), shared.rate[:, None, None], study.years[:, None])
    return np.asarray(moved + _effects(shared.comparison, z[..., at.comparison : at.ratio], len(study.years)))


def _logits(study: Study, shared: Population, z: Array) -> Array:
    """Return logit r₀ of every control, (draw, inner, control)."""
    own = z[..., places(study, shared).ratio :]
    return np.asarray(shared.middle[:, None, None] + shared.spread[:, None, None] * own)


def expected(study: Study, shared: Population, z: Array) -> Array:
    """Return η of what was observed, up to baselines, (draw, inner, observed)."""
    pools, logits = _pools(study, shared, z), _logits(study, shared, z)
    mean = np.zeros((*z.shape[:2], len(study.control_of_arm), 2))
    mean[..., 0] = -np.logaddexp(0.0, -logits)[..., study.control_of_arm]
    mean[..., study.arm, 0] += pools[..., 0]
    mean[..., study.arm, 1] = log_soc_change(pools[..., 0], pools[..., 1], expit(logits)[..., study.control])
    return np.asarray(mean.reshape(*z.shape[:2], -1)[..., study.seen])


def slopes(study: Study, shared: Population, z: Array) -> Array:
    """Return J = ∂η/∂z, (draw, observed, d).

    Notes
    -----
    ∂ln f/∂a = e^a g/(1 + (e^a − 1) g) with g = 1 − e^(−kt). With π = r₀ e^(ln f_N + w_N)/e^θ_C, the share of necromass
    in SOC of the treated arm: ∂θ_C = π ∂(ln f_N + w_N) + (1 − π) ∂(ln f_P + w_P) + (π − r₀) ∂logit r₀.
    """
    at, draws = places(study, shared), len(z)
    change, pools = _changes(study, shared, z[:, None])[:, 0], _pools(study, shared, z[:, None])[:, 0]
    ratio = expit(_logits(study, shared, z[:, None])[:, 0])
    gone = -np.expm1(-shared.rate[:, None] * study.years[:, None])
    slope = np.exp(change) * gone / (1 + np.expm1(change) * gone)
    own = ratio[:, study.control]
    share = own * np.exp(pools[..., 0] - log_soc_change(pools[..., 0], pools[..., 1], own))
    of_pools = np.zeros((draws, len(study.years), 2, at.size))
    of_pools[..., :2] = slope[..., None] * shared.study[:, None]
    for row, site in enumerate(study.site):
        if shared.site is not None:
            here = slice(at.site + 2 * site, at.site + 2 * site + 2)
            of_pools[:, row, :, here] = slope[:, row, :, None] * shared.site
        of_pools[:, row, :, at.comparison + 2 * row : at.comparison + 2 * row + 2] = shared.comparison
    found = np.zeros((draws, len(study.control_of_arm), 2, at.size))
    arms = np.arange(len(study.control_of_arm))
    found[:, arms, 0, at.ratio + study.control_of_arm] = (shared.spread[:, None] * (1 - ratio))[:, study.control_of_arm]
    found[:, study.arm, 0] += of_pools[:, :, 0]
    found[:, study.arm, 1] = share[..., None] * of_pools[:, :, 0] + (1 - share)[..., None] * of_pools[:, :, 1]
    found[:, study.arm, 1, at.ratio + study.control] += shared.spread[:, None] * (share - own)
    return np.asarray(found.reshape(draws, -1, at.size)[:, study.seen])


def coordinates_of(
    tree: Hierarchy, posterior: xr.Dataset, shared: Population, number: int, rng: np.random.Generator
) -> Array:
    """Return z of a study in every draw of a posterior, (draw, coordinate).

    Parameters
    ----------
    tree : Hierarchy
    posterior : xarray.Dataset
        With effects of studies, comparisons and, where on, sites, and ``mcp_efficacy_control``.
    shared : Population
        Of the same posterior.
    number : int
        Position of the study.
    rng : numpy.random.Generator
        Draws the coordinates of levels without spread, of which effects say nothing.
    """
    _, _, sites, controls, comparisons = select_studies(tree, np.array([number]))

    def effects(level: str, nodes: Index) -> Array:
        return np.moveaxis(draws_last(posterior, f"{level}_effect")[nodes], -1, 0)

    parts = [standardised(effects("study", np.array([number])), shared.study, rng)]
    if shared.site is not None:
        parts.append(standardised(effects("site", sites), shared.site, rng))
    parts.append(standardised(effects("comparison", comparisons), shared.comparison, rng))
    ratio = np.clip(draws_last(posterior, "mcp_efficacy_control")[controls].T, np.finfo(float).tiny, 1 - 2**-53)
    parts.append(_quotient(logit(ratio) - shared.middle[:, None], shared.spread[:, None], rng))
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def standardised(effects: Array, factor: Array, rng: np.random.Generator) -> Array:
    """Return z with L z = effects, (draw, node, 2)."""
    lower = factor[:, None]
    first = _quotient(effects[..., 0], lower[..., 0, 0], rng)
    second = _quotient(effects[..., 1] - lower[..., 1, 0] * first, lower[..., 1, 1], rng)
    return np.stack([first, second], axis=-1)


def _quotient(value: Array, spread: Array, rng: np.random.Generator) -> Array:
    """Return value/spread, and normals where there is no spread."""
    return np.divide(value, spread, out=rng.standard_normal(value.shape), where=spread > 0)
