"""The CVs behind sampling covariances: as reported, pooled over studies, or from a model of ln CV."""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.errors import Problem
from mcpbayes.measurement.cv_model import LARGEST_K, SMALLEST_ESS, CVFit, fit_cvs
from mcpbayes.measurement.cv_posterior import Priors
from mcpbayes.measurement.pooled_cv import pooled_cv
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.part_arms import estimates
from mcpbayes.tables.sample_cvs import SampleCVs, any_spread, sample_cvs
from mcpbayes.vocabulary import NECROMASS

Array = NDArray[np.float64]

#: Fewer SDs of a pool than these, or from fewer studies, say less of its CVs than the priors do.
FEW_SDS: Final = 3
FEW_STUDIES: Final = 2


def with_cvs(
    arms: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str], model: Specification
) -> tuple[xr.Dataset, list[Problem]]:
    """Return arms with the CVs that ``data.dispersion.sd_model`` asks for, and what the reader should know about them.

    Parameters
    ----------
    arms : xarray.Dataset
        From `moments.arm_dataset`: with the CVs that are reported or derived, and defaults elsewhere.
    rows : DataFrame
        One row per comparison in canonical order.
    controls : sequence of str
        Names of the controls in canonical order.
    model : Specification

    Notes
    -----
    Pools of which no arm has an SD keep the default, arms with an SE without n the CV that carries it to their
    variance, (SE/mean)². ``source_sd`` stays as it is. With ``pooled`` and
    ``hierarchical`` the sample CVs are kept in ``cv_sample``; log means and sampling covariances follow the new ones.
    """
    order, correct = ("arm", "outcome"), model.data.bias_correction
    cv, n = (arms[name].transpose(*order).values for name in ("cv", "n"))
    sample = sample_cvs(arms, rows, controls)
    some = (~np.isnan(sample.given)).any(axis=0)
    if model.data.sd_model == "reported":
        return arms, []
    problems = _few(arms, sample, rows, modelled=model.data.sd_model == "hierarchical")
    if not some.any():
        return arms, problems
    arms = arms.assign(cv_sample=(order, sample.given))
    fixed = sample.kept | np.isnan(cv)
    if model.data.sd_model == "pooled":
        pooled = np.where(some, pooled_cv(sample.once, n, sample.study), cv)
        return with_cv(arms, np.where(fixed, cv, pooled), bias_correction=correct), problems
    outcomes = arms["outcome"].values.astype(str)[some].tolist()
    fit = fit_cvs(
        sample.given[:, some],
        sample.df[:, some],
        sample.study,
        ~np.isnan(cv[:, some]),
        cv_priors(model, outcomes),
        generator(0, "cvs"),
        sample.shared_with[:, some],
    )
    made, draws = cv.copy(), np.repeat(cv[None], len(fit.cv), axis=0)
    made[:, some], draws[..., some] = fit.rms, fit.cv
    made, draws = np.where(fixed, cv, made), np.where(fixed, cv, draws)
    arms = with_cv(arms, made, bias_correction=correct)
    arms = arms.assign(cv_draw=(("cv_world", *order), draws)).assign_attrs(cv_model=json.dumps(_summary(fit, outcomes)))
    return arms, problems + _not_covered(fit)


def with_cv(arms: xr.Dataset, cv: Array, *, bias_correction: bool) -> xr.Dataset:
    """Return arms with other CVs (arm, outcome); log means (correction CV²/(2n)) and covariances follow."""
    order = ("arm", "outcome")
    log_mean, covariance = estimates(arms, cv, bias_correction=bias_correction)
    return arms.assign(
        cv=(order, cv), log_mean=(order, log_mean), sampling_covariance=((*order, "outcome_bis"), covariance)
    )


def cv_priors(model: Specification, outcomes: Sequence[str]) -> Priors:
    """Return the priors of the pools that are modelled as the sampler takes them."""
    cv, tau, omega = (model.priors[name] for name in ("cv", "tau_cv", "omega_cv"))
    key = {True: "value", False: "sd"}
    fixed = [prior.distribution == "fixed" for prior in (tau, omega)]
    return Priors(
        location=np.log([number(cv, "median", outcome) for outcome in outcomes]),
        spread=np.array([number(cv, "sd_log", outcome) for outcome in outcomes]),
        tau=number(tau, key[fixed[0]], ""),
        omega=np.array([number(omega, key[fixed[1]], outcome) for outcome in outcomes]),
        tau_fixed=fixed[0],
        omega_fixed=fixed[1],
    )


def _summary(fit: CVFit, outcomes: Sequence[str]) -> dict[str, object]:
    """Return posterior means and 95 % intervals of the typical CVs and of their spreads, and how the sampler fared."""

    def said(draws: Array) -> list[float]:
        return [float(draws.mean()), *map(float, np.quantile(draws, [0.025, 0.975]))]

    found = fit.parameters
    return {
        "typical": {outcome: said(np.exp(found.mu[:, i])) for i, outcome in enumerate(outcomes)},
        "omega": {outcome: said(found.omega[:, i]) for i, outcome in enumerate(outcomes)},
        "tau": said(found.tau),
        "pareto_k": fit.pareto_k if np.isfinite(fit.pareto_k) else None,
        "ess": fit.ess,
        "passed": fit.passed,
    }


def _few(arms: xr.Dataset, sample: SampleCVs, rows: pd.DataFrame, *, modelled: bool) -> list[Problem]:
    """Return warnings for pools that the SDs say little or nothing of; a table without any is told elsewhere."""
    if not any_spread(rows):
        return []
    problems = []
    for outcome, given in zip(arms["outcome"].values.astype(str), ~np.isnan(sample.once).T, strict=True):
        count, studies = int(given.sum()), len(np.unique(sample.study[given]))
        if count and (not modelled or (count >= FEW_SDS and studies >= FEW_STUDIES)):
            continue
        message = f"{count} arm{' has' if count == 1 else 's have'} an SD of {outcome}"
        message += f", in {studies} stud{'y' if studies == 1 else 'ies'}"
        message += ": its CVs are what the priors say, rather than the table"
        if count == 0:
            of_both = ", or those of both amino sugars," if converted_arms(arms).any() and outcome == NECROMASS else ""
            message = f"no arm has an SD of {outcome}{of_both} and n: where it is not given its CV is "
            message += f"data.defaults.cv.{outcome}, taken as known"
        problems.append(Problem("few-sds", message, "warning", remedy="Add what the papers report."))
    return problems


def _not_covered(fit: CVFit) -> list[Problem]:
    """Return a warning where the draws of the CVs are not to be relied on."""
    if fit.passed:
        return []
    message = (
        f"the CVs of the arms are not to be relied on: proposals did not cover their posterior (Pareto k̂ "
        f"{fit.pareto_k:.2f}, ESS {fit.ess:.0f})"
    )
    limits = f"k̂ below {LARGEST_K:g} and ESS of {SMALLEST_ESS:g}"
    remedy = "Look for SDs that are mistyped, or take --set data.dispersion.sd_model=pooled."
    return [Problem("cv-model", message, "warning", expected=limits, remedy=remedy)]
