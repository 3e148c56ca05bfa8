"""One level of normal effects integrated out, for many nodes and draws at once.

Everything is polynomial in the matrices, divided by one determinant: with A the information from below and S the
covariance of a level,

    (A⁻¹ + S)⁻¹ = (A + [adj A, S] + |A| adj S) / det,      (A + S⁻¹)⁻¹ = (S + [adj S, A] + |S| adj A) / det,
    det = |I + AS| = 1 + tr AS + tr(adj A adj S) + |A||S|,      [X, Y] = adj(X + Y) − adj X − adj Y,

written for K = 3; for K = 2 the middle terms vanish, for K = 1 the last ones too. No inverse of A or S is taken, so
missing outcomes (rows of zeros in A), τ = 0 and |ρ| = 1 are exact. More than three outcomes go through LAPACK.
"""

from dataclasses import dataclass

import numpy as np

from mcpbayes.inference.planes import (
    EXPLICIT,
    Planes,
    adjugate,
    determinant,
    mixed,
    pack,
    pairs,
    size_of,
    unpack,
)
from mcpbayes.inference.small_matrices import Array


@dataclass(frozen=True)
class Level:
    """What is known of a level's effects before the data: the minors of its covariance S up to a common factor.

    Parameters
    ----------
    unit, own, turned, last : arrays
        1, S, adj S and |S| where a covariance is given; |C|, adj C, C and 1 where a precision C = S⁻¹ is given, which
        may be singular: flat where it is zero.
    precise : bool
        A precision was given; needed only for K > 3, where ``own`` is S or C itself.
    """

    unit: Array | float
    own: Array
    turned: Array
    last: Array | float
    precise: bool = False


def from_covariance(s: Array) -> Level:
    """Return the level of packed covariances (K(K+1)/2, node or 1, draw or 1)."""
    if size_of(s) > EXPLICIT:
        return Level(1.0, s, s, 1.0)
    turned = adjugate(s)
    # Rounding may leave a singular covariance with a determinant below zero.
    return Level(1.0, s, turned, np.maximum(determinant(s, turned), 0.0))


def from_precision(c: Array) -> Level:
    """Return the level of packed precisions."""
    if size_of(c) > EXPLICIT:
        return Level(1.0, c, c, 1.0, precise=True)
    turned = adjugate(c)
    return Level(determinant(c, turned), turned, c, 1.0)


def integrate(a: Array, level: Level, passed: Array | None = None) -> tuple[Array, Array, Array]:
    """Integrate the effects of one level out.

    Parameters
    ----------
    a : array (K(K+1)/2, node, draw)
        A, information from below.
    level : Level
    passed : array, optional
        Where to write the first result.

    Returns
    -------
    passed : array (K(K+1)/2, node, draw)
        (A⁻¹ + S)⁻¹, what the level above learns.
    spread : array (K(K+1)/2, node, draw)
        (A + S⁻¹)⁻¹, the conditional covariance of the effects.
    det : array (node, draw)
        |I + AS|; |A + C| where the level is a precision.
    """
    size = size_of(a)
    if size > EXPLICIT:
        return _integrate_any(a, level)
    passed = np.empty_like(a) if passed is None else passed
    spread = np.empty_like(a)
    det = level.own[0] * a[0]
    det += level.unit
    if size == 1:
        passed[0], spread[0] = level.unit * a[0] / det, level.own[0] / det
        return passed, spread, det
    for k, (i, j) in enumerate(pairs(size)[1:], 1):
        det += ((2 - (i == j)) * level.own[k]) * a[k]
    turned: Planes = [a[2], a[1], a[0]] if size == 2 else adjugate(a)
    whole = determinant(a, turned)
    det += level.last * whole
    for k in range(len(a)):
        np.multiply(whole, level.turned[k], out=passed[k])
        passed[k] += a[k] if isinstance(level.unit, float) else level.unit * a[k]
        # The element off the diagonal of a 2 × 2 adjugate changes its sign.
        np.multiply(turned[k], -level.last if size == 2 and k == 1 else level.last, out=spread[k])
        spread[k] += level.own[k]
    if size == EXPLICIT:
        _add_middle(a, turned, level, passed, spread, det)
    inverse = 1.0 / det
    passed *= inverse
    spread *= inverse
    return passed, spread, det


def _add_middle(a: Array, turned: Planes, level: Level, passed: Array, spread: Array, det: Array) -> None:
    """Add the terms of the numerators and of the determinant that only K = 3 has, in place."""
    for k, (i, j) in enumerate(pairs(EXPLICIT)):
        det += ((2 - (i == j)) * level.turned[k]) * turned[k]
    for k, (here, there) in enumerate(zip(mixed(turned, level.own), mixed(level.turned, a), strict=True)):
        passed[k] += here
        spread[k] += there


def _integrate_any(a: Array, level: Level) -> tuple[Array, Array, Array]:
    """`integrate` for any K, by LAPACK."""
    full = np.moveaxis(unpack(a), (0, 1), (-2, -1))
    own = np.broadcast_to(np.moveaxis(unpack(level.own), (0, 1), (-2, -1)), full.shape)
    if level.precise:
        det = np.linalg.det(full + own)
        spread = np.linalg.inv(full + own)
        passed = own @ spread @ full
    else:
        inside = np.eye(full.shape[-1]) + own @ full
        det = np.linalg.det(inside)
        spread = np.linalg.solve(inside, own)
        passed = full - full @ spread @ full
    return pack(np.moveaxis(passed, (-2, -1), (0, 1))), pack(np.moveaxis(spread, (-2, -1), (0, 1))), det


def minors(s: Array) -> Array:
    """Return 1, S, adj S (K = 3 only) and |S| (K > 1) of packed (K(K+1)/2, draw) as rows; K > 3: 1 and S."""
    rows = [np.ones((1, s.shape[-1])), s]
    if 1 < size_of(s) <= EXPLICIT:
        level = from_covariance(s)
        rows += [level.turned] * (size_of(s) == 3) + [np.atleast_2d(level.last)]
    return np.concatenate(rows)
