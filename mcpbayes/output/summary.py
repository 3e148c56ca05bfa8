"""The tables that people read: estimates, scenario probabilities, shares, and what was analysed."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.monte_carlo import convergence, interval, mcse_mean
from mcpbayes.estimands.quantities import Block, quantity_blocks
from mcpbayes.estimands.tree import group, specification
from mcpbayes.specification.structure import SummarySection

#: Columns of ``summary.csv``.
SUMMARY: Final = (
    "level",
    "name",
    "quantity",
    "mean",
    "median",
    "sd",
    "lower",
    "upper",
    "interval_kind",
    "interval_prob",
    "prob_positive",
    "r_hat",
    "ess_bulk",
    "ess_tail",
    "mcse_mean",
)

#: Columns of ``scenarios.csv``.
SCENARIOS: Final = ("level", "name", "scenario", "label", "probability", "mcse", "prior_probability")

#: Columns of ``shares.csv``.
SHARES: Final = (
    "group",
    "scenario",
    "label",
    "mean",
    "median",
    "lower",
    "upper",
    "interval_kind",
    "interval_prob",
    "mcse",
)

#: Quantities that cannot be negative, so that the probability of being positive says nothing.
_POSITIVE: Final = ("tau_", "mcp_efficacy_")


def summarise(result: xr.DataTree) -> pd.DataFrame:
    """Return one row per quantity: estimate, interval and how far the draws are to be trusted.

    Parameters
    ----------
    result : DataTree
        With groups ``posterior`` and ``delta_mcp``.

    Returns
    -------
    DataFrame
        Columns `SUMMARY`, full precision, in the order parameter, mean, new, study, comparison; the name of a
        parameter is empty. ``effect`` and ``log_delta_mcp`` are log ratios, ``delta_mcp``, efficacies and
        ``average_change`` fractions. A quantity absent for every target (ΔMCP without r₀) has no rows; where it is
        absent for some (a control without SOC) their rows are blank. ``prob_positive`` is blank for quantities that
        cannot be negative, R-hat and ESS for constant draws.

    Raises
    ------
    StageError
        `mcpbayes.delta_mcp` was not called.
    """
    section = specification(result).summary
    return pd.concat([_summarise_block(block, section) for block in quantity_blocks(result)], ignore_index=True)


def _summarise_block(block: Block, section: SummarySection) -> pd.DataFrame:
    table = pd.DataFrame(block.keys, columns=list(SUMMARY[:3]))
    size = len(table)
    flat = block.draws.reshape(size, -1)
    there = np.isfinite(flat).all(axis=1)
    kept = flat[there]
    checks = convergence(block.draws[there])
    lower, upper = interval(kept, section.interval_kind, section.interval_prob)
    values = {
        "mean": kept.mean(axis=1),
        "median": np.median(kept, axis=1),
        "sd": kept.std(axis=1, ddof=1),
        "lower": lower,
        "upper": upper,
        "prob_positive": (kept > 0).mean(axis=1),
        "r_hat": checks["r_hat"],
        "ess_bulk": checks["ess_bulk"],
        "ess_tail": checks["ess_tail"],
        "mcse_mean": mcse_mean(block.draws[there], checks["ess_mean"]),
    }
    for column, found in values.items():
        table[column] = np.full(size, np.nan)
        table.loc[there, column] = found
    table.loc[table["quantity"].str.startswith(_POSITIVE), "prob_positive"] = np.nan
    table["interval_kind"], table["interval_prob"] = section.interval_kind, section.interval_prob
    return table[list(SUMMARY)]


def scenario_table(result: xr.DataTree) -> pd.DataFrame:
    """Return the probability of every class of every target, zeros included.

    Parameters
    ----------
    result : DataTree
        With group ``scenario``.

    Returns
    -------
    DataFrame
        Columns `SCENARIOS`; ``mcse`` is the Monte-Carlo standard error, ``prior_probability`` blank under a flat prior.

    Raises
    ------
    StageError
        `mcpbayes.classify` was not called.
    """
    scenario = group(result, words.SCENARIO)
    each = {name: scenario[name].transpose("target", "scenario").values.ravel() for name in SCENARIOS[4:]}
    return pd.DataFrame(_by_class(scenario, SCENARIOS[:2]) | each, columns=list(SCENARIOS))


def _by_class(scenario: xr.Dataset, rows: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the first columns of a long table: every row (its coordinates named) with every class."""
    named = {name: np.repeat(scenario[name].values.astype(str), scenario.sizes["scenario"]) for name in rows}
    count = scenario[rows[0]].size
    return named | {name: np.tile(scenario[name].values.astype(str), count) for name in ("scenario", "label")}


def share_table(result: xr.DataTree) -> pd.DataFrame:
    """Return what fraction of comparisons lies in each class, with its interval.

    Parameters
    ----------
    result : DataTree
        With group ``scenario``.

    Returns
    -------
    DataFrame
        Columns `SHARES`; ``group`` is a name at level new, fractions.

    Raises
    ------
    StageError
        `mcpbayes.classify` was not called.
    """
    scenario, section = group(result, words.SCENARIO), specification(result).summary
    share = scenario["share"].transpose("group", "scenario", "chain", "draw").values
    draws = share.reshape(-1, *share.shape[2:])
    flat = draws.reshape(len(draws), -1)
    lower, upper = interval(flat, section.interval_kind, section.interval_prob)
    columns = {
        "mean": flat.mean(axis=1),
        "median": np.median(flat, axis=1),
        "lower": lower,
        "upper": upper,
        "interval_kind": section.interval_kind,
        "interval_prob": section.interval_prob,
        "mcse": mcse_mean(draws),
    }
    return pd.DataFrame(_by_class(scenario, SHARES[:1]) | columns, columns=list(SHARES))
