"""Statements coarser than a class, for when no single one of thirteen is probable enough."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import signs, tolerances
from mcpbayes.specification.structure import Scheme

#: Coarser statements, tried in this order where no single class reaches the threshold: the question itself first.
UNIONS: Final = {
    "ratio+": "MCP efficacy increases",
    "ratio-": "MCP efficacy decreases",
    "ratio0": "MCP efficacy does not change beyond the tolerance",
    "N+C+": "gain of both pools",
    "N-C-": "loss of both pools",
    "synchrony": "synchrony of the pools",
    "C+": "SOC gain",
    "C-": "SOC loss",
    "N+": "necromass gain",
    "N-": "necromass loss",
}


@dataclass(frozen=True)
class Claim:
    """A class or a coarser statement, and its posterior probability."""

    code: str
    label: str
    probability: float


def _members() -> np.ndarray:
    """Return which classes each coarser statement holds, (union, 13); those on the ratio are no sums of classes."""

    def holds(union: str, code: str) -> bool:
        if union == "synchrony":
            return code in words.SYNCHRONOUS
        return not union.startswith("ratio") and union in code

    return np.array([[holds(union, code) for code in words.SCENARIOS] for union in UNIONS], dtype=float)


_MEMBERS: Final = _members()

#: Coarser statement on the ratio → its place among `counting.CHANGES`.
_CHANGE_OF: Final = {"ratio+": 0, "ratio0": 1, "ratio-": 2}

#: What the ratio does, in words, in the order of `counting.CHANGES`.
CHANGE_LABELS: Final = tuple(UNIONS[union] for union in _CHANGE_OF)


def union_probabilities(classes: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Return the probability of each coarser statement, so that no statement can contradict the classes.

    Parameters
    ----------
    classes : ndarray, shape (..., 13)
        Probabilities of the classes in the order of `vocabulary.SCENARIOS`.
    change : ndarray, shape (..., 3)
        Probabilities that δ lies above its tolerance, within, below.

    Returns
    -------
    ndarray, shape (..., union)
        In the order of `UNIONS`.
    """
    found = classes @ _MEMBERS.T
    for place, union in enumerate(UNIONS):
        if union in _CHANGE_OF:
            found[..., place] = change[..., _CHANGE_OF[union]]
    return np.asarray(np.minimum(found, 1.0))


def union_claims(probabilities: np.ndarray) -> tuple[Claim, ...]:
    """Return the coarser statements with their probabilities, (union,), as `union_probabilities` gives them."""
    return tuple(
        Claim(code, label, float(probability))
        for (code, label), probability in zip(UNIONS.items(), probabilities, strict=True)
    )


def union_events(theta_n: np.ndarray, theta_c: np.ndarray, scheme: Scheme) -> dict[str, np.ndarray]:
    """Return in which draws each coarser statement holds, by its code, in the order of `UNIONS`.

    Parameters
    ----------
    theta_n, theta_c : ndarray, shape (sample,)
        Effect draws of necromass and SOC.
    scheme : Scheme
        For its tolerances. Synchrony is `vocabulary.SYNCHRONOUS`: proportional change of both pools, or none.
    """
    eps = tolerances(scheme)
    n, c, ratio = signs(theta_n, eps.necromass), signs(theta_c, eps.soc), signs(theta_n - theta_c, eps.ratio)
    return {
        "ratio+": ratio > 0,
        "ratio-": ratio < 0,
        "ratio0": ratio == 0,
        "N+C+": (n > 0) & (c > 0),
        "N-C-": (n < 0) & (c < 0),
        "synchrony": (n == c) & ((ratio == 0) | (n == 0)),
        "C+": c > 0,
        "C-": c < 0,
        "N+": n > 0,
        "N-": n < 0,
    }
