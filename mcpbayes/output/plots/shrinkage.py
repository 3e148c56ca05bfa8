"""Arrows from what the table says of a comparison to what the model makes of it."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyArrowPatch

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import targets

#: More arrows than this in a panel are lines without heads, the fainter the more there are.
MOST_ARROWS: Final = 60


def raw_log_ratios(result: xr.DataTree) -> np.ndarray:
    """Return the log ratios of the table as they were analysed, NaN where a pool is missing, (comparison, K)."""
    data = targets.group(result, words.DATA)
    if "log_ratio" in data:
        return np.asarray(data["log_ratio"].transpose("comparison", "outcome").values, dtype=float)
    means = data["log_mean"].transpose("arm", "outcome")
    control = {
        str(of): arm
        for arm, (of, treated) in enumerate(zip(data["control_of_arm"].values, data["treated"].values, strict=True))
        if not treated
    }
    arm = {str(name): place for place, name in enumerate(data["arm"].values)}
    of_treated = [arm[str(name)] for name in data["arm_of_comparison"].values]
    of_control = [control[str(name)] for name in data["control_of_comparison"].values]
    return np.asarray(means.values[of_treated] - means.values[of_control], dtype=float)


def draw_shrinkage(axes: Axes, raw: np.ndarray, means: np.ndarray, colour: str) -> None:
    """Draw an arrow from each raw log ratio to the posterior mean; both (comparison, 2), raw with NaN for none."""
    known = np.isfinite(raw).all(axis=1)
    raw, means = raw[known], means[known]
    if len(raw) > MOST_ARROWS:
        faint = max(0.12, 0.5 * MOST_ARROWS / len(raw))
        lines = LineCollection(list(np.stack([raw, means], axis=1)), colors=colour, linewidths=0.4, alpha=faint)
        lines.set(zorder=1.5, gid="shrinkage")
        axes.add_collection(lines, autolim=False)
        return
    for start, end in zip(raw, means, strict=True):
        arrow = FancyArrowPatch(
            tuple(start), tuple(end), arrowstyle="-|>", mutation_scale=4.5, linewidth=0.45, color=colour, alpha=0.55,
            shrinkA=0, shrinkB=2.2, zorder=1.5, gid="shrinkage", clip_on=True,
        )  # fmt: skip
        axes.add_patch(arrow)
