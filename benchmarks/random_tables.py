"""Simulated tables as hierarchies: a design with known sampling covariance, and effects drawn around a truth."""

from dataclasses import dataclass, replace

import numpy as np

from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy
from mcpbayes.kernels import use_numba


@dataclass(frozen=True)
class Truth:
    """What the data are drawn from: coefficients (p, K) and, per level, standard deviations (K,) and correlations."""

    beta: Array
    tau: dict[str, Array]
    rho: dict[str, Array]


@dataclass(frozen=True)
class Shape:
    """What a table looks like.

    Parameters
    ----------
    family : {"arm-based", "contrast-based"}
    studies : int
    rows : {"one", "few", "many"}
        Comparisons per study: one; one to three; three to twelve.
    outcomes : int
    sites : bool
        Two or three sites per study, each with one or two controls.
    kinds : int
        Treatment kinds; 0 leaves the level off.
    cv : float
        Typical coefficient of variation among plots; n is 3 to 6.
    missing : float
        Share of the studies that report the last outcome only.
    """

    family: str = "arm-based"
    studies: int = 20
    rows: str = "few"
    outcomes: int = 2
    sites: bool = False
    kinds: int = 0
    cv: float = 0.15
    missing: float = 0.0


def design(shape: Shape, rng: np.random.Generator) -> Hierarchy:
    """Return a hierarchy without values: who belongs to whom, sampling covariances, what is observed; y = 0."""
    sites_per_study = rng.integers(2, 4, shape.studies) if shape.sites else np.ones(shape.studies, dtype=int)
    study = np.repeat(np.arange(shape.studies), sites_per_study)
    controls_per_site = rng.integers(1, 3, len(study)) if shape.rows != "one" else np.ones(len(study), dtype=int)
    site = np.repeat(np.arange(len(study)), controls_per_site)
    most = {"one": 1, "few": 2, "many": 6}[shape.rows]
    comparisons = rng.integers(1, most + 1, len(site)) if most > 1 else np.ones(len(site), dtype=int)
    of_comparison = np.repeat(np.arange(len(site)), comparisons)
    flat = shape.family == "arm-based"
    control = np.concatenate([np.arange(len(site)), of_comparison]) if flat else of_comparison
    arm = np.arange(len(of_comparison)) + (len(site) if flat else 0)
    observed = np.ones((len(control), shape.outcomes), dtype=bool)
    lacking = rng.random(shape.studies) < shape.missing
    observed[lacking[study[site[control]]], :-1] = False
    sampling = _covariances(len(control), shape, rng)
    shared = None
    if not flat:
        # Rows of one control share half of a typical row's variance; a row with its own control shares nothing.
        shared = 0.5 * _covariances(len(site), shape, rng) * (comparisons > 1)[:, None, None]
    block = observed[:, :, None] & observed[:, None, :]
    return Hierarchy(
        y=np.zeros((len(control), shape.outcomes)),
        sampling=np.where(block, sampling, 0.0),
        observed=observed,
        control=control,
        arm=arm,
        site=site,
        study=study,
        design=np.ones((len(arm), 1)),
        kind=_kinds(len(arm), shape.kinds, rng),
        control_covariance=shared,
        compiled=use_numba(len(arm)),
    )


def _covariances(size: int, shape: Shape, rng: np.random.Generator) -> Array:
    """Return sampling covariances of log means, CV²/n with correlation 0.5 among outcomes."""
    cv = shape.cv * np.exp(rng.normal(0, 0.25, (size, shape.outcomes)))
    sd = cv / np.sqrt(rng.integers(3, 7, size))[:, None]
    correlation = np.full((shape.outcomes, shape.outcomes), 0.5) + 0.5 * np.eye(shape.outcomes)
    return np.asarray(sd[:, :, None] * correlation * sd[:, None, :])


def _kinds(comparisons: int, kinds: int, rng: np.random.Generator) -> np.ndarray:
    """Return a kind for each comparison; every kind occurs where there are enough comparisons."""
    if kinds == 0:
        return np.zeros(comparisons, dtype=int)
    some = np.concatenate([np.arange(kinds), rng.integers(0, kinds, max(comparisons - kinds, 0))])[:comparisons]
    return np.asarray(rng.permutation(np.unique(some, return_inverse=True)[1]))


def fill(
    tree: Hierarchy, truth: Truth, rng: np.random.Generator, outliers: float = 0.0
) -> tuple[Hierarchy, dict[str, Array]]:
    """Return the hierarchy with values drawn around a truth, and the true effects.

    Parameters
    ----------
    tree : Hierarchy
    truth : Truth
    rng : numpy.random.Generator
    outliers : float
        Share of comparisons whose true effect is moved by ±1.5 in all outcomes.

    Returns
    -------
    tree : Hierarchy
    effects : dict of arrays
        ``comparison`` (comparison, K): the full true effect θ of each comparison; ``study`` (study, K), ...
    """
    size = tree.y.shape[1]
    counts = {
        "study": int(tree.study.max()) + 1,
        "site": len(tree.study),
        "kind": int(tree.kind.max()) + 1,
        "comparison": len(tree.arm),
    }
    drawn = {
        level: _normal(truth.tau[level], truth.rho[level], count, rng)
        for level, count in counts.items()
        if level in truth.tau
    }
    theta = tree.design @ truth.beta + drawn["study"][tree.study_of_comparison] + drawn["comparison"]
    if "site" in drawn:
        theta = theta + drawn["site"][tree.site_of_comparison]
    if "kind" in drawn:
        theta = theta + drawn["kind"][tree.kind]
    moved = rng.random(len(theta)) < outliers
    theta[moved] += 1.5 * rng.choice([-1.0, 1.0], (int(moved.sum()), 1))
    error = np.einsum("aij,aj->ai", _roots(tree.sampling), rng.standard_normal(tree.y.shape))
    if tree.control_covariance is None:
        base = rng.normal(0, 1, (len(tree.site), size))
    else:
        normals = rng.standard_normal((len(tree.site), size))
        base = np.einsum("gij,gj->gi", _roots(tree.control_covariance), normals)
    y = base[tree.control] + error
    y[tree.arm] += theta
    return replace(tree, y=np.where(tree.observed, y, 0.0)), drawn | {"theta": theta, "base": base}


def _roots(covariance: Array) -> Array:
    """Return symmetric square roots of positive semi-definite matrices (node, K, K)."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]) @ np.swapaxes(vectors, 1, 2))


def _normal(tau: Array, rho: Array, size: int, rng: np.random.Generator) -> Array:
    """Return draws (size, K) of N(0, Σ) with standard deviations τ and correlations ρ."""
    correlation = np.eye(len(tau))
    upper = np.triu_indices(len(tau), 1)
    correlation[upper] = correlation.T[upper] = rho
    return np.asarray(rng.standard_normal((size, len(tau))) @ _roots((tau[:, None] * correlation * tau)[None])[0])
