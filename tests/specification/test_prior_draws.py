import numpy as np
import pytest
from scipy import stats

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.priors import (
    coefficient_covariance,
    number,
    prior_of_coefficient,
    sample,
    sample_correlation,
    sample_correlation_matrix,
)
from mcpbayes.specification.structure import Prior

POOLS = ("necromass", "soc")
SIZE = 20_000


def rng():
    return np.random.default_rng(20)


def fits(draws, distribution):
    """A Kolmogorov-Smirnov test at a level that a fixed seed passes and a wrong scale does not."""
    return stats.kstest(draws, getattr(distribution, "cdf", distribution)).pvalue > 0.001


def folded_t(x):
    return 2 * stats.t.cdf(x / 0.2, df=3) - 1


@pytest.mark.parametrize(
    ("prior", "distribution"),
    [
        (Prior("half_normal", {"sd": 0.3}), stats.halfnorm(scale=0.3)),
        (Prior("half_student_t", {"df": 3.0, "scale": 0.2}), folded_t),
        (Prior("lognormal", {"median": 0.1, "sd_log": 0.7}), stats.lognorm(s=0.7, scale=0.1)),
        (Prior("normal", {"mean": 0.1, "sd": 0.5, "correlation": 0.7}), stats.norm(0.1, 0.5)),
    ],
)
def test_marginals(prior, distribution):
    draws = sample(prior, rng(), SIZE, POOLS)
    assert draws.shape == (SIZE, 2)
    for column in draws.T:
        assert fits(column, distribution)


def test_a_wrong_scale_would_be_noticed():
    assert not fits(sample(Prior("half_normal", {"sd": 0.32}), rng(), SIZE, POOLS)[:, 0], stats.halfnorm(scale=0.3))


def test_numbers_by_outcome():
    prior = Prior("half_normal", {"sd": {"necromass": 0.3, "soc": 0.1}})
    assert number(prior, "sd", "soc") == 0.1
    draws = sample(prior, rng(), SIZE, ("soc", "necromass"))
    assert fits(draws[:, 0], stats.halfnorm(scale=0.1)) and fits(draws[:, 1], stats.halfnorm(scale=0.3))
    assert abs(np.corrcoef(draws.T)[0, 1]) < 0.03


@pytest.mark.parametrize("k", [1, 2, 3])
def test_coefficients_are_correlated_across_outcomes(k):
    outcomes = ("a", "b", "c")[:k]
    prior = Prior("normal", {"mean": 0.0, "sd": {"a": 0.5, "b": 0.25, "c": 1.0}, "correlation": 0.7})
    expected = coefficient_covariance(prior, outcomes)
    assert expected.shape == (k, k)
    if k > 1:
        assert expected[0, 1] == pytest.approx(0.7 * 0.5 * 0.25)
    draws = sample(prior, rng(), SIZE, outcomes)
    np.testing.assert_allclose(np.cov(draws.T).reshape(k, k), expected, atol=0.03)


def test_fixed_values():
    assert (sample(Prior("fixed", {"value": 0.1}), rng(), 5, POOLS) == 0.1).all()
    np.testing.assert_array_equal(coefficient_covariance(Prior("fixed", {"value": 0.1}), POOLS), np.zeros((2, 2)))
    assert (sample_correlation(Prior("fixed", {"value": -0.3}), rng(), 5) == -0.3).all()
    np.testing.assert_array_equal(
        sample_correlation_matrix(Prior("fixed", {"value": 0.2}), rng(), 1, 3)[0],
        np.full((3, 3), 0.2) + 0.8 * np.eye(3),
    )


@pytest.mark.parametrize("eta", [0.5, 2.0, 6.0])
def test_lkj_of_two_outcomes_is_a_stretched_beta(eta):
    draws = sample_correlation(Prior("lkj", {"eta": eta}), rng(), SIZE)
    assert fits((1 + draws) / 2, stats.beta(eta, eta))


