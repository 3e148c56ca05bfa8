"""Does one study decide? Every study left out in turn: what moves, and how well do the others predict it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError, StageError
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.pooled import worlds_of
from mcpbayes.estimands.targets import POPULATION, targets
from mcpbayes.estimands.tree import group, has_two_pools, specification, with_groups
from mcpbayes.evidence.left_out import (
    OF_REFIT,
    Values,
    central_change,
    fit_worlds,
    is_central,
    numbers,
    numbers_without,
)
from mcpbayes.evidence.said import OR
from mcpbayes.evidence.two_pool_left_out import leave_studies_out
from mcpbayes.inference.refits import weights_without
from mcpbayes.tables.observed import observed_effects
from mcpbayes.workers import in_threads

#: Studies whose weights are in memory at once.
_AT_ONCE: Final = 256

#: Quantities and their units; ``effect`` has the dim outcome besides.
_UNITS: Final = {"effect": "log response ratio", "log_delta_mcp": "log ratio", "delta_mcp": "fraction"}


def leave_one_study_out(result: xr.DataTree, *, report: Callable[[str], None] | None = None) -> xr.DataTree:
    """Add what every study does to the answer: estimates without it, and how well the others predict it.

    Parameters
    ----------
    result : DataTree
        With groups ``data``, ``posterior`` and ``delta_mcp``; of the two-pool family, as `mcpbayes.fit` returns it.
    report : callable, optional
        Receives one-line progress messages.

    Returns
    -------
    DataTree
        New, with group ``influence`` (dims left_out, target, outcome); targets are those of the levels mean and new.

        * ``effect_*``, ``log_delta_mcp_*``, ``delta_mcp_*`` without the study: ``mean``, ``sd``, ``lower``, ``upper``;
          ``prob_positive`` is P(δ > 0). The ratio is there where necromass, as one pool or two, and SOC
          are, ``delta_mcp`` NaN without r₀; of two pools δ and claims, too.
        * ``leading_class`` with ``leading_probability``, and ``claim``: the class or coarser statement that the
          headline would name, empty where it would abstain; ``class_changes`` and ``claim_changes``, whether they are
          others than with all studies, beyond Monte-Carlo error. ``claim_probability``: without the study, of what the
          headline names with all of them; NaN where it names nothing.
        * Each of these estimates and claims with ``all_`` before it: in the result itself, or, with attr ``central``,
          in a fit to the central data of a result that is pooled over worlds of CVs or factors, to which all fits
          without a study are made, too; ``all_leading_ties``: the
          classes, separated by ``|``, of which any could be the leading one within Monte-Carlo error.
        * ``shift`` of δ and ``effect_shift``: difference of the means in posterior standard deviations of the result.
        * ``elpd`` and its error ``elpd_mcse``; ``n_comparisons``; ``passed``, ``pareto_k``, ``efficiency``,
          ``attempt`` of the refit, and ``reason``, why it cannot be relied on, or why its numbers are NaN.
        * ``unseen(left_out, target)``: no other study observed both pools of this kind of treatment, so without this
          one its effect is what the prior and the other kinds say.

        Of a two-pool result there is no target: ``elpd``, ``elpd_mcse``, ``n_comparisons``, ``passed``, ``pareto_k``,
        ``efficiency``, ``attempt`` and ``reason`` only, for `mcpbayes.compare_models`. ``attempt`` 0: the draws given
        all studies, weighed, ``pareto_k`` and ``efficiency`` those of the weights; 1: k̂ was 0.7 or more, and the model
        was sampled without the study by NUTS, which takes about as long each time as sampling with all studies did.

    Raises
    ------
    StageError
        A group is missing, or there is one study only.
    SpecificationError
        A prior is not one that the collapsed engine takes.

    Notes
    -----
    Every posterior of a static model without a study is sampled by the collapsed engine, whichever sampled the result
    (see `inference.refits`); the design keeps the centring and scaling of the whole table. elpd_s = ln mean_d
    p(c_s | φ_d, y₋s) with φ_d from the posterior without the study, c_s its within-control contrasts, coefficients,
    kinds and effects integrated out; r₀ is averaged over the remaining controls. Random numbers beyond the chains are
    those of the result, so that differences are less noisy than each estimate. Of two pools: `two_pool_left_out`;
    p(c_s | φ_d, y₋s) is averaged over the population of r₀, and the measured ratios of the left-out controls are not
    used.
    """
    if has_two_pools(result):
        require_studies(group(result, words.DATA))
        return leave_studies_out(result, report)
    if specification(result).scenarios.tolerance_points:
        raise SpecificationError(
            "studies are left out with a tolerance of the ratio in percent only; take "
            "scenarios.tolerance_points.delta_mcp=none, or go without influence",
            "scenarios.tolerance_points",
        )
    data, posterior, change = (group(result, name) for name in (words.DATA, words.POSTERIOR, words.DELTA_MCP))
    names = data["study"].values.astype(str).tolist()
    require_studies(data)
    model, at = specification(result), json.loads(change.attrs["at"])
    population = np.isin(change["level"].values, POPULATION)
    asked = targets(data, posterior, at).isel(target=slice(int(population.sum())))
    if report is not None:
        report(f"leaving out each of {len(names)} studies")
    worlds, central = fit_worlds(result, data, model), is_central(result)
    own = _by_world(change.isel(target=population), posterior) if not central else central_change(worlds, at)
    every = numbers([one.isel(target=slice(asked.sizes["target"])) for one in own], model, data)
    template = {name: np.full_like(values, "" if values.dtype == object else np.nan) for name, values in every.items()}
    claims = every["claim"].tolist() if "claim" in every else None
    rows: list[Values] = []
    for start in range(0, len(names), _AT_ONCE):
        studies = range(start, min(start + _AT_ONCE, len(names)))
        weights = [dict(zip(studies, weights_without(world.whole, studies), strict=True)) for world in worlds]

        def one(study: int, weights: Sequence[Mapping[int, Array]] = weights) -> Values:
            return numbers_without(worlds, names[study], study, [each[study] for each in weights], at, template, claims)

        rows.extend(in_threads(one, studies))
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    columns["unseen"] = _unseen(data, asked, names)
    columns["n_comparisons"] = np.array([int((data["study_of_comparison"].values == name).sum()) for name in names])
    dataset = _dataset(columns, every, asked, posterior, names)
    section = model.summary
    dataset.attrs = {
        "interval_kind": section.interval_kind,
        "interval_prob": section.interval_prob,
        "decide_at": model.scenarios.decide_at,
        "chains": model.sampling.chains,
        "draws": model.sampling.draws,
        "central": int(central),
    }
    return with_groups(result, {words.INFLUENCE: dataset})


def require_studies(data: xr.Dataset) -> None:
    """Refuse to leave the only study out: before a fit, not after.

    Raises
    ------
    StageError
    """
    if data.sizes["study"] < 2:
        raise StageError(
            f"There is one study only ({data['study'].values[0]}): nothing is left when it is left out, so there is no "
            "influence of studies to show; run without it (no --influence)"
        )


def _by_world(change: xr.Dataset, posterior: xr.Dataset) -> list[xr.Dataset]:
    """Return a group whose chains are those of several worlds as one group per world."""
    worlds = worlds_of(posterior)
    chains = change.sizes["chain"] // worlds
    return [change.isel(chain=slice(i * chains, (i + 1) * chains)) for i in range(worlds)]


def _unseen(data: xr.Dataset, asked: xr.Dataset, names: list[str]) -> np.ndarray:
    """Return whether a target is of one kind of which a pool was observed in no other study, (study, target)."""
    kinds, weight = asked["kind"].values.astype(str).tolist(), asked["kind_weight"].values
    of_comparison, study = (data[f"{what}_of_comparison"].values.astype(str) for what in ("kind", "study"))
    observed = observed_effects(data)
    homes = [[set(study[(of_comparison == kind) & seen]) for seen in observed.T] for kind in kinds]
    lost = np.array([[any(home <= {name} for home in pools) for pools in homes] for name in names], dtype=bool)
    return np.asarray((lost[:, None, :] & (weight == 1.0)[None]).any(axis=-1))


def _changes(columns: Values, every: Values) -> Values:
    """Return where the leading class and the claim are others than with all studies, beyond Monte-Carlo error.

    Neither class may be among those that could lead in the other fit, too; nor either claim among those that could be
    made in the other.
    """
    there = np.isfinite(columns["log_delta_mcp_mean"])

    def beyond(codes: np.ndarray, possible: np.ndarray) -> np.ndarray:
        pairs = np.broadcast_arrays(codes, possible)
        return np.array([c not in p.split(OR) for c, p in zip(*(x.ravel() for x in pairs), strict=True)]).reshape(
            there.shape
        )

    apart = beyond(every["leading_class"], columns["leading_ties"])
    apart &= beyond(columns["leading_class"], every["leading_ties"])
    other = beyond(every["claim"], columns["claims_possible"])
    other &= beyond(columns["claim"], every["claims_possible"])
    return {"class_changes": there & apart, "claim_changes": there & other}


def _dataset(columns: Values, every: Values, asked: xr.Dataset, posterior: xr.Dataset, names: list[str]) -> xr.Dataset:
    """Label the numbers, and add shifts and changes."""
    if "claim" in every:
        columns |= _changes(columns, every)
        hidden = ("leading_ties", "claims_possible")
        columns = {name: values for name, values in columns.items() if name not in hidden}
        every = {name: values for name, values in every.items() if name != "claims_possible"}
    for quantity, name in (("log_delta_mcp", "shift"), ("effect", "effect_shift")):
        if f"{quantity}_mean" in every:
            sd, moved = every[f"{quantity}_sd"], columns[f"{quantity}_mean"] - every[f"{quantity}_mean"]
            columns[name] = np.divide(moved, sd, out=np.full(moved.shape, np.nan), where=(sd > 0) & (moved == moved))
    variables: dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]] = {}
    for name, values in columns.items():
        dims = ("left_out", "target", "outcome")[: values.ndim]
        variables[name] = (dims, _netcdf(values), _unit(name))
    for name, values in every.items():
        variables[f"all_{name}"] = (("target", "outcome")[: values.ndim], _netcdf(values), _unit(name))
    coords = {name: asked[name].variable for name in ("target", "level", "name")}
    return xr.Dataset(variables, {"left_out": names, "outcome": posterior["outcome"].values} | coords)


def _netcdf(values: np.ndarray) -> np.ndarray:
    """Return values of a type that a netCDF file keeps."""
    return values.astype(str) if values.dtype == object else values.astype(np.int8) if values.dtype == bool else values


def _unit(name: str) -> dict[str, str]:
    quantity = next((quantity for quantity in _UNITS if name.startswith(f"{quantity}_")), None)
    if name.endswith("shift"):
        return {"units": "posterior standard deviations"}
    if quantity is not None:
        return {"units": _UNITS[quantity]}
    found = "probability" if name.startswith(("prob", "leading_p", "claim_p")) else OF_REFIT.get(name, "")
    return {"units": found} if found else {}
