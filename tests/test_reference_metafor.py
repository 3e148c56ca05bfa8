"""Likelihoods and their maxima against metafor's: simulated contrasts, and the real pairs with shared controls.

The rules are those of the design: (i) `log_likelihood` at the ML estimates and (ii) `log_restricted` at the REML
estimates equal metafor's ``logLik`` to 1e-6; (iii) the maximum of (ii) is where metafor found it, τ² to 1e-3 relative,
ρ to 1e-3. Rule (i) on the simulated contrasts stands in test_reference_stan.py.
"""

import json
from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest

import mcpbayes as mb
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import log_restricted
from mcpbayes.inference.small_matrices import covariance
from mcpbayes.inference.tree import Hierarchy, build_hierarchy

PAIRS = [
    "levels.kind=off",
    "levels.site=off",
    "data.defaults.cv={ necromass = 0.15, soc = 0.10 }",
    "data.effect_size.bias_correction=false",
]
CONTRASTS = ["data.columns.comparison=obs", "moderators.standardise=false"]
#: Where the maximum is looked for first, and from how many of the best points the search goes on.
GRID = np.array([[*np.log(tau), *np.arctanh(rho)] for tau in product((0.08, 0.3), repeat=4)
                 for rho in product((-0.4, 0.4), repeat=2)])  # fmt: skip
STARTS = 4


def covariances(at: np.ndarray) -> Covariances:
    """Σ_w and Σ_s of points (draw, 6): ln τ of studies, ln τ of comparisons, atanh ρ of studies, of comparisons."""
    tau, rho = np.exp(at[:, :4]), np.tanh(at[:, 4:])
    return Covariances(covariance(tau[:, 2:], rho[:, 1:]), covariance(tau[:, :2], rho[:, :1]))


def coordinates(tau2_study, rho_study, tau2_comparison, rho_comparison) -> np.ndarray:
    """Return the point (1, 6) of these variances and correlations."""
    log_tau = 0.5 * np.log([*tau2_study, *tau2_comparison])
    return np.array([[*log_tau, *np.arctanh([rho_study, rho_comparison])]])


