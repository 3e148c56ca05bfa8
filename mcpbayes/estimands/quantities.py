"""Everything that is summarised and judged, in the order of ``summary.csv``: parameters, then targets by level."""

from collections.abc import Iterator
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group

#: Variables of group ``delta_mcp`` without dim outcome, in the order of the tables.
RATIOS: Final = ("log_delta_mcp", "delta_mcp", "mcp_efficacy_control", "mcp_efficacy_treatment")

#: Those of them that need r₀.
NEED_REFERENCE: Final = RATIOS[1:]

#: Levels of random effects in the order of the tables.
_LEVELS: Final = ("study", "comparison", "site", "kind")

#: Targets per block, so that a large result is walked without a second copy in memory.
_BLOCK: Final = 64


class Block(NamedTuple):
    """Some quantities and their draws.

    Parameters
    ----------
    keys : list of (level, name, quantity)
        Names as in ``summary.csv``; the name of a parameter is empty.
    draws : ndarray, shape (quantity, chain, draw)
        NaN where a quantity is absent for this target, though not for all.
    """

    keys: list[tuple[str, str, str]]
    draws: np.ndarray


def quantity_blocks(result: xr.DataTree) -> Iterator[Block]:
    """Yield all quantities of a result, block by block.

    Parameters
    ----------
    result : DataTree
        With groups ``posterior`` and ``delta_mcp``.

    Yields
    ------
    Block

    Raises
    ------
    StageError
        A group is missing.

    Notes
    -----
    A quantity that is absent for every target, such as ΔMCP of contrast data without r₀, is left out; where some
    targets have it, the others keep their row with NaN, so that tables of one result have one shape.
    """
    targets = group(result, words.DELTA_MCP)
    yield _parameters(group(result, words.POSTERIOR))
    for start in range(0, targets.sizes["target"], _BLOCK):
        yield _target_block(targets, slice(start, start + _BLOCK))


def _parameters(posterior: xr.Dataset) -> Block:
    outcomes = [str(outcome) for outcome in posterior["outcome"].values]
    found: dict[str, np.ndarray] = {}
    for name, dim in (("beta", "coefficient"), ("beta_per_unit", "moderator")):
        if name in posterior:
            values = posterior[name].transpose(dim, "outcome", "chain", "draw").values
            for i, place in enumerate(posterior[dim].values):
                found |= {f"{name}[{outcome},{place}]": values[i, k] for k, outcome in enumerate(outcomes)}
    pairs = [words.pair_name(outcomes, i, j) for i, j in combinations(range(len(outcomes)), 2)]
    for level in _LEVELS:
        if f"tau_{level}" in posterior:
            tau = posterior[f"tau_{level}"].transpose("outcome", "chain", "draw").values
            found |= {f"tau_{level}[{outcome}]": tau[k] for k, outcome in enumerate(outcomes)}
        if f"rho_{level}" in posterior:
            rho = posterior[f"rho_{level}"].transpose("pair", "chain", "draw").sel(pair=pairs).values
            found |= {f"rho_{level}[{pair}]": rho[i] for i, pair in enumerate(pairs)}
    return Block([(words.PARAMETER, "", quantity) for quantity in found], np.stack(list(found.values())))


def _target_block(targets: xr.Dataset, part: slice) -> Block:
    outcomes = [str(outcome) for outcome in targets["outcome"].values]
    here = targets.isel(target=part)
    all_absent = bool((targets["absent"].values.astype(str) != "").all())
    ratios = [name for name in RATIOS if name in targets and not (all_absent and name in NEED_REFERENCE)]
    effect = here["effect"].transpose("target", "outcome", "chain", "draw").values
    of_ratio = [here[name].transpose("target", "chain", "draw").values for name in ratios]
    average = targets["average_change"].transpose("mean_target", "outcome", "chain", "draw").values
    mean_place = {str(name): place for place, name in enumerate(targets["mean_target"].values)}
    keys: list[tuple[str, str, str]] = []
    rows: list[np.ndarray] = []
    for i, (level, name) in enumerate(
        zip(here["level"].values.astype(str), here["name"].values.astype(str), strict=True)
    ):
        quantities = [f"effect[{outcome}]" for outcome in outcomes] + ratios
        rows += [*effect[i], *(values[i] for values in of_ratio)]
        if level == words.MEAN:
            quantities += [f"average_change[{outcome}]" for outcome in outcomes]
            rows += list(average[mean_place[name]])
        keys += [(level, name, quantity) for quantity in quantities]
    return Block(keys, np.stack(rows))
