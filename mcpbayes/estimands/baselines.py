"""r₀: the control's ratio necromass/SOC behind each target, draw by draw, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.streams import generator

NO_REFERENCE = "contrast data hold no control means; give delta_mcp.reference"
NO_STUDY_RATIO = "contrast data hold no control means, from which r0 of a study would come"
NO_RATIO_COLUMN = "contrast data hold no control means; give the column mcp_efficacy_control"
NO_COMPLETE_CONTROL = "no control reports both pools; give delta_mcp.reference"
NO_COMPLETE_CONTROL_IN_STUDY = "no control of this study reports both pools"
EMPTY_RATIO_CELL = "mcp_efficacy_control is empty in this row"


@dataclass(frozen=True)
class Controls:
    """Ratios of the controls that report both pools.

    Parameters
    ----------
    ratio : ndarray, shape (chain, draw, control)
        exp(b_N − b_C); NaN where the control's own arm lacks a pool.
    name, study : ndarray of str, shape (control,)
    missing : ndarray of str, shape (control,)
        Pools that the control's arm lacks, for example ``"soc"``; empty where it is complete.
    """

    ratio: np.ndarray
    name: np.ndarray
    study: np.ndarray
    missing: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """Weights with which controls are averaged: studies equally, and the complete controls within a study."""
        complete = self.missing == ""
        weight = np.zeros(len(self.name))
        studies = np.unique(self.study[complete])
        for study in studies:
            members = complete & (self.study == study)
            weight[members] = 1 / (len(studies) * members.sum())
        return weight


def controls(data: xr.Dataset, posterior: xr.Dataset) -> Controls:
    """Return the control ratios of arm-based data; a pool is missing where the control's own arm did not report it."""
    pools = [words.NECROMASS, words.SOC]
    own = ~data["treated"].values.astype(bool)
    reported = np.isfinite(data["log_mean"].sel(outcome=pools).transpose("arm", "outcome").values[own])
    lacking = {
        control: " and ".join(pool for pool, there in zip(pools, row, strict=True) if not there)
        for control, row in zip(data["control_of_arm"].values[own].astype(str), reported, strict=True)
    }
    name = posterior["control"].values.astype(str)
    missing = np.array([lacking[control] for control in name], dtype=str)
    baseline = posterior["baseline"].sel(outcome=pools).transpose("chain", "draw", "control", "outcome").values
    ratio = np.where(missing == "", np.exp(baseline[..., 0] - baseline[..., 1]), np.nan)
    study_of = dict(zip(data["control"].values.astype(str), data["study_of_control"].values.astype(str), strict=True))
    return Controls(ratio, name, np.array([study_of[control] for control in name]), missing)


def draw_control(ratio: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the ratio of one control drawn per draw.

    Parameters
    ----------
    ratio : ndarray, shape (chain, draw, control)
    weight : ndarray, shape (control,)
        Probabilities, summing to 1; controls of weight 0 are never drawn.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (chain, draw)
    """
    usable = np.flatnonzero(weight)
    edges = np.cumsum(weight[usable])
    chosen = usable[np.searchsorted(edges / edges[-1], rng.random(ratio.shape[:2]), side="right")]
    return np.asarray(np.take_along_axis(ratio, chosen[..., None], axis=2)[..., 0])


#: r₀ of one target, shape (chain, draw), or the reason why there is none.
Ratio = np.ndarray | str


def _population(found: Controls | None, level: str, seed: int) -> Ratio:
    if found is None:
        return NO_REFERENCE
    weight = found.weight
    if not weight.any():
        return NO_COMPLETE_CONTROL
    if level == words.NEW:
        return draw_control(found.ratio, weight, generator(seed, "reference"))
    return np.asarray(found.ratio[..., weight > 0] @ weight[weight > 0])


def _studies(found: Controls | None, names: np.ndarray) -> dict[str, Ratio]:
    ratios: dict[str, Ratio] = {}
    for name in names:
        ratios[str(name)] = NO_STUDY_RATIO
        if found is not None:
            members = (found.study == name) & (found.missing == "")
            mean = np.exp(np.log(found.ratio[..., members]).mean(axis=-1)) if members.any() else None
            ratios[str(name)] = NO_COMPLETE_CONTROL_IN_STUDY if mean is None else mean
    return ratios


def _comparisons(found: Controls | None, data: xr.Dataset, size: tuple[int, int]) -> dict[str, Ratio]:
    names = data["comparison"].values.astype(str)
    if found is not None:
        place = {control: i for i, control in enumerate(found.name)}
        at = [place[control] for control in data["control_of_comparison"].values.astype(str)]
        reasons = ["" if pool == "" else f"the control arm has no {pool}" for pool in found.missing]
        return {name: reasons[i] or found.ratio[..., i] for name, i in zip(names, at, strict=True)}
    if "mcp_efficacy_control" not in data:
        return dict.fromkeys(names, NO_RATIO_COLUMN)
    given = data["mcp_efficacy_control"].values.astype(float)
    full: list[Ratio] = [np.full(size, value) if np.isfinite(value) else EMPTY_RATIO_CELL for value in given]
    return dict(zip(names, full, strict=True))


def control_ratios(
    data: xr.Dataset, posterior: xr.Dataset, targets: xr.Dataset, reference: float | None, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Return r₀ of every target.

    Parameters
    ----------
    data, posterior : Dataset
        Groups of the result.
    targets : Dataset
        Of `targets.targets`.
    reference : float or None
        r₀ of the levels mean and new, where the specification gives one.
    seed : int
        Of the result.

    Returns
    -------
    ratio : ndarray, shape (chain, draw, target)
        Fractions; NaN where absent.
    absent : list of str
        Why it is absent, per target; empty where it is there.

    Notes
    -----
    ``comparison``: exp(b_N − b_C) of its control, from the same joint draw. ``study``: geometric mean of its complete
    controls. ``mean``: average over complete controls, studies weighted equally. ``new``: one control drawn per draw
    with the same weights, the same for all targets, so that targets differ by their effects alone.
    """
    found = controls(data, posterior) if "baseline" in posterior else None
    size = (posterior.sizes["chain"], posterior.sizes["draw"])
    ratios: dict[str, dict[str, Ratio]] = {
        words.STUDY: _studies(found, data["study"].values.astype(str)),
        words.COMPARISON: _comparisons(found, data, size),
    }
    for level in (words.MEAN, words.NEW):
        shared = _population(found, level, seed) if reference is None else np.full(size, reference)
        names = targets["name"].values[targets["level"].values == level]
        ratios[level] = {str(name): shared for name in names}
    ratio = np.full((*size, targets.sizes["target"]), np.nan)
    absent = []
    for place, (level, name) in enumerate(zip(targets["level"].values, targets["name"].values, strict=True)):
        r0 = ratios[str(level)][str(name)]
        absent.append(r0 if isinstance(r0, str) else "")
        if not isinstance(r0, str):
            ratio[:, :, place] = r0
    return ratio, absent
