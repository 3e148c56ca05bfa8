"""Worlds of CVs: one posterior draw of all CVs each, as many as it takes, the same again from the result."""

import json
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import mcpbayes as mb
from mcpbayes.analysis import estimate
from mcpbayes.estimands.pooled import mcse_mean
from mcpbayes.inference import engine
from mcpbayes.inference.dispersions import (
    DISPERSION,
    dispersion_doubt,
    share_between,
    share_between_of_taus,
    worlds_that_suffice,
)
from mcpbayes.inference.doubts import number_of_worlds
from mcpbayes.inference.engine import data_of_fits
from mcpbayes.inference.simulation import simulate

DIMS = ("chain", "draw", "outcome")
SMALL = {"sampling.draws": 250, "sampling.worlds": 3, "sampling.engine": "collapsed"}


def model(**changes):
    return mb.load_model(settings=SMALL | changes)


@pytest.fixture(scope="module")
def arms() -> xr.Dataset:
    return mb.prepare(simulate(studies=6, seed=3, missing_sd=0.5)[0], mb.load_model())


@pytest.fixture(scope="module")
def pooled(arms) -> xr.DataTree:
    return mb.fit(arms, model(), seed=5)


def test_a_world_takes_one_draw_of_all_cvs(arms):
    doubt = dispersion_doubt(arms, model(), 3)
    assert len(doubt.values) == 3
    made = doubt.apply(arms, 2)
    np.testing.assert_array_equal(made["cv"], arms["cv_draw"][2])
    assert doubt.values[2] == pytest.approx(np.sqrt(np.nanmean(made["cv"] ** 2)))
    v = made["cv"] ** 2 / made["n"]
    np.testing.assert_allclose(made["log_mean"], np.log(made["mean"]) + v / 2)
    np.testing.assert_allclose(np.einsum("akk->ak", made["sampling_covariance"]), v)
    assert doubt.central(arms) is arms


def test_there_is_no_doubt_without_draws(arms):
    assert dispersion_doubt(arms.drop_vars("cv_draw"), model(), 3) is None


def test_the_result_is_pooled_over_worlds_and_says_so(arms, pooled):
    assert pooled.attrs["worlds"] == 3
    assert json.loads(pooled.attrs["worlds_values"])["dispersion"] == list(dispersion_doubt(arms, model(), 3).values)
    assert pooled["posterior"].sizes["chain"] == 12
    np.testing.assert_array_equal(pooled["data"]["cv"], arms["cv"])
    said = [problem for problem in json.loads(pooled.attrs["problems"]) if problem["check"] == "worlds"]
    assert len(said) == 1 and "draws of a model of ln CV" in said[0]["message"]
    assert 0 <= pooled.attrs["share_between_worlds"] <= 1
    assert pooled["posterior"].attrs["worlds_drawn"] == 1


def test_errors_of_summaries_and_probabilities_hold_what_lies_between_drawn_worlds(pooled):
    result = mb.classify(estimate(pooled))
    beta = result["posterior"]["beta"].sel(coefficient="intercept", outcome="soc").transpose("chain", "draw").values
    summary = mb.summarise(result).set_index("quantity")["mcse_mean"]
    assert summary["beta[soc,intercept]"] == pytest.approx(mcse_mean(beta, 3, drawn=True))
    strata = result.copy()
    strata["posterior"].attrs = {}
    table, other = mb.scenario_table(result), mb.scenario_table(mb.classify(strata))
    assert (table["mcse"] >= other["mcse"]).all() and (table["mcse"] > 1.5 * other["mcse"]).any()


def test_the_same_worlds_are_made_from_the_result(arms, pooled):
    again = data_of_fits(pooled["data"].to_dataset(), model())
    for one, other in zip(data_of_fits(arms, model()), again, strict=True):
        np.testing.assert_array_equal(one["sampling_covariance"], other["sampling_covariance"])


def test_a_correlation_prior_is_carried_by_the_same_worlds(arms):
    prior = {"priors.rho_within.distribution": "beta", "priors.rho_within.a": 6.0, "priors.rho_within.b": 2.0}
    worlds = data_of_fits(arms, model(**prior))
    assert len(worlds) == 3
    for place, world in enumerate(worlds):
        np.testing.assert_array_equal(world["cv"], arms["cv_draw"][place])
    assert len({float(world["rho_within"][0]) for world in worlds}) == 3


@pytest.mark.parametrize(("between", "worlds"), [(0.0, 20), (0.2, 20), (0.35, 35), (1.0, 100)])
def test_worlds_that_suffice(between, worlds):
    assert worlds_that_suffice(between) == worlds


