"""Did the sampler do its work? The gate of every run: divergences, R-hat, effective sample sizes, Pareto k̂."""

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.estimands.layout import Index
from mcpbayes.estimands.pooled import convergence, worlds_of
from mcpbayes.estimands.quantities import NEED_REFERENCE, Block, quantities
from mcpbayes.estimands.reading import describe
from mcpbayes.estimands.targets import target_name
from mcpbayes.estimands.tree import group, specification, with_groups
from mcpbayes.evidence.findings import (
    CHECKS,
    Worst,
    count_problems,
    cv_problems,
    divergences_of,
    failing_rows,
    row_problems,
    sampler_problems,
    worst_row,
)
from mcpbayes.kernels import use_numba
from mcpbayes.monte_carlo.limits import ESS_LIMIT, PARETO_K_LIMIT, R_HAT_LIMIT
from mcpbayes.specification.scheme import tolerance_problems
from mcpbayes.workers import in_threads

__all__ = [
    "ESS_LIMIT",
    "PARETO_K_LIMIT",
    "R_HAT_LIMIT",
    "Diagnostics",
    "Worst",
    "convergence_table",
    "diagnose",
    "judge",
]

#: Levels on which a fit passes or fails; rows of single studies and comparisons are counted and shown.
JUDGED: Final = (words.PARAMETER, words.MEAN, words.NEW)

_COLUMNS: Final = ("r_hat", "ess_bulk", "ess_tail")

#: Name of the row that stands for the fits of a pooled result.
WORST_WORLD: Final = "any parameter of one of the fits"


