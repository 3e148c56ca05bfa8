"""ΔMCP: the change of the ratio necromass/SOC, draw by draw, beside the effects that it follows from."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.baselines import absences, draw_controls
from mcpbayes.estimands.blocks import Block, Piece, RandomEffects, is_stored, pieces
from mcpbayes.estimands.effects import population_effects
from mcpbayes.estimands.layout import Array, Index, labelled_view, put, sums
from mcpbayes.estimands.parts import CHANGE_OF_PART, EFFECT_OF_SUM, RATIO_OF_PART
from mcpbayes.estimands.targets import POPULATION, At, targets
from mcpbayes.estimands.tree import Settings, apply_settings, group, refuse_two_pools, specification, with_groups
from mcpbayes.estimands.walk import (
    Table,
    TargetDraws,
    block_parts,
    control_ratios,
    parts_spread_out,
    ratio_draws,
    spread_out,
    summed,
    table,
)
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads

_DRAWS: Final = ("chain", "draw")

#: Variables of the ratio and their units.
_UNITS: Final = {
    "log_delta_mcp": "log ratio",
    "delta_mcp": "fraction",
    "mcp_efficacy_control": "fraction",
    "mcp_efficacy_treatment": "fraction",
}
_UNITS_OF_PARTS: Final = {
    CHANGE_OF_PART: "fraction",
    RATIO_OF_PART: "fraction",
    EFFECT_OF_SUM: "log response ratio",
}


def log_delta_mcp(theta_n: np.ndarray, theta_c: np.ndarray) -> np.ndarray:
    """Return δ = θ_N − θ_C, the change of ln(necromass/SOC); any shape."""
    return np.asarray(theta_n - theta_c)


def absolute_change(r0: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Return Δr = r₀(e^δ − 1), the absolute ΔMCP.

    Parameters
    ----------
    r0 : ndarray
        Ratio necromass/SOC of the control, fraction.
    delta : ndarray, same shape
        Change of the log ratio.

    Returns
    -------
    ndarray
        Fractions, accurate also for small δ. Treated ratios r₀e^δ above 1 are kept: measured ones exceed 1 too.
    """
    return np.asarray(r0 * np.expm1(delta))


def _outside(data: xr.Dataset, at: At) -> list[str]:
    """Return the points asked for that lie outside the range of the data, such as ``"duration_years=80"``."""
    found = []
    for name, values in at.items():
        observed = data.get(f"moderator_{name}")
        if observed is not None and np.issubdtype(observed.dtype, np.number):
            low, high = float(observed.min()), float(observed.max())
            found += [f"{name}={value}" for value in values if not low <= float(str(value)) <= high]
    return found


def delta_mcp(result: xr.DataTree, at: At | None = None, settings: Settings = ()) -> xr.DataTree:
    """Add the effects and ΔMCP at every level.

    Parameters
    ----------
    result : DataTree
        With groups ``data`` and ``posterior``.
    at : mapping of moderator to values, optional
        Further points of the levels mean and new, for example ``{"duration_years": [10, 20]}``; several moderators
        give the grid; ``kind`` is one where that level is on.
    settings : sequence of "key=value" or mapping, optional
        New values in ``[delta_mcp]``, ``[scenarios]``, ``[summary]``.

    Returns
    -------
    DataTree
        New, with group ``delta_mcp`` (chain, draw, target): ``effect(..., outcome)`` and, at level mean,
        ``average_change(..., mean_target, outcome)``; with both pools also ``log_delta_mcp``, ``delta_mcp``,
        ``mcp_efficacy_control``, ``mcp_efficacy_treatment`` (fractions, NaN where coord ``absent`` says why). With
        fungal and bacterial necromass as outcomes these are of their sum, and ``delta_mcp_part(..., part)`` is what
        each contributes to ``delta_mcp``, ``mcp_efficacy_control_part(..., part)`` what ``mcp_efficacy_control`` is the
        sum of, ``necromass_effect`` the effect on both together. Groups
        ``scenario`` and ``influence`` are dropped, since they belonged to the old targets. Where the posterior does not
        store the effects of studies and comparisons (`vocabulary.STORED_AT_MOST`), the group holds the levels mean and
        new only.
        Attribute ``share_above_one`` is JSON: level → share of the draws with r₀e^δ > 1.

    Raises
    ------
    StageError
        The result was not fitted.
    SpecificationError
        ``at`` or ``settings`` name something that does not exist.

    Notes
    -----
    δ = θ_N − θ_C, Δr = r₀(e^δ − 1). r₀ of a comparison is its control's, of a study the geometric mean of its
    controls', at ``mean`` the average over complete controls with studies weighted equally, at ``new`` one control
    drawn per draw with the same weights. With fungal and bacterial necromass apart all this holds of r₀ of each, and
    Δr = Δr_F + Δr_B, see `parts.part_changes`. Zhu, Schimel & Liang (2025),
    doi:10.1016/j.soilbio.2025.109950.
    """
    return visit_targets(apply_settings(result, settings), at)[0]


