"""One posterior: engine against engine on three tables, and against Stan on two of them.

NUTS samples the smallest table here; of the others its summaries are recorded (`benchmarks.engines`).
"""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from agreement import Summary, disagreements, probability, rows_that_disagree, summaries, summaries_of_draws

import mcpbayes as mb
from benchmarks import engines
from mcpbayes.inference import completion
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.small_matrices import covariance
from mcpbayes.inference.tree import build_hierarchy

#: Tables and engines that are sampled here.
SAMPLED = [("J50", "collapsed"), ("J50", "nuts"), ("J200", "collapsed")]


@pytest.fixture(scope="module")
def files(root, request):
    """Return the files of a simulated table: the table itself, Stan's summaries and probabilities."""

    def find(name):
        if name == "J50":
            return [root / "tests/reference" / file for file in ("J50.csv", "J50_stan_summary.csv", "J50_stan.json")]
        folder = request.getfixturevalue("shared_reference")
        stan = "g_stan_J200_three_fullmarg"
        return [folder / file for file in ("g_sim_J200.csv", f"{stan}_summary.csv", f"{stan}.json")]

    return find


@pytest.fixture(scope="module")
def prepare(files, request):
    def prepared(name, engine="collapsed"):
        model = engines.model_of(name, engine)
        in_database = name == "SNDB"
        path = request.getfixturevalue("shared_data") / "sndb_pairs_strict.csv" if in_database else files(name)[0]
        return mb.prepare(mb.read_table(path), model), model

    return prepared


@pytest.fixture(scope="module")
def fitted(prepare):
    """Return the result of a table and an engine; each is fitted once, 4 chains of 4000 draws, seed 1, all stored."""
    patch = pytest.MonkeyPatch()
    patch.setattr(completion, "STORED_AT_MOST", 20_000_000)

    @cache
    def fit(name, engine):
        arms, model = prepare(name, engine)
        return mb.delta_mcp(mb.fit(arms, model, seed=engines.SEED), at=engines.points_of(name))

    yield fit
    patch.undo()


@pytest.mark.parametrize(("name", "engine"), SAMPLED)
def test_every_summary_agrees_with_stan(fitted, files, name, engine):
    reference = pd.read_csv(files(name)[1], index_col=0)
    draws = _our_draws(fitted(name, engine))
    assert set(draws) == set(reference.index)
    ours, theirs = [], []
    for quantity, row in reference.iterrows():
        quantiles = {0.025: row["2.5%"], 0.05: row["5%"], 0.5: row["median"], 0.95: row["95%"], 0.975: row["97.5%"]}
        theirs += summaries(quantity, row["mean"], row["sd"], quantiles, row["ess_bulk"], row["ess_tail"])
        ours += summaries_of_draws(quantity, draws[quantity])
    assert disagreements(ours, theirs) == []


@pytest.mark.parametrize(("name", "engine"), SAMPLED)
def test_probabilities_and_a_new_comparison_agree_with_stan(fitted, files, name, engine):
    result = fitted(name, engine)
    reference = json.loads(files(name)[2].read_text())
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


def test_the_engines_agree_in_every_summary(fitted):
    """All parameters, mean, new, studies and comparisons: mean, sd and five quantiles of each."""
    names, ours = engines.named_draws(fitted("J50", "collapsed"))
    same, theirs = engines.named_draws(fitted("J50", "nuts"))
    assert names == same
    moving = np.ptp(ours.reshape(len(ours), -1), axis=1) > 0
    assert moving.mean() > 0.9
    kept = [name for name, moves in zip(names, moving, strict=True) if moves]
    assert rows_that_disagree(kept, ours[moving], theirs[moving]) == []


@pytest.mark.parametrize("name", list(engines.RECORDS))
def test_the_collapsed_engine_agrees_with_what_nuts_said(fitted, name):
    """All parameters, mean, new, studies and comparisons, as above."""
    ours = engines.summarised(*engines.named_draws(fitted(name, "collapsed"), engines.UNNAMED[name]))
    theirs = pd.read_csv(engines.RECORDS[name])
    assert list(ours["quantity"]) == list(theirs["quantity"])
    assert disagreements(_summaries(ours), _summaries(theirs)) == []


def test_sampling_was_clean(fitted):
    assert int(fitted("J50", "nuts")["sample_stats"]["diverging"].sum()) == 0
    for name in ("J50", *engines.RECORDS):
        collapsed = fitted(name, "collapsed")
        assert collapsed.attrs["engine"] == "collapsed" and collapsed["sample_stats"].attrs["passed"] == 1


def test_the_rule_finds_a_posterior_that_is_another_one(fitted):
    """Another table's posterior: if the rule let it pass, the tests above would show nothing."""
    names, ours = engines.named_draws(fitted("J50", "collapsed"))
    moved = ours + 0.15 * ours.std(axis=(1, 2), keepdims=True)
    assert len(rows_that_disagree(names, ours, moved)) > 0.5 * len(names)


def test_log_likelihood_at_metafors_estimates_is_metafors(prepare, root):
    data, _ = prepare("J50")
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


def _summaries(table: pd.DataFrame) -> list[Summary]:
    return [
        summary
        for row in table.to_dict("records")
        for summary in summaries(
            row["quantity"], row["mean"], row["sd"], {p: row[f"q{p}"] for p in engines.QUANTILES},
            row["ess_bulk"], row["ess_tail"],
        )
    ]  # fmt: skip
