"""Shares: what fraction of comparisons lies in each scenario class, for each draw of the population's parameters."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes.estimands.classes import Tolerances
from mcpbayes.estimands.heterogeneity import total_planes
from mcpbayes.estimands.layout import Array, labelled_view, node_major
from mcpbayes.estimands.orthants import class_probabilities
from mcpbayes.estimands.prior import POOLS
from mcpbayes.workers import in_threads

#: Draws worked on at once.
_BLOCK: Final = 1000


def share_draws(
    posterior: xr.Dataset, points: xr.Dataset, eps: Tolerances, ends: tuple[Array, Array] | None = None
) -> np.ndarray:
    """Return shares for every draw and point of level new.

    Parameters
    ----------
    posterior : Dataset
        Group of the result.
    points : Dataset
        Of `targets.population_points`.
    eps : Tolerances
    ends : pair of ndarray, shape (chain × draw,), optional
        How far δ may rise and fall in each draw, in place of its tolerance.

    Returns
    -------
    ndarray, shape (chain, draw, point, 13)
        Class probabilities of N(B'x + κ, Σ_total), exact (`orthants.class_probabilities`); averaged over kinds where a
        point is.
    """
    centre, mixture = centres(posterior, points, POOLS)
    outcomes = [str(name) for name in posterior["outcome"].values]
    both = [outcomes.index(pool) for pool in POOLS]
    sigma = total_planes(posterior)[np.ix_(both, both)]

    def work(start: int) -> Array:
        part = slice(start, start + _BLOCK)
        here = None if ends is None else (ends[0][part], ends[1][part])
        exact = class_probabilities(centre[..., part], sigma[:, :, None, part], eps, here)
        return np.asarray(np.einsum("pg,sgd->psd", mixture, exact))

    shares = np.concatenate(list(in_threads(work, range(0, centre.shape[-1], _BLOCK))), axis=-1)
    return labelled_view(shares, posterior.sizes["chain"])


def centres(posterior: xr.Dataset, points: xr.Dataset, wanted: Sequence[str]) -> tuple[Array, Array]:
    """Return typical effects (pool, centre, draw) at all rows and kinds in use, and their weights (point, centre)."""
    # Only these variables: the rest of the posterior is large, and selecting copies.
    pools = posterior[[name for name in ("beta", "kind_effect") if name in posterior]].sel(outcome=list(wanted))
    beta = node_major(pools["beta"], "outcome", "coefficient")
    rows, weights = points["row"].values, points["kind_weight"].values
    if "kind_effect" not in posterior:
        return np.einsum("tp,kpd->ktd", rows, beta), np.eye(len(rows))
    kind = node_major(pools["kind_effect"], "outcome", "kind")
    distinct, row_of = np.unique(rows, axis=0, return_inverse=True)
    used = sorted({(int(row_of[point]), int(j)) for point, j in zip(*np.nonzero(weights), strict=True)})
    mixture = np.zeros((len(rows), len(used)))
    for point, j in zip(*np.nonzero(weights), strict=True):
        mixture[point, used.index((int(row_of[point]), int(j)))] = weights[point, j]
    at_row = np.einsum("tp,kpd->ktd", distinct, beta)
    return at_row[:, [row for row, _ in used]] + kind[:, [j for _, j in used]], mixture
