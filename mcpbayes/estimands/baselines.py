"""r₀: the control's ratio necromass/SOC behind each target, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array, Index, positions

NO_REFERENCE = "contrast data hold no control means; give delta_mcp.reference"
NO_STUDY_RATIO = "contrast data hold no control means, from which r0 of a study would come"
NO_RATIO_COLUMN = "contrast data hold no control means; give the column mcp_efficacy_control"
NO_COMPLETE_CONTROL = "no control reports both pools; give delta_mcp.reference"
NO_CONTROL_WITH_PARTS = "no control reports fungal and bacterial necromass and SOC"
NO_CONTROL_WITH_PARTS_IN_STUDY = "no control of this study reports fungal and bacterial necromass and SOC"
NO_COMPLETE_CONTROL_IN_STUDY = "no control of this study reports both pools"
EMPTY_RATIO_CELL = "mcp_efficacy_control is empty in this row"


@dataclass(frozen=True)
class Controls:
    """Which controls have a ratio necromass/SOC.

    Parameters
    ----------
    study : ndarray of int, shape (control,)
        Position of each control's study.
    missing : ndarray of str, shape (control,)
        Pools that the control's own arm lacks, for example ``"soc"``; empty where it is complete.
    """

    study: Index
    missing: np.ndarray

    @property
    def complete(self) -> np.ndarray:
        """Which controls report both pools, shape (control,)."""
        return np.asarray(self.missing == "")

    @property
    def weight(self) -> Array:
        """Weights with which controls are averaged: studies equally, and the complete controls within a study."""
        complete = self.complete
        members = np.bincount(self.study, complete)
        share = members[self.study] * np.count_nonzero(members)
        return np.divide(1.0, share, out=np.zeros(len(share)), where=complete)


def is_arm_based(data: xr.Dataset) -> bool:
    """Return whether the data hold the means of control arms."""
    return "log_mean" in data


def controls(data: xr.Dataset) -> Controls | None:
    """Return the controls of arm-based data; a pool is missing where the control's own arm did not report it.

    None with contrast data, which hold no control means.
    """
    if not is_arm_based(data):
        return None
    pools = _pools_of_ratio(data)
    own = np.flatnonzero(~data["treated"].values.astype(bool))
    outcomes = positions(data["outcome"].values, np.array(pools))
    reported = np.isfinite(data["log_mean"].transpose("arm", "outcome").values[own][:, outcomes])
    missing = np.empty(data.sizes["control"], dtype=object)
    place = positions(data["control"].values, data["control_of_arm"].values[own])
    patterns, which = np.unique(reported, axis=0, return_inverse=True)
    names = [" and ".join(np.array(pools)[~pattern].tolist()) for pattern in patterns]
    missing[place] = np.array(names, dtype=object)[which]
    return Controls(positions(data["study"].values, data["study_of_control"].values), missing)


def _pools_of_ratio(data: xr.Dataset) -> list[str]:
    """Return the pools that make up the ratio: necromass, or its fungal and bacterial part, and SOC."""
    parts = words.has_parts(data["outcome"].values.astype(str))
    return [*(words.PARTS if parts else (words.NECROMASS,)), words.SOC]


def absences(data: xr.Dataset, levels: np.ndarray, reference: float | None) -> np.ndarray:
    """Return why r₀ is absent, per target in the order of `targets.targets`; empty where it is there.

    Parameters
    ----------
    data : Dataset
        Group of the result.
    levels : ndarray of str, shape (target,)
        Levels of the targets; those at study and comparison are all studies and comparisons, in their order.
    reference : float or None
        r₀ of the levels mean and new, where the specification gives one.

    Returns
    -------
    ndarray of str, shape (target,)
    """
    found = controls(data)
    reasons = np.full(len(levels), "", dtype=object)
    if reference is None and (found is None or not found.complete.any()):
        population = (levels == words.MEAN) | (levels == words.NEW)
        complete = NO_COMPLETE_CONTROL if len(_pools_of_ratio(data)) == 2 else NO_CONTROL_WITH_PARTS
        reasons[population] = NO_REFERENCE if found is None else complete
    reasons[levels == words.STUDY] = _of_studies(data, found)
    reasons[levels == words.COMPARISON] = _of_comparisons(data, found)
    return reasons


def _of_studies(data: xr.Dataset, found: Controls | None) -> np.ndarray:
    if found is None:
        return np.full(data.sizes["study"], NO_STUDY_RATIO, dtype=object)
    members = np.bincount(found.study, found.complete, minlength=data.sizes["study"])
    reason = NO_COMPLETE_CONTROL_IN_STUDY if len(_pools_of_ratio(data)) == 2 else NO_CONTROL_WITH_PARTS_IN_STUDY
    return np.where(members > 0, "", reason).astype(object)


def _of_comparisons(data: xr.Dataset, found: Controls | None) -> np.ndarray:
    if found is None:
        if "mcp_efficacy_control" not in data:
            return np.full(data.sizes["comparison"], NO_RATIO_COLUMN, dtype=object)
        given = np.isfinite(data["mcp_efficacy_control"].values.astype(float))
        return np.where(given, "", EMPTY_RATIO_CELL).astype(object)
    reasons = [f"the control arm has no {pool}" if pool else "" for pool in found.missing]
    place = positions(data["control"].values, data["control_of_comparison"].values)
    return np.array(reasons, dtype=object)[place]


def draw_controls(weight: Array, draws: int, rng: np.random.Generator) -> Index:
    """Return one control per draw for the level new, the same for all targets, so that they differ by effects alone.

    Parameters
    ----------
    weight : ndarray, shape (control,)
        Probabilities, summing to 1; controls of weight 0 are never drawn.
    draws : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of int, shape (draw,)
    """
    usable = np.flatnonzero(weight)
    edges = np.cumsum(weight[usable])
    return np.asarray(usable[np.searchsorted(edges / edges[-1], rng.random(draws), side="right")])
