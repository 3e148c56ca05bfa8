"""Sources and means below a table are named as what they are, and nothing else is taken for one."""

import pytest
from made_tables import checks_of, comparison_table, found, spoilt

import mcpbayes as mb
from mcpbayes.tables.arms import check_table

HEADER = len(comparison_table()) + 1


def checked(tmp_path, lines, before=""):
    path = tmp_path / "pairs.csv"
    path.write_text(comparison_table().to_csv(index=False) + before + "\n" + "\n".join(lines) + "\n")
    return [problem for problem in check_table(mb.read_table(path), mb.load_model()) if problem.severity == "error"]


NUMBERS = ",".join(["7.1"] * 8 + ["4", "4"])


@pytest.mark.parametrize(
    "lines",
    [
        ["Source: our own compilation"],
        ["Source: own compilation", "", "Mean,," + NUMBERS],
        ["Mean,," + NUMBERS, ",,6.5,,,,,,,,,", "* from a figure"],
        [",," + NUMBERS],
        ["Average:,," + NUMBERS],
    ],
)
def test_what_stands_below_after_an_empty_row_is_one_error_with_its_rows(tmp_path, lines):
    (below,) = checked(tmp_path, lines)
    assert below.check == "note-below-table"
    assert list(below.rows) == [HEADER + 2 + i for i, line in enumerate(lines) if line]
    assert "move them to another sheet" in str(below.remedy)


def test_comparisons_after_an_empty_row_stay_comparisons(tmp_path):
    assert checked(tmp_path, ["S9,manure," + NUMBERS]) == []
    assert checked(tmp_path, ["Min 2019,manure," + NUMBERS]) == []
    (forgotten,) = checked(tmp_path, ["S9,manure," + NUMBERS, ",straw," + NUMBERS])
    assert forgotten.check == "empty-study"


def test_without_an_empty_row_above_it_a_row_is_a_bad_row(tmp_path):
    (bad,) = checked(tmp_path, [], before=",straw," + NUMBERS)
    assert bad.check == "empty-study" and "delete the row if it is a mean or a note" in str(bad.remedy)


@pytest.mark.parametrize(
    "cell", ["Mean", "AVERAGE", "Total:", "mean ± SD", "Mean (SE)", "n", "Source: our own", "Notes"]
)
def test_a_study_called_like_a_mean_or_a_note_is_warned_of(cell):
    problem = found(spoilt(comparison_table(), 9, study=cell), "looks-like-note")
    assert (problem.severity, problem.rows, problem.column, problem.value) == ("warning", (9,), "study", cell)


def test_a_treatment_called_like_a_mean_is_warned_of():
    problem = found(spoilt(comparison_table(), 9, treatment="Average"), "looks-like-note")
    assert (problem.severity, problem.rows, problem.column) == ("warning", (9,), "treatment")


@pytest.mark.parametrize(
    "study", ["Min 2019", "Meanwell 2001", "Source 2004", "Noteboom", "Sumner", "SD1", "Max Planck"]
)
def test_authors_are_no_means(study):
    assert "looks-like-note" not in checks_of(spoilt(comparison_table(), 9, study=study))


def test_nitrogen_is_a_treatment():
    assert "looks-like-note" not in checks_of(spoilt(comparison_table(), 9, treatment="N"))
