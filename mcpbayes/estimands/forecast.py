"""What both pools will have done by any year: effects, ΔMCP, SOC, scenarios and crossings of a two-pool result."""

import json
from collections.abc import Iterable
from functools import partial
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.absolute import ends_of, points_of
from mcpbayes.estimands.change import absolute_change, log_delta_mcp
from mcpbayes.estimands.classes import CLASS_TABLE, coarsening, tolerances
from mcpbayes.estimands.counting import CHANGES, Counts, class_codes, count_targets
from mcpbayes.estimands.crossings import first_crossings
from mcpbayes.estimands.curves import population_targets
from mcpbayes.estimands.layout import Array, Index, labelled_view
from mcpbayes.estimands.paths import Paths, effects_at, posterior_paths, prior_paths
from mcpbayes.estimands.pooled import class_frequencies, drawn_worlds, worlds_of
from mcpbayes.estimands.targets import At, population_points
from mcpbayes.estimands.tree import Settings, apply_settings, group, has_two_pools, specification, with_groups
from mcpbayes.estimands.walk import Ratios, TargetDraws
from mcpbayes.monte_carlo.summaries import frequencies, interval
from mcpbayes.specification.fields import number, refusal
from mcpbayes.specification.structure import Scheme, SummarySection

#: Name of the horizon t → ∞.
STEADY_STATE: Final = "new steady state"

