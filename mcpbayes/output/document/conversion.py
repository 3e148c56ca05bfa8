"""What hangs on the conversion factors of amino sugars: the sentences of their part of the sensitivity section."""

from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes.estimands.tree import specification
from mcpbayes.evidence.factor_sets import compared, factor_sets
from mcpbayes.evidence.variance_shares import variance_shares
from mcpbayes.output.document import numbers

_SCALES: Final = {"log_delta_mcp": "of its relative change", "delta_mcp": "of its change in percentage points"}


def factor_words(name: str) -> str:
    """Return what a set of factors is called."""
    return f"the factors ‘{name}’"


def factor_sentences(result: xr.DataTree) -> list[str]:
    """Return where the factors come from, their share of the variance, and what single comparisons show."""
    factors = specification(result).data.factors
    source = f"The result uses {factor_words(factors.name)}: {factors.source}."
    return [source, _shares(variance_shares(result)), _signs(factor_sets(result), factors.name)]


def _shares(shares: pd.DataFrame) -> str:
    if shares.empty:
        return "Their numbers are taken as known, so intervals do not hold any doubt about them."
    said = [f"{_span(part['share'])} {_SCALES[str(name)]}" for name, part in shares.groupby("quantity", sort=False)]
    return (
        "Doubt about them is in the intervals: for the ratio necromass C/SOC in the typical comparison it is "
        f"{numbers.listing(said)}, as shares of the posterior variance."
    )


def _span(shares: pd.Series) -> str:
    """Return the range of shares over targets, in per cent."""
    if shares.max() < 0.001:
        return "less than 0.1 %"
    ends = [_percent(float(share)) for share in (shares.min(), shares.max())]
    return " to ".join(dict.fromkeys(ends)) + " %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _signs(table: pd.DataFrame, used: str) -> str:
    if table.empty:
        return ""
    found = compared(table)
    others = found[found["factors"] != used]
    changed = [
        f"{row['changed']} ({_percent(float(row['share_changed']))} %) with ‘{row['factors']}’"
        for _, row in others.iterrows()
    ]
    sizes = [f"{_percent(float(row['median_size']))} (‘{row['factors']}’)" for _, row in found.iterrows()]
    return (
        f"Without any model, the observed change of the ratio has another sign than with {factor_words(used)} in "
        f"{numbers.listing(changed)} of {numbers.plural(int(found['comparisons'].iloc[0]), 'comparison')}; its median "
        f"size is {numbers.listing(sizes)} percentage points (factor_sets.csv)."
    )
