"""Captions of the figures: what is shown, at which levels, in which units, with which intervals."""

from typing import Final

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import targets
from mcpbayes.output.plots.class_curves import ORDER, PERCENT
from mcpbayes.output.plots.forest_rows import shows_studies
from mcpbayes.output.plots.influence_rows import target_shown
from mcpbayes.output.plots.scenario_path import PROB
from mcpbayes.output.plots.scenario_plane import PROBS

#: The levels, in the words of every caption.
_LEVELS: Final = "the typical comparison (level mean) and a comparison in a study not seen (level new)"


def caption(result: xr.DataTree, figure_name: str) -> str:
    """Return the caption of a figure.

    Parameters
    ----------
    result : xr.DataTree
        The result the figure was drawn from.
    figure_name : str
        Name of the figure's function, as `scenario_plane`.

    Returns
    -------
    str
        Plain text, one to three sentences.

    Raises
    ------
    StageError
        If ``delta_mcp``, or for a figure of a forecast ``forecast``, was not called.
    ValueError
        If there is no such figure.
    """
    writers = {
        "scenario_plane": _scenario_plane,
        "scenario_wheel": _scenario_wheel,
        "forest": _forest,
        "scenario_bars": _scenario_bars,
        "tolerance_sweep": _tolerance_sweep,
        "densities": _densities,
        "influence": _influence,
        "trajectories": _trajectories,
        "scenario_path": _scenario_path,
        "scenarios_over_time": _scenarios_over_time,
    }
    if figure_name not in writers:
        raise ValueError(f"figure_name must be one of {list(writers)}, got {figure_name!r}.")
    return writers[figure_name](result)


def _whose(result: xr.DataTree) -> str:
    """Return whose effects are shown."""
    names = targets.headline_names(result)
    if targets.kind_of(result, names[0]) is None:
        return "all comparisons"
    return "each treatment kind" if len(names) > 1 else f"the treatment kind {targets.shown_name(names[0])}"


def _scenario_plane(result: xr.DataTree) -> str:
    inner, outer = (f"{100 * prob:g}" for prob in PROBS)
    return (
        f"Scenario plane of {_whose(result)}: joint posterior of the effects on SOC (across) and on microbial "
        "necromass (up), as log response ratios ln(treated/control), with the change in % on the opposite axes. Filled "
        f"contours: {inner} and {outer} % highest-density regions of the typical comparison (level mean); dashed: of a "
        "comparison in a study not seen (level new). Points: posterior means of the comparisons; arrows (lines where "
        "there are many) lead to them from the log ratios in the table. On the 1:1 line the ratio necromass/SOC does "
        f"not change (ΔMCP = 0); sectors are the scenario classes, changes within {targets.tolerance_words(result)} "
        "counting as none."
    )


def _scenario_wheel(result: xr.DataTree) -> str:
    return (
        f"Scenario wheel of {_whose(result)}: posterior probability (%) of each scenario class for the typical "
        "comparison (level mean); the same for a comparison in a study not seen (level new) is in the bars. All cells "
        "have the same area, the filled part of a cell is its probability; arcs are prior probabilities. Neighbours on "
        f"the wheel are neighbours on the plane; changes within {targets.tolerance_words(result)} count as none."
    )


def _tolerance_sweep(result: xr.DataTree) -> str:
    used = targets.single_tolerance(result)
    mark = f"in use are {targets.tolerance_words(result)}"
    if used is not None:
        mark = f"dashed: the tolerance in use, ±{used:g} %"
    return (
        f"Posterior probability (%) of the scenario classes for {_whose(result)}, stacked, when changes within "
        f"tolerances of {PERCENT[0]:g} to {PERCENT[-1]:g} % count as none ({mark}): of {_LEVELS}. {ORDER[0].upper()}"
        f"{ORDER[1:]}."
    )


def _forest(result: xr.DataTree) -> str:
    names = targets.names_at(result, words.MEAN)
    both = targets.has_pairs(targets.group(result, words.DELTA_MCP))
    unit = _unit(targets.has_absolute_change(result, names)) if both else ""
    shown = f", and ΔMCP, the change of necromass/SOC {unit}" if both else ""
    studies = ", and of each study" if shows_studies(result) else ""
    return (
        f"Effects on each pool (log response ratio; change in % on the upper axis){shown}: of {_LEVELS}{studies}. "
        f"Points are posterior medians, lines {targets.interval_words(result)}s of the true effects."
    )


def _scenario_bars(result: xr.DataTree) -> str:
    return (
        f"Posterior probability (%) of each scenario class for {_whose(result)}: filled bars the typical comparison "
        "(level mean), open bars a comparison in a study not seen (level new); ticks are prior probabilities. The line "
        f"on an open bar is the {targets.interval_words(result)} of the share of comparisons in the class. Changes "
        f"within {targets.tolerance_words(result)} count as none."
    )


def _densities(result: xr.DataTree) -> str:
    unit = _unit(targets.has_absolute_change(result, targets.headline_names(result)))
    ratio = targets.ratio_tolerance_words(result).removeprefix("±")
    return (
        f"Posterior density of ΔMCP, the change of necromass/SOC {unit}, for {_whose(result)}: of {_LEVELS}. "
        f"Under each density its median, 50 % interval and {targets.interval_words(result)}; P(rise) and P(fall) are "
        f"the probabilities that the ratio changes by more than {ratio}."
    )


def _influence(result: xr.DataTree) -> str:
    name = target_shown(result)
    whose = "" if targets.kind_of(result, name) is None else f" of {targets.shown_name(name)}"
    return (
        f"Change of the ratio necromass/SOC of the typical comparison (level mean){whose} when each study is left out "
        f"(log ratio; change in % on the upper axis): posterior means and {targets.interval_words(result)}s, coloured "
        "by the most probable scenario class; band and dashed line: all studies. Beside them how far the estimate "
        "moves, in posterior standard deviations, what the headline would name, and how well the other studies predict "
        "this one (elpd)."
    )


def _trajectories(result: xr.DataTree) -> str:
    return (
        "Change of necromass, of SOC and of their ratio (ΔMCP, percentage points of SOC) over the years since the "
        f"change of management. Line and bands: median, 50 % interval and {targets.interval_words(result)} of the "
        "typical comparison (level mean); dashed: the latter of a comparison in a study not seen (level new). ∞: new "
        f"steady state. {_durations(result)}"
    )


def _scenario_path(result: xr.DataTree) -> str:
    return (
        "The way of the typical comparison (level mean) through the scenario plane: medians of the effects on SOC "
        f"(across) and on necromass (up), year by year, dashed beyond the longest duration, with {100 * PROB:g} % "
        "highest-density regions at the years asked for and at the new steady state. On the 1:1 line the ratio "
        f"necromass/SOC does not change (ΔMCP = 0); changes within {targets.tolerance_words(result)} count as none."
    )


def _scenarios_over_time(result: xr.DataTree) -> str:
    return (
        f"Posterior probability (%) of the scenario classes over the years, stacked: of {_LEVELS}. {ORDER[0].upper()}"
        f"{ORDER[1:]}. Changes within {targets.tolerance_words(result)} count as none. {_durations(result)}"
    )


def _durations(result: xr.DataTree) -> str:
    longest = targets.group(result, words.FORECAST).attrs["longest_duration"]
    return f"Strokes: durations of the table, the longest {longest:g} years; beyond it the model extrapolates."


def _unit(absolute: bool) -> str:
    """Return the unit of the change of the ratio."""
    return "in percentage points" if absolute else "as the log ratio of the treated to the control ratio"
