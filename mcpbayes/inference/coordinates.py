"""Standard normal coordinates of the variance parameters: on this scale the prior is N(0, I), whatever it is.

Every standard deviation and every (partial) correlation is the prior's quantile of a standard normal z. The likelihood
is bounded, so on this scale the posterior has no heavier tails than a normal distribution, and directions about which
the data say nothing stay N(0, 1). A second system, ``polar``, replaces the standard deviations of one outcome at the
levels study, site and comparison by their common size and the way it is split among the levels: it straightens the
ridge along which the levels trade variance. Both preserve the prior exactly.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from scipy.special import betaincinv, gammainccinv, gammaincinv, gammaln, log_ndtr, ndtr, ndtri, ndtri_exp, stdtrit

from mcpbayes.errors import SpecificationError
from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.hierarchy import Covariances
from mcpbayes.inference.small_matrices import Array
from mcpbayes.specification.prior_rules import WITHIN
from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Prior, Specification

System = Literal["quantile", "polar"]

#: Levels whose variances add up in every comparison, in the order in which a polar system splits them.
_TOGETHER: Final = ("study", "comparison", "site")

#: Tables of quantile functions reach to this |z|, beyond which lies 2e-19 of the prior, in steps of 1/128.
_EDGE: Final = 9.0
_STEPS: Final = 2304

#: Φ(−z) underflows soon after this z.
_FARTHEST: Final = 37.0


@dataclass(frozen=True)
class Coordinates:
    """Where each variance parameter stands among the coordinates.

    Parameters
    ----------
    outcomes : tuple of str
        K names.
    priors : mapping of name to Prior
        ``tau_<level>`` and ``rho_<level>`` of the levels that are on; ``rho_within`` where it is unknown.
    tau : mapping of (level, outcome number) to coordinate
        Standard deviations that are not fixed.
    rho : mapping of (level, i, j) to coordinate
        Partial correlations of outcomes j < i given the first j ones, where they are not fixed; ``within`` counts as a
        level here.
    """

    outcomes: tuple[str, ...]
    priors: Mapping[str, Prior]
    tau: Mapping[tuple[str, int], int]
    rho: Mapping[tuple[str, int, int], int]

    @property
    def dimension(self) -> int:
        """Number of parameters that are not fixed."""
        return len(self.tau) + len(self.rho)

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that are on."""
        return tuple(name.removeprefix("tau_") for name in self.priors if name.startswith("tau_"))


def coordinates(model: Specification, levels: Sequence[str], *, within: bool = False) -> Coordinates:
    """Return the coordinates of a model.

    Parameters
    ----------
    model : Specification
    levels : sequence of str
        Levels that are on, among study, comparison, site, kind.
    within : bool
        Whether the correlation over plots is unknown: one more coordinate.
    """
    outcomes = tuple(model.data.outcomes)
    size = len(outcomes)
    symbols = ("tau", "rho") if size > 1 else ("tau",)
    priors = {f"{symbol}_{level}": model.priors[f"{symbol}_{level}"] for level in levels for symbol in symbols}
    tau: dict[tuple[str, int], int] = {}
    rho: dict[tuple[str, int, int], int] = {}
    for level in levels:
        if priors[f"tau_{level}"].distribution != "fixed":
            for k in range(size):
                tau[level, k] = len(tau) + len(rho)
        if size > 1 and priors[f"rho_{level}"].distribution != "fixed":
            for i in range(1, size):
                for j in range(i):
                    rho[level, i, j] = len(tau) + len(rho)
    if within:
        priors[WITHIN] = model.priors[WITHIN]
        rho["within", 1, 0] = len(tau) + len(rho)
    return Coordinates(outcomes, priors, tau, rho)


