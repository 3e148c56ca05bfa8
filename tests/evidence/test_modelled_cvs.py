"""Assumptions, influence and report of a result that several fits with draws of all CVs carry."""

import pytest
import xarray as xr

import mcpbayes as mb
from mcpbayes.analysis import estimate
from mcpbayes.evidence.assumptions import CORRELATION, CVS, assumptions, with_assumptions
from mcpbayes.evidence.left_out import is_central
from mcpbayes.inference.one_fit import fit_once
from mcpbayes.inference.simulation import simulate
from mcpbayes.output.document.dispersion import dispersion
from mcpbayes.output.document.material import imputed
from mcpbayes.output.document.model import priors
from mcpbayes.output.document.report import render
from mcpbayes.output.document.sensitivity import sensitivity
from mcpbayes.output.summary import summarise

SETTINGS = {"sampling.draws": 500, "sampling.engine": "collapsed", "sampling.worlds": 3}


@pytest.fixture(scope="module")
def model():
    return mb.load_model(settings=SETTINGS)


@pytest.fixture(scope="module")
def result(model) -> xr.DataTree:
    table, _ = simulate(studies=6, seed=3, missing_sd=0.5)
    return with_assumptions(estimate(mb.fit(mb.prepare(table, model), model, seed=2)))


@pytest.fixture(scope="module")
def left_out(result) -> xr.DataTree:
    return mb.leave_one_study_out(result)


def test_cvs_are_tried_around_their_root_mean_squares(result, model):
    table = assumptions(result)
    settings = [(one.assumption, one.value) for one in table.drop_duplicates(["assumption", "value"]).itertuples()]
    assert settings[:4] == [(CVS, "model"), (CVS, "x 1/2"), (CVS, "x 1"), (CVS, "x 2")]
    assert {assumption for assumption, _ in settings[4:]} == {CORRELATION}
    of_cvs = table[table["assumption"] == CVS]
    assert of_cvs["as_analysed"].tolist() == [value == "model" for value in of_cvs["value"]]
    assert set(of_cvs["imputed"]) == {int((result["data"]["source_sd"] == "imputed").sum())}
    central = summarise(estimate(fit_once(result["data"].to_dataset(), model, seed=2)))
    expected = central[(central["level"] == "mean") & (central["quantity"] == "log_delta_mcp")].iloc[0]
    row = of_cvs[(of_cvs["value"] == "x 1") & (of_cvs["level"] == "mean")].iloc[0]
    assert (row["mean"], row["lower"]) == pytest.approx((expected["mean"], expected["lower"]), rel=1e-9)


def test_studies_are_left_out_of_the_central_data(result, left_out, model):
    found = left_out["influence"].to_dataset()
    assert is_central(result) and found.attrs["central"] == 1
    assert (found["passed"] == 1).all()
    central = summarise(estimate(fit_once(result["data"].to_dataset(), model, seed=2)))
    expected = central[(central["level"] == "mean") & (central["quantity"] == "log_delta_mcp")].iloc[0]["mean"]
    assert float(found["all_log_delta_mcp_mean"].sel(target="mean: average")) == pytest.approx(expected, rel=1e-9)
    pooled = summarise(result)
    pooled = pooled[(pooled["level"] == "mean") & (pooled["quantity"] == "log_delta_mcp")].iloc[0]["mean"]
    assert pooled != pytest.approx(expected, rel=1e-6)


def test_the_report_says_where_cvs_come_from(result):
    data = result["data"].to_dataset()
    said = dispersion(result, data)
    assert [row["what"] for row in said["rows"]][:2] == ["Typical CV, necromass C", "Typical CV, SOC"]
    assert "hierarchical model of ln CV" in said["method"]
    assert "Each of 3 fits took one draw of all CVs" in said["share"]
    assert said["passed"] and "ESS" in said["check"]
    assert imputed(data)[0]["used"].endswith("from the model of CVs")
    keys = [row["key"] for row in priors(data, mb.load_model(settings=SETTINGS))]
    assert {"priors.cv", "priors.tau_cv", "priors.omega_cv"} <= set(keys)


def test_the_section_on_assumptions_names_the_root_mean_squares(result):
    entry = sensitivity(result, result["data"].to_dataset())[0]
    assert [setting["used"] for setting in entry["settings"]] == [True, False, False, False]
    assert entry["settings"][0]["words"] == "CVs from their model"
    assert entry["settings"][1]["words"] == "half the assumed CVs"
    assert any("root mean squares" in sentence for sentence in entry["sentences"])


def test_pooled_cvs_are_said_and_reported_ones_are_not(model):
    table, _ = simulate(studies=4, seed=3)
    trees = {}
    for sd_model in ("pooled", "reported"):
        data = mb.prepare(table, mb.load_model(settings={"data.dispersion.sd_model": sd_model}))
        trees[sd_model] = dispersion(xr.DataTree.from_dict({"data": data}), data)
    assert "doi:10.1111/ele.14144" in trees["pooled"]["method"]
    assert trees["reported"] is None


def test_the_report_is_rendered_with_all_of_it(left_out, tmp_path):
    page = render(mb.load(mb.save(left_out, tmp_path / "result.nc")), figures={})
    for said in (
        "The model of CVs: what the SDs of the table",
        "hierarchical model of ln CV",
        "root-mean-square CVs and the middle of what else several fits carry",
        "the CVs of the arms",
    ):
        assert said in page
