"""How much plots vary: a hierarchical model of ln CV, fitted first and alone, from the SDs that a table reports.

    ln CV of arm a and pool p  ~ Normal(μ_p + study effect, ω_p²),   study effect ~ Normal(0, τ²), one for all pools
    ν s²/σ²                    ~ χ² with ν degrees of freedom,   s/mean the sample CV, σ/mean the CV

An SD from n = 3 (ν = 2) is itself uncertain (the standard deviation of ln s is 0.64), so arms that report theirs get a
CV from the model, too, drawn towards what the other arms of the study and the table say; arms without SD get theirs
from the model alone.

CVs and study effects are integrated out (`cv_posterior`), so few parameters are left. Proposals are fitted to their
posterior on the scale on which the prior is standard normal, frozen and weighed; then everything else is drawn from its
exact conditional. A Gibbs sampler would creep: with n = 3 single CVs and what they share hold each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import gammaln

from mcpbayes.measurement.cv_density import Array, lattice
from mcpbayes.measurement.cv_posterior import (
    Measured,
    Parameters,
    Priors,
    chunks,
    log_marginal,
    measured,
    study_lattice,
)
from mcpbayes.monte_carlo.importance import efficiency, normalised, pareto_k

Flags = NDArray[np.bool_]

#: Proposals of the rounds that adapt, of the last one, and how often that may be made anew.
_ADAPTING: Final = (200, 200)
_PROPOSALS: Final = 640
_ATTEMPTS: Final = 3

#: Degrees of freedom of the proposals: heavier tails than the posterior's.
_HEAVY: Final = 5.0

#: Limits of k̂ and ESS of the weights.
LARGEST_K: Final = 0.7
SMALLEST_ESS: Final = 200.0

#: Draws of all CVs behind the root-mean-square CVs; a part of them is kept.
_DRAWS: Final = 240
KEPT: Final = 80

_LOG_2PI: Final = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class CVFit:
    """Posterior of the CVs of all arms.

    Parameters
    ----------
    parameters : Parameters
        Draws of equal weight: μ and ω of each pool, τ.
    rms : array (arm, pool)
        Root-mean-square posterior CVs; NaN where a pool is absent.
    cv : array (draw, arm, pool)
        `KEPT` posterior draws of all CVs.
    pareto_k, ess : float
        k̂ and effective size of the weights of the last proposals.
    passed : bool
        Whether these keep to `LARGEST_K` and `SMALLEST_ESS`.
    """

    parameters: Parameters
    rms: Array
    cv: Array
    pareto_k: float
    ess: float
    passed: bool


def fit_cvs(
    sample_cv: Array,
    df: Array,
    study: NDArray[np.intp],
    present: Flags,
    priors: Priors,
    rng: np.random.Generator,
    shared_with: NDArray[np.intp] | None = None,
) -> CVFit:
    """Draw the CVs of all arms from their posterior.

    Parameters
    ----------
    sample_cv : array (arm, pool)
        Reported or derived SD over mean, positive; NaN where there is none. One at least is a number.
    df : array (arm, pool)
        Degrees of freedom of the sample CVs, n − 1 of n plots: at least 1 where there is one.
    study : array of int (arm,)
        Which study each arm belongs to, 0, 1, ...
    present : array of bool (arm, pool)
        Which pools were measured.
    priors : Priors
    rng : numpy.random.Generator
    shared_with : array of int (arm, pool), optional
        Which arm each arm shares its CV with, the first of a unit: the sample CV of that arm alone is data, and all
        arms of the unit get its draws. By default each arm has its own.

    Raises
    ------
    ValueError
        A sample CV without a degree of freedom.
    """
    first = np.arange(len(study))[:, None]
    shared = np.broadcast_to(first, sample_cv.shape) if shared_with is None else shared_with
    given = ~np.isnan(sample_cv)
    if not (df[given] >= 1).all():
        raise ValueError("a sample CV has at least one degree of freedom: two plots, or leave it NaN")
    data = measured(np.where(shared == first, sample_cv, np.nan), df, study)
    z, log_weight = _explored(data, priors, rng)
    k, ess = pareto_k(log_weight), efficiency(log_weight) * len(log_weight)
    # a comb through the cumulated weights: every draw as often as its weight says, to one
    comb = (np.arange(len(z)) + 0.5) / len(z)
    places = np.searchsorted(np.cumsum(normalised(log_weight)), comb).clip(max=len(z) - 1)
    found = priors.parameters(z[rng.permutation(places)])
    squares, cv = _cvs(data, found.take(slice(0, _DRAWS)), study, present & np.isnan(sample_cv), rng)
    rms = np.where(present, np.sqrt(np.take_along_axis(squares, shared, axis=0)), np.nan)
    cv = np.take_along_axis(cv, shared[None], axis=1)
    passed = bool(k < LARGEST_K and ess >= SMALLEST_ESS)
    return CVFit(found, rms, np.where(present, cv, np.nan), k, ess, passed)


def _explored(data: Measured, priors: Priors, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the last proposals (draw, d), on the scale of a standard normal prior, and ln of their weights."""
    if priors.dimension == 0:
        return np.zeros((_PROPOSALS, 0)), np.zeros(_PROPOSALS)

    def density(z: Array) -> Array:
        prior = -0.5 * np.sum(z**2, axis=1) - 0.5 * z.shape[1] * _LOG_2PI
        return np.asarray(log_marginal(data, priors.parameters(z)) + prior)

    centre, covariance = _around_mode(density, _start(data, priors))
    for size in _ADAPTING:
        z, log_weight = _proposed(density, centre, covariance, size, rng)
        centre, covariance = _fitted(z, log_weight, covariance)
    for _ in range(_ATTEMPTS):
        z, log_weight = _proposed(density, centre, covariance, _PROPOSALS, rng)
        if pareto_k(log_weight) < LARGEST_K and efficiency(log_weight) * len(z) >= SMALLEST_ESS:
            break
        centre, covariance = _fitted(z, log_weight, covariance)
    return z, log_weight


