"""What the gate of a run can object to: limits, the worst rows and the problems worded from them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.measurement.cv_model import LARGEST_K, SMALLEST_ESS
from mcpbayes.monte_carlo.limits import EFFICIENCY_LIMIT, ESS_LIMIT, PARETO_K_LIMIT, R_HAT_LIMIT

#: Checks of the gate; a judgement replaces the problems of an earlier one.
CHECKS: Final = (
    "unusual-tolerance",
    "divergences",
    "pareto-k",
    "proposal-efficiency",
    "one-chain",
    "not-finite",
    "r-hat",
    "ess-bulk",
    "ess-tail",
    "failing-rows",
    "cv-model",
)

_LONGER: Final = "Draw more, for example --set sampling.draws=4000"


@dataclass(frozen=True)
class Worst:
    """The worst value of one diagnostic over the judged rows, and the row that has it."""

    value: float
    level: str
    name: str
    quantity: str

    def __str__(self) -> str:
        """Return the row as prose, for example ``"tau_study[soc]"`` or ``"delta_mcp of mean: kind=manure"``."""
        return self.quantity if self.level == words.PARAMETER else f"{self.quantity} of {self.level}: {self.name}"


def worst_row(judged: pd.DataFrame, column: str, largest: bool) -> Worst | None:
    """Return the row with the largest or smallest value of a column; None where all are blank."""
    values = judged[column].to_numpy(dtype=float)
    if np.isnan(values).all():
        return None
    place = int(np.nanargmax(values) if largest else np.nanargmin(values))
    level, name, quantity = (str(judged[key].iloc[place]) for key in ("level", "name", "quantity"))
    return Worst(float(values[place]), level, name, quantity)


def sampler_problems(
    divergences: int, pareto_k: float | None, efficiency: float | None, chains: int, *, estimates_within: bool = False
) -> Iterator[Problem]:
    """Yield what is wrong with the sampler as a whole; `estimates_within`: ϱ was estimated, which NUTS cannot."""
    other = "Use the other engine: --set sampling.engine=nuts"
    if estimates_within:
        other = "Leave priors.rho_within.update out: worlds then carry the correlation, and NUTS can take over"
    if divergences:
        yield Problem(
            "divergences",
            "NUTS left parts of the posterior unexplored (divergent transitions)",
            value=str(divergences),
            expected="0",
            remedy="Take smaller steps: --set sampling.target_accept=0.99",
        )
    if pareto_k is not None and not pareto_k < PARETO_K_LIMIT:
        yield Problem(
            "pareto-k",
            "The proposal of the collapsed engine does not cover the posterior",
            value=f"{pareto_k:.2f}",
            expected=f"below {PARETO_K_LIMIT}",
            remedy=other,
        )
    if efficiency is not None and not efficiency > EFFICIENCY_LIMIT:
        yield Problem(
            "proposal-efficiency",
            "Few of the collapsed engine's proposals carry the weight (ESS/N)",
            value=f"{efficiency:.2f}",
            expected=f"above {EFFICIENCY_LIMIT}",
            remedy=other,
        )
    if chains < 2:
        yield Problem("one-chain", "R-hat needs two chains or more and was not judged", "warning", value=str(chains))


def cv_problems(data: xr.Dataset) -> Iterator[Problem]:
    """Yield the error that the model of the CVs, fitted before the table was, did not cover their posterior."""
    found = json.loads(data.attrs.get("cv_model", "{}"))
    if not found.get("passed", True):
        k = "undefined" if found["pareto_k"] is None else f"{found['pareto_k']:.2f}"
        yield Problem(
            "cv-model",
            "The CVs of the arms are not to be relied on: proposals did not cover their posterior",
            value=f"Pareto k̂ {k}, ESS {found['ess']:.0f}",
            expected=f"k̂ below {LARGEST_K:g} and ESS of {SMALLEST_ESS:g}",
            remedy="Look for SDs that are mistyped, or take --set data.dispersion.sd_model=pooled.",
        )


def row_problems(judged: pd.DataFrame) -> Iterator[Problem]:
    """Yield what is wrong with the judged rows, one problem per diagnostic with its worst row.

    Parameters
    ----------
    judged : DataFrame
        Columns ``level, name, quantity, finite, expected, r_hat, ess_bulk, ess_tail``; ``expected`` says that the row
        should have draws.
    """
    broken = judged[judged["expected"] & ~judged["finite"]]
    if len(broken):
        yield Problem("not-finite", f"{len(broken)} quantities hold draws that are not finite, first {_first(broken)}")
    limits = {
        "r_hat": ("R-hat", "r-hat", f"below {R_HAT_LIMIT}"),
        "ess_bulk": ("bulk ESS", "ess-bulk", f"at least {ESS_LIMIT}"),
        "ess_tail": ("tail ESS", "ess-tail", f"at least {ESS_LIMIT}"),
    }
    for column, (shown_name, check, expected) in limits.items():
        values = judged[column].to_numpy(dtype=float)
        beyond = values >= R_HAT_LIMIT if column == "r_hat" else values < ESS_LIMIT
        worst = worst_row(judged, column, largest=column == "r_hat")
        if beyond.any() and worst is not None:
            shown = f"{worst.value:.3f}" if column == "r_hat" else f"{worst.value:.0f}"
            count = f"{beyond.sum()} of {len(judged)} quantities"
            yield Problem(
                check,
                f"{shown_name} beyond the limit for {count}, worst {worst}",
                value=shown,
                expected=expected,
                remedy=_LONGER,
            )


def divergences_of(stats: xr.Dataset) -> int:
    """Return how many transitions diverged, from group ``sample_stats``; those of draws that were not kept count."""
    if "divergences" in stats.attrs:
        return int(stats.attrs["divergences"])
    return int(stats["diverging"].sum()) if "diverging" in stats else 0


def failing_rows(judged: pd.DataFrame) -> np.ndarray:
    """Return which rows `row_problems` would object to, shape (row,)."""
    r_hat = judged["r_hat"].to_numpy() >= R_HAT_LIMIT
    ess = (judged["ess_bulk"].to_numpy() < ESS_LIMIT) | (judged["ess_tail"].to_numpy() < ESS_LIMIT)
    return np.asarray(r_hat | ess | (judged["expected"].to_numpy() & ~judged["finite"].to_numpy()))


def _first(rows: pd.DataFrame) -> Worst:
    level, name, quantity = (str(rows[key].iloc[0]) for key in ("level", "name", "quantity"))
    return Worst(float("nan"), level, name, quantity)


def count_problems(counts: Mapping[str, int]) -> Iterator[Problem]:
    """Yield a warning about the failing rows of levels that do not decide; level → count."""
    if any(counts.values()):
        found = " and ".join(f"{count} {level} rows" for level, count in counts.items() if count)
        yield Problem("failing-rows", f"R-hat or ESS beyond the limit for {found}", "warning", remedy=_LONGER)
