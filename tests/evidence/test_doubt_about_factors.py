import numpy as np
import pytest
import xarray as xr
from made_amino import amino_table

import mcpbayes as mb
from mcpbayes.analysis import estimate
from mcpbayes.evidence.assumptions import CORRELATION, CVS, FACTOR_SETS, with_assumptions
from mcpbayes.evidence.factor_sets import compared
from mcpbayes.evidence.variance_shares import share_of_scale, share_of_worlds
from mcpbayes.inference.assumed import with_dispersion
from mcpbayes.inference.conversion import with_factors
from mcpbayes.measurement.factor_draws import Central
from mcpbayes.output.document.report import render
from mcpbayes.output.folder import tables

#: What the conventional factors count of muramic acid.
MURAMIC = 45 - 9 * 2 * 179.17 / 251.23
SETTINGS = {"sampling.draws": 400, "sampling.worlds": 4, "sampling.engine": "collapsed"}
#: Treated arms with more or less muramic acid, so that the sign of the change hangs on q in some.
MOVED = [0.085, 0.04, 0.09, 0.05, 0.1, 0.05, 0.1, 0.06, 0.1, 0.07, 0.12, 0.06]


@pytest.fixture(scope="module")
def table():
    return amino_table(studies=6, muramic_acid_treatment=MOVED)


@pytest.fixture(scope="module")
def result(table) -> xr.DataTree:
    model = mb.load_model(settings=SETTINGS)
    return with_assumptions(mb.classify(estimate(mb.fit(mb.prepare(table, model), model, seed=2))))


def test_shares_recover_what_was_put_in():
    """8 worlds of 4 × 1000 draws, seed 1: worlds' part 0.04 of 1.13, the factor's 0.09 of 1.13, to 5 % of each."""
    rng = np.random.default_rng(1)
    means = np.linspace(-1, 1, 8)
    means *= 0.2 / means.std()
    scale = rng.normal(size=(8, 4, 1000))
    draws = means[:, None, None] + 0.3 * scale + rng.normal(size=scale.shape)
    assert share_of_worlds(draws) == pytest.approx(0.04, rel=0.05)
    assert share_of_scale(draws, scale) == pytest.approx(0.09, rel=0.05)
    other = rng.permutation(8) * 1.0
    mixed = draws + (other - other.mean())[:, None, None]
    assert share_of_worlds(mixed) > 1
    assert share_of_worlds(means[:, None, None] * 2 + 0 * draws, means) == pytest.approx(0.16)


def test_shares_are_zero_where_there_is_noise_only():
    """40 repetitions, seed 3: the mean of 8 worlds' share stays below a third of the Monte-Carlo error it would be."""
    rng = np.random.default_rng(3)
    found = [share_of_worlds(rng.normal(size=(8, 4, 250))) for _ in range(40)]
    assert np.mean(found) < 1 / 1000 / 3
    scales = [share_of_scale(*rng.normal(size=(2, 8, 4, 250))) for _ in range(40)]
    assert np.mean(scales) < 1 / 1000 / 2


def test_another_doubt_is_not_taken_for_that_of_the_factors():
    """4000 repetitions, seed 6: of noise with variance 1 in 20 worlds a slope takes 1/20, which is subtracted."""
    rng = np.random.default_rng(6)
    values = rng.normal(size=20)
    raw = values - values.mean()
    other = rng.normal(size=(4000, 20))
    taken = (other @ raw) ** 2 / (raw @ raw) / 20
    assert taken.mean() == pytest.approx(1 / 20, rel=0.1)
    found = np.array([share_of_worlds(np.broadcast_to(one[:, None, None], (20, 2, 10)), values) for one in other])
    # what is below 0 is shown as 0, so half of a χ² with one degree of freedom, less 1, is left: 0.48/20
    assert found.mean() == pytest.approx(0.484 / 20, rel=0.15)
    signal = np.sqrt(0.5) * raw / raw.std()
    found = [share_of_worlds(np.broadcast_to((one + signal)[:, None, None], (20, 2, 10)), values) for one in other]
    assert np.mean(found) == pytest.approx(0.5, rel=0.03)


