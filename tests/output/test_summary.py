import io

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from fakes import fake_result

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import classify
from mcpbayes.output.comparisons import comparison_table
from mcpbayes.output.summary import SCENARIOS, SHARES, SUMMARY, scenario_table, share_table, summarise


@pytest.fixture(scope="module")
def result() -> xr.DataTree:
    return classify(delta_mcp(fake_result(draws=100)))


@pytest.fixture(scope="module")
def summary(result: xr.DataTree) -> pd.DataFrame:
    return summarise(result)


def row(table: pd.DataFrame, level: str, name: str, quantity: str) -> pd.Series:
    found = table[(table["level"] == level) & (table["name"] == name) & (table["quantity"] == quantity)]
    assert len(found) == 1
    return found.iloc[0]


def test_columns_and_order_follow_the_contract(summary: pd.DataFrame) -> None:
    assert tuple(summary.columns) == SUMMARY
    assert list(dict.fromkeys(summary["level"])) == ["parameter", "mean", "new", "study", "comparison"]
    parameters = summary.loc[summary["level"] == "parameter", "quantity"].tolist()
    assert parameters == [
        "beta[necromass,intercept]",
        "beta[soc,intercept]",
        "tau_study[necromass]",
        "tau_study[soc]",
        "rho_study[necromass,soc]",
        "tau_comparison[necromass]",
        "tau_comparison[soc]",
        "rho_comparison[necromass,soc]",
        "tau_kind[necromass]",
        "tau_kind[soc]",
        "rho_kind[necromass,soc]",
    ]
    shared = ["effect[necromass]", "effect[soc]", "log_delta_mcp", "delta_mcp"]
    shared += ["mcp_efficacy_control", "mcp_efficacy_treatment"]
    of = {level: part["quantity"].tolist() for level, part in summary.groupby(["level", "name"], sort=False)}
    assert of["mean", "kind=straw"] == [*shared, "average_change[necromass]", "average_change[soc]"]
    assert of["new", "kind=straw"] == shared
    assert of["comparison", "S5: T4"] == shared
    assert not summary.duplicated(["level", "name", "quantity"]).any()


def test_statistics_are_those_of_the_draws(result: xr.DataTree, summary: pd.DataFrame) -> None:
    draws = result["delta_mcp"]["delta_mcp"].sel(target="study: S2").values
    found = row(summary, "study", "S2", "delta_mcp")
    assert found["mean"] == pytest.approx(draws.mean(), rel=1e-12)
    assert found["median"] == pytest.approx(np.median(draws), rel=1e-12)
    assert found["sd"] == pytest.approx(draws.std(ddof=1), rel=1e-12)
    assert [found["lower"], found["upper"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]), rel=1e-12)
    assert (found["interval_kind"], found["interval_prob"]) == ("eti", 0.95)
    assert found["prob_positive"] == (draws > 0).mean()
    assert found["r_hat"] == pytest.approx(array_stats.rhat(draws), rel=1e-8)
    assert found["ess_bulk"] == pytest.approx(array_stats.ess(draws, method="bulk"), rel=1e-8)
    assert found["ess_tail"] == pytest.approx(array_stats.ess(draws, method="tail", prob=(0.05, 0.95)), rel=1e-8)
    assert found["mcse_mean"] == pytest.approx(array_stats.mcse(draws, method="mean"), rel=1e-8)


def test_the_interval_is_the_one_of_the_specification(result: xr.DataTree) -> None:
    made = classify(result, ["summary.interval_kind=hdi", "summary.interval_prob=0.8"])
    found = row(summarise(made), "mean", "kind=straw", "log_delta_mcp")
    draws = made["delta_mcp"]["log_delta_mcp"].sel(target="mean: kind=straw").values.ravel()
    assert (found["interval_kind"], found["interval_prob"]) == ("hdi", 0.8)
    assert [found["lower"], found["upper"]] == pytest.approx(array_stats.hdi(draws, 0.8), rel=1e-12)
    shares = share_table(made)
    assert set(shares["interval_kind"]) == {"hdi"}
    assert set(shares["interval_prob"]) == {0.8}


def test_the_probability_of_being_positive_is_blank_where_it_says_nothing(summary: pd.DataFrame) -> None:
    blank = summary["prob_positive"].isna()
    assert set(summary.loc[blank, "quantity"].str.split("[").str[0]) == {
        "tau_study",
        "tau_comparison",
        "tau_kind",
        "mcp_efficacy_control",
        "mcp_efficacy_treatment",
    }
    assert row(summary, "parameter", "", "rho_study[necromass,soc]")["prob_positive"] > 0.5


