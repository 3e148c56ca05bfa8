"""The scenario wheel: the classes in ring order round the steady state, the filled part of a cell its probability."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, Circle, Patch, Wedge

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, style, targets
from mcpbayes.output.plots.scenario_bars import LEAST_PRINTED

#: Where the first class stands, in degrees: gains of both pools at one rate lie on the diagonal, as in the plane.
_FIRST: Final = 75.0

#: Wheels side by side before a new row begins; more would be unreadable in a column of print.
MOST_ABREAST: Final = 2

_RADIUS: Final = 1.0
_SIDE: Final = 3.35
#: Height of a wheel over its width, and what stands above it.
_FLAT: Final = 0.83
_HEAD: Final = 0.62
_SIZE: Final = 7.5
_LEVELS: Final = {
    words.MEAN: "typical comparison (level mean)",
    words.NEW: "comparison in a study not seen (level new)",
}


class Cell(NamedTuple):
    """One class in one wheel: the angles of its sector in degrees, or the centre where there are none."""

    code: str
    colour: str
    angles: tuple[float, float] | None
    probability: float
    prior: float


def scenario_wheel(result: xr.DataTree, level: str = words.MEAN, *, names: Sequence[str] | None = None) -> Figure:
    """Draw the probability of every scenario class on a wheel: twelve sectors in ring order round the steady state.

    Parameters
    ----------
    result : xr.DataTree
        With the group ``scenario``.
    level : {"mean", "new"}
        The typical comparison, or a comparison in a study not seen.
    names : sequence of str, optional
        Targets at the level; by default all treatment kinds, a wheel each.

    Returns
    -------
    matplotlib.figure.Figure
        All cells have the same area, centre included; the filled part of a cell's area is the probability of the class,
        which is printed in percent beside it. Black arcs: prior probabilities, measured alike.

    Raises
    ------
    StageError
        If ``classify`` was not called.
    ValueError
        If a name or the level is unknown.
    """
    if level not in _LEVELS:
        raise ValueError(f"level must be one of {list(_LEVELS)}, got {level!r}.")
    targets.group(result, words.SCENARIO)
    chosen = targets.chosen_names(result, names)
    with style.drawing():
        return style.settled(_draw(result, level, chosen))


def filled_radius(inner: float, outer: float, share: float) -> float:
    """Return the radius up to which a ring between two radii is filled so that its area is filled to a share."""
    return float(np.sqrt(inner**2 + share * (outer**2 - inner**2)))


def cells(result: xr.DataTree, level: str, name: str) -> tuple[list[Cell], float]:
    """Return the cells of a target's wheel and the radius of the centre, the rim being 1.

    Notes
    -----
    Every one of n sectors has the area of the centre where its radius is 1/√(n + 1). Classes that the user merged are
    one sector; a steady state that was merged with others leaves an empty centre.
    """
    here = targets.group(result, words.SCENARIO).sel(target=f"{level}: {name}")
    merge = targets.specification(result).scenarios.merge
    codes = here["scenario"].values.astype(str).tolist()
    centre = words.SCENARIOS[-1]
    ring = [code for code in codes if code != centre or centre in merge]
    width = 360.0 / len(ring)
    start = _FIRST - width / 2
    found = []
    for code in codes:
        angles = (start + ring.index(code) * width, start + (ring.index(code) + 1) * width) if code in ring else None
        one = here.sel(scenario=code)
        chances = float(one["probability"]), float(one["prior_probability"])
        found.append(Cell(code, style.colour_of(code, merge), angles, *chances))
    return found, 1 / float(np.sqrt(len(ring) + 1))


def _draw(result: xr.DataTree, level: str, names: Sequence[str]) -> style.Picture:
    """Lay the wheels out in rows, the key of the classes under them."""
    abreast = min(len(names), MOST_ABREAST)
    deep = -(-len(names) // abreast)
    width = MOST_ABREAST * _SIDE + 0.2
    note = lettering.wrap(_note(result, level), width - 0.4, 7.0)
    foot = lettering.note_height(note) + 0.25
    entries = _key(result)
    lines = -(-len(entries) // 2)
    below = foot + lines * 0.185 + 0.15
    figure = style.picture(width, below + deep * (_SIDE * _FLAT + _HEAD))
    page = style.page(figure)
    for number, name in enumerate(names):
        row, column = divmod(number, abreast)
        alone = number == len(names) - 1 and column == 0
        left = (width - _SIDE) / 2 if alone else 0.1 + column * _SIDE
        bottom = below + (deep - 1 - row) * (_SIDE * _FLAT + _HEAD)
        axes = style.panel(figure, left, bottom, _SIDE, _SIDE * _FLAT)
        _wheel(result, axes, level, name)
        _head(result, page, name, left + _SIDE / 2, bottom + _SIDE * _FLAT)
    figure.legend(
        handles=entries, loc="lower left", ncols=2, columnspacing=1.5, handlelength=1.1, borderaxespad=0,
        labelspacing=0.35, bbox_to_anchor=(0.2 / width, foot / figure.get_figheight()),
    )  # fmt: skip
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    return figure


def _head(result: xr.DataTree, page: Axes, name: str, x: float, y: float) -> None:
    """Write name and counts above a wheel."""
    comparisons, studies = targets.kind_counts(result, name)
    missing = targets.no_pool(result, name)
    title = lettering.fit(targets.shown_name(name), _SIDE - (1.3 if missing else 0.1), 9, "bold") + missing
    counts = f"{lettering.count(comparisons, 'comparison')}, {lettering.count(studies, 'study', 'studies')}"
    page.text(x, y + 0.30, title, size=9, weight="bold", ha="center", gid="kind")
    page.text(x, y + 0.12, counts, size=7.5, color=style.MUTED, ha="center", gid="counts")


def _wheel(result: xr.DataTree, axes: Axes, level: str, name: str) -> None:
    """Draw one wheel."""
    reach = _SIDE / 2 / 1.13
    axes.set(xlim=(-reach, reach), ylim=(-_FLAT * reach, _FLAT * reach), aspect="equal")
    axes.set_axis_off()
    decide_at = targets.specification(result).scenarios.decide_at
    found, inner = cells(result, level, name)
    for cell in found:
        _fill(axes, cell, inner)
        _label(axes, cell, inner, cell.probability >= decide_at)


def _fill(axes: Axes, cell: Cell, inner: float) -> None:
    """Draw a cell, its filled part and the arc of the prior."""
    low, radius = (0.0, inner) if cell.angles is None else (inner, _RADIUS)
    first, last = cell.angles or (0.0, 360.0)
    edge: dict[str, Any] = {"edgecolor": "#a8a8a8", "linewidth": 0.6}
    shapes: list[tuple[float, dict[str, Any]]] = [
        (radius, {"facecolor": cell.colour, "alpha": 0.13, "edgecolor": "none"}),
        (
            filled_radius(low, radius, cell.probability),
            {"facecolor": cell.colour, "edgecolor": "none", "gid": "filled"},
        ),
        (radius, {"facecolor": "none", **edge}),
    ]
    for far, look in shapes:
        if far > low:
            shape = Circle((0, 0), far) if cell.angles is None else Wedge((0, 0), far, first, last, width=far - low)
            shape.set(**look)
            axes.add_patch(shape)
    if np.isfinite(cell.prior):
        wide = 2 * filled_radius(low, radius, cell.prior)
        gap = 0.0 if cell.angles is None else 1.5
        axes.add_patch(
            Arc((0, 0), wide, wide, theta1=first + gap, theta2=last - gap, color="black", linewidth=1.2, gid="prior")
        )


def _label(axes: Axes, cell: Cell, inner: float, bold: bool) -> None:
    """Write code and probability outside the rim, or in the centre."""
    number: dict[str, Any] = {"size": _SIZE, "weight": "bold" if bold else "normal", "gid": "number"}
    number["color"] = style.INK if cell.probability >= LEAST_PRINTED else style.MUTED
    chance = f"{lettering.probability(cell.probability)}\N{NO-BREAK SPACE}%"
    if cell.angles is None:
        axes.text(0, -0.55 * inner, chance, ha="center", va="center", **number)
        return
    middle = np.deg2rad(np.mean(cell.angles))
    x, y = 1.06 * np.cos(middle), 1.06 * np.sin(middle)
    side = "left" if x > 0.02 else "right" if x < -0.02 else "center"
    code = lettering.shorten(cell.code, 9)
    axes.annotate(
        code, (x, y), (0, 0.5 + 5 * np.sin(middle)), textcoords="offset points", size=_SIZE, ha=side, va="bottom",
        color=style.MUTED, gid="code",
    )  # fmt: skip
    axes.annotate(
        chance, (x, y), (0, -0.5 + 5 * np.sin(middle)), textcoords="offset points", ha=side, va="top", **number
    )


def _key(result: xr.DataTree) -> list[Patch]:
    """Return the legend: colour, code and label of every class, in ring order, the centre last."""
    scenarios = targets.group(result, words.SCENARIO)
    merge = targets.specification(result).scenarios.merge
    pairs = zip(scenarios["scenario"].values.astype(str), scenarios["label"].values.astype(str), strict=True)
    return [
        Patch(
            facecolor=style.colour_of(code, merge), edgecolor="none", label=lettering.fit(f"{code}  {label}", 2.9, 7.5)
        )
        for code, label in pairs
    ]


def _note(result: xr.DataTree, level: str) -> str:
    """Return the note under the figure."""
    decide_at = targets.specification(result).scenarios.decide_at
    return (
        f"Posterior probability of each class for the {_LEVELS[level]}. All cells have the same area; the filled part "
        "of a cell is the probability. Black arcs: prior probability, measured alike; where the filled part ends at "
        f"the arc, the data have said little. Bold from {100 * decide_at:g} %. Upwards necromass rises, to the right "
        "SOC; left of the diagonal through the lower left and the upper right the ratio rises. Changes within "
        f"{targets.tolerance_words(result)} count as none."
    )
