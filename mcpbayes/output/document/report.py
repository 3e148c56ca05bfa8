"""The report: one HTML file that needs nothing else, made from a result."""

from pathlib import Path
from typing import Final

import pandas as pd
import xarray as xr
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mcpbayes.output.document.context import context
from mcpbayes.output.document.figures import Files, as_files, draw, inline
from mcpbayes.output.document.numbers import count, plural

_HERE: Final = Path(__file__).parent
_TEMPLATE: Final = "report.html.j2"
_STYLE: Final = "style.css"


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
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = (_HERE / _STYLE).read_text(encoding="utf-8")
    page = environment.get_template(_TEMPLATE).render(
        **values, figures=inline(result, files), style=style, plural=plural, count=count
    )
    return page + "\n"
