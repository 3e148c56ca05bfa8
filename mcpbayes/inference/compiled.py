"""Compiled kernels for large tables: two outcomes, studies, controls (baselines or shared errors) and arms.

The same algebra as in `levels` and `leaves`, number by number instead of plane by plane: draws are worked on in tiles
so narrow that everything about a tile and a study stays in the fastest cache. For a node with information A from
below, score r, and S before the data, a covariance or the inverse of a precision,

    G = (A + S⁻¹)⁻¹,   E = (A⁻¹ + S)⁻¹,   m = G r,   f = r − A m,   quadratic form −= r'm,   determinant |I + AS|,

E and f being handed up. All of it is polynomial in A and S divided by the determinant. S enters as (unit, own, last):
1, S, |S| for a covariance, |C|, adj C, 1 for a precision C. An arm with sampling covariance V has P = (V + Σ_w)⁻¹,
which is the same G with A = Σ_w and the constants |V|, adj V, 1 (of the outcomes observed), here divided by |V|.

Scratch memory is one flat array with constant offsets: only then does the compiler see that rows do not overlap and
works on several draws with one instruction.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import numba
import numpy as np

from mcpbayes.inference.compact import Places, Table
from mcpbayes.inference.small_matrices import Array

#: Products of determinants are kept within this factor, counting how often it was taken out: one logarithm serves all.
LARGE: Final = 2.0**256

#: Draws in a tile.
WIDTH: Final = 128

# Rows of the scratch array. Given: Σ_w and Σ_s with their determinants.
W0, W1, W2, WD, S0, S1, S2, SD = range(0, 8 * WIDTH, WIDTH)
# A (a, b, c for its elements 00, 01, 11) and r (x, y) of the control and of the study in work.
CA, CB, CC, CX, CY, A, B, C, X, Y = range(8 * WIDTH, 18 * WIDTH, WIDTH)
# Quadratic form, product of determinants, factors taken out of it.
QUADRATIC, PRODUCT, COUNT = range(18 * WIDTH, 21 * WIDTH, WIDTH)
# Residuals of the arm in work, standard normals, effects of study and control, and what was drawn.
Y0, Y1, Z0, Z1, U0, U1, B0, B1, D0, D1 = range(21 * WIDTH, 31 * WIDTH, WIDTH)
_ROWS: Final = 31

_TINY: Final = float(np.finfo(float).tiny)


def _kernel[F: Callable[..., Any]](function: F) -> F:
    """Compile on first use; kept on disk where there is a place for it (elsewhere every process compiles)."""
    # Contracting a product and a sum into one instruction leaves NaN and infinity what they are.
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
    try:
        return cast("F", numba.njit(cache=True, **options)(function))
    except RuntimeError:
        return cast("F", numba.njit(**options)(function))


class Work(NamedTuple):
    """Memory of one call: the flat scratch array; A and r of a study's controls where wanted; sums of the table."""

    scratch: Array
    kept: Array
    total: Array


def work_for(controls: int = 0, sums: int = 0) -> Work:
    """Return memory for studies of at most so many controls to be kept, and so many sums."""
    return Work(np.zeros(_ROWS * WIDTH), np.empty((controls, 5 * WIDTH)), np.empty((sums, WIDTH)))


def terms(top: Array) -> Array:
    """Return quadratic form + log determinant of what `collapse` found, (3, ...)."""
    return np.asarray(top[0] + np.log(top[1]) + top[2] * np.log(LARGE))


@_kernel
def _solve(
    a: float, b: float, c: float, whole: float, unit: float, own0: float, own1: float, own2: float, last: float
) -> tuple[float, float, float, float, float]:
    """Return the determinant, its inverse and G; ``whole`` is |A|."""
    det = unit + own0 * a + 2.0 * own1 * b + own2 * c + last * whole
    inverse = 1.0 / det
    return det, inverse, (own0 + last * c) * inverse, (own1 - last * b) * inverse, (own2 + last * a) * inverse


@_kernel
def _normalise(s: Array) -> None:
    """Bring the products of determinants back into range."""
    for d in range(WIDTH):
        product, count = s[PRODUCT + d], s[COUNT + d]
        large, small = product > LARGE, product < 1.0 / LARGE
        factor = 1.0 / LARGE if large else (LARGE if small else 1.0)
        s[COUNT + d] = count + (1.0 if large else (-1.0 if small else 0.0))
        # A determinant below zero comes from rounding in a far tail: no density.
        s[PRODUCT + d] = product * factor if product > 0.0 else np.nan


