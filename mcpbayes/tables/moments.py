"""Means, CVs and replicates of arms: what was reported, what follows from it, what is assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.measurement import effect_sizes
from mcpbayes.measurement.dispersion import cv_from_sd, sd_from_se
from mcpbayes.specification.structure import Defaults
from mcpbayes.tables.columns import CONTROL, TREATMENT
from mcpbayes.tables.labels import texts
from mcpbayes.tables.layouts import arm_columns, rho_column
from mcpbayes.tables.naming import number_repeats
from mcpbayes.vocabulary import DERIVED, IMPUTED, REPORTED

Array = NDArray[np.float64]
Texts = NDArray[np.object_]


@dataclass(frozen=True)
class Reported:
    """What the table says of the arms: arrays (arm, outcome), NaN where silent; ``rho`` (arm,)."""

    mean: Array
    sd: Array
    se: Array
    cv: Array
    n: Array
    rho: Array


def used_n(reported: Reported, default: float) -> tuple[Array, Texts]:
    """Return the replicates (arm, outcome) and where they come from; NaN and ``""`` where the pool is missing.

    Notes
    -----
    SD and SE together say n = (SD/SE)²: derived, rounded to a whole number.
    """
    implied = np.round((reported.sd / reported.se) ** 2)
    return _first((reported.n, REPORTED), (np.where(implied >= 2, implied, np.nan), DERIVED), default, reported.mean)


def used_cv(reported: Reported, n: Array, default: Array) -> tuple[Array, Texts]:
    """Return the CVs (arm, outcome) and where they come from: an SD is reported, from CV or SE it is derived.

    Notes
    -----
    With an assumed n, SE √n is an assumption, too, but CV²/n = (SE/mean)² is not.
    """
    from_sd = cv_from_sd(reported.sd, reported.mean)
    derived = np.where(np.isnan(reported.cv), cv_from_sd(sd_from_se(reported.se, n), reported.mean), reported.cv)
    return _first((from_sd, REPORTED), (derived, DERIVED), default, reported.mean)


def arm_dataset(
    rows: pd.DataFrame, controls: Sequence[str], outcomes: Sequence[str], defaults: Defaults, bias_correction: bool
) -> xr.Dataset:
    """Return the arms: controls in canonical order, then treated arms in the order of the comparisons.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison in canonical order, from `mcpbayes.tables.labels.name_rows`; means in one unit.
    controls : sequence of str
        Names of the controls in canonical order.
    outcomes : sequence of str
        Pools, in the order of the outcome dimension.
    defaults : Defaults
        n, CVs and ϱ where the table is silent.
    bias_correction : bool
        Whether CV²/(2n) is added to each log mean.
    """
    reported = reported_cells(rows, controls, outcomes)
    n, source_n = used_n(reported, defaults.n)
    cv, source_sd = used_cv(reported, n, np.array([defaults.cv[outcome] for outcome in outcomes]))
    rho = np.where(np.isnan(reported.rho), defaults.rho_within, reported.rho)
    paired = (~np.isnan(reported.mean)).sum(axis=1) > 1
    source_rho = np.where(paired, np.where(np.isnan(reported.rho), IMPUTED, REPORTED), "").astype(object)
    treated = np.arange(len(rho)) >= len(controls)
    arms = number_repeats([*rows["name"], *_apart(controls, rows["name"])])
    arms = arms[len(rows) :] + arms[: len(rows)]
    per_arm = ("arm", "outcome")
    return xr.Dataset(
        {
            "log_mean": (per_arm, effect_sizes.log_mean(reported.mean, cv, n, bias_correction=bias_correction)),
            "sampling_covariance": ((*per_arm, "outcome_bis"), effect_sizes.sampling_covariance(cv, n, rho)),
            "mean": (per_arm, reported.mean),
            "cv": (per_arm, cv),
            "n": (per_arm, n),
            "rho_within": ("arm", rho),
            "source_sd": (per_arm, source_sd),
            "source_n": (per_arm, source_n),
            "source_rho": ("arm", source_rho),
            "treated": ("arm", treated),
            "control_of_arm": ("arm", texts([*controls, *rows["control"]])),
            "arm_of_comparison": ("comparison", texts(arms[len(controls) :])),
        },
        coords={"arm": texts(arms), "outcome": texts(outcomes), "outcome_bis": texts(outcomes)},
    )


def imputed_counts(data: xr.Dataset) -> dict[str, object]:
    """Return how many arms have an assumed SD and n, by pool, and an assumed ϱ."""
    counts: dict[str, object] = {}
    for key in ("sd", "n"):
        count = (data[f"source_{key}"] == IMPUTED).sum("arm")
        counts[key] = {str(outcome): int(count.sel(outcome=outcome)) for outcome in data["outcome"].to_numpy()}
    return counts | {"rho_within": int((data["source_rho"] == IMPUTED).sum())}


def _first(
    reported: tuple[Array, str], derived: tuple[Array, str], default: float | Array, mean: Array
) -> tuple[Array, Texts]:
    """Return the first value that is there, and its source; nothing where the mean is missing."""
    given, there = np.isnan(reported[0]), np.isnan(derived[0])
    value = np.where(given, np.where(there, default, derived[0]), reported[0])
    source = np.where(given, np.where(there, IMPUTED, derived[1]), reported[1])
    missing = np.isnan(mean)
    return np.where(missing, np.nan, value), np.where(missing, "", source).astype(object)


def reported_cells(rows: pd.DataFrame, controls: Sequence[str], outcomes: Sequence[str]) -> Reported:
    """Return the cells of the arms as arrays, controls first; `outcomes` may be amino sugars, too."""
    by_control = rows.groupby("control", sort=False)
    parts: Mapping[str, pd.DataFrame] = {
        CONTROL: rows.drop_duplicates("control").set_index("control").loc[list(controls)],
        TREATMENT: rows,
    }
    # rows of one control may report different correlations; the median does not depend on their order
    rho = by_control[rho_column(CONTROL)].median().loc[list(controls)]

    def stacked(cell: str) -> Array:
        halves = [
            part[[getattr(arm_columns("comparison", outcome, role), cell) for outcome in outcomes]].to_numpy(float)
            for role, part in parts.items()
        ]
        return np.concatenate(halves)

    own, shared = stacked("own_n"), stacked("n")
    return Reported(
        mean=stacked("mean"),
        sd=stacked("sd"),
        se=stacked("se"),
        cv=stacked("cv"),
        n=np.where(np.isnan(own), shared, own),
        rho=np.concatenate([rho.to_numpy(float), rows[rho_column(TREATMENT)].to_numpy(float)]),
    )


def _apart(controls: Sequence[str], comparisons: Sequence[str] | pd.Series) -> list[str]:
    """Return the names of the control arms: `` (control)`` is added where a comparison has the same name."""
    taken = set(comparisons)
    return [f"{control} (control)" if control in taken else control for control in controls]
