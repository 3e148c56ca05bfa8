"""The linear-Gaussian hierarchy of arms, controls, sites and studies, with what can be integrated out exactly.

Arms a of control g at site e in study s, outcomes K ≥ 1, t_a = 1 if treated (DESIGN: arm-based and contrast-based)::

    y_a = b_g + t_a θ_a + error,   error ~ N(0, V_a)
    θ_a = B'x_a + κ_kind(a) + u_s + v_e + w_a

with flat baselines b_g (arm-based) or control errors c_g ~ N(0, V_0g) shared by the rows of one control (contrast-
based). Given Σ_w, Σ_e, Σ_s the likelihood collapses node by node, children into parents; every level needs products
with its covariance only, never its inverse, so τ = 0 and ρ = ±1 are exact. Arrays are ``(node, ..., draw)``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.small_matrices import Array
from mcpbayes.streams import generator
from mcpbayes.vocabulary import ARM_BASED

Index = NDArray[np.intp]

#: Studies that are worked on at once; part of the key of the random numbers, so changing it changes results.
STUDIES_PER_BLOCK = 32


@dataclass(frozen=True)
class Hierarchy:
    """The data as arrays; arms of comparisons and of controls, and who belongs to whom.

    Parameters
    ----------
    y : array (arm, K)
        Log means (arm-based) or log ratios (contrast-based); 0 where not observed.
    sampling : array (arm, K, K)
        Known sampling covariance; contrast-based: V_i − V_0g. 0 where not observed.
    observed : array of bool (arm, K)
    control : array of int (arm,)
        Control of each arm.
    arm : array of int (comparison,)
        The treated arm of each comparison; all other arms are control arms.
    site : array of int (control,)
    study : array of int (site,)
    design : array (comparison, coefficient)
    kind : array of int (comparison,)
    control_covariance : array (control, K, K) or None
        V_0g; None means flat baselines.
    """

    y: Array
    sampling: Array
    observed: NDArray[np.bool_]
    control: Index
    arm: Index
    site: Index
    study: Index
    design: Array
    kind: Index
    control_covariance: Array | None

    @property
    def treated(self) -> NDArray[np.bool_]:
        """Which arms are treated, shape (arm,)."""
        flags = np.zeros(len(self.y), dtype=bool)
        flags[self.arm] = True
        return flags

    @property
    def study_of_comparison(self) -> Index:
        """Study of each comparison, shape (comparison,)."""
        return np.asarray(self.study[self.site_of_comparison])

    @property
    def site_of_comparison(self) -> Index:
        """Site of each comparison, shape (comparison,)."""
        return np.asarray(self.site[self.control[self.arm]])


@dataclass(frozen=True)
class Covariances:
    """Heterogeneity at the levels of the hierarchy, each ``(K, K, draw)``; ``site`` is None where the level is off."""

    comparison: Array
    study: Array
    site: Array | None = None


def build_hierarchy(data: xr.Dataset) -> Hierarchy:
    """Read the arrays of the group ``data``.

    Parameters
    ----------
    data : xarray.Dataset
        From `mcpbayes.prepare`, arm-based or contrast-based.
    """

    def position(variable: str, dim: str) -> Index:
        return np.asarray(pd.Index(data[dim].to_numpy()).get_indexer(data[variable].to_numpy()), dtype=np.intp)

    site_of_control = position("site_of_control", "site")
    study_of_site = np.zeros(data.sizes["site"], dtype=np.intp)
    study_of_site[site_of_control] = position("study_of_control", "study")
    if data.attrs["family"] == ARM_BASED:
        value, sampling = data["log_mean"].to_numpy(), data["sampling_covariance"].to_numpy()
        control, arm = position("control_of_arm", "control"), position("arm_of_comparison", "arm")
        control_covariance = None
    else:
        value, control = data["log_ratio"].to_numpy(), position("control_of_comparison", "control")
        arm = np.arange(data.sizes["comparison"])
        control_covariance = data["control_covariance"].fillna(0.0).to_numpy()
        sampling = data["sampling_covariance"].to_numpy() - control_covariance[control]
    observed = np.isfinite(value)
    block = observed[:, :, None] & observed[:, None, :]
    return Hierarchy(
        y=np.where(observed, value, 0.0),
        sampling=np.where(block, sampling, 0.0),
        observed=observed,
        control=control,
        arm=arm,
        site=site_of_control,
        study=study_of_site,
        design=data["design"].to_numpy(),
        kind=position("kind_of_comparison", "kind"),
        control_covariance=control_covariance,
    )


def select_studies(tree: Hierarchy, start: int, stop: int) -> tuple[Hierarchy, Index, Index, Index]:
    """Return the part of the hierarchy that holds studies ``start`` to ``stop - 1``.

    Returns
    -------
    part : Hierarchy
    sites, controls, comparisons : arrays of int
        Positions of the part's nodes in the whole.
    """
    sites = np.flatnonzero((tree.study >= start) & (tree.study < stop))
    controls = np.flatnonzero(np.isin(tree.site, sites))
    arms = np.flatnonzero(np.isin(tree.control, controls))
    comparisons = np.flatnonzero(np.isin(tree.arm, arms))
    part = replace(
        tree,
        y=tree.y[arms],
        sampling=tree.sampling[arms],
        observed=tree.observed[arms],
        control=np.searchsorted(controls, tree.control[arms]),
        arm=np.searchsorted(arms, tree.arm[comparisons]),
        site=np.searchsorted(sites, tree.site[controls]),
        study=tree.study[sites] - start,
        design=tree.design[comparisons],
        kind=tree.kind[comparisons],
        control_covariance=None if tree.control_covariance is None else tree.control_covariance[controls],
    )
    return part, sites, controls, comparisons


def blocks(tree: Hierarchy) -> Iterator[tuple[int, slice, Hierarchy, Index, Index, Index]]:
    """Walk the hierarchy in blocks of studies: number, studies, part, positions of sites, controls, comparisons."""
    studies = int(tree.study.max()) + 1
    for number, start in enumerate(range(0, studies, STUDIES_PER_BLOCK)):
        stop = min(start + STUDIES_PER_BLOCK, studies)
        yield number, slice(start, stop), *select_studies(tree, start, stop)


def _sum_into(index: Index, size: int, values: Array) -> Array:
    """Sum the nodes of ``values`` that share a parent; shape (parent, ...)."""
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, index, values)
    return total


def _residuals(tree: Hierarchy, mean: Array) -> Array:
    """Return y − t μ, shape (arm, K, 1, draw), zero where not observed; μ: (comparison, K, draw)."""
    residual = np.broadcast_to(tree.y[..., None], (*tree.y.shape, mean.shape[-1])).copy()
    residual[tree.arm] -= mean
    return np.where(tree.observed[..., None], residual, 0.0)[:, :, None]


def _arm_precision(tree: Hierarchy, comparison: Array) -> tuple[Array, Array]:
    """Return P_a = (V_a + t_a Σ_w)⁻¹ on the observed block, (arm, K, K, draw), and its ln|M_a|, (arm, draw)."""
    total = np.broadcast_to(tree.sampling[..., None], (*tree.sampling.shape, comparison.shape[-1])).copy()
    total[tree.arm] += comparison
    return small.observed_inverse(total, tree.observed)


def _pass_level(information: Array, score: Array, level: Array) -> tuple[Array, Array, Array, Array]:
    """Integrate one level with covariance Σ out: F, K ↦ (I+FΣ)⁻¹F, (I+FΣ)⁻¹K, K'GK and ln|I+FΣ|.

    ``information``: (node, K, K, draw), ``score``: (node, K, 1, draw), ``level``: (node or 1, K, K, draw).
    """
    identity = np.eye(information.shape[1])[None, :, :, None]
    level = np.broadcast_to(level, information.shape)
    inverse, det = small.inverse_and_determinant(identity + small.product(information, level))
    passed = small.product(inverse, score)
    quadratic = np.einsum("niks,nijs,njks->ns", score, level, passed)
    return small.product(inverse, information), passed, quadratic, np.log(det)


def observed_at_control(tree: Hierarchy) -> NDArray[np.bool_]:
    """Which outcomes are observed in any arm of each control, shape (control, K)."""
    counts = _sum_into(tree.control, len(tree.site), tree.observed.astype(float))
    return np.asarray(counts > 0)


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
    draws = mean.shape[-1]
    precision, log_det = _arm_precision(tree, covariances.comparison)
    residual = _residuals(tree, mean)
    weighted = small.product(precision, residual)
    quadratic = np.einsum("niks,niks->ns", residual, weighted)
    constant = tree.observed.sum(axis=1) * np.log(2 * np.pi)
    controls = len(tree.site)
    per_control = _sum_into(tree.control, controls, log_det + quadratic + constant[:, None])
    everything = _sum_into(tree.control, controls, precision)
    everything_score = _sum_into(tree.control, controls, weighted)
    if tree.control_covariance is None:
        seen = observed_at_control(tree)
        spread, log_det = small.observed_inverse(everything, seen)
        treated = tree.treated
        information = _sum_into(tree.control[treated], controls, precision[treated])
        score = _sum_into(tree.control[treated], controls, weighted[treated])
        quadratic = np.einsum("niks,nijs,njks->ns", everything_score, spread, everything_score)
        shared = small.product(information, spread)
        score = score - small.product(shared, everything_score)
        information = information - small.product(shared, information)
        per_control += log_det - quadratic - (seen.sum(axis=1) * np.log(2 * np.pi))[:, None]
    else:
        shared = np.broadcast_to(tree.control_covariance[..., None], everything.shape)
        information, score, quadratic, log_det = _pass_level(everything, everything_score, shared)
        per_control += log_det - quadratic
    study_of_control = tree.study[tree.site]
    studies = int(tree.study.max()) + 1
    total = _sum_into(study_of_control, studies, per_control)
    if covariances.site is not None:
        sites = len(tree.study)
        information, score = (_sum_into(tree.site, sites, part) for part in (information, score))
        information, score, quadratic, log_det = _pass_level(information, score, covariances.site[None])
        total += _sum_into(tree.study, studies, log_det - quadratic)
        parent = tree.study
    else:
        parent = study_of_control
    information, score = (_sum_into(parent, studies, part) for part in (information, score))
    _, _, quadratic, log_det = _pass_level(information, score, covariances.study[None])
    return np.asarray(-0.5 * (total + log_det - quadratic)).reshape(studies, draws)


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
    precision, _ = _arm_precision(tree, comparison)
    residual = _residuals(tree, mean)
    controls, outcomes, draws = len(tree.site), tree.y.shape[1], mean.shape[-1]
    information = _sum_into(tree.control, controls, precision)
    score = _sum_into(tree.control, controls, small.product(precision, residual))
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


def draw_all_comparisons(tree: Hierarchy, comparison: Array, mean: Array, seed: int) -> tuple[Array, Array]:
    """Draw baselines and comparison effects of the whole table, block by block of studies.

    Same arguments and results as `draw_comparisons`; random numbers are keyed by (seed, block).
    """
    baseline = np.empty((len(tree.site), tree.y.shape[1], mean.shape[-1]))
    effect = np.empty_like(mean)
    for number, _, part, _, controls, comparisons in blocks(tree):
        rng = generator(seed, "effects", number)
        baseline[controls], effect[comparisons] = draw_comparisons(part, comparison, mean[comparisons], rng)
    return baseline, effect


def log_likelihood_by_study(tree: Hierarchy, covariances: Covariances, mean: Array) -> Array:
    """Return `log_likelihood` of the whole table, (study, draw), block by block to bound memory."""
    total = np.empty((int(tree.study.max()) + 1, mean.shape[-1]))
    for _, studies, part, _, _, comparisons in blocks(tree):
        total[studies] = log_likelihood(part, covariances, mean[comparisons])
    return total
