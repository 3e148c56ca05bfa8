"""The collapsed density against the dense multivariate normal one, in every layout that it knows."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import dense_log_likelihood, dense_log_marginal, random_covariances, random_prior, random_tree

from mcpbayes.inference import gathering
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import CoefficientPrior, draw_root, log_marginal, log_restricted
from mcpbayes.inference.tree import blocks, select_studies

#: Every layout of the hierarchy, small enough for dense matrices.
LAYOUTS = {
    "seed": st.integers(0, 10**6),
    "outcomes": st.sampled_from([1, 2, 3]),
    "studies": st.integers(1, 5),
    "flat": st.booleans(),
    "shared": st.booleans(),
    "site": st.booleans(),
    "missing": st.sampled_from([0.0, 0.2, 0.5]),
    "edge": st.booleans(),
}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(**LAYOUTS)
def test_log_likelihood_equals_the_dense_density(seed, outcomes, studies, flat, shared, site, missing, edge):
    tree = random_tree(seed, outcomes, studies, flat, missing, shared=shared)
    covariances = random_covariances(seed, outcomes, site=site, edge=edge)
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), outcomes, 3))
    collapsed = log_likelihood(tree, covariances, mean).sum(axis=0)
    dense = [dense_log_likelihood(tree, covariances, mean, d) for d in range(3)]
    np.testing.assert_allclose(collapsed, dense, rtol=0, atol=1e-8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(kinds=st.booleans(), moderator=st.sampled_from(["none", "study", "within", "both"]), **LAYOUTS)
def test_log_marginal_equals_the_dense_density(
    seed, outcomes, studies, flat, shared, site, missing, edge, kinds, moderator
):
    tree = random_tree(seed, outcomes, studies, flat, missing, moderator=moderator, shared=shared)
    covariances = random_covariances(seed, outcomes, site=site, edge=edge)
    # A flat slope needs enough studies; a prior that is not flat does not.
    enough = moderator in ("none", "within") or studies > 3
    prior = random_prior(seed if enough and missing < 0.5 else 3 * seed, outcomes, tree.design.shape[1])
    kind = random_covariances(seed + 1, outcomes, edge=edge).study if kinds else None
    factor = None if kind is None else small.cholesky(kind[None])[0]
    collapsed = log_marginal(tree, covariances, prior, factor)
    dense = [dense_log_marginal(tree, covariances, prior, kind, d) for d in range(3)]
    np.testing.assert_allclose(collapsed, dense, rtol=1e-8, atol=1e-8)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), outcomes=st.sampled_from([1, 2, 3]), flat=st.booleans(), edge=st.booleans())
def test_log_restricted_equals_the_dense_density_with_flat_coefficients(seed, outcomes, flat, edge):
    tree = random_tree(seed, outcomes, 4, flat, missing=0.0, moderator="both")
    covariances = random_covariances(seed, outcomes, edge=edge)
    flat_prior = CoefficientPrior(np.zeros((3, outcomes)), np.tile(np.eye(outcomes), (3, 1, 1)), np.zeros(3))
    dense = [dense_log_marginal(tree, covariances, flat_prior, None, d) for d in range(3)]
    constant = 0.5 * outcomes * np.linalg.slogdet(tree.design.T @ tree.design)[1]
    np.testing.assert_allclose(log_restricted(tree, covariances), np.add(dense, constant), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("flat", [True, False])
def test_more_than_three_outcomes_take_the_general_route(flat):
    tree = random_tree(5, 4, 3, flat)
    covariances = random_covariances(6, 4)
    prior = random_prior(0, 4)
    dense = [dense_log_marginal(tree, covariances, prior, covariances.study, d) for d in range(3)]
    factor = small.cholesky(covariances.study[None])[0]
    np.testing.assert_allclose(log_marginal(tree, covariances, prior, factor), dense, atol=1e-8)


def test_likelihood_splits_over_studies_and_blocks():
    tree = random_tree(3, studies=40)
    covariances = random_covariances(4, 2)
    mean = np.random.default_rng(5).normal(0, 0.3, (len(tree.arm), 2, 3))
    whole = log_likelihood(tree, covariances, mean)
    for block in blocks(tree):
        own = log_likelihood(block.part, covariances, mean[block.comparisons])
        np.testing.assert_allclose(own, whole[block.studies], atol=1e-10)
    part, _, _, _, comparisons = select_studies(tree, np.array([7, 21]))
    np.testing.assert_allclose(log_likelihood(part, covariances, mean[comparisons]), whole[[7, 21]], atol=1e-10)


@pytest.mark.parametrize("flat", [True, False])
def test_marginal_does_not_depend_on_groups_and_pieces(monkeypatch, flat):
    tree = random_tree(3, 2, 40, flat, moderator="both")
    covariances = random_covariances(4, 2, draws=700)
    prior = random_prior(0, 2, 3)
    factor = small.cholesky(random_covariances(5, 2, draws=700).study[None])[0]
    whole = log_marginal(tree, covariances, prior, factor)
    tree.remembered.clear()
    monkeypatch.setattr(gathering, "ARMS", 5)
    assert len(gathering.groups(tree, 0)) > 10
    np.testing.assert_allclose(log_marginal(tree, covariances, prior, factor), whole, rtol=1e-10)


def test_features_that_are_constant_within_studies_are_not_carried():
    within, between = (random_tree(3, 2, 40, moderator=name) for name in ("within", "study"))
    assert any(1 in group.varying for group in gathering.groups(within, 0))
    assert all(not group.varying.size for group in gathering.groups(between, 0))


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


def product(a, b):
    return np.einsum("nijs,njks->niks", a, b)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_small_matrices_agree_with_lapack(size):
    rng = np.random.default_rng(size)
    a = rng.normal(size=(5, size, size, 7)) + 2 * np.eye(size)[None, :, :, None]
    inverse, det = small.inverse_and_determinant(a)
    moved = np.moveaxis(a, 3, 1)
    np.testing.assert_allclose(np.moveaxis(inverse, 3, 1), np.linalg.inv(moved), atol=1e-9)
    np.testing.assert_allclose(det, np.linalg.det(moved), atol=1e-11)
    spd = product(a, np.swapaxes(a, 1, 2))
    factor = small.cholesky(spd)
    np.testing.assert_allclose(product(factor, np.swapaxes(factor, 1, 2)), spd, atol=1e-10)


def test_cholesky_of_singular_covariances_is_exact():
    tau = np.array([[0.0, 0.3, 0.2], [0.3, 0.0, 0.2], [0.3, 0.2, 0.0], [0.3, 0.2, 0.1]])
    sigma = small.covariance(tau, np.ones((4, 3)))[None]
    factor = small.cholesky(sigma)
    np.testing.assert_allclose(product(factor, np.swapaxes(factor, 1, 2)), sigma, atol=1e-12)


def test_a_kind_that_occurs_nowhere_changes_no_density_and_is_drawn_from_its_prior():
    """Leaving a study out may leave a kind without comparisons: 20,000 draws, seed 5."""
    tree = random_tree(11, sites=False)
    covariances = random_covariances(3, 2, draws=1, site=False)
    many = Covariances(np.repeat(covariances.comparison, 20_000, -1), np.repeat(covariances.study, 20_000, -1))
    kind = np.repeat(np.linalg.cholesky([[0.09, 0.03], [0.03, 0.04]])[..., None], 20_000, -1)
    prior = random_prior(3, 2)
    more = replace(tree, kinds=tree.kind_count + 1)
    assert log_marginal(more, many, prior, kind)[0] == pytest.approx(
        log_marginal(tree, many, prior, kind)[0], abs=1e-10
    )
    _, effects = draw_root(more, many, prior, kind, seed=5)
    assert effects.shape[0] == tree.kind_count + 1
    assert np.cov(effects[-1]) == pytest.approx(np.array([[0.09, 0.03], [0.03, 0.04]]), abs=0.003)
