"""Search for modes on densities with a second hump of other size: how often it is found, and that it is then kept."""

import numpy as np
import pytest

from mcpbayes.inference import cascade
from mcpbayes.inference.cascade import explore
from mcpbayes.inference.mode import find_modes

#: Prior draws of the cascade by dimension.
STARTS = {6: 2048, 9: 3072}


class TwoHumps:
    """A correlated normal main hump (sd 0.3 to 1) and a round one of a mass and sd, two to four away from its mean.

    With ``bend`` > 0 two axes of the main hump are bent along two others; volumes are kept.
    """

    def __init__(self, seed, d, mass, sd, bend=0.0):
        rng = np.random.default_rng([20, seed, d])
        self.axes, _ = np.linalg.qr(rng.standard_normal((d, d)))
        self.widths, self.bend = rng.uniform(0.3, 1.0, d), bend
        self.mean = 0.7 * rng.standard_normal(d)
        self.centre = np.full(d, np.inf)
        while np.linalg.norm(self.centre) > np.sqrt(d) + 1:  # where the prior still has mass
            direction = rng.standard_normal(d)
            self.centre = self.mean + rng.uniform(2, 4) * direction / np.linalg.norm(direction)
        self.mass, self.sd, self.d = mass, sd, d

    def __call__(self, z):
        return np.logaddexp(*self.parts(z))

    def parts(self, z):
        x = (z - self.mean) @ self.axes
        x[:, [0, 2]] -= self.bend * (x[:, [1, 3]] ** 2 - 0.4)
        main = np.log1p(-self.mass) - np.log(self.widths).sum() - 0.5 * np.sum((x / self.widths) ** 2, axis=1)
        away = np.sum((z - self.centre) ** 2, axis=1)
        return main, np.log(self.mass) - self.d * np.log(self.sd) - 0.5 * away / self.sd**2

    def among(self, modes):
        return any(np.linalg.norm(mode.place - self.centre) < self.sd for mode in modes)


def share_found(d, sd, bend=0.0):
    """Share of 48 densities, masses 0.5, 0.2, 0.1 and 0.05 in turn, seeds 0 to 47, of which both humps are found."""
    found = 0
    for seed in range(48):
        target = TwoHumps(seed, d, (0.5, 0.2, 0.1, 0.05)[seed % 4], sd, bend)
        modes = find_modes(target, np.random.default_rng([21, seed]).standard_normal((STARTS[d], d)))
        found += target.among(modes)
    return found / 48


@pytest.mark.parametrize(
    ("d", "sd", "bend", "least"),
    [(6, 0.3, 0.0, 0.9), (6, 0.3, 0.3, 0.8), (6, 0.2, 0.0, 0.7), (6, 0.2, 0.3, 0.4), (9, 0.3, 0.0, 0.75)],
)
def test_a_second_hump_is_found(d, sd, bend, least):
    assert share_found(d, sd, bend) >= least


def test_the_search_has_the_limits_that_it_states():
    """Humps of sd 0.1: fewer than a third in six dimensions, fewer than a tenth in nine."""
    assert share_found(6, 0.1) < 1 / 3
    assert share_found(9, 0.1) < 1 / 10


@pytest.mark.parametrize("seed", range(6))
def test_one_hump_is_one_mode(seed):
    target = TwoHumps(seed, 6, 1e-300, 0.3, bend=0.3 * (seed % 2))
    assert len(find_modes(target, np.random.default_rng(seed).standard_normal((2048, 6)))) == 1


def test_all_of_three_humps_are_found_the_highest_first():
    centres = np.array([[2.0, 0, 0], [-2.0, 0, 0], [0, 2.0, 0]])

    def target(z):
        humps = [
            np.log(w) - 0.5 * np.sum((z - c) ** 2, axis=1) / 0.3**2
            for c, w in zip(centres, (0.2, 0.5, 0.3), strict=True)
        ]
        return np.logaddexp.reduce(humps)

    modes = find_modes(target, np.random.default_rng(3).standard_normal((2048, 3)))
    assert np.array([mode.place for mode in modes]) == pytest.approx(centres[[1, 2, 0]], abs=1e-2)


@pytest.mark.parametrize("mass", [0.5, 0.05])
@pytest.mark.parametrize("seed", range(4))
def test_the_draws_have_the_mass_of_a_hump_that_was_found(seed, mass):
    target = TwoHumps(seed, 6, mass, 0.3)
    found = explore(lambda system: target, lambda z, system: z.T, 6, np.random.default_rng(seed))
    weight = np.exp(found.log_weight - found.log_weight.max())
    belongs = np.exp(target.parts(found.z)[1] - target(found.z))  # probability that a point is the hump's
    assert found.passed
    assert weight @ belongs / weight.sum() == pytest.approx(mass, rel=0.15)


def test_a_first_proposal_made_of_particles_has_the_known_modes():
    """Tempering from the prior seldom sees a narrow hump; the first proposal of its attempts has the known modes."""
    target = TwoHumps(1, 6, 0.05, 0.15)
    rng = np.random.default_rng(1)
    modes = find_modes(target, np.concatenate([target.centre[None], rng.standard_normal((2048, 6))]))
    assert len(modes) == 2
    first = cascade._first(cascade.Attempt("polar", 8, 3, 2000, particles=1000), target, modes, 6, rng)
    assert np.linalg.norm(first.centre - target.centre, axis=1).min() < 0.15
