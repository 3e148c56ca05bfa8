"""Means, CVs, n and the correlation of the pools from replicate plots; complete blocks are taken out of the error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcpbayes.measurement.replicates import pooled_correlation, relative_deviations, without_blocks

Array = NDArray[np.float64]

#: Column of the number of a plot's arm, in an order that does not depend on the file.
ARM: Final = "number of the arm"
BLOCK: Final = "block"
#: What a control shares with the arms treated against it; their blocks are the same.
CONTROL_KEY: Final = ["study", "control_id"]
#: Relative SD below which plots are one copied value.
NO_SPREAD: Final = 1e-9
#: Degrees of freedom from which the correlation of the plots is used: its standard error at 0.5 is then below 0.25,
#: about what is unknown of it anyway.
ENOUGH: Final = 10


@dataclass(frozen=True)
class Moments:
    """What the plots of a table say of its arms.

    Parameters
    ----------
    mean, n, cv : DataFrame
        Arm (its number) by pool; CV is NaN where the plots do not tell it.
    shared_df : DataFrame
        Arm by pool: degrees of freedom of the CV that the arms of one control share; NaN where an arm has its own.
    rho : float
        Correlation of the pools over the plots of an arm, pooled over the table; NaN where there are too few.
    freedom : int
        Its degrees of freedom.
    blocked, unblocked : mapping of pool to tuple of int
        Arms whose blocks were taken out, and arms with blocks that are not complete.
    gaps : mapping of pool to mapping of int to str
        Arms on account of which blocks are not complete, each with what is wrong with its blocks.
    constant : mapping of pool to tuple of int
        Arms whose plots all have one value.
    """

    mean: pd.DataFrame
    n: pd.DataFrame
    cv: pd.DataFrame
    shared_df: pd.DataFrame
    rho: float
    freedom: int
    blocked: Mapping[str, tuple[int, ...]]
    unblocked: Mapping[str, tuple[int, ...]]
    constant: Mapping[str, tuple[int, ...]]
    gaps: Mapping[str, Mapping[int, str]]


@dataclass(frozen=True)
class _Unit:
    """Plots that share one error variance: an arm, or the arms of one control in complete blocks."""

    arms: tuple[int, ...]
    residuals: pd.Series
    freedom: int
    blocked: bool


def plot_moments(plots: pd.DataFrame, outcomes: Sequence[str]) -> Moments:
    """Return the moments of the arms of plots.

    Parameters
    ----------
    plots : DataFrame
        One row per plot with `ARM`, study, control_id, the pools and, where there are blocks, `BLOCK`, in an order that
        does not depend on the file.
    outcomes : sequence of str
        Pools.

    Notes
    -----
    CV² = Σ r²/df with relative residuals r = x/x̄ - 1. Of an arm on its own, df = n - 1 and the CV is SD/mean. Where
    every arm of a control has one plot in each block, block means are taken out of r and all these arms have one CV,
    from df = (arms - 1)(blocks - 1): the error of their comparison. The correlation is that of the same residuals in
    plots with both pools, over the whole table: with three or four plots, that of one arm is noise.
    """
    by_arm = plots.groupby(ARM)
    mean, n = by_arm[list(outcomes)].mean(), by_arm[list(outcomes)].count()
    cv, shared = (pd.DataFrame(np.nan, mean.index, list(outcomes)) for _ in range(2))
    notes: dict[str, dict[str, tuple[int, ...]]] = {"blocked": {}, "unblocked": {}, "constant": {}}
    for outcome in outcomes:
        units, unblocked = _units(plots, outcome)
        for unit in units:
            cv.loc[list(unit.arms), outcome] = _cv(unit)
            shared.loc[list(unit.arms), outcome] = unit.freedom if unit.blocked else np.nan
        notes["blocked"][outcome] = tuple(arm for unit in units if unit.blocked for arm in unit.arms)
        notes["unblocked"][outcome] = unblocked
        notes["constant"][outcome] = tuple(arm for u in units if u.freedom and np.isnan(_cv(u)) for arm in u.arms)
    rho, freedom = _correlation(plots, outcomes) if len(outcomes) == 2 else (np.nan, 0)
    gaps = {outcome: block_gaps(plots, outcome, notes["unblocked"][outcome]) for outcome in outcomes}
    return Moments(mean, n, cv, shared, rho, freedom, **notes, gaps=gaps)


def _cv(unit: _Unit) -> float:
    """Return the CV of a unit, NaN where its plots do not tell it."""
    if not unit.freedom:
        return float("nan")
    cv = float(np.sqrt((unit.residuals**2).sum() / unit.freedom))
    return cv if cv > NO_SPREAD else float("nan")


def _units(plots: pd.DataFrame, outcome: str) -> tuple[list[_Unit], tuple[int, ...]]:
    """Return the units of one pool, and the arms with blocks that are not complete."""
    measured = plots[plots[outcome].notna()]
    units: list[_Unit] = []
    unblocked: list[int] = []
    for _, group in measured.groupby(CONTROL_KEY):
        given = BLOCK in group and (group[BLOCK] != "").any()
        if given and _is_complete(group):
            units.append(_in_blocks(group, outcome))
            continue
        alone = [_on_its_own(arm, outcome) for _, arm in group.groupby(ARM)]
        units += alone
        unblocked += [arm for unit in alone for arm in unit.arms] if given else []
    return units, tuple(unblocked)


def _is_complete(group: pd.DataFrame) -> bool:
    """Say whether every arm has one plot in each block, with two arms and two blocks at least."""
    counts = pd.crosstab(group[ARM], group[BLOCK])
    return bool((group[BLOCK] != "").all() and min(counts.shape) > 1 and (counts == 1).all(axis=None))


def block_gaps(plots: pd.DataFrame, outcome: str, unblocked: Sequence[int]) -> dict[int, str]:
    """Return the arms on account of which blocks are not complete, each with what is wrong with its blocks.

    Parameters
    ----------
    plots : DataFrame
        As for `plot_moments`.
    outcome : str
        Pool; a plot where it was not measured is no plot of its block.
    unblocked : sequence of int
        Arms with blocks that are not complete.
    """
    gaps: dict[int, str] = {}
    for _, group in plots[plots[ARM].isin(unblocked)].groupby(CONTROL_KEY):
        blocks = sorted(set(group[BLOCK]) - {""})
        measured = group[group[outcome].notna()]
        found = {int(str(arm)): _wrong_with(own[BLOCK], blocks) for arm, own in measured.groupby(ARM)}
        alone = "has one block only" if len(blocks) < 2 else "is alone in its blocks"
        gaps |= {arm: said for arm, said in found.items() if said} or dict.fromkeys(found, alone)
    return gaps


def _wrong_with(own: pd.Series, blocks: Sequence[str]) -> str:
    """Return what is wrong with the blocks of an arm's plots, "" where there is one plot in each block."""
    counts = own.value_counts()
    lacking = [block for block in blocks if block not in counts]
    several = [block for block in blocks if counts.get(block, 0) > 1]
    said = [f"lacks block {', '.join(lacking)}"] if lacking else []
    said += [f"has several plots in block {', '.join(several)}"] if several else []
    said += ["has plots without block"] if "" in counts else []
    return " and ".join(said)


