"""What the sampler leaves out of a two-pool posterior, drawn and labelled, and how much the data told of turnover."""

from typing import Final

import numpy as np
import xarray as xr
from scipy.special import ndtr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.inference.completion import draws_last, labelled, slopes_per_unit
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, build_hierarchy
from mcpbayes.inference.two_pool_arms import draw_baselines
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Prior, Specification
from mcpbayes.streams import generator

#: Units of the variables of group ``posterior``, in the order in which they are kept.
UNITS: Final = {
    "beta": "ln(new / old steady state) (standardised moderators)",
    "beta_per_unit": "ln(new / old steady state) per unit of the moderator",
    "tau_study": "ln ratio",
    "rho_study": "1",
    "tau_site": "ln ratio",
    "rho_site": "1",
    "tau_comparison": "ln ratio",
    "rho_comparison": "1",
    TURNOVER: "per year",
    MU_R: "logit",
    SIGMA_R: "logit",
    "mcp_efficacy_control": "fraction",
    "baseline": "ln({unit})",
    "study_effect": "ln ratio",
    "site_effect": "ln ratio",
    "comparison_effect": "ln ratio",
}

#: Equally probable bins of the prior that `prior_overlap` counts in.
BINS: Final = 20


def complete_two_pools(arms: xr.Dataset, posterior: xr.Dataset, seed: int) -> xr.Dataset:
    """Draw the baselines of the controls from their exact conditional, and attach units.

    Parameters
    ----------
    arms : xarray.Dataset
        Group ``data``.
    posterior : xarray.Dataset
        Of the sampler; dims chain, draw, ...
    seed : int

    Returns
    -------
    xarray.Dataset
        With ``baseline(control, outcome)``, ln N = b + ln r₀ and ln C = b of every control, and ``beta_per_unit``.
    """
    tree = build_hierarchy(arms)
    log_ratio = np.log(draws_last(posterior, "mcp_efficacy_control"))
    effect = _effects(tree, posterior, arms[words.DURATION].values)
    soc = draw_baselines(tree, log_ratio, effect, generator(seed, "two_pool_baselines"))
    baseline = labelled(np.stack([soc + log_ratio, soc], axis=1), posterior, arms, "control", "outcome")
    complete = posterior.assign(baseline=baseline).assign(slopes_per_unit(arms, posterior))
    complete = complete[[name for name in UNITS if name in complete]]
    for name in complete.data_vars:
        complete[name].attrs = {"units": UNITS[str(name)].format(unit=arms.attrs.get("unit", "g/kg"))}
    return complete


def _effects(tree: Hierarchy, posterior: xr.Dataset, years: Array) -> Array:
    """Return θ_N and θ_C of every comparison at its own duration, (comparison, 2, draw)."""
    change = np.einsum("cp,pkd->ckd", tree.design, draws_last(posterior, "beta"))
    change += draws_last(posterior, "study_effect")[tree.study_of_comparison]
    if "site_effect" in posterior:
        change += draws_last(posterior, "site_effect")[tree.site_of_comparison]
    moved = log_pool_change(change, draws_last(posterior, TURNOVER), years[:, None, None])
    pools = moved + draws_last(posterior, "comparison_effect")
    ratio = draws_last(posterior, "mcp_efficacy_control")[tree.control[tree.arm]]
    return np.stack([pools[:, 0], log_soc_change(pools[:, 0], pools[:, 1], ratio)], axis=1)


def prior_overlap(draws: Array, prior: Prior, pool: str) -> float:
    """Return how far posterior and prior of a turnover rate overlap, ∫ min(p, q): near 1 where the data told nothing.

    Parameters
    ----------
    draws : array
        Of k, any shape, per year.
    prior : Prior
        ``lognormal`` or ``fixed``; a fixed rate overlaps entirely.
    pool : str

    Notes
    -----
    Counted in `BINS` equally probable bins of the prior, of which a finer posterior is not resolved; draws of
    the prior itself stay a little below 1, since counts scatter.
    """
    if prior.distribution == "fixed":
        return 1.0
    median, spread = (number(prior, key, pool) for key in ("median", "sd_log"))
    place = ndtr(np.log(np.asarray(draws).ravel() / median) / spread)
    share = np.bincount(np.minimum((place * BINS).astype(int), BINS - 1), minlength=BINS) / place.size
    return float(np.minimum(share, 1 / BINS).sum())


def turnover_note(posterior: xr.Dataset, model: Specification) -> Problem:
    """Return the note on how much of what is said of turnover comes from its prior."""
    prior = model.priors[TURNOVER]
    found = {pool: prior_overlap(posterior[TURNOVER].sel(pool=pool).values, prior, pool) for pool in words.PARTS_OF_SOC}
    shown = ", ".join(f"{100 * share:.0f} % ({pool.replace('_', '-')})" for pool, share in found.items())
    message = (
        f"posterior and prior of the turnover rates k overlap by {shown}: the area that both densities share; near "
        "100 % the table told hardly anything of k, and how much is still to come rests on the prior of k"
    )
    fixed = prior.distribution == "fixed"
    remedy = None if fixed else "mcpbayes forecast DIR --years 10,20,50 --turnover shows what hangs on them."
    return Problem("turnover-overlap", message, "note", remedy=remedy)
