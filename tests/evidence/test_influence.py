"""Studies left out: a planted outlier is found, and every number agrees with a second route to it."""

import json

import numpy as np
import pandas as pd
import pytest
from agreement import disagreements, summaries, summaries_of_draws

import mcpbayes as mb
from mcpbayes import workers
from mcpbayes.errors import StageError
from mcpbayes.evidence import left_out
from mcpbayes.inference import refits
from mcpbayes.inference.coordinates import covariances
from mcpbayes.inference.root import coefficient_prior, log_marginal
from mcpbayes.inference.tree import build_hierarchy, select_studies
from mcpbayes.monte_carlo.importance import pareto_k
from mcpbayes.monte_carlo.summaries import ess_mean
from mcpbayes.specification.loading import from_toml

KINDS = ("manure", "straw")


def made_table(kinds=KINDS, studies=12):
    table, _ = mb.simulate(
        studies=studies, seed=3, kinds=kinds, effect=(0.2, 0.1), tau_study=(0.05, 0.05), tau_comparison=(0.05, 0.05)
    )
    return table


def planted():
    """One study whose necromass is said to grow fourfold."""
    table = made_table()
    name = sorted(table["study"].unique())[6]
    table.loc[table["study"] == name, "necromass_treatment"] *= 4.0
    return table, name


def fitted(table, *settings, moderators=None, at=None, seed=1):
    given = ["data.dispersion.sd_model=reported", *settings]
    model = mb.load_model("arm-based", settings=given, moderators=moderators)
    return mb.classify(mb.delta_mcp(mb.fit(mb.prepare(table, model), model, seed=seed), at=at))


@pytest.fixture(scope="module")
def outlying():
    table, name = planted()
    return mb.leave_one_study_out(fitted(table)), table, name


@pytest.fixture(scope="module")
def usual():
    return mb.leave_one_study_out(fitted(made_table()))


@pytest.fixture(scope="module")
def small():
    return mb.leave_one_study_out(fitted(made_table(("treatment",), studies=5)))


def test_planted_outlier_is_most_influential_and_worst_predicted(outlying):
    result, _, name = outlying
    found = result["influence"].to_dataset()
    shift = np.abs(found["shift"].sel(target="mean: average over kinds").values)
    names = found["left_out"].values.tolist()
    assert names[int(np.argmax(shift))] == name
    each = found["elpd"] / found["n_comparisons"]
    assert names[int(np.argmin(each.values))] == name
    assert np.sort(shift)[-2] < 0.5 * shift.max()
    assert float(found["shift"].sel(target="mean: average over kinds", left_out=name)) < 0


def test_without_a_study_is_what_the_table_without_its_rows_gives(outlying):
    result, table, name = outlying
    found = result["influence"].to_dataset().sel(left_out=name)
    other = fitted(table[table["study"] != name], seed=11)["delta_mcp"].to_dataset().set_xindex("target")
    ours, theirs = [], []
    for target in found["target"].values.astype(str):
        draws = other["log_delta_mcp"].sel(target=target).values
        theirs += summaries_of_draws(target, draws)
        one = found.sel(target=target)
        bulk = 2000.0  # the gate asks for 400 and these chains have more
        quantiles = {0.025: float(one["log_delta_mcp_lower"]), 0.975: float(one["log_delta_mcp_upper"])}
        ours += summaries(
            target, float(one["log_delta_mcp_mean"]), float(one["log_delta_mcp_sd"]), quantiles, bulk, bulk
        )
    kept = [one for one in theirs if one.kind in ("mean", "sd", "q0.025", "q0.975")]
    assert disagreements(ours, kept) == []
    change = other["delta_mcp"].sel(target="mean: average over kinds")
    assert float(found["delta_mcp_mean"].sel(target="mean: average over kinds")) == pytest.approx(
        float(change.mean()), abs=0.1 * float(change.std())
    )


