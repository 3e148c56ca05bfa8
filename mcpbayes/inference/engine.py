"""`fit`: choose the engine, sample, draw what was integrated out, and label everything as one tree."""

from collections.abc import Callable

import numpy as np
import xarray as xr

import mcpbayes
from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.back_sampling import draw_below
from mcpbayes.inference.estimable import require_estimable
from mcpbayes.inference.hierarchy import Covariances
from mcpbayes.inference.root import coefficient_prior, draw_root
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.specification.formula import numeric
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.structure import Specification

#: Units of the variables of group ``posterior``, in the order in which they are kept.
UNITS = {
    "beta": "ln ratio (standardised moderators)",
    "beta_per_unit": "ln ratio per unit of the moderator",
    **{
        f"{symbol}_{level}": unit
        for level in ("study", "site", "kind", "comparison")
        for symbol, unit in (("tau", "ln ratio"), ("rho", "1"))
    },
    "baseline": "ln(g/kg)",
    **{f"{level}_effect": "ln ratio" for level in ("study", "site", "kind", "comparison")},
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
        When the engine asked for does not exist in this version, a prior is not one that it takes, or the table does
        not determine the coefficients (see `estimable.require_estimable`).

    Notes
    -----
    Sampled are standard deviations and correlations only; coefficients, effects and baselines are drawn from their
    exact Gaussian conditional given the rest of the same draw. ``log_likelihood.contrasts`` is the log density of each
    study's within-control contrasts given β, κ and the covariances of the levels, all other effects integrated out.
    """
    if model.sampling.engine == "collapsed":
        raise SpecificationError(
            "the collapsed engine is not part of this version; use 'nuts', or 'auto', which takes the best there is",
            "sampling.engine",
        )
    require_estimable(arms, model, build_hierarchy(arms))
    from mcpbayes.inference.nuts import sample  # brings PyMC

    posterior, sample_stats = sample(arms, model, seed, report)
    posterior, log_likelihood = complete_posterior(arms, model, posterior, seed)
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


def complete_posterior(
    arms: xr.Dataset, model: Specification, posterior: xr.Dataset, seed: int
) -> tuple[xr.Dataset, xr.Dataset]:
    """Draw everything that the sampler integrated out, from its exact conditional, and label it.

    Parameters
    ----------
    arms : xarray.Dataset
        Group ``data``.
    model : Specification
    posterior : xarray.Dataset
        tau_* and rho_* of the levels that are on; dims chain, draw, ...
    seed : int

    Returns
    -------
    posterior : xarray.Dataset
        With coefficients, effects of all levels, baselines (arm-based); units attached.
    log_likelihood : xarray.Dataset
        Variable ``contrasts(chain, draw, study)``.
    """
    tree = build_hierarchy(arms)
    on = {level: f"tau_{level}" in posterior for level in ("site", "kind")}
    covariances = Covariances(
        comparison=_sigma(posterior, "comparison"),
        study=_sigma(posterior, "study"),
        site=_sigma(posterior, "site") if on["site"] else None,
    )
    kind_factor = small.cholesky(_sigma(posterior, "kind")[None])[0] if on["kind"] else None
    prior = coefficient_prior(model, [str(name) for name in arms["coefficient"].values])
    beta, kind = draw_root(tree, covariances, prior, kind_factor, seed)
    mean = np.einsum("cp,pkd->ckd", tree.design, beta)
    if kind is not None:
        mean += kind[tree.kind]
    drawn = draw_below(tree, covariances, mean, seed)

    effects = {
        "beta": (beta, "coefficient"),
        "study_effect": (drawn["study"], "study"),
        "comparison_effect": (drawn["comparison"], "comparison"),
    }
    if on["site"]:
        effects["site_effect"] = (drawn["site"], "site")
    if kind is not None:
        effects["kind_effect"] = (kind, "kind")
    if tree.control_covariance is None:
        effects["baseline"] = (drawn["baseline"], "control")
    added = {name: _labelled(values, posterior, arms, dim, "outcome") for name, (values, dim) in effects.items()}
    complete = posterior.assign(added)
    complete = complete.assign(_slopes_per_unit(arms, complete))
    complete = complete[[name for name in UNITS if name in complete]]
    for name in complete.data_vars:
        complete[name].attrs = {"units": UNITS[str(name)]}
    return complete, _labelled(drawn["contrasts"], posterior, arms, "study").to_dataset(name="contrasts")


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
