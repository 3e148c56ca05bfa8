"""What one study says in the two-pool model, given the population: its effects and control ratios integrated out.

Effects enter nonlinearly, so the integral over them is a mean over draws from a proposal: a t distribution at the mode
of the effects given the study's data, with the curvature there. All is in standard coordinates z ~ N(0, I), in which a
level without spread is no special case::

    u = L_study z,  v = L_site z,  w = L_comparison z,  logit r₀ = μ_r + σ_r z

Two densities of the same data are of use. `Study.arms`: of all arms, ln SOC of the controls flat: the study's
likelihood. `Study.contrasts`: of the within-control contrasts, ln N of the controls flat besides, so that their own
measured ratios do not count, and r₀ is known from the population only.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from scipy.special import expit, gammaln, logit, logsumexp

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.completion import draws_last
from mcpbayes.inference.plan import chunks
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, Index, select_studies
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER

#: Draws of a study's effects per draw of the population; their share in the error is part of every MCSE.
INNER: Final = 32

#: Degrees of freedom of the proposal: tails heavier than those of z, so that weights are bounded.
_DF: Final = 10.0

#: Draws of the population that are worked on at once; part of the order of the random numbers.
_AT_ONCE: Final = 250

#: Gauss-Newton steps to the mode, at most, shares of a step that are tried, and what a last one may still gain. Where
#: they do not arrive the proposal is worse, not wrong.
_STEPS: Final = 15
_SHARES: Final = (1.0, 0.5, 0.15)
_LEAST_GAIN: Final = 1e-4


@dataclass(frozen=True, eq=False)
class Density:
    """ln p(y | z) = constant − ½ (y − η)'P(y − η), flat baselines integrated out of the precision P."""

    precision: Array
    constant: float


@dataclass(frozen=True, eq=False)
class Study:
    """One study; its own arms, controls, sites and comparisons numbered from 0.

    Parameters
    ----------
    design : array (comparison, coefficient)
    years : array (comparison,)
    site, control, arm : arrays of int (comparison,)
        Site, control and treated arm of each comparison.
    control_of_arm : array of int (arm,)
    sites, controls : int
    y : array (observed,)
        Log means, ln(g/kg).
    seen : array of int (observed,)
        Where each stands among arm × outcome.
    arms, contrasts : Density
        Of all arms, and of the within-control contrasts only.
    """

    design: Array
    years: Array
    site: Index
    control: Index
    arm: Index
    control_of_arm: Index
    sites: int
    controls: int
    y: Array
    seen: Index
    arms: Density
    contrasts: Density


@dataclass(frozen=True, eq=False)
class Population:
    """Draws of what all studies share, draws first.

    Parameters
    ----------
    beta : array (draw, coefficient, pool)
    rate : array (draw, pool)
        k, per year.
    middle, spread : array (draw,)
        μ_r and σ_r.
    study, comparison : array (draw, 2, 2)
        Lower factors L of the covariances of their effects.
    site : array (draw, 2, 2) or None
        None: no such level.
    """

    beta: Array
    rate: Array
    middle: Array
    spread: Array
    study: Array
    comparison: Array
    site: Array | None = None

    def at(self, now: slice) -> "Population":
        """Return some of the draws."""
        return Population(
            self.beta[now],
            self.rate[now],
            self.middle[now],
            self.spread[now],
            self.study[now],
            self.comparison[now],
            None if self.site is None else self.site[now],
        )


@dataclass(frozen=True, eq=False)
class _Places:
    """Where the coordinates of each level stand in z."""

    site: int
    comparison: int
    ratio: int
    size: int


def study_of(tree: Hierarchy, years: Array, number: int) -> Study:
    """Return one study of a two-pool table.

    Parameters
    ----------
    tree : Hierarchy
    years : array (comparison,)
        Durations of all comparisons of the table.
    number : int
        Position of the study in canonical order.
    """
    part, *_, comparisons = select_studies(tree, np.array([number]))
    seen = np.flatnonzero(part.observed.ravel())
    inverse, log_determinant = small.observed_inverse(part.sampling[..., None], part.observed)
    precision = np.zeros((len(part.y), 2, len(part.y), 2))
    for arm, block in enumerate(inverse[..., 0]):
        precision[arm, :, arm] = block
    matrix = precision.reshape(2 * len(part.y), -1)[np.ix_(seen, seen)]
    control, outcome = np.repeat(part.control, 2)[seen], np.tile([0, 1], len(part.y))[seen]
    constant = -0.5 * float(len(seen) * np.log(2 * np.pi) + log_determinant.sum())
    return Study(
        design=part.design,
        years=years[comparisons],
        site=part.site_of_comparison,
        control=part.control[part.arm],
        arm=part.arm,
        control_of_arm=part.control,
        sites=len(part.study),
        controls=len(part.site),
        y=part.y.ravel()[seen],
        seen=seen,
        arms=_without_baselines(matrix, constant, control),
        contrasts=_without_baselines(matrix, constant, 2 * control + outcome),
    )


