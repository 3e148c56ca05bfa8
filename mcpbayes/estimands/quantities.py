"""Everything that is summarised and judged, in the order of ``summary.csv``: parameters, then targets by level."""

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array, Index, node_major
from mcpbayes.estimands.parts import CHANGE_OF_PART, quantity_of_part, ratio_of_part
from mcpbayes.estimands.reading import describe
from mcpbayes.estimands.tree import group, has_two_pools
from mcpbayes.estimands.walk import Source, TargetDraws, sources
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER

#: Variables of group ``delta_mcp`` without dim outcome, in the order of the tables.
RATIOS: Final = ("log_delta_mcp", "delta_mcp", "mcp_efficacy_control", "mcp_efficacy_treatment")

#: Those of them that need r₀.
NEED_REFERENCE: Final = RATIOS[1:]

#: Further ones with fungal and bacterial necromass apart, after those; there all that is said of the ratio needs r₀.
OF_PARTS: Final = (
    *(quantity_of_part(part) for part in words.PARTS),
    *(ratio_of_part(part) for part in words.PARTS),
    f"effect[{words.NECROMASS}]",
)

#: What τ and ρ belong to, in the order of the tables: levels of random effects, and plots within arms.
_LEVELS: Final = ("study", "comparison", "site", "kind", "within")


class Block(NamedTuple):
    """Draws of some rows of the table.

    Parameters
    ----------
    rows : ndarray of int, shape (row,)
        Where they stand in the table.
    draws : ndarray, shape (quantity, chain, draw)
    of : ndarray of int, shape (row,)
        Which of the draws each row has; rows that share r₀ share its draws.
    """

    rows: Index
    draws: Array
    of: Index


class Quantities(NamedTuple):
    """The rows of the table, and what gives their draws.

    Parameters
    ----------
    targets : Dataset
        Of `reading.describe`.
    level, name, quantity : ndarray of str, shape (row,)
        As in ``summary.csv``; the name of a parameter is empty.
    absent : ndarray of bool, shape (row,)
        Rows that are blank for a known reason: no r₀.
    of_parameters : callable
        Gives the blocks of parameters and average changes.
    walk : iterator of callables
        Gives the draws of the targets, as `walk.sources`.
    of_targets : callable
        Gives blocks of the draws of some targets. Rows that are absent are in none.
    """

    targets: xr.Dataset
    level: np.ndarray
    name: np.ndarray
    quantity: np.ndarray
    absent: np.ndarray
    of_parameters: Callable[[], Iterator[Block]]
    walk: Iterator[Source]
    of_targets: Callable[[TargetDraws], Iterator[Block]]

    @property
    def blocks(self) -> Iterator[Callable[[], Iterator[Block]]]:
        """Yield what gives blocks, of parameters, then of targets as they come, and works only then: for a worker."""
        yield self.of_parameters
        for source in self.walk:
            yield partial(self._of_source, source)

    def _of_source(self, source: Source) -> Iterator[Block]:
        return self.of_targets(source())


def quantities(result: xr.DataTree, levels: Collection[str] | None = None) -> Quantities:
    """Return all quantities of a result.

    Parameters
    ----------
    result : DataTree
        With groups ``posterior`` and ``delta_mcp``.
    levels : collection of str, optional
        Levels that are wanted; default all.

    Returns
    -------
    Quantities

    Raises
    ------
    StageError
        A group is missing.

    Notes
    -----
    A quantity that is absent for every target, such as ΔMCP of contrast data without r₀, is left out; where some
    targets have it, the others keep their row with NaN, so that tables of one result have one shape.
    """
    if has_two_pools(result):
        return _parameters_alone(result, levels is None or words.PARAMETER in levels)
    data, posterior, change = (group(result, name) for name in (words.DATA, words.POSTERIOR, words.DELTA_MCP))
    parameters = _parameters(posterior) if levels is None or words.PARAMETER in levels else {}
    found = describe(result)
    # As objects, so that the rows of a target share one string.
    level, name, without = (found[key].values.astype(object) for key in ("level", "name", "absent"))
    chosen = np.ones(len(level), dtype=bool) if levels is None else np.isin(level, list(levels))
    outcomes = posterior["outcome"].values.astype(str).tolist()
    effects = [f"effect[{outcome}]" for outcome in outcomes]
    ratios, need = _of_ratio(change, bool((without == "").any()))
    per_target = {at: [*effects, *ratios] for at in dict.fromkeys(level.tolist())}
    per_target[words.MEAN] = [*per_target[words.MEAN], *(f"average_change[{outcome}]" for outcome in outcomes)]
    counts = np.array([len(per_target[at]) for at in level.tolist()]) * chosen
    place = np.where(chosen, len(parameters) + np.cumsum(counts) - counts, -1)
    quantity = [*parameters, *(one for at in level[chosen].tolist() for one in per_target[at])]
    none = np.zeros(len(parameters), dtype=bool)
    needs = np.isin(np.array(quantity, dtype=object), need)
    return Quantities(
        found,
        np.concatenate([np.full(len(parameters), words.PARAMETER, dtype=object), np.repeat(level, counts)]),
        np.concatenate([np.full(len(parameters), "", dtype=object), np.repeat(name, counts)]),
        np.array(quantity, dtype=object),
        np.concatenate([none, np.repeat(without != "", counts)]) & needs,
        partial(_of_parameters, list(parameters.values()), change, place, len(outcomes), len(ratios)),
        sources(data, posterior, change, found, result.attrs["seed"], ratios=bool(ratios), chosen=chosen),
        partial(_of_targets, start=place, chains=change.sizes["chain"], outcomes=len(outcomes), ratios=len(ratios)),
    )


