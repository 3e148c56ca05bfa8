"""From a fitted result to every number of its tables in one walk: where draws are not stored, they are made once."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.change import visit_targets
from mcpbayes.estimands.counting import Counts, counting
from mcpbayes.estimands.pairs import has_pairs
from mcpbayes.estimands.quantities import Block, Quantities, quantities
from mcpbayes.estimands.scenarios import why_counted, with_scenarios
from mcpbayes.estimands.targets import POPULATION, At
from mcpbayes.estimands.tree import group
from mcpbayes.estimands.walk import TargetDraws, sources
from mcpbayes.output.summary import Numbers, numbering, summary_of

#: What is kept of the draws of some targets: their classes, where these are counted, and their rows.
_Seen = tuple[Counts | None, Numbers]


def conclude(result: xr.DataTree, at: At | None = None) -> tuple[xr.DataTree, pd.DataFrame]:
    """Return what `mcpbayes.delta_mcp`, `mcpbayes.classify` and `mcpbayes.summarise` return, one after the other.

    Parameters
    ----------
    result : DataTree
        With groups ``data`` and ``posterior``.
    at : mapping of moderator to values, optional
        As `mcpbayes.delta_mcp`.

    Returns
    -------
    result : DataTree
        With groups ``delta_mcp`` and, where both pools were analysed, ``scenario``.
    summary : DataFrame
        As `mcpbayes.summarise`.

    Raises
    ------
    StageError, SpecificationError, ConvergenceError
        As there.
    """
    readers: list[_Reader] = []

    def visitor(tree: xr.DataTree) -> Callable[[TargetDraws], _Seen]:
        readers.append(_reader(tree))
        return readers[0].read

    made, seen = visit_targets(result, at, visitor)
    (found, number, read), data, change = readers[0], group(made, words.DATA), group(made, words.DELTA_MCP)
    # The levels mean and new have their draws only now.
    first = {"target": slice(np.isin(found.targets["level"].values, POPULATION).sum())}
    posterior, targets = group(made, words.POSTERIOR), found.targets.isel(first)
    seen += [read(source()) for source in sources(data, posterior, change.isel(first), targets, made.attrs["seed"])]
    summary = summary_of(made, found, [number(found.of_parameters()), *(numbers for _, numbers in seen)])
    if not has_pairs(change):
        return made, summary
    counts = [counted for counted, _ in seen if counted is not None]
    return with_scenarios(made, found.targets, counts or None), summary


class _Reader(NamedTuple):
    """The rows of the summary, what gives the numbers of some of them, and what reads the draws of targets."""

    found: Quantities
    number: Callable[[Iterator[Block]], Numbers]
    read: Callable[[TargetDraws], _Seen]


def _reader(result: xr.DataTree) -> _Reader:
    found, number = quantities(result), numbering(result)
    wanted = has_pairs(group(result, words.DELTA_MCP)) and why_counted(result)
    count = counting(result) if wanted else None

    def read(draws: TargetDraws) -> _Seen:
        return None if count is None else count(draws), number(found.of_targets(draws))

    return _Reader(found, number, read)