@dataclass(frozen=True)
class Diagnostics:
    """What the gate found.

    Parameters
    ----------
    divergences : int
        Divergent transitions of NUTS after warm-up.
    r_hat, ess_bulk, ess_tail : Worst or None
        Worst over the levels parameter, mean and new; None where it is not defined for any row.
    pareto_k : float or None
        k̂ of the collapsed engine's weights; None with NUTS.
    efficiency : float or None
        ESS/N of the same weights.
    chains, draws : int
        Chains, and draws per chain.
    failing_study, failing_comparison : int
        Rows of these levels beyond a limit; they do not decide.
    passed : bool
        No problem is an error.
    problems : tuple of Problem
        Errors fail the gate, warnings are shown.
    """

    divergences: int
    r_hat: Worst | None
    ess_bulk: Worst | None
    ess_tail: Worst | None
    pareto_k: float | None
    efficiency: float | None
    chains: int
    draws: int
    failing_study: int
    failing_comparison: int
    passed: bool
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the fields as plain dictionaries, for JSON."""
        return asdict(self)


def convergence_table(result: xr.DataTree, levels: Collection[str] | None = None) -> pd.DataFrame:
    """Return R-hat and ESS of every quantity.

    Parameters
    ----------
    result : DataTree
        With groups ``posterior`` and ``delta_mcp``.
    levels : collection of str, optional
        Levels that are wanted; default all.

    Returns
    -------
    DataFrame
        Columns ``level, name, quantity, finite, expected, r_hat, ess_bulk, ess_tail``; ``finite`` says whether all
        draws are, ``expected`` is false where a row is blank for a known reason: no r₀.
    """
    found = quantities(result, levels)
    size, worlds = len(found.quantity), worlds_of(group(result, words.POSTERIOR))
    compiled = levels is None and use_numba(group(result, words.DATA).sizes["comparison"])
    finite = np.zeros(size, dtype=bool)
    columns = {name: np.full(size, np.nan) for name in _COLUMNS}

    def work(blocks: Callable[[], Iterator[Block]]) -> list[tuple[Index, Index, np.ndarray, dict[str, np.ndarray]]]:
        return [
            (
                block.rows,
                block.of,
                np.isfinite(block.draws).all(axis=(1, 2)),
                convergence(block.draws, worlds, compiled=compiled),
            )
            for block in blocks()
        ]

    for part in in_threads(work, found.blocks):
        for rows, of, is_finite, numbers in part:
            finite[rows] = is_finite[of]
            for name, values in columns.items():
                values[rows] = numbers[name][of]
    keys = {"level": found.level, "name": found.name, "quantity": found.quantity}
    return pd.DataFrame(keys | {"finite": finite, "expected": ~found.absent} | columns)


def diagnose(result: xr.DataTree, summary: pd.DataFrame | None = None) -> Diagnostics:
    """Judge whether the draws are to be believed.

    Parameters
    ----------
    result : DataTree
        With groups ``posterior``, ``sample_stats`` and ``delta_mcp``.
    summary : DataFrame, optional
        Of `mcpbayes.summarise` for the same result, where it is at hand: spares working R-hat and ESS out again.

    Returns
    -------
    Diagnostics
        Fails with divergences > 0, R-hat ≥ 1.01, bulk or tail ESS < 400, k̂ ≥ 0.7, ESS/N of the proposals ≤ 0.3, a
        model of the CVs beyond its limits, or draws that are not finite, on the levels parameter, mean and new.
        Constant draws, as of a fixed prior, have no R-hat and do not fail. A result that is pooled over worlds is
        judged as a whole, and by the worst of its fits: k̂, ESS/N, and R-hat and ESS of the worst parameter.

    Raises
    ------
    StageError
        A group is missing.
    """
    return _verdict(result, convergence_table(result) if summary is None else _with_reasons(result, summary))


def _with_reasons(result: xr.DataTree, summary: pd.DataFrame) -> pd.DataFrame:
    """Return a summary as `convergence_table` gives it: which rows are finite, and which are blank for a reason."""
    targets = describe(result)
    without = targets["target"].values[targets["absent"].values != ""]
    expected = np.ones(len(summary), dtype=bool)
    if len(without):
        blank = summary["quantity"].isin(NEED_REFERENCE).to_numpy()
        here = summary.loc[blank, ["level", "name"]]
        names = [target_name(level, name) for level, name in zip(here["level"], here["name"], strict=True)]
        expected[blank] = ~np.isin(np.array(names, dtype=object), without.astype(object))
    return summary.assign(finite=np.isfinite(summary["mean"].to_numpy(dtype=float)), expected=expected)


def _verdict(result: xr.DataTree, table: pd.DataFrame) -> Diagnostics:
    posterior, stats = group(result, words.POSTERIOR), group(result, words.SAMPLE_STATS)
    failing = failing_rows(table)
    judged = pd.concat([table[table["level"].isin(JUDGED)], _worst_world(stats)], ignore_index=True)
    divergences = divergences_of(stats)
    pareto_k, efficiency = (
        float(stats.attrs[name]) if name in stats.attrs else None for name in ("pareto_k", "efficiency")
    )
    counts = {level: int(failing[table["level"] == level].sum()) for level in (words.STUDY, words.COMPARISON)}
    chains, within = posterior.sizes["chain"] // worlds_of(posterior), "rho_within" in posterior
    problems = (
        *tolerance_problems(specification(result).scenarios),
        *sampler_problems(divergences, pareto_k, efficiency, chains, estimates_within=within),
        *cv_problems(group(result, words.DATA)),
        *row_problems(judged),
        *count_problems(counts),
    )
    return Diagnostics(
        divergences=divergences,
        r_hat=worst_row(judged, "r_hat", largest=True),
        ess_bulk=worst_row(judged, "ess_bulk", largest=False),
        ess_tail=worst_row(judged, "ess_tail", largest=False),
        pareto_k=pareto_k,
        efficiency=efficiency,
        chains=posterior.sizes["chain"],
        draws=posterior.sizes["draw"],
        failing_study=counts[words.STUDY],
        failing_comparison=counts[words.COMPARISON],
        passed=all(problem.severity != "error" for problem in problems),
        problems=problems,
    )


def _worst_world(stats: xr.Dataset) -> pd.DataFrame:
    """Return the row of the worst parameter of the worst of several fits, which were judged before they were pooled."""
    there = all(name in stats.attrs for name in _COLUMNS)
    row = {"level": words.PARAMETER, "name": "", "quantity": WORST_WORLD, "finite": True, "expected": True}
    return pd.DataFrame([row | {name: float(stats.attrs[name]) for name in _COLUMNS}] if there else [])


def judge(result: xr.DataTree, summary: pd.DataFrame | None = None) -> xr.DataTree:
    """Write the verdict on the result.

    Parameters
    ----------
    result : DataTree
        As `diagnose`.
    summary : DataFrame, optional
        Of `mcpbayes.summarise` for the same result. With it the verdict is that of `diagnose`; without, only the rows
        that decide are looked at, and those of studies and comparisons beyond a limit are not counted.

    Returns
    -------
    DataTree
        New; root attribute ``status`` is ``ok`` or ``failed``, and ``problems`` holds those of the data and of the fit.
    """
    found = _verdict(result, convergence_table(result, JUDGED)) if summary is None else diagnose(result, summary)
    earlier = [problem for problem in json.loads(result.attrs["problems"]) if problem["check"] not in CHECKS]
    problems = [*earlier, *(problem.as_dict() for problem in found.problems)]
    status = "ok" if found.passed else "failed"
    return with_groups(result, {}, status=status, problems=json.dumps(problems, ensure_ascii=False))
