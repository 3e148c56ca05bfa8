"""What the figures of a forecast share: draws along even steps of years, and where the table's durations end."""

from typing import Any, Final

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from mcpbayes import vocabulary as words
from mcpbayes.estimands.forecast import along
from mcpbayes.estimands.tree import group
from mcpbayes.output.plots import lettering, style

#: Years that a curve goes through.
STEPS: Final = 60

_BEYOND: Final = "extrapolated"


def along_years(result: xr.DataTree, name: str | None, until: float | None) -> tuple[xr.Dataset, str]:
    """Return the forecast at even steps of years, and the name of the targets drawn.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``; its points are kept.
    name : str or None
        Target at the levels mean and new; None: the average.
    until : float or None
        Last year; None: the last that was asked for.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    ValueError
        There is no such name, or no year after the change to go to.
    """
    found = group(result, words.FORECAST)
    names = list(dict.fromkeys(found["name"].values.astype(str).tolist()))
    chosen = words.AVERAGE if name is None else name
    if chosen not in names:
        raise ValueError(f"name must be among {names}, got {chosen!r}.")
    finite = found["years"].values[np.isfinite(found["years"].values)]
    last = float(finite.max()) if until is None else float(until)
    if not last > 0:
        raise ValueError(f"the figure needs a year after the change to go to, got {last:g}.")
    return along(result, np.linspace(0, last, STEPS + 1).tolist()), chosen


def draws_at(found: xr.Dataset, level: str, name: str, variable: str, outcome: str | None = None) -> np.ndarray:
    """Return the draws of a variable of one target, (horizon, sample)."""
    values = found[variable].sel(target=f"{level}: {name}")
    values = values if outcome is None else values.sel(outcome=outcome)
    array = values.transpose("horizon", "chain", "draw").values
    return np.asarray(array.reshape(len(array), -1))


def beyond(axes: Axes, longest: float) -> None:
    """Shade the years beyond the longest duration of the table; say so where there is room."""
    low, high = axes.get_xlim()
    if longest >= high:
        return
    start = max(longest, low)
    looks: dict[str, Any] = {"facecolor": style.STRIPE, "edgecolor": "none", "zorder": 0, "gid": "beyond"}
    axes.axvspan(start, high, **looks)
    axes.axvline(start, color=style.MUTED, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1)
    fits = lettering.text_width(_BEYOND, 6.5) + 0.08 < (high - start) / (high - low) * style.width_in_inches(axes)
    if fits:
        axes.annotate(
            _BEYOND, (start, 1), (3, -3), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            size=6.5, color=style.MUTED, va="top", gid="extrapolated",
        )  # fmt: skip
