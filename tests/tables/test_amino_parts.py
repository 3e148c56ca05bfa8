"""Fungal and bacterial necromass made of amino sugars: means, covariances, and what is missing."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from made_parts import REPORTED, THREE, part_table, sugar_table
from made_tables import spoilt

import mcpbayes as mb
from mcpbayes.errors import DataError
from mcpbayes.measurement.amino_parts import bacterial_share, parts_correlation, parts_covariance
from mcpbayes.measurement.factor_draws import draw_triples, largest_rho_b, strata_of_parts
from mcpbayes.specification.factors import NAMED
from mcpbayes.tables.part_arms import most_bacterial

CONVENTIONAL = REPORTED | {"data.factors.set": "conventional"}
RATIO = 179.17 / 251.23


def prepared(table, **settings):
    return mb.prepare(table, model(**settings))


@cache
def plain():
    """The table as it is; prepared once."""
    return prepared(sugar_table())


def model(**settings):
    return mb.load_model(settings=CONVENTIONAL | {name.replace("__", "."): value for name, value in settings.items()})


def problems_of(table, **settings):
    return {problem.check: problem for problem in mb.check_table(table, model(**settings))}


def said(data):
    """What a prepared table says of itself, by check."""
    return {fields["check"]: fields for fields in json.loads(data.attrs["problems"])}


def in_row(data, row):
    return data.sel(arm=data["arm_of_comparison"].values[data["source_row"].values == row].item())


def test_both_pools_and_their_covariance_follow_from_the_amino_sugars():
    table, data = sugar_table(), plain()
    g, m = data["amino_mean"].values.T
    mean = data["mean"].sel(outcome=THREE).values
    assert mean[:, 0] == pytest.approx(9 * (g - 2 * RATIO * m)) and mean[:, 1] == pytest.approx(45 * m)
    assert data["bacterial_share"].values == pytest.approx(2 * RATIO * m / g)
    treated = data["arm_of_comparison"].values
    assert data.sel(arm=treated)["mean"].values[:, 1] == pytest.approx(45 * table["muramic_acid_treatment"].to_numpy())
    cv, n = data["cv"].values, data["n"].values
    given = table["glucosamine_treatment_sd"] / table["glucosamine_treatment"]
    assert data.sel(arm=treated)["cv"].values[:, 0] == pytest.approx(given.to_numpy())
    correlation = parts_correlation(0.7, np.full(len(cv), 0.5))
    v = parts_covariance(bacterial_share(g, m, 2.0), cv, n, correlation)
    np.testing.assert_allclose(data["sampling_covariance"], v, rtol=1e-12)
    np.testing.assert_allclose(data["log_mean"], np.log(mean) + np.einsum("akk->ak", v) / 2, rtol=1e-12)
    uncorrected = prepared(table, data__effect_size__bias_correction=False)
    np.testing.assert_allclose(uncorrected["log_mean"], np.log(mean), rtol=1e-12)
    assert set(data["source_sd"].sel(outcome="fungal_necromass").values) == {"reported"}


def test_the_order_of_the_outcomes_leaves_no_trace():
    one, other = plain(), prepared(sugar_table(), data__outcomes=THREE[::-1])
    both = {"outcome": THREE, "outcome_bis": THREE}
    np.testing.assert_array_equal(one["sampling_covariance"].sel(both), other["sampling_covariance"].sel(both))
    np.testing.assert_array_equal(one["log_mean"].sel(outcome=THREE), other["log_mean"].sel(outcome=THREE))


def test_the_sum_of_both_is_the_necromass_of_the_same_table_with_the_same_variance():
    apart, whole = plain(), prepared(sugar_table(), data__outcomes=["necromass", "soc"])
    pools = apart["mean"].sel(outcome=THREE[:2]).values
    assert pools.sum(axis=1) == pytest.approx(whole["mean"].sel(outcome="necromass").values)
    weight = pools / pools.sum(axis=1, keepdims=True)
    v = apart["sampling_covariance"].sel(outcome=THREE[:2], outcome_bis=THREE[:2]).values
    expected = whole["sampling_covariance"].sel(outcome="necromass", outcome_bis="necromass").values
    assert np.einsum("ai,aij,aj->a", weight, v, weight) == pytest.approx(expected, rel=1e-9)


def test_without_fungal_glucosamine_the_fungal_pool_is_missing_and_counted():
    table = spoilt(sugar_table(), 3, muramic_acid_treatment=0.75 * sugar_table().loc[1, "glucosamine_treatment"])
    data = prepared(table)
    problem = said(data)["no-fungal-necromass"]
    assert (problem["severity"], problem["rows"]) == ("warning", [3])
    assert problem["message"] == (
        "in 1 arm bacteria explain all glucosamine, so that fungal necromass is nothing; the fungal pool is missing "
        "there, the other pools of the arm are used"
    )
    one = in_row(data, 3)
    assert np.isnan(one["log_mean"].sel(outcome="fungal_necromass"))
    assert np.isnan(one["sampling_covariance"].sel(outcome="fungal_necromass")).all()
    rest = {"outcome": THREE[1:], "outcome_bis": THREE[1:]}
    assert np.linalg.eigvalsh(one["sampling_covariance"].sel(rest).values).min() > 0
    assert one["mean"].sel(outcome="bacterial_necromass") == pytest.approx(
        45 * float(table.loc[1, "muramic_acid_treatment"])
    )
    assert int(data["log_mean"].sel(outcome="fungal_necromass").isnull().sum()) == 1
    assert "fungal_necromass is missing in 1 of 8" in said(data)["missing-pool"]["message"]
    assert json.loads(data.attrs["imputed"])["sd"]["fungal_necromass"] == 0


def test_fungal_necromass_not_to_be_told_from_nothing_is_missing_without_any_correction():
    table = spoilt(sugar_table(), 3, muramic_acid_treatment=0.65 * sugar_table().loc[1, "glucosamine_treatment"])
    data = prepared(table)
    warning = said(data)["fungal-necromass-faint"]
    assert (warning["severity"], warning["value"], warning["rows"]) == ("warning", "S1: straw", [3])
    assert warning["message"] == (
        "in 1 arm fungal necromass is not to be told from nothing: it is less than two standard errors above zero; the "
        "fungal pool is missing there, the other pools of the arm are used. With it the fungal pool is missing in 1 of "
        "8 comparisons"
    )
    one, fungal = in_row(data, 3), {"outcome": "fungal_necromass"}
    for name in ("mean", "log_mean", "cv", "n"):
        assert np.isnan(one[name].sel(fungal)) and np.isfinite(one[name].sel(outcome=THREE[1:])).all()
    assert one["source_sd"].sel(fungal) == one["source_n"].sel(fungal) == "" and one["bacterial_share"] == 0
    assert np.isnan(one["sampling_covariance"].sel(fungal)).all()
    rest = {"outcome": THREE[1:], "outcome_bis": THREE[1:]}
    assert np.linalg.eigvalsh(one["sampling_covariance"].sel(rest).values).min() > 0
    others = data["arm"].values != one["arm"].item()
    np.testing.assert_array_equal(data["log_mean"].values[others], plain()["log_mean"].values[others])
    assert "fungal-necromass-faint" not in said(plain())


def test_with_factors_in_doubt_the_largest_that_is_fitted_says_whether_it_is_faint():
    table = spoilt(sugar_table(), 3, muramic_acid_treatment=0.47 * sugar_table().loc[1, "glucosamine_treatment"])
    assert np.isfinite(in_row(prepared(table), 3)["mean"]).all()
    assert "fungal-necromass-faint" in said(prepared(table, data__factors__set="uncertain"))


def test_with_factors_in_doubt_it_is_missing_where_those_of_any_world_leave_no_fungi():
    uncertain = NAMED["uncertain"]
    largest = [largest_rho_b(uncertain, worlds) for worlds in (1, 8, 80)]
    assert largest == [max(np.median(part.rho_b) for part in strata_of_parts(uncertain, n)) for n in (1, 8, 80)]
    assert largest == sorted(largest) and largest[-1] < draw_triples(uncertain).rho_b.max()
    assert largest_rho_b(NAMED["conventional"], 8) == 2.0
    table = spoilt(sugar_table(), 3, muramic_acid_treatment=0.52 * sugar_table().loc[1, "glucosamine_treatment"])
    assert "no-fungal-necromass" not in said(prepared(table))
    data = prepared(table, data__factors__set="uncertain")
    problem = said(data)["no-fungal-necromass"]
    assert "explain all glucosamine with some of the factors 'uncertain', so that" in problem["message"]
    assert problem["expected"] == "less than 0.509 with 2.76 moles of glucosamine per mole"
    assert np.isnan(in_row(data, 3)["mean"].sel(outcome="fungal_necromass"))
    once = prepared(table, data__factors__set="uncertain", sampling__worlds=1)
    assert in_row(once, 3)["mean"].sel(outcome="fungal_necromass") > 0
    assert (
        most_bacterial(model(data__factors__set="uncertain", data__dispersion__sd_model="hierarchical")) == largest[2]
    )


def test_muramic_acid_alone_makes_bacterial_necromass():
    table = spoilt(sugar_table(), 2, glucosamine_treatment="", glucosamine_treatment_sd="")
    data = prepared(table)
    one = in_row(data, 2)
    assert np.isnan(one["mean"].sel(outcome="fungal_necromass")) and one["mean"].sel(outcome="bacterial_necromass") > 0
    assert "no fungal necromass can be made" in said(data)["one-amino-sugar"]["message"]


def test_one_source_per_control_and_reported_pools_keep_their_own_covariance():
    table = part_table().join(sugar_table()[[c for c in sugar_table() if c.startswith(("gluco", "mura"))]])
    table = table.drop(columns=[c for c in table if c.startswith("soc") and c.endswith("_sd")]).astype(object)
    table.loc[table["study"] == "S1", [c for c in table if c.startswith(("gluco", "mura"))]] = ""
    data, reported = prepared(table), prepared(part_table(), data__necromass_from="reported")
    source = dict(zip(data["control_of_arm"].values, data["source_necromass"].values, strict=True))
    assert source["S1: control 1"] == "reported" and source["S2: control 1"] == "amino sugars"
    own = data["control_of_arm"].values == "S1: control 1"
    two = {"outcome": THREE[:2], "outcome_bis": THREE[:2]}
    np.testing.assert_allclose(
        data["sampling_covariance"].sel(two)[own], reported["sampling_covariance"].sel(two)[own], rtol=1e-12
    )
    assert (data["bacterial_share"].values[own] == 0).all() and (data["bacterial_share"].values[~own] > 0).all()
    note = said(data)["spread-of-part-unused"]
    assert note["severity"] == "note" and note["rows"] == [4, 5, 6, 7, 8, 9]
    assert "of 9 arms is made of amino sugars" in said(data)["necromass-from"]["message"]
    assert "of 3 it is as reported" in said(data)["necromass-from"]["message"]


def test_sugars_without_sd_have_the_default_cv_of_the_pool_they_stand_for():
    table = sugar_table().drop(columns=[c for c in sugar_table() if c.endswith("_sd")])
    data = prepared(table, data__defaults__cv__bacterial_necromass=0.3)
    assert set(data["source_sd"].values.ravel()) == {"imputed"}
    assert data["cv"].values[0] == pytest.approx([0.2, 0.3, 0.15])


def test_modelled_cvs_are_those_of_the_amino_sugars_and_move_the_covariance():
    data = prepared(sugar_table(), data__dispersion__sd_model="hierarchical")
    assert data["cv_sample"].sel(outcome="fungal_necromass").values == pytest.approx(plain()["cv"].values[:, 0])
    share, within = data["bacterial_share"].values, np.full(data.sizes["arm"], 0.5)
    expected = parts_covariance(share, data["cv"].values, data["n"].values, parts_correlation(0.7, within))
    np.testing.assert_allclose(data["sampling_covariance"], expected, rtol=1e-12)


def test_a_correlation_with_soc_that_the_sugars_cannot_have_is_an_error():
    problem = problems_of(sugar_table(rho_within=0.95))["rho-within-too-close"]
    assert problem == problems_of(sugar_table(), data__defaults__rho_within=0.95)["rho-within-too-close"]
    assert problem.severity == "error" and problem.value == "0.95"
    assert problem.expected == "less than 0.922 in size with data.defaults.rho_amino_sugars = 0.7"
    assert "rho-within-too-close" not in said(prepared(part_table(rho_within=0.95)))


def test_sugars_in_another_unit_are_named():
    table = sugar_table()
    thousand = table.assign(
        **{f"muramic_acid_{r}": 1000 * table[f"muramic_acid_{r}"] for r in ("control", "treatment")}
    )
    thousand = thousand.drop(columns=[c for c in thousand if c.startswith("muramic") and c.endswith("_sd")])
    with pytest.raises(DataError, match="muramic acid/glucosamine is that of no soil"):
        prepared(thousand)
    mended = prepared(thousand, data__units__muramic_acid="mg/kg")
    np.testing.assert_allclose(mended["mean"], plain()["mean"])


def test_the_layout_arm_takes_them_too():
    wide = sugar_table()
    rows = []
    for study, group in wide.groupby("study"):
        treated = [(i, "treatment", wide.loc[i, "treatment"]) for i in group.index]
        for place, ends, treatment in [(group.index[0], "control", ""), *treated]:
            cells = {stem: wide.loc[place, f"{stem}_{ends}"] for stem in ("glucosamine", "muramic_acid", "soc")}
            cells |= {f"{s}_sd": wide.loc[place, f"{s}_{ends}_sd"] for s in ("glucosamine", "muramic_acid")}
            rows.append({"study": study, "control_id": "CK", "role": ends, "treatment": treatment, "n": 4} | cells)
    data, expected = prepared(pd.DataFrame(rows), data__layout="arm"), plain()
    np.testing.assert_allclose(data["sampling_covariance"], expected["sampling_covariance"], rtol=1e-9)
