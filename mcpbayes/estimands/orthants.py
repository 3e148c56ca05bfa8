"""Exact probabilities of the scenario classes where the pair of effects is bivariate normal, by Owen's T function."""

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr, owens_t

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import Tolerances
from mcpbayes.estimands.layout import Array

#: How far δ may rise and fall without counting as a change, where that is not ±ε_r: numbers or arrays that broadcast.
Ends = tuple[float | Array, float | Array]

#: Stands for a mean exactly at a limit: on its lower side, as "beyond" is strict, which matters where nothing varies.
_AT_LIMIT: Final = -1e-100


class _Half(NamedTuple):
    """A half-plane U > 0: mean and variance of U, mean over standard deviation, probability."""

    mean: Array
    variance: Array
    place: Array
    probability: Array


def _half(mean: Array, variance: Array) -> _Half:
    mean = np.where(mean == 0, _AT_LIMIT, mean)
    with np.errstate(divide="ignore"):
        place = mean / np.sqrt(variance)
    return _Half(mean, variance, place, np.asarray(ndtr(place)))


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
    return _both(_half(mean[0], variance[0]), _half(mean[1], variance[1]), covariance)


def _both(u: _Half, v: _Half, covariance: Array) -> Array:
    """Return the probability of being in both half-planes, as `upper_orthant`."""
    root = np.sqrt(np.maximum(u.variance * v.variance - covariance**2, 0.0))
    total = np.where((u.mean > 0) == (v.mean > 0), 0.0, -0.5)
    total = total + (u.probability + v.probability) / 2
    for own, other in ((u, v), (v, u)):
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            slope = (other.mean * own.variance - own.mean * covariance) / (own.mean * root)
        total -= owens_t(own.place, np.where(np.isnan(slope), 0.0, slope))
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
    limit, spread = (eps.necromass, eps.soc), _spread(sigma)
    rise, fall = ends or (eps.ratio, eps.ratio)
    half, beyond = {}, {}
    for sign, s in ((1, "+"), (-1, "-")):
        n, c = (_half(sign * mean[i] - limit[i], sigma[i, i]) for i in range(2))
        half[f"N{s}"], half[f"C{s}"] = n, c
        beyond[s] = _both(n, c, sigma[0, 1])
        # A loss led by necromass is one where δ falls: the letters turn with the sign.
        ahead = (rise, fall) if sign > 0 else (fall, rise)
        delta = sign * (mean[0] - mean[1])
        lead = (_half(delta - ahead[0], spread), _half(-delta - ahead[1], spread))
        turned = "-" if s == "+" else "+"
        for i, t in ((0, s), (1, turned)):
            implied = np.asarray(limit[i] <= limit[1 - i] + ahead[i])
            at[f"N{s}C{s}r{t}"][...] = _led((n, c)[i], (n, c)[1 - i], lead[i], sigma[0, 1], implied, beyond[s])
        at[f"N{s}C{s}r0"][...] = beyond[s] - at[f"N{s}C{s}r{s}"] - at[f"N{s}C{s}r{turned}"]
    for s, t in (("+", "-"), ("-", "+")):
        at[f"N{s}C{t}r{s}"][...] = _both(half[f"N{s}"], half[f"C{t}"], -sigma[0, 1])
    for s, t in (("+", "-"), ("-", "+")):
        at[f"N{s}C0r{s}"][...] = half[f"N{s}"].probability - beyond[s] - at[f"N{s}C{t}r{s}"]
        at[f"N0C{s}r{t}"][...] = half[f"C{s}"].probability - beyond[s] - at[f"N{t}C{s}r{t}"]
    at["N0C0r0"][...] = 1 - out.sum(axis=0)
    # Differences of probabilities round to a little less than nothing.
    return np.asarray(np.clip(out, 0.0, 1.0, out=out))


def _spread(sigma: Array) -> Array:
    """Return the variance of δ."""
    return np.asarray(np.maximum(sigma[0, 0] + sigma[1, 1] - 2 * sigma[0, 1], 0.0))


def _led(leader: _Half, other: _Half, lead: _Half, covariance: Array, implied: np.ndarray, corner: Array) -> Array:
    """Return P(both pools rise, and one leads): in `corner` and in the half-plane `lead` of that one less the other.

    `implied`: where the leader rises if the other one rises and it leads.
    """
    found = np.zeros(())
    if implied.any():
        found = _both(other, lead, covariance - other.variance)
    if not implied.all():
        whole = _both(leader, lead, leader.variance - covariance)
        found = np.where(implied, found, corner - (leader.probability - whole))
    return found


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
    (rise, fall), spread, delta = ends or (eps.ratio, eps.ratio), _spread(sigma), mean[0] - mean[1]
    above, below = (_half(sign * delta - end, spread).probability for sign, end in ((1, rise), (-1, fall)))
    return np.stack([above, np.maximum(1 - above - below, 0.0), below])
