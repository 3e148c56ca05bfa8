"""The report says what was found, what it rests on and what is assumed, and shows every name as text."""

import json
import re
import subprocess
import sys

import fakes
import numpy as np
import pytest
import xarray as xr
from document_fakes import contrast_result, one_pool
from page_help import Page

from mcpbayes.errors import Problem, StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.decision import decide, sentence
from mcpbayes.estimands.scenarios import classify
from mcpbayes.output.document.figures import as_files, draw, inline
from mcpbayes.output.document.readings import readings
from mcpbayes.output.document.report import render
from mcpbayes.output.folder import save
from mcpbayes.specification.loading import from_toml, load_model, to_toml
from mcpbayes.vocabulary import SCENARIO_LABELS

SECTIONS = [
    "headline",
    "analysed",
    "imputed",
    "figures",
    "effects",
    "change",
    "scenarios",
    "studies",
    "diagnostics",
    "model",
    "problems",
    "reading",
    "methods",
    "call",
    "comparisons",
]
ODD = "<b>straw</b> & \"chaff\" 'ü' ε"


def fitted(**options: object) -> xr.DataTree:
    return fakes.fake_result(**({"studies": 4, "draws": 60} | options))


def page_of(result: xr.DataTree) -> Page:
    """Render without figures, which take most of the time."""
    return Page(render(result, figures={}))


@pytest.fixture(scope="module")
def result() -> xr.DataTree:
    tree = fitted(kinds=("manure", ODD), draws=500)
    data = tree["data"].to_dataset()
    renamed = {}
    for variable in ("study_of_comparison", "study_of_control"):
        study = data[variable].values.copy()
        study[study == "S1"] = "S1 <script>alert(1)</script>"
        renamed[variable] = (data[variable].dims, study)
    names = [str(s).replace("S1", "S1 <script>alert(1)</script>") for s in data["study"].values]
    data = data.assign(renamed).assign_coords(study=names)
    data.attrs["problems"] = json.dumps(
        [Problem("a-note", "look <i>here</i>", "note", file="f.csv", rows=(3, 4)).as_dict()], ensure_ascii=False
    )
    posterior = tree["posterior"].to_dataset().assign_coords(study=names)
    tree = tree.assign({"data": xr.DataTree(data), "posterior": xr.DataTree(posterior)})
    tree.attrs["problems"] = data.attrs["problems"]
    return classify(delta_mcp(tree))


@pytest.fixture(scope="module")
def source(result) -> str:
    return render(result, command='mcpbayes run "my <table>.csv" --out out')


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_sections_stand_in_the_order_of_the_contents(page):
    assert [name for name in page.sections if name != "before"] == SECTIONS
    assert [link[1:] for link in page.links if link.startswith("#")][-2:] != []
    for name in SECTIONS:
        assert f"#{name}" in page.links, f"the contents do not lead to {name}"


def test_the_page_is_well_formed_and_needs_nothing_else(source, page):
    assert source.startswith("<!DOCTYPE html>")
    outside = [link for link in page.links if not link.startswith(("#", "data:image/", "https://doi.org/"))]
    assert outside == []
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"@import|url\(", source)
    assert page.tags.count("img") == page.tags.count("figure") == 6


def test_the_headline_is_the_decision_itself(result, page):
    text = page.words("headline")
    for level in ("mean", "new"):
        for decision in decide(result, level):
            assert sentence(decision) in text


def test_names_from_the_table_are_shown_as_text(source, page):
    assert ODD in page.words("headline")
    assert ODD in page.words("scenarios")
    assert "S1 <script>alert(1)</script>" in page.words("studies")
    assert "look <i>here</i>" in page.words("problems")
    assert 'mcpbayes run "my <table>.csv" --out out' in page.words("call")
    assert "<b>straw" not in source and "<script" not in source and "<i>here" not in source


def test_what_was_analysed_is_counted(page):
    text = page.words("analysed")
    assert "16 comparisons of a treatment with its control from 4 studies, sharing 8 controls (24 arms in all)" in text
    assert "8 controls (fake)" in text
    assert "4 of 16 comparisons (25 %)" in text
    assert "manure 8 4" in text
    assert "†" not in text


def test_what_was_imputed_is_counted_with_the_value_used(page):
    text = page.words("imputed")
    assert "standard deviation of necromass C 0 0 24 CV 0.2 " in text
    assert "standard deviation of SOC 0 0 24 CV 0.15 " in text
    assert "replicates n of SOC 24 0 0" in text
    assert "correlation of the pools over plots of an arm 0 0 24 ϱ = 0.5" in text


