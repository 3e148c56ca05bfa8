"""The forest plot: both pools and their ratio side by side, kinds first, then the studies."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.forest_panels import STUDY_INK, Column, columns, fill, reaches_beyond
from mcpbayes.output.plots.forest_rows import Row, rows, shows_studies

#: Heights of lines in inches; a head has space above it.
_HEIGHT: Final = {"head": 0.30, "mean": 0.20, "new": 0.185, "study": 0.185}

_TEXT: Final = 7.5
_PANEL: Final = 1.4
_GAP: Final = 0.10


def forest(
    result: xr.DataTree, *, names: Sequence[str] | None = None, studies: bool = True, panel_width: float = _PANEL
) -> Figure:
    """Draw effects on both pools and ΔMCP with their intervals, for kinds, averages and studies.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``delta_mcp``.
    names : sequence of str, optional
        Targets at the levels ``mean`` and ``new``; by default all.
    studies : bool
        Draw the studies, too, whatever their kinds; more than 60 are not drawn one by one.
    panel_width : float
        Width of one panel in inches; the height follows from the number of rows.

    Returns
    -------
    matplotlib.figure.Figure
        Panels in ln(treated/control) with a percent axis on top; ΔMCP in percentage points of SOC where the control
        ratio is known, else as a log ratio too. Thick line and diamond: level ``mean``; thin line: level ``new``;
        circle: study.

    Raises
    ------
    StageError
        If ``delta_mcp`` was not called.
    ValueError
        If a name is unknown.
    """
    lines = rows(result, names, studies=studies)
    with style.drawing():
        return style.settled(_draw(result, lines, columns(result, lines), panel_width, studies))


def _heights(lines: Sequence[Row]) -> tuple[np.ndarray, float]:
    """Return each line's middle in inches above the lowest line's lower edge, and the height of all."""
    heights = np.array([_HEIGHT[row.role] for row in lines])
    total = float(heights.sum())
    middles = total - np.cumsum(heights) + heights / 2
    return middles - np.array([0.04 if row.role == "head" else 0.0 for row in lines]), total


def _draw(
    result: xr.DataTree, lines: Sequence[Row], panels: Sequence[Column], panel_width: float, studies: bool
) -> style.Picture:
    """Lay the columns out from left to right and fill them."""
    middles, tall = _heights(lines)
    short = targets.interval_short(result)
    tables = _table(lines)
    widths = [
        max(lettering.text_width(title, _TEXT), *(lettering.text_width(t, _TEXT, w) for t, w in cells)) + _GAP
        for title, cells in tables
    ]
    heads = [f"pp [{short}]" if c.tolerance is None else f"% [{short}]" for c in panels]
    text_widths = [
        max(lettering.text_width(t, _TEXT) for t in (head, *column.texts)) + 3 * _GAP
        for head, column in zip(heads, panels, strict=True)
    ]
    width = 0.3 + sum(widths) + sum(w + panel_width for w in text_widths) + 0.1
    note = lettering.wrap(_note(result, lines, panels, studies), width - 0.4, 7.0)
    below = lettering.note_height(note) + (0.95 if width > 9.0 else 1.25)
    figure = style.picture(width, tall + below + 0.75)
    page = style.page(figure)
    _stripes(page, lines, middles + below, width)
    x = 0.2
    for (title, cells), wide in zip(tables, widths, strict=True):
        right = bool(title)
        at = x + wide - _GAP if right else x
        page.text(at, below + tall + 0.10, title, size=_TEXT, ha="right" if right else "left", color=style.MUTED)
        for (text, weight), row, y in zip(cells, lines, middles + below, strict=True):
            _cell(page, at, y, text, row, weight, "right" if right else "left")
        x += wide
    x += 0.1
    for column, head, wide in zip(panels, heads, text_widths, strict=True):
        axes = style.panel(figure, x, below, panel_width, tall)
        fill(axes, column, lines, middles, tall)
        x += panel_width + wide
        page.text(x - 2 * _GAP, below + tall + 0.10, head, size=_TEXT, ha="right", color=style.MUTED)
        for text, row, y in zip(column.texts, lines, middles + below, strict=True):
            weight = "bold" if row.headline and row.role == "mean" else "normal"
            _cell(page, x - 2 * _GAP, y, text, row, weight, "right")
    figure.legend(
        handles=_key(lines), loc="lower left", ncols=5 if width > 9.0 else 2, columnspacing=2.5, borderaxespad=0,
        bbox_to_anchor=(0.2 / width, (below - (0.78 if width > 9.0 else 1.08)) / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _table(lines: Sequence[Row]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the columns of text left of the panels: title and (text, weight) per line; empty columns left out."""
    names = []
    for row in lines:
        bold = row.role == "head" or row.headline
        indent = {"head": "", "mean": "  ", "new": "      ", "study": "  "}[row.role]
        weight = "bold" if bold else "normal"
        names.append((indent + lettering.fit(row.text, 2.1, _TEXT, weight), weight))
    found = [("", names)]
    for title, field in (("compa-\nrisons", "comparisons"), ("repli-\ncates", "replicates"), ("plots", "plots")):
        cells = [(getattr(row, field), "normal") for row in lines]
        if any(text for text, _ in cells):
            found.append((title, [*cells]))
    return found


