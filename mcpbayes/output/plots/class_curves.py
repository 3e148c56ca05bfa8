"""How the probabilities of the classes move: with the tolerance that counts as no change, and along a moderator."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mcpbayes import vocabulary as words
from mcpbayes.estimands import curves
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.stacked_classes import LEVEL_WORDS, Grid, stacked_classes

#: Tolerances of the sweep, percent.
PERCENT: Final = curves.PERCENT

#: What the order of the areas says.
ORDER: Final = "from below to above classes in which the ratio falls, stays, rises"

#: Values along a moderator where none are given.
_VALUES: Final = 21


def tolerance_sweep(
    result: xr.DataTree,
    percent: Sequence[float] = PERCENT,
    *,
    names: Sequence[str] | None = None,
    levels: Sequence[str] = (words.MEAN, words.NEW),
) -> Figure:
    """Draw how the probability of every scenario class depends on the tolerance within which a change counts as none.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``scenario``.
    percent : sequence of float
        Tolerances in percent, the same for both pools and their ratio; default 0 to 10.
    names : sequence of str, optional
        Kinds, categories or the average; by default all treatment kinds, a row each.
    levels : sequence of {"mean", "new"}
        A column each.

    Returns
    -------
    matplotlib.figure.Figure
        Stacked areas, 100 % in all; a dashed line marks the tolerance in use, where it is one and the same.

    Raises
    ------
    StageError
        If ``classify`` was not called.
    ValueError
        If a name or a level is unknown.
    """
    targets.group(result, words.SCENARIO)
    _require_levels(levels)
    chosen = targets.chosen_names(result, names)
    table = curves.tolerance_sweep(result, percent)
    lacking = [name for name in chosen if name not in set(table["name"])]
    if lacking:
        raise ValueError(f"names must be kinds, categories or averages; points asked for have no sweep: {lacking}.")
    merge, mark = _merge(result), targets.single_tolerance(result)
    heads = {name: _head(result, name) for name in chosen}
    axis = "tolerance of both pools and their ratio, ±%"
    grid = Grid(_classes(table, table["name"]), "tolerance_percent", axis, heads, mark)
    with style.drawing():
        return style.settled(stacked_classes(grid, levels, merge, _sweep_note(result, mark)))


def scenarios_along(
    result: xr.DataTree,
    moderator: str,
    values: Sequence[float] | None = None,
    *,
    kinds: Sequence[str] | None = None,
    levels: Sequence[str] = (words.MEAN, words.NEW),
) -> Figure:
    """Draw how the probability of every scenario class changes along a numeric moderator.

    Parameters
    ----------
    result : xr.DataTree
        Fitted with this moderator, with the group ``scenario``.
    moderator : str
        For example ``duration_years``; other moderators stay at their means.
    values : sequence of float, optional
        At least two; default the range of the table.
    kinds : sequence of str, optional
        Kinds of treatment, a row each; default all, or one row where that level is off.
    levels : sequence of {"mean", "new"}
        A column each.

    Returns
    -------
    matplotlib.figure.Figure
        Stacked areas, 100 % in all. Strokes above a panel: the comparisons of the table.

    Raises
    ------
    StageError
        If ``classify`` was not called.
    SpecificationError
        If there is no such moderator or kind.
    ValueError
        If a level is unknown, or the moderator is not numeric.
    """
    targets.group(result, words.SCENARIO)
    _require_levels(levels)
    observed = _observed(result, moderator)
    across = np.linspace(observed.min(), observed.max(), _VALUES) if values is None else np.asarray(values, dtype=float)
    names = targets.headline_names(result)
    all_kinds = [kind for kind in (targets.kind_of(result, name) for name in names) if kind is not None]
    rows = list(all_kinds if kinds is None else kinds)
    table = curves.scenarios_along(result, moderator, across.tolist(), kinds=rows or None)
    heads = {kind: _head(result, f"kind={kind}") if kind else "" for kind in rows or [""]}
    of_kind = targets.group(result, words.DATA)["kind_of_comparison"].values.astype(str)
    strokes = {kind: observed[of_kind == kind] if kind else observed for kind in heads}
    axis = lettering.shorten(moderator)
    grid = Grid(_classes(table, table["kind"]), "value", axis, heads, observed=strokes)
    with style.drawing():
        return style.settled(stacked_classes(grid, levels, _merge(result), _along_note(result, axis)))


def _require_levels(levels: Sequence[str]) -> None:
    """Refuse levels that have no classes to draw."""
    if not levels or not set(levels) <= set(LEVEL_WORDS):
        raise ValueError(f"levels must be among {list(LEVEL_WORDS)}, got {list(levels)}.")


def _merge(result: xr.DataTree) -> dict[str, Sequence[str]]:
    return dict(targets.specification(result).scenarios.merge)


def _observed(result: xr.DataTree, moderator: str) -> np.ndarray:
    """Return a moderator's values in the table, by comparison."""
    data = targets.group(result, words.DATA)
    found = data.get(f"moderator_{moderator}")
    if found is None:  # names and remedies are those of the estimand
        curves.scenarios_along(result, moderator, [0.0])
        raise ValueError(f"the result does not hold the values of {moderator!r}.")
    if found.dtype.kind not in "fiu":
        raise ValueError(
            f"{moderator!r} holds categories, which have no order; see scenario_bars with names such as "
            f"'{moderator}={found.values[0]}'."
        )
    return np.asarray(found.values, dtype=float)


def _classes(table: pd.DataFrame, curve: pd.Series) -> pd.DataFrame:
    """Return the rows about classes, not those about the ratio alone, with the curve that they belong to."""
    return table.assign(curve=curve)[table["statement"] == curves.SCENARIO]


def _head(result: xr.DataTree, name: str) -> str:
    """Return what stands above the panels of a target."""
    return lettering.fit(targets.shown_name(name), 4.0, 8.5, "bold") + targets.no_pool(result, name)


def _sweep_note(result: xr.DataTree, mark: float | None) -> str:
    decide_at = targets.specification(result).scenarios.decide_at
    if mark is None:
        used = f"The tolerances in use differ and are not marked: {targets.tolerance_words(result)}."
    else:
        used = f"Dashed: the tolerance in use, ±{mark:g} %."
    return (
        f"Posterior probability of the classes, {ORDER}. {used} With no tolerance only the six classes without a zero "
        "are left; the wider the tolerance, the more counts as no change. A conclusion that holds over a range of "
        f"tolerances does not hang on the choice; a class is named from {100 * decide_at:g} % on."
    )


def _along_note(result: xr.DataTree, axis: str) -> str:
    decide_at = targets.specification(result).scenarios.decide_at
    return (
        f"Posterior probability of the classes along {axis}, other moderators at their means, {ORDER}. Strokes: the "
        "comparisons in the table; where there are none, the model extrapolates. Changes within "
        f"{targets.tolerance_words(result)} count as none; a class is named from {100 * decide_at:g} % on."
    )
