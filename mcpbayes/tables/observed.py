"""Which comparisons say something of which pool: both arms report it, or their log ratio is published."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.vocabulary import CONTRAST_BASED


def control_arms(data: xr.Dataset) -> list[str]:
    """Return the control's arm of every comparison; an arm may carry another name than its control."""
    rows = zip(data["arm"].values, data["control_of_arm"].values, data["treated"].values, strict=True)
    arm_of = {str(control): str(arm) for arm, control, treated in rows if not treated}
    return [arm_of[str(control)] for control in data["control_of_comparison"].values]


def observed_effects(data: xr.Dataset) -> NDArray[np.bool_]:
    """Return which comparisons have an effect of their own of which pool, (comparison, outcome).

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`.
    """
    if data.attrs["family"] == CONTRAST_BASED:
        return np.asarray(data["log_ratio"].transpose("comparison", "outcome").notnull().values)
    place = {str(arm): i for i, arm in enumerate(data["arm"].values)}
    known = data["log_mean"].transpose("arm", "outcome").notnull().values
    treated = [place[str(arm)] for arm in data["arm_of_comparison"].values]
    return np.asarray(known[treated] & known[[place[arm] for arm in control_arms(data)]])


def unobserved_pools(data: xr.Dataset, of: str = "kind") -> dict[str, tuple[str, ...]]:
    """Return the pools of which no comparison of a kind of treatment says anything, by kind; () where there are none.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`.
    of : {"kind", "study"}
        Whose comparisons are looked at.
    """
    observed, home = observed_effects(data), data[f"{of}_of_comparison"].values.astype(str)
    outcomes = data["outcome"].values.astype(str)
    return {name: tuple(outcomes[~observed[home == name].any(axis=0)].tolist()) for name in data[of].values.astype(str)}
