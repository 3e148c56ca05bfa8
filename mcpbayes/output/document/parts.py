"""Which group of microbes a change of the ratio comes from, in the report: fungal and bacterial necromass apart."""

from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.parts import apart, quantity_of_part
from mcpbayes.estimands.unobserved import unobserved_at
from mcpbayes.output.document import numbers
from mcpbayes.output.document.estimates import by_quantity, cell, rows_by_level, shown_name
from mcpbayes.output.document.material import Row, heading, outcome_words
from mcpbayes.tables.fungal import controls_left_out

_POINTS: Final = "percentage points"

#: What each part contributes, their sum, and what that is of necromass as a whole.
COLUMNS: Final[list[Row]] = [
    *[Row(quantity=quantity_of_part(p), head=heading(outcome_words(p)), unit=_POINTS) for p in words.PARTS],
    Row(quantity="delta_mcp", head="ΔMCP, their sum", unit=_POINTS),
    Row(quantity=f"effect[{words.NECROMASS}]", head="Necromass C, both", unit="% change"),
]


def contributions(data: xr.Dataset, summary: pd.DataFrame) -> list[Row]:
    """Return the table of what either pool contributes to ΔMCP, as `estimates.effects`; empty without such pools.

    Notes
    -----
    Posterior medians of two parts do not add up to that of their sum, as their means do and every draw does.
    """
    if not apart(data) or not summary["quantity"].isin([str(COLUMNS[0]["quantity"])]).any():
        return []
    return rows_by_level(data, summary, COLUMNS)


def controls_line(data: xr.Dataset) -> str:
    """Return of how many controls r₀ is, where some are left out for want of fungal necromass; else empty."""
    said = controls_left_out(data) if apart(data) else ""
    return f"{said}." if said else ""


def contribution_lines(data: xr.Dataset, summary: pd.DataFrame, names: list[str]) -> list[str]:
    """Return one sentence per target at level mean: by how much ΔMCP changes, and what either pool contributes.

    Nothing is said of kinds of treatment of which a pool was never observed.
    """
    if not apart(data):
        return []
    found, unobserved = by_quantity(summary), unobserved_at(data, words.MEAN, names)
    lines = []
    for name in (name for name in names if not unobserved[name]):
        rows = [found.get((words.MEAN, name, str(column["quantity"]))) for column in COLUMNS[:3]]
        if any(row is None for row in rows):
            continue
        fungal, bacterial, whole = (cell(row, "delta_mcp") for row in rows)
        lines.append(
            f"{shown_name(name, data)}, typical comparison (mean): ΔMCP {_said(whole)} percentage points, of fungal "
            f"necromass C {_said(fungal)}, of bacterial {_said(bacterial)}."
        )
    return lines


def _said(shown: Row) -> str:
    return f"{shown['value']} {shown['interval']}" if shown["interval"] else numbers.ABSENT
