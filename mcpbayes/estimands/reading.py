"""What a result says about a target, stored or not: its name, why it has no r₀, its draws."""

import json
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.baselines import absences
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.pairs import BOTH, paired
from mcpbayes.estimands.parts import parts_of
from mcpbayes.estimands.targets import targets
from mcpbayes.estimands.tree import group, has_two_pools, specification
from mcpbayes.estimands.walk import Source, TargetDraws, pools_of, sources
from mcpbayes.workers import in_threads

#: What a result has that says nothing without a year.
_NO_TARGETS: Final = xr.Dataset(
    coords={name: ("target", np.array([], dtype=object)) for name in ("target", "level", "name", "absent")}
)


def describe(result: xr.DataTree) -> xr.Dataset:
    """Return all targets of a result, also those whose draws are not stored.

    Returns
    -------
    Dataset
        As `targets.targets`, none of a two-pool result, with coord ``absent(target)``, the reason why there is no r₀
        ("" where there is).

    Raises
    ------
    StageError
        `mcpbayes.delta_mcp` was not called.
    """
    if has_two_pools(result):
        return _NO_TARGETS
    data, posterior, change = (group(result, name) for name in (words.DATA, words.POSTERIOR, words.DELTA_MCP))
    found = targets(data, posterior, json.loads(change.attrs["at"]))
    absent = np.full(found.sizes["target"], "", dtype=object)
    if "delta_mcp" in change:
        absent = absences(data, found["level"].values, specification(result).reference)
        absent[: change.sizes["target"]] = change["absent"].values
    return found.assign_coords(absent=("target", absent.astype(str)))


def draws_of(result: xr.DataTree, level: str, names: Collection[str]) -> Iterator[tuple[str, TargetDraws]]:
    """Yield some targets of a level with their draws, in the order of the result, redrawn where they are not stored.

    Parameters
    ----------
    result : DataTree
        With group ``delta_mcp``.
    level : {"mean", "new", "study", "comparison"}
    names : collection of str

    Yields
    ------
    name : str
    draws : TargetDraws
        Of this target alone.
    """
    data, posterior, change = (group(result, name) for name in (words.DATA, words.POSTERIOR, words.DELTA_MCP))
    asked = describe(result)
    all_names = asked["name"].values
    chosen = (asked["level"].values == level) & np.isin(all_names.astype(object), list(names))
    for source in sources(data, posterior, change, asked, result.attrs["seed"], chosen=chosen):
        found = source()
        for i in np.flatnonzero(chosen[found.places]):
            one = slice(i, i + 1)
            parts = (values if values is None else values[one] for values in found[3:])
            ratio = found.ratio if found.ratio is None else found.ratio._replace(of=found.ratio.of[one])
            yield (
                str(all_names[found.places[i]]),
                TargetDraws(found.places[one], found.effect[one], ratio, *parts),
            )


def mean_pairs(result: xr.DataTree, level: str) -> Array:
    """Return posterior means of the effects on necromass and SOC of the studies or comparisons, (target, 2).

    In the order of the data. With fungal and bacterial necromass apart the effect is on their sum; NaN without r₀.
    """
    data, posterior, change = (group(result, name) for name in (words.DATA, words.POSTERIOR, words.DELTA_MCP))
    asked, parts = describe(result), parts_of(data, posterior)
    pools = BOTH if parts is not None else pools_of(posterior)
    assert pools is not None
    chosen = asked["level"].values == level
    means = np.full((len(chosen), 2), np.nan)
    walk = sources(data, posterior, change, asked, result.attrs["seed"], ratios=parts is not None, chosen=chosen)

    def work(source: Source) -> tuple[np.ndarray, Array]:
        found = source() if parts is None else paired(source(), parts[-1])
        return found.places, found.effect[:, list(pools)].mean(axis=-1)

    for places, found in in_threads(work, walk):
        means[places] = found
    return np.asarray(means[chosen])
