"""Worlds: what the data hardly inform is carried by refits, one per value, and their draws are pooled equally.

A correlation that no table reports should not be "estimated" unasked from the fit of the effects: the marginal
likelihood may prefer some values for reasons that have nothing to do with them, such as a wrong assumed CV. So every
world counts the same, whatever its fit; with ``priors.rho_within.update`` there are no worlds.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import xarray as xr
from scipy.special import betaincinv

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.inference.one_fit import fit_once, turned_to_nuts
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Prior, Specification
from mcpbayes.streams import generator

#: Largest correlation of a world: with 1 the two pools of an arm would be a single measurement.
_LARGEST: Final = 1 - 1e-6


def strata(prior: Prior, worlds: int) -> list[float]:
    """Return the midpoints (in probability) of equally probable strata of a prior of a correlation.

    Parameters
    ----------
    prior : Prior
        ``beta``, ``lkj`` (of two outcomes) or ``fixed``, which is one world.
    worlds : int
    """
    if prior.distribution == "fixed":
        return [number(prior, "value", "")]
    keys = ("eta", "eta") if prior.distribution == "lkj" else ("a", "b")
    a, b = (number(prior, key, "") for key in keys)
    rho = 2 * betaincinv(a, b, (np.arange(worlds) + 0.5) / worlds) - 1
    return [float(value) for value in np.clip(rho, -_LARGEST, _LARGEST)]


def world_seed(seed: int, place: int) -> int:
    """Return the seed of one world of a result with a seed."""
    return int(generator(seed, "worlds", place).integers(2**31))


def refit(arms: Sequence[xr.Dataset], model: Specification, seed: int) -> list[xr.DataTree]:
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

    Raises
    ------
    SpecificationError
        The draws of all worlds together would be more than a result stores.
    """
    require_room(arms, model)
    jobs = [(data, world_seed(seed, place)) for place, data in enumerate(arms)]
    wanted = model.sampling.engine
    results = [_with_engine(*job, model, "collapsed") for job in jobs] if wanted != "nuts" else []
    failed = [result[words.SAMPLE_STATS] for result in results if not result[words.SAMPLE_STATS].attrs["passed"]]
    if wanted == "nuts" or (wanted == "auto" and failed):
        results = [_with_engine(*job, model, "nuts") for job in jobs]
    if wanted == "auto" and failed:
        said = [turned_to_nuts(failed[0].to_dataset()).as_dict()]
        for result in results:
            result.attrs["problems"] = json.dumps(json.loads(result.attrs["problems"]) + said, ensure_ascii=False)
    for result in results:
        result.attrs["specification"] = to_toml(model)
    return results


def _with_engine(data: xr.Dataset, seed: int, model: Specification, engine: str) -> xr.DataTree:
    return fit_once(data, replace(model, sampling=replace(model.sampling, engine=engine)), seed=seed)


def require_room(arms: Sequence[xr.Dataset], model: Specification) -> None:
    """Refuse more draws than a result stores: pooled draws have several sets of data and cannot be redrawn.

    Raises
    ------
    SpecificationError
    """
    comparisons = arms[0].sizes["comparison"]
    draws = len(arms) * model.sampling.chains * model.sampling.draws
    if comparisons * draws > words.STORED_AT_MOST:
        most = words.STORED_AT_MOST // (comparisons * len(arms) * model.sampling.chains)
        raise SpecificationError(
            f"{len(arms)} worlds of {model.sampling.chains} chains × {model.sampling.draws} draws of {comparisons} "
            f"comparisons are more than the {words.STORED_AT_MOST} effects that a pooled result can store; take "
            f"sampling.draws={most} or fewer, a smaller sampling.worlds, or one value: data.defaults.rho_within",
            "priors.rho_within",
        )


def pool(results: Sequence[xr.DataTree], *, of: str, values: Sequence[float]) -> xr.DataTree:
    """Put the draws of several worlds into one result, with equal weights.

    Parameters
    ----------
    results : sequence of DataTree
        One per world, in order, with the same numbers of chains and draws.
    of : str
        What differs between worlds, for example ``rho_within``.
    values : sequence of float
        What it is in each world.

    Returns
    -------
    DataTree
        ``posterior``, ``sample_stats`` and ``log_likelihood`` along ``chain``, numbered on, with coordinate
        ``world(chain)``; ``data`` of the middle world. Root attrs ``worlds`` (how many), ``worlds_of`` and
        ``worlds_values`` (JSON); attrs of ``sample_stats`` are the worst world's.

    Raises
    ------
    ValueError
        Worlds differ in size, or do not store the effects of comparisons.
    """
    middle = results[len(results) // 2]
    groups = {
        words.DATA: middle[words.DATA].to_dataset(),
        words.OBSERVED_DATA: middle[words.OBSERVED_DATA].to_dataset(),
    }
    for name in (words.POSTERIOR, words.SAMPLE_STATS, words.LOG_LIKELIHOOD):
        parts = [result[name].to_dataset() for result in results if name in result.children]
        if len(parts) < len(results):
            raise ValueError(f"group {name} is missing in some worlds: effects that are not stored cannot be pooled")
        groups[name] = _along_chains(parts)
    groups[words.SAMPLE_STATS].attrs = _worst([result[words.SAMPLE_STATS].to_dataset().attrs for result in results])
    order = (words.DATA, words.POSTERIOR, words.SAMPLE_STATS, words.LOG_LIKELIHOOD, words.OBSERVED_DATA)
    tree = xr.DataTree.from_dict({name: groups[name] for name in order})
    problems = [problem for result in results for problem in json.loads(result.attrs["problems"])]
    unique = list({json.dumps(problem, sort_keys=True): problem for problem in problems}.values())
    tree.attrs = {
        **middle.attrs,
        "problems": json.dumps(unique, ensure_ascii=False),
        "worlds": len(results),
        "worlds_of": of,
        "worlds_values": json.dumps(list(values)),
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


def _worst(attrs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the attrs of the first world, those that judge it replaced by the worst of all."""
    found = dict(attrs[0])
    for name, worst in (("pareto_k", np.max), ("efficiency", np.min), ("attempt", np.max), ("passed", np.min)):
        if name in found:
            found[name] = worst([one[name] for one in attrs]).item()
    return found
