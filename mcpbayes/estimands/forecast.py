"""What both pools will have done by any year: effects, ΔMCP, SOC, scenarios and crossings of a two-pool result."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.courses import Content, Course, described
from mcpbayes.estimands.curves import population_targets
from mcpbayes.estimands.future_shares import future_shares
from mcpbayes.estimands.layout import Array, labelled_view
from mcpbayes.estimands.paths import posterior_paths
from mcpbayes.estimands.table_paths import table_paths, table_targets
from mcpbayes.estimands.targets import At, population_points
from mcpbayes.estimands.tree import Settings, apply_settings, group, has_two_pools, with_groups
from mcpbayes.specification.fields import number, refusal

#: Targets × horizons that are worked on at once.
_AT_ONCE: Final = 128


def forecast(
    result: xr.DataTree,
    years: float | Iterable[float],
    *,
    at: At | None = None,
    since: float | None = None,
    settings: Settings = (),
) -> xr.DataTree:
    """Add what both pools will have done by some years, and at the new steady state.

    Parameters
    ----------
    result : DataTree
        Fitted with the model ``two-pool``.
    years : float or iterable of float
        Years since the change of management, such as 10 or ``[10, 20, 50]``; the new steady state is always added.
    at : mapping of moderator to values, optional
        Further points, for example ``{"clay": [10, 30]}``; several moderators give the grid.
    since : float, optional
        The year whose scenario crossings are counted from; default the median duration of the table.
    settings : sequence of "key=value" or mapping, optional
        New values in ``[delta_mcp]``, ``[scenarios]``, ``[summary]``.

    Returns
    -------
    DataTree
        New, with group ``forecast``; dims target (levels mean and new; the tables give the studies and comparisons too,
        whose draws are not kept), horizon. Draws (chain, draw, target, horizon): ``effect(..., outcome)`` (θ_N, θ_C),
        ``log_delta_mcp`` (δ), ``delta_mcp`` (Δr, fraction), ``mcp_efficacy_treatment`` (r₀e^δ, fraction),
        ``soc_change`` (g per kg, or Mg per ha of stocks); beside level mean, exp(θ) − 1 of the typical comparison,
        ``average_change(chain, draw, mean_target, horizon, outcome)``, averaged over comparisons (fraction). Over
        (target, horizon): ``probability``, ``mcse``, ``prior_probability`` (scenario), ``change_probability`` (change)
        of δ against its tolerance, ``union_probability`` (union) of coarser statements; ``crossed``, the probability to
        have been in another scenario than at ``since``, with ``crossed_mcse``; ``crossing_year``, median of the first
        such year among the draws that crossed by then, with ``crossing_year_lower`` and ``_upper`` (NaN where no draw
        did, and at the new steady state). Coords ``years`` (infinity: new steady state), ``extrapolated`` (1 beyond the
        longest duration of the table).

    Raises
    ------
    SpecificationError
        The result has no two pools, a year is no number of at least 0, or ``at`` and ``settings`` name something that
        does not exist.

    Notes
    -----
    f_j(t) = 1 + (e^(a_j) − 1)(1 − e^(−k_j t)), θ_N = ln f_N + w_N, θ_C = ln(r₀ e^θ_N + (1 − r₀) f_P e^(w_P)). Level
    mean: a = B'x, w = 0; level new: a with fresh effects of study and site, w fresh and the same in all years; the
    levels study and comparison: `table_paths`. Averages over comparisons: `average_paths`. Probabilities are counted
    from draws. That ΔMCP efficacy looks forward: Zhu, Schimel & Liang (2025), doi:10.1016/j.soilbio.2025.109950.
    """
    if not has_two_pools(result):
        raise SpecificationError(
            "a forecast needs a result of the model 'two-pool': mcpbayes run TABLE --model two-pool --out DIR", "family"
        )
    result = apply_settings(result, settings)
    data, points = group(result, words.DATA), dict(at or {})
    course = _population(result, _horizons(years), points, _since(since, data))
    dataset = described(result, course, "quantities", "scenarios", "crossings")
    named = {name: list(map(str, [given] if isinstance(given, str) else given)) for name, given in points.items()}
    attrs = {"at": json.dumps(named, ensure_ascii=False), "since": course.since}
    return with_groups(result, {words.FORECAST: dataset.assign_attrs(attrs)})


def along(result: xr.DataTree, years: Iterable[float]) -> xr.Dataset:
    """Return group ``forecast`` at other years and at the points of that of the result, without crossings: for curves.

    Raises
    ------
    StageError
        `forecast` was not called.
    """
    attrs = group(result, words.FORECAST).attrs
    course = _population(result, _horizons(years), json.loads(attrs["at"]), attrs["since"])
    return described(result, course, "quantities", "scenarios")


def of_table(result: xr.DataTree, content: Content) -> Iterator[Callable[[], xr.Dataset]]:
    """Walk the studies, then the comparisons of the table, at the years of a forecast.

    Parameters
    ----------
    result : DataTree
        With group ``forecast``.
    content : {"quantities", "scenarios", "crossings"}
        Which variables of that group are wanted.

    Yields
    ------
    callable
        Gives the same of a few targets of one level, and works only then: hand it to a worker.

    Raises
    ------
    StageError
        `forecast` was not called.
    """
    found, data = group(result, words.FORECAST), group(result, words.DATA)
    horizons, since = found["years"].values, float(found.attrs["since"])

    def work(asked: xr.Dataset) -> xr.Dataset:
        return described(result, Course(asked, *table_paths(result, asked), horizons, since), content)

    at_once = max(_AT_ONCE // len(horizons), 1)
    for asked in table_targets(data, at_once):
        yield partial(work, asked)


def shares(result: xr.DataTree) -> xr.Dataset:
    """Return what fraction of comparisons lies in each class, at the points and years of a forecast.

    Returns
    -------
    Dataset
        ``share(chain, draw, group, horizon, scenario)``, of `future_shares`; ``group`` is a name at level new. Horizons
        and classes have the coords of group ``forecast``.

    Raises
    ------
    StageError
        `forecast` was not called.
    """
    found = group(result, words.FORECAST)
    points = population_points(group(result, words.DATA), (), json.loads(found.attrs["at"]))
    share = future_shares(result, points["row"].values, found["years"].values)
    values = labelled_view(share, found.sizes["chain"])
    kept = ("chain", "draw", "horizon", "years", "extrapolated", "scenario", "label")
    coords = {name: found.variables[name] for name in kept} | {"group": points["point"].values}
    return xr.Dataset({"share": (("chain", "draw", "group", "horizon", "scenario"), values)}, coords)


def _population(result: xr.DataTree, horizons: Array, at: At, since: float) -> Course:
    """Return the trajectories of the levels mean and new."""
    asked = population_targets(population_points(group(result, words.DATA), (), at))
    return Course(asked, *posterior_paths(result, asked), horizons, since)


def _horizons(years: object) -> Array:
    """Return the years in order, each once, with infinity as the last."""
    if isinstance(years, str):
        raise refusal("numbers such as [10, 20, 50]", years, "years")
    listed = list(years) if isinstance(years, Iterable) else [years]
    check = number("[0, inf)")
    given = sorted({check(value, "years") for value in listed})
    if not given:
        raise SpecificationError("no year is given; for example years=[10, 20, 50]", "years")
    return np.array([*given, np.inf])


def _since(since: float | None, data: xr.Dataset) -> float:
    if since is None:
        return float(data[words.DURATION].median())
    return float(number("[0, inf)")(since, "since"))
