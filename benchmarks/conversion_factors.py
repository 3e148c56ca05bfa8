"""What contents of muramic acid and glucosamine in cultures say of the conversion factors.

python -m benchmarks.conversion_factors ../shared/data

k_F = c_F / G: carbon per dry biomass of fungi over their glucosamine. k_B = c_B / (f M_+ + (1 − f) M_−): carbon per dry
biomass of bacteria over the muramic acid of a community with the share f of Gram-positive biomass. The tables (CC BY
4.0, repository aubreyfine/necromass-CF-models, data/; mg per g of dry biomass) give G, M_+ and M_−; c and f are ours.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from mcpbayes.measurement.factor_draws import draw_triples
from mcpbayes.specification.factors import CONVENTIONAL, NAMED, UNCERTAIN

#: Carbon, mg per g of dry biomass: what textbooks use for bacteria and fungi.
CARBON = (440.0, 460.0, 480.0)
#: Share of Gram-positive biomass.
GRAM_POSITIVE = (0.8, 0.65, 0.5, 0.3)


def read_traits(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return bacteria (Gram, MurA) and fungi (GlcN), mg per g of dry biomass; the first table's fungi are left out."""
    bacteria = pd.read_csv(folder / "bactMurA.csv", encoding="cp1252", index_col=0)
    fungi = pd.read_csv(folder / "fungGlcN.csv", encoding="cp1252", index_col=0)
    return bacteria.loc[bacteria["Kingdom"] == "Bacteria", ["Gram", "MurA"]], fungi[["GlcN"]].dropna()


def fungal_factor(fungi: pd.DataFrame, carbon: float, how: str = "mean") -> float:
    """Return k_F of an average fungus."""
    return carbon / float(fungi["GlcN"].agg(how))


def bacterial_factor(bacteria: pd.DataFrame, carbon: float, gram_positive: float, how: str = "mean") -> float:
    """Return k_B of a community with a share of Gram-positive biomass."""
    content = bacteria.groupby("Gram")["MurA"].agg(how)
    return carbon / float(gram_positive * content["GP"] + (1 - gram_positive) * content["GN"])


def main(folder: Path) -> None:
    """Print both factors over what has to be assumed."""
    bacteria, fungi = read_traits(folder)
    counts = bacteria["Gram"].value_counts()
    print(f"{len(fungi)} fungi, {counts['GP']} Gram-positive and {counts['GN']} Gram-negative bacteria\n")
    for how in ("mean", "median"):
        print(f"with {how} contents; rows: carbon, mg/g; k_F, and k_B by the share of Gram-positive biomass")
        table = pd.DataFrame(
            {"k_F": [fungal_factor(fungi, c, how) for c in CARBON]}
            | {f"k_B {f:g}": [bacterial_factor(bacteria, c, f, how) for c in CARBON] for f in GRAM_POSITIVE},
            index=pd.Index(CARBON, name="carbon"),
        )
        print(table.round(1).to_string(), "\n")
    triples = draw_triples(NAMED[UNCERTAIN])
    for label, values, conventional in (
        ("k_B", triples.k_b, NAMED[CONVENTIONAL].k_b.middle),
        ("k_F", triples.k_f, NAMED[CONVENTIONAL].k_f.middle),
        ("q", triples.q, draw_triples(NAMED[CONVENTIONAL]).q[0]),
    ):
        low, middle, high = np.quantile(values, [0.025, 0.5, 0.975])
        print(f"uncertain {label}: median {middle:.2f}, 95 % {low:.2f} to {high:.2f}; ", end="")
        print(f"conventional {conventional:.2f} at probability {(values < conventional).mean():.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
