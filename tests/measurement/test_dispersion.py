import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mcpbayes.measurement.dispersion import cv_from_sd, sd_from_ci, sd_from_cv, sd_from_se, se_from_ci

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)
POSITIVE = st.floats(1e-3, 1e3)
COUNTS = st.integers(2, 200)


def test_standard_error_times_root_n_is_the_standard_deviation():
    plots = np.random.default_rng(1).normal(10.0, 2.0, size=7)
    se = plots.std(ddof=1) / np.sqrt(len(plots))
    assert sd_from_se(se, len(plots)) == pytest.approx(plots.std(ddof=1), rel=1e-14)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_interval_of_a_sample_gives_its_standard_deviation(level):
    plots = np.random.default_rng(2).normal(10.0, 2.0, size=4)
    interval = stats.ttest_1samp(plots, 0.0).confidence_interval(level)
    assert sd_from_ci(interval.high - interval.low, 4, level) == pytest.approx(plots.std(ddof=1), rel=1e-12)


def test_the_quantile_is_students_not_the_normal_one():
    # published tables: t(2; 0.975) = 4.303, t(4; 0.975) = 2.776
    np.testing.assert_allclose(se_from_ci(2 * np.array([4.303, 2.776]), [3, 5]), 1.0, rtol=2e-4)


@BOUNDED
@given(POSITIVE, POSITIVE)
def test_sd_and_cv_are_inverse_to_each_other(cv, mean):
    assert cv_from_sd(sd_from_cv(cv, mean), mean) == pytest.approx(cv, rel=1e-14)


@BOUNDED
@given(POSITIVE, POSITIVE, COUNTS, st.floats(0.5, 0.999))
def test_an_sd_survives_the_way_through_se_interval_and_cv(sd, mean, n, level):
    se = sd / np.sqrt(n)
    half_width = stats.t.ppf((1 + level) / 2, n - 1) * se
    lower, upper = mean - half_width, mean + half_width
    assert sd_from_se(se, n) == pytest.approx(sd, rel=1e-12)
    assert sd_from_ci(2 * half_width, n, level) == pytest.approx(sd, rel=1e-9)
    assert sd_from_ci(upper - lower, n, level) == pytest.approx(sd, rel=1e-6, abs=1e-9 * mean)
    assert sd_from_cv(cv_from_sd(sd, mean), mean) == pytest.approx(sd, rel=1e-12)


def test_missing_stays_missing():
    np.testing.assert_array_equal(sd_from_se([1.0, np.nan, 1.0], [4, 4, np.nan]), [2.0, np.nan, np.nan])
    np.testing.assert_array_equal(sd_from_cv([0.5, np.nan], [np.nan, 2.0]), [np.nan, np.nan])
    np.testing.assert_array_equal(cv_from_sd([1.0, np.nan], [2.0, 2.0]), [0.5, np.nan])
    assert np.isnan(sd_from_ci([np.nan, 1.0, 1.0, 1.0], [4, np.nan, 4, 1], [0.95, 0.95, np.nan, 0.95])).all()
