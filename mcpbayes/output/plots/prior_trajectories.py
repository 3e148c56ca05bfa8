"""What the priors of the two-pool model expect before any data: how fast the pools move, and how far."""

from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.paths import Paths, effects_at, prior_paths
from mcpbayes.monte_carlo.summaries import interval
from mcpbayes.output.plots import lettering, style
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.structure import Specification

#: Bands, inner and outer: equal-tailed, as everywhere where nothing else is asked for.
_PROBS: Final = (0.5, 0.9)
_SEED: Final = 1
_STEPS: Final = 80

_NOTE: Final = (
    "Draws of the priors, no data. Typical comparison (level mean) in a soil of the typical ratio. Bands are "
    "equal-tailed prior predictive intervals. Share of the way: of necromass to its new steady state, "
    "1 − exp(−kt). Percent changes on a log scale."
)

_WIDE: Final = 1.75
_TALL: Final = 1.75
_LEFT: Final = 0.62
_ACROSS: Final = 2.50


def prior_trajectories(model: Specification | None = None, *, until: float = 100.0) -> Figure:
    """Draw the prior predictive distribution of the typical comparison (level mean) over the years.

    Parameters
    ----------
    model : Specification, optional
        Of the family two-pool; default the model ``two-pool``. Moderators stay at their means.
    until : float
        Last year.

    Returns
    -------
    matplotlib.figure.Figure
        Share of the way of necromass to its new steady state, 1 − e^(−kt); change of necromass and of SOC in percent on
        a log scale; ΔMCP in percentage points. Line: median; bands: 50 and 90 % equal-tailed intervals of 20,000
        draws of the priors (seed 1). No data enter.

    Raises
    ------
    SpecificationError
        If the model is of another family.
    ValueError
        If there is no year after the change to go to.
    """
    model = model or load_model("two-pool")
    if model.family != words.TWO_POOL:
        raise SpecificationError(
            f"priors of trajectories are those of the family 'two-pool', found {model.family!r}; "
            'call it with mcpbayes.load_model("two-pool")',
            "family",
        )
    if not until > 0:
        raise ValueError(f"the figure needs a year after the change to go to, got {until:g}.")
    years = np.linspace(0.0, until, _STEPS + 1)
    with style.drawing():
        return style.settled(_draw(years, _expected(typical_prior(model), years)))


def typical_prior(model: Specification) -> Paths:
    """Return prior draws of the trajectory of the typical comparison, moderators at their means."""
    target = xr.Dataset(
        {"row": (("target", "coefficient"), np.ones((1, 1)))},
        {"coefficient": ["intercept"], "level": ("target", [words.MEAN])},
    )
    return prior_paths(model, xr.Dataset(), target, _SEED)


def _expected(paths: Paths, years: Array) -> list[tuple[str, str, Array]]:
    """Return label, colour and draws (year, draw) of every panel."""
    theta = np.stack([effects_at(paths, year)[0] for year in years])
    gone = -100 * np.expm1(-paths.rate[0] * years[:, None])
    change = 100 * paths.ratio * np.expm1(theta[:, 0] - theta[:, 1])
    return [
        ("share of the way, %", style.MUTED, gone),
        ("necromass, change in %", style.INKS[1], theta[:, 0]),
        ("SOC, change in %", style.INKS[0], theta[:, 1]),
        ("ΔMCP, percentage points", style.INKS[2], change),
    ]


def _draw(years: Array, panels: list[tuple[str, str, Array]]) -> style.Picture:
    width = _LEFT + len(panels) * _ACROSS - 0.55
    note = lettering.wrap(_NOTE, width - 0.4, 7.0)
    below = lettering.note_height(note) + 0.95
    figure = style.picture(width, below + _TALL + 0.45)
    page = style.page(figure)
    for place, (label, colour, draws) in enumerate(panels):
        axes = style.panel(figure, _LEFT + place * _ACROSS, below, _WIDE, _TALL)
        for prob, alpha in zip(_PROBS[::-1], (0.22, 0.30), strict=True):
            axes.fill_between(years, *interval(draws, "eti", prob), color=colour, alpha=alpha, linewidth=0)
        axes.plot(years, np.median(draws, axis=1), color=colour, linewidth=1.6, gid="median")
        axes.set(xlim=(0, years[-1]), ylabel=label, xlabel="years since the change")
        if "change in %" in label:
            axes.set_yticks(*style.percent_ticks(*axes.get_ylim(), most=6))
        axes.spines[["right", "top"]].set_visible(False)
    page.text(0.2, figure.get_figheight() - 0.2, "What the priors expect", size=9.0, weight="bold", gid="title")
    page.text(0.2, 0.12, note, size=7.0, color=style.MUTED, va="bottom", gid="note")
    looks: dict[str, Any] = {"edgecolor": "none", "facecolor": style.MUTED}
    figure.legend(
        handles=[
            Line2D([], [], color=style.MUTED, linewidth=1.6, label="median"),
            Patch(alpha=0.55, label="50 % interval", **looks),
            Patch(alpha=0.25, label="90 % interval", **looks),
        ],
        loc="lower center", ncols=3, columnspacing=2.0, borderaxespad=0,
        bbox_to_anchor=(0.5, (below - 0.72) / figure.get_figheight()),
    )  # fmt: skip
    return figure
