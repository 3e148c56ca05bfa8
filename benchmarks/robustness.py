"""Does the collapsed engine cover the posterior of every table? A recorded grid of simulated ones.

    python -m benchmarks.robustness

writes ``benchmarks/records/robustness.csv``, one row per table: what it looked like, the attempt that was taken, k̂,
ESS/N, R-hat and effective sample sizes of the chains, and whether all of the limits were met. NUTS is never used.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

import mcpbayes
from benchmarks.processes import pool
from benchmarks.random_tables import Shape, Truth, design, fill
from mcpbayes.inference.cascade import explore
from mcpbayes.inference.collapsed import judged_draws, log_posterior
from mcpbayes.inference.coordinates import coordinates, covariances, parameters
from mcpbayes.inference.root import coefficient_prior, draw_root
from mcpbayes.monte_carlo.summaries import convergence
from mcpbayes.specification.structure import Specification

RECORD = Path(__file__).parent / "records" / "robustness.csv"
SEED = 20261
#: Tables of each setting. Six variance parameters: the standard model; nine and twelve: sites, kinds, three outcomes.
TABLES = {"standard": 480, "sites": 60, "kinds": 60, "sites and kinds": 60, "three outcomes": 60}
CHAINS, DRAWS = 4, 1000


def one_shape(setting: str, rng: np.random.Generator) -> tuple[Shape, float]:
    """Return what a table of a setting looks like, and its share of outliers."""
    three = setting == "three outcomes"
    shape = Shape(
        family="contrast-based" if three else str(rng.choice(["arm-based", "contrast-based"])),
        studies=int(rng.choice([3, 5, 10, 20, 50, 100, 300] if setting == "standard" else [5, 10, 20, 50, 100])),
        rows=str(rng.choice(["one", "few", "many"])),
        outcomes=3 if three else 2,
        sites="sites" in setting,
        kinds=int(rng.integers(2, 7)) if "kinds" in setting else 0,
        cv=float(rng.choice([0.02, 0.15, 0.6])),
        missing=float(rng.choice([0.0, 0.0, 0.3, 0.6])),
    )
    return shape, float(rng.choice([0.0, 0.0, 0.1]))


def one_truth(setting: str, outcomes: int, rng: np.random.Generator) -> Truth:
    """Return a truth: τ from 0 to 0.4 and ρ to 0.95, each level and pool for itself."""
    levels = [
        "study",
        "comparison",
        *(["site"] if "sites" in setting else []),
        *(["kind"] if "kinds" in setting else []),
    ]
    pairs = outcomes * (outcomes - 1) // 2
    tau = {level: rng.choice([0.0, 0.05, 0.1, 0.2, 0.4], outcomes) for level in levels}
    rho = {level: np.full(pairs, rng.choice([-0.4, 0.0, 0.5, 0.9, 0.95])) for level in levels}
    return Truth(rng.normal(0.1, 0.2, (1, outcomes)), tau, rho)


def model_of(setting: str, family: str) -> Specification:
    """Return the shipped model of a family, with three outcomes where the setting asks for them."""
    if setting == "three outcomes":
        return mcpbayes.load_model("contrast-based", settings={"data.outcomes": ["bacterial", "fungal", "soc"]})
    return mcpbayes.load_model(family)


def examine(task: tuple[str, int]) -> dict[str, object]:
    """Simulate table number ``task[1]`` of a setting, fit it, and say how the fit went."""
    setting, number = task
    rng = np.random.default_rng([SEED, list(TABLES).index(setting), number])
    shape, outliers = one_shape(setting, rng)
    truth = one_truth(setting, shape.outcomes, rng)
    tree, _ = fill(design(shape, rng), truth, rng, outliers)
    model = model_of(setting, shape.family)
    coords = coordinates(model, tuple(truth.tau))
    start = time.perf_counter()
    target = log_posterior(tree, model, ["intercept"], coords)
    judged = judged_draws(tree, model, ["intercept"], coords, number)
    found = explore(target, judged, coords.dimension, rng, chains=CHAINS, draws=DRAWS)
    phi = parameters(coords, found.z[found.path.place.ravel()], found.system)
    sigma, kind_factor = covariances(phi)
    beta, kind = draw_root(tree, sigma, coefficient_prior(model, ["intercept"]), kind_factor, number)
    seconds = time.perf_counter() - start
    rows = [values.T for values in phi.values()]
    rows += [beta.reshape(-1, beta.shape[-1])] + ([] if kind is None else [kind.reshape(-1, kind.shape[-1])])
    checks = convergence(np.concatenate(rows).reshape(-1, CHAINS, DRAWS))
    r_hat, bulk, tail = (float(f(checks[name])) for f, name in _WORST)
    return {
        "setting": setting,
        "number": number,
        "family": shape.family,
        "studies": shape.studies,
        "comparisons": len(tree.arm),
        "rows": shape.rows,
        "kinds": shape.kinds,
        "cv": shape.cv,
        "missing": shape.missing,
        "outliers": outliers,
        "attempt": found.attempt,
        "pareto_k": found.pareto_k,
        "efficiency": found.efficiency,
        "r_hat": r_hat,
        "ess_bulk": bulk,
        "ess_tail": tail,
        "passed": bool(found.passed and r_hat < 1.01 and bulk > 400 and tail > 400),
        "seconds": seconds,
    }


_WORST = ((np.nanmax, "r_hat"), (np.nanmin, "ess_bulk"), (np.nanmin, "ess_tail"))


def study(settings: list[str], tables: int | None, workers: int) -> pd.DataFrame:
    """Return one row per table."""
    tasks = [(name, number) for name in settings for number in range(tables or TABLES[name])]
    with pool(workers) as processes:
        return pd.DataFrame(list(processes.map(examine, tasks, chunksize=4)))


def report(table: pd.DataFrame) -> str:
    """Return the shares that passed, by setting, as text."""
    by = table.groupby("setting", sort=False)
    lines = by.agg(
        tables=("passed", "size"),
        passed=("passed", "mean"),
        first_attempt=("attempt", lambda a: (a == 1).mean()),
        worst_attempt=("attempt", "max"),
        median_efficiency=("efficiency", "median"),
        least_efficiency=("efficiency", "min"),
        median_seconds=("seconds", "median"),
        longest=("seconds", "max"),
    )
    return str(lines.round(3).to_string())


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", nargs="*", default=list(TABLES))
    parser.add_argument("--tables", type=int, help="tables per setting, instead of the recorded numbers")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    start = time.perf_counter()
    table = study(given.settings, given.tables, given.workers)
    print(report(table))
    print(table[~table["passed"]].to_string())
    print(f"{time.perf_counter() - start:.0f} s")
    if given.tables is None and given.settings == list(TABLES):
        # Clock times differ from run to run and are printed, not recorded.
        table.drop(columns="seconds").to_csv(RECORD, index=False, float_format="%.6g", lineterminator="\n")


if __name__ == "__main__":
    main()
