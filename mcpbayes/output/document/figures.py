"""The figures of a result by file name, drawn once for the folder and for the report."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.output.document.material import Row
from mcpbayes.output.plots import gallery
from mcpbayes.output.plots.captions import caption
from mcpbayes.output.plots.style import as_png, as_svg

#: What a reader who cannot see the figure hears; the caption says the rest.
ALTERNATIVES: Final = {
    "scenario-plane": "Scenario plane: joint posterior of the effects on SOC (across) and necromass (up)",
    "scenario-wheel": "Scenario wheel: probabilities of the scenario classes in ring order round the steady state",
    "forest": "Forest plot: effects of studies and comparisons with intervals",
    "scenario-bars": "Bars: probabilities of the scenario classes",
    "tolerance-sweep": "Stacked areas: probabilities of the scenario classes at tolerances from 0 to 10 %",
    "delta-mcp": "Densities: posterior of the change of the ratio necromass/SOC",
    "influence": "Dots with intervals: change of the ratio necromass/SOC without each study",
    "forecast-trajectories": "Curves with bands: necromass, SOC and ΔMCP over the years, and at the new steady state",
    "forecast-path": "Path through the scenario plane: effects on SOC (across) and necromass (up), years marked",
    "forecast-scenarios": "Stacked areas: probabilities of the scenario classes over the years",
}

#: An SVG larger than this many bytes is put into the report as PNG.
HEAVY: Final = 600_000

#: Every figure that a page can hold, in the order of the pages.
_NAMES: Final = words.FIGURE_NAMES | words.FORECAST_FIGURES

#: Content by file name.
Files = Mapping[str, bytes]


def draw(result: xr.DataTree) -> dict[str, Any]:
    """Draw the figures that the result has the groups for.

    Parameters
    ----------
    result : xr.DataTree
        With group ``delta_mcp``. One pool alone has a forest; the others need necromass, as one pool or two, and SOC
        and group ``scenario``, and that of single studies left out the group ``influence``.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By file name without ending, in the order of the report.
    """
    both = words.SCENARIO in result.children
    left_out = words.INFLUENCE in result.children and "shift" in result[words.INFLUENCE]
    drawn = {
        name: function
        for name, function in words.FIGURE_NAMES.items()
        if name == "forest" or (both and (left_out or name != "influence"))
    }
    return {name: getattr(gallery, function)(result) for name, function in drawn.items()}


def draw_forecast(result: xr.DataTree) -> dict[str, Any]:
    """Draw the figures of a forecast, of its average.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``, in which a year after the change was asked for.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        As `draw`.
    """
    return {name: getattr(gallery, function)(result) for name, function in words.FORECAST_FIGURES.items()}


def as_files(figures: Mapping[str, Any], *, page_only: bool = False) -> Files:
    """Return the bytes of each figure's SVG and PNG file; with `page_only` PNG only where `inline` takes it."""
    files: dict[str, bytes] = {}
    for name, figure in figures.items():
        files[f"{name}.svg"] = as_svg(figure).encode("utf-8")
        if not page_only or _is_heavy(files[f"{name}.svg"]):
            files[f"{name}.png"] = as_png(figure)
    return files


def inline(result: xr.DataTree, files: Files) -> list[Row]:
    """Return the figures as a page can hold them.

    Parameters
    ----------
    result : xr.DataTree
        That they were drawn from.
    files : mapping of str to bytes
        Of `as_files`.

    Returns
    -------
    list of dict
        ``name``, ``source`` (a data URI: SVG, or PNG where the SVG is heavy), ``alt`` and ``caption``.

    Notes
    -----
    As images, not as elements of the page: ids and styles of one SVG would act on the others and on the text.
    """
    return [
        {
            "name": name,
            "source": _data_uri(files, name),
            "alt": ALTERNATIVES[name],
            "caption": caption(result, function),
        }
        for name, function in _NAMES.items()
        if f"{name}.svg" in files
    ]


def _is_heavy(svg: bytes) -> bool:
    return len(svg) > HEAVY


def _data_uri(files: Files, name: str) -> str:
    heavy = _is_heavy(files[f"{name}.svg"])
    kind, ending = ("png", "png") if heavy else ("svg+xml", "svg")
    return f"data:image/{kind};base64,{b64encode(files[f'{name}.{ending}']).decode('ascii')}"
