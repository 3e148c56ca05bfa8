"""How much hangs on what the table does not say: refits under other assumptions, shown side by side.

Assumed CVs, and correlations among plots unless a prior asks for it, are not estimated, since effects say little about
them: the marginal likelihood of a refit is never looked at. What is shown is how far the conclusions move.
"""

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.conditional import Root
from mcpbayes.estimands.effects import population_effects
from mcpbayes.estimands.layout import Array, node_major
from mcpbayes.estimands.pairs import has_pairs
from mcpbayes.estimands.parts import CHANGE_OF_PART, apart, quantity_of_part
from mcpbayes.estimands.targets import POPULATION, targets
from mcpbayes.estimands.tree import group, refuse_two_pools, specification, with_groups
from mcpbayes.estimands.walk import pools_of
from mcpbayes.evidence.factor_sets import sets_compared
from mcpbayes.evidence.leading import Leading, leading_of_refit, leading_of_result, root_of_fit, stored
from mcpbayes.inference.assumed import (
    imputed_correlations,
    imputed_dispersions,
    with_correlation,
    with_dispersion,
)
from mcpbayes.inference.collapsed import sample
from mcpbayes.inference.completion import complete_posterior
from mcpbayes.inference.conversion import with_factors
from mcpbayes.measurement.factor_draws import central, central_of_parts
from mcpbayes.monte_carlo.summaries import interval
from mcpbayes.specification.factors import FactorSet
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.fungal import faint_fungi, without_pool
from mcpbayes.tables.part_arms import of_parts, with_factors_of_parts

#: Assumptions by name.
CVS: Final = "imputed CVs"
CORRELATION: Final = "correlation of pools among plots"
FACTOR_SETS: Final = "conversion factors"

#: Factors of the imputed CVs, and correlations, that are tried.
FACTORS: Final = {"x 1/2": 0.5, "x 1": 1.0, "x 2": 2.0}
CORRELATIONS: Final = (0.0, 0.5, 0.9)
#: What stands for the value of a correlation that is carried by its prior, and for CVs that are carried by their model.
PRIOR: Final = "prior"
MODEL: Final = "model"

#: What is shown of the ratio where necromass is two pools: δ and Δr, and what each contributes to Δr.
OF_RATIO: Final = ("log_delta_mcp", "delta_mcp", *(quantity_of_part(part) for part in words.PARTS))

_TAUS: Final = ("tau_study", "tau_comparison")
_SETTING: Final = ("assumption", "value", "as_analysed", "imputed", "level", "name", "quantity")
_ESTIMATE: Final = ("mean", "median", "lower", "upper", "interval_kind", "interval_prob", "prob_positive")
_CLASS: Final = Leading._fields


class Setting(NamedTuple):
    """One assumption with one value: how many numbers of the table it stands for, and the data that it makes.

    Without data it is the result itself.
    """

    assumption: str
    value: str
    imputed: int
    data: xr.Dataset | None


class Fit(NamedTuple):
    """Effects of the population targets, (target, K, draw), means of the τ's, (2, K), and how the sampler fared.

    ``root``: moments that classes are found from; None of the result itself, and where necromass is not one pool.
    ``of_ratio``: `OF_RATIO`, (target, quantity, draw), where it is two; None without r₀.
    """

    effect: Array
    tau: Array
    pareto_k: float
    passed: bool
    root: Root | None = None
    of_ratio: Array | None = None


