"""Rows in canonical order with their names, and the part of the Dataset that both families have."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes.specification.formula import Design
from mcpbayes.tables.columns import CONTROL, TREATMENT
from mcpbayes.tables.controls import name_controls
from mcpbayes.tables.layouts import CONTROL_ROW, arm_columns
from mcpbayes.tables.levels import site_names
from mcpbayes.tables.moderators import moderator_columns
from mcpbayes.tables.naming import canonical_order, natural_order, number_repeats


def name_rows(
    rows: pd.DataFrame, group: pd.Series, kind: pd.Series, outcomes: Sequence[str], layout: str
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows in canonical order with the names of kind, site, control and comparison.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, from `mcpbayes.tables.layouts.comparisons`.
    group : Series of int
        Rows of one group share a control.
    kind : Series of str
        Kind of treatment of each row.
    outcomes : sequence of str
        Pools, in the order of the outcome dimension.
    layout : str
        Layout of the table.

    Returns
    -------
    rows : DataFrame
        Sorted by study, control, name of the comparison, then values, all in natural order: the order of the file
        leaves no trace. New columns: ``kind``, ``site_name``, ``control``, ``name``.
    controls : list of str
        Names of the controls in canonical order.
    """
    values = [str(name) for name in rows if name != CONTROL_ROW and rows[name].nunique(dropna=False) > 1]
    label = rows["comparison"].where(rows["comparison"] != "", rows["treatment"])
    arms = {role: [arm_columns("comparison", o, role).mean for o in sorted(outcomes)] for role in (CONTROL, TREATMENT)}
    if layout == "contrast":
        numbering = ["study", "label", *values]
        arms[TREATMENT] = []
    else:
        numbering = ["study", *arms[CONTROL], "depth_top", "depth_bottom", "date", *values]
    rows = rows.assign(kind=kind, label=label, site_name=site_names(rows))
    control, controls = name_controls(rows, group, canonical_order(rows, numbering))
    name = (rows["study"] + ": " + label).where(label != "", control + " treated")
    rows = rows.assign(control=control, name=name, position=control.map({c: i for i, c in enumerate(controls)}))
    rows = rows.iloc[canonical_order(rows, ["study", "position", "name", *arms[TREATMENT], *values])]
    return rows.assign(name=number_repeats(list(rows["name"]))).drop(columns=["label", "position"]), controls


def hierarchy_dataset(rows: pd.DataFrame, controls: Sequence[str], design: Design) -> xr.Dataset:
    """Return names, who belongs to whom, the design matrix and the moderators.

    Parameters
    ----------
    rows : DataFrame
        From `name_rows`, in canonical order.
    controls : sequence of str
        Names of the controls in canonical order.
    design : Design
        Design matrix of the rows.
    """
    of_control = rows.drop_duplicates("control").set_index("control").loc[list(controls)]
    matrix = xr.Variable(("comparison", "coefficient"), design.matrix, {"recipe": design.recipe})
    variables: dict[str, object] = {
        "study_of_control": ("control", texts(of_control["study"])),
        "site_of_control": ("control", texts(of_control["site_name"])),
        "control_of_comparison": ("comparison", texts(rows["control"])),
        "study_of_comparison": ("comparison", texts(rows["study"])),
        "site_of_comparison": ("comparison", texts(rows["site_name"])),
        "kind_of_comparison": ("comparison", texts(rows["kind"])),
        "treatment": ("comparison", texts(rows["treatment"].where(rows["treatment"] != "", rows["kind"]))),
        "source_row": ("comparison", rows.index.to_numpy(np.int64)),
        "design": matrix,
    }
    for column in moderator_columns(rows):
        numeric = pd.api.types.is_numeric_dtype(rows[column])
        variables[column] = ("comparison", rows[column].to_numpy(float) if numeric else texts(rows[column]))
    coords: Mapping[str, Sequence[str]] = {
        "study": natural_order(rows["study"]),
        "site": list(dict.fromkeys(of_control["site_name"].iloc[canonical_order(of_control, ["study", "site_name"])])),
        "control": list(controls),
        "comparison": list(rows["name"]),
        "kind": natural_order(rows["kind"]),
        "coefficient": list(design.coefficients),
    }
    return xr.Dataset(variables, coords={dim: texts(names) for dim, names in coords.items()})


def texts(values: Sequence[str] | pd.Series) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Return names as an array of plain str, which survives saving and loading."""
    return np.array(list(values), dtype=object)
