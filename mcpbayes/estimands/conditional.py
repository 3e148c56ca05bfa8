"""Mean and covariance of effects at every level given the variance parameters φ, everything else integrated out.

Given the standard deviations and correlations of a draw (and ϱ over plots, where it is estimated), effects are normal
in the Gaussian models: at ``mean`` and ``new`` through the moments of coefficients and kinds (`root.root_moments`), at
``study`` and ``comparison`` through `moments.marginal_moments`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array, Index
from mcpbayes.estimands.parts import apart
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.walk import pools_of
from mcpbayes.inference.coordinates import covariances
from mcpbayes.inference.engine import data_of_fits, number_of_fits
from mcpbayes.inference.hierarchy import Covariances
from mcpbayes.inference.moments import marginal_moments
from mcpbayes.inference.root import CoefficientPrior, coefficient_prior, root_moments
from mcpbayes.inference.tree import Hierarchy, build_hierarchy


@dataclass(frozen=True)
class World:
    """One fit's data and draws of its φ, chain after chain.

    Parameters
    ----------
    chains : int
    tree : Hierarchy
    sigma : Covariances
    prior : CoefficientPrior
    kind_factor : ndarray, shape (K, K, draw), or None
    pools : (int, int)
        Places of necromass and SOC among the outcomes.
    """

    chains: int
    tree: Hierarchy
    sigma: Covariances
    prior: CoefficientPrior
    kind_factor: Array | None
    pools: tuple[int, int]


@dataclass(frozen=True)
class Normals:
    """Pairs (θ_N, θ_C) that are normal given φ.

    Parameters
    ----------
    mean : ndarray, shape (2, target, draw)
    sigma : ndarray, shape (2, 2, target, draw)
    """

    mean: Array
    sigma: Array


def why_not_normal(result: xr.DataTree) -> str:
    """Return why effects on necromass and SOC are not known to be normal given φ; empty where they are."""
    if apart(group(result, words.DATA)):
        return (
            "necromass is the sum of fungal and bacterial necromass, whose logarithm is not normal given standard "
            "deviations and correlations"
        )
    if result.attrs.get(words.CONDITIONAL) != words.GAUSSIAN:
        return "the fit does not say that effects are normal given standard deviations and correlations"
    made = worlds_of(group(result, words.POSTERIOR))
    if made > 1 and number_of_fits(group(result, words.DATA), specification(result)) != made:
        return "the data of every world are not at hand"
    return ""


def _data(result: xr.DataTree) -> list[xr.Dataset]:
    """Return the data of every world of a result."""
    data = group(result, words.DATA)
    if worlds_of(group(result, words.POSTERIOR)) == 1:
        return [data]
    return data_of_fits(data, specification(result))


def spaced(draws: int, wanted: int) -> Index:
    """Return so many draws of a chain, evenly spaced; all of them where there are no more."""
    size = min(max(wanted, 1), draws)
    return np.asarray((np.arange(size) + 0.5) * draws / size, dtype=np.intp)


def worlds(result: xr.DataTree) -> list[World]:
    """Return every world of a result, one for which `why_not_normal` says nothing, with all draws of φ."""
    posterior, data = group(result, words.POSTERIOR), _data(result)
    names = [str(name) for name in posterior.data_vars if str(name).startswith(("tau_", "rho_"))]
    phi = posterior[names]
    prior = coefficient_prior(specification(result), [str(name) for name in data[0]["coefficient"].values])
    pools = pools_of(posterior)
    assert pools is not None
    chains = phi.sizes["chain"] // len(data)
    found = []
    for number, arms in enumerate(data):
        here = phi.isel(chain=slice(number * chains, (number + 1) * chains))
        flat = {name: here[name].transpose("chain", "draw", ...).values for name in names}
        sigma, factor = covariances({name: values.reshape(-1, values.shape[-1]) for name, values in flat.items()})
        found.append(World(chains, build_hierarchy(arms), sigma, prior, factor, pools))
    return found


def thinned(found: list[World], per_chain: int) -> list[World]:
    """Return worlds with so many evenly spaced draws of each chain, at most all."""
    return [_thinned(one, per_chain) for one in found]


def _thinned(world: World, per_chain: int) -> World:
    draws = world.sigma.comparison.shape[-1] // world.chains
    kept = (draws * np.arange(world.chains)[:, None] + spaced(draws, per_chain)).ravel()
    levels = {name: part[..., kept] for name, part in vars(world.sigma).items() if part is not None}
    factor = None if world.kind_factor is None else world.kind_factor[..., kept]
    return replace(world, sigma=replace(world.sigma, **levels), kind_factor=factor)


@dataclass(frozen=True)
class Root:
    """Coefficients and kinds of some worlds given φ; draws of the worlds stand one after the other.

    Parameters
    ----------
    mean, root : ndarray, shape (b, 2, draw), (b, 2, q, draw)
        ``root`` W gives the covariance, W W'.
    total : ndarray, shape (2, 2, draw)
        Σ_total of a fresh comparison.
    """

    mean: Array
    root: Array
    total: Array


def root_of(found: list[World]) -> Root:
    """Return the moments of coefficients and kinds, and Σ_total of a fresh comparison, of necromass and SOC."""
    both = list(found[0].pools)
    parts = [root_moments(one.tree, one.sigma, one.prior, one.kind_factor) for one in found]
    levels = [
        sum(part for part in (one.sigma.study, one.sigma.site, one.sigma.comparison) if part is not None)
        for one in found
    ]
    return Root(
        np.concatenate([mean[:, both] for mean, _ in parts], axis=-1),
        np.concatenate([root[:, both] for _, root in parts], axis=-1),
        np.concatenate([np.asarray(total)[np.ix_(both, both)] for total in levels], axis=-1),
    )


def population_normals(found: Root, features: Array, fresh: np.ndarray, now: slice) -> Normals:
    """Return the moments of Σ features x, and with Σ_total added where an effect is a fresh comparison's.

    Parameters
    ----------
    found : Root
    features : ndarray, shape (target, b)
        Design rows and weights of kinds.
    fresh : ndarray of bool, shape (target,)
    now : slice
        Draws.
    """
    mean = np.einsum("tb,bkd->ktd", features, found.mean[..., now])
    root = np.einsum("tb,bkqd->ktqd", features, found.root[..., now])
    sigma = np.einsum("itqd,jtqd->ijtd", root, root)
    sigma[:, :, fresh] += found.total[:, :, None, now]
    return Normals(mean, sigma)


def observed_normals(found: list[World]) -> Iterator[tuple[Index, Index, Normals]]:
    """Walk the studies in blocks; yield positions of studies and comparisons, and the moments of both in this order.

    Notes
    -----
    Draws of the worlds stand one after the other. Blocks bound the memory.
    """
    both = list(found[0].pools)
    walks = [marginal_moments(one.tree, one.sigma, one.prior, one.kind_factor) for one in found]
    for parts in zip(*walks, strict=True):
        mean = np.concatenate([np.concatenate([part.study_mean, part.comparison_mean]) for part in parts], axis=-1)
        both_levels = [np.concatenate([part.study_covariance, part.comparison_covariance]) for part in parts]
        sigma = np.concatenate(both_levels, axis=-1)
        block = parts[0].block
        yield (
            np.arange(block.studies.start, block.studies.stop),
            block.comparisons,
            Normals(np.moveaxis(mean[:, both], 1, 0), np.moveaxis(sigma[:, both][:, :, both], (1, 2), (0, 1))),
        )
