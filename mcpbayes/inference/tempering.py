"""Sequential Monte Carlo from the prior to the posterior: slow, needs no mode, sees every region with prior mass."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mcpbayes.inference.mode import LogDensity
from mcpbayes.inference.small_matrices import Array
from mcpbayes.monte_carlo.importance import efficiency, normalised

#: Each step of the temperature keeps this share of the particles effective.
_KEPT: Final = 0.5
#: Metropolis moves after each step of the temperature, and after the last one.
_MOVES, _LAST_MOVES = 4, 20
_BISECTIONS: Final = 30
#: Acceptance that the length of the moves is steered to, and how fast.
_ACCEPTANCE, _STEERING = 0.25, 1.0


def temper(target: LogDensity, d: int, rng: np.random.Generator, particles: int) -> Array:
    """Return particles (particle, d) distributed as the target, by tempering the likelihood.

    Parameters
    ----------
    target : callable
        ln p(z, y) with the prior N(0, I).
    d : int
    rng : numpy.random.Generator
    particles : int

    Notes
    -----
    Temperatures by bisection so that half of the particles stay effective; after each resampling random-walk
    Metropolis moves with the particles' own covariance (Del Moral, Doucet & Jasra 2006,
    doi:10.1111/j.1467-9868.2006.00553.x). The particles only seed a proposal, whose weights correct what is left.
    """
    z = rng.standard_normal((particles, d))
    likelihood = target(z) - _log_prior(z)
    temperature = 0.0
    while temperature < 1.0:
        step = _step(likelihood, 1.0 - temperature)
        temperature += step
        places = _resample(normalised(step * likelihood), rng)
        moves = _MOVES if temperature < 1.0 else _LAST_MOVES
        z, likelihood = _move(target, z[places], likelihood[places], temperature, moves, rng)
    return z


def _move(
    target: LogDensity, z: Array, likelihood: Array, temperature: float, moves: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return particles and their log likelihoods after random-walk Metropolis moves at one temperature."""
    d = z.shape[1]
    factor = np.linalg.cholesky(np.cov(z.T).reshape(d, d) + 1e-9 * np.eye(d))
    length = 2.38 / np.sqrt(d)
    for _ in range(moves):
        proposed = z + length * (rng.standard_normal(z.shape) @ factor.T)
        prior = _log_prior(proposed)
        new = target(proposed) - prior
        moved = np.log(rng.random(len(z))) < temperature * (new - likelihood) + prior - _log_prior(z)
        z, likelihood = np.where(moved[:, None], proposed, z), np.where(moved, new, likelihood)
        length *= np.exp(_STEERING * (moved.mean() - _ACCEPTANCE))
    return z, likelihood


def _log_prior(z: Array) -> Array:
    return np.asarray(-0.5 * np.sum(z**2, axis=1) - 0.5 * z.shape[1] * np.log(2 * np.pi))


def _step(likelihood: Array, left: float) -> float:
    """Return the step of the temperature after which a share of `_KEPT` of the particles is effective."""
    if efficiency(left * likelihood) >= _KEPT:
        return left
    low, high = 0.0, left
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if efficiency(middle * likelihood) >= _KEPT else (low, middle)
    return max(low, left * 2.0**-_BISECTIONS)


def _resample(weight: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return systematic resampling: the places of the particles that go on."""
    points = (np.arange(len(weight)) + rng.random()) / len(weight)
    return np.minimum(np.searchsorted(np.cumsum(weight), points), len(weight) - 1)