#: Gets a result whose targets are known, and returns what is wanted of their draws, worked out in threads.
Visitor = Callable[[xr.DataTree], Callable[[TargetDraws], Any]]


def visit_targets(
    result: xr.DataTree, at: At | None = None, visitor: Visitor | None = None
) -> tuple[xr.DataTree, list[Any]]:
    """Add the group ``delta_mcp``, and let a visitor see the draws of studies and comparisons as they are made.

    Parameters
    ----------
    result : DataTree
    at
        As `delta_mcp`.
    visitor : callable, optional
        Called once with the result in which every target has its place and no target has its draws yet; what it returns
        is called with the draws of all studies and comparisons, a few at a time.

    Returns
    -------
    result : DataTree
        As `delta_mcp` returns it.
    seen : list
        What came of these calls; nothing of the levels mean and new, whose r₀ needs all blocks first.
    """
    refuse_two_pools(result)
    points = {name: list(map(str, [given] if isinstance(given, str) else given)) for name, given in (at or {}).items()}
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    asked = targets(data, posterior, points)
    levels = asked["level"].values
    population = levels[np.isin(levels, POPULATION)]
    seed, reference = result.attrs["seed"], specification(result).reference
    first, average = population_effects(posterior, asked.isel(target=slice(len(population))), seed)
    levels = levels if is_stored(posterior) else population
    effect = np.empty((len(levels), *first.shape[1:]))
    effect[: len(population)] = first
    absent = np.full(len(levels), "", dtype=object)
    ratios: dict[str, Array] = {}
    found = table(data, posterior, asked)
    if found.has_ratio:
        absent = absences(data, asked["level"].values, reference)[: len(levels)]
        ratios = {name: np.empty((len(levels), effect.shape[-1])) for name in _UNITS}
    if found.parts is not None:
        ratios |= {
            CHANGE_OF_PART: np.empty((len(levels), len(words.PARTS), effect.shape[-1])),
            RATIO_OF_PART: np.empty((len(levels), len(words.PARTS), effect.shape[-1])),
            EFFECT_OF_SUM: np.empty((len(levels), effect.shape[-1])),
        }
    dataset = _dataset(posterior, asked.isel(target=slice(len(levels))), effect, average, ratios)
    dataset = dataset.assign_coords(absent=("target", absent.astype(str)))
    dataset.attrs = {
        "at": json.dumps(points, ensure_ascii=False),
        "outside_data": json.dumps(_outside(data, points), ensure_ascii=False),
    }
    # The arrays get their numbers now.
    tree = with_groups(result, {words.DELTA_MCP: dataset}, drop=[words.SCENARIO, words.INFLUENCE])
    visit = None if visitor is None else visitor(tree)
    walk = pieces(data, posterior, found.who, seed)
    above, seen = _fill(found, walk, effect, ratios, population, reference, seed, visit)
    dataset.attrs["share_above_one"] = json.dumps(_shares(levels, above, effect.shape[-1]))
    return with_groups(tree, {words.DELTA_MCP: dataset}), seen


class _Part(NamedTuple):
    """What a block adds to the levels mean and new: weighted r₀ by study, and r₀ of the controls drawn in it."""

    averages: Array
    draws: Index
    drawn: Array


def _fill(
    found: Table,
    walk: Iterator[Piece],
    effect: Array,
    ratios: Mapping[str, Array],
    population: np.ndarray,
    reference: float | None,
    seed: int,
    visit: Callable[[TargetDraws], Any] | None,
) -> tuple[Index, list[Any]]:
    """Write the effects of studies and comparisons, where there is room for them, and r₀, δ, Δr of all targets.

    Returns
    -------
    above : ndarray of int, shape (target,)
        In how many draws r₀e^δ > 1; −1 where r₀ is absent.
    seen : list
        What `visit` returned.
    """
    size, draws = len(population), effect.shape[-1]
    above = np.full(len(effect), -1)
    store = len(effect) > size
    wanted = store or visit is not None
    observed = reference is None and found.controls is not None and bool(found.controls.complete.any())
    weight = found.controls.weight if found.controls is not None and observed else None
    chosen = None if weight is None else draw_controls(weight, draws, generator(seed, "reference"))
    average, drawn = (np.zeros((*found.parts_shape, draws)) for _ in range(2))
    seen: list[Any] = []

    def work(piece: Piece) -> tuple[_Part | None, list[Any]]:
        block, effects = piece
        random, views = effects("comparison" if wanted else "baseline"), []
        part = None if weight is None or chosen is None else _part(found, block, random, weight, chosen)
        if wanted:
            places = size + np.concatenate([block.studies, len(found.row) - len(found.who.study) + block.comparisons])
            parts = block_parts(found, block, random, places)
            del random  # memory for what follows
            for some in parts:
                if store:
                    above[some.places] = _write(some, effect, ratios)
                if visit is not None:
                    views.append(visit(some))
        return part, views

    for part, views in in_threads(work, walk) if wanted or weight is not None else ():
        seen += views
        if part is not None:
            # Study by study, so that the sum is the same to the last bit whatever the blocks are.
            for one in part.averages:
                average += one
            drawn[..., part.draws] = part.drawn
    if found.has_ratio:
        rows = np.stack([average, drawn]) if reference is None else np.full((2, draws), reference)
        there = reference is not None or weight is not None
        shared = summed(rows, np.where(there, (population == words.NEW).astype(np.intp), -1))
        above[:size] = _write(ratio_draws(found, np.arange(size), effect[:size], shared), effect, ratios)
    return above, seen


