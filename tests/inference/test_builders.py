"""The PyMC model's density against the hierarchy's: two codes for one number."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from trees import random_covariances, random_prior, random_tree

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.builders.density import Factors, log_density
from mcpbayes.inference.root import log_marginal


def nested(sigma):
    factor = small.cholesky(sigma[None])[0, :, :, 0]
    return [[pt.as_tensor(factor[i, j]) for j in range(len(factor))] for i in range(len(factor))]


@pytest.mark.parametrize("kinds", [True, False])
@pytest.mark.parametrize("outcomes", [1, 2, 3])
@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_density_equals_the_hierarchy(outcomes, flat, seed, kinds):
    tree = random_tree(seed, outcomes, flat=flat)
    covariances = random_covariances(seed, outcomes, draws=1, site=seed != 1)
    kind = random_covariances(seed + 10, outcomes, draws=1).study if kinds else None
    prior = random_prior(seed, outcomes)
    kind_factor = None if kind is None else small.cholesky(kind[None])[0]
    expected = log_marginal(tree, covariances, prior, kind_factor)[0]
    factors = Factors(
        nested(covariances.comparison),
        nested(covariances.study),
        None if covariances.site is None else nested(covariances.site),
        None if kind is None else nested(kind),
    )
    value = pytensor.function([], log_density(tree, factors, prior), mode=Mode(linker="py", optimizer=None))()
    np.testing.assert_allclose(value, expected, rtol=0, atol=1e-8)
