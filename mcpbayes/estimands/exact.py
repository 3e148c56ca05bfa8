"""Exact probabilities of the scenario classes given the variance parameters φ, averaged over evenly spaced draws of φ.

What is averaged is a smooth number per draw of φ instead of a draw's class: the Monte-Carlo error is the spread of
these numbers, sd/√ESS, which is many times smaller (Rao–Blackwell).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError
from mcpbayes.estimands.claims import union_probabilities
from mcpbayes.estimands.classes import Tolerances, coarsening, tolerances
from mcpbayes.estimands.conditional import (
    Normals,
    Root,
    World,
    observed_normals,
    population_normals,
    root_of,
    thinned,
    worlds,
)
from mcpbayes.estimands.counting import Counts
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.orthants import change_probabilities, class_probabilities
from mcpbayes.estimands.pooled import drawn_worlds, mcse_mean, worlds_of
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import group, specification
from mcpbayes.specification.structure import Scheme
from mcpbayes.workers import in_threads

#: Draws of φ behind a probability at the levels study and comparison, all chains together: within these limits, and as
#: `_EVALUATIONS` allow, so many that Monte-Carlo errors are `_BAR` times smaller than those of counting `_COUNTED`
#: independent draws. Large tables need fewer: their φ hardly varies.
_FEWEST, _MOST = 32, 4000
_EVALUATIONS: Final = 300_000
_BAR, _COUNTED = 6.0, 4000

#: Draws of φ, and targets of the first studies at most, by which it is judged how many are needed.
_PILOT: Final = 200
_PILOT_TARGETS: Final = 100

#: Probabilities between which errors are compared.
_LOW, _HIGH = 0.02, 0.98

#: Draws of φ at the levels mean and new, all chains together.
_AT_POPULATION: Final = 1000

#: Fewest draws of a chain.
_LEAST_OF_CHAIN: Final = 8

#: Targets and draws worked on at once; of fewer draws there are more targets, so that calls stay worth their cost.
_TARGETS, _DRAWS = 16, 1000


class Pieces(NamedTuple):
    """Normals of some targets: those with several parts are mixtures, as an average over kinds at level new.

    ``weight``: (target, part).
    """

    places: np.ndarray
    weight: Array
    normals: Normals


class Judge(NamedTuple):
    """How pieces are classified: tolerances, where each of the 13 classes goes, chains and worlds, drawn or not."""

    eps: Tolerances
    place: np.ndarray
    chains: int
    worlds: int
    drawn: bool


def judge_of(result: xr.DataTree, scheme: Scheme | None = None) -> Judge:
    """Return how a result's targets are classified, by its own scheme or another one."""
    posterior = group(result, words.POSTERIOR)
    scheme = scheme or specification(result).scenarios
    chains, drawn = posterior.sizes["chain"], drawn_worlds(posterior)
    return Judge(tolerances(scheme), coarsening(scheme)[2], chains, worlds_of(posterior), drawn)


def exact_counts(result: xr.DataTree, asked: xr.Dataset) -> Iterator[Counts]:
    """Yield the exact probabilities of all targets.

    Parameters
    ----------
    result : DataTree
        One for which `conditional.why_not_normal` says nothing.
    asked : Dataset
        All targets, of `targets.targets`.

    Raises
    ------
    ConvergenceError
        A moment is not finite.
    """
    judge, found = judge_of(result), worlds(result)
    population = np.isin(asked["level"].values, POPULATION)
    pieces = population_pieces(population_of(found), asked.isel(target=population))
    yield from in_threads(lambda piece: judged(piece, judge), pieces)
    first = int(population.sum())
    some = thinned(found, draws_wanted(found, judge, asked.sizes["target"] - first))
    yield from in_threads(lambda piece: judged(piece, judge), _observed_pieces(some, first))


