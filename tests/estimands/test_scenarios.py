import json

import numpy as np
import pytest
import xarray as xr
from arviz_stats.base import array_stats
from fakes import fake_result
from variants import contrast, one_outcome, rebuilt

from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError, SpecificationError, StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import CHANGES, classify, classify_effects
from mcpbayes.specification.loading import from_toml


@pytest.fixture(scope="module")
def changed() -> xr.DataTree:
    return delta_mcp(fake_result(draws=100))


@pytest.fixture(scope="module")
def scenario(changed: xr.DataTree) -> xr.Dataset:
    return classify(changed)["scenario"].to_dataset()


def test_probabilities_are_relative_frequencies_of_the_draws(changed: xr.DataTree, scenario: xr.Dataset) -> None:
    scheme = from_toml(changed.attrs["specification"]).scenarios
    effect = changed["delta_mcp"]["effect"].sel(target="study: S3")
    codes = classify_effects(effect.sel(outcome="necromass").values, effect.sel(outcome="soc").values, scheme)
    for place, code in enumerate(words.SCENARIOS):
        found = float(scenario["probability"].sel(target="study: S3", scenario=code))
        assert found == pytest.approx((codes == place).mean())
    np.testing.assert_allclose(scenario["probability"].sum("scenario"), 1)
    np.testing.assert_allclose(scenario["prior_probability"].sum("scenario"), 1)
    np.testing.assert_allclose(scenario["share"].sum("scenario"), 1)


def test_the_monte_carlo_error_is_that_of_the_indicator(changed: xr.DataTree, scenario: xr.Dataset) -> None:
    scheme = from_toml(changed.attrs["specification"]).scenarios
    effect = changed["delta_mcp"]["effect"].sel(target="new: kind=straw")
    codes = classify_effects(effect.sel(outcome="necromass").values, effect.sel(outcome="soc").values, scheme)
    for code in ("N+C+r+", "N+C0r+"):
        indicator = (codes == words.SCENARIOS.index(code)).astype(float)
        p = indicator.mean()
        expected = np.sqrt(p * (1 - p) / array_stats.ess(indicator, method="mean"))
        found = float(scenario["mcse"].sel(target="new: kind=straw", scenario=code))
        assert found == pytest.approx(expected, rel=0.01)


def test_changes_of_the_ratio_are_told_beside_the_classes(changed: xr.DataTree, scenario: xr.Dataset) -> None:
    epsilon = np.log(1.05)
    delta = changed["delta_mcp"]["log_delta_mcp"].sel(target="mean: kind=straw").values
    found = scenario["change_probability"].sel(target="mean: kind=straw")
    assert tuple(found["change"].values) == CHANGES
    expected = [(delta > epsilon).mean(), (abs(delta) <= epsilon).mean(), (delta < -epsilon).mean()]
    np.testing.assert_allclose(found, expected)


def test_names_and_attributes_follow_the_contract(changed: xr.DataTree, scenario: xr.Dataset) -> None:
    assert tuple(scenario["scenario"].values) == words.SCENARIOS
    assert tuple(scenario["label"].values) == tuple(words.SCENARIO_LABELS.values())
    assert scenario["group"].values.tolist() == ["kind=manure", "kind=straw", "average over kinds"]
    xr.testing.assert_identical(
        scenario["level"].reset_coords(drop=True), changed["delta_mcp"]["level"].reset_coords(drop=True)
    )
    assert json.loads(scenario.attrs["tolerance_percent"]) == {"necromass": 5.0, "soc": 5.0, "ratio": 5.0}
    assert scenario.attrs["decide_at"] == 0.8
    assert scenario.attrs["method"] == "counting"


def test_settings_are_applied_again_without_touching_the_draws(changed: xr.DataTree) -> None:
    settings = ["scenarios.tolerance_percent.soc=30", "scenarios.decide_at=0.9"]
    made = classify(changed, settings)
    assert made["scenario"].attrs["decide_at"] == 0.9
    spec = from_toml(made.attrs["specification"])
    assert spec.scenarios.tolerance_percent["soc"] == 30
    assert from_toml(changed.attrs["specification"]).scenarios.tolerance_percent["soc"] == 5
    probability = made["scenario"]["probability"].sel(target="mean: kind=straw")
    unchanged_soc = sum(float(probability.sel(scenario=code)) for code in words.SCENARIOS if "C0" in code)
    assert unchanged_soc > 0.99
    xr.testing.assert_identical(made["delta_mcp"].to_dataset(), changed["delta_mcp"].to_dataset())


def test_a_new_reference_works_delta_mcp_out_again_at_the_same_points() -> None:
    tree = delta_mcp(fake_result(draws=20), at={"kind": ["straw"]})
    made = classify(tree, {"delta_mcp.reference": 0.25})
    assert (made["delta_mcp"]["mcp_efficacy_control"].sel(target="mean: kind=straw") == 0.25).all()
    assert made["delta_mcp"].attrs["at"] == tree["delta_mcp"].attrs["at"]


def test_merged_classes_add_up(changed: xr.DataTree, scenario: xr.Dataset) -> None:
    members = ["N+C+r+", "N+C+r0", "N+C+r-"]
    merge = {"scenarios.merge": {"gain": members}, "scenarios.labels": {"gain": "gain of both"}}
    made = classify(changed, merge)["scenario"]
    assert made.sizes["scenario"] == 11
    assert str(made["label"].sel(scenario="gain").item()) == "gain of both"
    for name in ("probability", "prior_probability", "share"):
        total = scenario[name].sel(scenario=members).sum("scenario")
        np.testing.assert_allclose(made[name].sel(scenario="gain"), total)
        np.testing.assert_allclose(made[name].sum("scenario"), 1)


def test_contrast_data_without_ratio_have_scenarios_all_the_same() -> None:
    made = classify(delta_mcp(contrast(fake_result(draws=20))))
    np.testing.assert_allclose(made["scenario"]["probability"].sum("scenario"), 1)


def test_the_result_that_came_in_stays_as_it_was(changed: xr.DataTree) -> None:
    before = changed.copy(deep=True)
    classify(changed, ["scenarios.decide_at=0.7"])
    xr.testing.assert_identical(changed, before)


def test_what_is_missing_is_told() -> None:
    with pytest.raises(StageError, match=r"no group 'delta_mcp': call result = mcpbayes\.delta_mcp\(result\) first"):
        classify(fake_result(draws=5))
    with pytest.raises(SpecificationError, match="need the outcomes necromass and soc, the model has necromass"):
        classify(delta_mcp(one_outcome(fake_result(draws=5))))
    with pytest.raises(SpecificationError, match="refit"):
        classify(delta_mcp(fake_result(draws=5)), ["sampling.draws=5"])


def test_draws_that_are_not_finite_have_no_class() -> None:
    tree = delta_mcp(fake_result(draws=5))
    group = tree["delta_mcp"].to_dataset().copy(deep=True)
    group["effect"][0, 0, 0, 0] = np.nan
    with pytest.raises(ConvergenceError, match="not finite"):
        classify(rebuilt(tree, delta_mcp=group))
