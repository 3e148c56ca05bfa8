"""Draws from the priors of a specification, and their moments."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.grammar import term_of, terms, written
from mcpbayes.specification.structure import Prior, Specification

Array = np.ndarray[Any, np.dtype[np.float64]]


def number(prior: Prior, key: str, outcome: str) -> float:
    """Return one of a prior's numbers for one outcome."""
    value = prior.parameters[key]
    return float(value) if isinstance(value, (int, float)) else float(value[outcome])


def prior_of_coefficient(spec: Specification, coefficient: str) -> Prior:
    """Return the prior of a coefficient's row of B.

    Parameters
    ----------
    spec : Specification
    coefficient : str
        ``intercept`` or a column of the design, such as ``ecosystem[forest]``.

    Returns
    -------
    Prior
        ``[priors.intercept]``; else ``[priors.slope.<name>]`` of the coefficient or of its term (``ecosystem``), where
        there is one; else ``[priors.slope]``.
    """
    if coefficient == "intercept":
        return spec.priors["intercept"]
    term = term_of(coefficient, terms(spec.moderators.formula))
    names = [coefficient] + ([":".join(term), written(term)] if term else [])
    found = [spec.priors[f"slope.{name}"] for name in names if f"slope.{name}" in spec.priors]
    return found[0] if found else spec.priors["slope"]


def coefficient_covariance(prior: Prior, outcomes: Sequence[str]) -> Array:
    """Return the prior covariance of a coefficient between outcomes.

    Parameters
    ----------
    prior : Prior
        ``normal`` or ``fixed``.
    outcomes : sequence of str
        K names.

    Returns
    -------
    ndarray of float, (K, K)
        sd_i sd_j times the correlation, the same for every pair; zero for a fixed coefficient.

    Raises
    ------
    SpecificationError
        For a flat prior, which has none.
    """
    k = len(outcomes)
    if prior.distribution == "fixed":
        return np.zeros((k, k))
    if prior.distribution != "normal":
        raise SpecificationError(f"a {prior.distribution} prior has no covariance between outcomes")
    sd = _numbers(prior, "sd", outcomes)
    correlation = np.full((k, k), number(prior, "correlation", outcomes[0]))
    np.fill_diagonal(correlation, 1.0)
    covariance: Array = sd[:, None] * correlation * sd
    return covariance


def sample(prior: Prior, rng: np.random.Generator, size: int, outcomes: Sequence[str]) -> Array:
    """Draw coefficients, correlated across outcomes, or standard deviations, independent across outcomes.

    Parameters
    ----------
    prior : Prior
        ``normal``, ``half_normal``, ``half_student_t``, ``lognormal`` or ``fixed``.
    rng : numpy.random.Generator
    size : int
    outcomes : sequence of str
        K names.

    Returns
    -------
    ndarray of float, (size, K)

    Raises
    ------
    SpecificationError
        For ``flat``, which is not a probability distribution, and for priors of correlations.
    """
    shape = (size, len(outcomes))

    def numbers(key: str) -> Array:
        return _numbers(prior, key, outcomes)

    match prior.distribution:
        case "normal":
            factor = np.linalg.cholesky(coefficient_covariance(prior, outcomes))
            return numbers("mean") + rng.standard_normal(shape) @ factor.T
        case "half_normal":
            return numbers("sd") * np.abs(rng.standard_normal(shape))
        case "half_student_t":
            return numbers("scale") * np.abs(rng.standard_t(numbers("df"), shape))
        case "lognormal":
            return numbers("median") * np.exp(numbers("sd_log") * rng.standard_normal(shape))
        case "fixed":
            return np.tile(numbers("value"), (size, 1))
        case "flat":
            raise SpecificationError("a flat prior is not a probability distribution, so nothing can be drawn from it")
    raise SpecificationError(f"{prior.distribution} is a prior of a correlation; see sample_correlation")


def sample_number(prior: Prior, rng: np.random.Generator, size: int) -> Array:
    """Draw what all outcomes share: μ_r (``normal``), σ_r (``half_normal``), or what they are ``fixed`` at; (size,)."""
    standard = rng.standard_normal(size)
    match prior.distribution:
        case "fixed":
            return np.full(size, number(prior, "value", ""))
        case "normal":
            return number(prior, "mean", "") + number(prior, "sd", "") * standard
        case "half_normal":
            return number(prior, "sd", "") * np.abs(standard)
    raise SpecificationError(f"{prior.distribution} is not a prior of a single number here")


def sample_correlation(prior: Prior, rng: np.random.Generator, size: int) -> Array:
    """Draw the correlation of two outcomes.

    Parameters
    ----------
    prior : Prior
        ``lkj``, ``beta`` or ``fixed``.
    rng : numpy.random.Generator
    size : int

    Returns
    -------
    ndarray of float, (size,)

    Notes
    -----
    (1 + ρ)/2 ~ Beta(η, η) for LKJ(η), Beta(a, b) for ``beta``.
    """
    match prior.distribution:
        case "fixed":
            return np.full(size, number(prior, "value", ""))
        case "lkj":
            a = b = number(prior, "eta", "")
        case "beta":
            a, b = number(prior, "a", ""), number(prior, "b", "")
        case _:
            raise SpecificationError(f"{prior.distribution} is not a prior of the correlations of 2 outcomes")
    return 2.0 * rng.beta(a, b, size) - 1.0


def sample_correlation_matrix(prior: Prior, rng: np.random.Generator, size: int, k: int) -> Array:
    """Draw correlation matrices of k outcomes.

    Parameters
    ----------
    prior : Prior
        ``lkj``, ``fixed`` (the same correlation for every pair) or, for two outcomes, ``beta``.
    rng : numpy.random.Generator
    size, k : int

    Returns
    -------
    ndarray of float, (size, k, k)

    Raises
    ------
    SpecificationError
        For another distribution, and for ``beta`` with more than two outcomes.

    Notes
    -----
    LKJ(η) by canonical partial correlations: that of outcomes i > j given the first j (counted from 0) is
    2 Beta(b, b) − 1 with b = η + (k − 2 − j)/2 (Lewandowski, Kurowicka & Joe 2009, doi:10.1016/j.jmva.2009.04.008);
    they fill the rows of the Cholesky factor by stick-breaking.
    """
    if prior.distribution == "fixed":
        value = number(prior, "value", "")
        return np.tile(np.where(np.eye(k) == 1.0, 1.0, value), (size, 1, 1))
    if prior.distribution not in ("lkj", "beta") or (prior.distribution == "beta" and k > 2):
        raise SpecificationError(f"{prior.distribution} is not a prior of the correlations of {k} outcomes")
    factor = np.zeros((size, k, k))
    left = np.ones((size, k))  # what remains of each row's unit length
    for j in range(k - 1):
        if prior.distribution == "lkj":
            a = b = number(prior, "eta", "") + (k - 2 - j) / 2
        else:
            a, b = number(prior, "a", ""), number(prior, "b", "")
        partial = 2.0 * rng.beta(a, b, (size, k - 1 - j)) - 1.0
        factor[:, j + 1 :, j] = partial * np.sqrt(left[:, j + 1 :])
        left[:, j + 1 :] *= 1.0 - partial**2
    factor[:, range(k), range(k)] = np.sqrt(left)
    correlation: Array = factor @ factor.swapaxes(1, 2)
    return correlation


def _numbers(prior: Prior, key: str, outcomes: Sequence[str]) -> Array:
    return np.array([number(prior, key, outcome) for outcome in outcomes])