def test_agrees_with_importance_weights_where_a_study_moves_little(usual):
    """p(φ | y₋s) ∝ p(φ | y) / p(c_s | φ, y₋s): the other route, from the draws given all studies."""
    posterior, found = usual["posterior"].to_dataset(), usual["influence"].to_dataset()
    model, data = from_toml(usual.attrs["specification"]), usual["data"].to_dataset()
    tau_and_rho = [name for name in posterior.data_vars if str(name).startswith(("tau_", "rho_"))]
    phi = {name: posterior[name].values.reshape(-1, posterior[name].shape[-1]) for name in tau_and_rho}
    sigma, kind_factor = covariances(phi)
    prior, tree = coefficient_prior(model, ["intercept"]), build_hierarchy(data)
    every, compared = log_marginal(tree, sigma, prior, kind_factor), 0
    for study in range(tree.studies):
        part, *_ = select_studies(tree, np.delete(np.arange(tree.studies), study))
        weight = log_marginal(part, sigma, prior, kind_factor) - every
        if pareto_k(weight) > 0.5:
            continue
        inverse = np.exp(weight)
        error = inverse.std() / inverse.mean() / np.sqrt(ess_mean(inverse.reshape(1, 4, -1))[0])
        one = found.isel(left_out=study)
        assert abs(float(one["elpd"]) + np.log(inverse.mean())) < 4 * np.hypot(float(one["elpd_mcse"]), error)
        compared += 1
    assert compared > tree.studies // 2


def test_log_predictive_density_and_its_error():
    values = np.log(np.random.default_rng(1).gamma(4.0, size=(1, 4, 500)))
    elpd, mcse = left_out.log_predictive_density(values)
    assert elpd == pytest.approx(np.log(np.exp(values).mean()))
    assert mcse == pytest.approx(0.5 / np.sqrt(2000), rel=0.2)  # sd/mean of a gamma(4) is 1/2
    far, _ = left_out.log_predictive_density(values - 2000.0)
    assert far == pytest.approx(elpd - 2000.0)


def test_nothing_depends_on_workers_or_on_the_order_of_the_rows(small, monkeypatch):
    monkeypatch.setattr(workers, "cores", lambda: 1)
    alone = mb.leave_one_study_out(small)
    assert alone["influence"].to_dataset().identical(small["influence"].to_dataset())
    shuffled = mb.leave_one_study_out(fitted(made_table(("treatment",), studies=5).sample(frac=1.0, random_state=4)))
    assert shuffled["influence"].to_dataset().identical(small["influence"].to_dataset())


def test_a_few_blocks_of_studies_change_nothing(small, monkeypatch):
    monkeypatch.setattr("mcpbayes.evidence.influence._AT_ONCE", 2)
    assert mb.leave_one_study_out(small)["influence"].to_dataset().identical(small["influence"].to_dataset())


def test_values_of_the_result_stand_beside(usual):
    found, summary = usual["influence"].to_dataset(), mb.summarise(usual)
    scenarios = mb.scenario_table(usual)
    for level, name, target in zip(
        *(found[key].values.astype(str) for key in ("level", "name", "target")), strict=True
    ):
        one = found.sel(target=target)
        row = summary[
            (summary["level"] == level) & (summary["name"] == name) & (summary["quantity"] == "log_delta_mcp")
        ]
        for column in ("mean", "sd", "lower", "upper"):
            assert float(one[f"all_log_delta_mcp_{column}"]) == pytest.approx(row[column].item(), rel=1e-9)
        classes = scenarios[(scenarios["level"] == level) & (scenarios["name"] == name)]
        best = classes.loc[classes["probability"].idxmax()]
        assert str(one["all_leading_class"].item()) == best["scenario"]
        # counted draws here, exact probabilities there: five standard errors of 4000 draws
        assert float(one["all_leading_probability"]) == pytest.approx(best["probability"], abs=0.04)
    for decision in mb.decide(usual):
        claim = found["all_claim"].sel(target=f"mean: {decision.name}").item()
        assert claim == (decision.chosen or "")
        probability = found["all_claim_probability"].sel(target=f"mean: {decision.name}").item()
        assert np.isnan(probability) if not claim else probability == pytest.approx(decision.probability, abs=0.04)


