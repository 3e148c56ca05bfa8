"""Posterior densities of ΔMCP: one half-eye per kind and level, with the probability of a rise and of a fall."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.regions import kernel

#: Probability of the inner, thick interval.
INNER: Final = 0.5

_LINE: Final = 0.52
_BASE: Final = 0.20
_PEAK: Final = 0.27
_TEXT: Final = 7.5


class Eye(NamedTuple):
    """One line of the figure."""

    level: str
    name: str
    values: np.ndarray  # draws on the axis' scale
    way: np.ndarray  # of each draw: the ratio falls (-1), stays within the tolerance (0), rises (1)
    outer: targets.Interval
    inner: targets.Interval
    rises: float
    falls: float


def densities(result: xr.DataTree, *, names: Sequence[str] | None = None, panel_width: float = 4.2) -> Figure:
    """Draw the posterior densities of ΔMCP at the levels ``mean`` and ``new``.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``delta_mcp``.
    names : sequence of str, optional
        Targets; by default all treatment kinds.
    panel_width : float
        Width of the panel in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Percentage points of necromass/SOC, or ln(ratio treated / ratio control) with a percent axis where the control
        ratio of a target is not known. Each density is scaled to the same height; under it median, 50 % and outer
        interval.

    Raises
    ------
    StageError
        If ``delta_mcp`` was not called, or the result holds one pool only.
    ValueError
        If a name is unknown.
    """
    targets.require_both_pools(result)
    chosen = targets.chosen_names(result, names)
    absolute = targets.has_absolute_change(result, chosen)
    eyes = [_eye(result, level, name, absolute) for name in chosen for level in (words.MEAN, words.NEW)]
    with style.drawing():
        return style.settled(_draw(result, eyes, absolute, panel_width))


def _eye(result: xr.DataTree, level: str, name: str, absolute: bool) -> Eye:
    """Collect one line: draws in percentage points or as log ratio, intervals, probabilities."""
    summary = targets.specification(result).summary
    values = 100 * targets.draws(result, level, name, "delta_mcp")
    if not absolute:
        values = targets.draws(result, level, name, "log_delta_mcp")
    outer, inner = (targets.interval(values, summary.interval_kind, p) for p in (summary.interval_prob, INNER))
    way = targets.way_of_ratio(result, level, name)
    return Eye(level, name, values, way, outer, inner, *targets.change_probabilities(result, level, name))


def limits(eyes: Sequence[Eye]) -> tuple[float, float]:
    """Return limits that hold zero and nearly all of every density."""
    ends = [end for eye in eyes for end in (eye.outer.lower, eye.outer.upper, *np.quantile(eye.values, [0.01, 0.99]))]
    low, high = min(*ends, 0.0), max(*ends, 0.0)
    pad = 0.04 * (high - low)
    return low - pad, high + pad


def _draw(result: xr.DataTree, eyes: Sequence[Eye], absolute: bool, panel_width: float) -> style.Picture:
    """Lay out names, panel and numbers."""
    tall = _LINE * len(eyes) + 0.05
    unit = "pp" if absolute else "%"
    head = f"{unit} [{targets.interval_short(result)}]"
    missing = [targets.no_pool(result, eye.name) for eye in eyes]
    names = [
        lettering.fit(targets.shown_name(eye.name), 1.4 if mark else 2.4, _TEXT, "bold") + mark
        for eye, mark in zip(eyes, missing, strict=True)
    ]
    texts = [targets.interval_text(eye.outer, not absolute) for eye in eyes]
    left = 0.35 + max(lettering.text_width(name, _TEXT, "bold") for name in (*names, "  in a new study"))
    numbers = max(lettering.text_width(text, _TEXT, "bold") for text in (head, *texts)) + 0.25
    width = max(left + panel_width + numbers + 1.35, 7.0)
    note = lettering.wrap(_note(result, absolute), width - 0.4, 7.0)
    below = lettering.note_height(note) + 1.0
    figure = style.picture(width, below + tall + 0.62)
    page = style.page(figure)
    axes = style.panel(figure, left, below, panel_width, tall)
    _axes(result, axes, eyes, absolute, tall)
    columns = (left + panel_width + numbers, left + panel_width + numbers + 0.60, left + panel_width + numbers + 1.20)
    for x, title in zip(columns, (head, "P(rise), %", "P(fall), %"), strict=True):
        page.text(x, below + tall + 0.1, title.replace("), ", "),\n"), size=_TEXT, color=style.MUTED, ha="right")
    for number, (eye, name, text) in enumerate(zip(eyes, names, texts, strict=True)):
        base = tall - (number + 1) * _LINE + _BASE
        _half_eye(axes, eye, base)
        mean = eye.level == words.MEAN
        weight = "bold" if mean else "normal"
        label = name if mean else "  in a new study"
        cells = (text, lettering.probability(eye.rises), lettering.probability(eye.falls))
        page.text(0.2, below + base, label, size=_TEXT, weight=weight, gid="name")
        for x, cell in zip(columns, cells, strict=True):
            page.text(x, below + base, cell, size=_TEXT, weight=weight, ha="right", gid="number")
    figure.legend(
        handles=_key(result), loc="lower left", ncols=5, columnspacing=1.8, borderaxespad=0,
        bbox_to_anchor=(0.2 / width, (below - 0.80) / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _axes(result: xr.DataTree, axes: Axes, eyes: Sequence[Eye], absolute: bool, tall: float) -> None:
    """Set limits, zero line, tolerance and labels."""
    axes.set(xlim=limits(eyes), ylim=(0, tall), yticks=[])
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.axvline(0, color=style.INK, linewidth=0.8, zorder=1)
    if absolute:
        axes.set_xlabel("ΔMCP, percentage points of necromass/SOC")
        return
    ratio = targets.tolerance(result).ratio
    axes.axvspan(-ratio, ratio, color=style.BAND, linewidth=0, zorder=0)
    axes.set_xlabel("change of the ratio necromass/SOC, ln(treated / control)")
    axes.spines["top"].set_visible(True)
    style.percent_axis(axes, "top", "change of the ratio, %", most=8)


def _borders(values: np.ndarray, way: np.ndarray) -> tuple[float, float]:
    """Return below which value as many draws lie as fall, and above which as many as rise.

    On the axis of percentage points the tolerance of a relative change is no fixed number, since control ratios vary;
    these borders are where it lies on average, and the areas beyond them are the shares of draws.
    """
    ordered = np.sort(values)
    edges = np.concatenate([[-np.inf], (ordered[1:] + ordered[:-1]) / 2, [np.inf]])
    return float(edges[int((way < 0).sum())]), float(edges[len(values) - int((way > 0).sum())])


def _half_eye(axes: Axes, eye: Eye, base: float) -> None:
    """Draw density, intervals and median of one line; coloured areas are the probabilities beside it."""
    finite = np.isfinite(eye.values)
    if not finite.any():
        return
    lower, upper = _borders(eye.values[finite], eye.way[finite])
    low, high = axes.get_xlim()
    grid = np.unique([*np.linspace(low, high, 400), *np.clip([lower, upper], low, high)])
    height = kernel(eye.values[None, finite])(grid[None, :])
    top = base + _PEAK * height / height.max()
    alpha = 0.75 if eye.level == words.MEAN else 0.28
    for here, colour in (
        (grid >= upper, style.RISE), (grid <= lower, style.FALL), ((grid >= lower) & (grid <= upper), style.STAY),
    ):  # fmt: skip
        axes.fill_between(grid, base, top, where=here.tolist(), color=colour, alpha=alpha, linewidth=0, zorder=2)
    axes.plot(grid, top, color=style.INK, linewidth=0.7, zorder=3)
    y = base - 0.07
    axes.plot(
        [eye.outer.lower, eye.outer.upper], [y, y], color=style.INK, linewidth=1.0, solid_capstyle="butt", zorder=4
    )
    axes.plot(
        [eye.inner.lower, eye.inner.upper], [y, y], color=style.INK, linewidth=3.2, solid_capstyle="butt", zorder=4
    )
    axes.plot(eye.outer.median, y, "o", color="white", markeredgecolor=style.INK, markersize=4.2, zorder=5)


def _key(result: xr.DataTree) -> list[Patch | Line2D]:
    """Return the legend's entries."""
    outer = 100 * targets.specification(result).summary.interval_prob
    return [
        Patch(facecolor=style.RISE, alpha=0.75, label="ratio rises"),
        Patch(facecolor=style.STAY, alpha=0.75, label="within the tolerance"),
        Patch(facecolor=style.FALL, alpha=0.75, label="ratio falls"),
        Line2D([], [], color=style.INK, linewidth=3.2, label=f"{100 * INNER:g} % interval"),
        Line2D([], [], color=style.INK, linewidth=1.0, marker="o", markerfacecolor="white", markersize=4.2,
               label=f"median and {outer:g} % interval"),
    ]  # fmt: skip


def _note(result: xr.DataTree, absolute: bool) -> str:
    """Return the note under the figure."""
    ratio = targets.ratio_tolerance_words(result).removeprefix("±")
    scale = "" if absolute else " The ratio of the controls is not known, so that the change is relative."
    return (
        "Posterior densities, each scaled to the same height; dark: typical comparison (mean), light: comparison in a "
        f"new study (new). Intervals: {targets.interval_words(result)}. P(rise), P(fall): probability that the ratio "
        f"necromass/SOC rises or falls by more than {ratio}, the coloured areas; grey: changes within it.{scale}"
    )
