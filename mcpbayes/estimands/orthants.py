"""Exact probabilities of the scenario classes where the pair of effects is bivariate normal, by Owen's T function."""

from typing import Final

import numpy as np
from scipy.special import ndtr, owens_t

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import Tolerances
from mcpbayes.estimands.layout import Array

#: How far δ may rise and fall without counting as a change, where that is not ±ε_r: numbers or arrays that broadcast.
Ends = tuple[float | Array, float | Array]

#: Stands for a mean exactly at a limit: on its lower side, as "beyond" is strict, which matters where nothing varies.
_AT_LIMIT: Final = -1e-100


def _upper(mean: Array, variance: Array) -> Array:
    """Return P(U > 0)."""
    with np.errstate(divide="ignore"):
        return np.asarray(ndtr(np.where(mean == 0, _AT_LIMIT, mean) / np.sqrt(variance)))


def upper_orthant(mean: tuple[Array, Array], variance: tuple[Array, Array], covariance: Array) -> Array:
    """Return P(U > 0, V > 0) of a bivariate normal pair.

    Parameters
    ----------
    mean, variance : (ndarray, ndarray)
        Of U and of V; variances may be zero.
    covariance : ndarray
        Of U and V; the correlation may be ±1. All arrays broadcast together.

    Returns
    -------
    ndarray
        Accurate to about 1e-15 away from singular covariances. Rounding leaves a determinant of about 1e-16 of its
        terms undecided, so that near the corner of a singular one the error is that of a correlation known to 1e-16.

    Notes
    -----
    With h = μ_U/σ_U, k = μ_V/σ_V and correlation ρ, Φ₂(h, k; ρ) = (Φ(h) + Φ(k))/2 − T(h, (k/h − ρ)/√(1 − ρ²)) −
    T(k, (h/k − ρ)/√(1 − ρ²)) − (1/2 where the signs of h and k differ). Owen (1956), doi:10.1214/aoms/1177728074.
    Multiplied out, the slopes are (μ_V σ²_U − μ_U c)/(μ_U √det), which needs no correlation. Of a singular pair they
    are infinite, or zero where both limits are the same.
    """
    u, v = (np.where(each == 0, _AT_LIMIT, each) for each in mean)
    root = np.sqrt(np.maximum(variance[0] * variance[1] - covariance**2, 0.0))
    total = np.where((u > 0) == (v > 0), 0.0, -0.5)
    for own, other, spread in ((u, v, variance[0]), (v, u, variance[1])):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            place = own / np.sqrt(spread)
            slope = (other * spread - own * covariance) / (own * root)
        total = total + ndtr(place) / 2 - owens_t(place, np.where(np.isnan(slope), 0.0, slope))
    return np.asarray(np.clip(total, 0.0, 1.0))


