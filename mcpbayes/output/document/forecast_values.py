"""What a forecast says of the levels mean and new, as the rows of the page's tables: rounded, beside their years."""

from collections.abc import Callable, Iterator
from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.curves import CHANGE
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.output.document import numbers
from mcpbayes.output.document.estimates import cell, share_cell, shown_name
from mcpbayes.output.document.material import Row, heading
from mcpbayes.output.forecast_words import LEVELS, leading_class

#: Quantities with columns of their own; ``unit`` of the last is that of the table.
_QUANTITIES: Final = {
    f"effect[{words.NECROMASS}]": ("Necromass C", "% change"),
    f"effect[{words.SOC}]": ("SOC", "% change"),
    "delta_mcp": ("ΔMCP", "percentage points"),
    "soc_change": ("SOC change", "g per kg"),
}
_STOCKS: Final = "Mg per ha"

#: Last quantities of level mean alone.
AVERAGES: Final = [f"average_change[{pool}]" for pool in (words.NECROMASS, words.SOC)]


def columns(data: xr.Dataset) -> list[Row]:
    """Return the columns of quantities: ``quantity``, ``head`` and ``unit``."""
    stocks = data.attrs.get("unit") == "Mg/ha"
    return [
        {"quantity": name, "head": head, "unit": _STOCKS if stocks and name == "soc_change" else unit}
        for name, (head, unit) in _QUANTITIES.items()
    ]


def level_words(level: str) -> str:
    """Return a level as a heading, for example ``Typical comparison``."""
    return heading(LEVELS[level])


def courses(data: xr.Dataset, values: pd.DataFrame, classes: pd.DataFrame) -> list[Row]:
    """Return what both pools, ΔMCP and the scenario do, per level and target a row for each horizon.

    Parameters
    ----------
    data : xr.Dataset
        Group ``data``.
    values, classes : DataFrame
        ``forecast.csv`` and ``forecast_scenarios.csv``.

    Returns
    -------
    list of dict
        ``level``, ``words`` and ``targets``: ``name`` and ``rows``, each ``horizon``, ``cells``, ``changes``
        (probabilities of ΔMCP up, within its tolerance, down), ``label``, ``code``, ``probability`` and ``prior``
        probability of the most probable scenario.
    """

    def row(here: pd.DataFrame) -> Row:
        level, name, horizon = here[["level", "name", "horizon"]].iloc[0]
        mine = of_target(classes, level, name)
        mine = mine[mine["horizon"] == horizon]
        best = leading_class(mine)
        return {
            "cells": quantity_cells(here, list(_QUANTITIES)),
            "changes": [numbers.probability(float(p)) for p in mine.loc[mine["statement"] == CHANGE, "probability"]],
            "label": str(best["label"]),
            "code": str(best["code"]),
            "probability": numbers.probability(float(best["probability"])),
            "prior": numbers.probability(float(best["prior_probability"])),
        }

    return [
        {"level": level, "words": level_words(level), "targets": list(targets(data, values, level, row))}
        for level in POPULATION
    ]


def averages(data: xr.Dataset, values: pd.DataFrame) -> list[Row]:
    """Return the change averaged over comparisons, per target a row for each horizon: ``horizon`` and ``cells``."""
    return list(targets(data, values, words.MEAN, lambda here: {"cells": quantity_cells(here, AVERAGES)}))


def targets(data: xr.Dataset, table: pd.DataFrame, level: str, row: Callable[[pd.DataFrame], Row]) -> Iterator[Row]:
    """Yield the targets of a level in the order of a table: ``name`` and ``rows``, what `row` makes of each horizon."""
    mine = table[table["level"] == level]
    for name, rows in mine.groupby("name", sort=False):
        made = [{"horizon": horizon_words(here)} | row(here) for _, here in rows.groupby("horizon", sort=False)]
        yield {"name": shown_name(str(name), data), "rows": made}


def of_target(table: pd.DataFrame, level: str, name: str) -> pd.DataFrame:
    """Return the rows of one target."""
    return table[(table["level"] == level) & (table["name"] == name)]


def horizon_words(rows: pd.DataFrame) -> str:
    """Return what a horizon is called, with a mark where it is extrapolated."""
    return str(rows["horizon"].iloc[0]) + ("*" if bool(rows["extrapolated"].iloc[0]) else "")


def quantity_cells(rows: pd.DataFrame, quantities: list[str]) -> list[Row]:
    """Return median and interval of some quantities of one target and horizon; what is not known is a dash."""
    found = {str(row["quantity"]): row for _, row in rows.iterrows()}
    return [cell(found.get(quantity), quantity) for quantity in quantities]


def crossings(data: xr.Dataset, table: pd.DataFrame) -> list[Row]:
    """Return how probable it is to have left the scenario of the first year, and when, per target and horizon.

    Parameters
    ----------
    data : xr.Dataset
        Group ``data``.
    table : DataFrame
        ``forecast_crossings.csv``.

    Returns
    -------
    list of dict
        ``name`` and ``rows``, each ``horizon`` and ``levels``, per level ``probability`` and ``year`` (a cell).
    """

    def row(here: pd.DataFrame) -> Row:
        name, horizon = here[["name", "horizon"]].iloc[0]
        at = table[(table["name"] == name) & (table["horizon"] == horizon)].set_index("level")
        return {"levels": [_crossing(at.loc[level]) for level in POPULATION]}

    return list(targets(data, table, words.MEAN, row))


def _crossing(row: pd.Series) -> Row:
    # One decimal: a whole number may lie before the year that is counted from.
    year, low, high = (numbers.plain(float(row[key]), 1) for key in ("median_year", "lower", "upper"))
    return {
        "probability": numbers.probability(float(row["probability"])),
        "year": {"value": year, "interval": numbers.interval(low, high)},
    }


def shares(data: xr.Dataset, table: pd.DataFrame) -> list[Row]:
    """Return which fraction of comparisons lies in each scenario, per group a row for each class.

    Parameters
    ----------
    data : xr.Dataset
        Group ``data``.
    table : DataFrame
        ``forecast_shares.csv``.

    Returns
    -------
    list of dict
        ``name``, ``horizons`` and ``rows``: ``code``, ``label``, ``faint`` (nowhere above 0.01) and ``cells``, one per
        horizon.
    """
    return [
        {
            "name": shown_name(str(name), data),
            "horizons": [horizon_words(here) for _, here in rows.groupby("horizon", sort=False)],
            "rows": [
                {
                    "code": str(code),
                    "label": str(mine["label"].iloc[0]),
                    "faint": bool(mine["mean"].max() < numbers.LEAST),
                    "cells": [share_cell(row) for _, row in mine.iterrows()],
                }
                for code, mine in rows.groupby("scenario", sort=False)
            ],
        }
        for name, rows in table.groupby("group", sort=False)
    ]
