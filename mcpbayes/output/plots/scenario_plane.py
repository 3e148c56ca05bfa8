"""The scenario plane: SOC effect across, necromass effect up, the 1:1 line is an unchanged ratio."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import Tolerances
from mcpbayes.estimands.decision import Decision, decide
from mcpbayes.estimands.reading import mean_pairs
from mcpbayes.estimands.wording import probability_text
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.plane_ground import axis_labels, ground, label_diagonal
from mcpbayes.output.plots.regions import highest_density_regions
from mcpbayes.output.plots.shrinkage import draw_shrinkage, raw_pairs

#: Probabilities of the highest-density regions, inner and outer.
PROBS: Final = (0.5, 0.95)

#: More kinds than this are drawn side by side, not on top of each other.
MOST_OVERLAID: Final = 3

_MARKERS: Final = ("o", "s", "^")


class Cloud(NamedTuple):
    """What is drawn of one kind: outlines per probability at both levels, its comparisons' points and where from."""

    name: str
    mean: list[list[np.ndarray]]
    new: list[list[np.ndarray]]
    points: np.ndarray  # (comparison, 2): SOC, necromass
    raw: np.ndarray  # alike; NaN where the table lacks one of the four means
    absent: int  # comparisons without a point


def scenario_plane(
    result: xr.DataTree,
    *,
    names: Sequence[str] | None = None,
    points: bool = True,
    panel_size: float | None = None,
) -> Figure:
    """Draw the joint posterior of both effects on the plane of the scenarios.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``delta_mcp``; with ``scenario`` each kind is labelled with its likeliest class.
    names : sequence of str, optional
        Targets at the levels ``mean`` and ``new``; by default all treatment kinds. More than three are drawn in
        panels of their own.
    points : bool
        Draw the posterior means of the comparisons' effects, and an arrow to each from the log ratio in the table.
    panel_size : float, optional
        Side of a panel in inches.

    Returns
    -------
    matplotlib.figure.Figure
        Axes in ln(treated/control) with a second reading in percent change. Filled: highest-density regions (50 and
        95 %) at level ``mean``; dashed: at level ``new``.

    Raises
    ------
    StageError
        If ``delta_mcp`` was not called.
    ValueError
        If a name is unknown.
    """
    targets.require_both_pools(result)
    chosen = targets.chosen_names(result, names)
    means = mean_pairs(result, words.COMPARISON) if points else None
    raw = raw_pairs(result) if points else None
    clouds = [_cloud(result, name, means, raw) for name in chosen]
    low, high = window(clouds, targets.tolerance(result))
    with style.drawing():
        if len(clouds) > MOST_OVERLAID:
            return style.settled(_side_by_side(result, clouds, low, high, panel_size or 2.7))
        return style.settled(_overlaid(result, clouds, low, high, panel_size or 4.7))


def _cloud(result: xr.DataTree, name: str, means: np.ndarray | None, raw: np.ndarray | None) -> Cloud:
    """Collect what is drawn of one target; `means` and `raw` are of all comparisons, (comparison, 2)."""
    mean, new = (
        highest_density_regions(
            targets.effect(result, level, name, words.SOC), targets.effect(result, level, name, words.NECROMASS), PROBS
        )
        for level in (words.MEAN, words.NEW)
    )
    there, raws = (
        np.empty((0, 2)) if values is None else _comparison_points(result, name, values) for values in (means, raw)
    )
    known = np.isfinite(there).all(axis=1)
    return Cloud(name, mean, new, there[known], raws[known], int(np.count_nonzero(~known)))


def _comparison_points(result: xr.DataTree, name: str, values: np.ndarray) -> np.ndarray:
    """Return values of necromass and SOC, (comparison, 2), for a kind's comparisons, as SOC, necromass."""
    values = values[:, ::-1]
    kind = targets.kind_of(result, name)
    mine = slice(None) if kind is None else targets.group(result, words.DATA)["kind_of_comparison"].values == kind
    return np.asarray(values[mine])


def window(clouds: Sequence[Cloud], tolerance: Tolerances) -> tuple[float, float]:
    """Return limits, the same on both axes, that hold all outlines, the origin and, unless far out, all points."""
    outlines = np.concatenate([line for c in clouds for region in (*c.mean, *c.new) for line in region])
    low, high = min(float(outlines.min()), 0.0), max(float(outlines.max()), 0.0)
    reach = 0.3 * (high - low)
    points = np.concatenate([c.points for c in clouds]).ravel()
    near = points[(points > low - reach) & (points < high + reach)]
    low, high = min([low, *near]), max([high, *near])
    pad, least = 0.10 * (high - low), 5 * max(tolerance.necromass, tolerance.soc, tolerance.ratio)
    low, high = min(low - pad, -least), max(high + pad, least)
    return min(low, -0.45 * high), max(high, -0.45 * low)


