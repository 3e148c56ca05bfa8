"""Tables simulated from the two-pool model, with the truth behind them."""

from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.special import expit

from mcpbayes import vocabulary as words
from mcpbayes.inference.simulation import (
    CV_MEAN,
    CV_SPREAD,
    LOG_SOC,
    REPLICATES,
    draw_arms,
    draw_design,
    draw_pairs,
)
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER
from mcpbayes.specification.priors import prior_of_coefficient, sample, sample_correlation, sample_number
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator

#: Range of the durations, years: as field experiments have them.
DURATIONS: Final = (1.0, 40.0)


def simulate_two_pools(
    model: Specification | None = None,
    *,
    studies: int = 30,
    seed: int = 1,
    design_seed: int | None = None,
    change: tuple[float, float] | None = None,
    turnover_rate: tuple[float, float] | None = None,
    durations: tuple[float, float] = DURATIONS,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Draw a table of field comparisons of known duration from the two-pool model.

    Parameters
    ----------
    model : Specification, optional
        Whose priors the truths are drawn from; default ``two-pool``. Its formula must be ``~ 1``.
    studies : int
        Number of studies; each has one or two controls, sampled after durations of their own, with one to three
        treatments.
    seed : int
    design_seed : int, optional
        Of who belongs to whom, durations, CVs and numbers of plots; the same design for tables of other truths.
        Default: `seed`.
    change : (float, float), optional
        True typical ln(new / old steady state) of (necromass, non-microbial); drawn from the prior where not given.
    turnover_rate : (float, float), optional
        True k of the two, per year; drawn from the prior where not given.
    durations : (float, float)
        Shortest and longest, years; log-uniform between them. Equal ones: all durations are equal.

    Returns
    -------
    table : pandas.DataFrame
        Layout ``comparison``, g/kg, with ``duration_years``; column ``simulated`` says what it is.
    truth : dict
        ``beta``, ``tau_*``, ``rho_*``, ``turnover_rate``, ``mu_r``, ``sigma_r``, and by row what the comparison truly
        did.

    Notes
    -----
    Log means are drawn as those of `simulate`: with the sampling covariance that the reported SDs, n and ϱ = 0.5 imply.
    """
    model = model or load_model("two-pool")
    rng = generator(seed, "two_pool_simulate")
    layout = generator(seed if design_seed is None else design_seed, "two_pool_simulate", 1)
    truth = draw_truth(model, rng, change, turnover_rate)
    rows = draw_design(layout, studies, 1)
    study, control = rows["study"].to_numpy(), rows["control"].to_numpy()
    first, controls = np.unique(control, return_index=True)[1], int(control.max()) + 1
    years = np.round(np.exp(layout.uniform(np.log(durations[0]), np.log(durations[1]), controls)), 2)
    cv = np.exp(layout.normal(np.log(CV_MEAN) - CV_SPREAD**2, CV_SPREAD, (studies, 2)))
    n = layout.choice(REPLICATES, studies)

    log_soc = rng.normal(*LOG_SOC, controls)
    ratio = expit(truth[MU_R] + truth[SIGMA_R] * rng.standard_normal(controls))
    theta = draw_effects(truth, rng, study, years[control], ratio[control])
    baseline = np.column_stack([log_soc + np.log(ratio), log_soc])
    control_mean, control_sd = draw_arms(rng, baseline, cv[study[first]], n[study[first]])
    treated_mean, treated_sd = draw_arms(rng, baseline[control] + theta, cv[study], n[study])

    width = len(str(studies))
    table = pd.DataFrame(
        {
            "study": [f"Simulated {s + 1:0{width}d}" for s in study],
            "control_id": [f"C{c + 1}" for c in rows["control_in_study"]],
            "treatment": "treatment",
            "n_control": n[study],
            "n_treatment": n[study],
            words.DURATION: years[control],
            "simulated": "yes",
        }
    )
    for k, outcome in enumerate((words.NECROMASS, words.SOC)):
        table[f"{outcome}_control"], table[f"{outcome}_control_sd"] = control_mean[control, k], control_sd[control, k]
        table[f"{outcome}_treatment"], table[f"{outcome}_treatment_sd"] = treated_mean[:, k], treated_sd[:, k]
    of_rows = {"effect": theta.tolist(), "mcp_efficacy_control": ratio[control].tolist()}
    return table, truth | {"simulated": True, "seed": seed, "rows": of_rows}


def draw_truth(
    model: Specification,
    rng: np.random.Generator,
    change: tuple[float, float] | None = None,
    turnover_rate: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Draw every parameter from its prior, in a fixed order, and replace those that were given."""
    beta = sample(prior_of_coefficient(model, "intercept"), rng, 1, words.PARTS_OF_SOC)[0]
    rates = sample(model.priors[TURNOVER], rng, 1, words.PARTS_OF_SOC)[0]
    truth: dict[str, Any] = {
        "beta": list(beta if change is None else change),
        TURNOVER: list(rates if turnover_rate is None else turnover_rate),
        MU_R: float(sample_number(model.priors[MU_R], rng, 1)[0]),
        SIGMA_R: float(sample_number(model.priors[SIGMA_R], rng, 1)[0]),
    }
    for level in ("study", "comparison"):
        truth[f"tau_{level}"] = list(sample(model.priors[f"tau_{level}"], rng, 1, words.PARTS_OF_SOC)[0])
        truth[f"rho_{level}"] = float(sample_correlation(model.priors[f"rho_{level}"], rng, 1)[0])
    return truth


def draw_effects(truth: dict[str, Any], rng: np.random.Generator, study: Array, years: Array, ratio: Array) -> Array:
    """Draw θ_N and θ_C of every comparison, (comparison, 2)."""
    u = draw_pairs(rng, truth["tau_study"], truth["rho_study"], int(study.max()) + 1)
    w = draw_pairs(rng, truth["tau_comparison"], truth["rho_comparison"], len(study))
    change = np.asarray(truth["beta"]) + u[study]
    pools = log_pool_change(change, np.asarray(truth[TURNOVER]), years[:, None]) + w
    return np.column_stack([pools[:, 0], log_soc_change(pools[:, 0], pools[:, 1], ratio)])
