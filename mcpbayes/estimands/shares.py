"""Shares: what fraction of comparisons lies in each scenario class, for each draw of the population's parameters."""

from typing import Final

import numpy as np
import xarray as xr
from scipy.special import ndtri

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances
from mcpbayes.estimands.heterogeneity import factor, total_covariance
from mcpbayes.streams import generator

_POOLS: Final = (words.NECROMASS, words.SOC)

#: Fresh comparisons per draw are drawn one per cell of a grid of this side, 32² = 1024 in all.
SIDE: Final = 32

#: Draws worked on at once; part of the definition of the numbers, since every block has its own generator.
BLOCK: Final = 128


def stratified_normals(rng: np.random.Generator, draws: int) -> np.ndarray:
    """Return pairs of standard normals, one in each cell of an equal-probability grid.

    Parameters
    ----------
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    ndarray, shape (2, draws, SIDE²)
        Each point is uniform within its cell, so counts are unbiased, with about a quarter of the error of
        independent points.
    """
    cell = np.indices((SIDE, SIDE)).reshape(2, 1, SIDE * SIDE)
    uniform = (cell + rng.random((2, draws, SIDE * SIDE))) / SIDE
    # Rounding can make a point 0 or 1, whose normal score is infinite.
    return np.asarray(ndtri(np.clip(uniform, np.finfo(float).tiny, 1 - np.finfo(float).eps)))


def count_classes(centre: np.ndarray, deviation: np.ndarray, eps: Tolerances) -> np.ndarray:
    """Return the fraction of comparisons in each class, centre by centre.

    Parameters
    ----------
    centre : ndarray, shape (draw, group, 2)
        Typical effects of necromass and SOC.
    deviation : ndarray, shape (2, draw, comparison)
        Departures of the fresh comparisons, the same for all groups.
    eps : Tolerances

    Returns
    -------
    ndarray, shape (draw, group, 13)
    """
    draws, groups, _ = centre.shape
    axes = (deviation[0], deviation[1], deviation[0] - deviation[1])
    shift = np.stack([centre[..., 0], centre[..., 1], centre[..., 0] - centre[..., 1]])
    limits = (eps.necromass, eps.soc, eps.ratio)
    sectors = CLASS_TABLE.size
    offset = sectors * np.arange(draws)[:, None]
    out = np.zeros((draws, groups, len(words.SCENARIOS)))
    for place in range(groups):
        key = np.zeros(deviation.shape[1:], dtype=np.int8)
        for values, middle, limit in zip(axes, shift[:, :, place, None], limits, strict=True):
            key *= 3
            key += (values > limit - middle).view(np.int8)
            key += (values >= -limit - middle).view(np.int8)
        counts = np.bincount((key + offset).ravel(), minlength=sectors * draws).reshape(draws, sectors)
        for sector, code in enumerate(CLASS_TABLE.ravel()):
            out[:, place, code] += counts[:, sector]
    return np.asarray(out / deviation.shape[2])


def share_draws(posterior: xr.Dataset, points: xr.Dataset, eps: Tolerances, seed: int) -> np.ndarray:
    """Return shares for every draw and point of level new.

    Parameters
    ----------
    posterior : Dataset
        Group of the result.
    points : Dataset
        Of `targets.population_points`.
    eps : Tolerances
    seed : int
        Of the result.

    Returns
    -------
    ndarray, shape (chain, draw, point, 13)
        Class probabilities of N(B'x + κ, Σ_total) by counting; averaged over kinds where a point is.
    """
    centre, mixture = _centres(posterior, points)
    spread = factor(_pool_covariance(posterior)).reshape(-1, 2, 2)
    chains, draws = posterior.sizes["chain"], posterior.sizes["draw"]
    out = np.empty((chains * draws, points.sizes["point"], len(words.SCENARIOS)))
    for block, start in enumerate(range(0, chains * draws, BLOCK)):
        part = slice(start, min(start + BLOCK, chains * draws))
        normals = stratified_normals(generator(seed, "share", block), part.stop - part.start)
        deviation = np.einsum("dij,jdn->idn", spread[part], normals)
        counts = count_classes(centre[part], deviation, eps)
        out[part] = np.einsum("pg,dgs->dps", mixture, counts)
    return out.reshape(chains, draws, *out.shape[1:])


def _pool_covariance(posterior: xr.Dataset) -> np.ndarray:
    """Return Σ_total of necromass and SOC, shape (chain, draw, 2, 2)."""
    outcomes = posterior["outcome"].values.astype(str).tolist()
    both = [outcomes.index(pool) for pool in _POOLS]
    return total_covariance(posterior)[..., both, :][..., both]


def _centres(posterior: xr.Dataset, points: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return typical effects (draw, centre, 2) at all rows and kinds in use and how points mix them (point, centre)."""
    pools = posterior.sel(outcome=list(_POOLS))
    beta = pools["beta"].transpose("chain", "draw", "coefficient", "outcome").values
    beta = beta.reshape(-1, *beta.shape[2:])
    rows, weights = points["row"].values, points["kind_weight"].values
    if "kind_effect" not in posterior:
        return np.einsum("tp,dpk->dtk", rows, beta), np.eye(len(rows))
    kind = pools["kind_effect"].transpose("chain", "draw", "kind", "outcome").values.reshape(len(beta), -1, 2)
    distinct, row_of = np.unique(rows, axis=0, return_inverse=True)
    used = sorted({(int(row_of[point]), int(j)) for point, j in zip(*np.nonzero(weights), strict=True)})
    mixture = np.zeros((len(rows), len(used)))
    for point, j in zip(*np.nonzero(weights), strict=True):
        mixture[point, used.index((int(row_of[point]), int(j)))] = weights[point, j]
    at_row = np.einsum("tp,dpk->dtk", distinct, beta)
    return at_row[:, [row for row, _ in used]] + kind[:, [j for _, j in used]], mixture
