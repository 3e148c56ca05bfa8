"""Small simulated tables with fungal and bacterial necromass beside SOC, and a result of made-up draws."""

import numpy as np
import pandas as pd
import xarray as xr
from made_amino import amino_table
from tables.made_tables import comparison_table

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.specification.loading import to_toml

THREE = [*words.PARTS, words.SOC]
#: The CVs that the table gives, as they are.
REPORTED = {"data.outcomes": THREE, "data.dispersion.sd_model": "reported"}


def part_table(studies: int = 4, **columns: object) -> pd.DataFrame:
    """`comparison_table` with necromass split into its fungal and its bacterial part, SDs and n reported."""
    table = comparison_table(studies)
    for role in ("control", "treatment"):
        fungal = 0.6 + 0.02 * (table["study"].str[1:].astype(int) % 3) + (0.03 if role == "treatment" else 0.0)
        whole, sd = table.pop(f"necromass_{role}"), table.pop(f"necromass_{role}_sd")
        for part, share in zip(words.PARTS, (fungal, 1 - fungal), strict=True):
            table[f"{part}_{role}"] = (whole * share).round(3)
            table[f"{part}_{role}_sd"] = (sd * share**0.8).round(3)
    return table.assign(**columns)


def sugar_table(studies: int = 4, **columns: object) -> pd.DataFrame:
    """Glucosamine and muramic acid with their SDs beside SOC, and no necromass."""
    table = amino_table(studies)
    table = table.drop(columns=[name for name in table if str(name).startswith("necromass")])
    for sugar, cv in (("glucosamine", 0.15), ("muramic_acid", 0.2)):
        for role in ("control", "treatment"):
            cvs = cv * (0.8 + 0.1 * (table.index % 5 if role == "treatment" else 2))
            table[f"{sugar}_{role}_sd"] = (cvs * table[f"{sugar}_{role}"]).round(5)
    return table.assign(**columns)


def part_result(table: pd.DataFrame | None = None, draws: int = 50, chains: int = 2, seed: int = 0) -> xr.DataTree:
    """Return a result with groups data and posterior; baselines near the means of the controls."""
    model = mb.load_model(settings=REPORTED)
    data = mb.prepare(part_table() if table is None else table, model)
    rng, lead = np.random.default_rng(seed), ("chain", "draw")
    own = data["mean"].values[~data["treated"].values]
    sizes = {name: data.sizes[name] for name in ("control", "study", "comparison", "kind")}

    def normal(centre: object, sd: float, *shape: int) -> np.ndarray:
        return rng.normal(centre, sd, (chains, draws, *shape))

    three, pairs = (
        [np.log(1.3), np.log(1.1), np.log(1.05)],
        [f"{THREE[i]},{THREE[j]}" for i, j in ((0, 1), (0, 2), (1, 2))],
    )
    variables: dict[str, object] = {
        "beta": ((*lead, "coefficient", "outcome"), normal([three], 0.05, 1, 3)),
        "baseline": ((*lead, "control", "outcome"), normal(np.nan_to_num(np.log(own)), 0.08, sizes["control"], 3)),
    }
    for name in ("study", "comparison", "kind"):
        variables[f"{name}_effect"] = ((*lead, name, "outcome"), normal(0.0, 0.08, sizes[name], 3))
        variables[f"tau_{name}"] = ((*lead, "outcome"), np.abs(normal(0.1, 0.02, 3)))
        variables[f"rho_{name}"] = ((*lead, "pair"), np.tanh(normal(0.2, 0.1, 3)))
    names = ("coefficient", "outcome", *sizes)
    coords = {"chain": range(chains), "draw": range(draws), "pair": pairs} | {n: data[n].values for n in names}
    stats = xr.Dataset({"diverging": (lead, np.zeros((chains, draws), bool))})
    tree = xr.DataTree.from_dict(
        {words.DATA: data, words.POSTERIOR: xr.Dataset(variables, coords=coords), words.SAMPLE_STATS: stats}
    )
    tree.attrs = {"schema_version": words.SCHEMA_VERSION, "mcpbayes_version": "0.1.0", "engine": "nuts", "seed": 1}
    tree.attrs |= {"specification": to_toml(model), "status": "ok", "problems": "[]"}
    return tree
