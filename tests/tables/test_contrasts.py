import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import checks_of, contrast_table, found, spoilt

from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare
from mcpbayes.tables.shared_variance import assumed_control_covariance, smallest_eigenvalue


def prepared(table, moderators=None, **settings):
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return prepare(table, load_model("contrast-based", settings=changes, moderators=moderators))


def dense(data):
    """Return the sampling covariance of all log ratios of one outcome, V_0g between rows of one control."""
    own = data["sampling_covariance"].values[:, 0, 0]
    control = data["control_of_comparison"].values
    shared = data["control_covariance"].sel(control=control).values[:, 0, 0]
    off = np.where(control[:, None] == control, shared[:, None], 0.0)
    return np.where(np.eye(len(own), dtype=bool), own, off)


def test_log_ratios_and_covariances_are_those_of_the_table():
    data = prepared(contrast_table().drop(columns="control_id"))
    row = data.sel(comparison="S2: T2")
    np.testing.assert_allclose(row["log_ratio"], [0.13, 0.06])
    c = 0.5 * np.sqrt(0.013 * 0.009)
    np.testing.assert_allclose(row["sampling_covariance"], [[0.013, c], [c, 0.009]])
    assert (data["control_covariance"] == 0).all()
    assert data.sizes["control"] == 8
    assert data.attrs["control_rule"] == "8 controls of 8 comparisons: 8 of a single row each."
    assert data.attrs["assumed_control_variance"] == 0


def test_covariance_goes_before_correlation_and_a_silent_one_is_counted():
    table = spoilt(contrast_table(), 2, cov=0.003, rho="")
    table = spoilt(table, 3, rho="")
    data = prepared(table, data__defaults__rho_within=0.4)
    covariance = data["sampling_covariance"].values[:, 0, 1]
    assert covariance[:2] == pytest.approx([0.003, 0.4 * np.sqrt(0.013 * 0.008)])
    assert json.loads(data.attrs["imputed"])["rho_within"] == 1


def test_a_missing_outcome_is_missing_in_the_covariance():
    table = spoilt(contrast_table(), 3, yi_soc="", vi_soc="")
    data = prepared(table)
    assert np.isnan(data.sel(comparison="S1: T2")["sampling_covariance"].values).tolist() == [
        [False, True],
        [True, True],
    ]
    assert found(table, "missing-pool", "contrast-based").rows == (3,)


def test_the_exact_covariance_of_a_shared_control_is_rebuilt(shared_reference):
    table = pd.read_csv(shared_reference / "e_shared_control_data.csv")
    table["v_control"] = table["sd2i"] ** 2 / (table["n2i"] * table["m2i"] ** 2)
    names = {"data.columns.comparison": "trt", "data.columns.control_id": "ctlgrp", "data.outcomes": ["soc"]}
    data = prepare(table, load_model("contrast-based", settings=names))
    expected = np.loadtxt(shared_reference / "e_V_exact_lajeunesse.csv", delimiter=",", skiprows=1)
    order = np.argsort(data["source_row"].values)
    np.testing.assert_allclose(dense(data)[np.ix_(order, order)], expected, rtol=0, atol=1e-12)
    assert data.attrs["assumed_control_variance"] == 0


def test_simulated_contrasts_are_read_with_their_moderator(shared_reference):
    table = pd.read_csv(shared_reference / "g_sim_J50.csv")
    names = {"data.columns.comparison": "obs", "moderators.standardise": False}
    data = prepare(shared_reference / "g_sim_J50.csv", load_model("contrast-based", settings=names, moderators="~ x"))
    assert (data.sizes["study"], data.sizes["comparison"]) == (50, 150)
    order = data["source_row"].values - 2
    np.testing.assert_allclose(data["design"], np.column_stack([np.ones(150), table["x"][order]]), rtol=1e-14)
    np.testing.assert_array_equal(data["log_ratio"], table[["yi_necromass", "yi_soc"]].to_numpy()[order])
    np.testing.assert_array_equal(data["sampling_covariance"].values[:, 0, 1], table["cov"][order])
    assert json.loads(data.attrs["problems"]) == []


def test_with_the_id_alone_half_the_smallest_variance_is_shared_and_counted():
    table = contrast_table(vi_necromass=[0.012, 0.010] * 4, vi_soc=[0.006, 0.005] * 4)
    data = prepared(table)
    v = np.array([[0.010, 0.5 * np.sqrt(0.010 * 0.005)], [0.5 * np.sqrt(0.010 * 0.005), 0.005]])
    np.testing.assert_allclose(data["control_covariance"].sel(control="S1: CK"), v / 2, rtol=1e-12)
    assert data.attrs["assumed_control_variance"] == 4
    assert found(table, "assumed-control-variance", "contrast-based").severity == "warning"


def test_a_single_row_shares_nothing():
    data = prepared(contrast_table(control_id=list("abababab"), v_control_soc=0.002))
    assert (data["control_covariance"] == 0).all()
    assert data.attrs["assumed_control_variance"] == 0


def test_given_control_variances_are_used_and_their_covariance_completed():
    table = contrast_table(v_control_necromass=0.004, v_control_soc=0.003)
    data = prepared(table)
    c = 0.5 * np.sqrt(0.004 * 0.003)
    np.testing.assert_allclose(data["control_covariance"].sel(control="S3: CK"), [[0.004, c], [c, 0.003]], rtol=1e-12)
    assert data.attrs["assumed_control_variance"] == 4
    full = prepared(table.assign(cov_control=0.001))
    assert full["control_covariance"].sel(control="S3: CK").values[0, 1] == 0.001
    assert full.attrs["assumed_control_variance"] == 0


