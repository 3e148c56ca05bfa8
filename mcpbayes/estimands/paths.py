"""Trajectories: of the levels mean and new, of any level a priori, of averages; and where they are in a year."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
import xarray as xr
from scipy.special import expit, log_expit

from mcpbayes import vocabulary as words
from mcpbayes.estimands.baselines import Controls, draw_controls
from mcpbayes.estimands.effects import typical_effects
from mcpbayes.estimands.layout import Array, Index, node_major, positions
from mcpbayes.estimands.prior import CONTAINS, SIZE, prior_coefficients, prior_departures
from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import group, specification
from mcpbayes.specification.prior_rules import MU_R, SIGMA_R, TURNOVER
from mcpbayes.specification.priors import sample, sample_number
from mcpbayes.specification.structure import Specification
from mcpbayes.streams import generator

_POOLS: Final = list(words.PARTS_OF_SOC)


@dataclass(frozen=True, eq=False)
class Paths:
    """Trajectories of some targets; pools are necromass and non-microbial C, draws are innermost.

    Parameters
    ----------
    change : ndarray, shape (target, pool, draw)
        a = ln(new / old steady state).
    residual : ndarray, shape (target, pool, draw)
        w, 0 at the levels mean and study.
    rate : ndarray, shape (pool, draw)
        k, per year.
    ratio : ndarray, shape (target, draw)
        r₀, fraction.
    """

    change: Array
    residual: Array
    rate: Array
    ratio: Array

    @cached_property
    def start(self) -> Array:
        """Relative change of each pool in year 0, e^w − 1; (target, pool, draw)."""
        return np.asarray(np.expm1(self.residual))

    @cached_property
    def gain(self) -> Array:
        """Relative change between year 0 and the new steady state, e^w (e^a − 1); (target, pool, draw)."""
        return np.asarray((1 + self.start) * np.expm1(self.change))

    def of(self, wanted: np.ndarray) -> "Paths":
        """Return some of the targets."""
        return Paths(self.change[wanted], self.residual[wanted], self.rate, self.ratio[wanted])


def effects_at(paths: Paths, years: float | Array) -> Array:
    """Return θ_N and θ_C so many years after the change, (target, outcome, draw); infinity: new steady state.

    A year of each target and draw, (target, draw), will do too.

    Notes
    -----
    `two_pools.log_pool_change`, w added, and `two_pools.log_soc_change`, with what does not hang on the year worked out
    once: e^w f − 1 = e^w (e^a − 1)(1 − e^(−kt)) + (e^w − 1).
    """
    when = years[:, None] if isinstance(years, np.ndarray) else years
    moved = paths.gain * -np.expm1(-paths.rate * when)
    moved += paths.start
    # SOC takes the place of the other pool: e^θ_C − 1 is the mean of both pools' with weights r₀ and 1 − r₀.
    necromass, soc = moved[:, 0], moved[:, 1]
    soc *= 1 - paths.ratio
    soc += paths.ratio * necromass
    return np.log1p(moved, out=moved)


def average_paths(paths: Paths, posterior: xr.Dataset) -> Paths:
    """Return trajectories whose effects are ln of the average of exp(θ) over fresh comparisons.

    Parameters
    ----------
    paths : Paths
        Of level mean.
    posterior : Dataset
        Of the result, with the standard deviations of the levels that are on.

    Notes
    -----
    exp(θ_N) = (1 + (e^(a_N) − 1)(1 − e^(−k_N t))) e^(w_N) is linear in e^a, and a, w and r₀ are independent: with
    E e^a = exp(B'x + ½ Var a) and E e^w = exp(½ Var w) its average, and with r₀ averaged over controls that of SOC, are
    the same equations with half the variances added to a and w.
    """

    def half_variance(level: str) -> Array:
        return np.asarray(node_major(posterior[f"tau_{level}"], "pool") ** 2 / 2)

    change = paths.change + sum(half_variance(level) for level in ("study", "site") if f"tau_{level}" in posterior)
    return replace(paths, change=change, residual=paths.residual + half_variance("comparison"))


def posterior_paths(result: xr.DataTree, asked: xr.Dataset) -> tuple[Paths, Array]:
    """Return the trajectories of the levels mean and new, and the SOC that they start from.

    Parameters
    ----------
    result : DataTree
        Of the two-pool family.
    asked : Dataset
        Targets of the levels mean and new, of `curves.population_targets`.

    Returns
    -------
    paths : Paths
    soc : ndarray, shape (target, draw)
        SOC of the control, g per kg, or Mg per ha of stocks.

    Notes
    -----
    At level mean r₀ and SOC are averages over controls, studies weighted equally; at level new those of one control
    drawn per draw with the same weights. A reference ratio in the specification replaces r₀ of both.
    """
    data, posterior, seed = group(result, words.DATA), group(result, words.POSTERIOR), result.attrs["seed"]
    change = typical_changes(asked, node_major(posterior["beta"], "coefficient", "pool"))
    residual = np.zeros_like(change)
    is_new = asked["level"].values == words.NEW
    for block, place in enumerate(np.flatnonzero(is_new)):
        rng = generator(seed, "forecast", block)
        residual[place] = _fresh(posterior, "comparison", rng)
        for level in ("study", "site"):
            if f"tau_{level}" in posterior:
                change[place] += _fresh(posterior, level, rng)
    weight = control_weights(data)
    chosen = draw_controls(weight, change.shape[-1], generator(seed, "reference"))
    ratio, soc = (
        np.where(is_new[:, None], values[chosen, np.arange(len(chosen))], weight @ values)
        for values in of_controls(posterior)
    )
    reference = specification(result).reference
    if reference is not None:
        ratio = np.full_like(ratio, reference)
    return Paths(change, residual, node_major(posterior[TURNOVER], "pool"), ratio), soc


def typical_changes(asked: xr.Dataset, beta: Array) -> Array:
    """Return B'x of targets, (target, pool, draw), from B (coefficient, pool, draw): kinds have no level here."""
    rows = asked["row"].values
    return typical_effects(rows, np.empty((len(rows), 0)), beta, None)


def of_controls(posterior: xr.Dataset) -> tuple[Array, Array]:
    """Return r₀ and SOC of every control, (control, draw): the model knows both, measured or not."""
    log_soc = node_major(posterior["baseline"].sel(outcome=words.SOC), "control")
    return node_major(posterior["mcp_efficacy_control"], "control"), np.exp(log_soc)


def departures(tau: Array, rho: Array, normals: Array) -> Array:
    """Return effects N(0, Σ) of a level.

    Parameters
    ----------
    tau : ndarray, shape (pool, draw)
    rho : ndarray, shape (draw,)
    normals : ndarray, shape (..., pool, draw)
        Standard normals.

    Returns
    -------
    ndarray, shape (..., pool, draw)
    """
    first, other = normals[..., 0, :], normals[..., 1, :]
    return np.asarray(tau * np.stack([first, rho * first + np.sqrt(1 - rho**2) * other], axis=-2))


def _fresh(posterior: xr.Dataset, level: str, rng: np.random.Generator) -> Array:
    """Draw one effect of a level per draw, (pool, draw)."""
    tau, rho = node_major(posterior[f"tau_{level}"], "pool"), node_major(posterior[f"rho_{level}"], "pair")[0]
    return departures(tau, rho, rng.standard_normal((tau.shape[1], 2)).T)


def control_weights(data: xr.Dataset) -> Array:
    """Return the weights of all controls, studies equally: of each the model knows r₀, measured or not."""
    study = positions(data["study"].values, data["study_of_control"].values)
    return Controls(study, np.full(len(study), "", dtype=object)).weight


def prior_paths(spec: Specification, posterior: xr.Dataset, asked: xr.Dataset, seed: int) -> Paths:
    """Return prior draws of the trajectories of targets of any level.

    Parameters
    ----------
    spec : Specification
    posterior : Dataset
        Of the result; says which levels are on.
    asked : Dataset
        Of `curves.population_targets` or `table_paths.table_targets`.
    seed : int

    Notes
    -----
    Which effects a level contains: `prior.CONTAINS`. r₀ at the levels new and comparison is that of a control,
    logit r₀ ~ N(μ_r, σ_r), at level study the geometric mean of as many as the study has, at level mean the typical
    control's, logit r₀ = μ_r.
    """
    rng, levels = generator(seed, "two_pool_prior"), asked["level"].values
    names = [str(name) for name in asked["coefficient"].values]
    beta = np.stack(list(prior_coefficients(spec, names, _POOLS, rng)))
    change = typical_changes(asked, beta)

    def containing(part: str) -> np.ndarray:
        return np.isin(levels, [level for level, parts in CONTAINS.items() if part in parts])

    for level in ("study", "site"):
        if f"tau_{level}" in posterior:
            change[containing(level)] += prior_departures(spec, level, _POOLS, rng)
    residual = np.zeros_like(change)
    residual[containing("comparison")] = prior_departures(spec, "comparison", _POOLS, rng)
    rate = sample(spec.priors[TURNOVER], rng, SIZE, _POOLS).T
    middle, spread = (sample_number(spec.priors[role], rng, SIZE) for role in (MU_R, SIGMA_R))
    controls = asked["controls"].values if "controls" in asked else (levels == words.NEW).astype(int)
    ratio = _prior_ratios(controls, middle, spread, rng)
    if spec.reference is not None:
        ratio[np.isin(levels, POPULATION)] = spec.reference
    return Paths(change, residual, rate, ratio)


def _prior_ratios(controls: Index, middle: Array, spread: Array, rng: np.random.Generator) -> Array:
    """Return r₀ as geometric means of so many controls, (target, draw); of none: the typical control's."""
    ratio = np.tile(expit(middle), (len(controls), 1))
    total = np.zeros_like(middle)
    for count in range(1, controls.max(initial=0) + 1):
        total += log_expit(middle + spread * rng.standard_normal(SIZE))
        ratio[controls == count] = np.exp(total / count)
    return ratio
