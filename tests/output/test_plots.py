from io import BytesIO

import fakes
import numpy as np
import pytest
import xarray as xr
from document_fakes import contrast_result
from matplotlib.figure import Figure
from plot_help import SIX, box, classified, drawn, outside, overlaps, texts, words_of

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.decision import decide
from mcpbayes.estimands.scenarios import classify
from mcpbayes.output.plots import densities, gallery
from mcpbayes.output.plots.shrinkage import raw_log_ratios

FIGURES = ("scenario_plane", "scenario_wheel", "forest", "scenario_bars", "tolerance_sweep", "densities")
KINDS = {1: SIX[:1], 2: SIX[:2], 3: SIX[:3], 6: SIX, 8: (*SIX, "biogas slurry", "green manure")}
ODD_KINDS = ("W" * 80, "$x^2$ <b>bold</b> & more", "有机肥 with a name that goes on and on beyond any column")
ODD_STUDIES = ("Wang, Li, Zhang & Liu 2019, Soil Biology and Biochemistry", "Müller $\\alpha$", "王小明 2020", "a\nb")


def draw(name, result, **options):
    figure = getattr(gallery, name)(result, **options)
    assert isinstance(figure, Figure)
    return figure


def panels(figure):
    return [axes for axes in figure.axes if axes.get_label() != "page"]


def with_groups(result, **groups):
    new = result.assign({name: xr.DataTree(dataset) for name, dataset in groups.items()})
    new.attrs = result.attrs
    return new


def without_ratio(result):
    change = result["delta_mcp"].to_dataset()
    for name in ("delta_mcp", "mcp_efficacy_control", "mcp_efficacy_treatment"):
        change[name] = change[name] * np.nan
    return with_groups(result, delta_mcp=change)


def streamed(result):
    """As where comparisons × draws are too many to store."""
    posterior = result["posterior"].to_dataset()
    bare = with_groups(result, posterior=posterior.drop_vars(["study_effect", "comparison_effect", "baseline"]))
    return classify(delta_mcp(bare))


def one_pool(outcome):
    result = fakes.fake_result(kinds=SIX[:1])
    posterior = result["posterior"].to_dataset().sel(outcome=[outcome]).drop_dims("pair")
    data = result["data"].to_dataset().sel(outcome=[outcome], outcome_bis=[outcome])
    return delta_mcp(with_groups(result, posterior=posterior, data=data))


@pytest.mark.parametrize("count", KINDS)
@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps_another_or_leaves_the_figure(name, count):
    figure = drawn(name, KINDS[count])
    assert overlaps(figure) == []
    assert outside(figure) == []


@pytest.mark.parametrize("name", FIGURES)
def test_odd_names_are_drawn_as_plain_text(name):
    result = classified(ODD_KINDS, 6, (), ODD_STUDIES)
    figure = draw(name, result)
    shown = "\n".join(words_of(figure))
    assert "$x^2$ <b>bold</b> & more" in shown
    assert "□□□ with a name" in shown
    assert "WWWW…" in shown
    assert not any(text.get_parse_math() for text in texts(figure) if "$" in text.get_text())
    assert overlaps(figure) == []
    assert outside(figure) == []
    figure.savefig(BytesIO())  # by a caller, outside our settings; warnings are errors
    assert gallery.as_png(figure) and gallery.as_svg(figure)


@pytest.mark.parametrize("name", [name for name in FIGURES if name != "scenario_wheel"])  # it has no axes
def test_every_panel_names_its_units(name):
    units = {
        "scenario_plane": ["SOC effect, ln(treated / control)", "Necromass effect, ln(treated / control)"],
        "forest": ["ln(treated / control)", "percentage points of necromass/SOC", "change, %"],
        "scenario_bars": ["probability, %"],
        "tolerance_sweep": ["probability, %", "tolerance of both pools and their ratio, ±%"],
        "densities": ["ΔMCP, percentage points of necromass/SOC"],
    }[name]
    assert set(units) <= set(words_of(drawn(name)))


