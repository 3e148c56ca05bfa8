"""Everything that a sampler of variance parameters leaves out, drawn from its exact conditional and labelled."""

from typing import Final

import numpy as np
import xarray as xr

from mcpbayes.inference.back_sampling import Drawn, draw_block
from mcpbayes.inference.coordinates import covariances
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import coefficient_prior, draw_root
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Block, Hierarchy, blocks, build_hierarchy
from mcpbayes.specification.formula import numeric
from mcpbayes.specification.structure import Specification
from mcpbayes.vocabulary import STORED_AT_MOST
from mcpbayes.workers import in_threads

#: Units of the variables of group ``posterior``, in the order in which they are kept.
UNITS = {
    "beta": "ln ratio (standardised moderators)",
    "beta_per_unit": "ln ratio per unit of the moderator",
    **{
        f"{symbol}_{level}": unit
        for level in ("study", "site", "kind", "comparison")
        for symbol, unit in (("tau", "ln ratio"), ("rho", "1"))
    },
    "rho_within": "1",
    "baseline": "ln({unit})",
    **{f"{level}_effect": "ln ratio" for level in ("study", "site", "kind", "comparison")},
}


#: Coefficients and kinds.
_ROOT: Final = ("beta", "kind_effect")


def complete_posterior(
    arms: xr.Dataset, model: Specification, posterior: xr.Dataset, seed: int, *, store: bool | None = None
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """Draw everything that the sampler integrated out, from its exact conditional, and label it.

    Parameters
    ----------
    arms : xarray.Dataset
        Group ``data``.
    model : Specification
    posterior : xarray.Dataset
        tau_* and rho_* of the levels that are on; dims chain, draw, ... Where it has ``beta`` (and ``kind_effect``)
        these are taken as they are: a sampler that was judged by them has drawn them with this seed.
    seed : int
    store : bool, optional
        Whether effects below the coefficients are kept; by default where comparisons × draws are at most
        `vocabulary.STORED_AT_MOST`. What is not kept is redrawn with the same numbers where it is needed.

    Returns
    -------
    posterior : xarray.Dataset
        With coefficients, effects of kinds and, where stored, of all levels, and baselines (arm-based); units attached.
    log_likelihood : xarray.Dataset or None
        Variable ``contrasts(chain, draw, study)``; None where effects are not stored.
    """
    tree = build_hierarchy(arms)
    phi = {name: draws_last(posterior, name).T for name in map(str, posterior.data_vars) if name not in _ROOT}
    sigma, kind_factor = covariances(phi)
    if "beta" in posterior:
        beta = draws_last(posterior, "beta")
        kind = draws_last(posterior, "kind_effect") if "kind_effect" in posterior else None
    else:
        prior = coefficient_prior(model, [str(name) for name in arms["coefficient"].values])
        beta, kind = draw_root(tree, sigma, prior, kind_factor, seed)
    effects = {"beta": (beta, "coefficient")} | ({} if kind is None else {"kind_effect": (kind, "kind")})
    likelihood = None
    if store is None:
        store = len(tree.arm) * beta.shape[-1] <= STORED_AT_MOST
    if store:
        drawn, contrasts = draw_all(tree, sigma, beta, kind, seed)
        effects |= {name: (values, _NODES[name]) for name, values in drawn.items()}
        likelihood = labelled(contrasts, posterior, arms, "study").to_dataset(name="contrasts")
    added = {name: labelled(values, posterior, arms, dim, "outcome") for name, (values, dim) in effects.items()}
    complete = posterior.assign(added)
    complete = complete.assign(slopes_per_unit(arms, complete))
    complete = complete[[name for name in UNITS if name in complete]]
    for name in complete.data_vars:
        complete[name].attrs = {"units": UNITS[str(name)].format(unit=arms.attrs.get("unit", "g/kg"))}
    return complete, likelihood


#: Effects below the coefficients → their dim.
_NODES: Final = {
    "study_effect": "study",
    "site_effect": "site",
    "comparison_effect": "comparison",
    "baseline": "control",
}


def draw_all(
    tree: Hierarchy, sigma: Covariances, beta: Array, kind: Array | None, seed: int
) -> tuple[dict[str, Array], Array]:
    """Draw all effects below the coefficients, block by block of studies, and work their studies' densities out.

    Parameters
    ----------
    tree : Hierarchy
    sigma : Covariances
    beta : array (coefficient, K, draw)
    kind : array (kind, K, draw) or None
    seed : int

    Returns
    -------
    effects : dict of arrays (node, K, draw)
        ``study_effect``, ``site_effect`` where the level is on, ``comparison_effect``, ``baseline`` (arm-based).
    contrasts : array (study, draw)
        Of `hierarchy.log_likelihood`.
    """

    def one(block: Block) -> tuple[Drawn, Array]:
        drawn = draw_block(block, sigma, beta, kind, seed)
        return drawn, log_likelihood(block.part, sigma, drawn.mean)

    shape = beta.shape[1:]
    effects = {
        "study_effect": np.empty((tree.studies, *shape)),
        "comparison_effect": np.empty((len(tree.arm), *shape)),
    }
    if sigma.site is not None:
        effects["site_effect"] = np.empty((len(tree.study), *shape))
    if tree.control_covariance is None:
        effects["baseline"] = np.empty((len(tree.site), *shape))
    contrasts = np.empty((tree.studies, shape[-1]))
    for block, (drawn, density) in zip(blocks(tree), in_threads(one, blocks(tree)), strict=True):
        contrasts[block.studies] = density
        effects["study_effect"][block.studies] = drawn.study
        effects["comparison_effect"][block.comparisons] = drawn.comparison
        if drawn.site is not None:
            effects["site_effect"][block.sites] = drawn.site
        if "baseline" in effects:
            effects["baseline"][block.controls] = drawn.baseline
    return effects, contrasts


def draws_last(posterior: xr.Dataset, name: str) -> Array:
    """Return a variable as an array (..., chain × draw)."""
    values = posterior[name].transpose("chain", "draw", ...).to_numpy()
    return np.moveaxis(values.reshape(-1, *values.shape[2:]), 0, -1)


def labelled(values: Array, posterior: xr.Dataset, arms: xr.Dataset, *dims: str) -> xr.DataArray:
    """Return an array (..., chain × draw) as a labelled variable (chain, draw, ...)."""
    sizes = (posterior.sizes["chain"], posterior.sizes["draw"])
    coords = {name: posterior[name].values for name in ("chain", "draw")} | {dim: arms[dim].values for dim in dims}
    return xr.DataArray(
        np.moveaxis(values, -1, 0).reshape(*sizes, *values.shape[:-1]), coords, ("chain", "draw", *dims)
    )


def slopes_per_unit(arms: xr.Dataset, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Divide the slopes of numeric moderators by the scale that they were standardised with."""
    scales = numeric(arms["design"].attrs["recipe"])
    names = [name for name in map(str, posterior["coefficient"].values) if name in scales]
    if not names:
        return {}
    scale = xr.DataArray([scales[name][1] for name in names], dims="moderator", coords={"moderator": names})
    slopes = posterior["beta"].sel(coefficient=names).rename(coefficient="moderator")
    return {"beta_per_unit": slopes / scale}
