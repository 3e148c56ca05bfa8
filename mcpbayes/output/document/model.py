"""The model in words: its priors with their reasons, its moderators, and what the methods paragraph needs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.absolute import points_of
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.tree import specification
from mcpbayes.inference.assumed import imputed_correlations
from mcpbayes.inference.doubts import CARRIED
from mcpbayes.inference.strata import strata
from mcpbayes.monte_carlo.summaries import interval
from mcpbayes.output.document import numbers
from mcpbayes.output.document.material import Row, is_on, outcome_words
from mcpbayes.specification.formula import categories, numeric, typical
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER, WITHIN
from mcpbayes.specification.priors import prior_of_coefficient
from mcpbayes.specification.structure import Number, Prior, Scheme, Specification

#: Quantiles that stand for a prior of ϱ where its interval is shown.
_QUANTILES: Final = 4000

NO_REASON: Final = "no reason given"

#: Engines in prose.
ENGINES: Final = {
    "nuts": "the No-U-Turn sampler (NUTS)",
    "collapsed": "the collapsed engine (effects integrated out exactly, hyper-parameters by independence Metropolis)",
}

_LEVEL_WORDS: Final = {
    "study": "studies",
    "site": "sites within studies",
    "kind": "kinds of treatment",
    "comparison": "comparisons within studies",
}


def number_words(value: Number) -> str:
    """Return a prior's number, or its numbers by outcome, as text."""
    if isinstance(value, Mapping):
        shown = [f"{numbers.significant(float(v), 6)} ({outcome_words(o)})" for o, v in value.items()]
        return numbers.listing(shown)
    return numbers.significant(float(value), 6)


def prior_words(prior: Prior, pools: int = 2, symbol: str = "ρ") -> str:
    """Return a prior as a phrase; with one pool there is no correlation between pools to tell.

    Parameters
    ----------
    prior : Prior
    pools : int
    symbol : str
        Of a correlation: ``ρ`` of a level, ``ϱ`` over plots.
    """
    given = {name: number_words(value) for name, value in prior.parameters.items()}
    match prior.distribution:
        case "flat":
            return "flat"
        case "normal":
            together = (
                f", correlation of the pools {given['correlation']}" if pools > 1 and "correlation" in given else ""
            )
            return f"normal, mean {given['mean']}, SD {given['sd']}{together}"
        case "half_normal":
            return f"half-normal, scale {given['sd']}"
        case "half_student_t":
            return f"half-Student-t, {given['df']} degrees of freedom, scale {given['scale']}"
        case "lognormal":
            return f"log-normal, median {given['median']}, SD of the logarithm {given['sd_log']}"
        case "lkj":
            return f"LKJ, η = {given['eta']}"
        case "beta":
            return f"beta({given['a']}, {given['b']}) on (1 + {symbol})/2"
        case "fixed":
            return f"fixed at {given['value']}"
    return f"{prior.distribution}, " + ", ".join(f"{name} {value}" for name, value in given.items())


def levels(data: xr.Dataset) -> list[str]:
    """Return the levels of heterogeneity in the model, the widest first."""
    return [
        level
        for level in ("kind", "study", "site", "comparison")
        if level not in ("kind", "site") or is_on(data, level)
    ]


#: Priors of the two-pool model alone, in words.
_OF_TWO_POOLS: Final = {
    MU_R: "typical share of necromass in the SOC of controls, logit",
    SIGMA_R: "SD of that share between controls, logit",
    TURNOVER: "turnover rates k, per year",
}

#: Role, of which and name of the intercept, without and with time in the model.
_INTERCEPT: Final = {
    False: ("mean effects", "", "mean effect β (intercept)"),
    True: ("typical changes of the steady states β", "", "typical ln(new / old steady state) β (intercept)"),
}

#: Priors of the model of CVs, in words.
_OF_CVS: Final = {
    "cv": "typical CV of the plots of an arm",
    "tau_cv": "τ of ln CV between studies",
    "omega_cv": "ω of ln CV between arms of a study",
}


