"""The figure of the catalogue shows the trajectories as they are, a panel per class in ring order."""

import numpy as np
import pytest
from plot_help import outside, overlaps, words_of

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.output.plots.model_scenarios import PLACES
from mcpbayes.specification.loading import load_model


@pytest.fixture(scope="module")
def figure():
    return mb.plots.model_scenarios()


def panels(figure):
    return dict(zip(PLACES, [axes for axes in figure.axes if axes.get_label() != "page"], strict=True))


def test_no_text_overlaps_another_or_leaves_the_figure(figure):
    assert overlaps(figure) == [] and outside(figure) == []


def test_the_lines_are_the_trajectories(figure):
    found = mb.model_scenarios()
    for code, axes in panels(figure).items():
        here = found.sel(scenario=code)
        lines = {line.get_gid(): line.get_ydata() for line in axes.lines}
        assert np.array_equal(lines["ratio"], here["log_delta_mcp"])
        for pool in ("necromass", "soc"):
            assert np.array_equal(lines[pool], here["effect"].sel(outcome=pool))


def test_every_class_has_its_title_and_neighbours_on_the_ring_are_neighbours_on_the_page(figure):
    titles = " ".join(words_of(figure, "title")).replace("\n", " ")
    for code, label in words.SCENARIO_LABELS.items():
        assert f"{code} {label}" in titles
    ring = [np.array(PLACES[code]) for code in words.SCENARIOS[:12]]
    for one, other in zip(ring, [*ring[1:], ring[0]], strict=True):
        assert np.abs(one - other).sum() == 1


def test_other_years_and_tolerances_can_be_drawn():
    scheme = load_model("arm-based", settings=["scenarios.tolerance_percent.soc=2"]).scenarios
    figure = mb.plots.model_scenarios(mb.model_scenarios(range(0, 41, 5), scheme), scheme=scheme)
    assert "±2 % (SOC)" in words_of(figure, "note")[0].replace("\n", " ")
    assert {axes.get_xlim() for axes in panels(figure).values()} == {(0, 40)}
    assert overlaps(figure) == []
