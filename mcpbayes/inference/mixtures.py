"""Mixtures of multivariate t distributions: the proposals of the collapsed engine, and how they learn from weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import gammaln

from mcpbayes.inference.planes import combine
from mcpbayes.inference.small_matrices import Array

#: Rounds of EM at each adaptation, and the points per component that it works on at most.
_EM_ROUNDS: Final = 8
_EM_POINTS: Final = 600


@dataclass(frozen=True)
class Mixture:
    """A mixture of m multivariate t distributions in d dimensions.

    Parameters
    ----------
    weight : array (m,)
    centre : array (m, d)
    factor : array (m, d, d)
        Lower factors of the scale matrices.
    df : array (m,)
        Degrees of freedom, above 2.
    """

    weight: Array
    centre: Array
    factor: Array
    df: Array


def single(centre: Array, covariance: Array, df: float) -> Mixture:
    """Return one t distribution with the covariance given: its scale matrix is (df − 2)/df of it."""
    return Mixture(np.ones(1), centre[None], np.linalg.cholesky(covariance * (df - 2) / df)[None], np.array([df]))


def joined(parts: Sequence[Mixture], shares: Sequence[float] | Array) -> Mixture:
    """Return one mixture of the components of several, each of which has a share of the whole."""
    return Mixture(
        np.concatenate([share * part.weight / part.weight.sum() for part, share in zip(parts, shares, strict=True)]),
        np.concatenate([part.centre for part in parts]),
        np.concatenate([part.factor for part in parts]),
        np.concatenate([part.df for part in parts]),
    )


def draw(mixture: Mixture, rng: np.random.Generator, size: int) -> Array:
    """Return draws, shape (size, d), each component with its expected number of draws where that is whole.

    Notes
    -----
    The components' numbers are systematic (one uniform number for all), then shuffled: less noise, same distribution.
    """
    edges = np.cumsum(mixture.weight) / mixture.weight.sum()
    points = (np.arange(size) + rng.random()) / size
    component = rng.permutation(np.minimum(np.searchsorted(edges, points), len(edges) - 1))
    normals = rng.standard_normal((size, mixture.centre.shape[1]))
    stretch = np.sqrt(mixture.df[component] / rng.chisquare(mixture.df[component]))
    out = mixture.centre[component]
    for place, factor in enumerate(mixture.factor):
        members = component == place
        out[members] += stretch[members, None] * (normals[members] @ factor.T)
    return np.asarray(out)


def component_log_densities(mixture: Mixture, z: Array) -> tuple[Array, Array]:
    """Return log densities of the components, weights not counted, and squared distances; each (m, draw)."""
    d = z.shape[1]
    distance = np.empty((len(mixture.weight), len(z)))
    for place, (centre, factor) in enumerate(zip(mixture.centre, mixture.factor, strict=True)):
        away = combine(np.linalg.inv(factor), (z - centre).T)
        np.einsum("id,id->d", away, away, out=distance[place])
    df = mixture.df[:, None]
    log_det = np.log(np.diagonal(mixture.factor, axis1=1, axis2=2)).sum(axis=1)[:, None]
    constant = gammaln(0.5 * (df + d)) - gammaln(0.5 * df) - 0.5 * d * np.log(np.pi * df) - log_det
    return constant - 0.5 * (df + d) * np.log1p(distance / df), distance


def log_density(mixture: Mixture, z: Array) -> Array:
    """Return the log density of the mixture at points (draw, d); shape (draw,)."""
    components, _ = component_log_densities(mixture, z)
    if len(components) == 1:
        return np.asarray(components[0])
    return _log_sum(components + np.log(mixture.weight / mixture.weight.sum())[:, None])


def _log_sum(logs: Array) -> Array:
    """Return ln Σ exp along the first axis of finite values: SciPy's, for any values, takes several times as long."""
    top = logs.max(axis=0)
    return np.asarray(top + np.log(np.exp(logs - top).sum(axis=0)))