def test_variance_shares_name_every_target_of_the_level_mean(result):
    shares = mb.variance_shares(result)
    assert list(shares["quantity"]) == ["log_delta_mcp", "delta_mcp"] * 3
    assert set(shares["level"]) == {"mean"}
    assert shares["share"].between(0, 1).all()
    assert shares["share"].to_numpy() == pytest.approx(shares["share_q"] + shares["share_k_F"])
    summary = mb.summarise(result).set_index(["level", "name", "quantity"])["sd"]
    for row in shares.itertuples():
        assert row.sd == pytest.approx(summary[row.level, row.name, row.quantity], rel=1e-3)


def test_the_share_of_k_f_follows_from_its_spread_and_the_change(result):
    """Δr is k_F times what does not hang on it, so its part is that of its squared coefficient of variation."""
    shares = mb.variance_shares(result).set_index(["name", "quantity"])
    change = result["delta_mcp"].to_dataset()
    k_f = result["posterior"]["k_F"].values
    cv = np.mean([k_f[4 * m : 4 * m + 4].std() / k_f[4 * m : 4 * m + 4].mean() for m in range(4)])
    draws = change["delta_mcp"].isel(target=0)
    name = str(change["name"].values[0])
    expected = (cv * float(draws.mean())) ** 2 / float(draws.var())
    assert shares.loc[(name, "delta_mcp"), "share_k_F"] == pytest.approx(expected, rel=0.25, abs=0.003)
    assert shares.loc[(name, "log_delta_mcp"), "share_k_F"] < 0.003


def test_observed_changes_under_each_set_are_those_of_the_table(table, result):
    found = mb.factor_sets(result)
    assert set(found["factors"]) == {"conventional", "uncertain", "hu2024"} and len(found) == 3 * len(table)
    ours = found[found["factors"] == "conventional"].set_index("comparison")
    for row in table.itertuples():
        n = [9 * getattr(row, f"glucosamine_{r}") + MURAMIC * getattr(row, f"muramic_acid_{r}")
             for r in ("control", "treatment")]  # fmt: skip
        expected = n[1] / row.soc_treatment - n[0] / row.soc_control
        assert ours.loc[f"{row.study}: {row.treatment}", "delta_mcp"] == pytest.approx(expected, rel=1e-4)
    assert not found.loc[found["as_analysed"], "sign_changes"].any()
    summary = compared(found).set_index("factors")
    assert summary.loc["conventional", "changed"] == found.loc[found["factors"] == "conventional", "sign_changes"].sum()
    assert summary["changed"].sum() > 0


def test_factor_sets_are_an_assumption_tried_otherwise(result, table):
    rows = mb.assumptions(result)
    part = rows[rows["assumption"] == FACTOR_SETS]
    assert list(dict.fromkeys(part["value"])) == ["conventional", "uncertain", "hu2024"]
    assert set(part.loc[part["as_analysed"], "value"]) == {"uncertain"}
    assert set(part["imputed"]) == {result["data"].sizes["arm"]}
    model = mb.load_model(settings=SETTINGS | {"data.factors.set": "conventional"})
    alone = mb.summarise(estimate(mb.fit(mb.prepare(table, model), model, seed=2)))
    alone = alone.set_index(["level", "name", "quantity"])
    for row in part[(part["value"] == "conventional") & (part["level"] == "mean")].itertuples():
        # assumed CVs of amino sugars are those of the set that was read with, which differ in the third figure
        assert row.mean == pytest.approx(alone.loc[("mean", row.name, "log_delta_mcp"), "mean"], abs=0.003)


def test_other_assumptions_of_a_pooled_result_are_tried_at_the_median_factors(result):
    rows = mb.assumptions(result)
    assert not rows.loc[rows["assumption"].isin([CVS, CORRELATION]), "as_analysed"].any()
    same = rows[(rows["assumption"] == CVS) & (rows["value"] == "x 1")]
    other = rows[(rows["assumption"] == CORRELATION) & (rows["value"] == "0.5")]
    assert same["mean"].to_numpy() == pytest.approx(other["mean"].to_numpy())


