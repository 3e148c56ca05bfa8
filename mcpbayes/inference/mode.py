"""Where the density of the standard normal coordinates is highest, and how it curves there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from mcpbayes.inference.small_matrices import Array

#: ln p(z | y) up to a constant, (draw, d) → (draw,).
LogDensity = Callable[[Array], Array]

#: Step of the central differences; the coordinates have unit scale.
_STEP: Final = 2e-3
#: A direction that curves less than this is treated as if it did: Newton steps stay bounded.
_LEAST_CURVATURE: Final = 0.25
_LONGEST_STEP: Final = 1.5
_MOST_STEPS: Final = 25
_SETTLED: Final = 1e-4
#: Distance, in standard deviations, from which two places are taken for two modes.
_FAR: Final = 2.0
#: Fractions of a Newton step that are tried at once.
_FRACTIONS: Final = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 2.0])


@dataclass(frozen=True)
class Mode:
    """A maximum: place (d,), log density there, and the covariance (d, d) of the normal distribution that fits it."""

    place: Array
    value: float
    covariance: Array


def stencil(d: int) -> Array:
    """Return the points of a central-difference Hessian around zero, (1 + 2d², d), in units of the step.

    The centre, then ±e_i, then for each pair i < j the four points ±e_i ± e_j.
    """
    unit = np.eye(d)
    first, second = np.triu_indices(d, 1)
    corners = [a * unit[first] + b * unit[second] for a in (1, -1) for b in (1, -1)]
    return np.concatenate([np.zeros((1, d)), unit, -unit, *corners])


def derivatives(values: Array, d: int) -> tuple[Array, Array]:
    """Return gradient (d,) and Hessian (d, d) from the values at `stencil`."""
    centre, up, down = values[0], values[1 : 1 + d], values[1 + d : 1 + 2 * d]
    gradient = (up - down) / (2 * _STEP)
    hessian = np.zeros((d, d))
    first, second = np.triu_indices(d, 1)
    both, up_down, down_up, neither = np.split(values[1 + 2 * d :], 4)
    hessian[first, second] = (both - up_down - down_up + neither) / (4 * _STEP**2)
    hessian += hessian.T
    np.fill_diagonal(hessian, (up - 2 * centre + down) / _STEP**2)
    return gradient, hessian


def find_modes(log_density: LogDensity, starts: Array) -> list[Mode]:
    """Climb from the best of many points, and from the best one that lies far from where that climb ends.

    Parameters
    ----------
    log_density : callable
        (draw, d) → (draw,).
    starts : array (start, d)
        Draws from the prior: together they show where the mass is.

    Returns
    -------
    list of Mode
        The highest first; a second one only where it is another one.
    """
    values = log_density(starts)
    first = _climb(log_density, starts[np.argmax(values)], float(np.max(values)))
    far = _distance(first, starts) > np.sqrt(starts.shape[1]) + _FAR
    if not far.any():
        return [first]
    place = int(np.argmax(np.where(far, values, -np.inf)))
    second = _climb(log_density, starts[place], float(values[place]))
    if min(_distance(first, second.place[None])[0], _distance(second, first.place[None])[0]) < _FAR:
        return [max(first, second, key=lambda mode: mode.value)]
    return sorted([first, second], key=lambda mode: -mode.value)


def _distance(mode: Mode, z: Array) -> Array:
    """Return Mahalanobis distances of points from a mode."""
    away = np.linalg.solve(np.linalg.cholesky(mode.covariance), (z - mode.place).T)
    return np.asarray(np.sqrt(np.sum(away**2, axis=0)))


def _climb(log_density: LogDensity, place: Array, value: float) -> Mode:
    """Climb by damped Newton steps."""
    d = len(place)
    points = stencil(d) * _STEP
    for _ in range(_MOST_STEPS):
        gradient, hessian = derivatives(log_density(place + points), d)
        curvature, vectors = np.linalg.eigh(-hessian)
        curvature = np.maximum(curvature, _LEAST_CURVATURE)
        step = vectors @ ((vectors.T @ gradient) / curvature)
        length = np.sqrt(np.sum(step**2))
        step *= min(1.0, _LONGEST_STEP / max(length, 1e-300))
        tried = place + _FRACTIONS[:, None] * step
        found = log_density(tried)
        best = int(np.argmax(found))
        gain = float(found[best]) - value
        if gain > 0:
            place, value = tried[best], float(found[best])
        if gain < _SETTLED:
            break
    return Mode(place, value, (vectors / curvature) @ vectors.T)