@_kernel
def _load(s: Array, levels: Array, start: int, stop: int) -> int:
    """Copy a tile of the levels (8, draw) into the scratch array; return how many draws it has."""
    n: int = min(WIDTH, stop - start)
    for row in range(8):
        for d in range(WIDTH):
            s[row * WIDTH + d] = levels[row, start + min(d, n - 1)]
    return n


@_kernel
def _store(s: Array, row: int, out: Array, start: int, n: int) -> None:
    """Copy a row of the scratch array to draws from ``start`` on."""
    held = out[start:]
    for d in range(n):
        held[d] = s[row + d]


@_kernel
def _begin(s: Array) -> None:
    """Set quadratic form and product of determinants to those of nothing."""
    for d in range(WIDTH):
        s[QUADRATIC + d] = s[COUNT + d] = 0.0
        s[PRODUCT + d] = 1.0


@_kernel
def _residual(s: Array, table: Table, arm: int, mean: Array, start: int, n: int) -> None:
    """Write y, less the mean (comparison, K, draw) if there is any, into the scratch array."""
    y0, y1 = table.arms[arm, 0], table.arms[arm, 1]
    for d in range(WIDTH):
        s[Y0 + d] = y0
        s[Y1 + d] = y1
    if mean.shape[0]:
        first, second = mean[table.row[arm], 0, start:], mean[table.row[arm], 1, start:]
        for d in range(n):
            s[Y0 + d] -= first[d]
        for d in range(n):
            s[Y1 + d] -= second[d]


@_kernel
def _climb(table: Table, study: int, mean: Array, start: int, n: int, work: Work) -> None:
    """Integrate arms and controls of a study out: A and r of the study, quadratic forms and determinants so far."""
    s, kept = work.scratch, work.kept
    shared = table.controls.shape[0] > 0
    below = table.first_control[study]
    for d in range(5 * WIDTH):
        s[A + d] = 0.0
    for g in range(below, table.first_control[study + 1]):
        for d in range(5 * WIDTH):
            s[CA + d] = 0.0
        for i in range(table.first_arm[g], table.first_arm[g + 1]):
            _residual(s, table, i, mean, start, n)
            arm = table.arms[i]
            v, v0, v1, v2, last = arm[2], arm[3], arm[4], arm[5], arm[6]
            for d in range(WIDTH):
                a, b, c, whole = s[W0 + d], s[W1 + d], s[W2 + d], s[WD + d]
                det, _, p0, p1, p2 = _solve(a, b, c, whole, v, v0, v1, v2, last)
                y0, y1 = s[Y0 + d], s[Y1 + d]
                x, y = p0 * y0 + p1 * y1, p1 * y0 + p2 * y1
                s[CA + d] += p0
                s[CB + d] += p1
                s[CC + d] += p2
                s[CX + d] += x
                s[CY + d] += y
                s[QUADRATIC + d] += x * y0 + y * y1
                s[PRODUCT + d] *= det
            if i % 4 == 3:
                _normalise(s)
        if kept.shape[0]:
            own = kept[g - below]
            for d in range(5 * WIDTH):
                own[d] = s[CA + d]
        if shared:
            level = table.controls[g]
            unit, own0, own1, own2, last = level[0], level[1], level[2], level[3], level[4]
            for d in range(WIDTH):
                a, b, c, x, y = s[CA + d], s[CB + d], s[CC + d], s[CX + d], s[CY + d]
                whole = a * c - b * b
                det, inverse, g0, g1, g2 = _solve(a, b, c, whole, unit, own0, own1, own2, last)
                m0, m1 = g0 * x + g1 * y, g1 * x + g2 * y
                s[A + d] += (unit * a + whole * own2) * inverse
                s[B + d] += (unit * b - whole * own1) * inverse
                s[C + d] += (unit * c + whole * own0) * inverse
                s[X + d] += x - a * m0 - b * m1
                s[Y + d] += y - b * m0 - c * m1
                s[QUADRATIC + d] -= x * m0 + y * m1
                s[PRODUCT + d] *= det
        else:
            for d in range(5 * WIDTH):
                s[A + d] = s[CA + d]
        _normalise(s)


