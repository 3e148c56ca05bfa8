"""The headline: which scenario is named, from which probability on, and when nothing is said.

Text, tables and figures read one frozen `Decision`, so that they cannot contradict each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.estimands.claims import Claim, union_claims
from mcpbayes.estimands.reading import describe, draws_of
from mcpbayes.estimands.targets import KIND, POPULATION, kind_of_target, kinds_of, population_points, target_name
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.unobserved import unobserved_at, unobserved_reason
from mcpbayes.estimands.walk import TargetDraws
from mcpbayes.estimands.wording import decimals_of, interval_name, number_text, probability_text
from mcpbayes.monte_carlo.summaries import interval
from mcpbayes.specification.fields import unknown
from mcpbayes.specification.structure import Specification

#: A class less probable than `_HALF` is not named alone where the next follows within `_CLOSE`.
_HALF, _CLOSE = 0.5, 0.05

_SETTINGS: Final = {
    words.MEAN: "typical comparison (mean)",
    words.NEW: "a comparison in a study not seen (new)",
}


@dataclass(frozen=True)
class Estimate:
    """The change of the ratio that stands beside a claim.

    Parameters
    ----------
    quantity : {"delta_mcp", "relative_change"}
        ΔMCP in percentage points; or the relative change of the ratio in percent, where there is no r₀.
    median, lower, upper : float
    interval_kind : {"eti", "hdi"}
    interval_prob : float
    """

    quantity: str
    median: float
    lower: float
    upper: float
    interval_kind: str
    interval_prob: float


@dataclass(frozen=True)
class Decision:
    """What is said about one target, with everything that the saying needs.

    Parameters
    ----------
    level, name : str
        The target.
    threshold : float
        Probability from which a claim is made.
    chosen : str or None
        Code of the class that is named, or of a union (`claims.UNIONS`); None where nothing is said.
    label, probability : str, float
        Of `chosen`; of the most probable class where nothing is said.
    prior_probability : float or None
        Of the same class before any data, NaN under a flat prior; None for a union.
    abstained : bool
        Whether nothing is said.
    reason : str
        Why nothing, or only a union, is said; empty where a class is named.
    best : Claim
        The most probable class, whatever was chosen.
    rival : Claim or None
        The second class, where the first is less probable than one half and leads by no more than 0.05.
    unions : tuple of Claim
        All coarser statements, in the order in which they are tried.
    change : Estimate
    studies : int or None
        Studies that hold this kind of treatment; None where the target is not one kind.
    over_kinds : bool
        Whether a point asked for is averaged over kinds of treatment.
    unobserved : tuple of str
        Pools of which no comparison of this kind of treatment says anything: all that is known of them here comes from
        the priors, the other pool and the other kinds, so nothing is said.
    """

    level: str
    name: str
    threshold: float
    chosen: str | None
    label: str
    probability: float
    prior_probability: float | None
    abstained: bool
    reason: str
    best: Claim
    unions: tuple[Claim, ...]
    change: Estimate
    studies: int | None = None
    over_kinds: bool = False
    unobserved: tuple[str, ...] = ()
    rival: Claim | None = None


def decide(result: xr.DataTree, level: str = words.MEAN, name: str | None = None) -> tuple[Decision, ...]:
    """Decide what can be said about each treatment kind, or about one target.

    Parameters
    ----------
    result : DataTree
        With groups ``delta_mcp`` and ``scenario``.
    level : {"mean", "new", "study", "comparison"}
        ``mean`` is the typical comparison, ``new`` one in a study not seen; call once for each.
    name : str, optional
        Name of a target at that level. Default: at ``mean`` and ``new`` every treatment kind (the average over kinds
        is never the headline), or the average where that level is off, and the points asked for with ``at``; else all
        studies or comparisons.

    Returns
    -------
    tuple of Decision
        The most probable class where it reaches ``scenarios.decide_at``, otherwise the first coarser statement that
        does, otherwise an abstention with its reason. Nothing is said of a fit whose diagnostics failed, nor of a kind
        of treatment of which a pool was never observed.

    Raises
    ------
    StageError
        `mcpbayes.classify` was not called.
    SpecificationError
        Level or name do not exist.
    """
    scenario = group(result, words.SCENARIO)
    if "union_probability" not in scenario:
        raise StageError("The group 'scenario' is an older version's: call result = mcpbayes.classify(result) again.")
    levels, names = scenario["level"].values.astype(str), scenario["name"].values.astype(str)
    if level not in levels:
        raise unknown("level", level, list(dict.fromkeys(map(str, levels))), "level")
    found = [str(one) for one in names[levels == level]]
    if name is not None and name not in found:
        raise unknown("name", name, found, "name")
    spec, failed = specification(result), result.attrs.get("status") == "failed"
    data, kinds = group(result, words.DATA), kinds_of(group(result, words.POSTERIOR))
    decisions = []
    asked = _headlines(found, level, data, kinds) if name is None else [name]
    unobserved, absent = unobserved_at(data, level, asked), describe(result)["absent"].to_series()
    for one, draws in draws_of(result, level, asked):
        here = target_name(level, one)
        studies, over_kinds = None, False
        if level in POPULATION:
            studies = _studies(data, one)
            over_kinds = bool(kinds) and kind_of_target(one, kinds) is None and one != words.AVERAGE_OVER_KINDS
        made = _decide(scenario.sel(target=here), draws, spec, unobserved[one], failed, studies, str(absent[here]))
        decisions.append(replace(made, over_kinds=over_kinds))
    return tuple(decisions)


def _headlines(names: list[str], level: str, data: xr.Dataset, kinds: Sequence[str]) -> list[str]:
    if level not in POPULATION:
        return names
    usual = [str(name) for name in population_points(data, kinds)["point"].values]
    asked = [name for name in names if name not in usual]
    if words.AVERAGE in names:
        return [words.AVERAGE, *asked]
    return [*names[: names.index(words.AVERAGE_OVER_KINDS)], *asked]


def _studies(data: xr.Dataset, name: str) -> int | None:
    """Return in how many studies a kind was seen; None for a target that is not one kind."""
    kind = kind_of_target(name, data["kind"].values.astype(str))
    if kind is None:
        return None
    seen = data["kind_of_comparison"].values.astype(str) == kind
    return len(set(data["study_of_comparison"].values[seen].astype(str)))


def _estimate(delta: np.ndarray, change: np.ndarray, spec: Specification) -> Estimate:
    quantity, change = "delta_mcp", 100 * change
    if not np.isfinite(change).all():
        quantity, change = "relative_change", 100 * np.expm1(delta)
    kind, prob = spec.summary.interval_kind, spec.summary.interval_prob
    lower, upper = interval(change, kind, prob)
    return Estimate(quantity, float(np.median(change)), float(lower), float(upper), kind, prob)


def _decide(
    scenario: xr.Dataset,
    draws: TargetDraws,
    spec: Specification,
    unobserved: tuple[str, ...],
    failed: bool,
    studies: int | None,
    absent: str,
) -> Decision:
    """Decide about one target; scenarios and draws hold it alone. ``absent``: why there is no r₀."""
    threshold = spec.scenarios.decide_at
    order = np.argsort(-scenario["probability"].values, kind="stable")
    top = scenario.isel(scenario=int(order[0]))
    best, *others = (_claim(scenario.isel(scenario=int(place))) for place in order[:2])
    assert draws.log_change is not None
    assert draws.change is not None
    unions = union_claims(scenario["union_probability"].values)
    claim: Claim | None = None
    if failed:
        reason = "the diagnostics of the fit failed"
    elif unobserved:
        reason = unobserved_reason(unobserved)
    elif np.isnan(best.probability):  # of fungal and bacterial necromass together, whose effect hangs on r0
        reason = absent
    elif best.probability >= threshold:
        claim, reason = best, ""
    else:
        claim = next((union for union in unions if union.probability >= threshold), None)
        reason = f"no single scenario reaches {threshold:g}" + ("" if claim else ", and no coarser statement does")
    shown = claim or best
    return Decision(
        level=str(scenario["level"].item()),
        name=str(scenario["name"].item()),
        threshold=threshold,
        chosen=None if claim is None else claim.code,
        label=shown.label,
        probability=shown.probability,
        prior_probability=float(top["prior_probability"]) if shown is best else None,
        abstained=claim is None,
        reason=reason,
        best=best,
        unions=unions,
        change=_estimate(draws.log_change[0], draws.change[0], spec),
        studies=studies,
        unobserved=unobserved,
        rival=next((other for other in others if ties(best.probability, other.probability)), None),
    )


def _claim(scenario: xr.Dataset) -> Claim:
    return Claim(str(scenario["scenario"].item()), str(scenario["label"].item()), float(scenario["probability"]))


def ties(best: float, other: float) -> bool:
    """Say whether the most probable class is not named without the next."""
    return best < _HALF and best - other <= _CLOSE


def estimate_text(change: Estimate) -> str:
    """Return the change of the ratio with its interval, for example ``"ΔMCP +3.1 percentage points (95 % ...)"``."""
    numbers = (change.median, change.lower, change.upper)
    decimals = decimals_of(numbers)
    median = number_text(change.median, decimals, sign=True)
    ends = " to ".join(number_text(end, decimals) for end in numbers[1:])
    between = f"({interval_name(change.interval_kind, change.interval_prob)} {ends})"
    if change.quantity == "delta_mcp":
        return f"ΔMCP {median} percentage points {between}"
    return f"ratio necromass/SOC {median} % relative to the control {between}"


def _subject(decision: Decision) -> str:
    if decision.level not in _SETTINGS:
        return f"{decision.name} ({decision.level})"
    setting = _SETTINGS[decision.level]
    if decision.name == words.AVERAGE:
        return setting
    seen = " (seen in one study)" if decision.studies == 1 else ""
    seen += " (average over kinds)" if decision.over_kinds else ""
    return f"{decision.name.removeprefix(f'{KIND}=')}{seen}, {setting}"


def sentence(decision: Decision) -> str:
    """Return one defensible sentence: target, claim with its probability, change with its interval.

    Examples
    --------
    ``manure, typical comparison (mean): gain led by necromass (N+C+r+), probability 0.97; ΔMCP +3.1 percentage
    points (95 % equal-tailed credible interval 1.0 to 5.2)``
    """
    if decision.unobserved or np.isnan(decision.best.probability):
        # most probable class and change would be those of the prior, or there are none
        return f"{_subject(decision)}: nothing can be claimed, since {decision.reason}"
    best = decision.best
    claimed = probability_text(decision.probability, decision.threshold)
    likeliest = f"{best.label} ({best.code}), probability {probability_text(best.probability, decision.threshold)}"
    if (rival := decision.rival) is not None:  # never where a class is named: thresholds are above one half
        likeliest += f", and {rival.label} ({rival.code}), {probability_text(rival.probability)}"
    if decision.abstained:
        said = f"nothing can be claimed, since {decision.reason} (most probable: {likeliest})"
    elif not decision.reason:
        said = likeliest
    else:
        said = f"{decision.label}, probability {claimed} ({decision.reason}; most probable: {likeliest})"
    return f"{_subject(decision)}: {said}; {estimate_text(decision.change)}"
