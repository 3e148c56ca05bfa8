"""Scenario classes: which way necromass, SOC and their ratio move, and how probable each of the thirteen is."""

import json
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import ConvergenceError, SpecificationError
from mcpbayes.estimands.change import delta_mcp, has_both_pools
from mcpbayes.estimands.classes import classify_effects, coarsening, frequencies, signs, tolerances
from mcpbayes.estimands.monte_carlo import mcse_mean
from mcpbayes.estimands.prior import prior_effects
from mcpbayes.estimands.shares import share_draws
from mcpbayes.estimands.targets import At, kinds_of, population_points, targets
from mcpbayes.estimands.tree import Settings, apply_settings, group, specification, with_groups
from mcpbayes.specification.structure import Scheme

__all__ = ["CHANGES", "classify", "classify_effects"]

#: What the ratio does, beside the classes; these probabilities are not sums of classes.
CHANGES: Final = ("increase", "no change", "decrease")


def _indicator_errors(codes: np.ndarray, classes: int) -> np.ndarray:
    """Return √(p(1−p)/ESS) of each class: (target, chain, draw) → (target, classes)."""
    return np.stack([mcse_mean((codes == place).astype(float)) for place in range(classes)], axis=-1)


def _pools(effects: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return θ_N and θ_C, shape (target, chain, draw)."""
    ordered = effects.transpose("outcome", "target", "chain", "draw")
    return ordered.sel(outcome=words.NECROMASS).values, ordered.sel(outcome=words.SOC).values


def _prior_probability(result: xr.DataTree, asked: xr.Dataset, scheme: Scheme, place: np.ndarray) -> np.ndarray:
    """Return the prior probability of each class, (target, class); targets that agree a priori are worked out once."""
    posterior = group(result, words.POSTERIOR)
    out = np.full((asked.sizes["target"], place.max() + 1), np.nan)
    for members, theta in prior_effects(specification(result), posterior, asked, result.attrs["seed"]):
        if np.isfinite(theta).all():
            codes = place[classify_effects(theta[:, 0], theta[:, 1], scheme)]
            out[members] = frequencies(codes[None], out.shape[1])[0]
    return out


def classify(result: xr.DataTree, settings: Settings = ()) -> xr.DataTree:
    """Add the probabilities of the scenario classes, by counting draws.

    Parameters
    ----------
    result : DataTree
        With group ``delta_mcp``.
    settings : sequence of "key=value" or mapping, optional
        New values in ``[scenarios]``, ``[summary]`` or ``[delta_mcp]``, for example ``["scenarios.decide_at=0.9"]``;
        the root's specification changes with them, and ``delta_mcp`` is worked out again where its section changed.

    Returns
    -------
    DataTree
        New, with group ``scenario``: ``probability``, ``mcse``, ``prior_probability`` (target, scenario),
        ``change_probability(target, change)`` of δ against its tolerance, ``share(chain, draw, group, scenario)``, the
        fraction of comparisons in each class at the names of level new. Coords ``label``, ``level``, ``name``.

    Raises
    ------
    StageError
        `delta_mcp` was not called.
    SpecificationError
        The outcomes are not necromass and SOC, or `settings` name something that does not exist.
    ConvergenceError
        Effects hold draws that are not finite.

    Notes
    -----
    Monte-Carlo errors √(p(1−p)/ESS) with the ESS of the indicator. A prior probability is NaN where the prior of a
    coefficient is flat: it has no probabilities.
    """
    before = group(result, words.DELTA_MCP)
    at = json.loads(before.attrs["at"])
    new = apply_settings(result, settings)
    if specification(new).reference != specification(result).reference:
        new = delta_mcp(new, at)
    draws = group(new, words.DELTA_MCP)
    if not has_both_pools(draws):
        outcomes = ", ".join(draws["outcome"].values.astype(str))
        raise SpecificationError(
            f"scenarios need the outcomes necromass and soc, the model has {outcomes}; effects are in group delta_mcp",
            "data.outcomes",
        )
    if not np.isfinite(draws["effect"].values).all():
        raise ConvergenceError("The effects hold draws that are not finite, so no class can be told; fit again.")
    return with_groups(new, {words.SCENARIO: _scenario_group(new, draws, at)})


def _scenario_group(result: xr.DataTree, draws: xr.Dataset, at: At) -> xr.Dataset:
    scheme = specification(result).scenarios
    codes, labels, place = coarsening(scheme)
    theta_n, theta_c = _pools(draws["effect"])
    classes = place[classify_effects(theta_n, theta_c, scheme)]
    flat = classes.reshape(len(classes), -1)
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    asked, points = targets(data, posterior, at), population_points(data, kinds_of(posterior), at)
    change = 1 - signs(theta_n - theta_c, tolerances(scheme).ratio).reshape(len(classes), -1)
    share = share_draws(posterior, points, tolerances(scheme), result.attrs["seed"])
    merged = np.stack([share[..., place == code].sum(axis=-1) for code in range(len(codes))], axis=-1)
    each = ("target", "scenario")
    dataset = xr.Dataset(
        {
            "probability": (each, frequencies(flat, len(codes))),
            "mcse": (each, _indicator_errors(classes, len(codes))),
            "prior_probability": (each, _prior_probability(result, asked, scheme, place)),
            "change_probability": (("target", "change"), frequencies(change, len(CHANGES))),
            "share": (("chain", "draw", "group", "scenario"), merged),
        },
        coords={
            "scenario": list(codes),
            "label": ("scenario", list(labels)),
            "change": list(CHANGES),
            "group": points["point"].values,
        }
        | {name: draws[name].reset_coords(drop=True) for name in ("chain", "draw", "target", "level", "name")},
    )
    dataset.attrs = {
        "tolerance_percent": json.dumps(dict(scheme.tolerance_percent)),
        "decide_at": scheme.decide_at,
        "method": "counting",
    }
    return dataset
