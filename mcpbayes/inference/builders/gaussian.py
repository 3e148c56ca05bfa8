"""Arm-based and contrast-based model in PyMC: the independent route to the posterior.

Everything Gaussian is integrated out in closed form, so that only standard deviations and correlations are sampled.
Sampling effects of studies and kinds non-centred was tried first: it left divergences and too few effective draws on
ordinary tables (the ridge between mean effect and kinds, funnels between effects and τ), which this form does not have.
"""

from typing import Any

import pymc as pm
import xarray as xr

from mcpbayes.inference.assumed import refuse_unknown_correlation
from mcpbayes.inference.builders import priors
from mcpbayes.inference.builders.algebra import Matrix
from mcpbayes.inference.builders.density import Factors, log_density
from mcpbayes.inference.root import coefficient_prior
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.specification.structure import Specification
from mcpbayes.vocabulary import pair_name


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
        Named variables as in group ``posterior``: ``tau_*`` and ``rho_*`` of the levels that are on; the likelihood
        is the potential ``contrasts``.

    Raises
    ------
    SpecificationError
        The correlation over plots is unknown: only the collapsed engine estimates it.
    """
    refuse_unknown_correlation(data)
    outcomes = list(model.data.outcomes)
    pairs = [pair_name(outcomes, i, j) for i in range(len(outcomes)) for j in range(i + 1, len(outcomes))]
    coords: dict[str, Any] = {"outcome": outcomes, "pair": pairs}
    with pm.Model(coords=coords) as built:
        factors = Factors(
            comparison=_level_factor("comparison", model),
            study=_level_factor("study", model),
            site=_level_factor("site", model) if data.attrs["level_site"] == "on" else None,
            kind=_level_factor("kind", model) if data.attrs["level_kind"] == "on" else None,
        )
        prior = coefficient_prior(model, [str(name) for name in data["coefficient"].values])
        pm.Potential("contrasts", log_density(build_hierarchy(data), factors, prior))
    return built


def _level_factor(level: str, model: Specification) -> Matrix:
    """Add τ and ρ of a level; return the lower factor of its covariance, with zeros above the diagonal."""
    outcomes = model.data.outcomes
    tau = priors.standard_deviations(f"tau_{level}", model.priors[f"tau_{level}"], outcomes)
    factor: Matrix = [[1.0]]
    if len(outcomes) > 1:
        factor = priors.correlation_factor(f"rho_{level}", model.priors[f"rho_{level}"], outcomes)
    size = len(outcomes)
    return [[tau[i] * factor[i][j] if j <= i else 0.0 for j in range(size)] for i in range(size)]
