"""Effects drawn exactly, given coefficients and covariances: studies, sites, baselines, comparisons, down the tree."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from mcpbayes.inference import compact, planes
from mcpbayes.inference.hierarchy import Covariances, Node, climb_residuals, levels_of
from mcpbayes.inference.leaves import leaf_spread
from mcpbayes.inference.plan import Plan, below, chunks, plan_of, rows_of
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Block, Hierarchy, Index, blocks
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads

Rung = Literal["baseline", "comparison"]
Normals = Callable[[str, tuple[int, ...], slice], Array]

#: Levels in the order of their streams of random numbers.
RUNGS = ("study", "site", "baseline", "comparison")


@dataclass(frozen=True)
class Drawn:
    """Effects of one block of studies, nodes in the order of the block.

    Parameters
    ----------
    study : array (study, K, draw)
        u_s.
    site : array (site, K, draw) or None
        v_e; None where the level is off.
    baseline : array (control, K, draw)
        b_g; NaN where an outcome was observed in no arm of the control. Contrast-based: the control's error c_g.
    comparison : array (comparison, K, draw) or None
        w_a; None where drawing stopped at the baselines.
    mean : array (comparison, K, draw)
        B'x + κ.
    """

    study: Array
    site: Array | None
    baseline: Array
    comparison: Array | None
    mean: Array


def mean_effects(tree: Hierarchy, beta: Array, kind: Array | None) -> Array:
    """Return B'x + κ, (comparison, K, draw), of beta (coefficient, K, draw) and kind (kind, K, draw)."""
    mean = np.empty((len(tree.arm), *beta.shape[1:]))
    for now in chunks(beta.shape[-1]):
        for k in range(beta.shape[1]):
            np.matmul(tree.design, beta[:, k, now], out=mean[:, k, now])
            if kind is not None:
                mean[:, k, now] += kind[tree.kind, k, now]
    return mean


def draw_block(
    block: Block,
    covariances: Covariances,
    beta: Array,
    kind: Array | None,
    seed: int,
    upto: Rung = "comparison",
) -> Drawn:
    """Draw the effects of one block of studies from their exact conditional.

    Parameters
    ----------
    block : Block
        From `tree.blocks`.
    covariances : Covariances
    beta : array (coefficient, K, draw)
    kind : array (kind, K, draw) or None
        None where the level is off.
    seed : int
        Random numbers are keyed by (seed, "effects", block number), one stream for each level: the same whether or not
        the comparisons are drawn.
    upto : {"baseline", "comparison"}
        Where to stop.
    """
    mean = mean_effects(block.part, beta, kind)
    streams = dict(zip(RUNGS, generator(seed, "effects", block.number).spawn(len(RUNGS)), strict=True))

    room: dict[tuple[str, tuple[int, ...]], Array] = {}

    def normals(rung: str, shape: tuple[int, ...], now: slice) -> Array:
        if (rung, shape) not in room:
            room[rung, shape] = np.empty(shape)
        return streams[rung].standard_normal(out=room[rung, shape])

    return draw_effects(block.part, covariances, mean, normals, upto)


def draw_effects(
    tree: Hierarchy, covariances: Covariances, mean: Array, normals: Normals, upto: Rung = "comparison"
) -> Drawn:
    """Draw the effects of a small hierarchy given B'x + κ, (comparison, K, draw).

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    mean : array (comparison, K, draw)
    normals : callable
        Gives the standard normals (K, node, draw) of a rung for a slice of the draws; asked slice by slice.
    upto : {"baseline", "comparison"}
        Where to stop.

    Notes
    -----
    Each level given the levels above, everything below integrated out: exact, no iteration.
    """
    plan = plan_of(tree, covariances.site is not None)
    shape = mean.shape[1:]
    out = {"study": np.empty((tree.studies, *shape))}
    if plan.sites is not None:
        out["site"] = np.empty((len(tree.study), *shape))
    out["baseline"] = (
        np.zeros((len(tree.site), *shape)) if plan.controls is None else np.empty((len(tree.site), *shape))
    )
    if upto == "comparison":
        out["comparison"] = np.empty_like(mean)
    if compact.suits(tree, covariances.site is not None):
        _draw_compiled(tree, plan, covariances, mean, normals, out)
    else:
        for now in chunks(shape[-1]):
            _draw_piece(plan, covariances, mean, now, normals, out)
    return Drawn(out["study"], out.get("site"), out["baseline"], out.get("comparison"), mean)


