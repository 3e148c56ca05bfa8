"""The linear-Gaussian hierarchy of arms, controls, sites and studies, with what can be integrated out exactly.

Arms a of control g at site e in study s, outcomes K ≥ 1, t_a = 1 if treated (DESIGN: arm-based and contrast-based)::

    y_a = b_g + t_a θ_a + error,   error ~ N(0, V_a)
    θ_a = B'x_a + κ_kind(a) + u_s + v_e + w_a

with flat baselines b_g (arm-based) or control errors c_g ~ N(0, V_0g) shared by the rows of one control (contrast-
based). Given Σ_w, Σ_e, Σ_s the likelihood collapses node by node, children into parents; every level needs products
with its covariance only, never its inverse, so τ = 0 and ρ = ±1 are exact. Arrays are ``(node, ..., draw)``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, sum_into


@dataclass(frozen=True)
class Covariances:
    """Heterogeneity at the levels of the hierarchy, each ``(K, K, draw)``; ``site`` is None where the level is off."""

    comparison: Array
    study: Array
    site: Array | None = None


def residuals(tree: Hierarchy, mean: Array) -> Array:
    """Return y − t μ, shape (arm, K, 1, draw), zero where not observed; μ: (comparison, K, draw)."""
    residual = np.broadcast_to(tree.y[..., None], (*tree.y.shape, mean.shape[-1])).copy()
    residual[tree.arm] -= mean
    return np.where(tree.observed[..., None], residual, 0.0)[:, :, None]


def arm_precision(tree: Hierarchy, comparison: Array) -> tuple[Array, Array]:
    """Return P_a = (V_a + t_a Σ_w)⁻¹ on the observed block, (arm, K, K, draw), and its ln|M_a|, (arm, draw)."""
    total = np.broadcast_to(tree.sampling[..., None], (*tree.sampling.shape, comparison.shape[-1])).copy()
    total[tree.arm] += comparison
    return small.observed_inverse(total, tree.observed)


def observed_at_control(tree: Hierarchy) -> NDArray[np.bool_]:
    """Which outcomes are observed in any arm of each control, shape (control, K)."""
    counts = sum_into(tree.control, len(tree.site), tree.observed.astype(float))
    return np.asarray(counts > 0)


@dataclass(frozen=True)
class Collapsed:
    """A hierarchy with everything below the coefficients integrated out; c columns are carried along.

    Parameters
    ----------
    log_terms : array (study, draw)
        −2 × the log density without its quadratic form.
    cross : array (study, c, c, draw)
        The quadratic form of the columns.
    site_information, site_score : array (site, K, K, draw), (site, K, c, draw)
        What the data say about each site's effect, given the levels above.
    study_information, study_score : array
        The same for studies.
    """

    log_terms: Array
    cross: Array
    site_information: Array
    site_score: Array
    study_information: Array
    study_score: Array


def collapse(tree: Hierarchy, covariances: Covariances, columns: Array) -> Collapsed:
    """Integrate out comparisons, baselines, sites and studies, children into parents.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    columns : array (arm, K, c, draw or 1)
        D_a: what is multiplied by the precision on its way up; zero where an outcome was not observed.
    """
    precision, log_det = arm_precision(tree, covariances.comparison)
    weighted = small.product(precision, columns)
    controls, sites, studies = len(tree.site), len(tree.study), int(tree.study.max()) + 1
    study_of_control = tree.study[tree.site]
    terms = log_det + (tree.observed.sum(axis=1) * np.log(2 * np.pi))[:, None]
    log_terms = sum_into(study_of_control[tree.control], studies, terms)
    cross = sum_into(study_of_control[tree.control], studies, _quadratic(columns, weighted))

    information = sum_into(tree.control, controls, precision)
    score = sum_into(tree.control, controls, weighted)
    if tree.control_covariance is None:
        information, score, lost, log_det = _pass_flat_baselines(tree, precision, weighted, information, score)
    else:
        shared = np.broadcast_to(tree.control_covariance[..., None], information.shape)
        information, score, lost, log_det = _pass_level(information, score, shared)
    log_terms += sum_into(study_of_control, studies, log_det)
    cross -= sum_into(study_of_control, studies, lost)

    site_information, site_score = (sum_into(tree.site, sites, part) for part in (information, score))
    information, score = site_information, site_score
    if covariances.site is not None:
        information, score, lost, log_det = _pass_level(information, score, covariances.site[None])
        log_terms += sum_into(tree.study, studies, log_det)
        cross -= sum_into(tree.study, studies, lost)
    study_information, study_score = (sum_into(tree.study, studies, part) for part in (information, score))
    _, _, lost, log_det = _pass_level(study_information, study_score, covariances.study[None])
    return Collapsed(log_terms + log_det, cross - lost, site_information, site_score, study_information, study_score)


def _quadratic(left: Array, right: Array) -> Array:
    """Return left' right per node, (node, c, c, draw), of arrays (node, K, c, draw)."""
    return np.asarray(np.einsum("nics,nids->ncds", left, right))


def _pass_flat_baselines(
    tree: Hierarchy, precision: Array, weighted: Array, information: Array, score: Array
) -> tuple[Array, Array, Array, Array]:
    """Integrate flat baselines out: A − AT⁻A, h − AT⁻m, m'T⁻m and ln|T| − k ln 2π, with sums over arms T, m."""
    seen = observed_at_control(tree)
    spread, log_det = small.observed_inverse(information, seen)
    treated = tree.treated
    controls = len(tree.site)
    inside = sum_into(tree.control[treated], controls, precision[treated])
    inside_score = sum_into(tree.control[treated], controls, weighted[treated])
    lost = _quadratic(score, small.product(spread, score))
    shared = small.product(inside, spread)
    return (
        inside - small.product(shared, inside),
        inside_score - small.product(shared, score),
        lost,
        log_det - (seen.sum(axis=1) * np.log(2 * np.pi))[:, None],
    )


def _pass_level(information: Array, score: Array, level: Array) -> tuple[Array, Array, Array, Array]:
    """Integrate one level with covariance Σ out: F, K ↦ (I+FΣ)⁻¹F, (I+FΣ)⁻¹K, K'GK and ln|I+FΣ|.

    ``information``: (node, K, K, draw), ``score``: (node, K, c, draw), ``level``: (node or 1, K, K, draw).
    """
    identity = np.eye(information.shape[1])[None, :, :, None]
    level = np.broadcast_to(level, information.shape)
    inverse, det = small.inverse_and_determinant(identity + small.product(information, level))
    passed = small.product(inverse, score)
    lost = _quadratic(score, small.product(level, passed))
    return small.product(inverse, information), passed, lost, np.log(det)


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
    found = collapse(tree, covariances, residuals(tree, mean))
    return -0.5 * (found.log_terms + found.cross[:, 0, 0])
