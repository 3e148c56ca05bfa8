"""A forecast beside those with turnover rates fixed at the quartiles of their prior: one table, and what it says."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.estimands.forecast import forecast
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.targets import At
from mcpbayes.estimands.tree import Settings, group, specification
from mcpbayes.estimands.wording import interval_name, number_text
from mcpbayes.evidence.findings import row_problems
from mcpbayes.evidence.turnover import refits_at_quartiles
from mcpbayes.inference.one_fit import Report
from mcpbayes.output.forecast_tables import FORECAST, forecast_scenario_table, forecast_table
from mcpbayes.specification.prior_rules import TURNOVER

#: What the setting of the result itself is called.
AS_ANALYSED: Final = "as analysed"

#: What is to be known where it is pooled over several fits.
POOLED: Final = (
    "the result as analysed is pooled over several fits, whose intervals hold doubts about CVs or conversion factors "
    "too; the others are single fits with these at their middle"
)

_QUANTITIES: Final = ("log_delta_mcp", "delta_mcp", "soc_change")
#: Its columns of the rates, necromass first.
RATES: Final = tuple(f"{TURNOVER}[{pool}]" for pool in words.PARTS_OF_SOC)
_CLASS: Final = ("scenario", "label", "probability")
_PLACE: Final = ["level", "name", "horizon"]

#: Columns of ``forecast_turnover.csv``.
SENSITIVITY: Final = ("setting", *RATES, *FORECAST, *_CLASS, "passed")


def turnover_sensitivity(
    result: xr.DataTree,
    years: float | Iterable[float],
    *,
    at: At | None = None,
    settings: Settings = (),
    report: Report | None = None,
) -> pd.DataFrame:
    """Return a forecast beside those with turnover rates fixed at quartiles of their prior: four more fits by NUTS.

    Parameters
    ----------
    result : DataTree
        Fitted with the model ``two-pool``.
    years : float or iterable of float
        Years since the change of management; the new steady state is always added.
    at : mapping of moderator to values, optional
    settings : sequence of "key=value" or mapping, optional
        Both as in `mcpbayes.forecast`.
    report : callable, optional
        Receives a line per fit.

    Returns
    -------
    DataFrame
        Columns `SENSITIVITY`: one row per setting, target, horizon and quantity, ``log_delta_mcp`` (δ), ``delta_mcp``
        (Δr, fraction) or ``soc_change`` (g per kg, Mg per ha of stocks), with the columns of `mcpbayes.forecast_table`.
        ``setting`` is ``as analysed`` (rates with their prior), ``both slow``, ``both fast``, ``necromass slow`` (the
        rest of SOC fast) or ``necromass fast``; ``turnover_rate[...]`` the rates per year, of the result their
        posterior medians; ``scenario``, ``label``, ``probability`` the most probable class there; ``passed`` whether
        the fit met the limits of every run.

    Raises
    ------
    SpecificationError
        As `mcpbayes.forecast`; or the rates of the result are fixed.

    Notes
    -----
    Slow is the lower, fast the upper quartile of the prior of each rate. A table whose durations are alike says next to
    nothing of the rates, so that what is to come is the answer of their prior: settings that agree do not hang on it.
    Refits are single fits to the data as they are; where the result is pooled over worlds, to those of their middle.
    """
    own = forecast(result, years, at=at, settings=settings)
    fits = {AS_ANALYSED: own} | {
        name: forecast(fit, years, at=at, settings=settings)
        for name, fit in refits_at_quartiles(result, report).items()
    }
    return side_by_side(fits)


def side_by_side(fits: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Return the table of forecasts by setting, all with the same targets and horizons."""
    return pd.concat([_of_setting(name, fit) for name, fit in fits.items()], ignore_index=True)


def _of_setting(name: str, fit: xr.DataTree) -> pd.DataFrame:
    """Return the rows of one setting."""
    rates = group(fit, words.POSTERIOR)[TURNOVER].median(("chain", "draw"))
    table = forecast_table(fit, every_row=False)
    table = table[table["quantity"].isin(_QUANTITIES)]
    known = {column: float(rates.sel(pool=pool)) for column, pool in zip(RATES, words.PARTS_OF_SOC, strict=True)}
    merged = table.merge(_leading(fit), on=_PLACE, how="left", validate="many_to_one")
    return merged.assign(setting=name, passed=fit.attrs["status"] == "ok", **known)[list(SENSITIVITY)]