@pytest.mark.parametrize("name", ["forest", "scenario_bars", "densities"])
@pytest.mark.parametrize(("kind", "words_for_it"), [("eti", "equal-tailed"), ("hdi", "highest-density")])
def test_interval_kind_and_probability_stand_in_the_note_and_the_caption(name, kind, words_for_it):
    result = classified(settings=(f"summary.interval_kind={kind}", "summary.interval_prob=0.9"))
    (note,) = words_of(draw(name, result), "note")
    for text in (note, gallery.caption(result, name)):
        assert f"90 % {words_for_it} credible interval" in text.replace("\n", " ")


@pytest.mark.parametrize("name", FIGURES)
def test_captions_name_levels_and_are_sentences(name):
    text = gallery.caption(classified(), name)
    assert "mean" in text and "new" in text and text.endswith(".")
    assert text[0].isupper() and "\n" not in text and "  " not in text


def test_an_unknown_figure_has_no_caption():
    with pytest.raises(ValueError, match="figure_name must be one of"):
        gallery.caption(classified(), "pie")


@pytest.mark.parametrize(("name", "verb"), [("scenario_plane", "delta_mcp"), ("scenario_bars", "classify")])
def test_a_missing_group_names_the_verb_to_call(name, verb):
    with pytest.raises(StageError, match=verb):
        draw(name, fakes.fake_result())


@pytest.mark.parametrize("name", FIGURES)
def test_names_choose_and_order_the_targets(name):
    figure = draw(name, classified(SIX), names=["biochar", "kind=manure"])
    shown = "\n".join(words_of(figure))
    assert shown.index("biochar") < shown.index("manure")
    assert "cover crop" not in shown.replace("Studies: cover crop", "")
    with pytest.raises(ValueError, match="names must be among"):
        draw(name, classified(SIX), names=["dung"])


# Scenario plane


@pytest.mark.parametrize("count", KINDS)
def test_more_than_three_kinds_get_panels_of_their_own(count):
    figure = drawn("scenario_plane", KINDS[count])
    assert len(panels(figure)) == (1 if count <= 3 else count)
    for axes in panels(figure):
        assert axes.get_xlim() == axes.get_ylim()
        assert axes.get_aspect() == 1


@pytest.mark.parametrize("count", [2, 6])
def test_the_plane_says_what_was_decided(count):
    result = classified(KINDS[count])
    shown = " ".join(words_of(drawn("scenario_plane", KINDS[count]))).replace("\n", " ")
    for level in (words.MEAN, words.NEW):
        for decision in decide(result, level):
            claim = "undecided; most probable" if decision.abstained else decision.label
            assert f"{level}: {claim}" in shown


def test_the_plane_abstains_where_the_decision_does():
    result = classified().copy()
    result.attrs = result.attrs | {"status": "failed"}
    shown = " ".join(words_of(draw("scenario_plane", result))).replace("\n", " ")
    assert f"mean: undecided; most probable {decide(result)[0].best.code}" in shown
    assert "undecided" not in " ".join(words_of(drawn("scenario_plane", SIX[:1])))


def test_the_plane_is_drawn_before_the_scenarios_are_classified():
    shown = "\n".join(words_of(draw("scenario_plane", delta_mcp(fakes.fake_result()))))
    assert "manure\n10 comparisons, 5 studies" in shown
    assert "mean:" not in shown.replace("(mean):", "")


@pytest.mark.parametrize("count", [1, 6])
def test_the_sectors_are_named_at_the_rim_and_the_diagonal_once_per_panel(count):
    figure = drawn("scenario_plane", KINDS[count])
    rim = words_of(figure, "rim")
    assert sorted(set(rim)) == sorted(set(words.SCENARIOS) - {"N0C0r0"})
    assert len(rim) == 12 * len(panels(figure))
    assert words_of(figure, "diagonal") == ["ΔMCP = 0"] * len(panels(figure))