def test_how_many_worlds(arms):
    automatic = mb.load_model()
    assert number_of_worlds(arms, automatic) == 20
    assert number_of_worlds(arms.assign_attrs(worlds=45), automatic) == 45
    assert number_of_worlds(arms, mb.load_model(settings={"sampling.worlds": 500})) == 80
    assert number_of_worlds(arms.drop_vars("cv_draw"), automatic) == 8


def test_more_worlds_where_they_differ_much(arms, monkeypatch):
    monkeypatch.setattr(engine, "share_between", lambda posterior: 0.22)
    result = mb.fit(arms, mb.load_model(settings={"sampling.draws": 60, "sampling.engine": "collapsed"}), seed=5)
    assert result.attrs["worlds"] == result["data"].attrs["worlds"] == 22
    assert len(data_of_fits(result["data"].to_dataset(), mb.load_model())) == 22


def test_the_share_between_worlds():
    rng = np.random.default_rng(1)
    worlds = np.repeat(np.arange(20), 4)
    means = rng.normal(0, 1.0, 20)
    beta = np.zeros((80, 1000, 1, 2))
    beta[..., 0, 0] = means[worlds][:, None] + rng.normal(0, 2.0, (80, 1000))
    posterior = xr.Dataset(
        {"beta": (("chain", "draw", "coefficient", "outcome"), beta)},
        {"world": ("chain", worlds), "coefficient": ["intercept"], "outcome": ["necromass", "soc"]},
    )
    expected = means.var(ddof=1) / (means.var() + 4.0)
    assert share_between(posterior) == pytest.approx(expected, rel=0.05)
    beta[..., 0, 0] -= means[worlds][:, None]
    assert share_between(posterior) < 0.003


def test_slow_chains_are_not_taken_for_a_share_between_worlds():
    """20 worlds of 4 × 1000 draws, seed 2, each value held for 50: 80 of a world are independent, not 4000."""
    rng = np.random.default_rng(2)
    tau = np.repeat(rng.normal(size=(80, 20, 2)), 50, axis=1)
    posterior = xr.Dataset(
        {"beta": (("chain", "draw", "coefficient", "outcome"), tau[:, :, None]), "tau_study": (DIMS, tau)},
        {"world": ("chain", np.repeat(np.arange(20), 4)), "coefficient": ["intercept"], "outcome": ["n", "soc"]},
    )
    naive = tau.reshape(20, 4000, 2)
    assert (naive.mean(axis=1).var(axis=0, ddof=1) - 1 / 4000 > 0.006).all()
    assert share_between(posterior) < 0.006
    assert share_between_of_taus(posterior) < 0.006
    assert share_between_of_taus(posterior.drop_vars("tau_study")) == 0
    assert share_between_of_taus(posterior.assign(tau_study=xr.zeros_like(posterior["tau_study"]))) == 0
    assert 0 <= share_between(posterior.isel(draw=slice(3))) <= 1  # three draws have no error
    apart = posterior["tau_study"] + posterior["world"]
    assert share_between_of_taus(posterior.assign(tau_study=apart)) > 0.95


def test_more_worlds_than_there_are_draws_of_the_cvs_are_a_note(arms):
    few = arms.isel(cv_world=slice(3))
    result = mb.fit(few, model(**{"sampling.worlds": 5}), seed=5)
    assert result.attrs["worlds"] == 3
    (note,) = [one for one in json.loads(result.attrs["problems"]) if one["check"] == "fewer-worlds"]
    assert note["severity"] == "note" and "3 fits" in note["message"] and "not 5" in note["message"]
    assert "the CVs have 3 draws" in note["message"]


@pytest.mark.parametrize(
    ("name", "stored", "remedy"), [(DISPERSION, 80, "80"), (DISPERSION, 3, ""), ("factors", 80, "")]
)
def test_more_worlds_are_advised_only_where_there_are_draws_of_cvs_left(arms, pooled, name, stored, remedy):
    doubt = replace(dispersion_doubt(arms, model(), 3), name=name)
    apart = pooled.copy()
    apart.attrs |= {"share_between_worlds": 0.4, "share_between_worlds_of_taus": 0.1}
    *_, note = engine._carried([doubt], arms.isel(cv_world=slice(stored)), apart, model())
    assert note.check == "few-worlds" and "up to 10 % of that of a heterogeneity" in note.message
    assert note.remedy == (f"Take --set sampling.worlds={remedy}." if remedy else None)
