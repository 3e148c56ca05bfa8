"""Layout plot: simulated plots against the moments of their arms."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_tables import checks_of, found, spoilt

from mcpbayes.errors import Problem
from mcpbayes.measurement.amino_sugars import necromass
from mcpbayes.measurement.factor_draws import central
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare

POOLS = ["necromass", "soc"]


def plot_table(studies: int = 3, plots: int = 4, seed: int = 1, **columns: object) -> pd.DataFrame:
    """Simulated plots: a control and two treatments per study, `plots` of each, correlated pools."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(studies):
        for treatment in ("", "manure", "straw"):
            level = np.log([5.0 + s, 12.0 + 2 * s]) + (0.1 if treatment else 0.0)
            values = np.exp(rng.multivariate_normal(level, [[0.02, 0.008], [0.008, 0.01]], plots))
            rows += [
                {
                    "study": f"S{s + 1}",
                    "control_id": "CK",
                    "role": "treatment" if treatment else "control",
                    "treatment": treatment,
                    "plot": p + 1,
                    "necromass": round(values[p, 0], 3),
                    "soc": round(values[p, 1], 3),
                }
                for p in range(plots)
            ]
    return pd.DataFrame(rows).assign(**columns)


def prepared(table: pd.DataFrame, moderators: str | None = None, **settings: object) -> xr.Dataset:
    """The CVs that the plots say, unless a model of them is asked for."""
    changes = {"data.layout": "plot", "data.dispersion.sd_model": "reported"}
    changes |= {key.replace("__", "."): value for key, value in settings.items()}
    return prepare(table, load_model(settings=changes, moderators=moderators))


def plots_of(table: pd.DataFrame, study: str, treatment: str) -> pd.DataFrame:
    return table[(table["study"] == study) & (table["treatment"] == treatment)]


def test_means_sds_and_n_are_those_of_the_plots():
    table = plot_table()
    data = prepared(table, data__effect_size__bias_correction=False)
    assert data.sizes["arm"] == 9
    for arm, treatment in (("S2: CK", ""), ("S2: straw", "straw")):
        own = plots_of(table, "S2", treatment)[POOLS]
        np.testing.assert_allclose(data["mean"].sel(arm=arm), own.mean(), rtol=1e-14)
        np.testing.assert_allclose(data["log_mean"].sel(arm=arm), np.log(own.mean()), rtol=1e-14)
        np.testing.assert_allclose(data["cv"].sel(arm=arm), own.std(ddof=1) / own.mean(), rtol=1e-12)
        assert data["n"].sel(arm=arm).values.tolist() == [4, 4]
    assert set(data["source_sd"].values.ravel()) == {"derived"}
    assert set(data["source_n"].values.ravel()) == {"reported"}
    assert json.loads(data.attrs["imputed"]) == {
        "sd": {"necromass": 0, "soc": 0},
        "n": {"necromass": 0, "soc": 0},
        "rho_within": 0,
    }
    assert checks_of(plot_table(studies=4), data__layout="plot") == ["correlation-from-plots"]


def test_plots_give_what_their_arms_give():
    """By the layout arm with the means, SDs and n that pandas computes."""
    table = plot_table()
    keys = ["study", "control_id", "role", "treatment"]
    by_arm = table.groupby(keys)
    arms = by_arm[POOLS].mean()
    arms[["necromass_sd", "soc_sd"]] = by_arm[POOLS].std(ddof=1)
    arms = arms.assign(n=4, rho_within=float(prepared(table)["rho_within"][0])).reset_index()
    expected = prepare(arms, load_model(settings={"data.layout": "arm", "data.dispersion.sd_model": "reported"}))
    data = prepared(table)
    for name in ("log_mean", "sampling_covariance", "cv", "n"):
        np.testing.assert_allclose(data[name], expected[name], rtol=1e-10)
    assert data["comparison"].values.tolist() == expected["comparison"].values.tolist()


