"""Statements coarser than a class, for when no single one of thirteen is probable enough."""

from dataclasses import dataclass
from typing import Final

import numpy as np

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


def union_claims(theta_n: np.ndarray, theta_c: np.ndarray, scheme: Scheme) -> tuple[Claim, ...]:
    """Return the coarser statements with their probabilities; parameters and order as `union_events`."""
    events = union_events(theta_n, theta_c, scheme)
    return tuple(Claim(code, label, float(np.mean(events[code]))) for code, label in UNIONS.items())


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
