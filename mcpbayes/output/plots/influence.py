"""Does one study decide? The change of the ratio without each study, beside that of all of them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import refuse_two_pools
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.influence_rows import Line, lines_of, of_kind, target_shown
from mcpbayes.output.plots.targets import group

_LINE: Final = 0.185
_TEXT: Final = 7.5
_PANEL: Final = 3.2
_GAP: Final = 0.14

#: Where the interval of all studies is no wider than this (log ratio), percents have a decimal.
_FINE: Final = 0.2

#: What stands where the headline would abstain.
_NOTHING: Final = "nothing"


def influence(result: xr.DataTree, *, name: str | None = None, panel_width: float = _PANEL) -> Figure:
    """Draw the change of the ratio at level ``mean`` without each study, sorted by how far the estimate moves.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``influence``.
    name : str, optional
        The target, ``manure`` standing for ``kind=manure``; by default the headline target whose headline changes when
        one study is left out, else whose leading class does, else that moves most; kinds that only that study holds are
        not counted.
    panel_width : float
        Width of the panel in inches; the height follows from the number of studies.

    Returns
    -------
    matplotlib.figure.Figure
        Posterior means and intervals of ln(ratio treated / ratio control), with a percent axis. Band and dashed line:
        all studies. With more than `influence_rows.MOST` studies those alone that change the headline or move the
        estimate most.

    Raises
    ------
    StageError
        If ``leave_one_study_out`` was not called, or the result holds one pool only, or two pools over time.
    ValueError
        If the name is unknown.
    """
    refuse_two_pools(result)
    found = group(result, words.INFLUENCE)
    targets.require_both_pools(result)
    chosen = target_shown(result) if name is None else targets.chosen_names(result, [name])[0]
    every, lines, total = lines_of(found, chosen, of_kind(result, chosen))
    with style.drawing():
        return style.settled(_draw(result, chosen, every, lines, total, panel_width))


class _Column(NamedTuple):
    """Text beside the panel: head, cells of all lines, and which cells are bold."""

    head: str
    cells: list[str]
    bold: list[bool]
    side: str


def _columns(result: xr.DataTree, every: Line, lines: Sequence[Line]) -> tuple[list[_Column], list[_Column]]:
    """Return the columns of text left and right of the panel."""
    rows = [every, *lines]
    first = [True] + [False] * len(lines)
    names = [lettering.fit(line.name, 2.0, _TEXT, "bold") + _mark(line) for line in rows]
    left = [
        _Column("without study", names, first, "left"),
        _Column("compa-\nrisons", [str(line.comparisons) for line in rows], first, "right"),
    ]
    if every.of_kind != every.comparisons:
        left.append(_Column("of this\nkind", [str(line.of_kind) for line in rows], first, "right"))
    there = [np.isfinite(line.mean) for line in rows]

    def shown(texts: Sequence[str]) -> list[str]:
        return [text if here else "–" for text, here in zip(texts, there, strict=True)]

    digits = 0 if every.upper - every.lower > _FINE else 1
    estimates = [_percents(line, digits) for line in rows]
    shifts = ["", *(lettering.signed(line.shift, 2) for line in lines)]
    classes = shown([f"{line.scenario}  {lettering.probability(line.probability)}" for line in rows])
    claims = shown([line.claim or _NOTHING for line in rows])
    right = [
        _Column(f"% [{targets.interval_short(result)}]", estimates, first, "right"),
        _Column("shift,\nSD", shifts, first, "right"),
        _Column("most probable\nclass, %", classes, [line.class_moves for line in rows], "right"),
        _Column("headline\nnames", claims, [line.claim_moves for line in rows], "right"),
        _Column("elpd", ["", *(lettering.signed(line.elpd, 1) for line in lines)], [False, *_worst(lines)], "right"),
    ]
    right[2].bold[0] = right[3].bold[0] = True
    return left, right


def _percents(line: Line, digits: int) -> str:
    mean, lower, upper = (lettering.percent(value, digits) for value in (line.mean, line.lower, line.upper))
    return f"{mean} [{lower}, {upper}]" if np.isfinite(line.mean) else "–"


def _worst(lines: Sequence[Line]) -> list[bool]:
    """Say which study the others predict worst: its log density per comparison is the lowest."""
    each = [line.elpd / line.comparisons if np.isfinite(line.elpd) else np.inf for line in lines]
    return [value == min(each) and np.isfinite(value) for value in each]


def _mark(line: Line) -> str:
    return " †" if line.unseen else " ×" if not line.passed else ""


def _draw(
    result: xr.DataTree, name: str, every: Line, lines: Sequence[Line], total: int, panel_width: float
) -> style.Picture:
    """Lay the columns and the panel out from left to right."""
    left, right = _columns(result, every, lines)
    widths = [
        max(lettering.text_width(text, _TEXT, "bold") for text in (c.head, *c.cells)) + _GAP for c in (*left, *right)
    ]
    width = 0.3 + sum(widths) + panel_width + 0.25
    tall = _LINE * (len(lines) + 1) + 0.12
    note = lettering.wrap(_note(result, name, lines, total), width - 0.4, 7.0)
    below = lettering.note_height(note) + 1.05
    figure = style.picture(width, below + tall + 0.85)
    page = style.page(figure)
    # The line of all studies stands a little apart.
    middles = tall - _LINE * (np.arange(len(lines) + 1) + 0.5) - np.where(np.arange(len(lines) + 1) > 0, 0.08, 0.0)
    for row, y in enumerate(middles):
        if row % 2 and row:
            page.axhspan(
                below + y - _LINE / 2, below + y + _LINE / 2, 0.2 / width, 1 - 0.1 / width,
                color=style.STRIPE, linewidth=0,
            )  # fmt: skip
    page.text(0.2, below + tall + 0.62, _title(result, name), size=9.0, weight="bold", gid="title")
    x = 0.2
    for column, wide in zip(left, widths, strict=False):
        _write(page, column, x, wide, below + middles, below + tall)
        x += wide
    x += 0.05
    _panel(result, style.panel(figure, x, below, panel_width, tall), every, lines, middles, tall)
    x += panel_width + 0.1
    for column, wide in zip(right, widths[len(left) :], strict=True):
        _write(page, column, x, wide, below + middles, below + tall)
        x += wide
    figure.legend(
        handles=_key(result, every, lines), loc="lower left", ncols=6, columnspacing=1.6, borderaxespad=0,
        handlelength=1.6, bbox_to_anchor=(0.2 / width, (below - 0.82) / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _title(result: xr.DataTree, name: str) -> str:
    of = "all comparisons" if targets.kind_of(result, name) is None else targets.shown_name(name)
    return lettering.fit(f"Does one study decide? {of}, typical comparison (mean)", 7.5, 9.0, "bold")


def _write(page: Axes, column: _Column, x: float, wide: float, heights: np.ndarray, top: float) -> None:
    """Write one column of text."""
    at = x if column.side == "left" else x + wide - _GAP / 2
    page.text(at, top + 0.1, column.head, size=_TEXT, color=style.MUTED, ha=column.side, gid="head")
    for text, bold, y in zip(column.cells, column.bold, heights, strict=True):
        weight = "bold" if bold else "normal"
        page.text(
            at, y, text, size=_TEXT, weight=weight, ha=column.side, va="center_baseline", gid=f"row {column.side}"
        )


def limits(every: Line, lines: Sequence[Line]) -> tuple[float, float]:
    """Return limits that hold zero and all intervals, those of an unseen kind (nearly its prior's) within reason."""
    ends = [end for line in (every, *lines) if not line.unseen for end in (line.lower, line.upper)]
    low, high = np.nanmin([*ends, 0.0]), np.nanmax([*ends, 0.0])
    pad = 0.04 * (high - low)
    return low - pad, high + pad


def _panel(
    result: xr.DataTree, axes: Axes, every: Line, lines: Sequence[Line], middles: np.ndarray, tall: float
) -> None:
    """Draw band and line of all studies, and mean and interval without each."""
    axes.set(xlim=limits(every, lines), ylim=(0, tall), yticks=[])
    axes.spines[["left", "right"]].set_visible(False)
    ratio = targets.tolerance(result).ratio
    axes.axvspan(every.lower, every.upper, color=style.RISE, alpha=0.13, linewidth=0, zorder=0)
    for limit in (-ratio, ratio):
        axes.axvline(limit, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    axes.axvline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    axes.axvline(every.mean, color=style.RISE, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    merge = targets.specification(result).scenarios.merge
    for line, y in zip((every, *lines), middles, strict=True):
        if not np.isfinite(line.mean):
            continue
        whole = line is every
        colour = style.colour_of(line.scenario, merge)
        low, high = axes.get_xlim()
        axes.plot(
            np.clip([line.lower, line.upper], low, high), [y, y], color=style.INK, linewidth=2.4 if whole else 1.1,
            solid_capstyle="butt", zorder=3,
        )  # fmt: skip
        for end, beyond, arrow in ((low, line.lower < low, "<"), (high, line.upper > high, ">")):
            if beyond:
                axes.plot(end, y, arrow, color=style.INK, markersize=3.5, clip_on=False, zorder=3)
        face = colour if line.passed and not line.unseen else "white"
        axes.plot(
            line.mean, y, "D" if whole else "o", color=style.INK, markerfacecolor=face,
            markersize=6.2 if whole else 5.4, markeredgewidth=0.8, zorder=4,
        )  # fmt: skip
    axes.set_xlabel("change of the ratio necromass/SOC, ln(treated / control)")
    axes.set_xticks(style.inner_ticks(*axes.get_xlim()))
    style.percent_axis(axes, "top", "change of the ratio, %", most=7)


def _key(result: xr.DataTree, every: Line, lines: Sequence[Line]) -> list[Line2D | Patch]:
    """Return the legend's entries: the classes that lead somewhere, the band, and marks that the figure holds."""
    merge = targets.specification(result).scenarios.merge
    classes = dict.fromkeys(line.scenario for line in (every, *lines) if line.scenario)
    found: list[Line2D | Patch] = [
        Line2D([], [], linestyle="", marker="o", markersize=5.4, color=style.INK, markeredgewidth=0.8,
               markerfacecolor=style.colour_of(code, merge), label=f"{code} leads")
        for code in classes
    ]  # fmt: skip
    if any(line.unseen or not line.passed for line in lines):
        found.append(
            Line2D([], [], linestyle="", marker="o", markersize=5.4, color=style.INK, markeredgewidth=0.8,
                   markerfacecolor="white", label="see note")
        )  # fmt: skip
    prob = 100 * targets.specification(result).summary.interval_prob
    return [
        *found,
        Patch(facecolor=style.RISE, alpha=0.13, label=f"all studies: mean and {prob:g} % interval"),
        Line2D([], [], color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 2)), label="between: no change"),
    ]


def _why_shown(lines: Sequence[Line]) -> str:
    """Return why this kind is the one that is shown."""
    counted = [line for line in lines if line.passed and not line.unseen]
    if any(line.claim_moves for line in counted):
        return "whose headline changes without a single study"
    if any(line.class_moves for line in counted):
        return "whose most probable class changes without a single study"
    return "the one that a single study moves most"


def _note(result: xr.DataTree, name: str, lines: Sequence[Line], total: int) -> str:
    """Return the note under the figure."""
    threshold = targets.specification(result).scenarios.decide_at
    parts = [
        f"Points: posterior means without the study; lines: {targets.interval_words(result)}s. Shift: of the mean, in "
        "posterior standard deviations of the fit to all studies. Bold: another class leads, or the headline (from a "
        f"probability of {threshold:g} on) would name something else, than with all studies, beyond Monte-Carlo "
        "error. elpd: log density of the study's contrasts as the others predict it; it also depends on how many they "
        "are and how precise; bold: lowest per comparison among those shown."
    ]
    if len(lines) < total:
        parts.append(
            f"Shown are the {len(lines)} of {total} studies that change the headline or move the estimate most."
        )
    if len(targets.headline_names(result)) > 1:
        most = f", {_why_shown(lines)}" if name == target_shown(result) else ""
        parts.append(f"One kind is shown{most}; influence.csv holds all.")
    if any(line.unseen for line in lines):
        parts.append(
            "†: no other study measured both pools of this kind; without it the prior and the other kinds speak "
            "(arrows: the interval reaches beyond the panel)."
        )
    if any(not line.passed and not line.unseen for line in lines):
        parts.append("×: the refit failed its check, or the other studies do not determine the model.")
    return lettering.plain(" ".join(parts))
