"""The thirteen scenario classes: from a pair of effects to its class, and from classes to a user's coarser ones."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mcpbayes import vocabulary as words
from mcpbayes.specification.structure import Scheme

_SIGN: Final = {1: "+", 0: "0", -1: "-"}


def _class_table() -> np.ndarray:
    """Return the class of (sign of θ_N, sign of θ_C, sign of δ), each + 1, as an array (3, 3, 3)."""
    table = np.empty((3, 3, 3), dtype=np.int64)
    for n in (-1, 0, 1):
        for c in (-1, 0, 1):
            for ratio in (-1, 0, 1):
                third = ratio if n == c != 0 else (n > c) - (n < c)
                code = f"N{_SIGN[n]}C{_SIGN[c]}r{_SIGN[third]}"
                table[n + 1, c + 1, ratio + 1] = words.SCENARIOS.index(code)
    return table


#: Class of the signs of θ_N, θ_C and δ, each + 1: positions in `vocabulary.SCENARIOS`.
CLASS_TABLE: Final = _class_table()


@dataclass(frozen=True)
class Tolerances:
    """Changes within ±ε count as none: ε of the necromass effect, of the SOC effect and of δ, log scale."""

    necromass: float
    soc: float
    ratio: float


def tolerances(scheme: Scheme) -> Tolerances:
    """Return ε = ln(1 + p/100) of a scheme's percentages."""
    percent = scheme.tolerance_percent
    epsilon = {name: float(np.log1p(percent[name] / 100)) for name in ("necromass", "soc", "ratio")}
    return Tolerances(**epsilon)


def signs(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Return +1 above ε, −1 below −ε, else 0; any shape."""
    return np.asarray((values > epsilon).astype(np.int8) - (values < -epsilon))


def classify_effects(theta_n: np.ndarray, theta_c: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Return the class of each pair of effects.

    Parameters
    ----------
    theta_n, theta_c : ndarray, same shape
        Log response ratios of necromass and SOC, not NaN.
    scheme : Scheme
        Its tolerances; merged classes are not looked at (`coarsening`).

    Returns
    -------
    ndarray of int, same shape
        Positions in `vocabulary.SCENARIOS`.

    Notes
    -----
    The signs of θ_N and θ_C outside their tolerances name the class; where both moved the same way, the sign of
    δ = θ_N − θ_C outside its own tolerance decides the third sign, otherwise it is implied. With all tolerances zero
    six classes remain.
    """
    eps = tolerances(scheme)
    n, c = signs(theta_n, eps.necromass), signs(theta_c, eps.soc)
    return np.asarray(CLASS_TABLE[n + 1, c + 1, signs(theta_n - theta_c, eps.ratio) + 1])


def coarsening(scheme: Scheme) -> tuple[tuple[str, ...], tuple[str, ...], np.ndarray]:
    """Return codes and labels of a scheme's classes and where each of the thirteen goes.

    Returns
    -------
    codes, labels : tuple of str
        In the order of `vocabulary.SCENARIOS`; a merged class stands where its first member stood.
    place : ndarray of int, shape (13,)
        Position among `codes` of each of the thirteen.
    """
    goes_to = {member: code for code, members in scheme.merge.items() for member in members}
    of_each = [goes_to.get(code, code) for code in words.SCENARIOS]
    codes = tuple(dict.fromkeys(of_each))
    labels = tuple(scheme.labels.get(code, words.SCENARIO_LABELS.get(code, code)) for code in codes)
    return codes, labels, np.array([codes.index(code) for code in of_each])
