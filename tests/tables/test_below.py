"""Sources and means below a table are named as what they are, and nothing else is taken for one."""

import pytest
from made_tables import comparison_table

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
    (found,) = checked(tmp_path, lines)
    assert found.check == "note-below-table"
    assert list(found.rows) == [HEADER + 2 + i for i, line in enumerate(lines) if line]
    assert "move them to another sheet" in str(found.remedy)


def test_comparisons_after_an_empty_row_stay_comparisons(tmp_path):
    assert checked(tmp_path, ["S9,manure," + NUMBERS]) == []
    assert checked(tmp_path, ["Min 2019,manure," + NUMBERS]) == []
    found = checked(tmp_path, ["S9,manure," + NUMBERS, ",straw," + NUMBERS])  # its study was forgotten
    assert [problem.check for problem in found] == ["empty-study"]


def test_without_an_empty_row_above_it_a_row_is_a_bad_row(tmp_path):
    found = checked(tmp_path, [], before=",straw," + NUMBERS)
    assert [problem.check for problem in found] == ["empty-study"]
