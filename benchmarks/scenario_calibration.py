"""Are scenario probabilities calibrated? Among comparisons given probability p a class should be true with frequency p.

    python -m benchmarks.scenario_calibration

Simulated tables of 20 studies whose truths are drawn from the priors, as in `benchmarks.calibration`; every comparison
gets the exact probabilities of its 13 classes (level comparison) beside the class of its true effect. Recorded are the
reliability curve with a band bootstrapped by table, and the multi-class Brier score Σ (p − true)² beside that of
classifying raw log ratios, as a table of observed changes does, with the error of their difference clustered by table.
Raw classes exist where both pools were observed in both arms; scores are compared there. Writes
``benchmarks/records/scenario_calibration.json``.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np

import mcpbayes
from benchmarks.calibration import LEVELS, STUDIES, from_priors
from benchmarks.processes import clock, pool
from benchmarks.random_tables import Shape, design, fill
from mcpbayes.estimands.classes import classify_effects, tolerances
from mcpbayes.estimands.orthants import class_probabilities
from mcpbayes.inference.cascade import explore
from mcpbayes.inference.collapsed import judged_draws, log_posterior
from mcpbayes.inference.coordinates import coordinates, covariances, parameters
from mcpbayes.inference.moments import marginal_moments
from mcpbayes.inference.root import coefficient_prior
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy
from mcpbayes.kernels import VARIABLE
from mcpbayes.specification.structure import Scheme

RECORD = Path(__file__).parent / "records" / "scenario_calibration.json"
SEED = 31415
TABLES = 1000
#: Draws of the variance parameters behind a probability, of 4000.
DRAWS = 400
EDGES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
BOOTSTRAPS = 4000
#: Probability that the band holds a bin's frequency.
BAND = 0.95


def one_table(number: int) -> dict[str, object]:
    """Return sums over the bins of one table, its scores, and whether the engine met its limits."""
    rng = np.random.default_rng([SEED, number])
    model = mcpbayes.load_model("arm-based")
    coords, prior = coordinates(model, LEVELS), coefficient_prior(model, ["intercept"])
    truth, _ = from_priors(coords, prior, rng)
    tree, effects = fill(design(Shape("arm-based", STUDIES, missing=0.2), rng), truth, rng)
    target = log_posterior(tree, model, ["intercept"], coords)
    found = explore(target, judged_draws(tree, model, ["intercept"], coords, number), coords.dimension, rng)
    place = found.path.place.ravel()
    phi = parameters(coords, found.z[place[:: len(place) // DRAWS]], found.system)
    sigma, _ = covariances(phi)
    probability = np.concatenate(
        [
            class_probabilities(
                np.moveaxis(part.comparison_mean, 1, 0),
                np.moveaxis(part.comparison_covariance, (1, 2), (0, 1)),
                tolerances(model.scenarios),
            ).mean(axis=-1)
            for part in marginal_moments(tree, sigma, prior)
        ],
        axis=1,
    ).T
    true = one_hot(effects["theta"], model.scenarios)
    ours, raw = scores(probability, true, tree, model.scenarios)
    return {"bins": binned(probability, true).tolist(), "ours": ours, "raw": raw, "passed": bool(found.passed)}


def one_hot(theta: Array, scheme: Scheme) -> Array:
    """Return 1 where an effect (comparison, K) is of a class, (comparison, 13)."""
    return np.eye(13)[classify_effects(theta[:, 0], theta[:, 1], scheme)]


def raw_ratios(tree: Hierarchy) -> tuple[Array, np.ndarray]:
    """Return log ratios of the observed means, (comparison, K), and where both pools were seen in both arms."""
    own = np.flatnonzero(~tree.treated)
    at = np.empty(len(tree.site), dtype=np.intp)
    at[tree.control[own]] = own
    control = at[tree.control[tree.arm]]
    complete = tree.observed[tree.arm].all(axis=1) & tree.observed[control].all(axis=1)
    return tree.y[tree.arm] - tree.y[control], complete


def scores(probability: Array, true: Array, tree: Hierarchy, scheme: Scheme) -> tuple[list[float], list[float]]:
    """Return Brier scores of the probabilities and of classes of raw log ratios, where these exist."""
    ratios, complete = raw_ratios(tree)
    named = one_hot(ratios, scheme)
    ours, raw = (((guess - true) ** 2).sum(axis=1)[complete].tolist() for guess in (probability, named))
    return ours, raw


def binned(probability: Array, true: Array) -> Array:
    """Return cells, sum of probabilities and number of true ones in each bin, (bin, 3)."""
    bin_of = np.clip(np.searchsorted(EDGES, probability.ravel(), side="right") - 1, 0, len(EDGES) - 2)
    weights = (None, probability.ravel(), true.ravel())
    return np.stack([np.bincount(bin_of, each, len(EDGES) - 1) for each in weights], axis=1)


def reliability(bins: Array, rng: np.random.Generator) -> list[dict[str, float]]:
    """Return the curve of tables' bins (table, bin, 3) with its band; bins that no cell fell in are left out.

    The band is that of the frequency of true ones less the mean probability, put around the mean probability: where the
    curve lies within, the bin agrees with p.
    """
    bins = bins[:, bins[..., 0].sum(axis=0) > 0]
    total = bins.sum(axis=0)
    gaps = []
    for _ in range(BOOTSTRAPS):
        again = np.bincount(rng.integers(0, len(bins), len(bins)), minlength=len(bins))
        cells, p, true = np.tensordot(again, bins, axes=1).T
        with np.errstate(invalid="ignore"):
            gaps.append((true - p) / cells)
    ends = np.nanquantile(gaps, [(1 - BAND) / 2, (1 + BAND) / 2], axis=0)
    curve = []
    for (cells, p, true), low, high in zip(total, *ends, strict=True):
        mean, gap = p / cells, (true - p) / cells
        curve.append(
            {
                "cells": int(cells),
                "mean_probability": float(mean),
                "frequency": float(true / cells),
                "lower": float(mean + gap - high),
                "upper": float(mean + gap - low),
                "within": bool(low <= 0 <= high),
            }
        )
    return curve


def clustered(differences: list[Array]) -> tuple[float, float]:
    """Return the mean of all differences and its standard error, whose clusters are tables."""
    count = sum(map(len, differences))
    mean = float(np.concatenate(differences).mean())
    sums = np.array([(one - mean).sum() for one in differences])
    return mean, float(np.sqrt((sums**2).sum() * len(sums) / max(len(sums) - 1, 1)) / count)


def study(tables: int, workers: int) -> dict[str, object]:
    """Calibrate the scenario probabilities of so many tables."""
    with clock() as seconds, pool(workers) as processes:
        done = list(processes.map(one_table, range(tables), chunksize=5))
    curve = reliability(np.array([one["bins"] for one in done]), np.random.default_rng([SEED, 99, 99]))
    ours, raw = ([np.array(one[name]) for one in done] for name in ("ours", "raw"))
    difference, error = clustered([a - b for a, b in zip(ours, raw, strict=True)])
    return {
        "seed": SEED,
        "tables": tables,
        "studies": STUDIES,
        "comparisons": int(sum(one["bins"][i][0] for one in done for i in range(len(EDGES) - 1)) / 13),  # type: ignore[index]
        "engine_passed": int(sum(bool(one["passed"]) for one in done)),
        "reliability": curve,
        "brier": float(np.concatenate(ours).mean()),
        "brier_of_raw_ratios": float(np.concatenate(raw).mean()),
        "brier_difference": difference,
        "brier_difference_error": error,
        "scored_comparisons": int(sum(map(len, ours))),
        "workers": workers,
        "seconds": seconds,
    }


def show(found: dict[str, object]) -> None:
    """Print the curve and the scores."""
    print(f"{found['tables']} tables, {found['comparisons']} comparisons, engine passed {found['engine_passed']}")
    for one in found["reliability"]:  # type: ignore[attr-defined]
        outside = "" if one["within"] else " outside"
        print(
            f"  p {one['mean_probability']:.4f}: true {one['frequency']:.4f} "
            f"(band {one['lower']:.4f} to {one['upper']:.4f}, {one['cells']} cells){outside}"
        )
    print(
        f"Brier score {found['brier']:.4f}, of raw log ratios {found['brier_of_raw_ratios']:.4f}, difference "
        f"{found['brier_difference']:.4f} ± {found['brier_difference_error']:.4f}"
    )


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kernel", default="numba", choices=["numpy", "numba", "auto"])
    given = parser.parse_args()
    os.environ[VARIABLE] = given.kernel
    found = study(given.tables, given.workers)
    show(found)
    seconds: dict[str, float] = found["seconds"]  # type: ignore[assignment]
    print(f"{seconds['wall']:.0f} s, {seconds['cpu']:.0f} s of the processors")
    if given.tables == TABLES:
        RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