def test_a_control_variance_of_one_row_serves_its_group_and_two_are_an_error():
    table = contrast_table(v_control_necromass=[0.004, ""] * 4, v_control_soc=0.003, cov_control=0.001)
    assert (prepared(table)["control_covariance"].values[:, 0, 0] == 0.004).all()
    problem = found(spoilt(table, 3, v_control_necromass=0.005), "control-differs", "contrast-based")
    assert (problem.rows, problem.column) == ((2, 3), "v_control_necromass")


def test_a_control_that_exceeds_the_whole_is_an_error():
    problem = found(
        contrast_table(v_control_soc=[0.009, 0.009] + [0.002] * 6), "control-exceeds-variance", "contrast-based"
    )
    assert (problem.severity, problem.rows) == ("error", (2, 3))


def test_control_variances_without_ids_are_pointed_out():
    table = contrast_table(v_control_soc=0.002).drop(columns="control_id")
    assert found(table, "control-variance-unused", "contrast-based").severity == "warning"


@pytest.mark.parametrize(
    ("cells", "check", "column"),
    [
        ({"vi_soc": ""}, "missing-variance", "vi_soc"),
        ({"rho": "", "cov": 0.02}, "not-positive-definite", "cov, rho"),
        ({"rho": 1}, "out-of-range", "rho"),
        ({"cov": 0.001}, "cov-and-rho-contradict", "cov"),
        ({"yi_soc": 25}, "not-a-log-ratio", "yi_soc"),
        ({"yi_soc": "", "yi_necromass": ""}, "no-log-ratio", "yi_necromass, yi_soc"),
        ({"mcp_efficacy_control": 45}, "ratio-not-a-fraction", "mcp_efficacy_control"),
        ({"mcp_efficacy_control": 0}, "out-of-range", "mcp_efficacy_control"),
        ({"comparison": ""}, "empty-comparison", "comparison"),
    ],
    ids=lambda case: str(case),
)
def test_a_bad_contrast_is_an_error(cells, check, column):
    problem = found(spoilt(contrast_table(), 4, **cells), check, "contrast-based")
    assert (problem.severity, problem.rows, problem.column) == ("error", (4,), column)


def test_all_bad_contrasts_are_reported_at_once():
    table = spoilt(spoilt(contrast_table(), 2, vi_soc=""), 4, rho="", cov=0.02)
    table = spoilt(spoilt(table, 6, vi_soc=-1), 8, study="")
    assert sorted(checks_of(table, "contrast-based"))[:4] == [
        "empty-study",
        "missing-variance",
        "negative-variance",
        "not-positive-definite",
    ]


def test_the_ratio_of_the_control_is_kept_where_given():
    data = prepared(contrast_table(mcp_efficacy_control=[0.4, ""] * 4))
    assert data["mcp_efficacy_control"].sel(comparison="S1: T1") == 0.4
    assert np.isnan(data["mcp_efficacy_control"].sel(comparison="S1: T2"))
    assert "mcp_efficacy_control" not in prepared(contrast_table())
    assert "necromass-exceeds-soc" in checks_of(contrast_table(mcp_efficacy_control=1.1), "contrast-based")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.permutations(range(8)))
def test_the_order_of_contrasts_leaves_no_trace(order):
    table = contrast_table(control_id=["a", "a", "", "", "x", "x", "y", "x"], comparison="T")
    first, second = prepared(table), prepared(table.iloc[list(order)])
    xr.testing.assert_equal(first.drop_vars("source_row"), second.drop_vars("source_row"))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(0, 10_000))
def test_the_assumed_part_never_exceeds_half_of_any_row(k, rows, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(rows, k, k))
    covariance = root @ root.swapaxes(1, 2) + 0.05 * np.eye(k)
    covariance *= np.exp(rng.normal(0, 2, rows))[:, None, None]
    seen = rng.random((rows, k)) < 0.8
    covariance = np.where(seen[:, :, None] & seen[:, None, :], covariance, np.nan)
    shared = assumed_control_covariance(covariance, np.zeros(rows, int))
    left = smallest_eigenvalue(covariance / 2 - shared, np.einsum("rkk->rk", covariance))
    assert (left > -1e-9).all()
    assert np.linalg.eigvalsh(shared[0])[0] > -1e-12
    if k == 1 and seen.any():
        assert shared[0, 0, 0] == pytest.approx(np.nanmin(covariance) / 2)


def test_three_outcomes_have_their_pairs():
    table = contrast_table().drop(columns=["rho", "control_id"])
    table = table.assign(yi_nitrogen=0.2, vi_nitrogen=0.01, rho_necromass_nitrogen=0.3, cov_soc_nitrogen=0.004)
    data = prepared(table, data__outcomes=["necromass", "soc", "nitrogen"])
    covariance = data["sampling_covariance"].values[0]
    assert covariance[0, 2] == pytest.approx(0.3 * np.sqrt(0.012 * 0.01))
    assert covariance[1, 2] == 0.004
    assert covariance[0, 1] == pytest.approx(0.5 * np.sqrt(0.012 * 0.008))


def test_warnings_of_studies_and_kinds_hold_for_contrasts_too():
    table = contrast_table(treatment=list("aaaaaaab"))
    problems = {p.check: p for p in check_table(table, load_model("contrast-based"))}
    assert problems["kind-in-one-study"].value == "b"
    assert prepared(table).attrs["level_kind"] == "on"
