"""Sampling covariance of fungal and bacterial necromass and SOC from that of amino sugars and SOC."""

import numpy as np
import pytest

from mcpbayes.measurement import amino_sugars as conversion
from mcpbayes.measurement.amino_parts import bacterial_share, largest_rho_within, parts_correlation, parts_covariance
from mcpbayes.measurement.effect_sizes import sampling_covariance

G, M, C = 0.9, 0.12, 14.0
CV = np.array([0.12, 0.16, 0.1])
RHO_B = 2.0


def simulated(plots, tables, rng):
    """Log means of F, B and C over the plots of an arm, normal plots with the correlations asked for."""
    correlation = parts_correlation(0.7, 0.4)
    means = np.array([G, M, C])
    z = rng.standard_normal((tables, plots, 3)) @ np.linalg.cholesky(correlation).T
    g, m, c = (means * (1 + CV * z)).mean(axis=1).T
    fungal, bacterial = conversion.fungal_necromass(g, m, 9.0, RHO_B), conversion.bacterial_necromass(m, 45.0)
    return np.log([fungal, bacterial, c])


def test_the_covariance_agrees_with_simulated_plots_to_first_order():
    """4e5 tables of 8 plots: Monte-Carlo error of a variance 0.2 %, what the first order leaves out below 2 %."""
    found = np.cov(simulated(8, 400_000, np.random.default_rng(1)))
    share = bacterial_share(G, M, RHO_B)
    expected = parts_covariance(share, CV, np.full(3, 8.0), parts_correlation(0.7, 0.4))
    np.testing.assert_allclose(found, expected, rtol=0.02)
    plain = sampling_covariance(CV, np.full(3, 8.0), 0.4)
    assert not np.allclose(plain, expected, rtol=0.1), "the check can fail"


def test_both_pools_together_have_the_cv_of_necromass():
    """N = F + B is linear: v_N of the two pools is CV² of necromass over n, exactly."""
    rng = np.random.default_rng(2)
    for _ in range(20):
        g, m, k_b, k_f, rho_b = rng.uniform([0.5, 0.01, 20, 8, 1], [2, 0.15, 50, 12, 2.5])
        cv, n = rng.uniform(0.05, 0.4, 3), np.full(3, 5.0)
        v = parts_covariance(bacterial_share(g, m, rho_b), cv, n, parts_correlation(0.6, 0.3))
        pools = np.array([conversion.fungal_necromass(g, m, k_f, rho_b), conversion.bacterial_necromass(m, k_b)])
        weight = pools / pools.sum()
        q = conversion.muramic_weight(k_b, k_f, rho_b)
        whole = conversion.necromass_cv(conversion.muramic_share(g, m, q), cv[0], cv[1], 0.6)
        assert weight @ v[:2, :2] @ weight == pytest.approx(whole**2 / 5, rel=1e-12)


def test_it_is_a_covariance_for_any_share_and_any_replicates():
    rng = np.random.default_rng(3)
    share, cv, n = rng.uniform(0, 0.98, 500), rng.uniform(0.02, 0.6, (500, 3)), rng.integers(2, 12, (500, 3))
    n[:, 1] = n[:, 0]
    limit = largest_rho_within(0.7)
    rho = rng.uniform(-limit, limit, 500) * 0.999
    v = parts_covariance(share, cv, n, parts_correlation(np.full(500, 0.7), rho))
    scaled = v / np.sqrt(np.einsum("aii,ajj->aij", v, v))
    assert np.linalg.eigvalsh(scaled).min() > 0
    assert np.array_equal(v, v.swapaxes(-1, -2))
    beyond = parts_correlation(0.7, 1.01 * limit)
    assert np.linalg.eigvalsh(beyond).min() < 0


def test_reported_pools_have_the_plain_covariance_and_a_missing_pool_leaves_the_others():
    n = np.array([4.0, 3.0, 5.0])
    plain = parts_covariance(0.0, CV, n, parts_correlation(0.5, 0.5))
    np.testing.assert_array_equal(plain, sampling_covariance(CV, n, 0.5))
    whole = parts_covariance(0.2, CV, n, parts_correlation(0.7, 0.5))
    gap = parts_covariance(0.2, np.array([np.nan, *CV[1:]]), n, parts_correlation(0.7, 0.5))
    assert np.isnan(gap[0]).all() and np.isnan(gap[:, 0]).all()
    np.testing.assert_array_equal(gap[1:, 1:], whole[1:, 1:])


def test_the_less_is_left_for_fungi_the_less_is_known_of_them():
    n, correlation = np.full(3, 4.0), parts_correlation(0.7, 0.5)
    variances = [parts_covariance(f, CV, n, correlation)[0, 0] for f in (0.0, 0.3, 0.6, 0.9)]
    assert np.all(np.diff(variances[1:]) > 0) and variances[0] == pytest.approx(CV[0] ** 2 / 4)
