"""The correlation over plots as a parameter of the fit: posterior by brute force, and everything around it."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.tree import with_groups
from mcpbayes.evidence.assumptions import CVS
from mcpbayes.inference import collapsed
from mcpbayes.inference.assumed import with_correlation, with_dispersion, with_unknown_correlation
from mcpbayes.inference.collapsed import levels_on
from mcpbayes.inference.coordinates import coordinates, covariances, parameters
from mcpbayes.inference.hierarchy import log_likelihood
from mcpbayes.inference.root import coefficient_prior, log_marginal
from mcpbayes.inference.simulation import simulate
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.monte_carlo.summaries import mcse_mean
from mcpbayes.output.document.report import render
from mcpbayes.specification.structure import Specification

ROW = "rho_within[necromass,soc]"
EFFECTS = ("study_effect", "site_effect", "comparison_effect", "baseline")


def rho_prior(a=6.0, b=2.0, update=True):
    return {
        f"priors.rho_within.{key}": value for key, value in dict(distribution="beta", a=a, b=b, update=update).items()
    }


def fixed(**values):
    return {
        f"priors.{name}.{key}": value
        for name, number in values.items()
        for key, value in dict(distribution="fixed", value=number).items()
    }


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Plots vary much, comparisons little, so that the data say something of ϱ; a third of the arms report theirs."""
    found, _ = simulate(studies=15, seed=8, tau_comparison=(0.02, 0.02), missing_sd=1.0, missing_necromass=0.1)
    return found.assign(rho_within=np.where(np.arange(len(found)) % 3 == 0, 0.2, np.nan))


@pytest.fixture(scope="module")
def result(table: pd.DataFrame) -> xr.DataTree:
    return mb.analyse(table, mb.load_model(settings=rho_prior()), seed=1)


