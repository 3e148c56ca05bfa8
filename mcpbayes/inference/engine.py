"""`fit`: one fit where the data and the specification say everything, else several worlds, pooled."""

import json
from typing import Final

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.inference.assumed import (
    imputed_correlations,
    refuse_unknown_correlation,
    with_correlation,
    with_unknown_correlation,
)
from mcpbayes.inference.dispersions import (
    DISPERSION,
    SHARE,
    has_draws,
    share_between,
    share_between_of_taus,
    worlds_that_suffice,
)
from mcpbayes.inference.doubt import Doubt
from mcpbayes.inference.doubts import CARRIED, central_data, doubts, places, world_data, worlds_wanted
from mcpbayes.inference.one_fit import Report, fit_once
from mcpbayes.inference.strata import strata
from mcpbayes.inference.two_pool_completion import turnover_note
from mcpbayes.inference.worlds import FEWEST, KEPT_WORLDS, LEAST, pool, refit, room, worlds_that_fit
from mcpbayes.specification.prior_rules import WITHIN
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.part_arms import of_parts


def fit(arms: xr.Dataset, model: Specification, *, seed: int = 1, report: Report | None = None) -> xr.DataTree:
    """Estimate the hierarchical model of both pools.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`.
    model : Specification
        From `mcpbayes.load_model`; ``sampling.engine`` chooses the engine: ``collapsed``, ``nuts``, or ``auto``, which
        takes ``nuts`` only where ``collapsed`` says that it did not cover the posterior.
    seed : int
        Non-negative; the same seed gives the same draws.
    report : callable, optional
        Receives one-line progress messages; where given, NUTS shows a progress bar too.

    Returns
    -------
    xarray.DataTree
        Groups ``data``, ``posterior`` (dims chain, draw, ...), ``sample_stats``, ``log_likelihood``,
        ``observed_data``. Effects are on the log scale, baselines in ln(g/kg), of stocks in ln(Mg/ha).
        Attr ``engine`` says which one it was.
        Of a two-pool model there is no ``log_likelihood``, and its worlds are runs of NUTS of one compiled model.
        Of large tables (`vocabulary.STORED_AT_MOST`) effects of single studies and comparisons and ``log_likelihood``
        are not stored. Where the table leaves CVs, conversion factors of amino sugars or the correlation of the pools
        over plots in doubt, the result is pooled over worlds, see `worlds.pool`; with the ``update`` of ``rho_within``,
        ``posterior`` has one more parameter, ``rho_within``, and ``data`` shows its covariances at the prior's median.

    Raises
    ------
    SpecificationError
        A prior is not one that the engine takes, the table does not determine the coefficients (see
        `estimable.require_estimable`), worlds would hold more draws than a result stores, or ``rho_within`` cannot be
        estimated: by the engine ``nuts``, or of contrast data in which such rows share a control.

    Notes
    -----
    Sampled are standard deviations and correlations only; coefficients, effects and baselines are drawn from their
    exact Gaussian conditional given the rest of the same draw. ``log_likelihood.contrasts`` is the log density of each
    study's within-control contrasts given β, κ and the covariances of the levels, all other effects integrated out.
    The data hardly inform the correlation of the pools over plots of one arm where the table does not report it, and
    what they say of it they say through the model. Its prior, where the specification has one, is therefore carried by
    ``sampling.worlds`` fits at the midpoints of equally probable strata, pooled with equal weights; ``update`` makes it
    one unknown parameter of all these arms instead, estimated with the others.
    """
    base, found = _with_prior_of_correlation(arms, model), doubts(arms, model)
    if _worlds(found) == 1:
        result = fit_once(central_data(base, found), model, seed=seed, report=report)
        said = (_not_carried(doubt, arms, model) for doubt in found)
        return _with_notes(result, [*_of_turnover(result, model), *_of_the_correlation(arms, model), *said])
    result = _pooled(base, found, model, seed, report)
    more = _enough_worlds(base, result, model)
    if more > _worlds(found):
        base = base.assign_attrs(worlds=more)
        found = doubts(base, model)
        result = _pooled(base, found, model, seed, report)
    notes = [
        *_of_turnover(result, model),
        *_of_the_correlation(arms, model),
        *_fewer_worlds(found, base, model),
        *_carried(found, arms, result, model),
    ]
    return _with_notes(result, notes)


