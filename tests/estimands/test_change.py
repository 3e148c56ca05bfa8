import json

import numpy as np
import pytest
import xarray as xr
from fakes import fake_result
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import contrast, one_outcome, rebuilt, respecified, with_moderators, without_pool

from mcpbayes.errors import SpecificationError, StageError
from mcpbayes.estimands.baselines import Controls, controls, draw_controls
from mcpbayes.estimands.change import absolute_change, delta_mcp, log_delta_mcp
from mcpbayes.estimands.scenarios import classify

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)


def of(group: xr.DataTree, target: str, variable: str) -> np.ndarray:
    return group[variable].sel(target=target).values


@BOUNDED
@given(r0=st.floats(0.01, 2), theta_n=st.floats(-2, 2), theta_c=st.floats(-2, 2))
def test_delta_mcp_is_the_difference_of_the_ratios(r0: float, theta_n: float, theta_c: float) -> None:
    delta = log_delta_mcp(np.array(theta_n), np.array(theta_c))
    treated = r0 * np.exp(theta_n) / np.exp(theta_c)
    assert absolute_change(np.array(r0), delta) == pytest.approx(treated - r0, rel=1e-9, abs=1e-12)


def test_small_changes_keep_their_digits() -> None:
    assert absolute_change(np.array(0.5), np.array(1e-14)) == pytest.approx(5e-15, rel=1e-12)


def test_variables_belong_together_draw_by_draw() -> None:
    group = delta_mcp(fake_result(draws=50))["delta_mcp"]
    theta, delta = group["effect"], group["log_delta_mcp"]
    np.testing.assert_allclose(delta, theta.sel(outcome="necromass") - theta.sel(outcome="soc"))
    before, after = group["mcp_efficacy_control"], group["mcp_efficacy_treatment"]
    np.testing.assert_allclose(np.log(after / before), delta)
    np.testing.assert_allclose(group["delta_mcp"], after - before, atol=1e-12)
    assert (group["absent"] == "").all()
    assert group["mean_target"].values.tolist() == ["kind=manure", "kind=straw", "average over kinds"]


def test_the_ratio_of_each_level_comes_from_its_controls() -> None:
    tree = fake_result(draws=50)
    tree["posterior"]["baseline"] += np.log(np.arange(1, 11))[:, None] * [0.2, 0.0]
    group = delta_mcp(tree)["delta_mcp"]
    b = tree["posterior"]["baseline"]
    ratio = np.exp(b.sel(outcome="necromass") - b.sel(outcome="soc"))
    second = ratio.sel(control="S1: control 2").values
    np.testing.assert_allclose(of(group, "comparison: S1: T3", "mcp_efficacy_control"), second)
    both = ratio.sel(control=["S2: control 1", "S2: control 2"])
    np.testing.assert_allclose(of(group, "study: S2", "mcp_efficacy_control"), np.sqrt(both.prod("control")))
    np.testing.assert_allclose(of(group, "mean: kind=straw", "mcp_efficacy_control"), ratio.mean("control"))
    new = of(group, "new: kind=straw", "mcp_efficacy_control")
    np.testing.assert_array_equal(new, of(group, "new: kind=manure", "mcp_efficacy_control"))
    hits = new[..., None] == ratio.transpose("chain", "draw", "control").values
    assert (hits.sum(axis=-1) == 1).all()
    assert (hits.mean(axis=(0, 1)) > 0.02).all()
    tree.attrs["seed"] = 2
    other = of(delta_mcp(tree)["delta_mcp"], "new: kind=straw", "mcp_efficacy_control")
    assert not np.array_equal(other, new)


def test_studies_weigh_equally_in_the_mean_ratio_however_many_controls_they_have() -> None:
    found = Controls(np.array([0, 0, 1, 1, 2]), np.array(["", "", "", "soc", "necromass"]))
    np.testing.assert_allclose(found.weight, [0.25, 0.25, 0.5, 0, 0])


def test_controls_are_drawn_with_their_weights_and_never_with_weight_zero() -> None:
    drawn = draw_controls(np.array([0.25, 0.0, 0.25, 0.5]), 20_000, np.random.default_rng(0))
    values, counts = np.unique(drawn, return_counts=True)
    assert values.tolist() == [0, 2, 3]
    np.testing.assert_allclose(counts / 20_000, [0.25, 0.25, 0.5], atol=0.015)


def test_a_control_without_a_pool_has_no_ratio_although_its_baseline_is_estimated() -> None:
    tree = without_pool(fake_result(draws=50), "S1: control 1", "soc")
    group = delta_mcp(tree)["delta_mcp"]
    reason = str(group["absent"].sel(target="comparison: S1: T1").item())
    assert reason == "the control arm has no soc"
    assert np.isnan(of(group, "comparison: S1: T1", "delta_mcp")).all()
    assert np.isfinite(of(group, "comparison: S1: T1", "log_delta_mcp")).all()
    assert np.isfinite(of(group, "comparison: S1: T3", "delta_mcp")).all()
    b = tree["posterior"]["baseline"].sel(control="S1: control 2")
    left = np.exp(b.sel(outcome="necromass") - b.sel(outcome="soc"))
    np.testing.assert_allclose(of(group, "study: S1", "mcp_efficacy_control"), left)
    found = controls(tree["data"].to_dataset())
    assert found is not None
    assert found.weight[:3].tolist() == [0, pytest.approx(0.2), pytest.approx(0.1)]


