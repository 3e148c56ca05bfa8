"""Worlds: what the data hardly inform is carried by refits, one per value, and their draws are pooled equally.

A correlation that no table reports should not be "estimated" unasked from the fit of the effects: the marginal
likelihood may prefer some values for reasons that have nothing to do with them, such as a wrong assumed CV. So every
world counts the same, whatever its fit; with ``priors.rho_within.update`` there are no worlds.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.inference.cascade import Proposals
from mcpbayes.inference.collapsed import explored
from mcpbayes.inference.dispersions import DISPERSION
from mcpbayes.inference.one_fit import Report, Sampler, fit_once, observed_data, turned_to_nuts
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator

#: Draws of a pooled result, as a multiple of those of one fit.
POOLED: Final = 2
#: Fewest draws per chain of a world that stand for it.
FEWEST: Final = 50
#: Worlds that large tables keep at the cost of draws, and the fewest draws per chain that they are left with: 4 chains
#: then make 640 pooled draws, above the effective number that the gate wants.
KEPT_WORLDS: Final = 8
LEAST: Final = 20


def world_seed(seed: int, place: int) -> int:
    """Return the seed of one world of a result with a seed."""
    return int(generator(seed, "worlds", place).integers(2**31))


def refit(
    arms: Sequence[xr.Dataset],
    model: Specification,
    seed: int,
    central: xr.Dataset | None = None,
    report: Report | None = None,
) -> list[xr.DataTree]:
    """Fit every world, one after the other: a fit uses the cores itself, and side by side they took as long (measured).

    Parameters
    ----------
    arms : sequence of xarray.Dataset
        One group ``data`` per world.
    model : Specification
        With engine ``auto`` NUTS takes all worlds where the collapsed engine did not cover the posterior of one, so
        that they stay comparable.
    seed : int
        Every world has a seed of its own, drawn from (seed, its place): their Monte-Carlo errors are independent.
    central : xarray.Dataset, optional
        The data that stand for those of all worlds: the proposal distribution of a fit to these is tried first. Worlds
        draw proposals of their own from it and weigh them by their own posteriors.
    report : callable, optional
        Receives a line per fit of the two-pool model, which is compiled once for all worlds.

    Raises
    ------
    SpecificationError
        The draws of all worlds together would be more than a result stores.
    """
    every = thinning(arms[0], model, len(arms))
    jobs = [(data, world_seed(seed, place), every) for place, data in enumerate(arms)]
    wanted = "nuts" if model.family == words.TWO_POOL else model.sampling.engine
    guide = explored(central, model, seed)[1] if central is not None and wanted != "nuts" else None
    results = [_with_engine(*job, model, "collapsed", guide) for job in jobs] if wanted != "nuts" else []
    failed = [result[words.SAMPLE_STATS] for result in results if not result[words.SAMPLE_STATS].attrs["passed"]]
    if wanted == "nuts" or (wanted == "auto" and failed):
        results = _by_nuts(jobs, model, report)
    if wanted == "auto" and failed:
        said = [turned_to_nuts(failed[0].to_dataset()).as_dict()]
        for result in results:
            result.attrs["problems"] = json.dumps(json.loads(result.attrs["problems"]) + said, ensure_ascii=False)
    for result in results:
        result.attrs["specification"] = to_toml(model)
    return results


def _by_nuts(
    jobs: Sequence[tuple[xr.Dataset, int, int]], model: Specification, report: Report | None
) -> list[xr.DataTree]:
    """Fit every world by NUTS; worlds of two pools share one compiled model, since only numbers differ in them."""
    sampler = None
    if model.family == words.TWO_POOL:
        from mcpbayes.inference.nuts import compiled_once  # brings PyMC

        sampler = compiled_once(jobs[0][0], model, report)
    results = []
    for place, job in enumerate(jobs):
        if sampler is not None and report is not None:
            report(f"fit {place + 1} of {len(jobs)}")
        results.append(_with_engine(*job, model, "nuts", sampler=sampler))
    return results


def _with_engine(
    data: xr.Dataset,
    seed: int,
    every: int,
    model: Specification,
    engine: str,
    guide: Proposals | None = None,
    sampler: Sampler | None = None,
) -> xr.DataTree:
    own = replace(model, sampling=replace(model.sampling, engine=engine))
    return fit_once(data, own, seed=seed, every=every, guide=guide, sampler=sampler)


def thinning(arms: xr.Dataset, model: Specification, worlds: int) -> int:
    """Return how many draws of a world's chain one kept draw stands for.

    Draws of all worlds together are about `POOLED` times those of one fit, or as many as a result stores: pooled draws
    have several sets of data and cannot be redrawn.

    Raises
    ------
    SpecificationError
        Fewer than `FEWEST` draws per chain would be left of a world, with ``sampling.worlds`` as asked for; fewer than
        `LEAST` where their number is left to us.
    """
    section, comparisons = model.sampling, arms.sizes["comparison"]
    every = max(1, min(worlds // POOLED, section.draws // FEWEST))
    most = room(arms, model, worlds)
    if section.draws // every > most:
        every = -(-section.draws // max(most, 1))
    needed = LEAST if section.worlds is None else FEWEST
    if most < min(needed, section.draws):
        raise SpecificationError(
            f"{worlds} worlds of {comparisons} comparisons and {section.chains} chains leave room for {most} draws per "
            f"chain in a result, which stores {words.STORED_AT_MOST} effects; {needed} are needed: take a smaller "
            "sampling.worlds",
            "sampling.worlds",
        )
    return every


def room(arms: xr.Dataset, model: Specification, each: int) -> int:
    """Return for how many worlds with `each` draws per chain a result has room; or how many draws for `each` worlds."""
    return words.STORED_AT_MOST // (arms.sizes["comparison"] * model.sampling.chains * each)


def worlds_that_fit(arms: xr.Dataset, model: Specification) -> int:
    """Return how many worlds a result has room for where their number is left to us.

    Notes
    -----
    As many as leave `FEWEST` draws per chain of each. Where those are fewer than `KEPT_WORLDS`, so many are kept with
    down to `LEAST` draws each; a table that is too large even for these has one world.
    """
    draws = model.sampling.draws
    full, tight = (room(arms, model, min(each, draws)) for each in (FEWEST, LEAST))
    if full >= KEPT_WORLDS:
        return full
    return KEPT_WORLDS if tight >= KEPT_WORLDS else 1


def pool(results: Sequence[xr.DataTree], central: xr.Dataset, values: Mapping[str, Sequence[float]]) -> xr.DataTree:
    """Put the draws of several worlds into one result, with equal weights.

    Parameters
    ----------
    results : sequence of DataTree
        One per world, in order, with the same numbers of chains and draws.
    central : xarray.Dataset
        The data that stand for those of all worlds.
    values : mapping of str to sequence of float
        What differs between worlds, for example ``rho_within``, and what it is in each.

    Returns
    -------
    DataTree
        ``posterior``, ``sample_stats`` and ``log_likelihood`` along ``chain``, numbered on, with coordinate
        ``world(chain)``; ``data`` is `central`. Root attrs ``worlds`` (how many) and ``worlds_values`` (JSON: name,
        value per world); attrs of ``sample_stats`` are the worst world's. Attr
        ``worlds_drawn`` of ``posterior`` is 1 where worlds take random draws of CVs.

    Raises
    ------
    ValueError
        Worlds differ in size, or do not store the effects of comparisons.
    """
    groups = {words.DATA: central, words.OBSERVED_DATA: observed_data(central)}
    two_pools = central.attrs["family"] == words.TWO_POOL  # without log likelihoods of studies
    for name in (words.POSTERIOR, words.SAMPLE_STATS, *(() if two_pools else (words.LOG_LIKELIHOOD,))):
        parts = [result[name].to_dataset() for result in results if name in result.children]
        if len(parts) < len(results):
            raise ValueError(f"group {name} is missing in some worlds: effects that are not stored cannot be pooled")
        groups[name] = _along_chains(parts)
    groups[words.SAMPLE_STATS].attrs = _worst([result[words.SAMPLE_STATS].to_dataset().attrs for result in results])
    if DISPERSION in values:
        groups[words.POSTERIOR].attrs[words.WORLDS_DRAWN] = 1
    order = (words.DATA, words.POSTERIOR, words.SAMPLE_STATS, words.LOG_LIKELIHOOD, words.OBSERVED_DATA)
    tree = xr.DataTree.from_dict({name: groups[name] for name in order if name in groups})
    problems = [problem for result in results for problem in json.loads(result.attrs["problems"])]
    unique = list({json.dumps(problem, sort_keys=True): problem for problem in problems}.values())
    tree.attrs = {
        **results[0].attrs,
        "problems": json.dumps(unique, ensure_ascii=False),
        "worlds": len(results),
        "worlds_values": json.dumps({name: list(each) for name, each in values.items()}),
    }
    return tree


def _along_chains(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Concatenate groups along ``chain``; in memory nodes stay first and draws innermost, as everywhere."""
    first = parts[0]
    sizes = {(part.sizes["chain"], part.sizes["draw"]) for part in parts}
    if len(sizes) > 1:
        raise ValueError(f"worlds need equal numbers of chains and draws for equal weights, found {sorted(sizes)}")
    variables = {}
    for name in [name for name in first.data_vars if all(name in part for part in parts)]:
        others = [dim for dim in first[name].dims if dim not in ("chain", "draw")]
        order = (*others, "chain", "draw")
        values = np.concatenate([part[name].transpose(*order).values for part in parts], axis=-2)
        variables[name] = xr.Variable(order, values, first[name].attrs).transpose("chain", "draw", *others)
    chains = first.sizes["chain"]
    kept = {name: coord for name, coord in first.coords.items() if "chain" not in coord.dims}
    world = ("chain", np.repeat(np.arange(len(parts)), chains))
    return xr.Dataset(variables, kept | {"chain": np.arange(chains * len(parts)), "world": world})


#: Diagnostics of one fit → the worse of several; the last four are there where draws were thinned.
_WORSE: Final[dict[str, Callable[[list[Any]], Any]]] = {
    "pareto_k": np.max,
    "efficiency": np.min,
    "attempt": np.max,
    "passed": np.min,
    "r_hat": np.fmax.reduce,
    "ess_bulk": np.fmin.reduce,
    "ess_tail": np.fmin.reduce,
    "divergences": np.sum,
}


def _worst(attrs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the attrs of the first world, those that judge it replaced by the worst of all."""
    here = {name: worst for name, worst in _WORSE.items() if name in attrs[0]}
    return dict(attrs[0]) | {name: worst([one[name] for one in attrs]).item() for name, worst in here.items()}
