"""`fit`: choose the engine, sample, draw what was integrated out, and label everything as one tree."""

from collections.abc import Callable

import numpy as np
import xarray as xr

import mcpbayes
from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.hierarchy import (
    Covariances,
    build_hierarchy,
    draw_all_comparisons,
    log_likelihood_by_study,
)
from mcpbayes.inference.small_matrices import Array
from mcpbayes.specification.formula import numeric
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.structure import Specification

#: Units of the variables of group ``posterior``; PyMC drops attributes, so they are attached afterwards.
UNITS = {
    "beta": "ln ratio (standardised moderators)",
    "beta_per_unit": "ln ratio per unit of the moderator",
    "baseline": "ln(g/kg)",
    **{f"{level}_effect": "ln ratio" for level in ("study", "site", "kind", "comparison")},
    **{f"tau_{level}": "ln ratio" for level in ("study", "site", "kind", "comparison")},
    **{f"rho_{level}": "1" for level in ("study", "site", "kind", "comparison")},
}


def fit(
    arms: xr.Dataset,
    model: Specification,
    *,
    seed: int = 1,
    report: Callable[[str], None] | None = None,
) -> xr.DataTree:
    """Estimate the hierarchical model of both pools.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`.
    model : Specification
        From `mcpbayes.load_model`; ``sampling.engine`` chooses the engine.
    seed : int
        Non-negative; the same seed gives the same draws.
    report : callable, optional
        Receives one-line progress messages; where given, a progress bar is shown too.

    Returns
    -------
    xarray.DataTree
        Groups ``data``, ``posterior`` (dims chain, draw, ...), ``sample_stats``, ``log_likelihood``,
        ``observed_data``. Effects are on the log scale, baselines in ln(g/kg).

    Raises
    ------
    SpecificationError
        When the engine asked for does not exist in this version, or a prior is not one that it takes.

    Notes
    -----
    ``comparison_effect`` and ``baseline`` are drawn from their exact Gaussian conditional given the rest of the same
    draw. ``log_likelihood.contrasts`` is the log density of each study's within-control contrasts given β, κ and the
    covariances of the levels, all other effects integrated out.
    """
    if model.sampling.engine == "collapsed":
        raise SpecificationError(
            "the collapsed engine is not part of this version; use 'nuts', or 'auto', which takes the best there is",
            "sampling.engine",
        )
    from mcpbayes.inference.nuts import sample  # brings PyMC

    posterior, sample_stats = sample(arms, model, seed, report)
    posterior, log_likelihood = complete_posterior(arms, posterior, seed)
    tree = xr.DataTree.from_dict(
        {
            words.DATA: arms,
            words.POSTERIOR: posterior,
            words.SAMPLE_STATS: sample_stats,
            words.LOG_LIKELIHOOD: log_likelihood,
            words.OBSERVED_DATA: _observed_data(arms),
        }
    )
    tree.attrs = {
        "schema_version": words.SCHEMA_VERSION,
        "mcpbayes_version": mcpbayes.__version__,
        "engine": "nuts",
        "seed": seed,
        "specification": to_toml(model),
        "status": "ok",
        "problems": arms.attrs.get("problems", "[]"),
    }
    return tree


def complete_posterior(arms: xr.Dataset, posterior: xr.Dataset, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Add what the sampler integrated out, and what follows from its draws.

    Parameters
    ----------
    arms : xarray.Dataset
        Group ``data``.
    posterior : xarray.Dataset
        beta, tau_*, rho_*, study_effect and, where on, site_effect and kind_effect; dims chain, draw, ...
    seed : int

    Returns
    -------
    posterior : xarray.Dataset
        With baseline (arm-based), comparison_effect and beta_per_unit; units attached.
    log_likelihood : xarray.Dataset
        Variable ``contrasts(chain, draw, study)``.
    """
    tree = build_hierarchy(arms)
    covariances = Covariances(
        comparison=_sigma(posterior, "comparison"),
        study=_sigma(posterior, "study"),
        site=_sigma(posterior, "site") if "tau_site" in posterior else None,
    )
    mean = np.einsum("cp,pkd->ckd", tree.design, _stacked(posterior, "beta"))
    if "kind_effect" in posterior:
        mean += _stacked(posterior, "kind_effect")[tree.kind]
    density = log_likelihood_by_study(tree, covariances, mean)
    mean += _stacked(posterior, "study_effect")[tree.study_of_comparison]
    if "site_effect" in posterior:
        mean += _stacked(posterior, "site_effect")[tree.site_of_comparison]
    baseline, effect = draw_all_comparisons(tree, covariances.comparison, mean, seed)

    added = {"comparison_effect": _labelled(effect, posterior, arms, "comparison", "outcome")}
    if tree.control_covariance is None:
        added["baseline"] = _labelled(baseline, posterior, arms, "control", "outcome")
    complete = posterior.assign(added | _slopes_per_unit(arms, posterior))
    for name in complete.data_vars:
        complete[name].attrs = {"units": UNITS[str(name)]}
    return complete, _labelled(density, posterior, arms, "study").to_dataset(name="contrasts")


def _stacked(posterior: xr.Dataset, name: str) -> Array:
    """Return a variable as an array (..., chain × draw)."""
    values = posterior[name].transpose("chain", "draw", ...).to_numpy()
    return np.moveaxis(values.reshape(-1, *values.shape[2:]), 0, -1)


def _sigma(posterior: xr.Dataset, level: str) -> Array:
    """Return the covariance of a level, (K, K, chain × draw)."""
    tau = _stacked(posterior, f"tau_{level}").T
    rho = _stacked(posterior, f"rho_{level}").T if f"rho_{level}" in posterior else np.empty((len(tau), 0))
    return small.covariance(tau, rho)


def _labelled(values: Array, posterior: xr.Dataset, arms: xr.Dataset, *dims: str) -> xr.DataArray:
    """Return an array (..., chain × draw) as a labelled variable (chain, draw, ...)."""
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
    coords = {name: posterior[name].values for name in ("chain", "draw")} | {dim: arms[dim].values for dim in dims}
    return xr.DataArray(
        np.moveaxis(values, -1, 0).reshape(*sizes, *values.shape[:-1]), coords, ("chain", "draw", *dims)
    )


def _slopes_per_unit(arms: xr.Dataset, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Divide the slopes of numeric moderators by the scale that they were standardised with."""
    scales = numeric(arms["design"].attrs["recipe"])
    names = [name for name in map(str, posterior["coefficient"].values) if name in scales]
    if not names:
        return {}
    scale = xr.DataArray([scales[name][1] for name in names], dims="moderator", coords={"moderator": names})
    slopes = posterior["beta"].sel(coefficient=names).rename(coefficient="moderator")
    return {"beta_per_unit": slopes / scale}


def _observed_data(arms: xr.Dataset) -> xr.Dataset:
    name = "log_mean" if arms.attrs["family"] == words.ARM_BASED else "log_ratio"
    return arms[[name]].drop_attrs()
