"""Shares where necromass is the sum of two pools: integrated over fresh comparisons, since there is no closed form.

Given the effects on both pools of necromass, and the control, the effect on SOC is normal: the probabilities of the
classes along it are exact, and only what is left is averaged over points.
"""

from typing import Final

import numpy as np
import xarray as xr
from scipy.special import ndtr, ndtri

from mcpbayes import vocabulary as words
from mcpbayes.estimands.absolute import ends_of, points_of
from mcpbayes.estimands.blocks import pieces
from mcpbayes.estimands.classes import Tolerances, tolerances
from mcpbayes.estimands.heterogeneity import total_planes
from mcpbayes.estimands.layout import Array, labelled_view
from mcpbayes.estimands.orthants import Ends
from mcpbayes.estimands.parts import effect_of_both
from mcpbayes.estimands.shares import centres
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.walk import control_ratios, table
from mcpbayes.inference.small_matrices import cholesky
from mcpbayes.specification.structure import Scheme
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads

#: Fresh comparisons per draw: the error of one draw's share is below 0.01, root mean square (a test).
COMPARISONS: Final = 128

#: Draws worked on at once.
_BLOCK: Final = 200

#: Steps of the sequence R3 (Roberts 2018, extremelearning.com.au): powers of 1/g with g⁴ = g + 1. Even in 3 dimensions,
#: effects on two pools and a control, where random numbers would have several times the error.
_STEPS: Final = 1.2207440846057596 ** -np.arange(1.0, 4.0)

#: Keeps normals finite, and an effect without any spread a normal.
_EDGE: Final = 1e-12

_POOLS: Final = (*words.PARTS, words.SOC)


def share_of_sum_draws(result: xr.DataTree, asked: xr.Dataset, points: xr.Dataset) -> np.ndarray:
    """Return shares for every draw and point of level new, as `shares.share_draws`, of necromass as the sum of two.

    Parameters
    ----------
    result : DataTree
        With fungal and bacterial necromass and SOC as outcomes, and a control that has all three.
    asked : Dataset
        All targets, of `targets.targets`.
    points : Dataset
        Of `targets.population_points`.

    Returns
    -------
    ndarray, shape (chain, draw, point, 13)
        Averages over `COMPARISONS` fresh comparisons.

    Notes
    -----
    Given a draw of the parameters, a fresh comparison has effects (θ_F, θ_B, θ_C) ~ N(B'x + κ, Σ_total) and a control
    chosen with the weights of level new, whose r₀_F and r₀_B of the same draw say what θ_N of the sum is
    (`parts.effect_of_both`). θ_F, θ_B and the control are points of an even sequence in three dimensions, shifted at
    random anew for each draw (modulo 1), so that every average has the share for its mean; θ_C given these is
    integrated out (`classes_along_soc`).
    """
    posterior, scheme = group(result, words.POSTERIOR), specification(result).scenarios
    middle, mixture = centres(posterior, points, _POOLS)
    outcomes = posterior["outcome"].values.astype(str).tolist()
    three = [outcomes.index(pool) for pool in _POOLS]
    spread = cholesky(total_planes(posterior)[np.ix_(three, three)][None])[0]
    edges, ratio = _controls(result, asked)
    shift = generator(result.attrs["seed"], "share").random((len(_STEPS), middle.shape[-1]))

    def work(start: int) -> Array:
        part = slice(start, start + _BLOCK)
        u = (np.arange(COMPARISONS)[:, None] * _STEPS[:, None, None] + shift[:, None, part]) % 1.0
        departure = np.einsum("ijd,jsd->isd", spread[:, :2, part], ndtri(np.clip(u[:2], _EDGE, 1 - _EDGE)))
        chosen, draws = np.searchsorted(edges, u[2], side="right"), np.arange(u.shape[-1])
        own = np.moveaxis(ratio[..., part][chosen, :, draws], -1, 0)
        found = [
            _average(centre[:, None] + departure, spread[2, 2, part], own, scheme)
            for centre in np.moveaxis(middle[..., part], 1, 0)
        ]
        return np.asarray(np.einsum("pg,gsd->psd", mixture, np.stack(found)))

    shares = np.concatenate(list(in_threads(work, range(0, middle.shape[-1], _BLOCK))), axis=-1)
    return labelled_view(shares, posterior.sizes["chain"])


