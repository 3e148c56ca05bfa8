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

#: Starts chosen by each shape, among how many of the least explained, and how far apart.
_STARTS: Final = 8
_LOOKED_AT: Final = 200
_APART: Final = 0.7
#: Steps from the chosen starts, and fractions of a step that are tried: enough to see where a start leads.
_ASCENT: Final = 3
_ASCENT_FRACTIONS: Final = np.array([1.0, 0.3, 0.1])
#: Climbs that find nothing new before the search ends.
_MOST_MISSES: Final = 2
#: Degrees of freedom of the t shape.
_DF: Final = 5.0


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
    """Climb from the best of many points, then from those that the modes found so far do not explain.

    Parameters
    ----------
    log_density : callable
        (draw, d) → (draw,).
    starts : array (start, d)
        Draws from the prior: together they show where the mass is.

    Returns
    -------
    list of Mode
        All distinct ones that were found, the highest first.

    Notes
    -----
    A start leads to a hump only where the hump's density is above that of the others, so what can be found depends on
    how much prior mass lies around a hump and not on its own mass. Among 2048 prior draws in six dimensions a second
    hump two to four prior sd away from the first is found nearly always with an sd of 0.3, mostly with 0.2 and seldom
    with 0.1 (``tests/inference/test_mode.py``); in nine dimensions less often. No number of draws excludes a hump that
    is narrow enough.
    """
    values = log_density(starts)
    best = int(np.argmax(values))
    modes = [_climb(log_density, starts[best], float(values[best]))]
    places = _unexplained(modes[0], starts, values)
    reached, height = _ascend(log_density, starts[places], values[places])
    misses = 0
    while misses < _MOST_MISSES:
        far = np.min([_distance(mode, reached) for mode in modes], axis=0) > _FAR
        excess = np.where(far, height - np.logaddexp.reduce([_t_shape(mode, reached) for mode in modes]), -np.inf)
        best = int(np.argmax(excess))
        if excess[best] == -np.inf:
            break
        known = len(modes)
        modes = _with(modes, _climb(log_density, reached[best], float(height[best])))
        misses += len(modes) == known
        height[best] = -np.inf
    return sorted(modes, key=lambda mode: -mode.value)


def _with(modes: list[Mode], new: Mode) -> list[Mode]:
    """Return the modes with a new one; where it is one of them, the higher of the two."""
    for place, mode in enumerate(modes):
        if min(_distance(mode, new.place[None])[0], _distance(new, mode.place[None])[0]) < _FAR:
            higher = max(mode, new, key=lambda mode: mode.value)
            return [*modes[:place], higher, *modes[place + 1 :]]
    return [*modes, new]


def _unexplained(mode: Mode, starts: Array, values: Array) -> list[int]:
    """Return starts, apart from one another, where the density is most above the normal, then the t shape of a mode.

    Notes
    -----
    The normal shape shows the flanks of another hump best; where the posterior itself has longer tails than a normal
    distribution, these would take all places, so half of them go by the t shape.
    """
    chosen: list[int] = []
    for shape in (_normal_shape, _t_shape):
        left = _STARTS
        for place in map(int, np.argsort(shape(mode, starts) - values)[:_LOOKED_AT]):
            if left and _apart(starts, chosen, place):
                chosen.append(place)
                left -= 1
    return chosen


def _apart(starts: Array, chosen: list[int], place: int) -> bool:
    away = starts[chosen] - starts[place]
    return bool((np.sum(away**2, axis=1) > _APART**2).all())


def _normal_shape(mode: Mode, z: Array) -> Array:
    """Return the log density of the normal distribution that fits a mode, as high as the mode."""
    return np.asarray(mode.value - 0.5 * _distance(mode, z) ** 2)


def _t_shape(mode: Mode, z: Array) -> Array:
    """Return the log density of a t distribution around a mode, as high as the mode."""
    return np.asarray(mode.value - 0.5 * (_DF + z.shape[1]) * np.log1p(_distance(mode, z) ** 2 / _DF))


def _distance(mode: Mode, z: Array) -> Array:
    """Return Mahalanobis distances of points from a mode."""
    away = np.linalg.solve(np.linalg.cholesky(mode.covariance), (z - mode.place).T)
    return np.asarray(np.sqrt(np.sum(away**2, axis=0)))


def _ascend(log_density: LogDensity, places: Array, values: Array) -> tuple[Array, Array]:
    """Take a few Newton steps along the axes from many places at once: to see which hump they lead to.

    Returns
    -------
    places : array (start, d)
    values : array (start,)
    """
    starts, d = places.shape
    points = np.concatenate([np.eye(d), -np.eye(d)]) * _STEP
    at = np.arange(starts)
    for _ in range(_ASCENT):
        up, down = log_density((places[:, None] + points).reshape(-1, d)).reshape(starts, 2, d).swapaxes(0, 1)
        curvature = np.maximum((2 * values[:, None] - up - down) / _STEP**2, _LEAST_CURVATURE)
        step = (up - down) / (2 * _STEP) / curvature
        length = np.sqrt(np.sum(step**2, axis=1, keepdims=True))
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(length, 1e-300))
        tried = places[:, None] + _ASCENT_FRACTIONS[:, None] * step[:, None]
        found = log_density(tried.reshape(-1, d)).reshape(starts, -1)
        best = np.argmax(found, axis=1)
        gained = found[at, best] > values
        places = np.where(gained[:, None], tried[at, best], places)
        values = np.where(gained, found[at, best], values)
    return places, values


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
