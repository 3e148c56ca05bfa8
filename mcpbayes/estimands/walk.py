"""Every target with its draws, a few at a time: those that are stored as they are, the others block by block."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.baselines import Controls, controls
from mcpbayes.estimands.blocks import Block, Depth, Membership, RandomEffects, membership, pieces
from mcpbayes.estimands.effects import coefficients, typical_effects
from mcpbayes.estimands.layout import Array, Index, node_major, sums
from mcpbayes.estimands.parts import CHANGE_OF_PART, EFFECT_OF_SUM, RATIO_OF_PART, part_changes, parts_of

#: Targets that are worked on at once.
TARGETS: Final = 32


class Ratios(NamedTuple):
    """Control ratios r₀, and which row each target has.

    Parameters
    ----------
    rows : ndarray, shape (ratio, draw)
        Fractions.
    of : ndarray of int, shape (target,)
        −1 where r₀ is absent.
    parts : ndarray, shape (ratio, part, draw), or None
        What `rows` is the sum of, where fungal and bacterial necromass are outcomes.
    """

    rows: Array
    of: Index
    parts: Array | None = None


class TargetDraws(NamedTuple):
    """Draws of some targets.

    Parameters
    ----------
    places : ndarray of int, shape (target,)
        Positions among all targets.
    effect : ndarray, shape (target, K, draw)
        θ.
    ratio : Ratios or None
        r₀; None where the ratio does not exist or was not asked for.
    log_change, change, treated : ndarray, shape (target, draw), or None
        δ, Δr and r₀e^δ; NaN where r₀ is absent.
    of_part : ndarray, shape (target, part, draw), or None
        Δr of fungal and of bacterial necromass, where they are outcomes.
    of_sum : ndarray, shape (target, draw), or None
        θ of the sum of both.
    """

    places: Index
    effect: Array
    ratio: Ratios | None = None
    log_change: Array | None = None
    change: Array | None = None
    treated: Array | None = None
    of_part: Array | None = None
    of_sum: Array | None = None


@dataclass(frozen=True)
class Table:
    """What the effects of studies and comparisons are put together from, beside the random effects of a block.

    Parameters
    ----------
    who : Membership
    row, kind_weight : ndarray, shape (target, p), (target, kinds)
        Of the studies, then the comparisons.
    beta, kind : ndarray, (p, K, draw), (kinds, K, draw) or None
    controls : Controls or None
        None with contrast data.
    given : ndarray, shape (comparison,), or None
        r₀ that contrast data bring; NaN where they do not.
    pools : (int, int) or None
        Places of necromass and SOC among the outcomes; None where they are not both there.
    parts : (int, int, int) or None
        Places of fungal and bacterial necromass and SOC, see `parts.parts_of`.
    """

    who: Membership
    row: Array
    kind_weight: Array
    beta: Array
    kind: Array | None
    controls: Controls | None
    given: Array | None
    pools: tuple[int, int] | None
    parts: tuple[int, int, int] | None = None

    @property
    def parts_shape(self) -> tuple[int, ...]:
        """Shape of r₀ of one control in one draw: one number, or one per part."""
        return () if self.parts is None else (len(words.PARTS),)

    @property
    def has_ratio(self) -> bool:
        """Whether the outcomes make up the ratio necromass/SOC."""
        return self.pools is not None or self.parts is not None


def pools_of(posterior: xr.Dataset) -> tuple[int, int] | None:
    """Return the places of necromass and SOC among the outcomes; None where they are not both there."""
    outcomes = posterior["outcome"].values.astype(str).tolist()
    both = (words.NECROMASS, words.SOC)
    return None if not set(both) <= set(outcomes) else (outcomes.index(both[0]), outcomes.index(both[1]))


def table(data: xr.Dataset, posterior: xr.Dataset, targets: xr.Dataset) -> Table:
    """Collect what the effects of studies and comparisons need; ``targets`` are those of `targets.targets`."""
    observed = np.isin(targets["level"].values, (words.STUDY, words.COMPARISON))
    pools, parts = pools_of(posterior), parts_of(data, posterior)
    given = data["mcp_efficacy_control"].values.astype(float) if "mcp_efficacy_control" in data else None
    return Table(
        membership(data),
        targets["row"].values[observed],
        targets["kind_weight"].values[observed],
        *coefficients(posterior),
        controls(data) if pools or parts else None,
        given,
        pools,
        parts,
    )


def block_effects(found: Table, block: Block, random: RandomEffects) -> Array:
    """Return θ of a block's studies, then of its comparisons, (target, K, draw)."""
    studies = len(found.row) - len(found.who.study)
    rows = np.concatenate([block.studies, studies + block.comparisons])
    points = np.concatenate([found.row[rows], found.kind_weight[rows]], axis=1)
    distinct, which = np.unique(points, axis=0, return_inverse=True)
    width = found.row.shape[1]
    typical = typical_effects(distinct[:, :width], distinct[:, width:], found.beta, found.kind)
    theta = np.take(typical, which, axis=0)
    theta[: len(block.studies)] += random.study
    effect = theta[len(block.studies) :]
    effect += np.asarray(random.comparison)
    _add_rows(effect, random.study, np.searchsorted(block.studies, found.who.study[block.comparisons]))
    if random.site is not None:
        _add_rows(effect, random.site, np.searchsorted(block.sites, found.who.site[block.comparisons]))
    return theta


