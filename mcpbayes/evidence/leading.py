"""The most probable class of targets, of a result and of its refits by the same estimator, and what ties with it."""

from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.absolute import points_of
from mcpbayes.estimands.classes import coarsening, tolerances
from mcpbayes.estimands.conditional import Root, worlds
from mcpbayes.estimands.exact import Judge, judge_of, judged, population_of, population_pieces
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.scenarios import why_counted
from mcpbayes.estimands.tree import group, specification, with_groups
from mcpbayes.estimands.walk import pools_of
from mcpbayes.evidence.said import ERRORS, OR, what_is_said
from mcpbayes.specification.structure import Scheme, Specification
from mcpbayes.workers import in_threads

#: Variables that keep a `Root`, one per refit → their dims beside the refit.
_STORED: Final = {
    "root_mean": ("part", "pool", "phi"),
    "root_factor": ("part", "pool", "square", "phi"),
    "root_total": ("pool", "pool_too", "phi"),
}


class Leading(NamedTuple):
    """The most probable class, and the codes that might be it within Monte-Carlo error; empty where there are none."""

    scenario: str
    label: str
    probability: float
    ties: str


NONE: Final = Leading("", "", float("nan"), "")


def root_of_fit(result: xr.DataTree, data: xr.Dataset, posterior: xr.Dataset) -> Root | None:
    """Return the moments of coefficients and kinds of a refit of other data; None where necromass is no one pool."""
    if pools_of(posterior) is None:
        return None
    fit = with_groups(result, {words.DATA: data, words.POSTERIOR: posterior})
    return population_of(worlds(fit))


def stored(roots: list[Root]) -> dict[str, tuple[tuple[str, ...], Array]]:
    """Return variables that keep the moments of refits."""
    parts = zip(*((one.mean, one.root, one.total) for one in roots), strict=True)
    return {name: (("refit", *_STORED[name]), np.stack(part)) for name, part in zip(_STORED, parts, strict=True)}


def leading_of_result(result: xr.DataTree, asked: xr.Dataset, effect: Array | None) -> list[Leading]:
    """Return what leads in the result itself: as the headline says it, where classes are there.

    Parameters
    ----------
    result : DataTree
    asked : Dataset
        Targets of the levels mean and new.
    effect : ndarray, shape (target, 2, draw), or None
        Their draws of θ_N and θ_C, which are counted where classes are neither there nor to be had exactly; None where
        there are no such effects.
    """
    posterior, spec = group(result, words.POSTERIOR), specification(result)
    if effect is None:
        return [NONE] * asked.sizes["target"]
    if words.SCENARIO in result.children:
        found = group(result, words.SCENARIO).sel(target=asked["target"].values)
        return _leading(found["probability"].values, found["mcse"].values, spec.scenarios)
    if not why_counted(result):
        return _exact(population_of(worlds(result)), asked, judge_of(result), spec.scenarios)
    return _counted(effect, posterior, spec.scenarios, posterior.sizes["chain"])


def leading_of_refit(
    refits: xr.Dataset, refit: str, asked: xr.Dataset, effect: Array | None, spec: Specification
) -> list[Leading]:
    """Return what leads in one refit; its draws are counted where an older version kept nothing else."""
    if effect is None:
        return [NONE] * asked.sizes["target"]
    scheme, chains = spec.scenarios, refits.sizes["chain"]
    if "root_mean" not in refits or points_of(scheme) is not None:
        return _counted(effect, refits, scheme, chains)
    one = refits[list(_STORED)].sel(refit=refit)
    root = Root(*(one[name].transpose(*dims).values for name, dims in _STORED.items()))
    return _exact(root, asked, Judge(tolerances(scheme), coarsening(scheme)[2], chains, worlds=1, drawn=False), scheme)


def class_changes(one: Leading, other: Leading) -> bool:
    """Say whether the most probable classes differ beyond Monte-Carlo error, as `influence` judges it."""
    return one.scenario not in other.ties.split(OR) and other.scenario not in one.ties.split(OR)


def _exact(root: Root, asked: xr.Dataset, judge: Judge, scheme: Scheme) -> list[Leading]:
    probability = np.full((asked.sizes["target"], len(coarsening(scheme)[0])), np.nan)
    mcse = probability.copy()
    for found in in_threads(lambda piece: judged(piece, judge), population_pieces(root, asked)):
        probability[found.places], mcse[found.places] = found.probability, found.mcse
    return _leading(probability, mcse, scheme)


def _leading(probability: Array, mcse: Array, scheme: Scheme) -> list[Leading]:
    """Return what leads, from probabilities and errors (target, class).

    The error of a difference is no larger than the sum of both: what is called a change is beyond it in any case.
    """
    codes, labels, _ = coarsening(scheme)
    error, found = np.nan_to_num(mcse), []
    for p, e in zip(probability, error, strict=True):
        best = int(np.argmax(p))
        ties = np.flatnonzero(p >= p[best] - ERRORS * (e + e[best]))
        found.append(Leading(codes[best], labels[best], float(p[best]), OR.join(codes[one] for one in ties)))
    return found


def _counted(effect: Array, fit: xr.Dataset, scheme: Scheme, chains: int) -> list[Leading]:
    """Count draws; nothing leads where effects are absent, or the tolerance hangs on r₀, which refits do not keep."""
    if points_of(scheme) is not None or not np.isfinite(effect).all():
        return [NONE] * len(effect)
    labels = dict(zip(*coarsening(scheme)[:2], strict=True))
    of = worlds_of(fit)
    said = [what_is_said(theta_n, theta_c, scheme, of, chains, mute=True) for theta_n, theta_c in effect]
    return [Leading(one.code, labels[one.code], one.probability, one.ties) for one in said]
