"""Who belongs to whom: arms, controls, sites and studies as arrays, and their blocks."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.inference.small_matrices import Array
from mcpbayes.kernels import use_numba
from mcpbayes.vocabulary import OF_ARMS, PER_RHO

Index = NDArray[np.intp]

#: Studies that are worked on at once; part of the key of the random numbers, so changing it changes results.
STUDIES_PER_BLOCK = 16


@dataclass(frozen=True, eq=False)
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
    per_rho : array (arm, K, K) or None
        What one unit of an unknown correlation ϱ over plots adds to ``sampling``; None: ϱ is known everywhere.
    kinds : int or None
        Number of kinds where some may occur in no comparison (a study was left out); None: as many as occur.
    compiled : bool
        Whether compiled kernels are wanted for the table and all parts of it (`kernels.use_numba`).
    remembered : dict
        What was derived from the hierarchy once for many uses: blocks and plans.
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
    per_rho: Array | None = None
    kinds: int | None = None
    compiled: bool = False
    remembered: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    @property
    def studies(self) -> int:
        """Number of studies."""
        return int(self.study.max()) + 1

    @property
    def kind_count(self) -> int:
        """Number of kinds of treatment."""
        return int(self.kind.max()) + 1 if self.kinds is None else self.kinds

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
    if data.attrs["family"] in OF_ARMS:
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
    per_rho = data[PER_RHO].to_numpy() if PER_RHO in data else None
    if per_rho is not None:
        block &= per_rho == 0
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
        per_rho=per_rho,
        kinds=data.sizes["kind"],
        compiled=use_numba(data.sizes["comparison"]),
    )


def at_correlation(tree: Hierarchy, rho: float) -> Hierarchy:
    """Return the hierarchy with a known correlation over plots."""
    return tree if tree.per_rho is None else replace(tree, sampling=tree.sampling + rho * tree.per_rho, per_rho=None)


@dataclass(frozen=True, eq=False)
class Block:
    """Some studies of a hierarchy as a hierarchy of their own.

    Parameters
    ----------
    number : int
        Part of the key of the block's random numbers.
    studies : slice
        Studies of the whole.
    part : Hierarchy
    arms, sites, controls, comparisons : arrays of int
        Positions of the part's nodes in the whole.
    """

    number: int
    studies: slice
    part: Hierarchy
    arms: Index
    sites: Index
    controls: Index
    comparisons: Index


def select_studies(tree: Hierarchy, studies: Index) -> tuple[Hierarchy, Index, Index, Index, Index]:
    """Return the part of the hierarchy that holds some studies, numbered in ascending order.

    Returns
    -------
    part : Hierarchy
    arms, sites, controls, comparisons : arrays of int
        Positions of the part's nodes in the whole.
    """
    chosen = np.zeros(tree.studies, dtype=bool)
    chosen[studies] = True
    study_of_control = tree.study[tree.site]
    sites = np.flatnonzero(chosen[tree.study])
    controls = np.flatnonzero(chosen[study_of_control])
    arms = np.flatnonzero(chosen[study_of_control[tree.control]])
    comparisons = np.flatnonzero(chosen[tree.study_of_comparison])
    # Arms of comparisons need not ascend, so positions are looked up instead of searched.
    place = np.empty(len(tree.y), dtype=np.intp)
    place[arms] = np.arange(len(arms))
    part = replace(
        tree,
        y=tree.y[arms],
        sampling=tree.sampling[arms],
        observed=tree.observed[arms],
        control=np.searchsorted(controls, tree.control[arms]),
        arm=place[tree.arm[comparisons]],
        site=np.searchsorted(sites, tree.site[controls]),
        study=np.searchsorted(np.flatnonzero(chosen), tree.study[sites]),
        design=tree.design[comparisons],
        kind=tree.kind[comparisons],
        control_covariance=None if tree.control_covariance is None else tree.control_covariance[controls],
        per_rho=None if tree.per_rho is None else tree.per_rho[arms],
    )
    return part, arms, sites, controls, comparisons


def blocks(tree: Hierarchy) -> tuple[Block, ...]:
    """Cut the hierarchy into blocks of `STUDIES_PER_BLOCK` studies; remembered."""
    if "blocks" not in tree.remembered:
        starts = range(0, tree.studies, STUDIES_PER_BLOCK)
        tree.remembered["blocks"] = tuple(_block(tree, number, start) for number, start in enumerate(starts))
    found: tuple[Block, ...] = tree.remembered["blocks"]
    return found


def _block(tree: Hierarchy, number: int, start: int) -> Block:
    stop = min(start + STUDIES_PER_BLOCK, tree.studies)
    if start == 0 and stop == tree.studies:
        every = (np.arange(size) for size in (len(tree.y), len(tree.study), len(tree.site), len(tree.arm)))
        return Block(number, slice(start, stop), tree, *every)
    return Block(number, slice(start, stop), *select_studies(tree, np.arange(start, stop)))


def sum_into(index: Index, size: int, values: Array) -> Array:
    """Sum the nodes of ``values`` that share a parent; shape (parent, ...)."""
    total = np.zeros((size, *values.shape[1:]))
    np.add.at(total, index, values)
    return total
