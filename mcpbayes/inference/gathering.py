"""From the studies to the root: information about coefficients and kinds, summed over the table.

A feature is a column of the design or the indicator of a kind. Where a feature x_s is constant within every study, its
columns at any level are x_s times the information matrix, so it need not be carried along: the root takes weighted
sums of what the studies hand up. Only features that vary within some study of a group are carried as columns.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mcpbayes.inference import compact, planes
from mcpbayes.inference.hierarchy import Climbed, Levels, climb
from mcpbayes.inference.leaves import leaf_start
from mcpbayes.inference.plan import ARMS, Plan, plan_of
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, Index, select_studies


@dataclass(frozen=True)
class Group:
    """Studies that are collapsed together, and their features.

    Parameters
    ----------
    tree : Hierarchy
    constant, varying : arrays of int
        Features that are constant within every study of the group, and those that are not; features that are zero
        throughout are in neither.
    """

    tree: Hierarchy
    constant: Index
    varying: Index


@dataclass(frozen=True)
class Gathered:
    """What the data say about x: −½ (remainder − 2 x'score + x'information x); b features.

    ``information`` (b, b, K, K, draw), ``score`` (b, K, draw), ``remainder`` (draw,).
    """

    information: Array
    score: Array
    remainder: Array


def features(tree: Hierarchy, kinds: int) -> Array:
    """Return the design and, where ``kinds`` > 0, the indicators of the kinds, (comparison, feature)."""
    return np.concatenate([tree.design, np.eye(kinds)[tree.kind]], axis=1) if kinds else tree.design


def groups(tree: Hierarchy, kinds: int) -> tuple[Group, ...]:
    """Cut the table into groups of studies in which the same features vary; remembered."""
    key = ("groups", kinds)
    if key not in tree.remembered:
        tree.remembered[key] = _groups(tree, kinds)
    found: tuple[Group, ...] = tree.remembered[key]
    return found


def _groups(tree: Hierarchy, kinds: int) -> tuple[Group, ...]:
    x, study = features(tree, kinds), tree.study_of_comparison
    varies = _varies(x, study, tree.studies)
    rows = np.bincount(study, minlength=tree.studies)
    order = np.lexsort((np.arange(tree.studies), *varies.T))
    carries = varies.any(axis=1)
    cuts, filled = [], 0
    for at, s in enumerate(order):
        if at and (filled + rows[s] > ARMS or carries[s] != carries[order[at - 1]]):
            cuts.append(at)
            filled = 0
        filled += rows[s]
    found = []
    for studies in np.split(order, cuts):
        part, *_, comparisons = select_studies(tree, studies)
        varying = varies[studies].any(axis=0)
        present = x[comparisons].any(axis=0)
        found.append(Group(part, np.flatnonzero(present & ~varying), np.flatnonzero(present & varying)))
    return tuple(found)


def _varies(x: Array, study: Index, studies: int) -> NDArray[np.bool_]:
    """Which features vary within each study, (study, feature)."""
    low, high = np.full((2, studies, x.shape[1]), np.inf)
    high *= -1
    np.minimum.at(low, study, x)
    np.maximum.at(high, study, x)
    return np.asarray(low < high)


def gather(tree: Hierarchy, levels: Levels, kind: bool) -> Gathered:
    """Collapse the whole table and sum what it says about the features.

    Parameters
    ----------
    tree : Hierarchy
    levels : Levels
    kind : bool
        Whether the level of kinds is on.
    """
    kinds = tree.kind_count if kind else 0
    b, size, draws = tree.design.shape[1] + kinds, tree.y.shape[1], levels.arms.shape[1]
    total = Gathered(np.zeros((b, b, size, size, draws)), np.zeros((b, size, draws)), np.zeros(draws))
    if compact.suits(tree, levels.site is not None):
        rest = _add_compiled(tree, levels, kinds, total)
    else:
        rest = groups(tree, kinds)
    for group in rest:
        plan = plan_of(group.tree, levels.site is not None)
        if not group.varying.size:
            climbed = climb(plan, levels, leaf_start(plan.leaves, levels.arms))
        else:
            climbed = _with_columns(group, plan, levels, kinds, total)
        _add_constant(group, plan, climbed, kinds, total)
    return total


def _add_compiled(tree: Hierarchy, levels: Levels, kinds: int, total: Gathered) -> tuple[Group, ...]:
    """Add what all studies without varying features say, by the compiled kernel (in place); return the other groups."""
    key = ("steady", kinds)
    if key not in tree.remembered:
        tree.remembered[key] = _steady(tree, kinds)
    part, x, rest = tree.remembered[key]
    if len(x):
        information, score, remainder = compact.collapse(part, levels, x)
        total.information[...] += information
        total.score[...] += score
        total.remainder[...] += remainder
    return tuple(rest)


def _steady(tree: Hierarchy, kinds: int) -> tuple[Hierarchy, Array, tuple[Group, ...]]:
    """Return the studies in which no feature varies, their features (study, feature), and the groups of the others."""
    x, study = features(tree, kinds), tree.study_of_comparison
    steady = np.flatnonzero(~_varies(x, study, tree.studies).any(axis=1))
    first = np.unique(study, return_index=True)[1]
    if len(steady) == tree.studies:
        return tree, x[first], ()
    part = select_studies(tree, steady)[0] if steady.size else tree
    return part, x[first[steady]], tuple(group for group in groups(tree, kinds) if group.varying.size)


def _add_constant(group: Group, plan: Plan, climbed: Climbed, kinds: int, total: Gathered) -> None:
    """Add what the studies hand up, weighted by the features that are constant within them (in place)."""
    size = total.score.shape[1]
    packed = len(planes.pairs(size))
    top = climbed.top
    total.remainder[...] += top[packed].sum(axis=0)
    if not group.constant.size:
        return
    single = _constant_features(group, plan, kinds)
    at = group.constant
    p = len(at)
    _add_squares(single, top[:packed], at, total)
    score = planes.contract(single, top[packed + 1 :].reshape(size, -1, *top.shape[1:]))
    total.score[at] += np.moveaxis(score[:, 0], 0, 1)
    if group.varying.size:
        v = group.varying
        # (K of the constant feature, varying, K of the varying feature, constant, draw)
        both = score[:, 1:].reshape(size, len(v), size, p, -1)
        total.information[at[:, None], v[None, :]] += both.transpose(3, 1, 0, 2, 4)
        total.information[v[:, None], at[None, :]] += both.transpose(1, 3, 2, 0, 4)


def _constant_features(group: Group, plan: Plan, kinds: int) -> Array:
    """Return the features that are constant within studies, (p, study) in working order."""
    if "features" not in group.tree.remembered:
        part = group.tree
        first = np.unique(part.study_of_comparison, return_index=True)[1]
        group.tree.remembered["features"] = features(part, kinds)[first[plan.studies]][:, group.constant].T.copy()
    found: Array = group.tree.remembered["features"]
    return found


@cache
def _upper(size: int) -> tuple[Index, Index]:
    """Return rows and columns of the upper triangle."""
    return np.triu_indices(size)


def _add_squares(x: Array, information: Array, at: Index, total: Gathered) -> None:
    """Add Σ_node x x' ⊗ information of features x (p, node), which are the ``at``-th of the whole (in place)."""
    size = total.score.shape[1]
    first, second = _upper(len(x))
    weights = x[first] * x[second]
    # Indicators of different kinds have no products.
    some = weights.any(axis=1)
    first, second, weights = at[first[some]], at[second[some]], weights[some]
    square = planes.contract(weights, information)
    full = np.stack([square[k] for _, _, k in planes.full_index(size)], axis=1).reshape(
        -1, size, size, square.shape[-1]
    )
    total.information[first, second] += full
    apart = first != second
    if apart.any():
        total.information[second[apart], first[apart]] += full[apart]