_DRAWS: Final = ("chain", "draw")
_POOLS: Final = (0, 1)
_UNITS: Final = {
    "effect": "log response ratio",
    "log_delta_mcp": "log ratio",
    "delta_mcp": "fraction",
    "mcp_efficacy_treatment": "fraction",
    "soc_change": "{unit}",
}
#: Variables on crossings.
_CROSSED: Final = ("crossed", "crossed_mcse")
_YEARS: Final = ("crossing_year", "crossing_year_lower", "crossing_year_upper")


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
        New, with group ``forecast``; dims target (levels mean and new), horizon. Draws (chain, draw, target, horizon):
        ``effect(..., outcome)`` (θ_N, θ_C), ``log_delta_mcp`` (δ), ``delta_mcp`` (Δr, fraction),
        ``mcp_efficacy_treatment`` (r₀e^δ, fraction), ``soc_change`` (g per kg, or Mg per ha of stocks). Over
        (target, horizon): ``probability``, ``mcse``, ``prior_probability`` (scenario), ``change_probability`` (change)
        of δ against its tolerance; ``crossed``, the probability to have been in another scenario than at ``since``,
        with ``crossed_mcse``; ``crossing_year``, median of the first such year among the draws that crossed by then,
        with ``crossing_year_lower`` and ``_upper`` (NaN where no draw did, and at the new steady state). Coords
        ``years`` (infinity: new steady state), ``extrapolated`` (1 beyond the longest duration of the table).

    Raises
    ------
    SpecificationError
        The result has no two pools, a year is no number of at least 0, or ``at`` and ``settings`` name something that
        does not exist.

    Notes
    -----
    f_j(t) = 1 + (e^(a_j) − 1)(1 − e^(−k_j t)), θ_N = ln f_N + w_N, θ_C = ln(r₀ e^θ_N + (1 − r₀) f_P e^(w_P)). Level
    mean: a = B'x, w = 0; level new: a with fresh effects of study and site, w fresh and the same in all years.
    Probabilities are counted from draws. That ΔMCP efficacy looks forward: Zhu, Schimel & Liang (2025),
    doi:10.1016/j.soilbio.2025.109950.
    """
    if not has_two_pools(result):
        raise SpecificationError(
            "a forecast needs a result of the model 'two-pool': mcpbayes run TABLE --model two-pool --out DIR", "family"
        )
    result = apply_settings(result, settings)
    data, posterior, spec = group(result, words.DATA), group(result, words.POSTERIOR), specification(result)
    horizons, start = _horizons(years), _since(since, data)
    dataset, paths = _at_horizons(result, horizons, at)
    dataset = dataset.assign(_crossings(paths, start, horizons, posterior, spec.scenarios, spec.summary))
    return with_groups(result, {words.FORECAST: dataset.assign_attrs(since=start)})


def along(result: xr.DataTree, years: Iterable[float]) -> xr.Dataset:
    """Return group ``forecast`` at other years and at the points of that of the result, without crossings: for curves.

    Raises
    ------
    StageError
        `forecast` was not called.
    """
    at = json.loads(group(result, words.FORECAST).attrs["at"])
    return _at_horizons(result, _horizons(years), at)[0]


def _at_horizons(result: xr.DataTree, horizons: Array, at: At | None) -> tuple[xr.Dataset, Paths]:
    """Return all of group ``forecast`` but crossings, and the trajectories behind it."""
    data, posterior, spec = group(result, words.DATA), group(result, words.POSTERIOR), specification(result)
    asked = population_targets(population_points(data, (), at))
    paths, soc = posterior_paths(result, asked)
    chains = posterior.sizes["chain"]
    effect = np.stack([effects_at(paths, t) for t in horizons], axis=1)
    draws = _draws(effect, paths.ratio, soc, chains, data.attrs.get("unit", "g/kg"))
    prior = prior_paths(spec, posterior, asked, result.attrs["seed"])
    codes, labels, _ = coarsening(spec.scenarios)
    longest = float(data[words.DURATION].max())
    dataset = xr.Dataset(
        draws | _scenarios(effect, paths, prior, horizons, posterior, spec.scenarios),
        coords={name: posterior[name].variable for name in _DRAWS}
        | {name: asked.variables[name] for name in ("target", "level", "name")}
        | {
            "horizon": [horizon_name(t) for t in horizons],
            "years": ("horizon", horizons),
            "extrapolated": ("horizon", (horizons > longest).astype(int)),
            "outcome": [words.NECROMASS, words.SOC],
            "scenario": list(codes),
            "label": ("scenario", list(labels)),
            "change": list(CHANGES),
        },
    )
    points = {name: list(map(str, [given] if isinstance(given, str) else given)) for name, given in (at or {}).items()}
    dataset.attrs = {"longest_duration": longest, "at": json.dumps(points, ensure_ascii=False)}
    return dataset, paths


def horizon_name(years: float) -> str:
    """Return what a horizon is called, for example ``"10 years"``."""
    if not np.isfinite(years):
        return STEADY_STATE
    return f"{years:g} year{'' if years == 1 else 's'}"


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


def _draws(effect: Array, ratio: Array, soc: Array, chains: int, unit: str) -> dict[str, xr.Variable]:
    """Return the labelled draws of all quantities from θ, (target, horizon, outcome, draw)."""
    theta_n, theta_c = effect[:, :, 0], effect[:, :, 1]
    delta = log_delta_mcp(theta_n, theta_c)
    r0 = ratio[:, None]
    values = {
        "log_delta_mcp": delta,
        "delta_mcp": absolute_change(r0, delta),
        "mcp_efficacy_treatment": r0 * np.exp(delta),
        "soc_change": soc[:, None] * np.expm1(theta_c),
    }
    dims = (*_DRAWS, "target", "horizon")
    units = {name: {"units": text.format(unit=unit)} for name, text in _UNITS.items()}
    found = {name: xr.Variable(dims, labelled_view(each, chains), units[name]) for name, each in values.items()}
    return {"effect": xr.Variable((*dims, "outcome"), labelled_view(effect, chains), units["effect"])} | found


def _codes(effect: Array, ratio: Array, scheme: Scheme) -> Index:
    """Return the class of every target and draw from θ, (target, outcome, draw)."""
    table = coarsening(scheme)[2][CLASS_TABLE.ravel()].astype(np.int8)
    points = points_of(scheme)
    ends = None if points is None else ends_of(ratio, points)
    return class_codes(effect[:, 0], effect[:, 1], tolerances(scheme), table, ends).astype(np.intp)


def _scenarios(
    effect: Array, paths: Paths, prior: Paths, horizons: Array, posterior: xr.Dataset, scheme: Scheme
) -> dict[str, xr.Variable]:
    """Return probabilities of the classes at every horizon, posterior and prior, and what δ does."""
    targets, size = effect.shape[:2]
    flat = TargetDraws(
        np.arange(targets * size),
        effect.reshape(-1, *effect.shape[2:]),
        Ratios(paths.ratio, np.repeat(np.arange(targets), size)),
    )
    place = coarsening(scheme)[2]
    found: Counts = count_targets(
        flat,
        _POOLS,
        posterior.sizes["chain"],
        tolerances(scheme),
        place,
        worlds_of(posterior),
        drawn=drawn_worlds(posterior),
        points=points_of(scheme),
    )
    classes = int(place.max()) + 1
    before = [frequencies(_codes(effects_at(prior, t), prior.ratio, scheme), classes) for t in horizons]
    each = ("target", "horizon")
    columns = {"probability": found.probability, "mcse": found.mcse, "change_probability": found.change}
    last = {"change_probability": "change"}
    return {
        name: xr.Variable((*each, last.get(name, "scenario")), values.reshape(targets, size, -1))
        for name, values in columns.items()
    } | {"prior_probability": xr.Variable((*each, "scenario"), np.stack(before, axis=1))}


def _crossings(
    paths: Paths, since: float, horizons: Array, posterior: xr.Dataset, scheme: Scheme, section: SummarySection
) -> dict[str, xr.Variable]:
    """Return the probability to have crossed into another class by every horizon, and when."""
    codes_at = partial(_codes_at, paths=paths, scheme=scheme)
    first, crossed = first_crossings(codes_at, since, horizons)
    later = np.where(horizons > since, 1.0, np.nan)
    chains, worlds, drawn = posterior.sizes["chain"], worlds_of(posterior), drawn_worlds(posterior)
    codes = [by.astype(np.intp).reshape(len(by), chains, -1) for by in crossed]
    found = [class_frequencies(by, 2, worlds, drawn=drawn) for by in codes]
    columns = {name: np.stack([one[i][:, 1] for one in found], axis=1) * later for i, name in enumerate(_CROSSED)}
    years = np.full((3, *columns[_CROSSED[0]].shape), np.nan)
    for j, by in enumerate(crossed):
        for i, mine in enumerate(by):
            if np.isfinite(horizons[j]) and mine.any():
                some = first[i, mine]
                years[:, i, j] = np.median(some), *interval(some, section.interval_kind, section.interval_prob)
    columns |= dict(zip(_YEARS, years, strict=True))
    units = {name: {"units": "years"} for name in _YEARS}
    return {name: xr.Variable(("target", "horizon"), values, units.get(name)) for name, values in columns.items()}


def _codes_at(year: float | Array, paths: Paths, scheme: Scheme) -> Index:
    return _codes(effects_at(paths, year), paths.ratio, scheme)
