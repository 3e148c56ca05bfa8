"""The engine ``collapsed``: draws of the variance parameters by weighted proposals, without gradients or compiler.

Given standard deviations and correlations everything else is Gaussian and integrated out exactly, so the posterior has
six dimensions in the standard model, and one more where the correlation over plots is estimated. A proposal
distribution is fitted to it on the prior's quantile scale, frozen, and turned into independence Metropolis chains;
coefficients and effects are then drawn from their exact conditional (`back_sampling`). Nothing here needs PyMC.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes.inference.cascade import Proposals, attempts, explore, follow, still
from mcpbayes.inference.coordinates import Coordinates, System, coordinates, covariances, parameters
from mcpbayes.inference.mode import LogDensity
from mcpbayes.inference.root import coefficient_prior, draw_root, log_marginal
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, build_hierarchy
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.vocabulary import pair_name

_LOG_2PI: Final = float(np.log(2 * np.pi))


def levels_on(data: xr.Dataset) -> tuple[str, ...]:
    """Return the levels that have variance parameters of their own."""
    on = [level for level in ("site", "kind") if data.attrs[f"level_{level}"] == "on"]
    return ("study", *on, "comparison")


def log_posterior(
    tree: Hierarchy, model: Specification, names: list[str], coords: Coordinates
) -> Callable[[System], LogDensity]:
    """Return ln p(z, y) for each coordinate system; coefficients, kinds and all effects integrated out.

    Parameters
    ----------
    tree : Hierarchy
    model : Specification
    names : list of str
        Coefficients.
    coords : Coordinates
    """
    prior = coefficient_prior(model, names)

    def in_system(system: System) -> LogDensity:
        def density(z: Array) -> Array:
            found, kind_factor = covariances(parameters(coords, z, system))
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                likelihood = log_marginal(tree, found, prior, kind_factor)
            # Where rounding destroys a determinant the density is far in a tail: no weight.
            likelihood = np.where(np.isfinite(likelihood), likelihood, -np.inf)
            return np.asarray(likelihood - 0.5 * np.sum(z**2, axis=1) - 0.5 * z.shape[1] * _LOG_2PI)

        return density

    return in_system


def judged_parameters(coords: Coordinates) -> Callable[[Array, System], Array]:
    """Return the function that reads standard deviations and correlations, (row, draw), from points (draw, d)."""
    return lambda z, system: np.concatenate([values.T for values in parameters(coords, z, system).values()])


def judged_draws(
    tree: Hierarchy, model: Specification, names: list[str], coords: Coordinates, seed: int
) -> Callable[[Array, System], Array]:
    """Return the function that gives all that a fit is judged by, (row, draw): φ, then coefficients and kinds.

    Parameters
    ----------
    tree : Hierarchy
    model : Specification
    names : list of str
        Coefficients.
    coords : Coordinates
    seed : int
        Of the result: coefficients and kinds are the very ones of the posterior.

    Notes
    -----
    The gate of a run looks at the levels parameter, mean and new. What it has beyond these rows are sums of them and of
    independent noise.
    """
    prior = coefficient_prior(model, names)

    def judged(z: Array, system: System) -> Array:
        phi = parameters(coords, z, system)
        sigma, kind_factor = covariances(phi)
        beta, kind = draw_root(tree, sigma, prior, kind_factor, seed)
        root = [part.reshape(-1, len(z)) for part in (beta, kind) if part is not None]
        return np.concatenate([*(values.T for values in phi.values()), *root])

    return judged


def sample(
    data: xr.Dataset, model: Specification, seed: int, guide: Proposals | None = None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Draw standard deviations and correlations of all levels, and coefficients and kinds where they were judged.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`.
    model : Specification
    seed : int
    guide : Proposals, optional
        Of `explored`, for similar data: tried first.

    Returns
    -------
    posterior : xarray.Dataset
        Dims chain, draw; tau_* and rho_* of the levels that are on, and rho_within where it is unknown; ``beta`` and
        ``kind_effect``, those that `complete_posterior` would draw, where the chains were judged by them.
    sample_stats : xarray.Dataset
        ``log_weight(chain, draw)``, ``accepted(chain, draw)``; attrs ``pareto_k``, ``efficiency`` (ESS/N of the final
        proposals), ``attempt`` (1: the first way of fitting the proposal sufficed), ``attempts`` (how many there are),
        ``proposals``.

    Notes
    -----
    Attr ``passed`` of ``sample_stats`` is 0 where no attempt covered the posterior (k̂ or ESS/N of the final proposals,
    R-hat or ESS of the chains of standard deviations, correlations, coefficients or kinds beyond its limit); the draws
    are then those of the best attempt. The number of the attempt is no evidence about regions that no proposal
    visited: what the search for modes can miss is said in `mode.find_modes`.
    """
    chains, draws = model.sampling.chains, model.sampling.draws
    coords, found = explored(data, model, seed, guide)
    if coords.dimension == 0:
        constant = np.zeros((chains * draws, 0))
        return labelled(coords, constant, "quantile", chains, draws), _constant_stats(chains, draws)
    path = found.path
    stats = xr.Dataset(
        {
            "log_weight": (("chain", "draw"), found.log_weight[path.place]),
            "accepted": (("chain", "draw"), path.accepted),
        },
        {"chain": np.arange(chains), "draw": np.arange(draws)},
        {
            "pareto_k": found.pareto_k,
            "efficiency": found.efficiency,
            "attempt": found.attempt,
            "attempts": len(attempts(coords.dimension)),
            "proposals": len(found.z),
            "passed": int(found.passed),
        },
    )
    posterior = labelled(coords, found.z[path.place.ravel()], found.system, chains, draws)
    return posterior if found.judged is None else posterior.assign(_root(found.judged, data, posterior)), stats


