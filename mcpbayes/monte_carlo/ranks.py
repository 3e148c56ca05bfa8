"""Sorted draws, their quantiles and the normal scores of their ranks, for little more than the price of one sort."""

from functools import lru_cache
from typing import Final

import numpy as np
from scipy.special import ndtri

from mcpbayes.monte_carlo.scratch import scratch

_ALL_BUT_SIGN: Final = np.iinfo(np.int64).max


@lru_cache(maxsize=16)
def score_table(size: int) -> np.ndarray:
    """Return the normal score of every average rank among `size` draws, at twice the rank (from 0), read-only.

    Notes
    -----
    Φ⁻¹((rank − 3/8)/(size + 1/4)) with ranks from 1. The rank of a tie is half-integer at worst, hence twice.
    """
    table = np.asarray(ndtri((np.arange(2 * size - 1) / 2 + 1 - 0.375) / (size + 0.25)))
    table.flags.writeable = False
    return table


def _places(rows: np.ndarray) -> np.ndarray:
    """Return positions in the raveled array that sort each row, up to values that agree in their leading bits.

    Sorting integers made of a draw's leading bits and its position costs a third of ``argsort``.
    """
    count, size = rows.shape
    bits = max(size - 1, 1).bit_length()
    # Adding zero copies and makes −0 equal to 0. Flipping all bits but the sign orders negative floats as integers.
    keys = scratch("keys", rows.shape, np.int64)
    np.add(rows, 0.0, out=keys.view(np.float64))
    sign = np.right_shift(keys, 63, out=scratch("sign", rows.shape, np.int64))
    sign &= _ALL_BUT_SIGN
    keys ^= sign
    keys &= -1 << bits
    keys |= np.arange(size)
    keys.sort(axis=1)
    keys &= (1 << bits) - 1
    keys += size * np.arange(count)[:, None]
    return keys


def normal_scores(rows: np.ndarray, scores: np.ndarray, ordered: np.ndarray) -> None:
    """Write the normal scores of average ranks, and the draws in order, row by row.

    Parameters
    ----------
    rows : ndarray, shape (row, sample)
        Finite, C-contiguous, at least three samples.
    scores, ordered : ndarray, shape (row, sample)
        Overwritten; C-contiguous, none of them `rows`.

    Notes
    -----
    Rows whose gathered draws do not increase strictly hold ties (or draws that agree in their leading bits): they are
    ranked anew by ``argsort``. A first pair alone is put right in place, as the two draws next to the median have
    about the same distance from it, which makes the first pair of folded draws.
    """
    table = score_table(rows.shape[1])
    places = _places(rows)
    # Any mode but the default works without a buffer.
    rows.reshape(-1).take(places, out=ordered, mode="wrap")
    each = scratch("sign", rows.shape)
    each[:] = table[::2]
    # Flat and repeated: broadcasting here takes twice as long.
    scores.reshape(-1)[places.reshape(-1)] = each.reshape(-1)
    increasing = np.greater(
        ordered[:, 1:], ordered[:, :-1], out=scratch("flags", (len(rows), rows.shape[1] - 1), np.bool_)
    )
    tied = ~increasing[:, 1:].all(axis=1) | (ordered[:, 0] >= ordered[:, 2])
    pair = np.flatnonzero(~increasing[:, 0] & ~tied)
    if pair.size:
        equal = ordered[pair, 0] == ordered[pair, 1]
        scores.reshape(-1)[places[pair, 0]] = table[np.where(equal, 1, 2)]
        scores.reshape(-1)[places[pair, 1]] = table[np.where(equal, 1, 0)]
        ordered[pair, :2] = ordered[pair, 1::-1]
    if tied.any():
        scores[tied], ordered[tied] = _scores_of_ties(rows[tied], table)


def _scores_of_ties(rows: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and ordered draws, ties sharing their average rank."""
    n = rows.shape[1]
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    edge = np.ones((len(rows), n + 1), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=edge[:, 1:-1])
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(edge[:, :-1], place, 0), axis=1)
    last = np.minimum.accumulate(np.where(edge[:, 1:], place, n)[:, ::-1], axis=1)[:, ::-1]
    scores = np.empty_like(ordered)
    np.put_along_axis(scores, order, table[first + last], axis=1)
    return scores, ordered


def quantile_of_ordered(ordered: np.ndarray, prob: float) -> np.ndarray:
    """Return a quantile along the sorted last axis, as ``numpy.quantile`` does; NaN where a draw is NaN."""
    size = ordered.shape[-1]
    at = (size - 1) * prob
    below = min(int(at), size - 1)
    low, high, part = ordered[..., below], ordered[..., min(below + 1, size - 1)], at - below
    # Written from the nearer end, so that the same rounding decides which draws lie below the quantile.
    found = high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part
    return np.where(np.isnan(ordered[..., -1]), np.nan, found)


def median_of_ordered(ordered: np.ndarray) -> np.ndarray:
    """Return the median along the sorted last axis, as ``numpy.median`` does."""
    size = ordered.shape[-1]
    return np.asarray((ordered[..., (size - 1) // 2] + ordered[..., size // 2]) / 2)


def interval_of_ordered(ordered: np.ndarray, kind: str, prob: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lower and upper end of a credible interval of sorted draws; see `monte_carlo.interval`."""
    if kind == "eti":
        return quantile_of_ordered(ordered, (1 - prob) / 2), quantile_of_ordered(ordered, (1 + prob) / 2)
    if kind != "hdi":
        raise ValueError(f"interval kind must be 'eti' or 'hdi', not {kind!r}")
    inside = int(np.floor(prob * ordered.shape[-1]))
    widths = ordered[..., inside:] - ordered[..., : ordered.shape[-1] - inside]
    start = np.argmin(widths, axis=-1)[..., None]
    ends = [np.take_along_axis(ordered, at, axis=-1)[..., 0] for at in (start, start + inside)]
    absent = np.isnan(ordered[..., -1])
    return np.where(absent, np.nan, ends[0]), np.where(absent, np.nan, ends[1])
