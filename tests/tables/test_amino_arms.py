import numpy as np
import pandas as pd
import pytest
from made_amino import BOTH, amino_table
from made_tables import checks_of, found, spoilt

import mcpbayes as mb
from mcpbayes.errors import DataError
from mcpbayes.measurement import amino_sugars as conversion

#: The CVs that the table gives, as they are.
CONVENTIONAL = {"data.factors.set": "conventional", "data.dispersion.sd_model": "reported"}


def prepared(table, **settings):
    return mb.prepare(
        table, mb.load_model(settings=CONVENTIONAL | {k.replace("__", "."): v for k, v in settings.items()})
    )


def necromass(data, name="mean"):
    return data[name].sel(outcome="necromass").values


def without_reported(table):
    return table.drop(columns=[name for name in table if name.startswith("necromass")])


def test_necromass_is_made_of_amino_sugars_where_there_is_nothing_else():
    table = without_reported(amino_table())
    data = prepared(table)
    treated = data["arm_of_comparison"].values
    made = 9 * table["glucosamine_treatment"] + 32.1622 * table["muramic_acid_treatment"]
    assert necromass(data.sel(arm=treated)) == pytest.approx(made.to_numpy(), rel=1e-5)
    assert set(data["source_necromass"].values) == {"amino sugars"}
    assert data.attrs["q"] == pytest.approx(45 / 9 - 2 * 179.17 / 251.23)


def test_amino_sugars_go_before_reported_necromass_and_can_be_switched_off():
    table = amino_table()
    ratio = necromass(prepared(table)) / necromass(prepared(table, data__necromass_from="reported"))
    assert np.all(ratio > 1.2), "the reported means of this table are made with other factors"
    plain = mb.prepare(table.drop(columns=list(BOTH)), mb.load_model())
    assert necromass(prepared(table, data__necromass_from="reported")) == pytest.approx(necromass(plain))
    assert "source_necromass" not in plain
    note = found(table, "necromass-from", data__necromass_from="reported")
    assert note.message == "the amino sugars are not used: necromass of 12 arms is as reported"


def test_the_median_factors_stand_behind_the_mean_of_uncertain_ones():
    data = mb.prepare(without_reported(amino_table()), mb.load_model())
    g, m = data["amino_mean"].values.T
    expected = conversion.necromass(g, m, data.attrs["k_F"], data.attrs["q"])
    assert necromass(data) == pytest.approx(expected)
    assert data.attrs["k_F"] == pytest.approx(10, rel=0.01)
    assert data.attrs["q"] == pytest.approx(2.0, abs=0.05)


def test_one_source_per_control_the_one_that_informs_more_comparisons():
    table = spoilt(amino_table(), 3, muramic_acid_treatment="")
    data = prepared(table)
    sources = dict(zip(data["control_of_arm"].values, data["source_necromass"].values, strict=True))
    assert sources["S1: control 1"] == "reported"
    assert sources["S2: control 1"] == "amino sugars"
    for control in np.unique(data["control_of_arm"].values):
        own = data["source_necromass"].values[data["control_of_arm"].values == control]
        assert len(set(own) - {""}) == 1
    assert "of 9 arms is made" in found(table, "necromass-from").message
    assert "of 3 it is as reported" in found(table, "necromass-from").message
    assert found(table, "one-amino-sugar").rows == (3,)


def test_necromass_of_the_other_source_is_left_out_and_named():
    table = amino_table(studies=2)
    table.loc[[0, 1], "necromass_control"] = np.nan
    table.loc[1, ["glucosamine_treatment", "muramic_acid_treatment"]] = np.nan
    problem = found(table, "necromass-left-out")
    assert problem.rows == (3,) and problem.severity == "warning"
    data = prepared(table)
    assert list(data["source_necromass"].values).count("") == 1


def test_a_missing_amino_sugar_is_missing_necromass():
    table = spoilt(without_reported(amino_table()), 2, glucosamine_treatment="")
    data = prepared(table)
    arm = data["arm_of_comparison"].values[data["source_row"].values == 2].item()
    assert np.isnan(necromass(data.sel(arm=arm)))
    assert "missing-pool" in checks_of(table)


def test_the_cv_of_necromass_follows_from_the_sds_of_the_amino_sugars():
    sds = {f"{sugar}_{role}_sd": sd for sugar, sd in (("glucosamine", 0.1), ("muramic_acid", 0.01))
           for role in ("control", "treatment")}  # fmt: skip
    data = prepared(without_reported(amino_table(**sds)), data__defaults__rho_amino_sugars=0.3)
    g, m = data["amino_mean"].values.T
    q = data.attrs["q"]
    expected = np.sqrt(0.1**2 + (q * 0.01) ** 2 + 2 * q * 0.3 * 0.1 * 0.01) / (g + q * m)
    assert necromass(data, "cv") == pytest.approx(expected)
    assert set(data["source_amino_sd"].values.ravel()) == {"reported"}
    assert set(data["source_sd"].sel(outcome="necromass").values) == {"derived"}
    variance = data["sampling_covariance"].sel(outcome="necromass", outcome_bis="necromass").values
    assert variance == pytest.approx(expected**2 / 4)


