"""Fungal necromass, bacterial necromass and SOC from the table to the summary, by fits."""

import re

import numpy as np
import pandas as pd
import pytest
from made_parts import REPORTED, sugar_table

import mcpbayes as mb
from mcpbayes.analysis import analyse_with_summary
from mcpbayes.evidence import left_out
from mcpbayes.evidence.assumptions import FACTOR_SETS, OF_RATIO, with_assumptions
from mcpbayes.inference import completion
from mcpbayes.output.document.report import render
from mcpbayes.output.folder import tables
from mcpbayes.output.plots.influence import influence
from mcpbayes.output.summary import scenario_table, share_table

QUICK = REPORTED | {"data.factors.set": "conventional", "sampling.engine": "collapsed", "sampling.draws": 250}


def analysed(**settings):
    model = mb.load_model(settings=QUICK | {name.replace("__", "."): value for name, value in settings.items()})
    return mb.analyse(sugar_table(), model)


@pytest.fixture(scope="module")
def result():
    return analysed()


@pytest.fixture(scope="module")
def without_kinds():
    return analysed(levels__kind="off", sampling__draws=100)


def test_parts_add_up_in_a_result_that_went_through_a_file(result, tmp_path):
    mb.save(result, tmp_path / "result.nc")
    again = mb.load(tmp_path / "result.nc")
    change = again["delta_mcp"].to_dataset()
    assert (change["delta_mcp"] == change["delta_mcp_part"].sum("part")).all()
    assert mb.summarise(again).equals(mb.summarise(result))
    assert "no-scenarios" not in again["data"].attrs["problems"]
    for table in (scenario_table, share_table):
        assert table(again).equals(table(result))


def test_effects_that_are_not_stored_are_redrawn_with_the_same_parts(result, monkeypatch):
    monkeypatch.setattr(completion, "STORED_AT_MOST", 0)
    redrawn = analysed()
    assert "comparison_effect" not in redrawn["posterior"] and "comparison_effect" in result["posterior"]
    one, other = mb.summarise(result), mb.summarise(redrawn)
    assert one[["level", "name", "quantity"]].equals(other[["level", "name", "quantity"]])
    np.testing.assert_allclose(one["mean"], other["mean"], rtol=1e-9, atol=1e-12)
    for table in (scenario_table, share_table):
        pd.testing.assert_frame_equal(table(redrawn), table(result), rtol=1e-9)


def test_both_pools_together_change_as_necromass_as_one_pool_does(result):
    """Another model of the same table, with priors on other pools: alike, not equal."""
    two = mb.summarise(analysed(data__outcomes=["necromass", "soc"]))
    three = mb.summarise(result)
    for quantity in ("effect[necromass]", "log_delta_mcp", "delta_mcp", "mcp_efficacy_control"):
        one, other = (table[(table["level"] == "mean") & (table["quantity"] == quantity)] for table in (two, three))
        far = np.abs(one["mean"].to_numpy() - other["mean"].to_numpy()) / one["sd"].to_numpy()
        assert np.all(far < 0.3), quantity
        assert np.all(np.abs(np.log(other["sd"].to_numpy() / one["sd"].to_numpy())) < 0.25), quantity


def test_the_classes_of_both_pools_together_are_about_those_of_necromass_as_one_pool(result):
    """Posterior and prior of two models, alike: counted in one, exact in the other."""
    two = analysed(data__outcomes=["necromass", "soc"])["scenario"].to_dataset()
    three = result["scenario"].to_dataset()
    assert (two.attrs["method"], three.attrs["method"]) == ("exact", "counting")
    here = {"target": [name for name in two["target"].values if str(name).startswith(("mean", "new"))]}
    for name in ("change_probability", "probability", "prior_probability"):
        assert float(np.abs(two[name].sel(here) - three[name].sel(here)).max()) < 0.1, name
    assert float(np.abs(two["share"].mean(("chain", "draw")) - three["share"].mean(("chain", "draw"))).max()) < 0.1


