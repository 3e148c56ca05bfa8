"""Storing or streaming gives the same numbers, and streaming holds few blocks at a time."""

import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fakes import fake_data, fake_result
from matplotlib.text import Text
from variants import contrast, one_outcome, rebuilt, with_moderators, with_sites, without_pool

from mcpbayes import vocabulary as words
from mcpbayes.estimands.blocks import pieces
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.decision import decide
from mcpbayes.estimands.reading import describe, draws_of, mean_pairs
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.targets import targets
from mcpbayes.estimands.walk import sources, table
from mcpbayes.evidence.diagnostics import diagnose, judge
from mcpbayes.inference.completion import complete_posterior
from mcpbayes.kernels import VARIABLE
from mcpbayes.output.conclusion import conclude
from mcpbayes.output.plots.gallery import forest, scenario_plane
from mcpbayes.output.summary import scenario_table, share_table, summarise
from mcpbayes.specification.loading import from_toml, load_model

EFFECTS = ("study_effect", "site_effect", "comparison_effect", "baseline")


def streamed(tree: xr.DataTree) -> xr.DataTree:
    """The result as it is where effects are too many to store."""
    return rebuilt(tree, posterior=tree["posterior"].to_dataset().drop_vars(EFFECTS, errors="ignore"))


def completed(tree: xr.DataTree) -> xr.DataTree:
    """The result with effects drawn from their conditional, as `fit` does it, instead of made up."""
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    if "recipe" not in data["design"].attrs:
        data["design"].attrs["recipe"] = '{"terms": [], "moderators": {}}'
    model = from_toml(tree.attrs["specification"])
    if data.sizes["outcome"] == 1:
        model = load_model("contrast-based", settings={"data.outcomes": ["necromass"]})
    kept = [name for name in posterior.data_vars if str(name).startswith(("tau", "rho"))]
    made, _ = complete_posterior(data, model, posterior[kept], seed=tree.attrs["seed"])
    return rebuilt(tree, data=data, posterior=made)


def full(tree: xr.DataTree, **at: object) -> xr.DataTree:
    made = delta_mcp(tree, at)
    return classify(made) if "log_delta_mcp" in made["delta_mcp"] else made


def some_ratios(size: int) -> np.ndarray:
    given = np.linspace(0.3, 0.6, size)
    given[::5] = np.nan
    return given


# More than one block of studies.
CASES = {
    "plain": lambda: fake_result(studies=35, draws=30),
    "one kind": lambda: fake_result(studies=35, draws=30, kinds=("manure",)),
    "sites and moderators": lambda: with_sites(with_moderators(studies=35, draws=30)),
    "a pool missing": lambda: without_pool(fake_result(studies=35, draws=30), "S2: control 1", "soc"),
    "contrast": lambda: contrast(fake_result(studies=35, draws=30)),
    "contrast with ratios": lambda: contrast(fake_result(studies=35, draws=30), some_ratios(140)),
    "one outcome": lambda: one_outcome(fake_result(studies=35, draws=30)),
}


@pytest.fixture(scope="module", params=CASES)
def both(request: pytest.FixtureRequest) -> tuple[xr.DataTree, xr.DataTree]:
    tree = completed(CASES[request.param]())
    return full(tree), full(streamed(tree))


def test_the_tables_are_the_same_stored_or_streamed(both: tuple[xr.DataTree, xr.DataTree]) -> None:
    stored, walked = both
    assert "comparison" in stored["delta_mcp"]["level"].values
    assert set(walked["delta_mcp"]["level"].values) == {"mean", "new"}
    exact = {"rtol": 1e-12, "atol": 1e-12}
    pd.testing.assert_frame_equal(summarise(walked), summarise(stored), **exact)
    if "scenario" in stored.children:
        pd.testing.assert_frame_equal(scenario_table(walked), scenario_table(stored), **exact)
        pd.testing.assert_frame_equal(share_table(walked), share_table(stored), **exact)
        xr.testing.assert_allclose(walked["scenario"].to_dataset(), stored["scenario"].to_dataset(), **exact)


def check_tables(made: tuple[xr.DataTree, pd.DataFrame], expected: xr.DataTree, rtol: float) -> None:
    result, summary = made
    exact = {"rtol": rtol, "atol": rtol}
    pd.testing.assert_frame_equal(summary, summarise(expected), **exact)
    assert set(result.children) == set(expected.children)
    if "scenario" in expected.children:
        xr.testing.assert_allclose(result["scenario"].to_dataset(), expected["scenario"].to_dataset(), **exact)
    xr.testing.assert_allclose(result["delta_mcp"].to_dataset(), expected["delta_mcp"].to_dataset(), **exact)
    assert result["delta_mcp"].attrs["at"] == expected["delta_mcp"].attrs["at"]
    for level, share in json.loads(result["delta_mcp"].attrs["share_above_one"]).items():
        assert json.loads(expected["delta_mcp"].attrs["share_above_one"])[level] == share


def test_one_walk_gives_the_tables_of_three(both: tuple[xr.DataTree, xr.DataTree]) -> None:
    for tree in both:
        check_tables(conclude(tree), tree, 1e-12)


