"""A forecast on disk and in words: tables and figures beside the result that it was made from, and lines to read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import __version__
from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.estimands.absolute import points_of
from mcpbayes.estimands.courses import STEADY_STATE
from mcpbayes.estimands.curves import CHANGE, SCENARIO
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.wording import interval_name, number_text
from mcpbayes.evidence.findings import count_problems, failing_rows, row_problems
from mcpbayes.inference.two_pool_completion import turnover_note
from mcpbayes.output.folder import (
    CROSSINGS,
    FIGURES,
    FORECAST,
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

_ENDS: Final = ("median", "lower", "upper")

#: What ΔMCP does, in the order of `counting.CHANGES`.
_CHANGES: Final = ("up", "within its tolerance", "down")

#: How the levels read in a line.
_LEVELS: Final = {words.MEAN: "typical comparison", words.NEW: "comparison in a new study"}


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
    tables: dict[str, pd.DataFrame],
    *,
    figures: bool = True,
    command: str = "",
    settings: Sequence[str] = (),
) -> None:
    """Write tables and figures of a forecast into a folder, and how it was made; those of an earlier one go.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``.
    out : str or Path
        An existing folder, such as that of the run; other files in it stay.
    tables : dict of str to DataFrame
        Of `forecast_tables`.
    figures : bool
        Draw the figures of the average too.
    command : str
        The exact call, for ``forecast.json``.
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
        for name, content in _pictures(result).items() if figures else ():
            (draft / FIGURES / name).write_bytes(content)
        record = json.dumps(_record(result, command, settings), indent=2, ensure_ascii=False) + "\n"
        (draft / FORECAST_RECORD).write_text(record, encoding="utf-8", newline="\n")
        (out / FORECAST_TURNOVER).unlink(missing_ok=True)
        for name in words.FORECAST_FIGURES:
            for end in ("svg", "png"):
                (out / FIGURES / f"{name}.{end}").unlink(missing_ok=True)
        for file in sorted(path for path in draft.rglob("*") if path.is_file()):
            place = out / file.relative_to(draft)
            place.parent.mkdir(exist_ok=True)
            file.replace(place)


def write_turnover(out: Path, table: pd.DataFrame) -> None:
    """Write the table of `mcpbayes.turnover_sensitivity` beside the others."""
    _write_csv(table, out / FORECAST_TURNOVER)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


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
    from mcpbayes.output.document.figures import as_files  # brings Matplotlib
    from mcpbayes.output.plots import gallery

    return as_files({name: getattr(gallery, function)(result) for name, function in words.FORECAST_FIGURES.items()})


def forecast_problems(table: pd.DataFrame) -> list[Problem]:
    """Return what is wrong with the draws of a forecast, judged as those of every run.

    The levels mean and new pass or fail; rows of studies and comparisons beyond a limit are counted in a warning.
    """
    named = table["name"] + ", " + table["horizon"]
    rows = table.assign(name=named, finite=np.isfinite(table["mean"]), expected=True)
    failing = rows.loc[failing_rows(rows), "level"]
    counts = {level: int((failing == level).sum()) for level in (words.STUDY, words.COMPARISON)}
    return [*row_problems(rows[rows["level"].isin(POPULATION)]), *count_problems(counts)]


def forecast_lines(result: xr.DataTree, tables: dict[str, pd.DataFrame]) -> Iterator[str]:
    """Yield what a forecast says at the levels mean and new, a line per target and horizon, then one on crossings."""
    spec = specification(result)
    section = spec.summary
    values, classes, crossings = (tables[name] for name in (FORECAST, FORECAST_SCENARIOS, CROSSINGS))
    yield f"Medians and {interval_name(section.interval_kind, section.interval_prob)}s:"
    population = values[values["level"].isin(POPULATION)]
    for (level, name), rows in population.groupby(["level", "name"], sort=False):
        yield f"{_LEVELS[str(level)]}, {name}"
        for horizon, here in rows.groupby("horizon", sort=False):
            mine = classes[(classes["level"] == level) & (classes["name"] == name) & (classes["horizon"] == horizon)]
            yield f"  {_horizon_line(str(horizon), here, mine, spec.scenarios.decide_at)}"
        mine = crossings[(crossings["level"] == level) & (crossings["name"] == name)]
        yield f"  {_crossing_line(mine)}"
    attrs = group(result, words.FORECAST).attrs
    longest, points = attrs["longest_duration"], points_of(spec.scenarios)
    size = f"{spec.scenarios.tolerance_percent['ratio']:g} % of the ratio" if points is None else f"{points:g} points"
    yield f"ΔMCP is up or down where it changes by more than its tolerance, {size}"
    yield f"Crossings count from {attrs['since']:g} years on: --since, or the median duration of the table"
    yield "A comparison in a new study holds a residual that stays over the years: it differs from 0 in year 0, too"
    if words.STUDY in tables[FORECAST]["level"].values:
        yield "The same of every study and comparison of the table stands in the files, column level"
    yield f"* beyond the longest duration of the table, {longest:g} years: extrapolated"
    note = turnover_note(group(result, words.POSTERIOR), spec)
    yield f"NOTE {note.check}: {note}"


def _horizon_line(horizon: str, rows: pd.DataFrame, classes: pd.DataFrame, decide_at: float) -> str:
    """Return changes of both pools, ΔMCP and what it does, and the likeliest class at one horizon."""
    found = {str(row["quantity"]): [float(row[key]) for key in _ENDS] for row in rows.to_dict("records")}
    mark = "*" if bool(rows["extrapolated"].iloc[0]) else ""
    parts = []
    for pool, shown in ((words.NECROMASS, "necromass"), (words.SOC, "SOC")):
        moved = [100 * float(np.expm1(value)) for value in found[f"effect[{pool}]"]]
        parts.append(f"{shown} {number_text(moved[0], 0, True)} % ({_range(moved[1:], 0)})")
    points = [100 * value for value in found["delta_mcp"]]
    parts.append(f"ΔMCP {number_text(points[0], 1, True)} points ({_range(points[1:], 1)})")
    by = {str(name): each.to_dict("records") for name, each in classes.groupby("statement")}
    change = ", ".join(f"{word} {row['probability']:.2f}" for word, row in zip(_CHANGES, by[CHANGE], strict=True))
    best = max(by[SCENARIO], key=lambda row: float(row["probability"]))
    likely = f"most probable {best['code']} ({best['label']}), {best['probability']:.2f}"
    if best["probability"] < decide_at:
        likely = f"no scenario reaches {decide_at:g} ({likely})"
    return f"{horizon}{mark}: {', '.join(parts)}; probability of ΔMCP {change}; {likely}"


def _range(ends: list[float], decimals: int) -> str:
    return f"{number_text(ends[0], decimals)} to {number_text(ends[1], decimals)}"


def _crossing_line(rows: pd.DataFrame) -> str:
    """Return the probabilities to have left the scenario of the starting year."""
    later = rows[rows["probability"].notna()]
    since = rows["since"].iloc[0]
    parts = [
        f"{row['probability']:.2f} by {row['horizon'].replace(STEADY_STATE, f'the {STEADY_STATE}')}"
        + ("*" if row["extrapolated"] else "")
        + ("" if np.isnan(row["median_year"]) else f" (where so, half by year {row['median_year']:.0f})")
        for row in later.to_dict("records")
    ]
    return f"in another scenario than after {since:g} years: {', '.join(parts)}"