def draws_wanted(found: list[World], judge: Judge, targets: int) -> int:
    """Return how many draws of each chain the studies and comparisons need, judged by the first studies.

    Notes
    -----
    With R the variance of the probabilities over draws of φ, relative to p(1 − p), n draws of φ have errors
    √(n/(R · counted)) times smaller than counted draws; R is the median over classes that are neither rare nor certain.
    """
    *_, normals = next(observed_normals(thinned(found, _per_chain(_PILOT, judge.chains))))
    some = slice(None, None, -(-normals.mean.shape[1] // _PILOT_TARGETS))
    mean, sigma = normals.mean[:, some], normals.sigma[:, :, some]
    classes = class_probabilities(mean, sigma, judge.eps)
    p = classes.mean(axis=-1)
    open_ = (p > _LOW) & (p < _HIGH)
    relative = classes.var(axis=-1)[open_] / (p * (1 - p))[open_]
    wanted = _BAR**2 * _COUNTED * float(np.median(relative)) if open_.any() else _FEWEST
    most = int(np.clip(_EVALUATIONS // max(targets, 1), _FEWEST, _MOST))
    return _per_chain(int(np.clip(wanted, _FEWEST, most)), judge.chains)


def _per_chain(wanted: int, chains: int) -> int:
    """Return how many draws of each chain make so many, and no fewer than an ESS can be had of."""
    return max(-(-wanted // chains), _LEAST_OF_CHAIN)


def population_of(found: list[World]) -> Root:
    """Return the moments of coefficients and kinds of the worlds of a result, at `_AT_POPULATION` draws of φ."""
    return root_of(thinned(found, _per_chain(_AT_POPULATION, sum(one.chains for one in found))))


def population_pieces(root: Root, asked: xr.Dataset) -> Iterator[Pieces]:
    """Yield the moments of targets of the levels mean and new, a few at a time."""
    rows, weights, levels = asked["row"].values, asked["kind_weight"].values, asked["level"].values
    for start in range(0, len(rows), _TARGETS):
        places = np.arange(start, min(start + _TARGETS, len(rows)))
        parts = [_parts(rows[i], weights[i], levels[i] == words.NEW) for i in places]
        features = np.concatenate([part for part, _ in parts])
        of = np.repeat(np.arange(len(parts)), [len(part) for part, _ in parts])
        mixture = np.zeros((len(parts), len(features)))
        mixture[of, np.arange(len(of))] = np.concatenate([weight for _, weight in parts])
        fresh = levels[places][of] == words.NEW
        draws = root.mean.shape[-1]
        pieces = [population_normals(root, features, fresh, slice(at, at + 256)) for at in range(0, draws, 256)]
        mean, sigma = (np.concatenate([getattr(one, name) for one in pieces], axis=-1) for name in ("mean", "sigma"))
        yield Pieces(places, mixture, Normals(mean, sigma))


def _parts(row: Array, weight: Array, fresh: bool) -> tuple[Array, Array]:
    """Return features (part, b) and weights of what a target mixes: at level new each kind is a part of its own."""
    if not fresh or not len(weight):
        return np.concatenate([row, weight])[None], np.ones(1)
    used = np.flatnonzero(weight)
    return np.concatenate([np.tile(row, (len(used), 1)), np.eye(len(weight))[used]], axis=1), weight[used]


def _observed_pieces(found: list[World], first: int) -> Iterator[Pieces]:
    """Yield the moments of studies and comparisons; their places follow those of the population's targets."""
    studies = found[0].tree.studies
    for study, comparison, normals in observed_normals(found):
        places = first + np.concatenate([study, studies + comparison])
        step = max(_TARGETS * _DRAWS // normals.mean.shape[-1], _TARGETS)
        for start in range(0, len(places), step):
            now = slice(start, start + step)
            part = Normals(normals.mean[:, now], normals.sigma[:, :, now])
            yield Pieces(places[now], np.eye(len(places[now])), part)


def judged(piece: Pieces, judge: Judge) -> Counts:
    """Return the probabilities of some targets and their errors.

    Raises
    ------
    ConvergenceError
        A moment is not finite.
    """
    mean, sigma = piece.normals.mean, piece.normals.sigma
    if not (np.isfinite(mean).all() and np.isfinite(sigma).all()):
        raise ConvergenceError("The moments of effects are not finite, so no class can be told; fit again.")
    classes, change = series(piece, judge.eps)
    size = int(judge.place.max()) + 1
    merged = classes
    if size < len(classes):
        merged = np.stack([classes[judge.place == one].sum(axis=0) for one in range(size)])
    by_chain = np.moveaxis(merged, 0, 1).reshape(len(piece.places), size, judge.chains, -1)
    means = classes.mean(axis=-1).T, change.mean(axis=-1).T
    return Counts(
        piece.places,
        merged.mean(axis=-1).T,
        mcse_mean(np.ascontiguousarray(by_chain), judge.worlds, drawn=judge.drawn),
        means[1],
        union_probabilities(*means),
    )


def series(piece: Pieces, eps: Tolerances) -> tuple[Array, Array]:
    """Return the probabilities of the 13 classes and of the changes at every draw, (13, target, draw) and (3, ...)."""
    draws = piece.normals.mean.shape[-1]
    found: list[tuple[Array, Array]] = []
    for start in range(0, draws, _DRAWS):
        mean, sigma = (values[..., start : start + _DRAWS] for values in (piece.normals.mean, piece.normals.sigma))
        found.append((class_probabilities(mean, sigma, eps), change_probabilities(mean, sigma, eps)))
    classes, change = (np.concatenate(parts, axis=-1) for parts in zip(*found, strict=True))
    if np.array_equal(piece.weight, np.eye(len(piece.weight))):
        return classes, change
    return np.einsum("tp,cpd->ctd", piece.weight, classes), np.einsum("tp,cpd->ctd", piece.weight, change)