def maximum(function: Callable[[np.ndarray], np.ndarray], grid: np.ndarray, starts: int) -> tuple[np.ndarray, float]:
    """Return the point (n,) and the value of the highest maximum that Newton's method finds from the best grid points.

    Central differences; eigenvalues of the Hessian are made negative, steps are at most 1 long and are halved until
    the function rises, so the search only climbs. All points of all starts are one call of ``function``.
    """
    n, step = grid.shape[1], 1e-3
    unit = step * np.eye(n)
    pairs = list(combinations(range(n), 2))
    corners = [s * unit[i] + t * unit[j] for i, j in pairs for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    stencil = np.array([np.zeros(n), *unit, *-unit, *corners])
    fractions = np.array([*0.5 ** np.arange(16.0), 0.0])
    at = grid[np.argsort(-function(grid))[:starts]]
    for _ in range(50):
        value = function((at[:, None] + stencil).reshape(-1, n)).reshape(len(at), -1)
        here, up, down, mixed = np.split(value, [1, 1 + n, 1 + 2 * n], axis=1)
        gradient = (up - down) / (2 * step)
        hessian = np.zeros((len(at), n, n))
        hessian[:, range(n), range(n)] = (up + down - 2 * here) / step**2
        for (i, j), four in zip(pairs, np.moveaxis(mixed.reshape(len(at), -1, 4), 1, 0), strict=True):
            hessian[:, i, j] = hessian[:, j, i] = four @ [1, -1, -1, 1] / (4 * step**2)
        roots, vectors = np.linalg.eigh(hessian)
        along = np.einsum("sij,si->sj", vectors, gradient) / np.maximum(np.abs(roots), 1e-2)
        move = np.einsum("sij,sj->si", vectors, along)
        move /= np.maximum(1.0, np.linalg.norm(move, axis=1, keepdims=True))
        tried = at[:, None] + fractions[:, None] * move[:, None]
        value = function(tried.reshape(-1, n)).reshape(len(at), -1)
        best = np.argmax(value, axis=1)
        at = tried[range(len(at)), best]
        if np.abs(move).max() < 1e-6:
            highest = np.argmax(value.max(axis=1))
            return at[highest], float(value[highest].max())
    raise AssertionError(f"no maximum found: last steps {np.abs(move).max(axis=1)}")


def assert_maximum_is_metafors(tree: Hierarchy, found: np.ndarray, log_lik: float) -> None:
    """Rule (iii); ``found``: metafor's REML estimates as coordinates."""
    at, value = maximum(lambda points: log_restricted(tree, covariances(points)), GRID, STARTS)
    np.testing.assert_allclose(np.exp(2 * at[:4]), np.exp(2 * found[0, :4]), rtol=1e-3, err_msg="tau squared")
    np.testing.assert_allclose(np.tanh(at[4:]), np.tanh(found[0, 4:]), rtol=0, atol=1e-3, err_msg="rho")
    assert value == pytest.approx(log_lik, abs=1e-6)


def simulated_contrasts(path) -> Hierarchy:
    return build_hierarchy(mb.prepare(path, mb.load_model("contrast-based", moderators="~ x", settings=CONTRASTS)))


def estimates(found: dict) -> np.ndarray:
    """Coordinates of what ``rma.mv`` calls tau2, rho, gamma2 and phi."""
    return coordinates(found["tau2"], found["rho"], found["gamma2"], found["phi"])


@pytest.fixture(scope="module")
def fifty(root) -> Hierarchy:
    return simulated_contrasts(root / "tests/reference/J50.csv")


@pytest.fixture(scope="module")
def two_hundred(shared_reference) -> Hierarchy:
    return simulated_contrasts(shared_reference / "g_sim_J200.csv")


@pytest.fixture(scope="module")
def pairs(shared_data, root) -> Hierarchy:
    model = mb.load_model(root / "notebooks/sndb-pairs.toml", settings=PAIRS)
    return build_hierarchy(mb.prepare(shared_data / "sndb_pairs_strict.csv", model))


def of_pairs(shared_reference, method: str) -> tuple[dict, np.ndarray]:
    found = json.loads((shared_reference / "h_sndb_metafor.json").read_text())[method]
    tau2 = [np.square(found[f"tau_{level}"]) for level in ("study", "comparison")]
    return found, coordinates(tau2[0], found["rho_study"], tau2[1], found["rho_comparison"])


@pytest.mark.parametrize("algebra", ["dense", "sparse"])
def test_restricted_likelihood_of_fifty_simulated_studies(fifty, root, algebra):
    found = json.loads((root / "tests/reference/J50_metafor_REML.json").read_text())[algebra]
    value = log_restricted(fifty, covariances(estimates(found)))[0]
    assert value == pytest.approx(found["logLik"], abs=1e-6)


def test_restricted_likelihood_of_two_hundred_simulated_studies(two_hundred, shared_reference):
    found = json.loads((shared_reference / "g_metafor_J200_REML_dense.json").read_text())
    value = log_restricted(two_hundred, covariances(estimates(found)))[0]
    assert value == pytest.approx(found["logLik"], abs=1e-6)


def test_likelihood_of_the_real_pairs_with_shared_controls(pairs, shared_reference):
    found, at = of_pairs(shared_reference, "ML")
    mean = np.repeat(np.array(found["coef"])[None, :, None], len(pairs.arm), axis=0)
    value = log_likelihood(pairs, covariances(at), mean).sum()
    assert value == pytest.approx(found["logLik"], abs=1e-6)


def test_restricted_likelihood_of_the_real_pairs_with_shared_controls(pairs, shared_reference):
    found, at = of_pairs(shared_reference, "REML")
    assert log_restricted(pairs, covariances(at))[0] == pytest.approx(found["logLik"], abs=1e-6)


@pytest.mark.parametrize("algebra", ["dense", "sparse"])
def test_maximum_of_fifty_simulated_studies_is_metafors(fifty, root, algebra):
    found = json.loads((root / "tests/reference/J50_metafor_REML.json").read_text())[algebra]
    assert_maximum_is_metafors(fifty, estimates(found), found["logLik"])


def test_maximum_of_two_hundred_simulated_studies_is_metafors(two_hundred, shared_reference):
    found = json.loads((shared_reference / "g_metafor_J200_REML_dense.json").read_text())
    assert_maximum_is_metafors(two_hundred, estimates(found), found["logLik"])


def test_maximum_of_the_real_pairs_is_metafors(pairs, shared_reference):
    found, at = of_pairs(shared_reference, "REML")
    assert_maximum_is_metafors(pairs, at, found["logLik"])


def test_the_search_finds_the_higher_of_two_maxima():
    """A mixture of two normals whose modes and heights are known in closed form to 1e-9."""
    low, high = np.array([-2.0, 1.0]), np.array([2.0, -1.5])

    def function(points):
        squares = [np.sum((points - mode) ** 2 * [4.0, 9.0], axis=1) for mode in (low, high)]
        return np.logaddexp(-0.5 * squares[0], 0.7 - 0.5 * squares[1])

    grid = np.array(list(product((-2.5, 0.0, 2.5), repeat=2)))
    at, value = maximum(function, grid, len(grid))
    np.testing.assert_allclose(at, high, atol=1e-8)
    assert value == pytest.approx(0.7, abs=1e-9)