def _average(theta: Array, sd: Array, ratio: Array, scheme: Scheme) -> Array:
    """Return the probabilities of the 13 classes averaged over comparisons, (13, draw).

    Parameters
    ----------
    theta : ndarray, shape (3, comparison, draw)
        Effects on fungal and bacterial necromass, and the mean of that on SOC given these.
    sd : ndarray, shape (draw,)
        Its standard deviation.
    ratio : ndarray, shape (2, comparison, draw)
        r₀_F and r₀_B.
    scheme : Scheme
    """
    whole, points = ratio.sum(axis=0), points_of(scheme)
    theta_n = effect_of_both(ratio[0] / whole, theta[0], theta[1])
    ends = None if points is None else ends_of(whole, points)
    found = classes_along_soc(theta_n, theta[2], sd, tolerances(scheme), ends)
    return np.stack([found[code].mean(axis=0) for code in words.SCENARIOS])


def classes_along_soc(
    theta_n: Array, mean: Array, sd: Array, eps: Tolerances, ends: Ends | None = None
) -> dict[str, Array]:
    """Return the probability of each class where θ_N is known and θ_C is normal.

    Parameters
    ----------
    theta_n, mean : ndarray, same shape
        θ_N, and the mean of θ_C.
    sd : ndarray
        Standard deviation of θ_C; broadcasts.
    eps : Tolerances
    ends : pair of ndarray, optional
        How far δ may rise and fall, in place of its tolerance.

    Notes
    -----
    The class changes along θ_C at ±ε_C and, where both pools move alike, at θ_N − ε_r and θ_N + ε_r.
    """
    rise, fall = ends or (eps.ratio, eps.ratio)

    def below(soc: Array | float) -> Array:
        return np.asarray(ndtr((soc - mean) / np.maximum(sd, _EDGE)))

    low, high, leads, lags = below(-eps.soc), below(eps.soc), below(theta_n - rise), below(theta_n + fall)
    gain, loss = theta_n > eps.necromass, theta_n < -eps.necromass
    led, behind = np.maximum(leads - high, 0.0), 1.0 - np.maximum(high, lags)
    kept, lost = np.minimum(low, leads), np.maximum(low - lags, 0.0)
    of_gain = {"N+C+r+": led, "N+C+r-": behind, "N+C+r0": np.maximum(1.0 - high - led - behind, 0.0)}
    of_gain |= {"N+C0r+": high - low, "N+C-r+": low}
    of_loss = {"N-C-r+": kept, "N-C-r-": lost, "N-C-r0": np.maximum(low - kept - lost, 0.0)}
    of_loss |= {"N-C0r-": high - low, "N-C+r-": 1.0 - high}
    of_none = {"N0C+r-": 1.0 - high, "N0C0r0": high - low, "N0C-r+": low}
    signs = ((of_gain, gain), (of_loss, loss), (of_none, ~(gain | loss)))
    return {code: np.where(here, p, 0.0) for probabilities, here in signs for code, p in probabilities.items()}


def _controls(result: xr.DataTree, asked: xr.Dataset) -> tuple[Array, Array]:
    """Return the complete controls: upper edges of their probabilities at level new, and r₀_F and r₀_B of each.

    Returns
    -------
    edges : ndarray, shape (control,)
    ratio : ndarray, shape (control, 2, draw)
        Fractions.
    """
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    found = table(data, posterior, asked)
    assert found.controls is not None
    ratio = np.empty((len(found.controls.study), len(words.PARTS), posterior.sizes["chain"] * posterior.sizes["draw"]))
    for block, effects in pieces(data, posterior, found.who, result.attrs["seed"]):
        complete, log_ratio = control_ratios(found, block, effects("baseline"))
        ratio[complete] = np.exp(log_ratio)
    usable = np.flatnonzero(found.controls.weight)
    edges = np.cumsum(found.controls.weight[usable])
    return edges / edges[-1], ratio[usable]