def test_effects_are_rounded_percent_changes_with_the_interval_named(result, page):
    text = page.words("effects").replace("\xa0", " ")
    theta = result["delta_mcp"]["effect"].sel(target="mean: kind=manure", outcome="necromass").values
    low, middle, high = 100 * np.expm1(np.quantile(theta, [0.025, 0.5, 0.975]))
    assert f"manure typical (mean) {middle:+.1f} [{low:+.1f}, {high:+.1f}]" in text
    change = 100 * np.quantile(result["delta_mcp"]["delta_mcp"].sel(target="mean: kind=manure").values, 0.5)
    assert f"{change:+.1f}" in text
    assert "Posterior median and 95 % equal-tailed credible interval" in text
    assert "percentage points" in text


def test_claims_are_read_as_hypotheses_beside_their_probability(result, page):
    rows = readings(result, result["data"].to_dataset())
    assert rows
    text = page.words("scenarios")
    for row in rows:
        assert f"{row['claim']}{'; '.join(row['whose'])} Hypothesis. {row['hypothesis']}" in text
    assert text.count("Hypothesis.") == len(rows)


def test_all_classes_stand_beside_their_prior(result, page):
    text = page.words("scenarios")
    for code, label in SCENARIO_LABELS.items():
        assert text.count(f"{label} {code} ") == 3, "two kinds and their average"
    prior = float(result["scenario"]["prior_probability"].sel(target="mean: kind=manure", scenario="N+C+r+"))
    posterior = float(result["scenario"]["probability"].sel(target="mean: kind=manure", scenario="N+C+r+"))
    assert f"gain led by necromass N+C+r+ {posterior:.2f} {prior:.2f} " in text


def test_no_probability_is_printed_as_zero_or_one(page):
    assert "< 0.01" in page.cells
    assert not {"0.00", "1.00"} & set(page.cells)
    assert not re.search(r"probability (0|1|0\.0+|1\.0+)\b(?!\.)", page.words("headline"))


def test_diagnostics_name_the_worst(page):
    text = page.words("diagnostics")
    assert "divergent transitions 0 0 yes" in text
    assert re.search(r"R-hat < 1\.01 \d\.\d{3} \S+", text)
    assert "4 chains of 500 draws, seed 1" in text


def test_the_default_engine_says_what_it_did_and_what_its_checks_cannot_show():
    tree = fitted(kinds=("manure",), draws=500)
    stats = tree["sample_stats"].to_dataset()
    stats.attrs |= {"pareto_k": 0.3, "efficiency": 0.6, "proposals": 16000, "attempt": 2, "attempts": 5, "passed": 1}
    tree = tree.assign({"sample_stats": xr.DataTree(stats)})
    tree.attrs["engine"] = "collapsed"
    text = page_of(classify(delta_mcp(tree))).words("diagnostics")
    assert "ESS/N of the proposals > 0.3 0.60" in text and "ESS of the chains, bulk ≥ 400" in text
    assert re.search(r"R-hat < 1\.01 .* yes\s*, but the chains share one proposal\s+ESS of the chains", text)
    assert "16 000 proposals were drawn" in text
    assert "attempt 2 of at most 5; with earlier ones weights or chains did not meet the limits" in text
    order = [
        "Computed.",
        "What speaks for it.",
        "benchmarks.calibration",
        "What none of this can show.",
        "--engine nuts",
    ]
    assert [text.index(said) for said in order] == sorted(text.index(said) for said in order)


def test_priors_have_reasons(page, result):
    text = page.words("model")
    for key in ("intercept", "tau_study", "rho_kind"):
        assert from_toml(result.attrs["specification"]).priors[key].why in text
    assert "no reason given" not in text
    assert "τ between sites" not in text, "the level of sites is off"


def test_a_prior_without_a_reason_is_said_to_have_none():
    settings = ["priors.tau_study.sd=0.5"]
    tree = fitted(specification=to_toml(load_model("arm-based", settings=settings)), kinds=("manure",))
    text = page_of(classify(delta_mcp(tree))).words("model")
    assert "heterogeneity τ between studies half-normal, scale 0.5 no reason given" in text


def test_the_methods_paragraph_holds_what_a_reviewer_asks_for(page):
    text = page.words("methods")
    for expected in (
        "mcpbayes 0.1.0",
        "16 comparisons from 4 studies with 8 controls and 2 kinds of treatment",
        "standard deviation of necromass C, CV 0.2 (24 of 24 arms)",
        "4 chains of 500 draws, seed 1",
        "heterogeneity SDs τ: half-normal, scale 0.3",
        "correlations ρ of the pools: LKJ, η = 2",
        "95 % equal-tailed credible interval",
        "the largest R-hat was",
        "doi:10.1016/j.soilbio.2025.109950",
    ):
        assert expected in text
    assert "  " not in text and " ." not in text and "None" not in text


