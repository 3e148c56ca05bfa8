import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import arm_table, checks_of, comparison_table, found, spoilt
from scipy import stats

from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import prepare


def prepared(table, **changes):
    settings = {key.replace("__", "."): value for key, value in changes.items()}
    return prepare(table, load_model(settings={"data.dispersion.sd_model": "reported"} | settings))


def with_intervals(n=4, level=0.95, bounds=True):
    """The comparisons with 95 % intervals of the treated SOC instead of its SD."""
    table = comparison_table(n_control=n, n_treatment=n)
    half = stats.t.ppf((1 + level) / 2, n - 1) * table["soc_treatment_sd"] / np.sqrt(n)
    if bounds:
        cells = {"ci_lower": table["soc_treatment"] - half, "ci_upper": table["soc_treatment"] + half}
    else:
        cells = {"ci": half}
    given = {f"soc_treatment_{kind}": values for kind, values in cells.items()}
    return table.drop(columns="soc_treatment_sd").assign(**given)


@pytest.mark.parametrize("bounds", [True, False])
def test_an_interval_gives_the_arms_of_its_sd(bounds):
    data, expected = prepared(with_intervals(bounds=bounds)), prepared(comparison_table())
    np.testing.assert_allclose(data["sampling_covariance"], expected["sampling_covariance"], rtol=1e-9)
    treated = data["treated"].values
    assert set(data["source_sd"].sel(outcome="soc").values[treated]) == {"derived"}
    assert set(data["source_sd"].sel(outcome="soc").values[~treated]) == {"reported"}
    assert checks_of(with_intervals(bounds=bounds)) == []


@settings(max_examples=5, deadline=None, derandomize=True)
@given(st.integers(2, 12), st.floats(0.6, 0.99))
def test_the_level_of_a_row_is_that_of_its_interval(n, level):
    data = prepared(with_intervals(n, level).assign(ci_level=level))
    expected = prepared(comparison_table(n_control=n, n_treatment=n))
    np.testing.assert_allclose(data["cv"], expected["cv"], rtol=1e-6)


def test_each_row_of_arms_has_its_own_interval():
    table = arm_table()
    half = stats.t.ppf(0.95, 3) * table["soc_sd"] / 2
    table = table.drop(columns="soc_sd").assign(soc_ci=half, ci_level=0.9)
    expected = prepared(arm_table(), data__layout="arm")
    np.testing.assert_allclose(prepared(table, data__layout="arm")["cv"], expected["cv"], rtol=1e-9)


def test_without_n_the_default_is_used_and_counted():
    data = prepared(with_intervals(n=3).drop(columns=["n_treatment"])).sel(arm="S1: manure", outcome="soc")
    assert data["source_n"] == "imputed"
    assert float(data["cv"] * data["mean"]) == pytest.approx(1.4, rel=1e-9)


def test_an_assumed_n_behind_intervals_is_warned_of_with_its_count():
    problem = found(spoilt(with_intervals(), 3, n_treatment="").astype({"n_control": int}), "interval-without-n")
    assert (problem.severity, problem.rows) == ("warning", (3,))
    assert problem.message.startswith("1 interval has no n; ") and "3 plots" in problem.message
    every = found(with_intervals(bounds=False).drop(columns="n_treatment"), "interval-without-n")
    assert (every.rows, every.column) == (tuple(range(2, 10)), "soc_treatment_ci")
    assert every.message.startswith("8 intervals have no n")
    both = with_intervals().assign(soc_treatment_sd=1.4).drop(columns="n_treatment")
    assert "interval-without-n" not in checks_of(both)


def test_a_level_in_per_cent_is_told_how_to_write_it():
    problem = found(with_intervals().assign(ci_level=95), "out-of-range")
    assert problem.remedy == "Write a fraction: 0.95 for 95 %."


def test_row_errors_of_one_kind_are_one_problem():
    table = spoilt(spoilt(with_intervals(), 3, soc_treatment_ci_lower=30), 6, soc_treatment_ci_lower=31)
    problem = found(table, "mean-outside-interval")
    assert problem.rows == (3, 6) and problem.value.count(";") == 1
    both = comparison_table().assign(soc_control_se=0.6)
    wrong = found(spoilt(spoilt(both, 4, soc_control_se=0.9), 7, soc_control_se=0.8), "dispersions-contradict")
    assert wrong.rows == (4, 7) and wrong.value == "1.2, 0.9; 1.2, 0.8"
    assert "soc_control_se gives 1.8 g/kg in row 4" in wrong.message


def test_an_sd_goes_before_an_interval_and_both_must_agree():
    table = with_intervals(bounds=False).assign(soc_treatment_sd=comparison_table()["soc_treatment_sd"])
    assert checks_of(table) == []
    data = prepared(table)
    assert set(data["source_sd"].values.ravel()) == {"reported"}
    half = float(table["soc_treatment_ci"].iloc[2])
    problem = found(spoilt(table, 4, soc_treatment_ci=1.96 / stats.t.ppf(0.975, 3) * half), "dispersions-contradict")
    assert problem.rows == (4,)
    assert problem.column == "soc_treatment_sd, soc_treatment_ci"
    assert "1.96" in problem.remedy


@pytest.mark.parametrize(
    ("cells", "check"),
    [
        ({"soc_treatment_ci_upper": ""}, "one-bound"),
        ({"soc_treatment_ci_lower": 16, "soc_treatment_ci_upper": 12}, "mean-outside-interval"),
        ({"soc_treatment_ci_lower": 2.2, "soc_treatment_ci_upper": 2.4}, "mean-outside-interval"),
        ({"ci_level": 95}, "out-of-range"),
        ({"soc_control_ci": 0}, "zero-ci"),
        ({"soc_control_ci": -1}, "negative-ci"),
        ({"soc_treatment_ci_upper": "?"}, "not-a-number"),
    ],
)
def test_bad_intervals_are_errors_with_their_row(cells, check):
    table = spoilt(with_intervals(), 5, **cells)
    problem = found(table, check)
    assert (problem.severity, problem.rows) == ("error", (5,))
    assert problem.expected and problem.remedy
    assert [name for name in checks_of(table) if name != check] == []


def test_an_interval_around_something_else_than_the_mean_is_warned_of():
    # rows 2 and 3 have the means 13.0 and 13.4, their intervals half-widths of 2.2
    table = with_intervals().round(1).astype(object)
    assert "lopsided-interval" not in checks_of(table)
    problem = found(spoilt(table, 3, soc_treatment_ci_lower=11.0, soc_treatment_ci_upper=17.0), "lopsided-interval")
    assert (problem.severity, problem.rows) == ("warning", (3,))
    assert problem.column == "soc_treatment, soc_treatment_ci_lower, soc_treatment_ci_upper"
