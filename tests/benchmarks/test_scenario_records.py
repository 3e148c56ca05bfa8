"""Recorded studies of scenario probabilities: that they meet their bars, and that their commands still give them."""

import json

import numpy as np
import pytest

from benchmarks import orthants, scenario_calibration, scenarios


@pytest.fixture(scope="module")
def closed_form() -> dict:
    return json.loads(orthants.RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def tables() -> list[dict]:
    return json.loads(scenarios.RECORD.read_text(encoding="utf-8"))["tables"]


@pytest.fixture(scope="module")
def calibrated() -> dict:
    return json.loads(scenario_calibration.RECORD.read_text(encoding="utf-8"))


def test_closed_form_is_within_four_and_a_half_errors_of_ten_million_draws(closed_form):
    sets = closed_form["sets"]
    assert len(sets) >= 50 and closed_form["draws"] == 10_000_000
    assert max(one["largest_error"] for one in sets) <= 4.5
    assert max(abs(one["sum_less_one"]) for one in sets) <= 1e-12
    assert {one["rho"] for one in sets} >= {-1.0, 1.0, 0.999999}
    assert any(min(one["tau"]) == 0 < max(one["tau"]) for one in sets) and any(max(one["tau"]) == 0 for one in sets)
    assert any(one["necromass"] == one["soc"] == one["ratio"] > 0 for one in sets)
    assert any(len({one["necromass"], one["soc"], one["ratio"]}) == 3 for one in sets)
    assert any(one["necromass"] == one["soc"] == one["ratio"] == 0 for one in sets)


def test_the_sets_come_out_again(closed_form):
    for number in (0, 4, 19):
        again, recorded = orthants.examine(number, 100_000), closed_form["sets"][number]
        assert [again[name] for name in ("rho", "ratio")] == [recorded[name] for name in ("rho", "ratio")]
        assert again["largest_error"] <= 4.5


def test_errors_find_probabilities_that_are_wrong():
    counts = np.array([500, 400, 100])
    assert (orthants.errors(counts / 1000, counts) < 0.1).all()
    assert orthants.errors(np.array([0.6, 0.3, 0.1]), counts).max() > 6
    assert orthants.errors(np.array([0.6, 0.4, 1e-17]), np.array([600, 399, 1])).max() == np.inf


def test_errors_of_comparisons_are_five_times_smaller_than_those_of_counting(tables):
    assert [one["comparisons"] for one in tables] == list(scenarios.ROWS)
    for one in tables:
        assert one["cells_comparison"] > 50 and one["error_ratio_comparison"] >= 5
        assert one["largest_difference_comparison"] < 6


def test_a_thousand_comparisons_take_a_second_and_thirty_thousand_little_memory(tables):
    """Two cores: two seconds of the processors. Memory beyond what the fit took."""
    (thousand,) = (one for one in tables if one["comparisons"] == 1000)
    assert thousand["seconds"]["cpu"] <= 2
    assert all(one["peak_mb"] < 1024 for one in tables)


def test_probabilities_are_calibrated_and_better_than_raw_ratios(calibrated):
    assert calibrated["tables"] >= 1000 and calibrated["engine_passed"] >= 0.99 * calibrated["tables"]
    curve = calibrated["reliability"]
    assert len(curve) == len(scenario_calibration.EDGES) - 1
    # Of 14 bins with 95 % bands more than three outside would be rarer than one time in 1000.
    assert sum(not one["within"] for one in curve) <= 3
    assert all(abs(one["frequency"] - one["mean_probability"]) < 0.03 for one in curve)
    assert calibrated["brier"] < calibrated["brier_of_raw_ratios"]
    assert calibrated["brier_difference"] < -4 * calibrated["brier_difference_error"]


def test_the_calibration_can_be_run():
    one = scenario_calibration.one_table(0)
    bins = np.array(one["bins"])
    assert one["passed"] and bins[:, 0].sum() % 13 == 0
    assert bins[:, 1].sum() == pytest.approx(bins[:, 0].sum() / 13)
    assert bins[:, 2].sum() == bins[:, 0].sum() / 13
    assert len(one["ours"]) == len(one["raw"]) <= bins[:, 0].sum() / 13
    assert np.mean(one["ours"]) < np.mean(one["raw"])


def test_the_band_holds_true_probabilities_and_finds_others():
    rng = np.random.default_rng(3)
    p = rng.dirichlet(np.full(13, 0.3), size=(300, 20))
    true = (p.cumsum(axis=-1) > rng.random((300, 20, 1))).argmax(axis=-1)
    hot = np.eye(13)[true]
    good = np.array([scenario_calibration.binned(p[i], hot[i]) for i in range(300)])
    sharp = p**2 / (p**2).sum(axis=-1, keepdims=True)
    bad = np.array([scenario_calibration.binned(sharp[i], hot[i]) for i in range(300)])
    assert sum(not one["within"] for one in scenario_calibration.reliability(good, rng)) <= 3
    assert sum(not one["within"] for one in scenario_calibration.reliability(bad, rng)) > 8


def test_clustered_errors_grow_with_what_tables_have_in_common():
    rng = np.random.default_rng(4)
    own = [rng.normal(0, 1, 50) for _ in range(200)]
    mean, error = scenario_calibration.clustered(own)
    assert error == pytest.approx(1 / np.sqrt(10_000), rel=0.2) and abs(mean) < 4 * error
    _, wider = scenario_calibration.clustered([one + rng.normal() for one in own])
    assert wider == pytest.approx(np.sqrt((1 + 1 / 50) / 200), rel=0.2)
