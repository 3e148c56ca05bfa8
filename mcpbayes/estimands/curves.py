"""Scenario probabilities as curves: along the tolerances, and along a moderator, for the levels mean and new."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.absolute import points_of, ratio_at, require_ratios
from mcpbayes.estimands.claims import CHANGE_LABELS
from mcpbayes.estimands.classes import coarsening
from mcpbayes.estimands.conditional import why_not_normal, worlds
from mcpbayes.estimands.counting import CHANGES, Counts, count_targets
from mcpbayes.estimands.effects import population_effects
from mcpbayes.estimands.exact import Judge, judge_of, judged, population_of, population_pieces
from mcpbayes.estimands.pairs import BOTH, paired
from mcpbayes.estimands.parts import RATIO_OF_PART, apart, parts_of
from mcpbayes.estimands.scenarios import require_pairs
from mcpbayes.estimands.targets import KIND, POPULATION, kinds_of, population_points
from mcpbayes.estimands.tree import group, refuse_two_pools, specification
from mcpbayes.estimands.walk import Ratios, TargetDraws, pools_of, summed, with_parts
from mcpbayes.specification.fields import number
from mcpbayes.specification.structure import Scheme
from mcpbayes.workers import in_threads

#: Tolerances of a sweep, percent.
PERCENT: Final = tuple(range(11))

#: What a row speaks of: a class, or what the ratio does, which is no sum of classes.
SCENARIO, CHANGE = "scenario", "change"

_TAIL: Final = ("statement", "code", "label", "probability", "mcse")


def tolerance_sweep(result: xr.DataTree, percent: Iterable[float] = PERCENT) -> pd.DataFrame:
    """Return how scenario probabilities hang on the tolerance, without sampling again.

    Parameters
    ----------
    result : DataTree
        Fitted, with both pools; with fungal and bacterial necromass apart also with group ``delta_mcp``.
    percent : iterable of float
        Tolerances, each taken for necromass, SOC and their ratio alike; by default 0 to 10 %.

    Returns
    -------
    DataFrame
        Columns ``level`` (mean, new), ``name``, ``tolerance_percent``, ``statement`` (``scenario``: one of the scheme's
        classes, which sum to 1; ``change``: what the ratio does, these three sum to 1 too), ``code``, ``label``,
        ``probability``, ``mcse`` (of classes).

    Raises
    ------
    SpecificationError
        A tolerance is no number of at least 0, or the outcomes are not necromass, as one pool or two, and SOC.

    Notes
    -----
    Found as in `mcpbayes.classify`: at the tolerances of the specification the same numbers come out.
    """
    given = [number("[0, inf)")(value, "percent") for value in percent]
    asked = population_targets(population_points(group(result, words.DATA), kinds_of(_posterior(result))))
    judge, scheme = _judging(result, asked), specification(result).scenarios
    parts = []
    for value in given:
        every = dict.fromkeys(scheme.tolerance_percent, value)
        here = replace(scheme, tolerance_percent=every, tolerance_points={})
        rows = _rows(asked, judge(here), here)
        rows.insert(2, "tolerance_percent", value)
        parts.append(rows)
    columns = ["level", "name", "tolerance_percent", *_TAIL]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def scenarios_along(
    result: xr.DataTree, moderator: str, values: Sequence[object], kinds: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return scenario probabilities at values of a moderator, at the levels mean and new.

    Parameters
    ----------
    result : DataTree
        Fitted with this moderator, with both pools.
    moderator : str
        For example ``duration_years``; the others stay at their means.
    values : sequence
        Numbers, or categories.
    kinds : sequence of str, optional
        Kinds of treatment, each with a curve of its own. Default: averaged over kinds.

    Returns
    -------
    DataFrame
        Columns ``level``, ``name``, ``kind`` (blank where averaged), ``moderator``, ``value``, then as
        `tolerance_sweep` from ``statement`` on.

    Raises
    ------
    SpecificationError
        Moderator, category or kind do not exist, or the outcomes are not necromass, as one pool or two, and SOC.
    """
    kinds_on, data = kinds_of(_posterior(result)), group(result, words.DATA)
    curves: list[str] = [""] if kinds is None else list(dict.fromkeys(kinds))
    places = [(kind, value) for kind in curves for value in dict.fromkeys(values)]
    points = [_point(data, kinds_on, {moderator: [value]} | ({KIND: [kind]} if kind else {})) for kind, value in places]
    if not points:
        raise SpecificationError("no value is given", f"at.{moderator}")
    asked, scheme = population_targets(xr.concat(points, dim="point")), specification(result).scenarios
    rows = _rows(asked, _judging(result, asked)(scheme), scheme)
    each = len(rows) // asked.sizes["target"]
    of = np.repeat(np.tile(np.arange(len(places)), len(POPULATION)), each)
    rows.insert(2, "kind", np.array([kind for kind, _ in places], dtype=object)[of])
    rows.insert(3, "moderator", moderator)
    rows.insert(4, "value", pd.Series([value for _, value in places])[of].to_numpy())
    return rows


