"""Trajectories of the studies and comparisons of a two-pool table: a few at a time, and what they are made of."""

from collections.abc import Iterator

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.layout import Array, Index, node_major, positions
from mcpbayes.estimands.paths import Paths, of_controls, typical_changes
from mcpbayes.estimands.targets import observed_points, target_name
from mcpbayes.estimands.tree import group
from mcpbayes.specification.prior_rules import TURNOVER


def table_targets(data: xr.Dataset, at_once: int) -> Iterator[xr.Dataset]:
    """Yield the studies, then the comparisons, as targets of one level each.

    Parameters
    ----------
    data : Dataset
        Group of the result.
    at_once : int
        Most targets in one piece.

    Yields
    ------
    Dataset
        ``row(target, coefficient)`` and ``controls(target)``, how many controls r₀ is averaged over; coords as of
        `targets.targets`.
    """
    of_study = np.bincount(_study_of_control(data), minlength=data.sizes["study"])
    for level, count in ((words.STUDY, of_study), (words.COMPARISON, np.ones(data.sizes["comparison"], dtype=int))):
        points = observed_points(data, (), level).rename(point="target")
        names = points["target"].values.astype(str).tolist()
        full = [target_name(level, name) for name in names]
        points = points.assign(controls=("target", count)).assign_coords(target=full, name=("target", names))
        points = points.assign_coords(level=("target", [level] * len(names)))
        for start in range(0, len(names), at_once):
            yield points.isel(target=slice(start, start + at_once))


def table_paths(result: xr.DataTree, asked: xr.Dataset) -> tuple[Paths, Array]:
    """Return the trajectories of studies or comparisons, and the SOC that they start from.

    Parameters
    ----------
    result : DataTree
        Of the two-pool family.
    asked : Dataset
        Of `table_targets`.

    Returns
    -------
    paths : Paths
    soc : ndarray, shape (target, draw)
        SOC of the control, g per kg, or Mg per ha of stocks.

    Notes
    -----
    ``study``: a = B'x̄ + u, x̄ averaged over its comparisons, w = 0, r₀ and SOC geometric means of its controls.
    ``comparison``: a = B'x + u + v, its own w, r₀ and SOC of its control, all of the same joint draw. The model knows
    both of every control, measured or not. A reference ratio in the specification is for the levels mean and new only.
    """
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    names = asked["name"].values
    change = typical_changes(asked, node_major(posterior["beta"], "coefficient", "pool"))
    if asked["level"].values[0] == words.STUDY:
        change += _effects(posterior, words.STUDY, names)
        residual = np.zeros_like(change)
        study = _study_of_control(data)
        own = [np.flatnonzero(study == place) for place in positions(data["study"].values, names)]
    else:
        place = positions(data["comparison"].values, names)
        for level in ("study", "site"):
            if f"{level}_effect" in posterior:
                change += _effects(posterior, level, data[f"{level}_of_comparison"].values[place])
        residual = _effects(posterior, words.COMPARISON, names)
        own = list(positions(data["control"].values, data["control_of_comparison"].values[place])[:, None])
    ratio, soc = (
        np.exp(np.stack([np.log(values[some]).mean(axis=0) for some in own])) for values in of_controls(posterior)
    )
    return Paths(change, residual, node_major(posterior[TURNOVER], "pool"), ratio), soc


def _effects(posterior: xr.Dataset, level: str, wanted: np.ndarray) -> Array:
    """Return the effects of some nodes of a level, (node, pool, draw)."""
    return node_major(posterior[f"{level}_effect"].sel({level: wanted}), level, "pool")


def _study_of_control(data: xr.Dataset) -> Index:
    return positions(data["study"].values, data["study_of_control"].values)
