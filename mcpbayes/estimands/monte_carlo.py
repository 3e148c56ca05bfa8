"""What a set of draws says and how far it is to be trusted: intervals, R-hat, ESS, Monte-Carlo errors.

The definitions are those of `arviz_stats` (tests hold the two together to rounding). They are written out here because
a result has thousands of derived quantities, each with its own R-hat and ESS: on whole blocks of quantities they cost
a third of the time, and ArviZ need not be imported.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.fft import irfft, rfft
from scipy.special import ndtri

#: Quantiles whose ESS is the tail ESS (Vehtari et al. 2021, doi:10.1214/20-BA1221).
TAILS: Final = (0.05, 0.95)

#: Rows worked on at once: 128 rows of 4000 draws fill a processor's cache, not its memory.
CHUNK: Final = 128

#: Fewest draws per chain for which R-hat and ESS are defined.
FEWEST_DRAWS: Final = 4


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
    if kind == "eti":
        ends = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=-1)
        return ends[0], ends[1]
    if kind != "hdi":
        raise ValueError(f"interval kind must be 'eti' or 'hdi', not {kind!r}")
    ordered = np.sort(draws, axis=-1)
    inside = int(np.floor(prob * draws.shape[-1]))
    widths = ordered[..., inside:] - ordered[..., : draws.shape[-1] - inside]
    start = np.argmin(widths, axis=-1)[..., None]
    ends = [np.take_along_axis(ordered, at, axis=-1)[..., 0] for at in (start, start + inside)]
    absent = np.isnan(ordered[..., -1])
    return np.where(absent, np.nan, ends[0]), np.where(absent, np.nan, ends[1])


def _split(draws: np.ndarray) -> np.ndarray:
    """Cut every chain in two halves: (row, chain, draw) → (row, 2 chain, draw // 2)."""
    half = draws.shape[-1] // 2
    return np.concatenate([draws[..., :half], draws[..., -half:]], axis=-2)


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """Replace draws by the normal scores of their average ranks, row by row."""
    flat = draws.reshape(len(draws), -1)
    n = flat.shape[1]
    # The rank of a tie is half-integer at worst, so twice the rank (from 0) addresses a table of scores.
    scores = ndtri((np.arange(2 * n - 1) / 2 + 1 - 0.375) / (n + 0.25))
    order = np.argsort(flat, axis=1)
    ordered = np.take_along_axis(flat, order, axis=1)
    edge = np.ones((len(flat), n + 1), dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=edge[:, 1:-1])
    out = np.empty_like(ordered)
    if edge.all():
        np.put_along_axis(out, order, scores[None, ::2], axis=1)
        return out.reshape(draws.shape)
    place = np.arange(n)
    first = np.maximum.accumulate(np.where(edge[:, :-1], place, 0), axis=1)
    last = np.minimum.accumulate(np.where(edge[:, 1:], place, n)[:, ::-1], axis=1)[:, ::-1]
    np.put_along_axis(out, order, scores[first + last], axis=1)
    return out.reshape(draws.shape)


def _r_hat(draws: np.ndarray) -> np.ndarray:
    """Return the potential scale reduction of rows of chains that are already split and transformed."""
    n = draws.shape[-1]
    between = n * draws.mean(axis=2).var(axis=1, ddof=1)
    within = draws.var(axis=2, ddof=1).mean(axis=1)
    # Chains that do not move at all although they differ: R-hat is infinite.
    ratio = np.divide(between, within, out=np.full_like(between, np.inf), where=within > 0)
    return np.asarray(np.sqrt((ratio + n - 1) / n))


def _ess(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size of rows of split chains by Geyer's initial monotone sequence."""
    rows, chains, n = draws.shape
    size = chains * n
    length = 2 ** (2 * n - 1).bit_length()
    means = draws.mean(axis=2)
    spectrum = rfft(draws - means[..., None], n=length, axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).mean(axis=1)
    autocovariance = irfft(power, n=length, axis=-1)[:, :n] / n
    variance = autocovariance[:, 0] * n / (n - 1)
    total = autocovariance[:, 0] + means.var(axis=1, ddof=1)
    flat = np.ptp(draws.reshape(rows, -1), axis=1) < np.finfo(float).resolution
    total = np.where(flat, 1.0, total)
    rho = 1 - (variance[:, None] - autocovariance) / total[:, None]
    rho[:, 0] = 1.0
    pairs = rho[:, : n // 2 * 2].reshape(rows, -1, 2).sum(axis=2)
    most = max((n - 3) // 2, 0)
    positive = np.logical_and.accumulate(pairs[:, : most + 1] > 0, axis=1)
    kept = np.minimum(positive.sum(axis=1), most)
    falling = np.minimum.accumulate(pairs, axis=1)
    within = np.arange(pairs.shape[1]) < kept[:, None]
    even = rho[np.arange(rows), 2 * kept]
    even = np.where((even > 0) | (pairs[np.arange(rows), kept] >= 0), even, 0.0)
    tau = -1 + 2 * np.where(within, falling, 0.0).sum(axis=1) + even
    return np.where(flat, float(size), size / np.maximum(tau, 1 / np.log10(size)))


def _usable(rows: np.ndarray) -> np.ndarray:
    """Return which rows are finite and not constant; R-hat and ESS of the others are not defined."""
    flat = rows.reshape(len(rows), -1)
    return np.asarray(np.isfinite(flat).all(axis=1) & (flat != flat[:, :1]).any(axis=1))


def _in_chunks(function: Callable[[np.ndarray], np.ndarray], draws: np.ndarray, results: int) -> np.ndarray:
    """Apply a function (row, chain, draw) → (result, row) to the usable rows; the others give NaN."""
    shape = draws.shape[:-2]
    rows = draws.reshape(-1, *draws.shape[-2:])
    out = np.full((results, len(rows)), np.nan)
    for start in range(0, len(rows) if draws.shape[-1] >= FEWEST_DRAWS else 0, CHUNK):
        block = rows[start : start + CHUNK].astype(float)
        usable = _usable(block)
        if usable.any():
            out[:, start : start + CHUNK][:, usable] = function(block[usable])
    return out.reshape(results, *shape)


def _diagnose_rows(block: np.ndarray) -> np.ndarray:
    halves = _split(block)
    scores = _normal_scores(halves)
    ends = np.quantile(block, TAILS, axis=(1, 2))[..., None, None]
    tails = [_ess(_split((block <= end).astype(float))) for end in ends]
    scale = np.full(len(block), np.nan)
    if block.shape[1] > 1:
        folded = _normal_scores(np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True)))
        scale = np.maximum(_r_hat(scores), _r_hat(folded))
    return np.stack([scale, _ess(scores), np.minimum(*tails), _ess(halves)])


def convergence(draws: np.ndarray) -> dict[str, np.ndarray]:
    """Return R-hat and effective sample sizes of blocks of quantities.

    Parameters
    ----------
    draws : ndarray, shape (..., chain, draw)

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
    return dict(zip(("r_hat", "ess_bulk", "ess_tail", "ess_mean"), _in_chunks(_diagnose_rows, draws, 4), strict=True))


def ess_mean(draws: np.ndarray) -> np.ndarray:
    """Return the effective sample size for the mean, also of indicators; shapes and NaN as in `convergence`."""
    return np.asarray(_in_chunks(lambda block: _ess(_split(block))[None], draws, 1)[0])


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
