"""The numbers of `monte_carlo` by compiled kernels: the same definitions, one row of draws in the nearest cache.

Only this module imports numba, and only results of many comparisons import this module (`mcpbayes.kernels`). Sorting
stays with NumPy, whose sort of integers is the fastest at hand; everything after it happens in one pass along a row.
Rows out of the ordinary (ties, constant or infinite draws, chains that hardly move) are left to `monte_carlo`.

All kernels stand in one file: numba keeps machine code until the file of a kernel changes, not that of one it calls.
"""

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from mcpbayes.monte_carlo.ranks import score_table
from mcpbayes.monte_carlo.scratch import scratch

#: Columns of `summarise_rows`.
COLUMNS: Final = (
    "mean",
    "median",
    "sd",
    "lower",
    "upper",
    "prob_positive",
    "r_hat",
    "ess_bulk",
    "ess_tail",
    "ess_mean",
    "mcse_mean",
)

#: Draws sorted at once: their keys fit a core's own cache.
_AT_ONCE: Final = 32_768

#: Lags after which a row is left to the Fourier transform.
_LAGS: Final = 128

_WORD: Final = 64
_RESOLUTION: Final = float(np.finfo(float).resolution)
_SIGN: Final = np.int64(np.iinfo(np.int64).min)
_ALL_BUT_SIGN: Final = np.int64(np.iinfo(np.int64).max)
_EXPONENT: Final = np.int64(0x7FF << 52)

#: Sums may be taken in any order; NaN and infinities keep their meaning.
_REORDER: Final = {"reassoc", "contract", "nsz"}


