import datetime as dt
import hashlib
import re

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mcpbayes.errors import DataError
from mcpbayes.tables.reading import UnreadCells, as_table, read_file, read_table, unread_cells

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)


@pytest.fixture
def write(tmp_path):
    """Write a text file and return its path."""

    def write_text(text, name="pairs.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return write_text


@pytest.fixture
def workbook(tmp_path):
    """Write sheets of rows and return the path; a function may change the workbook before it is saved."""

    def write_sheets(change=None, **sheets):
        book = openpyxl.Workbook()
        book.remove(book.active)
        for name, rows in sheets.items():
            sheet = book.create_sheet(name)
            for row in rows:
                sheet.append(row)
        if change:
            change(book)
        path = tmp_path / "pairs.xlsx"
        book.save(path)
        return path

    return write_sheets


def problem(caught, check):
    found = [problem for problem in caught.value.problems if problem.check == check]
    assert len(found) == 1, str(caught.value)
    return found[0]


def unread(path, match):
    """Return the table of a file with one problem of a column, of which the reader warns, and the problem."""
    with pytest.warns(UnreadCells, match=match):
        table = read_table(path)
    (found,) = unread_cells(table)
    return table, found


# separators, encodings, decimal signs


@pytest.mark.parametrize(
    ("separator", "decimal", "encoding"),
    [
        (separator, decimal, encoding)
        for separator, decimal in ((",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","))
        for encoding in ("utf-8", "utf-8-sig", "cp1252", "utf-16")
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_dialect_gives_the_same_table(write, separator, decimal, encoding, end):
    rows = [["study", "treatment", "soc"], ["Größe & Söhne", "été – 5 µm", "12.5"], ["B", "<b>NPK</b>", "7.25"]]
    text = end.join(separator.join(cell.replace(".", decimal) for cell in row) for row in rows) + end
    table = read_table(write(text, encoding=encoding))
    assert table.to_dict("list") == {
        "study": ["Größe & Söhne", "B"],
        "treatment": ["été – 5 µm", "<b>NPK</b>"],
        "soc": ["12.5", "7.25"],
    }
    assert list(table.index) == [2, 3]
    assert table.index.name == "row"


def test_provenance(write):
    path = write("study,soc\nA,1.5\n")
    attrs = read_table(str(path)).attrs
    assert attrs["source"] == "pairs.csv"
    assert attrs["path"] == str(path)
    assert attrs["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_names_keep_unicode_commas_quotes_and_markup(write):
    table = read_table(write('study,treatment,soc\n"Li, Wang ""et al.""",<b>Δ 5 t;x</b>,1.5\n'))
    assert table.loc[2].tolist() == ['Li, Wang "et al."', "<b>Δ 5 t;x</b>", "1.5"]


def test_every_cell_is_a_stripped_text(write):
    table = read_table(write("study , soc\n A\N{NO-BREAK SPACE}, 1.50 \nB,007\n"))
    assert table["soc"].tolist() == ["1.50", "007"]
    assert table["study"].tolist() == ["A", "B"]
    assert all(isinstance(cell, str) for cell in table.to_numpy().ravel())


@pytest.mark.parametrize("missing", ["", "NA", "N/A", "NaN", "nan", "#N/A", "-", "–", " "])
def test_missing_values(write, missing):
    assert read_table(write(f"study,soc\nA,{missing}\n")).loc[2, "soc"] == ""


@pytest.mark.parametrize("name", ["-1", "na", "None", "NAB", "no"])
def test_words_that_only_resemble_missing_values(write, name):
    assert read_table(write(f"study,soc\n{name},1\n")).loc[2, "study"] == name


def test_a_first_line_that_names_the_separator_is_no_row(write):
    table = read_table(write("sep=;\r\nstudy;soc\r\nA;1,5\r\n"))
    assert table.loc[2, "soc"] == "1.5"


def test_separator_within_a_header(write):
    table = read_table(write("study;soc, g/kg;necromass\nA;12,5;3,1\nB;7,25;2\n"))
    assert list(table.columns) == ["study", "soc, g/kg", "necromass"]
    assert table["soc, g/kg"].tolist() == ["12.5", "7.25"]


def test_undecidable_separator(write):
    with pytest.raises(DataError, match="may be separated by comma or semicolon"):
        read_table(write("a,b;c\n1,2;3\n"))


def test_no_separator_at_all(write):
    with pytest.raises(DataError, match=r"first row has one cell only \(found 'study\|soc'\)"):
        read_table(write("study|soc\nA|1\n"))


@pytest.mark.parametrize(("text", "encoding"), [("研究,处理\n李明,有机肥\n", "gbk"), ("опыт,почва\n1,2\n", "cp1251")])
def test_other_encodings_are_not_guessed(write, text, encoding):
    with pytest.raises(DataError, match="neither UTF-8 nor Windows-1252.*CSV UTF-8"):
        read_table(write(text, encoding=encoding))


# decimal commas


def test_decimal_commas_unquoted_between_commas_make_long_rows(write):
    with pytest.raises(DataError, match=r"rows 2, 4: more cells than the 3 columns.*semicolons") as caught:
        read_table(write("study,soc,necromass\nA,12,5,3,1\nB,12,3\nC,7,25,4,5\n"))
    assert problem(caught, "row-too-long").rows == (2, 4)


def test_decimal_commas_quoted_between_commas(write):
    table, found = unread(write('study,soc\nA,"0,5"\nB,"1,5"\n'), "save the file with semicolons")
    assert (found.check, found.rows, found.column, found.value) == ("comma-in-number", (2, 3), "soc", "0,5")
    assert table["soc"].tolist() == ["0,5", "1,5"]


def test_ambiguous_fractions_follow_the_other_numbers(write):
    table = read_table(write("study;soc;necromass\nA;1,234;12,5\nB;2,345;3\n"))
    assert table["soc"].tolist() == ["1.234", "2.345"]


@pytest.mark.parametrize("others", ["3", "12.5"])
def test_ambiguous_comma_without_evidence(write, others):
    path = write(f"study;soc;necromass\nA;1,234;{others}\n")
    table, found = unread(path, "decimal comma or a separator of thousands")
    assert (found.check, found.rows, found.column, found.value) == ("thousands-separator", (2,), "soc", "1,234")
    assert table.loc[2, "soc"] == "1,234"


def test_ambiguous_point_beside_decimal_commas(write):
    path = write("study;soc;necromass\nA;1.234;12,5\nB;2.345;3\n")
    table, found = unread(path, "beside decimal commas, the point may be")
    assert (found.check, found.column, found.rows) == ("thousands-separator", "soc", (2, 3))
    mended = table.assign(necromass=["1", "2"]).replace({"soc": {"1.234": "1.2"}})
    assert [(p.column, p.rows, p.value) for p in unread_cells(as_table(mended))] == [("soc", (3,), "2.345")]
    assert unread_cells(as_table(mended.assign(soc=[1.2, 2.345]))) == []
    assert unread_cells(as_table(mended.drop(columns="soc"))) == []


def test_points_with_three_digits_are_decimals_where_no_comma_speaks_against_it(write):
    assert read_table(write("study;soc\nA;1.234\n")).loc[2, "soc"] == "1.234"


@pytest.mark.parametrize("number", ["1.234,5", "1,234.5", "1,234,567", "1.234.567", "1 234,5", "1'234.5"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_separators_of_thousands(write, number, separator):
    text = f"study;soc\nA;12\nB;{number}\n".replace(";", separator)
    _, found = unread(write(text), "separator of thousands")
    assert (found.check, found.rows, found.column, found.value) == ("thousands-separator", (3,), "soc", number)


def test_commas_and_points_in_one_column(write):
    _, found = unread(write("study;soc\nA;12,5\nB;7.25\nC;3.5\n"), r"mixed: 12,5 in row 2, 7\.25 in row 3")
    assert (found.check, found.rows) == ("mixed-decimals", (2,))


def test_columns_may_differ_where_each_is_certain(write):
    table = read_table(write("study;soc;latitude\nA;12,5;41.52\nB;7,25;39.9\n"))
    assert table["soc"].tolist() == ["12.5", "7.25"]
    assert table["latitude"].tolist() == ["41.52", "39.9"]


def test_commas_in_columns_of_words_stay(write):
    table = read_table(write("study;treatment;soc\nA;0,5;1,5\nB;N, P;2\nC;compost;3\n"))
    assert table["treatment"].tolist() == ["0,5", "N, P", "compost"]


@pytest.mark.parametrize("number", ["-0,5", "+3,25", ",5", "1,5e-3", "12345,678", "0,123"])
def test_unmistakable_decimal_commas(write, number):
    assert read_table(write(f"study;soc\nA;{number}\n")).loc[2, "soc"] == number.replace(",", ".")


def test_all_columns_with_a_problem_are_reported(write):
    with pytest.warns(UnreadCells, match="column (soc|necromass): commas stand") as caught:
        table = read_table(write('study,soc,necromass\nA,"0,5","1,5"\n'))
    assert len(caught) == 2
    assert [found.column for found in unread_cells(table)] == ["soc", "necromass"]
    # who reports the problems himself gets no warning, and a changed table keeps its separator
    changed = read_file(table.attrs["path"]).assign(n="3")
    assert [found.column for found in unread_cells(as_table(changed))] == ["soc", "necromass"]


# shape


def test_row_numbers_are_the_spreadsheets(write):
    text = 'study,treatment,soc\nA,"two\nlines",1\n\n,,\nB,x,2\n'
    table = read_table(write(text))
    assert list(table.index) == [2, 5]
    assert table.loc[2, "treatment"] == "two\nlines"


def test_short_rows_are_filled_and_empty_surplus_is_dropped(write):
    table = read_table(write("study,treatment,soc,,\nA,x\nB,y,2,,\n"))
    assert list(table.columns) == ["study", "treatment", "soc"]
    assert table["soc"].tolist() == ["", "2"]


def test_line_breaks_within_headers_become_spaces(write):
    assert list(read_table(write('study,"soc\n(g/kg)"\nA,1\n')).columns) == ["study", "soc (g/kg)"]


@pytest.mark.parametrize("text", ["", "\n\n", "   "])
def test_empty_file(write, text):
    with pytest.raises(DataError, match="pairs.csv: the table is empty"):
        read_table(write(text))


def test_header_without_rows(write):
    with pytest.raises(DataError, match="a header but no rows"):
        read_table(write("study,soc\n,\n"))


@pytest.mark.parametrize(
    "text", ["Li,6.1,7.4\nWu,5,6\n", "\nstudy,soc\nA,1\n", ",,\nstudy,soc,x\nA,1,2\n", ";;\na;b;c\n1;2;3\n"]
)
def test_no_header(write, text):
    with pytest.raises(DataError, match="row 1: the first row does not hold the names") as caught:
        read_table(write(text))
    assert problem(caught, "no-header")


def test_duplicated_names(write):
    with pytest.raises(DataError, match=r"column soc: 2 columns \(B, D\) have the same name") as caught:
        read_table(write("study,soc,n, soc \nA,1,2,3\n"))
    assert problem(caught, "duplicated-column").column == "soc"


def test_nameless_column_with_values(write):
    with pytest.raises(DataError, match=r"rows 2, 4: column B holds values but has no name") as caught:
        read_table(write("study,,soc\nA,x,1\nB,,2\nC,y,3\n"))
    assert problem(caught, "nameless-column").value == "x"


@pytest.mark.parametrize("start", [0, 1])
def test_nameless_row_counter_is_left_out(write, start):
    table = read_table(write(f'"",study,soc\n{start},A,1\n{start + 1},B,2\n'))
    assert list(table.columns) == ["study", "soc"]


def test_nameless_first_column_that_does_not_count(write):
    with pytest.raises(DataError, match="column A holds values"):
        read_table(write(",study,soc\n1,A,1\n3,B,2\n"))


@pytest.mark.parametrize("text", ['study,soc\nA,1\nB,"2\nC,3\n', 'study,soc\nA,1\n"B" x,2\n'])
def test_quotation_marks(write, text):
    with pytest.raises(DataError, match="row 3: the row cannot be taken apart"):
        read_table(write(text))


@pytest.mark.parametrize("code", ["#DIV/0!", "#REF!", "#VALUE!"])
def test_failed_formula_in_text(write, code):
    path = write(f"study,n,soc\nA,3,1\nB,3,{code}\nC,3,{code}\n")
    table, found = unread(path, "the formula in cell C3 failed")
    assert (found.check, found.rows, found.column, found.value) == ("failed-formula", (3, 4), "soc", code)
    assert [p.rows for p in unread_cells(as_table(table.drop(index=3)))] == [(4,)]


def test_rows_added_twice_are_numbered_anew_and_stay_unread(write):
    table = read_file(write('study,soc\nA,1.5\nB,"2,5"\nC,3\n'))
    again = as_table(pd.concat([table, table]))
    assert list(again.index) == [2, 3, 4, 5, 6, 7]
    assert [(p.rows, p.value) for p in unread_cells(again)] == [((3, 6), "2,5")]


# files


@pytest.mark.parametrize("name", ["pairs.xls", "pairs.ods", "pairs.docx", "pairs"])
def test_other_kinds_of_file(write, name):
    with pytest.raises(DataError, match=r"cannot be read.*save it as \.xlsx or \.csv"):
        read_table(write("x", name))


def test_absent_file_names_the_folder_s_tables(write, tmp_path):
    write("study,soc\nA,1\n", "pears.csv")
    with pytest.raises(DataError, match=r"there is no file .*pairs\.csv.*which holds pears\.csv"):
        read_table(tmp_path / "pairs.csv")
    with pytest.raises(DataError, match="there is no folder"):
        read_table(tmp_path / "nowhere" / "pairs.csv")


def test_a_folder_is_no_table(write, tmp_path):
    write("study,soc\nA,1\n", "pears.csv")
    (tmp_path / "pairs.csv").mkdir()
    with pytest.raises(DataError, match=r"pairs\.csv is a folder, not a table.*there is no table in this folder"):
        read_table(tmp_path / "pairs.csv")
    with pytest.raises(DataError, match=r"is a folder, not a table.*Name a table in it: .*pears\.csv"):
        read_table(tmp_path)


def test_a_file_that_cannot_be_read_is_named_with_the_reason(write, monkeypatch):
    path = write("study,soc\nA,1\n")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    with pytest.raises(DataError, match=r"pairs\.csv cannot be read: Permission denied") as caught:
        read_table(path)
    assert problem(caught, "unreadable-file").remedy


def test_sheet_of_a_text_file(write):
    with pytest.raises(DataError, match="a text file has no sheets, but the sheet 'x'"):
        read_table(write("study,soc\nA,1\n"), sheet="x")


# workbooks


def test_workbook_and_text_give_the_same_table(workbook, write):
    path = workbook(data=[["study", "soc", "n"], ["25", 12.5, 3], [25.0, 7, None]])
    text = write("study,soc,n\n25,12.5,3\n25,7,\n")
    pd.testing.assert_frame_equal(read_table(path), read_table(text))


def test_stored_values(workbook):
    def format_cells(book):
        book["data"]["F2"].number_format = "0.0%"

    cells = ["  A ", 25.0, 12.345, dt.datetime(2019, 9, 15), True, 0.025, 1e-7, "#N/A", -0.0]
    table = read_table(workbook(format_cells, data=[list("abcdefghi"), cells]))
    expected = ["A", "25", "12.345", "2019-09-15", "TRUE", "2.5%", "1e-07", "", "0"]
    assert table.loc[2].tolist() == expected


def test_decimal_commas_in_text_cells(workbook):
    table = read_table(workbook(data=[["study", "soc"], ["A", "12,5"], ["B", 7.125], ["C", "1,125"]]))
    assert table["soc"].tolist() == ["12.5", "7.125", "1.125"]


def test_blank_rows_of_a_sheet_keep_their_numbers(workbook):
    table = read_table(workbook(data=[["study", "soc"], ["A", 1], [None, None], [" ", None], ["B", 2]]))
    assert list(table.index) == [2, 5]


def test_a_stray_format_in_the_last_row_costs_nothing(workbook):
    def stray(book):
        book["data"].cell(1_048_576, 16_384).number_format = "0.00"

    path = workbook(stray, data=[["study", "soc"], ["A", 1]])
    assert read_table(path).to_dict("list") == {"study": ["A"], "soc": ["1"]}


def test_several_sheets_are_listed(workbook):
    rows = [["study", "soc"], ["A", 1]]
    path = workbook(first=rows, second=[["study", "soc"], ["B", 2]], empty=[])
    with pytest.raises(DataError, match=r"2 sheets have cells.*one of 'first', 'second'.*--sheet"):
        read_table(path)
    assert read_table(path, sheet="second").loc[2, "study"] == "B"
    with pytest.raises(DataError, match=r"there is no sheet 'third'.*one of 'first', 'second', 'empty'"):
        read_table(path, sheet="third")
    with pytest.raises(DataError, match="the table is empty"):
        read_table(path, sheet="empty")


def test_hidden_and_empty_sheets_do_not_count(workbook):
    def hide(book):
        book["lists"].sheet_state = "hidden"

    path = workbook(hide, data=[["study", "soc"], ["A", 1]], lists=[["x"]], empty=[])
    assert read_table(path).loc[2, "study"] == "A"


def test_error_cells(workbook):
    _, found = unread(workbook(data=[["study", "soc"], ["A", 1], ["B", "#DIV/0!"]]), "formula in cell B3 failed")
    assert (found.check, found.rows, found.column, found.value) == ("failed-formula", (3,), "soc", "#DIV/0!")


def test_formula_without_stored_result(workbook):
    path = workbook(data=[["study", "soc"], ["A", "=1+1"], ["B", 2]])
    table, found = unread(path, "formula in cell B2 has no stored result.*save it again")
    assert (found.check, found.rows, found.column) == ("formula-without-value", (2,), "soc")
    assert [p.rows for p in unread_cells(as_table(table.assign(n=1)))] == [(2,)]
    assert unread_cells(as_table(table.assign(soc=["2", "2"]))) == []


def test_merged_cells(workbook):
    def merge(book):
        book["data"].merge_cells("A2:A3")

    with pytest.raises(DataError, match="cells are merged: A2:A3.*Unmerge") as caught:
        read_table(workbook(merge, data=[["study", "soc"], ["A", 1], [None, 2]]))
    assert problem(caught, "merged-cells").rows == (2,)


def test_merged_header(workbook):
    def merge(book):
        book["data"].merge_cells("B1:C1")

    with pytest.raises(DataError, match="column C holds values but has no name"):
        read_table(workbook(merge, data=[["study", "soc", None], ["A", 1, 2]]))


def test_title_above_the_header(workbook):
    with pytest.raises(DataError, match="column B holds values but has no name.*title lines"):
        read_table(workbook(data=[["Table S1"], ["study", "soc"], ["A", 1]]))


def test_damaged_workbook(write):
    with pytest.raises(DataError, match=r"no readable \.xlsx workbook: damaged, protected"):
        read_table(write("not a workbook", "pairs.xlsx"))


def test_workbook_under_a_text_file_s_name(workbook):
    path = workbook(data=[["study", "soc"], ["A", 1]])
    with pytest.raises(DataError, match=r"is a workbook or archive, not text, though its name ends in \.csv"):
        read_table(path.rename(path.with_suffix(".csv")))


# DataFrames


def test_frame_of_any_types():
    frame = pd.DataFrame(
        {
            "study": pd.Categorical(["A", "B", None]),
            "soc": [12.5, np.nan, 7.0],
            "n": pd.array([3, None, 4], dtype="Int64"),
            "small": np.array([0.1, 0.2, 3], dtype=np.float32),
            "date": [pd.Timestamp("2019-09-15"), pd.NaT, dt.datetime(2020, 1, 1, 12, 30)],
            "grazed": [True, False, True],
            5: [" x ", "N/A", "1"],
        },
        index=[9, 9, 7],
    )
    table = as_table(frame, source="mine")
    assert table.to_dict("list") == {
        "study": ["A", "B", ""],
        "soc": ["12.5", "", "7"],
        "n": ["3", "", "4"],
        "small": ["0.1", "0.2", "3"],
        "date": ["2019-09-15", "", "2020-01-01 12:30:00"],
        "grazed": ["True", "False", "True"],
        "5": ["x", "", "1"],
    }
    assert list(table.index) == [2, 3, 4]
    assert table.index.name == "row"
    assert table.attrs["source"] == "mine"


def test_frame_is_left_as_it_was():
    frame = pd.DataFrame({"study": ["A"], "soc": ["12,5"]})
    before = frame.copy(deep=True)
    assert as_table(frame).loc[2, "soc"] == "12.5"
    pd.testing.assert_frame_equal(frame, before)
    assert frame.attrs == {}


def test_equal_frames_have_equal_hashes():
    one, other = pd.DataFrame({"a": ["x"], "b": [1]}), pd.DataFrame({"a": ["x"], "b": [2]})
    assert as_table(one).attrs["sha256"] == as_table(one.copy()).attrs["sha256"] != as_table(other).attrs["sha256"]


def test_frame_with_the_problems_of_a_file():
    with pytest.raises(DataError, match="DataFrame: the table is empty"):
        as_table(pd.DataFrame())
    with pytest.raises(DataError, match="2 columns .* have the same name"):
        as_table(pd.DataFrame([["A", 1, 2]], columns=["study", "soc", "soc"]))
    (found,) = unread_cells(as_table(pd.DataFrame({"study": ["A"], "soc": ["1,234"]})))
    assert (found.check, found.column, found.value) == ("thousands-separator", "soc", "1,234")


def test_a_table_that_was_read_is_taken_as_it_is(write):
    table = read_table(write("study,soc\nA,1\nB,2\n"))
    assert as_table(table) is table


def test_a_table_changed_after_reading_keeps_its_rows_but_not_its_hash(write):
    table = read_table(write("study;soc\nA;1,5\nB;2,5\nC;1,234\n"))
    changed = table[table["study"] != "A"].assign(duration_years=[5.0, 7.5])
    again = as_table(changed)
    assert list(again.index) == [3, 4]
    assert again["duration_years"].tolist() == ["5", "7.5"]
    assert again["soc"].tolist() == ["2.5", "1.234"]
    assert again.attrs["source"] == "pairs.csv (changed after reading)"
    assert again.attrs["sha256"] != table.attrs["sha256"]
    assert as_table(again) is again


# round trips

CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12).map(lambda text: f"x{text}x")


@BOUNDED
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6), st.sampled_from([",", ";", "\t"]))
@example([('x"x', "x,;\tx")], ",")
def test_names_survive_every_separator(tmp_path_factory, rows, separator):
    path = tmp_path_factory.mktemp("names") / "names.csv"
    frame = pd.DataFrame(rows, columns=["study", "treatment"])
    frame.to_csv(path, sep=separator, index=False)
    pd.testing.assert_frame_equal(read_table(path).reset_index(drop=True), frame, check_dtype=False)


@BOUNDED
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
def test_numbers_survive_to_the_last_digit(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("numbers") / "numbers.csv"
    frame = pd.DataFrame({"study": "A", "soc": numbers})
    frame.to_csv(path, index=False)
    assert [float(text) for text in read_table(path)["soc"]] == numbers
    assert [float(text) for text in as_table(frame)["soc"]] == numbers


@BOUNDED
@given(st.lists(st.decimals(-9999, 9999, places=2), min_size=1, max_size=6), st.sampled_from([";", "\t"]))
def test_decimal_commas_mean_what_points_mean(tmp_path_factory, numbers, separator):
    path = tmp_path_factory.mktemp("commas") / "commas.csv"
    text = "".join(f"A{separator}{str(number).replace('.', ',')}\n" for number in numbers)
    path.write_text(f"study{separator}soc\n{text}", encoding="utf-8")
    assert read_table(path)["soc"].tolist() == [str(number) for number in numbers]


# real tables


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("sndb_pairs_strict.csv", "utf-8"),
        ("sndb_pairs_all.csv", "utf-8"),
        ("sndb_database_data.csv", "utf-8"),
        ("sndb_database_studies.csv", "utf-8"),
        ("global_soils_amino_sugars.csv", "cp1252"),
        ("fungGlcN.csv", "utf-8"),
    ],
)
def test_real_tables_are_read_as_they_are(shared_data, name, encoding):
    table = read_table(shared_data / name)
    expected = pd.read_csv(shared_data / name, dtype=str, keep_default_na=False, encoding=encoding)
    expected = expected.loc[:, [not column.startswith("Unnamed") for column in expected.columns]]
    assert list(table.columns) == list(expected.columns)
    missing = re.compile("NA|N/A|NaN|nan|#N/A|[-–—]|")
    for column in expected.columns:
        cells = ["" if missing.fullmatch(cell.strip()) else cell.strip() for cell in expected[column]]
        assert table[column].tolist() == cells
