"""Which rows share a control, and what controls are called: the rules of CONTRACTS, section 2."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcpbayes.errors import Problem
from mcpbayes.tables.columns import CONTROL, measured
from mcpbayes.tables.layouts import arm_columns
from mcpbayes.tables.naming import canonical_order, number_repeats
from mcpbayes.tables.schema import bad_rows
from mcpbayes.vocabulary import GLUCOSAMINE, MURAMIC_ACID, NECROMASS, PARTS

#: Where and when a control was sampled.
PLACE = ("site", "latitude", "longitude", "depth_top", "depth_bottom", "date")
#: Numbers of shared control cells that differ by no more than this relative amount are one number.
SAME = 1e-9


def group_controls(rows: pd.DataFrame, outcomes: Sequence[str]) -> pd.Series:
    """Return the group of every row; rows of one group share a control.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, from `mcpbayes.tables.layouts.comparisons`.
    outcomes : sequence of str
        Pools whose control cells, with those of amino sugars, identify a control; empty for contrasts, which share by
        ``control_id`` only.

    Returns
    -------
    Series of int
        With ``control_id``: one group per study and id. Without: one group per study, place and identical control
        cells, where all pools are present; else the row has its own control.
    """
    columns = {stem: arm_columns("comparison", stem, CONTROL) for stem in measured(outcomes)}
    cells = dict.fromkeys(cell for arm in columns.values() for cell in arm.cells)
    named = rows["control_id"] != ""
    there = {stem: rows[arm.mean].notna() for stem, arm in columns.items()}
    if GLUCOSAMINE in columns:
        for pool in (pool for pool in (NECROMASS, *PARTS) if pool in outcomes):
            there[pool] |= there[GLUCOSAMINE] & there[MURAMIC_ACID]
    alike = ~named & pd.DataFrame({outcome: there[outcome] for outcome in outcomes}, rows.index).all(axis=1)
    alike &= bool(outcomes)
    group = pd.Series(np.arange(len(rows)), rows.index)
    for which, keys in ((named, ["study", "control_id"]), (alike, ["study", *cells, *PLACE])):
        group[which] = rows[which].groupby(keys, dropna=False).ngroup() + (group.max() + 1)
    return group


def differing_controls(
    rows: pd.DataFrame,
    group: pd.Series,
    names: Mapping[str, str],
    raw: pd.DataFrame,
    strict: Sequence[str],
    silent: Sequence[str],
    known: Sequence[Problem] = (),
) -> list[Problem]:
    """Return one error per control and column in which the rows that name one control differ.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison.
    group : Series of int
        From `group_controls`.
    names : mapping of str to str
        Column of `rows` → the user's.
    raw : DataFrame
        The cells as typed.
    strict, silent : sequence of str
        Columns that belong to the control; an empty cell differs from a filled one in strict columns, but says
        nothing in silent ones.
    known : sequence of Problem
        What has been found already; cells with errors are not compared.
    """
    problems = []
    for column in (name for name in (*strict, *silent) if name in names):
        cells = rows[column][~rows.index.isin(bad_rows(known, names[column]))]
        by_group = _as_numbers(cells).groupby(group[cells.index].to_numpy())
        low, high, given = (by_group.transform(how) for how in ("min", "max", "count"))
        differ = high - low > SAME * high.abs()
        if column in strict:
            differ |= (given > 0) & (given < by_group.transform("size"))
        apart = cells.index[differ]
        for _, bad in rows.loc[apart].groupby(group[apart].to_numpy()):
            control = f"{bad['study'].iloc[0]}: {bad['control_id'].iloc[0]}"
            typed = raw.loc[bad.index, names[column]]
            problems.append(
                Problem(
                    "control-differs",
                    f"the rows share the control {control!r} but not its cells",
                    rows=tuple(bad.index),
                    column=names[column],
                    value=" / ".join(cell or "(empty)" for cell in typed.unique()),
                    expected="the same cells of the control in all rows of one study and control_id",
                    remedy="Correct the cells, or give different controls different control_ids.",
                )
            )
    return problems


def filled_from_group(rows: pd.DataFrame, group: pd.Series, columns: Sequence[str] = PLACE) -> pd.DataFrame:
    """Return the rows with the empty cells of some columns filled from other rows of the same control."""
    filled = {}
    for name in columns:
        text = not pd.api.types.is_numeric_dtype(rows[name])
        cells = rows[name].where(rows[name] != "", None) if text else rows[name]
        first = cells.groupby(group.to_numpy()).transform("first")
        filled[name] = first.where(first.notna(), "").astype(object) if text else first
    return rows.assign(**filled)


def _as_numbers(cells: pd.Series) -> pd.Series:
    """Return cells as numbers that are equal where the cells are; NaN where empty."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells
    codes = pd.Series(pd.factorize(cells)[0], cells.index, dtype=float)
    return codes.where(cells != "")


def name_controls(rows: pd.DataFrame, group: pd.Series, order: NDArray[np.int64]) -> tuple[pd.Series, list[str]]:
    """Return the name of each row's control, and the names of all controls in canonical order.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison.
    group : Series of int
        From `group_controls`.
    order : ndarray of int
        Positions that sort the rows by study, then by what numbers the controls of a study.

    Returns
    -------
    name : Series of str
        ``study: control_id``, else ``study: control 1``, ``study: control 2``, ... in the order given.
    controls : list of str
        Sorted by study and name in natural order; names that clash are numbered.
    """
    first = rows.assign(group=group).iloc[order].drop_duplicates("group")
    unnamed = first["control_id"] == ""
    number = unnamed.groupby(first["study"]).cumsum().astype(str)
    first["name"] = first["study"] + ": " + ("control " + number).where(unnamed, first["control_id"])
    first = first.iloc[canonical_order(first, ["study", "name"])]
    controls = number_repeats(list(first["name"]))
    return group.map(dict(zip(first["group"], controls, strict=True))).astype(object), controls


def control_rule(rows: pd.DataFrame, group: pd.Series, by_cells: bool) -> str:
    """Return one sentence: how many controls were found, and by which rule."""
    named = rows["control_id"] != ""
    total, by_id = group.nunique(), group[named].nunique()
    head = f"{total} control{'s' if total != 1 else ''} of {len(rows)} comparison{'s' if len(rows) != 1 else ''}"
    rules = []
    if by_id:
        rules.append(f"{by_id} by study and control_id")
    if total - by_id:
        rules.append(
            f"{total - by_id} {'by identical control cells and place' if by_cells else 'of a single row each'}"
        )
    return f"{head}: {', '.join(rules)}."
