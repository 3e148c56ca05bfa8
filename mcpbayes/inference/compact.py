"""Plans as flat tables for the compiled kernels of `compiled`, and what these work out, in the terms of the package."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from mcpbayes.inference import planes
from mcpbayes.inference.levels import minors
from mcpbayes.inference.plan import DRAWS, Plan, chunks, plan_of
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, Index

if TYPE_CHECKING:
    from mcpbayes.inference.hierarchy import Levels

#: Studies × draws whose densities are worked out at once.
_FINDINGS: Final = 1 << 17

_NOTHING: Final = np.empty((0, 2, 0))


class Table(NamedTuple):
    """Studies, their controls and their arms, grouped: node i has the children first[i] to first[i + 1].

    ``controls`` (control, 5): unit, own and last of `levels.Level`; no rows where controls share nothing (there is then
    one for each study). ``arms`` (arm, 10): y, then |V|, adj V, 1 (of the outcomes observed) and V, divided by |V|.
    ``row``: comparison of each arm.
    """

    first_control: Index
    first_arm: Index
    controls: Array
    arms: Array
    row: Index


class Places(NamedTuple):
    """Where the nodes of a `Table` stand: among the effects (``node``) and among the normals (``at``).

    ``offset`` (control, 2) is added to what is drawn for the controls.
    """

    study_node: Index
    control_node: Index
    control_at: Index
    arm_at: Index
    offset: Array


class Compact(NamedTuple):
    """A hierarchy for the kernels; ``constant`` (study,): −2 × the constants of the log density."""

    table: Table
    places: Places
    constant: Array


def suits(tree: Hierarchy, site: bool) -> bool:
    """Return whether compiled kernels are wanted for a hierarchy and know its layout."""
    return tree.compiled and tree.y.shape[1] == 2 and not site and tree.per_rho is None


def compact(tree: Hierarchy) -> Compact:
    """Write the plan of a hierarchy as flat tables; remembered."""
    if "compact" not in tree.remembered:
        tree.remembered["compact"] = _compact(plan_of(tree, False))
    found: Compact = tree.remembered["compact"]
    return found


def _compact(plan: Plan) -> Compact:
    studies = np.arange(len(plan.studies))
    order, node, control_study = studies, plan.studies, studies
    level, offset = np.empty((0, 5)), np.zeros((len(studies), 2))
    if plan.controls is not None and plan.baseline is not None:
        order = np.argsort(plan.controls.parent, kind="stable")
        node, control_study = plan.controls.nodes[order], plan.controls.parent[order]
        parts = [np.asarray(plan.baseline.unit), *plan.baseline.own, np.asarray(plan.baseline.last)]
        level = np.column_stack([np.broadcast_to(part.reshape(-1), len(order)) for part in parts])[order]
        offset = np.zeros((len(order), 2)) if plan.offset is None else plan.offset[order]
    parent = np.argsort(order)[plan.arms.parent]
    grouped = np.argsort(parent, kind="stable")
    leaves = plan.leaves
    unit, own0, own1, own2, last = leaves.precision[0].T
    # A determinant divided by |V| is at least 1; where V is singular it stays as it is.
    scale = np.where(unit > 0, unit, 1.0)
    known = np.stack([unit, own0, 0.5 * own1, own2, last, *leaves.spread[..., -1]]) / scale
    constant = plan.constant[:, 0] + np.bincount(control_study[parent], np.log(scale), len(studies))
    table = Table(
        np.searchsorted(control_study, np.arange(len(studies) + 1)),
        np.searchsorted(parent[grouped], np.arange(len(order) + 1)),
        np.ascontiguousarray(level),
        np.ascontiguousarray(np.concatenate([leaves.y, known])[:, grouped].T),
        plan.arms.nodes[grouped],
    )
    return Compact(table, Places(plan.studies, node, order, grouped, offset), constant)


def rows_of_levels(comparison: Array, study: Array) -> Array:
    """Return Σ_w, |Σ_w|, Σ_s and |Σ_s| of covariances (2, 2, draw) as rows, (8, draw)."""
    return np.concatenate([minors(planes.pack(sigma))[1:] for sigma in (comparison, study)])


def collapse(tree: Hierarchy, levels: "Levels", features: Array) -> tuple[Array, Array, Array]:
    """Collapse all studies and sum what they hand up, weighted by features (study, b) that are constant within them.

    Parameters
    ----------
    tree : Hierarchy
    levels : Levels
    features : array (study, b)

    Returns
    -------
    information : array (b, b, 2, 2, draw)
    score : array (b, 2, draw)
    remainder : array (draw,)
    """
    from mcpbayes.inference import compiled

    found = compact(tree)
    b, draws = len(features.T), levels.arms.shape[1]
    rows = np.concatenate([levels.arms[1:], levels.study.own[:, 0], np.atleast_2d(levels.study.last)])
    x = np.ascontiguousarray(features[found.places.study_node])
    top, sums = np.empty((3, 1, draws)), np.empty((3 * b * b + 2 * b, draws))
    work = compiled.work_for(sums=len(sums))
    compiled.collapse(found.table, found.places, rows, x, _NOTHING, 0, draws, work, False, top, sums)
    packed = sums[: 3 * b * b].reshape(b, b, 3, -1)
    above = np.arange(b)[:, None] > np.arange(b)
    packed[above] = packed.swapaxes(0, 1)[above]
    information = np.stack([packed[:, :, k] for _, _, k in planes.full_index(2)], axis=2)
    remainder = compiled.terms(top)[0] + found.constant.sum()
    return information.reshape(b, b, 2, 2, -1), sums[3 * b * b :].reshape(b, 2, -1), remainder


def densities(tree: Hierarchy, comparison: Array, study: Array, mean: Array) -> Array:
    """Return the log density of each study, (study, draw), of `hierarchy.log_likelihood`.

    Parameters
    ----------
    tree : Hierarchy
    comparison, study : arrays (2, 2, draw)
        Covariances.
    mean : array (comparison, 2, draw)
    """
    from mcpbayes.inference import compiled

    found, rows, mean = compact(tree), rows_of_levels(comparison, study), _ready(mean)
    value, none = np.empty((tree.studies, mean.shape[-1])), np.empty((0, 0))
    for now in chunks(mean.shape[-1], max(DRAWS, _FINDINGS // tree.studies)):
        top = np.empty((3, tree.studies, now.stop - now.start))
        compiled.collapse(
            found.table, found.places, rows, none, mean, now.start, now.stop, compiled.work_for(), True, top, none
        )
        value[:, now] = compiled.terms(top)
    value[found.places.study_node] += found.constant[:, None]
    value *= -0.5
    return value


def drawer(
    tree: Hierarchy, comparison: Array, study: Array, mean: Array, out: dict[str, Array]
) -> Callable[[slice, dict[str, Array]], None]:
    """Return a function that draws effects of studies, controls and comparisons into ``out``, draws slice by slice.

    Parameters
    ----------
    tree : Hierarchy
    comparison, study : arrays (2, 2, draw)
        Covariances.
    mean : array (comparison, 2, draw)
    out : dict of arrays (node, 2, draw)
        ``study``, ``baseline``, and ``comparison`` where wanted.

    Returns
    -------
    callable
        Takes the slice of the draws and their normals by the same names, (2, node, draw of the slice), nodes in the
        plan's working order; none for ``baseline`` where controls share nothing.
    """
    from mcpbayes.inference import compiled

    found, rows, mean = compact(tree), rows_of_levels(comparison, study), _ready(mean)
    target = out["study"], out["baseline"], out.get("comparison", _NOTHING)
    work = compiled.work_for(controls=int(np.diff(found.table.first_control).max()))

    def draw(now: slice, normals: dict[str, Array]) -> None:
        given = normals["study"], normals.get("baseline", _NOTHING), normals.get("comparison", _NOTHING)
        compiled.draw(found.table, found.places, rows, mean, now.start, now.stop, given, work, target)

    return draw


def _ready(values: Array) -> Array:
    """Return an array of the one kind that the kernels are compiled for; nearly always itself."""
    return np.require(values, np.float64, ["C", "W"])
