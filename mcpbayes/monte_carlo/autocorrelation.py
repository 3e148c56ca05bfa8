"""Effective sample sizes from autocovariances, lag by lag: chains that mix well need a handful of lags only.

Geyer's initial monotone sequence ends at the first pair of lags whose autocorrelations do not sum to more than zero:
lags are worked out in stages for the rows that have not come to their end; the rest goes through a Fourier transform.
Indicators (a draw lies in a class, or below a quantile) are packed 64 to a word: the lagged product is an ``and``.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.fft import irfft, rfft

from mcpbayes.monte_carlo.scratch import scratch

#: Bits of a word.
WORD: Final = 64

#: Lags worked out directly, stage by stage; all below the 64 bits of a word.
STAGES: Final = (6, 16, 40)


def split(draws: np.ndarray) -> np.ndarray:
    """Cut every chain in two halves, a middle draw left out: (row, chain, draw) → (row, 2 chain, draw // 2)."""
    rows, chains, n = draws.shape
    half = n // 2
    if n % 2 == 0:
        return draws.reshape(rows, 2 * chains, half)
    return np.stack([draws[..., :half], draws[..., -half:]], axis=2).reshape(rows, 2 * chains, half)


def effective_size(centred: np.ndarray, means: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Return the effective sample size of the mean of split chains.

    Parameters
    ----------
    centred : ndarray, shape (row, chain, draw)
        Draws minus the mean of their chain.
    means : ndarray, shape (row, chain)
    flat : ndarray of bool, shape (row,)
        Rows without any variation; as if independent.

    Returns
    -------
    ndarray, shape (row,)
    """
    n = centred.shape[2]

    def lagged(rows: np.ndarray, lags: range) -> np.ndarray:
        here = centred
        if len(rows) < len(centred):
            here = scratch("left", (len(rows), *centred.shape[1:]))
            np.take(centred, rows, axis=0, out=here, mode="clip")
        products = np.empty((len(lags), *here.shape[:2]))
        for place, k in enumerate(lags):
            np.vecdot(here[..., k:], here[..., : n - k], out=products[place])
        return np.asarray(products.mean(axis=2).T / n)

    return _in_stages(lagged, lambda rows: _by_fourier(centred[rows]), means, flat, centred.shape)


def indicator_size(indicator: np.ndarray) -> np.ndarray:
    """Return the effective sample size of the mean of indicators, shape (row,).

    Parameters
    ----------
    indicator : ndarray of bool, shape (row, chain, draw)
        Split chains.
    """
    n = indicator.shape[2]
    words = _packed(indicator)
    counts = np.bitwise_count(words).sum(axis=0, dtype=np.int64)
    means = counts / n
    last = _last_word(words, n)

    def lagged(rows: np.ndarray, lags: range) -> np.ndarray:
        lag = np.array(lags, dtype=np.uint64)[:, None, None]
        whole_chain, mean = words[:, rows], means[rows]
        both = _coincidences(whole_chain, lag)
        # Ones among the first n - k draws and among the last n - k; NumPy shifts by 64 bits to zero.
        first_k = np.bitwise_count(whole_chain[0] << (WORD - lag)).astype(np.int64)
        last_k = np.bitwise_count(last[rows] >> (WORD - lag)).astype(np.int64)
        ends = 2 * counts[rows] - first_k - last_k
        products = both - mean * ends + (n - lag.astype(np.int64)) * mean**2
        return np.asarray(products.mean(axis=2).T / n)

    def whole(rows: np.ndarray) -> np.ndarray:
        return _by_fourier(indicator[rows] - means[rows][..., None])

    total = counts.sum(axis=1)
    flat = (total == 0) | (total == n * indicator.shape[1])
    return _in_stages(lagged, whole, means, flat, indicator.shape)


def _in_stages(
    lagged: Callable[[np.ndarray, range], np.ndarray],
    whole: Callable[[np.ndarray], np.ndarray],
    means: np.ndarray,
    flat: np.ndarray,
    shape: tuple[int, ...],
) -> np.ndarray:
    """Return effective sizes from autocovariances (row, lag), of some lags and, for rows not finished, of all."""
    _, chains, n = shape
    size = chains * n
    tau = np.ones(len(flat))
    between = means.var(axis=1, ddof=1)
    left = np.flatnonzero(~flat)
    known = np.empty((len(left), 0))
    for stop in STAGES:
        if stop >= n or not left.size:
            break
        known = np.concatenate([known, lagged(left, range(known.shape[1], stop))], axis=1)
        time, done = _correlation_time(known, between[left], n)
        tau[left[done]] = time[done]
        left, known = left[~done], known[~done]
    if left.size:
        tau[left], _ = _correlation_time(whole(left), between[left], n)
    return np.where(flat, float(size), size / np.maximum(tau, 1 / np.log10(size)))


def _correlation_time(autocovariance: np.ndarray, between: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return Geyer's τ from the first lags, and where these were enough.

    Parameters
    ----------
    autocovariance : ndarray, shape (row, lag)
        Averaged over chains; an even number of lags, or all.
    between : ndarray, shape (row,)
        Variance of the chains' means.
    n : int
        Draws per chain.
    """
    lags = autocovariance.shape[1]
    variance = autocovariance[:, 0] * n / (n - 1)
    total = autocovariance[:, 0] + between
    rho = 1 - (variance[:, None] - autocovariance) / total[:, None]
    rho[:, 0] = 1.0
    pairs = rho[:, : lags // 2 * 2].reshape(len(rho), -1, 2).sum(axis=2)
    most = max((n - 3) // 2, 0)
    positive = np.logical_and.accumulate(pairs[:, : most + 1] > 0, axis=1)
    kept = np.minimum(positive.sum(axis=1), most)
    done = kept < pairs.shape[1]
    end = np.minimum(kept, pairs.shape[1] - 1)
    falling = np.minimum.accumulate(pairs, axis=1)
    within = np.arange(pairs.shape[1]) < kept[:, None]
    row = np.arange(len(rho))
    even = rho[row, 2 * end]
    even = np.where((even > 0) | (pairs[row, end] >= 0), even, 0.0)
    return -1 + 2 * np.where(within, falling, 0.0).sum(axis=1) + even, done


def _by_fourier(centred: np.ndarray) -> np.ndarray:
    """Return the autocovariance at all lags, averaged over chains: (row, chain, draw) → (row, draw)."""
    n = centred.shape[2]
    length = 2 ** (2 * n - 1).bit_length()
    spectrum = rfft(centred, n=length, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    return np.asarray(irfft(power, n=length, axis=-1)[:, :n] / n)


def _packed(indicator: np.ndarray) -> np.ndarray:
    """Return indicators as bits, the first draw lowest, with at least one word of zeros behind: (word, row, chain)."""
    packed = np.packbits(indicator, axis=2, bitorder="little")
    padded = np.zeros((*packed.shape[:2], 8 * (packed.shape[2] // 8 + 2)), dtype=np.uint8)
    padded[..., : packed.shape[2]] = packed
    return np.ascontiguousarray(np.moveaxis(padded.view("<u8"), -1, 0), dtype=np.uint64)


def _last_word(words: np.ndarray, n: int) -> np.ndarray:
    """Return the last 64 of n bits as a word whose highest bit is the last, shape (row, chain)."""
    if n < WORD:
        return np.asarray(words[0] << np.uint64(WORD - n))
    at, offset = divmod(n - WORD, WORD)
    return np.asarray((words[at] >> np.uint64(offset)) | (words[at + 1] << np.uint64(WORD - offset)))


def _coincidences(words: np.ndarray, lag: np.ndarray) -> np.ndarray:
    """Return how often a one is followed by a one `lag` < 64 draws later, shape (lag, row, chain)."""
    out = np.zeros(np.broadcast_shapes(words.shape[1:], lag.shape), dtype=np.int64)
    for here, following in zip(words[:-1], words[1:], strict=True):
        out += np.bitwise_count(((here >> lag) | (following << (WORD - lag))) & here)
    return out
