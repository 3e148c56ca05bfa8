"""Data frames of metafor, in the three shapes that they have."""

import pandas as pd
import pytest

from mcpbayes.errors import DataError
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import prepare
from mcpbayes.tables.importers.escalc import import_escalc

LONG = '"","study","id","pool","trt","yi","vi"\n"1","A",1,"SOC","x",0.1,0.01\n"2","A",1,"MNC","x",0.2,0.02\n'
LONG += '"7","B",2,"MNC","y",0.3,0.03\n"9","B",2,"SOC","y",NA,NA\n"11","C",3,"SOC","z",NA,NA\n'


def written(tmp_path, text):
    path = tmp_path / "escalc.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_outcomes_below_each_other_come_side_by_side(tmp_path):
    imported = import_escalc(written(tmp_path, LONG))
    assert list(imported.table) == [
        "study",
        "comparison",
        "treatment",
        "yi_necromass",
        "vi_necromass",
        "yi_soc",
        "vi_soc",
    ]
    first, second = imported.table.to_dict("records")
    assert (first["yi_necromass"], first["vi_soc"], first["treatment"]) == (0.2, 0.01, "x")
    assert second["yi_necromass"] == 0.3 and pd.isna(second["yi_soc"])
    assert list(imported.rows["used_as"]) == ["contrast"] * 3 + ["not used"] * 2
    assert imported.reasons == {"yi is missing (NA)": 2}
    assert imported.settings == "--model contrast-based"
    assert [note.check for note in imported.notes] == ["covariance-absent", "treatment-taken"]
    assert (imported.notes[-1].column, imported.notes[-1].message) == (
        "trt",
        "the column is taken as the treatment: 3 kinds",
    )


def test_the_table_is_ready_for_its_model(tmp_path):
    path = tmp_path / "contrasts.csv"
    import_escalc(written(tmp_path, LONG)).table.to_csv(path, index=False)
    data = prepare(path, load_model("contrast-based"))
    assert data.sizes["comparison"] == 2 and list(data["outcome"].values) == ["necromass", "soc"]


@pytest.mark.parametrize("name", ["treat", "trt", "treatment", "Treatment"])
def test_the_treatment_is_mapped_and_names_comparisons(tmp_path, name):
    path = written(
        tmp_path, f"study,{name},yi,vi\nA,lime,0.1,0.01\nA,straw,0.2,0.01\nB,lime,0.2,0.02\nB,lime,0.3,0.02\n"
    )
    imported = import_escalc(path, outcomes={"yi": "soc"})
    assert list(imported.table["treatment"]) == ["lime", "straw", "lime", "lime"]
    assert list(imported.table["comparison"]) == ["lime", "straw", "lime (row 4)", "lime (row 5)"]
    assert list(imported.rows["comparison"])[:2] == ["A: lime", "A: straw"]
    assert [note.check for note in imported.notes] == ["treatment-taken"]


def test_several_possible_treatments_are_named(tmp_path):
    imported = import_escalc(written(tmp_path, "study,treat,trt,yi,vi\nA,a,b,0.1,0.01\n"), outcomes={"yi": "soc"})
    (warning,) = imported.notes
    assert (warning.check, warning.severity, warning.column) == ("treatment-unclear", "warning", "treat, trt")
    assert "treatment" not in imported.table


def test_labels_of_r_name_comparisons(tmp_path):
    path = written(tmp_path, 'study,slab,yi,vi\n1,"Li, 2020",0.1,0.01\n2,"Wu, 2021",0.2,0.02\n3,,0.2,0.02\n')
    assert list(import_escalc(path).table["comparison"]) == ["Li, 2020", "Wu, 2021", "row 4"]


def test_one_outcome_needs_a_name(tmp_path):
    path = written(tmp_path, "author,yi,vi\nA,0.1,0.01\nB,0.2,0.02\n")
    imported = import_escalc(path)
    assert list(imported.table) == ["study", "comparison", "yi", "vi"]
    assert list(imported.table["comparison"]) == ["row 2", "row 3"]
    assert imported.settings.endswith("""'data.outcomes=["necromass"]'""")
    assert [note.check for note in imported.notes] == ["outcome-unnamed"]
    named = import_escalc(path, outcomes={"yi": "soc"})
    assert named.settings.endswith("""'data.outcomes=["soc"]'""") and named.notes == ()


