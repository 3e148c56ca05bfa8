"""Mixtures of t distributions: density, draws, learning."""

import numpy as np
import pytest
from scipy import stats

from mcpbayes.inference import mixtures
from mcpbayes.inference.mixtures import Mixture


def two() -> Mixture:
    return Mixture(
        np.array([0.3, 0.7]),
        np.array([[0.0, 1.0], [2.0, -1.0]]),
        np.linalg.cholesky([[[1.0, 0.5], [0.5, 2.0]], [[0.3, 0.0], [0.0, 0.1]]]),
        np.array([5.0, 8.0]),
    )


def test_density_equals_scipy():
    mixture, z = two(), np.random.default_rng(1).normal(size=(50, 2)) * 3
    parts = [
        weight * stats.multivariate_t(centre, factor @ factor.T, df).pdf(z)
        for weight, centre, factor, df in zip(mixture.weight, mixture.centre, mixture.factor, mixture.df, strict=True)
    ]
    assert mixtures.log_density(mixture, z) == pytest.approx(np.log(np.sum(parts, axis=0)), abs=1e-10)


def test_draws_follow_the_density():
    """Importance weights of a wide normal against the mixture average to one: 200,000 draws, seed 2."""
    z = mixtures.draw(two(), np.random.default_rng(2), 200_000)
    target = stats.multivariate_normal([1.0, 0.0], [[2.0, 0.0], [0.0, 1.5]])
    weight = np.exp(target.logpdf(z) - mixtures.log_density(two(), z))
    error = weight.std() / np.sqrt(len(z))
    assert abs(weight.mean() - 1) < 4.5 * error < 0.05


def test_every_component_gets_its_share_of_the_draws_up_to_one():
    """Components so far apart that each draw shows where it came from, in no order."""
    weight = np.array([0.123, 0.3, 0.577])
    far = Mixture(weight, np.array([[0.0], [1e6], [2e6]]), np.ones((3, 1, 1)), np.full(3, 8.0))
    component = np.rint(mixtures.draw(far, np.random.default_rng(5), 999)[:, 0] / 1e6).astype(int)
    assert np.abs(np.bincount(component) - 999 * weight).max() <= 1
    assert (np.diff(component) < 0).any()


def test_single_has_the_covariance_given():
    covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
    z = mixtures.draw(mixtures.single(np.array([3.0, -1.0]), covariance, 8.0), np.random.default_rng(3), 400_000)
    assert z.mean(axis=0) == pytest.approx([3.0, -1.0], abs=0.02)
    assert np.cov(z.T) == pytest.approx(covariance, abs=0.05)


def test_learning_raises_the_fit():
    """EM from a poor start towards weighted points of two clusters: cross-entropy falls to near the best."""
    rng = np.random.default_rng(4)
    z = np.concatenate([rng.normal(-3, 0.5, (3000, 2)), rng.normal(3, 1.0, (3000, 2))])
    weight = np.repeat([0.75, 0.25], 3000) / 3000
    start = mixtures.spread_out(z, weight, 4, 8.0, rng)
    learnt = mixtures.learn(start, z, weight)
    truth = np.log(
        0.75 * stats.multivariate_normal([-3, -3], 0.25).pdf(z) + 0.25 * stats.multivariate_normal([3, 3], 1.0).pdf(z)
    )
    assert weight @ mixtures.log_density(start, z) < weight @ truth - 0.3
    assert weight @ mixtures.log_density(learnt, z) > weight @ truth - 0.1


def test_defended_covers_what_lies_between():
    narrow = Mixture(
        np.full(2, 0.5), np.array([[-4.0, 0.0], [4.0, 0.0]]), np.tile(0.1 * np.eye(2), (2, 1, 1)), np.full(2, 8.0)
    )
    middle = np.zeros((1, 2))
    defended = mixtures.defended(narrow)
    assert mixtures.log_density(defended, middle) > mixtures.log_density(narrow, middle) + 5
    assert defended.weight.sum() == pytest.approx(1) and defended.weight[-1] == pytest.approx(0.1)
