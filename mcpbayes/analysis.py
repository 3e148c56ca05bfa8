"""The road from a table to results in twenty lines; read this first."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.targets import population_points
from mcpbayes.estimands.tree import apply_settings
from mcpbayes.evidence.diagnostics import judge
from mcpbayes.inference.engine import fit
from mcpbayes.specification.loading import from_toml, load_model
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.arms import prepare
from mcpbayes.vocabulary import NECROMASS, SOC


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
        The result; root attribute ``status`` is ``ok`` or ``failed`` (diagnostics), ``problems`` says why.

    Raises
    ------
    DataError
        With every problem of the table at once.
    SpecificationError
        Before sampling, also where ``at`` names a moderator, category or kind that does not exist.
    """
    model = model or load_model("arm-based")
    arms = prepare(table, model)
    kinds = [str(kind) for kind in arms["kind"].values] if arms.attrs["level_kind"] == "on" else []
    population_points(arms, kinds, at)
    result = fit(arms, model, seed=seed, report=report)
    return judge(estimate(result, at))


def estimate(result: xr.DataTree, at: Mapping[str, Sequence[object]] | None = None) -> xr.DataTree:
    """Add groups ``delta_mcp`` and, where both pools were analysed, ``scenario``."""
    result = delta_mcp(result, at=at)
    both = {NECROMASS, SOC} <= set(from_toml(result.attrs["specification"]).data.outcomes)
    return classify(result) if both else result


def reapply(result: xr.DataTree, settings: Sequence[str] | Mapping[str, object]) -> xr.DataTree:
    """Apply settings of [delta_mcp], [scenarios] or [summary] to a fitted result, without sampling.

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
    return judge(estimate(apply_settings(result, settings), points_of(result)))


def points_of(result: xr.DataTree) -> Mapping[str, Sequence[object]]:
    """Return the ``at`` that the result was evaluated with."""
    points: Mapping[str, Sequence[object]] = json.loads(result["delta_mcp"].attrs.get("at", "{}"))
    return points