def _add_rows(values: Array, rows: Array, index: Index) -> None:
    """Add to every node the row of the one that it belongs to, without a copy of all these rows."""
    for value, place in zip(values, index.tolist(), strict=True):
        value += rows[place]


def control_ratios(found: Table, block: Block, random: RandomEffects) -> tuple[Index, Array]:
    """Return the positions of a block's complete controls and ln r₀ = b_N − b_C of each, (control, draw).

    With fungal and bacterial necromass apart, ln r₀ of each part, (control, part, draw).
    """
    if found.controls is None or not found.has_ratio or random.baseline is None:
        return np.empty(0, dtype=np.intp), np.empty((0, *found.parts_shape, random.study.shape[-1]))
    there = np.flatnonzero(found.controls.complete[block.controls])
    if found.parts is not None:
        *parts, soc = found.parts
        baseline = random.baseline[there]
        return block.controls[there], baseline[:, parts] - baseline[:, soc, None]
    assert found.pools is not None
    necromass, soc = found.pools
    return block.controls[there], random.baseline[there, necromass] - random.baseline[there, soc]


def block_ratios(found: Table, block: Block, random: RandomEffects) -> Ratios:
    """Return r₀ of a block's studies and comparisons: comparisons that share a control share its row.

    Notes
    -----
    ``comparison``: exp(b_N − b_C) of its control, from the same joint draw; ``study``: geometric mean of its complete
    controls, of each part where necromass is two outcomes.
    """
    size = len(block.studies) + len(block.comparisons)
    of = np.full(size, -1, dtype=np.intp)
    if found.controls is None:
        return _given_ratios(found, block, random, of)
    complete, log_ratio = control_ratios(found, block, random)
    study = np.searchsorted(block.studies, found.controls.study[complete])
    count = np.bincount(study, minlength=len(block.studies))
    mean = sums(study, len(count), log_ratio)[count > 0] / _over(count[count > 0], log_ratio)
    of[: len(count)][count > 0] = len(complete) + np.arange(len(mean))
    row = np.full(len(found.controls.study), -1, dtype=np.intp)
    row[complete] = np.arange(len(complete))
    of[len(count) :] = row[found.who.control[block.comparisons]]
    rows = np.concatenate([log_ratio, mean])
    return summed(np.exp(rows, out=rows), of)


def summed(rows: Array, of: Index) -> Ratios:
    """Return ratios from rows (ratio, draw), or from those of parts (ratio, part, draw), of which r₀ is the sum."""
    return Ratios(rows, of) if rows.ndim == 2 else Ratios(rows.sum(axis=1), of, rows)


