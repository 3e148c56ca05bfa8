import numpy as np
import pandas as pd
import pytest
from made_tables import arm_table, checks_of, comparison_table, contrast_table, found, spoilt

from mcpbayes.errors import DataError
from mcpbayes.inference.simulation import simulate
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare
from mcpbayes.tables.levels import site_names
from mcpbayes.tables.reading import as_table
from mcpbayes.tables.template import write_template


def test_a_clean_table_has_no_errors_and_no_warnings():
    assert checks_of(comparison_table()) == []
    assert checks_of(arm_table(), data__layout="arm") == []


def test_sd_and_se_that_contradict_are_an_error():
    table = comparison_table(soc_control_se=0.6)  # 1.2/√4
    assert checks_of(table) == []
    problem = found(spoilt(table, 4, soc_control_se=0.615), "dispersions-contradict")
    assert problem.rows == (4,)
    assert "soc_control_sd gives 1.2, soc_control_se gives 1.23" in problem.message
    assert (problem.column, problem.value) == ("soc_control_sd, soc_control_se", "1.2, 0.615")
    assert checks_of(spoilt(table, 4, soc_control_se=0.61)).count("dispersions-contradict") == 0


def test_sd_and_cv_that_contradict_are_an_error():
    assert found(spoilt(comparison_table(), 4, soc_treatment_cv=0.5), "dispersions-contradict").rows == (4,)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ({"soc_control_sd": 25.0}, "soc_control_sd"),  # mean 12, n 4: at most 24
        ({"soc_control_sd": "", "soc_control_se": 13.0}, "soc_control_se"),
        ({"soc_control_sd": "", "soc_control_cv": 15}, "soc_control_cv"),
    ],
    ids=["sd", "se", "cv in per cent"],
)
def test_a_spread_that_no_positive_values_have_is_an_error(cells, column):
    table = spoilt(comparison_table(), 2, **cells)
    problem = found(table, "impossible-dispersion")
    assert problem.column == column
    assert problem.rows == (2,)


def test_repeated_rows_are_an_error_that_names_them():
    table = comparison_table()
    table = pd.concat([table, table.iloc[[2, 5]], table.iloc[[2]]])
    problems = [p for p in check_table(table, load_model()) if p.check == "duplicated-row"]
    assert {(p.rows, p.value) for p in problems} == {((4, 10, 12), "S2: manure"), ((7, 11), "S3: straw")}
    assert {frozenset(p.column.split(", ")) for p in problems} == {frozenset(table)}


def test_repeated_rows_name_the_user_s_columns_and_arms_without_treatment_their_role():
    table = comparison_table(clay=range(8)).rename(columns={"soc_control": "SOC (CK)", "clay": "Clay"})
    table = pd.concat([table, table.iloc[[0]]])
    settings = {"data__columns__soc_control": "SOC (CK)", "data__columns__clay": "Clay"}
    problem = found(table, "duplicated-row", moderators__formula="~ clay", **settings)
    assert {"SOC (CK)", "Clay", "soc_treatment"} <= set(problem.column.split(", "))
    arms = pd.concat([arm_table(), arm_table().iloc[[0]]])
    assert found(arms, "duplicated-row", data__layout="arm").value == "S1: control"


def test_repeated_rows_of_a_table_that_was_read_and_joined():
    table = as_table(comparison_table())
    assert found(pd.concat([table, table.iloc[[2]]]), "duplicated-row").value == "S2: manure"


def test_rows_that_differ_in_an_unused_column_are_repeated_all_the_same():
    table = pd.concat([comparison_table(), comparison_table().iloc[[2]]]).assign(record=range(9))
    assert "duplicated-row" in checks_of(table)
    assert "duplicated-row" not in checks_of(table, moderators__formula="~ record")


@pytest.mark.parametrize(
    ("columns", "factor", "check", "unit"),
    [
        (["necromass_control", "necromass_treatment"], 1000, "necromass-1000-times-too-large", "necromass=mg/kg"),
        (["soc_control", "soc_treatment"], 1000, "soc-1000-times-too-large", "soc=mg/kg"),
        (["necromass_control", "necromass_treatment"], 0.001, "necromass-1000-times-too-small", "Convert it"),
        (["soc_control", "soc_treatment"], 0.001, "soc-1000-times-too-small", "Convert it"),
    ],
    ids=["necromass mg/kg", "soc mg/kg", "necromass g/g", "soc g/g"],
)
def test_a_pool_in_another_unit_is_an_error_that_names_the_unit(columns, factor, check, unit):
    table = comparison_table().drop(columns=[c for c in comparison_table() if c.endswith("_sd")])
    for column in columns:
        table[column] *= factor
    problems = check_table(table, load_model())
    errors = [p for p in problems if p.severity == "error"]
    assert [(p.check, p.column, p.rows) for p in errors] == [(check, c, tuple(range(2, 10))) for c in columns]
    assert all(unit in p.remedy for p in errors)
    for p in errors:
        low, high = (float(text) for text in p.value.split(" to "))
        assert (low, high) == (table[p.column].min(), table[p.column].max())


