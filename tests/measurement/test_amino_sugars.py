import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbayes.measurement import amino_sugars as a

masses = st.floats(1e-4, 1e4)
factors = st.floats(1.0, 80.0)
ratios = st.floats(0.0, 4.0)
cvs = st.floats(0.01, 1.0)
shares = st.floats(0.0, 1.0)
correlations = st.floats(-0.95, 0.95)


def test_the_conventional_factors_give_the_published_weights():
    """45, 9 and 2: N = 9 GlcN + 32.16 MurN."""
    q = a.muramic_weight(45, 9, 2)
    assert a.necromass(1.0, 0.0, 9, q) == pytest.approx(9)
    assert a.necromass(0.0, 1.0, 9, q) == pytest.approx(32.16, abs=0.005)
    assert abs(a.MASS_RATIO - 0.7132) < 5e-5


def test_a_soil_worked_by_hand():
    """GlcN 1576 and MurN 151 mg/kg: BNC 6795 and FNC 12246 mg/kg."""
    assert a.bacterial_necromass(151, 45) == pytest.approx(6795)
    assert a.fungal_necromass(1576, 151, 9, 2) == pytest.approx(12245.6, abs=0.1)


@given(masses, masses, factors, factors, ratios)
def test_necromass_is_the_sum_of_its_parts(g, m, k_b, k_f, rho_b):
    whole = a.necromass(g, m, k_f, a.muramic_weight(k_b, k_f, rho_b))
    parts = a.bacterial_necromass(m, k_b), a.fungal_necromass(g, m, k_f, rho_b)
    assert whole == pytest.approx(sum(parts), rel=1e-9, abs=1e-9 * max(map(abs, parts)))


@given(masses, masses, factors, st.floats(0.0, 8.0), st.floats(1e-3, 1e3))
def test_the_unit_and_k_f_cancel_out_of_every_ratio(g, m, k_f, q, unit):
    assert a.necromass(unit * g, unit * m, k_f, q) == pytest.approx(unit * a.necromass(g, m, k_f, q))
    assert a.necromass(g, m, 2 * k_f, q) == pytest.approx(2 * a.necromass(g, m, k_f, q))
    assert a.muramic_share(unit * g, unit * m, q) == pytest.approx(a.muramic_share(g, m, q))


@given(masses, masses, factors, factors, ratios)
def test_amino_sugars_come_back_from_the_two_necromasses(g, m, k_b, k_f, rho_b):
    bacterial, fungal = a.bacterial_necromass(m, k_b), a.fungal_necromass(g, m, k_f, rho_b)
    muramic = bacterial / k_b
    assert muramic == pytest.approx(m)
    assert fungal / k_f + rho_b * a.MASS_RATIO * muramic == pytest.approx(g, rel=1e-6, abs=1e-9 * m)


@given(masses, masses, cvs, cvs, correlations)
def test_without_weight_muramic_acid_leaves_no_trace(g, m, cv_g, cv_m, rho):
    share = a.muramic_share(g, m, 0.0)
    assert share == 0
    assert a.necromass_cv(share, cv_g, cv_m, rho) == pytest.approx(cv_g)


@given(masses, masses, st.floats(0.1, 8.0), cvs, cvs, correlations)
def test_the_cv_is_that_of_the_formula_with_standard_deviations(g, m, q, cv_g, cv_m, rho):
    s_g, s_m = cv_g * g, cv_m * m
    expected = np.sqrt(s_g**2 + (q * s_m) ** 2 + 2 * q * rho * s_g * s_m) / (g + q * m)
    assert a.necromass_cv(a.muramic_share(g, m, q), cv_g, cv_m, rho) == pytest.approx(expected, rel=1e-6)


@given(shares, cvs, correlations)
def test_a_common_cv_gives_necromass_the_cv_asked_for(share, cv, rho):
    common = a.common_cv(share, cv, rho)
    assert a.necromass_cv(share, common, common, rho) == pytest.approx(cv)
    assert common >= cv - 1e-12


def test_the_variance_of_the_log_mean_is_that_of_many_simulated_means():
    """2e5 means of 8 plots, seed 1: within 2 % of CV²/n, the size of the second-order terms at these CVs."""
    rng = np.random.default_rng(1)
    means, sd, rho, q, n = np.array([1.0, 0.08]), np.array([0.18, 0.02]), 0.7, 1.97, 8
    covariance = np.array([[sd[0] ** 2, rho * sd.prod()], [rho * sd.prod(), sd[1] ** 2]])
    observed = means + rng.standard_normal((200_000, 2)) @ np.linalg.cholesky(covariance / n).T
    simulated = np.log(a.necromass(observed[:, 0], observed[:, 1], 10.0, q)).var()
    cv = a.necromass_cv(a.muramic_share(*means, q), *(sd / means), rho)
    assert simulated == pytest.approx(float(cv**2) / n, rel=0.02)
