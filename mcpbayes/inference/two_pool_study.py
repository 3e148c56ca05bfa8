"""One study of a two-pool table as an integral over its effects needs it, and draws of what all studies share.

Two densities of the same data are of use. `Study.arms`: of all arms, ln SOC of the controls flat: the study's
likelihood. `Study.contrasts`: of the within-control contrasts, ln N of the controls flat besides, so that their own
measured ratios do not count, and r₀ is known from the population only.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.completion import draws_last
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, Index, select_studies
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER


@dataclass(frozen=True, eq=False)
class Density:
    """ln p(y | z) = constant − ½ (y − η)'P(y − η), flat baselines integrated out of the precision P."""

    precision: Array
    constant: float


@dataclass(frozen=True, eq=False)
class Study:
    """One study; its own arms, controls, sites and comparisons numbered from 0.

    Parameters
    ----------
    design : array (comparison, coefficient)
    years : array (comparison,)
    site, control, arm : arrays of int (comparison,)
        Site, control and treated arm of each comparison.
    control_of_arm : array of int (arm,)
    sites, controls : int
    y : array (observed,)
        Log means, ln(g/kg).
    seen : array of int (observed,)
        Where each stands among arm × outcome.
    arms, contrasts : Density
        Of all arms, and of the within-control contrasts only.
    """

    design: Array
    years: Array
    site: Index
    control: Index
    arm: Index
    control_of_arm: Index
    sites: int
    controls: int
    y: Array
    seen: Index
    arms: Density
    contrasts: Density


@dataclass(frozen=True, eq=False)
class Population:
    """Draws of what all studies share, draws first.

    Parameters
    ----------
    beta : array (draw, coefficient, pool)
    rate : array (draw, pool)
        k, per year.
    middle, spread : array (draw,)
        μ_r and σ_r.
    study, comparison : array (draw, 2, 2)
        Lower factors L of the covariances of their effects.
    site : array (draw, 2, 2) or None
        None: no such level.
    """

    beta: Array
    rate: Array
    middle: Array
    spread: Array
    study: Array
    comparison: Array
    site: Array | None = None

    def at(self, now: slice) -> "Population":
        """Return some of the draws."""
        return Population(
            self.beta[now],
            self.rate[now],
            self.middle[now],
            self.spread[now],
            self.study[now],
            self.comparison[now],
            None if self.site is None else self.site[now],
        )


def study_of(tree: Hierarchy, years: Array, number: int) -> Study:
    """Return one study of a two-pool table.

    Parameters
    ----------
    tree : Hierarchy
    years : array (comparison,)
        Durations of all comparisons of the table.
    number : int
        Position of the study in canonical order.
    """
    part, *_, comparisons = select_studies(tree, np.array([number]))
    seen = np.flatnonzero(part.observed.ravel())
    inverse, log_determinant = small.observed_inverse(part.sampling[..., None], part.observed)
    precision = np.zeros((len(part.y), 2, len(part.y), 2))
    for arm, block in enumerate(inverse[..., 0]):
        precision[arm, :, arm] = block
    matrix = precision.reshape(2 * len(part.y), -1)[np.ix_(seen, seen)]
    control, outcome = np.repeat(part.control, 2)[seen], np.tile([0, 1], len(part.y))[seen]
    constant = -0.5 * float(len(seen) * np.log(2 * np.pi) + log_determinant.sum())
    return Study(
        design=part.design,
        years=years[comparisons],
        site=part.site_of_comparison,
        control=part.control[part.arm],
        arm=part.arm,
        control_of_arm=part.control,
        sites=len(part.study),
        controls=len(part.site),
        y=part.y.ravel()[seen],
        seen=seen,
        arms=_without_baselines(matrix, constant, control),
        contrasts=_without_baselines(matrix, constant, 2 * control + outcome),
    )


def _without_baselines(precision: Array, constant: float, baseline: Index) -> Density:
    """Integrate flat baselines out; `baseline` says which one each log mean has."""
    names = np.unique(baseline)
    columns = (baseline[:, None] == names).astype(float)
    cross = precision @ columns
    information = columns.T @ cross
    lost = cross @ np.linalg.solve(information, cross.T)
    volume = 0.5 * (len(names) * np.log(2 * np.pi) - np.linalg.slogdet(information)[1])
    return Density(precision - lost, constant + float(volume))


def population(posterior: xr.Dataset) -> Population:
    """Return the parameters that studies share, of all draws of a two-pool posterior."""

    def draws(name: str) -> Array:
        return np.moveaxis(draws_last(posterior, name), -1, 0)

    def factor(level: str) -> Array:
        covariance = small.covariance(draws(f"tau_{level}"), draws(f"rho_{level}"))
        return np.moveaxis(small.cholesky(covariance[None])[0], -1, 0)

    return Population(
        beta=draws("beta"),
        rate=draws(TURNOVER),
        middle=draws(MU_R),
        spread=draws(SIGMA_R),
        study=factor("study"),
        comparison=factor("comparison"),
        site=factor("site") if "tau_site" in posterior else None,
    )