@_kernel
def _top(s: Array) -> None:
    """Integrate a study's effect out, in place."""
    for d in range(WIDTH):
        a, b, c, x, y = s[A + d], s[B + d], s[C + d], s[X + d], s[Y + d]
        own0, own1, own2 = s[S0 + d], s[S1 + d], s[S2 + d]
        whole = a * c - b * b
        det, inverse, g0, g1, g2 = _solve(a, b, c, whole, 1.0, own0, own1, own2, s[SD + d])
        m0, m1 = g0 * x + g1 * y, g1 * x + g2 * y
        s[A + d] = (a + whole * own2) * inverse
        s[B + d] = (b - whole * own1) * inverse
        s[C + d] = (c + whole * own0) * inverse
        s[X + d] = x - a * m0 - b * m1
        s[Y + d] = y - b * m0 - c * m1
        s[QUADRATIC + d] -= x * m0 + y * m1
        s[PRODUCT + d] *= det
    _normalise(s)


@_kernel
def collapse(
    table: Table,
    places: Places,
    levels: Array,
    features: Array,
    mean: Array,
    first: int,
    stop: int,
    work: Work,
    each: bool,
    top: Array,
    sums: Array,
) -> None:
    """Collapse all studies, draws first to stop.

    ``mean`` (comparison, K, draw): subtracted from y; may hold nothing. ``top`` (3, study or 1, draws asked for):
    `QUADRATIC`, `PRODUCT` and `COUNT` of each study, or together. ``sums`` (3 p² + 2 p, draws asked for): information
    (p, p, 3), first ≤ second feature filled, and score (p, 2), weighted by features (study, p).
    """
    s, total, p = work.scratch, work.total, features.shape[1]
    for start in range(first, stop, WIDTH):
        n, at = _load(s, levels, start, stop), start - first
        total[:] = 0.0
        _begin(s)
        for study in range(len(places.study_node)):
            _climb(table, study, mean, start, n, work)
            _top(s)
            for j in range(p):
                weight = features[study, j]
                if weight == 0.0:
                    continue
                _add(s, X, weight, 2, total, 3 * p * p + 2 * j)
                for k in range(j, p):
                    if features[study, k] != 0.0:
                        _add(s, A, weight * features[study, k], 3, total, 3 * (j * p + k))
            if each or study == len(places.study_node) - 1:
                for row in range(3):
                    node = places.study_node[study] if each else 0
                    _store(s, QUADRATIC + row * WIDTH, top[row, node], at, n)
                _begin(s)
        for row in range(len(sums)):
            held, own = sums[row, at:], total[row]
            for d in range(n):
                held[d] = own[d]


@_kernel
def _add(s: Array, row: int, weight: float, size: int, total: Array, at: int) -> None:
    """Add rows of the scratch array times a weight."""
    for i in range(size):
        given, held = s[row + i * WIDTH :], total[at + i]
        for d in range(WIDTH):
            held[d] += weight * given[d]


@_kernel
def _factor(a: float, b: float, c: float) -> tuple[float, float, float]:
    """Return the lower factor of a covariance; no variance left gives a column of zeros."""
    a = a if a > 0.0 else 0.0
    pivot = np.sqrt(a)
    lower = b * (pivot / (a + _TINY))
    rest = c - lower * lower
    return pivot, lower, np.sqrt(rest if rest > 0.0 else 0.0)


@_kernel
def _take(s: Array, normals: Array, node: int, start: int, n: int) -> None:
    """Copy standard normals (K, node, draw) of one node."""
    first, second = normals[0, node, start:], normals[1, node, start:]
    for d in range(n):
        s[Z0 + d] = first[d]
    for d in range(n):
        s[Z1 + d] = second[d]


@_kernel
def _draw_study(s: Array) -> None:
    """Draw u given all data: G r + L z."""
    for d in range(WIDTH):
        a, b, c, x, y = s[A + d], s[B + d], s[C + d], s[X + d], s[Y + d]
        _, _, g0, g1, g2 = _solve(a, b, c, a * c - b * b, 1.0, s[S0 + d], s[S1 + d], s[S2 + d], s[SD + d])
        l0, l1, l2 = _factor(g0, g1, g2)
        s[U0 + d] = g0 * x + g1 * y + l0 * s[Z0 + d]
        s[U1 + d] = g1 * x + g2 * y + l1 * s[Z0 + d] + l2 * s[Z1 + d]