def _tabulate(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a cubic spline of a smooth function of z: quantile functions without closed form are slow.

    Between the knots the splines below are off by less than 1e-9 of their value.
    """
    from scipy.interpolate import CubicSpline  # 0.1 s that the default priors need not wait for

    knots = np.linspace(-_EDGE, _EDGE, _STEPS + 1)
    spline: Any = CubicSpline(knots, function(knots))  # type: ignore[no-untyped-call]
    return lambda z: np.asarray(spline(np.clip(z, -_EDGE, _EDGE)))


@lru_cache
def _half_t_log_quantile(df: float) -> Callable[[Array], Array]:
    """Return ln of the half-t quantile as a function of z."""

    def exact(z: Array) -> Array:
        # Near zero the density is flat: F⁻¹(p) = p / (2 f(0)) (1 + O(p²)); stdtrit would round there.
        slope = np.exp(gammaln(0.5 * df) - gammaln(0.5 * df + 0.5)) * np.sqrt(0.25 * np.pi * df)
        with np.errstate(divide="ignore"):
            usual = np.log(np.maximum(-stdtrit(df, 0.5 * ndtr(-z)), 0.0))
        return np.asarray(np.where(z < -5.0, log_ndtr(z) + np.log(slope), usual))

    return _tabulate(exact)


@lru_cache
def _beta_half_logit(a: float, b: float) -> Callable[[Array], Array]:
    """Return artanh of a Beta(a, b) quantile stretched to (−1, 1), as a function of z."""

    def exact(z: Array) -> Array:
        tail = ndtr(-np.abs(z))  # each half from its own tail: 1 − Φ(z) is lost in rounding for large z
        share = np.where(z < 0, betaincinv(a, b, tail), betaincinv(b, a, tail))
        return np.asarray(np.where(z < 0, 0.5, -0.5) * (np.log(share) - np.log1p(-share)))

    return _tabulate(exact)


@lru_cache
def _log_size_of_three() -> Callable[[Array], Array]:
    """Return ln of the χ₃ quantile as a function of z."""

    def exact(z: Array) -> Array:
        half = np.where(z < 0, gammaincinv(1.5, ndtr(np.minimum(z, 0))), gammainccinv(1.5, ndtr(-np.maximum(z, 0))))
        return np.asarray(0.5 * np.log(2.0 * half))

    return _tabulate(exact)


def _tau_at(prior: Prior, outcome: str, z: Array, name: str) -> Array:
    """Return the standard deviation at the prior's quantile of z."""
    match prior.distribution:
        case "half_normal":
            # Of the upper tail: accurate for large z, and for small ones τ is as good as zero.
            return np.asarray(number(prior, "sd", outcome) * np.abs(ndtri(0.5 * ndtr(-np.minimum(z, _FARTHEST)))))
        case "half_student_t":
            return number(prior, "scale", outcome) * np.exp(_half_t_log_quantile(number(prior, "df", outcome))(z))
        case "lognormal":
            return np.asarray(number(prior, "median", outcome) * np.exp(number(prior, "sd_log", outcome) * z))
    raise SpecificationError(f"{prior.distribution} is not a prior for standard deviations", f"priors.{name}")


def _partial_at(prior: Prior, size: int, given: int, z: Array, name: str) -> Array:
    """Return the partial correlation at the quantile of its prior, as in `priors.sample_correlation_matrix`."""
    match prior.distribution:
        case "lkj":
            a = b = number(prior, "eta", "") + (size - 2 - given) / 2
        case "beta" if size == 2:
            a, b = number(prior, "a", ""), number(prior, "b", "")
        case _:
            raise SpecificationError(
                f"{prior.distribution} is not a prior of the correlations of {size} outcomes", f"priors.{name}"
            )
    if a == b == 2:
        # The cubic 3x² − 2x³ = Φ(z) in closed form; sin and arcsin turn 1 − 2Φ(z) into the correlation itself.
        return np.asarray(-2.0 * np.sin(np.arcsin(1.0 - 2.0 * ndtr(z)) / 3.0))
    return np.tanh(_beta_half_logit(a, b)(z))


def _split(coords: Coordinates, outcome: int) -> list[str]:
    """Return the levels among which the polar system splits the variance of one outcome."""
    return [level for level in _TOGETHER if (level, outcome) in coords.tau]


def _from_polar(places: Sequence[int], z: Array) -> list[Array]:
    """Return the sides of two or three independent standard half-normals from their size and its split.

    Notes
    -----
    Two: R² ~ χ²₂, angle uniform on (0, π/2). Three: R² ~ χ²₃; one share of R uniform on (0, 1), the rest split by a
    uniform angle (the area of a zone of a sphere is proportional to its height).
    """
    angle = 0.5 * np.pi * ndtr(z[places[1]])
    if len(places) == 2:
        size = np.sqrt(-2.0 * log_ndtr(-z[places[0]]))
        return [size * np.sin(angle), size * np.cos(angle)]
    size = np.exp(_log_size_of_three()(z[places[0]]))
    share = ndtr(z[places[2]])
    rest = size * np.sqrt((1.0 - share) * (1.0 + share))
    return [rest * np.sin(angle), rest * np.cos(angle), size * share]


def _quantiles(coords: Coordinates, planes: Array, system: System) -> dict[tuple[str, int], Array]:
    """Return z of every standard deviation on its prior's quantile scale."""
    found = {key: planes[place] for key, place in coords.tau.items()}
    if system == "polar":
        for k in range(len(coords.outcomes)):
            together = _split(coords, k)
            if len(together) > 1:
                sides = _from_polar([coords.tau[level, k] for level in together], planes)
                # The quantile of a half-normal side: P(|N| > side) = 2 Φ(−side).
                found |= {
                    (level, k): -ndtri_exp(np.log(2.0) + log_ndtr(-side))
                    for level, side in zip(together, sides, strict=True)
                }
    return found


def parameters(coords: Coordinates, z: Array, system: System = "quantile") -> dict[str, Array]:
    """Return standard deviations and correlations at points of the coordinate space.

    Parameters
    ----------
    coords : Coordinates
    z : array (draw, dimension)
    system : {"quantile", "polar"}

    Returns
    -------
    dict of arrays
        ``tau_<level>`` (draw, K), ``rho_<level>`` (draw, K(K−1)/2) in the order of `vocabulary.pair_name`, and
        ``rho_within`` (draw, 1) where it is unknown.
    """
    draws, size = len(z), len(coords.outcomes)
    planes = np.ascontiguousarray(z.T)
    quantiles = _quantiles(coords, planes, system)
    out: dict[str, Array] = {}
    for level in coords.levels:
        name = f"tau_{level}"
        tau = np.empty((draws, size))
        for k, outcome in enumerate(coords.outcomes):
            if (level, k) in quantiles:
                tau[:, k] = _tau_at(coords.priors[name], outcome, quantiles[level, k], name)
            else:
                tau[:, k] = number(coords.priors[name], "value", outcome)
        out[name] = tau
        if size > 1:
            out[f"rho_{level}"] = _correlations(coords, level, planes, draws)
    if WITHIN in coords.priors:
        out[WITHIN] = _correlations(coords, "within", planes, draws)
    return out


def _correlations(coords: Coordinates, level: str, planes: Array, draws: int) -> Array:
    """Return the correlations of a level, (draw, pair), from partial ones by stick-breaking."""
    size = len(coords.outcomes)
    name = f"rho_{level}"
    prior = coords.priors[name]
    if prior.distribution == "fixed":
        return np.full((draws, size * (size - 1) // 2), number(prior, "value", coords.outcomes[0]))
    partial = {
        (i, j): _partial_at(prior, size, j, planes[coords.rho[level, i, j]], name)
        for i in range(1, size)
        for j in range(i)
    }
    if size == 2:
        return np.asarray(partial[1, 0][:, None])
    factor = np.zeros((size, size, draws))
    factor[0, 0] = 1.0
    for i in range(1, size):
        left = np.ones(draws)
        for j in range(i):
            factor[i, j] = partial[i, j] * np.sqrt(left)
            left *= 1.0 - partial[i, j] ** 2
        factor[i, i] = np.sqrt(left)
    whole = np.einsum("iks,jks->ijs", factor, factor)
    return np.stack([whole[i, j] for i, j in zip(*np.triu_indices(size, 1), strict=True)], axis=1)


def covariances(found: Mapping[str, Array]) -> tuple[Covariances, Array | None]:
    """Return the covariances of the levels and the lower factor of Σ_k (K, K, draw), None where kinds are off.

    Parameters
    ----------
    found : mapping of arrays
        As `parameters` returns them.
    """

    def sigma(level: str) -> Array:
        tau = found[f"tau_{level}"]
        return small.covariance(tau, found.get(f"rho_{level}", np.empty((len(tau), 0))))

    site = sigma("site") if "tau_site" in found else None
    kind = small.cholesky(sigma("kind")[None])[0] if "tau_kind" in found else None
    within = found[WITHIN][:, 0] if WITHIN in found else None
    return Covariances(sigma("comparison"), sigma("study"), site, within), kind
