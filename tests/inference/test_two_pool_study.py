"""Densities of a study with its effects integrated out: against dense algebra, closed forms and brute force."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.linalg import block_diag, null_space
from scipy.special import expit, logsumexp
from two_pool_fakes import three_studies

from mcpbayes.inference import two_pool_integral
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.tree import build_hierarchy, select_studies
from mcpbayes.inference.two_pool_coordinates import expected, places, slopes, standardised
from mcpbayes.inference.two_pool_integral import find_mode, log_density
from mcpbayes.inference.two_pool_simulation import draw_effects
from mcpbayes.inference.two_pool_study import Population, study_of
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER


@pytest.fixture(scope="module")
def arms():
    return three_studies()


@pytest.fixture(scope="module")
def tree(arms):
    return build_hierarchy(arms)


def studies_of(arms, tree):
    return [study_of(tree, arms["duration_years"].values, number) for number in range(tree.studies)]


def lower(tau, rho):
    return np.linalg.cholesky(np.diag(tau) @ [[1, rho], [rho, 1]] @ np.diag(tau))


def shared(draws, *, with_site=False, seed=0, **given):
    """Draws of the population, random where not given."""
    rng = np.random.default_rng(seed)

    def factors():
        return np.stack([lower(rng.uniform(0.05, 0.3, 2), rng.uniform(-0.7, 0.7)) for _ in range(draws)])

    parts = {
        "beta": rng.normal(0, 0.4, (draws, 1, 2)),
        "rate": rng.uniform(0.02, 0.1, (draws, 2)),
        "middle": rng.normal(-0.4, 0.3, draws),
        "spread": rng.uniform(0.1, 0.5, draws),
        "study": factors(),
        "comparison": factors(),
        "site": factors() if with_site else None,
    }
    return Population(**parts | given)


def dense(tree, number, baselines):
    """ln ∫ N(y; η + Zb, V) db as a function of η (..., arm, 2): by contrasts K'y, K orthonormal, orthogonal to Z."""
    part, *_ = select_studies(tree, np.array([number]))
    seen = part.observed.ravel()
    v = block_diag(*part.sampling)[np.ix_(seen, seen)]
    of_control = np.repeat(part.control, 2)
    key = (of_control if baselines == "arms" else 2 * of_control + np.tile([0, 1], len(part.y)))[seen]
    z = (key[:, None] == np.unique(key)).astype(float)
    k = null_space(z.T)
    law = stats.multivariate_normal(np.zeros(k.shape[1]), k.T @ v @ k)
    volume = 0.5 * np.linalg.slogdet(z.T @ z)[1]
    return lambda eta: law.logpdf((part.y.ravel()[seen] - eta.reshape(*eta.shape[:-2], -1)[..., seen]) @ k) - volume


def arms_mean(study, effect, ratio):
    """η of the arms up to ln SOC: effect (..., comparison, 2), ratio (..., control)."""
    mean = np.zeros((*effect.shape[:-2], len(study.control_of_arm), 2))
    mean[..., 0] = np.log(ratio)[..., study.control_of_arm]
    mean[..., study.arm, :] += effect
    return mean


@pytest.mark.parametrize("what", ["arms", "contrasts"])
def test_density_given_the_effects_is_that_of_the_contrasts(arms, tree, what):
    rng = np.random.default_rng(1)
    for number, study in enumerate(studies_of(arms, tree)):
        density = getattr(study, what)
        eta = rng.normal(0, 0.3, (len(study.control_of_arm), 2))
        rest = study.y - eta.ravel()[study.seen]
        found = density.constant - 0.5 * rest @ density.precision @ rest
        assert found == pytest.approx(dense(tree, number, what)(eta), abs=1e-8)


@pytest.mark.parametrize("site", [False, True])
def test_slopes_are_those_of_finite_differences(arms, tree, site):
    rng, population = np.random.default_rng(2), shared(3, with_site=site)
    for study in studies_of(arms, tree):
        z = rng.normal(0, 1, (3, places(study, population).size))
        slope = slopes(study, population, z)
        for place in range(z.shape[1]):
            step = 1e-5 * np.eye(z.shape[1])[place]
            there, here = (expected(study, population, (z + s * step)[:, None])[:, 0] for s in (1, -1))
            np.testing.assert_allclose(slope[..., place], (there - here) / 2e-5, atol=1e-8)


@pytest.mark.parametrize("site", [False, True])
@pytest.mark.parametrize("limit", ["no necromass in SOC", "both pools move as one"])
def test_new_steady_states_without_a_say_of_the_ratio_are_the_static_model(arms, tree, limit, site):
    """k → ∞ and r₀ → 0, where θ_C = a_P + w_P; or both pools alike, where θ_C = θ_N whatever r₀: 20 000 inner draws.

    Sites, where they are a level: one for each control.
    """
    tree = replace(tree, site=np.arange(len(tree.site)), study=tree.study[tree.site])
    fast = {"rate": np.full((3, 2), 1e4)}
    if limit == "no necromass in SOC":
        population = shared(3, with_site=site, middle=np.full(3, -40.0), **fast)
    else:
        levels = ("study", "comparison", *(["site"] if site else []))
        alike = {name: np.array([[[t, 0.0], [t, 0.0]] for t in (0.1, 0.2, 0.3)]) for name in levels}
        beta = np.repeat(np.array([0.3, -0.2, 0.1])[:, None, None], 2, axis=2)
        population = shared(3, beta=beta, **alike, **fast)

    def sigma(factor):
        return np.moveaxis(factor @ np.swapaxes(factor, 1, 2), 0, -1)

    mean = np.moveaxis(tree.design @ population.beta, 0, -1)
    of_sites = None if population.site is None else sigma(population.site)
    covariances = Covariances(sigma(population.comparison), sigma(population.study), of_sites)
    static = log_likelihood(tree, covariances, mean)
    rng = np.random.default_rng(3)
    for number, study in enumerate(studies_of(arms, tree)):
        found = log_density(study, study.contrasts, population, rng, inner=20_000)
        np.testing.assert_allclose(found, static[number], atol=0.03)


