"""The CVs behind sampling covariances: as reported, pooled over studies, or from a model of ln CV."""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.errors import Problem
from mcpbayes.measurement import effect_sizes
from mcpbayes.measurement.cv_model import LARGEST_K, SMALLEST_ESS, CVFit, fit_cvs
from mcpbayes.measurement.cv_posterior import Priors
from mcpbayes.measurement.pooled_cv import pooled_cv
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.tables.sample_cvs import SampleCVs, sample_cvs

Array = NDArray[np.float64]

#: Fewer SDs of a pool than these say less of its CVs than the priors do.
FEW_SDS: Final = 3


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
    if model.data.sd_model == "reported" or not some.any():
        return arms, []
    arms = arms.assign(cv_sample=(order, sample.given))
    fixed = sample.kept | np.isnan(cv)
    if model.data.sd_model == "pooled":
        pooled = np.where(some, pooled_cv(sample.once, n, sample.study), cv)
        return with_cv(arms, np.where(fixed, cv, pooled), bias_correction=correct), []
    outcomes = arms["outcome"].values.astype(str)[some].tolist()
    parts = (part[:, some] for part in (sample.given, sample.df, ~np.isnan(cv), sample.shared_with))
    given, df, present, shared = parts
    rng = generator(0, "cvs")
    fit = fit_cvs(given, df, sample.study, present, cv_priors(model, outcomes), rng, shared)
    made, draws = cv.copy(), np.repeat(cv[None], len(fit.cv), axis=0)
    made[:, some], draws[..., some] = fit.rms, fit.cv
    made, draws = np.where(fixed, cv, made), np.where(fixed, cv, draws)
    arms = with_cv(arms, made, bias_correction=correct)
    arms = arms.assign(cv_draw=(("cv_world", *order), draws)).assign_attrs(cv_model=json.dumps(_summary(fit, outcomes)))
    return arms, _notes(arms, sample, fit)


def with_cv(arms: xr.Dataset, cv: Array, *, bias_correction: bool) -> xr.Dataset:
    """Return arms with other CVs (arm, outcome); log means (correction CV²/(2n)) and covariances follow."""
    order = ("arm", "outcome")
    mean, n = (arms[name].transpose(*order).values for name in ("mean", "n"))
    return arms.assign(
        cv=(order, cv),
        log_mean=(order, effect_sizes.log_mean(mean, cv, n, bias_correction=bias_correction)),
        sampling_covariance=(
            (*order, "outcome_bis"),
            effect_sizes.sampling_covariance(cv, n, arms["rho_within"].values),
        ),
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


def _notes(arms: xr.Dataset, sample: SampleCVs, fit: CVFit) -> list[Problem]:
    """Return warnings for pools that the SDs say little or nothing of, and for draws that are not to be relied on."""
    problems = []
    for outcome, count in zip(arms["outcome"].values.astype(str), (~np.isnan(sample.once)).sum(axis=0), strict=True):
        if count >= FEW_SDS:
            continue
        message = f"{count} arm{' has' if count == 1 else 's have'} an SD of {outcome}"
        message += ": its CVs are what the priors say, rather than the table"
        if count == 0:
            message = f"no arm has an SD of {outcome}: its CVs are data.defaults.cv, taken as known"
        problems.append(Problem("few-sds", message, "warning", remedy="Add what the papers report."))
    if not fit.passed:
        message = (
            f"the CVs of the arms are not to be relied on: proposals did not cover their posterior (Pareto k̂ "
            f"{fit.pareto_k:.2f}, ESS {fit.ess:.0f})"
        )
        limits = f"k̂ below {LARGEST_K:g} and ESS of {SMALLEST_ESS:g}"
        remedy = "Look for SDs that are mistyped, or take --set data.dispersion.sd_model=pooled."
        problems.append(Problem("cv-model", message, "warning", expected=limits, remedy=remedy))
    return problems
