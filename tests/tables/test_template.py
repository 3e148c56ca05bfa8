import openpyxl
import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import prepare
from mcpbayes.tables.columns import (
    DISPERSIONS,
    GUIDE_TITLE,
    INTERVALS,
    ROLES,
    columns,
    contrast_columns,
    dispersion_column,
    mean_column,
    n_columns,
    pair_columns,
)
from mcpbayes.tables.reading import read_table
from mcpbayes.tables.template import column_guide, write_template

LAYOUTS = ("comparison", "arm", "plot", "contrast")
POOLS = ("necromass", "soc")


def by_name(layout, outcomes=POOLS):
    return {column.name: column for column in columns(layout, outcomes)}


# the catalogue


def test_names_of_the_comparison_layout():
    known = by_name("comparison")
    required = {name for name, column in known.items() if column.required}
    assert required == {
        "study", "treatment", "necromass_control", "necromass_treatment", "soc_control", "soc_treatment"
    }  # fmt: skip
    assert {
        "control_id", "comparison", "necromass_control_sd", "soc_treatment_se", "soc_control_cv", "n_control",
        "necromass_n_treatment", "rho_within", "site", "latitude", "longitude", "depth_top", "depth_bottom", "date",
        "duration_years", "design",
    } <= set(known)  # fmt: skip


def test_names_of_the_arm_layout():
    known = by_name("arm")
    required = {name for name, column in known.items() if column.required}
    assert required == {"study", "control_id", "role", "treatment", "necromass", "soc"}
    assert known["role"].choices == ("control", "treatment")
    assert {"necromass_sd", "soc_se", "soc_cv", "n", "necromass_n"} <= set(known)


def test_names_of_the_plot_layout():
    known = by_name("plot")
    required = {name for name, column in known.items() if column.required}
    assert required == {"study", "control_id", "role", "treatment", "necromass", "soc"}
    assert {"plot", "block", "site", "depth_top", "date", "comparison"} <= set(known)
    assert not {"n", "necromass_sd", "soc_se", "soc_n", "rho_within"} & set(known)


@pytest.mark.parametrize(
    ("outcomes", "required", "optional"),
    [
        (("soc",), {"yi", "vi"}, {"v_control"}),
        (
            POOLS,
            {"yi_necromass", "vi_necromass", "yi_soc", "vi_soc"},
            {"rho", "cov", "v_control_necromass", "v_control_soc", "cov_control"},
        ),
        (
            ("a", "b", "c"),
            {"yi_a", "vi_a", "yi_b", "vi_b", "yi_c", "vi_c"},
            {"rho_a_b", "rho_a_c", "rho_b_c", "cov_a_b", "cov_a_c", "cov_b_c", "v_control_c", "cov_control_a_c"},
        ),
    ],
)
def test_names_of_the_contrast_layout(outcomes, required, optional):
    known = by_name("contrast", outcomes)
    found = {name for name, column in known.items() if column.required}
    assert found == required | {"study", "comparison"}
    assert optional | {"control_id", "mcp_efficacy_control"} <= set(known)
    assert not {"rho", "cov"} & set(known) or len(outcomes) == 2


@pytest.mark.parametrize("layout", ["comparison", "arm"])
@pytest.mark.parametrize("outcomes", [POOLS, ("soc",), ("a", "b", "c")])
def test_helpers_spell_the_names_of_the_catalogue(layout, outcomes):
    known = by_name(layout, outcomes)
    for outcome in outcomes:
        for role in ROLES:
            names = [
                mean_column(layout, outcome, role),
                *(dispersion_column(layout, outcome, role, kind) for kind in (*DISPERSIONS, *INTERVALS)),
                *n_columns(layout, outcome, role),
            ]
            assert set(names) <= set(known)
            assert known[names[0]].required


@pytest.mark.parametrize("outcomes", [("soc",), POOLS, ("a", "b", "c")])
def test_helpers_spell_the_names_of_contrasts(outcomes):
    known = by_name("contrast", outcomes)
    assert {name for outcome in outcomes for name in contrast_columns(outcomes, outcome)} <= set(known)
    if len(outcomes) > 1:
        assert set(pair_columns(outcomes, outcomes[0], outcomes[-1])) <= set(known)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("outcomes", [POOLS, ("soc",), ("a", "b", "c")])
def test_names_are_unique_and_every_column_is_explained(layout, outcomes):
    found = columns(layout, outcomes)
    assert len({column.name for column in found}) == len(found)
    assert len({len(column.examples) for column in found}) == 1
    for column in found:
        assert column.meaning.endswith(".")
        assert any(column.examples), column.name
        assert column.shown or not column.required, column.name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_examples_keep_their_own_rules(layout):
    for column in columns(layout):
        for text in filter(None, column.examples):
            if column.kind != "number":
                continue
            assert column.lower is None or float(text) >= column.lower
            assert column.upper is None or float(text) <= column.upper
            assert not column.strict or float(text) not in (column.lower, column.upper)