def assumptions(result: xr.DataTree) -> pd.DataFrame:
    """Return what the conclusions would be under other assumptions about what the table does not report.

    Parameters
    ----------
    result : DataTree
        With groups ``data`` and ``posterior``. A group ``assumptions``, as `mcpbayes run` leaves it, spares the refits.

    Returns
    -------
    DataFrame
        One row per assumption, value and target at the levels mean and new. ``imputed`` counts the cells (CVs: arms ×
        pools; correlations: arms, or rows of contrast data; conversion factors: arms) that the assumption stands for;
        ``mean, median, lower, upper, prob_positive`` are of ``quantity``, ``log_delta_mcp``, or the effect of each
        outcome where necromass and SOC are not both there; where necromass is two pools, the effects and `OF_RATIO`,
        with r₀ of every refit, blank where it has none. ``scenario, label, probability`` are of the most probable
        class, all at the ``level`` of the row, ``ties`` the classes, separated by ``|``, that might be it within
        Monte-Carlo error; ``tau_study[...]``, ``tau_comparison[...]`` posterior means; ``pareto_k`` and ``passed`` say
        how the sampler fared. ``as_analysed`` marks the rows of the result itself. Empty where nothing was imputed.

    Notes
    -----
    CVs × ½, 1, 2 of the arms without SD, with means (bias correction CV²/(2n)) and covariances made anew; ϱ = 0, 0.5,
    0.9 and the value used, of the arms without a reported one; the rest as it is. A correlation carried by its prior is
    ``prior``; CVs are then tried at its middle. CVs carried by draws of their model are ``model``; ×½, 1, 2 are then
    multiples of the root-mean-square CVs, all else at these. Conversion factors: the sets with a name, and one's own,
    each at its median, but for the one used, whose doubt the result carries; where several fits carry it, the other
    assumptions are tried at its median. Where ϱ is estimated (``priors.rho_within.update``), it is so in every refit
    and has no rows of its own. Classes of the result itself are those of group ``scenario``, those of refits exact
    given their draws of τ and ρ (`estimands.exact`), counted where necromass is two pools; blank with a tolerance in
    percentage points, which hangs on a control ratio that is not kept of refits. Refits are by the collapsed engine
    with the seed of the result, whichever engine made that. A correlation that contradicts a reported covariance of a
    shared control is left out.
    """
    spec = specification(result)
    found = result if words.ASSUMPTIONS in result.children else with_assumptions(result)
    if words.ASSUMPTIONS not in found.children:
        return pd.DataFrame(columns=_columns(spec))
    return _table(found, spec)


def with_assumptions(result: xr.DataTree) -> xr.DataTree:
    """Return the result with group ``assumptions``, the refits behind `assumptions`; as it is where nothing is imputed.

    Returns
    -------
    DataTree
        Group ``assumptions``: ``effect(refit, chain, draw, target, outcome)`` of the targets at mean and new, ``refit``
        being the settings other than the result's own; ``tau_study``, ``tau_comparison(setting, outcome)`` means,
        ``pareto_k``, ``passed``, ``imputed``, ``as_analysed(setting)``; ``root_*``, moments of coefficients and kinds
        at some draws of τ and ρ, from which classes are found under any ``[scenarios]``; where necromass is two pools
        ``of_ratio(refit, chain, draw, target, quantity)``, `OF_RATIO` (r₀ made anew in every refit); coords
        ``assumption``, ``value``, ``level``, ``name``.
    """
    refuse_two_pools(result)
    data, spec = group(result, words.DATA), specification(result)
    settings = list(_settings(data, spec, int(result.attrs.get("worlds", 1)) > 1))
    if all(setting.data is None for setting in settings):
        return result
    asked, own = _asked(result), _of_result(result)
    fits = [own if one.data is None else _refit(result, one.data, asked, spec) for one in settings]
    return with_groups(result, {words.ASSUMPTIONS: _dataset(settings, fits, asked, spec)})


def _at(result: xr.DataTree) -> dict[str, list[object]]:
    """Return the points that the result was evaluated at."""
    return dict(json.loads(result[words.DELTA_MCP].attrs["at"])) if words.DELTA_MCP in result.children else {}


def _asked(result: xr.DataTree) -> xr.Dataset:
    """Return the targets at the levels mean and new."""
    asked = targets(group(result, words.DATA), group(result, words.POSTERIOR), _at(result))
    return asked.isel(target=np.isin(asked["level"].values, POPULATION))


def _settings(data: xr.Dataset, spec: Specification, pooled: bool) -> Iterator[Setting]:
    """Yield what is tried; where the result is pooled over worlds its own values are tried anew at their middle."""
    of_correlation = "rho_within_worlds" in data.attrs
    carried = pooled and "cv_draw" in data
    if count := int(imputed_dispersions(data).sum()):
        if carried:
            yield Setting(CVS, MODEL, count, None)
        for value, factor in FACTORS.items():
            if factor != 1:
                made = with_dispersion(data, factor, bias_correction=spec.data.bias_correction)
                yield Setting(CVS, value, count, made)
            else:
                yield Setting(CVS, value, count, data if pooled else None)
    if (count := int(imputed_correlations(data).sum())) and words.PER_RHO not in data:
        used = None if of_correlation else _used_correlation(data)
        if of_correlation:
            yield Setting(CORRELATION, PRIOR, count, None)
        for rho in sorted({*CORRELATIONS, *([] if used is None else [used])}):
            try:
                own = rho == used and not pooled
                yield Setting(CORRELATION, f"{rho:g}", count, None if own else with_correlation(data, rho))
            except SpecificationError:  # the reported covariance of a control excludes this value
                continue
    if count := int(converted_arms(data).sum()):
        for name, factors in sets_compared(spec).items():
            own = name == spec.data.factors.name
            yield Setting(FACTOR_SETS, name, count, None if own else _with_set(data, factors, spec))


