"""The recorded studies: that they meet their bars, and that their commands still give them."""

import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import calibration, left_out, rank_statistics, robustness, speed
from mcpbayes.kernels import VARIABLE
from mcpbayes.monte_carlo.limits import EFFICIENCY_LIMIT, PARETO_K_LIMIT


@pytest.fixture(scope="module")
def grid() -> pd.DataFrame:
    return pd.read_csv(robustness.RECORD)


@pytest.fixture(scope="module")
def record() -> dict:
    return json.loads(calibration.RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def times() -> dict:
    return json.loads(speed.RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def without() -> dict:
    return json.loads(left_out.RECORD.read_text(encoding="utf-8"))


def test_the_grid_is_as_wide_as_it_says(grid):
    standard = grid[grid["setting"] == "standard"]
    assert len(standard) >= 400 and len(grid) - len(standard) >= 200
    assert set(standard["studies"]) == {3, 5, 10, 20, 50, 100, 300}
    assert set(standard["rows"]) == {"one", "few", "many"} and set(standard["cv"]) == {0.02, 0.15, 0.6}
    assert set(standard["family"]) == {"arm-based", "contrast-based"}
    assert set(standard["missing"]) == {0.0, 0.3, 0.6} and set(standard["outliers"]) == {0.0, 0.1}


def test_the_collapsed_engine_covers_the_grid_without_nuts(grid):
    """k̂ < 0.7, ESS/N > 0.3, R-hat < 1.01, bulk and tail ESS > 400: 99 % with six parameters, 97 % with more."""
    kept = grid["pareto_k"].lt(0.7) & grid["efficiency"].gt(0.3) & grid["r_hat"].lt(1.01)
    kept &= grid["ess_bulk"].gt(400) & grid["ess_tail"].gt(400)
    assert (kept == grid["passed"]).all()
    standard = grid["setting"] == "standard"
    assert kept[standard].mean() >= 0.99
    assert kept[~standard].mean() >= 0.97


@pytest.mark.parametrize("setting", list(robustness.TABLES))
def test_the_grid_comes_out_again(grid, setting):
    """The smallest table of each setting that the first attempt covered, run again."""
    part = grid[(grid["setting"] == setting) & (grid["attempt"] == 1)]
    row = part.loc[part["comparisons"].idxmin()]
    again = robustness.examine((setting, int(row["number"])))
    for name in ("studies", "comparisons", "attempt", "passed", "family"):
        assert again[name] == row[name]
    for name in ("pareto_k", "efficiency", "ess_bulk"):
        assert again[name] == pytest.approx(row[name], rel=1e-3)


@pytest.mark.parametrize("family", calibration.FAMILIES)
def test_ranks_are_uniform_within_the_band(record, family):
    found = record[family]
    assert found["tables"] >= 1000 and found["studies"] == 20 and len(found["rank_counts"]) == 15
    counts = np.array(list(found["rank_counts"].values()))
    assert (counts.sum(axis=1) == found["tables"]).all()
    least = rank_statistics.least_tail(counts, found["tables"])
    assert least == pytest.approx(list(found["least_tail"].values()))
    assert (least >= found["limit"]).all() and found["calibrated"]
    assert found["engine_passed"] >= 0.99 * found["tables"]


@pytest.mark.parametrize(("kernel", "tables"), [("numpy", 1), ("numba", 3)])
@pytest.mark.parametrize("family", calibration.FAMILIES)
def test_the_ranks_come_out_again(record, family, kernel, tables, monkeypatch):
    """Three tables by the kernels of the record, the first one also by those that are always there."""
    pytest.importorskip(kernel)
    monkeypatch.setenv(VARIABLE, kernel)
    for number, ranks in enumerate(record[family]["first_ranks"][:tables]):
        assert calibration.one_table((family, number))["ranks"] == ranks


def test_the_band_holds_uniform_ranks_and_finds_others():
    """1000 sets of uniform ranks of 300 tables: 5 % fall out of the 5 % band; ranks of a posterior too narrow do."""
    rng = np.random.default_rng(1)
    limit = rank_statistics.threshold(300, 0.05, rng)
    size = rank_statistics.DRAWS + 1
    uniform = rng.multinomial(300, np.full(size, 1 / size), size=1000)
    out = (rank_statistics.least_tail(uniform, 300) < limit).mean()
    assert 0.03 < out < 0.075
    edges = np.minimum(np.abs(np.arange(size) - size / 2) / size + 0.1, 1.0)
    narrow = rng.multinomial(300, edges / edges.sum(), size=200)
    assert (rank_statistics.least_tail(narrow, 300) < limit).mean() > 0.9


def test_coverage_with_standard_deviations_from_three_plots_is_recorded(record):
    found = record[calibration.COVERAGE]
    assert found["tables"] >= 1000 and set(found["coverage_95"]) == {
        "beta[necromass]",
        "beta[soc]",
        "log_delta_mcp[mean]",
    }
    assert all(0.8 < share < 1.0 for share in found["coverage_95"].values())


def test_ranks_take_five_minutes_on_two_cores(record):
    assert record["workers"] == 2 and record["kernel"] in ("numpy", "numba")
    assert record["seconds"]["wall"] <= 300


def test_speed_has_its_sizes_and_columns(times):
    for kernel in ("numpy", "numba"):
        found = [one for one in times["warm"] if one["kernel"] == kernel]
        assert [one["kinds and sites"] for one in found] == [False] * 4 + [True]
        for one, asked in zip(found, (*speed.ROWS, 150), strict=True):
            assert 0.9 * asked < one["rows"] <= asked
    assert len(times["warm"]) == 10 and set(times["exponent"]) == {"numpy", "numba"}
    assert all(one["cpu_seconds"] > 0 and one["floor_ns_per_normal"] > 0 for one in times["warm"])
    assert len(times["cold"]) == 3 and all(seconds > 0 for seconds in times["cold"].values())


def test_speed_adds_up(times):
    for one in times["warm"]:
        seconds = one["seconds"]
        assert seconds["total"] == pytest.approx(sum(seconds[stage] for stage in ("fit", "estimate", "tables")))
        assert one["ratio_to_floor"] == pytest.approx(seconds["total"] / one["floor_seconds"])
    for kernel, slope in times["exponent"].items():
        plain = [one for one in times["warm"] if one["kernel"] == kernel and not one["kinds and sites"]]
        x, y = (np.log([values]) for values in ([p["rows"] for p in plain], [p["seconds"]["total"] for p in plain]))
        assert slope == pytest.approx(float(np.cov(x, y)[0, 1] / np.var(x, ddof=1)))


def test_time_grows_no_faster_than_the_table_and_memory_stays_below_a_gigabyte(times):
    assert all(slope <= 1.0 for slope in times["exponent"].values())
    assert all(one["engine"] == "collapsed" and one["peak_mb"] < 1024 for one in times["warm"])


@pytest.mark.parametrize(("name", "studies"), [("SNDB", 15), ("J200", 200)])
def test_every_study_left_out_is_a_fit_within_the_limits(without, name, studies):
    found = without[name]
    assert found["studies"] == found["passed"] == studies and 0 < found["reweighted"] <= studies
    assert found["largest_pareto_k"] < PARETO_K_LIMIT and found["least_efficiency"] > EFFICIENCY_LIMIT
    assert set(found["seconds"]) == {"wall", "cpu"} and min(found["seconds"].values()) > 0
