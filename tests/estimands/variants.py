"""Variants of the fake result: moderators, sites, missing pools, contrast data, other outcomes."""

import numpy as np
import pandas as pd
import xarray as xr
from fakes import fake_result

from mcpbayes.specification.formula import build_design
from mcpbayes.specification.loading import from_toml, to_toml, with_settings


def rebuilt(tree: xr.DataTree, **groups: xr.Dataset) -> xr.DataTree:
    made = xr.DataTree.from_dict({name: node.to_dataset() for name, node in tree.children.items()} | groups)
    made.attrs = dict(tree.attrs)
    return made


def respecified(tree: xr.DataTree, *settings: str) -> xr.DataTree:
    made = rebuilt(tree)
    made.attrs["specification"] = to_toml(with_settings(from_toml(tree.attrs["specification"]), list(settings)))
    return made


def with_moderators(seed: int = 0, **options: object) -> xr.DataTree:
    """~ duration_years + ecosystem, the first from 2 to 40, the second of three categories."""
    tree = respecified(fake_result(seed, **options), "moderators.formula=~ duration_years + ecosystem")
    data = tree["data"].to_dataset()
    n = data.sizes["comparison"]
    frame = pd.DataFrame(
        {
            "duration_years": np.linspace(2, 40, n),
            "ecosystem": np.array(["forest", "cropland", "grassland"], dtype=object)[np.arange(n) % 3],
        }
    )
    studies = [str(name) for name in data["study_of_comparison"].values]
    design = build_design(frame, studies, "~ duration_years + ecosystem", standardise=True, within_between=False)
    data = data.drop_vars("design").drop_dims("coefficient")
    data = data.assign_coords(coefficient=list(design.coefficients))
    data["design"] = (("comparison", "coefficient"), design.matrix, {"recipe": design.recipe})
    for name in frame:
        data[f"moderator_{name}"] = ("comparison", frame[name].to_numpy())
    posterior = tree["posterior"].to_dataset()
    size = (posterior.sizes["chain"], posterior.sizes["draw"])
    beta = np.random.default_rng(seed + 7).normal(0.1, 0.05, (*size, len(design.coefficients), 2))
    beta[:, :, 0] = posterior["beta"].values[:, :, 0]
    posterior = posterior.drop_vars("beta").drop_dims("coefficient")
    posterior = posterior.assign_coords(coefficient=list(design.coefficients))
    posterior["beta"] = (("chain", "draw", "coefficient", "outcome"), beta)
    posterior["beta_per_unit"] = (("chain", "draw", "moderator", "outcome"), beta[:, :, 1:2] / 12.0)
    posterior = posterior.assign_coords(moderator=["duration_years"])
    return rebuilt(tree, data=data, posterior=posterior)


def with_sites(tree: xr.DataTree) -> xr.DataTree:
    """Two sites per study, one control at each."""
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    sites = [f"{study}: site {k}" for study in data["study"].values for k in (1, 2)]
    of_control = dict(zip(data["control"].values.astype(str), sites, strict=True))
    data = data.drop_dims("site").drop_vars(["site_of_control", "site_of_comparison"], errors="ignore")
    data = data.assign_coords(site=sites)
    data["site_of_control"] = ("control", np.array(sites, dtype=object))
    found = [of_control[control] for control in data["control_of_comparison"].values.astype(str)]
    data["site_of_comparison"] = ("comparison", np.array(found, dtype=object))
    rng = np.random.default_rng(11)
    size = (posterior.sizes["chain"], posterior.sizes["draw"])
    posterior = posterior.assign_coords(site=sites)
    posterior["site_effect"] = (("chain", "draw", "site", "outcome"), rng.normal(0, 0.05, (*size, len(sites), 2)))
    posterior["tau_site"] = (("chain", "draw", "outcome"), np.abs(rng.normal(0.1, 0.02, (*size, 2))))
    posterior["rho_site"] = (("chain", "draw", "pair"), np.tanh(rng.normal(0.3, 0.1, (*size, 1))))
    return rebuilt(tree, data=data, posterior=posterior)


def without_pool(tree: xr.DataTree, control: str, pool: str) -> xr.DataTree:
    """The control's own arm did not report a pool; its baseline is still there, through the treated arms."""
    data = tree["data"].to_dataset().copy(deep=True)
    data["log_mean"].loc[{"arm": control, "outcome": pool}] = np.nan
    return rebuilt(tree, data=data)


def contrast(tree: xr.DataTree, ratio: np.ndarray | None = None) -> xr.DataTree:
    """Contrast data: no baselines; optionally the control ratio of each comparison."""
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    n, controls = data.sizes["comparison"], data.sizes["control"]
    data = data.drop_dims("arm")
    rng = np.random.default_rng(5)
    data["log_ratio"] = (("comparison", "outcome"), rng.normal(0.2, 0.1, (n, 2)))
    matrix = np.array([[0.02, 0.01], [0.01, 0.015]])
    pair = ("outcome", "outcome_bis")
    data["sampling_covariance"] = (("comparison", *pair), np.tile(matrix, (n, 1, 1)))
    data["control_covariance"] = (("control", *pair), np.tile(matrix / 2, (controls, 1, 1)))
    if ratio is not None:
        data["mcp_efficacy_control"] = ("comparison", ratio)
    data.attrs = data.attrs | {"family": "contrast-based", "layout": "contrast"}
    return rebuilt(tree, data=data, posterior=posterior.drop_vars("baseline"))


def one_outcome(tree: xr.DataTree) -> xr.DataTree:
    """Contrast data of necromass alone."""
    tree = contrast(tree)
    data = tree["data"].to_dataset().isel(outcome=[0], outcome_bis=[0])
    posterior = tree["posterior"].to_dataset().isel(outcome=[0])
    return rebuilt(tree, data=data, posterior=posterior.drop_dims("pair"))
