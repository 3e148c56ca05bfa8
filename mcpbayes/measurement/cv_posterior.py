"""What sample CVs say of the parameters of ln CV: the CVs themselves and the study effects integrated out.

Per study the effect is integrated on a lattice around what a normal approximation says of it; the CVs have been
integrated in the tables of `cv_density`. What is left are 2 P + 1 numbers for P pools: μ and ω of each, and τ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mcpbayes.measurement.cv_density import ROW, Array, density_rows, error_moments, look_up
from mcpbayes.workers import in_threads

#: Lattice of a study effect, in standard deviations of its normal approximation.
_STEP: Final = 0.75
_LATTICE: Final = _STEP * np.arange(-6, 7)

#: Below its top by this much in ln density the end of a lattice leaves nothing out; where it lies higher, as in a study
#: far from the others, the lattice is moved by whole steps, so many times at most.
_NEGLIGIBLE: Final = 7.0
_MOVES: Final = 12

#: From how many pieces on a pool of threads is worth its start.
_WORTH_THREADS: Final = 16

#: Numbers that are worked on at once: they stay in a processor's cache.
_CHUNK: Final = 50_000


@dataclass(frozen=True)
class Priors:
    """Priors of the parameters of ln CV.

    Parameters
    ----------
    location, spread : array (pool,)
        Mean and standard deviation of the normal prior of μ.
    tau : float
        Scale of the half-normal prior of τ, or τ itself.
    omega : array (pool,)
        Scales of the half-normal priors of ω, or ω itself, positive.
    tau_fixed, omega_fixed : bool
    """

    location: Array
    spread: Array
    tau: float
    omega: Array
    tau_fixed: bool = False
    omega_fixed: bool = False

    @property
    def dimension(self) -> int:
        """How many numbers are unknown."""
        pools = len(self.location)
        return pools + (0 if self.omega_fixed else pools) + (0 if self.tau_fixed else 1)

    def parameters(self, z: Array) -> "Parameters":
        """Return the parameters at points (draw, d) whose prior is standard normal."""
        pools, draws = len(self.location), len(z)
        mu = self.location + self.spread * z[:, :pools]
        rest = half_normal_quantile(z[:, pools:])
        omega = np.tile(self.omega, (draws, 1)) if self.omega_fixed else self.omega * rest[:, :pools]
        tau = np.full(draws, self.tau) if self.tau_fixed else self.tau * rest[:, -1]
        return Parameters(mu, np.maximum(omega, 1e-6), tau)


@dataclass(frozen=True)
class Parameters:
    """Draws of μ and ω, (draw, pool), and τ, (draw,)."""

    mu: Array
    omega: Array
    tau: Array

    def take(self, places: NDArray[np.intp] | slice) -> "Parameters":
        """Return some draws."""
        return Parameters(self.mu[places], self.omega[places], self.tau[places])


@dataclass(frozen=True)
class Measured:
    """Sample CVs, one row each, sorted by study.

    Parameters
    ----------
    nu, cv : array (row,)
        Degrees of freedom and sample CVs.
    study, pool, arm : array of int (row,)
    centre, noise : array (row,)
        What the sample CV alone says of ln CV, and the variance of that.
    starts, group : array of int (study with rows,), (row,)
        First row of each study that has any, and which of these a row belongs to.
    kinds : list of (float, int)
        Pairs of ν and pool that occur.
    kind : array of int (row,)
    """

    nu: Array
    cv: Array
    study: NDArray[np.intp]
    pool: NDArray[np.intp]
    arm: NDArray[np.intp]
    centre: Array
    noise: Array
    starts: NDArray[np.intp]
    group: NDArray[np.intp]
    kinds: list[tuple[float, int]]
    kind: NDArray[np.intp]


def measured(sample_cv: Array, df: Array, study: NDArray[np.intp]) -> Measured:
    """Return the sample CVs (arm, pool) that are numbers, with their degrees of freedom, in rows."""
    arm, pool = np.nonzero(~np.isnan(sample_cv))
    order = np.lexsort((pool, arm, study[arm]))
    arm, pool = arm[order], pool[order]
    nu, cv = df[arm, pool].astype(float), sample_cv[arm, pool]
    bias, noise = error_moments(nu)
    new = np.diff(study[arm], prepend=-1) > 0
    pairs, kind = np.unique(np.stack([nu, pool.astype(float)]), axis=1, return_inverse=True)
    return Measured(
        nu=nu,
        cv=cv,
        study=study[arm],
        pool=pool,
        arm=arm,
        centre=np.log(cv) - bias,
        noise=noise,
        starts=np.flatnonzero(new),
        group=np.cumsum(new) - 1,
        kinds=[(float(one), int(which)) for one, which in pairs.T],
        kind=kind.reshape(-1),
    )


def half_normal_quantile(z: Array) -> Array:
    """Return the half-normal quantiles (scale 1) at the standard normal probabilities of z."""
    # (1 + Φ(z))/2 from above, so that large z keep their digits
    return np.asarray(-ndtri(0.5 * ndtr(-z)))


def log_marginal(data: Measured, found: Parameters) -> Array:
    """Return ln of the density of all sample CVs, (draw,)."""

    def piece(now: slice) -> Array:
        _, values, step = study_lattice(data, found.take(now))
        top = values.max(axis=-1)
        return np.asarray((np.log(np.exp(values - top[..., None]).sum(axis=-1) * step) + top).sum(axis=-1))

    pieces = list(chunks(data, len(found.tau)))
    # threads cost more than they spare where there is little to do
    done = in_threads(piece, pieces) if len(pieces) >= _WORTH_THREADS else map(piece, pieces)
    return np.concatenate(list(done))


def chunks(data: Measured, draws: int) -> Iterator[slice]:
    """Yield parts of the draws that are small enough to be worked on at once."""
    size = max(1, _CHUNK // (len(data.nu) * len(_LATTICE)))
    for start in range(0, draws, size):
        yield slice(start, min(start + size, draws))


def study_lattice(data: Measured, found: Parameters, offset: Array | float = 0.0) -> tuple[Array, Array, Array]:
    """Return the lattice of each study's effect.

    Parameters
    ----------
    data : Measured
    found : Parameters
    offset : array (draw, study) or float
        As in `cv_density.lattice`.

    Returns
    -------
    effect, values : array (draw, study with rows, point)
        Effects, and ln of their prior density times that of the sample CVs of the study.
    step : array (draw, study with rows)
    """
    variance = found.omega[:, data.pool] ** 2 + data.noise
    unit = np.sqrt(variance)
    apart = data.centre - found.mu[:, data.pool]
    precision = np.add.reduceat(1.0 / variance, data.starts, axis=1)
    score = np.add.reduceat(apart / variance, data.starts, axis=1)
    tau = np.maximum(found.tau, 1e-6)[:, None]
    spread = 1.0 / (1.0 / tau**2 + precision)
    sd = np.sqrt(spread)
    rows, start = _rows(data, found.omega)

    def at(effect: Array) -> Array:
        density = look_up(rows, start[..., None], (apart[..., None] - effect[:, data.group]) / unit[..., None])
        density -= np.log(unit)[..., None]
        own = -0.5 * (effect / tau[..., None]) ** 2 - np.log(tau)[..., None] - 0.5 * np.log(2 * np.pi)
        return np.asarray(own + np.add.reduceat(density, data.starts, axis=1))

    effect = (spread * score + _STEP * offset * sd)[..., None] + sd[..., None] * _LATTICE
    values = at(effect)
    for _ in range(_MOVES):
        steps = _steps_to_middle(values)
        if not steps.any():
            break
        effect = effect + (_STEP * sd * steps)[..., None]
        values = at(effect)
    return effect, values, _STEP * sd


def _steps_to_middle(values: Array) -> Array:
    """Return by how many whole steps each lattice has to move, 0 where its ends are negligible."""
    top = values.max(axis=-1)
    short = np.maximum(values[..., 0], values[..., -1]) > top - _NEGLIGIBLE
    if not short.any():
        return np.zeros(top.shape)
    weight = np.exp(values - top[..., None])
    middle = (weight * (_LATTICE / _STEP)).sum(axis=-1) / weight.sum(axis=-1)
    return np.where(short, np.round(middle), 0.0)


def _rows(data: Measured, omega: Array) -> tuple[Array, NDArray[np.intp]]:
    """Return flat rows of the tables, one per draw and (ν, pool) that occurs, and where each sample CV's row starts."""
    rows = np.empty((len(omega), len(data.kinds), ROW))
    noise = np.zeros(len(data.kinds))
    noise[data.kind] = data.noise
    for place, (nu, pool) in enumerate(data.kinds):
        variance = omega[:, pool] ** 2
        rows[:, place] = density_rows(nu, variance / (variance + noise[place]))
    start = (np.arange(len(omega))[:, None] * len(data.kinds) + data.kind) * ROW
    return rows.ravel(), start
