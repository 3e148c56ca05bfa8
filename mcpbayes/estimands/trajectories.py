"""Two pools after a change of management: how far necromass and SOC have moved by any year, in closed form."""

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import classify_effects
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.structure import Scheme

#: SOC before the change, g per kg: only the size of the pools hangs on it, no effect does.
SOC_BEFORE = 20.0


def trajectories(parameters: xr.Dataset, years: np.ndarray, scheme: Scheme) -> xr.Dataset:
    """Return what the two pools do year by year, labelled.

    Parameters
    ----------
    parameters : Dataset
        ``log_change(scenario, pool)``, ``turnover_rate(scenario, pool)`` per year and
        ``mcp_efficacy_control(scenario)``, with ``pool`` as `vocabulary.PARTS_OF_SOC`.
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
    log_change, rate = (parameters[name].sel(pool=list(words.PARTS_OF_SOC)) for name in ("log_change", "turnover_rate"))
    pools = xr.apply_ufunc(log_pool_change, log_change, rate, year).transpose("scenario", "year", "pool")
    ratio = parameters["mcp_efficacy_control"]
    theta_n = pools.sel(pool=words.NECROMASS, drop=True)
    theta_c = xr.apply_ufunc(log_soc_change, theta_n, pools.sel(pool=words.NON_MICROBIAL, drop=True), ratio)
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