def class_probabilities(mean: Array, sigma: Array, eps: Tolerances, ends: Ends | None = None) -> Array:
    """Return the probability of each scenario class for normal pairs (θ_N, θ_C).

    Parameters
    ----------
    mean : ndarray, shape (2, ...)
        Of the necromass and the SOC effect.
    sigma : ndarray, shape (2, 2, ...)
        Their covariance, positive semi-definite; broadcasts against the means.
    eps : Tolerances
    ends : pair of float or ndarray, optional
        How far δ may rise and fall, in place of ±ε_r; arrays broadcast against the means.

    Returns
    -------
    ndarray, shape (13, ...)
        In the order of `vocabulary.SCENARIOS`; sums to 1.

    Notes
    -----
    Eight orthants suffice. The nine cells of the signs of θ_N and θ_C come from four and from the margins. Where both
    rise, P(δ > ε_r too) is an orthant of (θ_C, δ) if ε_N ≤ ε_C + ε_r, since the two then imply that θ_N rises;
    otherwise it is the corner less P(θ_N > ε_N, δ ≤ ε_r), which implies that θ_C rises. The same with necromass and
    SOC exchanged, and with all signs turned.
    """
    out = np.zeros((len(words.SCENARIOS), *np.broadcast_shapes(mean.shape[1:], sigma.shape[2:])))
    at = {code: out[place, ...] for place, code in enumerate(words.SCENARIOS)}
    limit, beyond = (eps.necromass, eps.soc), {}
    rise, fall = ends or (eps.ratio, eps.ratio)
    for sign, s in ((1, "+"), (-1, "-")):
        n, c = (sign * mean[i] - limit[i] for i in range(2))
        beyond[f"N{s}"], beyond[f"C{s}"] = _upper(n, sigma[0, 0]), _upper(c, sigma[1, 1])
        corner = upper_orthant((n, c), (sigma[0, 0], sigma[1, 1]), sigma[0, 1])
        ahead = (rise, fall) if sign > 0 else (fall, rise)  # necromass leads a loss in which δ falls
        led = _led(sign * mean, sigma, limit, ahead, corner, (beyond[f"N{s}"], beyond[f"C{s}"]))
        # A loss led by necromass is one where δ falls: the letters turn with the sign.
        at[f"N{s}C{s}r{s}"][...] = led[0]
        at[f"N{s}C{s}r{'-' if s == '+' else '+'}"][...] = led[1]
        at[f"N{s}C{s}r0"][...] = corner - led[0] - led[1]
        beyond[f"N{s}C{s}"] = corner
    for s, t, sign in (("+", "-", 1), ("-", "+", -1)):
        n, c = sign * mean[0] - limit[0], -sign * mean[1] - limit[1]
        at[f"N{s}C{t}r{s}"][...] = upper_orthant((n, c), (sigma[0, 0], sigma[1, 1]), -sigma[0, 1])
    for s, t in (("+", "-"), ("-", "+")):
        at[f"N{s}C0r{s}"][...] = beyond[f"N{s}"] - beyond[f"N{s}C{s}"] - at[f"N{s}C{t}r{s}"]
        at[f"N0C{s}r{t}"][...] = beyond[f"C{s}"] - beyond[f"N{s}C{s}"] - at[f"N{t}C{s}r{t}"]
    at["N0C0r0"][...] = 1 - out.sum(axis=0)
    # Differences of probabilities round to a little less than nothing.
    return np.asarray(np.clip(out, 0.0, 1.0, out=out))


def _led(
    mean: Array,
    sigma: Array,
    limit: tuple[float, float],
    ahead: Ends,
    corner: Array,
    margin: tuple[Array, Array],
) -> tuple[Array, Array]:
    """Return P(both rise, necromass leads) and P(both rise, SOC leads) from P(both rise) and P(each rises).

    A pool leads where its effect less the other's is beyond its entry of `ahead`.
    """
    spread = np.maximum(sigma[0, 0] + sigma[1, 1] - 2 * sigma[0, 1], 0.0)
    found = []
    for leads, follows in ((0, 1), (1, 0)):
        lead = mean[leads] - mean[follows] - ahead[leads]
        implied = np.asarray(limit[leads] <= limit[follows] + ahead[leads])
        both = np.zeros(())
        if implied.any():
            cov = sigma[0, 1] - sigma[follows, follows]
            both = upper_orthant((mean[follows] - limit[follows], lead), (sigma[follows, follows], spread), cov)
        if not implied.all():
            cov = sigma[leads, leads] - sigma[0, 1]
            whole = upper_orthant((mean[leads] - limit[leads], lead), (sigma[leads, leads], spread), cov)
            both = np.where(implied, both, corner - (margin[leads] - whole))
        found.append(both)
    return found[0], found[1]


def change_probabilities(mean: Array, sigma: Array, eps: Tolerances, ends: Ends | None = None) -> Array:
    """Return the probability that δ = θ_N − θ_C lies above its tolerance, within, below.

    Parameters
    ----------
    mean, sigma, eps, ends
        As `class_probabilities`.

    Returns
    -------
    ndarray, shape (3, ...)
        Sums to 1.
    """
    rise, fall = ends or (eps.ratio, eps.ratio)
    spread = np.maximum(sigma[0, 0] + sigma[1, 1] - 2 * sigma[0, 1], 0.0)
    above, below = _upper(mean[0] - mean[1] - rise, spread), _upper(mean[1] - mean[0] - fall, spread)
    return np.stack([above, np.maximum(1 - above - below, 0.0), below])
