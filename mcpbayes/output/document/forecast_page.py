"""The page of a forecast: one HTML file that needs nothing else, made from a two-pool result."""

from collections.abc import Mapping
from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes.output.document.figures import Files, as_files, draw_forecast, inline
from mcpbayes.output.document.filling import fill
from mcpbayes.output.document.forecast_context import forecast_context

_TEMPLATE: Final = "forecast.html.j2"


def render_forecast(
    result: xr.DataTree, tables: Mapping[str, pd.DataFrame], *, command: str = "", figures: Files | None = None
) -> str:
    """Return the page of a forecast as HTML.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``.
    tables : mapping of str to DataFrame
        Of `forecast_folder.forecast_tables`, and that of `mcpbayes.turnover_sensitivity` as ``forecast_turnover.csv``
        where it was made.
    command : str
        The exact call, printed as it is below that of the run.
    figures : mapping of str to bytes, optional
        Of `figures.as_files`, where they are at hand; drawn here otherwise.

    Returns
    -------
    str
        As `report.render`: complete, nothing is fetched, no script runs, and the same result gives the same page.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    files = as_files(draw_forecast(result), page_only=True) if figures is None else figures
    return fill(_TEMPLATE, forecast_context(result, tables, command) | {"figures": inline(result, files)})
