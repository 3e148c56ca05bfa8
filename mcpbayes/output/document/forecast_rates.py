"""How much of a forecast is the answer of the prior of the turnover rates, as rows and sentences of the page."""

from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import group, specification
from mcpbayes.inference.two_pool_completion import turnover_note
from mcpbayes.output.document import model, numbers
from mcpbayes.output.document.forecast_values import level_words, quantity_cells, targets
from mcpbayes.output.document.material import Row, heading, outcome_words
from mcpbayes.output.forecast_turnover import AS_ANALYSED, POOLED, RATES, is_pooled, verdicts
from mcpbayes.specification.prior_rules import TURNOVER
from mcpbayes.specification.structure import Prior

_QUANTITIES: Final = ("delta_mcp", "soc_change")


def rates(result: xr.DataTree, summary: pd.DataFrame, turnover: pd.DataFrame | None) -> Row:
    """Return what is known of the turnover rates, and what hangs on them where that was asked for.

    Parameters
    ----------
    result : xr.DataTree
        With group ``forecast``.
    summary : DataFrame
        Of `mcpbayes.summarise`.
    turnover : DataFrame, optional
        Of `mcpbayes.turnover_sensitivity`.

    Returns
    -------
    dict
        ``fixed``, ``said`` (on the overlap), ``pools`` (`_pools`), ``asked`` and, where so, what `_sensitivity`
        returns.
    """
    spec = specification(result)
    known: Row = {
        "fixed": spec.priors[TURNOVER].distribution == "fixed",
        "said": numbers.unbroken(heading(turnover_note(group(result, words.POSTERIOR), spec).message)),
        "pools": _pools(summary, spec.priors[TURNOVER]),
        "asked": turnover is not None,
    }
    return known if turnover is None else known | _sensitivity(result, turnover)


def _pools(summary: pd.DataFrame, prior: Prior) -> list[Row]:
    """Return a row per pool: ``name``, ``called`` (in a sentence), ``prior``, ``value``, ``interval``, ``overlap``."""
    found = {str(row["quantity"]): row for _, row in summary.iterrows()}
    rows: list[Row] = []
    for pool, key in zip(words.PARTS_OF_SOC, RATES, strict=True):
        value, low, high = (numbers.plain(float(found[key][end]), 3) for end in ("median", "lower", "upper"))
        shared = f"{100 * float(found[key]['prior_overlap']):.0f} %"
        rows.append(
            {
                "name": heading(outcome_words(pool)),
                "called": outcome_words(pool),
                "prior": model.prior_words(prior),
                "value": value,
                "interval": numbers.interval(low, high),
                "overlap": numbers.ABSENT if prior.distribution == "fixed" else numbers.unbroken(shared),
            }
        )
    return rows


def _sensitivity(result: xr.DataTree, turnover: pd.DataFrame) -> Row:
    """Return the forecast under fixed rates.

    Returns
    -------
    dict
        ``settings``, a row each: ``name``, ``used`` (the result itself), ``rates`` and ``passed``; ``levels``, for each
        ``words`` and ``targets``, at every horizon with the rows of all settings; ``verdicts``, a clause by target and
        horizon; ``pooled``, a sentence where the result is pooled over several fits.
    """
    data = group(result, words.DATA)
    settings = [
        {
            "name": str(row["setting"]),
            "used": row["setting"] == AS_ANALYSED,
            "rates": [numbers.plain(float(row[rate]), 3) for rate in RATES],
            "passed": bool(row["passed"]),
        }
        for _, row in turnover.drop_duplicates("setting").iterrows()
    ]
    levels = [
        {"level": level, "words": level_words(level), "targets": list(targets(data, turnover, level, _by_setting))}
        for level in POPULATION
    ]
    return {
        "settings": settings,
        "levels": levels,
        "verdicts": verdicts(turnover, specification(result).scenarios.decide_at),
        "pooled": POOLED if is_pooled(result) else "",
    }


def _by_setting(here: pd.DataFrame) -> Row:
    """Return the rows of all settings at one target and horizon."""
    return {
        "settings": [
            {
                "name": str(setting),
                "used": setting == AS_ANALYSED,
                "cells": quantity_cells(rows, list(_QUANTITIES)),
                "label": str(rows["label"].iloc[0]),
                "code": str(rows["scenario"].iloc[0]),
                "probability": numbers.probability(float(rows["probability"].iloc[0])),
            }
            for setting, rows in here.groupby("setting", sort=False)
        ]
    }
