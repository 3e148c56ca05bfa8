"""An absolute tolerance of ΔMCP, in percentage points, given the drawn r₀."""

import json

import numpy as np
import pytest
import xarray as xr
from fakes import fake_result
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import contrast

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.absolute import ends_of
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances, signs
from mcpbayes.estimands.counting import class_codes
from mcpbayes.estimands.orthants import change_probabilities, class_probabilities
from mcpbayes.output.conclusion import conclude

POINTS = ["scenarios.tolerance_points.delta_mcp=2"]
TABLE = CLASS_TABLE.ravel().astype(np.int8)


@pytest.fixture(scope="module")
def result() -> xr.DataTree:
    model = mb.load_model("arm-based", settings=["data.dispersion.sd_model=reported"])
    return mb.classify(mb.delta_mcp(mb.fit(mb.prepare(mb.read_example(), model), model, seed=2)))


@pytest.fixture(scope="module")
def made(result: xr.DataTree) -> xr.DataTree:
    return mb.classify(result, POINTS)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(ratio=st.floats(0.001, 2), delta=st.floats(-4, 4), points=st.floats(0, 50))
def test_a_change_beyond_the_ends_is_one_beyond_the_points(ratio: float, delta: float, points: float) -> None:
    rise, fall = ends_of(np.array(ratio), points)
    change = 100 * ratio * np.expm1(delta)
    if abs(abs(change) - points) > 1e-9:
        assert bool(delta > rise) == bool(change > points)
        assert bool(delta < -fall) == bool(change < -points)


def test_classes_are_those_of_the_drawn_change(made: xr.DataTree) -> None:
    change, scenario = made["delta_mcp"], made["scenario"]
    assert scenario.attrs["method"] == "counting" and "drawn ratio" in scenario.attrs["method_reason"]
    assert json.loads(scenario.attrs["tolerance_points"]) == {"delta_mcp": 2.0}
    epsilon = np.log(1.05)
    for target in ("mean: kind=manure", "new: average over kinds", scenario["target"].values[-1]):
        effect = change["effect"].sel(target=target)
        points = 100 * change["delta_mcp"].sel(target=target).values
        n, c = (signs(effect.sel(outcome=pool).values, epsilon) + 1 for pool in ("necromass", "soc"))
        codes = CLASS_TABLE[n, c, signs(points, 2.0) + 1]
        expected = np.bincount(codes.ravel(), minlength=13) / codes.size
        np.testing.assert_allclose(scenario["probability"].sel(target=target), expected, atol=1e-12)
        up = float(scenario["change_probability"].sel(target=target, change="increase"))
        assert up == pytest.approx((points > 2).mean(), abs=1e-12)


def test_shares_and_prior_know_the_ratio(made: xr.DataTree) -> None:
    scenario = made["scenario"]
    np.testing.assert_allclose(scenario["share"].sum("scenario"), 1, atol=1e-12)
    np.testing.assert_allclose(scenario["prior_probability"].sum("scenario"), 1, atol=1e-12)
    at_new = scenario.sel(target=[f"new: {name}" for name in scenario["group"].values])["probability"].values
    error = np.sqrt(at_new * (1 - at_new) / 2000) + 1e-3
    assert (np.abs(scenario["share"].mean(["chain", "draw"]).values - at_new) < 4.5 * error).all()


@pytest.mark.parametrize("rho", [-0.9, 0.3, 1.0])
def test_unequal_ends_have_exact_probabilities(rho: float) -> None:
    """Against 200,000 draws, each with ends of its own, within 4.5 Monte-Carlo errors."""
    rng = np.random.default_rng(5)
    z, ratio = rng.standard_normal((2, 200_000)), rng.uniform(0.005, 0.4, 200_000)
    eps, ends = Tolerances(0.08, 0.01, 0.0), ends_of(ratio, 1.0)
    theta_n, theta_c = 0.05 + 0.1 * z[0], -0.02 + 0.08 * (rho * z[0] + np.sqrt(1 - rho**2) * z[1])
    counted = np.bincount(class_codes(theta_n, theta_c, eps, TABLE, ends), minlength=13) / len(ratio)
    mean = np.array([0.05, -0.02])[:, None]
    sigma = np.array([[0.01, 0.008 * rho], [0.008 * rho, 0.0064]])[:, :, None]
    exact = class_probabilities(mean + np.zeros(len(ratio)), sigma, eps, ends).mean(axis=-1)
    assert (np.abs(exact - counted) <= 4.5 * np.sqrt(exact * (1 - exact) / len(ratio)) + 1e-6).all()
    change = change_probabilities(mean + np.zeros(len(ratio)), sigma, eps, ends).mean(axis=-1)
    assert change[0] == pytest.approx((theta_n - theta_c > ends[0]).mean(), abs=0.005)


def test_one_walk_gives_the_same(made: xr.DataTree) -> None:
    again, _ = conclude(made)
    xr.testing.assert_identical(again["scenario"].to_dataset(), made["scenario"].to_dataset())


def test_it_can_be_taken_back(result: xr.DataTree, made: xr.DataTree) -> None:
    back = mb.classify(made, ["scenarios.tolerance_points.delta_mcp=none"])
    xr.testing.assert_identical(back["scenario"].to_dataset(), result["scenario"].to_dataset())


def test_decisions_and_curves_use_it(made: xr.DataTree) -> None:
    first = mb.decide(made)[0]
    here = made["scenario"].sel(target=f"mean: {first.name}")
    assert [one.probability for one in first.unions] == here["union_probability"].values.tolist()
    table = mb.tolerance_sweep(made, [5.0])
    assert table["probability"].sum() == pytest.approx(2 * len(table) / 16)


def test_without_a_ratio_it_is_refused_with_a_remedy() -> None:
    tree = mb.delta_mcp(contrast(fake_result(draws=10)))
    with pytest.raises(SpecificationError, match=r"need r0 of the control, which \d+ of \d+ targets lack .*mean: kind"):
        mb.classify(tree, POINTS)


def test_exact_and_influence_are_refused(made: xr.DataTree) -> None:
    with pytest.raises(SpecificationError, match="exact probabilities cannot be had: a tolerance in percentage points"):
        mb.classify(made, method="exact")
    with pytest.raises(SpecificationError, match="in percent only"):
        mb.leave_one_study_out(made)
    assert words.INFLUENCE not in made.children
