import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy.stats import beta, kstest

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.analysis import estimate
from mcpbayes.errors import SpecificationError
from mcpbayes.evidence.diagnostics import WORST_WORLD, convergence_table, diagnose
from mcpbayes.inference.assumed import with_correlation
from mcpbayes.inference.collapsed import explored
from mcpbayes.inference.doubts import correlation_doubt
from mcpbayes.inference.one_fit import fit_once
from mcpbayes.inference.simulation import simulate
from mcpbayes.inference.strata import strata
from mcpbayes.inference.worlds import pool, refit, world_seed
from mcpbayes.specification.structure import Prior

PRIOR = {"distribution": "beta", "a": 6.0, "b": 2.0}
SMALL = {"sampling.draws": 250, "sampling.worlds": 3, "sampling.engine": "collapsed"}


def model(**changes):
    prior = {f"priors.rho_within.{key}": value for key, value in PRIOR.items()}
    return mb.load_model(settings=prior | SMALL | changes)


@pytest.fixture(scope="module")
def arms() -> xr.Dataset:
    return mb.prepare(simulate(studies=8, seed=3, missing_sd=1.0)[0], mb.load_model())


@pytest.fixture(scope="module")
def pooled(arms: xr.Dataset) -> xr.DataTree:
    return mb.fit(arms, model(), seed=5)


def test_strata_are_medians_of_equally_probable_pieces() -> None:
    found = strata(Prior("beta", {"a": 6.0, "b": 2.0}), 8)
    np.testing.assert_allclose(beta.cdf((1 + np.array(found)) / 2, 6, 2), (np.arange(8) + 0.5) / 8)
    np.testing.assert_allclose(strata(Prior("lkj", {"eta": 2.0}), 5), strata(Prior("beta", {"a": 2.0, "b": 2.0}), 5))
    assert strata(Prior("fixed", {"value": 0.3}), 8) == [0.3]
    assert kstest(strata(Prior("lkj", {"eta": 1.0}), 400), "uniform", args=(-1, 2)).statistic < 0.01
    extreme = strata(Prior("beta", {"a": 0.01, "b": 0.01}), 8)
    assert (np.abs(extreme) < 1).all()


def test_pooled_draws_are_those_of_the_worlds_one_after_the_other(arms: xr.Dataset, pooled: xr.DataTree) -> None:
    values = json.loads(pooled.attrs["worlds_values"])["rho_within"]
    assert values == strata(Prior("beta", {"a": 6.0, "b": 2.0}), 3)
    posterior = pooled["posterior"].to_dataset()
    assert posterior["world"].values.tolist() == np.repeat(range(3), 4).tolist()
    assert posterior["chain"].values.tolist() == list(range(12))
    guide = explored(pooled["data"].to_dataset(), model(), 5)[1]
    for place, value in enumerate(values):
        alone = fit_once(with_correlation(arms, value), model(), seed=world_seed(5, place), guide=guide)
        mine = {
            name: pooled[name].isel(chain=slice(4 * place, 4 * place + 4)) for name in ("posterior", "log_likelihood")
        }
        for name in ("comparison_effect", "beta", "baseline", "tau_study"):
            np.testing.assert_array_equal(mine["posterior"][name], alone["posterior"][name])
        np.testing.assert_array_equal(mine["log_likelihood"]["contrasts"], alone["log_likelihood"]["contrasts"])
    assert pooled.attrs["seed"] == 5
    assert pooled.attrs["worlds"] == 3
    assert (pooled["data"]["rho_within"] == values[1]).all()
    assert mb.load_model().priors.get("rho_within") is None
    assert "8 fits" not in pooled.attrs["problems"]
    assert "3 fits" in pooled.attrs["problems"]


@pytest.mark.parametrize("worlds", [2, 3, 8])
def test_the_central_data_have_the_median_of_the_prior(arms: xr.Dataset, worlds: int) -> None:
    plain = arms.drop_vars("cv_draw", errors="ignore")
    found = correlation_doubt(plain, model(), worlds)
    assert found is not None
    rho = float(found.central(plain)["rho_within"][0])
    assert beta.cdf((1 + rho) / 2, 6, 2) == pytest.approx(0.5)


def test_draws_stay_innermost_in_memory(pooled: xr.DataTree) -> None:
    values = pooled["posterior"]["comparison_effect"].transpose("comparison", "outcome", "chain", "draw").values
    assert values.flags.c_contiguous


def test_the_same_seed_gives_the_same_worlds_and_worlds_have_seeds_of_their_own(arms: xr.Dataset) -> None:
    first, second = refit([arms, arms], model(), seed=5)
    again = refit([arms], model(), seed=5)[0]
    assert first["posterior"].to_dataset().identical(again["posterior"].to_dataset())
    assert not first["posterior"].to_dataset().equals(second["posterior"].to_dataset())


def test_the_worst_world_speaks_for_the_sampler(arms: xr.Dataset) -> None:
    results = refit([arms, arms], model(), seed=1)
    for result, k, passed in zip(results, (0.2, 0.9), (1, 0), strict=True):
        result["sample_stats"].attrs |= {"pareto_k": k, "efficiency": 1 - k, "attempt": 1 + passed, "passed": passed}
    found = pool(results, arms, {"rho_within": [0.1, 0.2]})["sample_stats"].attrs
    assert (found["pareto_k"], found["attempt"], found["passed"]) == (0.9, 2, 0)
    assert found["efficiency"] == pytest.approx(0.1)


