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
from mcpbayes.estimands.conditional import Root
from mcpbayes.estimands.effects import population_effects
from mcpbayes.estimands.layout import Array, node_major
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

    ``root``: moments that classes are found from; None of the result itself, and where there is no ratio.
    """

    effect: Array
    tau: Array
    pareto_k: float
    passed: bool
    root: Root | None = None


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
        outcome where there is no ratio; ``scenario, label, probability`` are of the most probable class, all at the
        ``level`` of the row, ``ties`` the classes, separated by ``|``, that might be it within Monte-Carlo error;
        ``tau_study[...]``, ``tau_comparison[...]`` posterior means; ``pareto_k`` and ``passed`` say how the sampler
        fared. ``as_analysed`` marks the rows of the result itself. Empty where nothing was imputed.

    Notes
    -----
    CVs × ½, 1, 2 of the arms without SD, with means (bias correction CV²/(2n)) and covariances made anew; ϱ = 0, 0.5,
    0.9 and the value used, of the arms without a reported one; the rest as it is. A correlation carried by its prior is
    ``prior``; CVs are then tried at its middle. CVs carried by draws of their model are ``model``; ×½, 1, 2 are then
    multiples of the root-mean-square CVs, all else at these. Conversion factors: the sets with a name, and one's own,
    each at its median, but for the one used, whose doubt the result carries; where several fits carry it, the other
    assumptions are tried at its median. Where ϱ is estimated (``priors.rho_within.update``), it is so in every refit
    and has no rows of its own. Classes of the result itself are those of group ``scenario``, those of refits exact
    given their draws of τ and ρ (`estimands.exact`); blank with a tolerance in percentage points, which hangs on a
    control ratio that refits do not keep. Refits are by the collapsed engine with the seed of the result, whichever
    engine made that. A correlation that contradicts a reported covariance of a shared control is left out.
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
        at some draws of τ and ρ, from which classes are found under any ``[scenarios]``; coords ``assumption``,
        ``value``, ``level``, ``name``.
    """
    refuse_two_pools(result)
    data, spec = group(result, words.DATA), specification(result)
    settings = list(_settings(data, spec, int(result.attrs.get("worlds", 1)) > 1))
    if all(setting.data is None for setting in settings):
        return result
    asked, own = _asked(result), _of_result(result)
    fits = [own if one.data is None else _refit(result, one.data, asked, spec) for one in settings]
    return with_groups(result, {words.ASSUMPTIONS: _dataset(settings, fits, asked, spec)})


def _asked(result: xr.DataTree) -> xr.Dataset:
    """Return the targets at the levels mean and new."""
    at = json.loads(result[words.DELTA_MCP].attrs["at"]) if words.DELTA_MCP in result.children else {}
    asked = targets(group(result, words.DATA), group(result, words.POSTERIOR), at)
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
    return _summed_up(posterior, judged, _asked(result), int(result.attrs["seed"]))


def _refit(result: xr.DataTree, data: xr.Dataset, asked: xr.Dataset, spec: Specification) -> Fit:
    seed = int(result.attrs["seed"])
    sampled, stats = sample(data, spec, seed)
    posterior = complete_posterior(data, spec, sampled, seed, store=False)[0]
    return _summed_up(posterior, stats, asked, seed)._replace(root=root_of_fit(result, data, posterior))


def _summed_up(posterior: xr.Dataset, stats: xr.Dataset, asked: xr.Dataset, seed: int) -> Fit:
    effect, _ = population_effects(posterior, asked, seed)
    tau = np.stack([posterior[name].mean(("chain", "draw")).values for name in _TAUS])
    return Fit(effect, tau, float(stats.attrs.get("pareto_k", np.nan)), bool(stats.attrs["passed"]))


def _dataset(settings: list[Setting], fits: list[Fit], asked: xr.Dataset, spec: Specification) -> xr.Dataset:
    names = [f"{setting.assumption}: {setting.value}" for setting in settings]
    own = np.array([setting.data is None for setting in settings])
    effect = np.stack([fit.effect for fit, here in zip(fits, own, strict=True) if not here])
    order = ("refit", "target", "outcome", "chain", "draw")
    roots = [fit.root for fit in fits if fit.root is not None]
    draws = xr.Variable(order, effect.reshape(*effect.shape[:-1], spec.sampling.chains, -1))
    return xr.Dataset(
        {
            "effect": draws.transpose("refit", "chain", "draw", "target", "outcome"),
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
        | {key: ("setting", [getattr(setting, key) for setting in settings]) for key in ("assumption", "value")}
        | {name: asked.variables[name] for name in ("target", "level", "name")},
    )


def _columns(spec: Specification) -> list[str]:
    taus = [f"{name}[{outcome}]" for name in _TAUS for outcome in spec.data.outcomes]
    return [*_SETTING, *_ESTIMATE, *_CLASS, *taus, "pareto_k", "passed"]


def _table(result: xr.DataTree, spec: Specification) -> pd.DataFrame:
    """Return the table of result and stored refits, with the intervals and classes of the present specification."""
    refits = group(result, words.ASSUMPTIONS)
    own, asked = _of_result(result).effect, _asked(result)
    leading_own = leading_of_result(result, asked, own)
    rows: list[dict[str, object]] = []
    for place, setting in enumerate(refits["setting"].values):
        one = refits.drop_dims("refit").isel(setting=place)
        as_analysed = bool(one["as_analysed"])
        theta = own if as_analysed else node_major(refits["effect"].sel(refit=setting), "target", "outcome")
        leading = leading_own if as_analysed else leading_of_refit(refits, str(setting), asked, theta, spec)
        common = {key: one[key].item() for key in ("assumption", "value", "imputed")}
        common |= {"as_analysed": as_analysed, "passed": bool(one["passed"]), "pareto_k": float(one["pareto_k"])}
        for tau in _TAUS:
            common |= {f"{tau}[{outcome}]": float(one[tau].sel(outcome=outcome)) for outcome in spec.data.outcomes}
        rows += [
            common | row
            for target in range(len(theta))
            for row in _rows(theta[target], refits, target, leading[target], spec)
        ]
    return pd.DataFrame(rows, columns=_columns(spec))


def _rows(
    theta: Array, refits: xr.Dataset, target: int, leading: Leading, spec: Specification
) -> Iterator[dict[str, object]]:
    """Yield the rows of one target under one assumption, from its effects (K, draw)."""
    section = spec.summary
    for quantity, draws in _quantities(theta, refits):
        lower, upper = interval(draws, section.interval_kind, section.interval_prob)
        numbers = {"mean": draws.mean(), "median": np.median(draws), "lower": lower, "upper": upper}
        yield (
            {key: refits[key].values[target] for key in ("level", "name")}
            | {key: float(value) for key, value in numbers.items()}
            | {"quantity": quantity, "prob_positive": float((draws > 0).mean())}
            | {"interval_kind": section.interval_kind, "interval_prob": section.interval_prob}
            | leading._asdict()
        )


def _quantities(theta: Array, refits: xr.Dataset) -> Iterator[tuple[str, Array]]:
    """Yield what is shown of a target's effects (K, draw): δ, or every effect where there is no ratio."""
    pools = pools_of(refits)
    if pools is not None:
        yield "log_delta_mcp", theta[pools[0]] - theta[pools[1]]
        return
    for place, outcome in enumerate(refits["outcome"].values.astype(str)):
        yield f"effect[{outcome}]", theta[place]
