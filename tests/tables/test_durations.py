"""What the two-pool model asks of a table: durations, a control beside the treatment, SOC besides necromass."""

import re

import numpy as np
import pandas as pd
import pytest

from mcpbayes.errors import DataError, SpecificationError
from mcpbayes.evidence.turnover import quartile_rates
from mcpbayes.inference.two_pool_simulation import simulate_two_pools
from mcpbayes.specification.catalogue import read_card
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare

#: SDs as they are: no model of the CVs, which these tests do not need.
MODEL = load_model("two-pool", settings=["data.dispersion.sd_model=reported"])


@pytest.fixture
def table():
    # a typical share of 0.4 with little spread, so that no control is saturated by chance
    model = load_model("two-pool", settings={"priors.mu_r.mean": -0.4, "priors.mu_r.sd": 0.1, "priors.sigma_r.sd": 0.2})
    return simulate_two_pools(model, studies=6, seed=3)[0]


def found(table, check):
    return [problem for problem in check_table(table, MODEL) if problem.check == check]


def test_a_sound_table_keeps_its_durations_in_canonical_order(table):
    data = prepare(table, MODEL)
    assert data.attrs["family"] == "two-pool" and data["duration_years"].attrs == {"units": "years"}
    by_row = dict(zip(table.index + 2, table["duration_years"], strict=True))
    expected = [by_row[row] for row in data["source_row"].values]
    np.testing.assert_array_equal(data["duration_years"].values, expected)


def test_without_the_column_all_rows_are_named(table):
    (problem,) = found(table.drop(columns="duration_years"), "missing-duration")
    assert problem.severity == "error" and problem.column == "duration_years"
    assert problem.rows == tuple(range(2, len(table) + 2))
    assert "--set data.columns.duration_years=NAME" in str(problem)


def test_empty_cells_are_named_by_row_and_the_users_column(table):
    table.loc[[1, 4], "duration_years"] = np.nan
    table = table.rename(columns={"duration_years": "age"})
    model = load_model("two-pool", settings=["data.dispersion.sd_model=reported", "data.columns.duration_years=age"])
    with pytest.raises(DataError, match="rows 3, 6, column age: the duration is missing"):
        prepare(table, model)


def test_a_cell_that_is_no_number_is_not_called_missing_too(table):
    table["duration_years"] = table["duration_years"].astype(object)
    table.loc[2, "duration_years"] = "long"
    problems = [problem for problem in check_table(table, MODEL) if problem.severity == "error"]
    assert [problem.check for problem in problems] == ["not-a-number"]
    assert "empty" not in problems[0].remedy, "an empty duration would be the next error"


@pytest.mark.parametrize(
    "design",
    ["before-after", "Before and after", "pre-post", "before_after", "before vs after", "before versus after",
     "pre_post", "pre- and post-treatment", "pre - post", "BA", "after-before", "uncontrolled before-after",
     "before-after without control", "before-after, no control"],
)  # fmt: skip
def test_before_after_pairs_are_counted_and_left_out(table, design):
    table["design"] = "randomised blocks"
    table.loc[[0, 3], "design"] = design
    (problem,) = found(table, "before-after")
    assert problem.severity == "warning" and problem.rows == (2, 5) and f"2 of {len(table)}" in problem.message
    data = prepare(table, MODEL)
    assert data.sizes["comparison"] == len(table) - 2
    assert not {2, 5} & set(data["source_row"].values.tolist())


@pytest.mark.parametrize("design", ["before-after-control-impact", "BACI", "before/after, no-till and control plots"])
def test_before_after_with_control_is_a_design_with_a_control(table, design):
    assert found(table.assign(design=design), "before-after") == []
    assert found(table.assign(design=design), "unknown-design") == []


def test_designs_that_are_not_known_are_kept_and_listed(table):
    table["design"] = "randomised blocks"
    table.loc[[0, 3], "design"] = ["repeated visits", "B-A"]
    (problem,) = found(table, "unknown-design")
    assert problem.severity == "warning" and problem.rows == (2, 5) and problem.value == "B-A; repeated visits"
    assert prepare(table, MODEL).sizes["comparison"] == len(table)
    assert found(table.assign(design=""), "unknown-design") == []


def test_a_table_of_nothing_but_before_after_pairs_is_refused(table):
    with pytest.raises(DataError, match="before-after pairs and left out"):
        prepare(table.assign(design="before-after"), MODEL)


