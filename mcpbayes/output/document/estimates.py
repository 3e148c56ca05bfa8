"""The numbers of the report: effects, changes of the ratio, scenarios, studies, parameters, rounded for reading."""

from collections.abc import Sequence
from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.targets import kind_of_target
from mcpbayes.estimands.unobserved import unobserved_among
from mcpbayes.output.document import numbers
from mcpbayes.output.document.material import Row, heading, kinds, outcome_words
from mcpbayes.tables.observed import unobserved_pools

#: How each level reads in a table.
LEVEL_WORDS: Final = {words.MEAN: "typical", words.NEW: "new study"}

#: Quantities on the log scale are shown as percent change, Δr in percentage points, r in percent.
_PERCENT: Final = ("effect[", "log_delta_mcp")

Quantities = dict[tuple[str, str, str], pd.Series]


def by_quantity(summary: pd.DataFrame) -> Quantities:
    """Return the rows of a summary by level, name and quantity."""
    keys = zip(summary["level"], summary["name"], summary["quantity"], strict=True)
    return {(str(a), str(b), str(c)): row for (a, b, c), (_, row) in zip(keys, summary.iterrows(), strict=True)}


def names_at(summary: pd.DataFrame, level: str) -> list[str]:
    """Return the names of a level in the summary's order."""
    return list(dict.fromkeys(summary.loc[summary["level"] == level, "name"].astype(str)))


def shown_name(name: str, data: xr.Dataset) -> str:
    """Return a target's name as the report prints it: a kind by its own name."""
    if kind_of_target(name, data["kind"].values.astype(str)) is not None:
        return name.removeprefix("kind=")
    return name


def unobserved_words(name: str, data: xr.Dataset) -> str:
    """Return a clause on the pools that no comparison of a target's kinds of treatment reports; mostly empty."""
    found = unobserved_among(data, name)
    if kind_of_target(name, data["kind"].values.astype(str)) is None:
        return f"{shown_name(name, data)} includes {numbers.listing(list(found))}" if found else ""
    return "; ".join(f"{_pools(pools)} not observed in any comparison of {kind}" for kind, pools in found.items())


def _pools(pools: Sequence[str]) -> str:
    listed = numbers.listing([outcome_words(pool) for pool in pools])
    return f"{listed} {'was' if len(pools) == 1 else 'were'}"


def cell(row: pd.Series | None, quantity: str) -> Row:
    """Return median and interval of one quantity as text.

    Notes
    -----
    Log ratios as percent change 100(e^x − 1), Δr in percentage points, efficacies in percent, SOC in its unit. A
    missing quantity gives a dash without an interval.
    """
    if row is None:
        return {"value": numbers.ABSENT, "interval": ""}
    values = (float(row["median"]), float(row["lower"]), float(row["upper"]))
    if quantity.startswith(_PERCENT):
        shown = [numbers.signed(numbers.percent_change(v)) for v in values]
    elif quantity.startswith("mcp_efficacy"):
        shown = [numbers.plain(100.0 * v, 1) for v in values]
    elif quantity == "soc_change":
        shown = [numbers.signed(v) for v in values]
    else:  # Δr and the average change are fractions
        shown = [numbers.signed(100.0 * v) for v in values]
    return {"value": shown[0], "interval": numbers.interval(shown[1], shown[2])}


def effect_columns(outcomes: Sequence[str], found: Quantities) -> list[Row]:
    """Return the columns of the table of effects: the pools, the ratio, ΔMCP, as far as the result has them."""
    have = {quantity for _, _, quantity in found}
    columns: list[Row] = [
        {"quantity": f"effect[{o}]", "head": heading(outcome_words(o)), "unit": "% change"} for o in outcomes
    ]
    further: list[Row] = [
        {"quantity": "log_delta_mcp", "head": "Ratio necromass C/SOC", "unit": "% change"},
        {"quantity": "delta_mcp", "head": "ΔMCP", "unit": "percentage points"},
    ]
    return columns + [column for column in further if column["quantity"] in have]


