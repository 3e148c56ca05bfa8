"""The contrast-based model by nutpie against the same model by Stan, on 50 simulated studies."""

import json

import numpy as np
import pandas as pd
import pytest
from agreement import disagreements, probability, summaries, summaries_of_draws

import mcpbayes as mb
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.small_matrices import covariance
from mcpbayes.inference.tree import build_hierarchy

SETTINGS = [
    "data.columns.comparison=obs",
    "moderators.standardise=false",
    "priors.intercept={ distribution = 'normal', mean = 0.0, sd = 1.0, correlation = 0.0 }",
    "priors.slope={ distribution = 'normal', mean = 0.0, sd = 1.0, correlation = 0.0 }",
    "priors.tau_study.sd=1.0",
    "priors.tau_comparison.sd=1.0",
    "sampling.engine=nuts",
]


@pytest.fixture(scope="module")
def arms(root):
    model = mb.load_model("contrast-based", settings=SETTINGS, moderators="~ x")
    return mb.prepare(mb.read_table(root / "tests/reference/J50.csv"), model), model


@pytest.fixture(scope="module")
def result(arms):
    return mb.delta_mcp(mb.fit(*arms, seed=1), at={"x": [0.0]})


def test_every_summary_agrees_with_stan(result, root):
    reference = pd.read_csv(root / "tests/reference/J50_stan_summary.csv", index_col=0)
    draws = _our_draws(result)
    assert set(draws) == set(reference.index)
    ours, theirs = [], []
    for name, row in reference.iterrows():
        quantiles = {0.025: row["2.5%"], 0.05: row["5%"], 0.5: row["median"], 0.95: row["95%"], 0.975: row["97.5%"]}
        theirs += summaries(name, row["mean"], row["sd"], quantiles, row["ess_bulk"], row["ess_tail"])
        ours += summaries_of_draws(name, draws[name])
    assert disagreements(ours, theirs) == []


def test_probabilities_and_a_new_comparison_agree_with_stan(result, root):
    reference = json.loads((root / "tests/reference/J50_stan.json").read_text())
    draws = _our_draws(result)
    target = result["delta_mcp"].to_dataset().set_index(target="target").sel(target="new: x=0")
    new = target["log_delta_mcp"].to_numpy()
    size = new.size  # thousands of nearly independent draws on both sides; 3000 is below every ESS
    ours = [
        probability("delta > 0", float((draws["delta"] > 0).mean()), 3000),
        probability("delta > 0.02", float((draws["delta"] > 0.02).mean()), 3000),
        probability("slope of delta > 0", float((draws["delta_b"] > 0).mean()), 3000),
        probability("new > 0", float((new > 0).mean()), 3000),
    ]
    theirs = [
        probability("delta > 0", reference["P_delta_gt0"], 3000),
        probability("delta > 0.02", reference["P_delta_gt_0.02"], 3000),
        probability("slope of delta > 0", reference["P_deltab_gt0"], 3000),
        probability("new > 0", reference["new_obs_delta"]["P_gt0"], 3000),
    ]
    sd = reference["new_obs_delta"]["sd"]
    low, middle, high = reference["new_obs_delta"]["q"]
    theirs += summaries(
        "new", reference["new_obs_delta"]["mean"], sd, {0.025: low, 0.5: middle, 0.975: high}, 4000, 4000
    )
    quantiles = {p: float(np.quantile(new, p)) for p in (0.025, 0.5, 0.975)}
    ours += summaries("new", float(new.mean()), float(new.std(ddof=1)), quantiles, size, size)
    assert disagreements(ours, theirs) == []


def test_sampling_was_clean(result):
    assert int(result["sample_stats"]["diverging"].sum()) == 0


def test_log_likelihood_at_metafors_estimates_is_metafors(arms, root):
    data, _ = arms
    reference = json.loads((root / "tests/reference/J50_metafor_ML.json").read_text())
    tree = build_hierarchy(data)
    coef = reference["coef"]
    beta = np.array(
        [
            [coef["outcomenecromass"], coef["outcomesoc"]],
            [coef["outcomenecromass:x"], coef["outcomesoc:x"]],
        ]
    )
    assert list(data["coefficient"].values) == ["intercept", "x"]

    def sigma(tau2, rho):
        return covariance(np.sqrt([tau2]), np.array([[rho]]))

    levels = Covariances(
        comparison=sigma(reference["gamma2"], reference["phi"]), study=sigma(reference["tau2"], reference["rho"])
    )
    value = log_likelihood(tree, levels, (tree.design @ beta)[..., None]).sum()
    assert value == pytest.approx(reference["logLik"], abs=1e-6)


def _our_draws(result) -> dict[str, np.ndarray]:
    """Our draws under Stan's names."""
    posterior = result["posterior"].to_dataset()
    outcomes, coefficients = ("necromass", "soc"), ("intercept", "x")
    beta = {(c, o): posterior["beta"].sel(coefficient=c, outcome=o).to_numpy() for c in coefficients for o in outcomes}
    draws = {"delta": beta["intercept", "necromass"] - beta["intercept", "soc"]}
    draws["delta_b"] = beta["x", "necromass"] - beta["x", "soc"]
    for k, outcome in enumerate(outcomes, start=1):
        draws[f"mu[{k}]"], draws[f"b[{k}]"] = beta["intercept", outcome], beta["x", outcome]
        draws[f"sd_s[{k}]"] = posterior["tau_study"].sel(outcome=outcome).to_numpy()
        draws[f"sd_o[{k}]"] = posterior["tau_comparison"].sel(outcome=outcome).to_numpy()
        effect = posterior["study_effect"].sel(outcome=outcome)
        for study in posterior["study"].values:
            draws[f"u[{k},{study}]"] = effect.sel(study=study).to_numpy()
    draws["rho_s"] = posterior["rho_study"].isel(pair=0).to_numpy()
    draws["rho_o"] = posterior["rho_comparison"].isel(pair=0).to_numpy()
    return draws
