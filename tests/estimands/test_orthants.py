import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances, signs
from mcpbayes.estimands.orthants import class_probabilities, upper_orthant

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)
MEAN = st.sampled_from([0.0, 0.02, -0.05, 0.1, -0.3])
TAU = st.sampled_from([0.0, 0.03, 0.1, 0.2])
RHO = st.sampled_from([-1.0, -0.9, 0.0, 0.5, 0.999999, 1.0])
LIMIT = st.sampled_from([0.0, 0.02, 0.05, 0.3])
LIMITS = st.builds(Tolerances, LIMIT, LIMIT, LIMIT)
NORMALS = np.random.default_rng(11).standard_normal((2, 100_000))


def covariance(tau: tuple[float, float], rho: float) -> np.ndarray:
    return np.outer(tau, tau) * np.array([[1, rho], [rho, 1]])


def counted(mean: np.ndarray, tau: tuple[float, float], rho: float, eps: Tolerances) -> np.ndarray:
    theta_n = mean[0] + tau[0] * NORMALS[0]
    theta_c = mean[1] + tau[1] * (rho * NORMALS[0] + np.sqrt(1 - rho**2) * NORMALS[1])
    limits = (eps.necromass, eps.soc, eps.ratio)
    place = [
        signs(values, limit) + 1 for values, limit in zip((theta_n, theta_c, theta_n - theta_c), limits, strict=True)
    ]
    return np.bincount(CLASS_TABLE[tuple(place)], minlength=13) / NORMALS.shape[1]


@BOUNDED
@given(mean=st.tuples(MEAN, MEAN), tau=st.tuples(TAU, TAU), rho=RHO, eps=LIMITS)
def test_probabilities_are_those_of_counting(
    mean: tuple[float, float], tau: tuple[float, float], rho: float, eps: Tolerances
) -> None:
    exact = class_probabilities(np.array(mean), covariance(tau, rho), eps)
    assert exact.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(exact, counted(np.array(mean), tau, rho, eps), atol=4.5 * 0.5 / np.sqrt(100_000))


@BOUNDED
@given(mean=st.tuples(MEAN, MEAN), tau=st.tuples(TAU, TAU), rho=RHO, eps=LIMITS)
def test_opposite_effects_have_the_mirrored_probabilities(
    mean: tuple[float, float], tau: tuple[float, float], rho: float, eps: Tolerances
) -> None:
    one, other = (class_probabilities(s * np.array(mean), covariance(tau, rho), eps) for s in (1, -1))
    mirrored = [words.SCENARIOS.index(code.translate(str.maketrans("+-", "-+"))) for code in words.SCENARIOS]
    np.testing.assert_allclose(one, other[mirrored], atol=1e-13)


@BOUNDED
@given(st.integers(0, 10_000))
def test_orthants_are_values_of_the_bivariate_normal_distribution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root, mean = rng.normal(size=(2, 2)), rng.normal(size=2)
    sigma = root @ root.T
    found = upper_orthant((mean[0], mean[1]), (sigma[0, 0], sigma[1, 1]), sigma[0, 1])
    assert found == pytest.approx(multivariate_normal([0, 0], sigma).cdf(mean), abs=1e-12)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.4])
def test_the_orthant_at_the_mean_is_known_in_closed_form(rho: float) -> None:
    found = upper_orthant((np.array(0.0), np.array(0.0)), (np.array(4.0), np.array(0.01)), np.array(0.2 * rho))
    assert found == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-14)


def test_without_spread_the_class_is_that_of_the_mean_and_a_limit_is_not_beyond_itself() -> None:
    eps = Tolerances(0.05, 0.05, 0.02)
    mean = np.array([[0.2, 0.05, -0.1, -0.05], [0.1, 0.0, -0.1, -0.2]])
    found = class_probabilities(mean, np.zeros((2, 2, 4)), eps)
    assert [words.SCENARIOS[place] for place in found.argmax(axis=0)] == ["N+C+r+", "N0C0r0", "N-C-r0", "N0C-r+"]
    np.testing.assert_array_equal(found.max(axis=0), 1)