def effects(data: xr.Dataset, summary: pd.DataFrame) -> list[Row]:
    """Return the table of effects, per target at the levels ``mean`` and ``new``.

    Returns
    -------
    list of dict
        ``name``, ``single`` (a kind seen in one study), ``unobserved`` (a clause where a pool was never observed),
        ``rows``, one per level: ``level``, ``words``, ``cells``.
    """
    return rows_by_level(data, summary, effect_columns([str(o) for o in data["outcome"].values], by_quantity(summary)))


def rows_by_level(data: xr.Dataset, summary: pd.DataFrame, columns: Sequence[Row]) -> list[Row]:
    """Return a table as `effects` with the quantities that `columns` ask for."""
    found = by_quantity(summary)
    single = {str(kind["name"]) for kind in kinds(data) if kind["single"]}
    table: list[Row] = []
    for name in dict.fromkeys(name for level in LEVEL_WORDS for name in names_at(summary, level)):
        called = shown_name(name, data)
        rows = [
            {
                "level": level,
                "words": LEVEL_WORDS[level],
                "cells": _cells(found, level, name, columns),
            }
            for level in LEVEL_WORDS
        ]
        marks: Row = {"single": called in single and name != called, "unobserved": unobserved_words(name, data)}
        table.append({"name": called, **marks, "rows": rows})
    return table


def _cells(found: Quantities, level: str, name: str, columns: Sequence[Row]) -> list[Row]:
    return [cell(found.get((level, name, str(c["quantity"]))), str(c["quantity"])) for c in columns]


def averages(data: xr.Dataset, summary: pd.DataFrame) -> list[Row]:
    """Return the average change over comparisons of each pool at level ``mean``, in percent; carbon budgets need it."""
    found = by_quantity(summary)
    quantities = [f"average_change[{o}]" for o in data["outcome"].values]
    return [
        {
            "name": shown_name(name, data),
            "unobserved": unobserved_words(name, data),
            "cells": [cell(found.get((words.MEAN, name, quantity)), quantity) for quantity in quantities],
        }
        for name in names_at(summary, words.MEAN)
        if any((words.MEAN, name, quantity) in found for quantity in quantities)
    ]


def reference_ratios(data: xr.Dataset, summary: pd.DataFrame) -> list[Row]:
    """Return the control ratio r₀ at the levels ``mean`` and ``new``, in percent; targets that share it stand together.

    Returns
    -------
    list of dict
        ``names`` (empty where all targets of the level share r₀), ``level``, ``words``, ``value``, ``interval``.
    """
    found = by_quantity(summary)
    rows: list[Row] = []
    for level in LEVEL_WORDS:
        together: dict[tuple[str, str], list[str]] = {}
        for name in names_at(summary, level):
            row = found.get((level, name, "mcp_efficacy_control"))
            if row is not None:
                shown = cell(row, "mcp_efficacy_control")
                together.setdefault((str(shown["value"]), str(shown["interval"])), []).append(shown_name(name, data))
        for (value, interval), names in together.items():
            called = numbers.listing(names) if len(together) > 1 else ""
            rows.append(
                {"names": called, "level": level, "words": LEVEL_WORDS[level], "value": value, "interval": interval}
            )
    return rows


def changes(result: xr.DataTree) -> list[Row]:
    """Return P(ΔMCP rises, stays, falls) of every target at the levels ``mean`` and ``new``."""
    scenario, data = result[words.SCENARIO].to_dataset(), result[words.DATA].to_dataset()
    return [
        {
            "name": shown_name(name, data),
            "unobserved": unobserved_words(name, data),
            "rows": [
                {
                    "level": level,
                    "words": LEVEL_WORDS[level],
                    "cells": [
                        numbers.probability(float(p))
                        for p in scenario["change_probability"].isel(target=index).transpose("change").values
                    ],
                }
                for level, index in places.items()
            ],
        }
        for name, places in _targets(scenario).items()
    ]


