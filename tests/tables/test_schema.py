import pandas as pd
import pytest
from made_tables import arm_table, checks_of, comparison_table, contrast_table, dots, found, spoilt

from mcpbayes.errors import DataError
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare
from mcpbayes.tables.columns import columns
from mcpbayes.tables.guess import best_guess, column_block, guess_columns
from mcpbayes.tables.locating import locate_columns
from mcpbayes.tables.reading import as_table
from mcpbayes.tables.schema import numbers, read_cells, whole_ids

BAD_CELLS = [
    ({"soc_control": "n.d."}, "not-a-number", "n.d."),
    ({"necromass_treatment": "5.1 ± 0.3"}, "not-a-number", "5.1 ± 0.3"),
    ({"soc_treatment": 0}, "zero-mean", "0"),
    ({"necromass_control": -4.2}, "negative-mean", "-4.2"),
    ({"soc_control_sd": -1.2}, "negative-sd", "-1.2"),
    ({"soc_control_sd": 0}, "zero-sd", "0"),
    ({"soc_control_se": -0.5}, "negative-se", "-0.5"),
    ({"soc_treatment_cv": -0.1}, "negative-cv", "-0.1"),
    ({"n_control": 1}, "n-below-two", "1"),
    ({"n_treatment": 3.5}, "fractional-n", "3.5"),
    ({"necromass_n_control": -3}, "n-below-two", "-3"),
    ({"n_control": "inf"}, "infinite", "inf"),
    ({"soc_control": "inf"}, "infinite", "inf"),
    ({"soc_control": "1e400"}, "infinite", "1e400"),
    ({"study": ""}, "empty-study", ""),
    ({"treatment": " "}, "empty-treatment", ""),
    ({"rho_within": 1.2}, "out-of-range", "1.2"),
    ({"rho_within": "-1"}, "out-of-range", "-1"),
    ({"latitude": 95}, "out-of-range", "95"),
    ({"longitude": -181}, "out-of-range", "-181"),
    ({"duration_years": -2}, "out-of-range", "-2"),
]


@pytest.mark.parametrize(("cells", "check", "value"), BAD_CELLS, ids=[f"{c} {v}" for _, c, v in BAD_CELLS])
def test_a_bad_cell_is_reported_with_place_value_expectation_and_remedy(cells, check, value):
    problem = found(spoilt(comparison_table(), 5, **cells), check)
    assert problem.severity == "error"
    assert problem.rows == (5,)
    assert problem.column == next(iter(cells))
    assert problem.value == value
    assert problem.expected and problem.remedy


def test_all_bad_cells_of_one_table_are_reported_at_once():
    table = comparison_table(studies=len(BAD_CELLS))
    for i, (cells, _, _) in enumerate(BAD_CELLS):
        table = spoilt(table, 2 * i + 2, **cells)
    with pytest.raises(DataError) as caught:
        prepare(table, load_model())
    reported = {(p.check, p.rows, p.column, p.value) for p in caught.value.problems}
    expected = {(check, (2 * i + 2,), next(iter(cells)), value) for i, (cells, check, value) in enumerate(BAD_CELLS)}
    assert reported == expected
    assert str(caught.value).startswith(f"{len(BAD_CELLS)} problems:")


def test_the_same_bad_value_in_several_rows_is_one_problem_with_all_rows():
    table = spoilt(spoilt(comparison_table(), 3, soc_control="n.d."), 6, soc_control="n.d.")
    assert found(table, "not-a-number").rows == (3, 6)


def test_columns_are_named_as_the_user_names_them():
    table = spoilt(comparison_table(), 4, soc_control=-3).rename(columns={"soc_control": "SOC (CK)"})
    problem = found(table, "negative-mean", data__columns__soc_control="SOC (CK)")
    assert problem.column == "SOC (CK)"


def test_typographic_minus_signs_are_read():
    values, unreadable = numbers(pd.Series(["\N{MINUS SIGN}2.5", "+.5", "1.", "1_000", "0x1", "nan", "1e3"]))
    assert values.dropna().tolist() == [-2.5, 0.5, 1.0, 1000.0]
    assert unreadable.tolist() == [False, False, False, True, True, True, False]


