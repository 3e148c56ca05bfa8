"""What the figures read from a result: targets, their draws, intervals, and the words for them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.estimands import reading
from mcpbayes.estimands.absolute import points_of as points_of
from mcpbayes.estimands.classes import Tolerances, signs, tolerances
from mcpbayes.estimands.pairs import has_pairs as has_pairs
from mcpbayes.estimands.parts import EFFECT_OF_SUM
from mcpbayes.estimands.tree import group as group
from mcpbayes.estimands.tree import specification as specification
from mcpbayes.estimands.unobserved import unobserved_at
from mcpbayes.estimands.wording import interval_name
from mcpbayes.monte_carlo import summaries as monte_carlo
from mcpbayes.output.plots.lettering import percent, signed


class Interval(NamedTuple):
    """Median and interval of draws; NaN where there are none."""

    median: float
    lower: float
    upper: float


def tolerance(result: xr.DataTree) -> Tolerances:
    """Return the tolerances that count as no change, log scale."""
    return tolerances(specification(result).scenarios)


def names_at(result: xr.DataTree, level: str) -> tuple[str, ...]:
    """Return the names of the targets of a level, in the result's order."""
    if level in (words.STUDY, words.COMPARISON):
        return tuple(group(result, words.DATA)[level].values.astype(str).tolist())
    targets = group(result, words.DELTA_MCP)
    return tuple(str(name) for name in targets["name"].values[targets["level"].values == level])


def headline_names(result: xr.DataTree) -> tuple[str, ...]:
    """Return the names the result is about: the treatment kinds, or the average where there is one kind only."""
    names = names_at(result, words.MEAN)
    kinds = tuple(name for name in names if kind_of(result, name) is not None)
    return kinds or names[:1]


def kind_of(result: xr.DataTree, name: str) -> str | None:
    """Return the treatment kind a target's name stands for, None for averages, categories and points asked for."""
    kind = name.removeprefix("kind=")
    return kind if name != kind and kind in group(result, words.DATA)["kind"].values else None