def _pooled(
    base: xr.Dataset, found: list[Doubt], model: Specification, seed: int, report: Report | None
) -> xr.DataTree:
    """Return the fits of all worlds, pooled."""
    if report is not None:
        report(_why_so_many(found) + _patience(base, model))
    order = places(found)
    central = central_data(base, found)
    fitted = refit([world_data(base, found, place) for place in order], model, seed, central, report)
    for world, place in enumerate(order):
        for doubt, here in zip(found, place, strict=True):
            fitted[world] = doubt.finish(fitted[world], here, seed)
    values = {doubt.name: [doubt.values[place[i]] for place in order] for i, doubt in enumerate(found)}
    result = pool(fitted, central, values)
    posterior = result[words.POSTERIOR].to_dataset()
    result.attrs |= {
        "seed": seed,
        "share_between_worlds": share_between(posterior),
        "share_between_worlds_of_taus": share_between_of_taus(posterior),
    }
    return result


def data_of_fits(arms: xr.Dataset, model: Specification) -> list[xr.Dataset]:
    """Return the data of every fit that `fit` makes: as prepared, or one set per world.

    Where the correlation over plots is to be estimated the data show it at the prior's median.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`, or group ``data`` of a result: the same worlds are made from both.
    model : Specification

    Raises
    ------
    SpecificationError
        A correlation contradicts what rows of one control report, or cannot be estimated.
    """
    base, found = _with_prior_of_correlation(arms, model), doubts(arms, model)
    if _worlds(found) == 1:
        return [central_data(base, found)]
    return [world_data(base, found, place) for place in places(found)]


def number_of_fits(arms: xr.Dataset, model: Specification) -> int:
    """Return how many sets `data_of_fits` makes, without making them."""
    return _worlds(doubts(arms, model))


def typical_data(arms: xr.Dataset, model: Specification) -> xr.Dataset:
    """Return the data that stand for those of all fits: group ``data`` of the result."""
    return central_data(_with_prior_of_correlation(arms, model), doubts(arms, model))


def _worlds(found: list[Doubt]) -> int:
    return len(found[0].values) if found else 1


def _why_so_many(found: list[Doubt]) -> str:
    """Return why there are several fits, for example "8 fits, because the CVs of the arms are uncertain"."""
    names = [CARRIED[doubt.name] for doubt in found]
    verb = "is" if [doubt.name for doubt in found] == [WITHIN] else "are"
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{_worlds(found)} fits, because {listed} {verb} uncertain"


#: What is said before several fits of the two-pool model begin.
_BY_NUTS: Final = (
    "; NUTS makes them one after the other, which may take minutes "
    "(--set sampling.worlds=1: one fit, whose intervals do not hold this doubt)"
)

#: The same of fungal and bacterial necromass apart with a level of kinds.
_WITH_KINDS: Final = (
    "; with three pools and kinds of treatment they may take minutes "
    "(--set levels.kind=off: a fraction of that, but kinds are not told apart)"
)


def _patience(arms: xr.Dataset, model: Specification) -> str:
    """Return what to say of several fits that take long, and how to have fewer or shorter ones; empty for others."""
    if model.family == words.TWO_POOL:
        return _BY_NUTS
    return _WITH_KINDS if of_parts(arms) and arms.attrs["level_kind"] == "on" else ""


def _enough_worlds(arms: xr.Dataset, result: xr.DataTree, model: Specification) -> int:
    """Return how many worlds keep the error of the pooled mean small, as far as there are draws of CVs and room.

    Those of two pools over time are not made anew: each is a run of NUTS, and a note says where more would help.
    """
    if model.sampling.worlds is not None or not has_draws(arms) or model.family == words.TWO_POOL:
        return 0
    wanted = worlds_that_suffice(float(result.attrs["share_between_worlds"]))
    return min(wanted, arms.sizes["cv_world"], worlds_that_fit(arms, model))


def _with_prior_of_correlation(arms: xr.Dataset, model: Specification) -> xr.Dataset:
    """Return the data with the correlation over plots unknown, or at a fixed value, where its prior says so."""
    prior = model.priors.get(WITHIN)
    if prior is None or not imputed_correlations(arms).any() or not (prior.update or prior.distribution == "fixed"):
        return arms
    (median,) = strata(prior, 1)
    made = with_correlation(arms, median)
    if not prior.update:
        return made
    unknown = with_unknown_correlation(made)
    if model.sampling.engine == "nuts":
        refuse_unknown_correlation(unknown)
    return unknown


