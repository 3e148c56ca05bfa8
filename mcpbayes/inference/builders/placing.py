"""Normal effects, sampled as their distance from where measurements put them: their prior stays as it is.

Sampled non-centred, z ~ N(0, 1), effects that measurements tell well make chains slow: z then hangs on the mean, the
spread and the correlation above it. Sampled here is x, near N(0, 1) whatever the spread and the precision: z is the
conditional mean of a normal model plus x times its conditional SD, and a potential takes the change of variables back,
so that only the chains' pace hangs on how good that normal model is. That is exact as long as what a level is told
depends on nothing but parameters above all levels and on effects that were placed before it.

A level is told of its nodes' effects e by a precision P and a pull P d: what is below it says e ≈ d. Pairs of pools
are told by symmetric P, (p₁₁, p₁₂, p₂₂), vectors over nodes.
"""

from typing import Any, NamedTuple

import pymc as pm
import pytensor.tensor as pt

from mcpbayes.inference.builders.algebra import sum_into

Tensor = Any  # PyTensor's variables carry no useful static type


class Told(NamedTuple):
    """What is told of pairs of effects, by element of P and of P d; each (node,)."""

    p11: Tensor
    p12: Tensor
    p22: Tensor
    h1: Tensor
    h2: Tensor


def placed(name: str, dim: str, spread: Tensor, precision: Tensor, distance: Tensor) -> Tensor:
    """Add z ~ N(0, 1) of which is told: spread × z = distance, with a precision.

    Sampled is x with z = (s p d + √(1 + s²p) x)/(1 + s²p), the conditional of z had nothing else a say.
    """
    free = pm.Normal(f"{name}_standard", dims=dim)
    weight = 1 + spread**2 * precision
    z = spread * precision * distance / weight + free / pt.sqrt(weight)
    pm.Potential(f"{name}_placed", 0.5 * pt.sum(free**2 - z**2 - pt.log(weight)))
    return z


def placed_pair(name: str, dims: tuple[str, str], spread: Tensor, factor: Any, told: Told) -> tuple[Tensor, Tensor]:
    """Add z ~ N(0, I), two per node, whose effects A z something is told of; return z₁ and z₂, (node,).

    `spread` τ (pool,) and `factor`, the lower factor of the correlation matrix, make A = diag(τ) factor. Sampled is x:
    with Λ = I + A'PA and b = A'P d, z₂ given z₁ has mean (b₂ − Λ₁₂ z₁)/Λ₂₂ and precision Λ₂₂; z₁ alone has mean
    (b₁ − Λ₁₂ b₂/Λ₂₂)/S and precision S = Λ₁₁ − Λ₁₂²/Λ₂₂.
    """
    a11, a21, a22 = spread[0], spread[1] * factor[1][0], spread[1] * factor[1][1]
    b1, b2 = a11 * told.h1 + a21 * told.h2, a22 * told.h2
    cross, second = a22 * (a11 * told.p12 + a21 * told.p22), 1 + a22**2 * told.p22
    first = 1 + a11**2 * told.p11 + 2 * a11 * a21 * told.p12 + a21**2 * told.p22 - cross**2 / second
    free = pm.Normal(f"{name}_standard", dims=dims)
    z1 = (b1 - cross * b2 / second) / first + free[:, 0] / pt.sqrt(first)
    z2 = (b2 - cross * z1) / second + free[:, 1] / pt.sqrt(second)
    squares = pt.sum(free**2) - pt.sum(z1**2 + z2**2)
    pm.Potential(f"{name}_placed", 0.5 * (squares - pt.sum(pt.log(first) + pt.log(second))))
    return z1, z2


def above(told: Told, spread: Tensor, factor: Any) -> Told:
    """Return what is left to tell where effects of a level stand between: its covariance is added to 1/P.

    (P⁻¹ + Σ)⁻¹ = (P + |P| adj Σ)/(1 + tr PΣ + |P||Σ|) = Q, for singular P too, and the pull is h − QΣh.
    """
    s11, s12, s22 = spread[0] ** 2, spread[0] * spread[1] * factor[1][0], spread[1] ** 2
    p11, p12, p22, h1, h2 = told
    of_p, of_s = p11 * p22 - p12**2, s11 * s22 - s12**2
    scale = 1 + p11 * s11 + 2 * p12 * s12 + p22 * s22 + of_p * of_s
    q11, q12, q22 = (p11 + of_p * s22) / scale, (p12 - of_p * s12) / scale, (p22 + of_p * s11) / scale
    moved1, moved2 = s11 * h1 + s12 * h2, s12 * h1 + s22 * h2
    return Told(q11, q12, q22, h1 - q11 * moved1 - q12 * moved2, h2 - q12 * moved1 - q22 * moved2)


def of_arguments(told: Told, slope1: Tensor, slope2: Tensor) -> Told:
    """Return what is told of arguments whose functions have these slopes, the pools apart."""
    p11, p12, p22, h1, h2 = told
    return Told(slope1**2 * p11, slope1 * slope2 * p12, slope2**2 * p22, slope1 * h1, slope2 * h2)


def beyond(told: Told, first: Tensor, second: Tensor) -> Told:
    """Return what is told of what remains of effects once these parts of them are known."""
    p11, p12, p22, h1, h2 = told
    return told._replace(h1=h1 - p11 * first - p12 * second, h2=h2 - p12 * first - p22 * second)


def summed(told: Told, index: Any, size: int) -> Told:
    """Return what the nodes of a parent tell together."""
    return Told(*(sum_into(index, size, values) for values in told))
