"""The result tree as the verbs see it: a group or the verb that makes it, the specification, a new tree with more."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.specification.loading import from_toml, to_toml, with_settings
from mcpbayes.specification.structure import Specification

#: Group → the call that makes it.
_MAKERS: Final = {
    words.DATA: "result = mcpbayes.fit(mcpbayes.prepare(table, model), model)",
    words.POSTERIOR: "result = mcpbayes.fit(data, model)",
    words.SAMPLE_STATS: "result = mcpbayes.fit(data, model)",
    words.DELTA_MCP: "result = mcpbayes.delta_mcp(result)",
    words.SCENARIO: "result = mcpbayes.classify(result)",
    words.FORECAST: "result = mcpbayes.forecast(result, years=[10, 20, 50])",
    words.INFLUENCE: "result = mcpbayes.leave_one_study_out(result)",
}

#: Sections that a saved result can be given anew without sampling.
RESETTABLE: Final = frozenset({"delta_mcp", "scenarios", "summary"})

#: Groups of effects that do not hang on a year, which a two-pool result has not.
_OF_ONE_TIME: Final = (words.DELTA_MCP, words.SCENARIO, words.LOG_LIKELIHOOD)

Settings = Sequence[str] | Mapping[str, object]


def group(result: xr.DataTree, name: str) -> xr.Dataset:
    """Return one group of a result.

    Raises
    ------
    StageError
        The group is missing; the message says which verb makes it, or which one answers instead.
    """
    if name not in result.children:
        if name in _OF_ONE_TIME:
            refuse_two_pools(result)
        raise StageError(f"The result has no group '{name}': call {_MAKERS[name]} first.")
    return result[name].to_dataset()


def has_two_pools(result: xr.DataTree) -> bool:
    """Return whether a result is of the two-pool family, whose effects change from year to year."""
    return words.DATA in result.children and result[words.DATA].attrs.get("family") == words.TWO_POOL


def refuse_two_pools(result: xr.DataTree) -> None:
    """Refuse to say of a two-pool result what does not hang on a year.

    Raises
    ------
    StageError
        With the verb and the command that answer.
    """
    if has_two_pools(result):
        raise StageError(
            "The effects of a two-pool result change from year to year, and this needs effects that do not: call "
            "mcpbayes.forecast(result, years=[10, 20, 50]), or mcpbayes forecast DIR --years 10,20,50."
        )


def specification(result: xr.DataTree) -> Specification:
    """Return the specification that a result carries."""
    if "specification" not in result.attrs:
        raise StageError(f"The result carries no specification: call {_MAKERS[words.POSTERIOR]} first.")
    return _read(result.attrs["specification"])


@lru_cache(maxsize=8)
def _read(text: str) -> Specification:
    """Read a specification; remembered, since every verb asks for the one of its result."""
    return from_toml(text)


def with_groups(
    result: xr.DataTree, groups: Mapping[str, xr.Dataset], drop: Sequence[str] = (), **attrs: object
) -> xr.DataTree:
    """Return a new tree with groups added or replaced, others dropped and root attrs set; the old one stays."""
    kept = {name: node for name, node in result.children.items() if name not in drop}
    nodes = kept | {name: xr.DataTree(dataset) for name, dataset in groups.items()}
    new = xr.DataTree(result.to_dataset(), children=nodes)
    new.attrs = {**result.attrs, **attrs}
    return new


def apply_settings(result: xr.DataTree, settings: Settings) -> xr.DataTree:
    """Return the result with a specification changed in ``[delta_mcp]``, ``[scenarios]`` or ``[summary]``.

    Raises
    ------
    SpecificationError
        A key does not exist, or belongs to a section that needs a refit.
    """
    if not settings:
        return result
    changed = with_settings(specification(result), settings, only=RESETTABLE)
    return with_groups(result, {}, specification=to_toml(changed))
