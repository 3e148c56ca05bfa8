"""Symmetric K × K matrices as planes: one contiguous (node, draw) array per element of the upper triangle.

A packed matrix is an array (K(K+1)/2, node, draw), elements row by row; node or draw may be 1 where it is constant.
Products are written out element by element on whole planes, which is several times faster than a matrix product or a
LAPACK call per node and draw.
"""

from functools import cache
from itertools import product as cartesian

import numpy as np

from mcpbayes.inference.small_matrices import Array

#: Planes of a packed matrix.
Planes = Array | list[Array]

#: Multiplications of a matrix product up to which OpenBLAS stays in the calling thread.
SERIAL = 262_144

#: Largest K with explicit formulas.
EXPLICIT = 3


@cache
def pairs(size: int) -> tuple[tuple[int, int], ...]:
    """Return the (row, column) of each packed element."""
    return tuple((i, j) for i in range(size) for j in range(i, size))


@cache
def place(size: int) -> tuple[tuple[int, ...], ...]:
    """Return the position of each element (i, j) among the packed ones."""
    order = pairs(size)
    return tuple(tuple(order.index((min(i, j), max(i, j))) for j in range(size)) for i in range(size))


def size_of(packed: Planes) -> int:
    """Return K of a packed matrix."""
    return int((np.sqrt(8 * len(packed) + 1) - 1) / 2)


def pack(full: Array) -> Array:
    """Return the upper triangle of ``(K, K, ...)``, shape (K(K+1)/2, ...)."""
    return np.stack([full[i, j] for i, j in pairs(len(full))])


def unpack(packed: Array) -> Array:
    """Return the full matrices, (K, K, ...)."""
    size = size_of(packed)
    return np.stack([np.stack([packed[place(size)[i][j]] for j in range(size)]) for i in range(size)])


def adjugate(a: Array) -> Array:
    """Return adj A, packed, for K ≤ 3."""
    size = size_of(a)
    if size == 1:
        return np.ones_like(a)
    if size == 2:
        return np.stack([a[2], -a[1], a[0]])
    return np.stack([_minor(a, a, i, j) for i, j in pairs(3)])


def _minor(a: Planes, b: Planes, i: int, j: int) -> Array:
    """Return a_rc b_sd − a_rd b_sc, the rows and columns left by (i, j); cyclic indices carry the sign."""
    at = place(3)
    r, s, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
    value = a[at[r][c]] * b[at[s][d]]
    value -= a[at[r][d]] * b[at[s][c]]
    return np.asarray(value)


def mixed(a: Planes, b: Planes) -> list[Array]:
    """Return [A, B] = adj(A + B) − adj A − adj B for K = 3: the part that is linear in both."""
    return [_minor(a, b, i, j) + _minor(b, a, i, j) for i, j in pairs(3)]


def determinant(a: Planes, turned: Planes | None = None) -> Array:
    """Return |A| for K ≤ 3; ``turned`` is adj A where it is known."""
    size = size_of(a)
    if size == 1:
        return np.asarray(a[0])
    if size == 2:
        value = a[0] * a[2]
        value -= a[1] * a[1]
        return np.asarray(value)
    turned = [_minor(a, a, 0, j) for j in range(3)] if turned is None else turned
    return np.asarray(a[0] * turned[0] + a[1] * turned[1] + a[2] * turned[2])


def apply(a: Array, columns: Array) -> Array:
    """Return A times columns (K, ..., node, draw)."""
    size = len(columns)
    out = np.empty((size, *np.broadcast_shapes(columns.shape[1:], a.shape[1:])))
    for i in range(size):
        np.multiply(a[place(size)[i][0]], columns[0], out=out[i])
        for j in range(1, size):
            out[i] += a[place(size)[i][j]] * columns[j]
    return out


def lower_factor(a: Array) -> list[list[Array]]:
    """Return L with L L' = A for positive semi-definite packed A; no variance left gives a column of zeros."""
    size = size_of(a)
    factor: list[list[Array]] = [[] for _ in range(size)]
    for j in range(size):
        rest = a[place(size)[j][j]]
        for k in range(j):
            rest = rest - factor[j][k] * factor[j][k]
        rest = np.maximum(rest, 0.0)
        pivot = np.sqrt(rest)
        factor[j].append(pivot)
        if j + 1 == size:
            break
        # A pivot of zero has nothing to divide: its column is zero.
        scale = pivot / (rest + np.finfo(float).tiny)
        for i in range(j + 1, size):
            value = a[place(size)[i][j]] * scale if j == 0 else a[place(size)[i][j]].copy()
            for k in range(j):
                value -= factor[i][k] * factor[j][k]
            if j:
                value *= scale
            factor[i].append(value)
    return factor


def turn(factor: list[list[Array]], normals: Array) -> Array:
    """Return L times normals (K, node, draw), in place."""
    for i in reversed(range(len(normals))):
        normals[i] *= factor[i][i]
        for j in range(i):
            normals[i] += factor[i][j] * normals[j]
    return normals


def basis(size: int) -> list[Array]:
    """Return the symmetric matrices with ones at one packed element each, packed, (K(K+1)/2, 1)."""
    return list(np.eye(len(pairs(size)))[:, :, None])


def combine(weights: Array, planes: Array, out: Array | None = None) -> Array:
    """Return ``weights @ planes``, cut along the draws into products so small that BLAS starts no threads for them."""
    width = max(16, SERIAL // (weights.shape[-1] * max(weights.shape[-2], 1)))
    draws = planes.shape[-1]
    if draws <= width:
        return np.matmul(weights, planes, out=out)
    if out is None:
        leading = np.broadcast_shapes(weights.shape[:-2], planes.shape[:-2])
        out = np.empty((*leading, weights.shape[-2], draws))
    for start in range(0, draws, width):
        now = slice(start, start + width)
        np.matmul(weights, planes[..., now], out=out[..., now])
    return out


def contract(weights: Array, planes: Array) -> Array:
    """Return Σ_node weights (w, node) planes (..., node, draw), shape (..., w, draw)."""
    if len(weights) > 1:
        return combine(weights, planes)
    if np.all(weights == 1.0):
        return np.asarray(planes.sum(axis=-2, keepdims=True))
    return np.asarray((weights[0][:, None] * planes).sum(axis=-2, keepdims=True))


def full_index(size: int) -> list[tuple[int, int, int]]:
    """Return (i, j, packed position) of all K² elements."""
    return [(i, j, place(size)[i][j]) for i, j in cartesian(range(size), repeat=2)]


def multiply(a: Array, b: Array) -> Array:
    """Return the products of full matrices (K, K, node, draw)."""
    size = len(a)
    return np.stack([np.stack([sum(a[i, j] * b[j, k] for j in range(size)) for k in range(size)]) for i in range(size)])


def sandwich(a: Array, s: Array) -> Array:
    """Return A S A', packed, of a full and a packed matrix."""
    half = multiply(a, unpack(s))
    size = range(len(a))
    return np.stack([np.asarray(sum(half[i, k] * a[j, k] for k in size)) for i, j in pairs(len(a))])
