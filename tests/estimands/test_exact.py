"""Exact class probabilities of fitted tables against counting their draws, at every level."""

import numpy as np
import pytest
import xarray as xr
from fakes import fake_result

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError, SpecificationError
from mcpbayes.estimands import exact as room
from mcpbayes.estimands.conditional import Normals, spaced
from mcpbayes.estimands.decision import decide
from mcpbayes.estimands.scenarios import entropy

LEVELS = ("mean", "new", "study", "comparison")
WITHIN = ["priors.rho_within.distribution=beta", "priors.rho_within.a=4", "priors.rho_within.b=2"]

PLAIN = ["data.dispersion.sd_model=reported"]

#: Variants of the example table (simulated).
VARIANTS = {
    "kinds of treatment": [],
    "one kind, a moderator": ["levels.kind=off", "moderators.formula=~ duration_years"],
    "three worlds": [*WITHIN, "sampling.worlds=3"],
    "correlation over plots estimated": [*WITHIN, "priors.rho_within.update=true"],
    "unequal tolerances": ["scenarios.tolerance_percent.necromass=20", "scenarios.tolerance_percent.ratio=1"],
}


@pytest.fixture(scope="module", params=VARIANTS)
def changed(request: pytest.FixtureRequest) -> xr.DataTree:
    model = mb.load_model("arm-based", settings=[*PLAIN, *VARIANTS[request.param]])
    return mb.delta_mcp(mb.fit(mb.prepare(mb.read_example(), model), model, seed=3))


@pytest.fixture(scope="module")
def exact(changed: xr.DataTree) -> xr.Dataset:
    return mb.classify(changed)["scenario"].to_dataset()


@pytest.fixture(scope="module")
def counted(changed: xr.DataTree) -> xr.Dataset:
    return mb.classify(changed, method="counting")["scenario"].to_dataset()


@pytest.mark.parametrize("level", LEVELS)
def test_exact_probabilities_are_those_of_counting(exact: xr.Dataset, counted: xr.Dataset, level: str) -> None:
    """Every class within 4.5 Monte-Carlo errors of the draws; with no or all draws: those of 1000 independent ones."""
    at = exact["level"] == level
    ours, theirs = exact.sel(target=at), counted.sel(target=at)
    p = ours["probability"].values
    error = np.maximum(theirs["mcse"].values, np.sqrt(p * (1 - p) / 4000))
    total = np.hypot(error, ours["mcse"].values)
    assert (np.abs(p - theirs["probability"].values) <= 4.5 * total + 1e-12).all()
    size = exact.sizes["chain"] * exact.sizes["draw"]
    for name in ("change_probability", "union_probability"):
        p = ours[name].values
        assert (np.abs(p - theirs[name].values) <= 4.5 * np.sqrt((p * (1 - p) + 1e-9) / (0.25 * size)) + 1e-4).all()


def test_they_are_probabilities(exact: xr.Dataset) -> None:
    assert exact.attrs["method"] == "exact" and exact.attrs["method_reason"] == ""
    np.testing.assert_allclose(exact["probability"].sum("scenario"), 1, atol=1e-12)
    np.testing.assert_allclose(exact["change_probability"].sum("change"), 1, atol=1e-12)
    assert (exact["probability"] >= 0).all() and np.isfinite(exact["mcse"]).all()


def test_unions_are_sums_of_classes(exact: xr.Dataset) -> None:
    classes, unions = exact["probability"], exact["union_probability"]
    synchrony = classes.sel(scenario=list(words.SYNCHRONOUS)).sum("scenario")
    np.testing.assert_allclose(unions.sel(union="synchrony"), synchrony, atol=1e-12)
    gains = [code for code in words.SCENARIOS if "C+" in code]
    np.testing.assert_allclose(unions.sel(union="C+"), classes.sel(scenario=gains).sum("scenario"), atol=1e-12)
    np.testing.assert_array_equal(
        unions.sel(union=["ratio+", "ratio0", "ratio-"]).values, exact["change_probability"].values
    )


