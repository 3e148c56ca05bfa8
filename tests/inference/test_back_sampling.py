"""Drawn effects against one dense conditional normal distribution, without Monte-Carlo error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import dense_conditional, random_covariances, random_prior, random_tree

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.back_sampling import draw_below, draw_block, draw_effects, mean_effects
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import draw_root
from mcpbayes.inference.tree import blocks


class UnitNormals:
    """Draw d gives the d-th unit vector over all normals asked for, draw 0 gives zeros."""

    def __init__(self, total: int) -> None:
        self.identity = np.column_stack([np.zeros(total), np.eye(total)])
        self.rows: dict[str, slice] = {}

    def __call__(self, rung: str, shape: tuple[int, ...], now: slice) -> np.ndarray:
        start = max((rows.stop for rows in self.rows.values()), default=0)
        rows = self.rows.setdefault(rung, slice(start, start + int(np.prod(shape[:-1]))))
        return self.identity[rows, now].reshape(shape)


def repeated(covariances: Covariances, times: int) -> Covariances:
    def many(array):
        return None if array is None else np.repeat(array, times, axis=-1)

    return Covariances(*(many(array) for array in vars(covariances).values()))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    outcomes=st.sampled_from([1, 2, 3]),
    studies=st.integers(1, 5),
    flat=st.booleans(),
    shared=st.booleans(),
    site=st.booleans(),
    edge=st.booleans(),
)
def test_drawn_effects_have_the_dense_conditional_mean_and_covariance(
    seed, outcomes, studies, flat, shared, site, edge
):
    """The draws are affine in the normals, so unit normals give mean and covariance exactly."""
    tree = random_tree(seed, outcomes, studies, flat, shared=shared)
    one = random_covariances(seed, outcomes, draws=1, site=site, edge=edge)
    mean = np.random.default_rng(seed).normal(0, 0.3, (len(tree.arm), outcomes, 1))
    sharing = flat or tree.control_covariance.any()
    nodes = studies + len(tree.study) * site + len(tree.site) * sharing + len(tree.arm)
    total = nodes * outcomes
    normals = UnitNormals(total)
    found = draw_effects(tree, repeated(one, total + 1), np.repeat(mean, total + 1, axis=2), normals)
    assert sum(rows.stop - rows.start for rows in normals.rows.values()) == total
    parts = [found.study, found.site, found.baseline, found.comparison]
    drawn = np.concatenate([part.reshape(-1, total + 1) for part in parts if part is not None])
    location, factor = drawn[:, 0], drawn[:, 1:] - drawn[:, :1]

    dense = dense_conditional(tree, one, 0, mean[..., 0])
    known = np.isfinite(dense.mean)
    assert (np.isfinite(location) == known).all()
    # Square roots of variances that are zero up to rounding: a standard deviation of 1e-8 is none.
    np.testing.assert_allclose(location[known], dense.mean[known], atol=1e-8)
    covariance = dense.covariance[np.ix_(known, known)]
    np.testing.assert_allclose((factor @ factor.T)[np.ix_(known, known)], covariance, atol=1e-8)


def test_effects_do_not_depend_on_being_drawn_whole_by_block_or_up_to_the_baselines():
    tree = random_tree(3, studies=40)
    covariances = random_covariances(4, 2, draws=300)
    beta, kind = draw_root(tree, covariances, random_prior(0, 2), small.cholesky(covariances.study[None])[0], seed=1)
    whole = draw_below(tree, covariances, beta, kind, seed=7)
    assert len(blocks(tree)) == 3
    for block in blocks(tree):
        short = draw_block(block, covariances, beta, kind, 7, upto="baseline")
        full = draw_block(block, covariances, beta, kind, 7)
        assert short.comparison is None
        np.testing.assert_array_equal(short.baseline, full.baseline)
        np.testing.assert_array_equal(whole["study"][block.studies], full.study)
        np.testing.assert_array_equal(whole["site"][block.sites], full.site)
        np.testing.assert_array_equal(whole["baseline"][block.controls], full.baseline)
        np.testing.assert_array_equal(whole["comparison"][block.comparisons], full.comparison)
        mean = np.einsum("cp,pkd->ckd", block.part.design, beta) + kind[block.part.kind]
        np.testing.assert_allclose(full.mean, mean, atol=1e-12)


def test_blocks_of_studies_and_pieces_of_draws_are_drawn_with_their_own_densities():
    """Normals turned back: the density of the effects at draw d is that of the normals, whatever block or piece."""
    tree = random_tree(3, studies=40)
    covariances = random_covariances(4, 2, draws=300)
    mean = np.random.default_rng(5).normal(0, 0.3, (len(tree.arm), 2, 300))
    value = log_likelihood(tree, covariances, mean)
    for d in (0, 255, 256, 299):
        one = Covariances(*(a[..., d : d + 1] for a in (covariances.comparison, covariances.study, covariances.site)))
        np.testing.assert_allclose(log_likelihood(tree, one, mean[..., d : d + 1])[:, 0], value[:, d], atol=1e-10)


@pytest.mark.parametrize("kinds", [False, True])
def test_mean_effects(kinds):
    tree = random_tree(3, studies=4)
    rng = np.random.default_rng(0)
    beta, kind = rng.normal(size=(2, 2, 300)), rng.normal(size=(2, 2, 300)) if kinds else None
    expected = np.einsum("cp,pkd->ckd", tree.design, beta) + (kind[tree.kind] if kinds else 0)
    np.testing.assert_allclose(mean_effects(tree, beta, kind), expected, atol=1e-12)
