"""A level integrated out, against plain inverses."""

import numpy as np
import pytest
from trees import random_spd

from mcpbayes.inference import planes
from mcpbayes.inference.levels import from_covariance, from_precision, integrate


def packed(full):
    """(node, K, K) as packed planes with one draw."""
    return planes.pack(np.moveaxis(full, 0, 2))[..., None]


def unpacked(planes_of_one_draw):
    return np.moveaxis(planes.unpack(planes_of_one_draw)[..., 0], 2, 0)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("precise", [False, True])
def test_integrated_level_equals_inverses(size, precise):
    rng = np.random.default_rng(size)
    below = np.array([random_spd(rng, size, 30.0) for _ in range(6)])
    own = np.array([random_spd(rng, size, 0.3) for _ in range(6)])
    given = from_precision(packed(np.linalg.inv(own))) if precise else from_covariance(packed(own))
    passed, spread, det = integrate(packed(below), given)
    expected = np.linalg.inv(np.linalg.inv(below) + own)
    np.testing.assert_allclose(unpacked(passed), expected, rtol=1e-8)
    np.testing.assert_allclose(unpacked(spread), np.linalg.inv(below + np.linalg.inv(own)), rtol=1e-8)
    det_expected = np.linalg.det(below + np.linalg.inv(own)) if precise else np.linalg.det(np.eye(size) + below @ own)
    np.testing.assert_allclose(det[:, 0], det_expected, rtol=1e-9)


def test_lower_factor_of_singular_covariances():
    tau = np.array([[0.0, 0.3, 0.2], [0.3, 0.0, 0.2], [0.3, 0.2, 0.0], [0.3, 0.2, 0.1]])
    sigma = tau[:, :, None] * tau[:, None, :]
    factor = planes.lower_factor(packed(sigma))
    lower = np.zeros_like(sigma)
    for i in range(3):
        for j in range(i + 1):
            lower[:, i, j] = factor[i][j][:, 0]
    np.testing.assert_allclose(lower @ lower.swapaxes(1, 2), sigma, atol=1e-12)
