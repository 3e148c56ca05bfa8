"""The doubt about the conversion factors of amino sugars: the data under other factors, and who carries them."""

from collections.abc import Mapping
from functools import partial
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.inference.assumed import with_unknown_correlation
from mcpbayes.inference.doubt import Doubt
from mcpbayes.measurement import amino_sugars as conversion
from mcpbayes.measurement import effect_sizes
from mcpbayes.measurement.factor_draws import Central, Triples, central, strata
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator
from mcpbayes.tables.amino_arms import converted_arms, necromass_cvs
from mcpbayes.tables.naming import counted

#: Variables of group ``posterior``: the factors k_F and k_B of each draw, and the q behind the fit of its world.
K_F: Final = "k_F"
K_B: Final = "k_B"
Q: Final = "q"
FACTORS: Final = "factors"


def with_factors(data: xr.Dataset, factors: Central, *, bias_correction: bool) -> xr.Dataset:
    """Return data with the necromass that is made of amino sugars made with other factors.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`. CVs of necromass are those of the data, times what the other weights of the two sugars
        make of them: a CV that was replaced since, by a draw for example, stays what it was but for that.
    factors : Central
        k_F and q; one pair for all arms.
    bias_correction : bool
        Whether the log means hold CV²/(2n).

    Returns
    -------
    xarray.Dataset
        ``mean``, ``cv``, ``log_mean`` and ``sampling_covariance`` of these arms are new; attrs ``k_F`` and ``q`` say
        with what. Necromass as reported stays.
    """
    here = converted_arms(data)
    pool = data["outcome"].values.tolist().index(words.NECROMASS)
    changed = {name: data[name].transpose("arm", "outcome").values.copy() for name in ("mean", "cv", "log_mean")}
    n = data["n"].transpose("arm", "outcome").values
    glucosamine, muramic_acid = data["amino_mean"].transpose("amino_sugar", "arm").values[:, here]
    changed["mean"][here, pool] = conversion.necromass(glucosamine, muramic_acid, factors.k_f, factors.q)
    adjusted = necromass_cvs(data, factors.q) / necromass_cvs(data, float(data.attrs[Q]))
    changed["cv"][here, pool] *= adjusted[here]
    mean, cv = changed["mean"][here], changed["cv"][here]
    made = effect_sizes.log_mean(mean, cv, n[here], bias_correction=bias_correction)
    changed["log_mean"][here, pool] = made[:, pool]
    order = ("arm", "outcome", "outcome_bis")
    covariance = data["sampling_covariance"].transpose(*order).values.copy()
    covariance[here] = effect_sizes.sampling_covariance(cv, n[here], data["rho_within"].values[here])
    result = data.assign({name: (order[:2], values) for name, values in changed.items()})
    result = result.assign(sampling_covariance=(order, covariance)).assign_attrs({K_F: factors.k_f, Q: factors.q})
    return with_unknown_correlation(result) if words.PER_RHO in data else result


def factor_doubt(arms: xr.Dataset, model: Specification, worlds: int) -> Doubt | None:
    """Return the doubt about the factors, where necromass is made of amino sugars with a set that has a spread.

    Parameters
    ----------
    arms : xarray.Dataset
    model : Specification
    worlds : int
        How many strata.

    Notes
    -----
    ln N = ln k_F + ln(GlcN + q MurN): effects and δ depend on the factors through q alone, and k_F only scales r₀ and
    Δr, in all arms alike. Triples of factors are sorted by q and cut into equally probable strata; a world is fitted at
    the median q of its stratum, and its draws get the k_F of that stratum's triples. What q varies within a stratum is
    left out: of the variance of ln(1 + 0.1 q), necromass per glucosamine in a usual soil, 15 % with 8 strata of the
    set ``uncertain`` and 8 % with 20 (a test).
    """
    here, factors = converted_arms(arms), model.data.factors
    if not here.any() or factors.fixed:
        return None
    parts, middle = strata(factors, worlds), central(factors)
    values = tuple(float(np.median(part.q)) for part in parts)
    remade = partial(with_factors, bias_correction=model.data.bias_correction)
    said = (
        f"necromass of {counted(int(here.sum()), 'arm')} is made of amino sugars with the factors {factors.name!r}, "
        f"which are in doubt: q, the weight of muramic acid, from {min(values):.2f} to {max(values):.2f}"
    )
    return Doubt(
        FACTORS,
        values,
        apply=lambda data, place: remade(data, Central(middle.k_f, values[place])),
        central=lambda data: remade(data, middle),
        says=lambda data: said,
        finish=lambda tree, place, seed: with_draws_of_factors(
            tree, parts[place], place, seed, {words.NECROMASS: K_F}, Q
        ),
    )


def with_draws_of_factors(
    tree: xr.DataTree, part: Triples, place: int, seed: int, scaled: Mapping[str, str], fitted: str
) -> xr.DataTree:
    """Return a fitted world whose draws have factors of one triple each: baselines of what they scale shift with them.

    Parameters
    ----------
    tree : DataTree
    part : Triples
        Of the world's stratum.
    place : int
        Which world it is.
    seed : int
    scaled : mapping of str to str
        Pool that is made of amino sugars → the factor that scales it, ``k_F`` or ``k_B``.
    fitted : str
        Attribute with the number that the world was fitted with; it becomes a variable of every draw.
    """
    data, posterior = tree[words.DATA].to_dataset(), tree[words.POSTERIOR].to_dataset()
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    draws = shape[0] * shape[1]
    # evenly spaced quantiles of k_F in the stratum, each with the k_B of its triple
    evenly = np.argsort(part.k_f, kind="stable")[((np.arange(draws) + 0.5) * len(part.k_f) / draws).astype(int)]
    chosen = generator(seed, FACTORS, 1 + place).permutation(evenly).reshape(shape)
    values = {K_F: part.k_f, K_B: part.k_b}
    drawn = {name: xr.DataArray(values[name][chosen], dims=("chain", "draw")) for name in scaled.values()}
    ours = set(data["control_of_arm"].values[converted_arms(data)])
    of_control = xr.DataArray([float(name in ours) for name in posterior["control"].values], dims="control")
    moved = baseline = posterior["baseline"]
    for pool, name in scaled.items():
        is_pool = xr.DataArray([float(one == pool) for one in posterior["outcome"].values], dims="outcome")
        moved = moved + np.log(drawn[name] / float(data.attrs[name])) * of_control * is_pool
    moved = moved.transpose(*baseline.dims).assign_attrs(baseline.attrs)
    known = xr.full_like(drawn[K_F], float(data.attrs[fitted]))
    new = tree.copy(deep=False)
    new[words.POSTERIOR] = xr.DataTree(posterior.assign({"baseline": moved, **drawn, fitted: known}))
    return new