@pytest.mark.parametrize("k", [3, 4])
def test_lkj_treats_all_pairs_alike(k):
    draws = sample_correlation_matrix(Prior("lkj", {"eta": 2.0}), rng(), SIZE, k)
    np.testing.assert_allclose(draws[:, range(k), range(k)], 1.0)
    np.testing.assert_allclose(draws, draws.swapaxes(1, 2))
    assert np.linalg.eigvalsh(draws).min() > -1e-12
    shape = 2.0 + (k - 2) / 2
    for i in range(k):
        for j in range(i):
            assert fits((1 + draws[:, i, j]) / 2, stats.beta(shape, shape)), (i, j)


def test_lkj_has_the_determinant_of_its_density():
    # E|R| under |R|^(η − 1) is the ratio of the normalising integrals at η + 1 and η; for K = 2 it is 2η/(2η + 1)
    draws = sample_correlation_matrix(Prior("lkj", {"eta": 1.0}), rng(), SIZE, 2)
    assert np.linalg.det(draws).mean() == pytest.approx(2 / 3, abs=0.01)
    # K = 3: the partial correlations are independent, E(1 − p²) = 2b/(2b + 1) for p on Beta(b, b)
    draws = sample_correlation_matrix(Prior("lkj", {"eta": 1.0}), rng(), SIZE, 3)
    assert np.linalg.det(draws).mean() == pytest.approx((3 / 4) ** 2 * (2 / 3), abs=0.01)


def test_beta_of_a_correlation():
    draws = sample_correlation(Prior("beta", {"a": 4.0, "b": 2.0}), rng(), SIZE)
    assert fits((1 + draws) / 2, stats.beta(4.0, 2.0))
    with pytest.raises(SpecificationError, match="beta is not a prior of the correlations of 3"):
        sample_correlation_matrix(Prior("beta", {"a": 4.0, "b": 2.0}), rng(), 5, 3)


def test_one_outcome_has_no_correlation():
    assert (sample_correlation_matrix(Prior("lkj", {"eta": 0.2}), rng(), 3, 1) == 1.0).all()


def test_what_cannot_be_drawn():
    with pytest.raises(SpecificationError, match="flat prior is not a probability distribution"):
        sample(Prior("flat"), rng(), 3, POOLS)
    with pytest.raises(SpecificationError, match="flat prior has no covariance"):
        coefficient_covariance(Prior("flat"), POOLS)
    with pytest.raises(SpecificationError, match="sample_correlation"):
        sample(Prior("lkj", {"eta": 2.0}), rng(), 3, POOLS)
    with pytest.raises(SpecificationError, match="half_normal is not a prior of the correlations"):
        sample_correlation(Prior("half_normal", {"sd": 2.0}), rng(), 3)


def test_the_prior_of_a_coefficient():
    spec = load_model(
        moderators="~ clay + ecosystem + clay:ecosystem",
        settings={
            "priors.slope.ecosystem.sd": 0.1,
            'priors.slope."ecosystem[forest]".sd': 0.2,
            "priors.slope.clay:ecosystem.sd": 0.05,
        },
    )
    sds = {
        name: prior_of_coefficient(spec, name).parameters["sd"]
        for name in ("intercept", "clay", "ecosystem[cropland]", "ecosystem[forest]", "clay:ecosystem[forest]")
    }
    assert list(sds.values()) == [0.5, 0.25, 0.1, 0.2, 0.05]


def test_the_correlated_intercept_makes_opposite_signs_rare():
    # the reason given for the correlation: 0.43 with independent pools, at tolerances of 5 % and without heterogeneity
    edge = np.log(1.05)

    def opposite(correlation):
        draws = sample(Prior("normal", {"mean": 0.0, "sd": 0.5, "correlation": correlation}), rng(), 200_000, POOLS)
        up, down = draws > edge, draws < -edge
        return np.mean((up[:, 0] & down[:, 1]) | (down[:, 0] & up[:, 1]))

    assert opposite(0.0) == pytest.approx(0.43, abs=0.01)
    assert opposite(0.7) < 0.22
