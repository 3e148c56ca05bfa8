"""A pool that nobody measured: refused where the whole table lacks it, named where one kind of treatment does."""

import json

import numpy as np
import pytest
from xarray import Dataset

import mcpbayes as mb
from mcpbayes.errors import DataError
from mcpbayes.tables.arms import check_table
from mcpbayes.tables.observed import observed_effects, unobserved_pools


def made(kinds=("manure", "straw")):
    return mb.simulate(studies=6, seed=1, kinds=kinds)[0]


def test_a_pool_that_no_comparison_reports_in_both_arms_is_refused_with_the_way_out():
    table = made()
    table["necromass_treatment"] = np.nan
    with pytest.raises(DataError) as refused:
        mb.prepare(table, mb.load_model())
    (problem,) = refused.value.problems
    assert problem.check == "pool-never-observed"
    assert f"any of the {len(table)} comparisons" in problem.message
    assert "--set 'data.outcomes=[\"soc\"]'" in str(problem.remedy)
    alone = mb.prepare(table, mb.load_model(settings=['data.outcomes=["soc"]']))
    assert alone["outcome"].values.tolist() == ["soc"]
    assert {p["severity"] for p in json.loads(alone.attrs["problems"])} == {"note"}


def test_a_table_without_the_columns_of_a_pool_is_told_of_the_other():
    table = made()
    table = table.drop(columns=[name for name in table if name.startswith("necromass")])
    absent = [problem for problem in check_table(table, mb.load_model()) if problem.check == "column-absent"]
    assert len(absent) == 2
    assert all("--set 'data.outcomes=[\"soc\"]'" in str(problem.remedy) for problem in absent)


def test_a_pool_that_no_comparison_of_a_kind_reports_is_a_warning_with_the_count():
    table = made()
    straw = table["treatment"] == "straw"
    table.loc[straw, "soc_treatment"] = np.nan
    data = mb.prepare(table, mb.load_model())
    (found,) = [p for p in json.loads(data.attrs["problems"]) if p["check"] == "pool-unobserved-in-kind"]
    assert found["severity"] == "warning"
    assert f"soc was not observed in any comparison of straw ({straw.sum()} of them)" in found["message"]
    assert unobserved_pools(data) == {"manure": (), "straw": ("soc",)}
    off = mb.prepare(table, mb.load_model(settings=["levels.kind=off"]))
    assert "pool-unobserved-in-kind" not in off.attrs["problems"]


def test_observed_are_comparisons_with_both_arms():
    table = made()
    table.loc[3, "soc_treatment"] = np.nan
    shared = table["control_id"] == table["control_id"][0]
    table.loc[shared & (table["study"] == table["study"][0]), "necromass_control"] = np.nan
    data = mb.prepare(table, mb.load_model())
    both = {
        pool: table[f"{pool}_control"].notna() & table[f"{pool}_treatment"].notna() for pool in ("necromass", "soc")
    }
    row = data["source_row"].values - 2
    assert not both["necromass"].all()
    for place, pool in enumerate(data["outcome"].values):
        np.testing.assert_array_equal(observed_effects(data)[:, place], both[pool].to_numpy()[row])


def test_of_contrasts_those_with_a_log_ratio_are_observed():
    ratio = np.array([[0.1, np.nan], [np.nan, np.nan]])
    data = Dataset({"log_ratio": (("comparison", "outcome"), ratio)}, attrs={"family": "contrast-based"})
    np.testing.assert_array_equal(observed_effects(data), [[True, False], [False, False]])
