"""The model of CVs against brute force, its priors, its limits, and calibration on simulated tables."""

import brute_cvs
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, kstest, norm

from mcpbayes.measurement.cv_density import density_rows, error_moments, look_up
from mcpbayes.measurement.cv_model import KEPT, fit_cvs
from mcpbayes.measurement.cv_posterior import Priors, half_normal_quantile, log_marginal, measured

ONE = Priors(np.log([0.15]), np.array([0.5]), 0.3, np.array([0.3]))
TWO = Priors(np.log([0.185, 0.138]), np.array([0.5, 0.5]), 0.3, np.array([0.3, 0.3]))
CV = np.array([0.08, 0.22, 0.17, 0.30])
N = np.array([3.0, 3.0, 4.0, 6.0])
STUDY = np.array([0, 0, 1, 1])


def table(studies, arms, rng, priors=TWO, n=3):
    """CVs drawn from the priors, and sample CVs of n plots."""
    found = priors.parameters(rng.standard_normal((1, priors.dimension)))
    study = np.repeat(np.arange(studies), arms)
    pools = len(priors.location)
    effect = found.tau[0] * rng.standard_normal(studies)
    x = found.mu[0] + effect[study][:, None] + found.omega[0] * rng.standard_normal((len(study), pools))
    sample = np.exp(x) * np.sqrt(rng.chisquare(n - 1, x.shape) / (n - 1))
    return found, x, sample, np.full(x.shape, float(n)), study


@pytest.mark.parametrize("nu", [1.0, 2.0, 3.5, 9.0, 60.0])
@pytest.mark.parametrize("share", [0.0, 0.013, 0.4, 0.9, 1.0])
def test_the_tabulated_density_is_a_density_with_unit_variance(nu, share):
    row = density_rows(nu, np.array([share]))
    places = np.linspace(-12.0, 8.0, 4001)
    density = np.exp(look_up(row.ravel(), np.zeros(1, dtype=np.intp), places))
    step = places[1] - places[0]
    assert density.sum() * step == pytest.approx(1.0, abs=2e-3)
    assert (density * places).sum() * step == pytest.approx(0.0, abs=4e-3)
    assert (density * places**2).sum() * step == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("nu", "bound"), [(1.0, 1.1e-3), (2.0, 3.5e-4), (3.5, 1e-4), (9.0, 1e-4), (60.0, 1e-4)])
@pytest.mark.parametrize("share", [0.005, 0.0521, 0.31, 0.77, 0.993])  # between the shares of the table, too
def test_the_tabulated_density_against_the_integral(nu, bound, share):
    bias, noise = (float(part) for part in error_moments(np.array(nu)))
    omega, unit = np.sqrt(noise * share / (1 - share)), np.sqrt(noise / (1 - share))
    z = np.linspace(-9.0, 9.0, 9001)
    weight = norm.pdf(z) * (z[1] - z[0])
    places = np.linspace(-12.0, 8.0, 2001)
    q = [nu * np.exp(2 * (bias + unit * place - omega * z)) for place in places]
    exact = np.array([np.sum(weight * 2 * one * chi2.pdf(one, nu)) for one in q])
    found = np.exp(look_up(density_rows(nu, np.array([share])).ravel(), np.zeros(1, dtype=np.intp), places))
    assert 0.5 * np.abs(found - unit * exact).sum() * 0.01 < bound


@pytest.mark.parametrize("nu", [1.0, 2.0, 5.0, 40.0])
def test_moments_of_the_error_of_ln_s(nu):
    def moment(power, about=0.0):
        return quad(lambda q: (0.5 * np.log(q / nu) - about) ** power * chi2.pdf(q, nu), 0, np.inf, limit=200)[0]

    mean, variance = (float(part) for part in error_moments(np.array(nu)))
    assert mean == pytest.approx(moment(1), rel=1e-5)
    assert variance == pytest.approx(moment(2, mean), rel=1e-5)
    if nu == 2.0:
        assert np.sqrt(variance) == pytest.approx(0.64, abs=0.002)  # an SD from three plots is itself uncertain


@pytest.mark.parametrize(
    ("mu", "omega", "tau"),
    [(-1.9, 0.2, 0.2), (-1.6, 0.05, 0.4), (-2.2, 0.6, 0.1), (-1.8, 0.35, 0.02), (-2.5, 0.9, 0.7)],
)
def test_the_marginal_density_against_brute_force(mu, omega, tau):
    data = measured(CV[:, None], N[:, None] - 1, STUDY)
    z_free = Priors(np.array([mu]), np.array([1.0]), tau, np.array([omega]), tau_fixed=True, omega_fixed=True)
    ours = log_marginal(data, z_free.parameters(np.zeros((1, 1))))
    assert ours[0] == pytest.approx(brute_cvs.log_marginal(CV, N - 1, STUDY, mu, omega, tau), abs=0.01)


