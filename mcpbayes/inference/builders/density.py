"""Density of the within-control contrasts in PyTensor, comparison effects and baselines integrated out."""

from typing import Any

import numpy as np
import pytensor.tensor as pt

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.builders import algebra
from mcpbayes.inference.builders.algebra import Matrix, Vector
from mcpbayes.inference.hierarchy import Hierarchy, observed_at_control

Tensor = Any


def log_density(tree: Hierarchy, effect: Tensor, covariance: Matrix) -> Tensor:
    """Log density of the within-control contrasts given everything above the comparisons.

    Parameters
    ----------
    tree : Hierarchy
    effect : tensor (comparison, K)
        B'x + κ + u + v.
    covariance : matrix of scalars
        Σ_w.

    Notes
    -----
    Equals `mcpbayes.inference.hierarchy.log_likelihood` with Σ_s = 0, by other code (tested).
    """
    size = range(tree.y.shape[1])
    controls = len(tree.site)
    treated = tree.control[tree.arm]
    seen = tree.observed[tree.arm].astype(float)
    total = [
        [
            (tree.sampling[tree.arm, i, j] + covariance[i][j]) * (seen[:, i] * seen[:, j]) + (i == j) * (1 - seen[:, i])
            for j in size
        ]
        for i in size
    ]
    factor = algebra.cholesky(total)
    precision = [
        [p * (seen[:, i] * seen[:, j]) for j, p in enumerate(row)] for i, row in enumerate(algebra.inverse(factor))
    ]
    residual = [(tree.y[tree.arm, i] - effect[:, i]) * seen[:, i] for i in size]
    score = algebra.multiply(precision, residual)
    value = pt.sum(algebra.log_determinant(factor)) + sum(pt.sum(r * s) for r, s in zip(residual, score, strict=True))
    value = value + tree.observed.sum() * np.log(2 * np.pi)
    information = [[algebra.sum_into(treated, controls, precision[i][j]) for j in size] for i in size]
    scores = [algebra.sum_into(treated, controls, score[i]) for i in size]
    if tree.control_covariance is None:
        return -0.5 * (value + _flat_baselines(tree, information, scores))
    return -0.5 * (value + _shared_errors(tree.control_covariance, information, scores))


def _flat_baselines(tree: Hierarchy, information: Matrix, score: Vector) -> Tensor:
    """−2 × the terms that integrating flat baselines out adds; control arms enter as constants."""
    size = range(tree.y.shape[1])
    arms = np.flatnonzero(~tree.treated)
    constant = np.zeros((len(tree.site), len(size), len(size)))
    shift = np.zeros((len(tree.site), len(size)))
    value = 0.0
    for a in arms:
        kept = np.flatnonzero(tree.observed[a])
        block = tree.sampling[a][np.ix_(kept, kept)]
        precision = np.linalg.inv(block)
        constant[tree.control[a]][np.ix_(kept, kept)] += precision
        shift[tree.control[a], kept] += precision @ tree.y[a, kept]
        value += np.linalg.slogdet(block)[1] + tree.y[a, kept] @ precision @ tree.y[a, kept]
    nowhere = ~observed_at_control(tree)
    total = [[information[i][j] + constant[:, i, j] + (i == j) * nowhere[:, i] for j in size] for i in size]
    factor = algebra.cholesky(total)
    solved = algebra.solve_lower(factor, [score[i] + shift[:, i] for i in size])
    value = value + pt.sum(algebra.log_determinant(factor)) - sum(pt.sum(part**2) for part in solved)
    return value - (~nowhere).sum() * np.log(2 * np.pi)


def _shared_errors(shared: Any, information: Matrix, score: Vector) -> Tensor:
    """−2 × the terms that integrating the shared control errors c ~ N(0, V₀) out adds, V₀ = R R'."""
    size = range(shared.shape[1])
    some = np.flatnonzero(np.trace(shared, axis1=1, axis2=2) > 0)
    if not some.size:
        return 0.0
    root = small.cholesky(shared[some][..., None])[..., 0]
    inside = [[entry[some] for entry in row] for row in information]
    middle = [
        [sum(root[:, k, i] * inside[k][m] * root[:, m, j] for k in size for m in size) + float(i == j) for j in size]
        for i in size
    ]
    factor = algebra.cholesky(middle)
    turned = [sum(root[:, k, i] * score[k][some] for k in size) for i in size]
    solved = algebra.solve_lower(factor, turned)
    return pt.sum(algebra.log_determinant(factor)) - sum(pt.sum(part**2) for part in solved)
