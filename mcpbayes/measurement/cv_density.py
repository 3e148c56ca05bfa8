"""The density of a sample CV given a normal distribution of ln CV: a convolution, tabulated once per number of plots.

    ln CV = x ~ N(m, ω²),   ν s²/σ² ~ χ²_ν,   so ln s = x + ½ ln(χ²_ν/ν)

Of each ν the shape of the density of ln s, scaled to unit variance, depends on one number only: the share of its
variance that is ω². Densities looked up in tables over (share, place) are within a total variation distance of 1.1e-3
(ν = 1), 3.5e-4 (ν = 2) and 1e-4 (ν ≥ 3.5) of the exact ones, and a look-up costs nothing but memory access, where the
integral would cost dozens of exponentials for each arm, study effect and parameter.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, psi, wrightomega, zeta

Array = NDArray[np.float64]

#: Steps of lattices in units of Laplace's standard deviation: sums over them are integrals to rounding, since the
#: integrands are smooth; to the right, where the integrand may fall off as slowly as e^(−νx), they reach further.
STEP: Final = 1.0
_LATTICE: Final = STEP * np.arange(-8, 21)

#: Places in standard deviations, beyond which the logarithm goes on linearly; shares of the variance that are ω².
_FIRST, _LAST, _PER_UNIT = -12.0, 8.0, 32
_PLACES: Final = np.arange(_FIRST, _LAST + 0.5 / _PER_UNIT, 1 / _PER_UNIT)
_SHARES: Final = np.linspace(0.0, 1.0, 49)


def error_moments(nu: Array) -> tuple[Array, Array]:
    """Return mean and variance of ln s − ln σ: ½(ψ(ν/2) − ln(ν/2)) and ¼ψ′(ν/2), ψ′ the Hurwitz zeta function of 2."""
    variance = zeta(2, nu / 2)  # type: ignore[no-untyped-call]
    return 0.5 * (psi(nu / 2) - np.log(nu / 2)), np.asarray(0.25 * variance)


def around_mode(m: Array, sd: Array, nu: Array, squares: Array) -> tuple[Array, Array]:
    """Return mode and Laplace's standard deviation of N(x; m, sd²) exp(−νx − ½ q e^(−2x)), q = νs².

    Notes
    -----
    The mode is m − ν sd² + w/2, the curvature there (1 + w)/sd², with w e^w = 2 sd² q e^(2ν sd² − 2m): w is the Wright
    omega function of the logarithm of the right-hand side.
    """
    variance = sd**2
    w = wrightomega(np.log(2.0 * variance * squares) + 2.0 * (nu * variance - m))
    return m - nu * variance + 0.5 * w, sd / np.sqrt(1.0 + w)


def lattice(m: Array, sd: Array, nu: Array, squares: Array, offset: Array | float = 0.0) -> tuple[Array, Array, Array]:
    """Return points x (..., point), ln of N(x; m, sd²) exp(−νx − ½ q e^(−2x)) there, and the step between them (...).

    Parameters
    ----------
    m, sd, nu, squares : array (...)
    offset : array (...) or float
        By which part of a step the lattice is moved, in [0, 1). With random offsets, a point drawn by its density is a
        draw from the density itself: the sum over a lattice does not depend on its offset.
    """
    mode, scale = around_mode(m, sd, nu, squares)
    x = (mode + STEP * offset * scale)[..., None] + scale[..., None] * _LATTICE
    m, sd, nu, squares = (part[..., None] for part in np.broadcast_arrays(m, sd, nu, squares))
    normal = -0.5 * ((x - m) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)
    return x, normal - nu * x - 0.5 * squares * np.exp(-2.0 * x), STEP * scale


@cache
def _table(nu: float) -> Array:
    """Return ln density of the standardised ln s, (share, place)."""
    bias, noise = (float(part) for part in error_moments(np.asarray(nu)))
    constant = np.log(2.0) + 0.5 * nu * np.log(nu / 2) - gammaln(nu / 2)
    share = _SHARES[1:-1, None]
    omega = np.sqrt(noise * share / (1.0 - share))
    unit = np.sqrt(noise / (1.0 - share))
    log_s = bias + unit * _PLACES
    _, values, step = lattice(
        np.zeros_like(log_s), np.broadcast_to(omega, log_s.shape), np.asarray(nu), nu * np.exp(2 * log_s)
    )
    top = values.max(axis=-1)
    inner = np.log(np.exp(values - top[..., None]).sum(axis=-1) * step) + top + nu * log_s + constant + np.log(unit)
    alone = bias + np.sqrt(noise) * _PLACES
    first = constant + nu * alone - 0.5 * nu * np.exp(2.0 * alone) + 0.5 * np.log(noise)
    last = -0.5 * _PLACES**2 - 0.5 * np.log(2 * np.pi)
    return np.concatenate([first[None], inner, last[None]])


def density_rows(nu: float, share: Array) -> Array:
    """Return rows of the table of one ν for some shares of the variance that are ω², (..., place)."""
    position = (len(_SHARES) - 1) * share
    low = np.minimum(position.astype(np.intp), len(_SHARES) - 2)
    part, table = (position - low)[..., None], _table(nu)
    return np.asarray((1.0 - part) * table[low] + part * table[low + 1])


def look_up(rows: Array, start: NDArray[np.intp], place: Array) -> Array:
    """Return ln density at standardised places.

    Parameters
    ----------
    rows : array
        Of `density_rows`, flat.
    start : array of int
        Where the row of each place starts in `rows`; of a shape that broadcasts with `place`.
    place : array
    """
    position = (place - _FIRST) * _PER_UNIT
    low = np.clip(position, 0, len(_PLACES) - 2).astype(np.intp)
    index = start + low
    below = rows.take(index)
    index += 1
    return np.asarray(below + (position - low) * (rows.take(index) - below))


#: Entries of a row.
ROW: Final = len(_PLACES)
