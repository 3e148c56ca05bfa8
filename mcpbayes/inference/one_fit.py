"""One fit of one table: choose the engine, sample, draw what was integrated out, and label everything as one tree."""

import json
from collections.abc import Callable
from typing import Final

import numpy as np
import xarray as xr

import mcpbayes
from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.inference import collapsed
from mcpbayes.inference.assumed import refuse_unknown_correlation
from mcpbayes.inference.cascade import Proposals
from mcpbayes.inference.completion import complete_posterior
from mcpbayes.inference.estimable import require_estimable
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.two_pool_completion import complete_two_pools
from mcpbayes.kernels import use_numba
from mcpbayes.monte_carlo.summaries import convergence
from mcpbayes.specification.loading import to_toml
from mcpbayes.specification.structure import Specification

Report = Callable[[str], None]

#: (data, model, seed) → posterior, sample_stats: what samples tables that share the structure it was compiled for.
Sampler = Callable[[xr.Dataset, Specification, int], tuple[xr.Dataset, xr.Dataset]]

#: Dims along which effects of single nodes lie; what has none of them is a parameter.
_NODES: Final = frozenset({"study", "site", "control", "comparison"})


def fit_once(
    arms: xr.Dataset,
    model: Specification,
    *,
    seed: int = 1,
    report: Report | None = None,
    every: int = 1,
    guide: Proposals | None = None,
    sampler: Sampler | None = None,
) -> xr.DataTree:
    """Estimate the model with the data as they are; parameters and result as `engine.fit`, without worlds.

    With `every` above 1 each so many-th draw is kept; attrs ``r_hat``, ``ess_bulk``, ``ess_tail`` of ``sample_stats``
    then say how the worst parameter fared over all draws, and ``divergences`` how many of all diverged. A `guide` is
    tried first, see `collapsed.sample`; a `sampler` that is compiled already takes the place of the engine.
    """
    require_estimable(arms, model, build_hierarchy(arms))
    two_pools = model.family == words.TWO_POOL
    engine, posterior, sample_stats, problems = sample_parameters(arms, model, seed, report, guide, sampler)
    if every > 1:
        posterior, sample_stats = _thinned(posterior, sample_stats, every)
    log_likelihood = None
    if two_pools:
        posterior = complete_two_pools(arms, posterior, seed)
    else:
        posterior, log_likelihood = complete_posterior(arms, model, posterior, seed)
    groups = {
        words.DATA: arms,
        words.POSTERIOR: posterior,
        words.SAMPLE_STATS: sample_stats,
        words.LOG_LIKELIHOOD: log_likelihood,
        words.OBSERVED_DATA: observed_data(arms),
    }
    tree = xr.DataTree.from_dict({name: dataset for name, dataset in groups.items() if dataset is not None})
    known = json.loads(arms.attrs.get("problems", "[]"))
    tree.attrs = {
        "schema_version": words.SCHEMA_VERSION,
        "mcpbayes_version": mcpbayes.__version__,
        "engine": engine,
        **({} if two_pools else {words.CONDITIONAL: words.GAUSSIAN}),
        "kernel": "numba" if use_numba(arms.sizes["comparison"]) else "numpy",
        "seed": seed,
        "specification": to_toml(model),
        "status": "ok",
        "problems": json.dumps([*known, *(problem.as_dict() for problem in problems)], ensure_ascii=False),
    }
    return tree


def sample_parameters(
    arms: xr.Dataset,
    model: Specification,
    seed: int,
    report: Report | None = None,
    guide: Proposals | None = None,
    sampler: Sampler | None = None,
) -> tuple[str, xr.Dataset, xr.Dataset, list[Problem]]:
    """Draw standard deviations and correlations, of two pools all parameters, with the engine asked for.

    Returns
    -------
    engine : {"collapsed", "nuts"}
        The one whose draws these are.
    posterior, sample_stats : xarray.Dataset
    problems : list of Problem
        A note where ``auto`` had to turn to NUTS.

    Raises
    ------
    SpecificationError
        ``nuts`` is asked for where the correlation over plots is unknown; ``auto`` then stays with ``collapsed``.
    """
    wanted = model.sampling.engine
    problems: list[Problem] = []
    if wanted != "nuts" and model.family != words.TWO_POOL:
        posterior, stats = collapsed.sample(arms, model, seed, guide)
        if stats.attrs["passed"] or wanted == "collapsed":
            return "collapsed", posterior, stats, problems
        if words.PER_RHO in arms:
            return "collapsed", posterior, stats, [_NO_NUTS]
        problems.append(turned_to_nuts(stats))
        if report is not None:
            report(str(problems[0]))
    refuse_unknown_correlation(arms)
    if sampler is not None:
        return "nuts", *sampler(arms, model, seed), problems
    from mcpbayes.inference.nuts import sample  # brings PyMC

    posterior, stats = sample(arms, model, seed, report)
    return "nuts", posterior, stats, problems


_NO_NUTS: Final = Problem(
    "engine-stays",
    "the collapsed engine did not meet its limits, and NUTS does not estimate the correlation over plots: these "
    "are its best draws; without priors.rho_within.update worlds carry the correlation, and NUTS can take over",
    "note",
)


def turned_to_nuts(stats: xr.Dataset) -> Problem:
    """Return the note that NUTS was used, from the ``sample_stats`` of the collapsed engine that failed."""
    k, share = (float(stats.attrs[name]) for name in ("pareto_k", "efficiency"))
    return Problem(
        "engine-nuts",
        f"the collapsed engine did not meet its limits in {stats.attrs['attempts']} attempts (Pareto k̂ {k:.2f}, "
        f"ESS/N {share:.2f} of the best), so NUTS was used",
        "note",
    )


def _thinned(posterior: xr.Dataset, stats: xr.Dataset, every: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Keep every so many-th draw, after the parameters were judged by all of them."""
    parameters = [values for values in posterior.data_vars.values() if not _NODES.intersection(map(str, values.dims))]
    draws = [values.transpose(..., "chain", "draw").values for values in parameters]
    rows = np.concatenate([values.reshape(-1, *values.shape[-2:]) for values in draws])
    found = convergence(rows)
    worst = {"r_hat": np.fmax.reduce(found["r_hat"])} | {
        name: np.fmin.reduce(found[name]) for name in ("ess_bulk", "ess_tail")
    }
    whole = {name: float(value) for name, value in worst.items()}
    if "diverging" in stats:
        whole["divergences"] = int(stats["diverging"].sum())
    kept = slice(every - 1, None, every)
    parts = [
        part.isel(draw=kept).assign_coords(draw=np.arange(part.sizes["draw"] // every)) for part in (posterior, stats)
    ]
    return parts[0], parts[1].assign_attrs(whole)


def observed_data(arms: xr.Dataset) -> xr.Dataset:
    """Return what ArviZ's predictive plots expect."""
    name = "log_mean" if arms.attrs["family"] in words.OF_ARMS else "log_ratio"
    return arms[[name]].drop_attrs()
