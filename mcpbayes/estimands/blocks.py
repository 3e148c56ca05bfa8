"""The random effects of a table, block by block of studies: as the posterior stores them, or redrawn to the bit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.effects import coefficients
from mcpbayes.estimands.layout import Array, Index, node_major, nodes, part_of, positions
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference import tree as tree_blocks
from mcpbayes.inference.back_sampling import draw_block
from mcpbayes.inference.hierarchy import Covariances

#: Stored studies that are worked on at once.
_STUDIES: Final = 8

#: How far down the tree effects are wanted: baselines of controls alone, or comparisons too.
Depth = Literal["baseline", "comparison"]


class Block(NamedTuple):
    """Positions in the data of a block's studies, sites, controls and comparisons."""

    studies: Index
    sites: Index
    controls: Index
    comparisons: Index


class RandomEffects(NamedTuple):
    """Draws of a block, (node, K, draw): effects of studies, sites (where on) and comparisons, baselines of controls.

    None where they do not exist or were not asked for.
    """

    study: Array
    site: Array | None
    baseline: Array | None
    comparison: Array | None


#: A block, and what gives its effects when a worker wants them.
Piece = tuple[Block, Callable[[Depth], RandomEffects]]


@dataclass(frozen=True)
class Membership:
    """Who belongs to whom, as positions: the study, site and control of each comparison, the study of each control."""

    study: Index
    site: Index
    control: Index
    study_of_control: Index


def membership(data: xr.Dataset) -> Membership:
    """Read who belongs to whom from the group ``data``."""

    def place(variable: str, dim: str) -> Index:
        return positions(data.variables[dim].values, data.variables[variable].values)

    return Membership(
        place("study_of_comparison", "study"),
        place("site_of_comparison", "site"),
        place("control_of_comparison", "control"),
        place("study_of_control", "study"),
    )


def is_stored(posterior: xr.Dataset) -> bool:
    """Return whether the posterior holds the effects of studies and comparisons."""
    return "comparison_effect" in posterior


def pieces(data: xr.Dataset, posterior: xr.Dataset, who: Membership, seed: int) -> Iterator[Piece]:
    """Walk the studies in blocks.

    Parameters
    ----------
    data, posterior : Dataset
        Groups of the result.
    who : Membership
        Of `membership`.
    seed : int
        Of the result; where effects are redrawn, random numbers are keyed by (seed, block).

    Yields
    ------
    block : Block
    effects : callable
        Returns the block's `RandomEffects`; draws them only then, so that memory holds the blocks in work alone.
    """
    return _stored(data, posterior, who) if is_stored(posterior) else _redrawn(data, posterior, seed)


def _stored(data: xr.Dataset, posterior: xr.Dataset, who: Membership) -> Iterator[Piece]:
    there = {
        level: nodes(data, posterior, name, level) if name in posterior else None
        for level, name in (
            ("study", "study_effect"),
            ("site", "site_effect"),
            ("control", "baseline"),
            ("comparison", "comparison_effect"),
        )
    }
    for block in _stored_blocks(data, who):

        def effects(depth: Depth, block: Block = block) -> RandomEffects:
            found = [
                None if values is None else part_of(values, index)
                for values, index in zip(there.values(), block, strict=True)
            ]
            return RandomEffects(np.asarray(found[0]), *found[1:])

        yield block, effects


def _stored_blocks(data: xr.Dataset, who: Membership) -> Iterator[Block]:
    study_of_site = np.zeros(data.sizes["site"], dtype=np.intp)
    site_of_control = positions(data.variables["site"].values, data.variables["site_of_control"].values)
    study_of_site[site_of_control] = who.study_of_control
    of_study = (np.arange(data.sizes["study"]), study_of_site, who.study_of_control, who.study)
    order = [np.argsort(study, kind="stable") for study in of_study]
    starts = np.arange(0, data.sizes["study"] + _STUDIES, _STUDIES)
    edges = [np.searchsorted(study[sorted_], starts).tolist() for study, sorted_ in zip(of_study, order, strict=True)]
    for number in range(len(starts) - 1):
        yield Block(*(o[edge[number] : edge[number + 1]] for o, edge in zip(order, edges, strict=True)))


def _redrawn(data: xr.Dataset, posterior: xr.Dataset, seed: int) -> Iterator[Piece]:
    tree = tree_blocks.build_hierarchy(data)
    levels = Covariances(
        comparison=_sigma(posterior, "comparison"),
        study=_sigma(posterior, "study"),
        site=_sigma(posterior, "site") if "tau_site" in posterior else None,
        within=node_major(posterior["rho_within"], "pair")[0] if "rho_within" in posterior else None,
    )
    beta, kind = coefficients(posterior)
    for block in tree_blocks.blocks(tree):

        def effects(depth: Depth, block: tree_blocks.Block = block) -> RandomEffects:
            drawn = draw_block(block, levels, beta, kind, seed, upto=depth)
            baseline = drawn.baseline if block.part.control_covariance is None else None
            return RandomEffects(drawn.study, drawn.site, baseline, drawn.comparison)

        studies = np.arange(block.studies.start, block.studies.stop)
        yield Block(studies, block.sites, block.controls, block.comparisons), effects


def _sigma(posterior: xr.Dataset, level: str) -> Array:
    """Return Σ of a level, (K, K, draw), to the bits with which the effects were drawn first."""
    tau = node_major(posterior[f"tau_{level}"], "outcome").T
    outcomes = posterior["outcome"].values.astype(str).tolist()
    if len(outcomes) == 1:
        return small.covariance(tau, np.empty((len(tau), 0)))
    pairs = [words.pair_name(outcomes, i, j) for i, j in combinations(range(len(outcomes)), 2)]
    rho = node_major(posterior[f"rho_{level}"], "pair")[positions(posterior["pair"].values, np.array(pairs))]
    return small.covariance(tau, rho.T)
