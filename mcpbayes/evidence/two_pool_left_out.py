"""How well do the other studies predict each one, in the two-pool model? By weights where they can be trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.tree import group, specification, with_groups
from mcpbayes.evidence.findings import divergences_of
from mcpbayes.evidence.left_out import OF_REFIT, log_predictive_density
from mcpbayes.inference.completion import draws_last
from mcpbayes.inference.refits import REWEIGHTED
from mcpbayes.inference.tree import Hierarchy, build_hierarchy
from mcpbayes.inference.two_pool_coordinates import coordinates_of
from mcpbayes.inference.two_pool_integral import log_density
from mcpbayes.inference.two_pool_study import population, study_of
from mcpbayes.monte_carlo.importance import efficiency, pareto_k, smoothed
from mcpbayes.monte_carlo.limits import ESS_LIMIT, PARETO_K_LIMIT, R_HAT_LIMIT
from mcpbayes.monte_carlo.summaries import convergence, mcse_mean
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads

#: `LeftOut.attempt` where the model was sampled without the study.
REFITTED: Final = 1

#: Parameters that studies share, by the beginning of their names.
_SHARED: Final = ("beta", "tau_", "rho_", TURNOVER, MU_R, SIGMA_R)


@dataclass(frozen=True)
class LeftOut:
    """One study left out; fields as the variables of group ``influence``."""

    elpd: float
    elpd_mcse: float
    pareto_k: float
    efficiency: float
    attempt: int
    reason: str


def leave_studies_out(result: xr.DataTree, report: Callable[[str], None] | None = None) -> xr.DataTree:
    """Return a two-pool result with group ``influence``, without targets; see `influence.leave_one_study_out`.

    Parameters
    ----------
    result : DataTree
        Of the two-pool family, with groups ``data``, ``posterior`` and ``sample_stats``.
    report : callable, optional

    Raises
    ------
    StageError
        The arms were prepared for the two-pool model, and another one was fitted to them; or the result is pooled over
        several fits, each to data of its own.

    Notes
    -----
    With φ the parameters that studies share, p(φ | y₋s) ∝ p(φ | y)/p(y_s | φ): draws given all studies are weighed by
    1/p(y_s | φ), y_s all arms of the study, Pareto-smoothed. Scored is p(c_s | φ), in which ln N of the controls is
    flat besides ln SOC: of their ratios r₀ the density knows the population only. Both densities are means over draws
    of the study's effects and ratios (`two_pool_integral`), and their scatter is part of the error. Where k̂ of the
    weights, or of weights times densities, reaches its limit, the model is sampled without the study.
    """
    model = specification(result)
    if model.family != words.TWO_POOL:
        raise StageError(
            f"The arms were prepared for the two-pool model, and the {model.family} model was fitted to them: prepare "
            "the table with the model that is fitted, mcpbayes.fit(mcpbayes.prepare(table, model), model)."
        )
    data, posterior, stats = (group(result, name) for name in (words.DATA, words.POSTERIOR, words.SAMPLE_STATS))
    if worlds_of(posterior) > 1:
        raise StageError(
            f"The result is pooled over {worlds_of(posterior)} fits, each to data of its own, and studies are left "
            "out of one fit to one set of data: fit again with mcpbayes.load_model("
            '"two-pool", settings=["sampling.worlds=1"]).'
        )
    tree, names = build_hierarchy(data), data["study"].values.astype(str).tolist()
    if report is not None:
        report(f"leaving out each of {len(names)} studies by weights")
    seed, whole = int(result.attrs["seed"]), shortcoming(posterior, stats)
    reason = f"the fit to all studies: {whole}" if whole else ""

    def weighed(study: int) -> LeftOut:
        return by_weights(data, tree, posterior, study, seed, reason)

    found = list(in_threads(weighed, range(len(names))))
    again = [study for study, one in enumerate(found) if not one.pareto_k < PARETO_K_LIMIT]
    if again:
        if report is not None:
            report(f"{len(again)} of {len(names)} studies move the posterior too far for weights: fitting without each")
        # brings PyMC
        from mcpbayes.inference.nuts import two_pools_without

        sample = two_pools_without(data, model)
        for study in again:
            drawn = sample(study, int(generator(seed, "influence", study).integers(2**31)))
            found[study] = by_refit(data, tree, *drawn, study, seed, found[study])
            if report is not None:
                report(f"fitted without {names[study]}")
    return with_groups(result, {words.INFLUENCE: _dataset(data, posterior, names, found)})


def by_weights(
    data: xr.Dataset, tree: Hierarchy, posterior: xr.Dataset, number: int, seed: int, reason: str = ""
) -> LeftOut:
    """Leave a study out by weighing the draws given all studies.

    Parameters
    ----------
    data : Dataset
        Group ``data``.
    tree : Hierarchy
        Of the same.
    posterior : Dataset
        Given all studies.
    number : int
        Position of the study.
    seed : int
    reason : str
        Why the draws cannot be relied on.
    """
    rng = generator(seed, "two_pool_left_out", 2 * number)
    study, shared = study_of(tree, data[words.DURATION].values, number), population(posterior)
    own = coordinates_of(tree, posterior, shared, number, rng)
    raw = -log_density(study, study.arms, shared, rng, own=own)
    scored = log_density(study, study.contrasts, shared, rng)
    elpd, mcse = weighted_log_mean(smoothed(raw), scored, posterior.sizes["chain"])
    k = max(pareto_k(raw), pareto_k(raw + scored))
    return LeftOut(elpd, mcse, k, efficiency(raw), REWEIGHTED, reason)


def weighted_log_mean(log_weight: Array, values: Array, chains: int) -> tuple[float, float]:
    """Return ln of the weighted mean of exp(values) and its Monte-Carlo standard error.

    Parameters
    ----------
    log_weight, values : array (chain × draw,)
    chains : int

    Notes
    -----
    The error is that of the mean of w (exp(v)/m − 1) with weights w of mean 1 and m the weighted mean (delta method),
    by the ESS of the chains.
    """
    total = logsumexp(log_weight)
    log_mean = float(logsumexp(log_weight + values) - total)
    each = np.exp(log_weight - total) * len(values) * np.expm1(values - log_mean)
    return log_mean, float(mcse_mean(each.reshape(1, chains, -1))[0])


def by_refit(
    data: xr.Dataset,
    tree: Hierarchy,
    posterior: xr.Dataset,
    stats: xr.Dataset,
    number: int,
    seed: int,
    weighed: LeftOut,
) -> LeftOut:
    """Leave a study out by draws of the posterior without it; ``weighed`` is what its weights said.

    Other parameters as `by_weights`; ``posterior`` and ``stats`` are those of the fit without the study.
    """
    rng = generator(seed, "two_pool_left_out", 2 * number + 1)
    study = study_of(tree, data[words.DURATION].values, number)
    scored = log_density(study, study.contrasts, population(posterior), rng)
    elpd, mcse = log_predictive_density(scored.reshape(1, posterior.sizes["chain"], -1))
    # A few draws that the study hits by chance may make the mean.
    k = pareto_k(scored)
    heavy = f"k̂ {k:.2f} of the densities of its draws" if not k < PARETO_K_LIMIT else ""
    wrong = ", ".join(filter(None, [shortcoming(posterior, stats), heavy]))
    reason = f"the fit without this study: {wrong}" if wrong else ""
    return LeftOut(elpd, mcse, k, weighed.efficiency, REFITTED, reason)


def shortcoming(posterior: xr.Dataset, stats: xr.Dataset) -> str:
    """Return what is wrong with draws of the parameters that studies share; empty where nothing is.

    Parameters
    ----------
    posterior, stats : Dataset
        Groups ``posterior`` and ``sample_stats`` of a fit.
    """
    chains = posterior.sizes["chain"]
    names = [name for name in map(str, posterior.data_vars) if name.startswith(_SHARED)]
    rows = np.concatenate([draws_last(posterior, name).reshape(-1, chains, posterior.sizes["draw"]) for name in names])
    checks = convergence(rows)
    # Constant draws, as of a fixed prior, have neither.
    r_hat = np.fmax.reduce(checks["r_hat"])
    ess = np.fmin.reduce(np.stack([checks["ess_bulk"], checks["ess_tail"]]), axis=None)
    divergences = divergences_of(stats)
    said = [
        f"{divergences} divergences" if divergences else "",
        f"R-hat {r_hat:.3f}" if r_hat >= R_HAT_LIMIT else "",
        f"ESS {ess:.0f}" if ess < ESS_LIMIT else "",
    ]
    return ", ".join(filter(None, said))


def _dataset(data: xr.Dataset, posterior: xr.Dataset, names: list[str], found: list[LeftOut]) -> xr.Dataset:
    """Label what was found."""
    columns = {name: np.array([getattr(one, name) for one in found]) for name in OF_REFIT if name != "passed"}
    columns["passed"] = np.array([int(not one.reason) for one in found])
    columns["n_comparisons"] = np.array([int((data["study_of_comparison"].values == name).sum()) for name in names])
    variables = {
        name: ("left_out", values, {"units": OF_REFIT[name]} if OF_REFIT.get(name) else {})
        for name, values in columns.items()
    }
    attrs = {"chains": posterior.sizes["chain"], "draws": posterior.sizes["draw"]}
    return xr.Dataset(variables, {"left_out": names}, attrs)
