import numpy as np
import pytest
from fakes import fake_result
from variants import with_moderators, with_sites

from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.effects import average_change, fresh_effects, typical_effects
from mcpbayes.estimands.heterogeneity import covariance, factor, total_covariance


def drawn(tree, at=None, seed: int = 1):
    tree.attrs["seed"] = seed
    effect = delta_mcp(tree, at)["delta_mcp"]["effect"]
    theta = dict(zip(effect["target"].values, np.moveaxis(effect.values, 2, 0), strict=True))
    return tree["posterior"].to_dataset(), tree["data"].to_dataset(), theta


def test_a_typical_effect_is_the_design_row_times_beta_plus_weighted_kinds() -> None:
    rng = np.random.default_rng(0)
    row, weight = rng.normal(size=(3, 2)), rng.random((3, 4))
    beta, kind = rng.normal(size=(2, 2, 7)), rng.normal(size=(4, 2, 7))
    theta = typical_effects(row, weight, beta, kind)
    assert theta.shape == (3, 2, 7)
    np.testing.assert_allclose(theta[2, :, 3], row[2] @ beta[..., 3] + weight[2] @ kind[..., 3])
    np.testing.assert_allclose(typical_effects(row, weight, beta, None)[..., 0], row @ beta[..., 0])


def test_levels_follow_their_definitions() -> None:
    tree = with_sites(with_moderators(draws=20))
    posterior, data, theta = drawn(tree, {"duration_years": [10]})
    beta, kind = posterior["beta"].values, posterior["kind_effect"].values
    u, v, w = (posterior[f"{level}_effect"] for level in ("study", "site", "comparison"))
    rows, kinds = data["design"].values, data["kind_of_comparison"].values
    first = rows[0] @ beta + kind[:, :, list(data["kind"].values).index(kinds[0])]
    name = str(data["comparison"].values[0])
    site = str(data["site_of_comparison"].values[0])
    expected = first + u.sel(study="S1").values + v.sel(site=site).values + w.sel(comparison=name).values
    np.testing.assert_allclose(theta[f"comparison: {name}"], expected)
    of_study = rows[:4].mean(axis=0) @ beta + kind.mean(axis=2)
    np.testing.assert_allclose(theta["study: S1"], of_study + u.sel(study="S1").values)
    np.testing.assert_allclose(theta["mean: kind=straw"], beta[:, :, 0] + kind[:, :, 1])
    np.testing.assert_allclose(
        theta["mean: average over kinds"], (theta["mean: kind=manure"] + theta["mean: kind=straw"]) / 2
    )


def test_a_fresh_comparison_has_the_moments_of_its_draw() -> None:
    rng = np.random.default_rng(3)
    beta = np.tile([[[0.3], [0.1]]], 80_000)
    sigma = covariance(np.array([0.2, 0.1]), np.array([0.6]))
    spread = np.tile(factor(sigma)[..., None], 80_000)
    theta = fresh_effects(np.ones(1), np.empty(0), beta, None, spread, rng)
    np.testing.assert_allclose(theta.mean(axis=1), [0.3, 0.1], atol=4 * 0.2 / np.sqrt(80_000))
    np.testing.assert_allclose(np.cov(theta), sigma, atol=0.001)


def test_a_fresh_comparison_averaged_over_kinds_is_of_one_kind_at_a_time() -> None:
    beta, spread = np.zeros((1, 2, 6000)), np.zeros((2, 2, 6000))
    kind = np.tile(np.array([[-1.0, -1.0], [0.0, 0.0], [5.0, 5.0]])[..., None], 6000)
    theta = fresh_effects(np.ones(1), np.full(3, 1 / 3), beta, kind, spread, np.random.default_rng(0))
    values, counts = np.unique(theta[0], return_counts=True)
    assert values.tolist() == [-1.0, 0.0, 5.0]
    assert (abs(counts / 6000 - 1 / 3) < 0.03).all()


def test_no_heterogeneity_makes_new_the_same_as_mean() -> None:
    tree = fake_result(draws=20)
    posterior = tree["posterior"].to_dataset()
    for name in ("tau_study", "tau_comparison"):
        posterior[name] = posterior[name] * 0
    tree["posterior"] = posterior
    _, _, theta = drawn(tree)
    np.testing.assert_allclose(theta["new: kind=straw"], theta["mean: kind=straw"])


def test_further_points_leave_the_numbers_of_the_others_as_they_are() -> None:
    tree = with_moderators(draws=20)
    _, _, before = drawn(tree)
    _, _, after = drawn(tree, {"duration_years": [10, 20]})
    assert set(after) - set(before) == {
        f"{level}: duration_years={year}" for level in ("mean", "new") for year in (10, 20)
    }
    for name, theta in before.items():
        np.testing.assert_array_equal(after[name], theta)


def test_fresh_effects_depend_on_the_seed_and_nothing_else() -> None:
    tree = fake_result(draws=20)
    _, _, first = drawn(tree)
    _, _, again = drawn(tree)
    _, _, other = drawn(tree, seed=2)
    np.testing.assert_array_equal(first["new: kind=manure"], again["new: kind=manure"])
    assert not np.allclose(first["new: kind=manure"], other["new: kind=manure"])
    np.testing.assert_array_equal(first["mean: kind=manure"], other["mean: kind=manure"])


def test_targets_at_new_are_drawn_independently() -> None:
    posterior, _, theta = drawn(fake_result(draws=1000))
    departures = [(theta[f"new: kind={k}"] - theta[f"mean: kind={k}"])[..., 0].ravel() for k in ("manure", "straw")]
    assert abs(np.corrcoef(departures)[0, 1]) < 0.08
    expected = np.sqrt(total_covariance(posterior)[..., 0, 0].mean())
    assert departures[0].std() == pytest.approx(expected, rel=0.06)


def test_the_average_change_exceeds_that_of_the_typical_comparison() -> None:
    rng = np.random.default_rng(1)
    sigma = covariance(np.array([0.3, 0.1]), np.array([0.5]))
    theta = np.array([0.2, -0.1])
    exact = average_change(theta[None, :, None], np.zeros((1, 0)), None, sigma[..., None])[0, :, 0]
    simulated = np.expm1(rng.multivariate_normal(theta, sigma, 400_000)).mean(axis=0)
    np.testing.assert_allclose(exact, simulated, atol=0.003)
    assert (exact > np.expm1(theta)).all()


def test_the_average_over_kinds_is_the_average_of_their_average_changes() -> None:
    """Averaging on the log scale first would leave the differences between kinds out."""
    sigma = covariance(np.array([0.3, 0.1]), np.array([0.5]))
    fixed, kappa = np.full((3, 2, 1), 0.2), np.array([[0.6, 0.1], [-0.4, 0.0]])
    weight = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    first, second, both = average_change(fixed, weight, kappa[..., None], sigma[..., None])[..., 0]
    np.testing.assert_allclose(both, (first + second) / 2)
    on_log_scale = np.expm1(0.2 + kappa.mean(axis=0) + np.diagonal(sigma) / 2)
    assert (both > on_log_scale).all()
