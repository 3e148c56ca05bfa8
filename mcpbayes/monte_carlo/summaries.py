"""What a set of draws says and how far it is to be trusted: intervals, R-hat, ESS, Monte-Carlo errors.

The definitions are those of `arviz_stats` (tests hold the two together to rounding). They are written out here because
a result has thousands of derived quantities, each with its own R-hat and ESS: all numbers of a row cost about three
times as much as drawing it, and ArviZ need not be imported.
"""

from collections.abc import Callable
from typing import Final

import numpy as np

from mcpbayes.monte_carlo.autocorrelation import effective_size, indicator_size, split
from mcpbayes.monte_carlo.ranks import interval_of_ordered, median_of_ordered, normal_scores, quantile_of_ordered
from mcpbayes.monte_carlo.scratch import scratch
from mcpbayes.workers import in_threads

#: Quantiles whose ESS is the tail ESS (Vehtari et al. 2021, doi:10.1214/20-BA1221).
TAILS: Final = (0.05, 0.95)

#: Draws worked on at once: many enough that calls cost little, few enough (2 MB an array) for a processor's cache.
BLOCK: Final = 262_144

#: Fewest draws per chain for which R-hat and ESS are defined.
FEWEST_DRAWS: Final = 4

#: From how many blocks on a pool of threads is worth its start.
_WORTH_THREADS: Final = 4

#: Results of `convergence`, and the further ones of `summarise_draws`.
_CHECKS: Final = ("r_hat", "ess_bulk", "ess_tail", "ess_mean")
_VALUES: Final = ("mean", "median", "sd", "lower", "upper", "prob_positive", "mcse_mean")

_Columns = dict[str, np.ndarray]


