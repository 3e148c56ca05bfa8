import numpy as np
import pytest
import xarray as xr
from fakes import fake_result
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import with_sites

from mcpbayes.estimands.heterogeneity import covariance, factor, level_covariance, total_covariance

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)
TAU = st.one_of(st.just(0.0), st.floats(1e-8, 3))


@BOUNDED
@given(tau=st.tuples(TAU, TAU), rho=st.sampled_from([-1.0, -0.4, 0.0, 0.999999, 1.0]))
def test_the_factor_of_two_outcomes_gives_the_covariance_back_also_where_it_is_singular(
    tau: tuple[float, float], rho: float
) -> None:
    sigma = covariance(np.array(tau), np.array([rho]))
    np.testing.assert_allclose(sigma, [[tau[0] ** 2, rho * tau[0] * tau[1]], [rho * tau[0] * tau[1], tau[1] ** 2]])
    root = factor(sigma)
    assert np.isfinite(root).all()
    np.testing.assert_allclose(root @ root.T, sigma, atol=1e-12)


def test_perfect_correlation_makes_effects_proportional() -> None:
    root = factor(covariance(np.array([0.2, 0.4]), np.array([-1.0])))
    z = np.random.default_rng(0).normal(size=(2, 100))
    first, second = root @ z
    np.testing.assert_allclose(second, -2 * first, atol=1e-8)


def test_one_and_three_outcomes() -> None:
    np.testing.assert_allclose(factor(covariance(np.array([[0.3], [0.0]]), None)), [[[0.3]], [[0.0]]])
    sigma = covariance(np.array([0.1, 0.2, 0.0]), np.array([1.0, 0.0, 0.0]))
    assert sigma[0, 1] == pytest.approx(0.02)
    root = factor(sigma)
    np.testing.assert_allclose(root @ root.T, sigma, atol=1e-12)


def test_three_outcomes_use_the_pairs_in_their_order() -> None:
    sigma = covariance(np.ones(3), np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(sigma, [[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]])


def test_several_outcomes_need_correlations() -> None:
    with pytest.raises(ValueError, match="2 outcomes need correlations"):
        covariance(np.ones(2), None)


def test_correlations_are_found_by_the_name_of_their_pair() -> None:
    outcomes = ["necromass", "soc", "pom"]
    pairs = ["soc,pom", "necromass,soc", "necromass,pom"]
    posterior = xr.Dataset(
        {
            "tau_study": (("chain", "draw", "outcome"), np.ones((1, 1, 3))),
            "rho_study": (("chain", "draw", "pair"), np.array([[[0.3, 0.1, 0.2]]])),
        },
        coords={"outcome": outcomes, "pair": pairs},
    )
    sigma = level_covariance(posterior, "study")[0, 0]
    np.testing.assert_allclose(sigma, [[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]])


def test_the_total_adds_studies_sites_and_comparisons_but_not_kinds() -> None:
    tree = with_sites(fake_result(draws=5))
    posterior = tree["posterior"].to_dataset()
    parts = [level_covariance(posterior, level) for level in ("study", "site", "comparison")]
    np.testing.assert_allclose(total_covariance(posterior), sum(parts))
    assert "tau_kind" in posterior
    without = posterior.drop_vars(["tau_site", "rho_site"])
    np.testing.assert_allclose(total_covariance(without), parts[0] + parts[2])
