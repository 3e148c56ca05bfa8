"""Scenario classes: which way necromass, SOC and their ratio move, and how probable each of the thirteen is."""

import json
from collections.abc import Iterable
from typing import Final, Literal, get_args

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.absolute import ends_of, points_of, ratio_at
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.claims import UNIONS
from mcpbayes.estimands.classes import classify_effects, coarsening, tolerances
from mcpbayes.estimands.conditional import why_not_normal
from mcpbayes.estimands.counting import CHANGES, Counts, counting
from mcpbayes.estimands.exact import exact_counts
from mcpbayes.estimands.pairs import has_pairs
from mcpbayes.estimands.parts import CHANGE_OF_PART, apart
from mcpbayes.estimands.prior import prior_effects
from mcpbayes.estimands.shares import share_draws
from mcpbayes.estimands.shares_of_sum import share_of_sum_draws
from mcpbayes.estimands.targets import At, kinds_of, population_points, targets
from mcpbayes.estimands.tree import Settings, apply_settings, group, specification, with_groups
from mcpbayes.estimands.walk import sources
from mcpbayes.monte_carlo.summaries import frequencies
from mcpbayes.specification.fields import one_of
from mcpbayes.specification.structure import Scheme
from mcpbayes.workers import in_threads

__all__ = ["CHANGES", "classify", "classify_effects"]

#: How probabilities are found: exact where the model allows it, or by counting draws.
Method = Literal["auto", "exact", "counting"]

EXACT: Final = "exact"
COUNTING: Final = "counting"


def entropy(probability: np.ndarray) -> np.ndarray:
    """Return −Σ p ln p / ln m over the last axis of m classes: 0 where one is certain, 1 where all are alike."""
    log = np.log(probability, out=np.zeros_like(probability), where=probability > 0)
    total = -(probability * log).sum(axis=-1)
    return np.asarray(np.abs(total) / max(np.log(probability.shape[-1]), np.finfo(float).tiny))


def _prior_probability(result: xr.DataTree, asked: xr.Dataset, scheme: Scheme, place: np.ndarray) -> np.ndarray:
    """Return the prior probability of each class, (target, class); targets that agree a priori are worked out once."""
    posterior = group(result, words.POSTERIOR)
    out = np.full((asked.sizes["target"], place.max() + 1), np.nan)
    for members, theta in prior_effects(specification(result), posterior, asked, result.attrs["seed"]):
        if np.isfinite(theta).all():
            codes = place[classify_effects(theta[:, 0], theta[:, 1], scheme)]
            out[members] = frequencies(codes[None], out.shape[1])[0]
    return out


def classify(result: xr.DataTree, settings: Settings = (), method: Method = "auto") -> xr.DataTree:
    """Add the probabilities of the scenario classes.

    Parameters
    ----------
    result : DataTree
        With group ``delta_mcp``.
    settings : sequence of "key=value" or mapping, optional
        New values in ``[scenarios]``, ``[summary]`` or ``[delta_mcp]``, for example ``["scenarios.decide_at=0.9"]``;
        the root's specification changes with them, and ``delta_mcp`` is worked out again where its section changed.
    method : {"auto", "exact", "counting"}
        ``exact``: bivariate normal probabilities given standard deviations and correlations, averaged over their
        draws; ``counting``: relative frequencies of the draws. By default exact where the model allows it.

    Returns
    -------
    DataTree
        New, with group ``scenario``: ``probability``, ``mcse``, ``prior_probability`` (target, scenario),
        ``change_probability(target, change)`` of δ against its tolerance, ``union_probability(target, union)`` of the
        coarser statements, ``entropy(target)``, ``share(chain, draw, group, scenario)``, the fraction of comparisons
        in each class at the names of level new. Coords ``label``, ``level``, ``name``. Attribute ``method`` says how
        probabilities were found, ``method_reason`` why not exactly. With fungal and bacterial necromass as outcomes
        classes are of their sum; studies and comparisons without r₀ have none then, and NaN.

    Raises
    ------
    StageError
        `delta_mcp` was not called.
    SpecificationError
        The outcomes are not necromass, as one pool or two, and SOC, `settings` name something that does not exist, or
        probabilities cannot be exact as asked.
    ConvergenceError
        Effects hold draws that are not finite.

    Notes
    -----
    Exact: `orthants.class_probabilities` given each of some evenly spaced draws of φ, Monte-Carlo error sd/√ESS of this
    series. Counted: √(p(1−p)/ESS) with the ESS of the indicator. Entropy is −Σ p ln p / ln m of the m classes. A prior
    probability is counted from prior draws, NaN where the prior of a coefficient is flat: it has no probabilities.
    The effect on the sum of two pools is θ_N = δ + θ_C (`parts.part_changes`): it hangs on r₀_F and r₀_B, and is not
    normal given φ, so it is counted; prior draws take r₀_F and r₀_B of the posterior, and shares are integrated over
    fresh comparisons (`shares_of_sum.share_of_sum_draws`).
    """
    one_of(*get_args(Method))(method, "method")
    before = group(result, words.DELTA_MCP)
    at = json.loads(before.attrs["at"])
    new = apply_settings(result, settings)
    if specification(new).reference != specification(result).reference:
        new = delta_mcp(new, at)
    change = group(new, words.DELTA_MCP)
    require_pairs(change)
    data, posterior = group(new, words.DATA), group(new, words.POSTERIOR)
    asked, counts, reason = targets(data, posterior, at), None, why_counted(new)
    if method == EXACT and reason:
        raise SpecificationError(f"exact probabilities cannot be had: {reason}; take 'auto' or 'counting'", "method")
    if method == COUNTING or reason:
        count, absolute = counting(new), points_of(specification(new).scenarios) is not None
        walk = sources(data, posterior, change, asked, new.attrs["seed"], ratios=absolute or CHANGE_OF_PART in change)
        counts = in_threads(lambda source: count(source()), walk)
    made = with_scenarios(new, asked, counts)
    # With other tolerances or intervals, what was said of studies left out does not hold any more.
    return made if new is result else with_groups(made, {}, drop=[words.INFLUENCE])