def with_columns(start: Array, x: Array, size: int) -> Array:
    """Append the columns of features x (feature, arm) to what arms hand up: scores P x e_k, feature by feature."""
    packed = len(planes.pairs(size))
    columns = 1 + len(x) * size
    wide = np.empty((packed + 1 + size * columns, *start.shape[1:]))
    wide[: packed + 1] = start[: packed + 1]
    score = wide[packed + 1 :].reshape(size, columns, *start.shape[1:])
    score[:, 0] = start[packed + 1 :]
    for i, j, k in planes.full_index(size):
        np.multiply(x[:, :, None], start[k], out=score[i, 1 + j :: size])
    return wide


def _with_columns(group: Group, plan: Plan, levels: Levels, kinds: int, total: Gathered) -> Climbed:
    """Climb with the varying features as columns and add what they say about themselves (in place)."""
    size, v = total.score.shape[1], group.varying
    packed, n = len(planes.pairs(size)), len(v)
    x = np.ascontiguousarray(features(group.tree, kinds)[plan.arms.nodes][:, v].T)
    start = leaf_start(plan.leaves, levels.arms)
    _add_squares(x, start[:packed], v, total)
    score = np.moveaxis(planes.contract(x, start[packed + 1 :]), 0, 1)
    climbed = climb(plan, levels, with_columns(start, x, size))
    lower = climbed.cross[1:, 1:]
    lost = lower + lower.swapaxes(0, 1)
    at = np.arange(len(lost))
    lost[at, at] *= 0.5
    lost = lost.reshape(n, size, n, size, -1).swapaxes(1, 2)
    total.information[v[:, None], v[None, :]] -= lost
    total.score[v] += score - climbed.cross[1:, 0].reshape(n, size, -1)
    return climbed
