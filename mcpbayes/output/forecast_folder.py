"""A forecast on disk: tables, figures and a page to read beside the result that it was made from."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import __version__
from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group
from mcpbayes.output.folder import (
    CROSSINGS,
    FIGURES,
    FORECAST,
    FORECAST_PAGE,
    FORECAST_RECORD,
    FORECAST_SCENARIOS,
    FORECAST_SHARES,
    FORECAST_TURNOVER,
)
from mcpbayes.output.forecast_tables import (
    crossing_table,
    forecast_scenario_table,
    forecast_share_table,
    forecast_table,
)


def forecast_tables(result: xr.DataTree, *, every_row: bool = True) -> dict[str, pd.DataFrame]:
    """Return the tables of a forecast by file name; with the studies and comparisons of the table, or without."""
    return {
        FORECAST: forecast_table(result, every_row=every_row),
        FORECAST_SCENARIOS: forecast_scenario_table(result, every_row=every_row),
        CROSSINGS: crossing_table(result, every_row=every_row),
        FORECAST_SHARES: forecast_share_table(result),
    }


def write_forecast(
    result: xr.DataTree,
    out: str | Path,
    tables: Mapping[str, pd.DataFrame],
    *,
    figures: bool = True,
    command: str = "",
    settings: Sequence[str] = (),
) -> None:
    """Write tables, figures and page of a forecast into a folder, and how it was made; those of an earlier one go.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``.
    out : str or Path
        An existing folder, such as that of the run; other files in it stay.
    tables : mapping of str to DataFrame
        Of `forecast_tables`, and that of `mcpbayes.turnover_sensitivity` as ``forecast_turnover.csv`` where it exists.
    figures : bool
        Draw the figures of the average and write ``forecast.html``, too.
    command : str
        The exact call, for ``forecast.json`` and the page.
    settings : sequence of "key=value"
        That the forecast was made with.
    """
    out = Path(out)
    # All is made before anything is replaced.
    with TemporaryDirectory(prefix=".forecast-", dir=out) as scratch:
        draft = Path(scratch)
        (draft / FIGURES).mkdir()
        for name, table in tables.items():
            _write_csv(table, draft / name)
        if figures:
            pictures = _pictures(result)
            for name, content in pictures.items():
                (draft / FIGURES / name).write_bytes(content)
            _write_page(result, draft, tables, pictures, command)
        record = json.dumps(_record(result, command, settings), indent=2, ensure_ascii=False) + "\n"
        _write_text(draft / FORECAST_RECORD, record)
        for name in (FORECAST_TURNOVER, FORECAST_PAGE, *_picture_files()):
            (out / name).unlink(missing_ok=True)
        for file in sorted(path for path in draft.rglob("*") if path.is_file()):
            place = out / file.relative_to(draft)
            place.parent.mkdir(exist_ok=True)
            file.replace(place)


def write_turnover(result: xr.DataTree, out: str | Path, tables: Mapping[str, pd.DataFrame], command: str = "") -> None:
    """Write the table of `mcpbayes.turnover_sensitivity` beside the others, and put it into the page.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``.
    out : str or Path
        Where `write_forecast` wrote the same forecast; without figures there is no page.
    tables : mapping of str to DataFrame
        Of `write_forecast`, and ``forecast_turnover.csv``.
    command : str
        As `write_forecast`.
    """
    out = Path(out)
    # The page first: were it to fail, no table would stand beside one that says there is none.
    if (out / FORECAST_PAGE).exists():
        files = [out / name for name in _picture_files() if (out / name).exists()]
        _write_page(result, out, tables, {file.name: file.read_bytes() for file in files}, command)
    _write_csv(tables[FORECAST_TURNOVER], out / FORECAST_TURNOVER)


def _write_page(
    result: xr.DataTree,
    folder: Path,
    tables: Mapping[str, pd.DataFrame],
    pictures: Mapping[str, bytes],
    command: str,
) -> None:
    from mcpbayes.output.document.forecast_page import render_forecast  # brings Matplotlib

    _write_text(folder / FORECAST_PAGE, render_forecast(result, tables, command=command, figures=pictures))


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _record(result: xr.DataTree, command: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return what was asked for; the new steady state, always among the horizons, is no year."""
    found = group(result, words.FORECAST)
    years = found["years"].values
    return {
        "mcpbayes_version": __version__,
        "command": command,
        "years": years[np.isfinite(years)].tolist(),
        "since": float(found.attrs["since"]),
        "at": json.loads(found.attrs["at"]),
        "settings": list(settings),
    }


def _pictures(result: xr.DataTree) -> Mapping[str, bytes]:
    from mcpbayes.output.document.figures import as_files, draw_forecast

    return as_files(draw_forecast(result))


def _picture_files() -> list[str]:
    return [f"{FIGURES}/{name}.{end}" for name in words.FORECAST_FIGURES for end in ("svg", "png")]