def _without_baselines(precision: Array, constant: float, baseline: Index) -> Density:
    """Integrate flat baselines out; `baseline` says which one each log mean has."""
    names = np.unique(baseline)
    columns = (baseline[:, None] == names).astype(float)
    cross = precision @ columns
    information = columns.T @ cross
    lost = cross @ np.linalg.solve(information, cross.T)
    volume = 0.5 * (len(names) * np.log(2 * np.pi) - np.linalg.slogdet(information)[1])
    return Density(precision - lost, constant + float(volume))


def population(posterior: xr.Dataset) -> Population:
    """Return the parameters that studies share, of all draws of a two-pool posterior."""

    def draws(name: str) -> Array:
        return np.moveaxis(draws_last(posterior, name), -1, 0)

    def factor(level: str) -> Array:
        covariance = small.covariance(draws(f"tau_{level}"), draws(f"rho_{level}"))
        return np.moveaxis(small.cholesky(covariance[None])[0], -1, 0)

    return Population(
        beta=draws("beta"),
        rate=draws(TURNOVER),
        middle=draws(MU_R),
        spread=draws(SIGMA_R),
        study=factor("study"),
        comparison=factor("comparison"),
        site=factor("site") if "tau_site" in posterior else None,
    )


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

    parts = [_standardised(effects("study", np.array([number])), shared.study, rng)]
    if shared.site is not None:
        parts.append(_standardised(effects("site", sites), shared.site, rng))
    parts.append(_standardised(effects("comparison", comparisons), shared.comparison, rng))
    ratio = np.clip(draws_last(posterior, "mcp_efficacy_control")[controls].T, np.finfo(float).tiny, 1 - 2**-53)
    parts.append(_quotient(logit(ratio) - shared.middle[:, None], shared.spread[:, None], rng))
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _standardised(effects: Array, factor: Array, rng: np.random.Generator) -> Array:
    """Return z with L z = effects, (draw, node, 2)."""
    lower = factor[:, None]
    first = _quotient(effects[..., 0], lower[..., 0, 0], rng)
    second = _quotient(effects[..., 1] - lower[..., 1, 0] * first, lower[..., 1, 1], rng)
    return np.stack([first, second], axis=-1)


def _quotient(value: Array, spread: Array, rng: np.random.Generator) -> Array:
    """Return value/spread, and normals where there is no spread."""
    return np.divide(value, spread, out=rng.standard_normal(value.shape), where=spread > 0)


def log_density(
    study: Study,
    density: Density,
    shared: Population,
    rng: np.random.Generator,
    *,
    inner: int = INNER,
    own: Array | None = None,
) -> Array:
    """Return ln of an estimate of p(y | φ), the study's effects and ratios integrated out, for every draw of φ.

    Parameters
    ----------
    study : Study
    density : Density
        ``study.arms`` or ``study.contrasts``.
    shared : Population
        φ.
    rng : numpy.random.Generator
    inner : int
        Draws of the effects per draw of φ.
    own : array (draw, coordinate), optional
        z of the study, drawn with φ given all its arms; it takes the place of one of the draws.

    Returns
    -------
    array (draw,)

    Notes
    -----
    The mean p̂ of the importance ratios p(y | z) p(z)/q(z) of z ~ q is unbiased for p(y | φ). With ``own`` 1/p̂ is
    unbiased for 1/p(y | φ) instead: z and the others together then have the density p̂/p(y | φ) × Π q. So weights 1/p̂
    take a study out of a posterior exactly, however few the draws.
    """
    pieces = []
    for now in chunks(len(shared.rate), _AT_ONCE):
        pieces.append(_log_density(study, density, shared.at(now), rng, inner, None if own is None else own[now]))
    return np.concatenate(pieces)


def _log_density(
    study: Study, density: Density, shared: Population, rng: np.random.Generator, inner: int, own: Array | None
) -> Array:
    mode, factor = find_mode(study, density, shared)
    draws, size = mode.shape
    scale = np.sqrt(rng.chisquare(_DF, (draws, inner, 1)) / _DF)
    distance = rng.standard_normal((draws, inner, size)) / scale
    upper = np.swapaxes(factor, 1, 2)
    if own is not None:
        distance[:, 0] = np.einsum("dij,dj->di", upper, own - mode)
    z = mode[:, None] + np.swapaxes(np.linalg.solve(upper, np.swapaxes(distance, 1, 2)), 1, 2)
    log_ratio = density.constant - _half_squares(study, density, shared, z)
    log_ratio -= 0.5 * size * np.log(2 * np.pi)
    log_ratio -= _log_t(distance) + np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)[:, None]
    return np.asarray(logsumexp(log_ratio, axis=1) - np.log(inner))


def _log_t(distance: Array) -> Array:
    """Return the log density of the standard multivariate t distribution, (draw, inner)."""
    size = distance.shape[-1]
    constant = gammaln(0.5 * (_DF + size)) - gammaln(0.5 * _DF) - 0.5 * size * np.log(_DF * np.pi)
    return np.asarray(constant - 0.5 * (_DF + size) * np.log1p(np.sum(distance**2, axis=-1) / _DF))