def test_the_average_change_stands_beside_the_typical_one(result: xr.DataTree, summary: pd.DataFrame) -> None:
    draws = result["delta_mcp"]["average_change"].sel(mean_target="kind=straw", outcome="soc").values
    found = row(summary, "mean", "kind=straw", "average_change[soc]")
    assert found["mean"] == pytest.approx(draws.mean())
    assert found["mean"] > np.expm1(row(summary, "mean", "kind=straw", "effect[soc]")["mean"])


def test_constant_draws_have_no_diagnostics() -> None:
    tree = fake_result(draws=20)
    tree["posterior"]["tau_study"] = tree["posterior"]["tau_study"] * 0 + 0.2
    found = row(summarise(delta_mcp(tree)), "parameter", "", "tau_study[soc]")
    assert found[["r_hat", "ess_bulk", "ess_tail"]].isna().all()
    assert [found["sd"], found["lower"], found["upper"]] == pytest.approx([0, 0.2, 0.2])


def test_a_delta_mcp_absent_for_one_comparison_leaves_blank_cells() -> None:
    tree = fake_result(draws=20)
    data = tree["data"].to_dataset().copy(deep=True)
    data["log_mean"].loc[{"arm": "S1: control 1", "outcome": "soc"}] = np.nan
    tree["data"] = xr.DataTree(data)
    table = summarise(delta_mcp(tree))
    assert np.isnan(row(table, "comparison", "S1: T1", "delta_mcp")["mean"])
    assert np.isfinite(row(table, "comparison", "S1: T1", "log_delta_mcp")["mean"])
    assert np.isfinite(row(table, "comparison", "S1: T3", "delta_mcp")["mean"])


def test_a_delta_mcp_absent_everywhere_has_no_rows() -> None:
    tree = fake_result(draws=20)
    data = tree["data"].to_dataset().copy(deep=True)
    data["log_mean"][:] = data["log_mean"].where(data["treated"])
    tree["data"] = xr.DataTree(data)
    table = summarise(delta_mcp(tree))
    assert "log_delta_mcp" in set(table["quantity"])
    assert not {"delta_mcp", "mcp_efficacy_control", "mcp_efficacy_treatment"} & set(table["quantity"])


def test_the_summary_reads_back_from_csv_digit_by_digit(summary: pd.DataFrame) -> None:
    read = pd.read_csv(io.StringIO(summary.to_csv(index=False)), keep_default_na=False, na_values={"prob_positive": ""})
    pd.testing.assert_frame_equal(read[["mean", "lower"]], summary[["mean", "lower"]], check_exact=True)
    assert read["name"].tolist() == summary["name"].tolist()


def test_scenarios_have_a_row_for_every_class_of_every_target(result: xr.DataTree) -> None:
    table = scenario_table(result)
    assert tuple(table.columns) == SCENARIOS
    assert len(table) == 31 * 13
    assert table["scenario"].tolist()[:13] == list(words.SCENARIOS)
    assert (table["probability"] == 0).any()
    sums = table.groupby(["level", "name"], sort=False)["probability"].sum()
    np.testing.assert_allclose(sums, 1)
    assert sums.index[3] == ("new", "kind=manure")
    one = table[(table["level"] == "study") & (table["name"] == "S4") & (table["scenario"] == "N+C0r+")].iloc[0]
    target = result["scenario"].sel(target="study: S4", scenario="N+C0r+")
    assert one["label"] == "conversion to necromass"
    for name in ("probability", "mcse", "prior_probability"):
        assert one[name] == float(target[name])


def test_shares_have_intervals_over_the_draws(result: xr.DataTree) -> None:
    table = share_table(result)
    assert tuple(table.columns) == SHARES
    assert len(table) == 3 * 13
    draws = result["scenario"]["share"].sel(group="kind=straw", scenario="N+C+r+").values
    found = table[(table["group"] == "kind=straw") & (table["scenario"] == "N+C+r+")].iloc[0]
    assert found["mean"] == pytest.approx(draws.mean())
    assert [found["lower"], found["upper"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]))
    assert found["mcse"] == pytest.approx(array_stats.mcse(draws, method="mean"), rel=1e-8)
    np.testing.assert_allclose(table.groupby("group")["mean"].sum(), 1)


