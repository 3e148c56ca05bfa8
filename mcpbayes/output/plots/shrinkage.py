"""Arrows from what the table says of a comparison to what the model makes of it."""

from typing import Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyArrowPatch

from mcpbayes import vocabulary as words
from mcpbayes.estimands.parts import apart
from mcpbayes.output.plots import targets

#: More arrows than this in a panel are lines without heads, the fainter the more there are.
MOST_ARROWS: Final = 60

#: Digits of a log ratio that are drawn.
_DECIMALS: Final = 9


def raw_log_ratios(result: xr.DataTree) -> np.ndarray:
    """Return the log ratios of the table as they were analysed, NaN where a pool is missing, (comparison, K)."""
    data = targets.group(result, words.DATA)
    if "log_ratio" in data:
        return np.asarray(data["log_ratio"].transpose("comparison", "outcome").values, dtype=float)
    return _differences(data, data["log_mean"].transpose("arm", "outcome").values)


def raw_pairs(result: xr.DataTree) -> np.ndarray:
    """Return the log ratios of necromass and SOC in the table, (comparison, 2); of necromass as two pools, their sum's.

    NaN where a pool is missing.
    """
    data = targets.group(result, words.DATA)
    outcomes = data["outcome"].values.astype(str).tolist()
    if not apart(data):
        return raw_log_ratios(result)[:, [outcomes.index(pool) for pool in (words.NECROMASS, words.SOC)]]
    means = data["log_mean"].transpose("arm", "outcome").values
    fungal, bacterial, soc = (means[:, outcomes.index(pool)] for pool in (*words.PARTS, words.SOC))
    return _differences(data, np.stack([np.log(np.exp(fungal) + np.exp(bacterial)), soc], axis=1))


def _differences(data: xr.Dataset, means: np.ndarray) -> np.ndarray:
    """Return treated less control of values (arm, k), by comparison."""
    control = {
        str(of): arm
        for arm, (of, treated) in enumerate(zip(data["control_of_arm"].values, data["treated"].values, strict=True))
        if not treated
    }
    arm = {str(name): place for place, name in enumerate(data["arm"].values)}
    of_treated = [arm[str(name)] for name in data["arm_of_comparison"].values]
    of_control = [control[str(name)] for name in data["control_of_comparison"].values]
    return np.asarray(means[of_treated] - means[of_control], dtype=float)


def draw_shrinkage(axes: Axes, raw: np.ndarray, means: np.ndarray, colour: str) -> None:
    """Draw an arrow from each raw log ratio to the posterior mean; both (comparison, 2), raw with NaN for none."""
    known = np.isfinite(raw).all(axis=1)
    # Where a path is cut at a point is found step by step: the last bit of a mean could move the step, and a pixel.
    raw, means = (np.round(values[known], _DECIMALS) for values in (raw, means))
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
