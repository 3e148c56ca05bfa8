"""Which layout a table has, judged by the names of its columns, where it is not the one it is read in."""

from collections.abc import Collection, Sequence
from typing import Final

from mcpbayes.errors import Problem
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import SINGLE_ARM, columns, instead_of
from mcpbayes.vocabulary import NECROMASS, SOC

#: A table about one treatment need not name it.
MAY_BE_ABSENT: Final = frozenset({"treatment"})
#: The other layout may lack one required column, and must lack so many fewer than the one asked for.
_LACKING: Final = 1
_CLEARLY: Final = 2
_FAMILIES: Final = {"comparison": "arm-based", "arm": "arm-based", "plot": "arm-based", "contrast": "contrast-based"}
#: What only rows of arms have (a column n may be nitrogen), and what only rows of plots have: the columns that both
#: must have are the same.
_ONLY: Final = {
    "arm": frozenset(f"{pool}_{kind}" for pool in (NECROMASS, SOC) for kind in ("sd", "se", "cv", "n")),
    "plot": frozenset(("plot", "block")),
}
_ROWS: Final = {"arm": "one row per arm: mean, SD and n", "plot": "one row per replicate plot: no SD, no n"}


def required_columns(layout: str, outcomes: Sequence[str]) -> tuple[str, ...]:
    """Return the canonical names of the columns that a table of a layout must have."""
    return tuple(c.name for c in columns(layout, outcomes) if c.required and c.name not in MAY_BE_ABSENT)


def lacking_columns(present: Collection[str], layout: str, outcomes: Sequence[str]) -> list[str]:
    """Return the required columns that are not there, nor others that may stand for them."""
    return [
        name
        for name in required_columns(layout, outcomes)
        if name not in present and not ((other := instead_of(layout, name)) and all(one in present for one in other))
    ]


def other_layout(available: Collection[str], data: DataSection) -> Problem | None:
    """Return an error where a table looks like one of another layout than the specification's, else None.

    Parameters
    ----------
    available : collection of str
        Names of the table's columns.
    data : DataSection
        The layout and the mapping of names.
    """
    present = {c for c, name in data.columns.items() if name in available}
    present |= {name.casefold() for name in available}

    def lacking(layout: str, outcomes: Sequence[str]) -> int:
        return len(lacking_columns(present, layout, outcomes))

    alone = [("contrast", (outcome,)) for outcome in data.outcomes[:1] if len(data.outcomes) > 1]
    likely = "plot" if present & _ONLY["plot"] and not present & _ONLY["arm"] else "arm"
    unlikely = "arm" if likely == "plot" else "plot"
    if data.layout == unlikely and present & _ONLY[likely]:
        return _problem(likely, data, tuple(data.outcomes), _ROWS[unlikely])
    possible = [layout for layout in _FAMILIES if layout not in (data.layout, unlikely)]
    others = [(layout, tuple(data.outcomes)) for layout in possible] + alone
    fewest, layout, outcomes = min(((lacking(*other), *other) for other in others), key=lambda found: found[0])
    if fewest > _LACKING or lacking(data.layout, data.outcomes) < fewest + _CLEARLY:
        return None
    expected = f"the columns {', '.join(required_columns(data.layout, data.outcomes))}"
    return _problem(layout, data, outcomes, expected)


def _problem(layout: str, data: DataSection, outcomes: tuple[str, ...], expected: str) -> Problem:
    return Problem(
        "other-layout",
        f"this looks like a table of the layout {layout}, but is read in the layout {data.layout}",
        expected=expected,
        remedy=_remedy(layout, data.layout, outcomes if outcomes != tuple(data.outcomes) else ()),
    )


def _remedy(layout: str, current: str, outcomes: Sequence[str]) -> str:
    """Return how a table of another layout is read; `outcomes` where they have to be named, too."""
    family = _FAMILIES[layout]
    settings = []
    if family != _FAMILIES.get(current):
        settings.append(f"--model {family}")
    if layout in SINGLE_ARM or family == _FAMILIES.get(current):
        settings.append(f"--set data.layout={layout}")
    if outcomes:
        quoted = ", ".join(f'"{outcome}"' for outcome in outcomes)
        settings.append(f"--set 'data.outcomes=[{quoted}]' (the pool that was measured)")
    return f"Use {' '.join(settings)}."
