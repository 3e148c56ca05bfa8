"""Did the sampler do its work? The gate of every run: divergences, R-hat, effective sample sizes, Pareto k̂."""

import json
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.estimands.monte_carlo import convergence
from mcpbayes.estimands.quantities import NEED_REFERENCE, quantity_blocks
from mcpbayes.estimands.tree import group, with_groups
from mcpbayes.evidence.findings import (
    CHECKS,
    ESS_LIMIT,
    PARETO_K_LIMIT,
    R_HAT_LIMIT,
    Worst,
    count_problems,
    row_problems,
    sampler_problems,
    worst_row,
)

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
    chains: int
    draws: int
    failing_study: int
    failing_comparison: int
    passed: bool
    problems: tuple[Problem, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the fields as plain dictionaries, for JSON."""
        return asdict(self)


def convergence_table(result: xr.DataTree) -> pd.DataFrame:
    """Return R-hat and ESS of every quantity.

    Parameters
    ----------
    result : DataTree
        With groups ``posterior`` and ``delta_mcp``.

    Returns
    -------
    DataFrame
        Columns ``level, name, quantity, finite, r_hat, ess_bulk, ess_tail``; ``finite`` says whether all draws are.
    """
    parts = []
    for keys, draws in quantity_blocks(result):
        part = pd.DataFrame(keys, columns=["level", "name", "quantity"])
        part["finite"] = np.isfinite(draws).all(axis=(1, 2))
        values = convergence(draws)
        parts.append(part.assign(**{name: values[name] for name in ("r_hat", "ess_bulk", "ess_tail")}))
    return pd.concat(parts, ignore_index=True)


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
        Fails with divergences > 0, R-hat ≥ 1.01, bulk or tail ESS < 400, k̂ ≥ 0.7 or draws that are not finite, on
        the levels parameter, mean and new. Constant draws, as of a fixed prior, have no R-hat and do not fail.

    Raises
    ------
    StageError
        A group is missing.
    """
    posterior, stats = group(result, words.POSTERIOR), group(result, words.SAMPLE_STATS)
    if summary is None:
        table = convergence_table(result)
    else:
        table = summary.assign(finite=np.isfinite(summary["mean"].to_numpy(dtype=float)))
    table = table.assign(expected=~_absent(group(result, words.DELTA_MCP), table))
    failing = _failing(table)
    judged = table[table["level"].isin(JUDGED)]
    divergences = int(stats["diverging"].sum()) if "diverging" in stats else 0
    pareto_k = float(stats.attrs["pareto_k"]) if "pareto_k" in stats.attrs else None
    counts = {level: int(failing[table["level"] == level].sum()) for level in (words.STUDY, words.COMPARISON)}
    problems = (
        *sampler_problems(divergences, pareto_k, posterior.sizes["chain"]),
        *row_problems(judged),
        *count_problems(counts),
    )
    return Diagnostics(
        divergences=divergences,
        r_hat=worst_row(judged, "r_hat", largest=True),
        ess_bulk=worst_row(judged, "ess_bulk", largest=False),
        ess_tail=worst_row(judged, "ess_tail", largest=False),
        pareto_k=pareto_k,
        chains=posterior.sizes["chain"],
        draws=posterior.sizes["draw"],
        failing_study=counts[words.STUDY],
        failing_comparison=counts[words.COMPARISON],
        passed=all(problem.severity != "error" for problem in problems),
        problems=problems,
    )


def judge(result: xr.DataTree, summary: pd.DataFrame | None = None) -> xr.DataTree:
    """Write the verdict of `diagnose` on the result.

    Parameters
    ----------
    result, summary
        As `diagnose`.

    Returns
    -------
    DataTree
        New; root attribute ``status`` is ``ok`` or ``failed``, and ``problems`` holds those of the data and of the fit.
    """
    found = diagnose(result, summary)
    earlier = [problem for problem in json.loads(result.attrs["problems"]) if problem["check"] not in CHECKS]
    problems = [*earlier, *(problem.as_dict() for problem in found.problems)]
    status = "ok" if found.passed else "failed"
    return with_groups(result, {}, status=status, problems=json.dumps(problems, ensure_ascii=False))


def _absent(targets: xr.Dataset, table: pd.DataFrame) -> np.ndarray:
    """Return which rows are blank for a known reason: no r₀."""
    reasons = zip(targets["level"].values, targets["name"].values, targets["absent"].values, strict=True)
    without = {(str(level), str(name)) for level, name, reason in reasons if reason}
    rows = zip(table["level"], table["name"], table["quantity"], strict=True)
    return np.array([quantity in NEED_REFERENCE and (level, name) in without for level, name, quantity in rows])


def _failing(table: pd.DataFrame) -> np.ndarray:
    r_hat = table["r_hat"].to_numpy() >= R_HAT_LIMIT
    ess = (table["ess_bulk"].to_numpy() < ESS_LIMIT) | (table["ess_tail"].to_numpy() < ESS_LIMIT)
    return np.asarray(r_hat | ess | (table["expected"].to_numpy() & ~table["finite"].to_numpy()))
