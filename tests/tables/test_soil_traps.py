"""What tables of soil carbon mix up, one trap after the other, and all of them in real pairs."""

import json

import pandas as pd
import pytest
from made_tables import arm_table, checks_of, comparison_table, found, spoilt

from mcpbayes.cli import main
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table
from mcpbayes.tables.soil_traps import words


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("fraction_scheme", ["bulk soil", "aggregate"]),
        ("aggregate_size", ["", ">2mm"]),
        ("Aggregate size (mm)", ["bulk", "0.25-2 mm"]),
        ("soilFraction", ["whole soil", "MAOM"]),
        ("sample", ["bulk soil", "rhizosphere"]),  # by what stands in it alone
    ],
)
def test_aggregates_among_bulk_soil_are_warned_of(column, cells):
    table = comparison_table().assign(**{column: cells[0]})
    assert "aggregates-with-bulk-soil" not in checks_of(table)
    problem = found(
        spoilt(spoilt(table, 3, **{column: cells[1]}), 5, **{column: cells[1]}), "aggregates-with-bulk-soil"
    )
    assert (problem.severity, problem.rows, problem.column) == ("warning", (3, 5), column)
    assert problem.message.startswith("2 of 8 rows")
    assert "aggregates-with-bulk-soil" not in checks_of(table.assign(**{column: cells[1]}))  # nothing is mixed


@pytest.mark.parametrize(
    "columns",
    [
        {"clay_fraction": [21, 24] * 4},
        {"treatment": ["light grazing", "bulk soil"] * 4},
        {"texture": ["clay", "sand"] * 4},
    ],
)
def test_columns_about_something_else_are_no_fractions(columns):
    assert "aggregates-with-bulk-soil" not in checks_of(comparison_table(**columns))


def test_identical_soc_is_counted_apart_in_bulk_soil():
    table = spoilt(comparison_table(fraction=["bulk soil"] * 6 + ["aggregate"] * 2), 2, soc_treatment=12.0)
    table = spoilt(table, 9, soc_treatment=18.0)
    assert "in both arms of 2 of 8 comparisons, 1 of 6 in bulk soil (17 %)" in found(table, "identical-soc").message


@pytest.mark.parametrize(("value", "check"), [(-0.4, "fungal-necromass-negative"), (0, "fungal-necromass-zero")])
@pytest.mark.parametrize("column", ["fungal_necromass_control", "fnc_ctl", "FungalResidue"])
def test_fungal_necromass_below_or_at_zero_is_warned_of(column, value, check):
    table = comparison_table(**{column: 2.5})
    assert not {"fungal-necromass-negative", "fungal-necromass-zero"} & set(checks_of(table))
    problem = found(spoilt(table, 4, **{column: value}), check)
    assert (problem.severity, problem.rows, problem.column) == ("warning", (4,), column)


def test_changes_of_fungal_necromass_may_be_negative():
    assert "fungal-necromass-negative" not in checks_of(comparison_table(ln_fnc=-0.1, fnc_sd=0))


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("soil_C_control", "total-carbon"),
        ("Total C (g/kg)", "total-carbon"),
        ("TC_ck", "total-carbon"),
        ("C_ctl_gkg", "which-carbon"),
        ("carbon", "which-carbon"),
        ("SOC_ck", None),
        ("TOC", None),
        ("total organic carbon", None),
        ("soil_organic_C", None),
        ("x", None),
    ],
)
def test_names_that_do_not_say_organic_carbon_are_told(name, check):
    table = comparison_table().rename(columns={"soc_control": name})
    told = {"total-carbon", "which-carbon"} & set(checks_of(table, data__columns__soc_control=name))
    assert told == ({check} if check else set())


def test_rows_of_total_carbon_are_told():
    table = comparison_table(carbon=["soc"] * 5 + ["soil_C", "", "total C"])
    problem = found(table, "total-carbon")
    assert (problem.rows, problem.column) == ((7, 9), "carbon")
    assert "total-carbon" not in checks_of(comparison_table(carbon=["soc"] * 8))
    assert "total-carbon" not in checks_of(comparison_table(carbon=["soc", "graphite"] * 4))


def test_controls_and_treated_arms_above_soc_are_told_apart():
    table = comparison_table()
    table.loc[2:3, "necromass_control"] = 15.0  # one control of two treatments; its SOC is 14
    table.loc[4, "necromass_treatment"] = 20.0  # SOC 17
    problems = check_table(table, load_model())
    controls, treated = [problem for problem in problems if problem.check == "necromass-exceeds-soc"]
    assert controls.message.startswith("necromass exceeds SOC in 1 of 4 controls")
    assert (controls.rows, controls.value) == ((4, 5), "S2: manure (1.07)")
    assert treated.message.startswith("necromass exceeds SOC in 1 of 8 treated arms")
    assert (treated.rows, treated.value) == ((6,), "S3: manure (1.18)")


def test_a_control_row_is_named_where_arms_are_rows():
    table = arm_table()
    row = table.index[table["role"] == "control"][1]
    table.loc[row, "necromass"] = 15.0
    problem = found(table, "necromass-exceeds-soc", data__layout="arm")
    assert problem.rows == (row + 2,) and "1 of 4 controls" in problem.message


def test_letters_of_windows_are_noted(tmp_path):
    table = comparison_table(place="Göttingen")
    for encoding, told in (("cp1252", True), ("utf-8", False), ("utf-8-sig", False)):
        path = tmp_path / f"{encoding}.csv"
        path.write_bytes(table.to_csv(index=False).encode(encoding))
        checks = {problem.check for problem in check_table(path, load_model())}
        assert ("windows-1252" in checks) is told


def test_how_rows_are_spread_is_told_beside_errors():
    table = pd.concat([comparison_table(studies=4), comparison_table(studies=1, necromass_treatment=[7.5, 7.7])])
    assert "largest-study" in checks_of(spoilt(table.reset_index(drop=True), 3, soc_control=-1))


def test_words_of_names():
    assert words("SOC_CK (g/kg)") == {"soc", "ck", "g", "kg"}
    assert words("fungalNecromass2") == {"fungal", "necromass"}


def test_every_trap_of_the_real_pairs_is_found(shared_data, root, capsys):
    command = ["check", str(shared_data / "sndb_pairs_all.csv"), "--model", str(root / "notebooks/sndb-pairs.toml")]
    assert main([*command, "--json"]) == 2  # two rows are in another unit
    problems = json.loads(capsys.readouterr().out)
    controls, treated = [problem for problem in problems if problem["check"] == "necromass-exceeds-soc"]
    named = [name.rsplit(" (", 1)[0] for name in controls["value"].split("; ")]
    assert named == ["21: biochar", "62: cover crop", "62: cover crop", "168: fertilizer"]
    assert "in 16 of 285 treated arms" in treated["message"] and len(treated["value"].split("; ")) == 16
    by_check = {problem["check"]: problem for problem in problems}
    assert "42 of 265 in bulk soil (16 %)" in by_check["identical-soc"]["message"]
    assert len(by_check["aggregates-with-bulk-soil"]["rows"]) == 20
    assert "81 of 285" in by_check["largest-study"]["message"] and by_check["largest-study"]["value"] == "33"
    assert by_check["several-depths-of-one-site"]["message"].startswith("9 sites")
    assert main(command) == 2
    shown = capsys.readouterr().out
    for check in by_check:
        assert check in shown
