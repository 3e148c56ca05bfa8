"""The root of the hierarchy: coefficients and treatment kinds, integrated out or drawn.

The unknowns at the root are x = (vec B', κ) = mean + T ξ with ξ ~ N(0, I), outcome running fastest: T holds the lower
factors of the priors' covariances, block by block, so no covariance is inverted. A flat coefficient has T = I and no
prior precision, a fixed one T = 0.
"""

from dataclasses import dataclass

import numpy as np

from mcpbayes.inference.hierarchy import Covariances, collapse
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, blocks
from mcpbayes.specification.priors import coefficient_covariance, number, prior_of_coefficient
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator

#: Numbers held at once while quadratic forms are summed: 8 bytes each.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class CoefficientPrior:
    """Normal prior of the coefficients, with flat and fixed ones as limits.

    Parameters
    ----------
    mean : array (coefficient, K)
    factor : array (coefficient, K, K)
        Lower factor of the covariance across outcomes; identity where flat, zero where fixed.
    precision : array (coefficient,)
        1, or 0 where flat.
    """

    mean: Array
    factor: Array
    precision: Array


def coefficient_prior(model: Specification, names: list[str]) -> CoefficientPrior:
    """Read the prior of every coefficient from the specification."""
    outcomes = model.data.outcomes
    size = len(outcomes)
    mean, factor, precision = np.zeros((len(names), size)), np.zeros((len(names), size, size)), np.ones(len(names))
    for i, name in enumerate(names):
        prior = prior_of_coefficient(model, name)
        if prior.distribution == "flat":
            factor[i], precision[i] = np.eye(size), 0.0
        elif prior.distribution == "fixed":
            mean[i] = [number(prior, "value", outcome) for outcome in outcomes]
        else:
            mean[i] = [number(prior, "mean", outcome) for outcome in outcomes]
            factor[i] = np.linalg.cholesky(coefficient_covariance(prior, outcomes))
    return CoefficientPrior(mean, factor, precision)


def root_columns(tree: Hierarchy, prior: CoefficientPrior, kinds: int) -> Array:
    """Return D, shape (arm, K, q + 1): columns of B, of κ where ``kinds`` > 0, and last y − t B₀'x.

    Zero where an outcome was not observed, and in control arms for all but the last column.
    """
    arms, size = tree.y.shape
    blocks_of_x = [tree.design]
    if kinds:
        blocks_of_x.append(np.eye(kinds)[tree.kind])
    x = np.concatenate(blocks_of_x, axis=1)
    columns = np.zeros((arms, size, x.shape[1] * size + 1))
    columns[tree.arm, :, :-1] = np.einsum("cp,kl->ckpl", x, np.eye(size)).reshape(len(x), size, -1)
    columns[:, :, -1] = tree.y
    columns[tree.arm, :, -1] -= tree.design @ prior.mean
    return np.where(tree.observed[..., None], columns, 0.0)


def _factor(prior: CoefficientPrior, kind_factor: Array | None, kinds: int, draws: int) -> Array:
    """Return T, shape (draw, q, q)."""
    coefficients, size = prior.mean.shape
    q = (coefficients + kinds) * size
    matrix = np.zeros((draws, q, q))
    for i in range(coefficients):
        at = slice(i * size, (i + 1) * size)
        matrix[:, at, at] = prior.factor[i]
    if kind_factor is not None:
        for i in range(coefficients, coefficients + kinds):
            at = slice(i * size, (i + 1) * size)
            matrix[:, at, at] = np.moveaxis(kind_factor, -1, 0)
    return matrix


@dataclass(frozen=True)
class Root:
    """The likelihood as a function of ξ: −½ (remainder − 2 ξ'score + ξ'Q ξ), and T; draws first."""

    factor: Array
    precision: Array
    score: Array
    remainder: Array


