"""What draws that were pooled over worlds say, and how far they are to be trusted.

A world is one fit with one set of the numbers that the data do not inform. Worlds *should* differ, so chains are not
compared across them. All functions take draws (..., world × chain, draw), the chains of one world next to
each other, and are those of `monte_carlo` where there is one world.

Worlds of a correlation or of factors stand for strata of their prior, and nothing between them is random. Worlds of CVs
are random draws: how far their means lie apart is part of the error of a pooled mean. Where random draws go together
with strata, all that lies between worlds counts as random, which is cautious.
"""

import numpy as np
import xarray as xr

from mcpbayes.estimands.classes import Tolerances
from mcpbayes.monte_carlo import summaries as single
from mcpbayes.vocabulary import WORLDS_DRAWN


def worlds_of(posterior: xr.Dataset) -> int:
    """Return over how many worlds a group ``posterior`` is pooled; 1 where it is a single fit's."""
    return len(np.unique(posterior["world"].values)) if "world" in posterior.coords else 1


def drawn_worlds(posterior: xr.Dataset) -> bool:
    """Say whether the worlds of a group ``posterior`` are random draws, not strata."""
    return bool(posterior.attrs.get(WORLDS_DRAWN, 0))


def _by_world(draws: np.ndarray, worlds: int) -> np.ndarray:
    """Return (..., world × chain, draw) as (..., world, chain, draw)."""
    return draws.reshape(*draws.shape[:-2], worlds, -1, draws.shape[-1])


def _pooled_error(errors: np.ndarray, means: np.ndarray, drawn: bool, axis: int = -1) -> np.ndarray:
    """Return the Monte-Carlo error of a mean over worlds: √(Σ mcse²)/M, of drawn worlds no less than sd(means)/√M."""
    worlds = errors.shape[axis]
    within = np.asarray(np.sqrt(np.square(errors).sum(axis=axis)) / worlds)
    if not drawn:
        return within
    apart = means - means.take([0], axis=axis)  # equal means have no spread, not one of rounding
    return np.asarray(np.maximum(within, apart.std(axis=axis, ddof=1) / np.sqrt(worlds)))


def _joined(draws: np.ndarray, worlds: int) -> np.ndarray:
    """Return (..., world × chain, draw), standardised in each world, as (..., chain, world × draw)."""
    apart = _by_world(draws, worlds)
    apart = apart - apart.mean(axis=(-2, -1), keepdims=True)
    spread = apart.std(axis=(-2, -1), keepdims=True)
    apart = np.divide(apart, spread, out=apart, where=spread > 0)
    middle = apart.shape[-1] // 2
    halves = [np.moveaxis(part, -3, -2) for part in (apart[..., :middle], apart[..., middle:])]
    return np.concatenate([part.reshape(*part.shape[:-2], -1) for part in halves], axis=-1)


def summarise_draws(
    draws: np.ndarray,
    interval_kind: str,
    interval_prob: float,
    worlds: int = 1,
    *,
    drawn: bool = False,
    compiled: bool = False,
) -> dict[str, np.ndarray]:
    """Return all numbers of a summary, as `monte_carlo.summarise_draws`.

    Parameters
    ----------
    draws : ndarray, shape (..., world × chain, draw)
    interval_kind : {"eti", "hdi"}
    interval_prob : float
    worlds : int
    drawn : bool
        As `mcse_mean`.
    compiled : bool
        As `monte_carlo.summarise_draws`.

    Returns
    -------
    dict of ndarray, shape (...)
        Values are those of all draws together, every world with equal weight; ``r_hat``, ``ess_bulk`` and ``ess_tail``
        as of `convergence`; ``mcse_mean`` as of `mcse_mean`.
    """
    found = single.summarise_draws(draws, interval_kind, interval_prob, compiled=compiled)
    if worlds == 1:
        return found
    return found | convergence(draws, worlds, compiled=compiled) | {"mcse_mean": mcse_mean(draws, worlds, drawn=drawn)}