def test_the_page_says_that_the_labels_are_ours(page):
    text = page.words("reading")
    assert "The numbering and the thresholds of their catalogue are not public" in text
    assert "the classes, labels and tolerances used here are ours" in text


def test_the_call_and_the_versions_are_exact(page):
    text = page.words("call")
    assert f"python {'.'.join(map(str, sys.version_info[:3]))}" in text
    assert f"numpy {np.__version__}" in text
    assert "SHA-256 " + "0" * 64 in text
    assert 'name = "arm-based"' in text


def test_comparisons_are_listed_with_their_rows(result, page):
    data = result["data"]
    mean = data["mean"].sel(arm=str(data["arm_of_comparison"].values[0]), outcome="soc").item()
    text = page.words("comparisons")
    assert "2 S1: T1 S1: control 1 manure" in text
    assert f"{mean:.3g}" in text


def test_the_same_result_gives_the_same_page(result, source):
    assert render(result, command='mcpbayes run "my <table>.csv" --out out') == source


# Banners


def test_a_good_fit_of_measured_data_has_no_alarm(page, source):
    assert "Diagnostics failed" not in source
    assert "Simulated data" not in source
    assert "All checks of the sampling are met" in page.words("diagnostics")


def test_failed_diagnostics_are_announced_first():
    tree = fitted(kinds=("manure",))
    tree["sample_stats"]["diverging"][0, :3] = True
    tree.attrs["status"] = "failed"
    made = page_of(classify(delta_mcp(tree)))
    assert "Diagnostics failed: do not use these numbers as they are." in made.words("before")
    assert "divergent transitions 0 3 no" in made.words("diagnostics")
    assert "nothing can be claimed" in made.words("headline")


@pytest.mark.parametrize(("mark", "shown"), [(True, True), (1, True), ("yes", True), ("false", False), (0, False)])
def test_simulated_data_are_announced(mark, shown):
    tree = fitted(kinds=("manure",))
    tree["data"].attrs["simulated"] = mark
    assert ("Simulated data." in page_of(classify(delta_mcp(tree))).words("before")) is shown


def test_a_table_without_any_sd_is_announced(page):
    assert "No standard deviation was in the table" in page.words("before")
    tree = fitted(kinds=("manure",))
    tree["data"]["source_sd"][0, 0] = "reported"
    made = page_of(classify(delta_mcp(tree)))
    assert "No standard deviation" not in made.words("before")
    assert "standard deviation of necromass C 1 0 23 CV 0.2" in made.words("imputed")


def test_a_kind_seen_in_one_study_is_marked():
    tree = fitted(kinds=("manure", "straw"))
    kind = np.where(tree["data"]["study_of_comparison"].values == "S2", "straw", "manure").astype(object)
    for name in ("kind_of_comparison", "treatment"):
        tree["data"][name] = xr.DataArray(kind, dims="comparison")
    made = page_of(classify(delta_mcp(tree)))
    for section in ("analysed", "effects"):
        assert "straw †" in made.words(section) and "manure †" not in made.words(section)
    assert "straw (seen in one study)" in made.words("headline")


# Other results


def test_a_kind_and_a_study_without_a_pool_are_marked_and_so_is_the_average_over_kinds():
    tree = fitted(kinds=("manure", "straw"))
    data = tree["data"].to_dataset().copy(deep=True)
    kind, study = (data[f"{name}_of_comparison"].values.astype(str) for name in ("kind", "study"))
    lost = data["arm_of_comparison"].values[(kind == "straw") | (study == "S1")]
    data["log_mean"].loc[{"arm": lost, "outcome": "necromass"}] = np.nan
    data.attrs["level_kind"] = "on"
    page = page_of(classify(delta_mcp(tree.assign({"data": xr.DataTree(data)}))))
    note = (
        "necromass C was not observed in any comparison of straw; average over kinds includes straw. What stands here"
    )
    for section in ("effects", "change", "scenarios"):
        text = page.words(section)
        assert "straw ‡" in text and "average over kinds ‡" in text and "manure ‡" not in text
        assert note in text
    studies = page.words("studies")
    assert re.findall(r"(S\d) ‡", studies) == ["S1"]
    assert "‡ Without an effect of its own on necromass C in any comparison of the study" in studies


