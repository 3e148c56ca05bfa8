"""Scenario probabilities along tolerances and moderators."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fakes import fake_result
from variants import one_outcome, with_moderators

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError


@pytest.fixture(scope="module", params=["exact", "counting"])
def result(request: pytest.FixtureRequest) -> xr.DataTree:
    at = {"duration_years": [5, 20.5], "kind": ["manure"]}
    if request.param == "counting":
        return mb.classify(mb.delta_mcp(with_moderators(draws=100), at | {"kind": ["straw"]}))
    model = mb.load_model(settings=["data.dispersion.sd_model=reported"], moderators="~ duration_years")
    return mb.classify(mb.delta_mcp(mb.fit(mb.prepare(mb.read_example(), model), model, seed=1), at))


@pytest.fixture(scope="module")
def sweep(result: xr.DataTree) -> pd.DataFrame:
    return mb.tolerance_sweep(result)


def of_target(table: pd.DataFrame, level: str, name: str, statement: str = "scenario") -> pd.DataFrame:
    return table[(table["level"] == level) & (table["name"] == name) & (table["statement"] == statement)]


def test_every_tolerance_has_its_distribution(sweep: pd.DataFrame) -> None:
    assert sweep["tolerance_percent"].unique().tolist() == list(range(11))
    total = sweep.groupby(["level", "name", "tolerance_percent", "statement"])["probability"].agg(["sum", "size"])
    np.testing.assert_allclose(total["sum"], 1, atol=1e-12)
    assert set(total["size"]) == {13, 3}


def test_without_tolerance_six_classes_are_left(sweep: pd.DataFrame) -> None:
    none = sweep[(sweep["tolerance_percent"] == 0) & (sweep["statement"] == "scenario")]
    led = ["N+C+r+", "N+C-r+", "N-C-r+", "N-C-r-", "N-C+r-", "N+C+r-"]
    assert none.loc[~none["code"].isin(led), "probability"].max() < 1e-15


def test_a_wider_tolerance_leaves_more_changes_uncounted(sweep: pd.DataFrame) -> None:
    steady = sweep[sweep["code"].isin(["no change", "N0C0r0"])]
    for _, rows in steady.groupby(["level", "name", "code"]):
        assert (rows["probability"].diff().dropna() >= -1e-12).all()


@pytest.mark.parametrize("level", ["mean", "new"])
def test_at_the_tolerances_of_the_specification_it_is_the_classification(
    result: xr.DataTree, sweep: pd.DataFrame, level: str
) -> None:
    scenario = result["scenario"]
    for name in ("kind=manure", "average over kinds"):
        here = sweep[sweep["tolerance_percent"] == 5]
        found = of_target(here, level, name)
        expected = scenario.sel(target=f"{level}: {name}")
        np.testing.assert_allclose(found["probability"], expected["probability"], atol=1e-12)
        if scenario.attrs["method"] == "exact" or level == "mean":
            np.testing.assert_allclose(found["mcse"], expected["mcse"], atol=1e-12)
        change = of_target(here, level, name, "change")
        assert change["code"].tolist() == ["increase", "no change", "decrease"]
        np.testing.assert_allclose(change["probability"], expected["change_probability"], atol=1e-12)


def test_along_a_moderator_points_are_those_of_at(result: xr.DataTree) -> None:
    kind = "manure" if "kind=manure, duration_years=5" in set(result["scenario"]["name"].values) else "straw"
    table = mb.scenarios_along(result, "duration_years", [5, 20.5], kinds=[kind])
    assert table.columns.tolist() == [
        *("level", "name", "kind", "moderator", "value"),
        *("statement", "code", "label", "probability", "mcse"),
    ]
    assert set(table["kind"]) == {kind} and set(table["value"]) == {5, 20.5}
    for value, text in ((5, "5"), (20.5, "20.5")):
        name = f"kind={kind}, duration_years={text}"
        found = of_target(table[table["value"] == value], "mean", name)
        expected = result["scenario"].sel(target=f"mean: {name}")
        np.testing.assert_allclose(found["probability"], expected["probability"], atol=1e-12)
    averaged = mb.scenarios_along(result, "duration_years", [5])
    assert set(averaged["name"]) == {"duration_years=5"} and set(averaged["kind"]) == {""}


def test_categories_have_curves_too() -> None:
    result = mb.classify(mb.delta_mcp(with_moderators(draws=50)))
    table = mb.scenarios_along(result, "ecosystem", ["grassland", "forest"])
    assert table["value"].unique().tolist() == ["grassland", "forest"]
    for value in ("grassland", "forest"):
        found = of_target(table, "mean", f"ecosystem={value}")
        assert set(found["value"]) == {value}
        expected = result["scenario"].sel(target=f"mean: ecosystem={value}")["probability"]
        np.testing.assert_allclose(found["probability"], expected, atol=1e-12)


def test_merged_classes_stay_merged(result: xr.DataTree) -> None:
    merged = mb.classify(result, {"scenarios.merge": {"gain": ["N+C+r+", "N+C+r0", "N+C+r-"]}})
    table = mb.tolerance_sweep(merged, [5.0])
    assert (table[table["statement"] == "scenario"].groupby(["level", "name"]).size() == 11).all()
    found = of_target(table, "mean", "kind=manure")
    expected = merged["scenario"].sel(target="mean: kind=manure")
    assert found["code"].tolist() == expected["scenario"].values.tolist()
    np.testing.assert_allclose(found["probability"], expected["probability"], atol=1e-12)


def test_what_cannot_be_asked_is_told(result: xr.DataTree) -> None:
    with pytest.raises(SpecificationError, match="percent: expected a number of at least 0, found -1"):
        mb.tolerance_sweep(result, [-1])
    with pytest.raises(SpecificationError, match="unknown moderator 'duration'; did you mean 'duration_years'"):
        mb.scenarios_along(result, "duration", [1])
    with pytest.raises(SpecificationError, match="unknown kind 'manur'"):
        mb.scenarios_along(result, "duration_years", [1], kinds=["manur"])
    with pytest.raises(SpecificationError, match="no value is given"):
        mb.scenarios_along(result, "duration_years", [])
    with pytest.raises(SpecificationError, match="need the outcomes necromass and soc"):
        mb.tolerance_sweep(one_outcome(fake_result(draws=5)))


def test_codes_are_spelt_as_everywhere(sweep: pd.DataFrame) -> None:
    assert sweep[sweep["statement"] == "scenario"]["code"].unique().tolist() == list(words.SCENARIOS)