@pytest.mark.parametrize("count", KINDS)
def test_the_label_of_the_diagonal_keeps_off_the_rim(count):
    figure = drawn("scenario_plane", KINDS[count])
    rim = [box(text) for text in texts(figure, "rim")]
    for label in texts(figure, "diagonal"):
        around = box(label)
        for share in np.linspace(0.1, 0.9, 9):
            x, y = around.x0 + share * around.width, around.y0 + share * around.height
            assert not any(other.contains(x, y) for other in rim)


def test_merged_classes_stand_at_the_rim_under_their_code():
    settings = ('scenarios.merge={"up"=["N+C+r+","N+C0r+","N+C-r+"]}',)
    assert words_of(draw("scenario_plane", classified(settings=settings)), "rim").count("up") == 3


def test_each_kind_has_the_points_of_its_own_comparisons():
    result = classified(SIX)
    drawn = [line.get_xdata() for axes in panels(draw("scenario_plane", result)) for line in axes.lines]
    change = result["delta_mcp"].to_dataset()
    means = change["effect"].mean(("chain", "draw")).sel(outcome="soc")
    kinds = result["data"]["kind_of_comparison"].values
    at_comparisons = means.values[change["level"].values == "comparison"]
    for kind in SIX:
        expected = at_comparisons[kinds == kind]
        assert any(len(x) == len(expected) and np.allclose(x, expected) for x in drawn)


def test_points_can_be_left_out():
    figure = draw("scenario_plane", classified(), points=False)
    assert "comparison, posterior mean" not in " ".join(words_of(figure))
    assert not shrinkage(figure)


def shrinkage(figure):
    return [artist for axes in panels(figure) for artist in axes.get_children() if artist.get_gid() == "shrinkage"]


def test_an_arrow_leads_from_the_log_ratio_in_the_table_to_each_point():
    result = classified(SIX[:1])
    data, change = result["data"].to_dataset(), result["delta_mcp"].to_dataset()
    mean = data["log_mean"].to_pandas()
    raw = mean.loc[data["arm_of_comparison"].values].values - mean.loc[data["control_of_comparison"].values].values
    means = change["effect"].mean(("chain", "draw")).values[change["level"].values == "comparison"]
    arrows = shrinkage(draw("scenario_plane", result))
    ends = np.array([arrow._posA_posB for arrow in arrows])
    assert np.allclose(ends[:, 0], raw[:, ::-1]) and np.allclose(ends[:, 1], means[:, ::-1])


def test_a_comparison_that_lacks_a_pool_has_a_point_and_no_arrow():
    result = classified(SIX[:1])
    data = result["data"].to_dataset().copy(deep=True)
    data["log_mean"].loc[{"arm": data["arm_of_comparison"].values[0], "outcome": "soc"}] = np.nan
    figure = draw("scenario_plane", with_groups(result, data=data))
    assert len(shrinkage(figure)) == data.sizes["comparison"] - 1
    (points,) = (line for axes in panels(figure) for line in axes.lines if line.get_marker() == "o")
    assert len(points.get_xdata()) == data.sizes["comparison"]


def test_many_arrows_are_faint_lines():
    figure = draw("scenario_plane", classified(SIX[:1], studies=40))
    (lines,) = shrinkage(figure)
    assert len(lines.get_segments()) == 160
    assert lines.get_alpha() < 0.3


def test_the_log_ratios_of_published_contrasts_are_taken_as_they_are():
    result = contrast_result()
    assert np.array_equal(raw_log_ratios(result), result["data"]["log_ratio"].values)


def test_comparisons_beyond_the_frame_are_counted_not_dropped_in_silence():
    result = classified()
    change = result["delta_mcp"].to_dataset().copy(deep=True)
    change["effect"][dict(target=np.flatnonzero(change["level"].values == "comparison")[:2])] += 9.0
    (note,) = words_of(draw("scenario_plane", with_groups(result, delta_mcp=change)), "note")
    assert "2 comparisons lie outside the frame." in note.replace("\n", " ")


