"""Fungal and bacterial necromass as outcomes: what a table of them may be, and what is missing in it."""

import numpy as np
import pandas as pd
import pytest
from made_parts import REPORTED, THREE, part_table, sugar_table
from made_tables import spoilt

import mcpbayes as mb
from mcpbayes.errors import DataError, SpecificationError
from mcpbayes.specification.loading import from_toml, to_toml
from mcpbayes.tables.columns import columns
from mcpbayes.tables.naming import counted


def model(**settings):
    return mb.load_model(settings=REPORTED | {name.replace("__", "."): value for name, value in settings.items()})


def problems_of(table, **settings):
    return {problem.check: problem for problem in mb.check_table(table, model(**settings))}


def test_the_three_pools_go_together():
    assert mb.load_model(settings={"data.outcomes": THREE[::-1]}).data.outcomes == tuple(THREE[::-1])
    for wrong in (["fungal_necromass", "soc"], ["necromass", *THREE], THREE[:2]):
        with pytest.raises(
            SpecificationError, match=r"or 'fungal_necromass', 'bacterial_necromass' and 'soc' together"
        ):
            mb.load_model(settings={"data.outcomes": wrong})


def test_cvs_of_the_parts_are_those_of_necromass_unless_given():
    spec = mb.load_model(settings={"data.outcomes": THREE, "data.defaults.cv.fungal_necromass": 0.3})
    assert spec.data.defaults.cv == {
        "necromass": 0.20,
        "soc": 0.15,
        "fungal_necromass": 0.3,
        "bacterial_necromass": 0.2,
    }
    assert spec.priors["cv"].parameters["median"]["bacterial_necromass"] == 0.185
    assert from_toml(to_toml(spec)) == spec
    assert "fungal_necromass" not in mb.load_model().data.defaults.cv


def test_one_correlation_of_three_pools_is_above_minus_a_half():
    with pytest.raises(SpecificationError, match=r"data\.defaults\.rho_within: expected a number in \(-0\.5, 1\)"):
        model(data__defaults__rho_within=-0.6)
    table = part_table(rho_within=0.5)
    bad = problems_of(spoilt(table, 2, rho_within=-0.6))["out-of-range"]
    assert (bad.rows, bad.value, bad.expected) == ((2,), "-0.6", "a number between -0.5 and 1")


def test_the_arms_hold_three_pools_whose_covariances_are_positive_definite():
    data = mb.prepare(part_table(), model())
    assert data["outcome"].values.tolist() == THREE
    v = data["sampling_covariance"].values
    assert np.linalg.eigvalsh(v).min() > 0
    cv, n = data["cv"].values, data["n"].values
    assert v[:, 0, 1] == pytest.approx(0.5 * cv[:, 0] * cv[:, 1] / n[:, 0])
    assert np.isclose(v[:, 2, 2], cv[:, 2] ** 2 / n[:, 2]).all()


@pytest.mark.parametrize("typed", ["-0.4", "0"])
def test_fungal_necromass_of_zero_or_less_is_missing_and_the_others_are_used(typed):
    table = spoilt(part_table(), 4, fungal_necromass_treatment=typed)
    problem = problems_of(table)["fungal-necromass-missing"]
    assert (problem.severity, problem.rows, problem.column) == ("warning", (4,), "fungal_necromass_treatment")
    assert problem.value == typed and problem.message == (
        "in 1 row fungal necromass is nothing: zero or less; the fungal pool is missing there, the other pools of the "
        "arm are used"
    )
    assert not {"fungal-necromass-negative", "fungal-necromass-zero"} & set(problems_of(table))
    data = mb.prepare(table, model())
    arm = data["arm_of_comparison"].values[data["source_row"].values == 4].item()
    one = data.sel(arm=arm)
    assert np.isnan(one["log_mean"].sel(outcome="fungal_necromass"))
    assert np.isfinite(one["log_mean"].sel(outcome=["bacterial_necromass", "soc"])).all()
    assert one["source_sd"].sel(outcome="fungal_necromass") == ""
    assert "missing-pool" in problems_of(table)


@pytest.mark.parametrize("typed", ["-0.2", "0", "3.1"])
def test_rows_share_a_control_whose_fungal_necromass_cannot_be_used(typed):
    table = part_table().astype(object)
    table.loc[table["study"] == "S1", ["fungal_necromass_control", "fungal_necromass_control_sd"]] = [typed, 0.4]
    data = mb.prepare(table, model())
    assert data.sizes["control"] == mb.prepare(part_table(), model()).sizes["control"] == 4
    assert "control_id" not in table


def test_named_controls_differ_in_fungal_necromass_that_cannot_be_used():
    table = part_table(control_id="CK").astype(object)
    first = table["study"] == "S1"
    table.loc[first, ["fungal_necromass_control", "fungal_necromass_control_sd"]] = ["-0.2", 0.4]
    assert "control-differs" not in problems_of(table)
    assert problems_of(spoilt(table, 2, fungal_necromass_control="-0.3"))["control-differs"].rows == (2, 3)