def _start(data: Measured, priors: Priors) -> Array:
    """Return the prior's centre, with μ of each pool at the mean of its sample CVs."""
    z = np.zeros(priors.dimension)
    for pool, (location, spread) in enumerate(zip(priors.location, priors.spread, strict=True)):
        own = data.centre[data.pool == pool]
        z[pool] = np.clip((own.mean() - location) / spread, -3, 3) if len(own) else 0.0
    return z


def _around_mode(density: Callable[[Array], Array], start: Array) -> tuple[Array, Array]:
    """Return the mode and the inverse of the curvature there, by differences."""
    d, step = len(start), 1e-2
    both = np.concatenate([np.eye(d), -np.eye(d)]) * step

    def lower(z: Array) -> tuple[float, Array]:
        values = -density(np.concatenate([z[None], z + both]))
        return float(values[0]), (values[1 : d + 1] - values[d + 1 :]) / (2 * step)

    options = {"gtol": 0.05, "maxiter": 50}
    mode = minimize(lower, start, jac=True, method="BFGS", options=options).x  # type: ignore[no-untyped-call]
    first, second = np.triu_indices(d)
    wide = 0.1 * np.eye(d)
    corners = [density(mode + a * wide[first] + b * wide[second]) for a in (1, -1) for b in (1, -1)]
    mixed = -(corners[0] - corners[1] - corners[2] + corners[3]) / (4 * 0.1**2)
    curvature = np.zeros((d, d))
    curvature[first, second] = curvature[second, first] = mixed
    values, vectors = np.linalg.eigh(curvature)
    # the prior's own curvature is one; less is left only where the likelihood bends upwards
    return mode, (vectors / np.maximum(values, 0.5)) @ vectors.T