def test_one_walk_gives_what_one_verb_after_the_other_does(without_kinds):
    model = mb.load_model(settings=QUICK | {"levels.kind": "off", "sampling.draws": 100})
    other, summary = analyse_with_summary(sugar_table(), model)
    assert summary.equals(mb.summarise(without_kinds))
    for table in (scenario_table, share_table):
        assert table(other).equals(table(without_kinds))


def moved_table():
    """Muramic acid moves, so that effects on fungi hang on ϱ_b."""
    table = sugar_table(studies=6)
    table["muramic_acid_treatment"] *= np.where(table.index % 2, 1.3, 0.8)
    return table


@pytest.fixture(scope="module")
def doubtful():
    """Factors in doubt, carried by four worlds."""
    settings = QUICK | {"data.factors.set": "uncertain", "sampling.worlds": 4, "levels.kind": "off"}
    return with_assumptions(mb.analyse(moved_table(), mb.load_model(settings=settings)))


def test_shares_of_the_variance_are_those_of_an_analysis_of_variance(doubtful):
    """Between worlds: one-way ANOVA of the draws; within: the regression on both factors, by its adjusted R²."""
    shares = mb.variance_shares(doubtful).set_index("quantity")
    assert list(shares.index) == list(OF_RATIO)
    change, posterior = doubtful["delta_mcp"].to_dataset().isel(target=0), doubtful["posterior"].to_dataset()
    draws = {name: change[name] for name in OF_RATIO[:2]}
    draws |= {quantity: change["delta_mcp_part"].isel(part=place) for place, quantity in enumerate(OF_RATIO[2:])}
    for quantity, values in draws.items():
        x = values.transpose("chain", "draw").values.reshape(4, -1)
        each = x.shape[1]
        total, within = x.var(), x.var(axis=1, ddof=1).mean()
        between = x.mean(axis=1).var() - 0.75 * within / each
        assert shares.loc[quantity, "share_rho_b"] == pytest.approx(max(between, 0) / total, abs=0.01)
        fitted = 0.0
        for world in range(4):
            factors = [posterior[k].transpose("chain", "draw").values.reshape(4, -1)[world] for k in ("k_F", "k_B")]
            design = np.column_stack([np.ones(each), *factors])
            rest = x[world] - design @ np.linalg.lstsq(design, x[world], rcond=None)[0]
            fitted += (x[world].var() - (rest**2).sum() / (each - 3)) / 4
        assert shares.loc[quantity, "share_k"] == pytest.approx(max(fitted, 0) / total, abs=0.01)
        sd = mb.summarise(doubtful).query(f"level == 'mean' and quantity == '{quantity}'")["sd"].iloc[0]
        assert shares.loc[quantity, "sd"] == pytest.approx(sd, rel=1e-3)
    assert shares["share"].between(0, 1).all()
    assert shares.loc["delta_mcp[bacterial_necromass]", "share_rho_b"] < 0.02, "bacteria hang on no ϱ_b"


def test_observed_changes_under_each_set_add_up_over_the_parts(doubtful):
    found = mb.factor_sets(doubtful)
    both = [f"delta_mcp[{part}]" for part in ("fungal_necromass", "bacterial_necromass")]
    np.testing.assert_allclose(found[both].sum(axis=1), found["delta_mcp"], rtol=1e-12, atol=1e-15)
    ours = found[found["factors"] == "conventional"].set_index("comparison")
    for row in moved_table().itertuples():
        muramic = [getattr(row, f"muramic_acid_{role}") for role in ("control", "treatment")]
        glucosamine = [getattr(row, f"glucosamine_{role}") for role in ("control", "treatment")]
        soc = [row.soc_control, row.soc_treatment]
        fungal = [9 * (g - 2 * 179.17 / 251.23 * m) / c for g, m, c in zip(glucosamine, muramic, soc, strict=True)]
        bacterial = [45 * m / c for m, c in zip(muramic, soc, strict=True)]
        here = ours.loc[f"{row.study}: {row.treatment}"]
        assert here[both[0]] == pytest.approx(fungal[1] - fungal[0], rel=1e-9)
        assert here[both[1]] == pytest.approx(bacterial[1] - bacterial[0], rel=1e-9)
        assert here["log_delta_mcp"] == pytest.approx(np.log((fungal[1] + bacterial[1]) / (fungal[0] + bacterial[0])))