def _compiled(function: Callable[..., Any]) -> Any:
    """Compile without the interpreter's lock; keep the machine code where there is a place to write it."""
    options: dict[str, Any] = {"nogil": True, "fastmath": _REORDER, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder to write to
        return numba.njit(**options)(function)


def _population_count(typing: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


#: Gives how many bits of a word are one.
_ones: Any = intrinsic(_population_count)


@_compiled
def _write_keys(raw: Any, bits: Any, keys: Any, usable: Any) -> None:
    """Write a draw's leading bits and its place as one integer that orders like the draw, as `ranks` does."""
    high = np.int64(-1) << np.int64(bits)
    for i in range(raw.shape[0]):
        infinite = np.int64(0)
        for j in range(raw.shape[1]):
            key = raw[i, j]
            infinite |= np.int64((key & _EXPONENT) == _EXPONENT)
            key = np.int64(0) if key == _SIGN else key
            key ^= (key >> 63) & _ALL_BUT_SIGN
            keys[i, j] = (key & high) | j
        usable[i] = infinite == 0


@_compiled
def _quantile(ordered: Any, prob: Any) -> Any:
    """Return a quantile of ordered draws, to the last bit as `ranks.quantile_of_ordered`."""
    size = len(ordered)
    at = (size - 1) * prob
    below = int(at)
    low, high, part = ordered[below], ordered[below + 1 if below + 1 < size else below], at - below
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


@_compiled
def _narrowest(ordered: Any, inside: Any) -> Any:
    """Return the first of the narrowest stretches over so many steps of ordered draws."""
    start, least = 0, np.inf
    for i in range(len(ordered) - inside):
        width = ordered[i + inside] - ordered[i]
        if width < least:
            start, least = i, width
    return ordered[start], ordered[start + inside]


@_compiled
def _fold(ordered: Any, keys: Any, low: Any, table: Any, distance: Any, length: Any, scores: Any) -> Any:
    """Write normal scores of |draw − median|; return whether none tie but the first two.

    The distances fall to the left of the median and rise to its right, so merging the two sides ranks them; from both
    ends at once, since each step waits for the one before. Half of the ranks from either end need no more than one
    side has, so that no side runs out. `length` is `distance` read as integers, which order like floats without sign.
    """
    size, half = len(ordered), len(ordered) // 2
    median = (ordered[half - 1] + ordered[half]) / 2
    for i in range(size):
        distance[i] = abs(ordered[i] - median)
    tied = np.int64(0)
    near, far = length[:half], length[half:]
    for i in range(half - 1):
        tied |= np.int64(near[i] <= near[i + 1]) | np.int64(far[i] >= far[i + 1])
    # By arithmetic on signs instead of branches, which nothing could predict. After `rank` steps from the median the
    # next on the right stands rank + 1 places behind the next on the left.
    one, sign, last = np.uint64(1), np.uint64(63), np.uint64(size - 1)
    left, outer, same = np.uint64(half - 1), np.uint64(0), np.int64(0)
    for rank in range(half):
        apart = np.uint64(rank) + one
        step = length[left] - length[left + apart]
        same += np.int64(step == 0)
        on_left = np.uint64(step) >> sign
        scores[np.uint64(keys[left + (apart & (on_left - one))]) & low] = table[2 * rank]
        left -= on_left
        apart = last - np.uint64(rank)
        step = length[outer + apart] - length[outer]
        same += np.int64(step == 0)
        on_left = np.uint64(step) >> sign
        scores[np.uint64(keys[outer + (apart & (on_left - one))]) & low] = table[2 * (size - 1 - rank)]
        outer += on_left
    if length[half - 1] == length[half]:
        same -= 1
        scores[np.uint64(keys[half - 1]) & low] = table[1]
        scores[np.uint64(keys[half]) & low] = table[1]
    return tied == 0 and same == 0


@_compiled
def _centre(values: Any, chains: Any, means: Any) -> Any:
    """Take the mean of their chain from values; return the sum of squares."""
    n = len(values) // chains
    squares = 0.0
    for c in range(chains):
        chain = values[c * n : c * n + n]
        mean = _mean(chain)
        means[c] = mean
        for j in range(n):
            departure = chain[j] - mean
            chain[j] = departure
            squares += departure * departure
    return squares


@_compiled
def _mean(values: Any) -> Any:
    total = 0.0
    for value in values:
        total += value
    return total / len(values)


@_compiled
def _variance(means: Any) -> Any:
    """Return the sample variance."""
    mean, total = _mean(means), 0.0
    for value in means:
        total += (value - mean) ** 2
    return total / (len(means) - 1)


@_compiled
def _r_hat(squares: Any, means: Any, n: Any) -> Any:
    """Return the potential scale reduction, as `monte_carlo._r_hat`."""
    within = squares / len(means) / (n - 1)
    if not within > 0:
        return np.inf
    return np.sqrt((n * _variance(means) / within + n - 1) / n)


@_compiled
def _of_values(centred: Any, chains: Any, n: Any, lag: Any) -> Any:
    """Return the autocovariance at a lag, averaged over chains, of values less the mean of their chain."""
    total = 0.0
    for c in range(chains):
        here, there = centred[c * n : c * n + n - lag], centred[c * n + lag : c * n + n]
        for j in range(n - lag):
            total += here[j] * there[j]
    return total / chains / n


@_compiled
def _of_bits(words: Any, means: Any, n: Any, lag: Any) -> Any:
    """Return the autocovariance of indicators, chain by chain words of bits; `means` are those of the chains."""
    chains = len(means)
    width = len(words) // chains
    over, shift = lag // _WORD, np.uint64(lag % _WORD)
    back, one, total = np.uint64(_WORD) - shift, np.uint64(1), 0.0
    for c in range(chains):
        chain = words[c * width : c * width + width]
        both = np.uint64(0)
        # Chains end in a word of zeros. A word cannot be shifted by all its bits.
        for w in range(width - over - 1):
            later = chain[w + over] >> shift
            if shift:
                later |= chain[w + over + 1] << back
            both += _ones(chain[w] & later)
        ends = np.uint64(0)
        for j in range(lag):
            k = n - 1 - j
            ends += (chain[j // _WORD] >> np.uint64(j % _WORD)) & one
            ends += (chain[k // _WORD] >> np.uint64(k % _WORD)) & one
        # Ones among the first n − lag draws and among the last n − lag.
        mean = means[c]
        total += np.float64(both) - mean * (2 * mean * n - np.float64(ends)) + (n - lag) * mean * mean
    return total / chains / n


@_compiled
def _effective(zeroth: Any, means: Any, n: Any, centred: Any, words: Any) -> Any:
    """Return the effective sample size, lag by lag until Geyer's sequence ends.

    Of indicators where there are words, else of centred values, then NaN where `_LAGS` do not reach; `zeroth` is the
    autocovariance at lag 0 and `means` are those of the chains. The sequence is that of `autocorrelation`.
    """
    chains = len(means)
    variance, total = zeroth * n / (n - 1), zeroth + _variance(means)
    most = (n - 3) // 2 if n > 4 else 0
    least, time, even = np.inf, -1.0, 1.0
    for lag in range(1, n if len(words) else _LAGS):
        product = _of_bits(words, means, n, lag) if len(words) else _of_values(centred, chains, n, lag)
        rho = 1 - (variance - product) / total
        if lag % 2 == 0:
            even = rho
            continue
        if lag // 2 == most or not even + rho > 0:
            if even > 0 or even + rho >= 0:
                time += even
            least = 1 / np.log10(chains * n)
            return chains * n / (time if time > least else least)
        least = even + rho if even + rho < least else least
        time += 2 * least
    return np.nan


@_compiled
def _count(words: Any) -> Any:
    """Return how many bits of words are one."""
    ones = np.uint64(0)
    for word in words:
        ones += _ones(word)
    return np.int64(ones)


@_compiled
def _indicator_size(words: Any, n: Any, means: Any) -> Any:
    """Return the effective sample size of indicators and how many are one; `means` of the chains is overwritten."""
    chains = len(means)
    width = len(words) // chains
    count, zeroth = 0, 0.0
    for c in range(chains):
        ones = _count(words[c * width : c * width + width])
        count += ones
        means[c] = ones / n
        zeroth += means[c] * (1 - means[c])
    if count == 0 or count == chains * n:
        return np.float64(chains * n), count
    return _effective(zeroth / chains, means, n, means, words), count


@_compiled
def _pack(values: Any, turn: Any, limit: Any, words: Any, chains: Any) -> None:
    """Write which values, times ±1, exceed a limit as bits, chain by chain, with a word of zeros behind each."""
    n, width = len(values) // chains, len(words) // chains
    whole = n // _WORD
    for c in range(chains):
        chain, out = values[c * n : c * n + n], words[c * width : c * width + width]
        for w in range(whole):
            some, word = chain[w * _WORD : w * _WORD + _WORD], np.uint64(0)
            for b in range(_WORD):
                word |= np.uint64(turn * some[b] > limit) << np.uint64(b)
            out[w] = word
        some, word = chain[whole * _WORD :], np.uint64(0)
        for b in range(len(some)):
            word |= np.uint64(turn * some[b] > limit) << np.uint64(b)
        out[whole] = word
        out[whole + 1] = 0


@_compiled
def _in_order(row: Any, keys: Any, low: Any, table: Any, ordered: Any, scores: Any) -> Any:
    """Write the draws in order and the normal scores of their ranks; return whether none tie."""
    for rank in range(len(row)):
        place = np.uint64(keys[rank]) & low
        ordered[rank] = row[place]
        scores[place] = table[2 * rank]
    tied = np.int64(0)
    for rank in range(len(row) - 1):
        tied |= np.int64(ordered[rank] >= ordered[rank + 1])
    return tied == 0


@_compiled
def _tail_size(row: Any, ordered: Any, tails: Any, words: Any, means: Any) -> Any:
    """Return the smallest effective sample size of the draws beyond a quantile."""
    least = np.inf
    for prob in tails:
        _pack(row, 1.0, _quantile(ordered, prob), words, len(means))
        size = _indicator_size(words, len(row) // len(means), means)[0]
        least = least if least < size else size
    return least


@_compiled
def _summarise_sorted(
    rows: Any,
    keys: Any,
    low: Any,
    table: Any,
    probs: Any,
    inside: Any,
    work: Any,
    integers: Any,
    means: Any,
    words: Any,
    known: Any,
    out: Any,
) -> None:
    """Write the numbers of rows whose keys are sorted.

    `inside` −1 asks for the ETI; `work` (3, sample), also read as `integers`, `means` (half of a chain) and `words` are
    memory to work in.
    """
    size, chains = rows.shape[1], len(means)
    n = size // chains
    ordered, scores, rest, nothing = work[0], work[1], work[2], words[:0]
    for i in range(rows.shape[0]):
        row, found = rows[i], out[i]
        if not known[i] or not _in_order(row, keys[i], low, table, ordered, scores):
            known[i] = False
            continue
        squares = _centre(scores, chains, means)
        found[6] = _r_hat(squares, means, n)
        found[7] = _effective(squares / size, means, n, scores, nothing)
        if chains > 2:
            known[i] = _fold(ordered, keys[i], low, table, rest, integers[2], scores)
            folded = _r_hat(_centre(scores, chains, means), means, n)
            found[6] = folded if folded > found[6] else found[6]
        else:
            found[6] = np.nan
        found[8] = _tail_size(row, ordered, probs[2:], words, means)
        positive = 0
        for j in range(size):
            rest[j] = row[j]
            positive += row[j] > 0
        squares = _centre(rest, chains, means)
        still = ordered[size - 1] - ordered[0] < _RESOLUTION
        found[9] = size if still else _effective(squares / size, means, n, rest, nothing)
        found[0] = _mean(means)
        found[1] = (ordered[(size - 1) // 2] + ordered[size // 2]) / 2
        found[2] = np.sqrt((squares + n * (chains - 1) * _variance(means)) / (size - 1))
        if inside < 0:
            found[3], found[4] = _quantile(ordered, probs[0]), _quantile(ordered, probs[1])
        else:
            found[3], found[4] = _narrowest(ordered, inside)
        found[5] = positive / size
        found[10] = found[2] / np.sqrt(found[9])
        known[i] &= found[7] + found[8] + found[9] < np.inf


def _width(chains: int, size: int) -> int:
    """Return how many words the bits of chains take, with one of zeros behind each."""
    return chains * (size // chains // _WORD + 2)


def summarise_rows(
    block: np.ndarray, kind: str, prob: float, tails: tuple[float, ...]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the numbers of rows of draws.

    Parameters
    ----------
    block : ndarray, shape (row, chain, draw)
        C-contiguous floats; an even number of draws, four at least.
    kind, prob
        As `monte_carlo.interval`.
    tails : tuple of float
        Quantiles whose ESS is the tail ESS.

    Returns
    -------
    columns : dict of ndarray, shape (row,)
        `COLUMNS`, as `monte_carlo` defines them.
    known : ndarray of bool, shape (row,)
        Rows whose numbers are there; the others want `monte_carlo`.
    """
    count, chains, draws = block.shape
    rows = block.reshape(count, -1)
    size = rows.shape[1]
    bits = (size - 1).bit_length()
    table, probs = score_table(size), np.array([(1 - prob) / 2, (1 + prob) / 2, *tails])
    inside = int(np.floor(prob * size)) if kind == "hdi" else -1
    out, known = np.empty((count, len(COLUMNS))), np.empty(count, dtype=np.bool_)
    work = scratch("work", (3, size))
    words = scratch("words", (_width(2 * chains, size),), np.uint64)
    step = max(_AT_ONCE // size, 1)
    for start in range(0, count, step):
        here = slice(start, min(start + step, count))
        keys = scratch("keys", (here.stop - start, size), np.int64)
        _write_keys(rows[here].view(np.int64), bits, keys, known[here])
        keys.sort(axis=1)
        _summarise_sorted(
            rows[here],
            keys,
            np.uint64((1 << bits) - 1),
            table,
            probs,
            inside,
            work,
            work.view(np.int64),
            np.empty(2 * chains),
            words,
            known[here],
            out[here],
        )
    return dict(zip(COLUMNS, out.T, strict=True)), known


@_compiled
def _write_signs(values: Any, limit: Any, valid: Any, chains: Any, bits: Any) -> None:
    """Write which values lie below −limit, within and above limit, as bits (3, word)."""
    below, within, above = bits[0], bits[1], bits[2]
    _pack(values, -1.0, limit, below, chains)
    _pack(values, 1.0, limit, above, chains)
    for w in range(len(valid)):
        within[w] = valid[w] & ~(below[w] | above[w])


@_compiled
def _count_rows(
    effect: Any,
    pools: Any,
    limits: Any,
    table: Any,
    delta: Any,
    means: Any,
    bits: Any,
    probability: Any,
    mcse: Any,
    change: Any,
) -> None:
    """Write what `count_classes` returns; `delta`, `means` (half of a chain) and `bits` are memory to work in.

    Of `bits` (10 + class, word) the first is for all draws, nine for the signs of θ_N, θ_C and δ.
    """
    size, chains = effect.shape[2], len(means)
    n = size // chains
    valid, masks = bits[0], bits[10:]
    for j in range(size):
        delta[j] = 1.0
    _pack(delta, 1.0, 0.0, valid, chains)
    for i in range(len(effect)):
        theta_n, theta_c = effect[i, pools[0]], effect[i, pools[1]]
        for j in range(size):
            delta[j] = theta_n[j] - theta_c[j]
        _write_signs(theta_n, limits[0], valid, chains, bits[1:4])
        _write_signs(theta_c, limits[1], valid, chains, bits[4:7])
        _write_signs(delta, limits[2], valid, chains, bits[7:10])
        masks[:] = 0
        for key in range(len(table)):
            mask = masks[table[key]]
            first, second, third = bits[1 + key // 9], bits[4 + key // 3 % 3], bits[7 + key % 3]
            for w in range(len(valid)):
                mask[w] |= first[w] & second[w] & third[w]
        for place in range(len(masks)):
            ess, count = _indicator_size(masks[place], n, means)
            p = count / size
            probability[i, place] = p
            # The variance of an indicator has the denominator of a sample, as that of other draws.
            mcse[i, place] = np.sqrt(p * (1 - p) * size / (size - 1) / ess)
        for place in range(3):
            change[i, place] = _count(bits[9 - place]) / size


def count_classes(
    effect: np.ndarray, pools: tuple[int, int], limits: tuple[float, float, float], chains: int, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities and errors of the classes, and what the ratio does, in one pass along the effects.

    Parameters
    ----------
    effect : ndarray, shape (target, K, chain × draw)
        Finite; an even number of draws per chain, four at least.
    pools : (int, int)
        Places of necromass and SOC among the outcomes.
    limits : tuple of float
        Tolerances of necromass, SOC and δ.
    chains : int
    table : ndarray of int, shape (27,)
        Class of the signs of θ_N, θ_C, δ (each + 1) read as a number to the base 3; classes are 0, 1, ...

    Returns
    -------
    probability, mcse : ndarray, shape (target, class)
    change : ndarray, shape (target, 3)
        How often δ lies above its tolerance, within, below.
    """
    shape = (len(effect), int(table.max()) + 1)
    probability, mcse, change = np.empty(shape), np.empty(shape), np.empty((len(effect), 3))
    size = effect.shape[2]
    bits = scratch("words", (10 + shape[1], _width(2 * chains, size)), np.uint64)
    delta, means = scratch("work", (size,)), np.empty(2 * chains)
    _count_rows(effect, pools, limits, table, delta, means, bits, probability, mcse, change)
    return probability, mcse, change
