"""The report: one HTML file that needs nothing else, made from a result."""

from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes.output.document.context import context
from mcpbayes.output.document.figures import Files, as_files, draw, inline
from mcpbayes.output.document.filling import fill

_TEMPLATE: Final = "report.html.j2"


def render(
    result: xr.DataTree, *, command: str = "", figures: Files | None = None, summary: pd.DataFrame | None = None
) -> str:
    """Return the report of a result as HTML.

    Parameters
    ----------
    result : xr.DataTree
        With groups ``data``, ``posterior``, ``sample_stats``, ``delta_mcp`` and, for both pools, ``scenario``.
    command : str
        The exact call, printed as it is.
    figures : mapping of str to bytes, optional
        Of `figures.as_files`, where they are at hand; drawn here otherwise.
    summary : DataFrame, optional
        Of `mcpbayes.summarise` for the same result, where it is at hand.

    Returns
    -------
    str
        A complete page with its style and figures inside: nothing is fetched, no script runs. Names from the table are
        shown as text, whatever they hold. The same result gives the same page.

    Raises
    ------
    StageError
        A group is missing; the message names the verb to call first.
    """
    values = context(result, command=command, summary=summary)
    files = as_files(draw(result), page_only=True) if figures is None else figures
    return fill(_TEMPLATE, values | {"figures": inline(result, files)})