def test_a_kind_of_one_study_is_marked_and_keeps_its_prior():
    table = made_table()
    home = table["study"].iloc[0]
    table.loc[table.index[table["study"] == home], "treatment"] = "biochar"
    found = mb.leave_one_study_out(fitted(table))["influence"].to_dataset()
    unseen = found["unseen"].sel(target="mean: kind=biochar")
    assert [str(one) for one in found["left_out"].values[unseen.values == 1]] == [home]
    assert not found["unseen"].sel(target="mean: kind=straw").any()
    assert not found["unseen"].sel(target="mean: average over kinds").any()
    one = found.sel(target="mean: kind=biochar")
    assert float(one["log_delta_mcp_sd"].sel(left_out=home)) > float(one["all_log_delta_mcp_sd"])
    assert str(one["claim"].sel(left_out=home).item()) == ""


def test_flat_coefficients_that_the_rest_does_not_determine_are_blank_with_the_reason():
    table = made_table(("treatment",), studies=6)
    name = sorted(table["study"].unique())[2]
    table["deep"] = np.where(table["study"] == name, 1.0, 0.0)
    flat = [f"priors.{name}={{ distribution = 'flat', why = 'test' }}" for name in ("intercept", "slope")]
    found = mb.leave_one_study_out(fitted(table, *flat, moderators="~ deep"))["influence"].to_dataset()
    lost = found.sel(left_out=name)
    assert "does not determine intercept, deep" in str(lost["reason"].item())
    assert lost["passed"].item() == 0
    assert np.isnan(lost["elpd"]) and np.isnan(lost["log_delta_mcp_mean"]).all()
    rest = found.drop_sel(left_out=name)
    assert (rest["passed"] == 1).all()
    assert np.isfinite(rest["log_delta_mcp_mean"]).all()


def test_points_asked_for_keep_the_scale_of_the_whole_table():
    """One study is far off in years, so that the table without it has another centre and scale.

    With flat priors the effect at a given year depends on neither: a fit that scales anew is the second route.
    """
    table = made_table(("treatment",), studies=8)
    table["years"] = np.linspace(1.0, 20.0, len(table))
    name = sorted(table["study"].unique())[3]
    table.loc[table["study"] == name, "years"] = 200.0
    flat = [f"priors.{role}={{ distribution = 'flat', why = 'test' }}" for role in ("intercept", "slope")]
    at = {"years": [10]}
    found = mb.leave_one_study_out(fitted(table, *flat, moderators="~ years", at=at))["influence"].to_dataset()
    rest = fitted(table[table["study"] != name], *flat, moderators="~ years", at=at, seed=11)
    for level in ("mean", "new"):
        one = found.sel(target=f"{level}: years=10", left_out=name)
        draws = rest["delta_mcp"].to_dataset().set_xindex("target")["log_delta_mcp"].sel(target=f"{level}: years=10")
        assert float(one["log_delta_mcp_mean"]) == pytest.approx(float(draws.mean()), abs=0.1 * float(draws.std()))
        assert float(one["log_delta_mcp_sd"]) == pytest.approx(float(draws.std()), rel=0.1)


def test_a_failed_refit_is_marked(monkeypatch):
    result = fitted(made_table(studies=4))
    usual_refit = left_out.refit

    def failing(whole, study, log_weight):
        found = usual_refit(whole, study, log_weight)
        return refits.Refit(found.posterior, found.log_predictive, 5, 0.9, 0.01, study != 1)

    monkeypatch.setattr(left_out, "refit", failing)
    found = mb.leave_one_study_out(result)["influence"].to_dataset()
    assert found["passed"].values.tolist() == [1, 0, 1, 1]
    assert "did not cover" in str(found["reason"].values[1])
    assert found["reason"].values[0] == ""


