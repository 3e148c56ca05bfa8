"""The linear-Gaussian hierarchy of arms, controls, sites and studies, with what can be integrated out exactly.

Arms a of control g at site e in study s, outcomes K ≥ 1, t_a = 1 if treated (DESIGN: arm-based and contrast-based)::

    y_a = b_g + t_a θ_a + error,   error ~ N(0, V_a)
    θ_a = B'x_a + κ_kind(a) + u_s + v_e + w_a

with flat baselines b_g (arm-based) or control errors c_g ~ N(0, V_0g) shared by the rows of one control (contrast-
based). Given Σ_w, Σ_e, Σ_s the likelihood collapses node by node, children into parents; every level needs products
with its covariance only, never its inverse, so τ = 0 and ρ = ±1 are exact.

What a level hands up is one stacked array of planes (see `planes`): information A (packed), −2 × log density so far,
and scores: K × c planes, of the data (first of the c columns) and of further columns that the root asks for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcpbayes.inference import compact, planes, within
from mcpbayes.inference.leaves import leaf_precision, residual_start
from mcpbayes.inference.levels import Level, from_covariance, integrate, minors
from mcpbayes.inference.plan import Plan, chunks, plan_of, rows_of, sum_up
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, blocks, sum_into


@dataclass(frozen=True)
class Covariances:
    """Heterogeneity at the levels of the hierarchy, each ``(K, K, draw)``; ``site`` is None where the level is off.

    ``within`` (draw,): the correlation ϱ over plots, where it is unknown (`Hierarchy.per_rho`).
    """

    comparison: Array
    study: Array
    site: Array | None = None
    within: Array | None = None


@dataclass(frozen=True)
class Levels:
    """Covariances of some draws as planes; ``arms``: `levels.minors` of Σ_w.

    Where ϱ is unknown, ``powers`` are its powers and ``arms`` those minors times each of them (`within`).
    """

    arms: Array
    study: Level
    site: Level | None
    powers: Array | None = None


@dataclass(frozen=True)
class Node:
    """One level as it was met on the way up, (…, node, draw): information A, scores (K, c) and spread (A + Σ⁻¹)⁻¹."""

    information: Array
    score: Array
    spread: Array


@dataclass(frozen=True)
class Climbed:
    """A block of studies with everything below the coefficients integrated out.

    Parameters
    ----------
    top : array (K(K+1)/2 + 1 + K c, study, draw)
        Information, −2 × log density and scores that the studies hand to the root.
    cross : array (c, c, draw)
        Quadratic forms of the columns that were lost on the way; lower triangle from row 1 on.
    study, site, control : Node
    """

    top: Array
    cross: Array
    study: Node
    site: Node | None
    control: Node | None


def observed_at_control(tree: Hierarchy) -> NDArray[np.bool_]:
    """Which outcomes are observed in any arm of each control, shape (control, K)."""
    counts = sum_into(tree.control, len(tree.site), tree.observed.astype(float))
    return np.asarray(counts > 0)


def levels_of(covariances: Covariances, now: slice) -> Levels:
    """Return the levels for some of the draws."""

    def level(sigma: Array) -> Level:
        return from_covariance(planes.pack(sigma[..., now])[:, None])

    site = None if covariances.site is None else level(covariances.site)
    arms, study = minors(planes.pack(covariances.comparison[..., now])), level(covariances.study)
    if covariances.within is None:
        return Levels(arms, study, site)
    powers = within.powers(covariances.within[now])
    return Levels(within.rows(arms, powers), study, site, powers)


def climb(plan: Plan, levels: Levels, start: Array, density: bool = True) -> Climbed:
    """Integrate baselines, sites and studies out, children into parents.

    Parameters
    ----------
    plan : Plan
    levels : Levels
    start : array (K(K+1)/2 + 1 + K c, arm, draw)
        What the arms hand up, in the plan's order.
    density : bool
        Whether the log density and the quadratic forms of the columns are wanted; else zeros.
    """
    size = len(plan.leaves.y)
    columns = (len(start) - len(planes.pairs(size)) - 1) // size if density else 0
    cross = np.zeros((columns, columns, start.shape[-1]))
    carried, control, site = sum_up(start, plan.arms), None, None
    if plan.controls is not None and plan.baseline is not None:
        baseline = plan.baseline if levels.powers is None else within.level_at(plan.baseline, levels.powers)
        carried, control = _pass(carried, baseline, size, cross)
        carried = sum_up(carried, plan.controls)
    if plan.sites is not None and levels.site is not None:
        carried, site = _pass(carried, levels.site, size, cross)
        carried = sum_up(carried, plan.sites)
    top, study = _pass(carried, levels.study, size, cross)
    top[len(planes.pairs(size))] += plan.constant
    return Climbed(top, cross, study, site, control)


def _pass(carried: Array, level: Level, size: int, cross: Array) -> tuple[Array, Node]:
    """Integrate one level out; ``cross`` receives what the columns lose (in place)."""
    packed = len(planes.pairs(size))
    information, score = carried[:packed], carried[packed + 1 :].reshape(size, -1, *carried.shape[1:])
    passed = np.empty_like(carried)
    own, spread, det = integrate(information, level, passed[:packed])
    if own.base is not passed:
        passed[:packed] = own
    centre = planes.apply(spread, score)
    rest = planes.apply(information, centre)
    np.subtract(score, rest, out=passed[packed + 1 :].reshape(score.shape))
    if not cross.size:
        passed[packed] = 0.0
        return passed, Node(information, score, spread)
    terms = np.log(det, out=det)
    terms += carried[packed]
    for here, there in zip(score, centre, strict=True):
        terms -= here[0] * there[0]
    passed[packed] = terms
    for a in range(1, len(cross)):
        lost = score[0, a] * centre[0, : a + 1]
        for i in range(1, size):
            lost += score[i, a] * centre[i, : a + 1]
        cross[a, : a + 1] += lost.sum(axis=1)
    return passed, Node(information, score, spread)


def climb_residuals(
    plan: Plan, levels: Levels, mean: Array, density: bool = True
) -> tuple[Climbed, Array, Array, Array]:
    """Climb with the residuals of means (comparison, K, draw).

    Returns
    -------
    climbed : Climbed
    precision, det, residual : arrays (K(K+1)/2, arm, draw), (arm, draw), (K, arm, draw)
    """
    precision, det = leaf_precision(plan.leaves, levels.arms)
    residual = np.empty((len(plan.leaves.y), len(plan.arms.nodes), mean.shape[-1]))
    rows = rows_of(plan.arms.nodes)
    for k, value in enumerate(residual):
        # Where an outcome was not observed its precision is zero, so the residual may be anything.
        np.subtract(plan.leaves.y[k][:, None], mean[rows, k], out=value)
    start = residual_start(precision, det if density else None, residual)
    return climb(plan, levels, start, density), precision, det, residual


def log_likelihood(tree: Hierarchy, covariances: Covariances, mean: Array) -> Array:
    """Log density of each study's within-control contrasts, all effects below B and κ integrated out.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
        φ, the heterogeneity at each level, for every draw.
    mean : array (comparison, K, draw)
        B'x + κ.

    Returns
    -------
    array (study, draw)

    Notes
    -----
    With flat baselines this is the density of the contrasts within each control (their Jacobian is 1). Sum over
    studies for the whole table. All terms in 2π are included, so the maximum equals the ``logLik`` of other software.
    """
    if compact.suits(tree, covariances.site is not None):
        return compact.densities(tree, covariances.comparison, covariances.study, mean)
    value = np.empty((tree.studies, mean.shape[-1]))
    at = len(planes.pairs(tree.y.shape[1]))
    for now in chunks(mean.shape[-1]):
        levels = levels_of(covariances, now)
        for block in blocks(tree):
            plan = plan_of(block.part, covariances.site is not None)
            climbed, *_ = climb_residuals(plan, levels, mean[block.comparisons, :, now])
            value[block.studies.start + plan.studies, now] = climbed.top[at]
    value *= -0.5
    return value
