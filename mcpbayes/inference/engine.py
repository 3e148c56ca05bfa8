"""`fit`: one fit where the data and the specification say everything, else several worlds, pooled."""

import json
from typing import Final

import xarray as xr

from mcpbayes.errors import Problem
from mcpbayes.inference.assumed import (
    imputed_correlations,
    note_worlds,
    refuse_unknown_correlation,
    with_correlation,
    with_unknown_correlation,
)
from mcpbayes.inference.one_fit import Report, fit_once
from mcpbayes.inference.worlds import pool, refit, strata
from mcpbayes.specification.prior_rules import WITHIN
from mcpbayes.specification.structure import Specification


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
        Of large tables (`vocabulary.STORED_AT_MOST`) effects of single studies and comparisons and ``log_likelihood``
        are not stored. With a prior ``rho_within`` the result is pooled over worlds, see `worlds.pool`, or, with its
        ``update``, ``posterior`` has one more parameter, ``rho_within``, and ``data`` shows its covariances at the
        prior's median.

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
    prior = model.priors.get(WITHIN)
    worlds, count = data_of_fits(arms, model), int(imputed_correlations(arms).sum())
    if len(worlds) == 1:
        result = fit_once(worlds[0], model, seed=seed, report=report)
        if prior is not None and not count:
            return _with_note(result, _NO_USE)
        if prior is not None and prior.update:
            return _with_note(result, _estimated(count))
        return result
    if report is not None:
        report(f"{len(worlds)} worlds, one per stratum of the prior of {WITHIN}")
    values = json.loads(worlds[0].attrs["rho_within_worlds"])
    result = pool(refit(worlds, model, seed), of=WITHIN, values=values)
    result.attrs["seed"] = seed
    return _with_note(result, _carried(count, values))


def data_of_fits(arms: xr.Dataset, model: Specification) -> list[xr.Dataset]:
    """Return the data of every fit that `fit` makes: as prepared, or with the correlations of a prior ``rho_within``.

    Where it is to be estimated there is one fit, whose data show the correlation at the prior's median.

    Raises
    ------
    SpecificationError
        A correlation contradicts what rows of one control report, or cannot be estimated.
    """
    prior = model.priors.get(WITHIN)
    if prior is None or not imputed_correlations(arms).any():
        return [arms]
    if prior.update:
        (median,) = strata(prior, 1)
        unknown = with_unknown_correlation(with_correlation(arms, median))
        if model.sampling.engine == "nuts":
            refuse_unknown_correlation(unknown)
        return [unknown]
    values = strata(prior, model.sampling.worlds)
    worlds = [with_correlation(arms, value) for value in values]
    return worlds if len(worlds) == 1 else [note_worlds(world, values) for world in worlds]


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


def _carried(count: int, values: list[float]) -> Problem:
    return Problem(
        "worlds",
        f"the correlation of the pools over plots is assumed for {count} arms or rows; its prior is carried by "
        f"{len(values)} fits, ϱ from {min(values):.2f} to {max(values):.2f}, pooled with equal weights",
        "note",
    )


def _with_note(result: xr.DataTree, note: Problem) -> xr.DataTree:
    problems = [*json.loads(result.attrs["problems"]), note.as_dict()]
    result.attrs["problems"] = json.dumps(problems, ensure_ascii=False)
    return result
