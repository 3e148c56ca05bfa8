import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import (
    PAIRS,
    dense_log_likelihood,
    dense_log_marginal,
    expand,
    membership,
    random_covariances,
    random_prior,
    random_tree,
)

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.back_sampling import draw_below, draw_comparisons, draw_studies
from mcpbayes.inference.hierarchy import log_likelihood, observed_at_control
from mcpbayes.inference.root import draw_root, log_marginal
from mcpbayes.inference.tree import select_studies


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


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    outcomes=st.sampled_from([1, 2, 3]),
    studies=st.integers(2, 5),
    flat=st.booleans(),
    site=st.booleans(),
    kinds=st.booleans(),
    edge=st.booleans(),
)
def test_log_marginal_equals_the_dense_density(seed, outcomes, studies, flat, site, kinds, edge):
    tree = random_tree(seed, outcomes, studies, flat, missing=0.1)
    covariances = random_covariances(seed, outcomes, site=site, edge=edge)
    prior = random_prior(seed, outcomes)
    kind = random_covariances(seed + 1, outcomes, edge=edge).study if kinds else None
    factor = None if kind is None else small.cholesky(kind[None])[0]
    collapsed = log_marginal(tree, covariances, prior, factor)
    dense = [dense_log_marginal(tree, covariances, prior, kind, d) for d in range(3)]
    np.testing.assert_allclose(collapsed, dense, rtol=0, atol=1e-8)


def test_likelihood_splits_over_studies_and_blocks():
    tree = random_tree(3, studies=40)
    covariances = random_covariances(4, 2)
    mean = np.random.default_rng(5).normal(0, 0.3, (len(tree.arm), 2, 3))
    whole = log_likelihood(tree, covariances, mean)
    drawn = draw_below(tree, covariances, mean, seed=1)
    np.testing.assert_allclose(drawn["contrasts"], whole, atol=1e-10)
    part, _, _, _, comparisons = select_studies(tree, 7, 8)
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
    comparison = small.covariance(tau, np.full((1, PAIRS[outcomes]), 0.6))
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


def random_conditional(tree, covariances, mean):
    """Dense mean and covariance of (u, v) given y, comparison effects and baselines integrated out."""
    y, seen, covariance = expand(tree)
    outcomes = tree.y.shape[1]
    controls, sites, studies = len(tree.site), len(tree.study), tree.study.max() + 1
    effect = tree.treated.repeat(outcomes)[:, None]
    columns = np.column_stack(
        [
            effect * membership(tree.study[tree.site[tree.control]], studies, outcomes),
            effect * membership(tree.site[tree.control], sites, outcomes),
        ]
    )
    prior = np.zeros((columns.shape[1], columns.shape[1]))
    prior[: studies * outcomes, : studies * outcomes] = np.kron(np.eye(studies), covariances.study[..., 0])
    prior[studies * outcomes :, studies * outcomes :] = np.kron(np.eye(sites), covariances.site[..., 0])
    below = covariance + np.kron(np.diag(tree.treated.astype(float)), covariances.comparison[..., 0])
    to_control = membership(tree.control, controls, outcomes)
    if tree.control_covariance is None:
        below = below + 1e6 * to_control @ to_control.T
    else:
        for g, shared in enumerate(tree.control_covariance):
            at = to_control[:, g * outcomes : (g + 1) * outcomes]
            below = below + at @ shared @ at.T
    full_mean = np.zeros(tree.y.shape)
    full_mean[tree.arm] = mean
    residual = (y - full_mean.ravel())[seen]
    columns, below = columns[seen], below[np.ix_(seen, seen)]
    gain = np.linalg.solve(columns @ prior @ columns.T + below, columns @ prior).T
    return gain @ residual, prior - gain @ columns @ prior


@settings(max_examples=40, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), outcomes=st.sampled_from([1, 2, 3]), flat=st.booleans())
def test_drawn_study_and_site_effects_have_the_dense_conditional_mean_and_covariance(seed, outcomes, flat):
    tree = random_tree(seed, outcomes, 3, flat)
    one = random_covariances(seed, outcomes, draws=1)
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), outcomes))
    total = (3 + len(tree.study)) * outcomes

    def many(array):
        return np.repeat(array, total + 1, axis=-1)

    covariances = type(one)(many(one.comparison), many(one.study), many(one.site))
    normals = UnitNormals(total)
    study, site = draw_studies(tree, covariances, many(mean[..., None]), normals)
    assert normals.used == total
    drawn = np.concatenate([study.reshape(-1, total + 1), site.reshape(-1, total + 1)])
    location, factor = drawn[:, 0], drawn[:, 1:] - drawn[:, :1]
    expected, covariance = random_conditional(tree, one, mean)
    tolerance = 1e-6 if flat else 1e-10
    np.testing.assert_allclose(location, expected, atol=tolerance)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=tolerance)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_drawn_coefficients_and_kinds_have_the_dense_conditional_moments(seed):
    """40,000 draws: means within 5 standard errors, variances within 5 % (flat, fixed and normal slopes)."""
    tree = random_tree(seed, 2, 4)
    draws = 40_000
    one = random_covariances(seed, 2, draws=1)
    kind = random_covariances(seed + 1, 2, draws=1).study
    prior = random_prior(seed, 2)

    def many(array):
        return np.repeat(array, draws, axis=-1)

    covariances = type(one)(many(one.comparison), many(one.study), many(one.site))
    beta, kappa = draw_root(tree, covariances, prior, many(small.cholesky(kind[None])[0]), seed=1)
    drawn = np.concatenate([beta.reshape(-1, draws), kappa.reshape(-1, draws)])
    # The log density is quadratic in the coefficients: its gradient and curvature by finite differences of the
    # likelihood given B and κ, plus the priors, are the exact conditional.
    kinds = tree.kind.max() + 1
    size = len(drawn)

    def log_density(x):
        b, k = x[: 2 * 2].reshape(2, 2), x[4:].reshape(kinds, 2)
        mean = (tree.design @ b + k[tree.kind])[..., None]
        return log_likelihood(tree, one, mean).sum()

    free = np.ones(size, bool)
    free[2:4] = prior.factor[1].any()
    grid = np.eye(size)[free]
    at = np.concatenate([prior.mean.ravel(), np.zeros(2 * kinds)])
    here = log_density(at)
    single = np.array([log_density(at + g) for g in grid])
    hessian = np.array([[log_density(at + g + h) for h in grid] for g in grid])
    hessian = hessian - single[:, None] - single[None, :] + here
    score = single - here - 0.5 * np.diag(hessian)
    precision = -hessian
    blocks = [np.linalg.pinv(f @ f.T) * p for f, p in zip(prior.factor, prior.precision, strict=True)]
    blocks += [np.linalg.inv(kind[..., 0])] * kinds
    for i, block in enumerate(blocks):
        rows = np.flatnonzero(np.isin(np.flatnonzero(free), [2 * i, 2 * i + 1]))
        if rows.size:
            precision[np.ix_(rows, rows)] += block
    covariance = np.linalg.inv(precision)
    location = at[free] + covariance @ score
    error = np.sqrt(np.diag(covariance) / draws)
    assert (np.abs(drawn[free].mean(axis=1) - location) < 5 * error).all()
    np.testing.assert_allclose(drawn[free].var(axis=1), np.diag(covariance), rtol=0.05)
    np.testing.assert_array_equal(drawn[~free], np.repeat(prior.mean[1][:, None], draws, axis=1)[: (~free).sum()])


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