def _targets(scenario: xr.Dataset) -> dict[str, dict[str, int]]:
    """Return where the targets of the levels ``mean`` and ``new`` stand: name → level → index."""
    places: dict[str, dict[str, int]] = {}
    pairs = zip(scenario["level"].values.astype(str), scenario["name"].values.astype(str), strict=True)
    for index, (level, name) in enumerate(pairs):
        if level in LEVEL_WORDS:
            places.setdefault(name, {})[level] = index
    return places


def scenarios(result: xr.DataTree, shares: pd.DataFrame) -> list[Row]:
    """Return, per target, all classes with their probabilities at both levels, the prior ones, and the share.

    Returns
    -------
    list of dict
        ``name`` and ``rows``: ``code``, ``label``, ``faint`` (nothing above 0.01), and per level ``probability``,
        ``prior`` and ``bar`` (its length as a fraction); ``share`` with its interval.
    """
    scenario, data = result[words.SCENARIO].to_dataset(), result[words.DATA].to_dataset()
    share_of = {(str(r["group"]), str(r["scenario"])): r for _, r in shares.iterrows()}
    labels = scenario["label"].values.astype(str)
    table: list[Row] = []
    for name, places in _targets(scenario).items():
        rows: list[Row] = []
        for j, code in enumerate(scenario["scenario"].values.astype(str)):
            at = {level: scenario.isel(target=index, scenario=j) for level, index in places.items()}
            posterior = {level: float(one["probability"]) for level, one in at.items()}
            rows.append(
                {
                    "code": code,
                    "label": labels[j],
                    "faint": max(posterior.values()) < numbers.LEAST,
                    "levels": [
                        {
                            "probability": numbers.probability(posterior[level]),
                            "prior": numbers.probability(float(one["prior_probability"])),
                            "bar": f"{posterior[level]:.2f}",
                        }
                        for level, one in at.items()
                    ],
                    "share": share_cell(share_of.get((name, code))),
                }
            )
        marks: Row = {"unobserved": unobserved_words(name, data), "levels": list(places)}
        table.append({"name": shown_name(name, data), **marks, "rows": rows})
    return table


def share_cell(row: pd.Series | None) -> Row:
    """Return a share of comparisons as text; like a probability it is never 0 or 1."""
    if row is None:
        return {"value": numbers.ABSENT, "interval": ""}
    value, lower, upper = (numbers.probability(float(row[key])) for key in ("mean", "lower", "upper"))
    return {"value": value, "interval": numbers.interval(lower, upper)}


def studies(data: xr.Dataset, summary: pd.DataFrame) -> list[Row]:
    """Return the effects study by study with their numbers of comparisons and kinds, and pools they did not observe."""
    unobserved = unobserved_pools(data, "study")
    of = data["study_of_comparison"].values.astype(str)
    kind = data["kind_of_comparison"].values.astype(str)
    found = by_quantity(summary)
    columns = effect_columns([str(o) for o in data["outcome"].values], found)
    return [
        {
            "name": name,
            "comparisons": int((of == name).sum()),
            "kinds": numbers.listing(list(dict.fromkeys(kind[of == name]))),
            "unobserved": [outcome_words(pool) for pool in unobserved[name]],
            "cells": _cells(found, words.STUDY, name, columns),
        }
        for name in names_at(summary, words.STUDY)
    ]


def parameters(summary: pd.DataFrame) -> list[Row]:
    """Return the parameters as they are in the model, on the log scale, with their diagnostics."""
    rows: list[Row] = []
    for _, row in summary[summary["level"] == words.PARAMETER].iterrows():
        value, lower, upper = (numbers.plain(float(row[key]), 3) for key in ("median", "lower", "upper"))
        rows.append(
            {
                "name": str(row["quantity"]),
                "value": value,
                "interval": numbers.interval(lower, upper),
                "r_hat": numbers.plain(float(row["r_hat"]), 3),
                "ess_bulk": numbers.count(round(float(row["ess_bulk"]))),
                "ess_tail": numbers.count(round(float(row["ess_tail"]))),
            }
        )
    return rows
