"""Small matrices in PyTensor, element by element.

Matrices are nested lists of vectors over nodes (or of scalars). Unrolled like this the graph holds only elementwise
operations, which compile and run much faster than one linear-algebra call per node.
"""

from typing import Any

import pytensor.tensor as pt

Tensor = Any
Matrix = list[list[Tensor]]
Vector = list[Tensor]


def cholesky(a: Matrix) -> Matrix:
    """Return the lower factor L of symmetric positive-definite matrices, rows of growing length."""
    factor: Matrix = []
    for i in range(len(a)):
        row: Vector = []
        for j in range(i + 1):
            rest = a[i][j] - sum(row[k] * (factor[j][k] if j < i else row[k]) for k in range(j))
            row.append(pt.sqrt(rest) if i == j else rest / factor[j][j])
        factor.append(row)
    return factor


def log_determinant(factor: Matrix) -> Tensor:
    """Return ln|L L'|."""
    return 2 * sum(pt.log(factor[i][i]) for i in range(len(factor)))


def inverse(factor: Matrix) -> Matrix:
    """Return (L L')⁻¹ = L⁻ᵀ L⁻¹."""
    size = range(len(factor))
    columns: Matrix = []
    for j in size:
        solution: Vector = []
        for i in size:
            rest = float(i == j) - sum(factor[i][k] * solution[k] for k in range(j, i)) if i >= j else 0.0
            solution.append(rest / factor[i][i] if i >= j else 0.0)
        columns.append(solution)
    return [[sum(columns[i][k] * columns[j][k] for k in size if k >= max(i, j)) for j in size] for i in size]


def from_factor(factor: Matrix) -> Matrix:
    """Return L L'; the upper part of L is ignored."""
    size = range(len(factor))
    return [[sum(factor[i][k] * factor[j][k] for k in range(min(i, j) + 1)) for j in size] for i in size]


def multiply(a: Matrix, b: Vector) -> Vector:
    """Return A b."""
    return [sum(x * y for x, y in zip(row, b, strict=True)) for row in a]


def matmul(a: Matrix, b: Matrix) -> Matrix:
    """Return A B."""
    columns = list(zip(*b, strict=True))
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in a]


def sum_into(index: Any, size: int, values: Tensor) -> Tensor:
    """Sum the values of nodes that share a parent, shape (size, ...)."""
    shape = (size, *[values.shape[axis] for axis in range(1, values.ndim)])
    return pt.zeros(shape)[index].inc(values)
