"""The figures of a result with fungal and bacterial necromass apart: classes and plane are of their sum."""

import numpy as np
import pytest
from made_parts import THREE, part_result, part_table

import mcpbayes as mb
from mcpbayes.errors import StageError
from mcpbayes.estimands.reading import mean_pairs
from mcpbayes.output.document.figures import draw
from mcpbayes.output.plots import targets
from mcpbayes.output.plots.captions import caption
from mcpbayes.output.plots.forest import forest
from mcpbayes.output.plots.scenario_plane import scenario_plane
from mcpbayes.output.plots.shrinkage import raw_pairs


@pytest.fixture(scope="module")
def result():
    """S1 has a control without fungal necromass."""
    table = part_table().astype(object)
    table.loc[table["study"] == "S1", ["fungal_necromass_control", "fungal_necromass_control_sd"]] = ""
    return mb.classify(mb.delta_mcp(part_result(table)))


def test_points_of_the_plane_are_of_the_sum(result):
    change = result["delta_mcp"].to_dataset()
    for level in ("study", "comparison"):
        found = mean_pairs(result, level)
        here = change.isel(target=change["level"].values == level)
        expected = [
            here["necromass_effect"].mean(("chain", "draw")),
            here["effect"].sel(outcome="soc").mean(("chain", "draw")),
        ]
        known = np.isfinite(found[:, 0])
        assert known.sum() == len(known) - (1 if level == "study" else 2) and np.isnan(found[~known]).all()
        np.testing.assert_allclose(found[known], np.stack(expected, axis=1)[known], rtol=1e-12)


def test_log_ratios_of_the_table_are_of_the_sum(result):
    data = result["data"].to_dataset()
    means = np.exp(data["log_mean"]).to_series().unstack("outcome")
    for place, (arm, control) in enumerate(
        zip(data["arm_of_comparison"].values, data["control_of_comparison"].values, strict=True)
    ):
        own = data["arm"].values[(data["control_of_arm"].values == control) & ~data["treated"].values][0]
        after, before = means.loc[arm], means.loc[own]
        expected = np.log((after[THREE[0]] + after[THREE[1]]) / (before[THREE[0]] + before[THREE[1]]))
        np.testing.assert_allclose(raw_pairs(result)[place, 0], expected, rtol=1e-12)
        np.testing.assert_allclose(raw_pairs(result)[place, 1], np.log(after["soc"] / before["soc"]), rtol=1e-12)


def test_the_plane_says_how_many_comparisons_have_no_point(result):
    figure = scenario_plane(result)
    (note,) = [text.get_text() for axes in figure.axes for text in axes.texts if text.get_gid() == "note"]
    assert "Without a point: 2 comparisons whose control lacks a pool." in " ".join(note.split())
    assert "sectors are the scenario classes" in caption(result, "scenario_plane")


def test_every_figure_of_both_pools_is_there(result):
    names = {"scenario-plane", "scenario-wheel", "forest", "scenario-bars", "tolerance-sweep", "delta-mcp"}
    assert set(draw(result)) == names


def test_the_forest_has_all_pools_and_the_ratio(result):
    titles = [axes.get_title() for axes in forest(result).axes if axes.get_title()]
    assert titles == ["Fungal necromass", "Bacterial necromass", "SOC effect", "ΔMCP"]
    assert "ΔMCP, the change of necromass/SOC in percentage points" in caption(result, "forest")


def test_without_a_control_that_has_all_pools_the_figure_is_refused_with_the_reason():
    table = part_table().astype(object)
    table[["fungal_necromass_control", "fungal_necromass_control_sd"]] = ""
    table.loc[table["study"] == "S1", ["soc_control", "soc_control_sd"]] = ""
    table.loc[table["study"] == "S1", "fungal_necromass_control"] = "3.0"
    bare = mb.delta_mcp(part_result(table, draws=20))
    with pytest.raises(
        StageError, match=r"needs both pools.*no control reports fungal and bacterial necromass and SOC"
    ):
        targets.require_both_pools(bare)
    assert [axes.get_title() for axes in forest(bare).axes if axes.get_title()][-1] == "SOC effect"
