"""Which group of microbes a change of the ratio comes from: fungal and bacterial necromass as pools of their own."""

from typing import NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array

#: Variables of group ``delta_mcp`` where fungal and bacterial necromass are outcomes: Δr and r₀ of each, and θ of their
#: sum.
CHANGE_OF_PART = "delta_mcp_part"
RATIO_OF_PART = "mcp_efficacy_control_part"
EFFECT_OF_SUM = "necromass_effect"


class PartChanges(NamedTuple):
    """Δr of each part, (target, part, draw), and δ and Δr of their sum, (target, draw)."""

    of_part: Array
    log_change: Array
    change: Array


def part_changes(ratio: Array, delta: Array) -> PartChanges:
    """Return the change of the ratio necromass/SOC as the sum of what its fungal and its bacterial part contribute.

    Parameters
    ----------
    ratio : ndarray, shape (target, part, draw)
        r₀ᵢ, the parts of necromass in the control as fractions of its SOC; NaN where absent.
    delta : ndarray, same shape
        δᵢ = θᵢ − θ_C, changes of ln(part/SOC).

    Returns
    -------
    PartChanges
        Fractions and a log ratio.

    Notes
    -----
    Δrᵢ = r₀ᵢ (e^δᵢ − 1), Δr = Σ Δrᵢ: exactly, draw by draw, since ratios of parts to one SOC add up. Log ratios do not:
    δ = ln((r₀ + Δr)/r₀) with r₀ = Σ r₀ᵢ. The effect on necromass as a whole is θ_N = δ + θ_C.
    """
    of_part = np.asarray(ratio * np.expm1(delta))
    change = of_part.sum(axis=1)
    return PartChanges(of_part, np.log1p(change / ratio.sum(axis=1)), change)


def effect_of_both(share: Array, fungal: Array, bacterial: Array) -> Array:
    """Return the effect on fungal and bacterial necromass together, θ_N = ln(s e^θ_F + (1 − s) e^θ_B).

    Parameters
    ----------
    share : ndarray
        s = r₀_F/r₀, the share of fungi in the necromass of the control.
    fungal, bacterial : ndarray
        θ_F and θ_B; all shapes broadcast.

    Notes
    -----
    The same as δ + θ_C of `part_changes`, without SOC.
    """
    return np.asarray(np.log(share * np.exp(fungal) + (1 - share) * np.exp(bacterial)))


def apart(data: xr.Dataset) -> bool:
    """Say whether fungal and bacterial necromass are outcomes of arm-based data, so that their ratio has two parts."""
    return data.attrs["family"] == words.ARM_BASED and words.has_parts(data["outcome"].values.astype(str))


def parts_of(data: xr.Dataset, posterior: xr.Dataset) -> tuple[int, int, int] | None:
    """Return the places of fungal and bacterial necromass and of SOC among the outcomes of arm-based data, else None.

    None also with contrast data, which hold no control means and so no ratio of either part.
    """
    outcomes = posterior["outcome"].values.astype(str).tolist()
    if not apart(data):
        return None
    fungal, bacterial, soc = (outcomes.index(pool) for pool in (*words.PARTS, words.SOC))
    return fungal, bacterial, soc


def quantity_of_part(part: str) -> str:
    """Return the quantity, as in ``summary.csv``, of what a part of necromass contributes to ΔMCP."""
    return f"delta_mcp[{part}]"


def ratio_of_part(part: str) -> str:
    """Return the quantity, as in ``summary.csv``, of the ratio of a part of necromass to SOC in the control."""
    return f"mcp_efficacy_control[{part}]"
