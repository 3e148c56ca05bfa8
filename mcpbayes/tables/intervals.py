"""Confidence intervals of means: what is wrong with them, and the standard errors that they stand for."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.measurement.dispersion import se_from_ci
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import CI_LEVEL, INTERVALS, dispersion_column, measured
from mcpbayes.tables.layouts import ArmColumns, arm_columns, cells_of, roles_of_row
from mcpbayes.tables.opening import Opened

#: Confidence level of an interval whose row does not say it.
USUAL_LEVEL: Final = 0.95
#: Part of its half-width by which the middle of an interval may miss the mean, besides rounding.
LOPSIDED: Final = 0.1


@dataclass(frozen=True)
class _Interval:
    """The columns of the interval of one pool in one arm."""

    arm: ArmColumns
    outcome: str
    half: str
    lower: str
    upper: str


def ci_level(frame: pd.DataFrame) -> pd.Series:
    """Return the confidence level of each row's intervals."""
    return cells_of(frame, CI_LEVEL).fillna(USUAL_LEVEL)


def width_of_bounds(frame: pd.DataFrame, lower: str, upper: str) -> pd.Series:
    """Return upper minus lower bound, NaN where one is missing or they are reversed."""
    width = cells_of(frame, upper) - cells_of(frame, lower)
    return width.where(width > 0)


def interval_problems(opened: Opened, data: DataSection) -> list[Problem]:
    """Return errors for bounds that are no interval around the mean, warnings of doubtful middles and of assumed n."""
    problems = []
    for interval in _intervals(data):
        problems += _lone_bounds(opened, interval)
        if {interval.arm.mean, interval.lower, interval.upper} <= set(opened.frame):
            problems += _misplaced(opened, interval)
            problems += _lopsided(opened, interval) if "study" in opened.frame else []
    return problems + _without_n(opened, data)


def with_standard_errors(opened: Opened, data: DataSection) -> Opened:
    """Return the table with SEs in the place of intervals, where neither SD, SE nor CV is given.

    Notes
    -----
    SE = width / (2 t); where n is not known, its default stands in, and is counted as such.
    """
    frame, names = opened.frame, dict(opened.names)
    found = {}
    for interval in _intervals(data):
        arm, columns = interval.arm, [name for name in (interval.half, interval.upper) if name in frame]
        if not columns:
            continue
        n = cells_of(frame, arm.own_n).fillna(cells_of(frame, arm.n)).fillna(data.defaults.n)
        bounds = width_of_bounds(frame, interval.lower, interval.upper)
        width = bounds.fillna(2 * cells_of(frame, interval.half))
        silent = cells_of(frame, arm.sd).isna() & cells_of(frame, arm.cv).isna()
        derived = pd.Series(se_from_ci(width, n, ci_level(frame)), frame.index).where(silent)
        found[arm.se] = cells_of(frame, arm.se).fillna(derived)
        names.setdefault(arm.se, names[columns[0]])
    return replace(opened, frame=frame.assign(**found), names=names)


def _intervals(data: DataSection) -> Iterator[_Interval]:
    for outcome in measured(data.outcomes):
        for role in roles_of_row(data.layout):
            columns = (dispersion_column(data.layout, outcome, role, kind) for kind in INTERVALS)
            yield _Interval(arm_columns(data.layout, outcome, role), outcome, *columns)


def _lone_bounds(opened: Opened, interval: _Interval) -> list[Problem]:
    """Return an error for bounds without the other; cells that could not be read are there."""
    typed = {name: opened.raw[opened.names[name]] for name in (interval.lower, interval.upper) if name in opened.names}
    if not typed:
        return []
    empty = pd.Series("", opened.raw.index)
    lower, upper = (typed.get(name, empty) for name in (interval.lower, interval.upper))
    alone = opened.raw.index[(lower == "") != (upper == "")]
    if alone.empty:
        return []
    columns = ", ".join(opened.names.get(name, name) for name in (interval.lower, interval.upper))
    return [
        Problem(
            "one-bound",
            "one bound of the interval is missing",
            rows=tuple(alone),
            column=columns,
            value="",
            expected="both bounds, or none",
            remedy=f"Fill in the other bound, or give the half-width in {interval.half}.",
        )
    ]


