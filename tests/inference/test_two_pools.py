"""The two-pool likelihood, what is integrated out of it, and how it is sampled: each against another route."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from scipy import integrate, stats
from two_pool_fakes import REPORTED, three_studies

from mcpbayes.errors import SpecificationError
from mcpbayes.inference.builders.two_pool import (
    _log_density,
    _seen_without,
    build_model,
    fixed_rates,
    measured,
)
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.two_pool_arms import draw_baselines, observed_arms
from mcpbayes.inference.two_pool_completion import prior_overlap
from mcpbayes.inference.two_pool_simulation import simulate_two_pools
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.loading import from_toml, load_model, to_toml
from mcpbayes.specification.structure import Prior
from mcpbayes.tables.cvs import with_cv

PYTHON = Mode(linker="py", optimizer=None)


@pytest.fixture(scope="module")
def arms():
    return three_studies()


def random_state(tree, seed):
    rng = np.random.default_rng(seed)
    return -rng.uniform(0.3, 1.5, len(tree.site)), rng.normal(0, 0.3, (len(tree.arm), 2))


def log_density_of_control(tree, control, log_ratio, effect):
    """ln ∫ p(arms of a control | b) db by quadrature."""
    here = np.flatnonzero(tree.control == control)
    expected = np.zeros((len(tree.y), 2))
    expected[:, 0] = log_ratio[tree.control]
    expected[tree.arm] += effect

    def density(b):
        total = 0.0
        for arm in here:
            seen = tree.observed[arm]
            if seen.any():
                mean, cov = (b + expected[arm])[seen], tree.sampling[arm][np.ix_(seen, seen)]
                total += stats.multivariate_normal.logpdf(tree.y[arm][seen], mean, cov)
        return total

    middle = float(np.mean([tree.y[arm, 1] for arm in here]))
    peak = max(density(b) for b in np.linspace(middle - 2, middle + 2, 401))
    area, _ = integrate.quad(lambda b: np.exp(density(b) - peak), middle - 3, middle + 3, points=[middle], limit=200)
    return peak + np.log(area)


@pytest.mark.parametrize("seed", [0, 1])
def test_density_equals_the_integral_over_baselines(arms, seed):
    tree = build_hierarchy(arms)
    log_ratio, effect = random_state(tree, seed)
    seen = vars(observed_arms(tree))
    value = _log_density(tree, seen, pt.as_tensor(log_ratio), list(map(pt.as_tensor, effect.T)))
    found = pytensor.function([], value, mode=PYTHON)()
    expected = sum(log_density_of_control(tree, g, log_ratio, effect) for g in range(len(tree.site)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_without_a_study_its_arms_say_nothing_and_the_others_what_they_said(arms):
    """Up to a constant: from one state to another the density moves by that of the other studies' controls."""
    tree, seen = build_hierarchy(arms), _seen_without(arms, 1)
    assert all(np.isfinite(values).all() for values in seen.values())
    found, expected = [], []
    for seed in (0, 1):
        log_ratio, effect = random_state(tree, seed)
        value = _log_density(tree, seen, pt.as_tensor(log_ratio), list(map(pt.as_tensor, effect.T)))
        found.append(float(pytensor.function([], value, mode=PYTHON)()))
        others = np.flatnonzero(tree.study[tree.site] != 1)
        expected.append(sum(log_density_of_control(tree, g, log_ratio, effect) for g in others))
    assert found[1] - found[0] == pytest.approx(expected[1] - expected[0], abs=1e-6)


def test_baselines_are_drawn_from_their_conditional(arms):
    """20 000 draws, seed 0: mean and variance of every control within 5 standard errors of the weighted mean's."""
    tree, size = build_hierarchy(arms), 20_000
    log_ratio, effect = random_state(tree, 3)
    draws = draw_baselines(
        tree,
        np.repeat(log_ratio[:, None], size, axis=1),
        np.repeat(effect[..., None], size, axis=2),
        np.random.default_rng(0),
    )
    seen = observed_arms(tree)
    rest = tree.y.copy()
    rest[:, 0] -= log_ratio[tree.control]
    rest[tree.arm] -= effect
    for g in range(len(tree.site)):
        here = tree.control == g
        weight = seen.precision[here].sum(axis=1)
        mean = (weight * rest[here]).sum() / weight.sum()
        sd = 1 / np.sqrt(weight.sum())
        assert abs(draws[g].mean() - mean) < 5 * sd / np.sqrt(size)
        assert abs(draws[g].std() / sd - 1) < 5 / np.sqrt(2 * size)


