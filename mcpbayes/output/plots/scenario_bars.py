"""Scenario probabilities: one panel per kind, one line per class, posterior against prior."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style, targets

#: Probabilities below this are drawn, but not printed.
LEAST_PRINTED: Final = 0.02

#: Panels side by side before a new row of panels begins.
MOST_ABREAST: Final = 4

#: Width of a panel where one or two kinds leave room.
_WIDTHS: Final = {1: 3.2, 2: 2.2}

_LINE: Final = 0.32
_GAP_BEFORE_CHANGES: Final = 0.42
_HEAD: Final = 0.75
_FOOT: Final = 0.55
_NUMBER: Final = 0.42
_OFFSET: Final = {words.MEAN: 0.055, words.NEW: -0.065}
_THICKNESS: Final = {words.MEAN: 0.12, words.NEW: 0.075}
_CHANGES: Final = {
    "increase": ("ΔMCP: ratio rises", style.RISE),
    "no change": ("ΔMCP: no change", style.STAY),
    "decrease": ("ΔMCP: ratio falls", style.FALL),
}


class Line(NamedTuple):
    """One line of all panels: a class, or what the ratio does."""

    key: str
    code: str
    label: str
    colour: str
    is_class: bool


def scenario_bars(
    result: xr.DataTree, *, names: Sequence[str] | None = None, panel_width: float | None = None
) -> Figure:
    """Draw the probability of every scenario class, at the levels ``mean`` and ``new``, beside its prior probability.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``scenario``.
    names : sequence of str, optional
        Targets at the levels ``mean`` and ``new``; by default all treatment kinds.
    panel_width : float, optional
        Width of a panel of bars in inches; by default the fewer kinds, the wider.

    Returns
    -------
    matplotlib.figure.Figure
        Probabilities in percent. Thick bar: ``mean``; thin bar: ``new``, with an interval of the share of comparisons
        in the class; black tick: prior probability. Below the classes the change of the ratio alone.

    Raises
    ------
    StageError
        If ``classify`` was not called.
    ValueError
        If a name is unknown.
    """
    targets.group(result, words.SCENARIO)
    chosen = targets.chosen_names(result, names)
    with style.drawing():
        return style.settled(_draw(result, chosen, _lines(result), panel_width or _WIDTHS.get(len(chosen), 1.55)))


def _lines(result: xr.DataTree) -> list[Line]:
    """Return the classes in ring order, then the changes of the ratio."""
    scenarios = targets.group(result, words.SCENARIO)
    merge = targets.specification(result).scenarios.merge
    found = []
    for code, label in zip(
        scenarios["scenario"].values.astype(str), scenarios["label"].values.astype(str), strict=True
    ):
        colour = style.colour_of(code, merge)
        found.append(Line(code, lettering.fit(code, 1.0, 7.5), lettering.fit(label, 2.4, 7.5), colour, True))
    changes = scenarios["change"].values.astype(str)
    return found + [Line(change, "", *_CHANGES[change], False) for change in changes]


def _middles(lines: Sequence[Line]) -> tuple[np.ndarray, float]:
    """Return each line's middle in inches above the panel's lower edge, and the panel's height."""
    steps = np.full(len(lines), _LINE)
    steps[sum(line.is_class for line in lines)] = _GAP_BEFORE_CHANGES + _LINE / 2
    tall = float(steps.sum())
    return tall - np.cumsum(steps) + _LINE / 2, tall


