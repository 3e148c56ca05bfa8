"""What was analysed: one row per comparison with both arms, their sampling covariance and what was imputed."""

from collections.abc import Iterator
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group

_ROLES: Final = ("control", "treatment")

#: Column → variable of group ``data`` that names and places a comparison.
_PLACES: Final = {
    "comparison": "comparison",
    "study": "study_of_comparison",
    "site": "site_of_comparison",
    "control": "control_of_comparison",
    "kind": "kind_of_comparison",
    "treatment": "treatment",
    "source_row": "source_row",
}


def comparison_table(result: xr.DataTree) -> pd.DataFrame:
    """Return one row per comparison: names, source row, what was analysed, and what was imputed.

    Parameters
    ----------
    result : DataTree
        With group ``data``.

    Returns
    -------
    DataFrame
        ``comparison``, ``study``, ``site``, ``control``, ``kind``, ``treatment``, ``source_row``, then, for example,
        ``log_mean_necromass_control`` (ln g/kg, of stocks ln Mg/ha), ``v_necromass_control`` (sampling variance of the
        log mean), ``cov_control`` (between the pools; ``cov_necromass_soc_control`` with more than two outcomes),
        ``n_necromass_control``, ``source_sd_necromass_control`` (reported, derived, imputed), and the same with
        ``_treatment``; where the table has amino sugars ``source_necromass_control`` (reported, amino
        sugars). Contrast data: ``log_ratio_necromass``, ``v_necromass``, ``cov``, and of the shared control
        ``v_necromass_control``, ``cov_control``. ``duration_years`` of a two-pool table; moderators last. A pool that
        was not reported is blank.

    Raises
    ------
    StageError
        The result has no group ``data``.
    """
    data = group(result, words.DATA)
    columns = {name: data[variable].values for name, variable in _PLACES.items() if variable in data.variables}
    arms = _contrasts(data) if "log_ratio" in data else _arms(data)
    durations = {words.DURATION: data[words.DURATION].values} if words.DURATION in data else {}
    moderators = {str(name): data[name].values for name in data.data_vars if str(name).startswith("moderator_")}
    return pd.DataFrame(columns | dict(arms) | durations | moderators)


def _covariances(covariance: np.ndarray, outcomes: list[str], end: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield variances and covariances as columns: (row, outcome, outcome) → (row,) each."""
    for k, outcome in enumerate(outcomes):
        yield f"v_{outcome}{end}", covariance[:, k, k]
    for i, j in combinations(range(len(outcomes)), 2):
        pair = "" if len(outcomes) == 2 else f"_{outcomes[i]}_{outcomes[j]}"
        yield f"cov{pair}{end}", covariance[:, i, j]


def _arms(data: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    outcomes = [str(outcome) for outcome in data["outcome"].values]
    names = data["arm"].values.astype(str)
    place = {name: i for i, name in enumerate(names)}
    own = ~data["treated"].values.astype(bool)
    control = dict(zip(data["control_of_arm"].values[own].astype(str), np.flatnonzero(own), strict=True))
    at = {
        "control": [control[name] for name in data["control_of_comparison"].values.astype(str)],
        "treatment": [place[name] for name in data["arm_of_comparison"].values.astype(str)],
    }
    covariance = data["sampling_covariance"].transpose("arm", "outcome", "outcome_bis").values

    def by_outcome(variable: str) -> Iterator[tuple[str, np.ndarray]]:
        values = data[variable].transpose("arm", "outcome").values
        for k, outcome in enumerate(outcomes):
            for role in _ROLES:
                yield f"{variable}_{outcome}_{role}", values[at[role], k]

    yield from by_outcome("log_mean")
    for role in _ROLES:
        yield from _covariances(covariance[at[role]], outcomes, f"_{role}")
    for variable in ("n", "source_sd", "source_n"):
        yield from by_outcome(variable)
    for role in _ROLES:
        yield f"source_rho_{role}", data["source_rho"].values[at[role]]
    if "source_necromass" in data:
        for role in _ROLES:
            yield f"source_necromass_{role}", data["source_necromass"].values[at[role]]


def _contrasts(data: xr.Dataset) -> Iterator[tuple[str, np.ndarray]]:
    outcomes = [str(outcome) for outcome in data["outcome"].values]
    ratio = data["log_ratio"].transpose("comparison", "outcome").values
    for k, outcome in enumerate(outcomes):
        yield f"log_ratio_{outcome}", ratio[:, k]
    matrix = ("outcome", "outcome_bis")
    yield from _covariances(data["sampling_covariance"].transpose("comparison", *matrix).values, outcomes, "")
    shared = data["control_covariance"].sel(control=data["control_of_comparison"].values)
    yield from _covariances(shared.transpose("control", *matrix).values, outcomes, "_control")
    if "source_rho" in data:
        yield "source_rho", data["source_rho"].values
    if "mcp_efficacy_control" in data:
        yield "mcp_efficacy_control", data["mcp_efficacy_control"].values
