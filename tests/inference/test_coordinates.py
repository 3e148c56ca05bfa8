"""Standard normal coordinates: the prior exactly, in both systems, for every distribution that may be asked for."""

import numpy as np
import pytest
from scipy import special, stats

import mcpbayes
from mcpbayes.inference.coordinates import _beta_half_logit, coordinates, covariances, parameters

SIZE = 40_000


def model_with(**priors):
    settings = {}
    for name, (distribution, numbers) in priors.items():
        settings[f"priors.{name}.distribution"] = distribution
        settings |= {f"priors.{name}.{key}": value for key, value in numbers.items()}
    return mcpbayes.load_model("arm-based", settings=settings)


def draws(model, levels, system, size=SIZE, seed=3):
    coords = coordinates(model, levels)
    z = np.random.default_rng(seed).standard_normal((size, coords.dimension))
    return parameters(coords, z, system)


TAU = {
    "half_normal": ({"sd": 0.3}, stats.halfnorm(scale=0.3)),
    "half_student_t": ({"df": 3.0, "scale": 0.2}, stats.foldnorm),
    "lognormal": ({"median": 0.1, "sd_log": 0.7}, stats.lognorm(0.7, scale=0.1)),
}


@pytest.mark.parametrize("system", ["quantile", "polar"])
@pytest.mark.parametrize(
    "levels", [("study", "comparison"), ("study", "site", "comparison"), ("study", "kind", "comparison")]
)
@pytest.mark.parametrize("distribution", TAU)
def test_standard_deviations_follow_their_prior(distribution, levels, system):
    """Kolmogorov-Smirnov, 40,000 draws, seed 3; 6 to 8 comparisons per case at 1e-4 each."""
    numbers, law = TAU[distribution]
    found = draws(model_with(**{f"tau_{level}": (distribution, numbers) for level in levels}), levels, system)
    cdf = law.cdf if distribution != "half_student_t" else lambda x: 2 * stats.t(3, scale=0.2).cdf(x) - 1
    columns = []
    for level in levels:
        for k in range(2):
            assert stats.kstest(found[f"tau_{level}"][:, k], cdf).pvalue > 1e-4
            columns.append(stats.rankdata(found[f"tau_{level}"][:, k]))
        columns.append(stats.rankdata(found[f"rho_{level}"][:, 0]))
    correlation = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(SIZE)
    # Independence beyond correlation: the sizes too.
    folded = np.corrcoef(np.abs(np.array(columns) - SIZE / 2)) - np.eye(len(columns))
    assert np.abs(folded).max() < 4.5 / np.sqrt(SIZE)


@pytest.mark.parametrize(
    ("distribution", "numbers", "law"),
    [
        ("lkj", {"eta": 2.0}, stats.beta(2, 2)),
        ("lkj", {"eta": 1.0}, stats.beta(1, 1)),
        ("lkj", {"eta": 4.5}, stats.beta(4.5, 4.5)),
        ("beta", {"a": 5.0, "b": 0.5}, stats.beta(5, 0.5)),
    ],
)
def test_correlations_follow_their_prior(distribution, numbers, law):
    found = draws(model_with(rho_study=(distribution, numbers)), ("study", "comparison"), "quantile")
    assert stats.kstest((1 + found["rho_study"][:, 0]) / 2, law.cdf).pvalue > 1e-4


@pytest.mark.parametrize("a", [0.1, 0.7, 30.0, 1e4])
@pytest.mark.parametrize("b", [0.1, 0.7, 30.0, 1e4])
def test_quantiles_of_every_allowed_beta_prior_are_right(a, b):
    """The tabulated quantile function against the distribution function, in the tail where each is accurate."""
    coords = coordinates(model_with(rho_study=("beta", {"a": a, "b": b})), ("study", "comparison"))
    z = np.random.default_rng(1).uniform(-9, 9, 4000)
    rho = parameters(coords, np.outer(np.sort(z), np.ones(6)))["rho_study"][:, 0]
    assert (np.diff(rho) >= 0).all()
    half_logit = _beta_half_logit(a, b)(z)
    near_zero, near_one = special.expit(2 * half_logit), special.expit(-2 * half_logit)
    tail = np.where(z < 0, special.betainc(a, b, near_zero), special.betainc(b, a, near_one))
    np.testing.assert_allclose(special.ndtri(tail), -np.abs(z), atol=1e-6)


def test_tables_and_closed_forms_agree():
    """LKJ(2) has a closed form, every other shape comes from a table; at η → 2 both are the same."""
    z = np.linspace(-6, 6, 2001)[:, None] * np.ones((1, 6))
    closed = parameters(coordinates(mcpbayes.load_model("arm-based"), ("study", "comparison")), z)
    near = model_with(rho_study=("lkj", {"eta": 2.0 + 1e-9}))
    table = parameters(coordinates(near, ("study", "comparison")), z)
    assert np.abs(closed["rho_study"] - table["rho_study"]).max() < 1e-8


def test_three_outcomes_are_lkj_and_positive_definite():
    model = mcpbayes.load_model(
        "contrast-based", settings={"data.outcomes": ["bacterial", "fungal", "soc"], "priors.rho_study.eta": 2.0}
    )
    coords = coordinates(model, ("study", "comparison"))
    assert coords.dimension == 12
    found = parameters(coords, np.random.default_rng(4).standard_normal((SIZE, 12)))
    for pair in range(3):
        # Each correlation of a 3 x 3 LKJ(2) matrix is Beta(2.5, 2.5) on (-1, 1).
        assert stats.kstest((1 + found["rho_study"][:, pair]) / 2, stats.beta(2.5, 2.5).cdf).pvalue > 1e-4
    sigma, _ = covariances(found)
    assert np.linalg.eigvalsh(np.moveaxis(sigma.study, -1, 0)).min() > -1e-15


def test_fixed_parameters_are_no_coordinates():
    model = model_with(
        tau_study=("fixed", {"value": 0.0}),
        rho_study=("fixed", {"value": 0.3}),
        tau_comparison=("fixed", {"value": 0.1}),
    )
    coords = coordinates(model, ("study", "comparison"))
    assert coords.dimension == 1
    for system in ("quantile", "polar"):
        found = parameters(coords, np.zeros((3, 1)), system)
        assert (found["tau_study"] == 0).all() and (found["tau_comparison"] == 0.1).all()
        assert (found["rho_study"] == 0.3).all() and np.allclose(found["rho_comparison"], 0)


def test_polar_with_one_level_fixed_falls_back_to_quantiles():
    model = model_with(tau_study=("fixed", {"value": 0.2}))
    coords = coordinates(model, ("study", "comparison"))
    z = np.random.default_rng(5).standard_normal((50, coords.dimension))
    for name, values in parameters(coords, z, "polar").items():
        assert np.array_equal(values, parameters(coords, z, "quantile")[name])


@pytest.mark.parametrize("system", ["quantile", "polar"])
@pytest.mark.parametrize("size", [-40.0, -9.0, 9.0, 37.0, 60.0])
def test_far_points_stay_finite(size, system):
    coords = coordinates(mcpbayes.load_model("arm-based"), ("study", "site", "comparison"))
    found = parameters(coords, np.full((1, coords.dimension), size), system)
    for values in found.values():
        assert np.isfinite(values).all()
    assert all((values >= 0).all() for name, values in found.items() if name.startswith("tau"))
    assert all((np.abs(values) <= 1).all() for name, values in found.items() if name.startswith("rho"))
