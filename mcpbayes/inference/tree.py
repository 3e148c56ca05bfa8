"""Who belongs to whom: arms, controls, sites and studies as arrays, and their blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.inference.small_matrices import Array
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


def select_studies(tree: Hierarchy, start: int, stop: int) -> tuple[Hierarchy, Index, Index, Index, Index]:
    """Return the part of the hierarchy that holds studies ``start`` to ``stop - 1``.

    Returns
    -------
    part : Hierarchy
    arms, sites, controls, comparisons : arrays of int
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
    return part, arms, sites, controls, comparisons


def blocks(tree: Hierarchy) -> Iterator[tuple[int, slice, Hierarchy, Index, Index, Index, Index]]:
    """Walk the hierarchy in blocks of studies.

    Yields number, studies, part, and the positions of the part's arms, sites, controls and comparisons.
    """
    studies = int(tree.study.max()) + 1
    for number, start in enumerate(range(0, studies, STUDIES_PER_BLOCK)):
        stop = min(start + STUDIES_PER_BLOCK, studies)
        yield number, slice(start, stop), *select_studies(tree, start, stop)


def sum_into(index: Index, size: int, values: Array) -> Array:
    """Sum the nodes of ``values`` that share a parent; shape (parent, ...)."""
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, index, values)
    return total