def test_worlds_and_fixed_rates_share_a_model(arms):
    """The density of a model given other data, and other rates, is that of the model built for them."""

    def fixed(necromass, rest):
        rates = f"priors.turnover_rate.value={{necromass={necromass}, non_microbial={rest}}}"
        return load_model("two-pool", settings=["priors.turnover_rate.distribution=fixed", rates])

    cv = arms["cv"].transpose("arm", "outcome").values * np.random.default_rng(4).uniform(0.7, 1.5, arms["cv"].shape)
    other = with_cv(arms, cv, bias_correction=True)
    shared, own = build_model(arms, fixed(0.02, 0.06)), build_model(other, fixed(0.05, 0.03))
    point = own.initial_point()
    before = float(shared.compile_logp(mode=PYTHON)(point))
    with shared:
        pm.set_data(measured(other) | fixed_rates(fixed(0.05, 0.03)))
    after = float(shared.compile_logp(mode=PYTHON)(point))
    assert after == pytest.approx(float(own.compile_logp(mode=PYTHON)(point)), abs=1e-10)
    assert abs(after - before) > 0.1
    assert fixed_rates(REPORTED) == {}


def test_overlap_is_one_for_the_prior_and_small_for_what_the_data_decided():
    prior = Prior("lognormal", {"median": 0.04, "sd_log": 0.7})
    rng = np.random.default_rng(1)
    draws = 0.04 * np.exp(0.7 * rng.standard_normal(4000))
    assert prior_overlap(draws, prior, "necromass") > 0.95
    assert prior_overlap(np.full(4000, 0.04), prior, "necromass") == pytest.approx(1 / 20)
    half = draws[draws > 0.04]
    assert prior_overlap(half, prior, "necromass") == pytest.approx(0.5, abs=0.03)
    assert prior_overlap(draws, Prior("fixed", {"value": 0.04}), "necromass") == 1.0


def test_simulated_rows_follow_the_equations_and_the_design_can_stay():
    quiet = {f"priors.tau_{level}.{key}": value for level in ("study", "comparison")
             for key, value in (("distribution", "fixed"), ("value", 0.0))}  # fmt: skip
    model = load_model("two-pool", settings=quiet)
    table, truth = simulate_two_pools(model, studies=8, seed=2, change=(0.4, -0.2), turnover_rate=(0.1, 0.02))
    n, p = (log_pool_change(a, k, table["duration_years"]) for a, k in ((0.4, 0.1), (-0.2, 0.02)))
    ratio = np.array([row for row in truth["rows"]["mcp_efficacy_control"]])
    np.testing.assert_allclose(truth["rows"]["effect"], np.column_stack([n, log_soc_change(n, p, ratio)]), atol=1e-12)
    one, other = (simulate_two_pools(studies=8, seed=seed, design_seed=7)[0] for seed in (1, 2))
    same = ["study", "control_id", "duration_years", "n_control"]
    assert one[same].equals(other[same]) and not one["soc_control"].equals(other["soc_control"])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("levels.kind=auto", "levels.kind: the two-pool family has no level of treatment kinds"),
        ("sampling.engine=collapsed", "sampling.engine: .* take 'nuts'"),
        ("moderators.formula=~ duration_years", "moderators.formula: duration_years is the time in the two-pool"),
        ("priors.intercept.distribution=flat", "priors.intercept.distribution: short durations tell little"),
        ("data.outcomes=['soc']", "data.outcomes: expected both pools"),
        ("data.layout=contrast", "data.layout: expected 'comparison', 'arm' or 'plot', the layouts of the two-pool"),
        ("priors.tau_kind.distribution=half_normal", "priors.tau_kind: the two-pool family has no such parameter"),
        ("priors.turnover_rate.median=0", "priors.turnover_rate.median: expected a number above 0"),
        ("priors.mu_r.correlation=0.5", "priors.mu_r.correlation: unknown key"),
    ],
)
def test_what_the_model_does_not_have_is_refused(setting, message):
    with pytest.raises(SpecificationError, match=message):
        load_model("two-pool", settings=[setting])


def test_static_families_have_no_turnover():
    with pytest.raises(SpecificationError, match="priors.turnover_rate: the arm-based family has no such parameter"):
        load_model("arm-based", settings=["priors.turnover_rate.distribution=fixed"])


def test_the_specification_survives_writing():
    model = load_model("two-pool", settings={"priors.turnover_rate.median": {"necromass": 0.03, "non_microbial": 0.05}})
    assert from_toml(to_toml(model)) == model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": load_model("arm-based")}, "family: expected a model of the two-pool family, found 'arm-based'"),
        (
            {"model": load_model("two-pool", settings=["moderators.formula=~ clay"])},
            "moderators.formula: expected '~ 1'",
        ),
        ({"studies": 0}, "studies: expected a whole number of at least 1, found 0"),
        ({"change": 0.5}, "change: expected two numbers, found 0.5"),
        ({"turnover_rate": (0.1, -1)}, "turnover_rate: expected a number above 0, found -1"),
        ({"durations": (0, 10)}, "durations: expected a number above 0, found 0"),
        ({"durations": (10, 1)}, "durations: expected the shortest before the longest"),
    ],
)
def test_bad_arguments_of_a_simulation_are_named(arguments, message):
    with pytest.raises(SpecificationError, match=message):
        simulate_two_pools(**arguments)
