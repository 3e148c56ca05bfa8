"""The tables of a forecast: quantities, scenario probabilities and crossings of all levels, shares of comparisons."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.claims import CHANGE_LABELS
from mcpbayes.estimands.counting import CHANGES
from mcpbayes.estimands.courses import Content
from mcpbayes.estimands.curves import CHANGE, SCENARIO
from mcpbayes.estimands.forecast import of_table, shares
from mcpbayes.estimands.pooled import drawn_worlds, summarise_draws, worlds_of
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import group, specification
from mcpbayes.output.summary import SHARES as SUMMARY_SHARES
from mcpbayes.output.summary import SUMMARY
from mcpbayes.specification.structure import SummarySection
from mcpbayes.workers import in_threads

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

#: Columns of ``forecast_shares.csv``.
SHARES: Final = (SUMMARY_SHARES[0], *PLACE[2:], *SUMMARY_SHARES[1:])

_QUANTITIES: Final = ("log_delta_mcp", "delta_mcp", "soc_change", "mcp_efficacy_treatment")


def forecast_table(result: xr.DataTree, *, every_row: bool = True) -> pd.DataFrame:
    """Return every quantity of a forecast at every horizon.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.
    every_row : bool
        With the studies and comparisons of the table; else the levels mean and new alone.

    Returns
    -------
    DataFrame
        Columns `FORECAST`, ``units`` among them, levels in the order mean, new, study, comparison. ``effect`` and
        ``log_delta_mcp`` are log ratios, ``delta_mcp``, ``mcp_efficacy_treatment`` and ``average_change`` (level mean
        alone) fractions, ``soc_change`` in g per kg (Mg per ha of stocks); ``prob_positive`` is blank for the efficacy.
        ``extrapolated`` says that the horizon lies beyond the longest duration of the table. R-hat and ESS of a result
        that is pooled over worlds are of draws standardised within them, and its ``mcse_mean`` holds what lies between
        worlds of drawn CVs, as in `mcpbayes.summarise`.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    section, posterior = specification(result).summary, group(result, words.POSTERIOR)
    worlds, drawn = worlds_of(posterior), drawn_worlds(posterior)

    def rows(found: xr.Dataset) -> pd.DataFrame:
        return _quantities(found, section, worlds, drawn)

    return _of_levels(result, "quantities", rows, FORECAST, every_row)


def _quantities(found: xr.Dataset, section: SummarySection, worlds: int, drawn: bool) -> pd.DataFrame:
    """Return the rows of targets of one level."""

    def by_pool(name: str) -> dict[str, xr.DataArray]:
        return {f"{name}[{pool}]": found[name].sel(outcome=pool) for pool in found["outcome"].values.astype(str)}

    draws = by_pool("effect") | {name: found[name] for name in _QUANTITIES}
    if "average_change" in found:
        draws |= by_pool("average_change")
    stacked = np.stack([each.transpose("target", "horizon", "chain", "draw").values for each in draws.values()], axis=2)
    kind, prob = section.interval_kind, section.interval_prob
    columns = summarise_draws(stacked.reshape(-1, *stacked.shape[3:]), kind, prob, worlds, drawn=drawn)
    each = {name: columns[name] for name in SUMMARY if name in columns}
    of_draws = {"quantity": list(draws), "units": [one.attrs["units"] for one in draws.values()]}
    repeats = stacked.shape[0] * stacked.shape[1]
    named = {name: np.tile(np.array(values, dtype=object), repeats) for name, values in of_draws.items()}
    each["prob_positive"] = np.where(named["quantity"] == "mcp_efficacy_treatment", np.nan, each["prob_positive"])
    constant = {"interval_kind": kind, "interval_prob": prob}
    return pd.DataFrame(_places(found, len(draws)) | named | each | constant)


def forecast_scenario_table(result: xr.DataTree, *, every_row: bool = True) -> pd.DataFrame:
    """Return the probability of every class at every horizon, zeros included, and of what the ratio does.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.
    every_row : bool
        As `forecast_table`.

    Returns
    -------
    DataFrame
        Columns `SCENARIOS`, with ``statement``, ``code`` and ``label`` as in `mcpbayes.tolerance_sweep`: ``scenario``,
        one of the scheme's classes, which sum to 1, or ``change``, what ΔMCP does against its tolerance; these three
        sum to 1 too, and have neither ``mcse`` nor ``prior_probability``. Levels as in `forecast_table`.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    return _of_levels(result, "scenarios", _scenarios, SCENARIOS, every_row)


def _scenarios(found: xr.Dataset) -> pd.DataFrame:
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
    return pd.DataFrame(_places(found, sum(sizes)) | repeated | columns)


def crossing_table(result: xr.DataTree, *, every_row: bool = True) -> pd.DataFrame:
    """Return the probability to have crossed into another class by every horizon, and when.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.
    every_row : bool
        As `forecast_table`; each trajectory is followed through hundreds of years, so that large tables take minutes.

    Returns
    -------
    DataFrame
        Columns `CROSSINGS`. ``probability`` that the class was another one than in year ``since`` at some time up to
        the horizon; ``median_year`` with its interval among the draws that crossed by then, blank where none did, at
        the new steady state, which has no year, and at horizons not later than ``since``. Levels as in
        `forecast_table`.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    section = specification(result).summary
    constant = {
        "since": float(group(result, words.FORECAST).attrs["since"]),
        "interval_kind": section.interval_kind,
        "interval_prob": section.interval_prob,
    }
    return _of_levels(result, "crossings", lambda found: _crossings(found, constant), CROSSINGS, every_row)


