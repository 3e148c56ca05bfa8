"""What the priors alone say about a target: effect draws before any data, for the prior probabilities of scenarios."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.heterogeneity import covariance, factor
from mcpbayes.estimands.layout import Array
from mcpbayes.specification.priors import prior_of_coefficient, sample, sample_correlation, sample_correlation_matrix
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator

#: Prior draws; the standard error of a prior probability is at most 0.0035.
SIZE: Final = 20_000

#: Pools that a class is of.
POOLS: Final = (words.NECROMASS, words.SOC)

#: Level of a target → levels of random effects that its effect contains, beside coefficients and kinds.
CONTAINS: Final = {
    words.MEAN: (),
    words.NEW: ("study", "site", "comparison"),
    words.STUDY: ("study",),
    words.COMPARISON: ("study", "site", "comparison"),
}


def prior_departures(spec: Specification, level: str, outcomes: list[str], rng: np.random.Generator) -> Array:
    """Return draws of one random effect of a level, N(0, Σ) with Σ from its prior, shape (K, SIZE)."""
    k = len(outcomes)
    tau = sample(spec.priors[f"tau_{level}"], rng, SIZE, outcomes)
    if k == 2:
        rho = sample_correlation(spec.priors[f"rho_{level}"], rng, SIZE)
        normals = rng.standard_normal((SIZE, k)).T
        second = rho * normals[0] + np.sqrt(1 - rho**2) * normals[1]
        return np.stack([tau[:, 0] * normals[0], tau[:, 1] * second])
    matrices = sample_correlation_matrix(spec.priors[f"rho_{level}"], rng, SIZE, k)
    rho = np.stack([matrices[:, i, j] for i, j in combinations(range(k), 2)], axis=1)
    normals = rng.standard_normal((SIZE, k))
    return np.asarray(np.einsum("sij,sj->is", factor(covariance(tau, rho)), normals))


def prior_coefficients(
    spec: Specification, names: list[str], outcomes: list[str], rng: np.random.Generator
) -> Iterator[Array]:
    """Yield draws of each row of B, shape (K, SIZE); NaN where its prior is flat."""
    for name in names:
        prior = prior_of_coefficient(spec, name)
        flat = prior.distribution == "flat"
        yield np.full((len(outcomes), SIZE), np.nan) if flat else sample(prior, rng, SIZE, outcomes).T


def prior_effects(
    spec: Specification, posterior: xr.Dataset, targets: xr.Dataset, seed: int, pools: Sequence[str] = POOLS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield prior draws of the effects, once for all targets that agree a priori.

    Parameters
    ----------
    spec : Specification
    posterior : Dataset
        Group of the result; says which levels are on.
    targets : Dataset
        Of `targets.targets`.
    seed : int
        Of the result.
    pools : sequence of str
        Whose effects are wanted.

    Yields
    ------
    members : ndarray of int
        Positions of the targets.
    theta : ndarray, shape (SIZE, pool)
        Effects; NaN where a coefficient that matters has a flat prior.

    Notes
    -----
    Kinds are exchangeable a priori, so Σ weight κ ~ N(0, |weight|² Σ_k) given Σ_k: one kind is worth 1, the average
    of m kinds 1/m at level mean, and one kind drawn, as at level new, again 1.
    """
    outcomes = [str(name) for name in posterior["outcome"].values]
    wanted = [outcomes.index(pool) for pool in pools]
    rng = generator(seed, "prior")
    names = [str(name) for name in targets["coefficient"].values]
    beta = [drawn[wanted] for drawn in prior_coefficients(spec, names, outcomes, rng)]
    parts = {
        level: prior_departures(spec, level, outcomes, rng)[wanted]
        for level in ("kind", "study", "site", "comparison")
        if f"tau_{level}" in posterior
    }
    for level, weight, row, members in _distinct(targets):
        theta = np.zeros((len(wanted), SIZE))
        for place in np.flatnonzero(row):
            theta += row[place] * beta[place]
        if "kind" in parts:
            theta += np.sqrt(weight) * parts["kind"]
        for part in CONTAINS[level]:
            theta += parts.get(part, 0.0)
        yield members, theta.T


def _distinct(targets: xr.Dataset) -> Iterator[tuple[str, float, np.ndarray, np.ndarray]]:
    """Yield level, |weight of kinds|², design row and positions of the targets that agree in these."""
    rows = np.round(targets["row"].values, 12)
    levels = targets["level"].values.astype(str)
    weight = np.round((targets["kind_weight"].values ** 2).sum(axis=1), 12)
    weight[levels == words.NEW] = 1.0
    found: dict[tuple[str, float, bytes], list[int]] = {}
    for place, (level, square, row) in enumerate(zip(levels, weight, rows, strict=True)):
        found.setdefault((level, float(square), row.tobytes()), []).append(place)
    for (level, square, _), members in found.items():
        yield level, square, rows[members[0]], np.array(members)
