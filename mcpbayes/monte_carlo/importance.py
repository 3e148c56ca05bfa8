"""Weights of proposals, whether they can be trusted, and independence Metropolis chains made of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Array = NDArray[np.float64]

#: Fewest values in the tail to which a generalised Pareto distribution is fitted.
_SMALLEST_TAIL: Final = 5


def normalised(log_weight: Array) -> Array:
    """Return weights that sum to one."""
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum())


def efficiency(log_weight: Array) -> float:
    """Return ESS/N of importance weights, (Σ w)² / (N Σ w²)."""
    weight = normalised(log_weight)
    return float(1.0 / (len(weight) * np.sum(weight**2)))


def pareto_k(log_weight: Array) -> float:
    """Return k̂, the shape of a generalised Pareto distribution fitted to the largest weights.

    Parameters
    ----------
    log_weight : array (draw,)

    Returns
    -------
    float
        Below 0.7 the weights have enough moments for estimates to be trusted; −inf where the tail is constant.

    Notes
    -----
    The largest min(N/5, 3√N) weights (Vehtari, Simpson, Gelman, Yao & Gabry 2024, arXiv:1507.02646); fit by the
    quasi-Bayesian estimate of Zhang & Stephens (2009, doi:10.1198/tech.2009.08017), shrunk towards 0.5 as if by ten
    further observations.
    """
    return _tail(np.sort(log_weight - log_weight.max()))[1]


def smoothed(log_weight: Array) -> Array:
    """Return log weights whose largest values are replaced by what a generalised Pareto distribution expects of them.

    Parameters
    ----------
    log_weight : array (draw,)

    Returns
    -------
    array (draw,)
        None above the largest weight; as they are where the tail is too short or constant (`pareto_k` infinite).

    Notes
    -----
    Pareto-smoothed importance sampling (Vehtari et al. 2024, arXiv:1507.02646): of the M weights in the tail the j-th
    smallest becomes u + σ ((1 − p)^(−k̂) − 1)/k̂ with p = (j − ½)/M, u the largest weight below the tail.
    """
    top = log_weight.max()
    order = np.argsort(log_weight - top, kind="stable")
    ordered = log_weight[order] - top
    tail, k, scale = _tail(ordered)
    if not np.isfinite(k):
        return log_weight.copy()
    p = (np.arange(1, tail + 1) - 0.5) / tail
    expected = np.exp(ordered[-tail - 1]) + scale * (-np.log1p(-p) if k == 0 else np.expm1(-k * np.log1p(-p)) / k)
    out = log_weight.copy()
    out[order[-tail:]] = top + np.minimum(np.log(expected), 0.0)
    return out


def _tail(ordered: Array) -> tuple[int, float, float]:
    """Return length, k̂ and scale of the tail of ascending log weights, the largest of which is 0."""
    size = len(ordered)
    tail = int(np.ceil(min(0.2 * size, 3.0 * np.sqrt(size))))
    if tail < _SMALLEST_TAIL:
        return tail, float("inf"), 0.0
    excess = np.exp(ordered[-tail:]) - np.exp(ordered[-tail - 1])
    if excess[-1] <= np.finfo(float).tiny or excess[0] == excess[-1]:
        return tail, float("-inf"), 0.0
    k, scale = _generalised_pareto(excess)
    return tail, float((tail * k + 10 * 0.5) / (tail + 10)), scale


def _generalised_pareto(excess: Array) -> tuple[float, float]:
    """Return shape and scale of a generalised Pareto distribution of ordered excesses (Zhang & Stephens 2009)."""
    n = len(excess)
    grid = 30 + int(np.sqrt(n))
    quartile = excess[int(n / 4 + 0.5) - 1]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3.0 * quartile)
    shape = np.log1p(-theta[:, None] * excess).mean(axis=1)
    profile = n * (np.log(-theta / shape) - shape - 1.0)
    weight = np.exp(profile - logsumexp(profile))
    best = float(np.sum(weight * theta))
    k = float(np.log1p(-best * excess).mean())
    return k, -k / best


@dataclass(frozen=True)
class Chains:
    """States of independence Metropolis chains.

    Parameters
    ----------
    place : array of int (chain, draw)
        Which proposal each state is.
    accepted : array (chain, draw)
        Share of the proposals accepted since the state before.
    """

    place: NDArray[np.intp]
    accepted: Array


def metropolis(log_weight: Array, chains: int, draws: int, rng: np.random.Generator) -> Chains:
    """Run independence Metropolis chains through proposals whose weights are known.

    Parameters
    ----------
    log_weight : array (chains × draws × thinning,)
        ln target − ln proposal of independent proposals; each chain meets its own part of them, in order.
    chains, draws : int
    rng : numpy.random.Generator

    Returns
    -------
    Chains
        Every thinning-th state. A chain starts from a proposal of its own part drawn by weight.

    Notes
    -----
    A proposal is accepted with probability min(1, w_new/w_now): with independent proposals the target is left invariant
    whatever the proposal distribution (Tierney 1994, doi:10.1214/aos/1176325750). That a chain starts from one of its
    own proposals, and that components of a mixture are drawn in fixed numbers, changes this by O(1/N).
    """
    steps = len(log_weight) // chains
    thinning = steps // draws
    place = np.empty((chains, draws), dtype=np.intp)
    accepted = np.empty((chains, draws))
    for chain in range(chains):
        weight = log_weight[chain * steps : chain * steps + draws * thinning]
        now = int(rng.choice(len(weight), p=normalised(weight)))
        hurdle = np.log(rng.random(len(weight))).tolist()
        states, moved, values = [], [], weight.tolist()
        current = values[now]
        for step, value in enumerate(values):
            move = hurdle[step] < value - current
            if move:
                now, current = step, value
            states.append(now)
            moved.append(move)
        place[chain] = chain * steps + np.array(states)[thinning - 1 :: thinning]
        accepted[chain] = np.reshape(moved, (draws, thinning)).mean(axis=1)
    return Chains(place, accepted)
