"""What NUTS says of two tables that are too large to be sampled in every test, as a reference for the other engine.

    python -m benchmarks.engines ../shared/reference/g_sim_J200.csv ../shared/data/sndb_pairs_strict.csv

The first is a simulated table of 200 studies, the second an extract of the Soil Necromass Database; neither is part of
this project. Recorded are mean, SD, quantiles and effective sample sizes of 4 chains of 4000 draws, of every quantity
of the summary; studies and comparisons of the database in the order of the table, without their names. The tests
compare the collapsed engine with them (`tests/test_engines.py`, which samples a smaller table by both).
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import mcpbayes as mb
from mcpbayes.estimands.quantities import quantities
from mcpbayes.inference import completion
from mcpbayes.monte_carlo.summaries import convergence
from mcpbayes.specification.structure import Specification

FOLDER = Path(__file__).parent / "records"
RECORDS = {name: FOLDER / f"engines_{name}.csv" for name in ("J200", "SNDB")}
#: Levels whose names are those of a table that is not ours.
UNNAMED = {"J200": (), "SNDB": ("study", "comparison")}
SEED, DRAWS = 1, 4000
#: As in `tests/agreement.py`.
QUANTILES = (0.025, 0.05, 0.5, 0.95, 0.975)

#: The model that Stan's reference results of the simulated tables are of.
SETTINGS = [
    "data.columns.comparison=obs",
    "moderators.standardise=false",
    "priors.intercept={ distribution = 'normal', mean = 0.0, sd = 1.0, correlation = 0.0 }",
    "priors.slope={ distribution = 'normal', mean = 0.0, sd = 1.0, correlation = 0.0 }",
    "priors.tau_study.sd=1.0",
    "priors.tau_comparison.sd=1.0",
]


def model_of(name: str, engine: str) -> Specification:
    """Return the model of a table with an engine; every other table than SNDB has the moderator x."""
    sampling = [f"sampling.engine={engine}", f"sampling.draws={DRAWS}"]
    if name == "SNDB":
        return mb.load_model(Path(__file__).parents[1] / "notebooks" / "sndb-pairs.toml", settings=sampling)
    return mb.load_model("contrast-based", settings=[*SETTINGS, *sampling], moderators="~ x")


def points_of(name: str) -> dict[str, list[float]] | None:
    """Return where the effects of a table are evaluated, beside its average."""
    return None if name == "SNDB" else {"x": [0.0]}


def named_draws(result: xr.DataTree, unnamed: tuple[str, ...] = ()) -> tuple[list[str], np.ndarray]:
    """Return names and draws, (row, chain, draw), of every quantity of the summary; some levels go without names."""
    found = quantities(result)
    blocks = [block for work in found.blocks for block in work()]
    rows = np.concatenate([block.rows for block in blocks])
    draws = np.concatenate([block.draws[block.of] for block in blocks])
    names = np.where(np.isin(found.level, unnamed), "", found.name)
    return [f"{found.level[row]} {names[row]} {found.quantity[row]}" for row in rows], draws


def summarised(names: list[str], draws: np.ndarray) -> pd.DataFrame:
    """Return mean, SD, quantiles and effective sample sizes, a row per quantity that is not constant."""
    flat, found = draws.reshape(len(draws), -1), convergence(draws)
    table = pd.DataFrame({"quantity": names, "mean": flat.mean(axis=1), "sd": flat.std(axis=1, ddof=1)})
    for p, values in zip(QUANTILES, np.quantile(flat, QUANTILES, axis=1), strict=True):
        table[f"q{p}"] = values
    table["ess_bulk"], table["ess_tail"] = found["ess_bulk"], found["ess_tail"]
    return table[np.ptp(flat, axis=1) > 0]


def main() -> None:
    """Sample both tables by NUTS and record what it says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulated", type=Path)
    parser.add_argument("database", type=Path)
    given = parser.parse_args()
    completion.STORED_AT_MOST = 20_000_000  # all draws, not one in several
    for name, path in zip(RECORDS, (given.simulated, given.database), strict=True):
        model = model_of(name, "nuts")
        result = mb.delta_mcp(mb.fit(mb.prepare(mb.read_table(path), model), model, seed=SEED), at=points_of(name))
        divergences = int(result["sample_stats"]["diverging"].sum())
        if divergences:
            raise RuntimeError(f"{name}: {divergences} divergences; nothing is recorded")
        table = summarised(*named_draws(result, UNNAMED[name]))
        table.to_csv(RECORDS[name], index=False, float_format="%.6g", lineterminator="\n")
        print(f"{name}: {len(table)} quantities, least ESS {table[['ess_bulk', 'ess_tail']].min().min():.0f}")


if __name__ == "__main__":
    main()
