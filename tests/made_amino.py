"""Small simulated tables with amino sugars beside necromass of other factors."""

import pandas as pd
from tables.made_tables import comparison_table

#: Means of the amino sugars.
BOTH = ("glucosamine_control", "glucosamine_treatment", "muramic_acid_control", "muramic_acid_treatment")


def amino_table(studies: int = 4, **columns: object) -> pd.DataFrame:
    """Two treatments against one control in each study, no SDs, n = 4; reported necromass is two thirds of ours."""
    table = comparison_table(studies)
    table = table.drop(columns=[name for name in table if str(name).endswith("_sd")])
    for role in ("control", "treatment"):
        share = 0.08 + 0.01 * (table.index % 3)
        glucosamine = table[f"necromass_{role}"] * 1.5 / (9 + 32.16 * share)
        table[f"glucosamine_{role}"] = glucosamine.round(4)
        table[f"muramic_acid_{role}"] = (share * glucosamine).round(4)
    for name in ("glucosamine_control", "muramic_acid_control"):
        table[name] = table.groupby("study")[name].transform("first")
    return table.assign(**columns)
