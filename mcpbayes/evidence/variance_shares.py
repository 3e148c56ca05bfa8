"""How much of what is not known of ΔMCP is doubt about the conversion factors of amino sugars."""

import json
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.tree import group, has_two_pools
from mcpbayes.inference.conversion import FACTORS, K_F
from mcpbayes.monte_carlo.summaries import mcse_mean
from mcpbayes.tables.part_arms import of_parts

#: Columns of `variance_shares`.
SHARES: Final = ("level", "name", "quantity", "sd", "share_q", "share_k_F", "share")

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


def share_of_scale(draws: Array, scale: Array) -> float:
    """Return the variance that a factor with a value in each draw brings within worlds, not below 0.

    Parameters
    ----------
    draws, scale : ndarray, shape (world, chain, draw)

    Notes
    -----
    The mean of the draws of a world given the factor is taken to be linear in it, which it is where the factor scales
    them or leaves them alone. The square of the slope is too large by that of its error.
    """
    x = scale - scale.mean(axis=(1, 2), keepdims=True)
    y = draws - draws.mean(axis=(1, 2), keepdims=True)
    spread = (x**2).mean(axis=(1, 2))
    slope = np.divide((x * y).mean(axis=(1, 2)), spread, out=np.zeros_like(spread), where=spread > 0)
    error = mcse_mean(y - slope[:, None, None] * x) ** 2  # of slope √spread
    return max(float((slope**2 * spread - np.where(spread > 0, error, 0.0)).mean()), 0.0)


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
        of the draws of one world, which scales Δr alone, and ``share``, their sum. Empty where no worlds carry factors,
        where fungal and bacterial necromass are pools of their own, which do not hang on q, and of two pools over time,
        whose ΔMCP hangs on the year.

    Notes
    -----
    Law of total variance: Var(x) = Var(E[x | q, k_F]) + E[Var(x | q, k_F)], and the share is the first term's. E[x | q]
    is the mean of a world; given a world x is linear in k_F. Monte-Carlo error of both is subtracted, shares below 0
    are shown as 0. k_F differs between worlds too, since q = k_B/k_F − …; that part counts as q's. Where worlds differ
    in another doubt as well, only the part of their means that is linear in ln q counts.
    """
    carried = FACTORS in json.loads(result.attrs.get("worlds_values", "{}"))
    if not carried or of_parts(group(result, words.DATA)) or has_two_pools(result):
        return pd.DataFrame(columns=SHARES)
    posterior, change = group(result, words.POSTERIOR), group(result, words.DELTA_MCP)
    every, worlds = json.loads(result.attrs["worlds_values"]), worlds_of(posterior)
    values = None if len(every) == 1 else np.log(every[FACTORS])
    shape = (worlds, -1, posterior.sizes["draw"])
    k_f = posterior[K_F].transpose("chain", "draw").values.reshape(shape)
    rows = []
    for place in np.flatnonzero(change["level"].values == words.MEAN):
        for quantity in (name for name in _QUANTITIES if name in change):
            draws = change[quantity].isel(target=place).transpose("chain", "draw").values.reshape(shape)
            if not np.isfinite(draws).all():
                continue  # no r0, so no absolute change
            total = float(draws.var())
            q, scale = share_of_worlds(draws, values) / total, share_of_scale(draws, k_f) / total
            name = str(change["name"].values[place])
            rows.append((words.MEAN, name, quantity, total**0.5, q, scale, q + scale))
    return pd.DataFrame(rows, columns=SHARES)