def collapse_to_root(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None
) -> Root:
    """Integrate everything but the coefficients and kinds out, for every draw of the covariances.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    prior : CoefficientPrior
    kind_factor : array (K, K, draw) or None
        Lower factor of Σ_k; None where the level is off.

    Returns
    -------
    Root
        ``precision`` = Q = T'HT + prior precision, (draw, q, q); ``score`` = T'g, (draw, q); ``remainder`` (draw,)
        = R + the terms of the density that hold no ξ.
    """
    kinds = 0 if kind_factor is None else int(tree.kind.max()) + 1
    draws = covariances.study.shape[-1]
    columns = root_columns(tree, prior, kinds)
    size = columns.shape[2]
    whole, terms = np.zeros((draws, size, size)), np.zeros(draws)
    for _, rows, part, arms, _, _, _ in blocks(tree):
        step = max(1, _CHUNK // ((rows.stop - rows.start) * size**2))
        for start in range(0, draws, step):
            now = slice(start, min(start + step, draws))
            site = None if covariances.site is None else covariances.site[..., now]
            chosen = Covariances(covariances.comparison[..., now], covariances.study[..., now], site)
            found = collapse(part, chosen, columns[arms][..., None])
            whole[now] += np.moveaxis(found.cross.sum(axis=0), -1, 0)
            terms[now] += found.log_terms.sum(axis=0)
    matrix = _factor(prior, kind_factor, kinds, draws)
    turned = np.swapaxes(matrix, 1, 2)
    precision = turned @ whole[:, :-1, :-1] @ matrix
    own = np.concatenate([np.repeat(prior.precision, tree.y.shape[1]), np.ones(kinds * tree.y.shape[1])])
    precision += np.diag(own)
    score = np.einsum("dij,dj->di", turned, whole[:, :-1, -1])
    return Root(matrix, precision, score, whole[:, -1, -1] + terms)


def log_marginal(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None = None
) -> Array:
    """Log density of the within-control contrasts given the covariances, B and κ integrated out; shape (draw,).

    Notes
    -----
    −½ (remainder − score'Q⁻¹score + ln|Q|), plus ½ K ln 2π for each flat coefficient.
    """
    root = collapse_to_root(tree, covariances, prior, kind_factor)
    solved = np.linalg.solve(root.precision, root.score[..., None])[..., 0]
    log_det = np.linalg.slogdet(root.precision)[1]
    flat = np.sum(prior.precision == 0) * tree.y.shape[1]
    value = root.remainder - np.sum(root.score * solved, axis=1) + log_det - flat * np.log(2 * np.pi)
    return np.asarray(-0.5 * value)


def log_restricted(tree: Hierarchy, covariances: Covariances) -> Array:
    """Restricted log-likelihood (REML): `log_marginal` with flat coefficients + ½ ln|X'X|; shape (draw,).

    Notes
    -----
    X is the design of the observed contrasts' outcomes, as in metafor: rows of the comparisons, outcomes separate.
    """
    coefficients, size = tree.design.shape[1], tree.y.shape[1]
    flat = CoefficientPrior(
        np.zeros((coefficients, size)), np.tile(np.eye(size), (coefficients, 1, 1)), np.zeros(coefficients)
    )
    seen = tree.observed[tree.arm]
    rows = [tree.design[seen[:, k]] for k in range(size)]
    constant = 0.5 * sum(np.linalg.slogdet(x.T @ x)[1] for x in rows)
    return np.asarray(log_marginal(tree, covariances, flat) + constant)


def draw_root(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None, seed: int
) -> tuple[Array, Array | None]:
    """Draw coefficients and kinds from their joint Gaussian conditional given the covariances.

    Returns
    -------
    beta : array (coefficient, K, draw)
    kind : array (kind, K, draw) or None
        None where the level is off.
    """
    root = collapse_to_root(tree, covariances, prior, kind_factor)
    draws, q = root.score.shape
    normals = generator(seed, "root").standard_normal((draws, q, 1))
    lower = np.linalg.cholesky(root.precision)
    turned = np.swapaxes(lower, 1, 2)
    standard = np.linalg.solve(turned, np.linalg.solve(lower, root.score[..., None]) + normals)
    x = np.moveaxis((root.factor @ standard)[..., 0], 0, -1).reshape(-1, tree.y.shape[1], draws)
    coefficients = len(prior.mean)
    kind = x[coefficients:] if kind_factor is not None else None
    return prior.mean[..., None] + x[:coefficients], kind
