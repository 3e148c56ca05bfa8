"""Tables of amino sugars in soils under different land use: land uses of one place become comparisons."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem, SpecificationError
from mcpbayes.measurement.amino_sugars import bacterial_necromass, fungal_necromass
from mcpbayes.specification.factors import CONVENTIONAL, NAMED
from mcpbayes.tables.guess import nearest
from mcpbayes.tables.importers import ledger
from mcpbayes.tables.importers.ledger import Imported
from mcpbayes.tables.naming import number_repeats
from mcpbayes.tables.reading import read_file
from mcpbayes.tables.schema import whole_ids

#: Which land use is the reference of a place: the first of these that was sampled there, least managed first.
REFERENCES: Final = ("forest", "grassland", "wetland", "desert", "glacier", "cropland")
TEXTS: Final = ("Reference", "Ecosystem.type", "Site")
NUMBERS: Final = ("Latitude", "Longitude", "MurA", "GlcN", "SOC", "MAT", "MAP", "pH", "Clay")
#: A place: the rows of one paper at one pair of coordinates.
_PLACE: Final = ["study", "Latitude", "Longitude"]
#: The file gives amino sugars in µg/g; SOC in mg/g, which is g/kg.
_UG_TO_MG: Final = 1e-3


def import_amino_sugars(path: str | Path, *, reference: str | None = None) -> Imported:
    """Return land-use contrasts from a table of amino sugars, one row per soil sample.

    Parameters
    ----------
    path : str or Path
        A file with the columns ``Reference``, ``Latitude``, ``Longitude``, ``Ecosystem.type``, ``Site``, ``MurA`` and
        ``GlcN`` (µg/g), ``SOC`` (mg/g), as the global compilation of soil amino sugars has them.
    reference : str, optional
        Land use that is the reference wherever it was sampled; elsewhere the order of `REFERENCES` holds.

    Returns
    -------
    Imported
        Layout ``comparison``: in each place every other land use against the reference, arms being means of their
        samples; amino sugars, SOC and the necromass of conventional factors in g/kg.

    Raises
    ------
    DataError
        If the file lacks columns or cells cannot be read.
    SpecificationError
        If the reference is no land use of the file.

    Notes
    -----
    The compilation does not tell depths or dates of a place apart. Samples without both amino sugars or SOC are not
    used, so that both pools of an arm come from the same samples.
    """
    frame = read_file(path)
    ledger.require_source_columns(frame, (*TEXTS, *NUMBERS), "a compilation of soil amino sugars")
    rows = frame[list(TEXTS)].join(ledger.source_numbers(frame, NUMBERS))
    rows = rows.assign(study=whole_ids(rows["Reference"]), use=rows["Ecosystem.type"].str.casefold())
    rows = rows.assign(**_necromass(rows))
    order = _order(reference, set(rows["use"]) - {""})
    reasons = _unusable(rows)
    table, uses = _contrasts(rows[reasons == ""], order)
    book = _book(rows, frame, reasons, uses)
    return Imported(table, book, _notes(table, rows[reasons == ""]))


def _necromass(rows: pd.DataFrame) -> dict[str, pd.Series]:
    """Return necromass C, its fungal and its bacterial part, mg/kg, by the conventional factors."""
    factors = NAMED[CONVENTIONAL]
    bacterial = bacterial_necromass(rows["MurA"], factors.k_b.middle)
    fungal = fungal_necromass(rows["GlcN"], rows["MurA"], factors.k_f.middle, factors.rho_b.middle)
    parts = {"fungal": fungal, "bacterial": bacterial, "necromass": fungal + bacterial}
    return {name: pd.Series(values, rows.index) for name, values in parts.items()}


def _order(reference: str | None, present: set[str]) -> list[str]:
    """Return the land uses in the order in which they serve as reference."""
    rest = [*REFERENCES, *sorted(present - set(REFERENCES))]
    if reference is None:
        return rest
    wanted = reference.strip().casefold()
    if wanted not in present:
        near = nearest(wanted, present)
        advice = f"; did you mean {near!r}?" if near else ""
        raise SpecificationError(
            f"no row has the land use {reference!r}, but {', '.join(sorted(present))}{advice}", "--reference"
        )
    return [wanted, *(use for use in rest if use != wanted)]


def _unusable(rows: pd.DataFrame) -> pd.Series:
    """Return why a sample cannot be used, ``""`` where it can."""
    measured = rows[["MurA", "GlcN", "SOC"]]
    reasons = pd.Series("", rows.index, dtype=object)
    for bad, reason in (
        ((measured <= 0).any(axis=1), "an amount of zero or less is no measurement"),
        (rows["SOC"].isna(), "SOC is not given"),
        (rows[["MurA", "GlcN"]].isna().any(axis=1), "muramic acid or glucosamine is not given"),
        (rows[["Latitude", "Longitude"]].isna().any(axis=1), "the coordinates are not given"),
        (
            (rows["study"] == "") | (rows["use"] == ""),
            "paper or land use is not given (a mean or note below the table?)",
        ),
    ):
        reasons[bad] = reason
    return reasons


def _contrasts(rows: pd.DataFrame, order: Sequence[str]) -> tuple[pd.DataFrame, dict[object, tuple[str, list[str]]]]:
    """Return the table, and for each used row its role and the names of its comparisons."""
    found: list[dict[str, object]] = []
    members: list[tuple[pd.Index, pd.Index]] = []
    for _, place in rows.groupby(_PLACE, sort=True):
        uses = [use for use in order if use in set(place["use"])]
        for use in uses[1:]:
            control, treated = place[place["use"] == uses[0]], place[place["use"] == use]
            found.append(_row(control, treated))
            members.append((control.index, treated.index))
    table = pd.DataFrame(found)
    book: dict[object, tuple[str, list[str]]] = {}
    if not found:
        return table, book
    full = number_repeats([f"{study}: {name}" for study, name in zip(table["study"], table["comparison"], strict=True)])
    for name, (controls, treated_rows) in zip(full, members, strict=True):
        for index, use in ((controls, ledger.CONTROL_USE), (treated_rows, ledger.TREATMENT_USE)):
            for row in index:
                book.setdefault(row, (use, []))[1].append(name)
    return table, book


def _row(control: pd.DataFrame, treated: pd.DataFrame) -> dict[str, object]:
    """Return the comparison of two land uses of a place."""
    first = treated.iloc[0]
    arms = {"control": _amounts(control), "treatment": _amounts(treated)}
    reference = control["use"].iloc[0]
    place = f"{first['Latitude']:g}, {first['Longitude']:g}"
    return {
        "study": first["study"],
        "control_id": f"{reference} at {place}",
        "treatment": f"{first['use']} against {reference}",
        "comparison": f"{first['use']} against {reference} at {place}",
        **{f"{pool}_{role}": arm[pool] for pool in arms["control"] for role, arm in arms.items()},
        "latitude": first["Latitude"],
        "longitude": first["Longitude"],
        "mat": float(control["MAT"].mean()),
        "map": float(control["MAP"].mean()),
        "ph": float(control["pH"].mean()),
        "clay": float(control["Clay"].mean()),
        "region": first["Site"],
        "rows_control": len(control),
        "rows_treatment": len(treated),
    }


def _amounts(arm: pd.DataFrame) -> dict[str, float]:
    """Return the means of an arm in g/kg."""
    sugars = {
        "necromass": "necromass",
        "glucosamine": "GlcN",
        "muramic_acid": "MurA",
        "fungal_necromass": "fungal",
        "bacterial_necromass": "bacterial",
    }
    grams = {name: float(f"{arm[column].mean() * _UG_TO_MG:.12g}") for name, column in sugars.items()}
    return {"necromass": grams.pop("necromass"), "soc": float(arm["SOC"].mean()), **grams}


def _book(
    rows: pd.DataFrame, frame: pd.DataFrame, reasons: pd.Series, uses: dict[object, tuple[str, list[str]]]
) -> pd.DataFrame:
    """Return what became of every row."""
    alone = "no other land use with both amino sugars in its paper at its coordinates"
    negative = rows["fungal"] < 0
    return pd.DataFrame(
        {
            "row": rows.index,
            "id": frame["ID"].to_numpy() if "ID" in frame else "",
            "study": rows["study"].to_numpy(),
            "land_use": rows["Ecosystem.type"].to_numpy(),
            ledger.USED_AS: [uses[row][0] if row in uses else ledger.NOT_USED for row in rows.index],
            ledger.REASON: ["" if row in uses else (reasons[row] or alone) for row in rows.index],
            ledger.COMPARISON: ["; ".join(uses[row][1]) if row in uses else "" for row in rows.index],
            ledger.FLAG: [
                "fungal necromass is negative with the factors 45, 9 and 2" if bad else "" for bad in negative
            ],
        }
    )


def _notes(table: pd.DataFrame, rows: pd.DataFrame) -> tuple[Problem, ...]:
    """Return what the reader of the table should know about how it was made."""
    notes = []
    if len(table):
        means = int(((table["rows_control"] > 1) | (table["rows_treatment"] > 1)).sum())
        message = (
            f"arms of {means} of {len(table)} comparisons are means of several samples; depths and dates are not told "
            "apart, so the samples of two land uses need not match (columns rows_control, rows_treatment)"
        )
        notes.append(Problem("rows-averaged", message, "note"))
        notes.append(
            Problem(
                "conventional-factors", "necromass is 9 glucosamine + 32.16 muramic acid (factors 45, 9 and 2)", "note"
            )
        )
    negative = rows.index[rows["fungal"] < 0]
    if len(negative):
        message = f"fungal necromass of {len(negative)} samples is negative with the factors 45, 9 and 2; they are kept"
        notes.append(Problem("fungal-necromass-negative", message, "warning", rows=tuple(int(row) for row in negative)))
    return tuple(notes)