def _of_ratio(change: xr.Dataset, any_reference: bool) -> tuple[list[str], list[str]]:
    """Return the quantities of the ratio, in the order of the tables, and those of them that need r₀."""
    if "delta_mcp" not in change:
        return [], []
    if CHANGE_OF_PART in change:
        found = [*RATIOS, *OF_PARTS] if any_reference else []
        return found, found
    return list(RATIOS if any_reference else RATIOS[:1]), list(NEED_REFERENCE)


def _parameters_alone(result: xr.DataTree, wanted: bool) -> Quantities:
    """Return the quantities of a two-pool result that hang on no year: its parameters."""
    posterior = group(result, words.POSTERIOR)
    parameters = _parameters(posterior) if wanted else {}
    size, chains = len(parameters), posterior.sizes["chain"]

    def block() -> Iterator[Block]:
        if parameters:
            draws = np.stack(list(parameters.values())).reshape(size, chains, -1)
            yield Block(np.arange(size), draws, np.arange(size))

    return Quantities(
        describe(result),
        np.full(size, words.PARAMETER, dtype=object),
        np.full(size, "", dtype=object),
        np.array(list(parameters), dtype=object),
        np.zeros(size, dtype=bool),
        block,
        iter(()),
        lambda found: iter(()),
    )


def _parameters(posterior: xr.Dataset) -> dict[str, Array]:
    """Return the draws of every parameter, (chain × draw)."""
    of = "pool" if "pool" in posterior.dims else "outcome"
    outcomes = [str(outcome) for outcome in posterior[of].values]
    found: dict[str, Array] = {}
    for name, dim in (("beta", "coefficient"), ("beta_per_unit", "moderator")):
        if name in posterior:
            values = node_major(posterior[name], dim, of)
            for i, place in enumerate(posterior[dim].values):
                found |= {f"{name}[{outcome},{place}]": values[i, k] for k, outcome in enumerate(outcomes)}
    pairs = [words.pair_name(outcomes, i, j) for i, j in combinations(range(len(outcomes)), 2)]
    for level in _LEVELS:
        if f"tau_{level}" in posterior:
            tau = node_major(posterior[f"tau_{level}"], of)
            found |= {f"tau_{level}[{outcome}]": tau[k] for k, outcome in enumerate(outcomes)}
        if f"rho_{level}" in posterior:
            rho = node_major(posterior[f"rho_{level}"].sel(pair=pairs), "pair")
            found |= {f"rho_{level}[{pair}]": rho[i] for i, pair in enumerate(pairs)}
    if TURNOVER in posterior:
        rate = node_major(posterior[TURNOVER], of)
        found |= {f"{TURNOVER}[{pool}]": rate[k] for k, pool in enumerate(outcomes)}
    found |= {name: node_major(posterior[name]) for name in (MU_R, SIGMA_R) if name in posterior}
    return found


def _of_parameters(
    parameters: list[Array], change: xr.Dataset, start: Index, outcomes: int, ratios: int
) -> Iterator[Block]:
    """Yield the parameters and the average changes as one block, if there are any; `start` −1: not wanted."""
    average = node_major(change["average_change"], "mean_target", "outcome")
    # The targets of level mean stand first.
    rows = start[: len(average), None] + outcomes + ratios + np.arange(outcomes)
    wanted = start[: len(average)] >= 0
    together = [*parameters, *average[wanted].reshape(-1, average.shape[-1])]
    if together:
        places = np.concatenate([np.arange(len(parameters)), rows[wanted].ravel()])
        draws = np.stack(together).reshape(len(places), change.sizes["chain"], -1)
        yield Block(places, draws, np.arange(len(places)))


def _of_targets(found: TargetDraws, start: Index, chains: int, outcomes: int, ratios: int) -> Iterator[Block]:
    """Yield one block per quantity, so that no draws are copied; `ratios` says how many of `RATIOS` have rows."""

    def block(quantity: int, draws: Array, members: Index, of: Index | None = None) -> Block:
        if of is None:
            draws = draws if len(members) == len(draws) else draws[members]
            of = np.arange(len(members))
        return Block(start[found.places[members]] + quantity, draws.reshape(len(draws), chains, -1), of)

    wanted = np.flatnonzero(start[found.places] >= 0)
    for k in range(outcomes):
        yield block(k, found.effect[:, k], wanted)
    if found.ratio is None or found.log_change is None or found.change is None or found.treated is None:
        return
    there = wanted[found.ratio.of[wanted] >= 0]
    if found.of_part is None:
        yield block(outcomes, found.log_change, wanted)
    if ratios > 1 and len(there):
        yield block(outcomes + 1, found.change, there)
        used, of = np.unique(found.ratio.of[there], return_inverse=True)
        yield block(outcomes + 2, found.ratio.rows[used], there, of)
        yield block(outcomes + 3, found.treated, there)
    if found.of_part is not None and found.of_sum is not None and len(there):
        yield block(outcomes, found.log_change, there)
        parts, start_of_parts = len(words.PARTS), outcomes + len(RATIOS)
        for place in range(parts):
            yield block(start_of_parts + place, found.of_part[:, place], there)
            if found.ratio.parts is not None:
                yield block(start_of_parts + parts + place, found.ratio.parts[used, place], there, of)
        yield block(start_of_parts + 2 * parts, found.of_sum, there)
