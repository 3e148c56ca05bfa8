import numpy as np
import pytest

from mcpbayes.estimands import pooled
from mcpbayes.monte_carlo import summaries as single

WORLDS, CHAINS, DRAWS = 3, 2, 400


@pytest.fixture
def draws() -> np.ndarray:
    """Five quantities; worlds lie far apart, chains of one world do not; the last quantity is constant."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(5, WORLDS, CHAINS, DRAWS)) + 3.0 * np.arange(WORLDS)[:, None, None]
    values[-1] = 0.7
    return values.reshape(5, WORLDS * CHAINS, DRAWS)


def world(draws: np.ndarray, place: int) -> np.ndarray:
    return draws[:, place * CHAINS : (place + 1) * CHAINS]


def test_one_world_is_an_ordinary_fit(draws: np.ndarray) -> None:
    for name, values in pooled.summarise_draws(draws, "eti", 0.9).items():
        np.testing.assert_array_equal(values, single.summarise_draws(draws, "eti", 0.9)[name])
    for name, values in pooled.convergence(draws).items():
        np.testing.assert_array_equal(values, single.convergence(draws)[name])
    np.testing.assert_array_equal(pooled.ess_mean(draws), single.ess_mean(draws))
    np.testing.assert_array_equal(pooled.mcse_mean(draws), single.mcse_mean(draws))


def test_worlds_that_differ_are_no_failure_but_their_chains_are(draws: np.ndarray) -> None:
    assert (single.convergence(draws)["r_hat"][:4] > 1.5).all()
    found = pooled.summarise_draws(draws, "eti", 0.9, WORLDS)
    assert (found["r_hat"][:4] < 1.01).all()
    stuck = draws.copy()
    stuck[0, 3] += 2.0
    assert pooled.convergence(stuck, WORLDS)["r_hat"][0] > 1.03


def test_worlds_of_different_spread_are_no_failure_and_slow_chains_are_not_hidden(draws: np.ndarray) -> None:
    wide = draws.copy()
    wide[:, :CHAINS] *= 30.0
    found = pooled.convergence(wide, WORLDS)
    assert (found["r_hat"][:4] < 1.01).all()
    np.testing.assert_allclose(found["ess_bulk"][:4], pooled.convergence(draws, WORLDS)["ess_bulk"][:4])
    slow = np.repeat(draws[..., ::5], 5, axis=-1)
    assert (pooled.convergence(slow, WORLDS)["ess_bulk"][:4] < 0.3 * found["ess_bulk"][:4]).all()


def test_values_are_those_of_all_draws_with_equal_weight(draws: np.ndarray) -> None:
    found = pooled.summarise_draws(draws, "hdi", 0.8, WORLDS)
    expected = single.summarise_draws(draws, "hdi", 0.8)
    for name in ("mean", "median", "sd", "lower", "upper", "prob_positive"):
        np.testing.assert_array_equal(found[name], expected[name])


def test_errors_add_in_quadrature_and_sizes_add_up(draws: np.ndarray) -> None:
    found = pooled.summarise_draws(draws, "eti", 0.9, WORLDS)
    each = [single.summarise_draws(world(draws, place), "eti", 0.9) for place in range(WORLDS)]
    errors = np.array([one["mcse_mean"] for one in each])
    np.testing.assert_allclose(found["mcse_mean"], np.sqrt((errors**2).sum(axis=0)) / WORLDS)
    np.testing.assert_allclose(pooled.mcse_mean(draws, WORLDS), found["mcse_mean"])
    size = pooled.ess_mean(draws, WORLDS)
    np.testing.assert_allclose(found["sd"][:4] / np.sqrt(size[:4]), found["mcse_mean"][:4])
    # between worlds nothing is random: the mean is known better than from as many independent draws of the mixture
    assert (size[:4] > 3 * draws[0].size).all()
    for name in ("ess_bulk", "ess_tail"):
        sizes = np.array([one[name] for one in each])[:, :4]
        np.testing.assert_allclose(found[name][:4], sizes.sum(axis=0), rtol=0.15)
        np.testing.assert_array_equal(pooled.convergence(draws, WORLDS)[name], found[name])


def test_constant_quantities_are_blank(draws: np.ndarray) -> None:
    found = pooled.summarise_draws(draws, "eti", 0.9, WORLDS)
    assert np.isnan([found[name][-1] for name in ("r_hat", "ess_bulk", "ess_tail")]).all()
    assert found["mcse_mean"][-1] == 0
    assert np.isnan(pooled.ess_mean(draws, WORLDS)[-1])


def test_a_quantity_constant_in_one_world_is_judged_by_the_others(draws: np.ndarray) -> None:
    draws[0, :CHAINS] = 1.5
    assert pooled.convergence(draws, WORLDS)["r_hat"][0] < 1.01
    draws[0, CHAINS] += 2.0
    assert pooled.convergence(draws, WORLDS)["r_hat"][0] > 1.03


def test_frequencies_of_classes_are_averaged_over_worlds() -> None:
    codes = np.random.default_rng(2).integers(0, 4, size=(3, WORLDS * CHAINS, DRAWS))
    codes[:, :CHAINS] = 2
    probability, mcse = pooled.class_frequencies(codes, 5, WORLDS)
    for place in range(5):
        indicator = (codes == place).astype(float)
        np.testing.assert_allclose(probability[:, place], indicator.mean(axis=(1, 2)))
        np.testing.assert_allclose(mcse[:, place], pooled.mcse_mean(indicator, WORLDS), rtol=1e-9)
    np.testing.assert_array_equal(pooled.class_frequencies(codes, 5)[1], single.class_frequencies(codes, 5)[1])


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_the_error_of_a_mean_over_drawn_worlds_is_the_true_one(share: float) -> None:
    """300 repetitions, seed 4: 20 worlds of 4 × 250 draws, variance 1, a share of it between the worlds."""
    rng = np.random.default_rng(4)
    means = rng.normal(0, np.sqrt(share), (300, 20, 1, 1))
    draws = (means + rng.normal(0, np.sqrt(1 - share), (300, 20, 4, 250))).reshape(300, 80, 250)
    true = draws.mean(axis=(1, 2)).std()
    assert true == pytest.approx(np.sqrt(share / 20 + (1 - share) / 20_000), rel=0.1)
    error = pooled.mcse_mean(draws, 20, drawn=True)
    assert np.sqrt((error**2).mean()) == pytest.approx(true, rel=0.2)
    assert np.median(error) == pytest.approx(true, rel=0.2)
    np.testing.assert_allclose(pooled.ess_mean(draws, 20, drawn=True), draws.var(axis=(1, 2), ddof=1) / error**2)
    summary = pooled.summarise_draws(draws[:10], "eti", 0.9, 20, drawn=True)
    np.testing.assert_array_equal(summary["mcse_mean"], error[:10])
    if share:
        assert (pooled.mcse_mean(draws, 20) < 0.3 * error).all()


def test_the_error_of_a_frequency_over_drawn_worlds_is_the_true_one() -> None:
    """300 repetitions, seed 5: 20 worlds of 4 × 100 codes whose probability differs from world to world."""
    rng = np.random.default_rng(5)
    codes = (rng.random((300, 20, 400)) < rng.beta(4, 4, (300, 20, 1))).astype(int).reshape(300, 80, 100)
    probability, mcse = pooled.class_frequencies(codes, 2, 20, drawn=True)
    assert np.sqrt((mcse[:, 1] ** 2).mean()) == pytest.approx(probability[:, 1].std(), rel=0.2)
    np.testing.assert_allclose(mcse[0, 1], pooled.mcse_mean((codes == 1).astype(float), 20, drawn=True)[0])
    assert (pooled.class_frequencies(codes, 2, 20)[1] < 0.7 * mcse).all()


def test_drawn_worlds_do_not_give_constant_quantities_an_error(draws: np.ndarray) -> None:
    assert pooled.mcse_mean(draws, WORLDS, drawn=True)[-1] == 0
    assert np.isnan(pooled.ess_mean(draws, WORLDS, drawn=True)[-1])
