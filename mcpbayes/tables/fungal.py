"""Fungal necromass that is not positive, or hardly: missing in that arm, or named; every such arm is counted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes.errors import Problem
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import DISPERSIONS, INTERVALS, dispersion_column, mean_column
from mcpbayes.tables.layouts import roles_of_row
from mcpbayes.tables.opening import Opened
from mcpbayes.vocabulary import FUNGAL_NECROMASS

#: Standard error of a log mean from which on the mean may as well be next to nothing.
FAINT: Final = 0.5


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


def hardly_any_fungi(arms: xr.Dataset) -> list[Problem]:
    """Return a warning for arms whose fungal necromass is less than two standard errors above zero.

    Parameters
    ----------
    arms : xarray.Dataset
        With sampling covariances; without fungal necromass among the outcomes there is nothing to say.

    Notes
    -----
    The standard error of the log mean is to first order that of the mean over the mean: above 1/2 the mean is less than
    two standard errors from zero, its logarithm far from normal, and the correction CV²/(2n) larger than 1/8.
    """
    if FUNGAL_NECROMASS not in arms["outcome"].values:
        return []
    at = {"outcome": FUNGAL_NECROMASS, "outcome_bis": FUNGAL_NECROMASS}
    faint = arms["arm"].values[arms["sampling_covariance"].sel(at).values > FAINT**2]
    if not len(faint):
        return []
    return [
        Problem(
            "fungal-necromass-faint",
            f"in {len(faint)} arms fungal necromass is less than two standard errors above zero: its logarithm says "
            "little, and its error only roughly; they are kept as they are",
            "warning",
            value="; ".join(faint.astype(str)),
            expected=f"a standard error of the log mean up to {FAINT:g}",
            remedy="See how much hangs on them: leave their glucosamine empty, so that their fungal pool is missing.",
        )
    ]


def _not_positive(opened: Opened, data: DataSection) -> Iterator[Problem]:
    for role in roles_of_row(data.layout):
        mean = mean_column(data.layout, FUNGAL_NECROMASS, role)
        if mean not in opened.frame or not (bad := opened.frame[mean] <= 0).any():
            continue
        cells = opened.raw.loc[bad[bad].index, opened.names[mean]]
        yield Problem(
            "fungal-necromass-missing",
            f"fungal necromass is zero or less in {int(bad.sum())} row{'s' if bad.sum() > 1 else ''}: it is missing "
            "there, and the other pools of the arm are used",
            "warning",
            rows=tuple(int(row) for row in cells.index),
            column=str(cells.name),
            value=", ".join(dict.fromkeys(cells.astype(str))),
            expected="a number above 0",
            remedy="Check both amino sugars and the factors behind the number; a zero may be a negative value cut off.",
        )
