"""Compiled kernels against NumPy's and against the dense density."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import dense_log_marginal, random_covariances, random_prior, random_tree

from mcpbayes import workers
from mcpbayes.inference import compact
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.back_sampling import draw_block
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import draw_root, log_marginal
from mcpbayes.inference.tree import blocks

pytest.importorskip("numba", reason="numba, which PyTensor brings, is not installed")
compiled = pytest.importorskip("mcpbayes.inference.compiled")

LAYOUTS = {
    "seed": st.integers(0, 10**6),
    "studies": st.integers(1, 6),
    "flat": st.booleans(),
    "shared": st.booleans(),
    "missing": st.sampled_from([0.0, 0.2, 0.5]),
    "edge": st.booleans(),
    "draws": st.sampled_from([1, 127, 300]),
}


@settings(max_examples=50, deadline=None, derandomize=True)
@given(kinds=st.booleans(), moderator=st.sampled_from(["none", "study", "within", "both"]), **LAYOUTS)
def test_log_marginal_equals_that_of_numpy(seed, studies, flat, shared, missing, edge, draws, kinds, moderator):
    tree = random_tree(seed, 2, studies, flat, missing, moderator=moderator, shared=shared)
    covariances = random_covariances(seed, 2, draws=draws, site=False, edge=edge)
    prior = random_prior(3 * seed, 2, tree.design.shape[1])
    factor = small.cholesky(random_covariances(seed + 1, 2, draws=draws, edge=edge).study[None])[0] if kinds else None
    expected = log_marginal(tree, covariances, prior, factor)
    found = log_marginal(replace(tree, compiled=True), covariances, prior, factor)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(**LAYOUTS)
def test_densities_of_studies_equal_those_of_numpy(seed, studies, flat, shared, missing, edge, draws):
    tree = random_tree(seed, 2, studies, flat, missing, shared=shared)
    covariances = random_covariances(seed, 2, draws=draws, site=False, edge=edge)
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), 2, draws))
    found = log_likelihood(replace(tree, compiled=True), covariances, mean)
    np.testing.assert_allclose(found, log_likelihood(tree, covariances, mean), rtol=1e-9, atol=1e-9)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(**LAYOUTS)
def test_drawn_effects_equal_those_of_numpy(seed, studies, flat, shared, missing, edge, draws):
    tree = random_tree(seed, 2, studies, flat, missing, shared=shared)
    covariances = random_covariances(seed, 2, draws=draws, site=False, edge=edge)
    beta, _ = draw_root(tree, covariances, random_prior(0, 2), None, seed)
    (expected,), (found,) = (
        [draw_block(block, covariances, beta, None, seed) for block in blocks(one)]
        for one in (tree, replace(tree, compiled=True))
    )
    # Square roots of variances that are zero up to rounding, at |rho| = 1: 1e-8 is none.
    for name in ("study", "baseline", "comparison"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-6 if edge else 1e-10)


def test_a_sampling_covariance_of_zero_and_an_arm_without_outcomes_are_exact():
    """A row may share its whole error with its control; the other has nothing observed."""
    tree = random_tree(3, 2, 4, flat=False, missing=0.0)
    sampling, observed, y = tree.sampling.copy(), tree.observed.copy(), tree.y.copy()
    sampling[0] = sampling[1] = 0.0
    observed[1], y[1] = False, 0.0
    tree = replace(tree, sampling=sampling, observed=observed, y=y)
    covariances = random_covariances(4, 2, site=False)
    prior = random_prior(0, 2)
    found = log_marginal(replace(tree, compiled=True), covariances, prior)
    np.testing.assert_allclose(found, log_marginal(tree, covariances, prior), rtol=1e-9)
    dense = [dense_log_marginal(tree, covariances, prior, None, d) for d in range(3)]
    np.testing.assert_allclose(found, dense, rtol=1e-8)


def test_products_of_determinants_neither_overflow_nor_vanish():
    """Heterogeneity of 1e12, beyond any tail of a prior, and of 1e-12: products up to some e^60,000."""
    tree = random_tree(5, 2, 200, moderator="none")
    covariances = random_covariances(6, 2, draws=2, site=False)
    scale = np.array([1e24, 1e-24])
    covariances = Covariances(covariances.comparison * scale, covariances.study * scale)
    prior = random_prior(0, 2, 1)
    expected = log_marginal(tree, covariances, prior)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(log_marginal(replace(tree, compiled=True), covariances, prior), expected, rtol=1e-9)


def test_results_do_not_depend_on_the_number_of_workers(monkeypatch):
    tree = replace(random_tree(7, 2, 40), compiled=True)
    covariances = random_covariances(8, 2, draws=1000, site=False)
    with monkeypatch.context() as patch:
        patch.setattr(workers, "cores", lambda: 1)
        alone = log_marginal(tree, covariances, random_prior(0, 2))
    monkeypatch.setattr(workers, "cores", lambda: 3)
    np.testing.assert_array_equal(log_marginal(tree, covariances, random_prior(0, 2)), alone)


def test_kernels_do_the_work_where_they_know_the_layout(monkeypatch):
    """Without this the tests above would hold of NumPy alone."""
    calls = []
    for name in ("collapse", "densities", "drawer"):
        monkeypatch.setattr(compact, name, lambda *_, name=name, **__: calls.append(name) or 1 / 0)
    tree = replace(random_tree(9, moderator="none"), compiled=True)
    covariances, prior = random_covariances(10, 2, site=False), random_prior(0, 2, 1)
    mean = np.zeros((len(tree.arm), 2, 3))
    for work in (
        lambda: log_marginal(tree, covariances, prior),
        lambda: log_likelihood(tree, covariances, mean),
        lambda: draw_block(blocks(tree)[0], covariances, np.zeros((1, 2, 3)), None, 1),
    ):
        with pytest.raises(ZeroDivisionError):
            work()
    assert calls == ["collapse", "densities", "drawer"]
    with_sites = random_covariances(10, 2)
    log_marginal(tree, with_sites, prior)
    log_marginal(replace(random_tree(9, 3, moderator="none"), compiled=True), random_covariances(1, 3, site=False),
                 random_prior(0, 3, 1))  # fmt: skip


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("edge", [False, True])
def test_compiled_log_marginal_equals_the_dense_density(flat, edge):
    tree = replace(random_tree(11, 2, 6, flat, moderator="study"), compiled=True)
    covariances = random_covariances(12, 2, site=False, edge=edge)
    prior = random_prior(1, 2)
    dense = [dense_log_marginal(tree, covariances, prior, None, d) for d in range(3)]
    np.testing.assert_allclose(log_marginal(tree, covariances, prior), dense, rtol=1e-8, atol=1e-8)


def test_kernels_are_compiled_anew_where_there_is_no_place_to_keep_them(monkeypatch):
    asked = []

    def njit(cache=False, **options):
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled._kernel(len) is len
    assert asked == [True, False]
