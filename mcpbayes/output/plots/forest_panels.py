"""The panels of a forest plot: what each shows of every row, its limits and its marks."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.forest_rows import Row

#: Intervals of the level new may widen an axis to so many times what the others need; longer ones end in an arrow.
_ROOM_FOR_NEW: Final = 1.6

_TITLES: Final = {
    words.NECROMASS: "Necromass effect",
    words.SOC: "SOC effect",
    words.FUNGAL_NECROMASS: "Fungal necromass",
    words.BACTERIAL_NECROMASS: "Bacterial necromass",
}
STUDY_INK: Final = "#3f3f3f"


class Column(NamedTuple):
    """One panel: its title, units and what it shows of every row."""

    title: str
    unit: str
    tolerance: float | None  # half-width of the band around no change, ln ratio; None: percentage points
    intervals: list[targets.Interval | None]
    texts: list[str]


def columns(result: xr.DataTree, lines: Sequence[Row]) -> list[Column]:
    """Return the panels: one per pool, then the change of the ratio where there is one."""
    tolerance = asdict(targets.tolerance(result))
    change = targets.group(result, words.DELTA_MCP)
    outcomes = [str(outcome) for outcome in change["outcome"].values]
    found = []
    for outcome in outcomes:
        limit = tolerance.get(outcome, tolerance["ratio"])
        title = _TITLES.get(outcome, lettering.shorten(outcome, 24))
        found.append(_column(result, lines, outcome, title, "ln(treated / control)", limit))
    if targets.has_pairs(change):
        if targets.has_absolute_change(result, [row.name for row in lines if row.role == "mean"]):
            found.append(_column(result, lines, "delta_mcp", "ΔMCP", "percentage points of necromass/SOC", None))
        else:
            unit = "ln(treated / control)"
            title = "Necromass/SOC ratio"
            found.append(_column(result, lines, "log_delta_mcp", title, unit, tolerance["ratio"]))
    return found


def _column(
    result: xr.DataTree, lines: Sequence[Row], quantity: str, title: str, unit: str, tolerance: float | None
) -> Column:
    """Return one panel; without a tolerance it is in percentage points, not a log ratio."""
    summary = targets.specification(result).summary
    shown: list[targets.Interval | None] = []
    studies = targets.draws_of_studies(result, [row.name for row in lines if row.role == "study"], quantity)
    for row in lines:
        if row.role == "head":
            shown.append(None)
            continue
        if row.role == "study":
            values = studies[row.name]
        elif quantity in ("delta_mcp", "log_delta_mcp"):
            values = targets.draws(result, row.role, row.name, quantity)
        else:
            values = targets.effect(result, row.role, row.name, quantity)
        values = values * (100 if quantity == "delta_mcp" else 1)
        shown.append(targets.interval(values, summary.interval_kind, summary.interval_prob))
    return Column(
        title,
        unit,
        tolerance,
        shown,
        ["" if i is None else targets.interval_text(i, tolerance is not None) for i in shown],
    )


def limits(column: Column, lines: Sequence[Row]) -> tuple[float, float]:
    """Return the limits of a panel: all intervals of kinds and studies, zero, and those of ``new`` within reason."""
    pairs = [(row.role, i) for row, i in zip(lines, column.intervals, strict=True) if i and np.isfinite(i.median)]
    close = [end for role, i in pairs if role != "new" for end in (i.lower, i.upper)] + [0.0]
    low, high = min(close), max(close)
    room = (_ROOM_FOR_NEW - 1) * (high - low)
    wide = [end for role, i in pairs if role == "new" for end in (i.lower, i.upper)] + [0.0]
    low, high = max(min([low, *wide]), low - room), min(max([high, *wide]), high + room)
    pad = 0.04 * (high - low) or 0.1
    return low - pad, high + pad


def reaches_beyond(column: Column, lines: Sequence[Row]) -> bool:
    """Say whether an interval of the panel ends in an arrow."""
    low, high = limits(column, lines)
    return any(i.lower < low or i.upper > high for i in column.intervals if i and np.isfinite(i.median))


def fill(axes: Axes, column: Column, lines: Sequence[Row], middles: np.ndarray, tall: float) -> None:
    """Draw the marks and both axes of one panel."""
    low, high = limits(column, lines)
    axes.set(xlim=(low, high), ylim=(0, tall), yticks=[])
    axes.spines[["left", "right"]].set_visible(False)
    if column.tolerance is not None:
        axes.axvspan(-column.tolerance, column.tolerance, color=style.BAND, linewidth=0, zorder=0)
    axes.axvline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    for row, interval, y in zip(lines, column.intervals, middles, strict=True):
        if interval and np.isfinite(interval.median):
            _mark(axes, row, interval, float(y))
    axes.set_xlabel(column.unit)
    axes.locator_params(axis="x", nbins=4)
    axes.set_title(column.title, pad=30, weight="bold")
    if column.tolerance is None:
        axes.spines["top"].set_visible(False)
    else:
        style.percent_axis(axes, "top", "change, %", most=4)


def _mark(axes: Axes, row: Row, interval: targets.Interval, y: float) -> None:
    """Draw one interval; an end outside the panel becomes an arrow."""
    low, high = axes.get_xlim()
    thick = {"mean": 2.8, "new": 0.9, "study": 1.2}[row.role]
    ends = np.clip([interval.lower, interval.upper], low, high)
    colour = style.INK if row.role != "study" else STUDY_INK
    axes.plot(ends, [y, y], color=colour, linewidth=thick, solid_capstyle="butt", zorder=3)
    for end, limit, arrow in ((interval.lower, low, "<"), (interval.upper, high, ">")):
        if not low <= end <= high:
            axes.plot(limit, y, arrow, color=colour, markersize=3.5, clip_on=False, zorder=3)
    if row.role != "new":
        shape, size = ("D", 5.5) if row.role == "mean" else ("o", 3.6)
        face = "white" if row.role == "mean" and not row.headline else colour
        axes.plot(interval.median, y, shape, color=colour, markerfacecolor=face, markersize=size, zorder=4)
