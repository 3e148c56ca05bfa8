"""Where the CVs of the arms come from: reported, pooled, or from their model."""

import json

import numpy as np
import pytest
from made_amino import amino_table
from made_tables import comparison_table, found, spoilt

from mcpbayes.measurement.pooled_cv import pooled_cv
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare
from mcpbayes.tables.cvs import with_cv

SDS = ("necromass_control_sd", "necromass_treatment_sd", "soc_control_sd", "soc_treatment_sd")


def model(sd_model):
    return load_model(settings={"data.dispersion.sd_model": sd_model})


def partly(studies=("S4",)):
    """The table without the SDs of some studies."""
    table = comparison_table()
    for name in SDS:
        table.loc[table["study"].isin(studies), name] = np.nan
    return table


@pytest.fixture(scope="module")
def modelled():
    return prepare(partly(), load_model())


def test_hierarchical_models_every_arm(modelled):
    plain = prepare(partly(), model("reported"))
    silent = plain["source_sd"].values == "imputed"
    assert silent.sum() == 6
    assert (modelled["source_sd"] == plain["source_sd"]).all()
    assert (np.isnan(modelled["cv_sample"].values) == silent).all()
    np.testing.assert_array_equal(modelled["cv_sample"].values[~silent], plain["cv"].values[~silent])
    assert not np.isclose(modelled["cv"].values, plain["cv"].values).any()
    draws = modelled["cv_draw"]
    assert draws.dims == ("cv_world", "arm", "outcome") and draws.sizes["cv_world"] == 80
    np.testing.assert_allclose(np.sqrt((draws**2).mean("cv_world")), modelled["cv"], rtol=0.35)
    spread = np.log(draws).std("cv_world").values
    assert spread[silent].mean() > spread[~silent].mean()


def test_log_means_and_covariances_follow_the_root_mean_square_cvs(modelled):
    v = modelled["cv"].values ** 2 / modelled["n"].values
    np.testing.assert_allclose(modelled["log_mean"], np.log(modelled["mean"]) + v / 2)
    np.testing.assert_allclose(np.einsum("akk->ak", modelled["sampling_covariance"]), v)
    off = modelled["sampling_covariance"].values[:, 0, 1]
    np.testing.assert_allclose(off, 0.5 * np.sqrt(v[:, 0] * v[:, 1]))


def test_what_the_report_needs_is_in_the_attrs(modelled):
    said = json.loads(modelled.attrs["cv_model"])
    assert set(said) == {"typical", "omega", "tau", "pareto_k", "ess", "passed"}
    assert said["passed"] and said["ess"] >= 200
    for mean, low, high in (*said["typical"].values(), *said["omega"].values(), said["tau"]):
        assert low < mean < high
    assert json.loads(modelled.attrs["imputed"])["sd"] == {"necromass": 3, "soc": 3}


def test_the_order_of_rows_leaves_no_trace(modelled):
    shuffled = prepare(partly().sample(frac=1, random_state=3), load_model())
    for name in ("cv", "cv_draw", "log_mean", "sampling_covariance"):
        np.testing.assert_array_equal(shuffled[name], modelled[name])


def test_pooled_is_one_cv_for_all_arms_of_a_pool():
    data = prepare(partly(), model("pooled"))
    assert np.ptp(data["cv"].values, axis=0) == pytest.approx(0.0)
    study = np.array([name[:2] for name in data["arm"].values.astype(str)])
    expected = pooled_cv(data["cv_sample"].values, data["n"].values, np.unique(study, return_inverse=True)[1])
    np.testing.assert_allclose(data["cv"].values[0], expected)
    assert "cv_draw" not in data


@pytest.mark.parametrize("sd_model", ["hierarchical", "pooled"])
def test_without_any_sd_the_defaults_stand(sd_model):
    table = comparison_table().drop(columns=list(SDS))
    data, plain = prepare(table, model(sd_model)), prepare(table, model("reported"))
    assert data.equals(plain)
    assert found(table, "no-sd", data__dispersion__sd_model=sd_model).severity == "warning"


