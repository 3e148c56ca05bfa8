import json

import numpy as np
import pytest
import xarray as xr
from made_amino import BOTH, amino_table

import mcpbayes as mb
from mcpbayes.analysis import estimate
from mcpbayes.inference.conversion import factor_doubt, with_factors
from mcpbayes.inference.engine import data_of_fits, typical_data
from mcpbayes.inference.worlds import refit, thinning
from mcpbayes.measurement.factor_draws import Central, central, draw_triples, strata
from mcpbayes.specification.factors import NAMED
from mcpbayes.tables.amino_arms import converted_arms, necromass_cvs

SMALL = {"sampling.draws": 200, "sampling.worlds": 3, "sampling.engine": "collapsed"}
#: Amino sugars of controls, a part of the treated arms in the other direction, so that q matters.
MOVED = {"muramic_acid_treatment": [0.085, 0.04, 0.09, 0.05, 0.1, 0.05, 0.1, 0.06, 0.1, 0.07, 0.12, 0.06]}


def model(**changes):
    return mb.load_model(settings=SMALL | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture(scope="module")
def table():
    return amino_table(studies=6, **MOVED).drop(columns=["necromass_control", "necromass_treatment"])


@pytest.fixture(scope="module")
def arms(table) -> xr.Dataset:
    return mb.prepare(table, model())


@pytest.fixture(scope="module")
def pooled(arms) -> xr.DataTree:
    return mb.fit(arms, model(), seed=5)


@pytest.mark.parametrize("bias", [True, False])
def test_other_factors_make_the_data_that_a_table_read_with_them_has(table, bias):
    settings = {"data__effect_size__bias_correction": bias, "data__factors__set": "conventional"}
    settings["data__dispersion__sd_model"] = "reported"
    sds = {f"{sugar}_{role}_cv": cv for sugar, cv in (("glucosamine", 0.2), ("muramic_acid", 0.3))
           for role in ("control", "treatment")}  # fmt: skip
    table = table.assign(**sds)
    read = mb.prepare(table, model(**settings))
    made = with_factors(
        mb.prepare(table, model(**settings | {"data__factors__set": "uncertain"})),
        central(NAMED["conventional"]),
        bias_correction=bias,
    )
    for name in ("mean", "cv", "log_mean", "sampling_covariance"):
        xr.testing.assert_allclose(made[name], read[name], rtol=1e-12)
    assert (made.attrs["k_F"], made.attrs["q"]) == (read.attrs["k_F"], read.attrs["q"])


def test_k_f_moves_all_log_means_alike_and_no_covariance(arms):
    one, two = (with_factors(arms, Central(k_f, 2.0), bias_correction=True) for k_f in (9.0, 11.0))
    moved = (two["log_mean"] - one["log_mean"]).sel(outcome="necromass").values
    assert moved == pytest.approx(np.log(11 / 9))
    xr.testing.assert_equal(one["sampling_covariance"], two["sampling_covariance"])
    xr.testing.assert_equal(one["log_mean"].sel(outcome="soc"), arms["log_mean"].sel(outcome="soc"))


def test_reported_necromass_knows_no_factors():
    table = amino_table(studies=4)
    table.loc[[0, 1], list(BOTH)] = np.nan
    data = mb.prepare(table, model())
    reported = ~converted_arms(data)
    assert reported.sum() == 3
    changed = with_factors(data, Central(9.0, 4.0), bias_correction=True)
    for name in ("log_mean", "sampling_covariance"):
        np.testing.assert_array_equal(changed[name].values[reported], data[name].values[reported])
    assert not np.array_equal(changed["log_mean"].values[~reported], data["log_mean"].values[~reported])
    result = mb.fit(data, model(), seed=2)
    spread = result["posterior"]["baseline"].sel(outcome="necromass").std(("chain", "draw"))
    assert float(spread.sel(control="S1: control 1")) < float(spread.drop_sel(control="S1: control 1").min())


def test_cvs_that_were_replaced_before_the_factors_are_kept(arms):
    order = ("arm", "outcome")
    doubled = arms.assign(cv=2 * arms["cv"].transpose(*order))
    factors = Central(10.0, 3.0)
    cv = with_factors(doubled, factors, bias_correction=True)["cv"].sel(outcome="necromass").values
    assert cv == pytest.approx(2 * necromass_cvs(arms, 3.0))
    back = with_factors(
        with_factors(arms, factors, bias_correction=True), central(NAMED["uncertain"]), bias_correction=True
    )
    for name in ("cv", "log_mean", "sampling_covariance"):
        xr.testing.assert_allclose(back[name], arms[name], rtol=1e-12)


def test_there_is_no_doubt_without_amino_sugars_or_with_fixed_factors(table, arms):
    assert factor_doubt(arms, model(data__factors__set="conventional"), 8) is None
    plain = mb.prepare(amino_table().drop(columns=list(BOTH)), model())
    assert factor_doubt(plain, model(), 8) is None
    fixed = mb.fit(mb.prepare(table, model(data__factors__set="hu2024")), model(data__factors__set="hu2024"), seed=1)
    assert "worlds" not in fixed.attrs and "k_F" not in fixed["posterior"]


def test_medians_of_strata_keep_most_of_the_doubt_about_q():
    """Of the variance of ln(1 + 0.1 q), for MurN/GlcN = 0.1, 8 strata lose 15 % and 20 strata 8 %."""
    whole = np.log1p(0.1 * draw_triples(NAMED["uncertain"]).q).var()
    for count, lost in ((8, 0.15), (20, 0.08)):
        medians = [np.median(part.q) for part in strata(NAMED["uncertain"], count)]
        assert 1 - np.log1p(0.1 * np.array(medians)).var() / whole == pytest.approx(lost, abs=0.01)


def test_worlds_are_fits_at_the_medians_of_strata(arms, pooled):
    parts = strata(NAMED["uncertain"], 3)
    values = json.loads(pooled.attrs["worlds_values"])["factors"]
    assert values == [float(np.median(part.q)) for part in parts]
    assert pooled["data"].attrs["q"] == central(NAMED["uncertain"]).q
    posterior = pooled["posterior"].to_dataset()
    assert thinning(arms, model(), 3) == 1
    worlds = [with_factors(arms, Central(arms.attrs["k_F"], q), bias_correction=True) for q in values]
    fitted = refit(worlds, model(), 5, typical_data(arms, model()))
    for place, part in enumerate(parts):
        alone = fitted[place]["posterior"]
        mine = posterior.isel(chain=slice(4 * place, 4 * place + 4))
        np.testing.assert_array_equal(mine["comparison_effect"].values, alone["comparison_effect"].values)
        assert set(np.unique(mine["k_F"])) <= set(np.unique(part.k_f)) and np.all(mine["q"] == values[place])
        middle = [0.05, 0.5, 0.95]
        assert np.quantile(mine["k_F"], middle) == pytest.approx(np.quantile(part.k_f, middle), rel=1e-3)
        shift = np.log(mine["k_F"].values / arms.attrs["k_F"])
        moved = mine["baseline"].values - alone["baseline"].values
        necromass = arms["outcome"].values.tolist().index("necromass")
        np.testing.assert_allclose(
            moved[..., necromass], np.broadcast_to(shift[..., None], moved.shape[:-1]), atol=1e-12
        )
        np.testing.assert_array_equal(moved[..., 1 - necromass], 0)


def test_the_same_worlds_are_made_again_from_the_result(arms, pooled):
    central_data = pooled["data"].to_dataset()
    xr.testing.assert_allclose(typical_data(arms, model()), central_data)
    for one, other in zip(data_of_fits(arms, model()), data_of_fits(central_data, model()), strict=True):
        xr.testing.assert_allclose(one, other)


def test_factors_go_together_with_a_prior_of_the_correlation(arms):
    prior = {"priors.rho_within.distribution": "beta", "priors.rho_within.a": 6.0, "priors.rho_within.b": 2.0}
    both = mb.load_model(settings=SMALL | prior)
    result = mb.fit(arms, both, seed=1)
    values = json.loads(result.attrs["worlds_values"])
    assert list(values) == ["factors", "rho_within"] and len(set(values["rho_within"])) == 3
    made = data_of_fits(result["data"].to_dataset(), both)
    assert [data.attrs["q"] for data in made] == values["factors"]
    for data, rho in zip(made, values["rho_within"], strict=True):
        assert data["rho_within"].values == pytest.approx(rho)


def test_one_world_says_that_the_doubt_is_not_carried(arms):
    alone = mb.fit(arms, model(sampling__worlds=1), seed=1)
    (note,) = [p for p in json.loads(alone.attrs["problems"]) if p["check"] == "one-world"]
    assert "amino sugars" in note["message"] and note["severity"] == "warning"


def test_k_f_widens_the_ratio_and_not_its_relative_change(arms, pooled):
    """Controls' r₀ has the spread of k_F, 12 %, and δ has none of it; 3 worlds of 800 draws."""
    result = estimate(pooled)
    change = result["delta_mcp"].to_dataset()
    r0 = change["mcp_efficacy_control"].isel(target=0)
    k_f = pooled["posterior"]["k_F"]
    within = [np.corrcoef(np.log(r0.values[c]), np.log(k_f.values[c]))[0, 1] for c in range(k_f.sizes["chain"])]
    assert min(within) > 0.8
    delta = change["log_delta_mcp"].isel(target=0)
    assert abs(np.mean([np.corrcoef(delta.values[c], k_f.values[c])[0, 1] for c in range(k_f.sizes["chain"])])) < 0.05
