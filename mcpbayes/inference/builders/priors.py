"""Priors of a specification as PyMC variables; call inside a model context."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from mcpbayes.errors import SpecificationError
from mcpbayes.inference.small_matrices import cholesky
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Prior
from mcpbayes.vocabulary import pair_name

Tensor = Any  # PyTensor's variables carry no useful static type


def standard_deviations(name: str, prior: Prior, outcomes: Sequence[str], dim: str = "outcome") -> Tensor:
    """Add ``name(dim)``: standard deviations of one level."""

    def numbers(key: str) -> Any:
        return np.array([number(prior, key, outcome) for outcome in outcomes])

    match prior.distribution:
        case "half_normal":
            return pm.Deterministic(name, numbers("sd") * _half_normal_quantile(name, dim), dims=dim)
        case "half_student_t":
            return pm.HalfStudentT(name, nu=numbers("df"), sigma=numbers("scale"), dims=dim)
        case "lognormal":
            return pm.LogNormal(name, mu=np.log(numbers("median")), sigma=numbers("sd_log"), dims=dim)
        case "fixed":
            return pm.Deterministic(name, pt.as_tensor(numbers("value")), dims=dim)
    raise SpecificationError(f"{prior.distribution} is not a prior for standard deviations", f"priors.{name}")


def _half_normal_quantile(name: str, dim: str) -> Tensor:
    """Add a standard normal and return the half-normal value at the same quantile.

    On the scale of the prior's quantiles a τ near zero is an ordinary normal tail; on the logarithmic scale it is a
    long flat one in which chains get lost.
    """
    standard = pm.Normal(f"{name}_standard", dims=dim) / np.sqrt(2)
    # Each half by the function that is accurate there: 1 − Φ(z) is lost in rounding for z > 8, Φ(z) for z < −8.
    upper = pt.erfcinv(0.5 * pt.erfc(pt.maximum(standard, 0)))
    lower = pt.erfinv(0.5 * pt.erfc(-pt.minimum(standard, 0)))
    return np.sqrt(2) * pt.switch(standard > 0, upper, lower)


def correlation_factor(name: str, prior: Prior, outcomes: Sequence[str]) -> list[list[Tensor]]:
    """Add ``name(pair)`` and return the lower Cholesky factor of the correlation matrix, element by element.

    Canonical partial correlations: for K outcomes LKJ(η) is p_ij ~ Beta(η + (K − 2 − j)/2) stretched to (−1, 1),
    j the number of outcomes conditioned on (Lewandowski, Kurowicka & Joe 2009, doi:10.1016/j.jmva.2009.04.008).
    """
    size = len(outcomes)
    if prior.distribution == "fixed":
        return _fixed_factor(name, float(number(prior, "value", outcomes[0])), size)
    factor: list[list[Tensor]] = [[1.0]]
    for i in range(1, size):
        row, left = [], 1.0
        for j in range(i):
            partial = _partial_correlation(f"{name}_partial_{i}{j}", prior, size, j, (outcomes[j], outcomes[i]))
            row.append(partial * pt.sqrt(left))
            left = left * (1 - partial**2)
        factor.append([*row, pt.sqrt(left)])
    if size > 1:
        pairs = [
            sum(factor[i][k] * factor[j][k] for k in range(i + 1)) for i in range(size) for j in range(i + 1, size)
        ]
        pm.Deterministic(name, pt.stack(pairs), dims="pair")
    return factor


def _fixed_factor(name: str, value: float, size: int) -> list[list[Tensor]]:
    """Add the constant ``name(pair)`` and return the factor of the matrix with one correlation everywhere."""
    pm.Deterministic(name, pt.as_tensor(np.full(size * (size - 1) // 2, value)), dims="pair")
    matrix = np.full((size, size), value) + (1 - value) * np.eye(size)
    lower = cholesky(matrix[None, :, :, None])[0, :, :, 0]
    return [[float(lower[i, j]) for j in range(i + 1)] for i in range(size)]


def _partial_correlation(name: str, prior: Prior, size: int, given: int, pair: tuple[str, str]) -> Tensor:
    match prior.distribution:
        case "lkj":
            shape = float(number(prior, "eta", pair[0])) + (size - 2 - given) / 2
            return 2 * pm.Beta(name, alpha=shape, beta=shape) - 1
        case "beta" if size == 2:
            return 2 * pm.Beta(name, alpha=number(prior, "a", pair[0]), beta=number(prior, "b", pair[0])) - 1
    raise SpecificationError(
        f"{prior.distribution} is not a prior for the correlation of {pair_name(pair, 0, 1)} among {size} outcomes",
        name,
    )
