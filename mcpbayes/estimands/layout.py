"""Draws in memory: nodes first, draws innermost, so that every row of draws is contiguous; labels are views of that."""

from itertools import pairwise

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


def node_major(variable: xr.DataArray | xr.Variable, *dims: str) -> Array:
    """Return a variable (chain, draw, ...) as an array (..., chain × draw) with its other dims in the order given.

    A view, without a copy, where the variable is laid out that way, as everything that this package makes is.
    """
    values = variable.transpose(*dims, "chain", "draw").values
    return np.asarray(values.reshape(*values.shape[:-2], -1))


def labelled_view(values: Array, chains: int) -> Array:
    """Return an array (..., chain × draw) as (chain, draw, ...): a view."""
    return np.moveaxis(values, -1, 0).reshape(chains, -1, *values.shape[:-1])


def positions(names: np.ndarray, wanted: np.ndarray) -> Index:
    """Return where each wanted name stands among unique names.

    Raises
    ------
    KeyError
        A name is not there.
    """
    places = {name: place for place, name in enumerate(names.tolist())}
    return np.array([places[name] for name in wanted.tolist()], dtype=np.intp)


def nodes(data: xr.Dataset, posterior: xr.Dataset, name: str, dim: str) -> Array:
    """Return draws of a variable (chain, draw, dim, outcome) as (node, K, draw), nodes in the order of the data."""
    values = node_major(posterior[name], dim, "outcome")
    here, there = posterior.variables[dim].values, data.variables[dim].values
    return values if np.array_equal(here, there) else values[positions(here, there)]


def runs(index: Index) -> bool:
    """Return whether positions follow each other without a gap."""
    return bool(len(index)) and bool((np.diff(index) == 1).all())


def part_of(values: Array, index: Index) -> Array:
    """Return some nodes with contiguous rows of draws: a view where they stand next to each other in memory too."""
    return np.ascontiguousarray(values[index[0] : index[-1] + 1] if runs(index) else values[index])


def put(values: Array, index: Index, rows: Array) -> None:
    """Write rows of some nodes, run by run, since that is a plain copy."""
    edges = [0, *(np.flatnonzero(np.diff(index) != 1) + 1), len(index)]
    for start, stop in pairwise(edges):
        values[index[start] : index[start] + stop - start] = rows[start:stop]


def sums(index: Index, size: int, values: Array) -> Array:
    """Return the sums of the rows that share an index, (size, ...)."""
    total = np.zeros((size, *values.shape[1:]))
    for place, row in zip(index.tolist(), values, strict=True):
        total[place] += row
    return total