def test_a_pool_without_sds_keeps_its_default_and_says_so():
    table = comparison_table().drop(columns=["soc_control_sd", "soc_treatment_sd"])
    data = prepare(table, load_model())
    assert (data["cv"].sel(outcome="soc") == 0.15).all()
    assert (data["cv_draw"].sel(outcome="soc") == 0.15).all()
    assert set(json.loads(data.attrs["cv_model"])["typical"]) == {"necromass"}
    assert "no arm has an SD of soc" in str(found(table, "few-sds"))


def test_few_sds_are_a_warning():
    table = partly(["S1", "S2", "S3", "S4"])
    table = spoilt(table, 2, soc_treatment_sd=1.4, necromass_treatment_sd=0.9)
    problems = [p for p in check_table(table, load_model()) if p.check == "few-sds"]
    assert [p.message.split(":")[0] for p in problems] == [
        "1 arm has an SD of necromass, in 1 study",
        "1 arm has an SD of soc, in 1 study",
    ]


def test_a_pool_that_is_missing_in_an_arm_stays_missing():
    table = comparison_table()
    table.loc[0, ["necromass_treatment", "necromass_treatment_sd"]] = np.nan
    data = prepare(table, load_model())
    arm = data.sel(arm="S1: manure")
    assert np.isnan(arm["cv"].values).tolist() == [True, False]
    assert np.isnan(arm["cv_draw"].values).any(axis=0).tolist() == [True, False]


def test_other_cvs_keep_what_is_not_about_them(modelled):
    doubled = with_cv(modelled, 2 * modelled["cv"].values, bias_correction=False)
    np.testing.assert_allclose(doubled["sampling_covariance"], 4 * modelled["sampling_covariance"])
    np.testing.assert_allclose(doubled["log_mean"], np.log(modelled["mean"]))
    np.testing.assert_array_equal(doubled["cv_draw"], modelled["cv_draw"])


def test_sds_of_one_study_are_few_however_many():
    problems = [p for p in check_table(partly(["S2", "S3", "S4"]), load_model()) if p.check == "few-sds"]
    assert ["in 1 study" in p.message for p in problems] == [True, True]
    assert not [p for p in check_table(partly(["S3", "S4"]), load_model()) if p.check == "few-sds"]


@pytest.mark.parametrize("sd_model", ["hierarchical", "pooled"])
def test_the_sd_of_one_of_two_amino_sugars_is_too_few(sd_model):
    table = amino_table(glucosamine_control_sd=0.05, glucosamine_treatment_sd=0.05)
    problems = [p for p in check_table(table, model(sd_model)) if p.check == "few-sds"]
    assert ["both amino sugars" in p.message for p in problems] == [True, False]


SE = {name.replace("_sd", "_se"): value for name, value in zip(SDS, (0.3, 0.4, 0.5, 0.6), strict=True)}


@pytest.mark.parametrize("sd_model", ["hierarchical", "pooled", "reported"])
@pytest.mark.parametrize("default", [3, 8])
def test_an_se_without_n_is_the_variance_and_nothing_else(sd_model, default):
    table = comparison_table()
    silent = table["study"].isin(["S3", "S4"])
    table.loc[silent, ["n_control", "n_treatment", *SDS]] = np.nan
    for name, value in SE.items():
        table[name] = np.where(silent, value, np.nan)
    settings = {"data.dispersion.sd_model": sd_model, "data.defaults.n": default}
    data = prepare(table, load_model(settings=settings))
    here = np.array([name[:2] in ("S3", "S4") for name in data["arm"].values.astype(str)])
    treated = data["treated"].values
    se = np.where(treated[:, None], [0.4, 0.6], [0.3, 0.5])
    expected = ((se / data["mean"].values) ** 2)[here]
    worlds = [data]
    if sd_model == "hierarchical":
        worlds += [with_cv(data, data["cv_draw"].values[place], bias_correction=True) for place in (0, 7)]
    for world in worlds:
        np.testing.assert_allclose(np.einsum("akk->ak", world["sampling_covariance"].values)[here], expected)
    assert (data["source_sd"].values[here] == "derived").all()
    if sd_model != "reported":
        assert np.isnan(data["cv_sample"].values[here]).all()
        without = table.drop(columns=list(SE))
        others = prepare(without, load_model(settings=settings))["cv"].values[~here]
        np.testing.assert_allclose(data["cv"].values[~here], others, rtol=1e-12)
