"""The wheel and the stacked areas: what is filled is the probability, and the areas are those of the table."""

from io import BytesIO

import numpy as np
import pytest
from estimands.variants import with_moderators
from matplotlib.collections import PolyCollection
from matplotlib.patches import Arc, Circle, Wedge
from PIL import Image
from plot_help import SIX, classified, drawn, outside, overlaps, words_of

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands import curves
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import classify
from mcpbayes.output.document.model import tolerance_words
from mcpbayes.output.plots import gallery, style
from mcpbayes.output.plots.class_curves import PERCENT
from mcpbayes.output.plots.stacked_classes import ink_on, stacking
from mcpbayes.specification.loading import load_model

MERGED = ('scenarios.merge={"up"=["N+C+r+","N+C0r+","N+C-r+"]}', 'scenarios.labels={"up"="stronger pump"}')
CENTRE_MERGED = ('scenarios.merge={"calm"=["N0C0r0","N+C+r0"]}',)


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "page"]


def filled(axes):
    """Area of each filled patch, and of each cell, over the area of the wheel."""
    found = []
    for patch in axes.patches:
        if patch.get_gid() != "filled":
            continue
        if isinstance(patch, Wedge):
            angle = np.deg2rad(patch.theta2 - patch.theta1)
            inner = patch.r - patch.width
            found.append(0.5 * angle * (patch.r**2 - inner**2) / np.pi)
        else:
            assert isinstance(patch, Circle)
            found.append(patch.radius**2)
    return found


# The wheel


