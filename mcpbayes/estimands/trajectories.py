"""Two pools after a change of management: how far necromass and SOC have moved by any year, in closed form."""

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import classify_effects
from mcpbayes.specification.structure import Scheme

#: The two pools of which SOC is the sum; necromass is the first.
NON_MICROBIAL = "non_microbial"
POOLS = (words.NECROMASS, NON_MICROBIAL)

#: SOC before the change, g per kg: only the size of the pools hangs on it, no effect does.
SOC_BEFORE = 20.0


def log_pool_change(log_change: np.ndarray, rate: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Return the log ratio of a pool to its old steady state, so many years after the change of management.

    Parameters
    ----------
    log_change : ndarray
        a = ln(new / old steady state).
    rate : ndarray
        k, turnover rate per year, not negative.
    years : ndarray
        t, not negative; all three broadcast.

    Returns
    -------
    ndarray
        ln f(t), f(t) = 1 + (e^a − 1)(1 − e^(−kt)): a pool with first-order losses whose input or rate of loss changed
        once. 0 at t = 0, a for t → ∞.
    """
    return np.asarray(np.log1p(np.expm1(log_change) * -np.expm1(-np.asarray(rate) * years)))


def log_soc_change(necromass: np.ndarray, non_microbial: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Return the log ratio of SOC from those of its two pools.

    Parameters
    ----------
    necromass, non_microbial : ndarray
        ln f_N and ln f_P.
    ratio : ndarray
        r₀, necromass share of SOC before the change, between 0 and 1; all three broadcast.

    Returns
    -------
    ndarray
        θ_C = ln(r₀ f_N + (1 − r₀) f_P).
    """
    gain = ratio * np.expm1(necromass) + (1 - np.asarray(ratio)) * np.expm1(non_microbial)
    return np.asarray(np.log1p(gain))


def trajectories(parameters: xr.Dataset, years: np.ndarray, scheme: Scheme) -> xr.Dataset:
    """Return what the two pools do year by year, labelled.

    Parameters
    ----------
    parameters : Dataset
        ``log_change(scenario, pool)``, ``turnover_rate(scenario, pool)`` per year and
        ``mcp_efficacy_control(scenario)``, with ``pool`` as `POOLS`.
    years : ndarray, shape (year,)
        Since the change of management.
    scheme : Scheme
        For the class of every year.

    Returns
    -------
    Dataset
        The parameters and, over (scenario, year): ``necromass``, ``soc`` (g per kg, SOC starting at `SOC_BEFORE`),
        ``mcp_efficacy`` (fraction), ``effect(scenario, year, outcome)`` (θ_N, θ_C), ``log_delta_mcp`` (δ) and
        ``scenario_at``, the code of the class.
    """
    year = xr.DataArray(np.asarray(years, dtype=float), dims="year")
    log_change, rate = (parameters[name].sel(pool=list(POOLS)) for name in ("log_change", "turnover_rate"))
    pools = xr.apply_ufunc(log_pool_change, log_change, rate, year).transpose("scenario", "year", "pool")
    ratio = parameters["mcp_efficacy_control"]
    theta_n = pools.sel(pool=words.NECROMASS, drop=True)
    theta_c = xr.apply_ufunc(log_soc_change, theta_n, pools.sel(pool=NON_MICROBIAL, drop=True), ratio)
    codes = np.array(words.SCENARIOS, dtype=object)[classify_effects(theta_n.values, theta_c.values, scheme)]
    effect = xr.concat([theta_n, theta_c], dim="outcome").transpose("scenario", "year", "outcome")
    return parameters.assign(
        necromass=SOC_BEFORE * ratio * np.exp(theta_n),
        soc=SOC_BEFORE * np.exp(theta_c),
        mcp_efficacy=ratio * np.exp(theta_n - theta_c),
        effect=effect,
        log_delta_mcp=theta_n - theta_c,
        scenario_at=(("scenario", "year"), codes),
    ).assign_coords(year=year.values, outcome=[words.NECROMASS, words.SOC])
