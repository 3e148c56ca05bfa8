import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import rankdata

from mcpbayes.monte_carlo import ranks

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)


def scores_of(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, ordered = np.empty_like(rows), np.empty_like(rows)
    before = rows.copy()
    ranks.normal_scores(rows, scores, ordered)
    np.testing.assert_array_equal(rows, before)
    return scores, ordered


def check(rows: np.ndarray) -> None:
    scores, ordered = scores_of(rows)
    n = rows.shape[1]
    expected = ndtri((rankdata(rows, method="average", axis=1) - 0.375) / (n + 0.25))
    np.testing.assert_allclose(scores, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(ordered, np.sort(rows, axis=1))


#: Signs, zeros of both signs, subnormal numbers and neighbours that differ in the last bit.
AWKWARD = [0.0, -0.0, 5e-324, -5e-324, 1.0, np.nextafter(1, 2), np.nextafter(1, 0), -1.0, 1e308, -1e308]


@BOUNDED
@given(st.integers(1, 4), st.integers(3, 40), st.data())
def test_scores_and_order_are_exact_whatever_the_draws(rows: int, size: int, data: st.DataObject) -> None:
    number = st.one_of(st.sampled_from(AWKWARD), st.floats(allow_nan=False, allow_infinity=False))
    check(np.array(data.draw(st.lists(number, min_size=rows * size, max_size=rows * size))).reshape(rows, size))


@pytest.mark.parametrize("size", [3, 4, 255, 256, 257, 4000])
def test_rows_with_and_without_ties_stand_side_by_side(size: int) -> None:
    rng = np.random.default_rng(size)
    rows = rng.normal(size=(6, size))
    rows[2] = rng.integers(0, 5, size)
    rows[3, : size // 2] = rows[3, size // 2 : 2 * (size // 2)]
    rows[4] = 1 + 1e-15 * rng.integers(0, 1000, size)
    check(rows)


def test_folded_draws_are_ranked_although_their_first_pair_is_nearly_a_tie() -> None:
    rows = np.random.default_rng(1).normal(size=(300, 50))
    folded = np.abs(rows - np.median(rows, axis=1, keepdims=True))
    first = np.sort(folded, axis=1)[:, :2]
    assert (first[:, 0] == first[:, 1]).any()
    assert (first[:, 0] < first[:, 1]).any()
    check(folded)


def test_a_first_pair_that_the_leading_bits_put_in_the_wrong_order_is_exchanged() -> None:
    rows = np.array([[np.nextafter(1, 2), 3.0, 1.0, 2.0], [1.0, np.nextafter(1, 2), np.nextafter(1, 0), 2.0]])
    check(rows)


@BOUNDED
@given(st.integers(1, 60), st.floats(0, 1), st.integers(0, 100))
def test_quantiles_and_medians_are_those_of_numpy_to_the_last_bit(size: int, prob: float, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(3, size))
    ordered = np.sort(rows, axis=1)
    np.testing.assert_array_equal(ranks.quantile_of_ordered(ordered, prob), np.quantile(rows, prob, axis=1))
    np.testing.assert_array_equal(ranks.median_of_ordered(ordered), np.median(rows, axis=1))