def convergence(draws: np.ndarray, worlds: int = 1, *, compiled: bool = False) -> dict[str, np.ndarray]:
    """Return R-hat and effective sample sizes, as `monte_carlo.convergence`, of chains that each go through all worlds.

    Worlds should differ, so a chain of one is compared with none of another: standardised within their worlds, the
    draws of the first chains of all worlds are one chain, and so on: first the first halves of all of them, one after
    the other, then the second halves, since R-hat compares halves. Every world is also judged on its own when it is
    fitted.
    """
    return single.convergence(draws if worlds == 1 else _joined(draws, worlds), compiled=compiled)


def mcse_mean(draws: np.ndarray, worlds: int = 1, *, drawn: bool = False) -> np.ndarray:
    """Return the Monte-Carlo standard error of the mean of all draws.

    Parameters
    ----------
    draws : ndarray, shape (..., world × chain, draw)
    worlds : int
    drawn : bool
        Whether worlds are random draws, see `drawn_worlds`.

    Returns
    -------
    ndarray, shape (...)
        √(Σ mcse²)/M over M worlds; where these are drawn the standard deviation of their means over √M, which holds
        the error within worlds, unless that alone is larger.
    """
    if worlds == 1:
        return single.mcse_mean(draws)
    apart = _by_world(draws, worlds)
    return _pooled_error(single.mcse_mean(apart), apart.mean(axis=(-2, -1)), drawn)


def ess_mean(draws: np.ndarray, worlds: int = 1, *, drawn: bool = False) -> np.ndarray:
    """Return how many independent draws would give the mean its error: variance of all draws / `mcse_mean`²."""
    if worlds == 1:
        return single.ess_mean(draws)
    error = mcse_mean(draws, worlds, drawn=drawn)
    variance = draws.reshape(*draws.shape[:-2], -1).var(axis=-1, ddof=1)
    size: np.ndarray = np.divide(variance, error**2, out=np.full_like(variance, np.nan), where=error > 0)
    return size


def class_frequencies(
    codes: np.ndarray, classes: int, worlds: int = 1, *, drawn: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies and their errors, (target, class), as `monte_carlo.class_frequencies`, of codes of all worlds.

    Parameters
    ----------
    codes : ndarray of int, shape (target, world × chain, draw)
    classes : int
    worlds : int
    drawn : bool
        As `mcse_mean`.
    """
    if worlds == 1:
        return single.class_frequencies(codes, classes)
    apart = _by_world(codes, worlds)
    found = single.class_frequencies(apart.reshape(-1, *apart.shape[2:]), classes)
    probability, mcse = (values.reshape(len(codes), worlds, classes) for values in found)
    return probability.mean(axis=1), _pooled_error(mcse, probability, drawn, axis=1)


def class_counts(
    effect: np.ndarray,
    pools: tuple[int, int],
    chains: int,
    eps: Tolerances,
    table: np.ndarray,
    worlds: int = 1,
    *,
    drawn: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frequencies and errors of the classes and what δ does, by a compiled kernel straight from the effects.

    Parameters
    ----------
    effect : ndarray, shape (target, K, world × chain × draw)
        Finite; draws per chain as `monte_carlo.has_kernel` wants them.
    pools : (int, int)
        Places of necromass and SOC among the outcomes.
    chains : int
        Of all worlds together.
    eps : Tolerances
    table : ndarray of int8, shape (27,)
        As in `compiled.count_classes`.
    worlds : int
    drawn : bool
        As `mcse_mean`.

    Returns
    -------
    probability, mcse : ndarray, shape (target, class)
        As `class_frequencies`.
    change : ndarray, shape (target, 3)
        How often δ lies above its tolerance, within, below.
    """
    from mcpbayes.monte_carlo.compiled import count_classes

    targets, k = effect.shape[:2]
    apart = effect.reshape(targets, k, worlds, -1).swapaxes(1, 2).reshape(targets * worlds, k, -1)
    limits = (eps.necromass, eps.soc, eps.ratio)
    found = count_classes(np.ascontiguousarray(apart), pools, limits, chains // worlds, table)
    probability, mcse, change = (values.reshape(targets, worlds, -1) for values in found)
    return probability.mean(axis=1), _pooled_error(mcse, probability, drawn, axis=1), change.mean(axis=1)
