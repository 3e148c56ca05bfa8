"""The root of the hierarchy: coefficients and treatment kinds, integrated out or drawn.

The unknowns at the root are x = (vec B', κ) = mean + T ξ with ξ ~ N(0, I), outcome running fastest: T holds the lower
factors of the priors' covariances, block by block, so no covariance is inverted. A flat coefficient has T = I and no
prior precision, a fixed one T = 0.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mcpbayes.inference import compact
from mcpbayes.inference.gathering import Gathered, gather
from mcpbayes.inference.hierarchy import Covariances, levels_of
from mcpbayes.inference.plan import chunks
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy
from mcpbayes.specification.priors import coefficient_covariance, number, prior_of_coefficient
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads


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


def coefficient_prior(
    model: Specification, names: list[str], outcomes: tuple[str, ...] | None = None
) -> CoefficientPrior:
    """Read the prior of every coefficient from the specification, of its outcomes or of what else has effects."""
    outcomes = outcomes or model.data.outcomes
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


@dataclass(frozen=True)
class Root:
    """The likelihood as a function of ξ: −½ (remainder − 2 ξ'score + ξ'Q ξ), and T; draws last.

    Parameters
    ----------
    factor : array (b, K, K, draw or 1)
        T, block by block: b coefficients and kinds.
    precision : array (b K, b K, draw)
        Q = T'HT + prior precision.
    score : array (b K, draw)
    remainder : array (draw,)
        R + the terms of the density that hold no ξ.
    """

    factor: Array
    precision: Array
    score: Array
    remainder: Array


def _standardise(gathered: Gathered, prior: CoefficientPrior, kind_factor: Array | None) -> Root:
    """Turn information and score of x into those of ξ, the prior included."""
    blocks, size, draws = gathered.score.shape
    coefficients = len(prior.mean)
    factor = prior.factor[..., None]
    own = np.repeat(prior.precision, size)
    if kind_factor is not None:
        kinds = np.broadcast_to(kind_factor, (blocks - coefficients, *kind_factor.shape))
        factor = np.concatenate([np.broadcast_to(factor, (*factor.shape[:3], draws)), kinds])
        own = np.concatenate([own, np.ones(len(kinds) * size)])
    information, score, remainder = gathered.information, gathered.score, gathered.remainder
    if prior.mean.any():
        moved = np.einsum("abijd,bj->aid", information[:, :coefficients], prior.mean)
        remainder = remainder - np.einsum("aid,ai->d", 2 * score[:coefficients] - moved[:coefficients], prior.mean)
        score = score - moved
    left, precision = np.zeros((2, *information.shape))
    turned = np.zeros_like(score)
    for i, k in lower_entries(size):
        left[:, :, k] += factor[:, None, i, k, None] * information[:, :, i]
        turned[:, k] += factor[:, i, k] * score[:, i]
    for j, k in lower_entries(size):
        precision[:, :, :, k] += factor[None, :, j, k, None] * left[:, :, :, j]
    precision = precision.swapaxes(1, 2).reshape(blocks * size, blocks * size, draws)
    at = np.arange(blocks * size)
    precision[at, at] += own[:, None]
    return Root(factor, precision, turned.reshape(-1, draws), remainder)


def lower_entries(size: int) -> list[tuple[int, int]]:
    """Return the (row, column) of the lower triangle."""
    return [(i, k) for i in range(size) for k in range(i + 1)]


def eliminate(root: Root) -> tuple[Array, Array, Array]:
    """Factor Q = U'DU and solve U'c = score, in planes of draws.

    Returns
    -------
    upper : array (q, q, draw)
        U, unit upper triangular; other entries are left over.
    pivots : array (q, draw)
        D.
    solved : array (q, draw)
        c.
    """
    upper, solved = root.precision.copy(), root.score.copy()
    pivots = np.empty_like(solved)
    for j in range(len(solved)):
        pivots[j] = upper[j, j]
        row = upper[j, j + 1 :].copy()
        upper[j, j + 1 :] /= pivots[j]
        upper[j + 1 :, j + 1 :] -= upper[j, j + 1 :, None] * row
        solved[j + 1 :] -= upper[j, j + 1 :] * solved[j]
    return upper, pivots, solved


def back_substitute(upper: Array, right: Array) -> Array:
    """Solve U x = right (q, ..., draw) in place."""
    for j in range(len(right) - 1, 0, -1):
        right[:j] -= upper[:j, j].reshape(j, *([1] * (right.ndim - 2)), -1) * right[j]
    return right


def collapse_to_root(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None, now: slice
) -> Root:
    """Integrate everything but the coefficients and kinds out, for some draws of the covariances.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    prior : CoefficientPrior
    kind_factor : array (K, K, draw) or None
        Lower factor of Σ_k; None where the level is off.
    now : slice
        The draws; best no more than `plan.DRAWS`.
    """
    gathered = gather(tree, levels_of(covariances, now), kind_factor is not None)
    return _standardise(gathered, prior, None if kind_factor is None else kind_factor[..., now])


def _by_pieces(tree: Hierarchy, covariances: Covariances, piece: Callable[[slice], Array]) -> Array:
    """Work on all draws piece by piece; compiled kernels on all cores, NumPy would gain little from more than one."""
    pieces = chunks(covariances.study.shape[-1])
    threads = len(pieces) > 1 and compact.suits(tree, covariances.site is not None)
    return np.concatenate(list((in_threads if threads else map)(piece, pieces)), axis=-1)


def log_marginal(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None = None
) -> Array:
    """Log density of the within-control contrasts given the covariances, B and κ integrated out; shape (draw,).

    Notes
    -----
    −½ (remainder − score'Q⁻¹score + ln|Q|), plus ½ K ln 2π for each flat coefficient.
    """

    def piece(now: slice) -> Array:
        gathered = gather(tree, levels_of(covariances, now), kind_factor is not None)
        return marginal_of(gathered, prior, None if kind_factor is None else kind_factor[..., now])

    return _by_pieces(tree, covariances, piece)


def marginal_of(gathered: Gathered, prior: CoefficientPrior, kind_factor: Array | None) -> Array:
    """`log_marginal` from what some data say about the coefficients and kinds; shape (draw,).

    Parameters
    ----------
    gathered : Gathered
    prior : CoefficientPrior
    kind_factor : array (K, K, draw) or None
    """
    root = _standardise(gathered, prior, kind_factor)
    _, pivots, solved = eliminate(root)
    value = root.remainder + np.sum(np.log(pivots) - solved * solved / pivots, axis=0)
    flat = np.sum(prior.precision == 0) * gathered.score.shape[1]
    return np.asarray(-0.5 * (value - flat * np.log(2 * np.pi)))


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
    size = tree.y.shape[1]
    blocks = len(prior.mean) + (0 if kind_factor is None else tree.kind_count)
    normals = generator(seed, "root").standard_normal((blocks * size, covariances.study.shape[-1]))

    def piece(now: slice) -> Array:
        return _draw(collapse_to_root(tree, covariances, prior, kind_factor, now), normals[:, now])

    return _parted(_by_pieces(tree, covariances, piece), prior)


def draw_root_of(
    gathered: Gathered, prior: CoefficientPrior, kind_factor: Array | None, seed: int
) -> tuple[Array, Array | None]:
    """Draw what `draw_root` draws, with the same numbers, where all that the data say is at hand."""
    blocks, size, draws = gathered.score.shape
    normals = generator(seed, "root").standard_normal((blocks * size, draws))
    return _parted(_draw(_standardise(gathered, prior, kind_factor), normals), prior)


def _draw(root: Root, normals: Array) -> Array:
    """Return coefficients, less their prior means, and kinds, (b, K, draw)."""
    upper, pivots, solved = eliminate(root)
    standard = back_substitute(upper, solved / pivots + normals / np.sqrt(pivots))
    return turn(root.factor, standard.reshape(len(root.factor), -1, normals.shape[-1]))


def _parted(x: Array, prior: CoefficientPrior) -> tuple[Array, Array | None]:
    """Return coefficients and kinds; None where the level of kinds is off."""
    coefficients = len(prior.mean)
    return prior.mean[..., None] + x[:coefficients], x[coefficients:] if len(x) > coefficients else None


def turn(factor: Array, standard: Array) -> Array:
    """Return T ξ, (b, K, ..., draw), of ξ (b, K, ..., draw)."""
    x = np.zeros_like(standard)
    wide = (slice(None), *[None] * (standard.ndim - 3))
    for i, k in lower_entries(standard.shape[1]):
        x[:, i] += factor[:, i, k][wide] * standard[:, k]
    return x


def root_moments(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None = None
) -> tuple[Array, Array]:
    """Return mean and a square root of the covariance of x = (B, κ) given the covariances.

    Returns
    -------
    centre : array (b, K, draw)
        Coefficients, then kinds.
    root : array (b, K, q, draw)
        W with W W' = Cov(x).
    """
    size, coefficients = tree.y.shape[1], len(prior.mean)

    def piece(now: slice) -> Array:
        root = collapse_to_root(tree, covariances, prior, kind_factor, now)
        upper, pivots, solved = eliminate(root)
        q = len(pivots)
        right = np.zeros((q, 1 + q, pivots.shape[-1]))
        right[:, 0] = solved / pivots
        right[np.arange(q), 1 + np.arange(q)] = 1 / np.sqrt(pivots)
        return turn(root.factor, back_substitute(upper, right).reshape(-1, size, 1 + q, pivots.shape[-1]))

    x = _by_pieces(tree, covariances, piece)
    centre = x[:, :, 0]
    centre[:coefficients] += prior.mean[..., None]
    return centre, x[:, :, 1:]
