"""What is said of trajectories of any level at some years: quantities, probabilities of scenarios, crossings."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final, Literal

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.absolute import ends_of, points_of
from mcpbayes.estimands.change import absolute_change, log_delta_mcp
from mcpbayes.estimands.claims import UNIONS
from mcpbayes.estimands.classes import CLASS_TABLE, coarsening, tolerances
from mcpbayes.estimands.counting import CHANGES, Counts, class_codes, count_targets
from mcpbayes.estimands.crossings import first_crossings
from mcpbayes.estimands.layout import Array, labelled_view
from mcpbayes.estimands.pairs import BOTH
from mcpbayes.estimands.paths import Paths, average_paths, effects_at, prior_paths
from mcpbayes.estimands.pooled import class_frequencies, drawn_worlds, worlds_of
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.walk import Ratios, TargetDraws
from mcpbayes.monte_carlo.summaries import frequencies, interval
from mcpbayes.specification.structure import Scheme

#: Name of the horizon t → ∞.
STEADY_STATE: Final = "new steady state"

_DRAWS: Final = ("chain", "draw")
_UNITS: Final = {
    "effect": "log response ratio",
    "average_change": "fraction",
    "log_delta_mcp": "log ratio",
    "delta_mcp": "fraction",
    "mcp_efficacy_treatment": "fraction",
    "soc_change": "{unit}",
}
#: What can be said of some targets; each is worked out where it is wanted.
Content = Literal["quantities", "scenarios", "crossings"]
#: Variables on crossings.
_CROSSED: Final = ("crossed", "crossed_mcse")
_YEARS: Final = ("crossing_year", "crossing_year_lower", "crossing_year_upper")


@dataclass(frozen=True, eq=False)
class Course:
    """Trajectories of some targets, and the years in which they are looked at.

    Parameters
    ----------
    asked : Dataset
        The targets.
    paths : Paths
    soc : ndarray, shape (target, draw)
        SOC of the control.
    horizons : ndarray, shape (horizon,)
        Years, infinity: new steady state.
    since : float
        The year whose scenario crossings are counted from.
    """

    asked: xr.Dataset
    paths: Paths
    soc: Array
    horizons: Array
    since: float

    @cached_property
    def effect(self) -> Array:
        """θ_N and θ_C at every horizon, (target, horizon, outcome, draw)."""
        return _over_horizons(self.paths, self.horizons)


def described(result: xr.DataTree, course: Course, *contents: Content) -> xr.Dataset:
    """Return what is wanted of some trajectories, labelled.

    Parameters
    ----------
    result : DataTree
        Of the two-pool family.
    course : Course
    *contents : {"quantities", "scenarios", "crossings"}

    Returns
    -------
    Dataset
        With the variables of group ``forecast`` that belong to these, and all its coords.
    """
    makers = {"quantities": _quantities, "scenarios": _scenarios, "crossings": _crossings}
    variables = {name: values for content in contents for name, values in makers[content](result, course).items()}
    posterior, scheme = group(result, words.POSTERIOR), specification(result).scenarios
    codes, labels, _ = coarsening(scheme)
    longest = float(group(result, words.DATA)[words.DURATION].max())
    coords: dict[str, object] = {name: posterior[name].variable for name in _DRAWS}
    coords |= {name: course.asked.variables[name] for name in ("target", "level", "name")}
    if "average_change" in variables:
        coords["mean_target"] = course.asked["name"].values[_typical(course)]
    coords |= {
        "horizon": [horizon_name(t) for t in course.horizons],
        "years": ("horizon", course.horizons),
        "extrapolated": ("horizon", (course.horizons > longest).astype(int)),
        "outcome": [words.NECROMASS, words.SOC],
        "scenario": list(codes),
        "label": ("scenario", list(labels)),
        "change": list(CHANGES),
        "union": list(UNIONS),
    }
    return xr.Dataset(variables, coords, {"longest_duration": longest})


def _typical(course: Course) -> np.ndarray:
    """Return which targets are of level mean."""
    return np.asarray(course.asked["level"].values == words.MEAN)


def horizon_name(years: float) -> str:
    """Return what a horizon is called, for example ``"10 years"``."""
    if not np.isfinite(years):
        return STEADY_STATE
    return f"{years:g} year{'' if years == 1 else 's'}"


def _quantities(result: xr.DataTree, course: Course) -> dict[str, xr.Variable]:
    """Return the draws of all quantities."""
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    chains, unit = posterior.sizes["chain"], data.attrs.get("unit", "g/kg")
    effect = course.effect
    theta_n, theta_c = effect[:, :, 0], effect[:, :, 1]
    delta, r0 = log_delta_mcp(theta_n, theta_c), course.paths.ratio[:, None]
    values = {
        "effect": effect,
        "log_delta_mcp": delta,
        "delta_mcp": absolute_change(r0, delta),
        "mcp_efficacy_treatment": r0 * np.exp(delta),
        "soc_change": course.soc[:, None] * np.expm1(theta_c),
    }
    if _typical(course).any():
        averages = average_paths(course.paths.of(_typical(course)), posterior)
        values["average_change"] = np.expm1(_over_horizons(averages, course.horizons))
    every = (*_DRAWS, "target", "horizon")
    dims = {"effect": (*every, "outcome"), "average_change": (*_DRAWS, "mean_target", "horizon", "outcome")}
    return {
        name: xr.Variable(dims.get(name, every), labelled_view(each, chains), {"units": _UNITS[name].format(unit=unit)})
        for name, each in values.items()
    }


def _over_horizons(paths: Paths, horizons: Array) -> Array:
    """Return θ_N and θ_C at every horizon, (target, horizon, outcome, draw)."""
    return np.stack([effects_at(paths, t) for t in horizons], axis=1)


def _scenarios(result: xr.DataTree, course: Course) -> dict[str, xr.Variable]:
    """Return probabilities of the classes at every horizon, posterior and prior, of unions, and of what δ does."""
    spec, posterior, paths = specification(result), group(result, words.POSTERIOR), course.paths
    scheme, effect = spec.scenarios, course.effect
    targets, size = effect.shape[:2]
    flat = TargetDraws(
        np.arange(targets * size),
        effect.reshape(-1, *effect.shape[2:]),
        Ratios(paths.ratio, np.repeat(np.arange(targets), size)),
    )
    place, points = coarsening(scheme)[2], points_of(scheme)
    how = (posterior.sizes["chain"], tolerances(scheme), place, worlds_of(posterior))
    found: Counts = count_targets(flat, BOTH, *how, drawn=drawn_worlds(posterior), points=points)
    prior = prior_paths(spec, posterior, course.asked, result.attrs["seed"])
    classes = int(place.max()) + 1
    before = [frequencies(codes_at(t, prior, scheme), classes) for t in course.horizons]
    each = ("target", "horizon")
    columns = {"probability": found.probability, "mcse": found.mcse}
    columns |= {"change_probability": found.change, "union_probability": found.union}
    last = {"change_probability": "change", "union_probability": "union"}
    return {
        name: xr.Variable((*each, last.get(name, "scenario")), values.reshape(targets, size, -1))
        for name, values in columns.items()
    } | {"prior_probability": xr.Variable((*each, "scenario"), np.stack(before, axis=1))}


def _crossings(result: xr.DataTree, course: Course) -> dict[str, xr.Variable]:
    """Return the probability to have crossed into another class by every horizon, and when."""
    spec, horizons = specification(result), course.horizons
    section, posterior = spec.summary, group(result, words.POSTERIOR)
    chains, worlds, drawn = posterior.sizes["chain"], worlds_of(posterior), drawn_worlds(posterior)
    codes = partial(codes_at, paths=course.paths, scheme=spec.scenarios)
    first, crossed = first_crossings(codes, course.since, horizons)
    later = np.where(horizons > course.since, 1.0, np.nan)
    each = [by.astype(np.intp).reshape(len(by), chains, -1) for by in crossed]
    found = [class_frequencies(by, 2, worlds, drawn=drawn) for by in each]
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


def codes_at(years: float | Array, paths: Paths, scheme: Scheme) -> np.ndarray:
    """Return the class of every target and draw so many years after the change, (target, draw) of int8."""
    effect, points = effects_at(paths, years), points_of(scheme)
    table = coarsening(scheme)[2][CLASS_TABLE.ravel()].astype(np.int8)
    ends = None if points is None else ends_of(paths.ratio, points)
    return class_codes(effect[:, 0], effect[:, 1], tolerances(scheme), table, ends)
