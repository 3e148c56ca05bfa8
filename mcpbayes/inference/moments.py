"""Mean and covariance of effects given the covariances, with coefficients and kinds integrated out too.

Given x = (vec B', κ) every effect is affine in x, and x = x̂ + W z with z ~ N(0, I): so the recursion that draws effects
is run without noise on 1 + q columns, x̂ with the data and each column of W without, while the covariance that does not
come from x runs beside it. With t the effects above a comparison, b its baseline and G the spread of a level,

    b = G(h − At) + noise,      t + w = (I − TP)t − TPb + TPy + noise,      T = Σ_w.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mcpbayes.inference import planes
from mcpbayes.inference.gathering import features
from mcpbayes.inference.hierarchy import Climbed, Covariances, Node, climb, levels_of
from mcpbayes.inference.leaves import leaf_precision, leaf_spread
from mcpbayes.inference.plan import Plan, below, chunks, plan_of, rows_of
from mcpbayes.inference.root import CoefficientPrior, root_moments
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Block, Hierarchy, Index, blocks


@dataclass(frozen=True)
class Moments:
    """Conditional moments of one block of studies; log scale.

    Parameters
    ----------
    block : Block
    comparison_mean, comparison_covariance : arrays (comparison, K, draw), (comparison, K, K, draw)
        Of B'x + κ + u + v + w.
    study_mean, study_covariance : arrays (study, K, draw), (study, K, K, draw)
        Of B'x̄ + κ̄ + u, averages over the study's comparisons.
    """

    block: Block
    comparison_mean: Array
    comparison_covariance: Array
    study_mean: Array
    study_covariance: Array


def marginal_moments(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind_factor: Array | None = None
) -> Iterator[Moments]:
    """Walk the table and give each effect's mean and covariance given φ, everything else integrated out.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    prior : CoefficientPrior
    kind_factor : array (K, K, draw) or None
        Lower factor of Σ_k; None where the level is off.
    """
    centre, root = root_moments(tree, covariances, prior, kind_factor)
    columns = np.concatenate([centre[:, :, None], root], axis=2)
    kinds = len(centre) - tree.design.shape[1]
    for block in blocks(tree):
        yield _block_moments(block, covariances, columns, kinds)


def _block_moments(block: Block, covariances: Covariances, columns: Array, kinds: int) -> Moments:
    """Moments of one block; ``columns``: x̂ and W, (b, K, 1 + q, draw)."""
    tree = block.part
    plan = plan_of(tree, covariances.site is not None)
    size, draws = tree.y.shape[1], columns.shape[-1]
    n, s = len(tree.arm), tree.studies
    found = Moments(
        block,
        np.empty((n, size, draws)),
        np.empty((n, size, size, draws)),
        np.empty((s, size, draws)),
        np.empty((s, size, size, draws)),
    )
    x = features(tree, kinds)
    average = np.zeros((s, x.shape[1]))
    np.add.at(average, tree.study_of_comparison, x)
    average /= np.bincount(tree.study_of_comparison, minlength=s)[:, None]
    for now in chunks(draws):
        here = np.ascontiguousarray(columns[..., now].transpose(1, 2, 0, 3))
        _piece(
            plan,
            covariances,
            planes.combine(x[plan.arms.nodes], here),
            planes.combine(average[plan.studies], here),
            now,
            found,
        )
    return found


def _piece(plan: Plan, covariances: Covariances, eta: Array, average: Array, now: slice, found: Moments) -> None:
    """Fill in some draws; ``eta`` (K, c, arm, draw) and ``average`` (K, c, study, draw) are B'x + κ of the columns."""
    levels = levels_of(covariances, now)
    precision, det = leaf_precision(plan.leaves, levels.arms)
    residual = -eta
    residual[:, 0] += plan.leaves.y[..., None]
    packed = len(precision)
    start = np.zeros((packed + 1 + residual.shape[0] * residual.shape[1], *det.shape))
    start[:packed] = precision
    start[packed + 1 :] = planes.apply(precision, residual).reshape(-1, *det.shape)
    climbed = climb(plan, levels, start, density=False)

    above = planes.apply(climbed.study.spread, climbed.study.score)
    spread = climbed.study.spread
    _store(average + above, spread, plan.studies, now, found.study_mean, found.study_covariance)
    if plan.sites is not None and climbed.site is not None:
        above, spread = below(above, plan.sites), below(spread, plan.sites)
        kept = _kept(climbed.site)
        spread = planes.sandwich(kept, spread) + climbed.site.spread
        above = above + _centre(climbed.site, above)
    gain = planes.multiply(planes.unpack(levels.arms[1 : 1 + packed, None]), planes.unpack(precision))
    at_baseline, above, spread, left = _at_arms(plan, climbed, above, spread, gain)
    residual -= at_baseline
    effect = np.stack([sum(gain[i, j] * residual[j] for j in range(len(gain))) for i in range(len(gain))])
    spread = planes.sandwich(left, spread) + leaf_spread(plan.leaves, levels.arms, precision, det)
    if plan.controls is not None and climbed.control is not None:
        spread += planes.sandwich(gain, _to_arms(climbed.control.spread, plan))
    _store(eta + above + effect, spread, plan.arms.nodes, now, found.comparison_mean, found.comparison_covariance)


def _at_arms(
    plan: Plan, climbed: Climbed, above: Array, spread: Array, gain: Array
) -> tuple[Array, Array, Array, Array]:
    """Return t + b, t, its covariance and I − TP(I − GA), all at the arms."""
    size = len(gain)
    identity = np.eye(size)[..., None, None]
    if plan.controls is None or climbed.control is None:
        above = below(above, plan.arms)
        return above, above, below(spread, plan.arms), identity - gain
    at_control = below(above, plan.controls)
    total = below(at_control + _centre(climbed.control, at_control), plan.arms)
    left = identity - planes.multiply(gain, _to_arms(_kept(climbed.control), plan))
    return total, below(at_control, plan.arms), below(below(spread, plan.controls), plan.arms), left


def _to_arms(values: Array, plan: Plan) -> Array:
    return below(values, plan.arms)


def _centre(node: Node, above: Array) -> Array:
    """Return G(r − A above) of all columns."""
    return planes.apply(node.spread, node.score - planes.apply(node.information, above))


def _kept(node: Node) -> Array:
    """Return I − GA, (K, K, node, draw)."""
    spread, information = planes.unpack(node.spread), planes.unpack(node.information)
    return np.eye(len(spread))[..., None, None] - planes.multiply(spread, information)


def _store(columns: Array, spread: Array, order: Index, now: slice, mean: Array, covariance: Array) -> None:
    """Write the first column as mean and the others' products plus ``spread`` as covariance."""
    rows = rows_of(order)
    size = len(columns)
    for i in range(size):
        mean[rows, i, now] = columns[i, 0]
    for k, (i, j) in enumerate(planes.pairs(size)):
        value = spread[k] + (columns[i, 1:] * columns[j, 1:]).sum(axis=0)
        covariance[rows, i, j, now] = value
        covariance[rows, j, i, now] = value
