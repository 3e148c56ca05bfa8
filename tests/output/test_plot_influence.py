"""The figure of studies left out, its table and its section of the report."""

import numpy as np
import pytest
from document_fakes import one_pool
from influence_fakes import with_influence
from page_help import Page
from plot_help import SIX, classified, outside, overlaps, words_of

import mcpbayes as mb
from mcpbayes.errors import StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.tree import with_groups
from mcpbayes.output.document.figures import draw
from mcpbayes.output.document.influence import finding
from mcpbayes.output.document.report import render
from mcpbayes.output.folder import FILES, tables
from mcpbayes.output.plots import gallery
from mcpbayes.output.plots.captions import caption
from mcpbayes.output.plots.influence_rows import MOST, SHOWN, target_shown

ODD = ("Wang, Li, Zhang & Liu 2019, Soil Biology and Biochemistry", "Müller $\\alpha$", "王小明 2020", "a\nb")


@pytest.mark.parametrize(("kinds", "studies"), [(SIX[:1], 3), (SIX[:2], 5), (SIX, 12), (SIX[:2], MOST + 5)])
def test_no_text_overlaps_another_or_leaves_the_figure(kinds, studies):
    figure = gallery.influence(with_influence(classified(kinds, studies), failed=(1,), unseen=((0, 0),)))
    assert overlaps(figure) == []
    assert outside(figure) == []


def test_odd_names_are_plain_text():
    figure = gallery.influence(with_influence(classified(SIX[:2], 6, (), ODD)))
    assert overlaps(figure) == []
    assert outside(figure) == []
    assert "Müller $\\alpha$" in words_of(figure, "row left")


def test_studies_are_sorted_by_what_they_move():
    result = with_influence(classified())
    shift = result["influence"]["shift"].sel(target=f"mean: {target_shown(result)}").values
    rows = [text for text in words_of(gallery.influence(result), "row left") if text.startswith("S")]
    assert rows == [f"S{i + 1}" for i in np.argsort(-shift)]


def test_another_class_or_headline_is_bold():
    result = with_influence(classified(SIX[:1]))
    figure = gallery.influence(result)
    bold = [t.get_text() for t in figure.findobj(type(figure.axes[0].title)) if t.get_weight() == "bold"]
    assert any(text.startswith("N-C-r+") for text in bold)
    assert "N-C-" in bold
    assert "−30.0" in bold  # the worst predicted


def test_of_many_studies_the_most_influential_are_shown():
    result = with_influence(classified(SIX[:2], MOST + 5))
    figure = gallery.influence(result)
    rows = [text for text in words_of(figure, "row left") if text.startswith("S")]
    shift = result["influence"]["shift"].sel(target=f"mean: {target_shown(result)}")
    moved = np.abs(shift.values)
    assert moved[-1] < np.sort(moved)[-SHOWN]
    moved[-1] = np.inf  # it changes the headline
    assert set(rows) == set(shift["left_out"].values[np.argsort(-moved)[:SHOWN]])
    assert f"Shown are the {SHOWN} of {MOST + 5} studies" in " ".join(words_of(figure, "note")).replace("\n", " ")
    assert "Shown are" not in " ".join(words_of(gallery.influence(with_influence(classified())), "note"))


def test_the_target_is_the_one_whose_headline_changes_then_the_one_that_is_moved_most():
    result = with_influence(classified(SIX[:3]))
    found = result["influence"].to_dataset().copy(deep=True)
    found["shift"].loc[{"target": "mean: kind=biochar", "left_out": "S2"}] = -9.0
    assert target_shown(with_groups(result, {"influence": found})) == "kind=manure"  # headline and class change
    found["claim_changes"][:] = 0
    assert target_shown(with_groups(result, {"influence": found})) == "kind=manure"  # the class changes
    found["class_changes"][:] = 0
    found["shift"].loc[{"target": "mean: kind=biochar", "left_out": "S2"}] = -9.0
    moved = with_groups(result, {"influence": found})
    assert target_shown(moved) == "kind=biochar"
    found["unseen"].loc[{"target": "mean: kind=biochar", "left_out": "S2"}] = 1
    assert target_shown(with_groups(result, {"influence": found})) != "kind=biochar"


