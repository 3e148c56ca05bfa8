"""Closed-form class probabilities against counting ten million draws, for random parameters and their limits.

    python -m benchmarks.orthants

Sixty random pairs of means, standard deviations and correlations: correlations up to ±1, standard deviations of zero,
tolerances that are equal, unequal, zero. Every class of every set is held against the binomial distribution of its
count; what is recorded is the normal quantile of that tail probability ("errors"). Writes
``benchmarks/records/orthants.json``.
"""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.processes import clock
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances
from mcpbayes.estimands.counting import class_codes
from mcpbayes.estimands.orthants import class_probabilities
from mcpbayes.inference.small_matrices import Array

RECORD = Path(__file__).parent / "records" / "orthants.json"
SEED = 4711
SETS, DRAWS, AT_ONCE = 60, 10_000_000, 1_000_000

CORRELATIONS = (None, -1.0, 1.0, 0.999999, -0.999, 0.0)
TOLERANCES = ("equal", "unequal", "zero")


@dataclass(frozen=True)
class Pair:
    """A bivariate normal pair (θ_N, θ_C) and the tolerances, log scale."""

    mean: tuple[float, float]
    tau: tuple[float, float]
    rho: float
    necromass: float
    soc: float
    ratio: float

    @property
    def tolerances(self) -> Tolerances:
        """Tolerances as the package takes them."""
        return Tolerances(self.necromass, self.soc, self.ratio)


def random_pair(number: int) -> Pair:
    """Return one set; each limit comes in turn, in every combination with the tolerances."""
    rng = np.random.default_rng([SEED, number])
    fixed, kind = CORRELATIONS[number % len(CORRELATIONS)], TOLERANCES[number // len(CORRELATIONS) % len(TOLERANCES)]
    limits = {"equal": np.full(3, rng.uniform(0.01, 0.1)), "unequal": rng.uniform(0.0, 0.2, 3), "zero": np.zeros(3)}
    tau = rng.uniform(0.01, 0.3, 2)
    if number % 5 == 4:
        tau[number // 5 % 2] = 0.0
    if number % 20 == 19:
        tau[:] = 0.0
    mean, rho = rng.normal(0, 0.12, 2), rng.uniform(-1, 1) if fixed is None else fixed
    return Pair((float(mean[0]), float(mean[1])), (float(tau[0]), float(tau[1])), float(rho), *limits[kind].tolist())


def exact(pair: Pair) -> Array:
    """Return the probabilities of the 13 classes in closed form."""
    tau = np.array(pair.tau)
    sigma = np.outer(tau, tau) * np.array([[1.0, pair.rho], [pair.rho, 1.0]])
    return class_probabilities(np.array(pair.mean), sigma, pair.tolerances)


def counted(pair: Pair, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how many of so many draws lie in each of the 13 classes."""
    table = CLASS_TABLE.ravel().astype(np.int8)
    counts = np.zeros(13, dtype=np.int64)
    for start in range(0, draws, AT_ONCE):
        z = rng.standard_normal((2, min(AT_ONCE, draws - start)))
        theta_n = pair.mean[0] + pair.tau[0] * z[0]
        theta_c = pair.mean[1] + pair.tau[1] * (pair.rho * z[0] + np.sqrt(1 - pair.rho**2) * z[1])
        counts += np.bincount(class_codes(theta_n, theta_c, pair.tolerances, table), minlength=13)
    return counts


def errors(probability: Array, counts: np.ndarray) -> Array:
    """Return how far counts lie from what probabilities let expect, in standard errors, by exact binomial tails."""
    draws = int(counts.sum())
    p = np.clip(probability, 0.0, 1.0)
    # Rounding leaves some 1e-16 of nothing and of one.
    p = np.where(p < 1e-13, 0.0, np.where(p > 1 - 1e-13, 1.0, p))
    tail = np.minimum(stats.binom.cdf(counts, draws, p), stats.binom.sf(counts - 1, draws, p))
    return np.asarray(np.maximum(stats.norm.isf(tail), 0.0))


def examine(number: int, draws: int = DRAWS) -> dict[str, object]:
    """Return one set with its largest error and how far its probabilities are from summing to one."""
    pair = random_pair(number)
    probability = exact(pair)
    found = errors(probability, counted(pair, draws, np.random.default_rng([SEED, 1, number])))
    return asdict(pair) | {"largest_error": float(found.max()), "sum_less_one": float(probability.sum() - 1)}


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    given = parser.parse_args()
    with clock() as seconds:
        found = [examine(number, given.draws) for number in range(SETS)]
    largest = max(one["largest_error"] for one in found)
    sums = max(abs(one["sum_less_one"]) for one in found)
    print(f"{SETS} sets of {given.draws} draws: largest error {largest:.2f} standard errors, sums within {sums:.1e}")
    print(f"{seconds['wall']:.0f} s, {seconds['cpu']:.0f} s of the processors")
    if given.draws == DRAWS:
        record = {"seed": SEED, "draws": DRAWS, "sets": found, "seconds": seconds}
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