def _of_turnover(result: xr.DataTree, model: Specification) -> list[Problem]:
    """Return the note on how much of what is said of turnover comes from its prior, from the draws of all worlds."""
    if model.family != words.TWO_POOL:
        return []
    return [turnover_note(result[words.POSTERIOR].to_dataset(), model)]


def _of_the_correlation(arms: xr.Dataset, model: Specification) -> list[Problem]:
    """Return the note on a prior of the correlation over plots that no worlds carry."""
    prior, count = model.priors.get(WITHIN), int(imputed_correlations(arms).sum())
    if prior is not None and not count:
        return [_NO_USE]
    return [_estimated(count)] if prior is not None and prior.update else []


_NO_USE: Final = Problem(
    "rho-within-unused",
    "the prior of rho_within has no use: the table reports every correlation of the pools over plots, or has one pool",
    "note",
)


def _estimated(count: int) -> Problem:
    return Problem(
        "rho-within-estimated",
        f"the correlation of the pools over plots is not reported for {count} arms or rows; it is estimated as one "
        "parameter that they share, rho_within",
        "note",
    )


def _carried(found: list[Doubt], arms: xr.Dataset, result: xr.DataTree, model: Specification) -> list[Problem]:
    """Return what the worlds carry, and how much of the variance of δ lies between them."""
    size = f"{len(found[0].values)} fits, pooled with equal weights, carry it"
    notes = [Problem("worlds", f"{doubt.says(arms)}; {size}", "note") for doubt in found]
    share = float(result.attrs["share_between_worlds"])
    if share <= SHARE * len(found[0].values):
        return notes
    taus = 100 * float(result.attrs["share_between_worlds_of_taus"])
    message = (
        f"{100 * share:.0f} % of the variance of the typical change and up to {taus:.0f} % of that of a heterogeneity "
        f"lie between the {len(found[0].values)} fits: more of them would move its mean a little"
    )
    most = min(arms.sizes.get("cv_world", 0), room(arms, model, min(FEWEST, model.sampling.draws)))
    if model.family == words.TWO_POOL:  # each is a run of NUTS
        most = min(most, worlds_that_suffice(share))
    more = DISPERSION in [doubt.name for doubt in found] and most > len(found[0].values)
    return [
        *notes,
        Problem("few-worlds", message, "note", remedy=f"Take --set sampling.worlds={most}." if more else None),
    ]


def _fewer_worlds(found: list[Doubt], arms: xr.Dataset, model: Specification) -> list[Problem]:
    """Return the note that there are fewer worlds than there should be, and why."""
    wanted, made = worlds_wanted(arms, model), _worlds(found)
    if made == wanted:
        return []
    reason = f"the CVs have {arms.sizes.get('cv_world')} draws, one per fit"
    if model.sampling.worlds is None:
        reason = (
            f"a result has room for {words.STORED_AT_MOST:,} effects, and the table has "
            f"{arms.sizes['comparison']:,} comparisons"
        )
    return [Problem("fewer-worlds", f"{made} fits carry what is in doubt, not {wanted}: {reason}", "note")]


def _not_carried(doubt: Doubt, arms: xr.Dataset, model: Specification) -> Problem:
    reason, remedy = "with one world", "Leave sampling.worlds out."
    if model.sampling.worlds is None:
        comparisons = arms.sizes["comparison"]
        reason = f"a result has no room for {KEPT_WORLDS} fits of {comparisons:,} comparisons, which would carry it"
        chains = words.STORED_AT_MOST // (comparisons * KEPT_WORLDS * LEAST)
        remedy = f"Take --set sampling.chains={chains}." if chains > 1 else "Analyse parts of the table."
    message = f"{doubt.says(arms)}; {reason}: it is taken at its middle, and intervals do not hold the doubt"
    return Problem("one-world", message, "warning", remedy=remedy)


def _with_notes(result: xr.DataTree, notes: list[Problem]) -> xr.DataTree:
    problems = [*json.loads(result.attrs["problems"]), *(note.as_dict() for note in notes)]
    result.attrs["problems"] = json.dumps(problems, ensure_ascii=False)
    return result
