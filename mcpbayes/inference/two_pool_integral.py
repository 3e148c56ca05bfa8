"""The density of one study in the two-pool model given the population: its effects and control ratios integrated out.

Effects enter nonlinearly, so the integral over them is a mean over draws from a proposal: a t distribution at the mode
of the effects given the study's data, with the curvature there, in the coordinates of `two_pool_coordinates`.
"""

from typing import Final

import numpy as np
from scipy.special import gammaln, logsumexp

from mcpbayes.inference.plan import chunks
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.two_pool_coordinates import expected, places, slopes
from mcpbayes.inference.two_pool_study import Density, Population, Study

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
        rest = study.y - expected(study, shared, z)
        value = 0.5 * (np.einsum("dmi,dmi->dm", rest @ density.precision, rest) + np.sum(z**2, axis=-1))
    return np.where(np.isfinite(value), value, np.inf)


def find_mode(study: Study, density: Density, shared: Population) -> tuple[Array, Array]:
    """Return the mode of z given the study, (draw, d), and the lower factor of the curvature there, (draw, d, d).

    Notes
    -----
    Gauss-Newton from z = 0, with the shortest of three steps that gains most; curvature I + J'PJ with J = ∂η/∂z.
    """
    z = np.zeros((len(shared.rate), places(study, shared).size))
    value = _half_squares(study, density, shared, z[:, None])[:, 0]
    for _ in range(_STEPS):
        rest, slope = study.y - expected(study, shared, z[:, None])[:, 0], slopes(study, shared, z)
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
    return z, np.linalg.cholesky(_curvature(slopes(study, shared, z), density))


def _curvature(slope: Array, density: Density) -> Array:
    """Return I + J'PJ."""
    return np.asarray(np.eye(slope.shape[2]) + np.swapaxes(slope, 1, 2) @ (density.precision @ slope))
