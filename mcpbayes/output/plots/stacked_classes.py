"""Stacked areas: the probabilities of all classes along anything, a panel per target and level."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style

#: How each level reads above its column.
LEVEL_WORDS: Final = {
    words.MEAN: "typical comparison (mean)",
    words.NEW: "comparison in a new study (new)",
}

_PANEL: Final = (2.75, 1.45)
_LEFT: Final = 0.62
_GAP: Final = 0.35
_HEAD: Final = 0.36
_FOOT: Final = 0.30

#: The classes from below to above: the ratio falls, stays, rises.
_UPWARDS: Final = (
    *words.SCENARIOS[6:11],
    *(words.SCENARIOS[5], words.SCENARIOS[12], words.SCENARIOS[11]),
    *words.SCENARIOS[:5],
)

#: Points looked at along the axis for the place of a label.
_FINE: Final = 201


class Grid(NamedTuple):
    """What is drawn: a table in long form, what stands across, and what is written about it.

    Parameters
    ----------
    frame : DataFrame
        Columns ``level``, ``curve``, ``code``, ``label``, ``probability`` and `across`; the probabilities of a curve
        add up to 1 at every value of `across`.
    across : str
        Column that stands across.
    axis : str
        Label of that axis.
    heads : mapping of str to str
        Curve → what stands above its panels.
    mark : float, optional
        Where a dashed line is drawn.
    observed : mapping of str to ndarray, optional
        Curve → values of the data, shown as strokes above its panels.
    """

    frame: pd.DataFrame
    across: str
    axis: str
    heads: Mapping[str, str]
    mark: float | None = None
    observed: Mapping[str, np.ndarray] | None = None


def stacked_classes(grid: Grid, levels: Sequence[str], merge: Mapping[str, Sequence[str]], note: str) -> style.Picture:
    """Draw the classes' probabilities as stacked areas, a row per target and a column per level.

    Parameters
    ----------
    grid : Grid
    levels : sequence of {"mean", "new"}
    merge : mapping of str to sequence of str
        Classes that the user merged, for their colours.
    note : str
        What stands under the figure.
    """
    frame, names = grid.frame, list(grid.heads)
    order = stacking(frame["code"].astype(str).unique().tolist(), merge)
    wide, tall = _PANEL if len(levels) > 1 else (2 * _PANEL[0] + _GAP, _PANEL[1])
    width = _LEFT + len(levels) * wide + (len(levels) - 1) * _GAP + 0.3
    entries = _key(frame, order, merge)
    note = lettering.wrap(note, width - 0.4, 7.0)
    foot = lettering.note_height(note) + 0.25
    below = foot + -(-len(entries) // 2) * 0.185 + 0.36
    step = tall + _HEAD + _FOOT
    figure = style.picture(width, below + len(names) * step + 0.30)
    page = style.page(figure)
    for row, name in enumerate(names):
        bottom = below + (len(names) - 1 - row) * step + _FOOT
        page.text(_LEFT, bottom + tall + 0.10, grid.heads[name], size=8.5, weight="bold", gid="kind")
        for column, level in enumerate(levels):
            axes = style.panel(figure, _LEFT + column * (wide + _GAP), bottom, wide, tall)
            here = frame[(frame["level"] == level) & (frame["curve"] == name)]
            _panel(axes, here, grid, order, merge)
            if grid.observed is not None:
                style.strokes(axes, grid.observed[name])
            axes.set_xlabel(grid.axis if row == len(names) - 1 else "")
            axes.set_ylabel("probability, %" if column == 0 else "")
            if row == 0:
                x, y = _LEFT + column * (wide + _GAP), figure.get_figheight() - 0.24
                page.text(x, y, LEVEL_WORDS[level], size=8.0, color=style.MUTED, gid="level")
    figure.legend(
        handles=entries, loc="lower left", ncols=2, columnspacing=1.5, handlelength=1.1, borderaxespad=0,
        labelspacing=0.35, bbox_to_anchor=(0.2 / width, foot / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def stacking(codes: Sequence[str], merge: Mapping[str, Sequence[str]]) -> list[str]:
    """Return classes from below to above: the ratio falls, stays, rises; within each in ring order.

    A merged class stands where its first member would.
    """
    return sorted(codes, key=lambda code: _UPWARDS.index(code if code in _UPWARDS else merge[code][0]))


def _panel(
    axes: Axes, here: pd.DataFrame, grid: Grid, order: Sequence[str], merge: Mapping[str, Sequence[str]]
) -> None:
    """Draw one target at one level."""
    table = here.pivot(index=grid.across, columns="code", values="probability")[list(order)]
    x = table.index.to_numpy(dtype=float)
    heights = table.to_numpy(dtype=float).T
    colours = [style.colour_of(code, merge) for code in order]
    axes.stackplot(x, heights, colors=colours, edgecolor="white", linewidth=0.4)
    axes.set(xlim=(x.min(), x.max()), ylim=(0, 1))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100"])
    axes.spines[["right", "top"]].set_visible(False)
    if grid.mark is not None and x.min() <= grid.mark <= x.max():
        axes.axvline(grid.mark, color="white", linewidth=2.4, alpha=0.9)
        axes.axvline(grid.mark, color="black", linewidth=1.1, linestyle=(0, (3, 2)), gid="mark")
    _write_codes(axes, x, heights, order, colours, grid.mark)


def _write_codes(
    axes: Axes,
    x: np.ndarray,
    heights: np.ndarray,
    order: Sequence[str],
    colours: Sequence[str],
    mark: float | None,
) -> None:
    """Write the code of a class into its area where it is thick enough to hold it."""
    wide, tall = style.width_in_inches(axes), _PANEL[1]
    fine = np.linspace(x.min(), x.max(), _FINE)
    tops = np.cumsum([np.interp(fine, x, row) for row in heights], axis=0)
    bottoms = np.vstack([np.zeros(_FINE), tops[:-1]])
    for code, colour, low, high in zip(order, colours, bottoms, tops, strict=True):
        text = lettering.shorten(code, 9)
        half = int(np.ceil((lettering.text_width(text, 7.0) / 2 + 0.06) / wide * (_FINE - 1)))
        best, place, height = 0.0, 0, 0.0
        for at in range(half, _FINE - half):
            window = slice(at - half, at + half + 1)
            room = float(high[window].min() - low[window].max())
            crossed = mark is not None and fine[at - half] <= mark <= fine[at + half]
            if not crossed and room > best:
                best, place, height = room, at, float(high[window].min() + low[window].max()) / 2
        if best * tall > 0.14:
            axes.text(
                fine[place], height, text, size=7.0, ha="center", va="center_baseline", color=ink_on(colour), gid="code"
            )


def ink_on(colour: str) -> str:
    """Return black or white, whichever is read more easily on a colour (WCAG relative luminance)."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def _key(frame: pd.DataFrame, order: Sequence[str], merge: Mapping[str, Sequence[str]]) -> list[Patch]:
    """Return the legend from above to below, as the areas are stacked."""
    label_of = dict(zip(frame["code"].astype(str), frame["label"].astype(str), strict=True))
    looks: dict[str, Any] = {"edgecolor": "none"}
    return [
        Patch(
            facecolor=style.colour_of(code, merge), label=lettering.fit(f"{code}  {label_of[code]}", 2.9, 7.5), **looks
        )
        for code in reversed(order)
    ]