def interval(draws: np.ndarray, kind: str, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper end of a credible interval.

    Parameters
    ----------
    draws : ndarray, shape (..., sample)
        Draws along the last axis.
    kind : {"eti", "hdi"}
        Equal-tailed, or the narrowest interval that holds the probability.
    prob : float
        Probability of the interval, in (0, 1).

    Returns
    -------
    lower, upper : ndarray, shape (...)
        NaN where a draw is NaN.
    """
    return interval_of_ordered(np.sort(draws, axis=-1), kind, prob)


def _r_hat(centred: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Return the potential scale reduction of rows of split and transformed chains."""
    n = centred.shape[2]
    between = n * means.var(axis=1, ddof=1)
    within = np.vecdot(centred, centred).mean(axis=1) / (n - 1)
    # Chains that do not move at all although they differ: R-hat is infinite.
    ratio = np.divide(between, within, out=np.full_like(between, np.inf), where=within > 0)
    return np.asarray(np.sqrt((ratio + n - 1) / n))


def _centre(halves: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Return the means of chains, and write the draws less the mean of their chain."""
    means = halves.mean(axis=2)
    np.subtract(halves, means[..., None], out=out)
    return np.asarray(means)


def _check(block: np.ndarray) -> tuple[_Columns, np.ndarray]:
    """Return R-hat and ESS of usable rows (row, chain, draw), and all draws in order, (row, sample)."""
    rows, chains, _ = block.shape
    halves = split(block)
    work, scores, ordered, unused = (scratch(name, halves.shape) for name in ("work", "scores", "ordered", "unused"))
    flat = (rows, -1)
    normal_scores(halves.reshape(flat), scores.reshape(flat), ordered.reshape(flat))
    inorder = ordered.reshape(flat)
    low, high, middle = inorder[:, 0], inorder[:, -1], median_of_ordered(inorder)
    means = _centre(scores, scores)
    found = {"r_hat": np.full(rows, np.nan), "ess_bulk": effective_size(scores, means, low == high)}
    if chains > 1:
        bulk = _r_hat(scores, means)
        np.abs(np.subtract(halves, middle[:, None, None], out=work), out=work)
        normal_scores(work.reshape(flat), scores.reshape(flat), unused.reshape(flat))
        means = _centre(scores, scores)
        found["r_hat"] = np.maximum(bulk, _r_hat(scores, means))
    means = _centre(halves, work)
    found["ess_mean"] = effective_size(work, means, high - low < np.finfo(float).resolution)
    if halves.size < block.size:
        inorder = np.sort(block.reshape(flat), axis=1)
    ends = np.stack([quantile_of_ordered(inorder, prob) for prob in TAILS])
    below = np.less_equal(halves, ends[..., None, None], out=scratch("flags", (len(TAILS), *halves.shape), np.bool_))
    found["ess_tail"] = indicator_size(below.reshape(-1, *halves.shape[1:])).reshape(len(TAILS), rows).min(axis=0)
    return found, inorder


def _describe(flat: np.ndarray, ordered: np.ndarray, kind: str, prob: float) -> _Columns:
    """Return what finite rows (row, sample) say, not yet how far it is to be trusted."""
    mean = flat.mean(axis=1)
    centred = np.subtract(flat, mean[:, None], out=scratch("work", flat.shape))
    positive = np.greater(flat, 0, out=scratch("flags", flat.shape, np.bool_))
    lower, upper = interval_of_ordered(ordered, kind, prob)
    return {
        "mean": mean,
        "median": median_of_ordered(ordered),
        "sd": np.sqrt(np.vecdot(centred, centred) / (flat.shape[1] - 1)),
        "lower": lower,
        "upper": upper,
        "prob_positive": np.bitwise_count(np.packbits(positive, axis=1)).sum(axis=1, dtype=np.int64) / flat.shape[1],
    }


def _moving(flat: np.ndarray) -> np.ndarray:
    """Return which rows are not constant."""
    moving = np.asarray(flat[:, 0] != flat[:, -1])
    alike = np.flatnonzero(~moving)
    moving[alike] = (flat[alike] != flat[alike, :1]).any(axis=1)
    return moving


def _by_kernel(block: np.ndarray, kind: str, prob: float) -> _Columns:
    """Return all columns of one block of rows from `compiled`, and from NumPy of the rows that it leaves out."""
    from mcpbayes.monte_carlo.compiled import summarise_rows

    found, known = summarise_rows(block, kind, prob, TAILS)
    out = {name: found[name] for name in (*_CHECKS, *(_VALUES if kind else ()))}
    if not known.all():
        for name, values in _summarise_block(block[~known], kind, prob).items():
            out[name][~known] = values
    return out


def _summarise_block(block: np.ndarray, kind: str, prob: float) -> _Columns:
    """Return all columns of one block of rows; `kind` "" leaves out the values."""
    flat = block.reshape(len(block), -1)
    finite = np.isfinite(flat, out=scratch("flags", flat.shape, np.bool_)).all(axis=1)
    moving = finite & _moving(flat)
    out = {name: np.full(len(block), np.nan) for name in (*_CHECKS, *(_VALUES if kind else ()))}
    for rows, checked in ((moving, block.shape[2] >= FEWEST_DRAWS), (finite & ~moving, False)):
        if not rows.any():
            continue
        part = block if rows.all() else block[rows]
        samples = part.reshape(len(part), -1)
        found, ordered = _check(part) if checked else ({}, np.sort(samples, axis=1) if kind else samples)
        if kind:
            found |= _describe(samples, ordered, kind, prob)
        for name, values in found.items():
            out[name][rows] = values
    if kind:
        out["mcse_mean"] = np.where(finite & ~moving, 0.0, out["sd"] / np.sqrt(out["ess_mean"]))
    return out


def _in_turn[Result](work: Callable[[int], Result], starts: range) -> list[Result]:
    """Return the results of all blocks, in threads where there are many blocks."""
    return list(in_threads(work, starts) if len(starts) >= _WORTH_THREADS else map(work, starts))


def has_kernel(draws: int) -> bool:
    """Return whether `compiled` takes chains of so many draws: an odd number has one that is in no half."""
    return draws >= FEWEST_DRAWS and draws % 2 == 0


def _summarise(draws: np.ndarray, kind: str = "", prob: float = 0.5, compiled: bool = False) -> _Columns:
    """Walk the rows of (..., chain, draw) block by block, on all cores where there are many."""
    rows = draws.reshape(-1, *draws.shape[-2:])
    step = max(BLOCK // max(rows[:1].size, 1), 1)

    of_block = _by_kernel if compiled and has_kernel(draws.shape[-1]) else _summarise_block

    def work(start: int) -> _Columns:
        return of_block(np.ascontiguousarray(rows[start : start + step], dtype=float), kind, prob)

    parts = _in_turn(work, range(0, len(rows), step))
    names = parts[0] if parts else (*_CHECKS, *(_VALUES if kind else ()))
    return {
        name: np.concatenate([part[name] for part in parts] or [np.empty(0)]).reshape(draws.shape[:-2])
        for name in names
    }


def summarise_draws(
    draws: np.ndarray, interval_kind: str, interval_prob: float, *, compiled: bool = False
) -> dict[str, np.ndarray]:
    """Return all numbers of a summary.

    Parameters
    ----------
    draws : ndarray, shape (..., chain, draw)
    interval_kind, interval_prob
        As `interval`.
    compiled : bool
        Whether to use compiled kernels (`mcpbayes.kernels`): the same numbers to rounding.

    Returns
    -------
    dict of ndarray, shape (...)
        ``mean``, ``median``, ``sd``, ``lower``, ``upper``, ``prob_positive``, ``r_hat``, ``ess_bulk``, ``ess_tail``,
        ``mcse_mean``. All NaN where a draw is not finite; R-hat and ESS as `convergence`, errors as `mcse_mean`.
    """
    found = _summarise(draws, interval_kind, interval_prob, compiled)
    del found["ess_mean"]
    return found


def convergence(draws: np.ndarray, *, compiled: bool = False) -> dict[str, np.ndarray]:
    """Return R-hat and effective sample sizes of blocks of quantities.

    Parameters
    ----------
    draws : ndarray, shape (..., chain, draw)
    compiled : bool
        As `summarise_draws`.

    Returns
    -------
    dict of ndarray, shape (...)
        ``r_hat`` (rank-normalised, split, the larger of the bulk's and the folded draws'), ``ess_bulk``,
        ``ess_tail`` (the smaller of the 5 % and 95 % quantiles') and ``ess_mean``. NaN where draws are constant or not
        finite or fewer than four per chain; R-hat also with a single chain.

    Notes
    -----
    Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021), doi:10.1214/20-BA1221.
    """
    return _summarise(draws, compiled=compiled)


def ess_mean(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size for the mean, also of indicators; shapes and NaN as in `convergence`."""
    shape = draws.shape[:-2]
    rows = draws.reshape(-1, *draws.shape[-2:])
    out = np.full(len(rows), np.nan)
    step = max(BLOCK // max(rows[:1].size, 1), 1)
    for start in range(0, len(rows) if draws.shape[-1] >= FEWEST_DRAWS else 0, step):
        block = np.ascontiguousarray(rows[start : start + step], dtype=float)
        flat = block.reshape(len(block), -1)
        usable = np.isfinite(flat).all(axis=1) & _moving(flat)
        if usable.any():
            halves = split(block[usable])
            still = np.ptp(halves, axis=(1, 2)) < np.finfo(float).resolution
            centred = np.empty_like(halves)
            out[start : start + step][usable] = effective_size(centred, _centre(halves, centred), still)
    return out.reshape(shape)


def mcse_mean(draws: np.ndarray, ess: np.ndarray | None = None) -> np.ndarray:
    """Return the Monte-Carlo standard error of the mean, sd/√ESS; 0 where the draws are constant.

    Parameters
    ----------
    draws : ndarray, shape (..., chain, draw)
        Values or indicators; of an indicator with mean p this is √(p(1−p)/ESS).
    ess : ndarray, shape (...), optional
        ``ess_mean`` where it is known already.
    """
    flat = draws.reshape(*draws.shape[:-2], -1).astype(float)
    constant = (flat == flat[..., :1]).all(axis=-1)
    size = ess_mean(draws) if ess is None else ess
    return np.where(constant, 0.0, flat.std(axis=-1, ddof=1) / np.sqrt(size))


def frequencies(codes: np.ndarray, classes: int) -> np.ndarray:
    """Return the relative frequency of each class along the last axis: (..., sample) → (..., classes)."""
    rows = codes.reshape(-1, codes.shape[-1])
    offset = np.arange(len(rows))[:, None] * classes
    counts = np.bincount((rows + offset).ravel(), minlength=len(rows) * classes)
    return np.asarray(counts / codes.shape[-1]).reshape(*codes.shape[:-1], classes)


def class_frequencies(codes: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the relative frequency of each class and its Monte-Carlo standard error.

    Parameters
    ----------
    codes : ndarray of int, shape (target, chain, draw)
        Classes 0, 1, ..., `classes` − 1.
    classes : int

    Returns
    -------
    probability, mcse : ndarray, shape (target, classes)
        The error is that of `mcse_mean` for the indicator of the class: 0 for classes with no or with all draws, NaN
        with fewer than four draws per chain.
    """
    targets, size = len(codes), codes[:1].size
    step = max(BLOCK // max(size, 1), 1)

    def work(start: int) -> tuple[np.ndarray, np.ndarray]:
        return _class_block(codes[start : start + step].astype(np.int8), classes)

    parts = _in_turn(work, range(0, targets, step))
    probability, mcse = (np.concatenate([part[i] for part in parts] or [np.empty((0, classes))]) for i in range(2))
    return probability, mcse


def _class_block(codes: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return frequencies and errors of one block of targets, whose codes are bytes."""
    targets, _, draws = codes.shape
    size = codes[0].size
    probability = frequencies(codes.reshape(targets, size), classes)
    mcse = np.zeros(probability.shape)
    target, place = np.nonzero((probability > 0) & (probability < 1))
    if draws < FEWEST_DRAWS:
        mcse[target, place] = np.nan
    else:
        p = probability[target, place]
        each = np.take(
            codes, target, axis=0, out=scratch("codes", (len(target), *codes.shape[1:]), np.int8), mode="clip"
        )
        indicator = scratch("flags", each.shape, np.bool_)
        np.equal(each, place.astype(np.int8)[:, None, None], out=indicator)
        ess = indicator_size(split(indicator))
        # The variance of an indicator has the denominator of a sample, as that of other draws.
        mcse[target, place] = np.sqrt(p * (1 - p) * size / (size - 1) / ess)
    return probability, mcse
