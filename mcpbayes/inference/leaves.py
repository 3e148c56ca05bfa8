"""The lowest rung: treated arms, of which everything is a constant times the minors of Σ_w.

For an arm with sampling covariance V and Σ = Σ_w, on the outcomes that were observed, |V+Σ|, (V+Σ)⁻¹|V+Σ| and the
conditional covariance (Σ⁻¹+V⁻¹)⁻¹|V+Σ| are linear in the rows (1, Σ, adj Σ, |Σ|) with constants of the arm. So one
matrix product with these rows serves all arms and draws, whatever was observed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcpbayes.inference import planes
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.levels import Level
from mcpbayes.inference.planes import EXPLICIT, basis, mixed, pairs
from mcpbayes.inference.small_matrices import Array


@dataclass(frozen=True)
class Leaves:
    """Treated arms in working order, with their constants.

    Parameters
    ----------
    y : array (K, arm)
        Zero where not observed; flat baselines: relative to the control arms.
    sampling, observed : arrays (arm, K, K), (arm, K)
    precision : array (1 + K(K+1)/2, arm, row)
        Constants of |V+Σ| and of the numerators of P = (V+Σ)⁻¹.
    score : array (1 + K, arm, row)
        Constants of the numerators of y'Py and Py.
    spread : array (K(K+1)/2, arm, row)
        Constants of the numerators of (Σ⁻¹+V⁻¹)⁻¹.
    """

    y: Array
    sampling: Array
    observed: NDArray[np.bool_]
    precision: Array
    score: Array
    spread: Array


def build_leaves(y: Array, sampling: Array, observed: NDArray[np.bool_]) -> Leaves:
    """Compute the constants of arms with y (arm, K), sampling (arm, K, K) and observed (arm, K)."""
    size = y.shape[1]
    if size > EXPLICIT:
        nothing = np.empty((0, len(y), 0))
        return Leaves(np.ascontiguousarray(y.T), sampling, observed, nothing, nothing, nothing)
    known = _known(sampling, observed)
    det, inverse, spread = _constants(known, size)
    score = np.stack([sum(inverse[planes.place(size)[i][j]] * y[:, j, None] for j in range(size)) for i in range(size)])
    quadratic = np.einsum("iar,ai->ar", score, y)
    return Leaves(
        np.ascontiguousarray(y.T),
        sampling,
        observed,
        np.concatenate([det[None], inverse]),
        np.concatenate([quadratic[None], score]),
        spread,
    )


def _known(sampling: Array, observed: NDArray[np.bool_]) -> Level:
    """Return |V|, adj V, |V| adj(V⁻¹) and |V||V⁻¹| of the observed block, zero elsewhere; packed, (..., arm, 1)."""
    arms, size = observed.shape
    at = planes.place(size)
    unit, last = np.ones((arms, 1)), np.ones((arms, 1))
    own, turned = np.zeros((2, len(pairs(size)), arms, 1))
    for pattern in np.unique(observed, axis=0):
        rows = np.flatnonzero((observed == pattern).all(axis=1))
        seen = np.flatnonzero(pattern)
        last[rows] = float(len(seen) == size)
        if not seen.size:
            continue
        v = planes.pack(np.moveaxis(sampling[np.ix_(rows, seen, seen)], 0, -1))[..., None]
        adjugate = planes.adjugate(v)
        unit[rows] = planes.determinant(v)
        for k, (i, j) in enumerate(pairs(len(seen))):
            own[at[seen[i]][seen[j]], rows] = adjugate[k]
            if len(seen) == size:
                turned[at[i][j], rows] = v[k]
        if len(seen) == size - 1:
            (left,) = np.flatnonzero(~pattern)
            turned[at[left][left], rows] = 1.0
    return Level(unit, own, turned, last)


def _constants(known: Level, size: int) -> tuple[Array, Array, Array]:
    """Return the constants of the determinant (arm, row), of P and of the spread (K(K+1)/2, arm, row)."""
    packed = len(pairs(size))
    twice = np.array([2.0 - (i == j) for i, j in pairs(size)])
    arms = known.own.shape[1]
    rows = {1: 2, 2: 2 + packed, 3: 2 + 2 * packed}[size]
    det, inverse, spread = np.zeros((arms, rows)), np.zeros((packed, arms, rows)), np.zeros((packed, arms, rows))
    first, second = slice(1, 1 + packed), slice(1 + packed, 1 + 2 * packed)
    det[:, 0], det[:, first] = np.asarray(known.unit)[:, 0], (known.own[..., 0] * twice[:, None]).T
    inverse[..., 0] = known.own[..., 0]
    for k, unit in enumerate(basis(size)):
        spread[k, :, 1 + k] = np.asarray(known.unit)[:, 0]
        last = np.asarray(known.last)[:, 0]
        if size == 2:
            inverse[:, :, 1 + k] = planes.adjugate(unit) * last
        if size == 3:
            inverse[:, :, 1 + k] = np.stack(mixed(known.turned, unit[..., None]))[..., 0]
            spread[:, :, 1 + packed + k] = np.stack(mixed(unit[..., None], known.own))[..., 0]
            inverse[k, :, 1 + packed + k] = last
    if size > 1:
        det[:, -1] = np.asarray(known.last)[:, 0]
        spread[..., -1] = known.turned[..., 0]
    if size == 3:
        det[:, second] = (known.turned[..., 0] * twice[:, None]).T
    return det, inverse, spread


def leaf_precision(leaves: Leaves, rows: Array) -> tuple[Array, Array]:
    """Return P, packed (K(K+1)/2, arm, draw), and |V+Σ| of the observed block, (arm, draw).

    ``rows``: `levels.minors` of Σ_w, (row, draw).
    """
    if len(leaves.y) > EXPLICIT:
        return _precision_any(leaves, rows)
    found = planes.combine(leaves.precision, rows)
    found[1:] *= 1.0 / found[0]
    return found[1:], found[0]


def leaf_start(leaves: Leaves, rows: Array) -> Array:
    """Return what the arms hand up: P, y'Py + ln|V+Σ| and Py, stacked (K(K+1)/2 + 1 + K, arm, draw)."""
    size = len(leaves.y)
    packed = len(pairs(size))
    if size > EXPLICIT:
        return residual_start(*_precision_any(leaves, rows), np.broadcast_to(leaves.y[..., None], (
            *leaves.y.shape, rows.shape[1])))  # fmt: skip
    start = np.empty((packed + 1 + size, leaves.y.shape[1], rows.shape[1]))
    det = planes.combine(leaves.precision[0], rows)
    planes.combine(leaves.precision[1:], rows, start[:packed])
    planes.combine(leaves.score, rows, start[packed:])
    start *= 1.0 / det
    start[packed] += np.log(det, out=det)
    return start


