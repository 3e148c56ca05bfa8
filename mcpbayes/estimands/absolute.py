"""An absolute tolerance of ΔMCP: how far δ may move while Δr = r₀(e^δ − 1) stays within it, given the drawn r₀."""

from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.layout import Array, node_major
from mcpbayes.estimands.parts import apart
from mcpbayes.estimands.reading import describe
from mcpbayes.estimands.tree import group, specification
from mcpbayes.specification.structure import Scheme

#: Stands for no limit: a ratio cannot fall by more than itself.
_NEVER: Final = 1e3


def points_of(scheme: Scheme) -> float | None:
    """Return the absolute tolerance of ΔMCP in percentage points; None where the ratio's is relative."""
    return scheme.tolerance_points.get(words.DELTA_MCP)


def ends_of(ratio: Array, points: float) -> tuple[Array, Array]:
    """Return how far δ may rise and fall while |Δr| stays within a tolerance.

    Parameters
    ----------
    ratio : ndarray
        r₀, fraction.
    points : float
        t, percentage points.

    Returns
    -------
    rise, fall : ndarray
        ln(1 + t/r₀) and −ln(1 − t/r₀); where r₀ is no larger than t, it cannot fall beyond the tolerance.
    """
    share = points / 100 / ratio
    with np.errstate(divide="ignore", invalid="ignore"):
        fall = np.where(share < 1, -np.log1p(-np.minimum(share, 1.0)), _NEVER)
    return np.log1p(share), np.minimum(fall, _NEVER)


def require_ratios(result: xr.DataTree) -> None:
    """Refuse an absolute tolerance where targets have no r₀ that it could be a part of.

    Raises
    ------
    SpecificationError
        Says how many targets have none, the first of them, why, and what to do.
    """
    if points_of(specification(result).scenarios) is None or apart(group(result, words.DATA)):
        return  # with fungal and bacterial necromass apart, what has no r0 has no class in any case
    found = describe(result)
    absent = found["absent"].values.astype(str)
    lacking = np.flatnonzero(absent != "")
    if len(lacking):
        first = str(found["target"].values[lacking[0]])
        raise SpecificationError(
            f"percentage points of ΔMCP need r0 of the control, which {len(lacking)} of {len(absent)} targets lack "
            f"({first}: {absent[lacking[0]]}); take scenarios.tolerance_points.delta_mcp=none, and "
            "scenarios.tolerance_percent.ratio instead",
            "scenarios.tolerance_points",
        )


def ratio_at(result: xr.DataTree, level: str, name: str = "mcp_efficacy_control") -> Array:
    """Return r₀ of the level mean or new, (draw,), or of its parts, (part, draw): the same for all its targets.

    ``name`` is the variable of the group ``delta_mcp`` that holds it.
    """
    change = group(result, words.DELTA_MCP)
    (first, *_) = np.flatnonzero(change["level"].values == level)
    return np.asarray(node_major(change[name].isel(target=first), *(["part"] if "part" in change[name].dims else [])))