@pytest.mark.parametrize("case", CASES)
def test_compiled_kernels_give_the_tables_of_numpy(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    tree = completed(CASES[case]())
    expected = full(tree)
    monkeypatch.setenv(VARIABLE, "numba")
    check_tables(conclude(tree), expected, 1e-9)
    streaming = streamed(tree)
    check_tables(conclude(streaming), full(streaming), 1e-12)


def test_concluding_holds_a_few_blocks_only() -> None:
    def peak(studies: int) -> int:
        tree = streamed(fake_result(studies=studies, draws=150, kinds=("manure",)))
        tracemalloc.start()
        conclude(tree)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(160)  # what is imported or compiled once is no part of the walk
    few, many = peak(160), peak(480)
    stored = 320 * 4 * 6 * 8 * 600  # effects, δ, Δr and ratios of the further comparisons
    assert many - few < 0.25 * stored


def test_the_gate_is_the_same_stored_or_streamed(both: tuple[xr.DataTree, xr.DataTree]) -> None:
    stored, walked = both
    assert judge(walked).attrs == judge(stored).attrs
    one, other = diagnose(walked), diagnose(stored)
    assert (one.failing_study, one.failing_comparison) == (other.failing_study, other.failing_comparison)
    assert one.failing_comparison > 0  # 120 draws are few
    assert diagnose(walked, summarise(walked)).problems == one.problems
    assert judge(walked, summarise(walked)).attrs["problems"] == json.dumps([p.as_dict() for p in one.problems])


def test_targets_and_reasons_are_known_without_their_draws(both: tuple[xr.DataTree, xr.DataTree]) -> None:
    stored, walked = both
    xr.testing.assert_identical(describe(walked), describe(stored))
    for name in ("level", "name", "absent"):
        np.testing.assert_array_equal(describe(stored)[name].values, stored["delta_mcp"][name].values)


def test_single_targets_are_read_alike(both: tuple[xr.DataTree, xr.DataTree]) -> None:
    stored, walked = both
    if stored["posterior"].sizes["outcome"] > 1:
        np.testing.assert_allclose(mean_pairs(walked, "comparison"), mean_pairs(stored, "comparison"), rtol=1e-12)
    effect = stored["delta_mcp"]["effect"]
    asked = {"comparison": ["S34: T2", "S2: T1"], "study": ["S35"], "new": [str(effect["name"].values[0])]}
    for level, names in asked.items():
        found = dict(draws_of(walked, level, names))
        assert set(found) == set(names)
        for name, one in found.items():
            expected = effect.sel(target=f"{level}: {name}").transpose("outcome", "chain", "draw").values
            np.testing.assert_allclose(one.effect[0], expected.reshape(len(expected), -1), rtol=1e-12)
    if "scenario" in stored.children:
        assert decide(walked, "comparison", "S34: T2") == decide(stored, "comparison", "S34: T2")


def test_points_asked_for_are_kept_where_the_walk_begins_anew() -> None:
    tree = streamed(completed(with_moderators(studies=4, draws=20)))
    made = full(tree, duration_years=[10, 20])
    assert made["scenario"].sizes["target"] == describe(made).sizes["target"]
    assert "new: duration_years=20" in made["scenario"]["target"].values
    table_ = summarise(made)
    assert (table_["name"] == "duration_years=20").any()
    assert table_["mean"].notna().all()


def test_figures_are_drawn_without_stored_effects() -> None:
    tree = completed(fake_result(studies=4, draws=100))
    stored, walked = full(tree), full(streamed(tree))
    for figure in (forest, scenario_plane):
        texts = [[text.get_text() for text in figure(one).findobj(Text)] for one in (stored, walked)]
        assert texts[0] == texts[1]


def test_names_of_the_posterior_may_stand_in_another_order() -> None:
    tree = fake_result(draws=20)
    turned = rebuilt(tree, posterior=tree["posterior"].to_dataset().isel(comparison=slice(None, None, -1)))
    xr.testing.assert_identical(delta_mcp(turned)["delta_mcp"].to_dataset(), delta_mcp(tree)["delta_mcp"].to_dataset())


def test_blocks_cover_every_node_once(both: tuple[xr.DataTree, xr.DataTree]) -> None:
    for tree in both:
        data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
        who = table(data, posterior, describe(tree)).who
        walked = [block for block, _ in pieces(data, posterior, who, 1)]
        assert len(walked) > 1
        for place, dim in enumerate(("study", "site", "control", "comparison")):
            found = np.concatenate([block[place] for block in walked])
            assert sorted(found) == list(range(data.sizes[dim]))


def test_a_walk_holds_a_few_blocks_only() -> None:
    """The peak of memory does not grow with the number of studies.

    One worker: with several the peak depends on whose blocks happen to be in work together.
    """

    def peak(studies: int) -> int:
        tree = streamed(fake_result(studies=studies, draws=150, kinds=("manure",)))
        data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
        change = delta_mcp(tree)["delta_mcp"].to_dataset()
        walk = sources(data, posterior, change, targets(data, posterior), 1)
        tracemalloc.start()
        assert sum(len(source().places) for source in walk) == 2 + 5 * studies
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(160)  # what is imported or compiled once is no part of the walk
    few, many = peak(160), peak(480)
    stored = 320 * 4 * 2 * 8 * 600  # what the effects of the further comparisons would take
    assert many - few < 0.25 * stored


def test_the_limit_is_where_the_engine_finds_it() -> None:
    assert words.STORED_AT_MOST == 4_000_000
    assert fake_data().sizes["comparison"] * 1000 < words.STORED_AT_MOST