def chosen_names(result: xr.DataTree, names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names a caller asked for, ``manure`` standing for ``kind=manure``; the headline names for None.

    Raises
    ------
    ValueError
        If a name is not among the targets at level ``mean``.
    """
    if names is None:
        return headline_names(result)
    known = names_at(result, words.MEAN)
    found = tuple(f"kind={name}" if f"kind={name}" in known else name for name in names)
    unknown = [name for name in found if name not in known]
    if unknown or not found:
        raise ValueError(f"names must be among {list(known)}, got {unknown or list(names)}.")
    return found


def shown_name(name: str) -> str:
    """Return a target's name as a figure prints it."""
    return name.removeprefix("kind=").replace("=", " = ")


def no_pool(result: xr.DataTree, name: str) -> str:
    """Return what stands behind the name of a kind of which a pool was never observed, ``" (no necromass)"``."""
    pools = unobserved_at(group(result, words.DATA), words.MEAN, [name])[name]
    return f" (no {', no '.join(words_of(pool) for pool in pools)})" if pools else ""


def words_of(pool: str) -> str:
    """Return a pool's name as a figure prints it."""
    return {words.SOC: "SOC"}.get(pool, pool.replace("_", " ") if pool in words.PARTS else pool)


def require_both_pools(result: xr.DataTree) -> None:
    """Raise a `StageError` unless necromass, as one pool or two, and SOC were both analysed."""
    change = group(result, words.DELTA_MCP)
    if not has_pairs(change):
        found = ", ".join(change["outcome"].values.astype(str))
        why = f" ({change['absent'].values[0]})" if EFFECT_OF_SUM in change else ""
        raise StageError(f"This figure needs both pools, necromass and soc; the result has {found}{why}.")


def draws(result: xr.DataTree, level: str, name: str, variable: str) -> np.ndarray:
    """Return a target's draws, chains in one row.

    Returns
    -------
    np.ndarray
        Shape (sample,), or (sample, outcome) for ``effect``. ln ratio for effects and ``log_delta_mcp``, a fraction
        for ``delta_mcp``.
    """
    values = group(result, words.DELTA_MCP)[variable].sel(target=f"{level}: {name}")
    rest = [str(dim) for dim in values.dims if dim not in ("chain", "draw")]
    array = values.transpose("chain", "draw", *rest).values
    return np.asarray(array.reshape(-1, *array.shape[2:]), dtype=float)


def draws_of_studies(result: xr.DataTree, names: Sequence[str], quantity: str) -> dict[str, np.ndarray]:
    """Return the draws of ``log_delta_mcp``, ``delta_mcp`` or an outcome's effect by study, each (sample,)."""
    outcomes = [str(o) for o in group(result, words.DELTA_MCP)["outcome"].values]
    found = {}
    for name, one in reading.draws_of(result, words.STUDY, names):
        of_ratio = {"log_delta_mcp": one.log_change, "delta_mcp": one.change}
        values = of_ratio.get(quantity)
        found[name] = one.effect[0, outcomes.index(quantity)].copy() if values is None else values[0].copy()
    return found


def effect(result: xr.DataTree, level: str, name: str, outcome: str) -> np.ndarray:
    """Return the draws of one pool's log response ratio, shape (sample,); of necromass as two pools, of their sum."""
    change = group(result, words.DELTA_MCP)
    outcomes = [str(o) for o in change["outcome"].values]
    if outcome == words.NECROMASS and EFFECT_OF_SUM in change:
        return draws(result, level, name, EFFECT_OF_SUM)
    values: np.ndarray = draws(result, level, name, "effect")[:, outcomes.index(outcome)]
    return values


def has_absolute_change(result: xr.DataTree, names: Sequence[str]) -> bool:
    """Say whether the absolute change Δr is known for all of these names at level ``mean``."""
    return all(np.isfinite(draws(result, words.MEAN, name, "delta_mcp")).any() for name in names)


def interval(values: np.ndarray, kind: str, prob: float) -> Interval:
    """Return median and interval of draws.

    Parameters
    ----------
    values : np.ndarray
        Draws, shape (sample,).
    kind : {"eti", "hdi"}
        Equal-tailed or highest-density.
    prob : float
        Probability of the interval.
    """
    lower, upper = monte_carlo.interval(values, kind, prob)
    return Interval(float(np.median(values)), float(lower), float(upper))


def interval_text(shown: Interval, log: bool) -> str:
    """Return an interval as printed: percent changes of log ratios, or percentage points with one decimal."""
    if not np.isfinite(shown.median):
        return "–"
    median, lower, upper = (percent(value) if log else signed(value, 1) for value in shown)
    return f"{median} [{lower}, {upper}]"


def interval_words(result: xr.DataTree) -> str:
    """Return kind and probability of the result's intervals, for example ``95 % equal-tailed credible interval``."""
    summary = specification(result).summary
    return interval_name(summary.interval_kind, summary.interval_prob)


def interval_short(result: xr.DataTree) -> str:
    """Return probability and kind of the intervals for a column head, for example ``95 % ETI``."""
    summary = specification(result).summary
    return f"{100 * summary.interval_prob:g} % {summary.interval_kind.upper()}"


def tolerance_words(result: xr.DataTree) -> str:
    """Return the tolerances as text."""
    percents = specification(result).scenarios.tolerance_percent
    necromass, soc, ratio = (f"±{percents[name]:g} %" for name in (words.NECROMASS, words.SOC, "ratio"))
    if points_of(specification(result).scenarios) is not None:
        return f"{necromass} (necromass), {soc} (SOC) and {ratio_tolerance_words(result)} (ΔMCP)"
    if necromass == soc == ratio:
        return f"{necromass} for both pools and their ratio"
    return f"{necromass} (necromass), {soc} (SOC) and {ratio} (ratio)"


def ratio_tolerance_words(result: xr.DataTree) -> str:
    """Return the tolerance of the ratio's change as text: relative, or in percentage points where that is in use."""
    scheme = specification(result).scenarios
    points = points_of(scheme)
    if points is None:
        return f"±{scheme.tolerance_percent['ratio']:g} % of itself"
    return f"±{points:g} percentage points"


def single_tolerance(result: xr.DataTree) -> float | None:
    """Return the tolerance in percent where it is the same for both pools and their ratio; else None."""
    scheme = specification(result).scenarios
    used = set(scheme.tolerance_percent.values())
    return float(used.pop()) if len(used) == 1 and points_of(scheme) is None else None


def kind_counts(result: xr.DataTree, name: str) -> tuple[int, int]:
    """Return how many comparisons and studies a target at level ``mean`` rests on: its kind's, or all."""
    data = group(result, words.DATA)
    studies = data["study_of_comparison"].values
    kind = kind_of(result, name)
    mine = np.ones(len(studies), dtype=bool) if kind is None else data["kind_of_comparison"].values == kind
    return int(mine.sum()), len(set(studies[mine]))


def change_probabilities(result: xr.DataTree, level: str, name: str) -> tuple[float, float]:
    """Return the probabilities that the ratio rises and falls by more than its tolerance.

    Those of the group ``scenario`` where it is there, so that text, tables and figures agree; else counted.
    """
    if words.SCENARIO in result.children:
        change = group(result, words.SCENARIO)["change_probability"].sel(target=f"{level}: {name}")
        return float(change.sel(change="increase")), float(change.sel(change="decrease"))
    way = way_of_ratio(result, level, name)
    return float(np.mean(way > 0)), float(np.mean(way < 0))


def way_of_ratio(result: xr.DataTree, level: str, name: str) -> np.ndarray:
    """Return of every draw whether the ratio falls (-1), stays within its tolerance (0) or rises (1)."""
    points = points_of(specification(result).scenarios)
    if points is None:
        return signs(draws(result, level, name, "log_delta_mcp"), tolerance(result).ratio)
    return signs(100 * draws(result, level, name, "delta_mcp"), points)