def _leading(fit: xr.DataTree) -> pd.DataFrame:
    """Return the most probable class of every target and horizon."""
    table = forecast_scenario_table(fit, every_row=False)
    classes = table[table["statement"] == "scenario"].rename(columns={"code": "scenario"})
    best = classes.groupby(_PLACE, sort=False)["probability"].idxmax()
    return classes.loc[best, [*_PLACE, *_CLASS]]


def turnover_problems(table: pd.DataFrame) -> list[Problem]:
    """Return what is wrong with the draws of the refits, judged by the limits of every run."""
    refits = table[table["setting"] != AS_ANALYSED]
    named = refits["name"] + ", " + refits["horizon"] + ", " + refits["setting"]
    judged = refits.assign(name=named, finite=np.isfinite(refits["mean"]), expected=True)
    failed = refits.loc[~refits["passed"], "setting"].unique().tolist()
    found = list(row_problems(judged))
    if failed:
        found.append(
            Problem(
                "turnover-refits",
                f"fits with fixed turnover rates did not meet the limits of a run: {', '.join(failed)}",
                remedy="Repeat run and forecast with more draws, for example --set sampling.draws=4000.",
            )
        )
    return found


def turnover_lines(result: xr.DataTree, table: pd.DataFrame) -> Iterator[str]:
    """Yield what the table says of the typical comparison: a line on the rates, then one per target and horizon."""
    section = specification(result).summary
    first = table.drop_duplicates("setting")
    rates = [
        f"{row['setting']} {row[RATES[0]]:.3f} and {row[RATES[1]]:.3f}"
        for row in first.to_dict("records")
        if row["setting"] != AS_ANALYSED
    ]
    yield (
        "Turnover rates fixed at quartiles of their prior, per year, of necromass and of the rest of SOC: "
        f"{'; '.join(rates)}. Medians and {interval_name(section.interval_kind, section.interval_prob)}s of ΔMCP, "
        "percentage points, in the typical comparison:"
    )
    if is_pooled(result):
        yield f"  ({POOLED})"
    decide_at = specification(result).scenarios.decide_at
    for here in _by_horizon(table):
        own, others = (here[(here["setting"] == AS_ANALYSED) == which] for which in (True, False))
        said = "; ".join(f"{row['setting']} {_points(row)}" for row in others.to_dict("records"))
        analysed = _points(own.to_dict("records")[0])
        yield f"  {_place(here)}: as analysed {analysed}; {said}; {_verdict(here, decide_at)}"


def is_pooled(result: xr.DataTree) -> bool:
    """Say whether the result is pooled over several fits, unlike the refits."""
    return worlds_of(group(result, words.POSTERIOR)) > 1


def verdicts(table: pd.DataFrame, decide_at: float) -> dict[str, str]:
    """Return whether the direction of ΔMCP hangs on the rates, by target and horizon of level mean."""
    return {_place(here): _verdict(here, decide_at) for here in _by_horizon(table)}


def _by_horizon(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows on ΔMCP of the typical comparison, one table per target and horizon."""
    rows = table[(table["level"] == words.MEAN) & (table["quantity"] == "delta_mcp")]
    return [here for _, here in rows.groupby(["name", "horizon"], sort=False)]


def _place(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return f"{row['name']}, {row['horizon']}{'*' if row['extrapolated'] else ''}"


def _points(row: Mapping[Hashable, Any]) -> str:
    """Return median and interval in percentage points."""
    low, high = (number_text(100 * row[end], 1) for end in ("lower", "upper"))
    return f"{number_text(100 * row['median'], 1, True)} ({low} to {high})"


def _verdict(rows: pd.DataFrame, decide_at: float) -> str:
    """Say whether the direction of ΔMCP, where it is sure enough to be named, hangs on the rates."""
    probability, median = (rows[name].to_numpy(dtype=float) for name in ("prob_positive", "median"))
    # Exactly 0, as in year 0, is neither.
    up, down = (probability >= decide_at) & (median > 0), (1 - probability >= decide_at) & (median < 0)
    if not (up.any() or down.any()):
        return f"no direction has a probability of {decide_at:g} at any rates"
    if up.any() and down.any():
        return "the direction hangs on the rates"
    which = "up" if up.any() else "down"
    if up.all() or down.all():
        return f"{which} at all rates, with a probability of at least {decide_at:g}"
    return f"{which} at some rates, at others no direction has a probability of {decide_at:g}"
