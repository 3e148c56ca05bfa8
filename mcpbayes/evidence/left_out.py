"""The table without one study: its data, its posterior, and everything that is said of both, per world of a result."""

import json
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.layout import Array, node_major
from mcpbayes.estimands.pairs import has_pairs, pair_draws
from mcpbayes.estimands.tree import group
from mcpbayes.estimands.unobserved import unobserved_at
from mcpbayes.evidence.said import what_is_said
from mcpbayes.inference.collapsed import labelled, levels_on
from mcpbayes.inference.completion import complete_posterior
from mcpbayes.inference.engine import data_of_fits, typical_data
from mcpbayes.inference.estimable import require_estimable
from mcpbayes.inference.refits import Refit, Whole, fit_whole, refit
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.worlds import world_seed
from mcpbayes.monte_carlo.summaries import interval, mcse_mean
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.prior_rules import WITHIN
from mcpbayes.specification.structure import Specification

#: What is said of a refit that cannot be relied on.
NOT_COVERED: Final = "the proposals did not cover the posterior without this study"

#: What is said where the other studies hold no control with both pools of necromass and SOC.
NO_RATIO: Final = "without this study no control has all pools, so there are effects on each, but no ratio"

#: Summaries of a quantity.
SUMMARIES: Final = ("mean", "sd", "lower", "upper")

#: What holds for a refit as a whole.
OF_REFIT: Final = {
    "elpd": "nats",
    "elpd_mcse": "nats",
    "passed": "",
    "pareto_k": "1",
    "efficiency": "fraction",
    "attempt": "",
    "reason": "",
}

Values = dict[str, np.ndarray]


def log_predictive_density(values: np.ndarray) -> tuple[float, float]:
    """Return ln of the mean of exp(values) and its Monte-Carlo standard error.

    Parameters
    ----------
    values : ndarray, shape (world, chain, draw)
        ln p(c_s | φ_d, y₋s); several worlds count the same.

    Returns
    -------
    elpd, mcse : float

    Notes
    -----
    The error is that of the mean, √(Σ mcse²)/M over M worlds, divided by the mean (delta method).
    """
    top = values.max()
    p = np.exp(values - top)
    error = np.sqrt(np.sum(mcse_mean(p) ** 2)) / len(p)
    return float(top + np.log(p.mean())), float(error / p.mean())


def without_study(data: xr.Dataset, study: str) -> xr.Dataset:
    """Return the group ``data`` without one study: all but its rows, the scale of the moderators included, stays.

    Parameters
    ----------
    data : Dataset
        From `mcpbayes.prepare`.
    study : str
    """
    control = data["study_of_control"].values != study
    keep = {
        "study": data["study"].values != study,
        "control": control,
        "site": np.isin(data["site"].values.astype(object), data["site_of_control"].values[control].astype(object)),
        "comparison": data["study_of_comparison"].values != study,
    }
    if "arm" in data.dims:
        names = data["control"].values[control].astype(object)
        keep["arm"] = np.isin(data["control_of_arm"].values.astype(object), names)
    return data.isel({dim: np.flatnonzero(chosen) for dim, chosen in keep.items()})


class World(NamedTuple):
    """Data of one world and the fit to all its studies; a result that is not pooled over worlds is a single one."""

    data: xr.Dataset
    whole: Whole


def fit_worlds(result: xr.DataTree, data: xr.Dataset, model: Specification) -> list[World]:
    """Return the worlds of a result, each fitted with the seed that it had; only the central one where `is_central`."""
    seed, several = int(result.attrs["seed"]), int(result.attrs.get("worlds", 1)) > 1
    if is_central(result):
        parts = [(typical_data(data, model), seed)]
    else:
        every = data_of_fits(data, model)
        parts = [(part, world_seed(seed, i) if several else seed) for i, part in enumerate(every)]
    coefficients = data["coefficient"].values.astype(str).tolist()
    return [
        World(part, fit_whole(build_hierarchy(part), model, coefficients, levels_on(part), own)) for part, own in parts
    ]


def is_central(result: xr.DataTree) -> bool:
    """Say whether studies are left out of the central data set only: worlds differ in more than the correlation.

    As many refits as worlds times studies would say little more: what worlds carry of the CVs or factors moves the fits
    with and without a study alike. The fit to all studies is then that to the central data, too.
    """
    return bool(set(json.loads(result.attrs.get("worlds_values", "{}"))) - {WITHIN})


def central_change(worlds: Sequence[World], at: Mapping[str, list[object]]) -> list[xr.Dataset]:
    """Return group ``delta_mcp`` of the fit to all studies, per world."""
    made = []
    for world in worlds:
        whole, found = world.whole, world.whole.found
        size = {"chains": whole.model.sampling.chains, "draws": whole.model.sampling.draws}
        chosen = labelled(whole.coords, found.z[found.path.place.ravel()], found.system, **size)
        made.append(_change(world.data, whole, chosen, at))
    return made


