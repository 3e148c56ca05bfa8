"""Weights, Pareto k̂ and independence Metropolis."""

import numpy as np
import pytest
from arviz_stats.base import array_stats
from scipy import stats

from mcpbayes.monte_carlo.importance import efficiency, metropolis, normalised, pareto_k, smoothed


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("size", [500, 16_000])
def test_pareto_k_equals_arviz(seed, size):
    """ArviZ wants minus the log weights and smooths them itself; its tail may differ by one value."""
    rng = np.random.default_rng(seed)
    log_weight = [
        rng.normal(0, 1, size),
        rng.standard_exponential(size) * (0.1 + 0.15 * seed),
        -0.5 * rng.chisquare(6, size),
        np.log(rng.random(size)) * -0.9,
    ][seed % 4]
    _, k = array_stats.psislw(-log_weight, r_eff=1.0)
    assert pareto_k(log_weight) == pytest.approx(float(k), abs=0.02)


def test_pareto_k_finds_the_shape_of_a_tail():
    """Weights u^-k have tail shape k; 200,000 of them, seed 1."""
    rng = np.random.default_rng(1)
    for k in (0.3, 0.7, 1.2):
        assert pareto_k(-k * np.log(rng.random(200_000))) == pytest.approx(k, abs=0.06)
    assert pareto_k(np.zeros(1000)) == float("-inf")
    assert pareto_k(np.array([0.0, 1.0])) == float("inf")


def test_efficiency():
    assert efficiency(np.full(100, -5.0)) == pytest.approx(1.0)
    assert efficiency(np.array([0.0] + [-1e9] * 9)) == pytest.approx(0.1)
    assert normalised(np.array([1000.0, 1000.0])) == pytest.approx([0.5, 0.5])


def test_metropolis_has_the_target_as_its_law():
    """Proposals from t5 for a standard normal target, 4 x 4000 kept, seed 2: mean, variance and tails."""
    rng = np.random.default_rng(2)
    x = rng.standard_t(5, 64_000)
    log_weight = stats.norm.logpdf(x) - stats.t(5).logpdf(x)
    path = metropolis(log_weight, 4, 4000, rng)
    kept = x[path.place]
    error = np.sqrt(1 / kept.size) * 1.3
    assert abs(kept.mean()) < 4.5 * error
    assert abs((kept**2).mean() - 1) < 4.5 * np.sqrt(2) * error
    assert abs((kept > 1.96).mean() - 0.025) < 4.5 * np.sqrt(0.025 * 0.975) * error
    assert path.place.shape == path.accepted.shape == (4, 4000)
    assert 0.7 < path.accepted.mean() < 1


def test_chains_meet_their_own_proposals_in_order():
    path = metropolis(np.zeros(64), 4, 4, np.random.default_rng(0))
    # Equal weights: every proposal is accepted, so every fourth one is kept.
    assert path.place.tolist() == [[16 * chain + step for step in (3, 7, 11, 15)] for chain in range(4)]
    assert (path.accepted == 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_smoothed_weights_are_those_of_arviz(seed):
    """ArviZ normalises them; tails of 1000 and 10,000 weights, k̂ between 0.1 and 0.9."""
    rng = np.random.default_rng(seed)
    for size in (1000, 10_000):
        log_weight = 300 + rng.standard_exponential(size) * (0.1 + 0.25 * seed)
        theirs, _ = array_stats.psislw(-log_weight, r_eff=1.0)
        ours = smoothed(log_weight)
        np.testing.assert_allclose(normalised(ours), np.exp(theirs), rtol=0.02)
        assert ours.max() <= log_weight.max() and (ours != log_weight).sum() > 0.02 * size


def test_weights_without_a_tail_stay_as_they_are():
    for log_weight in (np.zeros(1000), np.array([0.0, 1.0])):
        assert smoothed(log_weight).tolist() == log_weight.tolist()