def priors(data: xr.Dataset, spec: Specification) -> list[Row]:
    """List the priors that were used, with their reasons.

    Returns
    -------
    list of dict
        ``role`` (what kind of parameter) and ``of`` (which one), both in words; ``parameter``, the two together;
        ``key`` of the specification, ``prior`` in words, ``why``.
    """
    rows: list[Row] = []
    two_pools = bool(data.attrs["family"] == words.TWO_POOL)

    def add(role: str, of: str, parameter: str, key: str, prior: Prior) -> None:
        rows.append(
            {
                "role": role,
                "of": of,
                "parameter": parameter,
                "key": f"priors.{key}",
                "prior": prior_words(prior, data.sizes["outcome"], "ϱ" if key == WITHIN else "ρ"),
                "why": prior.why or NO_REASON,
            }
        )

    if is_arm_based(data):
        add(
            "control baselines",
            "",
            f"baseline of a control, ln({data.attrs.get('unit', 'g/kg')})",
            "baseline",
            spec.priors["baseline"],
        )
    for role, parameter in _OF_TWO_POOLS.items() if two_pools else ():
        add(parameter, "", parameter, role, spec.priors[role])
    for coefficient in data["coefficient"].values.astype(str):
        prior = prior_of_coefficient(spec, coefficient)
        key = next(key for key, value in spec.priors.items() if value is prior)
        if coefficient == "intercept":
            add(*_INTERCEPT[two_pools], key, prior)
        else:
            add("moderator coefficients", coefficient, f"coefficient of {coefficient}", key, prior)
    for symbol, role in (("tau", "heterogeneity SDs τ"), ("rho", "correlations ρ of the pools")):
        for level in levels(data) if symbol == "tau" or data.sizes["outcome"] > 1 else []:
            between = f"between {_LEVEL_WORDS[level]}"
            key = f"{symbol}_{level}"
            add(
                role,
                between,
                f"{'heterogeneity τ' if symbol == 'tau' else 'correlation ρ'} {between}",
                key,
                spec.priors[key],
            )
    for key, parameter in _OF_CVS.items() if "cv_draw" in data else ():
        add("ln CV of the arms", parameter, parameter, key, _without_others(spec.priors[key], data))
    if WITHIN in spec.priors and imputed_correlations(data).any():
        parameter = "correlation ϱ of the pools over plots of one arm, where not reported"
        add("correlation ϱ of the pools over plots", "", parameter, WITHIN, spec.priors[WITHIN])
    return rows


def _without_others(prior: Prior, data: xr.Dataset) -> Prior:
    """Return a prior without the numbers of pools that are not analysed."""
    pools = data["outcome"].values.astype(str).tolist()
    kept = {
        name: {pool: value[pool] for pool in pools} if isinstance(value, Mapping) else value
        for name, value in prior.parameters.items()
    }
    return replace(prior, parameters=kept)


def prior_phrases(rows: Sequence[Row]) -> list[str]:
    """Return the priors as phrases for a paragraph: one per role, or one per parameter where they differ in a role."""
    phrases = []
    for role in dict.fromkeys(str(row["role"]) for row in rows):
        mine = [row for row in rows if row["role"] == role]
        if len({row["prior"] for row in mine}) == 1:
            phrases.append(f"{role}: {mine[0]['prior']}")
        else:
            phrases += [f"{role}, {row['of']}: {row['prior']}" for row in mine]
    return phrases


def is_arm_based(data: xr.Dataset) -> bool:
    """Say whether arms, not published log ratios, are the observations."""
    return bool(data.attrs["family"] != words.CONTRAST_BASED)


def moderators(data: xr.Dataset) -> list[Row]:
    """List the moderators with how they entered.

    Returns
    -------
    list of dict
        ``name`` and ``how``.
    """
    recipe = data["design"].attrs.get("recipe")
    if recipe is None:
        return []
    rows: list[Row] = []
    for name, (centre, scale) in numeric(recipe).items():
        scaled = centre != 0.0 or scale != 1.0
        shown = (numbers.significant(centre, 4), numbers.significant(scale, 4))
        how = "numeric; the coefficient is per {1}, centred at {0}" if scaled else "numeric, as in the table"
        rows.append({"name": name, "how": how.format(*shown)})
    for name, found in categories(recipe).items():
        rows.append({"name": name, "how": f"categories, coded sum-to-zero: {numbers.listing(found)}"})
    return rows


