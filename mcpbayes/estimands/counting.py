"""Scenario classes by counting draws: for whatever is not normal, and as the check of what is exact."""

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError
from mcpbayes.estimands.claims import union_probabilities
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances, coarsening, tolerances
from mcpbayes.estimands.pooled import class_counts, class_frequencies, worlds_of
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.walk import TargetDraws, pools_of
from mcpbayes.kernels import use_numba
from mcpbayes.monte_carlo.summaries import has_kernel

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
    """

    places: np.ndarray
    probability: np.ndarray
    mcse: np.ndarray
    change: np.ndarray
    union: np.ndarray


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
    size = found.effect.shape[-1]

    def count(goes_to: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = goes_to[CLASS_TABLE.ravel()].astype(np.int8)
        if compiled and has_kernel(size // chains):
            return class_counts(found.effect, pools, chains, eps, table, worlds)
        return _count(found.effect, pools, chains, eps, table, worlds)

    probability, mcse, change = count(place)
    each = np.arange(len(place))
    classes = probability if np.array_equal(place, each) else count(each)[0]
    # Frequencies of unions to the last bit, which sums of frequencies are not.
    union = np.round(union_probabilities(classes, change) * size) / size
    return Counts(found.places, probability, mcse, change, union)


def _count(
    effect: np.ndarray, pools: tuple[int, int], chains: int, eps: Tolerances, table: np.ndarray, worlds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `pooled.class_counts` returns."""
    theta_n, theta_c = (effect[:, pool] for pool in pools)
    codes = class_codes(theta_n, theta_c, eps, table)
    probability, mcse = class_frequencies(codes.reshape(len(codes), chains, -1), int(table.max()) + 1, worlds)
    delta = theta_n - theta_c
    rises, falls = (np.count_nonzero(beyond, axis=1) for beyond in (delta > eps.ratio, delta < -eps.ratio))
    change = np.stack([rises, delta.shape[1] - rises - falls, falls], axis=1) / delta.shape[1]
    return probability, mcse, change


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