@pytest.mark.parametrize("what", ["arms", "contrasts"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_density_is_that_of_brute_force(arms, tree, number, what):
    """300 000 draws of effects and ratios from the population by the simulator, against 5000 of the proposal."""
    tree, size = replace(tree, sampling=9 * tree.sampling), 300_000  # imprecise: draws of the population suffice
    study = studies_of(arms, tree)[number]
    tau, rho = {"study": [0.2, 0.1], "comparison": [0.15, 0.1]}, {"study": 0.4, "comparison": -0.3}
    truth = {"beta": [0.4, -0.2], TURNOVER: [0.06, 0.03], MU_R: -0.4, SIGMA_R: 0.3}
    truth |= {f"tau_{level}": tau[level] for level in tau} | {f"rho_{level}": rho[level] for level in rho}
    factors = {level: lower(tau[level], rho[level])[None] for level in tau}
    population = shared(
        1, beta=np.array([[truth["beta"]]]), rate=np.array([truth[TURNOVER]]), middle=np.array([-0.4]),
        spread=np.array([0.3]), **factors,
    )  # fmt: skip
    rng, comparisons = np.random.default_rng(4), len(study.years)
    ratio = expit(-0.4 + 0.3 * rng.standard_normal((size, study.controls)))
    effect = draw_effects(
        truth, rng, np.repeat(np.arange(size), comparisons), np.tile(study.years, size), ratio[:, study.control].ravel()
    )
    values = dense(tree, number, what)(arms_mean(study, effect.reshape(size, comparisons, 2), ratio))
    brute = logsumexp(values) - np.log(size)
    error = np.exp(values - brute).std() / np.sqrt(size)
    found = log_density(study, getattr(study, what), population, rng, inner=5000)
    assert error < 0.02
    assert abs(found[0] - brute) < 4 * np.hypot(error, 0.02)


def test_reciprocals_are_unbiased_with_the_coordinates_of_the_posterior(arms, tree):
    """Effects are linear here: mode and curvature give p(y | φ) and z given y exactly; 4000 draws, two z each."""
    alike = {name: np.array([[[t, 0.0], [t, 0.0]]]) for name, t in (("study", 0.2), ("comparison", 0.1))}
    one = shared(1, beta=np.full((1, 1, 2), 0.2), rate=np.full((1, 2), 1e4), spread=np.zeros(1), **alike)
    rng, draws = np.random.default_rng(5), 4000
    many = Population(**{k: None if v is None else np.repeat(v, draws, axis=0) for k, v in vars(one).items()})
    for study in studies_of(arms, tree):
        mode, factor = find_mode(study, study.arms, one)
        size = mode.shape[1]
        known = study.arms.constant - two_pool_integral._half_squares(study, study.arms, one, mode[:, None])[0, 0]
        known -= np.log(np.diagonal(factor[0])).sum()
        own = mode + np.linalg.solve(factor[0].T, rng.standard_normal((size, draws))).T
        inverse = np.exp(known - log_density(study, study.arms, many, rng, inner=2, own=own))
        assert abs(inverse.mean() - 1) < 4 * inverse.std() / np.sqrt(draws)
        plain = np.exp(log_density(study, study.arms, many, rng, inner=2) - known)
        assert abs(plain.mean() - 1) < 4 * plain.std() / np.sqrt(draws)


def test_coordinates_make_the_effects_again_and_are_normal_where_there_is_no_spread():
    rng = np.random.default_rng(6)
    for tau, rho in (([0.3, 0.2], 0.5), ([0.0, 0.2], 0.0), ([0.2, 0.2], 1.0), ([0.0, 0.0], 0.0)):
        covariance = np.outer(tau, tau) * [[1, rho], [rho, 1]]
        factor = np.zeros((4000, 2, 2))
        factor[:, 0, 0], factor[:, 1, 1] = tau[0], np.sqrt(max(tau[1] ** 2 * (1 - rho**2), 0.0))
        factor[:, 1, 0] = rho * tau[1]
        effects = rng.standard_normal((4000, 1, 2)) @ np.swapaxes(factor, 1, 2)
        z = standardised(effects, factor, rng)
        np.testing.assert_allclose(z @ np.swapaxes(factor, 1, 2), effects, atol=1e-12)
        np.testing.assert_allclose(np.cov(z[:, 0].T), np.eye(2), atol=0.1)
        np.testing.assert_allclose(np.cov(effects[:, 0].T), covariance, atol=0.02)
