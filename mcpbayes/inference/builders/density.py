"""Marginal density of the within-control contrasts in PyTensor: every Gaussian effect integrated out.

The same recursion as `mcpbayes.inference.hierarchy` and `mcpbayes.inference.root`, by other code: matrices unrolled
element by element, sums by scatter, gradients by PyTensor. Tests hold both against the dense normal density.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.builders import algebra
from mcpbayes.inference.builders.algebra import Matrix, Vector
from mcpbayes.inference.hierarchy import observed_at_control
from mcpbayes.inference.root import CoefficientPrior, root_columns
from mcpbayes.inference.tree import Hierarchy

Tensor = Any


@dataclass(frozen=True)
class Factors:
    """Lower factors of the covariances of the levels, as nested lists of scalars; None where a level is off."""

    comparison: Matrix
    study: Matrix
    site: Matrix | None = None
    kind: Matrix | None = None


@dataclass(frozen=True)
class Carried:
    """What one level hands to the next: information (matrix of (node,)), score (vector of (node, c)), and sums.

    ``cross`` is the quadratic form of the columns so far, (c, c); ``terms`` is −2 × the rest of the log density.
    """

    information: Matrix
    score: Vector
    cross: Tensor
    terms: Tensor


def log_density(tree: Hierarchy, factors: Factors, prior: CoefficientPrior) -> Tensor:
    """Log density of the within-control contrasts given the covariances; B, κ and all effects integrated out.

    Notes
    -----
    Equals `mcpbayes.inference.root.log_marginal`.
    """
    kinds = 0 if factors.kind is None else tree.kind_count
    columns = root_columns(tree, prior, kinds)
    carried = _controls(tree, columns, factors.comparison)
    parent, size = tree.site, len(tree.study)
    if factors.site is None:
        parent, size = tree.study[tree.site], int(tree.study.max()) + 1
    carried = _sum_to(parent, size, carried)
    if factors.site is not None:
        carried = _sum_to(tree.study, int(tree.study.max()) + 1, _integrate(carried, factors.site))
    carried = _integrate(carried, factors.study)
    return -0.5 * (carried.terms + _root_terms(carried.cross, prior, factors.kind, kinds))


def _outer(left: Vector, right: Vector) -> Tensor:
    """Return Σ_nodes left' right, (c, c), of vectors of (node, c)."""
    return sum(pt.dot(a.T, b) for a, b in zip(left, right, strict=True))


def _apply(matrix: Matrix, vector: Vector) -> Vector:
    """Multiply matrices of (node,) with vectors of (node, c)."""
    return algebra.multiply([[entry[:, None] for entry in row] for row in matrix], vector)


def _minus(left: Vector, right: Vector) -> Vector:
    return [a - b for a, b in zip(left, right, strict=True)]


def _sum_to(parent: Any, size: int, carried: Carried) -> Carried:
    information = [[algebra.sum_into(parent, size, entry) for entry in row] for row in carried.information]
    score = [algebra.sum_into(parent, size, entry) for entry in carried.score]
    return Carried(information, score, carried.cross, carried.terms)


def _treated_arms(tree: Hierarchy, columns: Any, comparison: Matrix) -> tuple[Matrix, Vector, Tensor, Tensor]:
    """Return precision and weighted columns of the treated arms, their quadratic form and ln|M|."""
    outcomes = range(tree.y.shape[1])
    seen = tree.observed[tree.arm].astype(float)
    sampling = tree.sampling[tree.arm]
    sigma = algebra.from_factor(comparison)
    total = [
        [(sampling[:, i, j] + sigma[i][j]) * (seen[:, i] * seen[:, j]) + (i == j) * (1 - seen[:, i]) for j in outcomes]
        for i in outcomes
    ]
    factor = algebra.cholesky(total)
    inverse = algebra.inverse(factor)
    precision = [[inverse[i][j] * (seen[:, i] * seen[:, j]) for j in outcomes] for i in outcomes]
    here = [pt.as_tensor(columns[tree.arm, i]) for i in outcomes]
    weighted = _apply(precision, here)
    return precision, weighted, _outer(here, weighted), pt.sum(algebra.log_determinant(factor))


def _controls(tree: Hierarchy, columns: Any, comparison: Matrix) -> Carried:
    """Integrate comparison effects and baselines (or shared control errors) out."""
    controls = len(tree.site)
    precision, weighted, cross, log_det = _treated_arms(tree, columns, comparison)
    carried = _sum_to(tree.control[tree.arm], controls, Carried(precision, weighted, cross, log_det))
    terms = log_det + tree.observed.sum() * np.log(2 * np.pi)
    carried = Carried(carried.information, carried.score, cross, terms)
    if tree.control_covariance is None:
        return _flat_baselines(tree, columns, carried)
    return _shared_errors(tree.control_covariance, carried)


