import numpy as np
import pytest
from arviz_stats.base import array_stats
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.monte_carlo import summaries as mc

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


def test_leading_dimensions_are_kept_across_blocks_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = chains(3, 46, 2, 20, 0.0).reshape(-1, 2, 2, 20)
    together = mc.summarise_draws(draws, "eti", 0.9)
    monkeypatch.setattr(mc, "BLOCK", 3 * 40)
    ours = mc.summarise_draws(draws, "eti", 0.9)
    for name, values in ours.items():
        assert values.shape == draws.shape[:2]
        np.testing.assert_allclose(values, together[name], rtol=1e-13, err_msg=name)
    np.testing.assert_allclose(ours["r_hat"][-1, -1], array_stats.rhat(draws[-1, -1]), rtol=1e-8)


def families(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    rows, chain, draw = shape
    return {
        "white noise": rng.normal(size=shape),
        "far from zero": 1e6 + rng.normal(size=shape),
        "heavy tails": rng.standard_cauchy(shape),
        "two values": (rng.random(shape) < 0.3).astype(float),
        "few ones": (rng.random(shape) < 0.02).astype(float),
        "small numbers": rng.integers(-3, 4, shape).astype(float),
        "slow mixing": chains(6, rows, chain, draw, 0.99),
        "rejections": chains(7, rows, chain, draw, 0.3, ties=True),
        "alternating": chains(8, rows, chain, draw, -0.5),
        "persistent": chains(9, rows, chain, draw, 0.9),
    }


FAMILIES = tuple(families((1, 1, 4)))


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("chain, draw", [(4, 250), (4, 251), (2, 5), (3, 4), (1, 133)])
def test_a_summary_row_agrees_with_arviz_and_numpy(name: str, chain: int, draw: int) -> None:
    draws = families((12, chain, draw))[name]
    flat = draws.reshape(12, -1)
    moving = (flat != flat[:, :1]).any(axis=1)
    for kind in ("eti", "hdi"):
        ours = mc.summarise_draws(draws, kind, 0.9)
        expected = {
            "mean": flat.mean(axis=1),
            "median": np.median(flat, axis=1),
            "sd": flat.std(axis=1, ddof=1),
            "prob_positive": (flat > 0).mean(axis=1),
            "lower": getattr(array_stats, kind)(flat, 0.9, axis=-1)[:, 0],
            "upper": getattr(array_stats, kind)(flat, 0.9, axis=-1)[:, 1],
        }
        for column, values in expected.items():
            np.testing.assert_allclose(ours[column], values, rtol=1e-12, atol=1e-15, err_msg=column)
    checks = {
        "ess_bulk": array_stats.ess(draws[moving], method="bulk"),
        "ess_tail": array_stats.ess(draws[moving], method="tail", prob=mc.TAILS),
        "mcse_mean": array_stats.mcse(draws[moving], method="mean"),
    }
    if chain > 1:
        checks["r_hat"] = array_stats.rhat(draws[moving])
    for column, values in checks.items():
        defined = np.isfinite(values)
        np.testing.assert_allclose(ours[column][moving][defined], values[defined], rtol=1e-8, err_msg=column)
    assert set(ours) == {*expected, *checks, "r_hat"}
    np.testing.assert_array_equal(ours["mcse_mean"][~moving], 0.0)


def test_a_summary_of_constant_absent_and_infinite_rows() -> None:
    draws = chains(1, 5, 4, 100, 0.3)
    alone = mc.summarise_draws(draws[[0, 4]], "eti", 0.9)
    draws[1], draws[2, 0, 5], draws[3, 1, 1] = 0.7, np.nan, np.inf
    ours = mc.summarise_draws(draws, "eti", 0.9)
    for name, values in ours.items():
        checked = name in ("r_hat", "ess_bulk", "ess_tail")
        assert np.isnan(values).tolist() == [False, checked, True, True, False], name
        np.testing.assert_array_equal(values[[0, 4]], alone[name])
    assert [ours[name][1] for name in ("median", "lower", "upper", "prob_positive", "mcse_mean")] == [0.7] * 3 + [1, 0]


def test_a_summary_does_not_change_the_draws_and_takes_integers_and_views() -> None:
    whole = np.random.default_rng(3).integers(0, 50, (40, 5, 2, 9))
    draws = np.moveaxis(whole, 0, -1)[..., ::2, :][:, :, 0]
    before = draws.copy()
    found = mc.summarise_draws(draws, "hdi", 0.8)
    np.testing.assert_array_equal(draws, before)
    copied = mc.summarise_draws(np.ascontiguousarray(before, dtype=float), "hdi", 0.8)
    for name, values in found.items():
        np.testing.assert_array_equal(values, copied[name])


def test_few_draws_have_values_but_no_checks() -> None:
    ours = mc.summarise_draws(chains(2, 2, 4, 3, 0.0), "eti", 0.9)
    assert np.isfinite(ours["median"]).all()
    assert np.isnan([ours["r_hat"], ours["ess_tail"], ours["mcse_mean"]]).all()


def test_no_rows_have_no_summary() -> None:
    assert {values.shape for values in mc.summarise_draws(np.empty((0, 4, 10)), "eti", 0.9).values()} == {(0,)}
    assert [found.shape for found in mc.class_frequencies(np.empty((0, 4, 10), dtype=int), 13)] == [(0, 13)] * 2


@BOUNDED
@given(
    seed=st.integers(0, 1000),
    chain=st.integers(1, 4),
    draw=st.integers(4, 300),
    phi=st.sampled_from([-0.5, 0.0, 0.5, 0.95]),
)
def test_errors_of_classes_are_those_of_their_indicators(seed: int, chain: int, draw: int, phi: float) -> None:
    codes = np.clip(chains(seed, 4, chain, draw, phi) * 2 + 4, 0, 12).astype(int)
    codes[1] = 3
    probability, mcse = mc.class_frequencies(codes, 13)
    for place in range(13):
        indicator = (codes == place).astype(float)
        np.testing.assert_allclose(probability[:, place], indicator.mean(axis=(1, 2)))
        np.testing.assert_allclose(mcse[:, place], mc.mcse_mean(indicator), rtol=1e-9)
    assert mcse[1].max() == 0


def test_errors_of_classes_agree_with_arviz() -> None:
    codes = np.clip(chains(4, 20, 4, 250, 0.5) * 2 + 4, 0, 12).astype(int)
    _, mcse = mc.class_frequencies(codes, 13)
    target, place = np.nonzero(mcse)
    assert len(target) > 100
    indicators = (codes[target] == place[:, None, None]).astype(float)
    np.testing.assert_allclose(mcse[target, place], array_stats.mcse(indicators, method="mean"), rtol=1e-8)
