"""Scenario classes: which way necromass, SOC and their ratio move, and how probable each of the thirteen is."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError, SpecificationError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.classes import (
    CLASS_TABLE,
    Tolerances,
    classify_effects,
    coarsening,
    tolerances,
)
from mcpbayes.estimands.pooled import class_counts, class_frequencies, worlds_of
from mcpbayes.estimands.prior import prior_effects
from mcpbayes.estimands.shares import share_draws
from mcpbayes.estimands.targets import At, kinds_of, population_points, targets
from mcpbayes.estimands.tree import Settings, apply_settings, group, specification, with_groups
from mcpbayes.estimands.walk import TargetDraws, pools_of, sources
from mcpbayes.kernels import use_numba
from mcpbayes.monte_carlo.summaries import frequencies, has_kernel
from mcpbayes.specification.structure import Scheme
from mcpbayes.workers import in_threads

__all__ = ["CHANGES", "classify", "classify_effects"]

#: What the ratio does, beside the classes; these probabilities are not sums of classes.
CHANGES: Final = ("increase", "no change", "decrease")


class Counts(NamedTuple):
    """What is counted of some targets: probabilities and errors of the classes, (target, class), and of `CHANGES`."""

    places: np.ndarray
    probability: np.ndarray
    mcse: np.ndarray
    change: np.ndarray


def class_codes(theta_n: np.ndarray, theta_c: np.ndarray, eps: Tolerances, table: np.ndarray) -> np.ndarray:
    """Return the class of each pair of effects; byte by byte, as `classes.classify_effects` at many times the speed.

    Parameters
    ----------
    theta_n, theta_c : ndarray, same shape
    eps : Tolerances
    table : ndarray of int8, shape (27,)
        Class of the signs (of θ_N, θ_C, δ; each + 1) read as a number to the base 3.
    """
    key = np.zeros(theta_n.shape, dtype=np.int8)
    for values, limit in ((theta_n, eps.necromass), (theta_c, eps.soc), (theta_n - theta_c, eps.ratio)):
        key *= 3
        key += (values > limit).view(np.int8)
        key += (values >= -limit).view(np.int8)
    return np.asarray(table[key])


def count_targets(
    found: TargetDraws,
    pools: tuple[int, int],
    chains: int,
    eps: Tolerances,
    place: np.ndarray,
    worlds: int = 1,
    *,
    compiled: bool = False,
) -> Counts:
    """Count the classes of some targets.

    Parameters
    ----------
    found : TargetDraws
    pools : (int, int)
        Places of necromass and SOC among the outcomes.
    chains : int
    eps : Tolerances
    place : ndarray of int, shape (13,)
        Of `classes.coarsening`.
    worlds : int
        Of how many worlds the chains are, see `pooled`.
    compiled : bool
        Whether to use compiled kernels (`mcpbayes.kernels`): the same numbers to rounding.

    Raises
    ------
    ConvergenceError
        Effects hold draws that are not finite.
    """
    if not np.isfinite(found.effect).all():
        raise ConvergenceError("The effects hold draws that are not finite, so no class can be told; fit again.")
    theta_n, theta_c = (found.effect[:, pool] for pool in pools)
    table = place[CLASS_TABLE.ravel()].astype(np.int8)
    if compiled and has_kernel(theta_n.shape[-1] // chains):
        return Counts(found.places, *class_counts(found.effect, pools, chains, eps, table, worlds))
    codes = class_codes(theta_n, theta_c, eps, table)
    probability, mcse = class_frequencies(codes.reshape(len(codes), chains, -1), int(place.max()) + 1, worlds)
    delta = theta_n - theta_c
    rises, falls = (np.count_nonzero(beyond, axis=1) for beyond in (delta > eps.ratio, delta < -eps.ratio))
    change = np.stack([rises, delta.shape[1] - rises - falls, falls], axis=1) / delta.shape[1]
    return Counts(found.places, probability, mcse, change)


def _prior_probability(result: xr.DataTree, asked: xr.Dataset, scheme: Scheme, place: np.ndarray) -> np.ndarray:
    """Return the prior probability of each class, (target, class); targets that agree a priori are worked out once."""
    posterior = group(result, words.POSTERIOR)
    out = np.full((asked.sizes["target"], place.max() + 1), np.nan)
    for members, theta in prior_effects(specification(result), posterior, asked, result.attrs["seed"]):
        if np.isfinite(theta).all():
            codes = place[classify_effects(theta[:, 0], theta[:, 1], scheme)]
            out[members] = frequencies(codes[None], out.shape[1])[0]
    return out


def classify(result: xr.DataTree, settings: Settings = ()) -> xr.DataTree:
    """Add the probabilities of the scenario classes, by counting draws.

    Parameters
    ----------
    result : DataTree
        With group ``delta_mcp``.
    settings : sequence of "key=value" or mapping, optional
        New values in ``[scenarios]``, ``[summary]`` or ``[delta_mcp]``, for example ``["scenarios.decide_at=0.9"]``;
        the root's specification changes with them, and ``delta_mcp`` is worked out again where its section changed.

    Returns
    -------
    DataTree
        New, with group ``scenario``: ``probability``, ``mcse``, ``prior_probability`` (target, scenario),
        ``change_probability(target, change)`` of δ against its tolerance, ``share(chain, draw, group, scenario)``, the
        fraction of comparisons in each class at the names of level new. Coords ``label``, ``level``, ``name``.

    Raises
    ------
    StageError
        `delta_mcp` was not called.
    SpecificationError
        The outcomes are not necromass and SOC, or `settings` name something that does not exist.
    ConvergenceError
        Effects hold draws that are not finite.

    Notes
    -----
    Monte-Carlo errors √(p(1−p)/ESS) with the ESS of the indicator. A prior probability is NaN where the prior of a
    coefficient is flat: it has no probabilities.
    """
    before = group(result, words.DELTA_MCP)
    at = json.loads(before.attrs["at"])
    new = apply_settings(result, settings)
    if specification(new).reference != specification(result).reference:
        new = delta_mcp(new, at)
    change = group(new, words.DELTA_MCP)
    if pools_of(change) is None:
        outcomes = ", ".join(change["outcome"].values.astype(str))
        raise SpecificationError(
            f"scenarios need the outcomes necromass and soc, the model has {outcomes}; effects are in group delta_mcp",
            "data.outcomes",
        )
    data, posterior = group(new, words.DATA), group(new, words.POSTERIOR)
    asked, count = targets(data, posterior, at), counting(new)
    walk = sources(data, posterior, change, asked, new.attrs["seed"], ratios=False)
    made = with_counts(new, asked, in_threads(lambda source: count(source()), walk))
    # With other tolerances or intervals, what was said of studies left out does not hold any more.
    return made if new is result else with_groups(made, {}, drop=[words.INFLUENCE])


def counting(result: xr.DataTree) -> Callable[[TargetDraws], Counts]:
    """Return what counts the classes of some targets, for a walk that may serve other ends too."""
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    scheme, pools = specification(result).scenarios, pools_of(posterior)
    assert pools is not None
    return partial(
        count_targets,
        pools=pools,
        chains=posterior.sizes["chain"],
        eps=tolerances(scheme),
        place=coarsening(scheme)[2],
        worlds=worlds_of(posterior),
        compiled=use_numba(data.sizes["comparison"]),
    )


def with_counts(result: xr.DataTree, asked: xr.Dataset, counts: Iterable[Counts]) -> xr.DataTree:
    """Add the group ``scenario``, as `classify`, from what a walk along all targets asked for has counted."""
    scheme, seed = specification(result).scenarios, result.attrs["seed"]
    codes, labels, place = coarsening(scheme)
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    at: At = json.loads(group(result, words.DELTA_MCP).attrs["at"])
    points = population_points(data, kinds_of(posterior), at)
    size = asked.sizes["target"]
    probability, mcse = np.empty((size, len(codes))), np.empty((size, len(codes)))
    changes = np.empty((size, len(CHANGES)))
    for found in counts:
        probability[found.places], mcse[found.places] = found.probability, found.mcse
        changes[found.places] = found.change
    share = share_draws(posterior, points, tolerances(scheme), seed)
    if scheme.merge:
        share = np.stack([share[..., place == code].sum(axis=-1) for code in range(len(codes))], axis=-1)
    each = ("target", "scenario")
    dataset = xr.Dataset(
        {
            "probability": (each, probability),
            "mcse": (each, mcse),
            "prior_probability": (each, _prior_probability(result, asked, scheme, place)),
            "change_probability": (("target", "change"), changes),
            "share": (("chain", "draw", "group", "scenario"), share),
        },
        coords={
            "scenario": list(codes),
            "label": ("scenario", list(labels)),
            "change": list(CHANGES),
            "group": points["point"].values,
        }
        | {name: posterior.variables[name] for name in ("chain", "draw")}
        | {name: asked.variables[name] for name in ("target", "level", "name")},
    )
    dataset.attrs = {
        "tolerance_percent": json.dumps(dict(scheme.tolerance_percent)),
        "decide_at": scheme.decide_at,
        "method": "counting",
    }
    return with_groups(result, {words.SCENARIO: dataset})
