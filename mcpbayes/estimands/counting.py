"""Scenario classes by counting draws: for whatever is not normal, and as the check of what is exact."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError
from mcpbayes.estimands.absolute import ends_of, points_of, require_ratios
from mcpbayes.estimands.claims import UNIONS, union_probabilities
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances, coarsening, tolerances
from mcpbayes.estimands.orthants import Ends
from mcpbayes.estimands.pairs import BOTH, paired
from mcpbayes.estimands.parts import effect_of_both, parts_of
from mcpbayes.estimands.pooled import class_counts, class_frequencies, drawn_worlds, worlds_of
from mcpbayes.estimands.prior import POOLS, SIZE, prior_effects
from mcpbayes.estimands.reading import describe
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.walk import TargetDraws, parts_spread_out, pools_of, spread_out
from mcpbayes.kernels import use_numba
from mcpbayes.monte_carlo.summaries import frequencies, has_kernel

#: What the ratio does, beside the classes; these probabilities are not sums of classes.
CHANGES: Final = ("increase", "no change", "decrease")


class Counts(NamedTuple):
    """What is known of some targets, whether counted or exact.

    Parameters
    ----------
    places : ndarray of int, shape (target,)
        Positions among all targets.
    probability, mcse : ndarray, shape (target, class)
        Of the scheme's classes.
    change : ndarray, shape (target, 3)
        Probabilities of `CHANGES`.
    union : ndarray, shape (target, union)
        Probabilities of the coarser statements, `claims.UNIONS`.
    prior : ndarray, shape (target, class), or None
        Prior probabilities, where the tolerance hangs on what was drawn for a target.
    """

    places: np.ndarray
    probability: np.ndarray
    mcse: np.ndarray
    change: np.ndarray
    union: np.ndarray
    prior: np.ndarray | None = None


def class_codes(
    theta_n: np.ndarray, theta_c: np.ndarray, eps: Tolerances, table: np.ndarray, ends: Ends | None = None
) -> np.ndarray:
    """Return the class of each pair of effects; byte by byte, as `classes.classify_effects` at many times the speed.

    Parameters
    ----------
    theta_n, theta_c : ndarray, same shape
    eps : Tolerances
    table : ndarray of int8, shape (27,)
        Class of the signs (of θ_N, θ_C, δ; each + 1) read as a number to the base 3.
    ends : pair of float or ndarray, optional
        How far δ may rise and fall, in place of its tolerance.
    """
    key = np.zeros(theta_n.shape, dtype=np.int8)
    pools = ((theta_n, (eps.necromass, eps.necromass)), (theta_c, (eps.soc, eps.soc)))
    for values, (rise, fall) in (*pools, (theta_n - theta_c, ends or (eps.ratio, eps.ratio))):
        key *= 3
        key += (values > rise).view(np.int8)
        key += (values >= np.negative(fall)).view(np.int8)
    return np.asarray(table[key])


def count_targets(
    found: TargetDraws,
    pools: tuple[int, int],
    chains: int,
    eps: Tolerances,
    place: np.ndarray,
    worlds: int = 1,
    *,
    drawn: bool = False,
    compiled: bool = False,
    points: float | None = None,
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
    drawn : bool
        Whether these are random draws.
    compiled : bool
        Whether to use compiled kernels (`mcpbayes.kernels`): the same numbers to rounding.
    points : float, optional
        Absolute tolerance of ΔMCP, percentage points, for which draws need their r₀.

    Raises
    ------
    ConvergenceError
        Effects hold draws that are not finite.
    """
    if not np.isfinite(found.effect).all():
        raise ConvergenceError("The effects hold draws that are not finite, so no class can be told; fit again.")
    size, ends = found.effect.shape[-1], None
    if points is not None:
        assert found.ratio is not None
        ends = ends_of(spread_out(found.ratio), points)

    def count(goes_to: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = goes_to[CLASS_TABLE.ravel()].astype(np.int8)
        if compiled and ends is None and has_kernel(size // chains):
            return class_counts(found.effect, pools, chains, eps, table, worlds, drawn=drawn)
        theta_n, theta_c = (found.effect[:, pool] for pool in pools)
        codes = class_codes(theta_n, theta_c, eps, table, ends).reshape(len(found.effect), chains, -1)
        found_here = class_frequencies(codes, int(table.max()) + 1, worlds, drawn=drawn)
        return *found_here, _changes(theta_n - theta_c, eps, ends)

    probability, mcse, change = count(place)
    each = np.arange(len(place))
    classes = probability if np.array_equal(place, each) else count(each)[0]
    # Frequencies of unions to the last bit, which sums of frequencies are not.
    union = np.round(union_probabilities(classes, change) * size) / size
    return Counts(found.places, probability, mcse, change, union)


def _changes(delta: np.ndarray, eps: Tolerances, ends: Ends | None) -> np.ndarray:
    """Return how often δ (target, draw) lies above its tolerance, within, below."""
    rise, fall = ends or (eps.ratio, eps.ratio)
    rises, falls = (np.count_nonzero(beyond, axis=1) for beyond in (delta > rise, delta < np.negative(fall)))
    return np.asarray(np.stack([rises, delta.shape[1] - rises - falls, falls], axis=1) / delta.shape[1])


def counting(result: xr.DataTree) -> Callable[[TargetDraws], Counts]:
    """Return what counts the classes of some targets, for a walk that may serve other ends too.

    With fungal and bacterial necromass apart, those of their sum: targets without r₀ are then not among the counts.

    Raises
    ------
    SpecificationError
        An absolute tolerance is asked for, and targets have no r₀.
    """
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    scheme, parts = specification(result).scenarios, parts_of(data, posterior)
    pools = BOTH if parts is not None else pools_of(posterior)
    assert pools is not None
    count = partial(
        count_targets,
        pools=pools,
        chains=posterior.sizes["chain"],
        eps=tolerances(scheme),
        place=coarsening(scheme)[2],
        worlds=worlds_of(posterior),
        drawn=drawn_worlds(posterior),
        compiled=use_numba(data.sizes["comparison"]),
        points=points_of(scheme),
    )
    if points_of(scheme) is None and parts is None:
        return count
    require_ratios(result)
    prior, classes = _prior_given_ratios(result), len(coarsening(scheme)[0])

    def counted(found: TargetDraws) -> Counts:
        pairs = found if parts is None else paired(found, parts[-1])
        return count(pairs)._replace(prior=prior(pairs)) if len(pairs.places) else _of_none(classes)

    return counted


def _of_none(classes: int) -> Counts:
    """Return the counts of no targets at all."""
    widths = (classes, classes, len(CHANGES), len(UNIONS), classes)
    return Counts(np.empty(0, dtype=np.intp), *(np.empty((0, width)) for width in widths))


def _prior_given_ratios(result: xr.DataTree) -> Callable[[TargetDraws], np.ndarray]:
    """Return what gives the prior probabilities of targets: prior draws of the effects, each with a drawn r₀.

    It is needed by a tolerance that is a part of r₀, and by the sum of fungal and bacterial necromass, whose effect
    hangs on how much of each the control has: of that there is no prior, since baselines are flat.
    """
    data, posterior, spec = (*(group(result, name) for name in (words.DATA, words.POSTERIOR)), specification(result))
    points, place = points_of(spec.scenarios), coarsening(spec.scenarios)[2]
    apart = parts_of(data, posterior) is not None
    draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    size = SIZE if apart else min(SIZE, draws)
    kept = np.asarray((np.arange(size) + 0.5) * draws / size, dtype=np.intp)  # of few draws of r₀ each several times
    drawn: dict[int, np.ndarray] = {}
    pools = (*words.PARTS, words.SOC) if apart else POOLS
    for members, theta in prior_effects(spec, posterior, describe(result), result.attrs["seed"], pools):
        some = theta[:size].copy()
        drawn |= dict.fromkeys(members.tolist(), some)
    table, eps = place[CLASS_TABLE.ravel()].astype(np.int8), tolerances(spec.scenarios)

    def prior(found: TargetDraws) -> np.ndarray:
        assert found.ratio is not None
        theta = np.stack([drawn[one] for one in found.places.tolist()])
        theta_n, theta_c = theta[..., 0], theta[..., -1]
        if (parts := parts_spread_out(found.ratio)) is not None:
            share = (parts[:, 0] / parts.sum(axis=1))[:, kept]
            theta_n = effect_of_both(share, theta[..., 0], theta[..., 1])
        ends = None if points is None else ends_of(spread_out(found.ratio)[:, kept], points)
        shares = frequencies(class_codes(theta_n, theta_c, eps, table, ends), int(place.max()) + 1)
        return np.where(np.isfinite(theta).all(axis=(1, 2))[:, None], shares, np.nan)

    return prior
