"""How the probabilities of the classes move: with the tolerance that counts as no change, and along a moderator."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import classify_effects, coarsening
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.stacked_classes import LEVEL_WORDS, Grid, stacked_classes

#: Tolerances of the sweep, percent.
PERCENT: Final = tuple(0.5 * step for step in range(21))

#: What the order of the areas says.
ORDER: Final = "from below to above classes in which the ratio falls, stays, rises"


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
        Targets at the levels; by default all treatment kinds, a row each.
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
    require_levels(levels)
    chosen = targets.chosen_names(result, names)
    frame = _sweep(result, percent, chosen, levels)
    used = set(targets.specification(result).scenarios.tolerance_percent.values())
    mark = used.pop() if len(used) == 1 else None
    axis = "tolerance of both pools and their ratio, ±%"
    grid = Grid(frame, "tolerance_percent", axis, _heads(result, chosen), mark)
    merge = targets.specification(result).scenarios.merge
    with style.drawing():
        return style.settled(stacked_classes(grid, levels, merge, _sweep_note(result, mark)))


def require_levels(levels: Sequence[str]) -> None:
    """Refuse levels that have no classes to draw."""
    if not levels or not set(levels) <= set(LEVEL_WORDS):
        raise ValueError(f"levels must be among {list(LEVEL_WORDS)}, got {list(levels)}.")


def _sweep(result: xr.DataTree, percent: Sequence[float], names: Sequence[str], levels: Sequence[str]) -> pd.DataFrame:
    """Count the classes of the stored draws at every tolerance."""
    scheme = targets.specification(result).scenarios
    codes, labels, place = coarsening(scheme)
    parts = []
    for level in levels:
        for name in names:
            theta_n, theta_c = (targets.effect(result, level, name, pool) for pool in (words.NECROMASS, words.SOC))
            for tolerance in percent:
                alike = replace(scheme, tolerance_percent=dict.fromkeys(scheme.tolerance_percent, tolerance))
                found = np.bincount(place[classify_effects(theta_n, theta_c, alike)], minlength=len(codes))
                part = {"scenario": codes, "label": labels, "probability": found / len(theta_n)}
                parts.append(pd.DataFrame(part).assign(level=level, name=name, tolerance_percent=tolerance))
    return pd.concat(parts, ignore_index=True)


def _heads(result: xr.DataTree, names: Sequence[str]) -> dict[str, str]:
    """Return what stands above the panels of each target."""
    return {
        name: lettering.fit(targets.shown_name(name), 4.0, 8.5, "bold") + targets.no_pool(result, name)
        for name in names
    }


def _sweep_note(result: xr.DataTree, mark: float | None) -> str:
    scheme = targets.specification(result).scenarios
    used = f"Dashed: the tolerance in use, ±{mark:g} %." if mark is not None else (
        f"The tolerances in use differ and are not marked: {targets.tolerance_words(result)}."
    )  # fmt: skip
    return (
        f"Posterior probability of the classes, {ORDER}. {used} With no tolerance only the six classes without a zero "
        "are left; the wider the tolerance, the more counts as no change. A conclusion that holds over a range of "
        f"tolerances does not hang on the choice; a class is named from {100 * scheme.decide_at:g} % on."
    )
