"""Spreads that look like something else than what their column says: one assumed constant, standard errors."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import pdtrc, zeta

from mcpbayes.errors import Problem
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import measured
from mcpbayes.tables.intervals import resolution
from mcpbayes.tables.layouts import ArmColumns, arm_columns, cells_of, roles_of_row
from mcpbayes.tables.naming import natural_order
from mcpbayes.tables.opening import Opened

#: From this many SDs a pattern in them is spoken of; of one study, from so many.
ENOUGH_SDS: Final = 5
ENOUGH_OF_STUDY: Final = 4
#: From this many studies with enough SDs one of them is compared with the others.
ENOUGH_STUDIES: Final = 6
#: Studies that measured do not have one CV to the last digit: from this many on one value is a pattern.
STUDIES_OF_CONSTANT: Final = 3
#: Relative rounding of a CV above which it tells nothing about constants.
COARSEST: Final = 0.05
#: Probability, in all tables without assumed SDs, of calling a CV constant that is not.
CHANCE: Final = 1e-3
#: Typical CV below which SDs are taken for SEs: field plots vary by 10 to 20 per cent, in either pool.
SMALL_CV: Final = 0.03
#: A study's SDs are taken for SEs so many standard deviations below the other studies', and by this factor at least.
FAR: Final = 4.0
SMALLER: Final = 1.5


def dispersion_notes(opened: Opened, data: DataSection) -> list[Problem]:
    """Return warnings for a table without SDs, for SDs that are one constant share of their means, or look like SEs.

    Parameters
    ----------
    opened : Opened
        Cells of a layout with arms; plots made arms have no SDs to be doubted.
    data : DataSection
        Layout, outcomes and defaults.
    """
    cells = _cells(opened, data)
    if cells[["sd", "se", "cv"]].isna().all(axis=None):
        message = (
            "there is no SD, SE or CV in the table: the split between sampling error and heterogeneity is assumed, by "
            "data.defaults.cv and data.defaults.n"
        )
        return [Problem("no-sd", message, "warning", remedy="Add what the papers report; rows may stay empty.")]
    if data.layout == "plot":
        return []
    cells = cells.assign(cv=cells["cv"].fillna(cells["sd"] / cells["mean"]))
    return constant_cvs(cells) + sds_like_ses(cells)


def _cells(opened: Opened, data: DataSection) -> pd.DataFrame:
    """Return one row per arm and pool: what is given of its spread, n, and the rounding of its CV."""
    frame, parts = opened.frame, []
    for outcome in measured(data.outcomes):
        for role in roles_of_row(data.layout):
            arm = arm_columns(data.layout, outcome, role)
            n = cells_of(frame, arm.own_n).fillna(cells_of(frame, arm.n)).fillna(data.defaults.n)
            parts.append(
                pd.DataFrame(
                    {
                        "row": frame.index,
                        "study": frame["study"],
                        "pool": outcome,
                        "column": opened.names.get(arm.sd, opened.names.get(arm.cv, "")),
                        **{key: cells_of(frame, getattr(arm, key)) for key in ("mean", "sd", "se", "cv")},
                        "n": n,
                        "rounding": np.nan if data.layout == "plot" else _rounding_of_cv(opened, arm),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _rounding_of_cv(opened: Opened, arm: ArmColumns) -> pd.Series:
    """Return the relative rounding of CVs: of the cell where a CV is typed, else of mean and SD together."""
    return _rounding(opened, arm.cv).fillna(_rounding(opened, arm.mean) + _rounding(opened, arm.sd))


def _rounding(opened: Opened, column: str) -> pd.Series:
    """Return half of the last decimal of numbers as typed, relative to them; the finest of a study holds for all."""
    if column not in opened.names or column not in opened.frame:
        return pd.Series(np.nan, opened.frame.index)
    typed = opened.raw[opened.names[column]]
    return resolution(typed, opened.frame["study"]) / 2 / pd.to_numeric(typed, errors="coerce").abs()


def constant_cvs(cells: pd.DataFrame) -> list[Problem]:
    """Return a warning for each pool of which several studies have one CV to the last digit; at once for all pools.

    Parameters
    ----------
    cells : DataFrame
        One row per arm and pool: row, study, pool, column, mean, sd, cv, rounding.

    Notes
    -----
    CVs are one where they agree within the rounding of the cells. Studies that measured agree by chance with a
    probability of about twice the rounding (ln CV varies by 0.4 between studies at least), so that their number is
    Poisson; a value is called constant where more studies agree than in a thousandth of tables.
    """
    known = cells[cells["cv"].notna() & (cells["rounding"] < COARSEST)]
    once = known.drop_duplicates(["study", "pool", "mean", "sd", "cv"])
    problems = []
    whole, same = _commonest(once)
    if len(once) >= ENOUGH_SDS and same.all() and once["study"].nunique() < STUDIES_OF_CONSTANT:
        return [_constant(known, cells[cells["cv"].notna()], whole)]
    for pool, own in once.groupby("pool", sort=False):
        value, same = _commonest(own)
        if same.sum() >= ENOUGH_SDS and _beyond_chance(own, same):
            of_pool = known[known["pool"] == pool]
            agree = (of_pool["cv"] / value - 1).abs() <= of_pool["rounding"]
            problems.append(_constant(of_pool[agree], cells[(cells["pool"] == pool) & cells["cv"].notna()], value))
    return problems


def _commonest(cells: pd.DataFrame) -> tuple[float, NDArray[np.bool_]]:
    """Return the CV that most cells agree with within their rounding, and which ones do."""
    cv, rounding = cells["cv"].to_numpy(float), cells["rounding"].to_numpy(float)
    if not len(cv):
        return float("nan"), np.zeros(0, dtype=bool)
    scale = 10.0 ** (3 - np.floor(np.log10(cv)))
    values = np.unique(np.concatenate([np.rint(cv * scale) / scale, np.round(cv[cv >= 0.005], 2)]))
    # those that begin at or below a value, less those that end below it
    begun = np.searchsorted(np.sort(cv / (1 + rounding)), values, side="right")
    best = float(values[np.argmax(begun - np.searchsorted(np.sort(cv / (1 - rounding)), values))])
    return best, np.abs(cv / best - 1) <= rounding


def _beyond_chance(cells: pd.DataFrame, same: NDArray[np.bool_]) -> bool:
    """Say whether more studies agree, in at least half of their cells, than studies that measured would."""
    by_study = cells.assign(same=same).groupby("study")
    agreeing = int((by_study["same"].mean() >= 0.5).sum())
    expected = float(np.minimum(1.0, 2 * by_study["rounding"].mean()).sum())
    chance = float(pdtrc(agreeing - 1, expected)) * len(by_study)
    return agreeing >= STUDIES_OF_CONSTANT and chance < CHANCE


def _constant(found: pd.DataFrame, given: pd.DataFrame, value: float) -> Problem:
    pools = " and ".join(dict.fromkeys(given["pool"]))
    count = "all" if len(found) == len(given) else f"{len(found)} of"
    studies = found["study"].nunique()
    return Problem(
        "constant-cv",
        f"{count} {len(given)} SDs of {pools} are {value:.3g} times their mean"
        + (f", in {studies} studies" if studies > 1 else "")
        + ": they look assumed, not measured",
        "warning",
        rows=tuple(sorted(set(found["row"]))),
        column=", ".join(dict.fromkeys(found["column"])),
        remedy="Leave assumed SDs empty; data.defaults.cv is used and counted.",
    )


def sds_like_ses(cells: pd.DataFrame) -> list[Problem]:
    """Return a warning for studies whose SDs are too small for field plots, or far smaller than those of the others.

    Parameters
    ----------
    cells : DataFrame
        One row per arm and pool: row, study, pool, column, mean, sd, cv, n; of shared controls several.

    Notes
    -----
    Compared are means of ln CV by study, each pool around its median over studies. They vary by the heterogeneity of
    studies, estimated from their median absolute deviation, and by chance: ln s of n plots has variance
    ζ(2, (n-1)/2)/4.
    """
    given = cells[cells["sd"].notna()].drop_duplicates(["study", "pool", "mean", "sd"])
    if len(given) < ENOUGH_SDS:
        return []
    studies = _of_studies(given)
    small = studies.index[studies["cv"] < SMALL_CV]
    far = studies.index[_far_below(studies)].difference(small)
    if given["cv"].median() < SMALL_CV and not len(small):
        small = pd.Index(given["study"].unique())
    problems = []
    if len(small):
        message = f"SDs are below {100 * SMALL_CV:g} % of their mean, less than field plots vary"
        problems.append(_like_ses(cells, small, message, studies))
    if len(far):
        message = "SDs are far smaller, relative to their means, than in the other studies"
        problems.append(_like_ses(cells, far, message, studies))
    return problems


def _of_studies(given: pd.DataFrame) -> pd.DataFrame:
    """Return by study the typical CV, ln CV relative to the other studies, and the variance of that by chance."""
    given = given.assign(log=np.log(given["cv"]), chance=_variance_of_log_sd(given["n"]))
    by_pool = given.groupby(["study", "pool"])["log"].mean().unstack()
    by_study = given.groupby("study")
    studies = pd.DataFrame(
        {
            "cv": np.exp(by_study["log"].mean()),
            "apart": by_pool.sub(by_pool.median()).mean(axis=1),
            "chance": by_study["chance"].mean() / by_study.size(),
        }
    )
    return studies[by_study.size() >= ENOUGH_OF_STUDY]


def _variance_of_log_sd(n: pd.Series) -> pd.Series:
    """Return the sampling variance of ln s of n plots."""
    quarter: pd.Series = zeta(2, (n - 1) / 2) / 4  # type: ignore[no-untyped-call]
    return quarter


def _far_below(studies: pd.DataFrame) -> NDArray[np.bool_]:
    if len(studies) < ENOUGH_STUDIES:
        return np.zeros(len(studies), dtype=bool)
    apart = studies["apart"] - studies["apart"].median()
    spread = (1.4826 * apart.abs().median()) ** 2
    heterogeneity = max(0.0, float(spread - studies["chance"].median()))
    limit = np.maximum(np.log(SMALLER), FAR * np.sqrt(heterogeneity + studies["chance"]))
    return np.asarray(apart < -limit)


def _like_ses(cells: pd.DataFrame, names: Sequence[str] | pd.Index, message: str, studies: pd.DataFrame) -> Problem:
    rows = cells[cells["study"].isin(names) & cells["sd"].notna()]
    ordered = natural_order(str(name) for name in names)
    typical = dict(zip(ordered, studies["cv"].reindex(ordered).tolist(), strict=True))
    told = [f"{name} ({100 * cv:.2g} %)" if np.isfinite(cv) else name for name, cv in typical.items()]
    others = studies["cv"].drop(index=ordered, errors="ignore")
    rest = f"; the others: {100 * others.median():.2g} %" if len(others) else ""
    return Problem(
        "sd-may-be-se",
        f"{message}, in {len(ordered)} stud{'ies' if len(ordered) > 1 else 'y'}: they may be SEs",
        "warning",
        rows=tuple(sorted(set(rows["row"]))),
        column=", ".join(dict.fromkeys(rows["column"])),
        value=", ".join(told) + rest,
        expected="standard deviations among plots",
        remedy="If they are standard errors, put them into the columns *_se.",
    )
