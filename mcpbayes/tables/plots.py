"""Layout plot: replicate plots become arms, and everything that their plots do not agree on is named."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.api.typing import SeriesGroupBy

from mcpbayes.errors import Problem
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.checks import called
from mcpbayes.tables.columns import CONTROL, ROLES
from mcpbayes.tables.layouts import RHO, arm_columns, shared_df_column
from mcpbayes.tables.moderators import PREFIX, moderator_columns
from mcpbayes.tables.naming import canonical_order, counted
from mcpbayes.tables.opening import Opened
from mcpbayes.tables.plot_moments import ARM, BLOCK, CONTROL_KEY, Moments, plot_moments

PLOT: Final = "plot"
#: What the plots of one arm have in common; a control's are the same whatever stands in treatment and comparison.
_OF_TREATED: Final = ("treatment", "comparison")
#: What plots of one arm must agree on, and what is averaged over them, where it is a number.
_SHARED: Final = ("site", "depth_top", "depth_bottom", "date", "duration_years", "design")
_AVERAGED: Final = ("latitude", "longitude")
#: Correlation from which two pools are taken for one.
_ONE: Final = 1 - 1e-6


def arms_of_plots(opened: Opened, data: DataSection) -> tuple[Opened, dict[int, int], list[Problem]]:
    """Return the arms of a table of plots, as a table of the layout arm.

    Parameters
    ----------
    opened : Opened
        One row per plot.
    data : DataSection
        Pools.

    Returns
    -------
    arms : Opened
        One row per arm, named by its first spreadsheet row: mean, CV and n of each pool, the correlation of the pools.
    arm_of_plot : dict of int to int
        Row of a plot → row of its arm.
    problems : list of Problem
        What plots of one arm do not agree on, and what they do not tell.
    """
    plots = _keyed(opened.frame, data.outcomes)
    problems = [*_repeated(plots, opened.names), *_differing(plots, opened), *_averaged(plots, opened.names)]
    moments = plot_moments(plots, data.outcomes)
    number_of_plot = dict(zip(plots.index.tolist(), plots[ARM].tolist(), strict=True))
    problems += at_plots(_moment_problems(moments, opened.names, _called(plots)), number_of_plot)
    frame = _circumstances(plots, data.outcomes)
    names = dict(opened.names)
    for outcome in data.outcomes:
        columns = arm_columns("arm", outcome, CONTROL)
        of_pool = {columns.mean: moments.mean, columns.cv: moments.cv, columns.own_n: moments.n.where(moments.n > 0)}
        frame = frame.assign(**{name: table[outcome] for name, table in of_pool.items()})
        names |= dict.fromkeys(of_pool, opened.names.get(outcome, outcome))
        if moments.shared_df[outcome].notna().any():
            frame[shared_df_column(outcome)] = moments.shared_df[outcome]
    if not np.isnan(moments.rho):
        frame[RHO] = moments.rho
    first = plots.index.to_series().groupby(plots[ARM]).min()
    arm_of_plot = {row: int(first[number]) for row, number in number_of_plot.items()}
    return replace(opened, frame=frame.set_index(first.loc[frame.index].to_numpy()), names=names), arm_of_plot, problems


def at_arms(problems: Sequence[Problem], arm_of_plot: Mapping[int, int]) -> list[Problem]:
    """Return problems of plots as problems of their arms."""
    return [replace(p, rows=tuple(sorted({arm_of_plot.get(row, row) for row in p.rows}))) for p in problems]


def at_plots(problems: Sequence[Problem], arm_of_plot: Mapping[int, int]) -> list[Problem]:
    """Return problems of arms with the rows of all their plots."""
    plots: dict[int, list[int]] = {}
    for row, arm in arm_of_plot.items():
        plots.setdefault(arm, []).append(row)
    return [replace(p, rows=tuple(row for arm in p.rows for row in plots.get(arm, [arm]))) for p in problems]


def _keyed(frame: pd.DataFrame, outcomes: Sequence[str]) -> pd.DataFrame:
    """Return the plots of known arms, in an order that does not depend on the file, with the number of their arm."""
    plots = frame[(frame["study"] != "") & (frame["control_id"] != "") & frame["role"].isin(ROLES)]
    for name in (name for name in _OF_TREATED if name in plots):
        plots = plots.assign(**{name: plots[name].where(plots["role"] != CONTROL, "")})
    keys = _keys(plots)
    order = [*keys, *(name for name in (BLOCK, PLOT) if name in plots), *outcomes]
    order += [str(name) for name in plots if name not in order]
    plots = plots.iloc[canonical_order(plots, order)]
    return plots.assign(**{ARM: plots.groupby(keys, sort=False).ngroup()})


def _keys(plots: pd.DataFrame) -> list[str]:
    return [*CONTROL_KEY, "role", *(name for name in _OF_TREATED if name in plots)]


def _circumstances(plots: pd.DataFrame, outcomes: Sequence[str]) -> pd.DataFrame:
    """Return what names and places each arm: shared texts and numbers, means of what is averaged.

    Coordinates are averaged over a control and all that is treated against it: they name one site.
    """
    located = {name: _mean_of(plots.groupby(CONTROL_KEY)[name]) for name in _AVERAGED if name in plots}
    by_arm = plots.assign(**located).groupby(ARM, sort=True)
    columns = {}
    for name in plots.columns.difference([*outcomes, ARM, BLOCK, PLOT], sort=False):
        if pd.api.types.is_numeric_dtype(plots[name]):
            columns[name] = _mean_of(by_arm[name]).groupby(plots[ARM]).first()
        else:
            columns[name] = by_arm[name].agg(lambda cells: next((cell for cell in sorted(cells) if cell), ""))
    return pd.DataFrame(columns)


def _mean_of(group: "SeriesGroupBy[Any, Any]") -> pd.Series:
    """Return the mean of each row's group; of equal numbers the number itself, from which a mean may differ."""
    low = group.transform("min")
    return low.where(low == group.transform("max"), group.transform("mean"))