# Forest


@pytest.mark.parametrize(("count", "studies"), [(1, 3), (2, 5), (6, 40), (2, 60)])
def test_the_forest_has_a_line_for_every_target_and_grows_with_them(count, studies):
    figure = drawn("forest", KINDS[count], studies)
    names = [text.strip() for text in words_of(figure, "row left")]
    population = 1 if count == 1 else count + 1
    assert names.count("in a new study") == population
    assert [f"S{i + 1}" for i in range(studies)] == [
        name for name in names if name.startswith("S") and name[1:].isdigit()
    ]
    assert figure.get_figheight() > 0.18 * studies
    assert overlaps(figure) == []
    assert outside(figure) == []


def test_the_printed_intervals_are_those_of_the_draws():
    result = classified()
    shown = words_of(draw("forest", result), "row right")
    change = result["delta_mcp"].to_dataset()

    def as_printed(values, digits):
        numbers = [f"{v:+.{digits}f}" for v in np.quantile(values, [0.5, 0.025, 0.975])]
        numbers = ["0" if float(n) == 0 else n.replace("-", "\N{MINUS SIGN}") for n in numbers]
        return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"

    for target in ("mean: kind=manure", "new: kind=straw return", "study: S3"):
        here = change.sel(target=target)
        for outcome in ("necromass", "soc"):
            assert as_printed(100 * np.expm1(here["effect"].sel(outcome=outcome).values.ravel()), 0) in shown
        assert as_printed(100 * here["delta_mcp"].values.ravel(), 1) in shown


def test_studies_stand_under_the_kind_they_are_about():
    result = classified(SIX[:2], 4)
    data = result["data"].to_dataset().copy(deep=True)
    study = data["study_of_comparison"].values
    data["kind_of_comparison"][:] = np.where(study == "S1", "manure", np.where(study == "S2", "straw return", "manure"))
    data["kind_of_comparison"][dict(comparison=np.flatnonzero(study == "S4")[0])] = "straw return"
    figure = draw("forest", with_groups(result, data=data))
    names = [text.strip() for text in words_of(figure, "row left")]
    start = names.index("Studies: manure")
    assert names[start:] == [
        *("Studies: manure", "S1", "S3", "Studies: straw return", "S2"),
        *("Studies: several kinds each", "S4"),
    ]


def test_a_kind_seen_in_one_study_is_marked():
    result = classified(SIX[:2], 4)
    data = result["data"].to_dataset().copy(deep=True)
    data["kind_of_comparison"][:] = np.where(data["study_of_comparison"].values == "S1", "manure", "straw return")
    names = [text.strip() for text in words_of(draw("forest", with_groups(result, data=data)), "row left")]
    assert "manure (one study)" in names and "straw return" in names


def test_counts_take_shared_controls_once_and_bracket_what_is_assumed():
    result = classified(SIX[:1], 4)
    data = result["data"].to_dataset().copy(deep=True)
    data["n"][dict(arm=0)] = 5.0
    data["source_n"][dict(arm=2)] = words.IMPUTED
    shown = words_of(draw("forest", with_groups(result, data=data)), "row right")
    assert "20" in shown  # S1: controls 5 + 3 plots, four treated arms of 3
    assert "3–5" in shown
    assert "(18)" in shown  # S2, whose first control has an assumed number
    assert "16" in shown  # comparisons in all


def test_the_forest_may_be_drawn_without_its_studies():
    result = classified(KINDS[3])
    shown = words_of(gallery.forest(result, names=["kind=manure"], studies=False))
    assert "manure" in [text.strip() for text in shown] and "study" not in shown
    assert not [text for text in shown if text.startswith("Studies")]
    assert [text for text in words_of(gallery.forest(result, names=["kind=manure"])) if text.startswith("Studies")]


