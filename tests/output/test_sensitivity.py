import re

import numpy as np
import pytest
from fakes import blank_figures

import mcpbayes as mb
from mcpbayes.cli import main
from mcpbayes.output.document.report import render
from mcpbayes.output.document.sensitivity import sensitivity
from mcpbayes.output.folder import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sensitivity")
    table, _ = mb.simulate(studies=8, seed=3, kinds=("manure", "straw"), missing_sd=1.0)
    table.to_csv(place / "table.csv", index=False)
    quick = ["--set", "sampling.draws=400", "--engine", "collapsed"]
    with blank_figures():
        assert main(["run", str(place / "table.csv"), "--out", str(place / "out"), *quick]) in (0, 3)
    assert main(["run", str(place / "table.csv"), "--out", str(place / "bare"), *quick, "--no-report"]) in (0, 3)
    return place


def test_a_run_with_report_writes_the_table_and_one_without_does_not_refit(folder):
    assert (folder / "out" / "assumptions.csv").is_file()
    assert not (folder / "bare" / "assumptions.csv").exists()
    assert "assumptions" not in load(folder / "bare").children


def test_the_page_has_banner_section_and_plain_sentences(folder):
    page = (folder / "out" / "report.html").read_text(encoding="utf-8")
    banner, section = page[: page.index("<main>")], page[page.index('<section id="sensitivity">') :]
    assert "the split between sampling error and heterogeneity is assumed" in banner
    assert re.search(r"<th scope=\"row\">twice</th><td class=\"n\">0\.\d\d</td>", banner)
    assert "--set data.defaults.cv" not in banner
    assert re.search(
        r"between comparisons of a study is 0\.\d\d \(necromass C\) and 0\.\d\d \(SOC\) with half", section
    )
    assert "Between half and twice the assumed CVs the change of the ratio" in section
    assert "Between ϱ = 0 and ϱ = 0.9 the change" in section
    assert "percentage points" not in section[: section.index("</section>")]
    assert section.index("scenario of the typical comparison") < section.index("scenario of a comparison in a study")


def test_without_refits_the_banner_says_what_to_do(folder):
    page = render(load(folder / "bare"), figures={})
    assert "--set data.defaults.cv" in page
    assert 'id="sensitivity"' not in page


def test_a_later_report_makes_what_a_run_without_left_out(folder, blank):
    assert main(["report", str(folder / "bare"), "--out", str(folder / "later")]) in (0, 3)
    made, of_run = ((folder / name / "assumptions.csv").read_bytes() for name in ("later", "out"))
    assert made == of_run
    assert not (folder / "bare" / "assumptions.csv").exists()


def test_entries_hold_the_numbers_of_the_table(folder):
    result = load(folder / "out")
    table = mb.assumptions(result)
    cvs, correlation = sensitivity(result, result["data"].to_dataset())
    assert [setting["used"] for setting in cvs["settings"]] == [False, True, False]
    assert cvs["settings"][2]["words"] == "Twice the assumed CVs (0.4 for necromass C and 0.3 for SOC)"
    shown = [row["value"] for target in correlation["targets"] for row in target["rows"]]
    expected = table[(table["assumption"] == correlation["key"]) & (table["level"] == "mean")].sort_values(
        ["name", "value"], kind="stable"
    )
    assert len(shown) == len(expected) == 9
    labels = [row["label"] for target in correlation["targets"] for row in target["rows"]]
    assert sorted(labels) == sorted(expected["label"])
    first = table.iloc[0]
    assert float(cvs["targets"][0]["rows"][0]["up"].strip("<> ")) == pytest.approx(first["prob_positive"], abs=0.0101)
    assert cvs["settings"][0]["comparisons"][1] == f"{first['tau_comparison[soc]']:.2f}"


def test_a_kind_without_a_pool_is_marked_and_left_out_of_the_sentences(folder):
    result = load(folder / "out")
    data = result["data"].to_dataset().copy(deep=True)
    whole, _ = sensitivity(result, data)
    assert not any(target["unobserved"] for target in whole["targets"])
    lost = data["arm_of_comparison"].values[data["kind_of_comparison"].values == "straw"]
    data["log_mean"].loc[{"arm": lost, "outcome": "necromass"}] = np.nan
    entry, _ = sensitivity(result, data)
    assert {target["name"]: target["unobserved"] for target in entry["targets"]} == {
        "manure": "",
        "straw": "necromass C was not observed in any comparison of straw",
        "average over kinds": "average over kinds includes straw",
    }
    assert "straw" not in " ".join(entry["sentences"]) and "of the typical comparison moves: " in entry["sentences"][1]
    assert (entry["banner"]["heads"][2:], entry["banner"]["more"]) == (["manure"], True)