def _change(data: xr.Dataset, whole: Whole, drawn: xr.Dataset, at: Mapping[str, list[object]]) -> xr.Dataset:
    """Return group ``delta_mcp`` of draws of the variance parameters."""
    completed, _ = complete_posterior(data, whole.model, drawn, whole.seed, store=False)
    tree = xr.DataTree.from_dict({words.DATA: data, words.POSTERIOR: completed})
    tree.attrs = {"seed": whole.seed, "specification": to_toml(whole.model)}
    return group(delta_mcp(tree, at), words.DELTA_MCP)


def numbers_without(
    worlds: Sequence[World],
    name: str,
    study: int,
    log_weights: Sequence[Array],
    at: Mapping[str, list[object]],
    template: Values,
    claims: Sequence[str] | None = None,
) -> Values:
    """Return all numbers of one refit; NaN with the reason where the other studies do not determine the model.

    ``claims`` are those made with all studies, see `numbers`.
    """
    refits, changes = [], []
    for world, log_weight in zip(worlds, log_weights, strict=True):
        rest, whole = without_study(world.data, name), world.whole
        try:
            require_estimable(rest, whole.model, build_hierarchy(rest))
        except SpecificationError as problem:
            return template | _judged([], f"without this study: {problem}")
        found = refit(whole, study, log_weight)
        refits.append(found)
        changes.append(_change(rest, whole, found.posterior, at))
    passed = all(found.passed for found in refits)
    there = numbers(changes, worlds[0].whole.model, rest, claims)
    reason = NO_RATIO if template.keys() - there.keys() else ""  # what is not there stays as in the template
    return template | there | _judged(refits, reason if passed else NOT_COVERED)


def _judged(refits: Sequence[Refit], reason: str) -> Values:
    """Return the density of the study, the diagnostics of its refit (the worst world's), and what is wrong with it."""
    made: dict[str, float] = dict.fromkeys(OF_REFIT, float("nan")) | {"passed": 0, "attempt": -1}
    if refits:
        elpd, mcse = log_predictive_density(np.stack([found.log_predictive for found in refits]))
        made = {
            "elpd": elpd,
            "elpd_mcse": mcse,
            "passed": int(all(found.passed for found in refits)),
            "pareto_k": max(found.pareto_k for found in refits),
            "efficiency": min(found.efficiency for found in refits),
            "attempt": max(found.attempt for found in refits),
        }
    return {name: np.asarray(value) for name, value in made.items()} | {"reason": np.asarray(reason, dtype=object)}


def numbers(
    changes: Sequence[xr.Dataset], model: Specification, data: xr.Dataset, claims: Sequence[str] | None = None
) -> Values:
    """Return the summaries of groups ``delta_mcp``, one per world, whose targets are those of the levels mean and new.

    The draws of all worlds count the same. ``data`` is the group of that name: of what was never observed in a kind of
    treatment the headline claims nothing. ``claim_probability`` is that of ``claims``, one code per target, or of the
    own ones.
    """

    def draws_of(name: str, *dims: str) -> Array:
        return np.concatenate([node_major(change[name], "target", *dims) for change in changes], axis=-1)

    effect = draws_of("effect", "outcome")
    quantities, paired = {"effect": effect}, has_pairs(changes[0])
    if paired:
        quantities |= {name: draws_of(name) for name in ("log_delta_mcp", "delta_mcp")}
    section = model.summary
    out: Values = {}
    for name, draws in quantities.items():
        low, high = interval(draws, section.interval_kind, section.interval_prob)
        summaries = (draws.mean(axis=-1), draws.std(axis=-1, ddof=1), low, high)
        out |= {f"{name}_{what}": values for what, values in zip(SUMMARIES, summaries, strict=True)}
    if paired:
        out["prob_positive"] = np.mean(quantities["log_delta_mcp"] > 0, axis=-1)
        names = changes[0]["name"].values.astype(str).tolist()
        unobserved = unobserved_at(data, words.MEAN, names)
        shape = (len(changes), len(changes) * changes[0].sizes["chain"])
        pair = np.concatenate([pair_draws(change) for change in changes], axis=-1)
        said = [
            what_is_said(
                pair[i, 0],
                pair[i, 1],
                model.scenarios,
                *shape,
                mute=bool(unobserved[name]),
                asked=None if claims is None else claims[i],
            )
            for i, name in enumerate(names)
        ]
        out |= {
            f"leading_{what}": np.array([one[i] for one in said]) for i, what in enumerate(("class", "probability"))
        }
        for place, what in ((2, "leading_ties"), (3, "claim"), (4, "claims_possible")):
            out[what] = np.array([one[place] for one in said], dtype=object)
        out["leading_class"] = out["leading_class"].astype(object)
        out["claim_probability"] = np.array([one.asked_probability for one in said])
    return out