@pytest.mark.parametrize("name", ["forest", "densities"])
def test_without_a_control_ratio_the_change_is_relative(name):
    result = without_ratio(classified())
    figure = draw(name, result)
    shown = "\n".join(words_of(figure))
    assert "ln(treated / control)" in shown and "ratio" in shown
    assert "percentage points" not in shown
    assert "log ratio of the treated to the control ratio" in gallery.caption(result, name)
    assert overlaps(figure) == []


def test_a_study_without_a_ratio_has_a_dash_that_the_note_explains():
    result = classified()
    change = result["delta_mcp"].to_dataset().copy(deep=True)
    change["delta_mcp"].loc[{"target": "study: S2"}] = np.nan
    figure = draw("forest", with_groups(result, delta_mcp=change))
    assert words_of(figure, "row right").count("–") == 1
    assert "A dash: the ratio of the control is not known." in words_of(figure, "note")[0].replace("\n", " ")


def test_a_very_wide_prediction_interval_ends_in_an_arrow():
    result = classified()
    change = result["delta_mcp"].to_dataset().copy(deep=True)
    spread = np.random.default_rng(1).normal(0, 5, change["effect"].sel(target="new: kind=manure").shape)
    change["effect"].loc[{"target": "new: kind=manure"}] = spread
    figure = draw("forest", with_groups(result, delta_mcp=change))
    low, high = panels(figure)[0].get_xlim()
    assert high - low < 3
    arrows = [line for line in panels(figure)[0].lines if line.get_marker() in ("<", ">")]
    assert len(arrows) == 2
    assert "Arrows: the interval reaches beyond the panel." in words_of(figure, "note")[0].replace("\n", " ")


def test_effects_that_are_not_stored_are_drawn_all_the_same():
    result = streamed(classified())
    assert "study" not in result["delta_mcp"]["level"].values
    assert words_of(draw("forest", result), "row left") == words_of(draw("forest", classified()), "row left")
    assert "comparison, posterior mean" in " ".join(words_of(draw("scenario_plane", result)))
    assert "of each study" in gallery.caption(result, "forest")


def test_very_many_studies_are_not_drawn_one_by_one():
    few, many = (classified(studies=studies) for studies in (60, 61))
    assert "S60" in [name.strip() for name in words_of(draw("forest", few), "row left")]
    figure = draw("forest", many)
    assert not any(name.strip().startswith("S") for name in words_of(figure, "row left"))
    (note,) = words_of(figure, "note")
    assert "The 61 studies are too many to draw one by one." in " ".join(note.split())
    (note,) = words_of(gallery.forest(many, studies=False), "note")
    assert "too many" not in note
    assert "of each study" in gallery.caption(few, "forest")
    assert "of each study" not in gallery.caption(many, "forest")


def test_contrasts_without_arms_have_no_plot_numbers():
    result = without_ratio(classified())
    data = result["data"].to_dataset().drop_dims("arm").assign_attrs(family="contrast-based")
    ratio = np.zeros((data.sizes["comparison"], data.sizes["outcome"]))
    data = data.assign(log_ratio=(("comparison", "outcome"), ratio))
    shown = words_of(draw("forest", with_groups(result, data=data)))
    assert "plots" not in shown and "compa-\nrisons" in shown


def test_one_pool_has_one_panel_and_no_scenarios():
    result = one_pool("soc")
    figure = draw("forest", result)
    assert len(panels(figure)) == 1
    assert overlaps(figure) == [] and outside(figure) == []
    assert "ΔMCP" not in gallery.caption(result, "forest")
    for name in ("scenario_plane", "densities"):
        with pytest.raises(StageError, match="both pools"):
            draw(name, result)


# Scenario bars