def _in_blocks(group: pd.DataFrame, outcome: str) -> _Unit:
    values = group.pivot(index=ARM, columns=BLOCK, values=outcome)
    residuals = without_blocks(relative_deviations(values.to_numpy(float)))
    at = pd.MultiIndex.from_arrays([group[ARM], group[BLOCK]])
    stacked = pd.DataFrame(residuals, values.index, values.columns).stack().reindex(at)
    freedom = (values.shape[0] - 1) * (values.shape[1] - 1)
    return _Unit(tuple(values.index), pd.Series(stacked.to_numpy(float), group.index), freedom, True)


def _on_its_own(arm: pd.DataFrame, outcome: str) -> _Unit:
    residuals = relative_deviations(arm[outcome].to_numpy(float))
    return _Unit((int(arm[ARM].iloc[0]),), pd.Series(residuals, arm.index), len(arm) - 1, False)


def _correlation(plots: pd.DataFrame, outcomes: Sequence[str]) -> tuple[float, int]:
    """Return the correlation of two pools over plots that have both, and its degrees of freedom.

    A pool whose plots all have one value says nothing of the correlation, but would add the other's squares.
    """
    paired = plots[plots[list(outcomes)].notna().all(axis=1)]
    both = zip(*(_units(paired, outcome)[0] for outcome in outcomes), strict=True)
    told = [units for units in both if not any(np.isnan(_cv(unit)) for unit in units)]
    freedom = sum(unit.freedom for unit, _ in told)
    if freedom < ENOUGH:
        return float("nan"), freedom
    residuals = [
        np.concatenate([unit.residuals.to_numpy(float) for unit in units]) for units in zip(*told, strict=True)
    ]
    return pooled_correlation(*residuals), freedom