@pytest.mark.parametrize(
    "header", ["yi_MNC,vi_MNC,yi_SOC,vi_SOC", "yi.mnc,vi.mnc,yi.soc,vi.soc", "MNC_yi,MNC_vi,SOC.yi,SOC.vi"]
)
def test_outcomes_side_by_side_are_recognised(tmp_path, header):
    imported = import_escalc(written(tmp_path, f"study,{header},rho\nA,0.1,0.01,0.2,0.02,0.4\nB,NA,NA,NA,NA,0.4\n"))
    (row,) = imported.table.to_dict("records")
    assert (row["yi_necromass"], row["vi_soc"], row["rho"]) == (0.1, 0.02, "0.4")
    assert imported.notes == () and list(imported.rows["used_as"]) == ["contrast", "not used"]


@pytest.mark.parametrize(
    ("text", "check", "said"),
    [
        ("trt,yi,vi\nA,0.1,0.01\n", "escalc-no-study", "--study COLUMN"),
        ("paper,author,yi,vi\n1,A,0.1,0.01\n", "escalc-ambiguous", "--study paper"),
        ("study,yi\nA,0.1\n", "escalc-no-variance", "write.csv"),
        ("study,es\nA,0.1\n", "escalc-no-variance", "expected yi and vi"),
        ("study,yi,vi,yi_soc,vi_soc\nA,1,1,1,1\n", "escalc-ambiguous", "Delete the columns"),
        ("study,outcome,yi_a,vi_a\nA,x,1,1\nA,y,1,1\n", "escalc-ambiguous", "side by side"),
        ("study,outcome,yi,vi\nA,soc,1,1\nA,soc,2,1\nA,mnc,2,1\n", "escalc-ambiguous", "--comparison COLUMN"),
        ("study,outcome,yi,vi\nA,soc,1,1\nA,,2,1\nA,mnc,2,1\n", "escalc-no-outcome", "row 3"),
        ("study,outcome,yi,vi\nA,soc,1,1\nA,SOC stock,2,1\nA,toc,2,1\n", "escalc-ambiguous", "--outcomes"),
        ("study,yi,vi\nA,lots,1\n", "not-a-number", "row 2"),
    ],
)
def test_what_can_be_read_in_several_ways_is_refused(tmp_path, text, check, said):
    with pytest.raises(DataError) as refused:
        import_escalc(written(tmp_path, text))
    assert check in {problem.check for problem in refused.value.problems}
    assert said in str(refused.value)


def test_an_absent_column_names_the_nearest(tmp_path):
    with pytest.raises(DataError, match="nearest existing column is 'studie'"):
        import_escalc(written(tmp_path, "studie,yi,vi\nA,0.1,0.01\n"), study="study")


def test_columns_that_differ_within_a_comparison_are_named(tmp_path):
    text = LONG.replace('"trt"', '"trt","n1i"').replace('"x",0.1', '"x",3,0.1').replace('"x",0.2', '"x",4,0.2')
    text = text.replace('"y",', '"y",5,').replace('"z",', '"z",5,')
    imported = import_escalc(written(tmp_path, text))
    assert "n1i" not in imported.table
    assert next(note.value for note in imported.notes if note.check == "columns-left-out") == "n1i"


def test_other_software_s_frame_keeps_its_numbers(shared_reference):
    """The two-outcome table that the reference results of metafor were computed from."""
    frame = pd.read_csv(shared_reference / "g_sim_J50.csv")
    table = import_escalc(shared_reference / "g_sim_J50.csv").table
    for column in ("yi_necromass", "vi_soc", "cov", "x"):
        assert table[column].astype(float).to_numpy() == pytest.approx(frame[column].to_numpy(), rel=1e-14)
