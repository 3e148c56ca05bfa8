"""Worlds of the two-pool model: what they carry, one compiled model, what is pooled; with made-up draws for NUTS."""

import json
import sys

import numpy as np
import pytest
import xarray as xr
from made_amino import BOTH, amino_table
from two_pool_fakes import TYPICAL, fake_draws, without_nuts

import mcpbayes as mb
from mcpbayes.estimands import pooled
from mcpbayes.evidence.diagnostics import WORST_WORLD, diagnose
from mcpbayes.inference.conversion_two_pools import factor_doubt_of_two_pools
from mcpbayes.inference.doubts import number_of_worlds
from mcpbayes.inference.engine import data_of_fits, typical_data
from mcpbayes.inference.worlds import world_seed
from mcpbayes.measurement.factor_draws import central, draw_triples, pairs
from mcpbayes.monte_carlo import summaries as single
from mcpbayes.output.folder import tables
from mcpbayes.specification.factors import NAMED

SMALL = {"sampling.draws": 200, "sampling.tune": 10}


def model(**changes):
    return mb.load_model("two-pool", settings=SMALL | {key.replace("__", "."): value for key, value in changes.items()})


def problems(result, check):
    return [each for each in json.loads(result.attrs["problems"]) if each["check"] == check]


@pytest.fixture(scope="module")
def arms() -> xr.Dataset:
    """Two of five studies report no SDs."""
    table, _ = mb.simulate_two_pools(mb.load_model("two-pool", settings=TYPICAL), studies=5, seed=3)
    table.loc[table["study"] < "Simulated 3", [name for name in table if str(name).endswith("_sd")]] = np.nan
    return mb.prepare(table, model())


@pytest.fixture(scope="module")
def amino() -> xr.Dataset:
    table = amino_table(studies=6).drop(columns=["necromass_control", "necromass_treatment"])
    table[list(BOTH)] *= 0.5
    table = table.assign(duration_years=np.linspace(2, 30, len(table)))
    return mb.prepare(table, model(data__dispersion__sd_model="reported"))


@pytest.fixture
def compiled(monkeypatch):
    return without_nuts(monkeypatch)


def test_modelled_cvs_are_carried_by_twenty_fits_of_one_compiled_model(arms, compiled):
    said = []
    result = mb.fit(arms, model(), seed=5, report=said.append)
    assert number_of_worlds(arms, model()) == result.attrs["worlds"] == 20 and len(compiled) == 1
    assert said[0].startswith("20 fits, because the CVs of the arms are uncertain; NUTS makes them one after the other")
    assert said[1:] == [f"fit {place} of 20" for place in range(1, 21)]
    posterior = result["posterior"].to_dataset()
    assert posterior["world"].values.tolist() == np.repeat(range(20), 4).tolist()
    assert posterior.sizes["draw"] == 50 and "log_likelihood" not in result.children
    assert pooled.drawn_worlds(posterior) and 0 <= result.attrs["share_between_worlds"] <= 1
    assert result.attrs["engine"] == "nuts" and mb.load_model("two-pool").sampling.worlds is None
    (note,) = problems(result, "worlds")
    assert "20 fits, pooled with equal weights" in note["message"]
    assert len(problems(result, "turnover-overlap")) == 1 and problems(result, "one-world") == []


