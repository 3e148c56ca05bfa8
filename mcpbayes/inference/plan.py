"""Plans: the nodes of some studies in an order in which children are summed into parents by slices.

Parents are worked on in the order of their number of children, most first. Children are listed slot by slot: the
first child of every parent, then the second of all that have two, and so on; so the r-th slot is added to the first
n_r parents, slice onto slice. Plans hold all that does not depend on draws and are made once per table.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mcpbayes.inference import planes, within
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.leaves import Leaves, build_leaves
from mcpbayes.inference.levels import Level, from_covariance, from_precision
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, Index, at_correlation, sum_into

#: Treated arms that are worked on at once: with `DRAWS` draws a plane stays in the cache.
ARMS = 192

#: Draws that are worked on at once.
DRAWS = 256


@dataclass(frozen=True)
class Rung:
    """The nodes of one level in working order.

    Parameters
    ----------
    nodes : array of int
        Their numbers in the hierarchy.
    slots : array of int or None
        Working positions in the order of slots; None where both orders are the same.
    counts : tuple of int
        Children in each slot.
    parent : array of int
        Working position of each node's parent.
    parents : int
        How many parents there are.
    """

    nodes: Index
    slots: Index | None
    counts: tuple[int, ...]
    parent: Index
    parents: int


@dataclass(frozen=True)
class Plan:
    """Some studies of a hierarchy, ready for collapsing.

    Parameters
    ----------
    leaves : Leaves
        Treated arms in the order of ``arms``; ``arms.nodes`` are comparisons.
    arms, controls, sites : Rung
        ``controls`` is None where no control is shared, ``sites`` where the level is off.
    studies : array of int
        Working order of the studies.
    baseline : Level or None
        Flat baselines: precision from the control arms; shared errors: V_0g. Of an unknown ϱ: see `within`.
    offset : array (control, K) or None
        Flat baselines, in the order of ``controls``: what was subtracted from the arms of each control; NaN where an
        outcome was seen in none of them.
    constant : array (study, 1)
        −2 × the constants of the log density.
    """

    leaves: Leaves
    arms: Rung
    controls: Rung | None
    sites: Rung | None
    studies: Index
    baseline: Level | None
    offset: Array | None
    constant: Array


@cache
def keep_pages() -> None:
    """Make glibc keep freed memory up to some 60 MB instead of returning it to the system after every block.

    Freeing one large array raises its thresholds; without that a third of the time goes into page faults. Elsewhere
    this does nothing.
    """
    np.empty(3_900_000)


def chunks(draws: int, size: int = DRAWS) -> list[slice]:
    """Cut draws into pieces that are worked on at once."""
    keep_pages()
    return [slice(start, min(start + size, draws)) for start in range(0, draws, size)]


def below(values: Array, rung: Rung) -> Array:
    """Give every node of a rung the value (..., parent, draw) of its parent."""
    same = len(rung.parent) == rung.parents and np.array_equal(rung.parent, np.arange(rung.parents))
    return values if same else values[..., rung.parent, :]


def rows_of(nodes: Index) -> Index | slice:
    """Return an index of nodes that takes no copy where the order is the natural one."""
    return slice(None) if np.array_equal(nodes, np.arange(len(nodes))) else nodes


def sum_up(values: Array, rung: Rung) -> Array:
    """Sum nodes (..., node, draw) into their parents, in the parents' working order."""
    if len(rung.counts) == 1 and rung.slots is None and rung.counts[0] == rung.parents:
        return values
    if rung.slots is not None:
        values = values[..., rung.slots, :]
    start = rung.counts[0]
    total = values[..., :start, :].copy()
    if start < rung.parents:
        missing = np.zeros((*values.shape[:-2], rung.parents - start, values.shape[-1]))
        total = np.concatenate([total, missing], axis=-2)
    for count in rung.counts[1:]:
        total[..., :count, :] += values[..., start : start + count, :]
        start += count
    return total


def plan_of(tree: Hierarchy, site: bool) -> Plan:
    """Plan the collapsing of a hierarchy, best of a block of studies; remembered.

    Parameters
    ----------
    tree : Hierarchy
    site : bool
        Whether the level of sites is on.
    """
    key = ("plan", site)
    if key not in tree.remembered:
        tree.remembered[key] = (_plan if tree.per_rho is None else _plan_in_rho)(tree, site)
    found: Plan = tree.remembered[key]
    return found


def _plan(tree: Hierarchy, site: bool) -> Plan:
    arms, controls, sites, studies = _rungs(tree, site)
    rows = tree.arm[arms.nodes]
    constant = np.bincount(tree.study_of_comparison, tree.observed[tree.arm].sum(axis=1), tree.studies)
    constant *= np.log(2 * np.pi)
    y, baseline, offset = tree.y[rows], None, None
    if controls is not None and tree.control_covariance is None:
        baseline, offset, own = _flat_baselines(tree, controls.nodes)
        constant += np.bincount(tree.study[tree.site[controls.nodes]], own, tree.studies)
        y = np.where(tree.observed[rows], y - offset[arms.parent], 0.0)
    elif controls is not None and tree.control_covariance is not None:
        shared = tree.control_covariance[controls.nodes]
        baseline = from_covariance(planes.pack(np.moveaxis(shared, 0, 2))[..., None])
    leaves = build_leaves(y, tree.sampling[rows], tree.observed[rows])
    return Plan(leaves, arms, controls, sites, studies, baseline, offset, constant[studies][:, None])


