"""What becomes of intervals where papers do not report standard deviations? Coverage with 20, 50, 80 % of them removed.

    python -m benchmarks.missing_sds                 1000 tables of 20 studies, each with three shares removed
    python -m benchmarks.missing_sds --tables 50     a quick look, not recorded

Truths are drawn from the priors of the fit, those of effects and those of CVs: a typical CV of each pool, studies and
arms that vary around it. Three plots of every arm are simulated, lognormal with the arm's own CVs and correlation 0.5,
and SDs are estimated from them. Whole studies lose their SDs, as papers report them or not, the same studies and more
with a larger share. Then ln ΔMCP of the typical comparison is estimated

* ``hierarchical``: CVs of all arms from their model, carried by 20 worlds;
* ``reported``: SDs as they are, the default CVs elsewhere;
* ``pooled``: one CV per pool (Nakagawa et al. 2023, doi:10.1111/ele.14144);
* ``complete_case``: SDs as they are, studies without SDs left out;
* ``true_cvs``: as if every CV were known, the best that can be done.

The standard of judgement: of the hierarchical model the number of 95 % intervals that hold the truth lies in the exact
binomial interval at level 1 %/3 (three shares). The other methods are recorded beside it.

Cheap and honest: per share a proposal distribution is fitted with root-mean-square CVs, and frozen. All other fits to
the same arms draw proposals of their own from it, weigh them by their own posterior and are judged by these weights;
where they fail, a distribution of their own is fitted. How often each happened is recorded.
"""

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

import mcpbayes
from benchmarks.calibration import LEVELS, from_priors
from benchmarks.processes import clock, pool
from benchmarks.random_tables import Shape, design, fill
from mcpbayes.inference.cascade import Proposals, explore, follow
from mcpbayes.inference.collapsed import judged_draws, log_posterior
from mcpbayes.inference.coordinates import coordinates, covariances, parameters
from mcpbayes.inference.dispersions import WORLDS
from mcpbayes.inference.root import coefficient_prior, draw_root
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, select_studies
from mcpbayes.kernels import VARIABLE
from mcpbayes.measurement.cv_model import fit_cvs
from mcpbayes.measurement.effect_sizes import sampling_covariance
from mcpbayes.measurement.pooled_cv import pooled_cv
from mcpbayes.monte_carlo.limits import PARETO_K_LIMIT
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.cvs import cv_priors

RECORD = Path(__file__).parent / "records" / "missing_sds.json"
SEED = 20263
TABLES, STUDIES, PLOTS = 1000, 20, 3
REMOVED = (0.2, 0.5, 0.8)
RHO, PROB, LEVEL = 0.5, 0.95, 0.01
CHAINS, DRAWS = 4, 250
METHODS = ("hierarchical", "reported", "pooled", "complete_case", "true_cvs")
POOLS = ("necromass", "soc")
COUNTS = ("fits", "led", "failed")


class Table(NamedTuple):
    """A simulated table: the tree with log sample means uncorrected, sample and true CVs (arm, pool), true δ."""

    tree: Hierarchy
    sample_cv: Array
    true_cv: Array
    delta: float


def simulated(model: Specification, rng: np.random.Generator) -> Table:
    """Return a table as it is measured, with effects and CVs drawn from the priors."""
    truth, _ = from_priors(coordinates(model, LEVELS), coefficient_prior(model, ["intercept"]), rng)
    empty = design(Shape("arm-based", STUDIES), rng)
    exact, _ = fill(replace(empty, sampling=np.zeros_like(empty.sampling)), truth, rng)
    cv = cvs_from_priors(model, exact, rng)
    sd = np.sqrt(np.log1p(cv**2))[:, None]
    first, second = rng.standard_normal((2, len(cv), PLOTS))
    noise = np.stack([first, RHO * first + np.sqrt(1 - RHO**2) * second], axis=-1)
    plots = np.exp(exact.y[:, None] + sd * noise - 0.5 * sd**2)
    mean = plots.mean(axis=1)
    delta = float(truth.beta[0, 0] - truth.beta[0, 1])
    return Table(replace(exact, y=np.log(mean)), plots.std(axis=1, ddof=1) / mean, cv, delta)