def test_one_pool_alone_is_reported_without_ratio_and_scenarios():
    made = Page(render(delta_mcp(one_pool())))
    assert list(made.sections)[1:] == [name for name in SECTIONS if name not in ("change", "scenarios")]
    assert re.search(
        r"typical comparison \(mean\): SOC rises, probability (> )?0\.\d\d; change \+\d", made.words("headline")
    )
    assert "ΔMCP" not in "".join(made.sections.values())
    assert "correlation" not in made.words("methods")
    assert made.tags.count("img") == 1


def test_one_pool_with_failed_diagnostics_claims_nothing():
    tree = one_pool()
    tree.attrs["status"] = "failed"
    text = page_of(delta_mcp(tree)).words("headline")
    assert "nothing can be claimed about SOC" in text and "rises" not in text


def test_published_log_ratios_have_no_control_ratio():
    made = page_of(classify(delta_mcp(contrast_result(assumed=3))))
    absent = "ΔMCP in percentage points is absent"
    assert f"{absent} (level mean and level new): contrast data hold no control means" in made.words("effects")
    assert f"{absent} (level study): " in made.words("effects")
    assert "variance of a shared control 5 0 3 half the smallest variance among its rows" in made.words("imputed")
    assert "Published log ratios scatter" in made.words("model")
    assert "control baselines" not in made.words("methods")


def test_moderators_and_highest_density_intervals_are_named():
    model = load_model("arm-based", moderators="~ clay", settings=["summary.interval_kind=hdi"])
    tree = fitted(specification=to_toml(model), kinds=("manure",))
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    size = data.sizes["comparison"]
    design = xr.DataArray(
        np.column_stack([np.ones(size), np.linspace(-1, 1, size)]),
        dims=("comparison", "coefficient"),
        coords={"coefficient": ["intercept", "clay"]},
    )
    entry = {"at": 25.0, "centre": 25.0, "scale": 8.0, "split": False}
    design.attrs["recipe"] = json.dumps({"terms": [["clay"]], "moderators": {"clay": entry}})
    data = data.drop_dims("coefficient").assign(design=design)
    beta = xr.concat([posterior["beta"], posterior["beta"].assign_coords(coefficient=["clay"])], dim="coefficient")
    posterior = posterior.drop_dims("coefficient").assign(beta=beta)
    tree = tree.assign({"data": xr.DataTree(data), "posterior": xr.DataTree(posterior)})
    made = page_of(classify(delta_mcp(tree, at={"clay": [10.0]})))
    assert "clay: numeric; the coefficient is per 8, centred at 25" in made.words("model")
    assert "coefficient of clay normal, mean 0, SD 0.25" in made.words("model")
    assert "Formula: ~ clay" in made.words("model")
    assert "clay=10" in made.words("effects")
    assert "95 % highest-density credible interval" in made.words("effects")


def test_merged_classes_are_said_to_be_merged():
    model = load_model(
        "arm-based", settings={"scenarios.merge": {"N+C+": ["N+C+r+", "N+C+r0", "N+C+r-"]}, "scenarios.labels": {}}
    )
    made = page_of(classify(delta_mcp(fitted(specification=to_toml(model), kinds=("manure",)))))
    assert "merged or renamed by the specification" in made.words("reading")
    assert "N+C+r+" not in made.words("scenarios")


def test_a_result_without_changes_says_which_verb_to_call():
    with pytest.raises(StageError, match=r"delta_mcp"):
        render(fitted())


BLOCKED = """
import importlib.abc, sys
class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("pymc", "pytensor", "nutpie"):
            raise RuntimeError(f"the report imports {name}")
sys.meta_path.insert(0, Wall())
from mcpbayes.output.folder import load
from mcpbayes.output.document.report import render
print(len(render(load(sys.argv[1]))))
"""


def test_the_report_needs_no_sampler(result, tmp_path):
    path = save(result, tmp_path / "result.nc")
    done = subprocess.run([sys.executable, "-c", BLOCKED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50_000


def test_the_wall_against_samplers_can_fail():
    program = BLOCKED.split("from mcpbayes", maxsplit=1)[0] + "import pymc"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "the report imports pymc" in done.stderr


def test_heavy_drawings_are_put_in_as_pixels(result, monkeypatch):
    drawn = {"delta-mcp": draw(result)["delta-mcp"]}
    light = as_files(drawn, page_only=True)
    assert list(light) == ["delta-mcp.svg"]
    assert inline(result, light)[0]["source"].startswith("data:image/svg+xml;base64,")
    monkeypatch.setattr("mcpbayes.output.document.figures.HEAVY", 10)
    assert inline(result, as_files(drawn, page_only=True))[0]["source"].startswith("data:image/png;base64,")