def test_saturated_controls_are_listed_and_left_out_with_their_comparisons(table):
    control = table["study"].eq(table["study"].iloc[0]) & table["control_id"].eq("C1")
    table.loc[control, "necromass_control"] = 0.97 * table.loc[control, "soc_control"]
    (problem,) = found(table, "saturated-control")
    assert problem.severity == "warning" and "(97 %)" in problem.value
    assert problem.rows == tuple(table.index[control] + 2)
    data = prepare(table, MODEL)
    assert data.sizes["comparison"] == (~control).sum()
    assert "Simulated 1: C1" not in data["control"].values


def test_controls_above_soc_are_not_called_kept(table):
    control = table["study"].eq(table["study"].iloc[0]) & table["control_id"].eq("C1")
    table.loc[control, "necromass_control"] = 1.1 * table.loc[control, "soc_control"]
    table.loc[~control, "necromass_treatment"] = 1.1 * table["soc_treatment"]
    controls, treated = found(table, "necromass-exceeds-soc")
    assert "1 of" in controls.message and controls.message.endswith(
        "left out, since they leave no second pool (saturated-control)"
    )
    assert treated.message.endswith("they are kept as they are") and found(table, "saturated-control")


@pytest.mark.parametrize(("share", "left_out"), [(0.74, False), (0.76, True)])
def test_the_limit_is_two_standard_errors_below_one(table, share, left_out):
    """CV 1/3 of both pools, n = 4, ϱ = 0.5: SE = r̂ √(V_NN + V_CC − 2 V_NC) = r̂/6, and r̂ > 1 − 2 r̂/6 from 0.75 on."""
    own = {"study": "A", "n_control": 4, "soc_control": 10.0, "necromass_control": 10 * share}
    own |= {"soc_control_sd": 10 / 3, "necromass_control_sd": 10 * share / 3}
    both = pd.concat([table.iloc[:1].assign(**own), table], ignore_index=True)
    assert bool(found(both, "saturated-control")) is left_out


@pytest.mark.parametrize("formula", ["age", "duration_years", "clay + years"])
def test_the_duration_is_no_moderator_under_any_of_its_names(formula):
    settings = [f"data.columns.{name}=age" for name in ("duration_years", "years")]
    with pytest.raises(SpecificationError, match="is the time in the two-pool equations"):
        load_model("two-pool", settings=[*settings, f"moderators.formula=~ {formula}"])


def test_equal_durations_leave_turnover_to_its_prior(table):
    (problem,) = found(table.assign(duration_years=12.0), "equal-durations")
    assert problem.severity == "warning" and "all durations are 12 years" in problem.message
    assert found(table, "equal-durations") == []


def test_durations_that_hardly_differ_or_are_none(table):
    half = np.arange(len(table)) % 2
    (problem,) = found(table.assign(duration_years=10 + 4 * half), "equal-durations")
    assert problem.severity == "warning" and "lie between 10 and 14 years" in problem.message
    assert found(table.assign(duration_years=10 + 5 * half), "equal-durations") == []
    (problem,) = found(table.assign(duration_years=10.0 * half), "equal-durations")
    assert problem.severity == "warning" and "all durations above 0 are 10 years" in problem.message
    (problem,) = found(table.assign(duration_years=0), "equal-durations")
    assert problem.severity == "error" and "no duration is above 0" in problem.message


def test_equal_durations_name_the_command_that_shows_what_hangs_on_the_rates(table):
    (problem,) = found(table.assign(duration_years=12.0), "equal-durations")
    assert "k are not identified" in str(problem)
    assert "mcpbayes forecast DIR --years 10,20,50 --turnover" in str(problem)


def test_the_rates_of_the_card_are_the_quartiles_of_the_prior(table):
    """As the command that repeats fits has them: which pool is the faster one decides about the ratio."""
    (rates,) = re.findall(r"value=(\{[^}]+\})", read_card("two-pool"))
    settings = ["priors.turnover_rate.distribution=fixed", f"priors.turnover_rate.value={rates}"]
    shown = load_model("two-pool", settings=settings).priors["turnover_rate"].parameters["value"]
    assert shown == {"necromass": 0.025, "non_microbial": 0.064}
    made = quartile_rates(load_model("two-pool").priors["turnover_rate"])["necromass slow"]
    assert {pool: round(rate, 3) for pool, rate in made.items()} == shown


def test_without_a_pool_the_model_that_takes_one_is_advised(table):
    table["necromass_treatment"] = np.nan
    problems = found(table, "pool-never-observed")
    problems += found(table[[name for name in table if not name.startswith("necromass")]], "column-absent")
    assert len(problems) == 3
    assert all("--model arm-based --set 'data.outcomes=[\"soc\"]'" in str(problem.remedy) for problem in problems)


def test_the_static_model_asks_for_none_of_this(table):
    other = load_model("arm-based", settings=["data.dispersion.sd_model=reported"])
    assert prepare(table.drop(columns="duration_years"), other).sizes["comparison"] == len(table)
