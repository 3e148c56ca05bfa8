"""What a cell alone does not show: layers upside down, rows that repeat each other, pools without a partner."""

from collections.abc import Iterable, Mapping
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.columns import CONTROL, ROLES, TREATMENT
from mcpbayes.tables.layouts import arm_columns, cells_of
from mcpbayes.tables.moderators import PREFIX

#: Prefix of columns with cells as typed, which tell apart rows whose bad cells were emptied.
TYPED: Final = "typed "


def duplicated_rows(frame: pd.DataFrame, names: Mapping[str, str], apart: str = "comparison") -> list[Problem]:
    """Return an error for each set of rows that are the same in every column that is used.

    Parameters
    ----------
    frame : DataFrame
        Cells under canonical names, moderators under ``moderator_<name>``, cells as typed under `TYPED`.
    names : mapping of str to str
        Canonical name → the user's.
    apart : str
        The column that tells rows apart which are alike otherwise.
    """
    used = [str(name).removeprefix(PREFIX) for name in frame if not str(name).startswith(TYPED)]
    compared = ", ".join(dict.fromkeys(names.get(name, name) for name in used))
    twice = frame[frame.duplicated(keep=False)]
    sets = twice.groupby(list(twice), dropna=False, sort=False).ngroup() if len(twice) else pd.Series(dtype=int)
    return [
        Problem(
            "duplicated-row",
            "the rows are the same in every column that is used",
            rows=tuple(rows),
            column=compared,
            value=called(twice[twice.index == rows.iloc[0]].iloc[0]),
            expected="each row once",
            remedy=f"Take out what is there twice; name different {apart}s differently in a column {apart}.",
        )
        for _, rows in sets.index.to_series().groupby(sets.to_numpy())
    ]


def called(row: pd.Series) -> str:
    """Return what a row is called: ``study: treatment``, without a treatment its comparison or role."""
    what = next((str(row[name]) for name in ("treatment", "comparison", "role") if row.get(name)), "")
    return f"{row.get('study', '')}: {what}"


def depth_order(frame: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame) -> list[Problem]:
    """Return an error for each layer whose bottom is not below its top."""
    upside_down = frame.index[cells_of(frame, "depth_bottom") <= cells_of(frame, "depth_top")]
    return [
        Problem(
            "depth-order",
            "the bottom of the layer is not below its top",
            rows=(int(row),),
            column=names["depth_bottom"],
            value=str(raw.at[row, names["depth_bottom"]]),
            expected=f"more than the top, {str(raw.at[row, names['depth_top']])} cm: depths count downwards",
            remedy="Correct the depths; for a layer above the mineral soil give a negative top.",
        )
        for row in upside_down
    ]


def pools_in_both_arms(rows: pd.DataFrame, names: Mapping[str, str], outcomes: Iterable[str]) -> list[Problem]:
    """Return an error for comparisons that inform no pool, a note for each pool that some do not inform."""
    problems = []
    informed = pd.Series(False, rows.index)
    for outcome in outcomes:
        control, treated = (arm_columns("comparison", outcome, role).mean for role in (CONTROL, TREATMENT))
        has_control, has_treated = rows[control].notna(), rows[treated].notna()
        informed |= has_control & has_treated
        gap = ~(has_control & has_treated)
        if gap.any():
            neither = int((~has_control & ~has_treated).sum())
            problems.append(
                Problem(
                    "missing-pool",
                    f"{outcome} is missing in {int(gap.sum())} of {len(rows)} comparisons: in both arms of {neither}, "
                    f"in the control of {int((~has_control & has_treated).sum())}, in the treated arm of "
                    f"{int((has_control & ~has_treated).sum())}",
                    "note",
                    rows=tuple(rows.index[gap]),
                )
            )
    if not informed.all():
        needed = [names.get(arm_columns("comparison", o, role).mean, o) for o in outcomes for role in ROLES]
        problems.append(
            Problem(
                "no-pool-in-both-arms",
                "no pool was reported in both arms, so there is nothing to compare",
                rows=tuple(rows.index[~informed]),
                column=", ".join(dict.fromkeys(needed)),
                value="",
                expected="control and treated mean of at least one pool",
                remedy="Fill in the means, or take the row out.",
            )
        )
    return problems