def _flat_baselines(tree: Hierarchy, columns: Any, carried: Carried) -> Carried:
    """Integrate flat baselines out; the control arms enter as constants."""
    outcomes = range(tree.y.shape[1])
    arms = np.flatnonzero(~tree.treated)
    inverse, log_det = small.observed_inverse(tree.sampling[arms][..., None], tree.observed[arms])
    constant = np.zeros((len(tree.site), len(outcomes), len(outcomes)))
    np.add.at(constant, tree.control[arms], inverse[..., 0])
    weighted = np.einsum("aij,ajc->aic", inverse[..., 0], columns[arms])
    shift = np.zeros((len(tree.site), len(outcomes), columns.shape[2]))
    np.add.at(shift, tree.control[arms], weighted)
    seen = observed_at_control(tree).astype(float)

    inside = carried.information
    total = [[inside[i][j] + constant[:, i, j] + (i == j) * (1 - seen[:, i]) for j in outcomes] for i in outcomes]
    factor = algebra.cholesky(total)
    spread = [
        [entry * (seen[:, i] * seen[:, j]) for j, entry in enumerate(row)]
        for i, row in enumerate(algebra.inverse(factor))
    ]
    score = [carried.score[i] + shift[:, i] for i in outcomes]
    turned = _apply(spread, score)
    shared = algebra.matmul(inside, spread)
    cross = carried.cross + np.einsum("aic,aid->cd", columns[arms], weighted) - _outer(score, turned)
    terms = carried.terms + log_det.sum() + pt.sum(algebra.log_determinant(factor)) - seen.sum() * np.log(2 * np.pi)
    lost = algebra.matmul(shared, inside)
    information = [[inside[i][j] - lost[i][j] for j in outcomes] for i in outcomes]
    return Carried(information, _minus(carried.score, _apply(inside, turned)), cross, terms)


def _shared_errors(shared: Any, carried: Carried) -> Carried:
    """Integrate the shared control errors c ~ N(0, V₀) out."""
    root = small.cholesky(shared[..., None])[..., 0]
    outcomes = range(shared.shape[1])
    return _integrate(carried, [[pt.as_tensor(root[:, i, j]) for j in outcomes] for i in outcomes])


def _integrate(carried: Carried, level: Matrix) -> Carried:
    """Integrate one level with covariance L L' out: I + L'FL is positive definite whatever L is."""
    size = range(len(level))
    lower = [[level[i][j] if j <= i else 0.0 for j in size] for i in size]
    upper = [list(column) for column in zip(*lower, strict=True)]
    inside = algebra.matmul(upper, algebra.matmul(carried.information, lower))
    ones = pt.ones_like(carried.information[0][0])
    factor = algebra.cholesky([[inside[i][j] + float(i == j) * ones for j in size] for i in size])
    spread = algebra.matmul(lower, algebra.matmul(algebra.inverse(factor), upper))
    turned = _apply(spread, carried.score)
    lost = algebra.matmul(carried.information, algebra.matmul(spread, carried.information))
    information = [[carried.information[i][j] - lost[i][j] for j in size] for i in size]
    score = _minus(carried.score, _apply(carried.information, turned))
    cross = carried.cross - _outer(carried.score, turned)
    return Carried(information, score, cross, carried.terms + pt.sum(algebra.log_determinant(factor)))


def _root_terms(cross: Tensor, prior: CoefficientPrior, kind: Matrix | None, kinds: int) -> Tensor:
    """−2 × the terms that integrating coefficients and kinds out adds: R − g'Q⁻¹g + ln|Q|."""
    coefficients, outcomes = prior.mean.shape
    q = (coefficients + kinds) * outcomes
    constant = np.zeros((q, q))
    for i in range(coefficients):
        at = slice(i * outcomes, (i + 1) * outcomes)
        constant[at, at] = prior.factor[i]
    matrix = pt.as_tensor(constant)
    if kind is not None:
        first = coefficients * outcomes
        for i in range(outcomes):
            for j in range(i + 1):
                rows, columns = (np.arange(first, q, outcomes) + offset for offset in (i, j))
                matrix = matrix[rows, columns].set(kind[i][j] * pt.ones(kinds))
    own = np.concatenate([np.repeat(prior.precision, outcomes), np.ones(kinds * outcomes)])
    precision = matrix.T @ cross[:-1, :-1] @ matrix + np.diag(own)
    lower = pt.linalg.cholesky(precision)
    solved = pt.linalg.solve_triangular(lower, matrix.T @ cross[:-1, -1], lower=True)
    flat = np.sum(prior.precision == 0) * outcomes
    log_det = 2 * pt.sum(pt.log(pt.diagonal(lower)))
    return cross[-1, -1] - pt.sum(solved**2) + log_det - flat * np.log(2 * np.pi)
