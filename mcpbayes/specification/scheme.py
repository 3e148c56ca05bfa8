"""The section ``[scenarios]``: tolerances, labels and coarser classes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem, SpecificationError
from mcpbayes.specification.fields import joined, number, read, refusal, table, text, unknown
from mcpbayes.specification.structure import Scheme

#: What has a tolerance: the two pools and their ratio.
TOLERANCES = (words.NECROMASS, words.SOC, "ratio")

#: Tolerances in per cent within which, besides zero, no mistake is suspected: below them a fraction, 0.03 for 3 %.
_USUAL: Final = (0.1, 50.0)


def check_scheme(entries: object) -> Scheme:
    """Return the scheme of ``[scenarios]``.

    Raises
    ------
    SpecificationError
        For a tolerance that is missing or negative, an unknown or doubly used class, a code that is taken.
    """
    checks = {
        "tolerance_percent": _tolerance,
        "tolerance_points": _points,
        "decide_at": number("(0.5, 1]"),
        "merge": _merge,
        "labels": table,
    }
    found = read(entries, "scenarios", checks, ("tolerance_percent",))
    merge = found.get("merge", {})
    return Scheme(**(found | {"labels": _labels(found.get("labels", {}), merge), "merge": merge}))


def tolerance_problems(scheme: Scheme) -> Iterator[Problem]:
    """Yield a warning for every tolerance in per cent that looks like a fraction, or leaves next to no change."""
    low, high = _USUAL
    for name, percent in scheme.tolerance_percent.items():
        if percent == 0 or low <= percent <= high:
            continue
        setting = f"scenarios.tolerance_percent.{name}"
        meant = f" If the fraction {percent:g} is meant: --set {setting}={100 * percent:g}" if percent < low else ""
        yield Problem(
            "unusual-tolerance",
            f"{setting} is in per cent: changes within {percent:g} % count as none",
            "warning",
            value=f"{percent:g}",
            expected=f"0, or {low:g} to {high:g}",
            remedy=meant.strip() or f"A tolerance is a change too small to matter, such as --set {setting}=5",
        )


def _tolerance(value: object, key: str) -> dict[str, Any]:
    if isinstance(value, (int, float)):
        each = ", ".join(f"{key}.{name}={value:g}" for name in TOLERANCES)
        raise refusal(f"a table with one number for each of {', '.join(TOLERANCES)}; set each, as {each}", value, key)
    found = read(value, key, dict.fromkeys(TOLERANCES, number("[0, inf)")), TOLERANCES)
    return {name: found[name] for name in TOLERANCES}


def _points(value: object, key: str) -> dict[str, float]:
    """Return percentage points of ΔMCP; "none" takes them back, since tables are merged key by key."""

    def check(entry: object, place: str) -> float | None:
        return None if entry == "none" else float(number("[0, 100)")(entry, place))

    found = read(value, key, {words.DELTA_MCP: check})
    return {name: entry for name, entry in found.items() if entry is not None}


def _merge(value: object, key: str) -> dict[str, tuple[str, ...]]:
    """Every class goes to one place only; classes that are not named stay what they are, so none is lost."""
    goes_to: dict[str, str] = {}
    merged: dict[str, tuple[str, ...]] = {}
    for code, members in table(value, key).items():
        place = joined(key, code)
        if not re.fullmatch(r"[A-Za-z][\x20-\x7e]*", code):
            raise refusal("a code of ASCII characters that starts with a letter", code, place)
        if not isinstance(members, (list, tuple)) or not members:
            raise refusal("a list of scenario codes", members, place)
        for member in members:
            if member not in words.SCENARIOS:
                raise unknown("scenario", str(member), words.SCENARIOS, place)
            if member in goes_to:
                where = "twice" if goes_to[member] == code else f"in {goes_to[member]!r} too"
                raise SpecificationError(f"{member!r} is listed {where}; a class can go to one place only", place)
            goes_to[member] = code
        merged[code] = tuple(members)
    for code in merged:
        if code in words.SCENARIOS and goes_to.get(code) != code:
            raise SpecificationError(
                f"{code!r} is already the code of a class that is not among its members", joined(key, code)
            )
    return merged


def _labels(entries: Mapping[str, Any], merge: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    known = (*words.SCENARIOS, *(code for code in merge if code not in words.SCENARIOS))
    for code in entries:
        if code not in known:
            raise unknown("scenario", code, known, "scenarios.labels")
    return {code: text(label, joined("scenarios.labels", code)) for code, label in entries.items()}