def test_monte_carlo_errors_of_comparisons_are_five_times_smaller(
    changed: xr.DataTree, exact: xr.Dataset, counted: xr.Dataset
) -> None:
    """Of 18 studies; four times where ϱ is one more unknown (all draws of φ are in use)."""
    at = (exact["level"] == "comparison").values
    p = counted["probability"].values[at]
    errors = [made["mcse"].values[at][(p > 0.02) & (p < 0.98)] for made in (exact, counted)]
    # Counting three worlds counts 12,000 draws; the bar is 4000.
    worlds = exact.sizes["chain"] / 4
    ratio = np.median(errors[1] * np.sqrt(worlds) / errors[0])
    assert ratio >= (4 if "rho_within" in changed["posterior"] else 5)


def test_the_mean_share_is_the_probability_at_new(exact: xr.Dataset) -> None:
    at_new = exact.sel(target=[f"new: {name}" for name in exact["group"].values])
    share = exact["share"].stack(sample=("chain", "draw"))
    error = np.hypot(share.std("sample") / np.sqrt(0.25 * share.sizes["sample"]), at_new["mcse"].values)
    assert (np.abs(share.mean("sample") - at_new["probability"].values) <= 4.5 * error + 1e-12).all()


def test_decisions_say_the_probabilities(changed: xr.DataTree, exact: xr.Dataset) -> None:
    for level in LEVELS:
        for made in decide(mb.classify(changed), level):
            here = exact.sel(target=f"{level}: {made.name}")
            assert made.best.probability == float(here["probability"].max())
            assert [one.probability for one in made.unions] == here["union_probability"].values.tolist()


@pytest.fixture(scope="module")
def one() -> xr.DataTree:
    model = mb.load_model("arm-based", settings=PLAIN)
    return mb.delta_mcp(mb.fit(mb.prepare(mb.read_example(), model), model, seed=3))


def test_blocks_of_targets_and_draws_change_nothing(one: xr.DataTree, monkeypatch: pytest.MonkeyPatch) -> None:
    before = mb.classify(one)["scenario"]
    monkeypatch.setattr(room, "_TARGETS", 5)
    monkeypatch.setattr(room, "_DRAWS", 333)
    after = mb.classify(one)["scenario"]
    for name in ("probability", "mcse", "change_probability"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-13)


def test_one_walk_gives_the_same(one: xr.DataTree) -> None:
    from mcpbayes.output.conclusion import conclude

    made, _ = conclude(one)
    xr.testing.assert_identical(made["scenario"].to_dataset(), mb.classify(one)["scenario"].to_dataset())


def test_merged_classes_are_sums(one: xr.DataTree) -> None:
    members = ["N+C+r+", "N+C+r0", "N+C+r-"]
    made = mb.classify(one, {"scenarios.merge": {"gain": members}})["scenario"].to_dataset()
    plain = mb.classify(one)["scenario"].to_dataset()
    total = plain["probability"].sel(scenario=members).sum("scenario")
    np.testing.assert_allclose(made["probability"].sel(scenario="gain"), total, atol=1e-12)
    np.testing.assert_allclose(made["union_probability"], plain["union_probability"], atol=1e-12)


def test_counting_is_taken_where_effects_are_not_known_to_be_normal(one: xr.DataTree) -> None:
    fake = mb.delta_mcp(fake_result(draws=20))
    made = mb.classify(fake)["scenario"]
    assert made.attrs["method"] == "counting"
    assert "does not say that effects are normal" in made.attrs["method_reason"]
    with pytest.raises(SpecificationError, match="exact probabilities cannot be had: the fit does not say"):
        mb.classify(fake, method="exact")
    with pytest.raises(SpecificationError, match="method: expected one of 'auto', 'exact', 'counting', found 'count'"):
        mb.classify(one, method="count")


def test_moments_that_are_not_finite_have_no_class(one: xr.DataTree) -> None:
    bad = Normals(np.full((2, 1, 8), np.nan), np.ones((2, 2, 1, 8)))
    piece = room.Pieces(np.arange(1), np.eye(1), bad)
    with pytest.raises(ConvergenceError, match="not finite"):
        room.judged(piece, room.judge_of(one))


def test_draws_are_evenly_spaced() -> None:
    assert spaced(1000, 4).tolist() == [125, 375, 625, 875]
    assert spaced(5, 10).tolist() == [0, 1, 2, 3, 4]


def test_entropy_runs_from_one_certain_class_to_all_alike() -> None:
    p = np.array([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    np.testing.assert_allclose(entropy(p), [0, 1, 0.5])
    assert entropy(np.ones((2, 1))).tolist() == [0, 0]
