"""Is the posterior calibrated? Simulation-based calibration of the collapsed engine, and coverage in the user's case.

    python -m benchmarks.calibration               ranks of 1000 tables of 20 studies, both models
    python -m benchmarks.calibration --coverage    coverage, see below

Truths are drawn from the priors; design, sampling covariances and baselines are those of each simulated table. For
every quantity the rank of the truth among 99 thinned draws must be uniform: its empirical distribution stays in a
simultaneous band, at 1 % for all quantities of a model together. Nearly all of the time is the engine's, so compiled
kernels do it. Those of NumPy, which tables so small go through by themselves (``--kernel auto``), give the same numbers
to rounding, and the same ranks where rounding does not turn a choice of points while a proposal adapts.

Beside it, recorded and not judged: coverage of 95 % intervals of ln ΔMCP where plots are simulated and standard
deviations are estimated from n = 3, as users' tables have them. Both commands keep what the other one wrote to
``benchmarks/records/calibration.json``.
"""

import argparse
import json
import os
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import numpy as np

import mcpbayes
from benchmarks.processes import clock, pool
from benchmarks.random_tables import Shape, Truth, design, fill
from benchmarks.rank_statistics import DRAWS, least_tail, threshold
from mcpbayes.inference.back_sampling import draw_block
from mcpbayes.inference.cascade import explore
from mcpbayes.inference.collapsed import judged_draws, log_posterior
from mcpbayes.inference.coordinates import Coordinates, coordinates, covariances, parameters
from mcpbayes.inference.root import CoefficientPrior, coefficient_prior, draw_root
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, blocks
from mcpbayes.kernels import VARIABLE, use_numba

RECORD = Path(__file__).parent / "records" / "calibration.json"
SEED = 20262
TABLES, STUDIES = 1000, 20
LEVEL = 0.01
FAMILIES = ("arm-based", "contrast-based")
LEVELS = ("study", "comparison")
COVERAGE = "standard deviations from three plots"


def from_priors(
    coords: Coordinates, prior: CoefficientPrior, rng: np.random.Generator
) -> tuple[Truth, dict[str, Array]]:
    """Return a truth drawn from the priors, and its variance parameters as `coordinates.parameters` gives them."""
    drawn = parameters(coords, rng.standard_normal((1, coords.dimension)))
    truth = Truth(
        beta=prior.mean + np.einsum("pij,pj->pi", prior.factor, rng.standard_normal(prior.mean.shape)),
        tau={level: drawn[f"tau_{level}"][0] for level in LEVELS},
        rho={level: drawn[f"rho_{level}"][0] for level in LEVELS},
    )
    return truth, drawn


