"""The same data under other assumptions: what the table did not report is replaced, what it reported stays."""

import json

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.errors import SpecificationError
from mcpbayes.measurement.amino_parts import largest_rho_within
from mcpbayes.tables import shared_variance as shared
from mcpbayes.tables.amino_arms import converted_arms, necromass_cvs
from mcpbayes.tables.part_arms import estimates, of_parts
from mcpbayes.vocabulary import IMPUTED, NECROMASS, OF_ARMS, PARTS, PER_RHO

Flags = NDArray[np.bool_]


def imputed_correlations(data: xr.Dataset) -> Flags:
    """Return of which arms (contrast-based: comparisons) the correlation of the pools is assumed; none with one pool.

    Parameters
    ----------
    data : xarray.Dataset
        Group ``data``.
    """
    if "source_rho" not in data:
        return np.zeros(0, dtype=bool)
    return np.asarray(data["source_rho"].values.astype(str) == IMPUTED)


def imputed_dispersions(data: xr.Dataset) -> Flags:
    """Return which CVs (arm, outcome) are assumed; none with contrast data, which bring their variances."""
    if "source_sd" not in data:
        return np.zeros((0, 0), dtype=bool)
    return np.asarray(data["source_sd"].transpose("arm", "outcome").values.astype(str) == IMPUTED)


def with_dispersion(data: xr.Dataset, factor: float, *, bias_correction: bool) -> xr.Dataset:
    """Return arm-based data with assumed CVs multiplied.

    Parameters
    ----------
    data : xarray.Dataset
    factor : float
    bias_correction : bool
        Whether the log means hold CV²/(2n): it follows the CVs.

    Notes
    -----
    Multiplied is the CV that the data have, be it a default or of a model. Where an arm reports the SD of one of its
    amino sugars, only that of the other is assumed, and the CV of necromass changes by what that one changes of it.
    """
    flags = imputed_dispersions(data)
    cv = data["cv"].transpose("arm", "outcome").values
    factors = np.where(flags, factor, 1.0)
    if (here := converted_arms(data)).any() and not of_parts(data):
        scaled = data["amino_cv"] * (1 + (factor - 1) * (data["source_amino_sd"] == IMPUTED))
        as_given, data = data, data.assign(amino_cv=scaled)
        ratio = necromass_cvs(data, float(data.attrs["q"])) / necromass_cvs(as_given, float(data.attrs["q"]))
        pool = data["outcome"].values.tolist().index(NECROMASS)
        factors[:, pool] = np.where(here & flags[:, pool], ratio, factors[:, pool])
    cv = factors * cv
    log_mean, _ = estimates(data, cv, bias_correction=bias_correction)
    before = data["log_mean"].transpose("arm", "outcome").values
    changed = {
        "cv": (("arm", "outcome"), cv),
        "log_mean": (("arm", "outcome"), np.where(_touched(data, flags), log_mean, before)),
    }
    made = _with_covariance(data.assign(changed), flags.any(axis=1))
    return with_unknown_correlation(made) if PER_RHO in data else made


def _touched(data: xr.Dataset, flags: Flags) -> Flags:
    """Return which log means (arm, outcome) hang on the CVs that are assumed: that of fungi on both amino sugars'."""
    if not of_parts(data):
        return flags
    outcomes = data["outcome"].values.astype(str).tolist()
    fungal, bacterial = (outcomes.index(part) for part in PARTS)
    touched = flags.copy()
    touched[:, fungal] |= flags[:, bacterial] & converted_arms(data)
    return touched


def with_correlation(data: xr.Dataset, rho: float) -> xr.Dataset:
    """Return data with assumed correlations of the pools replaced by a number.

    Parameters
    ----------
    data : xarray.Dataset
    rho : float
        In (−1, 1).

    Raises
    ------
    SpecificationError
        Contrast data in which other rows or the control report what does not go together with this correlation, or
        arms made of amino sugars that are correlated less than two things that both go with SOC so closely.

    Notes
    -----
    Arm-based: c = ϱ CVᵢ CVⱼ / max(nᵢ, nⱼ) of the arm. Contrast-based: c = ϱ √(vᵢ vⱼ) of the row, and what rows of one
    control are assumed to share follows their covariances as it did when the table was read.
    """
    flags, data = imputed_correlations(data), data.drop_vars(PER_RHO, errors="ignore")
    if data.attrs["family"] not in OF_ARMS:
        return _contrasts_with_correlation(data, flags, rho)
    if of_parts(data) and abs(rho) >= largest_rho_within(float(data.attrs["rho_amino_sugars"])):
        raise SpecificationError(
            f"a correlation of {rho:.2g} of both amino sugars with SOC does not go together with theirs, "
            f"data.defaults.rho_amino_sugars = {float(data.attrs['rho_amino_sugars']):g}",
            "data.defaults.rho_within",
        )
    values = np.where(flags, rho, data["rho_within"].values)
    return _with_covariance(data.assign(rho_within=("arm", values)), flags)