def require_pairs(change: xr.Dataset) -> None:
    """Refuse classes where there is no effect on necromass, or none on SOC.

    Raises
    ------
    SpecificationError
        Says which outcomes there are, or that no control has both parts of necromass and SOC.
    """
    if has_pairs(change):
        return
    if CHANGE_OF_PART in change:
        said = str(change["absent"].values[0])
        raise SpecificationError(
            f"scenarios need the effect on necromass, which here hangs on what controls have of its two pools, but "
            f"{said}; effects are in group delta_mcp",
            "data.outcomes",
        )
    outcomes = ", ".join(change["outcome"].values.astype(str))
    raise SpecificationError(
        f"scenarios need the outcomes necromass and soc, the model has {outcomes}; effects are in group delta_mcp",
        "data.outcomes",
    )


def why_counted(result: xr.DataTree) -> str:
    """Return why the probabilities of a result are counted from draws; empty where they are exact."""
    if points_of(specification(result).scenarios) is not None:
        return "a tolerance in percentage points hangs on the drawn ratio of the control"
    return why_not_normal(result)


def with_scenarios(result: xr.DataTree, asked: xr.Dataset, counts: Iterable[Counts] | None = None) -> xr.DataTree:
    """Add the group ``scenario``, as `classify`.

    Parameters
    ----------
    result : DataTree
        With group ``delta_mcp``.
    asked : Dataset
        All targets, of `targets.targets`.
    counts : iterable of Counts, optional
        What a walk along all targets has counted; by default probabilities are exact.
    """
    scheme = specification(result).scenarios
    codes, labels, place = coarsening(scheme)
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    at: At = json.loads(group(result, words.DELTA_MCP).attrs["at"])
    points = population_points(data, kinds_of(posterior), at)
    made = _gathered(exact_counts(result, asked) if counts is None else counts, asked.sizes["target"], len(codes))
    prior = _prior_probability(result, asked, scheme, place) if made.prior is None else made.prior
    share = _shares(result, asked, points, scheme)
    if scheme.merge:
        share = np.stack([share[..., place == code].sum(axis=-1) for code in range(len(codes))], axis=-1)
    each = ("target", "scenario")
    dataset = xr.Dataset(
        {
            "probability": (each, made.probability),
            "mcse": (each, made.mcse),
            "prior_probability": (each, prior),
            "change_probability": (("target", "change"), made.change),
            "union_probability": (("target", "union"), made.union),
            "entropy": ("target", entropy(made.probability)),
            "share": (("chain", "draw", "group", "scenario"), share),
        },
        coords={
            "scenario": list(codes),
            "label": ("scenario", list(labels)),
            "change": list(CHANGES),
            "union": list(UNIONS),
            "group": points["point"].values,
        }
        | {name: posterior.variables[name] for name in ("chain", "draw")}
        | {name: asked.variables[name] for name in ("target", "level", "name")},
    )
    dataset.attrs = {
        "tolerance_percent": json.dumps(dict(scheme.tolerance_percent)),
        "tolerance_points": json.dumps(dict(scheme.tolerance_points)),
        "decide_at": scheme.decide_at,
        "method": EXACT if counts is None else COUNTING,
        "method_reason": "" if counts is None else why_counted(result),
    }
    return with_groups(result, {words.SCENARIO: dataset})


def _shares(result: xr.DataTree, asked: xr.Dataset, points: xr.Dataset, scheme: Scheme) -> np.ndarray:
    """Return the shares of the 13 classes, (chain, draw, point, 13)."""
    if apart(group(result, words.DATA)):
        return share_of_sum_draws(result, asked, points)
    absolute = points_of(scheme)
    ends = None if absolute is None else ends_of(ratio_at(result, words.NEW), absolute)
    return share_draws(group(result, words.POSTERIOR), points, tolerances(scheme), ends)


def _gathered(counts: Iterable[Counts], size: int, classes: int) -> Counts:
    """Return what is known of all targets in their order."""
    widths = (classes, classes, len(CHANGES), len(UNIONS))
    whole = Counts(np.arange(size), *(np.full((size, width), np.nan) for width in widths))
    prior = np.full((size, classes), np.nan)
    for found in counts:
        for values, part in zip(whole[1:5], found[1:5], strict=True):
            values[found.places] = part
        if found.prior is not None:
            whole = whole._replace(prior=prior)
            prior[found.places] = found.prior
    return whole
