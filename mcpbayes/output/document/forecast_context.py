"""From a forecast to everything that its page prints: plain values, already rounded."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.future_shares import FRESH
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import group, specification, with_groups
from mcpbayes.evidence.diagnostics import diagnose, judge
from mcpbayes.output.document import forecast_values, numbers
from mcpbayes.output.document.basis import about_data, about_model, about_run, about_scheme
from mcpbayes.output.document.estimates import parameters, shown_name
from mcpbayes.output.document.forecast_rates import rates
from mcpbayes.output.document.material import Row
from mcpbayes.output.folder import CROSSINGS, FORECAST, FORECAST_SCENARIOS, FORECAST_SHARES, FORECAST_TURNOVER
from mcpbayes.output.forecast_checks import judged_rows
from mcpbayes.output.forecast_turnover import turnover_problems
from mcpbayes.output.forecast_words import (
    RESIDUAL,
    horizon_lines,
    longest_line,
    since_line,
    tolerance_line,
    tolerance_size,
)
from mcpbayes.output.summary import summarise


def forecast_context(result: xr.DataTree, tables: Mapping[str, pd.DataFrame], command: str = "") -> Row:
    """Collect what the page of a forecast says.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``.
    tables : mapping of str to DataFrame
        Of `forecast_folder.forecast_tables`, and ``forecast_turnover.csv`` where it was made.
    command : str
        The exact call of the forecast; that of the run is in the result.

    Returns
    -------
    dict
        Texts, counts and tables by the template's names; figures are not among them.
    """
    data, spec, summary = group(result, words.DATA), specification(result), summarise(result)
    turnover = tables.get(FORECAST_TURNOVER)
    judged, rows = _judged(result, summary, tables[FORECAST], turnover)
    calls = "\n".join(call for call in (str(result.attrs.get("command", "")), command) if call)
    every_row = words.STUDY in set(tables[FORECAST]["level"])
    run = about_run(judged, diagnose(result, rows), calls, judged_in=FORECAST if every_row else "")
    return (
        {"subject": "Necromass, SOC and their ratio over time", "sensitivity": [], "apart": False}
        | about_data(data)
        | about_model(result, data, spec)
        | about_scheme(spec.scenarios)
        | run
        | _about_horizons(result)
        | _about_forecast(result, data, tables)
        | {"rates": rates(result, summary, turnover), "parameters": parameters(summary), "every_row": every_row}
    )


def _judged(
    result: xr.DataTree, summary: pd.DataFrame, forecast: pd.DataFrame, turnover: pd.DataFrame | None
) -> tuple[xr.DataTree, pd.DataFrame]:
    """Return the result with the problems of run, forecast and refits, and the rows that are judged.

    A status that the run brought stays: what failed there is not mended by a forecast.
    """
    rows = pd.concat([summary, judged_rows(forecast)[[name for name in summary if name in forecast]]])
    further = [] if turnover is None else [problem.as_dict() for problem in turnover_problems(turnover)]
    problems = [*json.loads(judge(result, rows).attrs["problems"]), *further]
    return with_groups(result, {}, problems=json.dumps(problems, ensure_ascii=False)), rows


def _about_horizons(result: xr.DataTree) -> Row:
    """Return which years were asked for and how far the table reaches."""
    found = group(result, words.FORECAST)
    years, beyond = found["years"].values, found["extrapolated"].values.astype(bool)
    asked = np.isfinite(years)
    return {
        "years": numbers.listing([f"{year:g}" for year in years[asked]]),
        "beyond": numbers.listing([str(name) for name in found["horizon"].values[asked & beyond]]),
        "longest": f"{found.attrs['longest_duration']:g}",
        "since": f"{found.attrs['since']:g}",
        "tolerance_line": tolerance_line(specification(result).scenarios),
        "tolerance_size": numbers.unbroken(tolerance_size(specification(result).scenarios)),
        "since_line": since_line(found),
        "longest_line": longest_line(found),
        "residual_line": RESIDUAL,
    }


def _about_forecast(result: xr.DataTree, data: xr.Dataset, tables: Mapping[str, pd.DataFrame]) -> Row:
    """Return what is said of the levels mean and new."""
    values, classes, crossings = (
        tables[name][tables[name]["level"].isin(POPULATION)] for name in (FORECAST, FORECAST_SCENARIOS, CROSSINGS)
    )
    return {
        "answers": _answers(result, data, tables),
        "columns": forecast_values.columns(data),
        "courses": forecast_values.courses(data, values, classes),
        "averages": forecast_values.averages(data, values),
        "level_words": {level: forecast_values.level_words(level) for level in POPULATION},
        "crossings": forecast_values.crossings(data, crossings),
        "shares": forecast_values.shares(data, tables[FORECAST_SHARES]),
        "fresh_comparisons": FRESH,
    }


def _answers(result: xr.DataTree, data: xr.Dataset, tables: Mapping[str, pd.DataFrame]) -> list[Row]:
    """Return the sentences to quote, per target: ``name`` (empty where there is one) and ``levels``.

    Of the years asked for the last that the durations cover and the last of all are told, and the new steady state.
    """
    found = group(result, words.FORECAST)
    covered = np.flatnonzero(found["extrapolated"].values == 0)
    chosen = sorted({*covered[-1:].tolist(), max(found.sizes["horizon"] - 2, 0), found.sizes["horizon"] - 1})
    names = found["horizon"].values[chosen].astype(str).tolist()
    lines = horizon_lines(result, tables)
    targets = list(dict.fromkeys(name for _, name in lines))
    return [
        {
            "name": shown_name(target, data) if len(targets) > 1 else "",
            "levels": [
                {
                    "level": level,
                    "words": forecast_values.level_words(level),
                    "sentences": [
                        f"{numbers.unbroken(numbers.true_minus(lines[level, target][name]))}." for name in names
                    ],
                }
                for level in POPULATION
            ],
        }
        for target in targets
    ]
