"""Fake results that the common fakes lack: published log ratios, of both pools or of one."""

import fakes
import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.specification.loading import load_model, to_toml


def contrast_result(outcomes: tuple[str, ...] = ("necromass", "soc"), assumed: int = 0) -> xr.DataTree:
    """Return a fitted contrast-based result; studies are S1 to S4, every control serves two comparisons."""
    arm_based = fakes.fake_result(kinds=("all",), studies=4, draws=60)
    data, posterior = arm_based["data"].to_dataset(), arm_based["posterior"].to_dataset()
    k, rows = len(outcomes), data.sizes["comparison"]
    arms = [name for name, variable in data.variables.items() if "arm" in variable.dims]
    data = data.drop_vars([*arms, "arm_of_comparison"]).sel(outcome=list(outcomes), outcome_bis=list(outcomes))
    covariance = np.tile(0.004 + 0.006 * np.eye(k), (rows, 1, 1))
    data = data.assign(
        log_ratio=(("comparison", "outcome"), np.random.default_rng(2).normal(0.2, 0.1, (rows, k))),
        sampling_covariance=(("comparison", "outcome", "outcome_bis"), covariance),
        control_covariance=(
            ("control", "outcome", "outcome_bis"),
            np.tile(0.002 * np.eye(k), (data.sizes["control"], 1, 1)),
        ),
    )
    data.attrs |= {"family": words.CONTRAST_BASED, "layout": "contrast", "assumed_control_variance": assumed}
    posterior = posterior.drop_vars("baseline").sel(outcome=list(outcomes))
    if k == 1:
        posterior = posterior.drop_vars(["rho_study", "rho_comparison", "pair"])
    model = load_model("contrast-based", settings={"data.outcomes": list(outcomes)})
    tree = xr.DataTree.from_dict(
        {"data": data, "posterior": posterior, "sample_stats": arm_based["sample_stats"].to_dataset()}
    )
    tree.attrs = arm_based.attrs | {"specification": to_toml(model)}
    return tree


def one_pool() -> xr.DataTree:
    """Return a fitted contrast-based result of SOC alone."""
    return contrast_result(("soc",))
