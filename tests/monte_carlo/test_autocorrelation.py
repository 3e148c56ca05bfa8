import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.monte_carlo import autocorrelation as ac

BOUNDED = settings(max_examples=40, deadline=None, derandomize=True)


def centred(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    means = draws.mean(axis=2)
    return draws - means[..., None], means, np.zeros(len(draws), dtype=bool)


def walk(seed: int, rows: int, chains: int, n: int) -> np.ndarray:
    """Rows from white noise to chains that hardly move."""
    rng = np.random.default_rng(seed)
    phi = np.linspace(-0.5, 0.99, rows)[:, None]
    out = rng.normal(size=(rows, chains, n))
    for t in range(1, n):
        out[..., t] += phi * out[..., t - 1]
    return out


@BOUNDED
@given(st.integers(0, 500), st.integers(2, 8), st.integers(2, 200))
def test_lag_by_lag_gives_what_the_fourier_transform_gives(seed: int, chains: int, n: int) -> None:
    parts = centred(walk(seed, 12, chains, n))
    staged = ac.effective_size(*parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ac, "STAGES", ())
        np.testing.assert_allclose(staged, ac.effective_size(*parts), rtol=1e-10)


@BOUNDED
@given(st.integers(0, 500), st.integers(2, 8), st.integers(2, 200), st.sampled_from([-1.6, 0.0, 1.6]))
def test_packed_indicators_give_what_numbers_give(seed: int, chains: int, n: int, limit: float) -> None:
    indicator = walk(seed, 12, chains, n) > limit
    parts = centred(indicator.astype(float))[:2]
    moving = indicator.any(axis=(1, 2)) & ~indicator.all(axis=(1, 2))
    found = ac.indicator_size(indicator)
    np.testing.assert_allclose(found[moving], ac.effective_size(*parts, ~moving)[moving], rtol=1e-9)
    np.testing.assert_array_equal(found[~moving], chains * n)


@pytest.mark.parametrize("n", [63, 64, 65, 127, 128, 129, 500])
def test_coincidences_are_counted_across_words(n: int) -> None:
    indicator = np.random.default_rng(n).random((3, 2, n)) < 0.4
    lags = np.arange(40, dtype=np.uint64)[:, None, None]
    found = ac._coincidences(ac._packed(indicator), lags)
    for k in range(40):
        np.testing.assert_array_equal(found[k], (indicator[..., k:] & indicator[..., : n - k]).sum(axis=2))


def test_rows_without_variation_count_as_independent() -> None:
    assert ac.effective_size(np.zeros((1, 4, 10)), np.ones((1, 4)), np.array([True]))[0] == 40


@pytest.mark.parametrize("n", [6, 7])
def test_chains_are_cut_in_halves(n: int) -> None:
    draws = np.arange(2 * 3 * n, dtype=float).reshape(2, 3, n)
    halves = ac.split(draws)
    np.testing.assert_array_equal(halves[1, 2], draws[1, 1, :3])
    np.testing.assert_array_equal(halves[1, 3], draws[1, 1, -3:])
