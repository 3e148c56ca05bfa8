"""Targets of which a pool was never observed: what the model says of them is not what the table says."""

from collections.abc import Iterable, Sequence

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.targets import POPULATION, kind_of_target
from mcpbayes.tables.observed import unobserved_pools


def unobserved_at(data: xr.Dataset, level: str, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return, by target, the pools of which no comparison of its kinds of treatment says anything.

    Parameters
    ----------
    data : xarray.Dataset
        Group ``data``.
    level : str
    names : iterable of str
        Targets of this level.

    Returns
    -------
    dict of str to tuple of str
        Empty tuples for averages over kinds, and where kinds have no effects of their own.
    """
    if data.attrs.get("level_kind") != "on":
        return dict.fromkeys(names, ())
    pools, kinds_at = unobserved_pools(data), dict[str, set[str]]()
    if level not in POPULATION:
        of = data["comparison" if level == words.COMPARISON else "study_of_comparison"].values
        for target, kind in zip(of, data["kind_of_comparison"].values, strict=True):
            kinds_at.setdefault(str(target), set()).add(str(kind))
    found = {}
    for name in names:
        kind = kind_of_target(name, pools) if level in POPULATION else None
        kinds = kinds_at.get(name, set()) if kind is None else {kind}
        found[name] = tuple(
            o for o in data["outcome"].values.astype(str).tolist() if kinds and all(o in pools[k] for k in kinds)
        )
    return found


def unobserved_among(data: xr.Dataset, name: str) -> dict[str, tuple[str, ...]]:
    """Return, by kind of treatment, the pools never observed in it, of the kinds that a population target is made of.

    Parameters
    ----------
    data : xarray.Dataset
        Group ``data``.
    name : str
        Target of the levels mean and new: of one kind, or an average over all kinds.

    Returns
    -------
    dict of str to tuple of str
        Only kinds that lack a pool; empty where kinds have no effects of their own.
    """
    if data.attrs.get("level_kind") != "on":
        return {}
    pools = unobserved_pools(data)
    own = kind_of_target(name, pools)
    return {kind: absent for kind, absent in pools.items() if absent and own in (None, kind)}


def unobserved_reason(pools: Sequence[str]) -> str:
    """Return why nothing is claimed, for example ``"necromass was not observed in any comparison of this kind"``."""
    return f"{' and '.join(pools)} {'was' if len(pools) == 1 else 'were'} not observed in any comparison of this kind"
