"""The PyMC model's density against the hierarchy's: two codes for one number."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from trees import random_tree

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.builders.density import log_density
from mcpbayes.inference.hierarchy import Covariances, log_likelihood


@pytest.mark.parametrize("outcomes", [1, 2, 3])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_density_equals_the_hierarchy(outcomes, flat, seed):
    tree = random_tree(seed, outcomes, flat=flat)
    rng = np.random.default_rng(seed)
    effect = rng.normal(0, 0.3, (len(tree.arm), outcomes))
    pairs = outcomes * (outcomes - 1) // 2
    sigma = small.covariance(np.abs(rng.normal(0, 0.3, (1, outcomes))), rng.uniform(-0.4, 0.9, (1, pairs)))
    nothing = np.zeros_like(sigma)
    expected = log_likelihood(tree, Covariances(sigma, nothing), effect[..., None]).sum()
    nested = [[pt.as_tensor(sigma[i, j, 0]) for j in range(outcomes)] for i in range(outcomes)]
    density = log_density(tree, pt.as_tensor(effect), nested)
    value = pytensor.function([], density, mode="FAST_COMPILE")()
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-8)