def test_worlds_of_different_size_or_without_effects_are_refused(arms: xr.Dataset) -> None:
    results = refit([arms, arms], model(), seed=1)
    short = results[1].isel(draw=slice(100))
    with pytest.raises(ValueError, match="equal numbers of chains and draws"):
        pool([results[0], short], arms, {"rho_within": [0, 0]})
    with pytest.raises(ValueError, match="log_likelihood is missing in some worlds"):
        pool([results[0], results[1].drop_nodes("log_likelihood")], arms, {"rho_within": [0, 0]})


def test_too_many_draws_are_refused_with_the_way_out(arms: xr.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "STORED_AT_MOST", 500 * arms.sizes["comparison"])
    with pytest.raises(SpecificationError, match=r"3 worlds of .* 4 chains leave room for 41 draws.*sampling\.worlds"):
        mb.fit(arms, model())


def test_draws_that_do_not_fit_are_thinned_after_they_were_judged(
    arms: xr.Dataset, pooled: xr.DataTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "STORED_AT_MOST", 1000 * arms.sizes["comparison"])
    thinned = mb.fit(arms, model(), seed=5)
    assert thinned["posterior"].sizes["draw"] == thinned["log_likelihood"].sizes["draw"] == 62
    np.testing.assert_array_equal(
        thinned["posterior"]["tau_study"], pooled["posterior"]["tau_study"].isel(draw=slice(3, None, 4))
    )
    stats = thinned["sample_stats"].attrs
    assert 1 <= stats["r_hat"] < 1.02
    assert 248 < stats["ess_bulk"] <= 1500  # of all 1000 draws of a world, not of the 248 that are kept
    table = convergence_table(estimate(thinned))
    assert WORST_WORLD not in set(table["quantity"])
    spoilt = estimate(thinned)
    spoilt["sample_stats"].attrs["r_hat"] = 1.5
    assert WORST_WORLD in diagnose(spoilt).r_hat.quantity


def test_stages_summaries_and_verdict_take_pooled_draws(pooled: xr.DataTree) -> None:
    result = estimate(pooled)
    summary = mb.summarise(result).set_index(["level", "quantity"])
    assert summary.loc[("parameter", "beta[soc,intercept]"), "ess_bulk"].item() > 1500
    found = diagnose(result, mb.summarise(result))
    assert found == diagnose(result)
    assert found.passed
    shifted = result["posterior"].to_dataset().copy(deep=True)
    shifted["beta"] += shifted["world"]
    shifted["beta"][5] += 0.5
    made = result.copy()
    made["posterior"] = xr.DataTree(shifted)
    assert "r-hat" in [problem.check for problem in diagnose(made).problems]


def test_worlds_that_differ_pass(pooled: xr.DataTree) -> None:
    moved = pooled["posterior"].to_dataset().copy(deep=True)
    moved["beta"] = moved["beta"] + moved["world"]
    made = pooled.copy()
    made["posterior"] = xr.DataTree(moved)
    assert diagnose(estimate(made)).passed


def test_single_chains_cannot_be_compared_however_many_worlds(arms: xr.Dataset) -> None:
    result = estimate(mb.fit(arms, model(**{"sampling.chains": 1, "sampling.draws": 600})))
    assert "one-chain" in [problem.check for problem in diagnose(result).problems]


def test_a_saved_pooled_result_is_the_same(pooled: xr.DataTree, tmp_path) -> None:
    loaded = mb.load(mb.save(pooled, tmp_path / "pooled.nc"))
    assert loaded.identical(pooled)
    assert loaded["posterior"].sizes["chain"] == 12


def test_one_value_is_one_fit(arms: xr.Dataset) -> None:
    fixed = {"priors.rho_within.distribution": "fixed", "priors.rho_within.value": 0.2}
    result = mb.fit(arms, mb.load_model(settings=fixed | SMALL))
    assert "world" not in result["posterior"].coords
    assert (result["data"]["rho_within"] == 0.2).all()


def test_a_prior_without_use_is_a_note(arms: xr.Dataset) -> None:
    reported = arms.assign(
        source_rho=arms["source_rho"].copy(data=np.full(arms.sizes["arm"], "reported", dtype=object))
    )
    result = mb.fit(reported, model(), seed=5)
    assert "rho-within-unused" in result.attrs["problems"]
    plain = fit_once(reported, model(), seed=5)
    assert result["posterior"].to_dataset().identical(plain["posterior"].to_dataset())


def test_worlds_that_a_guide_does_not_cover_are_searched_anew(arms: xr.Dataset) -> None:
    guide = explored(with_correlation(arms, 0.5), model(), 5)[1]
    assert guide.mixture is not None
    lost = replace(guide, mixture=replace(guide.mixture, centre=guide.mixture.centre + 30.0))
    found = explored(arms, model(), 5, lost)[1]
    assert found.passed
    assert len(found.z) == 16_000
    followed = explored(arms, model(), 5, guide)[1]
    assert followed.passed and len(followed.z) == 8000
    assert followed.mixture is None