def refuse_unknown_correlation(data: xr.Dataset) -> None:
    """Refuse to hand data of `with_unknown_correlation` to NUTS, which would take their example for the truth."""
    if PER_RHO in data:
        raise SpecificationError(
            "the engine nuts does not estimate the correlation over plots; take sampling.engine=collapsed, or leave "
            "update out, so that worlds carry it",
            "priors.rho_within.update",
        )


def with_unknown_correlation(data: xr.Dataset) -> xr.Dataset:
    """Return data in which the assumed correlations of the pools are one unknown number.

    Parameters
    ----------
    data : xarray.Dataset

    Returns
    -------
    xarray.Dataset
        With variable `vocabulary.PER_RHO`: what a unit of ϱ adds to each sampling covariance, 0 where it was reported.
        The sampling covariances themselves stay, as an example.

    Raises
    ------
    SpecificationError
        Contrast data in which rows of one control have no reported correlation: what they share hangs on ϱ, too, and
        not in proportion to it, and for some ϱ there is no covariance that is both.
    """
    if data.attrs["family"] not in OF_ARMS:
        rows = imputed_correlations(data)
        shares = data["control_covariance"].fillna(0.0).any(("outcome", "outcome_bis"))
        if shares.sel(control=data["control_of_comparison"].values[rows]).any():
            raise SpecificationError(
                "the correlation cannot be estimated where rows that do not report it share their control: what they "
                "share hangs on it, too; give rho or cov of those rows, or leave update out, so that worlds carry it",
                "priors.rho_within.update",
            )
    half, none = (with_correlation(data, rho)["sampling_covariance"] for rho in (0.5, 0.0))
    return data.assign({PER_RHO: (2.0 * (half - none)).fillna(0.0)})


def _with_covariance(data: xr.Dataset, arms: Flags) -> xr.Dataset:
    """Return arm-based data with the sampling covariances of some arms made anew from CVs, n and ϱ."""
    order = ("arm", "outcome", "outcome_bis")
    _, made = estimates(data, data["cv"].transpose(*order[:2]).values, bias_correction=False)
    before = data["sampling_covariance"].transpose(*order).values
    return data.assign(sampling_covariance=(order, np.where(arms[:, None, None], made, before)))


def _contrasts_with_correlation(data: xr.Dataset, rows: Flags, rho: float) -> xr.Dataset:
    order = ("comparison", "outcome", "outcome_bis")
    before = data["sampling_covariance"].transpose(*order).values
    sd = np.sqrt(np.einsum("ikk->ik", before))
    off = ~np.eye(before.shape[-1], dtype=bool)
    after = np.where(rows[:, None, None] & off, rho * sd[:, :, None] * sd[:, None, :], before)
    control = list(data["control"].values)
    group = np.array([control.index(name) for name in data["control_of_comparison"].values], dtype=np.intp)
    given = data["control_covariance"].transpose("control", *order[1:]).values
    common = _control_covariance(given, before, after, group)
    if (shared.smallest_eigenvalue(after - common[group], sd**2) < -shared.TOLERANCE).any():
        raise SpecificationError(
            f"a correlation of {rho:.2g} does not go together with the variances and correlations that rows of one "
            "control report; give the covariance of those rows, or a narrower prior",
            "priors.rho_within",
        )
    changed = {"sampling_covariance": (order, after), "control_covariance": (("control", *order[1:]), common)}
    return data.assign(changed).assign_attrs(rho_assumed=rho)


def _control_covariance(
    given: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], group: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return V_0g for new covariances of the rows: assumed ones anew, reported correlations as they are."""
    guess, anew = (shared.assumed_control_covariance(values, group) for values in (before, after))
    old, new = (shared.nearest_zero(shared.correlations(values), group) for values in (before, after))
    sd = np.sqrt(np.einsum("gkk->gk", given))
    product = sd[:, :, None] * sd[:, None, :]
    partly = np.isclose(given, old * product, rtol=1e-9, atol=0.0).all(axis=(1, 2))
    wholly = np.isclose(given, guess, rtol=1e-9, atol=0.0).all(axis=(1, 2))
    rescaled = np.where(partly[:, None, None], new * product, given)
    return np.asarray(np.where(wholly[:, None, None], anew, rescaled))


def note_worlds(data: xr.Dataset, values: list[float]) -> xr.Dataset:
    """Return data that say over which correlations a result is pooled: attr ``rho_within_worlds``, JSON."""
    return data.assign_attrs(rho_within_worlds=json.dumps(values))
