"""From a layout to comparisons: one row per comparison, with the cells of its control and of its treated arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.tables.columns import (
    CONTROL,
    DISPERSIONS,
    ROLES,
    SINGLE_ARM,
    TREATMENT,
    columns,
    dispersion_column,
    mean_column,
    measured,
    n_columns,
)
from mcpbayes.tables.moderators import moderator_columns
from mcpbayes.tables.schema import FILL_IN

#: Column with the spreadsheet row of the control.
CONTROL_ROW: Final = "control_row"
RHO: Final = "rho_within"
#: What tells the controls of a table apart.
_KEY: Final = ["study", "control_id"]


@dataclass(frozen=True)
class ArmColumns:
    """The columns of one pool in one arm: its mean, what its spread is given as, its replicates."""

    mean: str
    sd: str
    se: str
    cv: str
    own_n: str
    n: str

    @property
    def cells(self) -> tuple[str, ...]:
        """All of them."""
        return self.mean, self.sd, self.se, self.cv, self.own_n, self.n


def arm_columns(layout: str, outcome: str, role: str) -> ArmColumns:
    """Return the columns of a pool in the arm of a role; where a row is an arm, both roles have the same."""
    sd, se, cv = (dispersion_column(layout, outcome, role, kind) for kind in DISPERSIONS)
    return ArmColumns(mean_column(layout, outcome, role), sd, se, cv, *n_columns(layout, outcome, role))


def roles_of_row(layout: str) -> tuple[str, ...]:
    """Return the roles under which one row of a layout holds an arm; of a single arm the columns have no role."""
    return (TREATMENT,) if layout in SINGLE_ARM else ROLES


def cells_of(frame: pd.DataFrame, column: str) -> pd.Series:
    """Return the numbers of a column, NaN where the table has no such column."""
    return frame[column] if column in frame else pd.Series(np.nan, frame.index)


def rho_column(role: str) -> str:
    """Return the name, in a frame of comparisons, of the column with ϱ of the arm of a role."""
    return f"{RHO}_{role}"


def shared_df_column(outcome: str) -> str:
    """Return the name of the column with the degrees of freedom of a CV that a control shares with its treated arms."""
    return f"shared_df_{outcome}"


def comparisons(
    frame: pd.DataFrame, names: Mapping[str, str], layout: str, outcomes: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, str], list[Problem]]:
    """Return one row per comparison, whatever the layout (comparison, arm, plots made arms, or contrast).

    Parameters
    ----------
    frame : DataFrame
        Typed cells in canonical columns, moderators included; spreadsheet row as index.
    names : mapping of str to str
        Canonical name → the user's.
    layout : str
        Layout of the frame.
    outcomes : sequence of str
        Pools, in the order of the outcome dimension.

    Returns
    -------
    rows : DataFrame
        All columns of the layout ``comparison`` (or ``contrast``) in catalogue order, those that the table lacks
        empty, ``rho_within_control`` and ``rho_within_treatment``, ``control_row``, shared degrees of freedom where
        there are any, moderators in order of name.
    names : dict of str to str
        Name in `rows` → the user's column.
    problems : list of Problem
        Arms without partner.
    """
    if layout in SINGLE_ARM:
        rows, names, problems = _paired(frame, names, outcomes)
    else:
        rho = {rho_column(role): frame[RHO] for role in ROLES if RHO in frame}
        rows, problems = frame.assign(**rho, **{CONTROL_ROW: frame.index}), []
    catalogue = columns("contrast" if layout == "contrast" else "comparison", outcomes)
    empty = {c.name: np.nan if c.kind == "number" else "" for c in catalogue} | dict.fromkeys(
        map(rho_column, ROLES), np.nan
    )
    absent = {name: value for name, value in empty.items() if name not in rows}
    shared = [name for name in map(shared_df_column, outcomes) if name in rows]
    ordered = [*empty, CONTROL_ROW, *shared, *moderator_columns(rows)]
    return rows.assign(**absent)[ordered], dict(names), problems


def _paired(
    frame: pd.DataFrame, names: Mapping[str, str], outcomes: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, str], list[Problem]]:
    """Return the rows of the arm layout joined with their control's, under the names of the layout comparison."""
    frame = frame[(frame["study"] != "") & (frame["control_id"] != "")]
    controls, treated = frame[frame["role"] == CONTROL], frame[frame["role"] == TREATMENT]
    single = frame.drop_duplicates()
    problems = [*_repeated_controls(single, names), *_without_control(single, names), *_without_treated(single, names)]
    if "treatment" in frame:
        nameless = treated.index[treated["treatment"] == ""]
        if len(nameless):
            problems.append(
                Problem(
                    "empty-treatment",
                    "the treated arm has no treatment",
                    rows=tuple(nameless),
                    column=names["treatment"],
                    value="",
                    expected="what was done",
                    remedy=FILL_IN,
                )
            )
    treated = treated[treated.get("treatment", pd.Series("treatment", treated.index)) != ""]
    first = controls.drop_duplicates(_KEY).assign(**{CONTROL_ROW: lambda rows: rows.index})
    joined = treated.reset_index(names="row").merge(first, on=_KEY, suffixes=("", " of control")).set_index("row")
    arm_names = {}
    rows = pd.DataFrame(
        {name: joined[name] for name in [*_KEY, CONTROL_ROW, *_given(("treatment", "comparison"), joined)]}
    )
    for stem in measured(outcomes):
        source = arm_columns("arm", stem, TREATMENT)
        for role, suffix in ((CONTROL, " of control"), (TREATMENT, "")):
            target = arm_columns("comparison", stem, role)
            for old, new in zip(source.cells, target.cells, strict=True):
                if old in frame:
                    rows[new], arm_names[new] = joined[old + suffix], names[old]
    if RHO in frame:
        rows[rho_column(CONTROL)], rows[rho_column(TREATMENT)] = joined[f"{RHO} of control"], joined[RHO]
    of_arms = {cell for stem in measured(outcomes) for cell in arm_columns("arm", stem, TREATMENT).cells}
    for name in frame.columns.difference([*rows, *of_arms, "role", RHO]):
        own = joined[name]
        rows[name] = own.where(own.notna() & (own != ""), joined[f"{name} of control"])
    return rows, {**names, **arm_names}, problems