def test_the_ratio_is_that_of_the_means_not_the_mean_of_ratios():
    cells = {"study": "S1", "control_id": "CK", "role": "control", "treatment": "", "necromass": 2.0}
    rows = [cells | {"soc": soc} for soc in (8.0, 16.0)]
    rows += [cells | {"role": "treatment", "treatment": "manure", "soc": soc} for soc in (16.0, 17.0)]
    table = pd.DataFrame(rows).drop(columns="necromass")
    settings = {"data__outcomes": ["soc"], "data__effect_size__bias_correction": False}
    with_mean = prepared(table, **settings)["log_mean"].sel(arm=["S1: CK", "S1: manure"]).values.ravel()
    assert with_mean[1] - with_mean[0] == pytest.approx(np.log(33 / 24), rel=1e-14)
    mean_of_ratios = np.log((16 / 8 + 17 / 16) / 2)
    assert abs(with_mean[1] - with_mean[0] - mean_of_ratios) > 0.1


def test_the_correlation_is_pooled_over_the_arms_of_the_table():
    table = plot_table(studies=40, plots=5)
    data = prepared(table)
    relative = table[POOLS] / table.groupby(["study", "treatment"])[POOLS].transform("mean") - 1
    cross = relative.T @ relative
    expected = cross.loc["necromass", "soc"] / np.sqrt(np.prod(np.diag(cross)))
    np.testing.assert_allclose(data["rho_within"], expected, rtol=1e-10)
    assert expected == pytest.approx(0.008 / np.sqrt(0.02 * 0.01), abs=0.12)  # 480 degrees of freedom
    assert set(data["source_rho"].values) == {"derived"}


def test_copied_values_say_nothing_of_the_correlation():
    """Simulated plots with a true correlation of 0.6; SOC of every other arm is one value, copied into all plots."""
    table = plot_table(studies=60, plots=5)
    rng = np.random.default_rng(4)
    values = np.exp(rng.multivariate_normal([2, 3], [[0.02, 0.6 * np.sqrt(2e-4)], [0.6 * np.sqrt(2e-4), 0.01]], 900))
    table[POOLS] = values.round(4)
    copied = (table.groupby(["study", "treatment"]).ngroup() % 2 == 0).to_numpy()
    table.loc[copied, "soc"] = 20.0
    data = prepared(table)
    assert float(data["rho_within"][0]) == pytest.approx(0.6, abs=0.08)
    note = found(table, "correlation-from-plots", data__layout="plot")
    assert "(360 degrees of freedom)" in note.message


def test_the_correlation_of_few_plots_is_the_default():
    data = prepared(plot_table(studies=3, plots=2))  # 9 degrees of freedom
    assert set(data["rho_within"].values) == {0.5}
    assert set(data["source_rho"].values) == {"imputed"}
    assert "correlation-from-plots" in checks_of(plot_table(studies=4, plots=2), data__layout="plot")


def test_pools_that_are_proportional_are_refused():
    table = plot_table()
    table["necromass"] = 0.4 * table["soc"]
    assert found(table, "pools-proportional", data__layout="plot").severity == "error"


def blocked_table(seed: int = 3, spread: float = 0.3) -> pd.DataFrame:
    """Simulated blocks that differ far more than plots within them."""
    table = plot_table(seed=seed)
    rng = np.random.default_rng(seed)
    effect = np.exp(spread * rng.normal(size=(3, 4)))
    at = effect[table["study"].str[1:].astype(int) - 1, table["plot"] - 1]
    return table.assign(block=table["plot"], necromass=table["necromass"] * at, soc=table["soc"] * at)


def test_with_two_arms_blocks_give_the_variance_of_pairs():
    table = blocked_table().query("treatment != 'straw'")
    data = prepared(table)
    for pool in POOLS:
        own = [plots_of(table, "S1", treatment)[pool].to_numpy() for treatment in ("", "manure")]
        pairs = own[1] / own[1].mean() - own[0] / own[0].mean()
        v = data["sampling_covariance"].sel(arm=["S1: CK", "S1: manure"], outcome=pool, outcome_bis=pool)
        assert float(v.sum()) == pytest.approx(pairs.var(ddof=1) / 4, rel=1e-12)


