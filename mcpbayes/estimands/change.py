"""ΔMCP: the change of the ratio necromass/SOC, draw by draw, beside the effects that it follows from."""

import json

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.baselines import control_ratios
from mcpbayes.estimands.effects import effect_draws, typical_change
from mcpbayes.estimands.heterogeneity import total_covariance
from mcpbayes.estimands.targets import At, targets
from mcpbayes.estimands.tree import Settings, apply_settings, group, specification, with_groups

_DRAWS = ("chain", "draw")


def log_delta_mcp(theta_n: np.ndarray, theta_c: np.ndarray) -> np.ndarray:
    """Return δ = θ_N − θ_C, the change of ln(necromass/SOC); any shape."""
    return np.asarray(theta_n - theta_c)


def absolute_change(r0: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """Return Δr = r₀(e^δ − 1), the absolute ΔMCP.

    Parameters
    ----------
    r0 : ndarray
        Ratio necromass/SOC of the control, fraction.
    delta : ndarray, same shape
        Change of the log ratio.

    Returns
    -------
    ndarray
        Fractions, accurate also for small δ. Treated ratios r₀e^δ above 1 are kept: measured ones exceed 1 too.
    """
    return np.asarray(r0 * np.expm1(delta))


def has_both_pools(dataset: xr.Dataset) -> bool:
    """Return whether necromass and SOC are among the outcomes, so that their ratio exists."""
    return {words.NECROMASS, words.SOC} <= set(dataset["outcome"].values.astype(str))


def _ratios(result: xr.DataTree, asked: xr.Dataset, theta: np.ndarray) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the variables of the ratio (chain, draw, target) and why r₀ is absent."""
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    outcomes = posterior["outcome"].values.astype(str).tolist()
    necromass, soc = (theta[..., outcomes.index(pool)] for pool in (words.NECROMASS, words.SOC))
    delta = log_delta_mcp(necromass, soc)
    reference, seed = specification(result).reference, result.attrs["seed"]
    r0, absent = control_ratios(data, posterior, asked, reference, seed)
    variables = {
        "log_delta_mcp": delta,
        "delta_mcp": absolute_change(r0, delta),
        "mcp_efficacy_control": r0,
        "mcp_efficacy_treatment": r0 * np.exp(delta),
    }
    return variables, absent


def _share_above_one(ratio: np.ndarray) -> float:
    there = ~np.isnan(ratio)
    return float((ratio[there] > 1).mean()) if there.any() else float("nan")


def _outside(data: xr.Dataset, at: At) -> list[str]:
    """Return the points asked for that lie outside the range of the data, such as ``"duration_years=80"``."""
    found = []
    for name, values in at.items():
        observed = data.get(f"moderator_{name}")
        if observed is not None and np.issubdtype(observed.dtype, np.number):
            low, high = float(observed.min()), float(observed.max())
            found += [f"{name}={value}" for value in values if not low <= float(str(value)) <= high]
    return found


def delta_mcp(result: xr.DataTree, at: At | None = None, settings: Settings = ()) -> xr.DataTree:
    """Add the effects and ΔMCP at every level.

    Parameters
    ----------
    result : DataTree
        With groups ``data`` and ``posterior``.
    at : mapping of moderator to values, optional
        Further points of the levels mean and new, for example ``{"duration_years": [10, 20]}``; several moderators
        give the grid; ``kind`` is one where that level is on.
    settings : sequence of "key=value" or mapping, optional
        New values in ``[delta_mcp]``, ``[scenarios]``, ``[summary]``.

    Returns
    -------
    DataTree
        New, with group ``delta_mcp`` (chain, draw, target): ``effect(..., outcome)`` and, at level mean,
        ``average_change(..., mean_target, outcome)``; with both pools also ``log_delta_mcp``, ``delta_mcp``,
        ``mcp_efficacy_control``, ``mcp_efficacy_treatment`` (fractions, NaN where coord ``absent`` says why). A group
        ``scenario`` is dropped, since it belonged to the old targets.

    Raises
    ------
    StageError
        The result was not fitted.
    SpecificationError
        ``at`` or ``settings`` name something that does not exist.

    Notes
    -----
    δ = θ_N − θ_C, Δr = r₀(e^δ − 1); r₀ per level as in `baselines.control_ratios`. Zhu, Schimel & Liang (2025),
    doi:10.1016/j.soilbio.2025.109950.
    """
    result = apply_settings(result, settings)
    points = {name: list(map(str, [given] if isinstance(given, str) else given)) for name, given in (at or {}).items()}
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    asked = targets(data, posterior, points)
    theta = effect_draws(data, posterior, asked, result.attrs["seed"])
    typical = asked["level"].values == words.MEAN
    average = typical_change(posterior, asked.isel(target=typical), total_covariance(posterior))
    dataset = xr.Dataset(
        {
            "effect": ((*_DRAWS, "target", "outcome"), theta, {"units": "log response ratio"}),
            "average_change": ((*_DRAWS, "mean_target", "outcome"), average, {"units": "fraction"}),
        },
        coords={name: posterior[name] for name in (*_DRAWS, "outcome")}
        | {name: asked[name].reset_coords(drop=True) for name in ("target", "level", "name")}
        | {"mean_target": asked["name"].values[typical]},
    )
    absent, above = [""] * asked.sizes["target"], float("nan")
    if has_both_pools(posterior):
        ratios, absent = _ratios(result, asked, theta)
        above = _share_above_one(ratios["mcp_efficacy_treatment"])
        for name, values in ratios.items():
            units = "log ratio" if name == "log_delta_mcp" else "fraction"
            dataset[name] = ((*_DRAWS, "target"), values, {"units": units})
    dataset = dataset.assign_coords(absent=("target", absent))
    dataset.attrs = {
        "at": json.dumps(points, ensure_ascii=False),
        "outside_data": json.dumps(_outside(data, points), ensure_ascii=False),
        "share_above_one": above,
    }
    return with_groups(result, {words.DELTA_MCP: dataset}, drop=[words.SCENARIO])