def _draw_piece(
    plan: Plan, covariances: Covariances, mean: Array, now: slice, normals: Normals, out: dict[str, Array]
) -> None:
    """Draw the effects for some draws into ``out``."""
    levels = levels_of(covariances, now)
    climbed, precision, det, residual = climb_residuals(plan, levels, mean[..., now], density=False)

    def draw(rung: str, nodes: Index, centre: Array, spread: Array, offset: Array | None = None) -> Array:
        effect = centre + planes.turn(planes.lower_factor(spread), normals(rung, centre.shape, now))
        rows = rows_of(nodes)
        for k, value in enumerate(effect):
            out[rung][rows, k, now] = value if offset is None else value + offset[:, k, None]
        return effect

    above = draw("study", plan.studies, _centre(climbed.study), climbed.study.spread)
    if plan.sites is not None and climbed.site is not None:
        above = below(above, plan.sites)
        above = above + draw("site", plan.sites.nodes, _centre(climbed.site, above), climbed.site.spread)
    if plan.controls is not None and climbed.control is not None:
        above, spread = below(above, plan.controls), climbed.control.spread
        centre = _centre(climbed.control, above)
        above = above + draw("baseline", plan.controls.nodes, centre, spread, plan.offset)
    if "comparison" in out:
        residual -= below(above, plan.arms)
        gain = levels.arms[1 : 1 + len(precision), None]
        centre = planes.apply(gain, planes.apply(precision, residual))
        draw("comparison", plan.arms.nodes, centre, leaf_spread(plan.leaves, levels.arms, precision, det))


def _draw_compiled(
    tree: Hierarchy, plan: Plan, covariances: Covariances, mean: Array, normals: Normals, out: dict[str, Array]
) -> None:
    """Draw all effects into ``out`` by the compiled kernel, from the same normals as `_draw_piece`."""
    nodes = {"study": plan.studies, "baseline": None if plan.controls is None else plan.controls.nodes}
    nodes["comparison"] = plan.arms.nodes if "comparison" in out else None
    draw = compact.drawer(tree, covariances.comparison, covariances.study, mean, out)
    for now in chunks(mean.shape[-1]):
        given = {
            rung: normals(rung, (2, len(wanted), now.stop - now.start), now)
            for rung, wanted in nodes.items()
            if wanted is not None
        }
        draw(now, given)


def _centre(node: Node, above: Array | None = None) -> Array:
    """Return G(r − A above), (K, node, draw)."""
    score = node.score[:, 0]
    return planes.apply(node.spread, score if above is None else score - planes.apply(node.information, above))


def draw_below(
    tree: Hierarchy, covariances: Covariances, beta: Array, kind: Array | None, seed: int
) -> dict[str, Array]:
    """Draw everything below the coefficients for the whole table: `draw_block` for every block.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    beta : array (coefficient, K, draw)
    kind : array (kind, K, draw) or None
    seed : int

    Returns
    -------
    dict of arrays
        ``study`` (study, K, draw), ``site`` (site, K, draw) where the level is on, ``baseline`` (control, K, draw),
        ``comparison`` (comparison, K, draw).
    """
    shape = beta.shape[1:]
    drawn = {
        "study": np.empty((tree.studies, *shape)),
        "baseline": np.empty((len(tree.site), *shape)),
        "comparison": np.empty((len(tree.arm), *shape)),
    }
    if covariances.site is not None:
        drawn["site"] = np.empty((len(tree.study), *shape))
    one = partial(draw_block, covariances=covariances, beta=beta, kind=kind, seed=seed)
    for block, found in zip(blocks(tree), in_threads(one, blocks(tree)), strict=True):
        drawn["study"][block.studies] = found.study
        drawn["baseline"][block.controls] = found.baseline
        drawn["comparison"][block.comparisons] = found.comparison
        if found.site is not None:
            drawn["site"][block.sites] = found.site
    return drawn
