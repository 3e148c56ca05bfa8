"""How much of what is not known of ΔMCP is doubt about the conversion factors of amino sugars."""

import json
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.parts import CHANGE_OF_PART, quantity_of_part
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.tree import group, has_two_pools
from mcpbayes.inference.conversion import FACTORS, K_B, K_F
from mcpbayes.monte_carlo.summaries import mcse_mean
from mcpbayes.tables.part_arms import of_parts

#: Columns of `variance_shares`.
SHARES: Final = ("level", "name", "quantity", "sd", "share_q", "share_k_F", "share")
#: The same where fungal and bacterial necromass are pools of their own.
SHARES_OF_PARTS: Final = ("level", "name", "quantity", "sd", "share_rho_b", "share_k", "share")

_QUANTITIES: Final = ("log_delta_mcp", "delta_mcp")

Array = np.ndarray


def share_of_worlds(draws: Array, values: Array | None = None) -> float:
    """Return the variance of the means of worlds, without what chance adds to it, not below 0.

    Parameters
    ----------
    draws : ndarray, shape (world, chain, draw)
    values : ndarray, shape (world,), optional
        Where worlds differ in something else, too: what one doubt is in each; only what is linear in it counts.

    Notes
    -----
    Chance is Monte-Carlo error; with `values` also what else differs between worlds: a slope that is fitted to M means
    takes 1/M of the residual variance, estimated with M − 2 degrees of freedom.
    """
    means, worlds = draws.mean(axis=(1, 2)), len(draws)
    if values is None:
        return max(float(means.var()) - _noise(draws) * (1 - 1 / worlds), 0.0)
    centred = values - values.mean()
    spread = float((centred**2).mean())
    slope = float((centred * means).mean()) / spread
    rest = means - means.mean() - slope * centred
    chance = float((rest**2).mean()) / (worlds - 2) if worlds > 2 else _noise(draws) / worlds
    return max(slope**2 * spread - chance, 0.0)


def _noise(draws: Array) -> float:
    return float((mcse_mean(draws) ** 2).mean())


def share_of_scale(draws: Array, *scales: Array) -> float:
    """Return the variance that factors with a value in each draw bring within worlds, not below 0.

    Parameters
    ----------
    draws : ndarray, shape (world, chain, draw)
    *scales : ndarray, same shape
        One factor, or several.

    Notes
    -----
    The mean of the draws of a world given the factors is taken to be linear in them, which it is where one scales them,
    or leaves them alone. The variance of what is fitted is too large by the error of a mean for each factor.
    """
    x = np.stack([scale - scale.mean(axis=(1, 2), keepdims=True) for scale in scales])
    y = draws - draws.mean(axis=(1, 2), keepdims=True)
    together, with_y = np.einsum("fwcd,gwcd->wfg", x, x), np.einsum("fwcd,wcd->wf", x, y)
    slope = np.einsum("wfg,wg->wf", np.linalg.pinv(together, hermitian=True), with_y)
    fitted = np.einsum("wf,fwcd->wcd", slope, x)
    chance = np.linalg.matrix_rank(together, hermitian=True) * mcse_mean(y - fitted) ** 2
    return max(float(((fitted**2).mean(axis=(1, 2)) - chance).mean()), 0.0)


def variance_shares(result: xr.DataTree) -> pd.DataFrame:
    """Return which share of the posterior variance of ΔMCP is doubt about the conversion factors, at level mean.

    Parameters
    ----------
    result : DataTree
        With group ``delta_mcp``.

    Returns
    -------
    DataFrame
        One row per target at level mean and quantity, ``log_delta_mcp`` (δ) or ``delta_mcp`` (Δr): posterior ``sd``;
        of its variance ``share_q``, from q, which decides what amino sugars say of effects, ``share_k_F``, from the k_F
        of the draws of one world, which scales Δr alone, and ``share``, their sum. Where fungal and bacterial necromass
        are pools of their own, also ``delta_mcp[fungal_necromass]`` and ``delta_mcp[bacterial_necromass]``, what each
        contributes to Δr; and in place of these columns ``share_rho_b``, from the ϱ_b that worlds are strata of, and
        ``share_k``, from the k_F and k_B of the draws of one world. Empty where no worlds carry factors, and of two
        pools over time, whose ΔMCP hangs on the year.

    Notes
    -----
    Law of total variance: Var(x) = Var(E[x | q, k_F]) + E[Var(x | q, k_F)], and the share is the first term's. E[x | q]
    is the mean of a world; given a world x is linear in k_F. Monte-Carlo error of both is subtracted, shares below 0
    are shown as 0. k_F differs between worlds too, since q = k_B/k_F − …; that part counts as q's. Where worlds differ
    in another doubt as well, only the part of their means that is linear in ln q counts.

    With two pools Var(E[x | ϱ_b, k_F, k_B]) takes its place. Given a world k_F scales the fungal part and k_B the
    bacterial one; δ hangs on k_B/k_F, and of it what is linear in both counts.
    """
    apart = of_parts(group(result, words.DATA))
    columns = SHARES_OF_PARTS if apart else SHARES
    if FACTORS not in json.loads(result.attrs.get("worlds_values", "{}")) or has_two_pools(result):
        return pd.DataFrame(columns=columns)
    posterior, change = group(result, words.POSTERIOR), group(result, words.DELTA_MCP)
    every, worlds = json.loads(result.attrs["worlds_values"]), worlds_of(posterior)
    stratum = np.asarray(every[FACTORS]) if apart else np.log(every[FACTORS])
    values = None if len(every) == 1 else stratum
    shape = (worlds, -1, posterior.sizes["draw"])
    scales = [_draws(posterior[name]).reshape(shape) for name in ((K_F, K_B) if apart else (K_F,))]
    rows = []
    for place in np.flatnonzero(change["level"].values == words.MEAN):
        for quantity, variable in _quantities(change.isel(target=place)).items():
            draws = _draws(variable).reshape(shape)
            if not np.isfinite(draws).all():
                continue  # no r0, so no absolute change
            total = float(draws.var())
            between, scale = share_of_worlds(draws, values) / total, share_of_scale(draws, *scales) / total
            name = str(change["name"].values[place])
            rows.append((words.MEAN, name, quantity, total**0.5, between, scale, between + scale))
    return pd.DataFrame(rows, columns=columns)


def _quantities(change: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return what is said of the ratio of one target, by the names of ``summary.csv``."""
    found = {name: change[name] for name in _QUANTITIES if name in change}
    if CHANGE_OF_PART in change:
        found |= {quantity_of_part(part): change[CHANGE_OF_PART].sel(part=part) for part in words.PARTS}
    return found


def _draws(variable: xr.DataArray) -> Array:
    return np.asarray(variable.transpose("chain", "draw").values)