def explored(
    data: xr.Dataset, model: Specification, seed: int, guide: Proposals | None = None
) -> tuple[Coordinates, Proposals]:
    """Return the coordinates of the model and the final proposals; those of a guide's distribution where these pass."""
    tree = build_hierarchy(data)
    names = [str(name) for name in data["coefficient"].values]
    coords = coordinates(model, levels_on(data), within=tree.per_rho is not None)
    size = {"chains": model.sampling.chains, "draws": model.sampling.draws}
    if coords.dimension == 0:
        return coords, still(**size)
    density, judged = log_posterior(tree, model, names, coords), judged_draws(tree, model, names, coords, seed)
    rng = generator(seed, "proposals")
    found = None if guide is None else follow(guide, density, judged, rng, **size)
    if found is not None and found.passed:
        return coords, found
    return coords, explore(density, judged, coords.dimension, rng, **size)


def _root(judged: Array, data: xr.Dataset, posterior: xr.Dataset) -> dict[str, xr.DataArray]:
    """Return coefficients and kinds, the last rows of `judged_draws`, with their names."""
    dims = {"beta": "coefficient"} | ({"kind_effect": "kind"} if "tau_kind" in posterior else {})
    lead = {name: posterior[name].values for name in ("chain", "draw")}
    size, found = data.sizes["outcome"], {}
    end = len(judged)
    for name, dim in reversed(dims.items()):
        start = end - data.sizes[dim] * size
        values = judged[start:end].reshape(data.sizes[dim], size, *map(len, lead.values()))
        coords = lead | {dim: data[dim].values, "outcome": posterior["outcome"].values}
        found[name] = xr.DataArray(np.moveaxis(values, (0, 1), (2, 3)), coords, (*lead, dim, "outcome"))
        end = start
    return found


def _constant_stats(chains: int, draws: int) -> xr.Dataset:
    """Return the statistics of a model whose standard deviations and correlations are all fixed."""
    lead = {"chain": np.arange(chains), "draw": np.arange(draws)}
    return xr.Dataset({"accepted": (tuple(lead), np.ones((chains, draws)))}, lead, {"passed": 1})


def labelled(coords: Coordinates, z: Array, system: System, chains: int, draws: int) -> xr.Dataset:
    """Return the parameters of points (chain × draw, d) with their names, as group ``posterior`` holds them."""
    outcomes = list(coords.outcomes)
    pairs = [pair_name(outcomes, i, j) for i, j in combinations(range(len(outcomes)), 2)]
    variables = {}
    for name, values in parameters(coords, z, system).items():
        last = "outcome" if name.startswith("tau_") else "pair"
        variables[name] = (("chain", "draw", last), values.reshape(chains, draws, -1))
    labels = {"chain": np.arange(chains), "draw": np.arange(draws), "outcome": outcomes}
    return xr.Dataset(variables, labels | ({"pair": pairs} if pairs else {}))