def _with_set(data: xr.Dataset, factors: FactorSet, spec: Specification) -> xr.Dataset:
    """Return the data made with another set of conversion factors, each at its median."""
    correct = spec.data.bias_correction
    if of_parts(data):
        made = with_factors_of_parts(data, central_of_parts(factors), bias_correction=correct)
        return without_pool(made, faint_fungi(made))
    return with_factors(data, central(factors), bias_correction=correct)


def _used_correlation(data: xr.Dataset) -> float | None:
    """Return the correlation that stands in for those not reported; None where arms differ."""
    if data.attrs["family"] != words.ARM_BASED:
        return float(data.attrs["rho_assumed"])
    found = np.unique(data["rho_within"].values[imputed_correlations(data)])
    return float(found[0]) if len(found) == 1 else None


def _of_result(result: xr.DataTree) -> Fit:
    """Return what the result itself says."""
    posterior, stats = (group(result, name) for name in (words.POSTERIOR, words.SAMPLE_STATS))
    judged = stats.assign_attrs(passed=result.attrs["status"] == "ok")
    asked = _asked(result)
    fit = _summed_up(posterior, judged, asked, int(result.attrs["seed"]))
    if not apart(group(result, words.DATA)):
        return fit
    with_change = result if words.DELTA_MCP in result.children else delta_mcp(result)
    change = group(with_change, words.DELTA_MCP)
    return fit._replace(of_ratio=_of_ratio(change, asked) if has_pairs(change) else None)


def _of_ratio(change: xr.Dataset, asked: xr.Dataset) -> Array:
    """Return `OF_RATIO` of the targets of the levels mean and new, (target, quantity, draw); NaN without r₀."""
    here = change.isel(target=slice(asked.sizes["target"]))
    whole = [node_major(here[name], "target") for name in OF_RATIO[:2]]
    return np.stack([*whole, *np.moveaxis(node_major(here[CHANGE_OF_PART], "target", "part"), 1, 0)], axis=1)


def _refit(result: xr.DataTree, data: xr.Dataset, asked: xr.Dataset, spec: Specification) -> Fit:
    seed = int(result.attrs["seed"])
    sampled, stats = sample(data, spec, seed)
    posterior = complete_posterior(data, spec, sampled, seed, store=False)[0]
    fit = _summed_up(posterior, stats, asked, seed)
    if not apart(data):
        return fit._replace(root=root_of_fit(result, data, posterior))
    made = delta_mcp(with_groups(result, {words.DATA: data, words.POSTERIOR: posterior}), _at(result))
    return fit._replace(of_ratio=_of_ratio(group(made, words.DELTA_MCP), asked))


def _summed_up(posterior: xr.Dataset, stats: xr.Dataset, asked: xr.Dataset, seed: int) -> Fit:
    effect, _ = population_effects(posterior, asked, seed)
    tau = np.stack([posterior[name].mean(("chain", "draw")).values for name in _TAUS])
    return Fit(effect, tau, float(stats.attrs.get("pareto_k", np.nan)), bool(stats.attrs["passed"]))


def _dataset(settings: list[Setting], fits: list[Fit], asked: xr.Dataset, spec: Specification) -> xr.Dataset:
    names = [f"{setting.assumption}: {setting.value}" for setting in settings]
    own = np.array([setting.data is None for setting in settings])
    effect = np.stack([fit.effect for fit, here in zip(fits, own, strict=True) if not here])
    ratios = [fit.of_ratio for fit, here in zip(fits, own, strict=True) if not here and fit.of_ratio is not None]
    roots = [fit.root for fit in fits if fit.root is not None]
    return xr.Dataset(
        {
            "effect": _labelled(effect, "outcome", spec.sampling.chains),
            **({"of_ratio": _labelled(np.stack(ratios), "quantity", spec.sampling.chains)} if ratios else {}),
            **{
                name: (("setting", "outcome"), np.stack([fit.tau[place] for fit in fits]))
                for place, name in enumerate(_TAUS)
            },
            "pareto_k": ("setting", [fit.pareto_k for fit in fits]),
            "passed": ("setting", np.array([fit.passed for fit in fits], dtype=int)),
            "imputed": ("setting", [setting.imputed for setting in settings]),
            "as_analysed": ("setting", own.astype(int)),
            **(stored(roots) if roots else {}),
        },
        {"setting": names, "refit": np.array(names)[~own].tolist(), "outcome": list(spec.data.outcomes)}
        | ({"quantity": list(OF_RATIO)} if ratios else {})
        | {key: ("setting", [getattr(setting, key) for setting in settings]) for key in ("assumption", "value")}
        | {name: asked.variables[name] for name in ("target", "level", "name")},
    )