@_kernel
def _draw_control(s: Array, own: Array, level: Array, offset: Array) -> None:
    """Draw a baseline or shared error given u: G (r − A u) + L z; ``own``: A and r. Sum it with u for the arms."""
    unit, own0, own1, own2, last = level[0], level[1], level[2], level[3], level[4]
    shift0, shift1 = offset[0], offset[1]
    for d in range(5 * WIDTH):
        s[CA + d] = own[d]
    for d in range(WIDTH):
        a, b, c, u0, u1 = s[CA + d], s[CB + d], s[CC + d], s[U0 + d], s[U1 + d]
        x, y = s[CX + d] - a * u0 - b * u1, s[CY + d] - b * u0 - c * u1
        _, _, g0, g1, g2 = _solve(a, b, c, a * c - b * b, unit, own0, own1, own2, last)
        l0, l1, l2 = _factor(g0, g1, g2)
        effect0 = g0 * x + g1 * y + l0 * s[Z0 + d]
        effect1 = g1 * x + g2 * y + l1 * s[Z0 + d] + l2 * s[Z1 + d]
        s[D0 + d], s[D1 + d] = effect0 + shift0, effect1 + shift1
        s[B0 + d], s[B1 + d] = u0 + effect0, u1 + effect1


@_kernel
def _draw_arm(s: Array, arm: Array) -> None:
    """Draw w given all above: Σ_w P r + L z, L L' = (|V| Σ_w + |Σ_w| V) / |V + Σ_w|."""
    v, v0, v1, v2, last, t0, t1, t2 = arm[2], arm[3], arm[4], arm[5], arm[6], arm[7], arm[8], arm[9]
    for d in range(WIDTH):
        a, b, c, whole = s[W0 + d], s[W1 + d], s[W2 + d], s[WD + d]
        _, inverse, p0, p1, p2 = _solve(a, b, c, whole, v, v0, v1, v2, last)
        y0, y1 = s[Y0 + d] - s[B0 + d], s[Y1 + d] - s[B1 + d]
        x, y = p0 * y0 + p1 * y1, p1 * y0 + p2 * y1
        g0, g1, g2 = v * a + whole * t0, v * b + whole * t1, v * c + whole * t2
        l0, l1, l2 = _factor(g0 * inverse, g1 * inverse, g2 * inverse)
        s[D0 + d] = a * x + b * y + l0 * s[Z0 + d]
        s[D1 + d] = b * x + c * y + l1 * s[Z0 + d] + l2 * s[Z1 + d]


@_kernel
def draw(
    table: Table,
    places: Places,
    levels: Array,
    mean: Array,
    first: int,
    stop: int,
    normals: tuple[Array, Array, Array],
    work: Work,
    out: tuple[Array, Array, Array],
) -> None:
    """Draw effects of studies, controls and arms given means, down the tree; draws first to stop.

    ``normals`` (K, node, draw from first on) and ``out`` (node, K, draw) of the three rungs; arms are not drawn where
    ``out`` has no room for them.
    """
    s, kept = work.scratch, work.kept
    of_study, of_control, of_arm = out
    for start in range(first, stop, WIDTH):
        n, at = _load(s, levels, start, stop), start - first
        for study in range(len(places.study_node)):
            _begin(s)
            _climb(table, study, mean, start, n, work)
            _take(s, normals[0], study, at, n)
            _draw_study(s)
            _put(s, U0, of_study[places.study_node[study]], start, n)
            for d in range(2 * WIDTH):
                s[B0 + d] = s[U0 + d]
            below = table.first_control[study]
            for g in range(below, table.first_control[study + 1]):
                if table.controls.shape[0]:
                    _take(s, normals[1], places.control_at[g], at, n)
                    _draw_control(s, kept[g - below], table.controls[g], places.offset[g])
                    _put(s, D0, of_control[places.control_node[g]], start, n)
                if of_arm.shape[0] == 0:
                    continue
                for i in range(table.first_arm[g], table.first_arm[g + 1]):
                    _residual(s, table, i, mean, start, n)
                    _take(s, normals[2], places.arm_at[i], at, n)
                    _draw_arm(s, table.arms[i])
                    _put(s, D0, of_arm[table.row[i]], start, n)


@_kernel
def _put(s: Array, row: int, out: Array, start: int, n: int) -> None:
    """Copy two rows of the scratch array to the outcomes of a node."""
    _store(s, row, out[0], start, n)
    _store(s, row + WIDTH, out[1], start, n)
