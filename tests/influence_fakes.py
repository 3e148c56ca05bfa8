"""A fake group ``influence``: estimates moved by chance, so that tables and figures are tested without refits."""

import numpy as np
import xarray as xr

from mcpbayes.estimands.targets import POPULATION
from mcpbayes.estimands.tree import specification, with_groups
from mcpbayes.evidence.left_out import numbers


def with_influence(
    result: xr.DataTree, *, seed: int = 0, failed: tuple[int, ...] = (), unseen: tuple[tuple[int, int], ...] = ()
) -> xr.DataTree:
    """Return the result with a made-up group ``influence``.

    ``failed``: studies whose refit failed; ``unseen``: (study, target) whose kind no other study holds. The last study
    changes class and claim of the first target.
    """
    rng, data = np.random.default_rng(seed), result["data"].to_dataset()
    change = result["delta_mcp"].to_dataset()
    population = change.isel(target=np.isin(change["level"].values, POPULATION))
    every = numbers([population], specification(result), data)
    hidden = {name: every.pop(name) for name in ("leading_ties", "claims_possible") if name in every}
    studies, targets = data.sizes["study"], population.sizes["target"]
    moved = rng.normal(0, 0.3, (studies, targets))
    variables: dict[str, object] = {}
    for name, values in every.items():
        dims = ("target", "outcome")[: values.ndim]
        plain = values.astype(str) if values.dtype == object else values
        variables[f"all_{name}"] = (dims, plain)
        many = np.repeat(plain[None], studies, axis=0)
        if name.endswith(("mean", "lower", "upper")):
            sd = every[name.rsplit("_", 1)[0] + "_sd"]
            many = many + (moved if values.ndim == 1 else moved[..., None]) * sd
        variables[name] = (("left_out", *dims), many)
    if "claim" in every:
        for name, other in (("leading_class", "N-C-r+"), ("claim", "N-C-")):
            dims, values = variables[name]
            values = values.astype(object)
            values[-1, 0] = other
            variables[name] = (dims, values.astype(str))
        for name in ("class_changes", "claim_changes"):
            changes = np.zeros((studies, targets), dtype=np.int8)
            changes[-1, 0] = 1
            variables[name] = (("left_out", "target"), changes)
        variables["all_leading_ties"] = (("target",), hidden["leading_ties"].astype(str))
        variables["shift"] = (("left_out", "target"), moved)
    variables["effect_shift"] = (
        ("left_out", "target", "outcome"),
        np.repeat(moved[..., None], population.sizes["outcome"], axis=2),
    )
    passed = np.array([int(i not in failed) for i in range(studies)])
    flags = np.zeros((studies, targets), dtype=np.int8)
    for place in unseen:
        flags[place] = 1
    of_study = {
        "n_comparisons": [int((data["study_of_comparison"].values == s).sum()) for s in data["study"].values],
        "elpd": np.r_[rng.normal(3, 2, studies - 1), -30.0],
        "elpd_mcse": np.full(studies, 0.01),
        "passed": passed,
        "pareto_k": np.full(studies, 0.2),
        "efficiency": np.full(studies, 0.6),
        "attempt": np.zeros(studies, dtype=int),
        "reason": np.where(passed, "", "the proposals did not cover the posterior without this study"),
    }
    variables |= {name: (("left_out",), values) for name, values in of_study.items()}
    dataset = xr.Dataset(
        variables | {"unseen": (("left_out", "target"), flags)},
        {"left_out": data["study"].values.astype(str), "outcome": change["outcome"].values}
        | {name: population[name].variable for name in ("target", "level", "name")},
        {"interval_kind": "eti", "interval_prob": 0.95, "decide_at": 0.8, "chains": 4, "draws": 100},
    )
    return with_groups(result, {"influence": dataset})