def _over(weights: np.ndarray, values: Array) -> np.ndarray:
    """Return one weight per row in the shape in which it multiplies or divides rows of any shape."""
    return weights.reshape(-1, *(1,) * (values.ndim - 1))


def _given_ratios(found: Table, block: Block, random: RandomEffects, of: Index) -> Ratios:
    draws = random.study.shape[-1]
    if found.given is None:
        return Ratios(np.empty((0, draws)), of)
    value = found.given[block.comparisons]
    there = np.isfinite(value)
    of[len(block.studies) :][there] = np.arange(there.sum())
    return Ratios(np.broadcast_to(value[there, None], (int(there.sum()), draws)), of)


def with_ratios(places: Index, effect: Array, pools: tuple[int, int], ratio: Ratios) -> TargetDraws:
    """Return draws of targets with δ = θ_N − θ_C, Δr = r₀(e^δ − 1) and r₀e^δ; NaN where r₀ is absent."""
    necromass, soc = pools
    log_change = effect[:, necromass] - effect[:, soc]
    control = spread_out(ratio)
    change = np.expm1(log_change)
    change *= control
    control += change
    return TargetDraws(places, effect, ratio, log_change, change, control)


def with_parts(places: Index, effect: Array, parts: tuple[int, int, int], ratio: Ratios) -> TargetDraws:
    """Return draws of targets as `with_ratios`, with what fungal and bacterial necromass contribute to Δr."""
    assert ratio.parts is not None
    *pools, soc = parts
    found = part_changes(_rows_of(ratio.parts, ratio.of), effect[:, pools] - effect[:, soc, None])
    treated = spread_out(ratio) + found.change
    of_sum = found.log_change + effect[:, soc]
    return TargetDraws(places, effect, ratio, found.log_change, found.change, treated, found.of_part, of_sum)


def ratio_draws(found: Table, places: Index, effect: Array, ratio: Ratios) -> TargetDraws:
    """Return draws of targets with all that follows from r₀, whichever pools make it up."""
    if found.parts is not None:
        return with_parts(places, effect, found.parts, ratio)
    assert found.pools is not None
    return with_ratios(places, effect, found.pools, ratio)


def spread_out(ratio: Ratios) -> Array:
    """Return r₀ of every target, (target, draw), NaN where it is absent."""
    return _rows_of(ratio.rows, ratio.of)


def parts_spread_out(ratio: Ratios) -> Array | None:
    """Return r₀ of the parts of every target, (target, part, draw), NaN where it is absent; None without parts."""
    return None if ratio.parts is None else _rows_of(ratio.parts, ratio.of)


def _rows_of(rows: Array, of: Index) -> Array:
    """Return the row of every target, NaN where it has none (−1)."""
    control = np.empty((len(of), *rows.shape[1:]))
    there = of >= 0
    if there.all():
        return np.take(rows, of, axis=0, out=control, mode="clip")
    control[there] = rows[of[there]]
    control[~there] = np.nan
    return control


def block_draws(found: Table, block: Block, random: RandomEffects, places: Index, ratios: bool = True) -> TargetDraws:
    """Return the draws of a block's studies, then of its comparisons; `places` are theirs among all targets."""
    effect = block_effects(found, block, random)
    if not (found.has_ratio and ratios):
        return TargetDraws(places, effect)
    return ratio_draws(found, places, effect, block_ratios(found, block, random))


def block_parts(found: Table, block: Block, random: RandomEffects, places: Index) -> Iterator[TargetDraws]:
    """Yield what `block_draws` returns a few targets at a time, which takes less memory and stays in the caches."""
    effect = block_effects(found, block, random)
    ratio = block_ratios(found, block, random) if found.has_ratio else None
    del random
    # About as many in each: every call for a few rows more would cost as much as one for many.
    edges = np.linspace(0, len(places), max(round(len(places) / TARGETS), 1) + 1).astype(int).tolist()
    for here in map(slice, edges[:-1], edges[1:]):
        if ratio is None:
            yield TargetDraws(places[here], effect[here])
        else:
            yield ratio_draws(found, places[here], effect[here], ratio._replace(of=ratio.of[here]))


