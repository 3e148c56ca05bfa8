"""An unknown correlation over plots, against dense algebra with known ones."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_back_sampling import UnitNormals, repeated
from test_moments import effect_maps
from trees import (
    dense_conditional,
    dense_log_likelihood,
    dense_log_marginal,
    random_covariances,
    random_prior,
    random_tree,
    unknown_rho,
)

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference import within
from mcpbayes.inference.back_sampling import draw_effects
from mcpbayes.inference.compact import suits
from mcpbayes.inference.hierarchy import log_likelihood
from mcpbayes.inference.moments import marginal_moments
from mcpbayes.inference.refits import marginals_without
from mcpbayes.inference.root import log_marginal
from mcpbayes.inference.tree import at_correlation, select_studies

CASES = given(
    seed=st.integers(0, 10**6),
    studies=st.integers(2, 5),
    flat=st.booleans(),
    site=st.booleans(),
    edge=st.booleans(),
    rho=st.lists(st.floats(-0.99, 0.99), min_size=3, max_size=3),
)


def unknown(seed, studies, flat, site, edge, rho):
    """A tree with reported and unknown correlations, missing pools (contrasts: no shared controls), and covariances."""
    tree = unknown_rho(random_tree(seed, 2, studies, flat, shared=False), seed)
    covariances = random_covariances(seed, 2, draws=len(rho), site=site, edge=edge)
    return tree, replace(covariances, within=np.array(rho))


@settings(max_examples=50, deadline=None, derandomize=True)
@CASES
def test_the_marginal_density_is_the_dense_one_of_each_draw(seed, studies, flat, site, edge, rho):
    tree, covariances = unknown(seed, studies, flat, site, edge, rho)
    prior = random_prior(seed, 2)
    kind = random_covariances(seed + 1, 2, edge=edge).study
    found = log_marginal(tree, covariances, prior, small.cholesky(kind[None])[0])
    known = replace(covariances, within=None)
    dense = [dense_log_marginal(at_correlation(tree, one), known, prior, kind, d) for d, one in enumerate(rho)]
    np.testing.assert_allclose(found, dense, rtol=1e-11, atol=1e-8)


@settings(max_examples=40, deadline=None, derandomize=True)
@CASES
def test_the_density_given_the_mean_is_the_dense_one(seed, studies, flat, site, edge, rho):
    tree, covariances = unknown(seed, studies, flat, site, edge, rho)
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), 2, len(rho)))
    found = log_likelihood(tree, covariances, mean).sum(axis=0)
    known = replace(covariances, within=None)
    dense = [dense_log_likelihood(at_correlation(tree, one), known, mean, d) for d, one in enumerate(rho)]
    np.testing.assert_allclose(found, dense, rtol=1e-11, atol=1e-8)


@pytest.mark.parametrize("rho", [-1.0, 1.0, 1 - 1e-12])
def test_a_perfect_correlation_is_a_limit_like_any_other(rho):
    """With variation between comparisons no covariance is singular, though those of the control arms are."""
    tree, covariances = unknown(5, 4, True, False, False, [rho] * 3)
    near = log_marginal(tree, replace(covariances, within=np.full(3, rho * (1 - 1e-9))), random_prior(5, 2))
    np.testing.assert_allclose(log_marginal(tree, covariances, random_prior(5, 2)), near, rtol=1e-5)


@settings(max_examples=40, deadline=None, derandomize=True)
@CASES
def test_drawn_effects_have_the_dense_conditional_moments(seed, studies, flat, site, edge, rho):
    tree, covariances = unknown(seed, studies, flat, site, edge, rho[:1])
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), 2, 1))
    total = 2 * (studies + len(tree.study) * site + len(tree.site) * flat + len(tree.arm))
    normals = UnitNormals(total)
    found = draw_effects(tree, repeated(covariances, total + 1), np.repeat(mean, total + 1, axis=2), normals)
    parts = [found.study, found.site, found.baseline, found.comparison]
    drawn = np.concatenate([part.reshape(-1, total + 1) for part in parts if part is not None])
    location, factor = drawn[:, 0], drawn[:, 1:] - drawn[:, :1]
    dense = dense_conditional(at_correlation(tree, rho[0]), covariances, 0, mean[..., 0])
    seen = np.isfinite(dense.mean)
    assert (np.isfinite(location) == seen).all()
    np.testing.assert_allclose(location[seen], dense.mean[seen], atol=1e-7)
    covariance = dense.covariance[np.ix_(seen, seen)]
    np.testing.assert_allclose((factor @ factor.T)[np.ix_(seen, seen)], covariance, atol=1e-7)


@settings(max_examples=25, deadline=None, derandomize=True)
@CASES
def test_moments_of_comparisons_are_the_dense_ones(seed, studies, flat, site, edge, rho):
    tree, covariances = unknown(seed, studies, flat, site, edge, rho)
    prior = random_prior(seed, 2)
    (found,) = marginal_moments(tree, covariances, prior)
    for d, one in enumerate(rho):
        dense = dense_conditional(at_correlation(tree, one), covariances, d, np.zeros((len(tree.arm), 2)), prior)
        maps, _ = effect_maps(tree, dense, site, kinds=False)
        expected = np.einsum("aku,u->ak", maps, np.nan_to_num(dense.mean))
        np.testing.assert_allclose(found.comparison_mean[..., d], expected, atol=1e-7)


def test_without_a_study_it_is_the_density_of_the_others():
    tree, covariances = unknown(2, 4, True, False, False, [0.3, -0.5, 0.8])
    prior = random_prior(2, 2)
    every, without = marginals_without(tree, covariances, prior, None, range(4))
    np.testing.assert_allclose(every, log_marginal(tree, covariances, prior), atol=1e-8)
    for study, found in enumerate(without):
        part = select_studies(tree, np.delete(np.arange(4), study))[0]
        np.testing.assert_allclose(found, log_marginal(part, covariances, prior), atol=1e-7)


def test_known_and_unknown_are_not_confused():
    """A forgotten ϱ is an error, never a number; compiled kernels, which do not know it, are not asked."""
    tree, covariances = unknown(2, 4, True, False, False, [0.3])
    with pytest.raises(ValueError, match="mismatch"):
        log_marginal(tree, replace(covariances, within=None), random_prior(2, 2))
    with pytest.raises(ValueError, match="mismatch"):
        log_marginal(at_correlation(tree, 0.3), covariances, random_prior(2, 2))
    assert suits(replace(at_correlation(tree, 0.3), compiled=True), site=False)
    assert not suits(replace(tree, compiled=True), site=False)


def test_what_does_not_depend_on_rho_has_no_other_powers():
    values = np.random.default_rng(1).normal(size=(4, 5))
    found = within.quadratic([values] * 3)
    np.testing.assert_array_equal(found[..., 0], values)
    assert not found[..., 1:].any()