def cvs_from_priors(model: Specification, tree: Hierarchy, rng: np.random.Generator) -> Array:
    """Return CVs (arm, pool) of a table whose μ, τ, ω are drawn from their priors."""
    found = cv_priors(model, POOLS).parameters(rng.standard_normal((1, 5)))
    effect = found.tau[0] * rng.standard_normal(STUDIES)
    scatter = found.omega[0] * rng.standard_normal((len(tree.y), 2))
    return np.asarray(np.exp(found.mu[0] + effect[study_of_arm(tree)][:, None] + scatter))


def study_of_arm(tree: Hierarchy) -> np.ndarray:
    """Return the study of each arm."""
    return np.asarray(tree.study[tree.site[tree.control]])


def with_cvs(tree: Hierarchy, cv: Array) -> Hierarchy:
    """Return the table with the log means corrected and the covariances that follow from CVs, as `prepare` does."""
    plots = np.full(cv.shape, float(PLOTS))
    rho = np.full(len(cv), RHO)
    return replace(tree, y=tree.y + 0.5 * cv**2 / PLOTS, sampling=sampling_covariance(cv, plots, rho))


@dataclass
class Fitter:
    """Fits of one table: what they need, and how often they could follow the distribution of another fit."""

    model: Specification
    number: int
    counts: Counter[str] = field(default_factory=Counter)

    def fit(self, tree: Hierarchy, key: int, guide: Proposals | None = None, least: float = 0.3) -> Proposals:
        """Return proposals and chains; `key` numbers the fits of a table, `least` is the ESS/N asked of a guide."""
        rng, size = np.random.default_rng([SEED, self.number, key]), {"chains": CHAINS, "draws": DRAWS}
        coords = coordinates(self.model, LEVELS)
        density = log_posterior(tree, self.model, ["intercept"], coords)
        judged = judged_draws(tree, self.model, ["intercept"], coords, key)
        self.counts["fits"] += 1
        if guide is not None:
            found = follow(guide, density, judged, rng, proposals=2000, **size)
            if found is not None and found.pareto_k < PARETO_K_LIMIT and found.efficiency > least:
                self.counts["led"] += 1
                return found
        found = explore(density, judged, coords.dimension, rng, proposals=4000, **size)
        self.counts["failed"] += not found.passed
        return found

    def delta(self, tree: Hierarchy, key: int, found: Proposals) -> Array:
        """Return draws of δ of the typical comparison."""
        coords, prior = coordinates(self.model, LEVELS), coefficient_prior(self.model, ["intercept"])
        sigma, _ = covariances(parameters(coords, found.z[found.path.place.ravel()], found.system))
        beta, _ = draw_root(tree, sigma, prior, None, 1000 * self.number + key)
        return np.asarray(beta[0, 0] - beta[0, 1])


def estimates(table: Table, removed: Array, fitter: Fitter, start: int) -> Iterator[tuple[str, Array]]:
    """Yield draws of δ by method (world, draw); `removed` names the studies without SDs."""
    tree, model, study = table.tree, fitter.model, study_of_arm(table.tree)
    silent = np.isin(study, removed)[:, None]
    sample = np.where(silent, np.nan, table.sample_cv)
    n = np.full(sample.shape, float(PLOTS))
    rng = np.random.default_rng([SEED, fitter.number, start])
    fit = fit_cvs(sample, n - 1, study, np.ones(sample.shape, dtype=bool), cv_priors(model, POOLS), rng)
    guide = fitter.fit(with_cvs(tree, fit.rms), start + 199)

    def draws(cv: Array, key: int, least: float = 0.3) -> Array:
        made = with_cvs(tree, cv)
        return fitter.delta(made, key, fitter.fit(made, key, guide, least))

    # of twenty worlds each needs few effective draws
    yield "hierarchical", np.stack([draws(cv, start + place, 0.1) for place, cv in enumerate(fit.cv[:WORLDS])])
    default = np.array([model.data.defaults.cv[one] for one in POOLS])
    plug_in = np.where(silent, default, table.sample_cv)
    yield "reported", draws(plug_in, start + 100)[None]
    yield "pooled", draws(np.broadcast_to(pooled_cv(sample, n, study), sample.shape), start + 101)[None]
    kept = np.setdiff1d(np.arange(STUDIES), removed)
    complete = select_studies(with_cvs(tree, plug_in), kept)[0]
    yield "complete_case", fitter.delta(complete, start + 102, fitter.fit(complete, start + 102))[None]