def test_ids_lose_the_decimals_of_a_spreadsheet_but_versions_keep_theirs():
    assert whole_ids(pd.Series(["25.0", "151.0", "Li 2020"])).tolist() == ["25", "151", "Li 2020"]
    assert whole_ids(pd.Series(["1.0", "1.5"])).tolist() == ["1.0", "1.5"]


def test_numbers_are_read_to_the_last_digit():
    raw = as_table(pd.DataFrame({"soc_control": ["12.824601793289185", "0.1"]}))
    frame, problems = read_cells(raw, {"soc_control": "soc_control"}, columns("comparison"))
    assert frame["soc_control"].tolist() == [12.824601793289185, 0.1]
    assert problems == []


def test_a_mapped_column_that_is_absent_names_both_and_the_nearest():
    table = comparison_table().rename(columns={"soc_control": "SOC_CK"})
    problem = found(table, "mapped-column-absent", data__columns__soc_control="SOC_CT")
    assert "'SOC_CT'" in problem.message and "soc_control" in problem.message
    assert "'SOC_CK'" in problem.remedy


def test_a_required_column_that_is_absent_comes_with_a_guess():
    problem = found(comparison_table().rename(columns={"soc_control": "SOC_CK"}), "column-absent")
    assert problem.column == "soc_control"
    assert "--set data.columns.soc_control=SOC_CK" in problem.remedy


def test_absent_columns_and_bad_cells_are_reported_together():
    table = spoilt(comparison_table(), 3, necromass_control="?").drop(columns="soc_treatment")
    assert {"column-absent", "not-a-number"} <= set(checks_of(table))


def test_one_column_cannot_be_the_mean_of_both_arms():
    problem = found(comparison_table(), "column-mapped-twice", data__columns__soc_treatment="soc_control")
    assert "soc_control and to soc_treatment" in problem.message


def test_an_unused_mapping_is_a_warning_with_the_nearest_name():
    problem = found(comparison_table(x=1), "mapping-unused", data__columns__n_contrl="x")
    assert problem.severity == "warning"
    assert "n_control" in problem.remedy


def test_a_table_without_rows_is_an_error():
    assert "empty-table" in checks_of(comparison_table().iloc[:0])


def test_a_role_is_control_or_treatment_in_any_case():
    problem = found(spoilt(arm_table(), 3, role="CK"), "unknown-role", data__layout="arm")
    assert problem.rows == (3,)
    assert problem.expected == "control or treatment"


def test_variances_of_contrasts_must_be_positive():
    assert found(spoilt(contrast_table(), 3, vi_soc=0), "zero-variance", "contrast-based").rows == (3,)
    assert found(spoilt(contrast_table(), 3, vi_soc=-0.1), "negative-variance", "contrast-based").column == "vi_soc"


def test_an_unknown_unit_is_an_error_and_a_unit_of_nothing_a_warning():
    assert "g/acre" in found(comparison_table(), "unknown-unit", data__units__soc="g/acre").message
    assert found(comparison_table(), "unit-unused", data__units__clay="%").severity == "warning"


def test_problems_name_the_file(tmp_path):
    path = tmp_path / "pairs.csv"
    spoilt(comparison_table(), 3, soc_control="x").to_csv(path, index=False)
    (problem,) = (p for p in check_table(path, load_model()) if p.severity == "error")
    assert str(problem).startswith("pairs.csv, row 3, column soc_control: ")


def test_an_unreadable_file_is_reported_like_any_problem(tmp_path):
    (problem,) = check_table(tmp_path / "absent.csv", load_model())
    assert problem.check == "file-not-found"


def test_columns_are_guessed_by_what_their_words_mean():
    foreign = ["SNDB_study_number", "mnc_ctl_mgkg", "C_ctl_gkg", "mnc_trt_mgkg", "C_trt_gkg", "lyrtop_cm", "Latitude"]
    assert guess_columns(foreign) == {
        "study": "SNDB_study_number",
        "necromass_control": "mnc_ctl_mgkg",
        "necromass_treatment": "mnc_trt_mgkg",
        "soc_control": "C_ctl_gkg",
        "soc_treatment": "C_trt_gkg",
        "latitude": "Latitude",
        "depth_top": "lyrtop_cm",
    }
    assert best_guess("study", ["x", "Study"]) == "Study"
    assert best_guess("study", ["pH", "clay"]) is None