def test_complete_blocks_are_taken_out_with_the_right_degrees_of_freedom():
    table = blocked_table()
    data = prepared(table)
    own = table[table["study"] == "S3"]
    wide = own.pivot(index="treatment", columns="block", values="soc")
    relative = wide.div(wide.mean(axis=1), axis=0) - 1
    residual = relative - relative.mean(axis=0)
    expected = np.sqrt((residual**2).to_numpy().sum() / ((3 - 1) * (4 - 1)))
    cv = data["cv"].sel(arm=["S3: CK", "S3: manure", "S3: straw"], outcome="soc")
    np.testing.assert_allclose(cv, expected, rtol=1e-12)
    assert expected < own.query("treatment == ''")["soc"].std() / own.query("treatment == ''")["soc"].mean()
    assert found(table, "blocks-taken-out", data__layout="plot").severity == "note"
    np.testing.assert_allclose(data["mean"], prepared(table.drop(columns="block"))["mean"], rtol=0)


def test_arms_in_blocks_share_the_draws_of_their_cv_and_count_once():
    table = blocked_table()
    data = prepared(table, data__dispersion__sd_model="hierarchical")
    draws = data["cv_draw"].sel(arm=["S3: CK", "S3: manure", "S3: straw"]).values
    assert (draws == draws[:, :1]).all() and np.ptp(draws[:, 0], axis=0).min() > 0
    assert (data["cv"].sel(arm="S3: CK") == data["cv"].sel(arm="S3: straw")).all()
    assert not (data["cv"].sel(arm="S3: CK") == data["cv"].sel(arm="S2: CK")).any()
    plain = prepared(table.drop(columns="block"), data__dispersion__sd_model="hierarchical")["cv_draw"]
    assert not (plain.sel(arm="S3: CK") == plain.sel(arm="S3: straw")).any()
    pooled = prepared(table, data__dispersion__sd_model="pooled")
    expected = np.sqrt((pooled["cv_sample"].sel(arm=["S1: CK", "S2: CK", "S3: CK"]) ** 2).mean("arm"))
    np.testing.assert_allclose(pooled["cv"], np.tile(expected, (9, 1)))
    two = prepared(table.query("study != 'S3'"), data__dispersion__sd_model="hierarchical")
    few = [p["message"] for p in json.loads(two.attrs["problems"]) if p["check"] == "few-sds"]
    assert len(few) == 2 and all("2 " in message for message in few)


def test_the_error_of_blocks_is_calibrated():
    """300 simulated studies of two arms in 5 blocks, seed 1: squared errors of the log ratio against their variance."""
    rng = np.random.default_rng(1)
    studies, blocks = 300, 5
    effect = rng.normal(0, 0.3, (studies, 1, blocks))
    values = np.exp(3 + effect + rng.normal(0, 0.1, (studies, 2, blocks)))
    index = pd.MultiIndex.from_product([range(studies), ("control", "treatment"), range(blocks)])
    table = pd.DataFrame({"soc": values.ravel()}, index.set_names(["study", "role", "block"])).reset_index()
    table = table.assign(control_id="CK", treatment=np.where(table["role"] == "control", "", "lime"))
    data = prepared(table, data__outcomes=["soc"], data__effect_size__bias_correction=False)
    treated = data["arm_of_comparison"].values
    controls = [arm for arm in data["arm"].values[~data["treated"].values]]
    ratio = data["log_mean"].sel(arm=treated).values - data["log_mean"].sel(arm=controls).values
    v = data["sampling_covariance"].values[:, 0, 0]
    variance = v[~data["treated"].values] + v[data["treated"].values]
    assert (ratio**2).mean() / variance.mean() == pytest.approx(1.0, abs=0.2)
    plain = prepared(table.drop(columns="block"), data__outcomes=["soc"])["sampling_covariance"].values.mean()
    assert plain > 5 * v.mean()