def test_refits_with_other_factors_have_ratio_parts_and_classes(doubtful):
    rows = mb.assumptions(doubtful)
    part = rows[(rows["assumption"] == FACTOR_SETS) & (rows["level"] == "mean")]
    effects = [f"effect[{pool}]" for pool in REPORTED["data.outcomes"]]
    assert list(dict.fromkeys(part["quantity"])) == [*effects, *OF_RATIO]
    assert set(part["value"]) == {"conventional", "uncertain", "hu2024"}
    means = part.pivot(index="value", columns="quantity", values="mean")
    np.testing.assert_allclose(means[list(OF_RATIO[2:])].sum(axis=1), means["delta_mcp"], rtol=1e-9)
    assert part["scenario"].astype(bool).all() and part["probability"].between(0, 1).all()
    own = mb.summarise(doubtful).query("level == 'mean'").set_index("quantity")["mean"]
    as_analysed = part[part["as_analysed"]].set_index("quantity")["mean"]
    np.testing.assert_allclose(as_analysed, own[as_analysed.index], rtol=1e-9)
    alone = mb.analyse(moved_table(), mb.load_model(settings=QUICK | {"levels.kind": "off"}))
    other = mb.summarise(alone).query("level == 'mean'").set_index("quantity")
    for quantity, mean in means.loc["conventional"].items():
        assert abs(mean - other.loc[quantity, "mean"]) < 0.15 * other.loc[quantity, "sd"], quantity


def test_folder_and_report_have_it_all(doubtful):
    made = tables(doubtful)
    assert {"scenarios.csv", "shares.csv", "factor_sets.csv", "variance_shares.csv", "assumptions.csv"} <= set(made)
    assert list(made["variance_shares.csv"].columns[-3:]) == ["share_rho_b", "share_k", "share"]
    page = render(doubtful)
    assert "of what fungal necromass contributes to that" in page
    assert "Necromass is the sum of two pools here" in page
    assert "Doubt about them is in the intervals: for the ratio necromass C/SOC" in page


def test_studies_left_out_have_the_ratio_and_its_claims(without_kinds, monkeypatch):
    """As if S2 had the only control with all pools, so that nothing is said of the ratio without it."""
    numbers = left_out.numbers

    def without_ratio(changes, model, data, claims=None):
        found = numbers(changes, model, data, claims)
        alone = "S2" not in data["study"].values
        return {name: values for name, values in found.items() if not alone or name.startswith("effect")}

    monkeypatch.setattr(left_out, "numbers", without_ratio)
    left = mb.leave_one_study_out(without_kinds)
    found = left["influence"].to_dataset()
    assert found["reason"].sel(left_out="S2") == left_out.NO_RATIO and found["passed"].sel(left_out="S2") == 1
    assert np.isnan(found["log_delta_mcp_mean"].sel(left_out="S2")).all()
    assert np.isfinite(found["effect_mean"]).all()
    found = found.drop_sel(left_out="S2")
    scenario = without_kinds["scenario"].to_dataset()
    for target in ("mean: average", "new: average"):
        here, best = found.sel(target=target), scenario["probability"].sel(target=target)
        assert str(here["all_leading_class"].values) == str(best.idxmax("scenario").values)
        assert float(here["all_leading_probability"]) == pytest.approx(float(best.max()), abs=1e-12)
        assert np.isfinite(here["log_delta_mcp_mean"]).all() and np.isfinite(here["delta_mcp_mean"]).all()
    table = mb.influence_table(left)
    assert {"log_delta_mcp_mean", "claim", "leading_class", "effect_fungal_necromass_mean"} <= set(table.columns)
    assert influence(left).axes
    assert re.search("No single study changes|changes without one of these studies", render(left, figures={}))
