"""Which control rows of a database a treated row is compared to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from mcpbayes.tables.importers.labels import Labels

#: What rows of one experiment share; each of them is named in the reason of a row that finds no control.
PLACE: Final = (
    "study",
    "named",
    "experiment",
    "Latitude",
    "Longitude",
    "depth",
    "horizon",
    "ecosystem",
    "fraction_scheme",
    "aggregate_size",
)
#: What tells experiments apart where all rows of a group name it: often only the first row of a study does.
TELLING: Final = ("year_sampled", "plant_species", "wetland_type", "soil_type", "elevation_m")
_NO_CONTROL: Final = "no control row of its study, treatment, place, depth, ecosystem and fraction"
_NO_TREATED: Final = "a control row, but no treated row of its study, treatment, place, depth, ecosystem and fraction"
_SEVERAL: Final = "its group holds several control labels, so the control cannot be told"
_NOTHING_SHARED: Final = "no pool is given in both arms"
_SOC: Final = ("soc", "soil_C")
_NECROMASS: Final = "microbial_necromass_C"


@dataclass(frozen=True)
class Pair:
    """One comparison: the rows of its control and of its treated arm.

    Parameters
    ----------
    control_id : str
        The same for all comparisons with the same control.
    controls, treated : Index
        Rows; several are averaged.
    kind : str
        Kind of treatment.
    label : str
        The treated arm's label, and what tells its experiment apart.
    carbon : str
        Column that serves as SOC in both arms, ``soc`` or ``soil_C``; empty where neither may.
    has_total : bool
        Whether both arms give total C.
    """

    control_id: str
    controls: pd.Index
    treated: pd.Index
    kind: str
    label: str
    carbon: str
    has_total: bool


def pair_rows(rows: pd.DataFrame, rules: Labels, *, total_c: bool) -> tuple[list[Pair], pd.Series]:
    """Return the comparisons of labelled rows, and why the other rows are in none.

    Parameters
    ----------
    rows : DataFrame
        In the order of the records, with ``study``, ``named`` (treatment), ``label``, ``experiment`` and `PLACE`.
    rules : Labels
        Control spellings and kinds of treatment.
    total_c : bool
        Whether total C stands in where SOC is not given in both arms.

    Returns
    -------
    pairs : list of Pair
    reasons : Series of str
        Index: the rows that are in no comparison.
    """
    pairs: list[Pair] = []
    reasons: dict[object, str] = {}
    for _, group in _experiments(rows, rules):
        is_control = _are_controls(group, rules)
        controls, treated = group[is_control], group[~is_control]
        reason = _why_unpaired(controls, treated)
        found = [] if reason else _pairs_of(controls, treated, rules, total_c)
        pairs += found
        used = {row for pair in found for row in (*pair.controls, *pair.treated)}
        reasons |= {row: reason or _NOTHING_SHARED for row in group.index if row not in used}
    return pairs, pd.Series(reasons, dtype=object)


def _experiments(rows: pd.DataFrame, rules: Labels) -> list[tuple[int, pd.DataFrame]]:
    """Return the groups of rows that may be compared, in the order of their first records."""
    group = pd.Series(0, rows.index)
    keys = rows[list(PLACE)].astype(object)
    for study in rows["study"].unique():
        keys.loc[rows["study"] == study, list(rules.rule(study).ignore)] = ""
    group = _number(keys, group)
    for name in TELLING:
        told = (rows[name] != "").groupby(group).transform("all")
        group = _number(pd.DataFrame({"cell": rows[name].where(told, "")}), group)
    blocks = pd.Series(0, rows.index)
    for study in rows["study"].unique():
        if rules.rule(study).blocks:
            own = rows[rows["study"] == study]
            blocks[own.index] = _are_controls(own, rules).groupby(group[own.index]).cumsum()
    group = _number(pd.DataFrame({"block": blocks}), group)
    return [(int(number), members) for number, members in rows.groupby(group, sort=True)]


def _are_controls(rows: pd.DataFrame, rules: Labels) -> pd.Series:
    """Say which rows are controls by their labels."""
    texts = zip(rows["study"], rows["named"], rows["label"], strict=True)
    return pd.Series([rules.is_control(*row) for row in texts], rows.index, dtype=bool)


def _number(keys: pd.DataFrame, group: pd.Series) -> pd.Series:
    """Return groups split by further keys, numbered in the order of their first rows."""
    whole = keys.assign(group=group)
    return whole.groupby(list(whole), dropna=False, sort=False).ngroup()


def _why_unpaired(controls: pd.DataFrame, treated: pd.DataFrame) -> str:
    if controls.empty:
        return _NO_CONTROL
    if treated.empty:
        return _NO_TREATED
    return _SEVERAL if controls["label"].str.casefold().nunique() > 1 else ""


def _pairs_of(controls: pd.DataFrame, treated: pd.DataFrame, rules: Labels, total_c: bool) -> list[Pair]:
    """Return one comparison per treated label of a group, those without a pool in both arms left out."""
    first = controls.iloc[0]
    alike = f", mean of {len(controls)}" if len(controls) > 1 else ""
    control_id = f"{first['treatment_level'] or first['label']} (record {first['record']}{alike})"
    arms = [arm for _, arm in treated.groupby(treated["label"].str.casefold(), sort=False)]
    carbon = _carbon(controls, arms, total_c)
    pairs = []
    for arm in arms:
        shares = _given(controls, carbon) and _given(arm, carbon)
        if not shares and not (_given(controls, _NECROMASS) and _given(arm, _NECROMASS)):
            continue
        one = arm.iloc[0]
        kind = rules.kind(one["study"], one["named"], one["label"])
        label = str(one["treatment_level"] or one["label"])
        both = _given(controls, "soil_C") and _given(arm, "soil_C")
        pairs.append(Pair(control_id, controls.index, arm.index, kind, label, carbon if shares else "", both))
    return pairs


def _carbon(controls: pd.DataFrame, arms: Sequence[pd.DataFrame], total_c: bool) -> str:
    """Return the column that serves as SOC of a control and of all that is compared to it, or ``""``."""
    candidates = _SOC if total_c else _SOC[:1]
    return next((c for c in candidates if _given(controls, c) and any(_given(arm, c) for arm in arms)), "")


def _given(rows: pd.DataFrame, column: str) -> bool:
    return bool(column) and bool(rows[column].notna().any())


def means(rows: pd.DataFrame, columns: Mapping[str, str]) -> dict[str, float]:
    """Return the means of an arm's rows, by the names of the columns to come; NaN where no row gives a value."""
    return {name: float(rows[column].mean()) for name, column in columns.items()}
