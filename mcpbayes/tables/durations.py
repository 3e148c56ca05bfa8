"""What a table needs for the two-pool model: durations, controls beside the treatment, SOC besides necromass."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes.errors import Problem
from mcpbayes.tables.schema import LEAVE_EMPTY, bad_rows
from mcpbayes.vocabulary import DURATION, NECROMASS, SOC

#: A design in which the control is the same plot at an earlier date. All designs are read as `_plain` makes them.
_BEFORE_AFTER: Final = re.compile(
    r"before (?:\w+ ){0,2}after|after (?:\w+ ){0,2}before|beforeafter|^ba$|"
    r"\bpre (?:\w+ ){0,2}post|\bpost (?:\w+ ){0,2}pre\b|\bprepost"
)
#: Designs that are before-after and have a control beside the treatment, and words that take this back.
_WITH_CONTROL: Final = re.compile(r"\bcontrol|\bbaci\b")
_WITHOUT_CONTROL: Final = re.compile(r"\buncontrolled|\b(?:without|no) (?:(?!with\b|and\b|till\b)\w+ ){0,2}control")
#: Designs whose control stands beside the treatment, in the words of papers.
_BESIDE: Final = re.compile(
    r"random|block|\bpair|latin|factor|split|strip|\bplots?\b|\bcontrol|\bbaci\b|side by side|adjacent|neighbour|"
    r"neighbor|\btrial|experiment|chronosequence|space for time|\brcbd?\b|\bcrd\b|\brct\b|gradient|survey|"
    r"observational|common garden|meso ?cosm|micro ?cosm|incubation|\bpots?\b"
)

#: Longest by shortest duration from which on durations are called different.
LEAST_SPAN: Final = 1.5

#: A control is saturated above 1 − so many standard errors of its ratio.
STANDARD_ERRORS: Final = 2.0


_FILL_IN: Final = "Fill in the years, or leave these rows out."


def rows_over_time(
    rows: pd.DataFrame, names: Mapping[str, str], known: Sequence[Problem]
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the comparisons whose control was sampled beside the treatment, and errors where durations are missing.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, from `mcpbayes.tables.layouts.comparisons`.
    names : mapping of str to str
        Canonical name → the user's.
    known : sequence of Problem
        What has been found already; a cell with an error is not called missing.

    Notes
    -----
    The model takes the control to be at its old steady state. Of a before-after pair it is the plot itself at an
    earlier date, and whatever else changed since then would be taken for the treatment's effect.
    """
    text = rows["design"].astype(str)
    plain = text.map(_plain)
    beside = plain.str.contains(_WITH_CONTROL) & ~plain.str.contains(_WITHOUT_CONTROL)
    paired_in_time = plain.str.contains(_BEFORE_AFTER) & ~beside
    kept, problems = rows[~paired_in_time], []
    unclear = ~paired_in_time & (plain != "") & ~plain.str.contains(_BESIDE)
    if unclear.any():
        problems.append(
            Problem(
                "unknown-design",
                f"{int(unclear.sum())} of {len(rows)} comparisons have a design that is not known; they are kept, "
                "their control taken to be sampled beside the treatment",
                "warning",
                rows=tuple(rows.index[unclear]),
                column=names["design"],
                value="; ".join(sorted(set(text[unclear]))),
                expected="words such as randomised blocks, paired plots, chronosequence, or before-after",
                remedy="Write before-after where the control is the same plot at an earlier date; otherwise none.",
            )
        )
    if paired_in_time.any():
        problems.append(
            Problem(
                "before-after",
                f"{int(paired_in_time.sum())} of {len(rows)} comparisons are before-after pairs and left out: their "
                "control is no plot at steady state beside the treatment",
                "error" if kept.empty else "warning",
                rows=tuple(rows.index[paired_in_time]),
                column=names["design"],
                value="; ".join(sorted(set(text[paired_in_time]))),
                expected="a control sampled beside the treatment",
                remedy="If there was one, correct the cell; otherwise analyse these pairs with the model arm-based.",
            )
        )
    return kept, problems + _missing(kept, names, known)


def not_left_empty(problems: Sequence[Problem], names: Mapping[str, str]) -> list[Problem]:
    """Return the problems with another remedy for bad durations: unlike other cells these may not be empty."""
    column = names.get(DURATION)
    return [
        replace(problem, remedy=_FILL_IN) if problem.column == column and problem.remedy == LEAVE_EMPTY else problem
        for problem in problems
    ]


