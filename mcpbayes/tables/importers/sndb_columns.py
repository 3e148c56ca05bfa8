"""The Soil Necromass Database's columns under our names and in our units."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.tables.importers.pairing import Pair, means
from mcpbayes.tables.naming import number_repeats

#: The database gives necromass and amino sugars in mg/kg, carbon in g/kg.
_MG_TO_G: Final = 1e-3
_MEASURED: Final = {
    "necromass": "microbial_necromass_C",
    "glucosamine": "gluN",
    "muramic_acid": "murA",
    "fungal_necromass": "fungal_necromass_C",
    "bacterial_necromass": "bacterial_necromass_C",
}
#: Columns that a table has even if they are empty.
_REQUIRED: Final = ("necromass_control", "necromass_treatment", "soc_control", "soc_treatment")
_SITE: Final = {"mat": "MAT", "map": "MAP", "clay": "clay"}
_TEXTS: Final = {
    "ecosystem": "ecosystem",
    "horizon": "horizon",
    "fraction": "fraction_scheme",
    "aggregate": "aggregate_size",
}
_SAME: Final = {"latitude": "Latitude", "longitude": "Longitude", "depth_top": "lyrtop_cm", "depth_bottom": "lyrbot_cm"}


def comparison_names(pairs: Sequence[Pair], rows: pd.DataFrame) -> list[str]:
    """Return the names of the comparisons, ``study: level, depth, fraction``, unique; parts that vary in the study."""
    if not pairs:
        return []
    first = rows.loc[[pair.treated[0] for pair in pairs]]
    depth = first["depth"].where(first["depth"] == "-", first["depth"] + " cm").replace("-", "")
    parts = {"depth": depth, "aggregate": first["aggregate_size"], "horizon": first["horizon"]}
    varies = {name: part.groupby(first["study"]).transform("nunique") > 1 for name, part in parts.items()}
    names = []
    for i, pair in enumerate(pairs):
        told = [str(part.iloc[i]) for name, part in parts.items() if varies[name].iloc[i] and part.iloc[i]]
        names.append(", ".join([pair.label, *told]))
    return number_repeats([f"{study}: {name}" for study, name in zip(first["study"], names, strict=True)])


def comparison_table(pairs: Sequence[Pair], names: Sequence[str], rows: pd.DataFrame) -> pd.DataFrame:
    """Return the table of layout ``comparison``, in the order of the names' studies as the database has them."""
    table = pd.DataFrame([_row(pair, name, rows) for pair, name in zip(pairs, names, strict=True)])
    empty = [str(name) for name in table if name not in _REQUIRED and table[name].isna().all()]
    return table.drop(columns=empty)


def _row(pair: Pair, name: str, rows: pd.DataFrame) -> dict[str, object]:
    """Return one comparison."""
    controls, treated = rows.loc[pair.controls], rows.loc[pair.treated]
    first = treated.iloc[0]
    arms = {"control": _amounts(controls, pair.carbon), "treatment": _amounts(treated, pair.carbon)}
    measured = {f"{pool}_{role}": arm[pool] for pool in arms["control"] for role, arm in arms.items()}
    site = means(controls, _SITE)
    of_treated = means(treated, _SITE)
    return {
        "study": first["study"],
        "control_id": pair.control_id,
        "treatment": pair.kind,
        "comparison": name.removeprefix(f"{first['study']}: "),
        **measured,
        "carbon": pair.carbon,
        **{new: first[old] for new, old in (_SAME | _TEXTS).items()},
        **{name: of_treated[name] if np.isnan(value) else value for name, value in site.items()},
        "ph": float(controls["pH"].mean()),
        "sndb_treatment": first["treatment"],
        "rows_control": len(controls),
        "rows_treatment": len(treated),
    }


def _amounts(arm: pd.DataFrame, carbon: str) -> dict[str, float]:
    """Return the means of an arm in g/kg; SOC from the column that serves as such."""
    amounts = means(arm, _MEASURED)
    grams = {name: float(f"{value * _MG_TO_G:.12g}") for name, value in amounts.items()}
    soc = means(arm, {"soc": carbon})["soc"] if carbon else np.nan
    return {"necromass": grams.pop("necromass"), "soc": soc, **grams}
