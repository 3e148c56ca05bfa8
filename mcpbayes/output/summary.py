"""The tables that people read: estimates, scenario probabilities, shares, and what was analysed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Index
from mcpbayes.estimands.pooled import drawn_worlds, summarise_draws, worlds_of
from mcpbayes.estimands.quantities import Block, Quantities, quantities
from mcpbayes.estimands.tree import group, has_two_pools, specification
from mcpbayes.inference.two_pool_completion import prior_overlap
from mcpbayes.kernels import use_numba
from mcpbayes.specification.prior_rules import SIGMA_R, TURNOVER
from mcpbayes.workers import in_threads

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
_POSITIVE: Final = ("tau_", "mcp_efficacy_", TURNOVER, SIGMA_R)

#: Of each block: rows of the table, which of the draws each has (`quantities.Block`), and the columns of the draws.
Numbers = list[tuple[Index, Index, dict[str, np.ndarray]]]


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
        cannot be negative, R-hat and ESS for constant draws. Of a two-pool result the parameters alone, with one more
        column, ``prior_overlap`` of turnover rates (near 1: the data told nothing of them).

    Raises
    ------
    StageError
        `mcpbayes.delta_mcp` was not called.
    """
    found, number = quantities(result), numbering(result)
    return summary_of(result, found, in_threads(lambda blocks: number(blocks()), found.blocks))


def numbering(result: xr.DataTree) -> Callable[[Iterator[Block]], Numbers]:
    """Return what turns the draws of blocks into their columns, and lets the draws go."""
    section, posterior = specification(result).summary, group(result, words.POSTERIOR)
    worlds, drawn = worlds_of(posterior), drawn_worlds(posterior)
    interval = (section.interval_kind, section.interval_prob)
    compiled = use_numba(group(result, words.DATA).sizes["comparison"])

    def number(blocks: Iterator[Block]) -> Numbers:
        return [
            (block.rows, block.of, summarise_draws(block.draws, *interval, worlds, drawn=drawn, compiled=compiled))
            for block in blocks
        ]

    return number


def summary_of(result: xr.DataTree, found: Quantities, parts: Iterable[Numbers]) -> pd.DataFrame:
    """Return the table of `summarise` from the columns of all blocks."""
    section = specification(result).summary
    kind, prob = section.interval_kind, section.interval_prob
    columns = {name: np.full(len(found.quantity), np.nan) for name in SUMMARY[3:] if not name.startswith("interval")}
    for rows, of, numbers in chain.from_iterable(parts):
        for name, values in columns.items():
            values[rows] = numbers[name][of]
    positive = [quantity.startswith(_POSITIVE) for quantity in found.quantity.tolist()]
    columns["prob_positive"][positive] = np.nan
    keys = {"level": found.level, "name": found.name, "quantity": found.quantity}
    constant = {"interval_kind": kind, "interval_prob": prob}
    table = pd.DataFrame(keys | columns | constant, columns=list(SUMMARY))
    return table.assign(prior_overlap=_overlaps(result, found)) if has_two_pools(result) else table


def _overlaps(result: xr.DataTree, found: Quantities) -> np.ndarray:
    """Return the overlap of posterior and prior of turnover rates, blank for all else."""
    rates, prior = group(result, words.POSTERIOR)[TURNOVER], specification(result).priors[TURNOVER]
    overlap = {
        f"{TURNOVER}[{pool}]": prior_overlap(rates.sel(pool=pool).values, prior, pool) for pool in words.PARTS_OF_SOC
    }
    return np.array([overlap.get(name, np.nan) for name in found.quantity.tolist()])


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
    names = {name: scenario[name].values.astype(str).astype(object) for name in (*rows, "scenario", "label")}
    # Objects: rows share their strings.
    named = {name: np.repeat(names[name], scenario.sizes["scenario"]) for name in rows}
    count = scenario[rows[0]].size
    return named | {name: np.tile(names[name], count) for name in ("scenario", "label")}


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
    posterior, interval = group(result, words.POSTERIOR), (section.interval_kind, section.interval_prob)
    worlds, drawn = worlds_of(posterior), drawn_worlds(posterior)
    found = summarise_draws(share.reshape(-1, *share.shape[2:]), *interval, worlds, drawn=drawn)
    columns = {name: found[name] for name in ("mean", "median", "lower", "upper")} | {
        "interval_kind": section.interval_kind,
        "interval_prob": section.interval_prob,
        "mcse": found["mcse_mean"],
    }
    return pd.DataFrame(_by_class(scenario, SHARES[:1]) | columns, columns=list(SHARES))
