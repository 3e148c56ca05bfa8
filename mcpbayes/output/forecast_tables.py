"""The tables of a forecast: quantities, scenario probabilities and crossings, one row per target and horizon."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.claims import CHANGE_LABELS
from mcpbayes.estimands.counting import CHANGES
from mcpbayes.estimands.curves import CHANGE, SCENARIO
from mcpbayes.estimands.pooled import drawn_worlds, summarise_draws, worlds_of
from mcpbayes.estimands.tree import group, specification
from mcpbayes.output.summary import SUMMARY

#: Columns that say which target and horizon a row is of; ``years`` is blank at the new steady state.
PLACE: Final = ("level", "name", "horizon", "years", "extrapolated")

#: Columns of ``forecast.csv``.
FORECAST: Final = (*PLACE, "quantity", "units", *SUMMARY[3:])

#: Columns of ``forecast_scenarios.csv``.
SCENARIOS: Final = (*PLACE, "statement", "code", "label", "probability", "mcse", "prior_probability")

#: Columns of ``forecast_crossings.csv``.
CROSSINGS: Final = (
    *PLACE,
    "since",
    "probability",
    "mcse",
    "median_year",
    "lower",
    "upper",
    "interval_kind",
    "interval_prob",
)

_QUANTITIES: Final = ("log_delta_mcp", "delta_mcp", "soc_change", "mcp_efficacy_treatment")


def forecast_table(result: xr.DataTree) -> pd.DataFrame:
    """Return every quantity of a forecast at every horizon.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.

    Returns
    -------
    DataFrame
        Columns `FORECAST`, ``units`` among them. ``effect`` and ``log_delta_mcp`` are log ratios, ``delta_mcp`` and
        ``mcp_efficacy_treatment`` fractions, ``soc_change`` in g per kg (Mg per ha of stocks); ``prob_positive`` is
        blank for the efficacy. ``extrapolated`` says that the horizon lies beyond the longest duration of the table.
        R-hat and ESS of a result that is pooled over worlds are of draws standardised within them, and its
        ``mcse_mean`` holds what lies between worlds of drawn CVs, as in `mcpbayes.summarise`.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    found, section = group(result, words.FORECAST), specification(result).summary
    posterior = group(result, words.POSTERIOR)
    worlds, drawn = worlds_of(posterior), drawn_worlds(posterior)
    draws = {f"effect[{pool}]": found["effect"].sel(outcome=pool) for pool in found["outcome"].values.astype(str)}
    draws |= {name: found[name] for name in _QUANTITIES}
    stacked = np.stack([each.transpose("target", "horizon", "chain", "draw").values for each in draws.values()], axis=2)
    kind, prob = section.interval_kind, section.interval_prob
    columns = summarise_draws(stacked.reshape(-1, *stacked.shape[3:]), kind, prob, worlds, drawn=drawn)
    each = {name: columns[name] for name in SUMMARY if name in columns}
    of_draws = {"quantity": list(draws), "units": [one.attrs["units"] for one in draws.values()]}
    repeats = stacked.shape[0] * stacked.shape[1]
    named = {name: np.tile(np.array(values, dtype=object), repeats) for name, values in of_draws.items()}
    each["prob_positive"] = np.where(named["quantity"] == "mcp_efficacy_treatment", np.nan, each["prob_positive"])
    constant = {"interval_kind": kind, "interval_prob": prob}
    return pd.DataFrame(_places(found, len(draws)) | named | each | constant, columns=list(FORECAST))


def forecast_scenario_table(result: xr.DataTree) -> pd.DataFrame:
    """Return the probability of every class at every horizon, zeros included, and of what the ratio does.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.

    Returns
    -------
    DataFrame
        Columns `SCENARIOS`, with ``statement``, ``code`` and ``label`` as in `mcpbayes.tolerance_sweep`: ``scenario``,
        one of the scheme's classes, which sum to 1, or ``change``, what ΔMCP does against its tolerance; these three
        sum to 1 too, and have neither ``mcse`` nor ``prior_probability``.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    found = group(result, words.FORECAST)
    sizes = [found.sizes["scenario"], len(CHANGES)]
    rows = found.sizes["target"] * found.sizes["horizon"]

    def each(scenarios: str, changes: str | None) -> np.ndarray:
        of_classes = found[scenarios].transpose("target", "horizon", "scenario").values
        blank = np.full((*of_classes.shape[:2], len(CHANGES)), np.nan)
        of_changes = blank if changes is None else found[changes].transpose("target", "horizon", "change").values
        return np.concatenate([of_classes, of_changes], axis=2).ravel()

    codes, labels = (found[name].values.astype(str).tolist() for name in ("scenario", "label"))
    named = {
        "statement": np.repeat(np.array([SCENARIO, CHANGE], dtype=object), sizes),
        "code": np.array([*codes, *CHANGES], dtype=object),
        "label": np.array([*labels, *CHANGE_LABELS], dtype=object),
    }
    columns = {
        "probability": each("probability", "change_probability"),
        "mcse": each("mcse", None),
        "prior_probability": each("prior_probability", None),
    }
    repeated = {name: np.tile(values, rows) for name, values in named.items()}
    return pd.DataFrame(_places(found, sum(sizes)) | repeated | columns, columns=list(SCENARIOS))


def crossing_table(result: xr.DataTree) -> pd.DataFrame:
    """Return the probability to have crossed into another class by every horizon, and when.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.

    Returns
    -------
    DataFrame
        Columns `CROSSINGS`. ``probability`` that the class was another one than in year ``since`` at some time up to
        the horizon; ``median_year`` with its interval among the draws that crossed by then, blank where none did, at
        the new steady state, which has no year, and at horizons not later than ``since``.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    found, section = group(result, words.FORECAST), specification(result).summary
    variables = {
        "probability": "crossed",
        "mcse": "crossed_mcse",
        "median_year": "crossing_year",
        "lower": "crossing_year_lower",
        "upper": "crossing_year_upper",
    }
    each = {column: found[name].transpose("target", "horizon").values.ravel() for column, name in variables.items()}
    constant = {
        "since": float(found.attrs["since"]),
        "interval_kind": section.interval_kind,
        "interval_prob": section.interval_prob,
    }
    return pd.DataFrame(_places(found, 1) | each | constant, columns=list(CROSSINGS))


def _places(found: xr.Dataset, rows: int) -> dict[str, np.ndarray]:
    """Return the first columns of a table with so many rows per target and horizon."""
    targets, horizons = found.sizes["target"], found.sizes["horizon"]
    years = found["years"].values
    of_horizon = {
        "horizon": found["horizon"].values.astype(str).astype(object),
        "years": np.where(np.isfinite(years), years, np.nan),
        "extrapolated": found["extrapolated"].values.astype(bool),
    }
    of_target = {name: found[name].values.astype(str).astype(object) for name in ("level", "name")}
    return {name: np.repeat(values, horizons * rows) for name, values in of_target.items()} | {
        name: np.tile(np.repeat(values, rows), targets) for name, values in of_horizon.items()
    }