def test_an_unseen_kind_does_not_stretch_the_axis():
    result = with_influence(classified(SIX[:2]), unseen=((0, 0),))
    wide = result["influence"].to_dataset().copy(deep=True)
    wide["log_delta_mcp_upper"][0, 0] = 50.0
    figure = gallery.influence(with_groups(result, {"influence": wide}), name=SIX[0])
    panel = next(axes for axes in figure.axes if axes.get_xlabel().startswith("change of the ratio"))
    assert panel.get_xlim()[1] < 5
    assert "S1 †" in words_of(figure, "row left")


def test_asks_for_the_stage_before_and_for_both_pools():
    with pytest.raises(StageError, match="leave_one_study_out"):
        gallery.influence(classified())
    with pytest.raises(StageError, match="needs both pools"):
        gallery.influence(with_influence(delta_mcp(one_pool())))
    with pytest.raises(ValueError, match="names must be among"):
        gallery.influence(with_influence(classified()), name="lime")


def test_drawn_and_written_only_where_studies_were_left_out():
    result = with_influence(classified())
    assert "influence" not in draw(classified())
    assert list(draw(result))[-1] == "influence"
    assert "influence.csv" not in tables(classified())
    assert "influence.csv" in tables(result)
    assert "influence.csv" in FILES


def test_caption_names_level_interval_and_target():
    text = caption(with_influence(classified(SIX[:2])), "influence")
    for part in ("level mean", "95 % equal-tailed", "elpd"):
        assert part in text


def test_report_has_the_section():
    result = with_influence(classified(SIX[:2]), failed=(1,), unseen=((0, 0),))
    page = Page(render(result))
    text = page.sections["influence"]
    assert "Every study was left out in turn" in text
    assert "S5" in text  # changes the class, and is worst predicted
    assert "S2: the proposals did not cover the posterior" in text
    assert "manure (S1)" in text
    assert "influence" not in Page(render(classified(), figures={})).sections
    assert "Does one study decide?" not in render(classified(), figures={})


def test_report_of_one_pool_has_effects():
    result = with_influence(delta_mcp(one_pool()))
    result.attrs["status"] = "ok"
    text = Page(render(result, figures={})).sections["influence"]
    assert "SOC" in text
    assert "Most probable class" not in text


def test_report_says_where_nothing_changes():
    result = with_influence(classified(SIX[:2]))
    found = result["influence"].to_dataset().copy(deep=True)
    for name in ("class_changes", "claim_changes"):
        found[name][:] = 0
    text = Page(render(with_groups(result, {"influence": found}), figures={})).sections["influence"]
    assert text.count("No single study changes") == 2
    assert "sampled with NUTS" in text  # as the fake result says of itself


def test_a_claim_that_changes_is_said_with_its_probability_with_and_without_the_study():
    result = with_influence(classified(SIX[:2]))
    found = result["influence"].to_dataset().copy(deep=True)
    last, target = found["left_out"].values[-1], found["target"].values[0]
    found["all_claim"] = found["all_claim"].astype(object)
    found["all_claim"].loc[{"target": target}] = "N+"
    found["all_claim_probability"].loc[{"target": target}] = 0.85
    found["claim_probability"].loc[{"target": target, "left_out": last}] = 0.79
    assert f"{last} (N+ 0.85 → 0.79)." in finding(with_groups(result, {"influence": found}))
    found["all_claim"].loc[{"target": target}] = ""
    assert f"{last} (nothing named → N-C-)." in finding(with_groups(result, {"influence": found}))


def test_a_tie_of_all_studies_is_said_and_no_change():
    result = with_influence(classified(SIX[:2]))
    found = result["influence"].to_dataset().copy(deep=True)
    found["all_leading_ties"] = found["all_leading_ties"].astype(object)
    found["all_leading_ties"].loc[{"target": f"mean: kind={SIX[1]}"}] = "N+C+r+|N+C+r0"
    text = finding(with_groups(result, {"influence": found}))
    assert (
        f"Which scenario of {SIX[1]} is the most probable is open with all studies already: N+C+r+ and N+C+r0" in text
    )
    assert text.endswith("All numbers: influence.csv.") and "\n" not in text
    assert finding(classified()) == ""


def test_table_without_the_group_names_the_verb():
    with pytest.raises(StageError, match="leave_one_study_out"):
        mb.influence_table(classified())