def _given(wanted: Sequence[str], frame: pd.DataFrame) -> list[str]:
    return [name for name in wanted if name in frame]


def _repeated_controls(frame: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return an error for each control that is there twice."""
    controls = frame[frame["role"] == CONTROL]
    return [
        _problem_of_control(
            "two-controls",
            f"study {study!r} has {len(rows)} control rows of one control_id",
            rows,
            names,
            "one control row per study and control_id",
            "Give different controls different ids; take out what is there twice. If every row is one replicate plot: "
            "--set data.layout=plot.",
        )
        for study, rows in _by_control(controls[_ids(controls).duplicated(keep=False)])
    ]


def _without_control(frame: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return an error for treated arms without control; a row whose role cannot be read may be the one looked for."""
    treated, possible = frame[frame["role"] == TREATMENT], frame[frame["role"] != TREATMENT]
    return [
        _problem_of_control(
            "treatment-without-control",
            f"study {study!r} has no control row of this control_id",
            rows,
            names,
            "a row with role control, the same study and the same control_id",
            "Add the control's row, or correct the control_id.",
        )
        for study, rows in _by_control(treated[~_ids(treated).isin(_ids(possible))])
    ]


def _without_treated(frame: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return a warning for controls that nobody is compared to."""
    controls, treated = frame[frame["role"] == CONTROL], frame[frame["role"] == TREATMENT]
    alone = controls[~_ids(controls).isin(_ids(treated))]
    if alone.empty:
        return []
    return [
        Problem(
            "control-without-comparison",
            f"{len(alone)} of {len(controls)} controls have no treated arm and are left out",
            "warning",
            rows=tuple(alone.index),
            column=names["control_id"],
            value="; ".join((alone["study"] + ": " + alone["control_id"]).astype(str)),
            expected="a treated row of the same study and control_id",
        )
    ]


def _ids(rows: pd.DataFrame) -> pd.MultiIndex:
    """Return study and control_id of arms: what a control shares with the arms treated against it."""
    return pd.MultiIndex.from_frame(rows[_KEY])


def _by_control(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each control with the name of their study."""
    return [(str(study), arms) for (study, _), arms in rows.groupby(_KEY)]


def _problem_of_control(
    check: str, message: str, rows: pd.DataFrame, names: Mapping[str, str], expected: str, remedy: str
) -> Problem:
    """Return an error of the arms that name one control."""
    control = str(rows["control_id"].iloc[0])
    return Problem(
        check,
        message,
        rows=tuple(rows.index),
        column=names["control_id"],
        value=control,
        expected=expected,
        remedy=remedy,
    )
