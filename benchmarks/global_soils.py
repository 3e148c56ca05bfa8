"""Necromass share of SOC by ecosystem in a global table of amino sugars, beside published averages.

python -m benchmarks.global_soils ../shared/data/global_soils_amino_sugars.csv

The table (CC BY 4.0, repository aubreyfine/necromass-CF-models, data/) is not part of this project.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mcpbayes.measurement.amino_sugars import fungal_necromass, necromass
from mcpbayes.measurement.factor_draws import central
from mcpbayes.specification.factors import CONVENTIONAL, NAMED

#: Published averages of the necromass share, %, with the conventional factors.
PUBLISHED = {"cropland": 51.0, "grassland": 47.0, "forest": 35.0}


def read_soils(path: Path) -> pd.DataFrame:
    """Return the soils with both amino sugars (g/kg), SOC (g/kg) and ecosystem; the file is cp1252."""
    raw = pd.read_csv(path, encoding="cp1252", index_col=0)
    soils = pd.DataFrame(
        {
            "ecosystem": raw["Ecosystem.type"].str.strip().str.lower(),  # Forest and forest
            "glucosamine": raw["GlcN"] / 1000,  # µg/g
            "muramic_acid": raw["MurA"] / 1000,
            "soc": raw["SOC"],  # mg/g
        }
    )
    return soils.dropna(subset=["glucosamine", "muramic_acid", "soc"])


def with_shares(soils: pd.DataFrame, name: str = CONVENTIONAL) -> pd.DataFrame:
    """Return the soils with necromass (g/kg), its share of SOC, and whether fungal necromass is positive."""
    factors = central(NAMED[name])
    made = necromass(soils["glucosamine"], soils["muramic_acid"], factors.k_f, factors.q)
    rho_b = NAMED[name].rho_b.middle
    fungal = fungal_necromass(soils["glucosamine"], soils["muramic_acid"], factors.k_f, rho_b)
    return soils.assign(necromass=made, share=made / soils["soc"], fungal=fungal > 0)


def by_ecosystem(soils: pd.DataFrame) -> pd.DataFrame:
    """Return, in per cent, four averages of the share by ecosystem, and how many soils are above 100 %."""
    known = soils[soils["ecosystem"].isin(list(PUBLISHED))]
    groups = known.groupby("ecosystem")
    below = known[known["share"] <= 1].groupby("ecosystem")
    totals = groups[["necromass", "soc"]].sum()
    return pd.DataFrame(
        {
            "soils": groups.size(),
            "mean of ratios": 100 * groups["share"].mean(),
            "without soils above 100 %": 100 * below["share"].mean(),
            "ratio of means": 100 * totals["necromass"] / totals["soc"],
            "median": 100 * groups["share"].median(),
            "above 100 %": 100 * groups["share"].agg(lambda share: (share > 1).mean()),
            "published": pd.Series(PUBLISHED),
        }
    ).loc[list(PUBLISHED)]


def main(path: Path) -> None:
    """Print the comparison for every named set of factors."""
    soils = read_soils(path)
    print(f"{len(soils)} soils with both amino sugars and SOC\n")
    for name in NAMED:
        made = with_shares(soils, name)
        above, without = made["share"] > 1, ~made["fungal"]
        print(f"factors {name}: necromass share of SOC, %")
        print(by_ecosystem(made).round(1).to_string())
        print(f"above 100 %: {above.sum()} of {len(made)} soils ({100 * above.mean():.1f} %); ", end="")
        print(f"fungal necromass not positive: {without.sum()}; largest share {100 * made['share'].max():.0f} %\n")
    largest = with_shares(soils).nlargest(5, "share")[["ecosystem", "glucosamine", "muramic_acid", "soc", "share"]]
    print("The largest shares (g/kg; share as a fraction):")
    print(largest.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    ratio = with_shares(soils)["muramic_acid"] / soils["glucosamine"]
    print(f"\nmuramic acid/glucosamine: median {ratio.median():.3f}, ", end="")
    print(f"95 % of soils {np.quantile(ratio, 0.025):.3f} to {np.quantile(ratio, 0.975):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/global_soils_amino_sugars.csv"))
