"""Arms whose fungal and bacterial necromass are pools of their own, made of amino sugars: estimates and covariances.

In these arms ``cv``, ``n`` and ``source_sd`` of the two pools are those of glucosamine and of muramic acid: these were
measured, and what their spread means for the pools hangs on how much glucosamine is of bacteria.
"""

from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.measurement import amino_parts, amino_sugars, effect_sizes
from mcpbayes.measurement.cv_model import KEPT
from mcpbayes.measurement.factor_draws import WORLDS, PartFactors, largest_rho_b
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.vocabulary import BACTERIAL_NECROMASS, FUNGAL_NECROMASS, PARTS, SOC

#: Variable: the share of glucosamine that is of bacteria, by arm; 0 where the pools are as reported.
BACTERIAL_SHARE: Final = "bacterial_share"

Array = NDArray[np.float64]


def of_parts(data: xr.Dataset) -> bool:
    """Say whether fungal and bacterial necromass of any arm are made of amino sugars."""
    return BACTERIAL_SHARE in data


def most_bacterial(model: Specification) -> float:
    """Return the largest ϱ_b that a fit of the model may be made with.

    Notes
    -----
    Where CVs come from a model and the number of worlds is left to us, there are up to as many as draws of the CVs.
    """
    automatic = KEPT if model.data.sd_model == "hierarchical" else WORLDS
    return largest_rho_b(model.data.factors, model.sampling.worlds or automatic)


def estimates(data: xr.Dataset, cv: Array, *, bias_correction: bool) -> tuple[Array, Array]:
    """Return log means (arm, outcome) and sampling covariances (arm, outcome, outcome_bis) of arms with other CVs.

    Parameters
    ----------
    data : xarray.Dataset
        Arms with ``mean``, ``n`` and ``rho_within``.
    cv : ndarray, shape (arm, outcome)
    bias_correction : bool
        Whether half the sampling variance is added to the log means.
    """
    mean, n = (data[name].transpose("arm", "outcome").values for name in ("mean", "n"))
    if not of_parts(data):
        log_mean = effect_sizes.log_mean(mean, cv, n, bias_correction=bias_correction)
        return log_mean, effect_sizes.sampling_covariance(cv, n, data["rho_within"].values)
    covariance = _covariance(data, cv, n)
    variance = np.einsum("akk->ak", covariance)
    return np.log(mean) + (variance / 2 if bias_correction else 0.0), covariance


def _covariance(data: xr.Dataset, cv: Array, n: Array) -> Array:
    outcomes = data["outcome"].values.astype(str).tolist()
    places = [outcomes.index(pool) for pool in (FUNGAL_NECROMASS, BACTERIAL_NECROMASS, SOC)]
    within = data["rho_within"].values
    sugars = np.where(converted_arms(data), float(data.attrs["rho_amino_sugars"]), within)
    correlation = amino_parts.parts_correlation(sugars, within)
    made = amino_parts.parts_covariance(data[BACTERIAL_SHARE].values, cv[:, places], n[:, places], correlation)
    back = np.argsort(places)
    return np.asarray(made[:, back][:, :, back])


def with_factors_of_parts(data: xr.Dataset, factors: PartFactors, *, bias_correction: bool) -> xr.Dataset:
    """Return data in which the two pools that are made of amino sugars are made with other factors.

    Parameters
    ----------
    data : xarray.Dataset
        Arms with ``amino_mean(arm, amino_sugar)``, CVs of the amino sugars as ``cv``.
    factors : PartFactors
        One set for all arms.
    bias_correction : bool
        Whether the log means hold half the sampling variance.

    Returns
    -------
    xarray.Dataset
        New ``mean``, ``log_mean``, ``sampling_covariance`` and ``bacterial_share``; attrs ``k_B``, ``k_F``, ``rho_b``
        say with what. Fungal necromass that is missing stays so, and is missing where it is not positive.
    """
    here, outcomes = converted_arms(data), data["outcome"].values.astype(str).tolist()
    fungal, bacterial = (outcomes.index(part) for part in PARTS)
    glucosamine, muramic_acid = data["amino_mean"].transpose("amino_sugar", "arm").values
    mean, cv = (data[name].transpose("arm", "outcome").values.copy() for name in ("mean", "cv"))
    made = amino_sugars.fungal_necromass(glucosamine, muramic_acid, factors.k_f, factors.rho_b)
    mean[here, fungal] = np.where((made > 0) & np.isfinite(mean[:, fungal]), made, np.nan)[here]
    mean[here, bacterial] = amino_sugars.bacterial_necromass(muramic_acid, factors.k_b)[here]
    share = amino_parts.bacterial_share(glucosamine, muramic_acid, factors.rho_b)
    share = np.where(here & np.isfinite(mean[:, fungal]), share, 0.0)
    cv[np.isnan(mean)] = np.nan
    order = ("arm", "outcome")
    data = data.assign({"mean": (order, mean), "cv": (order, cv), BACTERIAL_SHARE: ("arm", share)})
    log_mean, covariance = estimates(data, cv, bias_correction=bias_correction)
    data = data.assign(log_mean=(order, log_mean), sampling_covariance=((*order, "outcome_bis"), covariance))
    return data.assign_attrs({"k_B": factors.k_b, "k_F": factors.k_f, "rho_b": factors.rho_b})