def test_every_world_is_the_fit_of_its_own_data_and_seed(arms, compiled):
    result = mb.fit(arms, model(sampling__worlds=3), seed=5)
    for place, data in enumerate(data_of_fits(arms, model(sampling__worlds=3))):
        alone = fake_draws(data, model(), world_seed(5, place))[0]
        mine = result["posterior"].to_dataset().isel(chain=slice(4 * place, 4 * place + 4))
        for name in ("beta", "turnover_rate", "mcp_efficacy_control"):
            expected = alone[name].transpose(*mine[name].dims)
            np.testing.assert_array_equal(mine[name], expected.values[:, :: 200 // mine.sizes["draw"]])
        ratio = mine["baseline"].sel(outcome="necromass") - mine["baseline"].sel(outcome="soc")
        np.testing.assert_allclose(np.exp(ratio), mine["mcp_efficacy_control"], atol=1e-12)
    assert result["data"].to_dataset().identical(typical_data(arms, model(sampling__worlds=3)))


def test_one_world_is_one_fit_with_a_warning(arms, compiled):
    result = mb.fit(arms, model(sampling__worlds=1), seed=5)
    assert "world" not in result["posterior"].coords and len(problems(result, "turnover-overlap")) == 1
    (said,) = problems(result, "one-world")
    assert said["severity"] == "warning" and said["remedy"] == "Leave sampling.worlds out."


def test_known_sds_without_other_doubt_are_one_fit(compiled):
    table, _ = mb.simulate_two_pools(mb.load_model("two-pool", settings=TYPICAL), studies=4, seed=3)
    plain = model(data__dispersion__sd_model="reported")
    result = mb.fit(mb.prepare(table, plain), plain, seed=5)
    assert "worlds" not in result.attrs and problems(result, "one-world") == []


def test_a_prior_of_the_correlation_is_carried_by_its_strata(arms, compiled):
    prior = {"priors__rho_within__distribution": "beta", "priors__rho_within__a": 6.0, "priors__rho_within__b": 2.0}
    plain = arms.drop_vars("cv_draw")
    own = model(**prior)
    data = data_of_fits(plain, own)
    found = [float(each["rho_within"][0]) for each in data]
    assert len(data) == 8 and found == sorted(found) and found[0] < 0.3 < 0.7 < found[-1]
    result = mb.fit(plain, own, seed=5)
    assert json.loads(result.attrs["worlds_values"])["rho_within"] == pytest.approx(found)
    assert not pooled.drawn_worlds(result["posterior"].to_dataset())


def test_pairs_of_factors_are_those_of_the_set():
    """Medians within the Monte-Carlo error of 20 points; every fifth of k_F and of q holds a fifth of the pairs."""
    used, triples = pairs(NAMED["uncertain"], 20), draw_triples(NAMED["uncertain"])
    q, k_f = (np.array([getattr(each, name) for each in used]) for name in ("q", "k_f"))
    assert (np.diff(q) > 0).all() and len(set(k_f.tolist())) == 20
    for values, drawn in ((q, triples.q), (k_f, triples.k_f)):
        np.testing.assert_allclose(np.mean(np.log(values)), np.mean(np.log(drawn)), atol=0.02)
        assert np.std(np.log(values)) == pytest.approx(np.std(np.log(drawn)), rel=0.1)
    many = np.array([(each.q, each.k_f) for each in pairs(NAMED["uncertain"], 200)])
    assert np.corrcoef(many.T)[0, 1] == pytest.approx(np.corrcoef(triples.q, triples.k_f)[0, 1], abs=0.05)
    middle = central(NAMED["uncertain"])
    assert (pairs(NAMED["uncertain"], 1)[0].q, pairs(NAMED["uncertain"], 1)[0].k_f) == (middle.q, middle.k_f)


def test_factors_move_ratio_and_effects_and_each_draw_says_which(amino, compiled):
    own = model(data__dispersion__sd_model="reported", sampling__worlds=4)
    doubt = factor_doubt_of_two_pools(amino, own, 4)
    assert doubt is not None
    used = pairs(own.data.factors, 4)
    made = [doubt.apply(amino, place) for place in range(4)]
    for pair, data in zip(used, made, strict=True):
        glucosamine, muramic_acid = amino["amino_mean"].transpose("amino_sugar", "arm").values
        expected = pair.k_f * (glucosamine + pair.q * muramic_acid)
        np.testing.assert_allclose(data["mean"].sel(outcome="necromass"), expected, rtol=1e-12)
    result = mb.fit(amino, own, seed=5)
    posterior = result["posterior"].to_dataset()
    for place, pair in enumerate(used):
        assert (posterior["k_F"].values[posterior["world"].values == place] == pair.k_f).all()
        assert (posterior["q"].values[posterior["world"].values == place] == pair.q).all()
    assert json.loads(result.attrs["worlds_values"])["factors"] == [pair.q for pair in used]
    assert "k_F from" in problems(result, "worlds")[0]["message"]
    assert factor_doubt_of_two_pools(amino, model(data__factors__set="conventional"), 4) is None


def test_the_folder_of_amino_sugars_needs_no_variance_shares(amino, compiled):
    result = mb.fit(amino, model(data__dispersion__sd_model="reported", sampling__worlds=2), seed=5)
    assert set(tables(result)) == {"summary.csv", "factor_sets.csv", "comparisons.csv"}


def test_divergences_are_counted_before_draws_are_thinned_away(arms, compiled):
    result = mb.fit(arms, model(sampling__worlds=6), seed=5)
    assert result["sample_stats"].attrs["divergences"] == 18
    found = diagnose(result)
    assert found.divergences == 18 and not found.passed
    assert found.ess_bulk.quantity == WORST_WORLD  # 800 draws of a world, of which the pooled result keeps a part


def test_nodes_of_a_world_do_not_decide(arms, compiled, monkeypatch):
    """Effects of comparisons that do not mix in a world are no parameter of the gate."""
    real = fake_draws

    def stuck(data, own, seed):
        posterior, stats = real(data, own, seed)
        return posterior.assign(comparison_effect=posterior["comparison_effect"] + posterior["chain"]), stats

    monkeypatch.setattr(sys.modules["mcpbayes.inference.nuts"], "compiled_once", lambda *given: stuck)
    result = mb.fit(arms, model(sampling__worlds=4), seed=5)
    assert result["sample_stats"].attrs["r_hat"] < 1.05


def test_a_forecast_of_worlds_judges_and_counts_within_them(arms, compiled):
    result = mb.fit(arms, model(sampling__worlds=4), seed=5)
    posterior = result["posterior"].to_dataset().copy(deep=True)
    posterior["beta"] = posterior["beta"] + 0.5 * posterior["world"]  # worlds may differ
    result["posterior"] = xr.DataTree(posterior)
    found = mb.forecast(result, [10])
    table = mb.forecast_table(found)
    assert (table["r_hat"] < 1.05).all() and (table["ess_bulk"] > 400).all()
    row = table[(table["level"] == "mean") & (table["quantity"] == "log_delta_mcp") & (table["years"] == 10)]
    draws = found["forecast"]["log_delta_mcp"].sel(target="mean: average", horizon="10 years").values
    means = draws.reshape(4, -1).mean(axis=1)
    assert float(row["mcse_mean"].iloc[0]) == pytest.approx(means.std(ddof=1) / 2)
    assert float(row["mean"].iloc[0]) == pytest.approx(draws.mean())
    assert float(single.convergence(draws[None])["r_hat"][0]) > 1.5  # across worlds it would fail
    effect = found["forecast"]["effect"].sel(target="mean: average", horizon="10 years")
    codes = (effect.sel(outcome="necromass").values > np.log(1.05)).reshape(1, *draws.shape).astype(np.intp)
    probability, mcse = pooled.class_frequencies(codes, 2, 4, drawn=True)
    classes = mb.forecast_scenario_table(found)
    mine = classes[(classes["level"] == "mean") & (classes["years"] == 10) & (classes["statement"] == "scenario")]
    up = mine[mine["code"].str.startswith("N+")]
    assert up["probability"].sum() == pytest.approx(probability[0, 1])
    assert up["mcse"].max() <= mcse[0, 1] + up["mcse"].sum() and (mine["mcse"] >= 0).all()
    crossings = mb.crossing_table(found)
    assert crossings["probability"].dropna().between(0, 1).all()


def test_the_same_seed_gives_the_same_draws_and_saving_keeps_them(arms, compiled, tmp_path):
    first, again = (mb.fit(arms, model(sampling__worlds=3), seed=5) for _ in range(2))
    assert first.identical(again)
    assert mb.load(mb.save(first, tmp_path / "result.nc")).identical(first)