def _crossings(found: xr.Dataset, constant: dict[str, object]) -> pd.DataFrame:
    variables = {
        "probability": "crossed",
        "mcse": "crossed_mcse",
        "median_year": "crossing_year",
        "lower": "crossing_year_lower",
        "upper": "crossing_year_upper",
    }
    each = {column: found[name].transpose("target", "horizon").values.ravel() for column, name in variables.items()}
    return pd.DataFrame(_places(found, 1) | each | constant)


def forecast_share_table(result: xr.DataTree) -> pd.DataFrame:
    """Return what fraction of comparisons lies in each class at every horizon, with its interval.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.

    Returns
    -------
    DataFrame
        Columns `SHARES`; ``group`` is a name at level new, fractions. The share of each draw is that among
        `future_shares.FRESH` fresh comparisons, which widens intervals a little.

    Raises
    ------
    StageError
        `mcpbayes.forecast` was not called.
    """
    section, found = specification(result).summary, shares(result)
    share = found["share"].transpose("group", "horizon", "scenario", "chain", "draw").values
    posterior, draws = group(result, words.POSTERIOR), share.reshape(-1, *share.shape[3:])
    worlds, drawn = worlds_of(posterior), drawn_worlds(posterior)
    each = summarise_draws(draws, section.interval_kind, section.interval_prob, worlds, drawn=drawn)
    columns = {name: each[name] for name in ("mean", "median", "lower", "upper")} | {
        "interval_kind": section.interval_kind,
        "interval_prob": section.interval_prob,
        "mcse": each["mcse_mean"],
    }
    groups, rows = found["group"].values.astype(str).astype(object), share.shape[1] * share.shape[2]
    named = {"group": np.repeat(groups, rows)} | _of_horizons(found, share.shape[2], len(groups))
    for name in ("scenario", "label"):
        named[name] = np.tile(found[name].values.astype(str).astype(object), len(groups) * share.shape[1])
    return pd.DataFrame(named | columns, columns=list(SHARES))


def _of_levels(
    result: xr.DataTree,
    content: Content,
    rows: Callable[[xr.Dataset], pd.DataFrame],
    columns: tuple[str, ...],
    every_row: bool = True,
) -> pd.DataFrame:
    """Return the rows of the levels mean and new, then those of studies and comparisons, a few targets at a time."""

    def walk() -> Iterator[Callable[[], xr.Dataset]]:
        found = group(result, words.FORECAST)
        yield from (partial(_of_level, found, level) for level in POPULATION)
        if every_row:
            yield from of_table(result, content)

    parts = in_threads(lambda part: rows(part()), walk())
    return pd.concat(parts, ignore_index=True)[list(columns)]


def _of_level(found: xr.Dataset, level: str) -> xr.Dataset:
    """Return the targets of level mean, with averages over comparisons, or of level new, without."""
    mine = found.isel(target=np.flatnonzero(found["level"].values == level))
    if level != words.MEAN:
        return mine.drop_dims("mean_target")
    average = mine["average_change"].rename(mean_target="target").assign_coords(target=mine["target"])
    return mine.drop_dims("mean_target").assign(average_change=average)


def _places(found: xr.Dataset, rows: int) -> dict[str, np.ndarray]:
    """Return the first columns of a table with so many rows per target and horizon."""
    of_target = {name: found[name].values.astype(str).astype(object) for name in ("level", "name")}
    named = {name: np.repeat(values, found.sizes["horizon"] * rows) for name, values in of_target.items()}
    return named | _of_horizons(found, rows, found.sizes["target"])


def _of_horizons(found: xr.Dataset, rows: int, times: int) -> dict[str, np.ndarray]:
    """Return the columns on horizons with so many rows for each, so many times over."""
    years = found["years"].values
    of_horizon = {
        "horizon": found["horizon"].values.astype(str).astype(object),
        "years": np.where(np.isfinite(years), years, np.nan),
        "extrapolated": found["extrapolated"].values.astype(bool),
    }
    return {name: np.tile(np.repeat(values, rows), times) for name, values in of_horizon.items()}