def test_blocks_that_are_not_complete_fall_back_with_a_warning():
    table = blocked_table().drop(index=3)  # the control of S1 lacks a block
    problem = found(table.reset_index(drop=True), "incomplete-blocks", data__layout="plot", data__outcomes=["soc"])
    assert (problem.severity, problem.rows) == ("warning", (2, 3, 4))
    assert problem.value == "S1: control lacks block 4"
    assert "the SD of 3 arms" in problem.message
    data = prepared(table.reset_index(drop=True))
    own = plots_of(table, "S1", "manure")["soc"]
    assert data["cv"].sel(arm="S1: manure", outcome="soc") == pytest.approx(own.std() / own.mean(), rel=1e-12)


def test_incomplete_blocks_name_the_pool_and_what_is_wrong():
    table = spoilt(blocked_table().query("study != 'S3'"), 7, necromass="", block=3)
    pools = {p.column: p for p in problems_of(table) if p.check == "incomplete-blocks"}
    assert pools["necromass"].value == "S1: manure lacks block 2"
    assert pools["soc"].value == "S1: manure lacks block 2 and has several plots in block 3"
    assert pools["necromass"].rows == pools["soc"].rows == (6, 7, 8, 9)
    one = found(blocked_table().assign(block="I"), "incomplete-blocks", data__layout="plot", data__outcomes=["soc"])
    assert "several plots in block I" in one.value
    unnamed = spoilt(blocked_table(), 2, block="")
    said = found(unnamed, "incomplete-blocks", data__layout="plot", data__outcomes=["soc"])
    assert said.value == "S1: control lacks block 1 and has plots without block"


def test_blocks_taken_out_count_each_arm_once():
    table = blocked_table()
    table["necromass"] = table["necromass"].where(table.index != 0, np.nan)  # incomplete in S1, for necromass only
    assert "of 9 arms" in found(table, "blocks-taken-out", data__layout="plot").message


def problems_of(table: pd.DataFrame) -> tuple[Problem, ...]:
    return check_table(table, load_model(settings={"data.layout": "plot"}))


def test_amino_sugars_of_plots_are_refused_by_name():
    table = plot_table().rename(columns={"necromass": "GlcN (mg/kg)"}).assign(MurN=0.1)
    problem = found(table, "amino-sugars-of-plots", data__layout="plot")
    assert (problem.severity, problem.column) == ("error", "GlcN (mg/kg), MurN")
    assert "data.layout=arm" in problem.remedy
    factors = load_model(settings={"data.factors.set": "conventional"}).data.factors
    made = necromass(1.0, 0.0, factors.k_f.middle, 0.0), necromass(0.0, 1.0, 9.0, central(factors).q)
    assert f"{made[0]:g} GlcN + {made[1]:.2f} MurN" in problem.remedy
    assert not {"column-absent", "columns-unused"} & {p.check for p in problems_of(table)}
    beside = found(plot_table(GluN=1.0, MurA=0.1), "amino-sugars-of-plots", data__layout="plot")
    assert (beside.severity, beside.column) == ("warning", "GluN, MurA")
    only_soc = checks_of(plot_table(GluN=1.0), data__layout="plot", data__outcomes=["soc"])
    assert "amino-sugars-of-plots" not in only_soc and "columns-unused" in only_soc


def test_a_single_plot_takes_the_default_cv_and_is_counted():
    table = plot_table().drop(index=[5, 6, 7]).reset_index(drop=True)  # one plot of manure in S1
    data = prepared(table).sel(arm="S1: manure")
    assert data["n"].values.tolist() == [1, 1]
    assert data["cv"].values.tolist() == [0.2, 0.15]
    assert data["source_sd"].values.tolist() == ["imputed", "imputed"]
    assert json.loads(prepared(table).attrs["imputed"])["sd"] == {"necromass": 1, "soc": 1}
    assert found(table, "single-plot", data__layout="plot", data__outcomes=["soc"]).rows == (6,)