def test_amino_sugars_and_replicates_are_guessed():
    foreign = ["GlcN_CK", "GlcN_T", "MurN_CK", "MurN_T", "reps"]
    sugars = {f"{sugar}_{role}" for sugar in ("glucosamine", "muramic_acid") for role in ("control", "treatment")}
    guesses = guess_columns(foreign)
    assert set(guesses) == sugars | {"n_control", "n_treatment"}
    assert (guesses["muramic_acid_control"], guesses["glucosamine_treatment"]) == ("MurN_CK", "GlcN_T")
    assert {guesses["n_control"], guesses["n_treatment"]} == {"reps"}
    assert guess_columns(["GluN", "MurA", "Replicates"], "arm") == {
        "glucosamine": "GluN",
        "muramic_acid": "MurA",
        "n": "Replicates",
    }
    assert guess_columns(["N"]) == {}, "a column N may be nitrogen"
    assert set(guess_columns(["n"])) == {"n_control", "n_treatment"}


def test_units_of_amino_sugars_stand_in_their_names():
    renamed = {f"{s}_{r}": f"{s}_{e} (mg/kg)" for s in ("glucosamine", "MurN") for r, e in (("control", "CK"),)}
    table = as_table(comparison_table().assign(**dict.fromkeys(renamed, 1.0)).rename(columns=renamed))
    assert '[data.units]\nglucosamine = "mg/kg"\nmuramic_acid = "mg/kg"' in column_block(table, load_model())


def test_texts_and_used_columns_are_no_guesses_for_numbers():
    assert guess_columns(["SOC_CK"], wordy=["SOC_CK"]) == {}
    assert guess_columns(["SOC_CK"], located=["soc_control"]) == {}
    table = comparison_table().rename(columns={"soc_control": "SOC_CK", "soc_treatment": "SOC_x"})
    texts = found(table.assign(SOC_CK="method A").drop(columns="SOC_x").assign(soc_treatment=14.0), "column-absent")
    assert "SOC_CK" not in texts.remedy
    remedies = [p.remedy for p in check_table(table, load_model()) if p.check == "column-absent"]
    assert sorted("SOC_CK" in remedy for remedy in remedies) == [False, True]


def test_what_stands_in_for_a_column_has_its_own_sentence():
    problem = found(comparison_table().drop(columns="necromass_control"), "column-absent")
    assert ". Or give glucosamine_control and muramic_acid_control." in problem.remedy


def test_the_block_of_guesses_is_a_specification_that_loads(tmp_path):
    renamed = {"study": "Paper", "soc_control": "SOC_CK_gkg", "necromass_control": "MNC_CK_mgkg"}
    table = as_table(comparison_table().rename(columns=renamed))
    path = tmp_path / "guess.toml"
    path.write_text(column_block(table, load_model()), encoding="utf-8")
    model = load_model(path)
    assert dict(model.data.columns) == {c: renamed[c] for c in ("study", "soc_control", "necromass_control")}
    assert model.data.units == {"necromass": "mg/kg", "soc": "g/kg"}
    assert column_block(as_table(comparison_table()), load_model()) == ""


def test_a_table_without_treatments_is_told_what_that_costs():
    table = comparison_table(clay=range(8), simulated="yes").rename(columns={"treatment": "Fertilization"})
    problem = found(table, "no-treatment")
    assert problem.severity == "warning"
    assert problem.value == "Fertilization, clay"
    assert "'Fertilization': --set data.columns.treatment=Fertilization" in problem.remedy
    assert "no-treatment" not in checks_of(table, data__columns__treatment="Fertilization")
    plain = found(table.drop(columns="Fertilization"), "no-treatment", moderators__formula="~ clay")
    assert (plain.value, plain.remedy) == (
        None,
        "If a column names the treatments: --set data.columns.treatment=NAME.",
    )
    assert "no-treatment" in checks_of(arm_table().drop(columns="treatment"), data__layout="arm")
    assert "no-treatment" not in checks_of(contrast_table(), "contrast-based")


def test_columns_that_nobody_uses_are_noted():
    table = comparison_table(clay=range(8), pages="12", simulated="yes", pH=7)
    problem = found(table, "columns-unused", moderators__formula="~ clay", data__columns__site="pH")
    assert (problem.severity, problem.value) == ("note", "pages")
    assert "columns-unused" not in checks_of(comparison_table(simulated="yes"))