def test_stocks_give_the_arms_of_stocks_and_the_unit_is_on_record():
    tonnes = comparison_table()
    grams = tonnes.assign(**{c: 100 * tonnes[c] for c in tonnes if c.startswith(("necromass", "soc"))})
    stocks = {"data.units.necromass": "t/ha", "data.units.soc": "Mg C ha-1"}
    same = prepare(tonnes, load_model(settings=stocks))
    other = prepare(grams, load_model(settings=dict.fromkeys(stocks, "g/m2")))
    assert (same.attrs["unit"], other.attrs["unit"]) == ("Mg/ha", "Mg/ha")
    assert prepare(tonnes, load_model()).attrs["unit"] == "g/kg"
    np.testing.assert_allclose(other["log_mean"], same["log_mean"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(same["log_mean"], prepare(tonnes, load_model())["log_mean"], rtol=0, atol=1e-12)


def test_a_stock_and_a_concentration_do_not_mix():
    problem = found(comparison_table(), "stock-and-concentration", data__units__soc="Mg/ha")
    assert (problem.severity, problem.value) == ("error", "data.units.necromass = g/kg, data.units.soc = Mg/ha")
    assert "--set data.units.necromass=Mg/ha" in problem.remedy
    alone = {"data__units__soc": "Mg/ha", "data__outcomes": ["soc"]}
    assert "stock-and-concentration" not in checks_of(comparison_table(), **alone)


@pytest.mark.parametrize(
    ("factor", "size", "unit"), [(1000, "large", "kg/ha"), (0.001, "small", "Convert it to Mg/ha")]
)
def test_of_stocks_only_the_ratio_tells_a_slip(factor, size, unit):
    stocks = {"data__units__necromass": "Mg/ha", "data__units__soc": "Mg/ha"}
    table = comparison_table().drop(columns=[c for c in comparison_table() if c.endswith("_sd")])
    table = table.assign(**{c: 60 * table[c] for c in table if c.startswith(("necromass", "soc"))})  # SOC up to 1200
    assert [name for name in checks_of(table, **stocks) if name != "no-sd"] == []
    table["necromass_control"] *= factor
    problem = found(table, f"necromass-1000-times-too-{size}", **stocks)
    assert (problem.severity, problem.rows, problem.column) == ("error", tuple(range(2, 10)), "necromass_control")
    assert unit in problem.remedy and "Or SOC is in another unit" in problem.remedy


def test_one_value_in_another_unit_is_shown_as_typed():
    assert found(spoilt(comparison_table(), 6, soc_treatment="16300.0"), "soc-1000-times-too-large").value == "16300.0"


def test_a_unit_that_fits_its_numbers_is_not_questioned():
    table = comparison_table()
    for column in ("necromass_control", "necromass_treatment", "necromass_control_sd", "necromass_treatment_sd"):
        table[column] *= 1000
    assert checks_of(table, data__units__necromass="mg/kg") == []
    assert "necromass-1000-times-too-small" in checks_of(comparison_table(), data__units__necromass="mg/kg")


def test_necromass_above_soc_is_a_warning_and_kept():
    table = spoilt(comparison_table(), 3, necromass_treatment=15.0)
    problem = found(table, "necromass-exceeds-soc")
    assert problem.severity == "warning"
    assert problem.rows == (3,)
    data = prepare(table, load_model())
    assert data["mean"].sel(arm="S1: straw", outcome="necromass") == 15.0


def test_identical_soc_in_both_arms_is_a_warning():
    problem = found(spoilt(comparison_table(), 6, soc_treatment=16.0), "identical-soc")
    assert (problem.severity, problem.rows) == ("warning", (6,))


def test_a_row_without_a_pool_in_both_arms_is_an_error_and_other_gaps_are_counted():
    table = spoilt(comparison_table(), 4, necromass_treatment="")
    note = found(table, "missing-pool")
    assert note.severity == "note"
    assert "necromass is missing in 1 of 8 comparisons" in note.message
    assert "in the treated arm of 1" in note.message
    problem = found(spoilt(table, 4, soc_control=""), "no-pool-in-both-arms")
    assert (problem.severity, problem.rows) == ("error", (4,))


def test_a_layer_upside_down_is_an_error():
    problem = found(spoilt(comparison_table(), 4, depth_top=20, depth_bottom=0), "depth-order")
    assert (problem.rows, problem.column) == ((4,), "depth_bottom")
    assert "depth-order" in checks_of(spoilt(contrast_table(), 4, depth_top=20, depth_bottom=0), "contrast-based")


def test_problems_of_cells_rows_and_groups_are_reported_at_once():
    table = comparison_table(studies=7, control_id="CK", clay=range(14))
    table = spoilt(table, 2, soc_treatment="n.d.", clay="")
    table = spoilt(table, 3, soc_control=12.5)
    table = spoilt(table, 4, soc_control_se=0.9, depth_top=20, depth_bottom=10)
    table = spoilt(table, 6, necromass_treatment=6500)
    table = spoilt(table, 8, necromass_treatment="", soc_treatment="")
    table = spoilt(table, 10, latitude=95)
    table = pd.concat([table, table.iloc[[10]]])
    errors = [(p.check, p.rows) for p in check_table(table, load_model(moderators="~ clay + pH"))]
    assert sorted(errors) == [
        ("control-differs", (2, 3)),
        ("control-differs", (4, 5)),
        ("depth-order", (4,)),
        ("dispersions-contradict", (4,)),
        ("missing-moderator", (2,)),
        ("missing-pool", (8,)),
        ("missing-pool", (8,)),
        ("moderator-absent", ()),
        ("necromass-1000-times-too-large", (6,)),
        ("no-pool-in-both-arms", (8,)),
        ("not-a-number", (2,)),
        ("out-of-range", (10,)),
    ]
    without_ph = check_table(table, load_model(moderators="~ clay"))
    assert [p.rows for p in without_ph if p.check == "duplicated-row"] == [(12, 16)]


def test_a_bad_cell_has_no_echo():
    table = spoilt(comparison_table(control_id="CK"), 3, necromass_control="?", soc_control="?")
    assert checks_of(table) == ["not-a-number", "not-a-number"]


def test_a_bad_cell_of_a_control_row_has_no_echo_in_its_treated_rows():
    table = spoilt(spoilt(arm_table(), 2, soc="?"), 5, role="CK")
    assert sorted(checks_of(table, data__layout="arm")) == ["not-a-number", "unknown-role"]


def test_missing_moderators_list_their_rows_or_are_left_out():
    table = comparison_table(clay=[10, 20, "", 15, 18, "", 30, 25])
    problem = found(table, "missing-moderator", moderators__formula="~ clay")
    assert (problem.severity, problem.rows, problem.column) == ("error", (4, 7), "clay")
    model = load_model(moderators="~ clay", settings={"moderators.missing": "drop"})
    (warning,) = (p for p in check_table(table, model) if p.check == "dropped-rows")
    assert (warning.severity, warning.rows) == ("warning", (4, 7))
    assert prepare(table, model).sizes["comparison"] == 6


def test_leaving_out_every_row_is_an_error():
    model = load_model(moderators="~ clay", settings={"moderators.missing": "drop"})
    with pytest.raises(DataError, match="no row is complete"):
        prepare(comparison_table(clay=""), model)


def test_an_absent_moderator_comes_with_the_nearest_name():
    problem = found(comparison_table(clay_percent=1), "moderator-absent", moderators__formula="~ clay_pct")
    assert "'clay_percent'" in problem.remedy
    mapped = checks_of(comparison_table(), moderators__formula="~ clay", data__columns__clay="Clay")
    assert mapped == ["mapped-column-absent"]


def test_text_among_the_numbers_of_a_moderator_is_an_error_categories_are_not():
    table = comparison_table(clay=[10, 20, "n.d.", 15, 18, 21, 30, 25], crop=list("aabbccaa"))
    problem = found(table, "not-a-number", moderators__formula="~ clay")
    assert (problem.rows, problem.value) == ((4,), "n.d.")
    assert found(table.assign(clay=table["clay"].replace("n.d.", "inf")), "infinite", moderators__formula="~ clay")
    assert checks_of(table, moderators__formula="~ crop") == ["columns-unused"]


def test_a_moderator_that_is_a_known_column_is_reported_once():
    table = comparison_table(duration_years=[1, 2, "n.d.", 4, 5, 6, 7, 8])
    assert checks_of(table, moderators__formula="~ duration_years") == ["not-a-number"]


def test_arms_without_partner_are_named():
    table = arm_table()
    without_control = table[~((table["study"] == "S2") & (table["role"] == "control"))]
    problem = found(without_control, "treatment-without-control", data__layout="arm")
    assert (problem.severity, problem.rows) == ("error", (5, 6))
    without_treatment = table[~((table["study"] == "S2") & (table["role"] == "Treatment"))]
    warning = found(without_treatment, "control-without-comparison", data__layout="arm")
    assert (warning.severity, warning.rows, warning.value) == ("warning", (5,), "S2: CK")
    assert prepare(without_treatment, load_model(settings={"data.layout": "arm"})).sizes["control"] == 3


def test_two_control_rows_of_one_id_are_an_error():
    table = arm_table()
    other = table.iloc[[0]].assign(soc=12.5)
    problem = found(pd.concat([table, other]), "two-controls", data__layout="arm")
    assert problem.rows == (2, 14)
    assert checks_of(pd.concat([table, table.iloc[[0]]]), data__layout="arm") == ["duplicated-row"]


def test_a_treated_arm_needs_its_treatment_and_a_table_needs_treated_arms():
    assert found(spoilt(arm_table(), 3, treatment=""), "empty-treatment", data__layout="arm").rows == (3,)
    controls = arm_table().query("role == 'control'")
    assert "no-comparisons" in checks_of(controls, data__layout="arm")


def test_a_table_without_any_spread_is_told_so():
    table = comparison_table().drop(columns=[c for c in comparison_table() if c.endswith("_sd")])
    problem = found(table, "no-sd")
    assert problem.severity == "warning"
    assert "the split between sampling error and heterogeneity is assumed" in problem.message
    assert "no-sd" not in checks_of(spoilt(table, 3, soc_control_cv=0.1))


def test_one_cv_throughout_and_tiny_sds_are_warned_of():
    table = comparison_table()
    for mean in ("necromass_control", "necromass_treatment", "soc_control", "soc_treatment"):
        table[f"{mean}_sd"] = 0.1 * table[mean]
    assert "constant-cv" in checks_of(table)
    for mean in ("necromass_control", "necromass_treatment", "soc_control", "soc_treatment"):
        table[f"{mean}_sd"] = 0.02 * table[mean] * np.repeat(np.linspace(0.9, 1.1, 4), 2)
    assert "sd-may-be-se" in checks_of(table)
    assert "constant-cv" not in checks_of(table)


def test_the_largest_study_is_named_with_its_share():
    table = pd.concat([comparison_table(studies=4), comparison_table(studies=1, necromass_treatment=[7.5, 7.7])])
    problem = found(table, "largest-study")
    assert (problem.severity, problem.value) == ("note", "S1")
    assert "4 of 10 comparisons (40 %)" in problem.message


def test_one_comparison_per_study_confounds_the_levels():
    table = comparison_table(studies=5).iloc[::2]
    assert found(table, "levels-confounded").severity == "warning"
    assert "levels-confounded" not in checks_of(comparison_table(studies=5))


def test_one_study_is_told_so():
    assert "one-study" in checks_of(comparison_table(studies=1))


def test_a_kind_seen_in_one_study_is_marked():
    problem = found(spoilt(comparison_table(), 4, treatment="biochar"), "kind-in-one-study")
    assert (problem.severity, problem.value) == ("warning", "biochar")


def test_kinds_are_not_warned_of_where_they_are_no_level():
    table = spoilt(comparison_table(), 4, treatment="biochar")
    assert "kind-in-one-study" in checks_of(table)
    assert "kind-in-one-study" not in checks_of(table, levels__kind="off")


def test_spelling_variants_are_pointed_out_unless_they_are_one_kind():
    treatment = ["manure", "straw; lime", "Manure ", "lime; straw", "manure", "straw", "manure", "straw"]
    table = comparison_table(treatment=treatment)
    values = [p.value for p in check_table(table, load_model()) if p.check == "spelling-variants"]
    assert sorted(values) == ["Manure / manure", "lime; straw / straw; lime"]
    settings = {"data.kinds": {"Manure": "manure", "straw; lime": "lime; straw"}}
    assert "spelling-variants" not in [p.check for p in check_table(table, load_model(settings=settings))]


def test_kinds_switch_their_level_on_and_off():
    table, one = comparison_table(), comparison_table(treatment="manure", comparison=list("abababab"))
    assert prepare(table, load_model()).attrs["level_kind"] == "on"
    assert prepare(table, load_model(settings={"levels.kind": "off"})).attrs["level_kind"] == "off"
    assert prepare(one, load_model()).attrs["level_kind"] == "off"
    problem = found(one, "one-kind", levels__kind="on")
    assert problem.severity == "warning"
    assert prepare(one, load_model(settings={"levels.kind": "on"})).attrs["level_kind"] == "off"


def test_spellings_of_one_kind_are_mapped_and_unknown_ones_reported():
    settings = {"data.kinds": {"manure": "organic", "straw": "organic", "Straw": "organic"}}
    data = prepare(comparison_table(), load_model(settings=settings))
    assert data["kind"].values.tolist() == ["organic"]
    assert set(data["treatment"].values) == {"manure", "straw"}
    (problem,) = (p for p in check_table(comparison_table(), load_model(settings=settings)) if p.check == "kind-unused")
    assert (problem.severity, problem.value) == ("warning", "Straw")
    assert "'straw'" in problem.remedy


def sites_table(studies: int, sites: int, comparisons: int) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    rows = [(f"S{i}", f"site {j}", f"T{k}") for i in range(studies) for j in range(sites) for k in range(comparisons)]
    table = pd.DataFrame(rows, columns=["study", "site", "treatment"])
    means = ("necromass_control", "necromass_treatment", "soc_control", "soc_treatment")
    return table.assign(**{m: rng.uniform(*((4, 6) if m[0] == "n" else (12, 15)), len(table)) for m in means})


@pytest.mark.parametrize(
    ("studies", "sites", "comparisons", "level"),
    [(5, 2, 2, "on"), (4, 2, 2, "off"), (5, 1, 2, "off"), (5, 2, 1, "off")],
)
def test_the_site_level_is_on_where_studies_and_sites_are_enough(studies, sites, comparisons, level):
    table = sites_table(studies, sites, comparisons)
    assert prepare(table, load_model()).attrs["level_site"] == level
    assert prepare(table, load_model(settings={"levels.site": "off"})).attrs["level_site"] == "off"


def test_a_site_level_without_sites_is_refused_with_a_warning():
    problem = found(sites_table(5, 1, 2), "one-site-per-study", levels__site="on")
    assert problem.severity == "warning"
    assert prepare(sites_table(2, 2, 2), load_model(settings={"levels.site": "on"})).attrs["level_site"] == "on"


def test_several_depths_of_one_site_are_counted_where_the_level_is_off():
    table = comparison_table(depth_top=[0, 10] * 4, depth_bottom=[10, 20] * 4)
    problem = found(table, "several-depths-of-one-site")
    assert problem.message.startswith("4 sites have several depths or dates")
    assert problem.rows == tuple(range(2, 10))
    assert found(comparison_table(date=["2019", "2020"] + [""] * 6), "several-depths-of-one-site").value == "S1"


def test_sites_are_named_by_site_then_coordinates_then_study():
    rows = pd.DataFrame(
        {
            "study": ["A", "A", "B", "B"],
            "site": ["1", "", "", ""],
            "latitude": [41.51, 41.51, 12.0, np.nan],
            "longitude": [123.4, 123.4, np.nan, 9.0],
        }
    )
    assert site_names(rows).tolist() == ["A: 1", "A: 41.51, 123.4", "B", "B"]


def test_control_names_that_differ_in_capitals_are_warned_of():
    table, _ = simulate(studies=3, seed=1)
    table.loc[table.index[0], "control_id"] = "c1"
    table = table.assign(study="S1", control_id=["c1" if i == 0 else "C1" for i in range(len(table))])
    spelled = table.assign(**{name: table[name].iloc[0] for name in table if "_control" in name})
    (problem,) = (p for p in check_table(spelled, load_model()) if p.check == "control-spelling")
    assert (problem.severity, problem.value) == ("warning", "C1 / c1")


def test_a_forgotten_example_row_is_warned_of(tmp_path):
    write_template(tmp_path / "t.csv", "comparison")
    (problem,) = (p for p in check_table(tmp_path / "t.csv", load_model()) if p.check == "example-row")
    assert (problem.severity, problem.rows) == ("warning", (2,))
