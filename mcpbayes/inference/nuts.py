"""The engine ``nuts``: the model as PyMC builds it, sampled by nutpie."""

from collections.abc import Callable
from typing import Any

import numpy as np
import nutpie
import pymc as pm
import xarray as xr

from mcpbayes.inference.builders import gaussian, two_pool
from mcpbayes.inference.one_fit import Sampler
from mcpbayes.specification.structure import Specification
from mcpbayes.vocabulary import TWO_POOL

#: What `sample` reports before the first draw.
COMPILING = "compiling the model, usually 30–60 s, the first time on a machine up to 2 minutes"


def sample(
    data: xr.Dataset, model: Specification, seed: int, report: Callable[[str], None] | None = None
) -> tuple[xr.Dataset, xr.Dataset]:
    """Sample what the model of a family leaves to sampling.

    Of Gaussian families these are standard deviations and correlations of all levels, with the effects integrated out;
    of the two-pool family all parameters and effects but the baselines.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`.
    model : Specification
    seed : int
    report : callable, optional
        Receives one-line messages; where given, nutpie also shows its progress bar.

    Returns
    -------
    posterior, sample_stats : xarray.Dataset
        Dims chain, draw, ...; messages of divergences and clock times are left out.
    """
    if report is not None:
        report(COMPILING)
    built = two_pool.build_model(data, model) if model.family == TWO_POOL else gaussian.build_model(data, model)
    if not built.free_RVs:
        return _constants(built, model)
    compiled = nutpie.compile_pymc_model(built)
    if report is not None:
        report(f"sampling {model.sampling.chains} chains of {model.sampling.draws} draws")
    return draws_of(compiled, model, seed, progress=report is not None)


def compiled_once(data: xr.Dataset, model: Specification, report: Callable[[str], None] | None = None) -> Sampler:
    """Compile the two-pool model of a table and return what samples it, with other numbers in the same places, too.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`, family two-pool.
    model : Specification
    report : callable, optional
        Receives one line.

    Returns
    -------
    callable
        (data, model, seed) → posterior, sample_stats, as `sample`. The data have the structure of `data`: who belongs
        to whom, moderators and which pools are missing; log means, their covariances and durations are their own. The
        model may differ in the values of fixed turnover rates, and in ``[sampling]``.
    """
    if report is not None:
        report(COMPILING)
    compiled = _two_pools(data, model)

    def sampled(other: xr.Dataset, own: Specification, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
        given = two_pool.measured(other) | two_pool.fixed_rates(own)
        return draws_of(compiled.with_data(**given), own, seed)

    return sampled


def draws_of(
    compiled: Any, model: Specification, seed: int, *, progress: bool = False
) -> tuple[xr.Dataset, xr.Dataset]:
    """Sample a compiled model, which may have been given other data since (``with_data``): as `sample`."""
    tree = nutpie.sample(
        compiled,
        draws=model.sampling.draws,
        tune=model.sampling.tune,
        chains=model.sampling.chains,
        seed=seed,
        target_accept=model.sampling.target_accept,
        save_warmup=False,
        progress_bar=progress,
    )
    posterior = tree["posterior"].to_dataset()
    public = [name for name in posterior.data_vars if _is_public(str(name))]
    stats = tree["sample_stats"].to_dataset()
    # Messages of divergences are objects, which a netCDF file cannot hold; their number is in ``diverging``.
    numeric = [
        name for name in stats.data_vars if np.issubdtype(stats[name].dtype, np.number) or stats[name].dtype == bool
    ]
    # Clock times among the attributes would make equal results differ.
    return posterior[public].drop_attrs(), stats[numeric].drop_attrs()


def two_pools_without(data: xr.Dataset, model: Specification) -> Callable[[int, int], tuple[xr.Dataset, xr.Dataset]]:
    """Compile the two-pool model once; return what samples it without a study.

    Parameters
    ----------
    data : xarray.Dataset
        With all studies.
    model : Specification

    Returns
    -------
    callable
        Of the position of the study and a seed; gives posterior and sample_stats as `sample`. The study keeps its
        place: its effects and control ratios are draws from the population.
    """
    compiled = _two_pools(data, model)

    def draw(study: int, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
        return draws_of(compiled.with_data(**two_pool.measured_without(data, study)), model, seed)

    return draw


def _two_pools(data: xr.Dataset, model: Specification) -> Any:
    return nutpie.compile_pymc_model(two_pool.build_model(data, model))


def _constants(built: pm.Model, model: Specification) -> tuple[xr.Dataset, xr.Dataset]:
    """Return draws of a model whose standard deviations and correlations are all fixed: nothing is left to sample."""
    lead = {"chain": np.arange(model.sampling.chains), "draw": np.arange(model.sampling.draws)}
    size = tuple(len(values) for values in lead.values())
    variables, coords = {}, dict(lead)
    for variable in built.deterministics:
        value, dims = np.asarray(variable.eval()), built.named_vars_to_dims[variable.name]
        variables[variable.name] = ((*lead, *dims), np.broadcast_to(value, (*size, *value.shape)).copy())
        coords |= {dim: np.asarray(built.coords[dim]) for dim in dims}
    stats = {"diverging": (tuple(lead), np.zeros(size, dtype=bool))}
    return xr.Dataset(variables, coords), xr.Dataset(stats, lead)


def _is_public(name: str) -> bool:
    return "_partial_" not in name and not name.endswith("_standard")
