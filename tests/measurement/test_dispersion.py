import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.measurement.dispersion import cv_from_sd, sd_from_cv, sd_from_se

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)
POSITIVE = st.floats(1e-3, 1e3)


def test_standard_error_times_root_n_is_the_standard_deviation():
    plots = np.random.default_rng(1).normal(10.0, 2.0, size=7)
    se = plots.std(ddof=1) / np.sqrt(len(plots))
    assert sd_from_se(se, len(plots)) == pytest.approx(plots.std(ddof=1), rel=1e-14)


@BOUNDED
@given(POSITIVE, POSITIVE)
def test_sd_and_cv_are_inverse_to_each_other(cv, mean):
    assert cv_from_sd(sd_from_cv(cv, mean), mean) == pytest.approx(cv, rel=1e-14)


def test_missing_stays_missing():
    np.testing.assert_array_equal(sd_from_se([1.0, np.nan, 1.0], [4, 4, np.nan]), [2.0, np.nan, np.nan])
    np.testing.assert_array_equal(sd_from_cv([0.5, np.nan], [np.nan, 2.0]), [np.nan, np.nan])
    np.testing.assert_array_equal(cv_from_sd([1.0, np.nan], [2.0, 2.0]), [0.5, np.nan])
