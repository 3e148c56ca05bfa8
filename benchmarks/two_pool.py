"""Is the two-pool model recovered? Coverage and ranks over tables simulated from its priors.

    python -m benchmarks.two_pool                 200 tables of 30 studies, recorded
    python -m benchmarks.two_pool --tables 5      a look, not recorded

One design: who belongs to whom, durations of 1 to 40 years and sampling covariances are those of one simulated table.
Every table draws its truths from the priors of the fit and its log means around them, so that nothing selects tables
(controls whose measured ratio exceeds what SOC can hold are kept). The model is compiled once, and data are swapped.

Judged are 90 % intervals of a_N, a_P and of ΔMCP (Δr, level mean) at 10 and 50 years: of 200 tables the count of each
must lie in the exact binomial interval at 1 %/4. Beside it simulation-based calibration: the ranks of the truths among
99 thinned draws stay in a simultaneous band, at 1 % for the four together. Recorded too: tables with divergences, the
worst R-hat and the least ESS of all parameters and effects, and how long it took.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import nutpie
import xarray as xr
from scipy import stats
from scipy.special import expit

import mcpbayes
from benchmarks.processes import clock
from benchmarks.rank_statistics import DRAWS, least_tail, threshold
from mcpbayes import vocabulary as words
from mcpbayes.estimands.curves import population_targets
from mcpbayes.estimands.paths import Paths, effects_at, posterior_paths
from mcpbayes.estimands.targets import population_points
from mcpbayes.inference.builders import two_pool
from mcpbayes.inference.nuts import draws_of
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.two_pool_completion import complete_two_pools
from mcpbayes.inference.two_pool_simulation import draw_effects, draw_truth
from mcpbayes.monte_carlo.summaries import convergence
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER
from mcpbayes.specification.structure import Specification

RECORD = Path(__file__).parent / "records" / "two_pool.json"
SEED = 20265
TABLES, STUDIES = 200, 30
YEARS = (10.0, 50.0)
PROB, LEVEL = 0.90, 0.01
#: SDs as they are, so that the fit knows the sampling covariances behind the log means.
SETTINGS = ["data.dispersion.sd_model=reported"]
#: Typical soils for the design's CVs and means, of which no control is left out.
TYPICAL = {
    "priors.mu_r.distribution": "fixed", "priors.mu_r.value": -0.4,
    "priors.sigma_r.distribution": "fixed", "priors.sigma_r.value": 0.2,
}  # fmt: skip


@dataclass(frozen=True)
class Study:
    """What all tables share: the model, compiled, and the design."""

    model: Specification
    compiled: Any
    data: xr.Dataset


def prepared() -> Study:
    """Compile the model for the design of one table."""
    model = mcpbayes.load_model("two-pool", settings=SETTINGS)
    table, _ = mcpbayes.simulate_two_pools(
        mcpbayes.load_model("two-pool", settings=TYPICAL), studies=STUDIES, seed=SEED, change=(0.0, 0.0)
    )
    data = mcpbayes.prepare(table, model)
    if data.sizes["comparison"] < len(table):
        raise ValueError("the design lost rows: take another seed")
    return Study(model, nutpie.compile_pymc_model(two_pool.build_model(data, model)), data)


def draw_table(study: Study, rng: np.random.Generator) -> tuple[xr.Dataset, dict[str, float]]:
    """Return the design with log means around a truth drawn from the priors, and what was true."""
    data, tree = study.data, build_hierarchy(study.data)
    truth = draw_truth(study.model, rng)
    ratio = expit(truth[MU_R] + truth[SIGMA_R] * rng.standard_normal(len(tree.site)))
    control = tree.control[tree.arm]
    effect = draw_effects(truth, rng, tree.study_of_comparison, data[words.DURATION].values, ratio[control])
    soc = rng.normal(np.log(14.0), 0.4, len(tree.site))
    mean = np.column_stack([soc + np.log(ratio), soc])[tree.control]
    mean[tree.arm] += effect
    noise = np.linalg.cholesky(tree.sampling) @ rng.standard_normal((*mean.shape, 1))
    drawn = data.assign(log_mean=(data["log_mean"].dims, mean + noise[..., 0]))
    members = np.bincount(tree.study[tree.site])[tree.study[tree.site]]
    typical = float((ratio / members).sum() / tree.studies)
    change, rate = (np.array(truth[name], dtype=float) for name in ("beta", TURNOVER))
    path = Paths(change[None, :, None], np.zeros((1, 2, 1)), rate[:, None], np.full((1, 1), typical))
    return drawn, dict(zip(names(), (*change, *(float(delta_mcp(path, t)[0, 0]) for t in YEARS)), strict=True))


def names() -> list[str]:
    """Return what is judged."""
    return [*(f"a[{pool}]" for pool in words.PARTS_OF_SOC), *(f"delta_mcp at {t:g} years" for t in YEARS)]


def delta_mcp(paths: Paths, years: float) -> Array:
    """Return Δr of all targets, (target, draw)."""
    theta = effects_at(paths, years)
    return np.asarray(paths.ratio * np.expm1(theta[:, 0] - theta[:, 1]))


def one_table(study: Study, number: int) -> dict[str, Any]:
    """Fit one table; say which intervals cover, where truths rank, and how the sampler fared."""
    data, truth = draw_table(study, np.random.default_rng([SEED, number]))
    compiled = study.compiled.with_data(**two_pool.measured(data))
    posterior, sample_stats = draws_of(compiled, study.model, number)
    sampled = np.concatenate([_chains_last(values) for values in posterior.data_vars.values()])
    posterior = complete_two_pools(data, posterior, number)
    tree = xr.DataTree.from_dict({words.DATA: data, words.POSTERIOR: posterior})
    tree.attrs = {"seed": number, "specification": to_toml(study.model)}
    asked = population_targets(population_points(data, ()))
    paths, _ = posterior_paths(tree, asked.isel(target=asked["level"].values == words.MEAN))
    values = np.stack([*paths.change[0], *(delta_mcp(paths, t)[0] for t in YEARS)])
    tails = np.quantile(values, [(1 - PROB) / 2, (1 + PROB) / 2], axis=1)
    true = np.array(list(truth.values()))
    thinned = values[:, :: values.shape[1] // DRAWS][:, :DRAWS]
    checks = convergence(sampled)
    return {
        "covered": ((tails[0] <= true) & (true <= tails[1])).tolist(),
        "ranks": (thinned < true[:, None]).sum(axis=1).tolist(),
        "divergences": int(sample_stats["diverging"].sum()),
        "r_hat": float(checks["r_hat"].max()),
        "ess_bulk": float(checks["ess_bulk"].min()),
    }


def _chains_last(values: xr.DataArray) -> Array:
    """Return a parameter as (element, chain, draw)."""
    last = values.transpose(..., "chain", "draw").values
    return last.reshape(-1, *last.shape[-2:])


def summed_up(done: list[dict[str, Any]]) -> dict[str, Any]:
    """Return counts, their exact binomial limits and the verdict."""
    covered = np.array([one["covered"] for one in done]).sum(axis=0)
    low, high = stats.binom.interval(1 - LEVEL / len(names()), len(done), PROB)
    ranks = np.array([one["ranks"] for one in done])
    least = least_tail(np.stack([np.bincount(column, minlength=DRAWS + 1) for column in ranks.T]), len(done))
    limit = threshold(len(done), LEVEL / len(names()), np.random.default_rng([SEED, len(done)]))
    return {
        "seed": SEED,
        "tables": len(done),
        "studies": STUDIES,
        "covered_90": dict(zip(names(), covered.tolist(), strict=True)),
        "limits": [int(low), int(high)],
        "calibrated": bool(((covered >= low) & (covered <= high)).all()),
        "ranks": dict(zip(names(), ranks.T.tolist(), strict=True)),
        "least_tail": dict(zip(names(), least.tolist(), strict=True)),
        "limit": limit,
        "ranks_uniform": bool((least >= limit).all()),
        "tables_with_divergences": sum(one["divergences"] > 0 for one in done),
        "worst_r_hat": max(one["r_hat"] for one in done),
        "tables_below_1.01": sum(one["r_hat"] < 1.01 for one in done),
        "least_ess_bulk": min(one["ess_bulk"] for one in done),
    }


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=TABLES)
    given = parser.parse_args()
    with clock() as compiling:
        study = prepared()
    print(f"compiled in {compiling['wall']:.0f} s ({compiling['cpu']:.0f} s of the processors)", flush=True)
    done = []
    with clock() as sampling:
        for number in range(given.tables):
            done.append(one_table(study, number))
            print(f"table {number + 1} of {given.tables}: R-hat {done[-1]['r_hat']:.4f}", file=sys.stderr, flush=True)
    found = summed_up(done) | {"seconds": {"compiling": compiling, "sampling": sampling}}
    for name, count in found["covered_90"].items():
        print(
            f"{name:32s} {count} of {given.tables} covered, limits {found['limits']}; "
            f"least tail of ranks {found['least_tail'][name]:.4f} (limit {found['limit']:.5f})"
        )
    shown = ("tables_with_divergences", "worst_r_hat", "tables_below_1.01", "least_ess_bulk")
    print(", ".join(f"{name} {found[name]:g}" for name in shown))
    print(f"{sampling['wall']:.0f} s, {sampling['cpu']:.0f} s of the processors, for {given.tables} tables")
    if given.tables == TABLES:
        RECORD.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