@pytest.mark.parametrize("level", ["mean", "new"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_filled_area_of_a_cell_is_its_probability(level, count):
    result = classified(SIX[:count])
    figure = gallery.scenario_wheel(result, level)
    scenario = result["scenario"].to_dataset()
    shown = scenario["probability"].values[scenario["level"].values == level][:count]
    for axes, probability in zip(panels(figure), shown, strict=True):
        assert 13 * np.array(filled(axes)) == pytest.approx(probability[probability > 0])


def test_the_arcs_are_the_prior_probabilities():
    result = classified(SIX[:1])
    (axes,) = panels(drawn("scenario_wheel", SIX[:1]))
    arcs = [patch for patch in axes.patches if isinstance(patch, Arc)]
    radii = np.array([arc.width / 2 for arc in arcs])
    inner = np.array([1 / 13] * 12 + [0.0])
    size = np.array([12 / 13] * 12 + [1 / 13])
    prior = result["scenario"]["prior_probability"].sel(target="mean: average").values
    assert (radii**2 - inner) / size == pytest.approx(prior)


def test_the_wheel_keeps_the_directions_of_the_plane():
    (axes,) = panels(drawn("scenario_wheel", SIX[:1]))
    at = {code.get_text(): np.array(code.xy) for code in axes.texts if code.get_gid() == "code"}
    assert sorted(at) == sorted(set(words.SCENARIOS) - {"N0C0r0"})
    for code, (x, y) in at.items():
        if code[1] != "0" and code[3] != "0" and code[5] != "0" and code[1] == code[3]:
            assert (y > 0) == (code[1] == "+") and (x > 0) == (code[3] == "+")
        if code[5] != "0":
            assert (y > x) == (code[5] == "+")
    assert at["N+C+r0"][0] == pytest.approx(at["N+C+r0"][1])


def test_probabilities_are_printed_in_bold_from_the_deciding_one():
    result = classified(SIX[:1], settings=("scenarios.decide_at=0.55",))
    figure = gallery.scenario_wheel(result)
    probability = result["scenario"]["probability"].sel(target="mean: average").values
    bold = [text for axes in panels(figure) for text in axes.texts if text.get_weight() == "bold"]
    assert len(bold) == (probability >= 0.55).sum() == 1
    assert bold[0].get_text().startswith(f"{100 * probability.max():.0f}")


@pytest.mark.parametrize("settings", [MERGED, CENTRE_MERGED])
def test_merged_classes_are_one_cell_of_equal_area(settings):
    result = classified(SIX[:1], settings=settings)
    figure = gallery.scenario_wheel(result)
    ring = result["scenario"].sizes["scenario"] - (settings == MERGED)
    probability = result["scenario"]["probability"].sel(target="mean: average").values
    assert (ring + 1) * np.array(filled(panels(figure)[0])) == pytest.approx(probability[probability > 0])
    assert len(words_of(figure, "code")) == ring
    assert overlaps(figure) == [] and outside(figure) == []


def test_the_wheel_of_a_level_says_which():
    assert "level new" in " ".join(words_of(gallery.scenario_wheel(classified(), "new"), "note")[0].split())
    with pytest.raises(ValueError, match="level must be one of"):
        gallery.scenario_wheel(classified(), "study")


@pytest.mark.parametrize("name", ["scenario_wheel", "tolerance_sweep", "scenario_plane"])
def test_fewer_colours_for_notebooks_are_the_same_to_the_eye(name):
    png = gallery.as_png(drawn(name), dpi=144)
    small = style.with_palette(png)
    before, after = (np.asarray(Image.open(BytesIO(b)).convert("RGB")).astype(int) for b in (png, small))
    assert np.abs(after - before).max() <= 16
    assert len(small) < len(png) / 2


# The sweep


def areas(axes):
    """Height of each stacked area at each value across, (class, value)."""
    found = []
    for part in axes.collections:
        if isinstance(part, PolyCollection):
            vertices = part.get_paths()[0].vertices
            x = np.unique(vertices[:, 0])
            found.append([np.ptp(vertices[vertices[:, 0] == value, 1]) for value in x])
    return np.array(found)


def test_the_areas_are_the_probabilities_that_classify_gives_at_each_tolerance():
    result = classified(SIX[:2])
    figure = gallery.tolerance_sweep(result, [0, 5, 9])
    places = [(level, kind) for kind in SIX[:2] for level in ("mean", "new")]
    for column, percent in enumerate((0, 5, 9)):
        settings = [f"scenarios.tolerance_percent.{name}={percent}" for name in ("necromass", "soc", "ratio")]
        expected = classify(result, settings)["scenario"]["probability"]
        for axes, (level, kind) in zip(panels(figure), places, strict=True):
            here = expected.sel(target=f"{level}: kind={kind}", scenario=stacking(words.SCENARIOS, {})).values
            assert areas(axes)[:, column] == pytest.approx(here, abs=1e-12)


def test_the_sweep_reaches_from_no_tolerance_to_ten_percent_and_marks_the_one_in_use():
    assert PERCENT[0] == 0 and PERCENT[-1] == 10
    for axes in panels(drawn("tolerance_sweep")):
        assert axes.get_xlim() == (0, 10)
        (mark,) = (line for line in axes.lines if line.get_gid() == "mark")
        assert list(mark.get_xdata()) == [5, 5]


def test_tolerances_that_differ_are_named_and_not_marked():
    result = classified(SIX[:1], settings=("scenarios.tolerance_percent.soc=3",))
    figure = gallery.tolerance_sweep(result)
    assert not [line for axes in panels(figure) for line in axes.lines]
    for text in (words_of(figure, "note")[0], gallery.caption(result, "tolerance_sweep")):
        assert "±3 % (SOC)" in text.replace("\n", " ")


def test_a_tolerance_in_percentage_points_is_said_in_every_text_and_not_marked():
    result = classified(SIX[:1], settings=("scenarios.tolerance_points.delta_mcp=1.5",))
    figure = gallery.tolerance_sweep(result)
    assert not [line for axes in panels(figure) for line in axes.lines]
    said = [words_of(figure, "note")[0], *(gallery.caption(result, name) for name in ("tolerance_sweep", "densities"))]
    said += [words_of(getattr(gallery, name)(result), "note")[0] for name in ("scenario_wheel", "scenario_plane")]
    for text in said:
        assert "1.5 percentage points" in " ".join(text.split())
    scheme = load_model("arm-based", settings=["scenarios.tolerance_points.delta_mcp=1.5"]).scenarios
    assert tolerance_words(scheme) == "±5 % for necromass C, ±5 % for SOC and ±1.5 percentage points for ΔMCP"


def test_levels_and_names_choose_the_panels():
    figure = gallery.tolerance_sweep(classified(SIX), names=["biochar"], levels=["new"])
    assert len(panels(figure)) == 1 and words_of(figure, "kind") == ["biochar"]
    with pytest.raises(ValueError, match="levels must be among"):
        gallery.tolerance_sweep(classified(), levels=["study"])


def test_classes_are_stacked_from_a_falling_to_a_rising_ratio():
    order = stacking(words.SCENARIOS, {})
    assert sorted(order) == sorted(words.SCENARIOS)
    assert [code[5] for code in order] == ["-"] * 5 + ["0"] * 3 + ["+"] * 5
    merged = [code for code in words.SCENARIOS if code not in ("N+C+r+", "N+C0r+")] + ["up"]
    assert stacking(merged, {"up": ("N+C+r+", "N+C0r+")})[8] == "up"


def test_codes_stand_in_areas_where_they_can_be_read():
    for axes in panels(drawn("tolerance_sweep", SIX[:3])):
        tops = np.vstack([np.zeros(len(PERCENT)), np.cumsum(areas(axes), axis=0)])
        for text in axes.texts:
            x, y = text.get_position()
            at = stacking(words.SCENARIOS, {}).index(text.get_text())
            low, high = (np.interp(x, PERCENT, tops[row]) for row in (at, at + 1))
            assert low < y < high
            assert abs(x - 5) > 0.5


def test_points_asked_for_have_no_sweep():
    result = classify(delta_mcp(with_moderators(draws=50), {"duration_years": [10]}))
    with pytest.raises(ValueError, match=r"points asked for have no sweep: \['duration_years=10'\]"):
        gallery.tolerance_sweep(result, names=["duration_years=10"])


# Along a moderator


@pytest.fixture(scope="module")
def moderated():
    return classify(delta_mcp(with_moderators(draws=50)))


def test_the_curves_along_a_moderator_are_those_of_the_table(moderated):
    figure = gallery.scenarios_along(moderated, "duration_years", [5, 20, 30])
    kinds = list(moderated["data"]["kind"].values)
    table = curves.scenarios_along(moderated, "duration_years", [5, 20, 30], kinds)
    table = table[table["statement"] == "scenario"]
    places = [(level, kind) for kind in kinds for level in ("mean", "new")]
    assert words_of(figure, "kind") == kinds
    for axes, (level, kind) in zip(panels(figure), places, strict=True):
        here = table[(table["level"] == level) & (table["kind"] == kind)]
        expected = here.pivot(index="code", columns="value", values="probability").loc[stacking(words.SCENARIOS, {})]
        assert areas(axes) == pytest.approx(expected.to_numpy(), abs=1e-12)
    assert overlaps(figure) == [] and outside(figure) == []


def test_without_values_the_range_of_the_table_is_drawn_with_its_comparisons(moderated):
    figure = gallery.scenarios_along(moderated, "duration_years", kinds=["manure"], levels=["mean"])
    data = moderated["data"].to_dataset()
    years = data["moderator_duration_years"].values
    (axes,) = panels(figure)
    assert axes.get_xlim() == (years.min(), years.max())
    (strokes,) = (line for line in axes.lines if line.get_gid() == "observed")
    assert sorted(strokes.get_xdata()) == sorted(years[data["kind_of_comparison"].values == "manure"])


def test_only_numbers_have_curves(moderated):
    with pytest.raises(ValueError, match="'ecosystem' holds categories"):
        gallery.scenarios_along(moderated, "ecosystem")
    with pytest.raises(SpecificationError, match="clay"):
        gallery.scenarios_along(moderated, "clay", [1, 2])


@pytest.mark.parametrize("colour", style.PALETTE.values())
def test_letters_on_a_colour_have_the_contrast_of_printed_text(colour):
    def luminance(name):
        value = np.array([int(name[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    ink = {"white": "#ffffff", "black": "#000000"}[ink_on(colour)]
    dark, light = sorted((luminance(ink), luminance(colour)))
    assert (light + 0.05) / (dark + 0.05) > 4.5
