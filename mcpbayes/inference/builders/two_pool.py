"""The two-pool model in PyMC: trajectories of necromass and of the rest of SOC, seen through arms of known duration.

Flat baselines of SOC are integrated out. Effects enter nonlinearly, so that nothing else has a closed form: the ratio
of every control, effects of studies and sites and the residuals of comparisons are sampled, each as its distance from
where the arms put it (`placing`). Non-centred ones left chains slow where residuals are large, where those of one pool
are large and of the other near zero, and where studies differ far more in one pool than in the other.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.inference.builders import placing, priors
from mcpbayes.inference.builders.algebra import sum_into
from mcpbayes.inference.root import coefficient_prior
from mcpbayes.inference.tree import Hierarchy, build_hierarchy
from mcpbayes.inference.two_pool_arms import MOST_TREATED, observed_arms
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Specification

Tensor = Any  # PyTensor's variables carry no useful static type

#: What was measured, by name, as data of the model or as plain arrays.
Seen = Mapping[str, Any]

#: τ (pool,) of a level and the lower factor of its correlation matrix.
Spread = tuple[Tensor, Any]

_FIXED: Final = f"{TURNOVER}_fixed"
_MEASURED: Final = "measured"


def measured(data: xr.Dataset) -> dict[str, Any]:
    """Return what of a table is data of the model; the rest, who belongs to whom, is its structure."""
    return {_MEASURED: _in_a_row(_seen(data))}


def fixed_rates(model: Specification) -> dict[str, Any]:
    """Return turnover rates that are fixed, per year, which are data of the model too; nothing where they have a prior.

    Models that differ in them share a compiled one.
    """
    prior = model.priors[TURNOVER]
    if prior.distribution != "fixed":
        return {}
    return {_FIXED: np.array([number(prior, "value", pool) for pool in words.PARTS_OF_SOC], dtype=float)}


def measured_without(data: xr.Dataset, study: int) -> dict[str, Any]:
    """Return the same with arms of one study that say nothing: its effects and ratios are then drawn from their prior.

    Parameters
    ----------
    data : xarray.Dataset
        As `build_model`.
    study : int
        Position of the study.
    """
    return {_MEASURED: _in_a_row(_seen_without(data, study))}


def _seen(data: xr.Dataset) -> dict[str, Any]:
    return {**vars(observed_arms(build_hierarchy(data))), "years": data[words.DURATION].values}


def _seen_without(data: xr.Dataset, study: int) -> dict[str, Any]:
    tree, seen = build_hierarchy(data), _seen(data)
    control = tree.study[tree.site] == study
    comparison = tree.study_of_comparison == study
    arm = control[tree.control]
    silent = {"precision": arm, "logit_precision": control, "contrast_precision": comparison}
    for name, here in silent.items():
        seen[name] = np.where(here.reshape(-1, *[1] * (seen[name].ndim - 1)), 0.0, seen[name])
    # Nothing is divided by what such a control knows of its baseline: 0/1 instead of 0/0.
    return seen | {"per_control": np.where(control, 1.0, seen["per_control"])}


def _in_a_row(seen: Seen) -> np.ndarray:
    return np.concatenate([np.ravel(values) for values in seen.values()])


def _hold(seen: Seen) -> dict[str, Tensor]:
    """Add what was measured as one vector of data and return its parts.

    One, because nutpie unrolls a loop over the arrays it hands to the compiled density: nine took 10 s more to compile.
    """
    row, start, parts = pm.Data(_MEASURED, _in_a_row(seen)), 0, {}
    for name, values in seen.items():
        end = start + np.size(values)
        parts[name] = row[start:end].reshape(np.shape(values))
        start = end
    return parts


def build_model(data: xr.Dataset, model: Specification) -> pm.Model:
    """Translate a table with durations and its specification into a PyMC model.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`, family two-pool.
    model : Specification

    Returns
    -------
    pymc.Model
        Named variables as in group ``posterior``, all but ``baseline``; the likelihood is the potential ``arms``.
        What was measured is held as one vector of data (`measured`), and so are fixed turnover rates (`fixed_rates`):
        tables of one structure share a compiled model.
    """
    tree = build_hierarchy(data)
    names = [str(name) for name in data["coefficient"].values]
    coords: dict[str, Any] = {
        "pool": list(words.PARTS_OF_SOC),
        "pair": [words.pair_name(words.PARTS_OF_SOC, 0, 1)],
        **{dim: data[dim].values.astype(str).tolist() for dim in ("coefficient", "study", "control", "comparison")},
    }
    with_sites = data.attrs["level_site"] == "on"
    if with_sites:
        coords["site"] = data["site"].values.astype(str).tolist()
    with pm.Model(coords=coords) as built:
        seen = _hold(_seen(data))
        ratio = _control_ratios(model, seen)
        here = ratio[tree.control[tree.arm]]
        change = pt.dot(tree.design, _coefficients(model, names))
        rates, years, residual = _turnover_rates(model), seen["years"][:, None], _spread("comparison", model)
        told = _told_of_changes(seen, change, rates, years, here, residual)
        change = change + _nested_effects(model, tree, told, with_sites=with_sites)
        moved = log_pool_change(change, rates, years, pt)
        pools = moved + _effects("comparison", residual, _told_by_arms(seen, moved, here))
        effect = [pools[:, 0], log_soc_change(pools[:, 0], pools[:, 1], here, pt)]
        pm.Potential("arms", _log_density(tree, seen, pt.log(ratio), effect))
    return built


def _control_ratios(model: Specification, seen: Seen) -> Tensor:
    """Add r₀ of every control: logit r₀ ~ N(μ_r, σ_r)."""
    middle, spread = model.priors[MU_R], model.priors[SIGMA_R]
    if middle.distribution == "fixed":
        mu = pm.Deterministic(MU_R, pt.as_tensor(number(middle, "value", "")))
    else:
        mu = pm.Normal(MU_R, number(middle, "mean", ""), number(middle, "sd", ""))
    if spread.distribution == "fixed":
        sigma = pm.Deterministic(SIGMA_R, pt.as_tensor(number(spread, "value", "")))
    else:
        sigma = pm.HalfNormal(SIGMA_R, number(spread, "sd", ""))
    standard = placing.placed("mcp_efficacy", "control", sigma, seen["logit_precision"], seen["logit"] - mu)
    return pm.Deterministic("mcp_efficacy_control", pm.math.sigmoid(mu + sigma * standard), dims="control")


def _coefficients(model: Specification, names: list[str]) -> Tensor:
    """Add B: coefficients of the changes of both steady states."""
    prior = coefficient_prior(model, names, words.PARTS_OF_SOC)
    standard = pm.Normal("beta_standard", dims=("coefficient", "pool"))
    beta = prior.mean + pt.sum(prior.factor * standard[:, None, :], axis=2)
    return pm.Deterministic("beta", beta, dims=("coefficient", "pool"))


def _spread(level: str, model: Specification) -> Spread:
    """Add τ (pool,) and ρ of a level; return τ and the lower factor of the correlation matrix."""
    tau = priors.standard_deviations(f"tau_{level}", model.priors[f"tau_{level}"], words.PARTS_OF_SOC, "pool")
    return tau, priors.correlation_factor(f"rho_{level}", model.priors[f"rho_{level}"], words.PARTS_OF_SOC)


def _effects(level: str, spread: Spread, told: placing.Told) -> Tensor:
    """Add the effects of a level, (node, pool), of which is told."""
    tau, factor = spread
    first, second = placing.placed_pair(level, (level, "pool"), tau, factor, told)
    effects = tau * pt.stack([first, factor[1][0] * first + factor[1][1] * second], axis=1)
    return pm.Deterministic(f"{level}_effect", effects, dims=(level, "pool"))


def _nested_effects(model: Specification, tree: Hierarchy, told: placing.Told, *, with_sites: bool) -> Tensor:
    """Add effects of studies and sites, of whose sum is told at every comparison; return it, (comparison, pool)."""
    if not with_sites:
        told = placing.summed(told, tree.study_of_comparison, tree.studies)
        return _effects("study", _spread("study", model), told)[tree.study_of_comparison]
    of_sites, between = placing.summed(told, tree.site_of_comparison, len(tree.study)), _spread("site", model)
    told = placing.summed(placing.above(of_sites, *between), tree.study, tree.studies)
    studies = _effects("study", _spread("study", model), told)[tree.study]
    sites = _effects("site", between, placing.beyond(of_sites, studies[:, 0], studies[:, 1]))
    return (studies + sites)[tree.site_of_comparison]


def _told_of_changes(
    seen: Seen, change: Tensor, rates: Tensor, years: Tensor, ratio: Tensor, residual: Spread
) -> placing.Told:
    """Return what arms tell of how far a lies from its typical value, `change`, at every comparison.

    Taken linearly about that value, d ln f/da = e^a (1 − e^(−kt))/f, with residuals in between.
    """
    moved = log_pool_change(change, rates, years, pt)
    slope = pt.exp(change - moved) * -pt.expm1(-rates * years)
    told = placing.above(_told_by_arms(seen, moved, ratio), *residual)
    return placing.of_arguments(told, slope[:, 0], slope[:, 1])


def _told_by_arms(seen: Seen, moved: Tensor, ratio: Tensor) -> placing.Told:
    """Return what arms tell of the residuals w of comparisons where ln f has `moved` to, (comparison, pool).

    Where they measured both pools, ln f_P follows from θ_N, θ_C and r₀; around these values θ_C moves by the share s of
    necromass in the treated SOC with ln f_N, and by 1 − s with ln f_P.
    """
    measured, precision = seen["contrast"], seen["contrast_precision"]
    p11, p12, p22 = precision[:, 0, 0], precision[:, 0, 1], precision[:, 1, 1]
    necromass = pt.switch(p11 > 0, measured[:, 0], moved[:, 0])
    share = pt.minimum(ratio * pt.exp(necromass - measured[:, 1]), MOST_TREATED)
    rest = measured[:, 1] + pt.log((1 - share) / (1 - ratio))
    off_necromass = necromass - moved[:, 0]
    off_soc = share * off_necromass + (1 - share) * (rest - moved[:, 1])
    pull, pull_soc = p11 * off_necromass + p12 * off_soc, p12 * off_necromass + p22 * off_soc
    return placing.Told(
        p11 + 2 * share * p12 + share**2 * p22,
        (1 - share) * (p12 + share * p22),
        (1 - share) ** 2 * p22,
        pull + share * pull_soc,
        (1 - share) * pull_soc,
    )


def _turnover_rates(model: Specification) -> Tensor:
    """Add k of both pools, per year."""
    prior = model.priors[TURNOVER]
    if prior.distribution == "fixed":
        rates = pm.Data(_FIXED, fixed_rates(model)[_FIXED])
    else:
        median, spread = (
            np.array([number(prior, key, pool) for pool in words.PARTS_OF_SOC]) for key in ("median", "sd_log")
        )
        rates = median * pt.exp(spread * pm.Normal(f"{TURNOVER}_standard", dims="pool"))
    return pm.Deterministic(TURNOVER, rates, dims="pool")


def _log_density(tree: Hierarchy, seen: Seen, log_ratio: Tensor, effect: list[Tensor]) -> Tensor:
    """Return the log density of the arms given the controls' ratios and the effects, flat baselines integrated out."""
    log_mean, precision = seen["log_mean"], seen["precision"]
    expected = [log_ratio[tree.control], pt.zeros(len(tree.y))]
    rest = [log_mean[:, k] - pt.inc_subtensor(expected[k][tree.arm], effect[k]) for k in (0, 1)]
    weighted = [precision[:, k, 0] * rest[0] + precision[:, k, 1] * rest[1] for k in (0, 1)]
    total = sum_into(tree.control, len(tree.site), weighted[0] + weighted[1])
    square = pt.sum(rest[0] * weighted[0] + rest[1] * weighted[1])
    return seen["constant"] - 0.5 * (square - pt.sum(total**2 / seen["per_control"]))