def one_table(task: tuple[str, int]) -> dict[str, object]:
    """Return the ranks of the truths of one table, and how the fit went."""
    family, number = task
    rng = np.random.default_rng([SEED, FAMILIES.index(family), number])
    model = mcpbayes.load_model(family)
    coords = coordinates(model, LEVELS)
    prior = coefficient_prior(model, ["intercept"])
    truth, drawn = from_priors(coords, prior, rng)
    tree, effects = fill(design(Shape(family, STUDIES, missing=0.2), rng), truth, rng)
    target = log_posterior(tree, model, ["intercept"], coords)
    judged = judged_draws(tree, model, ["intercept"], coords, number)
    found = explore(target, judged, coords.dimension, rng)
    kept = found.path.place.ravel()[:: 4000 // DRAWS][:DRAWS]
    phi = parameters(coords, found.z[kept], found.system)
    beta, one = effects_of(tree, phi, prior, number)
    ours = quantities(phi, beta, one, fresh(phi, beta, rng))
    true_beta = truth.beta[..., None]
    theirs = quantities(drawn, true_beta, effects["theta"][0][:, None], fresh(drawn, true_beta, rng))
    return {
        "ranks": [int((ours[name] < theirs[name]).sum()) for name in ours],
        "names": list(ours),
        "passed": found.passed,
        "attempt": found.attempt,
    }


def effects_of(tree: Hierarchy, phi: dict[str, Array], prior: CoefficientPrior, seed: int) -> tuple[Array, Array]:
    """Return draws of the coefficients (p, K, draw) and of the first comparison's full effect (K, draw)."""
    sigma, _ = covariances(phi)
    beta, _ = draw_root(tree, sigma, prior, None, seed)
    block = blocks(tree)[0]
    drawn = draw_block(block, sigma, beta, None, seed)
    if drawn.comparison is None:
        raise ValueError("drawing went down to the comparisons")
    study = int(block.part.study_of_comparison[0])
    return beta, drawn.mean[0] + drawn.study[study] + drawn.comparison[0]


def fresh(phi: dict[str, Array], beta: Array, rng: np.random.Generator) -> Array:
    """Return the effect of a comparison in a study not seen, (K, draw)."""
    out = beta[0].copy()
    for level in LEVELS:
        tau, rho = phi[f"tau_{level}"].T, phi[f"rho_{level}"][:, 0]
        normals = rng.standard_normal(out.shape)
        out[0] += tau[0] * normals[0]
        out[1] += tau[1] * (rho * normals[0] + np.sqrt(1 - rho**2) * normals[1])
    return out


def quantities(phi: dict[str, Array], beta: Array, one: Array, new: Array) -> dict[str, Array]:
    """Return what is calibrated, each (draw,): β, δ, τ, ρ, a new comparison, one comparison of the table."""
    pools = ("necromass", "soc")
    out = {f"beta[{pool}]": beta[0, k] for k, pool in enumerate(pools)}
    out["log_delta_mcp[mean]"] = beta[0, 0] - beta[0, 1]
    for level in LEVELS:
        out |= {f"tau_{level}[{pool}]": phi[f"tau_{level}"][:, k] for k, pool in enumerate(pools)}
        out[f"rho_{level}"] = phi[f"rho_{level}"][:, 0]
    out |= {f"effect[{pool}] of new": new[k] for k, pool in enumerate(pools)}
    out["log_delta_mcp of new"] = new[0] - new[1]
    out |= {f"effect[{pool}] of one comparison": one[k] for k, pool in enumerate(pools)}
    out["log_delta_mcp of one comparison"] = one[0] - one[1]
    return out


def users_case(number: int) -> dict[str, bool]:
    """Simulate a table from plots, estimate its standard deviations from n = 3, and say which intervals cover."""
    rng = np.random.default_rng([SEED, 7, number])
    model = mcpbayes.load_model("arm-based")
    coords = coordinates(model, LEVELS)
    prior = coefficient_prior(model, ["intercept"])
    truth, _ = from_priors(coords, prior, rng)
    empty = design(Shape("arm-based", STUDIES), rng)
    exact, _ = fill(replace(empty, sampling=np.zeros_like(empty.sampling)), truth, rng)
    tree = measured(exact, rng)
    target = log_posterior(tree, model, ["intercept"], coords)
    judged = judged_draws(tree, model, ["intercept"], coords, number)
    found = explore(target, judged, coords.dimension, rng)
    phi = parameters(coords, found.z[found.path.place.ravel()], found.system)
    sigma, _ = covariances(phi)
    beta, _ = draw_root(tree, sigma, prior, None, number)
    covered = {}
    for name, ours, theirs in (
        ("beta[necromass]", beta[0, 0], truth.beta[0, 0]),
        ("beta[soc]", beta[0, 1], truth.beta[0, 1]),
        ("log_delta_mcp[mean]", beta[0, 0] - beta[0, 1], truth.beta[0, 0] - truth.beta[0, 1]),
    ):
        low, high = np.quantile(ours, [0.025, 0.975])
        covered[name] = bool(low <= theirs <= high)
    return covered


def measured(exact: Hierarchy, rng: np.random.Generator) -> Hierarchy:
    """Return a table as it is measured: log means of three plots per arm, with covariances from their own SDs.

    Plots are lognormal around the true mean with CV 0.20 (necromass) and 0.15 (SOC), varying among arms, correlation
    0.5; log means carry the correction CV²/(2n), and the correlation is the default 0.5, as `mcpbayes.prepare` does.
    """
    plots = 3
    arms = len(exact.y)
    cv = np.array([0.20, 0.15]) * np.exp(rng.normal(0, 0.25, (arms, 2)))
    sd = np.sqrt(np.log1p(cv**2))
    first = rng.standard_normal((arms, plots, 2))
    noise = np.stack([first[..., 0], 0.5 * first[..., 0] + np.sqrt(0.75) * first[..., 1]], axis=-1)
    values = np.exp(exact.y[:, None] + sd[:, None] * noise - 0.5 * sd[:, None] ** 2)
    mean = values.mean(axis=1)
    found = values.std(axis=1, ddof=1) / mean
    sampling = found[:, :, None] * found[:, None, :] / plots * np.array([[1.0, 0.5], [0.5, 1.0]])
    return replace(exact, y=np.log(mean) + 0.5 * found**2 / plots, sampling=sampling)


def calibrate(family: str, tables: int, processes: Executor) -> dict[str, object]:
    """Return ranks, statistics and verdict of one model."""
    done = list(processes.map(one_table, [(family, number) for number in range(tables)], chunksize=10))
    names = done[0]["names"]
    ranks = np.array([one["ranks"] for one in done])
    counts = np.stack([np.bincount(column, minlength=DRAWS + 1) for column in ranks.T])
    limit = threshold(tables, LEVEL / len(names), np.random.default_rng([SEED, 99]))
    least = least_tail(counts, tables)
    return {
        "tables": tables,
        "studies": STUDIES,
        "draws": DRAWS,
        "engine_passed": int(sum(bool(one["passed"]) for one in done)),
        "limit": limit,
        "least_tail": dict(zip(names, least.tolist(), strict=True)),
        "first_ranks": ranks[:3].tolist(),
        "rank_counts": {name: counts[place].tolist() for place, name in enumerate(names)},
        "calibrated": bool((least >= limit).all()),
    }


def ranks_of_truths(tables: int, workers: int) -> dict[str, object]:
    """Calibrate both models, and say how it went."""
    record: dict[str, object] = {"seed": SEED, "kernel": "numba" if use_numba(STUDIES) else "numpy"}
    with clock() as seconds, pool(workers) as processes:
        for family in FAMILIES:
            found = record[family] = calibrate(family, tables, processes)
            print(f"{family}: calibrated {found['calibrated']}, engine passed {found['engine_passed']}/{tables}")
            for name, value in found["least_tail"].items():
                print(f"  {name:36s} least tail probability {value:.4f} (limit {found['limit']:.5f})")
    return record | {"workers": workers, "seconds": seconds}


def coverage(tables: int, workers: int) -> dict[str, object]:
    """Return how often 95 % intervals hold the truth in the user's case."""
    with clock() as seconds, pool(workers) as processes:
        covered = list(processes.map(users_case, range(tables), chunksize=10))
    shares = {name: float(np.mean([one[name] for one in covered])) for name in covered[0]}
    print(f"coverage of 95 % intervals, {COVERAGE}: {shares}")
    return {COVERAGE: {"tables": tables, "coverage_95": shares, "seconds": seconds}}


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coverage", action="store_true", help="the user's case instead of the ranks")
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kernel", default="numba", choices=["numpy", "numba", "auto"])
    given = parser.parse_args()
    os.environ[VARIABLE] = given.kernel
    with clock() as seconds:
        found = (coverage if given.coverage else ranks_of_truths)(given.tables, given.workers)
    print(f"{seconds['wall']:.0f} s, {seconds['cpu']:.0f} s of the processors")
    if given.tables == TABLES:
        old = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
        RECORD.write_text(json.dumps(old | found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