def test_assumed_cvs_of_amino_sugars_are_halved_and_doubled_with_those_of_necromass(table):
    table = table.assign(glucosamine_control_cv=0.1, glucosamine_treatment_cv=0.1)
    data = mb.prepare(table, mb.load_model())
    doubled = with_dispersion(data, 2.0, bias_correction=True)
    cv = doubled["amino_cv"] / data["amino_cv"]
    assert np.allclose(cv.sel(amino_sugar="glucosamine"), 1) and np.allclose(cv.sel(amino_sugar="muramic_acid"), 2)
    ratio = (doubled["cv"] / data["cv"]).sel(outcome="necromass").values
    assert np.all((ratio > 1) & (ratio < 2))


@pytest.mark.parametrize("sd_model", ["hierarchical", "reported"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_only_assumed_cvs_are_multiplied_whatever_they_come_from(table, factor, sd_model):
    sds = {f"{sugar}_{role}_cv": cv for sugar, cv in (("glucosamine", 0.1), ("muramic_acid", 0.3))
           for role in ("control", "treatment")}  # fmt: skip
    table = table.assign(**sds)
    table.loc[table["study"] > "S3", list(sds)] = float("nan")
    data = mb.prepare(table, mb.load_model(settings={"data.dispersion.sd_model": sd_model}))
    made = with_dispersion(data, factor, bias_correction=True)
    imputed = (data["source_sd"] == "imputed").values
    assert 0 < imputed[:, 0].sum() < len(imputed)
    expected = np.where(imputed, factor, 1.0)
    assert (made["cv"] / data["cv"]).values == pytest.approx(expected)
    variances = [np.einsum("akk->ak", one["sampling_covariance"].values) for one in (made, data)]
    assert variances[0] / variances[1] == pytest.approx(expected**2)
    shift = (made["log_mean"] - data["log_mean"]).values
    assert shift == pytest.approx((expected**2 - 1) * variances[1] / 2, abs=1e-12)
    other = [with_factors(one, Central(9.0, 4.0), bias_correction=True)["cv"] for one in (made, data)]
    assert (other[0] / other[1]).values == pytest.approx(expected)


def test_without_amino_sugars_or_doubt_there_is_nothing_to_say(table):
    plain = amino_table(studies=6).drop(columns=[n for n in table if n.startswith(("gluco", "muramic"))])
    model = mb.load_model(settings=SETTINGS)
    result = estimate(mb.fit(mb.prepare(plain, model), model, seed=1))
    assert mb.variance_shares(result).empty and mb.factor_sets(result).empty
    assert list(mb.variance_shares(result).columns)[-1] == "share"


def test_report_and_folder_say_what_hangs_on_the_factors(result):
    page = render(result, figures={})
    section = page[page.index("Conversion factors of amino sugars</h3>") :]
    assert "our judgement of measured contents" in section
    assert "as shares of the posterior variance" in section
    assert "has another sign than with the factors ‘uncertain’ in" in section
    assert "standard deviation of muramic acid" in page
    assert "the conversion factors of amino sugars" in page
    assert {"factor_sets.csv", "variance_shares.csv"} <= set(tables(result))
    assert set(tables(result)["comparisons.csv"]["source_necromass_control"]) == {"amino sugars"}


def test_studies_can_be_left_out_of_a_result_whose_worlds_carry_factors(table):
    model = mb.load_model(settings=SETTINGS | {"sampling.worlds": 2})
    whole = mb.classify(estimate(mb.fit(mb.prepare(table, model), model, seed=2)))
    left = mb.influence_table(mb.leave_one_study_out(whole))
    assert set(left["left_out"]) == {f"S{i + 1}" for i in range(6)}
    assert left["log_delta_mcp_mean"].notna().all()
