"""What the field data do not inform, each doubt in equally probable values, and the data of the worlds they make."""

from collections.abc import Callable, Sequence
from typing import Final

import xarray as xr

from mcpbayes.inference.assumed import imputed_correlations, note_worlds, with_correlation
from mcpbayes.inference.conversion import FACTORS, factor_doubt
from mcpbayes.inference.conversion_parts import factor_doubt_of_parts
from mcpbayes.inference.conversion_two_pools import factor_doubt_of_two_pools
from mcpbayes.inference.dispersions import DISPERSION, dispersion_doubt, has_draws
from mcpbayes.inference.dispersions import WORLDS as WORLDS_OF_CVS
from mcpbayes.inference.doubt import Doubt
from mcpbayes.inference.strata import strata
from mcpbayes.inference.worlds import worlds_that_fit
from mcpbayes.measurement.factor_draws import WORLDS
from mcpbayes.specification.prior_rules import WITHIN
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.tables.part_arms import of_parts
from mcpbayes.vocabulary import TWO_POOL

#: What several fits can carry, in words.
CARRIED: Final = {
    FACTORS: "the conversion factors of amino sugars",
    DISPERSION: "the CVs of the arms",
    WITHIN: "the correlation ϱ of the pools over plots of one arm",
}


def doubts(arms: xr.Dataset, model: Specification) -> list[Doubt]:
    """Return what the result is to be pooled over; empty where the data and the specification say everything.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`, or group ``data`` of a result.
    model : Specification

    Raises
    ------
    SpecificationError
        A value contradicts what rows of one control report.
    """
    count = number_of_worlds(arms, model)
    # CVs first: those of necromass made of amino sugars follow the factors
    found = [
        dispersion_doubt(arms, model, count),
        _factors_of(arms)(arms, model, count),
        correlation_doubt(arms, model, count),
    ]
    return [doubt for doubt in found if doubt is not None]


def _factors_of(arms: xr.Dataset) -> Callable[[xr.Dataset, Specification, int], Doubt | None]:
    """Return what makes the doubt about the factors of a family and its pools."""
    if arms.attrs["family"] == TWO_POOL:
        return factor_doubt_of_two_pools
    return factor_doubt_of_parts if of_parts(arms) else factor_doubt


def worlds_wanted(arms: xr.Dataset, model: Specification) -> int:
    """Return how many worlds should carry all doubts: as many as asked for, or as `engine.fit` found to suffice."""
    automatic = WORLDS_OF_CVS if has_draws(arms) else WORLDS
    return model.sampling.worlds or int(arms.attrs.get("worlds", automatic))


def number_of_worlds(arms: xr.Dataset, model: Specification) -> int:
    """Return how many worlds carry all doubts: those wanted, as far as there are draws of CVs and, unasked, room."""
    wanted = worlds_wanted(arms, model)
    most = worlds_that_fit(arms, model) if model.sampling.worlds is None else wanted
    return min(wanted, most, arms.sizes.get("cv_world", wanted))


def correlation_doubt(arms: xr.Dataset, model: Specification, worlds: int) -> Doubt | None:
    """Return the prior of the correlation of the pools over plots, where worlds carry it."""
    prior = model.priors.get(WITHIN)
    if prior is None or prior.update or prior.distribution == "fixed" or not imputed_correlations(arms).any():
        return None
    values, (median,) = strata(prior, worlds), strata(prior, 1)

    def made(data: xr.Dataset, rho: float) -> xr.Dataset:
        return note_worlds(with_correlation(data, rho), values)

    def apply(data: xr.Dataset, place: int) -> xr.Dataset:
        return made(data, values[place])

    def says(data: xr.Dataset) -> str:
        count = int(imputed_correlations(data).sum())
        span = f"its prior is carried by ϱ from {min(values):.2f} to {max(values):.2f}"
        return f"the correlation of the pools over plots is assumed for {count} arms or rows; {span}"

    return Doubt(WITHIN, tuple(values), apply, lambda data: made(data, median), says)


def places(found: Sequence[Doubt]) -> list[tuple[int, ...]]:
    """Return, per world, which value each doubt takes there: every value of every doubt once, in no common order.

    Notes
    -----
    A Latin hypercube: the first doubt keeps its order, the others are permuted by generators of their own names'
    places, the same for every seed, so that one set of worlds carries all doubts at once.
    """
    count = len(found[0].values)
    columns = [range(count), *(generator(0, "doubts", i).permutation(count).tolist() for i in range(1, len(found)))]
    return list(zip(*columns, strict=True))


def world_data(arms: xr.Dataset, found: Sequence[Doubt], place: Sequence[int]) -> xr.Dataset:
    """Return the data of one world: every doubt has replaced what it is about by its value there."""
    for doubt, here in zip(found, place, strict=True):
        arms = doubt.apply(arms, here)
    return arms


def central_data(arms: xr.Dataset, found: Sequence[Doubt]) -> xr.Dataset:
    """Return the data with the most typical value of every doubt."""
    for doubt in found:
        arms = doubt.central(arms)
    return arms
