"""Fungal necromass that is nothing, or not to be told from nothing: missing in that arm, and counted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.errors import Problem
from mcpbayes.measurement.factor_draws import PartFactors
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import CONTROL, DISPERSIONS, INTERVALS, dispersion_column, mean_column
from mcpbayes.tables.layouts import CONTROL_ROW, arm_columns, roles_of_row
from mcpbayes.tables.opening import Opened
from mcpbayes.tables.part_arms import BACTERIAL_SHARE, of_parts, with_factors_of_parts
from mcpbayes.vocabulary import FUNGAL_NECROMASS, PARTS, SOC

#: Standard error of a log mean from which on the mean is not to be told from nothing.
FAINT: Final = 0.5
#: What becomes of an arm whose fungal necromass is nothing, or not to be told from nothing.
MISSING_THERE: Final = "the fungal pool is missing there, the other pools of the arm are used"


def without_fungi(opened: Opened, data: DataSection) -> tuple[Opened, list[Problem]]:
    """Return a table in which means of fungal necromass of zero or less are missing, and a warning for each column.

    Parameters
    ----------
    opened : Opened
        Cells of a layout with arms; the table of another layout, or without the pool, stays as it is.
    data : DataSection
        Layout and outcomes.

    Notes
    -----
    Zero or less says that bacteria, with the factors behind the number, explain all glucosamine: it has no logarithm,
    and cutting it off at a small number would make one up. The other pools of the arm are used as they are.
    """
    if FUNGAL_NECROMASS not in data.outcomes or data.layout in ("contrast", "plot"):
        return opened, []
    frame, problems = opened.frame, list(_not_positive(opened, data))
    for role in roles_of_row(data.layout):
        mean = mean_column(data.layout, FUNGAL_NECROMASS, role)
        if mean in frame:
            bad = frame[mean] <= 0
            # what is given of its spread is that of a pool that is not there
            kinds = (*DISPERSIONS, *INTERVALS)
            cells = [mean, *(dispersion_column(data.layout, FUNGAL_NECROMASS, role, kind) for kind in kinds)]
            frame = frame.assign(**{name: frame[name].where(~bad, np.nan) for name in cells if name in frame})
    return replace(opened, frame=frame), problems


def controls_as_read(rows: pd.DataFrame, read: pd.DataFrame, data: DataSection) -> pd.DataFrame:
    """Return the rows with the cells of their controls' fungal necromass as the table has them, zero or less included.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, of a table from `without_fungi`.
    read : DataFrame
        The cells before that.
    data : DataSection
        Layout and outcomes; other layouts name their controls.

    Notes
    -----
    Rows share a control by what was reported of it, whether or not that can be used.
    """
    mean, *others = arm_columns("comparison", FUNGAL_NECROMASS, CONTROL).cells
    if FUNGAL_NECROMASS not in data.outcomes or data.layout != "comparison" or mean not in read:
        return rows
    cells = read.loc[rows.index]
    there = [name for name in (mean, *others) if name in cells]
    return rows.assign(**{name: rows[name].where(~(cells[mean] <= 0), cells[name]) for name in there})


def without_faint_fungi(arms: xr.Dataset, rows: pd.DataFrame, rho_b: float) -> tuple[xr.Dataset, list[Problem]]:
    """Return arms whose fungal necromass is missing where it is less than two standard errors above zero.

    Parameters
    ----------
    arms : xarray.Dataset
        With sampling covariances; fungal necromass is an outcome.
    rows : DataFrame
        One row per comparison in canonical order, for the places of the arms in the table.
    rho_b : float
        The largest ϱ_b of any fit: an arm is not to have a fungal pool in one fit and none in another.

    Returns
    -------
    arms : xarray.Dataset
    problems : list of Problem
        A warning that counts and names them; an error for comparisons with no pool left.

    Notes
    -----
    The standard error of the log mean is to first order that of the mean over the mean: above 1/2 the mean is less than
    two standard errors from zero, its logarithm far from normal, and the correction CV²/(2n) larger than 1/8, without a
    bound. The model would then give such an arm the fungi of its neighbours.
    """
    at_most = arms
    if of_parts(arms):
        factors = PartFactors(float(arms.attrs["k_B"]), float(arms.attrs["k_F"]), rho_b)
        at_most = with_factors_of_parts(arms, factors, bias_correction=False)
    faint = faint_fungi(at_most)
    if not faint.any():
        return arms, []
    arms = without_pool(arms, faint)
    row_of_arm = _rows_of_arms(arms, rows)
    there = np.isfinite(arms["log_mean"].transpose("arm", "outcome").values)
    informed = there[~arms["treated"].values][_control_places(arms)] & there[arms["treated"].values]
    pool = arms["outcome"].values.astype(str).tolist().index(FUNGAL_NECROMASS)
    count, missing = int(faint.sum()), int((~informed[:, pool]).sum())
    problems = [
        Problem(
            "fungal-necromass-faint",
            f"in {count} arm{'s' if count > 1 else ''} fungal necromass is not to be told from nothing: it is less "
            f"than two standard errors above zero; {MISSING_THERE}. With {'them' if count > 1 else 'it'} the fungal "
            f"pool is missing in {missing} of {len(rows)} comparisons",
            "warning",
            rows=tuple(dict.fromkeys(row_of_arm[faint].tolist())),
            value="; ".join(arms["arm"].values[faint].astype(str)),
            expected=f"a standard error of the log mean up to {FAINT:g}",
            remedy="Check the means and their SDs; more plots, or a more exact measurement, would tell.",
        )
    ]
    if not informed.any(axis=1).all():
        problems.append(
            Problem(
                "no-pool-in-both-arms",
                "without fungal necromass that is not to be told from nothing there is nothing to compare",
                rows=tuple(int(row) for row in rows.index[~informed.any(axis=1)]),
                expected="control and treated mean of at least one pool",
                remedy="Fill in means of the other pools, or take the row out.",
            )
        )
    return arms, problems


def controls_left_out(arms: xr.Dataset) -> str:
    """Return of how many controls r₀ at the levels mean and new is, and what that does to it; empty where of all.

    Parameters
    ----------
    arms : xarray.Dataset
        Arms, or group ``data`` of a result, with fungal and bacterial necromass and SOC as outcomes.

    Notes
    -----
    Fungal necromass that is nothing, or not to be told from nothing, is missing, so that those are left out whose
    fungal share is the smallest.
    """
    own = arms["log_mean"].sel(outcome=[*PARTS, SOC]).transpose("arm", "outcome").values[~arms["treated"].values]
    there = np.isfinite(own)
    total, complete, fungal = len(own), int(there.all(axis=1).sum()), int((~there[:, 0]).sum())
    if not fungal:
        return ""
    are = f"{fungal} {'are' if fungal > 1 else 'is'} left out for want of fungal necromass"
    return (
        f"r₀ at the levels mean and new is of {complete} of {total} control{'s' if total > 1 else ''}: {are}; where "
        "there is none, or next to none, the fungal share of r₀ is too high without them"
    )


def faint_fungi(arms: xr.Dataset) -> NDArray[np.bool_]:
    """Return in which arms the standard error of ln fungal necromass is above `FAINT`."""
    at = {"outcome": FUNGAL_NECROMASS, "outcome_bis": FUNGAL_NECROMASS}
    return np.asarray(arms["sampling_covariance"].sel(at).values > FAINT**2)


def without_pool(arms: xr.Dataset, here: NDArray[np.bool_]) -> xr.Dataset:
    """Return arms without fungal necromass in some of them: as if it had not been measured there."""
    gone = xr.DataArray(here, dims="arm") & (arms["outcome"] == FUNGAL_NECROMASS)
    either = gone | gone.rename(outcome="outcome_bis")
    numbers = [name for name in ("mean", "log_mean", "cv", "n", "cv_sample", "cv_draw") if name in arms]
    changed = {name: arms[name].where(~gone) for name in numbers}
    changed |= {name: arms[name].where(~gone, "") for name in ("source_sd", "source_n")}
    covariance = arms["sampling_covariance"]
    changed["sampling_covariance"] = covariance.where(~either.transpose(*covariance.dims))
    changed["source_rho"] = arms["source_rho"].where(changed["mean"].notnull().sum("outcome") > 1, "")
    if BACTERIAL_SHARE in arms:
        changed[BACTERIAL_SHARE] = arms[BACTERIAL_SHARE].where(~xr.DataArray(here, dims="arm"), 0.0)
    if "source_necromass" in arms:
        either_part = changed["mean"].sel(outcome=list(PARTS)).notnull().any("outcome")
        changed["source_necromass"] = arms["source_necromass"].where(either_part, "")
    return arms.assign({name: values.drop_vars(list(values.coords)) for name, values in changed.items()})


def _control_places(arms: xr.Dataset) -> NDArray[np.intp]:
    """Return the place of each treated arm's control among the controls, which come first."""
    treated, control = arms["treated"].values, arms["control_of_arm"].values.astype(str)
    places = {name: place for place, name in enumerate(control[~treated])}
    return np.array([places[name] for name in control[treated]], dtype=np.intp)


