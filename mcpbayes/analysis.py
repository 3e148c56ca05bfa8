"""The road from a table to results in twenty lines; read this first."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.pairs import has_pairs
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.targets import population_points
from mcpbayes.estimands.tree import apply_settings, group, has_two_pools, refuse_two_pools
from mcpbayes.evidence.diagnostics import judge
from mcpbayes.evidence.influence import leave_one_study_out, require_studies
from mcpbayes.inference.engine import fit
from mcpbayes.output.conclusion import conclude
from mcpbayes.output.summary import summarise
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.arms import prepare
from mcpbayes.vocabulary import DELTA_MCP, INFLUENCE, TWO_POOL


def analyse(
    table: pd.DataFrame | str | Path,
    model: Specification | None = None,
    *,
    seed: int = 1,
    at: Mapping[str, Sequence[object]] | None = None,
    report: Callable[[str], None] | None = None,
) -> xr.DataTree:
    """Take a table all the way: effects, ΔMCP, scenario probabilities, diagnostics.

    Parameters
    ----------
    table : DataFrame or path
        See `mcpbayes.read_table`.
    model : Specification, optional
        From `mcpbayes.load_model`; default ``arm-based``.
    seed : int
    at : mapping of moderator to values, optional
        Further points at which the levels mean and new are evaluated, for example ``{"duration_years": [10, 20]}``.
    report : callable, optional
        Receives progress messages.

    Returns
    -------
    xarray.DataTree
        The result, of a two-pool model without effects (`mcpbayes.forecast` adds them); root attribute ``status`` is
        ``ok`` or ``failed`` (diagnostics), ``problems`` says why.

    Raises
    ------
    DataError
        With every problem of the table at once.
    SpecificationError
        Before sampling, also where ``at`` names a moderator, category or kind that does not exist.
    """
    result = _fitted(table, model, seed, at, report)
    return judge(result if has_two_pools(result) else estimate(result, at))


def analyse_with_summary(
    table: pd.DataFrame | str | Path,
    model: Specification | None = None,
    *,
    seed: int = 1,
    at: Mapping[str, Sequence[object]] | None = None,
    report: Callable[[str], None] | None = None,
    influence: bool = False,
) -> tuple[xr.DataTree, pd.DataFrame]:
    """Do what `analyse` does and return the table of `mcpbayes.summarise` too: quicker than one after the other.

    With ``influence`` a table whose studies cannot be left out is refused before the fit.
    """
    fitted = _fitted(table, model, seed, at, report, influence)
    result, summary = (fitted, summarise(fitted)) if has_two_pools(fitted) else conclude(fitted, at)
    return judge(result), summary


def _fitted(
    table: pd.DataFrame | str | Path,
    model: Specification | None,
    seed: int,
    at: Mapping[str, Sequence[object]] | None,
    report: Callable[[str], None] | None,
    influence: bool = False,
) -> xr.DataTree:
    model = model or load_model("arm-based")
    if model.family == TWO_POOL and (at or influence):
        raise SpecificationError(
            "a two-pool model is fitted without points; its forecast takes them: mcpbayes forecast DIR --years "
            "10,20,50 --at MODERATOR=1,2. Studies are left out of its result in Python: "
            "mcpbayes.leave_one_study_out(mcpbayes.load(DIR))",
            "at" if at else "influence",
        )
    arms = prepare(table, model)
    if influence:
        require_studies(arms)
    kinds = [str(kind) for kind in arms["kind"].values] if arms.attrs["level_kind"] == "on" else []
    population_points(arms, kinds, at)
    return fit(arms, model, seed=seed, report=report)


def estimate(result: xr.DataTree, at: Mapping[str, Sequence[object]] | None = None) -> xr.DataTree:
    """Add groups ``delta_mcp`` and, where both pools were analysed, ``scenario``."""
    result = delta_mcp(result, at=at)
    return classify(result) if has_pairs(group(result, DELTA_MCP)) else result


def reapply(result: xr.DataTree, settings: Sequence[str] | Mapping[str, object]) -> xr.DataTree:
    """Apply settings of [delta_mcp], [scenarios] or [summary] to a fitted result, without sampling it again.

    A group ``influence`` is made anew: the draws behind it are not kept.

    Parameters
    ----------
    result : DataTree
        From `analyse` or `mcpbayes.load`.
    settings : sequence of "KEY=VALUE" or mapping
        For example ``["scenarios.tolerance_percent.soc=3"]``.

    Raises
    ------
    SpecificationError
        For any key that would need another fit.
    """
    refuse_two_pools(result)
    new = judge(estimate(apply_settings(result, settings), points_of(result)))
    return leave_one_study_out(new) if INFLUENCE in result.children else new


def points_of(result: xr.DataTree) -> Mapping[str, Sequence[object]]:
    """Return the ``at`` that the result was evaluated with."""
    points: Mapping[str, Sequence[object]] = json.loads(result["delta_mcp"].attrs.get("at", "{}"))
    return points
