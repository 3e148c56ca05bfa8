"""Effects as their distance from where measurements put them: the prior stays, and a normal model becomes standard."""

from types import SimpleNamespace

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from scipy import stats

from mcpbayes.inference.builders import placing
from mcpbayes.inference.builders.two_pool import _effects, _nested_effects, _spread
from mcpbayes.specification.loading import load_model

PYTHON = Mode(linker="py", optimizer="fast_compile")
#: SDs and correlation of a pair, as (τ, ρ).
SPREADS = [((0.0, 0.0), 0.0), ((0.01, 0.5), 0.6), ((0.6, 0.36), -0.83)]
PRECISION = np.linalg.inv([[0.03, 0.01], [0.01, 0.02]])


def lower(rho):
    return [[1.0], [rho, np.sqrt(1 - rho**2)]]


def told(precision, pull):
    """One node."""
    return placing.Told(*(np.array([x]) for x in (precision[0, 0], precision[0, 1], precision[1, 1], *pull)))


@pytest.mark.parametrize("spread", [0.0, 0.05, 3.0])
@pytest.mark.parametrize("precision", [0.0, 40.0])
def test_how_an_effect_is_placed_leaves_its_prior_as_it_is(spread, precision):
    """Density of x from the model = density of a standard normal z(x) times dz/dx."""
    with pm.Model(coords={"comparison": ["one"]}) as model:
        z = placing.placed("w", "comparison", pt.as_tensor(spread), np.array([precision]), np.array([0.4]))
    x = np.array([0.7])
    value = float(model.compile_logp(mode=PYTHON)({"w_standard": x}))
    place = pytensor.function([model["w_standard"]], [z[0], pt.grad(z[0], model["w_standard"])[0]], mode=PYTHON)
    at, slope = place(x)
    assert value == pytest.approx(stats.norm.logpdf(at) + np.log(slope), abs=1e-10)


@pytest.mark.parametrize(("tau", "rho"), SPREADS)
@pytest.mark.parametrize("observed", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_how_a_pair_is_placed_leaves_its_prior_as_it_is(tau, rho, observed):
    """Density of x from the model = density of standard normals z(x) times |dz/dx|."""
    precision = PRECISION if all(observed) else np.diag([30.0, 50.0] * np.array(observed))
    with pm.Model(coords={"comparison": ["one"], "pool": ["a", "b"]}) as model:
        where = told(precision, precision @ [0.4, -0.2])
        z = pt.concatenate(
            placing.placed_pair("w", ("comparison", "pool"), pt.as_tensor(np.array(tau)), lower(rho), where)
        )
    x = np.array([[0.7, -1.1]])
    value = float(model.compile_logp(mode=PYTHON)({"w_standard": x}))
    slopes = [pt.grad(z[i], model["w_standard"], disconnected_inputs="ignore")[0] for i in (0, 1)]
    at, jacobian = pytensor.function([model["w_standard"]], [z, pt.stack(slopes)], mode=PYTHON)(x)
    assert value == pytest.approx(stats.norm.logpdf(at).sum() + np.log(abs(np.linalg.det(jacobian))), abs=1e-10)


@pytest.mark.parametrize(("tau", "rho"), SPREADS)
@pytest.mark.parametrize("precision", [PRECISION, np.diag([30.0, 0.0]), np.zeros((2, 2))])
def test_what_is_left_to_tell_above_a_level_adds_its_covariance(tau, rho, precision):
    """P (I + ΣP)⁻¹ is (P⁻¹ + Σ)⁻¹ where P has an inverse, and the pull belongs to the same distance."""
    sigma, distance = np.outer(tau, tau) * [[1, rho], [rho, 1]], np.array([0.4, -0.2])
    found = placing.above(told(precision, precision @ distance), np.array(tau), lower(rho))
    wanted = precision @ np.linalg.inv(np.eye(2) + sigma @ precision)
    np.testing.assert_allclose([x[0] for x in found[:3]], [wanted[0, 0], wanted[0, 1], wanted[1, 1]], atol=1e-12)
    np.testing.assert_allclose([x[0] for x in found[3:]], wanted @ distance, atol=1e-12)


@pytest.mark.parametrize("with_sites", [False, True])
def test_effects_of_a_normal_model_become_independent_standard_normals(with_sites):
    """y = u + v + w + error with known spreads: the posterior density of all x is N(0, I) up to its constant."""
    rng = np.random.default_rng(8)
    study = np.array([0, 1, 1])  # of three sites
    site = np.array([0, 0, 1, 2, 2])  # of five comparisons
    tree = SimpleNamespace(study=study, studies=2, site_of_comparison=site, study_of_comparison=study[site])
    fixed = {
        f"priors.{name}_{level}.{key}": value
        for level, tau, rho in (("study", 0.7, -0.6), ("site", 0.2, 0.5), ("comparison", 0.4, 0.3))
        for name, given in (("tau", tau), ("rho", rho))
        for key, value in (("distribution", "fixed"), ("value", given))
    }
    spec = load_model("two-pool", settings=fixed)
    y, p = pt.as_tensor(rng.normal(size=(5, 2))), np.linalg.inv([[0.05, 0.02], [0.02, 0.08]])
    coords = {"pool": ["necromass", "non_microbial"], "pair": ["both"]}
    coords |= {"study": range(2), "site": range(3), "comparison": range(5)}
    with pm.Model(coords=coords) as model:
        residual = _spread("comparison", spec)

        def left(known):
            pull = (y - known) @ p
            return placing.Told(*(np.full(5, x) for x in (p[0, 0], p[0, 1], p[1, 1])), pull[:, 0], pull[:, 1])

        above = placing.above(left(pt.zeros((5, 2))), *residual)
        nested = _nested_effects(spec, tree, above, with_sites=with_sites)
        rest = y - nested - _effects("comparison", residual, left(nested))
        pm.Potential("arms", -0.5 * pt.sum(rest * (rest @ p)))
    density = model.compile_logp(mode=PYTHON)
    points = [{name: rng.normal(size=value.shape) for name, value in model.initial_point().items()} for _ in range(6)]
    assert set(points[0]) == {f"{name}_standard" for name in ("study", "comparison", *["site"] * with_sites)}
    left_over = [density(x) + 0.5 * sum((value**2).sum() for value in x.values()) for x in points]
    np.testing.assert_allclose(left_over, left_over[0], atol=1e-9)


def test_what_is_told_of_arguments_goes_by_the_slopes():
    """P and pull of f(a) ≈ f(0) + D a: D P D and D h."""
    distance, slope = np.array([0.4, -0.2]), np.array([0.5, 0.1])
    found = placing.of_arguments(told(PRECISION, PRECISION @ distance), *slope)
    wanted = np.diag(slope) @ PRECISION @ np.diag(slope)
    np.testing.assert_allclose([x[0] for x in found[:3]], [wanted[0, 0], wanted[0, 1], wanted[1, 1]])
    np.testing.assert_allclose([x[0] for x in found[3:]], slope * (PRECISION @ distance))