def _draw_cloud(axes: Axes, cloud: Cloud, colour: str, marker: str) -> None:
    """Draw the regions, points and arrows of one kind."""
    draw_shrinkage(axes, cloud.raw, cloud.points, colour)
    inside = cloud.points[((cloud.points >= axes.get_xlim()[0]) & (cloud.points <= axes.get_xlim()[1])).all(axis=1)]
    axes.plot(
        *inside.T, marker, markersize=3.2, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=0.7,
        alpha=0.9, zorder=2,
    )  # fmt: skip
    for outlines, width in zip(cloud.new, (0.6, 1.0), strict=True):
        for line in outlines:
            axes.plot(*line.T, color=colour, linewidth=width, linestyle=(0, (4, 2)), zorder=3)
    for outlines, alpha in zip(cloud.mean[::-1], (0.30, 0.55), strict=True):
        for line in outlines:
            axes.add_patch(PathPatch(Path(line), facecolor=colour, alpha=alpha, edgecolor="none", zorder=4))
            axes.add_patch(PathPatch(Path(line), facecolor="none", edgecolor=colour, linewidth=1.1, zorder=4))


def _obstacles(cloud: Cloud) -> list[np.ndarray]:
    """Return what a label should keep away from."""
    return [cloud.points, *(line for region in (*cloud.mean, *cloud.new) for line in region)]


def _counts(result: xr.DataTree, name: str) -> str:
    """Return what a target rests on, in words."""
    comparisons, studies = targets.kind_counts(result, name)
    return f"{lettering.count(comparisons, 'comparison')}, {lettering.count(studies, 'study', 'studies')}"


def _verdict_lines(result: xr.DataTree, name: str) -> list[str]:
    """Return what is decided at both levels, one line each; nothing before `classify`."""
    if words.SCENARIO not in result.children:
        return []
    return [f"{level}: {_verdict(decide(result, level, name)[0])}" for level in (words.MEAN, words.NEW)]


def _verdict(decision: Decision) -> str:
    """Return what is claimed with its probability, or the code of the likeliest class where nothing is."""
    if decision.unobserved:
        return (
            f"nothing is claimed: {' and '.join(map(targets.words_of, decision.unobserved))} not observed in this kind"
        )
    claimed = decision.best if decision.abstained else decision
    chance = probability_text(claimed.probability, decision.threshold)
    chance = (f"P {chance}" if chance[0] in "<>" else f"P = {chance}").replace(" ", "\N{NO-BREAK SPACE}")
    if decision.abstained:
        return f"undecided; most probable {lettering.shorten(decision.best.code, 14)}, {chance}"
    code = f" ({lettering.shorten(decision.best.code, 14)})" if decision.chosen == decision.best.code else ""
    return f"{lettering.shorten(decision.label, 36)}{code}, {chance}"


def _key(colour: str, with_points: bool) -> list[Line2D | Patch]:
    """Return the legend entries that hold for every kind."""
    entries: list[Line2D | Patch] = [
        Patch(facecolor=colour, alpha=0.55, edgecolor=colour, label="typical comparison (mean):\n50 and 95 % regions"),
        Line2D(
            [], [], color=colour, linestyle=(0, (4, 2)), linewidth=1, label="new comparison (new):\n50 and 95 % regions"
        ),
    ]
    if with_points:
        entries.append(
            Line2D([], [], linestyle="", marker="o", markersize=3.6, markerfacecolor="white", markeredgecolor=colour,
                   label="comparison, posterior mean;\narrow: from its log ratio in the table")
        )  # fmt: skip
    return entries


def _note(result: xr.DataTree, clouds: Sequence[Cloud], low: float, high: float) -> str:
    """Return the note under the figure."""
    outside = sum(int(((c.points < low) | (c.points > high)).any(axis=1).sum()) for c in clouds)
    left_out = f" {outside} comparison{'s lie' if outside > 1 else ' lies'} outside the frame." if outside else ""
    decide_at = targets.specification(result).scenarios.decide_at
    far = sum(int(((c.raw < low) | (c.raw > high)).any(axis=1).sum()) for c in clouds)
    left_out += (
        f" {lettering.count(far, 'arrow')} {'starts' if far == 1 else 'start'} outside the frame." if far else ""
    )
    lacking = sum(c.absent for c in clouds)
    if lacking:
        left_out += f" Without a point: {lettering.count(lacking, 'comparison')} whose control lacks a pool."
    scheme = targets.specification(result).scenarios
    if targets.points_of(scheme) is not None:
        ratio = scheme.tolerance_percent["ratio"]
        left_out += f" A tolerance in percentage points has no one border: beside the 1:1 line that of ±{ratio:g} %."
    return (
        "Regions are highest-density regions of the joint posterior of both effects. Sector borders are the tolerances "
        f"({targets.tolerance_words(result)}); sector codes give the signs of the changes in necromass (N), SOC (C) "
        f"and their ratio (r). Undecided: no class or coarser "
        f"statement reaches P = {decide_at:g}, or the diagnostics failed.{left_out}"
    )