def where_typical(data: xr.Dataset) -> str:
    """Say at which values of the moderators the levels mean and new are; empty without moderators."""
    recipe = data["design"].attrs.get("recipe")
    if recipe is None:
        return ""
    means = [f"{name} = {numbers.significant(value, 4)}" for name, value in typical(recipe).items()]
    said = [f"at {numbers.listing(means)}, the mean of the studies"] if means else []
    if names := list(categories(recipe)):
        said.append(f"averaged over the categories of {numbers.listing(names)} with equal weights")
    return f"Levels mean and new are {', and '.join(said)}, unless another value is named." if said else ""


def ratio_tolerance_words(scheme: Scheme) -> str:
    """Return the tolerance of the ratio as text: relative, or in percentage points of ΔMCP where that is in use."""
    points = points_of(scheme)
    if points is None:
        return f"±{numbers.significant(float(scheme.tolerance_percent['ratio']))} %"
    return f"±{numbers.significant(points)} percentage points"


def tolerance_words(scheme: Scheme) -> str:
    """Return the tolerances of the scenarios as text."""
    values = {key: f"±{numbers.significant(float(value))} %" for key, value in scheme.tolerance_percent.items()}
    values["ratio"] = ratio_tolerance_words(scheme)
    if len(set(values.values())) == 1:
        return values["ratio"]
    called = {"ratio": "ΔMCP" if points_of(scheme) is not None else "their ratio"}
    return numbers.listing([f"{value} for {called.get(key) or outcome_words(key)}" for key, value in values.items()])


def sampling(result: xr.DataTree) -> Row:
    """Return engine, worlds, chains of each and draws as they are in the posterior, not as they were asked for.

    ``carried`` says in words in what several fits differ; ``every`` of how many of their ``asked`` draws per chain one
    is kept (1: all). ``within`` is there where the correlation over plots was
    estimated: its ``prior`` and ``posterior`` as mean and interval, in words; else it is empty.
    """
    posterior = result[words.POSTERIOR].to_dataset()
    engine, worlds = str(result.attrs["engine"]), worlds_of(posterior)
    stats = result[words.SAMPLE_STATS].attrs
    spec = specification(result)
    within = spec.priors.get(WITHIN)
    return {
        "engine": engine,
        "engine_words": ENGINES.get(engine, engine),
        "worlds": worlds,
        "carried": numbers.listing([CARRIED[name] for name in json.loads(result.attrs.get("worlds_values", "{}"))]),
        "within_prior": prior_words(within, symbol="ϱ") if within is not None else "",
        "within": _prior_and_posterior(within, posterior, spec) if within is not None and WITHIN in posterior else {},
        "chains": int(posterior.sizes["chain"]) // worlds,
        "draws": int(posterior.sizes["draw"]),
        "asked": spec.sampling.draws,
        "every": max(1, round(spec.sampling.draws / posterior.sizes["draw"])) if worlds > 1 else 1,
        "seed": int(result.attrs["seed"]),
        **{name: int(stats[name]) for name in ("proposals", "attempt", "attempts") if name in stats},
    }


def _prior_and_posterior(prior: Prior, posterior: xr.Dataset, spec: Specification) -> Row:
    """Return mean and interval of the correlation over plots before and after the data."""
    section = spec.summary

    def told(draws: np.ndarray) -> str:
        ends = (float(end) for end in interval(draws, section.interval_kind, section.interval_prob))
        return f"{numbers.plain(float(draws.mean()))} {numbers.interval(*(numbers.plain(end) for end in ends))}"

    return {
        "prior": told(np.array(strata(prior, _QUANTILES))),
        "posterior": told(posterior[WITHIN].values.ravel()),
    }
