"""The posterior without one study, for every study of a table, on the same coefficients, kinds and coordinates.

What the studies say about coefficients and kinds adds up, so the density of the table without a study is that of the
whole less the study's own part. The proposals of the fit to all studies are weighed by it: independence Metropolis
chains of them leave the posterior without the study invariant, and their weights are judged as those of any
fit. Where they do not cover it, proposals are made anew, without the study from the start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.inference.cascade import Proposals, assess, explore, still
from mcpbayes.inference.collapsed import judged_draws, judged_parameters, labelled, log_posterior
from mcpbayes.inference.coordinates import Coordinates, coordinates, covariances, parameters
from mcpbayes.inference.gathering import Gathered, gather
from mcpbayes.inference.hierarchy import Covariances, levels_of
from mcpbayes.inference.plan import chunks
from mcpbayes.inference.root import CoefficientPrior, coefficient_prior, draw_root_of, log_marginal, marginal_of
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, select_studies
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads

#: `Refit.attempt` where the proposals of all studies sufficed.
REWEIGHTED: Final = 0

#: Bytes up to which what all studies say is kept for every proposal; else it is worked out as it is needed.
_KEPT: Final = 100_000_000
_SUMS: Final = ("information", "score", "remainder")

#: Proposals that are worked on at once.
_AT_ONCE: Final = 512


@dataclass(frozen=True)
class Whole:
    """The fit to all studies, from which those without one start.

    Parameters
    ----------
    tree : Hierarchy
    model : Specification
    names : list of str
        Coefficients.
    coords : Coordinates
    seed : int
    found : Proposals
        Of the collapsed engine: the very ones of `collapsed.sample` with the same seed.
    said : Gathered or None
        What all studies say about coefficients and kinds, at every proposal; None where that is too much to keep.
    """

    tree: Hierarchy
    model: Specification
    names: list[str]
    coords: Coordinates
    seed: int
    found: Proposals
    said: Gathered | None


@dataclass(frozen=True)
class Refit:
    """The posterior of the variance parameters without one study.

    Parameters
    ----------
    posterior : xarray.Dataset
        Dims chain, draw; tau_* and rho_*, and ``beta`` and ``kind_effect``, those that `complete_posterior` would draw,
        where `Whole.said` gives them.
    log_predictive : array (chain, draw)
        ln p(c_s | φ, y₋s) of the study's within-control contrasts; coefficients, kinds and effects integrated out.
    attempt : int
        `REWEIGHTED`, or the number of the attempt that was made without the study.
    pareto_k, efficiency : float
        k̂ and ESS/N of the weights.
    passed : bool
        Whether weights and chains are good enough.
    """

    posterior: xr.Dataset
    log_predictive: Array
    attempt: int
    pareto_k: float
    efficiency: float
    passed: bool


def fit_whole(tree: Hierarchy, model: Specification, names: list[str], levels: Sequence[str], seed: int) -> Whole:
    """Explore the posterior given all studies.

    Parameters
    ----------
    tree : Hierarchy
    model : Specification
    names : list of str
        Coefficients.
    levels : sequence of str
        Levels that are on.
    seed : int
        Of the result.
    """
    tree = replace(tree, kinds=tree.kind_count)  # a kind keeps its place where its only study is left out
    coords = coordinates(model, levels, within=tree.per_rho is not None)
    chains, draws = model.sampling.chains, model.sampling.draws
    if coords.dimension == 0:
        found = still(chains=chains, draws=draws)
    else:
        density, judged = log_posterior(tree, model, names, coords), judged_draws(tree, model, names, coords, seed)
        rng = generator(seed, "proposals")
        found = explore(density, judged, coords.dimension, rng, chains=chains, draws=draws)
    return Whole(tree, model, names, coords, seed, found, _said(tree, coords, found))


def _said(tree: Hierarchy, coords: Coordinates, found: Proposals) -> Gathered | None:
    """Return what all studies say at every proposal; None where that is too much to keep."""
    sigma, kind_factor = covariances(parameters(coords, found.z, found.system))
    kind = kind_factor is not None
    features = tree.design.shape[1] + (tree.kind_count if kind else 0)
    if 8 * len(found.z) * (features * tree.y.shape[1]) ** 2 > _KEPT:
        return None
    pieces = chunks(len(found.z), _AT_ONCE)
    parts = list(in_threads(lambda now: gather(tree, levels_of(sigma, now), kind), pieces))
    return Gathered(*(np.concatenate([getattr(one, name) for one in parts], axis=-1) for name in _SUMS))


def _at(said: Gathered, places: slice | NDArray[np.intp]) -> Gathered:
    """Return what is said at some proposals."""
    return Gathered(*(getattr(said, name)[..., places] for name in _SUMS))


def weights_without(whole: Whole, studies: Sequence[int]) -> Array:
    """Return ln of the weights of the whole's proposals as proposals without a study, (study, draw).

    Notes
    -----
    ln w_s = ln w + ln p(y₋s | φ) − ln p(y | φ).
    """
    found = whole.found
    sigma, kind_factor = covariances(parameters(whole.coords, found.z, found.system))
    prior = coefficient_prior(whole.model, whole.names)
    every, without = marginals_without(whole.tree, sigma, prior, kind_factor, studies, whole.said)
    with np.errstate(invalid="ignore"):
        weight = found.log_weight + (without - every)
    return np.where(np.isfinite(weight), weight, -np.inf)


def marginals_without(
    tree: Hierarchy,
    sigma: Covariances,
    prior: CoefficientPrior,
    kind_factor: Array | None,
    studies: Sequence[int],
    said: Gathered | None = None,
) -> tuple[Array, Array]:
    """Return `root.log_marginal` of the whole table, (draw,), and without each of some studies, (study, draw).

    Parameters
    ----------
    tree : Hierarchy
    sigma : Covariances
    prior : CoefficientPrior
    kind_factor : array (K, K, draw) or None
    studies : sequence of int
    said : Gathered, optional
        What all studies say, where it is at hand.

    Notes
    -----
    Information, scores and remainders are sums over studies, so each study is collapsed once and subtracted.
    """
    parts = [select_studies(tree, np.array([study]))[0] for study in studies]
    kind = kind_factor is not None

    def piece(now: slice) -> Array:
        levels, factor = levels_of(sigma, now), None if kind_factor is None else kind_factor[..., now]
        total = gather(tree, levels, kind) if said is None else _at(said, now)
        out = np.empty((1 + len(parts), now.stop - now.start))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            out[0] = marginal_of(total, prior, factor)
            for row, part in zip(out[1:], parts, strict=True):
                row[:] = marginal_of(_less(total, gather(part, levels, kind)), prior, factor)
        return out

    rows = np.concatenate(list(in_threads(piece, chunks(sigma.study.shape[-1], _AT_ONCE))), axis=1)
    return rows[0], rows[1:]


def _less(total: Gathered, own: Gathered) -> Gathered:
    """Return what the rest of the studies say."""
    return Gathered(total.information - own.information, total.score - own.score, total.remainder - own.remainder)


def refit(whole: Whole, study: int, log_weight: Array) -> Refit:
    """Draw the variance parameters from their posterior without one study.

    Parameters
    ----------
    whole : Whole
    study : int
        Position in canonical order; random numbers are keyed by (seed, "influence", study).
    log_weight : array (draw,)
        Of `weights_without`.
    """
    model, coords, found = whole.model, whole.coords, whole.found
    size = {"chains": model.sampling.chains, "draws": model.sampling.draws}
    rng, judged = generator(whole.seed, "influence", study), judged_parameters(coords)
    if coords.dimension:
        found = assess(found.z, log_weight, found.system, REWEIGHTED, judged, rng, **size)
    if found.passed:
        # The weights differ by the density of the study's own contrasts, given the others.
        predictive = (whole.found.log_weight - log_weight)[found.path.place]
    else:
        part, *_ = select_studies(whole.tree, np.delete(np.arange(whole.tree.studies), study))
        found = explore(log_posterior(part, model, whole.names, coords), judged, coords.dimension, rng, **size)
        predictive = _predictive(whole, part, found).reshape(found.path.place.shape)
    chosen = labelled(coords, found.z[found.path.place.ravel()], found.system, **size)
    if found.passed and found.attempt == REWEIGHTED and whole.said is not None:
        chosen = chosen.assign(_root_without(whole, whole.said, study, found.path.place))
    return Refit(chosen, predictive, found.attempt, found.pareto_k, found.efficiency, found.passed)


def _root_without(
    whole: Whole, said: Gathered, study: int, place: NDArray[np.intp]
) -> dict[str, tuple[tuple[str, ...], Array]]:
    """Return coefficients and kinds drawn without one study: what it says is taken from what all of them say."""
    part = select_studies(whole.tree, np.array([study]))[0]
    states = place.ravel()
    sigma, kind_factor = covariances(parameters(whole.coords, whole.found.z[states], whole.found.system))
    own = gather(part, levels_of(sigma, slice(None)), kind_factor is not None)
    prior = coefficient_prior(whole.model, whole.names)
    beta, kind = draw_root_of(_less(_at(said, states), own), prior, kind_factor, whole.seed)
    drawn = {"beta": (beta, "coefficient")} | ({} if kind is None else {"kind_effect": (kind, "kind")})
    return {
        name: (("chain", "draw", dim, "outcome"), np.moveaxis(values, -1, 0).reshape(*place.shape, *values.shape[:2]))
        for name, (values, dim) in drawn.items()
    }


def _predictive(whole: Whole, part: Hierarchy, found: Proposals) -> Array:
    """Return ln p(c_s | φ, y₋s) of the states of all chains, (chain × draw,)."""
    z = found.z[found.path.place.ravel()]
    sigma, kind_factor = covariances(parameters(whole.coords, z, found.system))
    prior = coefficient_prior(whole.model, whole.names)
    return log_marginal(whole.tree, sigma, prior, kind_factor) - log_marginal(part, sigma, prior, kind_factor)
