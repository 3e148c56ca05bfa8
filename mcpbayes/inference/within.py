"""The correlation ϱ over plots as an unknown: everything that a plan holds of two pools is a quadratic in it.

ϱ enters the sampling covariance V of an arm off the diagonal only, V = V₀ + ϱ V₁, so V, adj V and |V| are quadratics in
ϱ, and with them all constants of the treated arms. A flat baseline enters by the precision C of its control arm, which
is no polynomial; but the minors of a level may have a common factor (`levels.Level`), and those of C times 1/|C| are
1, V, adj V and |V|. Quadratics are found through their values at three ϱ, so nothing is worked out twice; a row of
constants becomes three, for the powers 1, ϱ and ϱ².
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from mcpbayes.inference import planes
from mcpbayes.inference.leaves import Leaves
from mcpbayes.inference.levels import Level
from mcpbayes.inference.small_matrices import Array

#: Values of ϱ through which quadratics are found.
POINTS: Final = (-0.5, 0.0, 0.5)


def powers(rho: Array) -> Array:
    """Return 1, ϱ and ϱ², (3, draw)."""
    return np.stack([np.ones_like(rho), rho, rho * rho])


def rows(minors: Array, powers: Array) -> Array:
    """Return minors (row, draw) times each power, (3 × row, draw); the first ones are the minors themselves."""
    return (powers[:, None] * minors).reshape(-1, minors.shape[-1])


def quadratic(values: Sequence[Array]) -> Array:
    """Return the coefficients (..., 3) of 1, ϱ and ϱ² from values at `POINTS`; equal values have zeros behind."""
    low, middle, high = values
    return np.stack([middle, high - low, 2.0 * ((low - middle) + (high - middle))], axis=-1)


def leaves_in_rho(found: Sequence[Leaves]) -> Leaves:
    """Return leaves whose constants belong to `rows` from those at `POINTS`."""

    def joined(name: str) -> Array:
        parts = quadratic([getattr(one, name) for one in found])
        return np.concatenate(np.moveaxis(parts, -1, 0), axis=-1)

    return replace(found[1], precision=joined("precision"), score=joined("score"), spread=joined("spread"))


def level_in_rho(found: Sequence[Level]) -> tuple[Level, Array]:
    """Return a level whose planes are (node, power), and ln of the factor (node,) that its minors took at ϱ = 0.

    Minors are scaled to unit 1 where they have one; a level without unit knows one pool at most, so nothing of ϱ.
    """
    units = [np.broadcast_to(one.unit, one.own.shape[1:]) for one in found]
    scales = [1.0 / np.where(unit > 0, unit, 1.0) for unit in units]
    minors = [
        [(part * scale)[..., 0] for part in (unit, one.own, one.turned, one.last)]
        for one, unit, scale in zip(found, units, scales, strict=True)
    ]
    unit, own, turned, last = (quadratic(values) for values in zip(*minors, strict=True))
    return Level(unit, own, turned, last), np.log(scales[1][:, 0])


def level_at(level: Level, powers: Array) -> Level:
    """Return the level at powers (3, draw) of ϱ."""
    unit, own, turned, last = (
        planes.combine(np.asarray(part), powers) for part in (level.unit, level.own, level.turned, level.last)
    )
    return Level(unit, own, turned, np.maximum(last, 0.0))