def _misplaced(opened: Opened, interval: _Interval) -> list[Problem]:
    frame, cells = opened.frame, (interval.arm.mean, interval.lower, interval.upper)
    mean, lower, upper = (frame[name] for name in cells)
    bad = frame.index[(lower >= upper) | (mean < lower) | (mean > upper)]
    if bad.empty:
        return []
    columns = [opened.names[name] for name in cells]
    typed = opened.raw.loc[opened.raw.index.isin(bad), columns].agg(", ".join, axis=1)
    return [
        Problem(
            "mean-outside-interval",
            "the mean does not lie between the bounds of its interval",
            rows=tuple(int(row) for row in bad),
            column=", ".join(columns),
            value="; ".join(typed),
            expected="lower bound < mean < upper bound",
            remedy=f"Correct the cells; bounds, not distances from the mean, are meant ({interval.half} is one).",
        )
    ]


def _lopsided(opened: Opened, interval: _Interval) -> list[Problem]:
    """Return a warning for intervals whose middle is not the mean, beyond what rounding in print explains."""
    frame, cells = opened.frame, (interval.arm.mean, interval.lower, interval.upper)
    mean, lower, upper = (frame[name] for name in cells)
    rounding = sum(resolution(opened.raw[opened.names[name]], frame["study"]) for name in cells) / 2
    rounding *= opened.factors.get(interval.outcome, 1.0)
    miss = ((lower + upper) / 2 - mean).abs()
    bad = frame.index[(mean > lower) & (mean < upper) & (miss > LOPSIDED * (upper - lower) / 2 + rounding)]
    if bad.empty:
        return []
    return [
        Problem(
            "lopsided-interval",
            f"the mean is not in the middle of its interval in {len(bad)} row{'s' if len(bad) > 1 else ''}; the SE is "
            "taken from the width all the same",
            "warning",
            rows=tuple(bad),
            column=", ".join(opened.names[name] for name in cells),
            expected="bounds at the same distance from the mean: mean ± t SE",
            remedy="If the interval was made on a log scale or by resampling, give the SD or SE instead.",
        )
    ]


def _without_n(opened: Opened, data: DataSection) -> list[Problem]:
    """Return a warning for intervals whose SE hangs on an assumed n."""
    frame, counts, rows, columns = opened.frame, 0, set[int](), dict[str, None]()
    for interval in _intervals(data):
        arm = interval.arm
        width = width_of_bounds(frame, interval.lower, interval.upper).fillna(cells_of(frame, interval.half))
        given = (cells_of(frame, name).notna() for name in (arm.sd, arm.se, arm.cv, arm.own_n, arm.n))
        assumed = frame.index[width.notna() & cells_of(frame, arm.mean).notna() & ~pd.concat(given, axis=1).any(axis=1)]
        if len(assumed):
            counts, rows = counts + len(assumed), rows | {int(row) for row in assumed}
            columns |= {opened.names[name]: None for name in (interval.half, interval.lower) if name in opened.names}
    if not counts:
        return []
    return [
        Problem(
            "interval-without-n",
            f"{counts} interval{'s have' if counts > 1 else ' has'} no n; the SE is made with {data.defaults.n:g} plots"
            " (data.defaults.n): with fewer plots t is larger and the SE smaller",
            "warning",
            rows=tuple(sorted(rows)),
            column=", ".join(columns),
            expected="n, since t has n − 1 degrees of freedom",
            remedy="Give n of these arms, or their SD or SE.",
        )
    ]


def resolution(typed: pd.Series, study: pd.Series) -> pd.Series:
    """Return the last decimal place of numbers as typed, 0.1 for 12.5; NaN where the cell is empty.

    The finest of a study holds for all its cells: spreadsheets drop zeros at the end.
    """
    decimals = typed.str.extract(r"^[^eE.]*\.?([0-9]*)$", expand=False).str.len()
    last = (10.0 ** -decimals.astype(float)).fillna(0.0).where(typed != "")
    finest: pd.Series = last.groupby(study).transform("min")
    return finest
