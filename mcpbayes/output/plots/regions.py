"""Geometry of the scenario plane: sectors of the classes, highest-density regions, where labels may stand."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from contourpy import contour_generator
from matplotlib.path import Path
from scipy.stats import gaussian_kde  # type: ignore[attr-defined]  # exported by a star import

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import Tolerances

#: Draws used as centres of the kernel; more change no contour visibly.
MOST_CENTRES = 1500

#: Bandwidth in units of Scott's, which suits the middle of a normal density; the tails would look frayed.
BANDWIDTH = 1.3

#: Share of the draws farthest out that do not set the bandwidth: one wild draw would blur the region of the others.
OUTLYING = 0.01


def kernel(points: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the kernel density estimate of draws, shape (dimension, sample), as a function of points alike."""
    thinned = points[:, :: max(points.shape[1] // MOST_CENTRES, 1)]
    estimate: Any = gaussian_kde  # scipy carries no types
    density: Callable[[np.ndarray], np.ndarray] = estimate(thinned, lambda kde: BANDWIDTH * kde.scotts_factor())
    return density


def highest_density_regions(x: np.ndarray, y: np.ndarray, probs: Sequence[float]) -> list[list[np.ndarray]]:
    """Return the outlines of the smallest regions that hold given probabilities of joint draws.

    Parameters
    ----------
    x, y : np.ndarray, shape (sample,)
        Joint draws of the two effects, ln ratio.
    probs : sequence of float
        Probabilities of the regions.

    Returns
    -------
    list of list of np.ndarray
        Per probability its closed outlines, each of shape (vertex, 2).

    Notes
    -----
    The density f is a Gaussian kernel estimate. The region of probability p is {z : f(z) ≥ f_p}
    with f_p the (1 − p) quantile of f over the draws (Hyndman 1996, doi:10.1080/00031305.1996.10474359), so that the
    bandwidth changes the region's shape and not its probability. The grid follows the covariance of the
    draws, so that narrow ellipses are as smooth as round ones.
    """
    points = np.vstack([x, y])
    centre = np.median(points, axis=1, keepdims=True)
    frame = np.linalg.cholesky(np.cov(points))
    distance = np.linalg.norm(np.linalg.solve(frame, points - centre), axis=0)
    inner = points[:, distance <= np.quantile(distance, 1 - OUTLYING)]
    density = kernel(inner)
    frame = np.linalg.cholesky(np.cov(inner))
    reach = np.abs(np.linalg.solve(frame, inner - centre)).max() * 1.25
    u, v = np.meshgrid(np.linspace(-reach, reach, 65), np.linspace(-reach, reach, 65))
    at = centre + frame @ np.vstack([u.ravel(), v.ravel()])
    height = density(at).reshape(u.shape)
    # Draws beyond the grid lie lower than any contour that is drawn.
    levels = np.quantile(density(points[:, :: max(points.shape[1] // MOST_CENTRES, 1)]), 1 - np.asarray(probs))
    generator = contour_generator(at[0].reshape(u.shape), at[1].reshape(u.shape), height)
    return [[np.asarray(line) for line in generator.lines(level)] for level in levels]


def clip(polygon: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """Return the part of a convex polygon, shape (vertex, 2), where a·x + b·y ≥ c."""
    height = polygon @ np.array([a, b]) - c
    kept: list[np.ndarray] = []
    for i, vertex in enumerate(polygon):
        before, now = height[i - 1], height[i]
        if (before >= 0) != (now >= 0):
            kept.append(polygon[i - 1] + (vertex - polygon[i - 1]) * before / (before - now))
        if now >= 0:
            kept.append(vertex)
    return np.array(kept).reshape(-1, 2)


def _sign_planes(sign: str, a: float, b: float, limit: float) -> list[tuple[float, float, float]]:
    """Return the half-planes in which a·x + b·y is above, within or below ±limit."""
    if sign == "+":
        return [(a, b, limit)]
    if sign == "-":
        return [(-a, -b, limit)]
    return [(a, b, -limit), (-a, -b, -limit)]


def sectors(low: float, high: float, tolerance: Tolerances) -> dict[str, np.ndarray]:
    """Return the polygon of every scenario class within the square from `low` to `high`, shape (vertex, 2).

    A class that has no area there has no vertex.
    """
    square = np.array([[low, low], [high, low], [high, high], [low, high]])
    found = {}
    for code in words.SCENARIOS:
        necromass, soc, ratio = code[1], code[3], code[5]
        planes = _sign_planes(necromass, 0, 1, tolerance.necromass) + _sign_planes(soc, 1, 0, tolerance.soc)
        if necromass == soc != "0":
            planes += _sign_planes(ratio, -1, 1, tolerance.ratio)
        polygon = square
        for plane in planes:
            polygon = clip(polygon, *plane) if len(polygon) else polygon
        found[code] = polygon
    return found


def _perimeter(low: float, high: float, inset: tuple[float, float], points: int = 400) -> np.ndarray:
    """Return points round the inset square, counter-clockwise from the lower left, shape (4 · points, 2)."""
    start = np.array([low, low]) + inset
    end = np.array([high, high]) - inset
    corners = np.array([start, [end[0], start[1]], end, [start[0], end[1]], start])
    along = np.linspace(0, 1, points, endpoint=False)[:, None]
    return np.concatenate([a + (b - a) * along for a, b in pairwise(corners)])


def rim_places(low: float, high: float, inset: tuple[float, float], tolerance: Tolerances) -> dict[str, np.ndarray]:
    """Return for every class that reaches the rim of the square the middle of its stretch there, shape (2,).

    Parameters
    ----------
    low, high : float
        Limits of the square on both axes.
    inset : tuple of float
        How far inside the frame the labels' middles stand, horizontally and vertically, in units of the axes.
    tolerance : Tolerances
        Half-widths of the strips.
    """
    rim = _perimeter(low, high, inset)
    places = {}
    for code, polygon in sectors(low, high, tolerance).items():
        at = np.flatnonzero(Path(polygon).contains_points(rim)) if len(polygon) else np.array([], dtype=int)
        if at.size:
            gaps = np.diff(at, append=at[0] + len(rim))
            start = at[(int(np.argmax(gaps)) + 1) % at.size]  # the stretch begins after its longest interruption
            stretch = np.sort((at - start) % len(rim))
            places[code] = rim[(start + stretch[stretch.size // 2]) % len(rim)]
    return places