def _proposed(
    density: Callable[[Array], Array], centre: Array, covariance: Array, size: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return proposals from a multivariate t distribution, and ln of their weights."""
    d, root = len(centre), np.linalg.cholesky(covariance)
    normals = rng.standard_normal((size, d))
    stretch = _HEAVY / rng.chisquare(_HEAVY, size)
    z = centre + np.sqrt(stretch)[:, None] * (normals @ root.T)
    distance = stretch * np.sum(normals**2, axis=1)
    constant = gammaln((_HEAVY + d) / 2) - gammaln(_HEAVY / 2) - 0.5 * d * np.log(_HEAVY * np.pi)
    own = constant - np.log(np.diag(root)).sum() - 0.5 * (_HEAVY + d) * np.log1p(distance / _HEAVY)
    log_weight = density(z) - own
    return z, np.where(np.isfinite(log_weight), log_weight, -np.inf)


def _fitted(z: Array, log_weight: Array, before: Array) -> tuple[Array, Array]:
    """Return mean and covariance of weighted points; a part of the covariance before it keeps few points from a lie."""
    weight = normalised(log_weight)
    centre = weight @ z
    apart = z - centre
    return centre, (apart.T * weight) @ apart + 0.1 * before


def _cvs(
    data: Measured, found: Parameters, study: NDArray[np.intp], silent: Flags, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the mean of CV² of all arms, (arm, pool), and `KEPT` draws of CV; anything where a pool is absent."""
    squares = np.zeros(silent.shape)
    cv = np.empty((len(found.tau), *silent.shape))
    unseen = np.ones(int(study.max()) + 1, dtype=bool)
    unseen[data.study[data.starts]] = False
    for now in chunks(data, len(found.tau)):
        some = found.take(now)
        effect = _study_effects(data, some, int(study.max()) + 1, rng)
        m = some.mu[:, None] + effect[:, study][..., None]
        omega = some.omega[:, None]
        cv[now] = np.exp(m + omega * rng.standard_normal(m.shape))
        # Of a study without any CV the effect is integrated out too, ln E e^(2u) = 2 τ²: the same for all of them,
        # where a few large draws would set one study apart.
        known = np.where(unseen, some.tau[:, None] ** 2, effect)[:, study][..., None]
        mean = np.exp(2.0 * (some.mu[:, None] + known + omega**2))
        rows = (slice(None), data.arm, data.pool)
        nu = np.broadcast_to(data.nu, mean[rows].shape)
        own = np.broadcast_to(some.omega[:, data.pool], nu.shape)
        x, values, _ = lattice(m[rows], own, nu, nu * data.cv**2, rng.random(nu.shape))
        weight = np.exp(values - values.max(axis=-1, keepdims=True))
        chosen = _chosen(weight, rng)
        cv[now][rows] = np.exp(np.take_along_axis(x, chosen[..., None], axis=-1)[..., 0])
        mean[rows] = (weight * np.exp(2.0 * x)).sum(axis=-1) / weight.sum(axis=-1)
        squares += mean.sum(axis=0)
    return squares / len(found.tau), cv[:KEPT]


def _study_effects(data: Measured, found: Parameters, studies: int, rng: np.random.Generator) -> Array:
    """Draw the effects of all studies, (draw, study), given the parameters."""
    drawn = found.tau[:, None] * rng.standard_normal((len(found.tau), studies))
    effect, values, _ = study_lattice(data, found, rng.random((len(drawn), len(data.starts))))
    chosen = _chosen(np.exp(values - values.max(axis=-1, keepdims=True)), rng)
    drawn[:, data.study[data.starts]] = np.take_along_axis(effect, chosen[..., None], axis=-1)[..., 0]
    return drawn


def _chosen(weight: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw a place along the last axis by weight."""
    total = np.cumsum(weight, axis=-1)
    return np.asarray((total < rng.random(total.shape[:-1])[..., None] * total[..., -1:]).sum(axis=-1))
