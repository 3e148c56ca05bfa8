import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import dense_log_likelihood, expand, membership, random_tree

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.hierarchy import (
    Covariances,
    draw_comparisons,
    log_likelihood,
    log_likelihood_by_study,
    observed_at_control,
    select_studies,
)

pairs = {1: 0, 2: 1, 3: 3}


def random_covariances(seed: int, outcomes: int, draws: int = 3, site: bool = True, edge: bool = False) -> Covariances:
    rng = np.random.default_rng(seed)

    def one() -> np.ndarray:
        if edge:
            tau = rng.choice([0.0, 0.3], (draws, outcomes))
            rho = np.full((draws, pairs[outcomes]), rng.choice([1.0, 0.999999]))
        else:
            tau = np.abs(rng.normal(0, 0.3, (draws, outcomes)))
            rho = rng.uniform(-0.3, 0.9, (draws, pairs[outcomes]))
        return small.covariance(tau, rho)

    return Covariances(one(), one(), one() if site else None)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    outcomes=st.sampled_from([1, 2, 3]),
    studies=st.integers(1, 5),
    flat=st.booleans(),
    site=st.booleans(),
    edge=st.booleans(),
)
def test_log_likelihood_equals_the_dense_density(seed, outcomes, studies, flat, site, edge):
    tree = random_tree(seed, outcomes, studies, flat)
    covariances = random_covariances(seed, outcomes, site=site, edge=edge)
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), outcomes, 3))
    collapsed = log_likelihood(tree, covariances, mean).sum(axis=0)
    dense = [dense_log_likelihood(tree, covariances, mean, d) for d in range(3)]
    np.testing.assert_allclose(collapsed, dense, rtol=0, atol=1e-8)


def test_likelihood_splits_over_studies_and_blocks():
    tree = random_tree(3, studies=40)
    covariances = random_covariances(4, 2)
    mean = np.random.default_rng(5).normal(0, 0.3, (len(tree.arm), 2, 3))
    whole = log_likelihood(tree, covariances, mean)
    np.testing.assert_allclose(log_likelihood_by_study(tree, covariances, mean), whole, atol=1e-10)
    part, _, _, comparisons = select_studies(tree, 7, 8)
    np.testing.assert_allclose(log_likelihood(part, covariances, mean[comparisons])[0], whole[7], atol=1e-10)


class UnitNormals:
    """Stands for a generator: draw d gives the d-th unit vector over all normals asked for, draw 0 gives zeros."""

    def __init__(self, total: int) -> None:
        self.identity = np.column_stack([np.zeros(total), np.eye(total)])
        self.used = 0

    def standard_normal(self, shape: tuple[int, ...]) -> np.ndarray:
        count = int(np.prod(shape[:-1]))
        self.used += count
        return self.identity[self.used - count : self.used].reshape(shape)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), outcomes=st.sampled_from([1, 2, 3]), flat=st.booleans(), zero=st.booleans())
def test_drawn_effects_have_the_dense_conditional_mean_and_covariance(seed, outcomes, flat, zero):
    """The draws are linear in the normals, so unit normals give mean and covariance without Monte-Carlo error."""
    tree = random_tree(seed, outcomes, 2, flat)
    rng = np.random.default_rng(seed)
    controls, arms = len(tree.site), len(tree.arm)
    total = (controls + arms) * outcomes
    tau = np.zeros((1, outcomes)) if zero else np.abs(rng.normal(0, 0.3, (1, outcomes)))
    comparison = small.covariance(tau, np.full((1, pairs[outcomes]), 0.6))
    mean = np.repeat(rng.normal(0, 0.3, (arms, outcomes, 1)), total + 1, axis=2)
    normals = UnitNormals(total)
    baseline, effect = draw_comparisons(tree, np.repeat(comparison, total + 1, axis=2), mean, normals)
    assert normals.used == total
    drawn = np.concatenate([baseline.reshape(-1, total + 1), effect.reshape(-1, total + 1)])
    location, factor = drawn[:, 0], drawn[:, 1:] - drawn[:, :1]

    # Dense: unknowns (b or c, w); a flat b is a normal with no precision.
    y, seen, sampling = expand(tree)
    to_control = membership(tree.control, controls, outcomes)
    to_effect = np.zeros((len(y), arms * outcomes))
    to_effect[(tree.arm[:, None] * outcomes + np.arange(outcomes)).ravel(), np.arange(arms * outcomes)] = 1.0
    columns = np.column_stack([to_control, to_effect])[seen]
    full_mean = np.zeros(tree.y.shape)
    full_mean[tree.arm] = mean[..., 0]
    residual = (y - full_mean.ravel())[seen]
    keep = np.concatenate([observed_at_control(tree).ravel() if flat else np.ones(controls * outcomes, bool),
                           np.ones(arms * outcomes, bool)])  # fmt: skip
    wide = 1e6  # a flat baseline as the limit of a wide one; the dense route is good to about 1e-5 then
    prior = np.zeros((total, total))
    for g in range(controls):
        at = slice(g * outcomes, (g + 1) * outcomes)
        prior[at, at] = np.eye(outcomes) * wide if flat else tree.control_covariance[g]
    start = controls * outcomes
    prior[start:, start:] = np.kron(np.eye(arms), comparison[..., 0])
    marginal = columns @ prior @ columns.T + sampling[np.ix_(seen, seen)]
    gain = np.linalg.solve(marginal, columns @ prior).T
    np.testing.assert_allclose(location[keep], (gain @ residual)[keep], atol=1e-6 if flat else 1e-10)
    conditional = prior - gain @ columns @ prior
    tolerance = 1e-6 if flat else 1e-10
    np.testing.assert_allclose((factor @ factor.T)[np.ix_(keep, keep)], conditional[np.ix_(keep, keep)], atol=tolerance)
    assert np.isnan(location[~keep]).all()


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_small_matrices_agree_with_lapack(size):
    rng = np.random.default_rng(size)
    a = rng.normal(size=(5, size, size, 7)) + 2 * np.eye(size)[None, :, :, None]
    inverse, det = small.inverse_and_determinant(a)
    moved = np.moveaxis(a, 3, 1)
    np.testing.assert_allclose(np.moveaxis(inverse, 3, 1), np.linalg.inv(moved), atol=1e-9)
    np.testing.assert_allclose(det, np.linalg.det(moved), atol=1e-11)
    spd = small.product(a, np.swapaxes(a, 1, 2))
    factor = small.cholesky(spd)
    np.testing.assert_allclose(small.product(factor, np.swapaxes(factor, 1, 2)), spd, atol=1e-10)


def test_cholesky_of_singular_covariances_is_exact():
    tau = np.array([[0.0, 0.3, 0.2], [0.3, 0.0, 0.2], [0.3, 0.2, 0.0], [0.3, 0.2, 0.1]])
    sigma = small.covariance(tau, np.ones((4, 3)))[None]
    factor = small.cholesky(sigma)
    np.testing.assert_allclose(small.product(factor, np.swapaxes(factor, 1, 2)), sigma, atol=1e-12)
