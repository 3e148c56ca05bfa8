"""Small positive-definite matrices in PyTensor, element by element.

Matrices are nested lists of vectors over nodes. Unrolled like this the graph holds only elementwise operations, which
compile and run much faster than one linear-algebra call per node.
"""

from typing import Any

import pytensor.tensor as pt

Tensor = Any
Matrix = list[list[Tensor]]
Vector = list[Tensor]


def cholesky(a: Matrix) -> Matrix:
    """Return the lower factor L of symmetric positive-definite matrices."""
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


def solve_lower(factor: Matrix, b: Vector) -> Vector:
    """Return L⁻¹ b."""
    solution: Vector = []
    for i, row in enumerate(factor):
        solution.append((b[i] - sum(row[k] * solution[k] for k in range(i))) / row[i])
    return solution


def inverse(factor: Matrix) -> Matrix:
    """Return (L L')⁻¹."""
    size = len(factor)
    columns = [solve_lower(factor, [1.0 if i == j else 0.0 for i in range(size)]) for j in range(size)]
    return [[sum(columns[i][k] * columns[j][k] for k in range(size)) for j in range(size)] for i in range(size)]


def multiply(a: Matrix, b: Vector) -> Vector:
    """Return A b."""
    return [sum(x * y for x, y in zip(row, b, strict=True)) for row in a]


def sum_into(index: Any, size: int, values: Tensor) -> Tensor:
    """Sum the values of nodes that share a parent, shape (size,)."""
    return pt.zeros(size)[index].inc(values)