@pytest.mark.parametrize("sugar", ["glucosamine", "muramic_acid"])
def test_spreads_of_amino_sugars_that_cannot_be_are_errors(sugar):
    table = without_reported(amino_table(**{f"{sugar}_control_sd": 0.01}))
    large = 2.1 * table.loc[1, f"{sugar}_treatment"]  # four plots: at most twice the mean
    impossible = found(spoilt(table, 3, **{f"{sugar}_treatment_sd": large}), "impossible-dispersion")
    assert (impossible.severity, impossible.rows, impossible.column) == ("error", (3,), f"{sugar}_treatment_sd")
    apart = found(spoilt(table, 3, **{f"{sugar}_treatment_sd": 0.01, f"{sugar}_treatment_se": 0.01}), CONTRADICT)
    assert (apart.severity, apart.rows) == ("error", (3,))
    fine = spoilt(table, 3, **{f"{sugar}_treatment_sd": 0.01, f"{sugar}_treatment_se": 0.005})
    assert not {"impossible-dispersion", CONTRADICT} & set(checks_of(fine))


CONTRADICT = "dispersions-contradict"


def test_without_any_sd_necromass_has_its_default_cv():
    data = prepared(without_reported(amino_table()))
    assert necromass(data, "cv") == pytest.approx(0.20)
    assert set(data["source_sd"].sel(outcome="necromass").values) == {"imputed"}
    assert np.all(data["source_amino_sd"].values == "imputed")
    cv = data["amino_cv"].values
    assert np.all((cv > 0.2) & (cv < 0.25)) and np.array_equal(cv[:, 0], cv[:, 1])


def test_the_reported_cv_of_necromass_serves_its_amino_sugars():
    table = amino_table(necromass_control_cv=0.31, necromass_treatment_cv=0.31)
    data = prepared(table)
    assert necromass(data, "cv") == pytest.approx(0.31)
    assert set(data["source_sd"].sel(outcome="necromass").values) == {"derived"}


def test_standard_errors_and_replicates_of_the_arm_serve_the_amino_sugars():
    ses = {f"{sugar}_{role}_se": 0.05 for sugar in ("glucosamine", "muramic_acid") for role in ("control", "treatment")}
    table = without_reported(amino_table(**ses))
    table[["muramic_acid_control_se", "muramic_acid_treatment_se"]] = 0.005
    data = prepared(table)
    assert data["amino_cv"].values == pytest.approx(np.array([0.05, 0.005]) * 2 / data["amino_mean"].values)
    assert np.all(data["amino_n"].values == 4)


def test_amino_sugars_may_have_units_of_their_own_or_that_of_necromass():
    table = without_reported(amino_table())
    milli = table.assign(**{name: 1000 * table[name] for name in BOTH})
    for settings in ({"data__units__glucosamine": "ug/g", "data__units__muramic_acid": "mg/kg"},
                     {"data__units__necromass": "mg/kg"}):  # fmt: skip
        assert necromass(prepared(milli, **settings)) == pytest.approx(necromass(prepared(table)))
    problem = found(milli, "amino-sugars-unit")
    assert "glucosamine in g/kg" in problem.expected and len(problem.rows) == len(milli)
    with pytest.raises(DataError, match="amino-sugars-unit|no soil"):
        prepared(table.assign(muramic_acid_control=1000 * table["muramic_acid_control"]))


def test_arms_without_fungi_and_above_their_soc_are_named_and_kept():
    table = spoilt(without_reported(amino_table()), 4, muramic_acid_treatment=0.9)
    problem = found(table, "no-fungal-necromass")
    assert problem.rows == (4,) and problem.severity == "warning"
    exceeding = found(table, "necromass-exceeds-soc")
    assert exceeding.rows == (4,)
    assert np.isfinite(necromass(prepared(table))).all()


def test_controls_are_shared_by_their_amino_sugars():
    table = without_reported(amino_table())
    assert prepared(table).sizes["control"] == 4
    apart = spoilt(table, 2, muramic_acid_control=0.0501)
    assert prepared(apart).sizes["control"] == 5
    named = spoilt(table.assign(control_id="CK"), 2, muramic_acid_control=0.0501)
    assert found(named, "control-differs").column == "muramic_acid_control"


def test_the_arm_layout_gives_the_same_arms():
    wide = without_reported(amino_table())
    rows = []
    for study, group in wide.groupby("study"):
        cells = {role: [f"{name}_{role}" for name in ("glucosamine", "muramic_acid", "soc")] for role in BOTH_ROLES}
        names = ["glucosamine", "muramic_acid", "soc"]
        head = {"study": study, "control_id": "CK", "n": 4}
        rows.append(
            head | {"role": "control", "treatment": ""} | dict(zip(names, group.iloc[0][cells["control"]], strict=True))
        )
        for _, row in group.iterrows():
            own = dict(zip(names, row[cells["treatment"]], strict=True))
            rows.append(head | {"role": "treatment", "treatment": row["treatment"]} | own)
    data = prepared(pd.DataFrame(rows), data__layout="arm")
    expected = prepared(wide)
    assert necromass(data) == pytest.approx(necromass(expected))
    assert np.array_equal(data["amino_mean"].values, expected["amino_mean"].values)


BOTH_ROLES = ("control", "treatment")


def test_rows_in_any_order_and_a_duplicate_name_change_nothing():
    table = amino_table()
    shuffled = table.sample(frac=1, random_state=3)
    one, other = prepared(table), prepared(shuffled)
    assert one.drop_vars("source_row").identical(other.drop_vars("source_row").assign_attrs(one.attrs))


def test_a_table_with_one_amino_sugar_still_needs_necromass():
    table = without_reported(amino_table()).drop(columns=["muramic_acid_treatment"])
    problems = [p for p in mb.check_table(table, mb.load_model()) if p.check == "column-absent"]
    assert [p.column for p in problems] == ["necromass_treatment"]
    assert "glucosamine_treatment and muramic_acid_treatment" in problems[0].remedy
