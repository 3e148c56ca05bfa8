import re

import pytest

import mcpbayes as mb
from mcpbayes.cli import main
from mcpbayes.output.document.sensitivity import sensitivity
from mcpbayes.output.folder import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("sensitivity")
    table, _ = mb.simulate(studies=8, seed=3, kinds=("manure", "straw"), missing_sd=1.0)
    table.to_csv(place / "table.csv", index=False)
    quick = ["--set", "sampling.draws=400", "--engine", "collapsed"]
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


def test_without_refits_the_banner_says_what_to_do(folder):
    assert main(["report", str(folder / "bare")]) in (0, 3)
    page = (folder / "bare" / "report.html").read_text(encoding="utf-8")
    assert "--set data.defaults.cv" in page
    assert 'id="sensitivity"' not in page


def test_entries_hold_the_numbers_of_the_table(folder):
    result = load(folder / "out")
    table = mb.assumptions(result)
    cvs, correlation = sensitivity(result, result["data"].to_dataset())
    assert [setting["used"] for setting in cvs["settings"]] == [False, True, False]
    assert cvs["settings"][2]["words"] == "Twice the assumed CVs (0.4 for necromass C and 0.3 for SOC)"
    shown = [row["value"] for target in correlation["targets"] for row in target["rows"]]
    expected = table[table["assumption"] == correlation["key"]].sort_values(["name", "value"], kind="stable")
    assert len(shown) == len(expected) == 9
    first = table.iloc[0]
    assert float(cvs["targets"][0]["rows"][0]["up"].strip("<> ")) == pytest.approx(first["prob_positive"], abs=0.0101)
    assert cvs["settings"][0]["comparisons"][1] == f"{first['tau_comparison[soc]']:.2f}"