@pytest.mark.parametrize(("tau", "apart"), [(0.2, -4.0), (0.2, -2.0), (0.05, -4.0), (0.5, -4.0)])
def test_a_study_far_from_the_others_is_integrated_all_the_same(tau, apart):
    """Ten arms of one study whose CVs are e^-2 or e^-4 of what the others say."""
    cv, nu, study = np.full(10, 0.15 * np.exp(apart)), np.full(10, 2.0), np.zeros(10, dtype=np.intp)
    data = measured(cv[:, None], nu[:, None], study)
    fixed = Priors(np.log([0.15]), np.array([1.0]), tau, np.array([0.3]), tau_fixed=True, omega_fixed=True)
    x, effect = np.linspace(-12, 2, 2801), np.linspace(-20, 20, 2001) * tau
    chi = brute_cvs.log_chi(np.log(cv[0]), x, 2.0)
    arm = np.exp(brute_cvs.log_normal(x, np.log(0.15) + effect[:, None], 0.3) + chi).sum(axis=1) * (x[1] - x[0])
    whole = np.exp(brute_cvs.log_normal(effect, 0.0, tau) + 10 * np.log(arm)).sum() * (effect[1] - effect[0])
    ours = log_marginal(data, fixed.parameters(np.zeros((1, 1))))
    assert ours[0] == pytest.approx(np.log(whole), abs=0.03)


def test_posterior_against_brute_force():
    sample = np.append(CV, np.nan)[:, None]
    n, study = np.append(N, 3.0)[:, None], np.append(STUDY, 1)
    fit = fit_cvs(sample, n - 1, study, np.ones(sample.shape, dtype=bool), ONE, np.random.default_rng(1))
    means, squares = brute_cvs.posterior(CV, N - 1, STUDY, np.log(0.15), 0.5, 0.3, 0.3, silent_study=1)
    assert fit.passed and fit.ess > 200
    found = fit.parameters
    for draws, expected in zip((found.mu[:, 0], found.omega[:, 0], found.tau), means, strict=True):
        assert draws.mean() == pytest.approx(expected, abs=4 * draws.std() / np.sqrt(fit.ess))
    np.testing.assert_allclose(fit.rms[:, 0], np.sqrt(squares), rtol=0.06)  # 240 draws
    assert fit.rms[4, 0] > fit.rms[2, 0]  # nothing but the model draws the silent arm towards its study


def test_a_pool_without_sds_keeps_its_prior_and_a_silent_study_is_spread_by_tau():
    rng = np.random.default_rng(5)
    _, _, sample, n, study = table(6, 3, rng)
    sample[:, 1] = np.nan
    sample[study == 5] = np.nan
    fit = fit_cvs(sample, n - 1, study, np.ones(sample.shape, dtype=bool), TWO, rng)
    mu, omega = fit.parameters.mu[:, 1], fit.parameters.omega[:, 1]
    for draws, mean, sd in (
        (mu, TWO.location[1], 0.5),
        (omega, 0.3 * np.sqrt(2 / np.pi), 0.3 * np.sqrt(1 - 2 / np.pi)),
    ):
        assert draws.mean() == pytest.approx(mean, abs=4 * sd / np.sqrt(fit.ess))
        assert draws.std() == pytest.approx(sd, rel=0.2)
    spread = np.log(fit.cv).std(axis=0)
    assert spread[study == 5, 0].mean() > spread[study == 0, 0].mean()


def test_many_plots_leave_no_doubt_and_few_are_drawn_together():
    rng = np.random.default_rng(6)
    present = np.ones((15, 2), dtype=bool)
    _, _, sample, _, study = table(5, 3, rng, n=400)
    sure = fit_cvs(sample, np.full(sample.shape, 3999.0), study, present, TWO, rng)
    np.testing.assert_allclose(sure.rms, sample, rtol=0.02)
    doubtful = fit_cvs(sample, np.full(sample.shape, 2.0), study, present, TWO, rng)
    assert np.log(doubtful.rms).std() < np.log(sample).std()


def test_what_is_absent_stays_absent_and_what_is_fixed_stays_fixed():
    rng = np.random.default_rng(7)
    _, _, sample, n, study = table(4, 2, rng)
    present = np.ones(sample.shape, dtype=bool)
    present[0, 0], sample[0, 0] = False, np.nan
    fixed = Priors(TWO.location, TWO.spread, 0.0, np.array([0.2, 0.1]), tau_fixed=True, omega_fixed=True)
    fit = fit_cvs(sample, n - 1, study, present, fixed, rng)
    assert np.isnan(fit.rms[0, 0]) and np.isnan(fit.cv[:, 0, 0]).all()
    assert np.isfinite(fit.rms[present]).all() and (fit.cv[:, present] > 0).all()
    assert fit.cv.shape == (KEPT, 8, 2)
    assert (fit.parameters.tau == 0.0).all()
    assert (fit.parameters.omega == [0.2, 0.1]).all()


