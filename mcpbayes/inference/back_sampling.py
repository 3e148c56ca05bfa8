"""Effects drawn exactly, given coefficients and covariances: studies, sites, baselines, comparisons, down the tree."""

import numpy as np

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.hierarchy import (
    Covariances,
    arm_precision,
    collapse,
    log_likelihood,
    observed_at_control,
    residuals,
)
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, blocks, sum_into
from mcpbayes.streams import generator


def draw_studies(
    tree: Hierarchy, covariances: Covariances, mean: Array, rng: np.random.Generator
) -> tuple[Array, Array | None]:
    """Draw effects of studies and sites from their joint Gaussian conditional.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    mean : array (comparison, K, draw)
        B'x + κ.
    rng : numpy.random.Generator

    Returns
    -------
    study : array (study, K, draw)
        u_s, with everything below integrated out.
    site : array (site, K, draw) or None
        v_e given u_s; None where the level is off.
    """
    found = collapse(tree, covariances, residuals(tree, mean))
    study = _draw_level(found.study_information, found.study_score, covariances.study, rng)
    if covariances.site is None:
        return study[:, :, 0], None
    above = study[tree.study]
    rest = found.site_score - small.product(found.site_information, above)
    site = _draw_level(found.site_information, rest, covariances.site, rng)
    return study[:, :, 0], site[:, :, 0]


def _draw_level(information: Array, score: Array, level: Array, rng: np.random.Generator) -> Array:
    """Draw from N(GK, G), G = (I+ΣF)⁻¹Σ; shape (node, K, 1, draw)."""
    level = np.broadcast_to(level, information.shape)
    identity = np.eye(information.shape[1])[None, :, :, None]
    inverse, _ = small.inverse_and_determinant(identity + small.product(level, information))
    spread = small.product(inverse, level)
    spread = 0.5 * (spread + np.swapaxes(spread, 1, 2))
    normals = rng.standard_normal((*score.shape[:2], 1, score.shape[3]))
    return np.asarray(small.product(spread, score) + small.product(small.cholesky(spread), normals))


def draw_comparisons(tree: Hierarchy, comparison: Array, mean: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw baselines and comparison effects from their joint Gaussian conditional.

    Parameters
    ----------
    tree : Hierarchy
    comparison : array (K, K, draw)
        Σ_w.
    mean : array (comparison, K, draw)
        B'x + κ + u + v: everything above the comparison.
    rng : numpy.random.Generator

    Returns
    -------
    baseline : array (control, K, draw)
        b_g; NaN where an outcome was observed in no arm of the control. Contrast-based: the control's error c_g.
    effect : array (comparison, K, draw)
        w_a.

    Notes
    -----
    First b given y with w integrated out, then w given b: exact, no iteration.
    """
    precision, _ = arm_precision(tree, comparison)
    residual = residuals(tree, mean)
    controls, outcomes, draws = len(tree.site), tree.y.shape[1], mean.shape[-1]
    information = sum_into(tree.control, controls, precision)
    score = sum_into(tree.control, controls, small.product(precision, residual))
    if tree.control_covariance is None:
        spread, _ = small.observed_inverse(information, observed_at_control(tree))
    else:
        prior = np.broadcast_to(tree.control_covariance[..., None], information.shape)
        inverse, _ = small.inverse_and_determinant(
            np.eye(outcomes)[None, :, :, None] + small.product(prior, information)
        )
        spread = small.product(inverse, prior)
    baseline = small.product(spread, score)
    baseline += small.product(small.cholesky(spread), rng.standard_normal((controls, outcomes, 1, draws)))
    inside = precision[tree.arm]
    rest = residual[tree.arm] - np.where(tree.observed[tree.arm][:, :, None, None], baseline[tree.control[tree.arm]], 0)
    gain = small.product(np.broadcast_to(comparison, inside.shape), inside)
    conditional = comparison - small.product(gain, np.broadcast_to(comparison, inside.shape))
    effect = small.product(gain, rest)
    effect += small.product(small.cholesky(conditional), rng.standard_normal((len(tree.arm), outcomes, 1, draws)))
    baseline = baseline[:, :, 0]
    if tree.control_covariance is None:
        baseline = np.where(observed_at_control(tree)[..., None], baseline, np.nan)
    return baseline, effect[:, :, 0]


def draw_below(tree: Hierarchy, covariances: Covariances, mean: Array, seed: int) -> dict[str, Array]:
    """Draw everything below the coefficients for the whole table, block by block of studies.

    Parameters
    ----------
    tree : Hierarchy
    covariances : Covariances
    mean : array (comparison, K, draw)
        B'x + κ.
    seed : int
        Random numbers are keyed by (seed, block).

    Returns
    -------
    dict of arrays
        ``study`` (study, K, draw), ``site`` (site, K, draw) where the level is on, ``baseline`` (control, K, draw),
        ``comparison`` (comparison, K, draw), and ``contrasts`` (study, draw), the log density of `log_likelihood`.
    """
    outcomes, draws = tree.y.shape[1], mean.shape[-1]
    studies = int(tree.study.max()) + 1
    drawn = {
        "study": np.empty((studies, outcomes, draws)),
        "baseline": np.empty((len(tree.site), outcomes, draws)),
        "comparison": np.empty_like(mean),
        "contrasts": np.empty((studies, draws)),
    }
    if covariances.site is not None:
        drawn["site"] = np.empty((len(tree.study), outcomes, draws))
    for number, rows, part, _, sites, controls, comparisons in blocks(tree):
        rng = generator(seed, "effects", number)
        above = mean[comparisons]
        drawn["contrasts"][rows] = log_likelihood(part, covariances, above)
        study, site = draw_studies(part, covariances, above, rng)
        drawn["study"][rows] = study
        above = above + study[part.study_of_comparison]
        if site is not None:
            drawn["site"][sites] = site
            above = above + site[part.site_of_comparison]
        baseline, effect = draw_comparisons(part, covariances.comparison, above, rng)
        drawn["baseline"][controls], drawn["comparison"][comparisons] = baseline, effect
    return drawn
