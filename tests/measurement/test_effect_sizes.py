import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.measurement.dispersion import cv_from_sd
from mcpbayes.measurement.effect_sizes import log_mean, sampling_covariance, sampling_variance

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)
POSITIVE = st.floats(0.01, 100.0)
CVS = st.floats(0.001, 2.0)
COUNTS = st.integers(1, 60)


def contrasts(frame, *, bias_correction):
    """Log response ratios and their variances, arm by arm: 1 is the treated arm, 2 the control."""
    cv = {arm: cv_from_sd(frame[f"sd{arm}i"], frame[f"m{arm}i"]) for arm in (1, 2)}
    means = {
        arm: log_mean(frame[f"m{arm}i"], cv[arm], frame[f"n{arm}i"], bias_correction=bias_correction) for arm in (1, 2)
    }
    variances = {arm: sampling_variance(cv[arm], frame[f"n{arm}i"]) for arm in (1, 2)}
    return means[1] - means[2], variances[1] + variances[2], variances[2]


@pytest.mark.parametrize(
    ("file", "yi", "vi", "rows"),
    [("d_curtis1998_effects.csv", "yi_ROM_LS", "vi_ROM_LS", 102), ("e_shared_control_data.csv", "yi", "vi", 6)],
)
def test_equals_metafor_escalc_without_bias_correction(shared_reference, file, yi, vi, rows):
    frame = pd.read_csv(shared_reference / file)
    assert len(frame) == rows
    ratios, variances, _ = contrasts(frame, bias_correction=False)
    np.testing.assert_allclose(ratios, frame[yi], rtol=0, atol=1e-10)
    np.testing.assert_allclose(variances, frame[vi], rtol=0, atol=1e-10)


def test_covariance_of_two_ratios_is_the_variance_of_their_control(shared_reference):
    frame = pd.read_csv(shared_reference / "e_shared_control_data.csv")
    _, _, control = contrasts(frame, bias_correction=False)
    exact = pd.read_csv(shared_reference / "e_V_exact_lajeunesse.csv").to_numpy()
    assert exact[0, 1] == pytest.approx(control[0], abs=1e-10)
    assert exact[4, 5] == pytest.approx(control[4], abs=1e-10)


def test_bias_correction_adds_half_the_variance():
    # CV 0.2, n 4: 0.04 / 8
    assert log_mean(10.0, 0.2, 4, bias_correction=True) == pytest.approx(np.log(10.0) + 0.005, abs=1e-15)
    assert log_mean(10.0, 0.2, 4, bias_correction=False) == np.log(10.0)


def test_corrected_log_mean_has_less_bias_than_the_plain_one():
    rng = np.random.default_rng(1)
    plots = rng.gamma(4.0, 1 / 4.0, size=(200_000, 4))  # mean 1, CV 0.5
    mean, cv = plots.mean(axis=1), np.full(200_000, 0.5)
    plain = log_mean(mean, cv, 4, bias_correction=False).mean()
    corrected = log_mean(mean, cv, 4, bias_correction=True).mean()
    assert plain < -0.025
    assert abs(corrected) < 0.005


def test_covariance_of_a_known_arm():
    expected = [[0.04 / 4, 0.5 * 0.2 * 0.1 / 5], [0.5 * 0.2 * 0.1 / 5, 0.01 / 5]]
    np.testing.assert_allclose(sampling_covariance([0.2, 0.1], [4, 5], 0.5), expected, rtol=1e-15)


def test_covariance_is_that_of_simulated_log_means():
    rng = np.random.default_rng(2)
    cv, rho, n = np.array([0.10, 0.06]), 0.6, np.array([3, 8])
    scale = np.diag(cv) @ [[1, rho], [rho, 1]] @ np.diag(cv)
    plots = rng.multivariate_normal([1.0, 1.0], scale, size=(100_000, 8))
    log_means = np.log(np.column_stack([plots[:, :3, 0].mean(axis=1), plots[:, :, 1].mean(axis=1)]))
    np.testing.assert_allclose(np.cov(log_means.T), sampling_covariance(cv, n, rho), rtol=0.03)


def test_a_missing_pool_is_missing_in_its_row_and_column_only():
    covariance = sampling_covariance([[0.2, np.nan, 0.1]], [[3, 3, 3]], [0.5])
    assert covariance.shape == (1, 3, 3)
    missing = np.isnan(covariance[0])
    np.testing.assert_array_equal(missing, [[False, True, False], [True, True, True], [False, True, False]])


def test_missing_mean_or_replicates_are_missing():
    assert np.isnan(log_mean(np.nan, 0.2, 3, bias_correction=True))
    assert np.isnan(log_mean(2.0, 0.2, np.nan, bias_correction=True))
    assert log_mean(2.0, 0.2, np.nan, bias_correction=False) == np.log(2.0)
    assert np.isnan(sampling_covariance([0.2, 0.1], [np.nan, 3], 0.5)[0, 1])


@BOUNDED
@given(st.lists(st.tuples(CVS, COUNTS), min_size=2, max_size=4), st.floats(0.0, 0.95))
def test_covariance_is_symmetric_and_positive_definite(pools, rho):
    cv, n = np.array(pools).T
    covariance = sampling_covariance(cv, n, rho)
    np.testing.assert_array_equal(covariance, covariance.T)
    scale = 1 / np.sqrt(np.diag(covariance))
    assert np.linalg.eigvalsh(covariance * np.outer(scale, scale)).min() > 0


@BOUNDED
@given(st.lists(st.tuples(CVS, CVS, COUNTS, COUNTS, st.floats(-0.95, 0.95)), min_size=1, max_size=5))
def test_covariances_of_many_arms_are_those_of_each_arm(arms):
    values = np.array(arms)
    together = sampling_covariance(values[:, :2], values[:, 2:4], values[:, 4])
    for i, row in enumerate(values):
        np.testing.assert_array_equal(together[i], sampling_covariance(row[:2], row[2:4], row[4]))


@BOUNDED
@given(POSITIVE, POSITIVE, CVS, COUNTS)
def test_a_change_of_unit_shifts_the_log_mean_only(mean, factor, cv, n):
    shifted = log_mean(mean * factor, cv, n, bias_correction=True) - log_mean(mean, cv, n, bias_correction=True)
    assert shifted == pytest.approx(np.log(factor), abs=1e-12)