def _write(draws: TargetDraws, effect: Array, ratios: Mapping[str, Array]) -> Index:
    """Write the draws of some targets; return in how many of them r₀e^δ > 1, −1 where r₀ is absent."""
    put(effect, draws.places, draws.effect)
    if draws.ratio is None or draws.log_change is None or draws.change is None or draws.treated is None:
        return np.full(len(draws.places), -1)
    for name, values in (
        ("log_delta_mcp", draws.log_change),
        ("delta_mcp", draws.change),
        ("mcp_efficacy_control", spread_out(draws.ratio)),
        ("mcp_efficacy_treatment", draws.treated),
    ):
        put(ratios[name], draws.places, values)
    if draws.of_part is not None and draws.of_sum is not None:
        put(ratios[CHANGE_OF_PART], draws.places, draws.of_part)
        put(ratios[EFFECT_OF_SUM], draws.places, draws.of_sum)
    if (control := parts_spread_out(draws.ratio)) is not None:
        put(ratios[RATIO_OF_PART], draws.places, control)
    return np.where(draws.ratio.of < 0, -1, np.count_nonzero(draws.treated > 1, axis=1))


def _part(found: Table, block: Block, random: RandomEffects, weight: Array, chosen: Index) -> _Part:
    """Return what a block adds to r₀ of the levels mean (weighted sums) and new (controls chosen, per draw)."""
    complete, log_ratio = control_ratios(found, block, random)
    ratio = np.exp(log_ratio)
    row = np.full(len(weight), -1, dtype=np.intp)
    row[complete] = np.arange(len(complete))
    at = row[chosen]
    draws = np.flatnonzero(at >= 0)
    assert found.controls is not None
    study = np.searchsorted(block.studies, found.controls.study[complete])
    drawn = ratio[at[draws], ..., draws].T
    ratio *= weight[complete].reshape(-1, *(1,) * (ratio.ndim - 1))
    return _Part(sums(study, len(block.studies), ratio), draws, drawn)


def _dataset(
    posterior: xr.Dataset, asked: xr.Dataset, effect: Array, average: Array, ratios: Mapping[str, Array]
) -> xr.Dataset:
    chains = posterior.sizes["chain"]
    variables: dict[str, tuple[tuple[str, ...], Array, dict[str, str]]] = {
        "effect": ((*_DRAWS, "target", "outcome"), labelled_view(effect, chains), {"units": "log response ratio"}),
        "average_change": ((*_DRAWS, "mean_target", "outcome"), labelled_view(average, chains), {"units": "fraction"}),
    }
    for name, values in ratios.items():
        dims = (*_DRAWS, "target", *(["part"] if values.ndim > 2 else []))
        variables[name] = (dims, labelled_view(values, chains), {"units": (_UNITS | _UNITS_OF_PARTS)[name]})
    names, levels = asked["name"].values, asked["level"].values
    return xr.Dataset(
        variables,
        coords={name: posterior[name].variable for name in (*_DRAWS, "outcome")}
        | {"target": asked["target"].variable, "level": ("target", levels), "name": ("target", names)}
        | {"mean_target": names[levels == words.MEAN]}
        | ({"part": list(words.PARTS)} if CHANGE_OF_PART in ratios else {}),
    )


def _shares(levels: np.ndarray, above: Index, draws: int) -> dict[str, float]:
    """Return level → share of the draws of its targets with r₀ in which r₀e^δ > 1."""
    there = above >= 0
    found = {str(level): above[there & (levels == level)] for level in dict.fromkeys(levels)}
    return {level: float(counts.mean() / draws) for level, counts in found.items() if len(counts)}