def _rows_of_arms(arms: xr.Dataset, rows: pd.DataFrame) -> NDArray[np.int64]:
    """Return the spreadsheet row of every arm; of a control that several rows hold the first."""
    own = np.asarray(rows.index, dtype=np.int64)
    of_control = pd.Series(rows[CONTROL_ROW].to_numpy(np.int64)).groupby(_control_places(arms)).min()
    return np.concatenate([of_control.to_numpy(), own])


def _not_positive(opened: Opened, data: DataSection) -> Iterator[Problem]:
    for role in roles_of_row(data.layout):
        mean = mean_column(data.layout, FUNGAL_NECROMASS, role)
        if mean not in opened.frame or not (bad := opened.frame[mean] <= 0).any():
            continue
        cells = opened.raw.loc[bad[bad].index, opened.names[mean]]
        yield Problem(
            "fungal-necromass-missing",
            f"in {int(bad.sum())} row{'s' if bad.sum() > 1 else ''} fungal necromass is nothing: zero or less; "
            f"{MISSING_THERE}",
            "warning",
            rows=tuple(int(row) for row in cells.index),
            column=str(cells.name),
            value=", ".join(dict.fromkeys(cells.astype(str))),
            expected="a number above 0",
            remedy="Check both amino sugars and the factors behind the number; a zero may be a negative value cut off.",
        )