def test_other_layouts(tmp_path):
    with pytest.raises(
        SpecificationError, match=r"the layout 'wide' is unknown; use comparison, arm, plot or contrast"
    ):
        write_template(tmp_path / "t.xlsx", "wide")
    assert not (tmp_path / "t.xlsx").exists()


# the file


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_kinds_of_file_hold_the_same_table(tmp_path, layout):
    tables = []
    for suffix in ("xlsx", "csv"):
        path = tmp_path / "new folder" / f"t.{suffix}"
        write_template(path, layout)
        tables.append(read_table(path))
    assert tables[0].equals(tables[1])
    shown = {column.name: list(column.examples) for column in columns(layout) if column.shown}
    assert tables[0].to_dict("list") == shown


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_an_unchanged_template_can_be_prepared(tmp_path, layout, suffix):
    write_template(tmp_path / f"t.{suffix}", layout)
    if layout == "contrast":
        model = load_model("contrast-based")
    else:
        model = load_model("arm-based", settings=[f"data.layout={layout}"])
    data = prepare(tmp_path / f"t.{suffix}", model)
    assert data.sizes["comparison"] == 1
    assert data.attrs["layout"] == layout


def test_workbook_explains_itself(tmp_path):
    write_template(tmp_path / "t.xlsx", "arm")
    book = openpyxl.load_workbook(tmp_path / "t.xlsx")
    assert book.sheetnames == ["table", "columns"]
    assert book.active.title == "table"
    assert book["columns"]["A1"].value == GUIDE_TITLE
    lines = list(book["columns"].iter_rows(min_row=5, values_only=True))
    assert [tuple(text or "" for text in line) for line in lines] == [tuple(line) for line in column_guide("arm")]


def test_what_stands_in_for_necromass_is_said(tmp_path):
    write_template(tmp_path / "t.xlsx", "arm")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["table"]
    said = {cell.value: cell.comment.text.partition(".")[0] for cell in sheet[1]}
    assert (said["necromass"], said["soc"]) == ("Required (or both amino sugars)", "Required")
    guide = {line.column: line for line in column_guide("plot")}
    assert guide["necromass"].needed == "required"
    assert "Amino sugars are not taken in this layout" in guide["necromass"].meaning
    assert "mino" not in guide["soc"].meaning


def test_headers_show_what_is_required(tmp_path):
    write_template(tmp_path / "t.xlsx", "comparison")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["table"]
    known = by_name("comparison")
    fills = {known[cell.value].required: cell.fill.fgColor.rgb for cell in sheet[1]}
    assert fills[True] != fills[False]
    for cell in sheet[1]:
        column = known[cell.value]
        assert cell.font.bold is column.required
        assert cell.fill.fgColor.rgb == fills[column.required]
        assert column.meaning in cell.comment.text
        assert column.unit in cell.comment.text
        assert sheet.column_dimensions[cell.column_letter].width > len(cell.value)
    assert sheet.freeze_panes == "B2"


def test_numbers_are_stored_as_numbers_and_roles_offered(tmp_path):
    write_template(tmp_path / "t.xlsx", "arm")
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx")["table"]
    place = {cell.value: cell.column_letter for cell in sheet[1]}
    assert sheet[f"{place['soc']}2"].value == 13.2
    (choices,) = sheet.data_validations.dataValidation
    assert choices.formula1 == '"control,treatment"'
    assert f"{place['role']}3" in choices.sqref


def test_other_outcomes(tmp_path):
    write_template(tmp_path / "t.csv", "contrast", ["soc"])
    assert {"yi", "vi"} <= set(read_table(tmp_path / "t.csv").columns)


def test_guide_says_what_is_needed():
    guide = {line.column: line for line in column_guide("comparison")}
    assert guide["soc_control"].needed == "required"
    assert guide["soc_control"].unit == "unit of the pool (g/kg unless data.units says otherwise)"
    assert guide["soc_control_cv"] == (
        "soc_control_cv",
        "optional",
        "fraction",
        "Coefficient of variation (SD/mean) of soil organic C in the control arm; instead of the SD.",
        "0.12",
    )


@pytest.mark.parametrize("name", ["t.xls", "t", "t.tsv"])
def test_other_kinds_of_file(tmp_path, name):
    with pytest.raises(SpecificationError, match=r"a template is an \.xlsx or a \.csv file"):
        write_template(tmp_path / name, "comparison")