@pytest.mark.parametrize(
    "name", ["fertilization", "Fertiliser", "practice", "Amendment", "Management practice", "treatments"]
)
def test_treatments_are_guessed_from_what_is_done_to_fields(name):
    assert guess_columns([name, "clay"]) == {"treatment": name}


def unread_table(tmp_path, **cells):
    path = tmp_path / "pairs.csv"
    spoilt(comparison_table(pages="7", clay=range(8)), 3, **cells).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("text", ["12,345", "0,5", "1,234.5", "#REF!"])
def test_unread_cells_block_a_table_only_where_their_column_is_used(tmp_path, text):
    assert "error" not in {p.severity for p in check_table(unread_table(tmp_path, pages=text), load_model())}
    for column, formula in (("soc_control", "~ 1"), ("clay", "~ clay"), ("pages", "~ pages")):
        path, model = unread_table(tmp_path, **{column: text}), load_model(moderators=formula)
        errors = [p for p in check_table(path, model) if p.severity == "error"]
        assert [(p.rows, p.column, p.value, p.file) for p in errors] == [((3,), column, text, "pairs.csv")]
        with pytest.raises(DataError, match=f"row 3, column {column}"):
            prepare(path, model)


def test_unread_names_have_no_echo_and_other_bad_cells_are_still_reported(tmp_path):
    path = unread_table(tmp_path, study="#REF!", soc_control="#REF!", treatment="#REF!", n_control=1)
    errors = {(p.check, p.column) for p in check_table(path, load_model()) if p.severity == "error"}
    failed = {("failed-formula", column) for column in ("study", "soc_control", "treatment")}
    assert errors == failed | {("n-below-two", "n_control")}


@pytest.mark.parametrize(
    ("table", "model", "settings", "remedy"),
    [
        (arm_table(), "arm-based", {}, "Use --set data.layout=arm."),
        (arm_table().drop(columns="control_id"), "arm-based", {}, "Use --set data.layout=arm."),
        (contrast_table(), "arm-based", {}, "Use --model contrast-based."),
        (comparison_table(), "contrast-based", {}, "Use --model arm-based."),
        (comparison_table(), "arm-based", {"data__layout": "arm"}, "Use --set data.layout=comparison."),
        (arm_table(), "contrast-based", {}, "Use --model arm-based --set data.layout=arm."),
    ],
)
def test_a_table_of_another_layout_is_told_one_thing_only(table, model, settings, remedy):
    problem = found(table, "other-layout", model, **settings)
    assert checks_of(table, model, **settings) == ["other-layout"]
    assert problem.remedy == remedy
    assert column_block(as_table(table), load_model(model, settings=dots(settings))) == ""


def test_contrasts_of_one_pool_are_recognised():
    table = contrast_table().rename(columns={"yi_soc": "yi", "vi_soc": "vi"})[["study", "comparison", "yi", "vi"]]
    assert "--model contrast-based --set 'data.outcomes=" in found(table, "other-layout").remedy


def test_foreign_names_are_no_other_layout():
    table = comparison_table().rename(columns=lambda name: name.upper() if name.startswith("soc") else f"x{name}")
    assert "other-layout" not in checks_of(table)
    assert "column-absent" in checks_of(table)


def test_a_column_that_was_mapped_is_not_looked_up_under_its_own_name():
    model = load_model(settings={"data.columns.soc_control": "other"})
    names, problems = locate_columns(["soc_control", "other"], model.data)
    assert names["soc_control"] == "other"
    assert {p.column for p in problems} == {
        "study",
        "necromass_control",
        "necromass_treatment",
        "soc_treatment",
    }


@pytest.mark.parametrize("layout", ["comparison", "arm", "contrast", "intervals"])
def test_a_table_without_any_one_column_is_told_so_and_never_fails(layout):
    tables = {"comparison": comparison_table(), "arm": arm_table(), "contrast": contrast_table()}
    bounds = {"soc_control_ci_lower": 8.0, "soc_control_ci_upper": 18.0}
    table = tables.get(layout, comparison_table().drop(columns="soc_control_sd").assign(**bounds))
    model, settings = "arm-based" if layout != "contrast" else "contrast-based", {}
    if layout == "arm":
        settings = {"data.layout": "arm"}
    for name in table:
        problems = check_table(table.drop(columns=name), load_model(model, settings=settings))
        said = {problem.column for problem in problems if problem.check == "column-absent"}
        assert said <= {name}
        if name == "study":
            assert said == {"study"}