#: Gives the draws of some targets when a worker wants them.
Source = Callable[[], TargetDraws]


def sources(
    data: xr.Dataset,
    posterior: xr.Dataset,
    change: xr.Dataset,
    targets: xr.Dataset,
    seed: int,
    *,
    ratios: bool = True,
    chosen: np.ndarray | None = None,
) -> Iterator[Source]:
    """Walk all targets.

    Parameters
    ----------
    data, posterior, change : Dataset
        Groups ``data``, ``posterior`` and ``delta_mcp`` of the result.
    targets : Dataset
        All targets, of `targets.targets`.
    seed : int
        Of the result.
    ratios : bool
        Whether r₀, δ, Δr are wanted beside the effects.
    chosen : ndarray of bool, shape (target,), optional
        Targets that are wanted; blocks without any are passed over, others come as a whole. Default: all.

    Yields
    ------
    callable
        Gives `TargetDraws` and works only then: hand it to a worker (`mcpbayes.workers.in_threads`).
    """
    wanted = np.ones(targets.sizes["target"], dtype=bool) if chosen is None else chosen
    stored = change.sizes["target"]
    yield from _stored(change, ratios and "delta_mcp" in change, wanted[:stored])
    if stored == len(wanted) or not wanted[stored:].any():
        return
    found = table(data, posterior, targets)
    studies = data.sizes["study"]
    for block, effects in pieces(data, posterior, found.who, seed):
        places = stored + np.concatenate([block.studies, studies + block.comparisons])
        if not wanted[places].any():
            continue

        def source(
            places: Index = places, block: Block = block, effects: Callable[[Depth], RandomEffects] = effects
        ) -> TargetDraws:
            return block_draws(found, block, effects("comparison"), places, ratios)

        yield source


def _stored(change: xr.Dataset, ratios: bool, wanted: np.ndarray) -> Iterator[Source]:
    effect = node_major(change["effect"], "target", "outcome")
    names = ("log_delta_mcp", "delta_mcp", "mcp_efficacy_treatment", "mcp_efficacy_control")
    of_ratio = [node_major(change[name], "target") for name in names] if ratios else []
    of_part = node_major(change[CHANGE_OF_PART], "target", "part") if ratios and CHANGE_OF_PART in change else None
    of_sum = None if of_part is None else node_major(change[EFFECT_OF_SUM], "target")
    control_of_part = None if of_part is None else node_major(change[RATIO_OF_PART], "target", "part")
    for start in range(0, len(effect), TARGETS):
        here = slice(start, min(start + TARGETS, len(effect)))
        if not wanted[here].any():
            continue

        def source(here: slice = here) -> TargetDraws:
            places = np.arange(here.start, here.stop)
            if not of_ratio:
                return TargetDraws(places, effect[here])
            *others, control = (np.ascontiguousarray(values[here]) for values in of_ratio)
            parts = (values if values is None else values[here] for values in (of_part, of_sum))
            shared = _shared(control, None if control_of_part is None else control_of_part[here])
            return TargetDraws(places, effect[here], shared, *others, *parts)

        yield source


def _shared(control: Array, parts: Array | None) -> Ratios:
    """Return stored ratios, and those of parts where there are, with equal neighbours as one row."""
    first = np.ones(len(control), dtype=bool)
    first[1:] = [not np.array_equal(a, b) for a, b in zip(control[1:], control[:-1], strict=True)]
    of = np.cumsum(first) - 1
    rows = control[first]
    absent = np.isnan(rows[:, 0]) & np.isnan(rows).all(axis=1)
    return Ratios(rows, np.where(absent[of], -1, of), None if parts is None else parts[first])