def test_comparisons_show_both_arms_and_what_was_imputed(result: xr.DataTree) -> None:
    tree = result.copy(deep=True)
    data = tree["data"]
    data["sampling_covariance"] *= xr.DataArray(np.arange(1.0, 31.0), dims="arm")
    data["source_rho"][:] = [f"source {i}" for i in range(30)]
    table = comparison_table(tree)
    assert len(table) == 20
    names = ["comparison", "study", "site", "control", "kind", "treatment", "source_row"]
    assert table.columns[:7].tolist() == names
    assert table.columns[7:17].tolist() == [
        "log_mean_necromass_control",
        "log_mean_necromass_treatment",
        "log_mean_soc_control",
        "log_mean_soc_treatment",
        "v_necromass_control",
        "v_soc_control",
        "cov_control",
        "v_necromass_treatment",
        "v_soc_treatment",
        "cov_treatment",
    ]
    found = table[table["comparison"] == "S2: T3"].iloc[0]
    assert (found["study"], found["control"], found["source_row"]) == ("S2", "S2: control 2", 8)
    own = data.sel(arm="S2: control 2")
    treated = data.sel(arm="S2: T3")
    for pool in ("necromass", "soc"):
        assert found[f"log_mean_{pool}_control"] == float(own["log_mean"].sel(outcome=pool))
        assert found[f"log_mean_{pool}_treatment"] == float(treated["log_mean"].sel(outcome=pool))
        for arm, role in ((own, "control"), (treated, "treatment")):
            variance = arm["sampling_covariance"].sel(outcome=pool, outcome_bis=pool)
            assert found[f"v_{pool}_{role}"] == float(variance)
        assert found[f"n_{pool}_treatment"] == 3
        assert found[f"source_sd_{pool}_control"] == "imputed"
        assert found[f"source_n_{pool}_treatment"] == "reported"
    between = own["sampling_covariance"].sel(outcome="necromass", outcome_bis="soc")
    assert found["cov_control"] == float(between)
    assert found["source_rho_control"] == "source 3"
    assert found["source_rho_treatment"] == str(treated["source_rho"].item())


def test_comparisons_of_contrast_data_show_their_shared_control() -> None:
    tree = fake_result(draws=5)
    data = tree["data"].to_dataset().drop_dims("arm")
    pair = ("outcome", "outcome_bis")
    v = np.tile([[0.02, 0.01], [0.01, 0.03]], (20, 1, 1)) * np.arange(1, 21)[:, None, None]
    data["log_ratio"] = (("comparison", "outcome"), np.arange(40.0).reshape(20, 2))
    data["sampling_covariance"] = (("comparison", *pair), v)
    data["control_covariance"] = (("control", *pair), v[:10] / 2)
    data["mcp_efficacy_control"] = ("comparison", np.full(20, 0.4))
    data["moderator_clay"] = ("comparison", np.arange(20.0))
    table = comparison_table(xr.DataTree.from_dict({"data": data}))
    assert table.columns[7:].tolist() == [
        "log_ratio_necromass",
        "log_ratio_soc",
        "v_necromass",
        "v_soc",
        "cov",
        "v_necromass_control",
        "v_soc_control",
        "cov_control",
        "mcp_efficacy_control",
        "moderator_clay",
    ]
    last = table.iloc[-1]
    assert (last["log_ratio_soc"], last["moderator_clay"]) == (39, 19)
    assert last["v_soc"] == pytest.approx(0.6)
    assert last["cov_control"] == pytest.approx(0.05)


def test_three_outcomes_name_their_covariances() -> None:
    tree = fake_result(draws=5)
    data = (
        tree["data"].to_dataset().reindex(outcome=["necromass", "soc", "pom"], outcome_bis=["necromass", "soc", "pom"])
    )
    table = comparison_table(xr.DataTree.from_dict({"data": data}))
    assert {"cov_necromass_soc_control", "cov_necromass_pom_control", "cov_soc_pom_treatment"} <= set(table.columns)


@pytest.mark.parametrize(
    ("verb", "needed"), [(summarise, "delta_mcp"), (scenario_table, "classify"), (share_table, "classify")]
)
def test_a_missing_group_names_the_verb_to_call(verb, needed: str) -> None:
    with pytest.raises(StageError, match=rf"call result = mcpbayes\.{needed}\(result\) first"):
        verb(fake_result(draws=5))


def test_an_empty_tree_has_no_comparisons() -> None:
    with pytest.raises(StageError, match=r"no group 'data'"):
        comparison_table(xr.DataTree())