def residual_start(precision: Array, det: Array | None, residual: Array) -> Array:
    """`leaf_start` with residuals (K, arm, draw) in the place of y; without ``det`` its density is left out."""
    packed = len(precision)
    start = np.empty((packed + 1 + len(residual), *precision.shape[1:]))
    start[:packed] = precision
    start[packed + 1 :] = planes.apply(precision, residual)
    if det is None:
        start[packed] = 0.0
        return start
    np.log(det, out=start[packed])
    for score, value in zip(start[packed + 1 :], residual, strict=True):
        start[packed] += score * value
    return start


def leaf_spread(leaves: Leaves, rows: Array, precision: Array, det: Array) -> Array:
    """Return the conditional covariance of w given the levels above, packed (K(K+1)/2, arm, draw)."""
    if len(leaves.y) > EXPLICIT:
        sigma = planes.unpack(rows[1:])[:, :, None]
        full = planes.unpack(precision)
        return planes.pack(sigma - np.einsum("ijad,jkad,klad->ilad", *np.broadcast_arrays(sigma, full, sigma)))
    return planes.combine(leaves.spread, rows) * (1.0 / det)


def _precision_any(leaves: Leaves, rows: Array) -> tuple[Array, Array]:
    sigma = planes.unpack(rows[1:])[None]
    inverse, log_det = small.observed_inverse(leaves.sampling[..., None] + sigma, leaves.observed)
    return planes.pack(np.moveaxis(inverse, 0, 2)), np.exp(log_det)
