"""The two-pool model in PyMC: trajectories of necromass and of the rest of SOC, seen through arms of known duration.

Flat baselines of SOC are integrated out. Effects enter nonlinearly, so that nothing else has a closed form: the ratio
of every control, effects of studies and sites and the residuals of comparisons are sampled. Effects of studies and
sites are non-centred. Of ratios and of residuals, which the arms measure, only the distance from what they would be in
a normal model is sampled (`_placed`, `_placed_pair`): non-centred ones left chains slow where residuals are large, and
where those of one pool are large and of the other near zero.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.inference.builders import priors
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

_FIXED: Final = f"{TURNOVER}_fixed"


def measured(data: xr.Dataset) -> dict[str, Any]:
    """Return what of a table is data of the model; the rest, who belongs to whom, is its structure."""
    return {**vars(observed_arms(build_hierarchy(data))), "years": data[words.DURATION].values}


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
    tree, seen = build_hierarchy(data), measured(data)
    control = tree.study[tree.site] == study
    comparison = tree.study_of_comparison == study
    arm = control[tree.control]
    silent = {"precision": arm, "logit_precision": control, "contrast_precision": comparison}
    for name, here in silent.items():
        seen[name] = np.where(here.reshape(-1, *[1] * (seen[name].ndim - 1)), 0.0, seen[name])
    # Nothing is divided by what such a control knows of its baseline: 0/1 instead of 0/0.
    return seen | {"per_control": np.where(control, 1.0, seen["per_control"])}


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
        What was measured is held as data of the model (`measured`), and so are fixed turnover rates (`fixed_rates`):
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
        seen = {name: pm.Data(name, value) for name, value in measured(data).items()}
        ratio = _control_ratios(model, seen)
        change = pt.dot(tree.design, _coefficients(model, names))
        change = change + _effects("study", model)[tree.study_of_comparison]
        if with_sites:
            change = change + _effects("site", model)[tree.site_of_comparison]
        moved = log_pool_change(change, _turnover_rates(model), seen["years"][:, None], pt)
        here = ratio[tree.control[tree.arm]]
        pools = moved + _residuals(model, seen, moved, here)
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
    standard = _placed("mcp_efficacy", "control", sigma, seen["logit_precision"], seen["logit"] - mu)
    return pm.Deterministic("mcp_efficacy_control", pm.math.sigmoid(mu + sigma * standard), dims="control")


def _coefficients(model: Specification, names: list[str]) -> Tensor:
    """Add B: coefficients of the changes of both steady states."""
    prior = coefficient_prior(model, names, words.PARTS_OF_SOC)
    standard = pm.Normal("beta_standard", dims=("coefficient", "pool"))
    beta = prior.mean + pt.sum(prior.factor * standard[:, None, :], axis=2)
    return pm.Deterministic("beta", beta, dims=("coefficient", "pool"))


def _placed(name: str, dim: str, spread: Tensor, precision: Tensor, distance: Tensor) -> Tensor:
    """Add z ~ N(0, 1) of which a measurement says: spread × z = distance, with a precision.

    Sampled is x with z = (s p d + √(1 + s²p) x)/(1 + s²p), the conditional of z had nothing else a say: x is near
    N(0, 1) whether the spread s is small or large against the error of the measurement, 1/√p.
    """
    free = pm.Normal(f"{name}_standard", dims=dim)
    weight = 1 + spread**2 * precision
    placed = spread * precision * distance / weight + free / pt.sqrt(weight)
    pm.Potential(f"{name}_placed", 0.5 * pt.sum(free**2 - placed**2 - pt.log(weight)))
    return placed


def _placed_pair(
    name: str, dims: tuple[str, str], lower: Sequence[Tensor], precision: Tensor, distance: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Add z ~ N(0, I), two per node, of which a measurement says: A z = distance, with a precision.

    `lower` is A, (a₁₁, a₂₁, a₂₂) with a₁₂ = 0; `precision` P (node, 2, 2); `distance` d, two (node,). Sampled is x,
    near N(0, I): with Λ = I + A'PA and b = A'P d, z₂ given z₁ has mean (b₂ − Λ₁₂ z₁)/Λ₂₂ and precision Λ₂₂; z₁ alone
    has mean (b₁ − Λ₁₂ b₂/Λ₂₂)/S and precision S = Λ₁₁ − Λ₁₂²/Λ₂₂.
    """
    a11, a21, a22 = lower
    p11, p12, p22 = precision[:, 0, 0], precision[:, 0, 1], precision[:, 1, 1]
    pull = [p11 * distance[0] + p12 * distance[1], p12 * distance[0] + p22 * distance[1]]
    b1, b2 = a11 * pull[0] + a21 * pull[1], a22 * pull[1]
    cross, second = a22 * (a11 * p12 + a21 * p22), 1 + a22**2 * p22
    first = 1 + a11**2 * p11 + 2 * a11 * a21 * p12 + a21**2 * p22 - cross**2 / second
    free = pm.Normal(f"{name}_standard", dims=dims)
    z1 = (b1 - cross * b2 / second) / first + free[:, 0] / pt.sqrt(first)
    z2 = (b2 - cross * z1) / second + free[:, 1] / pt.sqrt(second)
    squares = pt.sum(free**2) - pt.sum(z1**2 + z2**2)
    pm.Potential(f"{name}_placed", 0.5 * (squares - pt.sum(pt.log(first) + pt.log(second))))
    return z1, z2


