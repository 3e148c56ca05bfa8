"""Doubt about how much plots vary: worlds that each take one posterior draw of the CVs of all arms."""

from collections.abc import Hashable
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.inference.assumed import with_unknown_correlation
from mcpbayes.inference.doubt import Doubt
from mcpbayes.monte_carlo.summaries import mcse_mean
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.cvs import with_cv
from mcpbayes.vocabulary import PER_RHO

#: Name of the doubt.
DISPERSION: Final = "dispersion"

#: Worlds to begin with.
WORLDS: Final = 20

#: Worlds are enough where the variance between them, over their number, is less than this share of the variance of δ.
SHARE: Final = 0.01

Array = NDArray[np.float64]


def has_draws(data: xr.Dataset) -> bool:
    """Say whether the CVs of group ``data`` come from a model, with draws."""
    return "cv_draw" in data


def dispersion_doubt(arms: xr.Dataset, model: Specification, worlds: int) -> Doubt | None:
    """Return the doubt about the CVs, where they come from a model: world m takes draw m of all CVs.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`, or group ``data`` of a result.
    model : Specification
    worlds : int
        Not more than there are draws.

    Notes
    -----
    ``values`` of the doubt, what is shown of a world, are the root-mean-square CVs over all arms and pools. The central
    data are those with root-mean-square CVs over the draws, as `prepare` leaves them.
    """
    if not has_draws(arms):
        return None
    draws = arms["cv_draw"].transpose("cv_world", "arm", "outcome").values[:worlds]
    values = tuple(float(value) for value in np.sqrt(np.nanmean(draws**2, axis=(1, 2))))

    def apply(data: xr.Dataset, place: int) -> xr.Dataset:
        made = with_cv(data, draws[place], bias_correction=model.data.bias_correction)
        return with_unknown_correlation(made) if PER_RHO in data else made

    return Doubt(DISPERSION, values, apply, lambda data: data, lambda data: _says(values))


def worlds_that_suffice(between: float) -> int:
    """Return how many worlds are enough: fewer leave an error of the pooled mean beyond `SHARE` of the variance.

    Parameters
    ----------
    between : float
        Share of the variance of δ that lies between worlds, in [0, 1].
    """
    return max(WORLDS, int(np.ceil(between / SHARE)))


def share_between(posterior: xr.Dataset) -> float:
    """Return the largest share of the variance of δ at level mean that lies between worlds, over kinds of treatment.

    Parameters
    ----------
    posterior : xarray.Dataset
        With coordinate ``world(chain)``.

    Notes
    -----
    With one outcome, or more than two, δ is the effect itself, the worst outcome counting. Of two pools over time,
    whose δ hangs on the year, it is the change of either pool's steady state, the worse counting.
    """
    mean = posterior["beta"].sel(coefficient="intercept", drop=True)
    if "pool" in mean.dims:
        return _largest_share(mean.transpose("pool", "chain", "draw").values, posterior)
    if "kind_effect" in posterior:
        mean = mean + posterior["kind_effect"]
    rows = mean.transpose(..., "outcome", "chain", "draw").values
    rows = rows[..., 0, :, :] - rows[..., 1, :, :] if mean.sizes["outcome"] == 2 else rows
    return _largest_share(rows, posterior)


def share_between_of_taus(posterior: xr.Dataset) -> float:
    """Return the largest share of the variance of a heterogeneity, a τ, that lies between worlds; 0 without any.

    Parameters
    ----------
    posterior : xarray.Dataset
        As `share_between`.
    """
    taus = [posterior[name].transpose(..., "chain", "draw").values for name in posterior.data_vars if _is_tau(name)]
    return max((_largest_share(rows, posterior) for rows in taus), default=0.0)


def _is_tau(name: Hashable) -> bool:
    return str(name).startswith("tau_")


def _largest_share(rows: Array, posterior: xr.Dataset) -> float:
    """Return the largest share between worlds of the variances of draws (..., world × chain, draw).

    The variance of the means of the worlds, less what their Monte-Carlo errors put between them, over that of all
    draws. What is constant, as with a fixed prior, has no share.
    """
    worlds = len(np.unique(posterior["world"].values))
    draws = rows.reshape(-1, worlds, rows.shape[-2] // worlds, rows.shape[-1])
    between = draws.mean(axis=(-2, -1)).var(axis=-1, ddof=1)
    noise = np.nan_to_num(np.square(mcse_mean(draws))).mean(axis=-1)  # too few draws to tell: no error
    total = draws.var(axis=(1, 2, 3))
    share = np.divide(between - noise, total, out=np.zeros_like(total), where=total > 0)
    return float(np.clip(share, 0.0, 1.0).max())


def _says(values: tuple[float, ...]) -> str:
    span = f"root-mean-square CVs from {min(values):.2f} to {max(values):.2f}"
    return f"the CVs of the arms, reported or not, are draws of a model of ln CV, {span}"
