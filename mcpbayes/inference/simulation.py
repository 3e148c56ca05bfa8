"""Tables simulated from the standard model, with the truth behind them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.small_matrices import Array
from mcpbayes.measurement.effect_sizes import sampling_covariance
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.priors import prior_of_coefficient, sample, sample_correlation
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator

#: Typical control arm: ln SOC (g/kg) and logit of the necromass share, mean and spread; a cropland topsoil.
LOG_SOC, LOGIT_SHARE = (np.log(14.0), 0.40), (-0.4, 0.35)
#: Root-mean-square CVs among plots and their spread between studies (sd of ln CV); as the defaults of the models.
CV_MEAN, CV_SPREAD = (0.20, 0.15), 0.25
REPLICATES = (3, 4, 5, 6)
YEARS = (2, 31)


def simulate(
    model: Specification | None = None,
    *,
    studies: int = 50,
    seed: int = 1,
    kinds: Sequence[str] = ("treatment",),
    effect: tuple[float, float] | None = None,
    tau_study: tuple[float, float] | None = None,
    tau_comparison: tuple[float, float] | None = None,
    tau_kind: tuple[float, float] | None = None,
    missing_sd: float = 0.0,
    missing_necromass: float = 0.0,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Draw a table of field comparisons from the arm-based model.

    Parameters
    ----------
    model : Specification, optional
        Whose priors the truths are drawn from; default ``arm-based``.
    studies : int
        Number of studies; each has one or two controls with one to three treatments.
    seed : int
    kinds : sequence of str
        Treatment kinds; with two or more, effects of kinds are drawn too.
    effect, tau_study, tau_comparison, tau_kind : (float, float), optional
        True mean effects (ln ratio) and heterogeneity of (necromass, SOC); drawn from the priors where not given.
    missing_sd : float
        Fraction of standard deviations left out, at random.
    missing_necromass : float
        Fraction of studies that report SOC only.

    Returns
    -------
    table : pandas.DataFrame
        Layout ``comparison``, g/kg; column ``simulated`` says what it is.
    truth : dict
        The parameters, and the true effects and baselines by row.

    Notes
    -----
    Log means are drawn around the truth with the sampling covariance that the reported SDs, n and ϱ = 0.5 imply, so
    the table follows the model exactly (with its default bias correction and ϱ, and where no SD is left out); means are
    rounded to five significant digits.
    """
    model = model or load_model("arm-based")
    if tuple(model.data.outcomes) != ("necromass", "soc"):
        raise ValueError(f"simulate needs the outcomes necromass, soc in this order, not {model.data.outcomes}")
    rng = generator(seed, "simulate")
    truth = _draw_truth(model, rng, len(kinds), effect, tau_study, tau_comparison, tau_kind)
    rows = draw_design(rng, studies, len(kinds))
    study, control, kind = (rows[name].to_numpy() for name in ("study", "control", "kind"))
    u = draw_pairs(rng, truth["tau_study"], truth["rho_study"], studies)
    w = draw_pairs(rng, truth["tau_comparison"], truth["rho_comparison"], len(rows))
    theta = np.asarray(truth["effect"]) + np.asarray(truth["kind_effect"])[kind] + u[study] + w
    baseline = _draw_baselines(rng, control.max() + 1)
    cv = np.exp(rng.normal(np.log(CV_MEAN) - CV_SPREAD**2, CV_SPREAD, (studies, 2)))
    n = rng.choice(REPLICATES, studies)
    first = np.unique(control, return_index=True)[1]
    control_mean, control_sd = draw_arms(rng, baseline, cv[study[first]], n[study[first]])
    treated_mean, treated_sd = draw_arms(rng, baseline[control] + theta, cv[study], n[study])
    treated_sd[rng.random(treated_sd.shape) < missing_sd] = np.nan
    control_sd[rng.random(control_sd.shape) < missing_sd] = np.nan
    soc_only = rng.random(studies) < missing_necromass
    years = rng.integers(*YEARS, studies)

    width = len(str(studies))
    table = pd.DataFrame(
        {
            "study": [f"Simulated {s + 1:0{width}d}" for s in study],
            "control_id": [f"C{c + 1}" for c in rows["control_in_study"]],
            "treatment": np.array(kinds)[kind],
            "n_control": n[study],
            "n_treatment": n[study],
            "duration_years": years[study],
            "simulated": "yes",
        }
    )
    for k, outcome in enumerate(("necromass", "soc")):
        hidden = soc_only[study] if outcome == "necromass" else np.zeros(len(rows), dtype=bool)
        for arm, mean, sd in (
            ("control", control_mean[control, k], control_sd[control, k]),
            ("treatment", treated_mean[:, k], treated_sd[:, k]),
        ):
            table[f"{outcome}_{arm}"] = np.where(hidden, np.nan, mean)
            table[f"{outcome}_{arm}_sd"] = np.where(hidden, np.nan, sd)
    truth |= {
        "kinds": list(kinds),
        "simulated": True,
        "seed": seed,
        "rows": [
            {"study": s, "treatment": t, "effect": list(th), "baseline": list(b)}
            for s, t, th, b in zip(
                table["study"], table["treatment"], theta.tolist(), baseline[control].tolist(), strict=True
            )
        ],
    }
    return table, truth


