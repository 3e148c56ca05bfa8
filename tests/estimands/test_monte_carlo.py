import numpy as np
import pytest
from arviz_stats.base import array_stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.estimands import monte_carlo as mc

BOUNDED = settings(max_examples=30, deadline=None, derandomize=True)


def chains(seed: int, rows: int, chain: int, draw: int, phi: float, ties: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(rows, chain, draw))
    out = noise.copy()
    for t in range(1, draw):
        out[..., t] = phi * out[..., t - 1] + noise[..., t]
    if ties:
        repeat = rng.random((rows, chain, draw)) < 0.4
        for t in range(1, draw):
            out[..., t] = np.where(repeat[..., t], out[..., t - 1], out[..., t])
    return out + rng.normal(0, 0.2, (rows, chain, 1))


@BOUNDED
@given(
    seed=st.integers(0, 1000),
    chain=st.integers(2, 4),
    draw=st.integers(4, 301),
    phi=st.sampled_from([-0.9, -0.3, 0.0, 0.5, 0.95]),
    ties=st.booleans(),
)
def test_every_statistic_agrees_with_arviz(seed: int, chain: int, draw: int, phi: float, ties: bool) -> None:
    draws = chains(seed, 3, chain, draw, phi, ties)
    ours = mc.convergence(draws)
    np.testing.assert_allclose(ours["r_hat"], array_stats.rhat(draws), rtol=1e-8)
    np.testing.assert_allclose(ours["ess_bulk"], array_stats.ess(draws, method="bulk"), rtol=1e-8)
    np.testing.assert_allclose(ours["ess_tail"], array_stats.ess(draws, method="tail", prob=mc.TAILS), rtol=1e-8)
    np.testing.assert_allclose(ours["ess_mean"], array_stats.ess(draws, method="mean"), rtol=1e-8)
    np.testing.assert_allclose(mc.ess_mean(draws), ours["ess_mean"])
    np.testing.assert_allclose(mc.mcse_mean(draws), array_stats.mcse(draws, method="mean"), rtol=1e-8)


@BOUNDED
@given(seed=st.integers(0, 1000), n=st.integers(10, 400), prob=st.sampled_from([0.5, 0.8, 0.95]))
def test_intervals_agree_with_arviz(seed: int, n: int, prob: float) -> None:
    draws = np.random.default_rng(seed).gamma(2.0, size=(4, n))
    for kind in ("eti", "hdi"):
        expected = getattr(array_stats, kind)(draws, prob, axis=-1)
        np.testing.assert_allclose(np.stack(mc.interval(draws, kind, prob), axis=-1), expected, rtol=1e-12)


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="'eti' or 'hdi', not 'central'"):
        mc.interval(np.zeros((2, 10)), "central", 0.9)


def test_intervals_of_absent_draws_are_absent() -> None:
    draws = np.vstack([np.arange(100.0), np.full(100, np.nan)])
    for kind in ("eti", "hdi"):
        lower, upper = mc.interval(draws, kind, 0.9)
        assert np.isfinite([lower[0], upper[0]]).all()
        assert np.isnan([lower[1], upper[1]]).all()


def test_constant_and_absent_rows_are_blank_and_leave_the_others_alone() -> None:
    draws = chains(1, 4, 4, 100, 0.3)
    expected = mc.convergence(draws)["r_hat"]
    draws[1] = 0.7
    draws[2, 0, 5] = np.nan
    ours = mc.convergence(draws)
    for values in ours.values():
        assert np.isnan(values).tolist() == [False, True, True, False]
    np.testing.assert_allclose(ours["r_hat"][[0, 3]], expected[[0, 3]])
    assert mc.mcse_mean(draws)[1] == 0


def test_one_chain_has_no_r_hat_but_an_ess() -> None:
    draws = chains(2, 2, 1, 200, 0.0)
    ours = mc.convergence(draws)
    assert np.isnan(ours["r_hat"]).all()
    assert (ours["ess_bulk"] > 50).all()


def test_fewer_than_four_draws_have_no_diagnostics() -> None:
    assert all(np.isnan(values).all() for values in mc.convergence(chains(2, 2, 4, 3, 0.0)).values())


def test_chains_stuck_at_different_values_fail() -> None:
    draws = np.repeat(np.arange(4.0)[:, None], 50, axis=1)[None]
    assert mc.convergence(draws)["r_hat"][0] == np.inf


def test_leading_dimensions_are_kept_across_chunks() -> None:
    draws = chains(3, mc.CHUNK + 6, 2, 20, 0.0).reshape(-1, 2, 2, 20)
    ours = mc.convergence(draws)["r_hat"]
    assert ours.shape == draws.shape[:2]
    np.testing.assert_allclose(ours[-1, -1], array_stats.rhat(draws[-1, -1]), rtol=1e-8)