def _plan_in_rho(tree: Hierarchy, site: bool) -> Plan:
    """Plan for an unknown ϱ: arms and baselines as quadratics in it, through the plans at three values."""
    plans = [_plan(at_correlation(tree, rho), site) for rho in within.POINTS]
    found = plans[1]
    found = replace(found, leaves=within.leaves_in_rho([plan.leaves for plan in plans]))
    if found.controls is None:
        return found
    level, log_scale = within.level_in_rho([plan.baseline for plan in plans if plan.baseline is not None])
    extra = np.bincount(tree.study[tree.site[found.controls.nodes]], log_scale, tree.studies)
    return replace(found, baseline=level, constant=found.constant - extra[found.studies][:, None])


def _rungs(tree: Hierarchy, site: bool) -> tuple[Rung, Rung | None, Rung | None, Index]:
    """Order arms, controls, sites and studies, from the top down; levels that are off are left out."""
    shared = tree.control_covariance is None or bool(tree.control_covariance.any())
    study_of_control = tree.study[tree.site]
    control_of_arm = tree.control[tree.arm]
    arms_at = np.bincount(control_of_arm, minlength=len(tree.site))
    above_control, above_size = (tree.site, len(tree.study)) if site else (study_of_control, tree.studies)
    below = above_control if shared else above_control[control_of_arm]
    counted = np.bincount(below, minlength=above_size)
    at_study = np.bincount(tree.study, minlength=tree.studies) if site else counted
    working = studies = np.argsort(-at_study, kind="stable")
    sites = controls = None
    if site:
        sites = _arrange(tree.study, working, counted)
        working = sites.nodes
    if shared:
        controls = _arrange(above_control, working, arms_at)
        working = controls.nodes
    arms = _arrange(control_of_arm if shared else below, working, np.zeros(len(tree.arm), dtype=np.intp))
    return arms, controls, sites, studies


def _arrange(parent: Index, order: Index, own: Index) -> Rung:
    """Order nodes with given parents, whose working order is ``order``, and numbers of children of their own."""
    rank = np.argsort(order)[parent]
    grouped = np.lexsort((-own, rank))
    first = np.searchsorted(rank[grouped], np.arange(len(order)))
    slot = np.empty(len(parent), dtype=np.intp)
    slot[grouped] = np.arange(len(parent)) - first[rank[grouped]]
    by_slot = np.lexsort((rank, slot))
    nodes = by_slot[np.argsort(-own[by_slot], kind="stable")]
    slots = np.argsort(nodes)[by_slot]
    same = np.array_equal(slots, np.arange(len(parent)))
    return Rung(nodes, None if same else slots, tuple(np.bincount(slot).tolist()), rank[nodes], len(order))


def _flat_baselines(tree: Hierarchy, nodes: Index) -> tuple[Level, Array, Array]:
    """Return precision of the control arms, their GLS means (NaN: not seen in any arm) and −2 × constants.

    A flat baseline may be shifted at will. Shifted by the mean of the control arms, these have no score left: they
    enter by their precision and by constants only, and no large numbers cancel.
    """
    controls, size = len(tree.site), tree.y.shape[1]
    arms = np.flatnonzero(~tree.treated)
    inverse, log_det = small.observed_inverse(tree.sampling[arms][..., None], tree.observed[arms])
    precision = sum_into(tree.control[arms], controls, inverse[..., 0])
    score = sum_into(tree.control[arms], controls, np.einsum("aij,aj->ai", inverse[..., 0], tree.y[arms]))
    counts = sum_into(tree.control, controls, tree.observed.astype(float))
    treated = sum_into(tree.control[tree.arm], controls, tree.observed[tree.arm].astype(float))
    total = sum_into(tree.control[tree.arm], controls, tree.y[tree.arm])
    alone = np.diagonal(precision, axis1=1, axis2=2) == 0
    diagonal = np.einsum("gi,ij->gij", alone.astype(float), np.eye(size))
    shift = np.linalg.solve(precision + diagonal, score[..., None])[..., 0]
    shift = np.where(alone, total / np.maximum(treated, 1), shift)
    rest = np.where(tree.observed[arms], tree.y[arms] - shift[tree.control[arms]], 0.0)
    quadratic = np.einsum("ai,aij,aj->a", rest, inverse[..., 0], rest)
    terms = quadratic + log_det[:, 0] + tree.observed[arms].sum(axis=1) * np.log(2 * np.pi)
    constant = sum_into(tree.control[arms], controls, terms) - (counts > 0).sum(axis=1) * np.log(2 * np.pi)
    # One unit of information on a baseline that nothing was seen of changes nothing and keeps determinants from zero.
    unseen = counts == 0
    precision += np.einsum("gi,ij->gij", unseen.astype(float), np.eye(size))
    level = from_precision(planes.pack(np.moveaxis(precision[nodes], 0, 2))[..., None])
    return level, np.where(unseen, np.nan, shift)[nodes], constant[nodes]
