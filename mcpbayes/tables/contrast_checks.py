"""What is wrong or remarkable about rows of the layout contrast: nothing reported, covariances that cannot be."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes.errors import Problem
from mcpbayes.tables.columns import contrast_columns, pair_columns
from mcpbayes.tables.contrasts import control_columns, log_ratios, sampling_covariance
from mcpbayes.tables.schema import bad_cells
from mcpbayes.tables.shared_variance import TOLERANCE, Array, smallest_eigenvalue
from mcpbayes.tables.spreads import ROUNDING

#: Ratios of necromass to SOC above this are taken for per cent.
LARGEST_RATIO: Final = 2.0
#: Log ratios above this, a hundredfold change, are taken for per cent.
LARGEST_LOG_RATIO: Final = 4.6


def contrast_problems(
    rows: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame, outcomes: Sequence[str], rho: float
) -> list[Problem]:
    """Return the errors of single rows: nothing reported, no variance, covariances that cannot be."""
    y = log_ratios(rows, outcomes)
    problems = _unreported(rows, names, outcomes, y)
    for k, outcome in enumerate(outcomes):
        yi, vi, _ = contrast_columns(outcomes, outcome)
        bare = rows.index[~np.isnan(y[:, k]) & rows[vi].isna()]
        if len(bare):
            problems.append(
                Problem(
                    "missing-variance",
                    f"{names.get(yi, yi)} has no sampling variance",
                    rows=tuple(bare),
                    column=names.get(vi, vi),
                    value="",
                    expected="a number above 0",
                    remedy="Fill in the variance, or take the log ratio out.",
                )
            )
    for first, second in combinations(outcomes, 2):
        problems += _contradicting(rows, names, raw, outcomes, first, second)
    problems += _too_large(rows, names, raw, outcomes, y)
    covariance, _ = sampling_covariance(rows, outcomes, rho)
    variances = np.einsum("rkk->rk", covariance)
    bad = smallest_eigenvalue(covariance, variances) <= TOLERANCE
    pairs = _columns_of_pairs(names, outcomes)
    problems += [
        Problem(
            "not-positive-definite",
            "variances and covariance cannot go together",
            rows=(int(row),),
            column=", ".join(pairs),
            value=", ".join(str(raw.at[row, name]) for name in pairs),
            expected="a covariance smaller in size than √(product of the variances)",
            remedy="Correct the covariance; for a correlation use the column rho.",
        )
        for row in rows.index[bad]
    ]
    return problems + _ratio_problems(rows, names, raw)


def sharing_problems(rows: pd.DataFrame, names: Mapping[str, str], data: xr.Dataset) -> list[Problem]:
    """Return what is wrong or remarkable about what rows share through their controls.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison in canonical order.
    names : mapping of str to str
        Column of `rows` → the user's.
    data : Dataset
        From `mcpbayes.tables.contrasts.contrast_dataset`.
    """
    outcomes = list(data["outcome"].to_numpy())
    given = [name for name in control_columns(outcomes) if name in names]
    columns = ", ".join(names[name] for name in given)
    whole = data["sampling_covariance"].to_numpy()
    part = data["control_covariance"].sel(control=rows["control"].to_numpy()).to_numpy()
    excessive = rows.index[smallest_eigenvalue(whole - part, np.einsum("rkk->rk", whole)) < -TOLERANCE]
    unused = rows.index[rows[given].notna().any(axis=1) & (rows["control_id"] == "")]
    problems = []
    if len(excessive):
        problems.append(
            Problem(
                "control-exceeds-variance",
                "the control's part of the sampling covariance exceeds the whole: V − V_0 has a negative eigenvalue",
                rows=tuple(excessive),
                column=columns,
                expected="variances of the control's log mean, each part of the log ratio's variance",
                remedy="Correct v_control (CV²/n of the control) or leave it empty: then half the smallest V is taken.",
            )
        )
    if len(unused):
        problems.append(
            Problem(
                "control-variance-unused",
                "variances of controls are given without control_id, so no rows share a control",
                "warning",
                rows=tuple(unused),
                column=columns,
                remedy="Say in a column control_id which rows of a study share their control.",
            )
        )
    if assumed := data.attrs["assumed_control_variance"]:
        message = (
            f"what the rows of {assumed} of {data.sizes['control']} controls share is assumed: half of their smallest "
            "sampling covariance"
        )
        columns = " and ".join(contrast_columns(outcomes, outcome)[2] for outcome in outcomes)
        remedy = f"Give the variance of the control's log mean, CV²/n, in {columns}."
        problems.append(Problem("assumed-control-variance", message, "warning", remedy=remedy))
    return problems


def _unreported(rows: pd.DataFrame, names: Mapping[str, str], outcomes: Sequence[str], y: Array) -> list[Problem]:
    columns = ", ".join(names.get(yi, yi) for yi, _, _ in (contrast_columns(outcomes, o) for o in outcomes))
    empty, part = np.isnan(y).all(axis=1), np.isnan(y).any(axis=1)
    problems = []
    if empty.any():
        problems.append(
            Problem(
                "no-log-ratio",
                "no log ratio was reported",
                rows=tuple(rows.index[empty]),
                column=columns,
                value="",
                expected="the log ratio of at least one outcome",
                remedy="Fill it in, or take the row out.",
            )
        )
    if (part & ~empty).any():
        counts = ", ".join(
            f"{o} in {int(gap.sum())}" for o, gap in zip(outcomes, np.isnan(y).T, strict=True) if gap.any()
        )
        message = f"log ratios are missing: {counts} of {len(rows)} comparisons"
        problems.append(Problem("missing-pool", message, "note", rows=tuple(rows.index[part & ~empty])))
    return problems


def _too_large(
    rows: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame, outcomes: Sequence[str], y: Array
) -> list[Problem]:
    found: list[Problem] = []
    for k, outcome in enumerate(outcomes):
        large = rows.index[np.abs(np.nan_to_num(y[:, k])) > LARGEST_LOG_RATIO]
        if len(large):
            cells = raw.loc[large, names[contrast_columns(outcomes, outcome)[0]]]
            message = "the number is far too large for a log ratio"
            remedy = "Turn a change p in per cent into ln(1 + p/100), a plain ratio into its logarithm."
            found += bad_cells("not-a-log-ratio", message, cells, "ln(treated/control)", remedy)
    return found


def _contradicting(
    rows: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame, outcomes: Sequence[str], first: str, second: str
) -> list[Problem]:
    cov, rho, _ = pair_columns(outcomes, first, second)
    variances = [rows[contrast_columns(outcomes, outcome)[1]] for outcome in (first, second)]
    implied = rows[rho] * np.sqrt(variances[0] * variances[1])
    apart = (rows[cov] - implied).abs() > ROUNDING * np.maximum(rows[cov].abs(), implied.abs())
    return [
        Problem(
            "cov-and-rho-contradict",
            f"{names[cov]} and {names[rho]} contradict each other",
            rows=(int(row),),
            column=names[cov],
            value=str(raw.at[row, names[cov]]),
            expected=f"{implied[row]:.4g}, as {names[rho]} says",
            remedy="Correct one of them, or leave it empty.",
        )
        for row in rows.index[apart]
    ]


def _ratio_problems(rows: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame) -> list[Problem]:
    """Return what is wrong or remarkable about the control's ratio of necromass to SOC."""
    ratio = rows["mcp_efficacy_control"]
    problems = [
        Problem(
            "ratio-not-a-fraction",
            "the control's ratio is far above 1",
            rows=(int(row),),
            column=names["mcp_efficacy_control"],
            value=str(raw.at[row, names["mcp_efficacy_control"]]),
            expected="a fraction, necromass/SOC",
            remedy="Divide per cent by 100.",
        )
        for row in rows.index[ratio > LARGEST_RATIO]
    ]
    above = rows.index[(ratio > 1) & (ratio <= LARGEST_RATIO)]
    if len(above):
        message = f"necromass exceeds SOC in {len(above)} of {len(rows)} controls; they are kept as they are"
        problems.append(Problem("necromass-exceeds-soc", message, "warning", rows=tuple(above)))
    return problems


def _columns_of_pairs(names: Mapping[str, str], outcomes: Sequence[str]) -> list[str]:
    """Return the user's columns of covariances and correlations."""
    pairs = [pair_columns(outcomes, first, second)[:2] for first, second in combinations(outcomes, 2)]
    return [names[name] for pair in pairs for name in pair if name in names]