def one_table(number: int) -> dict[str, object]:
    """Return, by share removed and method, whether the interval holds the truth and how wide it is."""
    rng = np.random.default_rng([SEED, number])
    model = mcpbayes.load_model("arm-based")
    table = simulated(model, rng)
    fitter = Fitter(model, number)
    ideal = with_cvs(table.tree, table.true_cv)
    known = fitter.delta(ideal, 999, fitter.fit(ideal, 999))[None]
    order = rng.permutation(STUDIES)
    out: dict[str, object] = {}
    for place, share in enumerate(REMOVED):
        removed = order[: round(share * STUDIES)]
        found = {"true_cvs": known} | dict(estimates(table, removed, fitter, 200 * place))
        out[str(share)] = {name: verdict(found[name], table.delta) for name in METHODS}
    return out | {name: fitter.counts[name] for name in COUNTS}


def verdict(draws: Array, truth: float) -> dict[str, float]:
    """Return whether the interval of pooled draws (world, draw) holds the truth, its width, and the worlds' share."""
    low, high = np.quantile(draws, [(1 - PROB) / 2, (1 + PROB) / 2])
    between = draws.mean(axis=1).var(ddof=1) / draws.var() if len(draws) > 1 else 0.0
    return {
        "holds": float(low <= truth <= high),
        "below": float(truth < low),
        "width": float(high - low),
        "error": float(draws.mean() - truth),
        "between": float(between),
    }


def limits(tables: int, quantities: int) -> tuple[float, float]:
    """Return the shares within which coverage agrees with `PROB`: exact binomial interval at level `LEVEL`/q."""
    tail = LEVEL / quantities / 2
    low, high = stats.binom.ppf([tail, 1 - tail], tables, PROB)
    return float(low / tables), float(high / tables)


def study(tables: int, workers: int) -> dict[str, object]:
    """Fit all tables and return the record."""
    with clock() as seconds, pool(workers) as processes:
        done = list(processes.map(one_table, range(tables), chunksize=4))
    low, high = limits(tables, len(REMOVED))
    record: dict[str, object] = {
        "seed": SEED,
        "tables": tables,
        "studies": STUDIES,
        "plots": PLOTS,
        "worlds": WORLDS,
        "interval": PROB,
        "limits": [low, high],
    }
    shares: dict[str, object] = {}
    for share in map(str, REMOVED):
        shares[share] = {
            method: {
                "coverage": mean_of(done, share, method, "holds"),
                "truth_below": mean_of(done, share, method, "below"),
                "mean_width": mean_of(done, share, method, "width"),
                "rms_error": float(np.sqrt(np.mean([one[share][method]["error"] ** 2 for one in done]))),
                "mean_share_between_worlds": mean_of(done, share, method, "between"),
            }
            for method in METHODS
        }
    record["removed"] = shares
    record["passed"] = all(low <= shares[share]["hierarchical"]["coverage"] <= high for share in shares)
    record["fits"] = {name: sum(int(one[name]) for one in done) for name in COUNTS}
    return record | {"workers": workers, "seconds": seconds}


def mean_of(done: list[dict], share: str, method: str, what: str) -> float:
    """Return the mean of one number over tables."""
    return float(np.mean([one[share][method][what] for one in done]))


def show(record: dict) -> None:
    """Print the record for reading."""
    low, high = record["limits"]
    print(f"{record['tables']} tables; agrees from {low:.3f} to {high:.3f}; hierarchical passed: {record['passed']}")
    for share, methods in record["removed"].items():
        for method, found in methods.items():
            print(
                f"  {100 * float(share):3.0f} % removed  {method:13s} coverage {found['coverage']:.3f}  "
                f"width {found['mean_width']:.3f}  rms error {found['rms_error']:.3f}  "
                f"between worlds {100 * found['mean_share_between_worlds']:.1f} %"
            )
    print(f"fits {record['fits']}, {record['seconds']['wall']:.0f} s, {record['seconds']['cpu']:.0f} s of processors")


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kernel", default="numba", choices=["numpy", "numba", "auto"])
    given = parser.parse_args()
    os.environ[VARIABLE] = given.kernel
    record = study(given.tables, given.workers)
    show(record)
    if given.tables == TABLES:
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