def test_fungal_necromass_may_spread_more_than_positive_values_can():
    table = spoilt(part_table(), 3, fungal_necromass_treatment=2.0, fungal_necromass_treatment_sd=5.0)
    found = problems_of(table)
    assert found["fungal-necromass-faint"].rows == (3,) and "impossible-dispersion" not in found
    assert "impossible-dispersion" in problems_of(spoilt(part_table(), 3, soc_treatment_sd=500.0))


def test_a_comparison_of_faint_fungi_alone_is_an_error():
    others = {f"{pool}_{role}": "" for pool in THREE[1:] for role in ("control", "treatment")}
    others |= {f"{name}_sd": "" for name in others}
    table = spoilt(part_table(), 3, **others, fungal_necromass_treatment=2.0, fungal_necromass_treatment_sd=3.5)
    errors = [problem for problem in mb.check_table(table, model()) if problem.severity == "error"]
    assert [(error.check, error.rows) for error in errors] == [("no-pool-in-both-arms", (3,))]


def test_a_part_in_another_unit_and_parts_above_soc_are_named():
    table = part_table()
    thousand = table.assign(
        **{f"bacterial_necromass_{r}": 1000 * table[f"bacterial_necromass_{r}"] for r in ("control", "treatment")}
    )
    slip = problems_of(thousand)["bacterial_necromass-1000-times-too-large"]
    assert slip.severity == "error" and "--set data.units.bacterial_necromass=mg/kg" in slip.remedy
    same = mb.prepare(part_table(), model())
    sds = {f"bacterial_necromass_{r}_sd": 1000 * table[f"bacterial_necromass_{r}_sd"] for r in ("control", "treatment")}
    mended = mb.prepare(thousand.assign(**sds), model(data__units__bacterial_necromass="mg/kg"))
    np.testing.assert_allclose(mended["log_mean"], same["log_mean"])
    above = problems_of(spoilt(table, 3, soc_treatment=6.0))["necromass-exceeds-soc"]
    assert above.rows == (3,) and "fungal_necromass_treatment, bacterial_necromass_treatment" in above.column


@pytest.mark.parametrize(
    ("fungal", "bacterial"),
    [("fungal_necromass", "bacterial_necromass"), ("FNC", "BNC"), ("Fungal residue", "Bacterial")],
)
def test_a_part_is_never_proposed_as_the_whole(fungal, bacterial):
    table = part_table().rename(columns=lambda name: name.replace(THREE[0], fungal).replace(THREE[1], bacterial))
    absent = [p for p in mb.check_table(table, mb.load_model()) if p.check == "column-absent"]
    assert [problem.column for problem in absent] == ["necromass_control", "necromass_treatment"]
    assert absent[0].remedy.startswith(
        f"Both parts are there, '{fungal}_control' and '{bacterial}_control': analyse them as pools of their own, "
        '--set \'data.outcomes=["fungal_necromass", "bacterial_necromass", "soc"]\', or give the table a column '
        "necromass_control with their sum."
    )
    alone = table.drop(columns=[name for name in table if name.startswith(bacterial)])
    remedies = [p.remedy for p in mb.check_table(alone, mb.load_model()) if p.check == "column-absent"]
    assert remedies and not any(fungal in remedy for remedy in remedies)


def test_one_part_nowhere_observed_is_an_error_that_says_what_can_be_analysed():
    with pytest.raises(DataError, match=r"fungal_necromass was not observed.*outcomes=\[\"soc\"\]"):
        mb.prepare(part_table(fungal_necromass_control=np.nan, fungal_necromass_control_sd=np.nan), model())


@pytest.mark.parametrize("layout", ["comparison", "arm", "plot"])
def test_the_template_has_columns_of_both_parts(layout):
    names = [column.name for column in columns(layout, THREE)]
    ends = ("_control", "_treatment") if layout == "comparison" else ("",)
    assert {f"{part}{end}" for part in THREE for end in ends} <= set(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("value", ["-0.4", "0"])
def test_a_plot_without_fungi_is_refused_with_the_way_out(value):
    arms = part_table(studies=2)
    rows = [
        {"study": row.study, "control_id": "CK", "role": role, "treatment": "" if role == "control" else row.treatment}
        | {"plot": plot, "soc": 20 + plot}
        | {pool: getattr(row, f"{pool}_{role}") * (1 + 0.1 * plot) for pool in THREE[:2]}
        for row in arms[arms["treatment"] == "straw"].itertuples()
        for role in ("control", "treatment")
        for plot in (1, 2, 3)
    ]
    table = spoilt(pd.DataFrame(rows).astype(object), 3, fungal_necromass=value)
    found = problems_of(table, data__layout="plot")["negative-mean" if value == "-0.4" else "zero-mean"]
    assert found.rows == (3,) and found.severity == "error"
    assert "one row per arm, with the mean over all its plots" in found.remedy
    assert "too high" in found.remedy and "Leave the cell empty" not in found.remedy


def test_one_arm_is_counted_in_the_singular():
    assert (counted(1, "arm"), counted(3, "arm"), counted(0, "row")) == ("1 arm", "3 arms", "0 rows")
    found = problems_of(spoilt(sugar_table().astype(object), 3, muramic_acid_treatment=""))
    assert found["one-amino-sugar"].message.startswith("1 arm has one of the two amino sugars only")