def test_plots_may_lack_a_pool():
    table = spoilt(plot_table(), 7, necromass="")
    data = prepared(table).sel(arm="S1: manure")
    assert data["n"].values.tolist() == [3, 4]
    own = plots_of(plot_table(), "S1", "manure")["necromass"].iloc[[0, 2, 3]]
    assert data["mean"].sel(outcome="necromass") == pytest.approx(own.mean(), rel=1e-14)
    everywhere = table.assign(necromass=table["necromass"].where(table["treatment"] != "straw", ""))
    assert np.isnan(prepared(everywhere)["log_mean"].sel(arm="S1: straw", outcome="necromass"))


def test_a_value_copied_into_all_plots_tells_no_sd():
    table = plot_table()
    table.loc[4:7, "soc"] = 12.5
    problem = found(table, "equal-plots", data__layout="plot")
    assert (problem.severity, problem.rows, problem.column) == ("warning", (6, 7, 8, 9), "soc")
    assert prepared(table)["source_sd"].sel(arm="S1: manure", outcome="soc") == "imputed"


def test_every_check_of_cells_names_the_plot_and_checks_of_arms_all_its_plots():
    table = spoilt(plot_table(), 7, soc="n.d.")
    assert found(table, "not-a-number", data__layout="plot").rows == (7,)
    assert found(spoilt(plot_table(), 7, soc=14200), "soc-1000-times-too-large", data__layout="plot").rows == (7,)
    above = plot_table().assign(necromass=lambda t: t["necromass"].where(t.index != 5, 60.0))
    assert found(above, "necromass-exceeds-soc", data__layout="plot").rows == (6, 7, 8, 9)
    alone = plot_table().query("not (study == 'S1' and role == 'control')").reset_index(drop=True)
    assert found(alone, "treatment-without-control", data__layout="plot").rows == tuple(range(2, 10))
    same = plot_table(studies=1)
    same.loc[4:7, "soc"] = same.loc[0:3, "soc"].to_numpy()
    assert found(same, "identical-soc", data__layout="plot").rows == (6, 7, 8, 9)
    unnamed = plot_table().assign(treatment=lambda t: t["treatment"].where(t.index != 4, ""))
    assert found(unnamed, "empty-treatment", data__layout="plot").rows == (6,)


def test_plots_of_one_arm_share_their_place_and_average_their_moderators():
    table = plot_table(depth_top=0, depth_bottom=20, clay=range(36), latitude=np.linspace(40, 41, 36))
    problem = found(spoilt(table, 3, depth_bottom=40), "plots-differ", data__layout="plot")
    assert (problem.rows, problem.column, problem.value) == ((2, 3, 4, 5), "depth_bottom", "20 / 40")
    data = prepared(table, moderators="~ clay")
    assert data["moderator_clay"].values.tolist() == [5.5, 9.5, 17.5, 21.5, 29.5, 33.5]
    notes = [p["column"] for p in json.loads(data.attrs["problems"]) if p["check"] == "averaged-over-plots"]
    assert sorted(notes) == ["clay", "latitude"]


def test_a_plot_is_there_once():
    table = spoilt(plot_table(), 4, plot=2)
    assert found(table, "repeated-plot", data__layout="plot").rows == (3, 4)
    twice = pd.concat([plot_table(), plot_table().iloc[[3]]], ignore_index=True)
    assert "duplicated-row" in checks_of(twice, data__layout="plot")


def test_the_order_of_rows_leaves_no_trace():
    table = blocked_table()
    first, second = prepared(table), prepared(table.sample(frac=1.0, random_state=1).reset_index(drop=True))
    xr.testing.assert_identical(
        first.drop_vars("source_row").drop_attrs(deep=False), second.drop_vars("source_row").drop_attrs(deep=False)
    )
    assert first["source_row"].values.tolist()[:2] == [6, 10]


def test_tables_of_arms_and_of_plots_are_told_apart():
    arms = plot_table(plots=1).drop(columns="plot").assign(soc_sd=1.0)
    assert "data.layout=arm" in found(arms, "other-layout", data__layout="plot").remedy
    assert "data.layout=plot" in found(plot_table(), "other-layout", data__layout="arm").remedy
    unnamed = plot_table().drop(columns="plot")
    assert "data.layout=plot" in found(unnamed.query("study == 'S1'"), "two-controls", data__layout="arm").remedy
