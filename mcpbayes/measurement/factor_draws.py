"""Draws of conversion factors of amino sugars, and strata of what matters of them: NumPy out."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from mcpbayes.measurement.amino_sugars import Array, muramic_weight
from mcpbayes.specification.factors import Factor, FactorSet
from mcpbayes.streams import generator

#: Worlds of a result where the specification leaves their number to us, and nothing needs more.
WORLDS: Final = 8
#: Triples of factors behind every analysis: midpoints of as many strata of each factor, so that medians are exact.
TRIPLES: Final = 4096
#: Its multiples, modulo 1, leave no large gaps, however many they are.
_GOLDEN: Final = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Triples:
    """Draws of factors, sorted by q: all have shape (triple,); one triple where all is fixed."""

    q: Array
    k_f: Array
    k_b: Array
    rho_b: Array


@dataclass(frozen=True)
class Central:
    """The factors behind the central data: the medians of k_F and of q."""

    k_f: float
    q: float


@lru_cache(maxsize=32)
def draw_triples(factors: FactorSet) -> Triples:
    """Return equally probable triples of factors, sorted by q = k_B/k_F − ϱ_b 179.17/251.23.

    Notes
    -----
    A Latin hypercube from a stream of its own: the same triples for every table and seed. Triples with q ≤ 0, in which
    muramic acid would count against necromass, are left out (uncertain factors: about 1 %).
    """
    size = 1 if factors.fixed else TRIPLES
    rng = generator(0, "factors")
    k_b, k_f, rho_b = (_quantiles(factor, rng, size) for factor in (factors.k_b, factors.k_f, factors.rho_b))
    q = muramic_weight(k_b, k_f, rho_b)
    order = np.argsort(q, kind="stable")
    order = order[q[order] > 0]
    return Triples(q[order], k_f[order], k_b[order], rho_b[order])


def central(factors: FactorSet) -> Central:
    """Return the factors behind the central data."""
    triples = draw_triples(factors)
    return Central(float(np.median(triples.k_f)), float(np.median(triples.q)))


def strata(factors: FactorSet, count: int) -> list[Triples]:
    """Return the triples cut into equally probable strata of q, in its order."""
    return _split(draw_triples(factors), count)


def pairs(factors: FactorSet, count: int) -> list[Central]:
    """Return equally probable pairs of q and k_F, in the order of q: for models that hang on both.

    Parameters
    ----------
    factors : FactorSet
    count : int

    Notes
    -----
    A Latin hypercube: every pair has the median q of its stratum, as `strata`, and the k_F of one of `count` equally
    probable quantiles within it, which strata meet in the order of the multiples of the golden ratio, modulo 1.
    """
    order = np.argsort(np.argsort(np.arange(count) * _GOLDEN % 1))
    return [
        Central(float(np.quantile(part.k_f, (place + 0.5) / count)), float(np.median(part.q)))
        for part, place in zip(strata(factors, count), order, strict=True)
    ]


@dataclass(frozen=True)
class PartFactors:
    """The factors behind fungal and bacterial necromass as pools of their own."""

    k_b: float
    k_f: float
    rho_b: float


def central_of_parts(factors: FactorSet) -> PartFactors:
    """Return the factors behind the central data: the median of each."""
    triples = draw_triples(factors)
    return PartFactors(*(float(np.median(values)) for values in (triples.k_b, triples.k_f, triples.rho_b)))


def largest_rho_b(factors: FactorSet, worlds: int) -> float:
    """Return the largest ϱ_b that any of so many worlds is fitted with, which leaves fewest arms their fungi."""
    strata = strata_of_parts(factors, 1 if factors.fixed else worlds)
    return max(float(np.median(part.rho_b)) for part in strata)


def strata_of_parts(factors: FactorSet, count: int) -> list[Triples]:
    """Return the triples sorted by ϱ_b and cut into equally probable strata of it.

    Notes
    -----
    ln F = ln k_F + ln(GlcN − 0.7132 ϱ_b MurN), ln B = ln k_B + ln MurN: effects hang on ϱ_b alone.
    """
    triples = draw_triples(factors)
    order = np.argsort(triples.rho_b, kind="stable")
    return _split(Triples(*(values[order] for values in vars(triples).values())), count)


def _split(triples: Triples, count: int) -> list[Triples]:
    parts = (np.array_split(values, count) for values in vars(triples).values())
    return [Triples(*part) for part in zip(*parts, strict=True)]


def _quantiles(factor: Factor, rng: np.random.Generator, size: int) -> Array:
    """Return a factor at shuffled midpoints of equally probable strata."""
    u = (rng.permutation(size) + 0.5) / size
    if factor.distribution == "lognormal":
        drawn: Array = factor.middle * np.exp(factor.spread * ndtri(u))
    elif factor.distribution == "normal":
        below = ndtr(-factor.middle / factor.spread)
        drawn = factor.middle + factor.spread * ndtri(below + u * (1 - below))
    else:
        drawn = np.full(size, factor.middle)
    return drawn