def test_one_study_cannot_be_left_out():
    with pytest.raises(StageError, match="There is one study only"):
        mb.leave_one_study_out(fitted(made_table(("treatment",), studies=1)))


def test_asks_for_the_stage_before():
    result = fitted(made_table(studies=3))
    with pytest.raises(StageError, match="mcpbayes.leave_one_study_out"):
        mb.influence_table(result)
    bare = result.copy()
    del bare["delta_mcp"]
    with pytest.raises(StageError, match="mcpbayes.delta_mcp"):
        mb.leave_one_study_out(bare)


def test_survives_saving_and_the_tree_given_stays(small, tmp_path):
    mb.leave_one_study_out(before := small.drop_nodes("influence"))
    assert "influence" not in before.children
    assert mb.load(mb.save(small, tmp_path / "result.nc")).identical(small)


def test_new_targets_or_tolerances_drop_it(small):
    assert "influence" not in mb.delta_mcp(small).children
    assert "influence" in mb.classify(small).children
    assert "influence" not in mb.classify(small, ["scenarios.decide_at=0.6"]).children


def test_settings_are_applied_to_it_anew(small):
    from mcpbayes.analysis import reapply

    found = reapply(small, ["scenarios.decide_at=0.55", "summary.interval_prob=0.5"])["influence"].to_dataset()
    assert found.attrs["interval_prob"] == 0.5
    likely = found["leading_probability"].values >= 0.55
    assert likely.any()
    assert (found["claim"].values[likely] == found["leading_class"].values[likely]).all()
    before = small["influence"].to_dataset()
    np.testing.assert_allclose(found["log_delta_mcp_mean"], before["log_delta_mcp_mean"])
    assert (found["log_delta_mcp_upper"] < before["log_delta_mcp_upper"]).all()


def test_one_pool_has_effects_only():
    model = mb.load_model("contrast-based", settings=["data.outcomes=['soc']"])
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"study": np.repeat(["a", "b", "c", "d"], 3), "comparison": [1, 2, 3] * 4})
    table = table.assign(yi=rng.normal(0.1, 0.1, 12), vi=0.01)
    result = mb.leave_one_study_out(mb.delta_mcp(mb.fit(mb.prepare(table, model), model, seed=1)))
    found = result["influence"].to_dataset()
    assert "shift" not in found
    assert "leading_class" not in found
    assert np.isfinite(found["effect_shift"].values).all()
    assert {"effect_soc_mean", "effect_shift_soc", "all_effect_soc_mean"} <= set(mb.influence_table(result).columns)


def test_worlds_count_the_same():
    table = made_table(studies=5)
    prior = "priors.rho_within={ distribution = 'beta', a = 6.0, b = 2.0, why = 'test' }"
    result = fitted(table, prior, "sampling.worlds=2", "sampling.draws=400")
    assert json.loads(result.attrs["worlds_values"])
    found = mb.leave_one_study_out(result)["influence"].to_dataset()
    single = mb.leave_one_study_out(fitted(table, "sampling.draws=400"))["influence"].to_dataset()
    assert (found["passed"] == 1).all()
    np.testing.assert_allclose(found["elpd"], single["elpd"], atol=0.5)
    assert not np.allclose(found["elpd"], single["elpd"], atol=1e-3)


def test_the_table_has_a_row_per_study_and_target(usual):
    found, wide = usual["influence"].to_dataset(), mb.influence_table(usual)
    assert len(wide) == found["shift"].size
    row = wide[(wide["left_out"] == str(found["left_out"].values[2])) & (wide["level"] == "new")].iloc[0]
    one = found.isel(left_out=2).sel(target=f"new: {row['name']}")
    for column in ("shift", "log_delta_mcp_lower", "delta_mcp_mean", "elpd", "all_log_delta_mcp_mean"):
        assert row[column] == float(one[column])
    assert row["effect_soc_mean"] == float(one["effect_mean"].sel(outcome="soc"))
    assert row["all_claim"] == one["all_claim"].item()
    assert row["interval_kind"] == "eti"
