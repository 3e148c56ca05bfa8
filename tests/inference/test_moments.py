"""Moments of effects with everything else integrated out, against dense algebra and against draws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_back_sampling import repeated
from trees import dense_conditional, random_covariances, random_prior, random_tree

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.back_sampling import draw_below, mean_effects
from mcpbayes.inference.moments import marginal_moments
from mcpbayes.inference.root import draw_root


def effect_maps(tree, dense, site, kinds):
    """Maps from the unknowns to the comparisons' and the studies' effects, (node, K, unknown)."""
    outcomes, size = tree.y.shape[1], len(dense.mean)
    x = np.concatenate([tree.design, np.eye(tree.kind.max() + 1)[tree.kind]], axis=1) if kinds else tree.design
    comparison, study = np.zeros((len(tree.arm), outcomes, size)), np.zeros((tree.studies, outcomes, size))
    for k in range(outcomes):
        comparison[:, k, dense.at["root"]][:, k::outcomes] = x
        for a, (s, e) in enumerate(zip(tree.study_of_comparison, tree.site_of_comparison, strict=True)):
            comparison[a, k, dense.at["study"].start + s * outcomes + k] = 1.0
            comparison[a, k, dense.at["comparison"].start + a * outcomes + k] = 1.0
            if site:
                comparison[a, k, dense.at["site"].start + e * outcomes + k] = 1.0
        for s in range(tree.studies):
            study[s, k, dense.at["root"]][k::outcomes] = x[tree.study_of_comparison == s].mean(axis=0)
            study[s, k, dense.at["study"].start + s * outcomes + k] = 1.0
    return comparison, study


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    outcomes=st.sampled_from([1, 2, 3]),
    studies=st.integers(2, 5),
    flat=st.booleans(),
    shared=st.booleans(),
    site=st.booleans(),
    kinds=st.booleans(),
    edge=st.booleans(),
    moderator=st.sampled_from(["none", "study", "within", "both"]),
)
def test_moments_equal_the_dense_ones(seed, outcomes, studies, flat, shared, site, kinds, edge, moderator):
    tree = random_tree(seed, outcomes, studies, flat, 0.1, moderator=moderator, shared=shared)
    covariances = random_covariances(seed, outcomes, draws=2, site=site, edge=edge)
    prior = random_prior(seed, outcomes, tree.design.shape[1])
    kind = random_covariances(seed + 1, outcomes, draws=2, edge=edge).study if kinds else None
    factor = None if kind is None else small.cholesky(kind[None])[0]
    (found,) = marginal_moments(tree, covariances, prior, factor)
    for d in range(2):
        dense = dense_conditional(tree, covariances, d, np.zeros((len(tree.arm), outcomes)), prior, kind)
        centre = np.nan_to_num(dense.mean)
        for maps, mean, covariance in zip(
            effect_maps(tree, dense, site, kinds),
            (found.comparison_mean, found.study_mean),
            (found.comparison_covariance, found.study_covariance),
            strict=True,
        ):
            np.testing.assert_allclose(mean[..., d], maps @ centre, atol=1e-8)
            expected = np.einsum("nku,uv,nlv->nkl", maps, dense.covariance, maps)
            np.testing.assert_allclose(covariance[..., d], expected, atol=1e-8)


@pytest.mark.parametrize("flat", [True, False])
def test_drawn_effects_have_the_marginal_moments(flat):
    """20,000 draws: means and variances within 4.5 Monte-Carlo errors."""
    draws = 20_000
    tree = random_tree(11, 2, 4, flat)
    one = random_covariances(12, 2, draws=1)
    factor = small.cholesky(random_covariances(13, 2, draws=1).study[None])[0]
    prior = random_prior(0, 2)
    (found,) = marginal_moments(tree, one, prior, factor)
    many = repeated(one, draws)
    beta, kind = draw_root(tree, many, prior, np.repeat(factor, draws, axis=-1), seed=3)
    drawn = draw_below(tree, many, beta, kind, seed=3)
    above = drawn["study"][tree.study_of_comparison] + drawn["site"][tree.site_of_comparison]
    theta = mean_effects(tree, beta, kind) + above + drawn["comparison"]
    variance = np.diagonal(found.comparison_covariance[..., 0], axis1=1, axis2=2)
    error = np.sqrt(variance / draws)
    assert (np.abs(theta.mean(axis=-1) - found.comparison_mean[..., 0]) < 4.5 * error).all()
    assert (np.abs(theta.var(axis=-1) / variance - 1) < 4.5 * np.sqrt(2 / draws)).all()
    product = np.mean((theta[:, 0] - found.comparison_mean[:, 0]) * (theta[:, 1] - found.comparison_mean[:, 1]), axis=1)
    cross = found.comparison_covariance[:, 0, 1, 0]
    spread = np.sqrt((variance.prod(axis=1) + cross**2) / draws)
    assert (np.abs(product - cross) < 4.5 * spread).all()


def test_moments_of_several_blocks_are_those_of_each_study():
    tree = random_tree(3, studies=40)
    covariances = random_covariances(4, 2, draws=300)
    prior = random_prior(2, 2)
    # With fixed coefficients studies say nothing about each other.
    prior.factor[:] = 0.0
    whole = list(marginal_moments(tree, covariances, prior))
    assert [len(m.study_mean) for m in whole] == [16, 16, 8]
    last = whole[-1]
    (alone,) = marginal_moments(last.block.part, covariances, prior)
    np.testing.assert_allclose(last.comparison_mean, alone.comparison_mean, atol=1e-10)
    np.testing.assert_allclose(last.comparison_covariance, alone.comparison_covariance, atol=1e-10)
    np.testing.assert_allclose(last.study_covariance, alone.study_covariance, atol=1e-10)
