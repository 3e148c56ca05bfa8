"""Plain tables before they are validated: ``extends``, ``--set KEY=VALUE``, and which reasons survive a change."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.factors import OWN_KEYS
from mcpbayes.specification.prior_rules import ALL_NUMBERS, NUMBERS

Table = Mapping[str, Any]

_PART = r"""\s*(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^.="'\s][^.="']*)\s*"""
_KEY = re.compile(rf"{_PART}(?:\.{_PART})*")


def merge(base: Table, overlay: Table) -> dict[str, Any]:
    """Return `base` with `overlay` on top: tables merge key by key, arrays and scalars replace.

    Where the overlay names another distribution or set of factors, the numbers of the old one are dropped.
    """
    merged = {key: value for key, value in base.items() if key not in _outdated(base, overlay)}
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def inherit(base: Table, overlay: Table) -> dict[str, Any]:
    """Return `merge`, without the reasons that no longer fit.

    A prior whose distribution or numbers change loses its ``why`` unless the overlay brings one.
    """
    merged = merge(base, overlay)
    old, new = base.get("priors"), overlay.get("priors")
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return merged
    priors = dict(merged["priors"])
    for name, changes in new.items():
        if isinstance(old.get(name), Mapping) and isinstance(changes, Mapping):
            priors[name] = inherit_prior(old[name], changes)
            for part, inner in changes.items():  # [priors.slope.clay] in [priors.slope]
                if part not in ALL_NUMBERS and isinstance(old[name].get(part), Mapping) and isinstance(inner, Mapping):
                    priors[name][part] = inherit_prior(old[name][part], inner)
    return merged | {"priors": priors}


def inherit_prior(base: Table, overlay: Table) -> dict[str, Any]:
    """Return one prior's table on top of another's; a changed one keeps ``why`` only if it brings its own."""
    merged = merge(base, overlay)
    if "why" not in overlay and _numbers(merged) != _numbers(base):
        merged.pop("why", None)
    return merged


def settings_table(settings: Sequence[str] | Mapping[str, object]) -> dict[str, Any]:
    """Return settings as one table to be laid over a specification.

    Parameters
    ----------
    settings : sequence of str, or mapping of str to object
        ``KEY=VALUE`` texts, read from left to right, or dotted keys and their values.

    Raises
    ------
    SpecificationError
        When a text is not ``KEY=VALUE``.
    """
    if isinstance(settings, str):
        settings = (settings,)
    pairs = settings.items() if isinstance(settings, Mapping) else map(_split, settings)
    overlay: dict[str, Any] = {}
    for key, value in pairs:
        *path, last = _parts(key)
        nested = {last: value}
        for part in reversed(path):
            nested = {part: nested}
        overlay = merge(overlay, nested)
    return overlay


def _outdated(base: Table, overlay: Table) -> tuple[str, ...]:
    """Return the names of the numbers that belong to a distribution or set of factors which the overlay replaces."""
    if "set" in base and overlay.get("set", base["set"]) != base["set"]:
        return OWN_KEYS
    old = base.get("distribution")
    if not isinstance(old, str) or overlay.get("distribution", old) == old:
        return ()
    return tuple(NUMBERS.get(old, ()))


def _numbers(prior: Table) -> dict[str, Any]:
    return {key: value for key, value in prior.items() if key == "distribution" or key in ALL_NUMBERS}


def _split(setting: str) -> tuple[str, object]:
    key = _KEY.match(setting)
    if key is None or setting[key.end() : key.end() + 1] != "=":
        raise SpecificationError(f"a setting reads KEY=VALUE, such as sampling.draws=2000, found {setting!r}")
    return key.group().strip(), _value(setting[key.end() + 1 :].strip())


def _value(written: str) -> object:
    """Read a value as TOML, else take it as a plain string."""
    try:
        parsed = tomllib.loads(f"value = {written}")
    except tomllib.TOMLDecodeError:
        return written
    return parsed["value"] if set(parsed) == {"value"} else written


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key; quoted parts may hold dots."""
    if not _KEY.fullmatch(key):
        raise SpecificationError(f"a key is dotted, such as sampling.draws, found {key!r}")
    parts = [part.strip() for part in re.findall(_PART, key)]
    return [_unquoted(part, key) if part[0] in "\"'" else part for part in parts]


def _unquoted(part: str, key: str) -> str:
    try:
        return str(tomllib.loads(f"part = {part}")["part"])
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(f"cannot read the quoted part {part} of the key {key}: {error}") from error
