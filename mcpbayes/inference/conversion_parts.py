"""The doubt about conversion factors where fungal and bacterial necromass are pools of their own, and who carries them.

ln F = ln k_F + ln(GlcN − 0.7132 ϱ_b MurN) and ln B = ln k_B + ln MurN: effects on fungi hang on ϱ_b, those on
bacteria and SOC on nothing. k_F and k_B scale the control ratios of the two pools in all arms alike, and so what each
contributes to ΔMCP; the effect on both together, and δ, hang on k_B/k_F.
"""

from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.inference.conversion import FACTORS, K_B, K_F, with_draws_of_factors
from mcpbayes.inference.doubt import Doubt
from mcpbayes.measurement.amino_parts import bacterial_share
from mcpbayes.measurement.factor_draws import PartFactors, central_of_parts, strata_of_parts
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.naming import counted
from mcpbayes.tables.part_arms import with_factors_of_parts

#: Further variable of group ``posterior``: the ϱ_b behind the fit of a draw's world.
RHO_B: Final = "rho_b"
#: Which factor scales which pool.
SCALED: Final = {words.FUNGAL_NECROMASS: K_F, words.BACTERIAL_NECROMASS: K_B}


def factor_doubt_of_parts(arms: xr.Dataset, model: Specification, worlds: int) -> Doubt | None:
    """Return the doubt about the factors, where both pools are made of amino sugars with a set that has a spread.

    Parameters
    ----------
    arms : xarray.Dataset
    model : Specification
    worlds : int
        How many strata.

    Raises
    ------
    SpecificationError
        A world would leave arms without fungi that the data have with fungi: they were prepared for fewer worlds.

    Notes
    -----
    Triples of factors are sorted by ϱ_b and cut into equally probable strata; a world is fitted at the median ϱ_b of
    its stratum, and each of its draws gets k_F and k_B of one triple of that stratum.
    """
    here, factors = converted_arms(arms), model.data.factors
    if not here.any() or factors.fixed:
        return None
    parts, middle = strata_of_parts(factors, worlds), central_of_parts(factors)
    values = tuple(float(np.median(part.rho_b)) for part in parts)
    _refuse_more_worlds(arms, max(values))
    said = (
        f"fungal and bacterial necromass of {counted(int(here.sum()), 'arm')} are made of amino sugars with the "
        f"factors {factors.name!r}, which are in doubt: ϱ_b, moles of bacterial glucosamine per mole of muramic acid, "
        f"from {min(values):.2f} to {max(values):.2f}"
    )

    def made(data: xr.Dataset, rho_b: float) -> xr.Dataset:
        used = PartFactors(middle.k_b, middle.k_f, rho_b)
        return with_factors_of_parts(data, used, bias_correction=model.data.bias_correction)

    return Doubt(
        FACTORS,
        values,
        apply=lambda data, place: made(data, values[place]),
        central=lambda data: made(data, middle.rho_b),
        says=lambda data: said,
        finish=lambda tree, place, seed: with_draws_of_factors(tree, parts[place], place, seed, SCALED, RHO_B),
    )


def _refuse_more_worlds(arms: xr.Dataset, rho_b: float) -> None:
    """Refuse worlds in which fungal necromass would be missing in arms that have it in the data."""
    glucosamine, muramic_acid = arms["amino_mean"].transpose("amino_sugar", "arm").values
    share = bacterial_share(glucosamine, muramic_acid, rho_b)
    there = converted_arms(arms) & np.isfinite(arms["mean"].sel(outcome=words.FUNGAL_NECROMASS).values)
    if lost := int((there & (share >= 1)).sum()):
        raise SpecificationError(
            f"with ϱ_b = {rho_b:.2f} in one of so many worlds bacteria explain all glucosamine of {lost} "
            f"arm{'s' if lost > 1 else ''} prepared with fungal necromass; prepare the table with the same number of "
            "worlds",
            "sampling.worlds",
        )
