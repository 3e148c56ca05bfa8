"""Modes, tempering and the attempts of the collapsed engine, on targets whose answer is known."""

import numpy as np
import pytest
from scipy import stats

from mcpbayes.inference import cascade
from mcpbayes.inference.cascade import explore
from mcpbayes.inference.mode import derivatives, find_modes, stencil
from mcpbayes.inference.tempering import temper


def normal(d, scale=0.5):
    covariance = scale**2 * (0.6 * np.ones((d, d)) + 0.4 * np.eye(d))
    mean = np.linspace(-1, 1, d)
    return stats.multivariate_normal(mean, covariance), mean, covariance


def two_humps(z):
    """Two equal humps at ±2 in the first coordinate; a single t would need luck."""
    rest = -0.5 * np.sum(z[:, 1:] ** 2, axis=1)
    return np.logaddexp(-0.5 * ((z[:, 0] - 2) / 0.3) ** 2, -0.5 * ((z[:, 0] + 2) / 0.3) ** 2) + rest


def banana(z, width=0.4):
    return -0.5 * (z[:, 0] ** 2 + ((z[:, 1] - z[:, 0] ** 2) / width) ** 2 + np.sum(z[:, 2:] ** 2, axis=1))


def coordinates_themselves(z, system):
    return z.T


def test_derivatives_of_a_quadratic_are_exact():
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(4, 4))
    matrix += matrix.T
    slope = rng.normal(size=4)
    points = stencil(4) * 2e-3
    gradient, hessian = derivatives(points @ slope + 0.5 * np.einsum("ni,ij,nj->n", points, matrix, points), 4)
    assert gradient == pytest.approx(slope, abs=1e-9)
    assert hessian == pytest.approx(matrix, abs=1e-8)


@pytest.mark.parametrize("d", [1, 2, 6])
def test_mode_of_a_normal(d):
    law, mean, covariance = normal(d)
    found = find_modes(lambda z: np.atleast_1d(law.logpdf(z)), np.random.default_rng(2).standard_normal((64, d)))[0]
    assert found.place == pytest.approx(mean, abs=1e-3)
    assert found.covariance == pytest.approx(covariance, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("d", [1, 6, 9])
def test_a_normal_needs_one_attempt(d):
    law, mean, covariance = normal(d)
    found = explore(
        lambda system: lambda z: np.atleast_1d(law.logpdf(z)), coordinates_themselves, d, np.random.default_rng(3)
    )
    assert found.passed and found.attempt == 1 and found.efficiency > 0.55 and found.pareto_k < 0.5
    weight = np.exp(found.log_weight - found.log_weight.max())
    weight /= weight.sum()
    assert weight @ found.z == pytest.approx(mean, abs=0.05)
    assert np.cov(found.z.T, aweights=weight).reshape(d, d) == pytest.approx(covariance, abs=0.03)


@pytest.mark.parametrize(("target", "d"), [(two_humps, 3), (banana, 4), (two_humps, 8)])
def test_hard_targets_pass_in_the_end(target, d):
    found = explore(lambda system: target, coordinates_themselves, d, np.random.default_rng(4))
    assert found.passed
    weight = np.exp(found.log_weight - found.log_weight.max())
    weight /= weight.sum()
    if target is two_humps:
        # Both humps, half each: missing one would give 0 or 1.
        assert weight @ (found.z[:, 0] > 0) == pytest.approx(0.5, abs=0.05)
    else:
        assert weight @ found.z[:, 1] == pytest.approx(1.0, abs=0.1)


def test_what_cannot_be_covered_is_not_passed():
    """A banana so thin that eight components do not fill it: the best effort comes back, marked as not passed."""
    found = explore(lambda system: lambda z: banana(z, 0.01), coordinates_themselves, 6, np.random.default_rng(6))
    assert not found.passed
    assert found.efficiency < cascade.EFFICIENCY_LIMIT or found.pareto_k > cascade.PARETO_K_LIMIT


def test_two_modes_are_both_found():
    modes = find_modes(two_humps, np.random.default_rng(8).standard_normal((256, 3)))
    assert sorted(mode.place[0] for mode in modes) == pytest.approx([-2, 2], abs=1e-2)


def test_tempering_reaches_both_humps():
    z = temper(two_humps, 3, np.random.default_rng(7), 4000)
    assert (z[:, 0] > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert np.abs(z[:, 0]).mean() == pytest.approx(2.0, abs=0.1)
    assert z[:, 1].std() == pytest.approx(1.0, abs=0.1)


def test_few_draws_do_not_make_the_proposal_a_poor_one():
    """200 draws cannot have 400 effective ones; that is for the gate to say, no reason to try other proposals."""
    law, _, _ = normal(2)
    found = explore(lambda system: law.logpdf, coordinates_themselves, 2, np.random.default_rng(9), chains=4, draws=50)
    assert found.passed and found.attempt == 1
