"""Arm-based and contrast-based model in PyMC: the independent route to the posterior.

Comparison effects and baselines are integrated out in closed form; effects of studies, sites and kinds are sampled
non-centred. What was integrated out is drawn afterwards by `mcpbayes.inference.hierarchy`.
"""

from typing import Any

import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from mcpbayes.inference.builders import priors
from mcpbayes.inference.builders.algebra import Matrix
from mcpbayes.inference.builders.density import log_density
from mcpbayes.inference.hierarchy import build_hierarchy
from mcpbayes.specification.structure import Specification
from mcpbayes.vocabulary import pair_name

Tensor = Any


def build_model(data: xr.Dataset, model: Specification) -> pm.Model:
    """Translate a table and its specification into a PyMC model.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`.
    model : Specification

    Returns
    -------
    pymc.Model
        Named variables as in group ``posterior``: ``beta``, ``tau_*``, ``rho_*``, ``study_effect``, ``site_effect``,
        ``kind_effect``; the likelihood is the potential ``contrasts``.
    """
    tree = build_hierarchy(data)
    outcomes = list(model.data.outcomes)
    pairs = [pair_name(outcomes, i, j) for i in range(len(outcomes)) for j in range(i + 1, len(outcomes))]
    coords: dict[str, Any] = {name: data[name].values for name in ("coefficient", "study", "site", "kind")}
    with pm.Model(coords={**coords, "outcome": outcomes, "pair": pairs}) as built:
        beta = priors.coefficients(model, list(coords["coefficient"]))
        effect = pt.as_tensor(tree.design) @ beta
        effect = effect + _level_effects("study", model)[tree.study_of_comparison]
        if data.attrs["level_site"] == "on":
            effect = effect + _level_effects("site", model)[tree.site_of_comparison]
        if data.attrs["level_kind"] == "on":
            effect = effect + _level_effects("kind", model)[tree.kind]
        factor = _level_factor("comparison", model)
        size = range(len(outcomes))
        covariance = [[sum(factor[i][k] * factor[j][k] for k in range(min(i, j) + 1)) for j in size] for i in size]
        pm.Potential("contrasts", log_density(tree, effect, covariance))
    return built


def _level_factor(level: str, model: Specification) -> Matrix:
    """Add τ and ρ of a level; return the lower factor of its covariance, upper part zero."""
    outcomes = model.data.outcomes
    tau = priors.standard_deviations(f"tau_{level}", model.priors[f"tau_{level}"], outcomes)
    factor: Matrix = [[1.0]]
    if len(outcomes) > 1:
        factor = priors.correlation_factor(f"rho_{level}", model.priors[f"rho_{level}"], outcomes)
    return [[tau[i] * element for element in row] for i, row in enumerate(factor)]


def _level_effects(level: str, model: Specification) -> Tensor:
    """Add the non-centred effects ``<level>_effect(level, outcome)``."""
    factor = _level_factor(level, model)
    standard = pm.Normal(f"{level}_standard", dims=(level, "outcome"))
    columns = [sum(element * standard[:, k] for k, element in enumerate(row)) for row in factor]
    return pm.Deterministic(f"{level}_effect", pt.stack(columns, axis=1), dims=(level, "outcome"))