def _labelled(values: Array, dim: str, chains: int) -> xr.Variable:
    """Return draws of refits (refit, target, `dim`, draw) with their dims, chain and draw after the refit."""
    order = ("refit", "target", dim, "chain", "draw")
    draws = xr.Variable(order, values.reshape(*values.shape[:-1], chains, -1))
    return draws.transpose("refit", "chain", "draw", "target", dim)


def _columns(spec: Specification) -> list[str]:
    taus = [f"{name}[{outcome}]" for name in _TAUS for outcome in spec.data.outcomes]
    return [*_SETTING, *_ESTIMATE, *_CLASS, *taus, "pareto_k", "passed"]


def _table(result: xr.DataTree, spec: Specification) -> pd.DataFrame:
    """Return the table of result and stored refits, with the intervals and classes of the present specification."""
    refits = group(result, words.ASSUMPTIONS)
    own, asked = _of_result(result), _asked(result)
    of_ratio = own.of_ratio if "of_ratio" in refits else None  # an older version kept nothing to put beside it
    leading_own = leading_of_result(result, asked, _pairs(own.effect, of_ratio, refits))
    rows: list[dict[str, object]] = []
    for place, setting in enumerate(refits["setting"].values):
        one = refits.drop_dims("refit").isel(setting=place)
        as_analysed = bool(one["as_analysed"])
        theta, ratio, leading = own.effect, of_ratio, leading_own
        if not as_analysed:
            theta = node_major(refits["effect"].sel(refit=setting), "target", "outcome")
            if of_ratio is not None:
                ratio = node_major(refits["of_ratio"].sel(refit=setting), "target", "quantity")
            leading = leading_of_refit(refits, str(setting), asked, _pairs(theta, ratio, refits), spec)
        common = {key: one[key].item() for key in ("assumption", "value", "imputed")}
        common |= {"as_analysed": as_analysed, "passed": bool(one["passed"]), "pareto_k": float(one["pareto_k"])}
        for tau in _TAUS:
            common |= {f"{tau}[{outcome}]": float(one[tau].sel(outcome=outcome)) for outcome in spec.data.outcomes}
        rows += [
            common | row
            for target in range(len(theta))
            for row in _rows(
                _quantities(theta[target], None if ratio is None else ratio[target], refits),
                {key: refits[key].values[target] for key in ("level", "name")} | leading[target]._asdict(),
                spec,
            )
        ]
    return pd.DataFrame(rows, columns=_columns(spec))


def _rows(
    quantities: Iterator[tuple[str, Array]], same: dict[str, object], spec: Specification
) -> Iterator[dict[str, object]]:
    """Yield the rows of one target under one assumption, from the draws of its quantities; `same`: what all share."""
    section = spec.summary
    for quantity, draws in quantities:
        numbers = dict.fromkeys(("mean", "median", "lower", "upper", "prob_positive"), float("nan"))
        if np.isfinite(draws).all():
            lower, upper = interval(draws, section.interval_kind, section.interval_prob)
            found = (draws.mean(), np.median(draws), lower, upper, (draws > 0).mean())
            numbers = {key: float(value) for key, value in zip(numbers, found, strict=True)}
        yield (
            same
            | numbers
            | {"quantity": quantity}
            | {"interval_kind": section.interval_kind, "interval_prob": section.interval_prob}
        )


def _quantities(theta: Array, of_ratio: Array | None, refits: xr.Dataset) -> Iterator[tuple[str, Array]]:
    """Yield what is shown of a target: δ; or every effect (K, draw), with `OF_RATIO` (quantity, draw) where it is."""
    pools = pools_of(refits)
    if pools is not None:
        yield "log_delta_mcp", theta[pools[0]] - theta[pools[1]]
        return
    for place, outcome in enumerate(refits["outcome"].values.astype(str)):
        yield f"effect[{outcome}]", theta[place]
    if of_ratio is not None:
        yield from zip(OF_RATIO, of_ratio, strict=True)


def _pairs(effect: Array, of_ratio: Array | None, refits: xr.Dataset) -> Array | None:
    """Return θ_N and θ_C, (target, 2, draw), from effects (target, K, draw) and `OF_RATIO`: θ_N of two is δ + θ_C."""
    pools = pools_of(refits)
    if pools is not None:
        return effect[:, list(pools)]
    if of_ratio is None:
        return None
    soc = effect[:, refits["outcome"].values.astype(str).tolist().index(words.SOC)]
    return np.stack([of_ratio[:, OF_RATIO.index("log_delta_mcp")] + soc, soc], axis=1)
