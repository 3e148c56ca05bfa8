"""The pair of effects that scenario classes are of: on necromass, as one pool or as the sum of two, and on SOC."""

from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array, node_major
from mcpbayes.estimands.parts import EFFECT_OF_SUM
from mcpbayes.estimands.walk import TargetDraws, pools_of

#: Places of necromass and SOC in a pair.
BOTH: Final = (0, 1)


def has_pairs(change: xr.Dataset) -> bool:
    """Say whether targets have effects on necromass and on SOC, and so scenario classes.

    Parameters
    ----------
    change : Dataset
        Group ``delta_mcp``.

    Notes
    -----
    With fungal and bacterial necromass apart the effect on their sum hangs on how much of each the control has: without
    a control that has all three pools there is none at the levels mean and new, and no classes.
    """
    if EFFECT_OF_SUM in change:
        return str(change["absent"].values[0]) == ""  # all targets of these levels share r0
    return pools_of(change) is not None


def pair_draws(change: xr.Dataset) -> Array:
    """Return θ_N and θ_C of the stored targets of a group ``delta_mcp`` with `has_pairs`, (target, 2, draw)."""
    effect, pools = node_major(change["effect"], "target", "outcome"), pools_of(change)
    if pools is not None:
        return effect[:, list(pools)]
    soc = change["outcome"].values.astype(str).tolist().index(words.SOC)
    return np.stack([node_major(change[EFFECT_OF_SUM], "target"), effect[:, soc]], axis=1)


def paired(found: TargetDraws, soc: int) -> TargetDraws:
    """Return targets with the effects on the sum of fungal and bacterial necromass, and on SOC, alone.

    Parameters
    ----------
    found : TargetDraws
        With r₀.
    soc : int
        Place of SOC among the outcomes.

    Returns
    -------
    TargetDraws
        Effects (target, 2, draw); targets without r₀ are left out, since they have no effect on the sum.
    """
    assert found.of_sum is not None
    assert found.ratio is not None
    there = np.flatnonzero(found.ratio.of >= 0)
    effect = np.stack([found.of_sum[there], found.effect[there, soc]], axis=1)
    return TargetDraws(found.places[there], effect, found.ratio._replace(of=found.ratio.of[there]))