def test_bars_are_the_probabilities_and_only_those_from_two_percent_are_printed():
    result = classified(SIX[:1])
    figure = draw("scenario_bars", result)
    scenarios = result["scenario"].to_dataset()
    (axes,) = panels(figure)
    widths = [patch.get_width() for patch in axes.patches]
    expected, printed = [], 0
    for part, dim in (("probability", "scenario"), ("change_probability", "change")):
        for key in scenarios[dim].values:
            both = [float(scenarios[part].sel({"target": f"{lv}: average", dim: key})) for lv in ("mean", "new")]
            expected.append(both)
            printed += sum(value >= 0.02 for value in both)
    assert np.allclose(widths, np.array(expected).T.ravel())
    assert len(words_of(figure, "number")) == printed


def prior_ticks(figure):
    """Where the prior's ticks stand in the first panel."""
    priors = [lines for lines in panels(figure)[0].collections if lines.get_gid() == "prior"]
    return [bottom[0] for lines in priors for bottom, _ in lines.get_segments()]


def test_bars_carry_every_class_label_and_prior_tick():
    result = classified(SIX[:1])
    figure = draw("scenario_bars", result)
    assert words_of(figure, "code") == list(words.SCENARIOS)
    assert words_of(figure, "label")[:13] == list(words.SCENARIO_LABELS.values())
    ticks = [
        x for lines in panels(figure)[0].collections if lines.get_gid() == "prior" for (x, _), _ in lines.get_segments()
    ]
    priors = result["scenario"]["prior_probability"].sel(target=["mean: average", "new: average"])
    assert sorted(ticks) == pytest.approx(sorted(priors.values.ravel()))


def test_a_flat_prior_has_no_tick():
    result = classified(SIX[:1])
    scenarios = result["scenario"].to_dataset().copy(deep=True)
    scenarios["prior_probability"][:] = np.nan
    figure = draw("scenario_bars", with_groups(result, scenario=scenarios))
    assert prior_ticks(figure) == []


def test_merged_and_relabelled_classes_are_lines_of_their_own():
    settings = (
        'scenarios.merge={"up"=["N+C+r+","N+C0r+","N+C-r+"]}',
        'scenarios.labels={"up"="$stronger$ pump"}',
    )
    figure = draw("scenario_bars", classified(settings=settings))
    assert words_of(figure, "code")[:2] == ["up", "N0C-r+"]
    assert "$stronger$ pump" in words_of(figure, "label")


# Densities


@pytest.mark.parametrize("count", [1, 6])
def test_densities_have_two_lines_per_kind_with_their_probabilities(count):
    result = classified(KINDS[count])
    figure = draw("densities", result)
    assert len(words_of(figure, "name")) == 2 * count
    numbers = words_of(figure, "number")
    assert len(numbers) == 6 * count
    name = "average" if count == 1 else f"kind={SIX[0]}"
    rise = float(result["scenario"]["change_probability"].sel(target=f"mean: {name}", change="increase"))
    assert numbers[1] == (f"{100 * rise:.0f}" if rise < 0.995 else ">99")


@pytest.mark.parametrize("tolerance", ["tolerance_percent.ratio=20", "tolerance_points.delta_mcp=3"])
@pytest.mark.parametrize("absolute", [True, False])
def test_coloured_areas_of_a_density_are_the_shares_of_draws(tolerance, absolute):
    result = classified(SIX[:1], settings=(f"scenarios.{tolerance}",))
    eye = densities._eye(result, "new", "average", absolute)
    lower, upper = densities._borders(eye.values, eye.way)
    assert lower <= upper
    assert np.mean(eye.values <= lower) == np.mean(eye.way < 0)
    assert np.mean(eye.values >= upper) == np.mean(eye.way > 0)
    name = "new: average"
    falls = float(result["scenario"]["change_probability"].sel(target=name, change="decrease"))
    assert np.mean(eye.way < 0) == pytest.approx(falls, abs=0.05)


def test_densities_count_the_draws_where_nothing_is_classified_yet():
    classified_numbers = words_of(drawn("densities"), "number")
    counted = words_of(draw("densities", delta_mcp(fakes.fake_result(kinds=SIX[:2], draws=100))), "number")
    assert counted == classified_numbers