def _plain(design: str) -> str:
    """Return a design in lower case, every run of other signs than letters and digits a space."""
    return re.sub(r"[_\W]+", " ", design).strip().lower()


def _missing(rows: pd.DataFrame, names: Mapping[str, str], known: Sequence[Problem]) -> list[Problem]:
    """Return an error for comparisons without duration."""
    column = names.get(DURATION, DURATION)
    gap = rows[DURATION].isna() & ~rows.index.isin(bad_rows(known, column))
    if not gap.any():
        return []
    absent = DURATION not in names
    return [
        Problem(
            "missing-duration",
            "the table has no column with durations" if absent else "the duration is missing",
            rows=tuple(rows.index[gap]),
            column=column,
            value=None if absent else "",
            expected="years between the start of the treatment and sampling",
            remedy=f"Name yours, --set data.columns.{DURATION}=NAME, or take the model arm-based, which needs none."
            if absent
            else _FILL_IN,
        )
    ]


def saturated_controls(data: xr.Dataset) -> tuple[list[str], list[Problem]]:
    """Return controls that leave no room for a pool beside necromass, and what is to be said of them.

    Parameters
    ----------
    data : Dataset
        Arms of a two-pool table.

    Notes
    -----
    r̂₀ > 1 − 2 SE with r̂₀ = exp(ln N − ln C) and SE = r̂₀ √(V_NN + V_CC − 2 V_NC), of controls with both pools.
    """
    arms = data.isel(arm=np.flatnonzero(~data["treated"].values.astype(bool)))
    log_mean = arms["log_mean"]
    covariance = arms["sampling_covariance"].sel(outcome=[NECROMASS, SOC], outcome_bis=[NECROMASS, SOC])
    v = covariance.transpose("arm", "outcome", "outcome_bis").values
    ratio = np.exp((log_mean.sel(outcome=NECROMASS) - log_mean.sel(outcome=SOC)).values)
    error = ratio * np.sqrt(v[:, 0, 0] + v[:, 1, 1] - 2 * v[:, 0, 1])
    full = ratio > 1 - STANDARD_ERRORS * error  # False where a pool is missing
    if not full.any():
        return [], []
    found = arms["control_of_arm"].values[full].astype(str).tolist()
    here = np.isin(data["control_of_comparison"].values.astype(str), found)
    shown = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in zip(found, ratio[full], strict=True))
    problem = Problem(
        "saturated-control",
        f"{len(found)} of {data.sizes['control']} controls are left out with their {int(here.sum())} comparisons: "
        f"within {STANDARD_ERRORS:g} standard errors necromass is all of their SOC, which leaves no second pool",
        "error" if here.all() else "warning",
        rows=tuple(int(row) for row in data["source_row"].values[here]),
        value=shown,
        expected="a necromass share of SOC clearly below 1",
        remedy="Check units and conversion factors of these rows; the model arm-based can take them.",
    )
    return found, [problem]


def equal_durations(years: pd.Series, name: str = DURATION) -> list[Problem]:
    """Return a warning where turnover rates cannot be told from changes of steady states, an error without any time.

    Parameters
    ----------
    years : Series
        Of the comparisons.
    name : str
        The user's name of the column.
    """
    after = years[years > 0]
    if after.empty:
        return [
            Problem(
                "equal-durations",
                "no duration is above 0, so that nothing is told of what a treatment does over time",
                rows=tuple(int(row) for row in years.index),
                column=name,
                expected="years between the start of the treatment and sampling",
                remedy="Correct the durations, or take the model arm-based, which needs none.",
            )
        ]
    low, high = float(after.min()), float(after.max())
    if high >= LEAST_SPAN * low:
        return []
    above = "" if len(after) == len(years) else " above 0"
    all_ = (
        f"all durations{above} are {low:g} years"
        if low == high
        else (f"all durations{above} lie between {low:g} and {high:g} years")
    )
    return [
        Problem(
            "equal-durations",
            f"{all_}: the turnover rates k are {'not' if low == high else 'hardly'} identified, and what the forecast "
            "says of other years comes from their prior",
            "warning",
            column=name,
            value=f"{low:g}" if low == high else f"{low:g} to {high:g}",
            expected=f"comparisons of several durations, the longest at least {LEAST_SPAN:g} times the shortest",
            remedy="After the run, mcpbayes forecast DIR --years 10,20,50 --turnover repeats it with rates fixed at "
            "quartiles of their prior, equal and crossed, and shows what hangs on them; unless they are fixed already.",
        )
    ]