def _spread(level: str, model: Specification) -> tuple[Tensor, Any]:
    """Add τ (pool,) and ρ of a level; return τ and the lower factor of the correlation matrix."""
    tau = priors.standard_deviations(f"tau_{level}", model.priors[f"tau_{level}"], words.PARTS_OF_SOC, "pool")
    return tau, priors.correlation_factor(f"rho_{level}", model.priors[f"rho_{level}"], words.PARTS_OF_SOC)


def _scaled(level: str, tau: Tensor, factor: Any, first: Tensor, second: Tensor) -> Tensor:
    """Add the effects of a level, (node, pool), made of standard normals of its nodes."""
    effects = tau * pt.stack([first, factor[1][0] * first + factor[1][1] * second], axis=1)
    return pm.Deterministic(f"{level}_effect", effects, dims=(level, "pool"))


def _effects(level: str, model: Specification) -> Tensor:
    """Add τ, ρ and the effects of studies or sites, (node, pool)."""
    tau, factor = _spread(level, model)
    standard = pm.Normal(f"{level}_standard", dims=(level, "pool"))
    return _scaled(level, tau, factor, standard[:, 0], standard[:, 1])


def _residuals(model: Specification, seen: Seen, moved: Tensor, ratio: Tensor) -> Tensor:
    """Add τ, ρ and the residuals w of comparisons, (comparison, pool), where ln f (comparison, pool) has `moved` to.

    Where the arms measured both pools, ln f_P follows from θ_N, θ_C and r₀; around these values θ_C moves by the share
    s of necromass in the treated SOC with ln f_N, and by 1 − s with ln f_P.
    """
    tau, factor = _spread("comparison", model)
    measured, precision = seen["contrast"], seen["contrast_precision"]
    necromass = pt.switch(precision[:, 0, 0] > 0, measured[:, 0], moved[:, 0])
    share = pt.minimum(ratio * pt.exp(necromass - measured[:, 1]), MOST_TREATED)
    rest = measured[:, 1] + pt.log((1 - share) / (1 - ratio))
    off = necromass - moved[:, 0], rest - moved[:, 1]
    spread = tau[0], tau[1] * factor[1][0], tau[1] * factor[1][1]
    lower = spread[0], share * spread[0] + (1 - share) * spread[1], (1 - share) * spread[2]
    distance = off[0], share * off[0] + (1 - share) * off[1]
    first, second = _placed_pair("comparison", ("comparison", "pool"), lower, precision, distance)
    return _scaled("comparison", tau, factor, first, second)


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