def moments(z: Array, weight: Array) -> tuple[Array, Array]:
    """Return weighted mean (d,) and covariance (d, d) of points (draw, d); weights sum to one."""
    mean = weight @ z
    centred = z - mean
    return mean, (weight[:, None] * centred).T @ centred


def spread_out(z: Array, weight: Array, components: int, df: float, rng: np.random.Generator) -> Mixture:
    """Return a first mixture: components of equal shape around points drawn by their weights."""
    _, covariance = moments(z, weight)
    chosen = rng.choice(len(z), components, replace=False, p=_mixed(weight))
    shape = np.linalg.cholesky(0.5 * _safe(covariance) * (df - 2) / df)
    return Mixture(
        np.full(components, 1 / components), z[chosen], np.tile(shape, (components, 1, 1)), np.full(components, df)
    )


def learn(mixture: Mixture, z: Array, weight: Array) -> Mixture:
    """Return the mixture adapted to weighted points by EM, degrees of freedom kept.

    Parameters
    ----------
    mixture : Mixture
    z : array (draw, d)
    weight : array (draw,)
        Sum to one.

    Notes
    -----
    Components that few points support are shrunk towards the pooled covariance with weight d/(d + n_eff), and a
    component that loses all of its points keeps its place with little weight.
    """
    d = z.shape[1]
    points = _EM_POINTS * len(mixture.weight)
    if len(z) > points:
        # Evenly spaced quantiles of the weights: many points of little weight would only cost time.
        edges = np.cumsum(weight)
        chosen, times = np.unique(
            np.searchsorted(edges, (np.arange(points) + 0.5) / points * edges[-1]), return_counts=True
        )
        z, weight = z[chosen], times / points
    for _ in range(_EM_ROUNDS):
        logs, distance = component_log_densities(mixture, z)
        logs += np.log(mixture.weight)[:, None]
        share = np.exp(logs - _log_sum(logs)) * weight
        size = share.sum(axis=1)
        down = (mixture.df[:, None] + d) / (mixture.df[:, None] + distance)
        pull = share * down
        centre = (pull @ z) / np.maximum(pull.sum(axis=1), 1e-300)[:, None]
        covariance = np.empty_like(mixture.factor)
        for place in range(len(size)):
            centred = z - centre[place]
            covariance[place] = (pull[place][:, None] * centred).T @ centred / max(size[place], 1e-300)
        pooled = np.einsum("m,mij->ij", size, covariance) / size.sum()
        support = size**2 / np.maximum((share**2).sum(axis=1), 1e-300)
        shrink = (d / (d + support))[:, None, None]
        factor = np.linalg.cholesky(np.stack([_safe(c) for c in (1 - shrink) * covariance + shrink * pooled]))
        mixture = Mixture(np.maximum(size / size.sum(), 1e-3), centre, factor, mixture.df)
    return mixture


def defended(mixture: Mixture) -> Mixture:
    """Return the mixture with a tenth of its weight given to one wide t5 of 2.5 times its covariance.

    It bounds the weights of points that lie between or beyond narrow components.
    """
    weight = mixture.weight / mixture.weight.sum()
    mean = weight @ mixture.centre
    scale = np.einsum("m,mij,mkj->ik", weight * mixture.df / (mixture.df - 2), mixture.factor, mixture.factor)
    away = mixture.centre - mean
    wide = single(mean, 2.5 * _safe(scale + (weight[:, None] * away).T @ away), 5.0)
    return Mixture(
        np.append(0.9 * weight, 0.1),
        np.concatenate([mixture.centre, wide.centre]),
        np.concatenate([mixture.factor, wide.factor]),
        np.append(mixture.df, 5.0),
    )


def _mixed(weight: Array) -> Array:
    """Return weights with a little of the uniform ones, so that as many points as are wanted can be drawn."""
    return np.asarray(0.99 * weight / weight.sum() + 0.01 / len(weight))


def _safe(covariance: Array) -> Array:
    """Return a covariance whose eigenvalues are at least 1e-6: a component must keep some width."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.maximum(values, 1e-6)) @ vectors.T)
