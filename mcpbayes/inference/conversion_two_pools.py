"""The doubt about conversion factors of amino sugars where two pools make up SOC: k_F decides about the fit, too."""

from functools import partial

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.inference.conversion import FACTORS, K_F, Q, with_factors
from mcpbayes.inference.doubt import Doubt
from mcpbayes.measurement.factor_draws import central, pairs
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.naming import counted


def factor_doubt_of_two_pools(arms: xr.Dataset, model: Specification, worlds: int) -> Doubt | None:
    """Return the doubt about the factors, where necromass is made of amino sugars with a set that has a spread.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`, family two-pool.
    model : Specification
    worlds : int
        How many pairs of factors.

    Notes
    -----
    k_F scales necromass of all arms alike. In the static models that moves no effect; here it moves r₀, and with it the
    share of SOC that is left for the other pool, so that a world is fitted with a k_F of its own (`factor_draws.pairs`)
    and its draws need none put in afterwards. Which controls are left out as saturated is decided once, with the
    medians, so that all worlds have the same arms.
    """
    here, factors = converted_arms(arms), model.data.factors
    if not here.any() or factors.fixed:
        return None
    used, middle = pairs(factors, worlds), central(factors)
    remade = partial(with_factors, bias_correction=model.data.bias_correction)
    ends = [(min(values), max(values)) for values in ([one.q for one in used], [one.k_f for one in used])]
    said = (
        f"necromass of {counted(int(here.sum()), 'arm')} is made of amino sugars with the factors {factors.name!r}, "
        f"which are in doubt: q, the weight of muramic acid, from {ends[0][0]:.2f} to {ends[0][1]:.2f}, and k_F from "
        f"{ends[1][0]:.1f} to {ends[1][1]:.1f}"
    )
    return Doubt(
        FACTORS,
        tuple(one.q for one in used),
        apply=lambda data, place: remade(data, used[place]),
        central=lambda data: remade(data, middle),
        says=lambda data: said,
        finish=lambda tree, place, seed: _with_factors_of_fit(tree),
    )


def _with_factors_of_fit(tree: xr.DataTree) -> xr.DataTree:
    """Return a fitted world whose draws say with which k_F and q it was fitted."""
    posterior, attrs = tree[words.POSTERIOR].to_dataset(), tree[words.DATA].attrs
    shape = tuple(posterior.sizes[name] for name in ("chain", "draw"))
    known = {name: (("chain", "draw"), np.full(shape, float(attrs[name]))) for name in (K_F, Q)}
    new = tree.copy(deep=False)
    new[words.POSTERIOR] = xr.DataTree(posterior.assign(known))
    return new
