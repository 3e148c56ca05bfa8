"""A forecast in words: the lines of the command, which the page uses too, so that both say the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.absolute import points_of
from mcpbayes.estimands.claims import Claim, union_claims
from mcpbayes.estimands.courses import STEADY_STATE
from mcpbayes.estimands.curves import CHANGE, SCENARIO
from mcpbayes.estimands.decision import ties
from mcpbayes.estimands.targets import POPULATION, target_name
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.wording import interval_name, number_text, probability_text
from mcpbayes.inference.two_pool_completion import turnover_note
from mcpbayes.output.folder import CROSSINGS, FORECAST, FORECAST_SCENARIOS
from mcpbayes.specification.structure import Scheme

_ENDS: Final = ("median", "lower", "upper")

#: What ΔMCP does, in the order of `counting.CHANGES`.
CHANGES: Final = ("up", "within its tolerance", "down")

#: How the levels read in a line.
LEVELS: Final = {words.MEAN: "typical comparison", words.NEW: "comparison in a new study"}

#: What level new holds beside the trajectory.
RESIDUAL: Final = (
    "A comparison in a new study holds a residual that stays over the years: it differs from 0 in year 0, too"
)


def forecast_lines(result: xr.DataTree, tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Yield what a forecast says at the levels mean and new, a line per target and horizon, then one on crossings."""
    spec = specification(result)
    section = spec.summary
    yield f"Medians and {interval_name(section.interval_kind, section.interval_prob)}s:"
    crossings = tables[CROSSINGS]
    for (level, name), lines in horizon_lines(result, tables).items():
        yield f"{LEVELS[level]}, {name}"
        yield from (f"  {line}" for line in lines.values())
        yield f"  {_crossing_line(crossings[(crossings['level'] == level) & (crossings['name'] == name)])}"
    found = group(result, words.FORECAST)
    yield tolerance_line(spec.scenarios)
    yield since_line(found)
    yield RESIDUAL
    if words.STUDY in tables[FORECAST]["level"].values:
        yield "The same of every study and comparison of the table stands in the files, column level"
    yield longest_line(found)
    note = turnover_note(group(result, words.POSTERIOR), spec)
    yield f"NOTE {note.check}: {note}"


def horizon_lines(result: xr.DataTree, tables: Mapping[str, pd.DataFrame]) -> dict[tuple[str, str], dict[str, str]]:
    """Return what is said of every horizon, by level and name, then by horizon; levels mean and new."""
    values, classes = tables[FORECAST], tables[FORECAST_SCENARIOS]
    unions = group(result, words.FORECAST)["union_probability"]
    decide_at = specification(result).scenarios.decide_at
    found: dict[tuple[str, str], dict[str, str]] = {}
    population = values[values["level"].isin(POPULATION)]
    for (level, name), rows in population.groupby(["level", "name"], sort=False):
        mine = classes[(classes["level"] == level) & (classes["name"] == name)]
        found[str(level), str(name)] = {
            str(horizon): _horizon_line(
                str(horizon),
                here,
                mine[mine["horizon"] == horizon],
                union_claims(unions.sel(target=target_name(str(level), str(name)), horizon=horizon).values),
                decide_at,
            )
            for horizon, here in rows.groupby("horizon", sort=False)
        }
    return found


def _horizon_line(
    horizon: str, rows: pd.DataFrame, classes: pd.DataFrame, coarser: Sequence[Claim], decide_at: float
) -> str:
    """Return changes of both pools, ΔMCP and what it does, and the likeliest class at one horizon."""
    found = {str(row["quantity"]): [float(row[key]) for key in _ENDS] for row in rows.to_dict("records")}
    mark = "*" if bool(rows["extrapolated"].iloc[0]) else ""
    parts = []
    for pool, shown in ((words.NECROMASS, "necromass"), (words.SOC, "SOC")):
        moved = [100 * float(np.expm1(value)) for value in found[f"effect[{pool}]"]]
        parts.append(f"{shown} {number_text(moved[0], 0, True)} % ({_range(moved[1:], 0)})")
    points = [100 * value for value in found["delta_mcp"]]
    parts.append(f"ΔMCP {number_text(points[0], 1, True)} points ({_range(points[1:], 1)})")
    probabilities = classes.loc[classes["statement"] == CHANGE, "probability"]
    change = ", ".join(
        f"{word} {probability_text(float(p), decide_at)}" for word, p in zip(CHANGES, probabilities, strict=True)
    )
    said = _scenario_words(classes, coarser, decide_at)
    return f"{horizon}{mark}: {', '.join(parts)}; probability of ΔMCP {change}; {said}"


def _scenario_words(classes: pd.DataFrame, coarser: Sequence[Claim], decide_at: float) -> str:
    """Return the scenario where it is probable enough, else the first coarser statement that is, and what leads."""
    first, *others = _named(classes[classes["statement"] == SCENARIO]).nlargest(2, "probability").to_dict("records")
    likely = f"most probable {first['shown']}, {probability_text(first['probability'], decide_at)}"
    if first["probability"] >= decide_at:
        return likely
    for other in others:
        if ties(first["probability"], other["probability"]):
            likely += f", and {other['shown']}, {probability_text(other['probability'])}"
    claim = next((claim for claim in coarser if claim.probability >= decide_at), None)
    if claim is None:
        return f"no scenario reaches {decide_at:g} ({likely})"
    claimed = probability_text(claim.probability, decide_at)
    return f"{claim.label}, probability {claimed} (no single scenario reaches {decide_at:g}; {likely})"


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(shown=rows["code"] + " (" + rows["label"] + ")")


def leading_class(classes: pd.DataFrame) -> pd.Series:
    """Return the row of the most probable scenario among those of one target and horizon."""
    mine = classes[classes["statement"] == SCENARIO]
    return mine.iloc[int(mine["probability"].to_numpy(dtype=float).argmax())]


def tolerance_line(scheme: Scheme) -> str:
    """Say from which change on ΔMCP is up or down."""
    return f"ΔMCP is up or down where it changes by more than its tolerance, {tolerance_size(scheme)}"


def tolerance_size(scheme: Scheme) -> str:
    """Return from which change on ΔMCP is up or down."""
    points = points_of(scheme)
    return f"{scheme.tolerance_percent['ratio']:g} % of the ratio" if points is None else f"{points:g} points"


def since_line(found: xr.Dataset) -> str:
    """Say from which year on crossings count; `found` is group ``forecast``."""
    return f"Crossings count from {found.attrs['since']:g} years on: --since, or the median duration of the table"


def longest_line(found: xr.Dataset) -> str:
    """Say what the mark of a horizon means."""
    return f"* beyond the longest duration of the table, {found.attrs['longest_duration']:g} years: extrapolated"


def _range(ends: list[float], decimals: int) -> str:
    return f"{number_text(ends[0], decimals)} to {number_text(ends[1], decimals)}"


def _crossing_line(rows: pd.DataFrame) -> str:
    """Return the probabilities to have left the scenario of the starting year."""
    later = rows[rows["probability"].notna()]
    since = rows["since"].iloc[0]
    parts = [
        f"{probability_text(row['probability'])} by {row['horizon'].replace(STEADY_STATE, f'the {STEADY_STATE}')}"
        + ("*" if row["extrapolated"] else "")
        + ("" if np.isnan(row["median_year"]) else f" (where so, half by year {row['median_year']:.0f})")
        for row in later.to_dict("records")
    ]
    return f"in another scenario than after {since:g} years: {', '.join(parts)}"
