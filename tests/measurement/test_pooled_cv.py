import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbayes.measurement.pooled_cv import pooled_cv


def test_means_within_studies_then_between_them_weighted_by_plots():
    cv = np.array([[0.1], [0.3], [0.2], [np.nan]])
    n = np.array([[2.0], [6.0], [10.0], [50.0]])
    first = (2 * 0.1**2 + 6 * 0.3**2) / 8  # a study with 4 plots per arm
    expected = (4 * first + 10 * 0.2**2) / 14
    assert pooled_cv(cv, n, np.array([0, 0, 1, 2]))[0] == pytest.approx(np.sqrt(expected))


def test_a_pool_without_sds_has_none():
    cv = np.array([[0.1, np.nan], [0.2, np.nan]])
    assert np.isnan(pooled_cv(cv, np.full((2, 2), 3.0), np.array([0, 1]))).tolist() == [False, True]


@given(st.lists(st.floats(0.01, 2.0), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_it_lies_among_the_cvs_whatever_their_order(values, random):
    cv, study = np.array(values)[:, None], np.arange(len(values)) // 2
    n = 3.0 + np.arange(len(values))[:, None] % 4
    order = list(range(len(values)))
    random.shuffle(order)
    found = pooled_cv(cv, n, study)[0]
    assert min(values) * (1 - 1e-12) <= found <= max(values) * (1 + 1e-12)
    assert pooled_cv(cv[order], n[order], study[order])[0] == pytest.approx(found)
