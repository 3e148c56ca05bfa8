"""What papers report of the spread among plots: statements that contradict each other, and more than can be."""

from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.measurement.dispersion import sd_from_ci, sd_from_cv, sd_from_se
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import dispersion_column, measured
from mcpbayes.tables.intervals import ci_level, width_of_bounds
from mcpbayes.tables.layouts import ArmColumns, arm_columns, cells_of, roles_of_row
from mcpbayes.tables.opening import Opened
from mcpbayes.tables.schema import bad_cells
from mcpbayes.vocabulary import FUNGAL_NECROMASS

#: Relative difference up to which SD, SE·√n and CV·mean count as one number: rounding in print.
ROUNDING: Final = 0.02
#: The same for intervals, whose bounds lose a larger part of their distance.
ROUNDING_OF_INTERVALS: Final = 0.05
#: CV above which an SD is taken for a wrong cell where n is not known.
LARGEST_CV: Final = 5.0
_WHICH_SPREAD: Final = (
    "Correct the cell: is it an SD, an SE, or a per cent value? Leave empty what is not known. Intervals are read with "
    "Student's t; one that was made with 1.96 is 1.96 SE."
)


def contradicting_dispersions(opened: Opened, data: DataSection) -> list[Problem]:
    """Return an error for each statement of an SD that contradicts another, or is larger than positive values allow.

    Parameters
    ----------
    opened : Opened
        Cells of a layout with arms.
    data : DataSection
        Layout and outcomes; amino sugars are looked at beside necromass.

    Notes
    -----
    Among n positive values the SD is at most √n times the mean (all but one of them zero), hence the SE at most the
    mean. Not so of fungal necromass, a difference, of which single plots may be negative; there so large a spread says
    that the mean is not to be told from nothing (`mcpbayes.tables.fungal.without_faint_fungi`).
    """
    problems = []
    for outcome in measured(data.outcomes):
        for role in roles_of_row(data.layout):
            arm = arm_columns(data.layout, outcome, role)
            sds = _stated_sds(opened.frame, arm, data.layout, outcome, role)
            apart = _apart(sds, arm)
            stated = sds[apart].notna().groupby(list(sds)).groups.values() if apart.any() else ()
            problems += [_contradiction(opened, sds.loc[rows].dropna(axis=1)) for rows in stated]
            if outcome != FUNGAL_NECROMASS:
                problems += _impossible(opened, sds[~apart], arm)
    return problems


def _stated_sds(frame: pd.DataFrame, arm: ArmColumns, layout: str, outcome: str, role: str) -> pd.DataFrame:
    """Return the SDs of one pool and arm that the columns state, each under the column it comes from."""
    mean, n = cells_of(frame, arm.mean), cells_of(frame, arm.own_n).fillna(cells_of(frame, arm.n))
    half, lower, upper = (dispersion_column(layout, outcome, role, kind) for kind in ("ci", "ci_lower", "ci_upper"))
    widths = {half: 2 * cells_of(frame, half), upper: width_of_bounds(frame, lower, upper)}
    return pd.DataFrame(
        {
            arm.sd: cells_of(frame, arm.sd),
            arm.se: sd_from_se(cells_of(frame, arm.se), n),
            arm.cv: sd_from_cv(cells_of(frame, arm.cv), mean),
            **{name: sd_from_ci(width, n, ci_level(frame)) for name, width in widths.items()},
        },
        index=frame.index,
    )


def _apart(sds: pd.DataFrame, arm: ArmColumns) -> pd.Series:
    """Return the rows whose SDs differ by more than rounding; `sds` has a column per statement."""
    plain = sds[[arm.sd, arm.se, arm.cv]]
    apart = plain.max(axis=1) > (1 + ROUNDING) * plain.min(axis=1)
    return apart | (sds.max(axis=1) > (1 + ROUNDING_OF_INTERVALS) * sds.min(axis=1))


def _contradiction(opened: Opened, given: pd.DataFrame) -> Problem:
    """Return the error of rows in which the same columns state SDs; the message spells out the first row."""
    names = {str(name): opened.names[str(name)] for name in given}
    spelt = ", ".join(f"{names[str(name)]} gives {sd:.4g}" for name, sd in given.iloc[0].items())
    first = f" in row {given.index[0]}" if len(given) > 1 else ""
    typed = opened.raw.loc[opened.raw.index.isin(given.index), list(names.values())].agg(", ".join, axis=1)
    return Problem(
        "dispersions-contradict",
        f"the SDs contradict each other: {spelt} {opened.unit}{first}",
        rows=tuple(int(row) for row in given.index),
        column=", ".join(names.values()),
        value="; ".join(typed),
        expected="one SD",
        remedy=_WHICH_SPREAD,
    )


def _impossible(opened: Opened, sds: pd.DataFrame, arm: ArmColumns) -> list[Problem]:
    frame = opened.frame.loc[sds.index]
    mean, n = cells_of(frame, arm.mean), cells_of(frame, arm.own_n).fillna(cells_of(frame, arm.n))
    limit = (1 + ROUNDING) * np.sqrt(n).fillna(LARGEST_CV) * mean
    large = sds.gt(limit, axis=0).assign(**{arm.se: cells_of(frame, arm.se) > (1 + ROUNDING) * mean})
    problems: list[Problem] = []
    for row in sds.index[large.any(axis=1)]:
        cell = opened.raw.loc[[row], opened.names[str(large.loc[row].idxmax())]]
        message, expected = "no positive values have so large a spread", "an SD of at most √n times the mean"
        problems += bad_cells("impossible-dispersion", message, cell, expected, _WHICH_SPREAD)
    return problems