def test_root_mean_squares_are_those_of_the_draws():
    rng = np.random.default_rng(8)
    _, _, sample, n, study = table(10, 3, rng)
    sample[study > 6] = np.nan
    fit = fit_cvs(sample, n - 1, study, np.ones(sample.shape, dtype=bool), TWO, rng)
    of_draws = np.sqrt(np.mean(fit.cv**2, axis=0))
    np.testing.assert_allclose(of_draws, fit.rms, rtol=0.5)
    assert of_draws.mean() == pytest.approx(fit.rms.mean(), rel=0.05)


def test_studies_without_sds_have_one_root_mean_square():
    """Whatever their place: a few large draws of one study's effect once set it apart from the others."""
    rng = np.random.default_rng(4)
    _, _, sample, n, study = table(3, 3, rng)
    silent = np.full((12, 2), np.nan)
    sample, n = np.concatenate([sample, silent]), np.concatenate([n, np.full((12, 2), 3.0)])
    study = np.concatenate([study, 3 + np.repeat(np.arange(6), 2)])
    found = fit_cvs(sample, n - 1, study, np.ones(sample.shape, dtype=bool), TWO, rng)
    assert np.ptp(found.rms[9:], axis=0) == pytest.approx([0.0, 0.0], abs=1e-12)
    assert np.ptp(found.rms[:9], axis=0).min() > 0.001


def test_half_normal_quantiles_keep_their_digits():
    z = np.array([-30.0, -1.0, 0.0, 1.0, 7.0])
    found = half_normal_quantile(z)
    assert found[2] == pytest.approx(0.6744897501960817)
    assert (np.diff(found) > 0).all() and np.isfinite(found).all()


def test_calibration_on_simulated_tables():
    """Ranks of the truths of 100 simulated tables are uniform: p above 0.001 for each of six numbers, seed 11."""
    rng, ranks = np.random.default_rng(11), []
    for _ in range(100):
        truth, x, sample, n, study = table(6, 2, rng)
        sample[study == 0] = np.nan
        fit = fit_cvs(sample, n - 1, study, np.ones(sample.shape, dtype=bool), TWO, rng)
        found = fit.parameters
        ranks.append(
            [
                (found.mu[:, 0] < truth.mu[0, 0]).mean(),
                (found.omega[:, 0] < truth.omega[0, 0]).mean(),
                (found.omega[:, 1] < truth.omega[0, 1]).mean(),
                (found.tau < truth.tau[0]).mean(),
                (np.log(fit.cv[:, 0, 0]) < x[0, 0]).mean(),  # an arm without SD
                (np.log(fit.cv[:, 5, 1]) < x[5, 1]).mean(),
            ]
        )
    for column in np.array(ranks).T:
        assert kstest(column, "uniform").pvalue > 0.001


def test_a_cv_that_two_arms_share_counts_once():
    """Sixty simulated studies of two arms that share one sample CV with ν = 3; all true CVs are 0.15."""
    rng = np.random.default_rng(12)
    studies = 60
    own = 0.15 * np.sqrt(rng.chisquare(3, studies) / 3)
    sample, study = np.repeat(own, 2)[:, None], np.repeat(np.arange(studies), 2)
    df, present = np.full(sample.shape, 3.0), np.ones(sample.shape, dtype=bool)
    first = 2 * study[:, None]
    once = fit_cvs(sample, df, study, present, ONE, np.random.default_rng(1), first)
    twice = fit_cvs(sample, df, study, present, ONE, np.random.default_rng(1))
    alone = fit_cvs(sample[::2], df[::2], study[::2], present[::2], ONE, np.random.default_rng(1))
    tau, inflated, expected = (fit.parameters.tau.mean() for fit in (once, twice, alone))
    assert tau == pytest.approx(expected, abs=0.02)
    assert inflated > 1.5 * tau and tau < 0.2
    np.testing.assert_array_equal(once.cv[:, ::2], once.cv[:, 1::2])
    np.testing.assert_array_equal(once.rms[::2], once.rms[1::2])


def test_a_sample_cv_of_one_plot_is_refused():
    with pytest.raises(ValueError, match="at least one degree of freedom"):
        fit_cvs(CV[:, None], N[:, None] - 3, STUDY, np.ones((4, 1), dtype=bool), ONE, np.random.default_rng(1))