def _overlaid(result: xr.DataTree, clouds: Sequence[Cloud], low: float, high: float, side: float) -> style.Picture:
    """Draw all kinds in one panel, legend at the right."""
    width = side + 4.4
    note = lettering.wrap(_note(result, clouds, low, high), width - 0.4, 7.0)
    below = lettering.note_height(note) + 0.70
    figure = style.picture(width, side + below + 0.55)
    axes = style.panel(figure, 0.75, below, side, side)
    obstacles = ground(axes, low, high, targets.specification(result).scenarios, 6.5)
    handles: list[Line2D | Patch] = []
    for cloud, colour, marker in zip(clouds, style.INKS, _MARKERS, strict=False):
        _draw_cloud(axes, cloud, colour, marker)
        title = f"{lettering.fit(targets.shown_name(cloud.name), 2.4, 7.5)}\n{_counts(result, cloud.name)}"
        label = "\n".join([title, *(lettering.wrap(line, 2.4, 7.5) for line in _verdict_lines(result, cloud.name))])
        handles.append(Patch(facecolor=colour, edgecolor=colour, label=label))
        obstacles += _obstacles(cloud)
    label_diagonal(axes, obstacles, low, high, 7.5)
    axis_labels(axes)
    handles += _key(style.MUTED if len(clouds) > 1 else style.INKS[0], any(len(c.points) for c in clouds))
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=((side + 1.45) / width, 1 - 0.45 / figure.get_figheight()),
        labelspacing=1.1, handlelength=1.8, borderaxespad=0,
    )  # fmt: skip
    style.page(figure).text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _side_by_side(result: xr.DataTree, clouds: Sequence[Cloud], low: float, high: float, side: float) -> style.Picture:
    """Draw every kind in a panel of its own, the legend in one line under them."""
    columns = {4: 2, 5: 3, 6: 3, 9: 3}.get(len(clouds), 4)
    rows = -(-len(clouds) // columns)
    across, up = side + 0.85, side + 1.40
    width = columns * across + 0.45
    note = lettering.wrap(_note(result, clouds, low, high), width - 0.4, 7.0)
    below = lettering.note_height(note) + 1.15
    figure = style.picture(width, rows * up + below - 0.15)
    for number, cloud in enumerate(clouds):
        row, column = divmod(number, columns)
        axes = style.panel(figure, 0.70 + column * across, below + (rows - 1 - row) * up, side, side)
        obstacles = ground(axes, low, high, targets.specification(result).scenarios, 5.5)
        _draw_cloud(axes, cloud, style.INKS[0], "o")
        label_diagonal(axes, [*obstacles, *_obstacles(cloud)], low, high, 6.5)
        lowest = number + columns >= len(clouds)
        axis_labels(axes, bottom=lowest, left=column == 0, right=column == columns - 1 or number == len(clouds) - 1)
        _head(result, axes, cloud)
    figure.legend(
        handles=_key(style.INKS[0], any(len(c.points) for c in clouds)), loc="lower center", ncols=3, columnspacing=3,
        bbox_to_anchor=(0.5, (below - 0.95) / figure.get_figheight()), borderaxespad=0,
    )  # fmt: skip
    style.page(figure).text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _head(result: xr.DataTree, axes: Axes, cloud: Cloud) -> None:
    """Write kind, counts and likeliest classes above a panel."""
    name = lettering.fit(targets.shown_name(cloud.name), style.width_in_inches(axes) + 0.4, 8.5, "bold")
    text = "\n".join([_counts(result, cloud.name), *_verdict_lines(result, cloud.name)])
    place: dict[str, Any] = {"textcoords": "offset points", "va": "bottom"}
    lines = axes.annotate(text, (0, 1), (0, 31), xycoords="axes fraction", size=7.0, gid="head", **place)
    axes.annotate(name, (0, 1), (0, 3), xycoords=lines, size=8.5, weight="bold", gid="kind", **place)
