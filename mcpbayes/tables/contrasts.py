"""Contrasts: published log ratios with their sampling covariance, and what they share through a control."""

import json
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.tables import shared_variance as shared
from mcpbayes.tables.columns import contrast_columns, pair_columns
from mcpbayes.tables.labels import texts
from mcpbayes.tables.shared_variance import Array
from mcpbayes.vocabulary import IMPUTED, REPORTED


def control_columns(outcomes: Sequence[str]) -> list[str]:
    """Return the columns that hold what a control contributes: one per outcome, one per pair of outcomes."""
    pairs = [pair_columns(outcomes, first, second)[2] for first, second in combinations(outcomes, 2)]
    return [contrast_columns(outcomes, outcome)[2] for outcome in outcomes] + pairs


def log_ratios(rows: pd.DataFrame, outcomes: Sequence[str]) -> Array:
    """Return the log ratios (comparison, outcome), NaN where not reported."""
    return rows[[contrast_columns(outcomes, outcome)[0] for outcome in outcomes]].to_numpy(float)


def sampling_covariance(rows: pd.DataFrame, outcomes: Sequence[str], rho: float) -> tuple[Array, NDArray[np.bool_]]:
    """Return the sampling covariance of the log ratios, and where a correlation was assumed.

    Parameters
    ----------
    rows : DataFrame
        Columns ``yi_*``, ``vi_*``, ``cov*``, ``rho*``.
    outcomes : sequence of str
        Outcomes, K of them.
    rho : float
        Correlation where neither covariance nor correlation is given.

    Returns
    -------
    covariance : array (row, K, K)
        NaN where an outcome is missing.
    assumed : array of bool (row,)
        Whether a correlation of the row is `rho`.
    """
    y = log_ratios(rows, outcomes)
    v = rows[[contrast_columns(outcomes, outcome)[1] for outcome in outcomes]].to_numpy(float)
    v = np.where(np.isnan(y), np.nan, v)
    covariance = np.full((len(rows), len(outcomes), len(outcomes)), np.nan)
    assumed = np.zeros(len(rows), bool)
    for i in range(len(outcomes)):
        covariance[:, i, i] = v[:, i]
    for i, j in combinations(range(len(outcomes)), 2):
        cov, correlation, _ = pair_columns(outcomes, outcomes[i], outcomes[j])
        scale = np.sqrt(v[:, i] * v[:, j])
        given = rows[cov].fillna(rows[correlation] * scale).to_numpy(float)
        silent = np.isnan(given) & ~np.isnan(scale)
        given = np.where(silent, rho * scale, given + 0 * scale)
        covariance[:, i, j] = covariance[:, j, i] = given
        assumed |= silent
    return covariance, assumed


def control_covariance(
    rows: pd.DataFrame, covariance: Array, group: NDArray[np.intp], outcomes: Sequence[str]
) -> tuple[Array, NDArray[np.bool_]]:
    """Return what the rows of each control share, V_0g, and for which controls something of it is assumed.

    Parameters
    ----------
    rows : DataFrame
        Columns of `control_columns`, the same within each group (NaN = not given).
    covariance : array (row, K, K)
        Sampling covariance of the rows.
    group : array of int (row,)
        Control of each row, 0, 1, ...
    outcomes : sequence of str
        Outcomes, K of them.

    Returns
    -------
    shared : array (group, K, K)
        0 where a row has its own control: one row alone shares nothing.
    assumed : array of bool (group,)
    """
    k = len(outcomes)
    first = np.unique(group, return_index=True)[1]
    given = np.full((len(first), k, k), np.nan)
    for i, outcome in enumerate(outcomes):
        given[:, i, i] = rows[contrast_columns(outcomes, outcome)[2]].to_numpy(float)[first]
    for i, j in combinations(range(k), 2):
        name = pair_columns(outcomes, outcomes[i], outcomes[j])[2]
        given[:, i, j] = given[:, j, i] = rows[name].to_numpy(float)[first]
    observed = np.zeros((len(first), k, k), bool)
    np.logical_or.at(observed, group, ~np.isnan(covariance))
    several = np.bincount(group) > 1
    silent = observed & np.isnan(given)
    guess = shared.assumed_control_covariance(covariance, group)
    variance = np.einsum("gkk->gk", np.where(np.isnan(given), guess, given))
    by_correlation = shared.nearest_zero(shared.correlations(covariance), group)
    partly = by_correlation * np.sqrt(variance[:, :, None] * variance[:, None, :])
    nothing = np.isnan(given).all(axis=(1, 2))
    found = np.where(nothing[:, None, None], guess, np.where(np.isnan(given), partly, given))
    found = np.where(observed & several[:, None, None], found, 0.0)
    return found, several & silent.any(axis=(1, 2))


def contrast_dataset(rows: pd.DataFrame, controls: Sequence[str], outcomes: Sequence[str], rho: float) -> xr.Dataset:
    """Return the log ratios with their sampling covariance, and what the rows of each control share.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison in canonical order, from `mcpbayes.tables.labels.name_rows`.
    controls : sequence of str
        Names of the controls in canonical order.
    outcomes : sequence of str
        Outcomes in the order of their dimension.
    rho : float
        Correlation of the outcomes where the table is silent.
    """
    covariance, assumed = sampling_covariance(rows, outcomes, rho)
    group = pd.Index(controls).get_indexer(pd.Index(rows["control"]))
    control, guessed = control_covariance(rows, covariance, group, outcomes)
    pair = ("outcome", "outcome_bis")
    variables: dict[str, object] = {
        "log_ratio": (("comparison", "outcome"), log_ratios(rows, outcomes)),
        "sampling_covariance": (("comparison", *pair), covariance),
        "control_covariance": (("control", *pair), control),
    }
    if len(outcomes) > 1:
        variables["source_rho"] = ("comparison", np.where(assumed, IMPUTED, REPORTED).astype(object))
    if rows["mcp_efficacy_control"].notna().any():
        variables["mcp_efficacy_control"] = ("comparison", rows["mcp_efficacy_control"].to_numpy(float))
    nothing = dict.fromkeys(outcomes, 0)
    attrs = {
        "imputed": json.dumps({"sd": nothing, "n": nothing, "rho_within": int(assumed.sum())}),
        "rho_assumed": rho,
        "assumed_control_variance": int(guessed.sum()),
    }
    coords = {"control": texts(controls), "outcome": texts(outcomes), "outcome_bis": texts(outcomes)}
    return xr.Dataset(variables, coords=coords, attrs=attrs)
