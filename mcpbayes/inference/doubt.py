"""What one doubt is: something that the field data do not inform, in equally probable values."""

from collections.abc import Callable
from dataclasses import dataclass

import xarray as xr


def _as_fitted(tree: xr.DataTree, place: int, seed: int) -> xr.DataTree:
    return tree


@dataclass(frozen=True)
class Doubt:
    """One thing that the data do not inform.

    Parameters
    ----------
    name : str
        What differs between worlds, for example ``rho_within``.
    values : tuple of float
        What it is in each world: equally probable.
    apply : callable
        (data, place in `values`) → the data of that world. It replaces what was assumed, and leaves the rest.
    central : callable
        data → the data with its most typical value, from which the same worlds are made again.
    says : callable
        data → what is assumed of how much, in words that can start a note.
    finish : callable
        (fitted world, place, seed) → the same with what the fit need not know.
    """

    name: str
    values: tuple[float, ...]
    apply: Callable[[xr.Dataset, int], xr.Dataset]
    central: Callable[[xr.Dataset], xr.Dataset]
    says: Callable[[xr.Dataset], str]
    finish: Callable[[xr.DataTree, int, int], xr.DataTree] = _as_fitted