def by_brute_force(arms: xr.Dataset, model: Specification, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ϱ at equally probable strata of its prior, and the posterior probability of each.

    Every ϱ is a table of its own with a known correlation; the other parameters are integrated out over draws from
    their prior, the same for all ϱ (one row of zeros where all are fixed).
    """
    rho = 2 * stats.beta(6, 2).ppf((np.arange(50) + 0.5) / 50) - 1
    coords = coordinates(model, levels_on(arms))
    sigma, kind = covariances(parameters(coords, points))
    prior = coefficient_prior(model, [str(name) for name in arms["coefficient"].values])
    each = [log_marginal(build_hierarchy(with_correlation(arms, one)), sigma, prior, kind) for one in rho]
    weight = np.exp(np.array(each) - np.max(each)).mean(axis=1)
    return rho, weight / weight.sum()


OTHERS = fixed(tau_study=0.2, rho_study=0.3, rho_comparison=0.0)


@pytest.mark.parametrize("others", [fixed(tau_comparison=0.02) | OTHERS, OTHERS], ids=["rho alone", "two tau unknown"])
def test_the_posterior_is_that_of_brute_force(table, others):
    """4000 draws, seed 2: mean, second moment and two probabilities within four Monte-Carlo errors and 0.002."""
    model = mb.load_model(settings=others | rho_prior())
    arms = mb.prepare(table, model)
    z = stats.norm.ppf((np.arange(20) + 0.5) / 20)
    free = coordinates(model, levels_on(arms)).dimension
    points = np.stack(np.meshgrid(*[z] * free), axis=-1).reshape(-1, free) if free else np.zeros((1, 0))
    rho, probability = by_brute_force(arms, model, points)
    draws = mb.fit(arms, model, seed=2)["posterior"]["rho_within"].values[..., 0]
    assert draws.shape == (4, 1000)
    prior_sd = 2 * stats.beta(6, 2).std()
    assert np.sqrt(probability @ rho**2 - (probability @ rho) ** 2) < 0.85 * prior_sd  # the data do say something
    for function in (lambda r: r, lambda r: r**2, lambda r: r < 0.3, lambda r: r < 0.6):
        found = function(draws).astype(float)
        assert abs(found.mean() - probability @ function(rho)) < 4 * mcse_mean(found[None])[0] + 2e-3


def test_it_stands_in_the_summary_and_passes_the_gate(table, result):
    parameters_ = mb.summarise(result).query("level == 'parameter'")
    names = parameters_["quantity"].tolist()
    assert names.index(ROW) == len(names) - 1
    row = parameters_.set_index("quantity").loc[ROW]
    posterior = result["posterior"]["rho_within"]
    assert posterior.dims == ("chain", "draw", "pair")
    assert row["mean"] == pytest.approx(posterior.values.mean())
    assert row["r_hat"] < 1.01 and row["ess_bulk"] > 400
    assert result.attrs["status"] == "ok" and result.attrs["engine"] == "collapsed"
    assert "worlds" not in result.attrs
    note = next(one for one in json.loads(result.attrs["problems"]) if one["check"] == "rho-within-estimated")
    assert f"for {int((result['data']['source_rho'] == 'imputed').sum())} arms" in note["message"]
    stuck = result["posterior"].to_dataset().copy(deep=True)
    stuck["rho_within"][0] += 1.0
    made = with_groups(result, {words.POSTERIOR: stuck})
    assert mb.diagnose(made).r_hat.quantity == ROW


def test_rows_may_stand_in_any_order(table, result):
    model = mb.load_model(settings=rho_prior())
    again = mb.analyse(table.sample(frac=1.0, random_state=3), model, seed=1)
    pd.testing.assert_frame_equal(mb.summarise(again), mb.summarise(result))


def test_a_narrow_prior_gives_the_fit_with_a_known_correlation(table):
    """Beta(10000, 10000): ϱ = 0 ± 0.007. 4000 draws each, seed 3; within four Monte-Carlo errors of both."""
    narrow = mb.load_model(settings=rho_prior(1e4, 1e4))
    plain = mb.load_model(settings={"data.defaults.rho_within": 0.0})
    found, expected = (mb.fit(mb.prepare(table, model), model, seed=3)["posterior"] for model in (narrow, plain))
    assert found["rho_within"].std() == pytest.approx(0.00707, rel=0.1)
    for name in ("beta", "tau_study", "tau_comparison", "rho_study"):
        pairs = [np.moveaxis(each[name].values.reshape(4, 1000, -1), -1, 0) for each in (found, expected)]
        error = np.sqrt(sum(mcse_mean(each) ** 2 for each in pairs))
        assert (np.abs(pairs[0].mean((1, 2)) - pairs[1].mean((1, 2))) < 4 * error).all(), name


def test_log_likelihood_has_the_correlation_of_the_draw(result):
    """Conditional on draw d the contrasts are those of a table with that correlation."""
    data, posterior = (result[name].to_dataset() for name in (words.DATA, words.POSTERIOR))
    stored = result["log_likelihood"]["contrasts"].values
    rho = posterior["rho_within"].values[0, :3, 0]
    for d, one in enumerate(rho):
        known = posterior.isel(chain=[0], draw=[d])[["tau_study", "rho_study", "tau_comparison", "rho_comparison"]]
        phi = {str(name): known[name].values[0] for name in known}
        sigma, _ = covariances(phi)
        tree = build_hierarchy(with_correlation(data, float(one)))
        mean = np.einsum("cp,pk->ck", tree.design, posterior["beta"].values[0, d])[..., None]
        np.testing.assert_allclose(log_likelihood(tree, sigma, mean)[:, 0], stored[0, d], atol=1e-8)


def test_stored_or_streamed_the_numbers_are_the_same(result):
    kept = [name for name in result["posterior"].data_vars if name not in EFFECTS]
    streamed = with_groups(result, {words.POSTERIOR: result["posterior"].to_dataset()[kept]})
    pd.testing.assert_frame_equal(mb.summarise(mb.delta_mcp(streamed)), mb.summarise(result), rtol=1e-12)


def test_without_a_study_it_is_the_fit_to_the_others(table, result):
    """4000 draws each: proposals of the whole, re-weighted, against a fit to the rest; four Monte-Carlo errors."""
    found = mb.leave_one_study_out(result)["influence"].to_dataset()
    assert (found["passed"] == 1).all()
    left_out = str(found["left_out"].values[1])
    rest = mb.analyse(table[table["study"] != left_out], mb.load_model(settings=rho_prior()), seed=5)
    expected = mb.summarise(rest).query("level == 'mean' and quantity == 'log_delta_mcp'").iloc[0]
    (target,) = np.flatnonzero(found["level"] == "mean")
    without = found.isel(left_out=1, target=target)
    assert abs(float(without["log_delta_mcp_mean"]) - expected["mean"]) < 4 * np.sqrt(2) * expected["mcse_mean"]
    assert float(without["log_delta_mcp_sd"]) == pytest.approx(expected["sd"], rel=0.06)


def test_assumptions_vary_what_is_assumed_and_leave_the_estimated_one(result):
    shown = mb.assumptions(result)
    assert set(shown["assumption"]) == {CVS}
    assert shown["passed"].all()
    used = shown[shown["as_analysed"]].iloc[0]
    expected = mb.summarise(result).query("level == 'mean' and quantity == 'log_delta_mcp'").iloc[0]
    assert used["mean"] == pytest.approx(expected["mean"], rel=1e-12)


def test_the_report_says_that_it_is_estimated(result):
    page = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", render(result, figures={}))))
    draws = result["posterior"]["rho_within"].values
    lower, upper = np.quantile(draws, [0.025, 0.975])
    told = f"posterior {draws.mean():.2f} [{lower:.2f}, {upper:.2f}]".replace("-", "\N{MINUS SIGN}")
    assert "was one unknown parameter of all arms that do not report it, estimated with the other parameters" in page
    assert "prior: beta(6, 2) on (1 + ϱ)/2, mean and 95" in page
    # beta(6, 2): the mean is 2 · 6/8 - 1; the card prints the interval
    assert page.count("0.50 [\N{MINUS SIGN}0.16, 0.93]") == page.count(told) == 2
    assert "heterogeneity that both pools share can be taken for a high ϱ" in page
    assert "except for the correlation, which was estimated" in page
    assert "--engine nuts, an independent sampler, and compare, both without update, since" in page
    source = result["data"]["source_rho"].values
    count = f"{(source == 'imputed').sum()} of {(source != '').sum()} arms"
    assert f"over plots of an arm, one ϱ for all of them, estimated ({count})" in page


def test_what_a_unit_of_rho_adds_follows_the_cvs_and_is_gone_where_rho_is_known(result):
    data = result["data"].to_dataset()
    doubled = with_dispersion(data, 2.0, bias_correction=True)
    imputed = data["source_rho"].values == "imputed"
    assert imputed.any() and not imputed.all()
    np.testing.assert_allclose(doubled[words.PER_RHO].values[imputed], 4 * data[words.PER_RHO].values[imputed])
    assert not data[words.PER_RHO].values[~imputed].any()
    assert words.PER_RHO not in with_correlation(data, 0.3)
    expected = with_correlation(data, 0.8)["sampling_covariance"] - with_correlation(data, 0.3)["sampling_covariance"]
    np.testing.assert_allclose(0.5 * data[words.PER_RHO].values, expected.fillna(0.0).values, atol=1e-15)


def test_nuts_refuses_and_auto_stays(table, monkeypatch):
    model = mb.load_model(settings=rho_prior() | {"sampling.engine": "nuts"})
    with pytest.raises(SpecificationError, match=r"rho_within\.update.*nuts does not estimate.*engine=collapsed"):
        mb.fit(mb.prepare(table, model), model)
    real = collapsed.sample

    def poor(data, model, seed, guide=None):
        posterior, stats_ = real(data, model, seed, guide)
        return posterior, stats_.assign_attrs(passed=0, pareto_k=0.93)

    monkeypatch.setattr(collapsed, "sample", poor)
    model = mb.load_model(settings=rho_prior())
    found = mb.analyse(table, model)
    assert (found.attrs["engine"], found.attrs["status"]) == ("collapsed", "failed")


def test_a_table_that_reports_every_correlation_has_nothing_to_estimate(table):
    model = mb.load_model(settings=rho_prior())
    result = mb.fit(mb.prepare(table.assign(rho_within=0.4), model), model)
    assert "rho_within" not in result["posterior"]
    assert "rho-within-unused" in result.attrs["problems"]


def contrasts(**columns) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"study": np.repeat([f"S{i}" for i in range(6)], 2), "comparison": [1, 2] * 6})
    table = table.assign(yi_necromass=rng.normal(0.1, 0.2, 12), yi_soc=rng.normal(0.1, 0.2, 12), vi_necromass=0.03)
    return table.assign(vi_soc=0.02, rho=[0.4, np.nan] * 6).assign(**columns)


def test_contrasts_without_a_correlation_share_one():
    model = mb.load_model("contrast-based", settings=rho_prior())
    result = mb.analyse(contrasts(), model)
    assert result.attrs["status"] == "ok"
    assert ROW in set(mb.summarise(result)["quantity"])
    per_rho = result["data"][words.PER_RHO].values
    np.testing.assert_allclose(per_rho[:, 0, 1], [0.0, np.sqrt(0.03 * 0.02)] * 6)


def test_contrasts_that_share_a_control_are_refused_with_the_way_out():
    model = mb.load_model("contrast-based", settings=rho_prior())
    with pytest.raises(SpecificationError, match=r"rho_within\.update.*share their control.*leave update out"):
        mb.fit(mb.prepare(contrasts(control_id="CK"), model), model)
    # Where the rows that share one report their correlation, the others may be estimated.
    some = contrasts(control_id=["CK", "CK", *(f"C{i}" for i in range(10))])
    data = mb.prepare(some.assign(rho=[0.4, 0.4, *[np.nan] * 10]), model)
    assert with_unknown_correlation(data)[words.PER_RHO].values[2:, 0, 1].all()