def _cell(page: Axes, x: float, y: float, text: str, row: Row, weight: str, side: str) -> None:
    """Write one cell; its group id says which column of text it belongs to."""
    if text.strip():
        colour = style.MUTED if row.role == "new" else style.INK
        page.text(x, y, text, size=_TEXT, weight=weight, color=colour, ha=side, va="center_baseline", gid=f"row {side}")


def _stripes(page: Axes, lines: Sequence[Row], middles: np.ndarray, width: float) -> None:
    """Shade every second line, a target's two lines together, and rule off the heads."""
    shaded = False
    for row, y in zip(lines, middles, strict=True):
        if row.role == "head":
            shaded = False
            page.plot([0.2, width - 0.1], [y - 0.11] * 2, color=style.FAINT, linewidth=0.7)
            continue
        shaded = shaded if row.role == "new" else not shaded
        half = _HEIGHT[row.role] / 2
        if shaded:
            page.axhspan(y - half, y + half, 0.2 / width, 1 - 0.1 / width, color=style.STRIPE, linewidth=0)


def _key(lines: Sequence[Row]) -> list[Line2D | Patch]:
    """Return the legend's entries, those only that the figure holds."""
    mean: dict[str, Any] = {"color": style.INK, "linewidth": 2.8, "marker": "D", "markersize": 5.5}
    found: list[Line2D | Patch] = [Line2D([], [], label="typical comparison (mean)", **mean)]
    if any(row.role == "mean" and not row.headline for row in lines):
        found.append(Line2D([], [], label="average or other point (mean)", markerfacecolor="white", **mean))
    found.append(Line2D([], [], color=style.INK, linewidth=0.9, label="comparison in a new study (new)"))
    if any(row.role == "study" for row in lines):
        found.append(Line2D([], [], color=STUDY_INK, linewidth=1.2, marker="o", markersize=3.6, label="study"))
    return [*found, Patch(facecolor=style.BAND, label="counts as no change")]


def _note(result: xr.DataTree, lines: Sequence[Row], panels: Sequence[Column], studies: bool) -> str:
    """Return the note under the figure."""
    parts = [
        f"Points: posterior medians; lines: {targets.interval_words(result)}s of the true effects, those of a new "
        f"study without sampling error. Numbers: median [interval]. No change: within "
        f"{targets.tolerance_words(result)}."
    ]
    if studies and not shows_studies(result):
        parts.append(f"The {len(targets.names_at(result, words.STUDY))} studies are too many to draw one by one.")
    if any("(" in row.plots for row in lines):
        parts.append("Replicates per arm and plots in brackets: some of them assumed, not reported.")
    if any("–" in column.texts for column in panels):
        parts.append("A dash: the ratio of the control is not known.")
    if any(reaches_beyond(column, lines) for column in panels):
        parts.append("Arrows: the interval reaches beyond the panel.")
    return " ".join(parts)