def _half_squares(study: Study, density: Density, shared: Population, z: Array) -> Array:
    """Return −ln p(y | z) p(z) without constants, (draw, inner); infinite where the equations leave the numbers."""
    with np.errstate(all="ignore"):
        rest = study.y - _expected(study, shared, z)
        value = 0.5 * (np.einsum("dmi,dmi->dm", rest @ density.precision, rest) + np.sum(z**2, axis=-1))
    return np.where(np.isfinite(value), value, np.inf)


def find_mode(study: Study, density: Density, shared: Population) -> tuple[Array, Array]:
    """Return the mode of z given the study, (draw, d), and the lower factor of the curvature there, (draw, d, d).

    Notes
    -----
    Gauss-Newton from z = 0, with the shortest of three steps that gains most; curvature I + J'PJ with J = ∂η/∂z.
    """
    z = np.zeros((len(shared.rate), _places(study, shared).size))
    value = _half_squares(study, density, shared, z[:, None])[:, 0]
    for _ in range(_STEPS):
        rest, slope = study.y - _expected(study, shared, z[:, None])[:, 0], _slopes(study, shared, z)
        gradient = np.einsum("dij,di->dj", slope, rest @ density.precision) - z
        step = np.linalg.solve(_curvature(slope, density), gradient[..., None])[..., 0]
        tried = z[:, None] + np.array(_SHARES)[:, None] * step[:, None]
        values = _half_squares(study, density, shared, tried)
        best = values.argmin(axis=1)
        rows = np.arange(len(z))
        gain = value - values[rows, best]
        z = np.where(gain[:, None] > 0, tried[rows, best], z)
        value = np.minimum(value, values[rows, best])
        if gain.max() < _LEAST_GAIN:
            break
    return z, np.linalg.cholesky(_curvature(_slopes(study, shared, z), density))


def _curvature(slope: Array, density: Density) -> Array:
    """Return I + J'PJ."""
    return np.asarray(np.eye(slope.shape[2]) + np.swapaxes(slope, 1, 2) @ (density.precision @ slope))


def _places(study: Study, shared: Population) -> _Places:
    """Return where each level's coordinates begin: study, sites where on, comparisons, controls."""
    comparison = 2 + (2 * study.sites if shared.site is not None else 0)
    ratio = comparison + 2 * len(study.years)
    return _Places(2, comparison, ratio, ratio + study.controls)


def _changes(study: Study, shared: Population, z: Array) -> Array:
    """Return a of every comparison, (draw, inner, comparison, pool)."""
    at = _places(study, shared)
    change = (study.design @ shared.beta)[:, None] + _effects(shared.study, z[..., :2], 1)
    if shared.site is not None:
        change = change + _effects(shared.site, z[..., at.site : at.comparison], study.sites)[:, :, study.site]
    return np.asarray(change)


def _effects(factor: Array, z: Array, nodes: int) -> Array:
    """Return L z of every node, (draw, inner, node, 2)."""
    return np.asarray(z.reshape(*z.shape[:2], nodes, 2) @ np.swapaxes(factor, 1, 2)[:, None])


def _pools(study: Study, shared: Population, z: Array) -> Array:
    """Return ln f + w of both pools, (draw, inner, comparison, pool)."""
    at = _places(study, shared)
    moved = log_pool_change(_changes(study, shared, z), shared.rate[:, None, None], study.years[:, None])
    return np.asarray(moved + _effects(shared.comparison, z[..., at.comparison : at.ratio], len(study.years)))


def _logits(study: Study, shared: Population, z: Array) -> Array:
    """Return logit r₀ of every control, (draw, inner, control)."""
    own = z[..., _places(study, shared).ratio :]
    return np.asarray(shared.middle[:, None, None] + shared.spread[:, None, None] * own)


def _expected(study: Study, shared: Population, z: Array) -> Array:
    """Return η of what was observed, up to baselines, (draw, inner, observed)."""
    pools, logits = _pools(study, shared, z), _logits(study, shared, z)
    mean = np.zeros((*z.shape[:2], len(study.control_of_arm), 2))
    mean[..., 0] = -np.logaddexp(0.0, -logits)[..., study.control_of_arm]
    mean[..., study.arm, 0] += pools[..., 0]
    mean[..., study.arm, 1] = log_soc_change(pools[..., 0], pools[..., 1], expit(logits)[..., study.control])
    return np.asarray(mean.reshape(*z.shape[:2], -1)[..., study.seen])


def _slopes(study: Study, shared: Population, z: Array) -> Array:
    """Return J = ∂η/∂z, (draw, observed, d).

    Notes
    -----
    ∂ln f/∂a = e^a g/(1 + (e^a − 1) g) with g = 1 − e^(−kt). With π = r₀ e^(ln f_N + w_N)/e^θ_C, the share of necromass
    in SOC of the treated arm: ∂θ_C = π ∂(ln f_N + w_N) + (1 − π) ∂(ln f_P + w_P) + (π − r₀) ∂logit r₀.
    """
    at, draws = _places(study, shared), len(z)
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
