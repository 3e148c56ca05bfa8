"""The Soil Necromass Database: rows of control and treated soils become comparisons.

The database says neither which rows are controls nor which row a treatment is compared to. The spellings of controls
come from a file of labels; rows belong together where study, treatment, place, depth, horizon, ecosystem, fraction and
aggregate size agree.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.importers import ledger
from mcpbayes.tables.importers.labels import Labels, read_labels
from mcpbayes.tables.importers.ledger import Imported
from mcpbayes.tables.importers.pairing import Pair, pair_rows
from mcpbayes.tables.importers.sndb_columns import comparison_names, comparison_table
from mcpbayes.tables.reading import read_file
from mcpbayes.tables.schema import whole_ids
from mcpbayes.tables.unit_checks import RATIO_BOUNDS

BULK: Final = "bulk soil"
#: Text columns; a file without one of them is not the database.
TEXTS: Final = (
    "SNDB_record_number",
    "SNDB_study_number",
    "treatment",
    "treatment_level",
    "horizon",
    "ecosystem",
    "fraction_scheme",
    "aggregate_size",
    "year_sampled",
    "plant_species",
    "wetland_type",
    "soil_type",
)
NUMBERS: Final = (
    "Latitude",
    "Longitude",
    "lyrtop_cm",
    "lyrbot_cm",
    "gluN",
    "murA",
    "microbial_necromass_C",
    "fungal_necromass_C",
    "bacterial_necromass_C",
    "soc",
    "soil_C",
    "MAT",
    "MAP",
    "pH",
    "clay",
)
#: Amounts of which a zero, or less, is no measurement: below detection, or cut off at zero by the database.
_AMOUNTS: Final = (
    "gluN",
    "murA",
    "microbial_necromass_C",
    "fungal_necromass_C",
    "bacterial_necromass_C",
    "soc",
    "soil_C",
)
#: Depths beyond this, cm, are dates: a spreadsheet read 5-10 as 10 May.
_DEEPEST: Final = 1000.0


def import_sndb(
    path: str | Path, *, labels: Path | None = None, fractions: str = "bulk", total_c: bool = False
) -> Imported:
    """Return the comparisons of the Soil Necromass Database.

    Parameters
    ----------
    path : str or Path
        The database's ``sndb_database_data.csv``.
    labels : Path, optional
        An edited copy of the shipped file of labels.
    fractions : {"bulk", "all"}
        Whether aggregates, density fractions and the rhizosphere are paired, too, each with its like.
    total_c : bool
        Whether total C stands in, in both arms, where SOC is not given in both.

    Returns
    -------
    Imported
        Layout ``comparison``, all pools and amino sugars in g/kg; every row of the database with what became of it.

    Raises
    ------
    DataError
        If the file is not the database, or cells cannot be read.
    SpecificationError
        If the labels cannot be read.

    Notes
    -----
    Rows of one group and one label that nothing tells apart (replicates, undated samplings) are averaged, controls and
    treatments alike: the same mean would else be compared many times with single samples, as if independent.
    """
    rules = read_labels(labels)
    frame = read_file(path)
    ledger.require_source_columns(frame, (*TEXTS, *NUMBERS), "sndb_database_data.csv of the Soil Necromass Database")
    rows, notes = _cleaned(frame)
    rows, reasons = _labelled(rows, rules, fractions)
    pairs, unpaired = pair_rows(rows[reasons == ""], rules, total_c=total_c)
    reasons.update(unpaired)
    names = comparison_names(pairs, rows)
    table = comparison_table(pairs, names, rows)
    book = _book(rows, pairs, names, reasons)
    return Imported(table, book, (*notes, *_notes(table, pairs)))


def _cleaned(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows in the order of their records, amounts that are no measurements emptied and flagged."""
    rows = frame[list(TEXTS)].astype(object).join(ledger.source_numbers(frame, NUMBERS))
    rows["elevation_m"] = frame.get("elevation_m", pd.Series("", frame.index))
    rows["study"] = whole_ids(frame["SNDB_study_number"])
    rows["record"] = pd.to_numeric(frame["SNDB_record_number"], errors="coerce")
    odd = rows.index[rows["record"].isna() | rows["record"].duplicated(keep=False)]
    if len(odd):
        problem = Problem(
            "record-number",
            "the record is not numbered, or another one has its number",
            file=frame.attrs["source"],
            rows=tuple(int(row) for row in odd),
            column="SNDB_record_number",
            expected="a number of its own for each record",
            remedy="Use the database's file as it was downloaded.",
        )
        raise DataError([problem])
    rows = rows.assign(record=rows["record"].astype(int)).sort_values("record")
    rows["depth"] = frame["lyrtop_cm"].str.cat(frame["lyrbot_cm"], "-").loc[rows.index]
    return _without_wrong_units(*_without_zeros(_without_dates(rows)))