def _draw_truth(
    model: Specification,
    rng: np.random.Generator,
    kinds: int,
    effect: tuple[float, float] | None,
    tau_study: tuple[float, float] | None,
    tau_comparison: tuple[float, float] | None,
    tau_kind: tuple[float, float] | None,
) -> dict[str, Any]:
    """Draw every parameter from its prior, in a fixed order, and replace those that were given."""
    outcomes = model.data.outcomes
    given = {"study": tau_study, "comparison": tau_comparison, "kind": tau_kind}
    truth: dict[str, Any] = {"outcomes": list(outcomes)}
    drawn = sample(prior_of_coefficient(model, "intercept"), rng, 1, outcomes)[0]
    truth["effect"] = list(drawn if effect is None else effect)
    for level, value in given.items():
        tau = sample(model.priors[f"tau_{level}"], rng, 1, outcomes)[0]
        truth[f"tau_{level}"] = list(tau if value is None else value)
        truth[f"rho_{level}"] = float(sample_correlation(model.priors[f"rho_{level}"], rng, 1)[0])
    kappa = draw_pairs(rng, truth["tau_kind"], truth["rho_kind"], kinds)
    truth["kind_effect"] = kappa.tolist() if kinds > 1 else [[0.0, 0.0]]
    return truth


def draw_design(rng: np.random.Generator, studies: int, kinds: int) -> pd.DataFrame:
    """Draw who belongs to whom: one row per comparison with the numbers of its study, control and kind."""
    rows: list[tuple[int, int, int, int]] = []
    control = 0
    for study in range(studies):
        usual = study % kinds
        for in_study in range(rng.integers(1, 3)):
            for _ in range(rng.integers(1, 4)):
                kind = usual if rng.random() < 0.7 else int(rng.integers(kinds))
                rows.append((study, control, in_study, kind))
            control += 1
    return pd.DataFrame(rows, columns=["study", "control", "control_in_study", "kind"])


def _draw_baselines(rng: np.random.Generator, controls: int) -> Array:
    """Draw ln necromass and ln SOC of control arms, (control, 2); necromass is a share of SOC below one."""
    soc = rng.normal(*LOG_SOC, controls)
    share = expit(rng.normal(*LOGIT_SHARE, controls))
    return np.column_stack([soc + np.log(share), soc])


def draw_pairs(rng: np.random.Generator, tau: Sequence[float], rho: float, size: int) -> Array:
    """Draw ``size`` pairs from N(0, diag(τ) R diag(τ))."""
    factor = small.cholesky(small.covariance(np.array([tau]), np.array([[rho]]))[None])[0, :, :, 0]
    return np.asarray(rng.standard_normal((size, 2)) @ factor.T)


def draw_arms(rng: np.random.Generator, log_mean: Array, cv: Array, n: Array) -> tuple[Array, Array]:
    """Draw reported means and standard deviations of arms, each (arm, 2), five significant digits."""
    covariance = sampling_covariance(cv, np.column_stack([n, n]).astype(float), np.full(len(n), 0.5))
    factor = np.linalg.cholesky(covariance)
    reported = log_mean + np.einsum("aij,aj->ai", factor, rng.standard_normal(log_mean.shape))
    mean = np.exp(reported - 0.5 * cv**2 / n[:, None])
    return _round(mean), _round(cv * mean)


def _round(values: Array) -> Array:
    """Round to five significant digits, as a paper's table would."""
    digits = 4 - np.floor(np.log10(values)).astype(int)
    return np.array([round(value, digit) for value, digit in zip(values.ravel(), digits.ravel(), strict=True)]).reshape(
        values.shape
    )