def test_where_no_control_is_complete_everything_says_why() -> None:
    tree = fake_result(draws=20, studies=2)
    for control in tree["data"]["control"].values:
        tree = without_pool(tree, control, "necromass")
    group = delta_mcp(tree)["delta_mcp"]
    reasons = {
        str(level): str(reason) for level, reason in zip(group["level"].values, group["absent"].values, strict=True)
    }
    assert "delta_mcp.reference" in reasons["mean"]
    assert reasons["study"] == "no control of this study reports both pools"
    assert reasons["comparison"] == "the control arm has no necromass"
    assert group["mcp_efficacy_control"].isnull().all()
    assert group.attrs["share_above_one"] == "{}"


def test_a_number_of_the_users_replaces_the_ratio_at_mean_and_new_only() -> None:
    tree = fake_result(draws=20)
    group = delta_mcp(tree, settings=["delta_mcp.reference=0.4"])["delta_mcp"]
    assert (of(group, "mean: kind=straw", "mcp_efficacy_control") == 0.4).all()
    assert (of(group, "new: kind=straw", "mcp_efficacy_control") == 0.4).all()
    assert np.ptp(of(group, "study: S1", "mcp_efficacy_control")) > 0


def test_contrast_data_have_no_ratio_unless_it_is_given() -> None:
    plain = delta_mcp(contrast(fake_result(draws=20)))["delta_mcp"]
    assert plain["delta_mcp"].isnull().all()
    assert plain["log_delta_mcp"].notnull().all()
    assert "delta_mcp.reference" in str(plain["absent"].values[0])
    given = np.full(20, 0.35)
    given[1] = np.nan
    group = delta_mcp(contrast(fake_result(draws=20), given), settings={"delta_mcp.reference": 0.4})["delta_mcp"]
    reasons = dict(zip(group["target"].values, group["absent"].values, strict=True))
    assert reasons["mean: kind=straw"] == ""
    assert reasons["comparison: S1: T1"] == ""
    assert reasons["comparison: S1: T2"] == "mcp_efficacy_control is empty in this row"
    assert reasons["study: S1"] != ""
    assert (of(group, "comparison: S1: T1", "mcp_efficacy_control") == 0.35).all()


def test_one_outcome_has_effects_and_nothing_of_the_ratio() -> None:
    group = delta_mcp(one_outcome(fake_result(draws=20)))["delta_mcp"]
    assert set(group.data_vars) == {"effect", "average_change"}
    assert group["effect"].sizes["outcome"] == 1
    assert (group["absent"] == "").all()


def test_treated_ratios_above_one_are_kept_and_their_share_is_told() -> None:
    tree = fake_result(draws=50)
    tree["posterior"]["baseline"] += np.array([1.0, 0.0])
    group = delta_mcp(tree)["delta_mcp"]
    found = json.loads(group.attrs["share_above_one"])
    assert list(found) == ["mean", "new", "study", "comparison"]
    for level, share in found.items():
        treated = group["mcp_efficacy_treatment"].isel(target=np.flatnonzero(group["level"].values == level)).values
        assert 0.2 < share == pytest.approx((treated > 1).mean())


def test_points_asked_for_are_remembered_and_those_outside_the_data_told() -> None:
    made = delta_mcp(with_moderators(draws=10), at={"duration_years": [10, 80], "kind": "straw"})
    group = made["delta_mcp"]
    assert json.loads(group.attrs["at"]) == {"duration_years": ["10", "80"], "kind": ["straw"]}
    assert json.loads(group.attrs["outside_data"]) == ["duration_years=80"]
    assert "new: kind=straw, duration_years=80" in group["target"].values
    again = delta_mcp(made, at=json.loads(group.attrs["at"]))
    xr.testing.assert_identical(again["delta_mcp"].to_dataset(), group.to_dataset())


def test_the_result_that_came_in_stays_as_it_was_and_old_scenarios_are_dropped() -> None:
    tree = fake_result(draws=20)
    before = tree.copy(deep=True)
    full = classify(delta_mcp(tree))
    assert "scenario" not in delta_mcp(full).children
    assert "scenario" in full.children
    assert set(tree.children) == {"data", "posterior", "sample_stats"}
    xr.testing.assert_identical(tree, before)


def test_a_result_survives_a_file(tmp_path) -> None:
    made = delta_mcp(with_moderators(draws=10), at={"duration_years": [10]})
    made.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "result.nc", engine="h5netcdf") as read:
        again = delta_mcp(read, at=json.loads(read["delta_mcp"].attrs["at"]))
        xr.testing.assert_allclose(again["delta_mcp"].to_dataset(), made["delta_mcp"].to_dataset())


def test_an_unfitted_result_says_what_to_call_first() -> None:
    tree = fake_result(draws=5)
    bare = xr.DataTree.from_dict({"data": tree["data"].to_dataset()})
    bare.attrs = tree.attrs
    with pytest.raises(StageError, match=r"no group 'posterior': call result = mcpbayes\.fit"):
        delta_mcp(bare)
    without = rebuilt(tree)
    del without.attrs["specification"]
    with pytest.raises(StageError, match="carries no specification"):
        delta_mcp(without)


def test_settings_that_need_a_refit_are_refused() -> None:
    with pytest.raises(SpecificationError, match="refit"):
        delta_mcp(fake_result(draws=5), settings=["priors.tau_study.sd=1"])


def test_settings_are_written_into_the_specification() -> None:
    made = delta_mcp(
        respecified(fake_result(draws=5), "summary.interval_prob=0.9"), settings=["delta_mcp.reference=0.3"]
    )
    assert "reference = 0.3" in made.attrs["specification"]
    assert "interval_prob = 0.9" in made.attrs["specification"]