def _without_dates(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with depths emptied that are dates, and flagged."""
    flag = pd.Series("", rows.index)
    for column in ("lyrtop_cm", "lyrbot_cm"):
        dated = rows[column] > _DEEPEST
        flag[dated] = "the depth is a spreadsheet's date and left empty"
        rows = rows.assign(**{column: rows[column].where(~dated)})
    return rows.assign(flag=flag)


def _without_zeros(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows without amounts of zero or less, and without necromass whose fungal part was cut off at zero."""
    flag = rows["flag"]
    cut = rows["fungal_necromass_C"] <= 0
    for column in _AMOUNTS:
        zero = rows[column] <= 0
        flag = flag.where(~zero, flag.str.cat(pd.Series(f"{column} of zero or less is not used", rows.index), "; "))
        rows = rows.assign(**{column: rows[column].where(~zero)})
    rows = rows.assign(
        microbial_necromass_C=rows["microbial_necromass_C"].where(~cut), flag=flag.str.removeprefix("; ")
    )
    notes = []
    if cut.any():
        message = (
            f"the fungal necromass of {int(cut.sum())} rows was negative and set to zero; neither it nor its sum with "
            "the bacterial part is used"
        )
        notes.append(
            Problem("fungal-necromass-zero", message, "warning", rows=tuple(int(row) for row in rows.index[cut]))
        )
    return rows, notes


def _without_wrong_units(rows: pd.DataFrame, notes: list[Problem]) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows without necromass that is a thousandth or thousandfold of what any soil holds of its carbon."""
    ratio = rows["microbial_necromass_C"] / 1000 / rows["soc"].fillna(rows["soil_C"])
    odd = (ratio < RATIO_BOUNDS[0]) | (ratio > RATIO_BOUNDS[1])
    if not odd.any():
        return rows, notes
    amounts = [name for name in _AMOUNTS if name not in ("soc", "soil_C")]
    said = pd.Series("necromass and amino sugars are not used: their unit must be another one", rows.index)
    flag = rows["flag"].where(~odd, rows["flag"].str.cat(said, "; ").str.removeprefix("; "))
    message = f"necromass of {int(odd.sum())} rows is not in mg/kg, as no soil holds so little or much: it is not used"
    note = Problem("necromass-unit", message, "warning", rows=tuple(int(row) for row in rows.index[odd]))
    return rows.assign(flag=flag, **{name: rows[name].where(~odd) for name in amounts}), [*notes, note]


def _labelled(rows: pd.DataFrame, rules: Labels, fractions: str) -> tuple[pd.DataFrame, pd.Series]:
    """Return the rows with label, experiment and treatment as the rules read them, and why rows are not used."""
    read = [
        _read_level(study, treatment, level, rules)
        for study, treatment, level in zip(rows["study"], rows["treatment"], rows["treatment_level"], strict=True)
    ]
    named, labels, experiments, reasons = (
        pd.Series(part, rows.index, dtype=object) for part in zip(*read, strict=True)
    )
    rows = rows.assign(named=named, label=labels, experiment=experiments)
    for pool, columns in (("necromass", ["microbial_necromass_C", "gluN", "murA"]), ("soc", ["soc", "soil_C"])):
        without = rows["study"].map(lambda study, pool=pool: pool in rules.rule(study).without)
        rows.loc[without, columns] = np.nan
        said = rows["flag"].str.cat(pd.Series(f"{pool} is not used in this study", rows.index), "; ")
        rows["flag"] = rows["flag"].where(~without, said.str.removeprefix("; "))
    fraction = (reasons == "") & (rows["fraction_scheme"] != BULK)
    if fractions == "bulk":
        reasons[fraction] = rows["fraction_scheme"][fraction] + ": only bulk soil is paired (--fractions all)"
    nothing = (reasons == "") & rows[["microbial_necromass_C", "soc", "soil_C"]].isna().all(axis=1)
    reasons[nothing] = "neither necromass nor carbon is given"
    return rows, reasons


def _read_level(study: str, treatment: str, level: str, rules: Labels) -> tuple[str, str, str, str]:
    """Return treatment, label, experiment and, where the row is not used, the reason."""
    rule = rules.rule(study)
    text = treatment if rule.label_from == "treatment" else level
    if not study:
        return treatment, text, "", "the row has no study number"
    if rule.not_used:
        return treatment, text, "", rule.not_used
    if not treatment and not level:
        return treatment, text, "", "no treatment is recorded"
    if not text:
        return (
            treatment,
            text,
            "",
            "the level of the treatment is not recorded, so control and treatment cannot be told apart",
        )
    label, experiment = text, ""
    if rule.patterns:
        found = next((match for pattern in rule.patterns if (match := pattern.fullmatch(text))), None)
        if found is None:
            return treatment, text, "", "the label fits no pattern of its study"
        label, experiment = found["label"], found.groupdict().get("experiment") or ""
    out = rule.leaves_out(text) or rule.leaves_out(label)
    return rule.treatment or treatment, label, experiment.casefold(), out


def _book(rows: pd.DataFrame, pairs: Sequence[Pair], names: Sequence[str], reasons: pd.Series) -> pd.DataFrame:
    """Return what became of every row."""
    used: dict[object, tuple[str, list[str]]] = {}
    for pair, name in zip(pairs, names, strict=True):
        for index, use in ((pair.controls, ledger.CONTROL_USE), (pair.treated, ledger.TREATMENT_USE)):
            for row in index:
                used.setdefault(row, (use, []))[1].append(name)
    book = rows[["record", "study", "treatment", "treatment_level", "flag"]].copy()
    book.insert(0, "row", rows.index)
    book[ledger.USED_AS] = [used[row][0] if row in used else ledger.NOT_USED for row in rows.index]
    book[ledger.REASON] = reasons
    book[ledger.COMPARISON] = ["; ".join(used[row][1]) if row in used else "" for row in rows.index]
    order = ["row", "record", "study", "treatment", "treatment_level", ledger.USED_AS, ledger.REASON]
    return book[[*order, ledger.COMPARISON, ledger.FLAG]].sort_values("record").reset_index(drop=True)


def _notes(table: pd.DataFrame, pairs: Sequence[Pair]) -> list[Problem]:
    """Return what the reader of the table should know about how it was made."""
    if not pairs:
        return []
    notes = []
    controls = {pair.control_id: pair for pair in pairs}
    several = [pair for pair in controls.values() if len(pair.controls) > 1]
    treated = [pair for pair in pairs if len(pair.treated) > 1]
    if several or treated:
        message = (
            f"{len(several)} of {len(controls)} controls and {len(treated)} of {len(pairs)} treated arms are means of "
            "several rows that nothing in the database tells apart (columns rows_control, rows_treatment)"
        )
        notes.append(Problem("rows-averaged", message, "note"))
    lacking = int((table["soc_control"].isna() | table["soc_treatment"].isna()).sum())
    if lacking:
        total = sum(pair.carbon == "" and pair.has_total for pair in pairs)
        message = f"SOC of both arms is missing in {lacking} of {len(table)} comparisons; {total} of them give total C"
        remedy = "--total-c lets it stand in: it holds carbonates, too, where the soil is calcareous."
        notes.append(Problem("soc-missing", message, "note", remedy=remedy if total else None))
    stand_in = sum(pair.carbon == "soil_C" for pair in pairs)
    if stand_in:
        message = f"total C stands in for SOC in {stand_in} of {len(table)} comparisons (column carbon)"
        notes.append(Problem("total-c-for-soc", message, "warning", remedy="In calcareous soils leave these rows out."))
    return notes