def _point(data: xr.Dataset, kinds: Sequence[str], at: dict[str, list[object]]) -> xr.Dataset:
    """Return one point asked for; a category averaged over kinds stands among the usual points already."""
    points = population_points(data, kinds, at)
    usual = ", ".join(f"{name}={value}" for name, (value,) in at.items())
    names = points["point"].values.tolist()
    return points.isel(point=[names.index(usual) if usual in names else len(names) - 1])


def _posterior(result: xr.DataTree) -> xr.Dataset:
    refuse_two_pools(result)
    posterior = group(result, words.POSTERIOR)
    if apart(group(result, words.DATA)):
        require_pairs(group(result, words.DELTA_MCP))
    elif pools_of(posterior) is None:
        raise SpecificationError("scenarios need the outcomes necromass and soc", "data.outcomes")
    return posterior


def population_targets(points: xr.Dataset) -> xr.Dataset:
    """Return points as targets of the levels mean, then new."""
    named = points.rename(point="target")
    both = xr.concat([named] * len(POPULATION), dim="target")
    names = named["target"].values
    levels = np.repeat(POPULATION, len(names))
    full = [f"{level}: {name}" for level, name in zip(levels, np.tile(names, len(POPULATION)), strict=True)]
    both = both.assign_coords(target=full, level=("target", levels))
    return both.assign_coords(name=("target", np.tile(names, len(POPULATION))))


def _judging(result: xr.DataTree, asked: xr.Dataset) -> Callable[[Scheme], Iterable[Counts]]:
    """Return what gives the probabilities of targets in any scheme: moments, or draws, are worked out once."""
    pieces = [] if why_not_normal(result) else list(population_pieces(population_of(worlds(result)), asked))

    def judging(scheme: Scheme) -> Iterable[Counts]:
        judge = judge_of(result, scheme)
        if pieces and points_of(scheme) is None:
            return in_threads(lambda piece: judged(piece, judge), pieces)
        return _counted(result, asked, judge, points_of(scheme))

    return judging


def _counted(result: xr.DataTree, asked: xr.Dataset, judge: Judge, points: float | None) -> list[Counts]:
    """Count the classes of targets of the levels mean and new, redrawn as for the group ``delta_mcp``."""
    posterior = group(result, words.POSTERIOR)
    effect, _ = population_effects(posterior, asked, result.attrs["seed"])
    parts = parts_of(group(result, words.DATA), posterior)
    pools = BOTH if parts is not None else pools_of(posterior)
    assert pools is not None
    draws = TargetDraws(np.arange(len(effect)), effect)
    of = (asked["level"].values == POPULATION[1]).astype(np.intp)
    if parts is not None:
        rows = np.stack([ratio_at(result, level, RATIO_OF_PART) for level in POPULATION])
        draws = paired(with_parts(draws.places, effect, parts, summed(rows, of)), parts[-1])
    elif points is not None:
        require_ratios(result)
        rows = np.stack([ratio_at(result, level) for level in POPULATION])
        draws = draws._replace(ratio=Ratios(rows, of))
    how = (judge.chains, judge.eps, judge.place, judge.worlds)
    return [count_targets(draws, pools, *how, drawn=judge.drawn, points=points)]


def _rows(asked: xr.Dataset, counts: Iterable[Counts], scheme: Scheme) -> pd.DataFrame:
    """Return a long table: every target with every class, then with what the ratio does."""
    codes, labels, _ = coarsening(scheme)
    found = sorted(counts, key=lambda one: int(one.places[0]))
    probability, change = (np.concatenate([getattr(one, name) for one in found]) for name in ("probability", "change"))
    mcse = np.concatenate([one.mcse for one in found])
    size, each = len(probability), len(codes) + len(CHANGES)
    columns = {
        "level": np.repeat(asked["level"].values.astype(str).astype(object), each),
        "name": np.repeat(asked["name"].values.astype(str).astype(object), each),
        "statement": np.tile(np.repeat(np.array([SCENARIO, CHANGE], dtype=object), [len(codes), len(CHANGES)]), size),
        "code": np.tile(np.array([*codes, *CHANGES], dtype=object), size),
        "label": np.tile(np.array([*labels, *CHANGE_LABELS], dtype=object), size),
        "probability": np.concatenate([probability, change], axis=1).ravel(),
        "mcse": np.concatenate([mcse, np.full(change.shape, np.nan)], axis=1).ravel(),
    }
    return pd.DataFrame(columns)