def _draw(result: xr.DataTree, names: Sequence[str], lines: Sequence[Line], panel_width: float) -> style.Picture:
    """Lay the panels out in rows, each row with its own line labels."""
    middles, tall = _middles(lines)
    abreast = min(len(names), MOST_ABREAST)
    deep = -(-len(names) // abreast)
    abreast = -(-len(names) // deep)
    codes = max(lettering.text_width(line.code, 7.5) for line in lines) + 0.15
    labels = max(lettering.text_width(line.label, 7.5) for line in lines) + 0.2
    left = 0.45 + codes + labels
    pitch = panel_width + 2 * _NUMBER + 0.25
    width = max(left + abreast * pitch, 7.9)
    note = lettering.wrap(_note(result), width - 0.4, 7.0)
    below = lettering.note_height(note) + 0.75
    figure = style.picture(width, below + deep * (tall + _HEAD + _FOOT))
    page = style.page(figure)
    for number, name in enumerate(names):
        row, column = divmod(number, abreast)
        bottom = below + (deep - 1 - row) * (tall + _HEAD + _FOOT) + _FOOT - 0.1
        if column == 0:
            _line_labels(page, lines, middles + bottom, codes, left + min(abreast, len(names) - number) * pitch)
        axes = style.panel(figure, left + column * pitch, bottom, panel_width, tall)
        _panel(result, axes, name, lines, middles)
        _numbers(result, page, name, middles + bottom, left + column * pitch + panel_width)
        top = bottom + tall
        _heads(result, page, name, left + column * pitch, top, panel_width)
    figure.legend(
        handles=_key(), loc="lower left", ncols=4, columnspacing=2.0, borderaxespad=0,
        bbox_to_anchor=(0.2 / width, (below - 0.55) / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _heads(result: xr.DataTree, page: Axes, name: str, x: float, top: float, panel_width: float) -> None:
    """Write name and counts above a panel, and what its columns of numbers are."""
    comparisons, studies = targets.kind_counts(result, name)
    counts = f"{lettering.count(comparisons, 'comparison')}, {lettering.count(studies, 'study', 'studies')}"
    missing = targets.no_pool(result, name)
    title = lettering.fit(targets.shown_name(name), panel_width + 2 * _NUMBER - (1.2 if missing else 0.0), 9, "bold")
    title += missing
    page.text(x, top + 0.44, title, size=9, weight="bold", gid="kind")
    page.text(x, top + 0.26, counts, size=7.0, color=style.MUTED, gid="counts")
    for place, level in enumerate((words.MEAN, words.NEW), start=1):
        page.text(x + panel_width + place * _NUMBER, top + 0.06, f"{level}, %", size=6.5, color=style.MUTED, ha="right")


def _line_labels(page: Axes, lines: Sequence[Line], middles: np.ndarray, codes: float, right: float) -> None:
    """Write the classes' codes and labels, each with its colour, over light stripes."""
    for number, (line, y) in enumerate(zip(lines, middles, strict=True)):
        if number % 2 == 0:
            page.add_patch(Rectangle((0.2, y - _LINE / 2), right - 0.25, _LINE, color=style.STRIPE, linewidth=0))
        page.add_patch(Rectangle((0.25, y - 0.055), 0.11, 0.11, facecolor=line.colour, edgecolor="none"))
        page.text(0.45, y, line.code, size=7.5, va="center_baseline", gid="code")
        weight = "normal" if line.is_class else "bold"
        start = 0.45 + (codes if line.is_class else 0.0)
        page.text(start, y, line.label, size=7.5, va="center_baseline", weight=weight, gid="label")


def _probabilities(result: xr.DataTree, level: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return posterior and prior probability of every line; the prior is NaN where there is none."""
    here = targets.group(result, words.SCENARIO).sel(target=f"{level}: {name}")
    changes = here["change_probability"].values
    posterior = np.concatenate([here["probability"].values, changes])
    return posterior, np.concatenate([here["prior_probability"].values, np.full(len(changes), np.nan)])


def _shares(result: xr.DataTree, name: str) -> list[targets.Interval]:
    """Return the interval of the share of comparisons in each class."""
    summary = targets.specification(result).summary
    share = targets.group(result, words.SCENARIO)["share"].sel(group=name).transpose("scenario", "chain", "draw").values
    return [targets.interval(values.ravel(), summary.interval_kind, summary.interval_prob) for values in share]


def _panel(result: xr.DataTree, axes: Axes, name: str, lines: Sequence[Line], middles: np.ndarray) -> None:
    """Draw the bars of one target, the shares' intervals and the ticks of the prior."""
    axes.set(xlim=(0, 1), ylim=(0, middles[0] + _LINE / 2), yticks=[])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.set_xlabel("probability, %")
    axes.spines[["right", "top"]].set_visible(False)
    axes.grid(axis="x", color=style.FAINT, linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
    colours = [line.colour for line in lines]
    for level in (words.MEAN, words.NEW):
        posterior, prior = _probabilities(result, level, name)
        y, thick = middles + _OFFSET[level], _THICKNESS[level]
        face = colours if level == words.MEAN else "white"
        axes.barh(y, posterior, thick, color=face, edgecolor=colours, linewidth=0.9, zorder=2)
        there, half = np.isfinite(prior), thick / 2 + 0.015
        axes.vlines(prior[there], y[there] - half, y[there] + half, color="black", linewidth=1.4, zorder=5, gid="prior")
    shares = _shares(result, name)
    y = middles[: len(shares)] + _OFFSET[words.NEW]
    ends = [share.lower for share in shares], [share.upper for share in shares]
    axes.hlines(y, *ends, color=style.INK, linewidth=0.8, zorder=4)


def _numbers(result: xr.DataTree, page: Axes, name: str, middles: np.ndarray, x: float) -> None:
    """Print the probabilities at the right of a panel, bold from the deciding probability."""
    decide_at = targets.specification(result).scenarios.decide_at
    form: dict[str, Any] = {"size": 7.5, "ha": "right", "va": "center_baseline", "gid": "number"}
    for place, level in enumerate((words.MEAN, words.NEW), start=1):
        for posterior, y in zip(_probabilities(result, level, name)[0], middles, strict=True):
            if posterior >= LEAST_PRINTED:
                weight = "bold" if posterior >= decide_at else "normal"
                page.text(x + place * _NUMBER, y, lettering.probability(posterior), weight=weight, **form)


def _key() -> list[Patch | Line2D]:
    """Return the legend's entries."""
    return [
        Patch(facecolor=style.MUTED, edgecolor=style.MUTED, label="typical comparison (mean)"),
        Patch(facecolor="white", edgecolor=style.MUTED, label="comparison in a new study (new)"),
        Line2D([], [], color=style.INK, linewidth=0.8, label="share of comparisons, interval"),
        Line2D(
            [],
            [],
            linestyle="",
            color="black",
            marker="|",
            markersize=8,
            markeredgewidth=1.4,
            label="prior probability",
        ),
    ]


def _note(result: xr.DataTree) -> str:
    """Return the note under the figure."""
    decide_at = targets.specification(result).scenarios.decide_at
    return (
        "Posterior probabilities of the classes; the probability of a new comparison is also the expected share of "
        f"comparisons in the class, its line the {targets.interval_words(result)} of that share. Below 2 % not "
        f"printed; bold from {100 * decide_at:g} %. Classes: changes within {targets.tolerance_words(result)} count as "
        "none. The three lines at the foot speak of the ratio alone and are not sums of classes."
    )
