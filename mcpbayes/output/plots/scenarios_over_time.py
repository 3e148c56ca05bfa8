"""Scenario probabilities over time: stacked areas from the change of management on."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mcpbayes import vocabulary as words
from mcpbayes.estimands.courses import horizon_name
from mcpbayes.estimands.tree import group, specification
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.class_curves import ORDER
from mcpbayes.output.plots.futures import along_years
from mcpbayes.output.plots.stacked_classes import LEVEL_WORDS, Grid, stacked_classes


def scenarios_over_time(
    result: xr.DataTree,
    *,
    name: str | None = None,
    until: float | None = None,
    levels: Sequence[str] = (words.MEAN, words.NEW),
) -> Figure:
    """Draw how probable every scenario class is in the years after the change.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``forecast``.
    name : str, optional
        Target; by default the average.
    until : float, optional
        Last year; by default the last that was asked for.
    levels : sequence of {"mean", "new"}
        A column each.

    Returns
    -------
    matplotlib.figure.Figure
        Stacked areas, 100 % in all. Strokes: durations of the table; dashed: the longest.

    Raises
    ------
    StageError
        If ``forecast`` was not called.
    ValueError
        If there is no such target, year or level.
    """
    if not levels or not set(levels) <= set(LEVEL_WORDS):
        raise ValueError(f"levels must be among {list(LEVEL_WORDS)}, got {list(levels)}.")
    along, chosen = along_years(result, name, until)
    scheme = specification(result).scenarios
    longest = float(along.attrs["longest_duration"])
    head = "" if chosen == words.AVERAGE else lettering.fit(targets.shown_name(chosen), 4.0, 8.5, "bold")
    observed = {chosen: group(result, words.DATA)[words.DURATION].values}
    grid = Grid(_long(along, chosen), "years", "years since the change", {chosen: head}, longest, observed)
    with style.drawing():
        return style.settled(stacked_classes(grid, levels, dict(scheme.merge), _note(result, longest)))


def _long(along: xr.Dataset, name: str) -> pd.DataFrame:
    """Return the probabilities in long form, finite years only."""
    here = along.isel(target=np.flatnonzero(along["name"].values.astype(str) == name))
    here = here.isel(horizon=np.flatnonzero(np.isfinite(here["years"].values)))
    values = here["probability"].transpose("target", "horizon", "scenario").values
    targets_, horizons, classes = values.shape
    return pd.DataFrame(
        {
            "level": np.repeat(here["level"].values.astype(str), horizons * classes),
            "curve": name,
            "years": np.tile(np.repeat(here["years"].values, classes), targets_),
            "code": np.tile(here["scenario"].values.astype(str), targets_ * horizons),
            "label": np.tile(here["label"].values.astype(str), targets_ * horizons),
            "probability": values.ravel(),
        }
    )


def _note(result: xr.DataTree, longest: float) -> str:
    return (
        f"Probability of the classes over time, {ORDER}, counted from draws. Strokes: durations in the table; dashed: "
        f"the longest, {horizon_name(longest)}, beyond which the model extrapolates. Changes within "
        f"{targets.tolerance_words(result)} count as none. Level new holds residuals that stay as they are, also in "
        "year 0."
    )
