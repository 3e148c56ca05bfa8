"""What the report and the closing lines say of fungal and bacterial necromass apart."""

import re

import pytest
from made_parts import REPORTED, part_result, part_table

import mcpbayes as mb
from mcpbayes.estimands.parts import apart
from mcpbayes.output.document.context import headlines
from mcpbayes.output.document.parts import contribution_lines, contributions
from mcpbayes.output.document.report import render
from mcpbayes.output.headline import closing_lines


@pytest.fixture(scope="module")
def result():
    return mb.classify(mb.delta_mcp(part_result()))


@pytest.fixture(scope="module")
def summary(result):
    return mb.summarise(result)


@pytest.fixture(scope="module")
def page(result, summary):
    return re.sub(r"<[^>]+>", "", render(result, summary=summary, figures={}))


def of(summary, quantity, name="kind=straw", level="mean"):
    one = summary[(summary["level"] == level) & (summary["name"] == name) & (summary["quantity"] == quantity)]
    return 100 * one["median"].item()


def test_the_table_shows_the_numbers_of_the_summary(result, summary):
    data = result["data"].to_dataset()
    (straw,) = [target for target in contributions(data, summary) if target["name"] == "straw"]
    cells = straw["rows"][0]["cells"]
    quantities = ("delta_mcp[fungal_necromass]", "delta_mcp[bacterial_necromass]", "delta_mcp")
    for cell, quantity in zip(cells, quantities, strict=False):
        assert float(cell["value"].replace("−", "-")) == pytest.approx(of(summary, quantity), abs=0.051)
    assert [row["level"] for row in straw["rows"]] == ["mean", "new"]


def test_the_report_says_where_the_change_comes_from_and_how(page):
    assert "Which group of microbes the change comes from" in page
    assert "Fungal and bacterial necromass, SOC and their ratio" in page
    assert "Δr = ΔrF + ΔrB" in page and "as the sum of what fungal and bacterial necromass C contribute" in page
    assert "δ = θN − θC" not in page, "necromass is no outcome of this model"
    assert "Necromass is the sum of two pools here" in page and "128 fresh comparisons per draw" in page
    assert "their probabilities are the fractions of draws that fall in each class" in page
    assert "fungal_necromass C" not in page


def test_the_headline_is_the_scenario_of_both_pools_together(result, page):
    scenario = result["scenario"].to_dataset().sel(target="mean: kind=straw")
    likeliest = str(scenario["probability"].idxmax("scenario").values)
    (typical, _) = [one["mean"] for one in headlines(result, result["data"].to_dataset(), mb.summarise(result))]
    assert "typical comparison (mean)" in typical and "ΔMCP" in typical
    (straw,) = [decision for decision in mb.decide(result) if decision.name == "kind=straw"]
    assert straw.best.code == likeliest and likeliest in page


def test_without_classes_the_report_has_effects(summary):
    bare = mb.delta_mcp(part_result())
    page = re.sub(r"<[^>]+>", "", render(bare, summary=summary, figures={}))
    assert "Necromass is the sum of two pools here" not in page and "fungal necromass C rises" in page


def test_the_report_says_of_how_many_controls_the_ratio_is(page):
    assert "r₀ at the levels" not in page
    table = part_table().astype(object)
    table.loc[table["study"] == "S1", "fungal_necromass_control"] = "-0.2"
    result = mb.delta_mcp(part_result(table, draws=20))
    said = (
        "r₀ at the levels mean and new is of 3 of 4 controls: 1 is left out for want of fungal necromass; where there "
        "is none, or next to none, the fungal share of r₀ is too high without them"
    )
    less = re.sub(r"<[^>]+>", "", render(result, summary=mb.summarise(result), figures={}))
    assert f"although it grows. {said}." in less
    notes = {problem.check: problem for problem in mb.check_table(table, mb.load_model(settings=REPORTED))}
    assert notes["controls-without-fungi"].message == said and notes["controls-without-fungi"].severity == "note"


def test_a_run_ends_with_what_either_pool_contributes(result, summary):
    lines = closing_lines(result, summary)
    (straw,) = [line for line in lines if line.startswith("straw, typical comparison (mean): ΔMCP")]
    assert re.search(
        r"ΔMCP \S+ \[.*\] percentage points, of fungal necromass C \S+ \[.*\], of bacterial \S+ \[.*\]\.", straw
    )
    failed = result.copy()
    failed.attrs = result.attrs | {"status": "failed"}
    assert not [line for line in closing_lines(failed, summary) if "of fungal necromass C" in line]


def test_nothing_is_said_of_a_kind_without_one_of_the_pools():
    table = part_table().astype(object)
    lost = table["treatment"] == "straw"
    table.loc[lost, ["fungal_necromass_treatment", "fungal_necromass_treatment_sd"]] = ""
    tree = mb.delta_mcp(part_result(table, draws=20))
    data, summary = tree["data"].to_dataset(), mb.summarise(tree)
    lines = contribution_lines(data, summary, ["kind=manure", "kind=straw"])
    assert len(lines) == 1 and lines[0].startswith("manure")
    less = re.sub(r"<[^>]+>", "", render(tree, summary=summary, figures={}))
    assert "the priors, the other pools and the other kinds" in less and "other pool " not in less
    marked = {target["name"]: target["unobserved"] for target in contributions(data, summary)}
    assert "fungal necromass C" in marked["straw"] and not marked["manure"]


def test_other_results_have_no_such_table(result, summary):
    data = result["data"].to_dataset()
    assert apart(data) and not apart(data.assign_attrs(family="contrast-based"))
    two = data.isel(outcome=slice(1, 3), outcome_bis=slice(1, 3))
    assert not apart(two) and contributions(two, summary) == []
    without = summary[~summary["quantity"].str.startswith("delta_mcp")]
    assert contributions(data, without) == [] and contribution_lines(data, without, ["kind=straw"]) == []
