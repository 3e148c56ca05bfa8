"""How much hangs on the turnover rates of two pools: refits with rates fixed at the quartiles of their prior."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

import numpy as np
import xarray as xr
from scipy.special import ndtri

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.tree import group, has_two_pools, specification
from mcpbayes.evidence.diagnostics import judge
from mcpbayes.inference.one_fit import Report, fit_once
from mcpbayes.specification.prior_rules import TURNOVER
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Prior, Specification

#: Setting → which quartile of the prior each pool's rate is fixed at. Equal ones alone would hide which pool is the
#: faster one, on which the ratio hangs most.
SETTINGS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        name: dict(zip(words.PARTS_OF_SOC, quartiles, strict=True))
        for name, quartiles in {
            "both slow": (0.25, 0.25),
            "both fast": (0.75, 0.75),
            "necromass slow": (0.25, 0.75),
            "necromass fast": (0.75, 0.25),
        }.items()
    }
)


def quartile_rates(prior: Prior) -> dict[str, dict[str, float]]:
    """Return, per setting, at which rate each pool is fixed, per year: exp(ln median ± 0.67 sd_log).

    Parameters
    ----------
    prior : Prior
        Of the turnover rates.

    Raises
    ------
    SpecificationError
        The rates are fixed already.
    """
    if prior.distribution != "lognormal":
        raise SpecificationError(
            f"the turnover rates are {prior.distribution} already, so there are no quartiles to repeat the fit at; "
            "forecast a result whose rates have a lognormal prior",
            f"priors.{TURNOVER}.distribution",
        )
    return {
        name: {pool: number(prior, "median", pool) * float(np.exp(number(prior, "sd_log", pool) * ndtri(p)))
               for pool, p in quartiles.items()}
        for name, quartiles in SETTINGS.items()
    }  # fmt: skip


def with_rates(model: Specification, rates: Mapping[str, float]) -> Specification:
    """Return a specification of the two-pool family whose turnover rates are fixed, per year by pool."""
    fixed = Prior("fixed", {"value": dict(rates)}, "A quartile of the prior: what hangs on the rates?")
    return replace(model, priors={**model.priors, TURNOVER: fixed})


def refits_at_quartiles(result: xr.DataTree, report: Report | None = None) -> dict[str, xr.DataTree]:
    """Fit the table of a two-pool result again at every setting of `SETTINGS`.

    Parameters
    ----------
    result : DataTree
        Fitted with the model ``two-pool``; its rates have a prior.
    report : callable, optional
        Receives a line per fit.

    Returns
    -------
    dict of str to DataTree
        Setting → judged result, as of `mcpbayes.fit`: one fit each, to group ``data`` of the result. Where worlds carry
        CVs, factors or the correlation over plots, that is their middle.

    Raises
    ------
    SpecificationError
        The result has no two pools, or its rates are fixed.
    """
    if not has_two_pools(result):
        raise SpecificationError("turnover rates are those of the model 'two-pool', and this result has none", "family")
    model, data, seed = specification(result), group(result, words.DATA), int(result.attrs["seed"])
    models = {name: with_rates(model, rates) for name, rates in quartile_rates(model.priors[TURNOVER]).items()}
    if report is not None:
        report(f"{len(models)} fits with turnover rates fixed at quartiles of their prior, which may take minutes")
    from mcpbayes.inference.nuts import compiled_once  # brings PyMC

    sampler = compiled_once(data, next(iter(models.values())), report)
    found = {}
    for place, (name, own) in enumerate(models.items()):
        if report is not None:
            report(f"fit {place + 1} of {len(models)}: {name}")
        found[name] = judge(fit_once(data, own, seed=seed, sampler=sampler))
    return found