def _repeated(plots: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return an error for each plot that an arm has twice."""
    if PLOT not in plots:
        return []
    named = plots[plots[PLOT] != ""]
    key = [ARM, PLOT, *([BLOCK] if BLOCK in plots else [])]
    return [
        Problem(
            "repeated-plot",
            "the arm has several rows of one plot",
            rows=tuple(rows.index),
            column=names[PLOT],
            value=str(rows[PLOT].iloc[0]),
            expected="one row per plot",
            remedy="Give each plot its own name; for several depths or dates give each its own control_id.",
        )
        for _, rows in named[named.duplicated(key, keep=False)].groupby(key)
    ]


def _differing(plots: pd.DataFrame, opened: Opened) -> list[Problem]:
    """Return an error for each arm whose plots differ in what makes an arm: place, depth, date, category."""
    texts = [name for name in moderator_columns(plots) if not pd.api.types.is_numeric_dtype(plots[name])]
    problems = []
    for name in [*(name for name in _SHARED if name in plots), *texts]:
        given = plots[plots[name].notna() & (plots[name] != "")]
        apart = given[given.groupby(ARM)[name].transform("nunique") > 1]
        column = opened.names.get(name.removeprefix(PREFIX), name.removeprefix(PREFIX))
        for _, rows in apart.groupby(ARM):
            problems.append(
                Problem(
                    "plots-differ",
                    "plots of one arm differ in what they must share",
                    rows=tuple(rows.index),
                    column=column,
                    value=" / ".join(dict.fromkeys(opened.raw.loc[sorted(rows.index), column])),
                    expected="one value in all plots of an arm",
                    remedy="Tell the arms apart: another control_id for each depth, date or site, with its own control "
                    "plots, or another comparison.",
                )
            )
    return problems


def _averaged(plots: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return a note for each number that differs among plots of one arm and was averaged."""
    shared = {PREFIX + name for name in _SHARED}
    numeric = [n for n in moderator_columns(plots) if n not in shared and pd.api.types.is_numeric_dtype(plots[n])]
    problems = []
    for name in [*(name for name in _AVERAGED if name in plots), *numeric]:
        differ = plots[plots.groupby(ARM)[name].transform("nunique") > 1]
        if len(differ):
            column = names.get(name.removeprefix(PREFIX), name.removeprefix(PREFIX))
            message = f"the mean over its plots is used in {differ[ARM].nunique()} of {plots[ARM].nunique()} arms"
            problems.append(Problem("averaged-over-plots", message, "note", rows=tuple(differ.index), column=column))
    return problems


def _called(plots: pd.DataFrame) -> dict[int, str]:
    """Return what each arm is called, by its number."""
    return {int(arm[ARM]): called(arm) for _, arm in plots.drop_duplicates(ARM).iterrows()}


def _moment_problems(moments: Moments, names: Mapping[str, str], arms: Mapping[int, str]) -> list[Problem]:
    """Return what plots do not tell, and what was done with blocks and correlation; rows are numbers of arms."""
    problems = []
    for outcome in moments.mean:
        column, default = names.get(str(outcome), str(outcome)), f"data.defaults.cv.{outcome} is used and counted"
        single = moments.n.index[moments.n[outcome] == 1]
        if len(single):
            have = f"{counted(len(single), 'arm')} {'has' if len(single) == 1 else 'have'}"
            message = f"{have} a single plot of {outcome}, which tells no SD: {default}"
            problems.append(Problem("single-plot", message, "warning", rows=tuple(single), column=column))
        constant = moments.constant[str(outcome)]
        if constant:
            message = (
                f"all plots of {counted(len(constant), 'arm')} have the same {outcome}, which tells no SD: {default}"
            )
            remedy = "If one value was copied into all plots, keep it in one of them."
            problems.append(Problem("equal-plots", message, "warning", rows=constant, column=column, remedy=remedy))
        problems += _incomplete_blocks(moments, str(outcome), column, arms)
    blocked = {arm for arms_of_pool in moments.blocked.values() for arm in arms_of_pool}
    if blocked:
        message = (
            f"block effects were taken out of the error of {len(blocked)} arms: the arms of one control share one CV"
        )
        problems.append(Problem("blocks-taken-out", message, "note", column=names.get(BLOCK, BLOCK)))
    return problems + _correlation_problems(moments)


def _incomplete_blocks(moments: Moments, outcome: str, column: str, arms: Mapping[int, str]) -> list[Problem]:
    """Return a warning that names the arms and blocks on account of which the blocks of a pool are not complete."""
    unblocked, gaps = moments.unblocked[outcome], moments.gaps[outcome]
    if not unblocked:
        return []
    return [
        Problem(
            "incomplete-blocks",
            f"blocks are not complete for {outcome}: the SD of {counted(len(unblocked), 'arm')} includes the blocks",
            "warning",
            rows=tuple(gaps),
            column=column,
            value="; ".join(f"{arms[arm]} {said}" for arm, said in gaps.items()),
            expected="one plot in each block, in every arm of a control",
            remedy="Complete them, or leave them: what blocks differ by then counts as error.",
        )
    ]


def _correlation_problems(moments: Moments) -> list[Problem]:
    if np.isnan(moments.rho):
        return []
    if abs(moments.rho) > _ONE:
        return [
            Problem(
                "pools-proportional",
                "necromass and SOC of the plots go together perfectly: they are one measurement",
                value=f"correlation {moments.rho:.6f}",
                expected="two pools, measured separately",
                remedy="Analyse the one that was measured: --set 'data.outcomes=[\"soc\"]'.",
            )
        ]
    message = (
        f"the correlation of the pools over the plots of an arm is {moments.rho:.2f}, estimated from all arms of the "
        f"table ({moments.freedom} degrees of freedom)"
    )
    return [Problem("correlation-from-plots", message, "note")]
