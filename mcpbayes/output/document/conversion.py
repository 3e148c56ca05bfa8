"""Necromass made of amino sugars, in words: how it was computed, with which factors, and what hangs on them."""

import json
from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.parts import quantity_of_part
from mcpbayes.estimands.tree import specification
from mcpbayes.evidence.factor_sets import compared, factor_sets, sets_compared
from mcpbayes.evidence.variance_shares import variance_shares
from mcpbayes.inference.conversion import FACTORS
from mcpbayes.output.document import numbers
from mcpbayes.output.document.material import Row
from mcpbayes.specification.factors import Factor, FactorSet
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.part_arms import of_parts

_FORMULA: Final = "k_B MurN + k_F (GlcN − (179.17/251.23) ϱ_b MurN)"
_SCALES: Final = {
    "log_delta_mcp": "of its relative change",
    "delta_mcp": "of its change in percentage points",
    quantity_of_part(words.FUNGAL_NECROMASS): "of what fungal necromass contributes to that",
    quantity_of_part(words.BACTERIAL_NECROMASS): "of what bacterial necromass does",
}


def source_line(data: xr.Dataset) -> str:
    """Return of how many arms necromass was made of amino sugars and with which factors; empty where of none."""
    here = int(converted_arms(data).sum())
    if not here:
        return ""
    reported = _as_reported(data)
    as_reported = f"; of {numbers.plural(reported, 'arm')} as reported" if reported else ""
    made = f"Necromass of {numbers.plural(here, 'arm')} from amino sugars"
    return f"{made}, with {factor_words(data.attrs['factors'])}{as_reported}."


def _as_reported(data: xr.Dataset) -> int:
    """Count the arms whose necromass is as reported."""
    return int((data["source_necromass"].values.astype(str) == words.REPORTED).sum())


def conversion(data: xr.Dataset, spec: Specification, worlds: int) -> Row | None:
    """Return what is said of necromass made of amino sugars; None where no arm has such.

    Parameters
    ----------
    data : xr.Dataset
        Group ``data`` of a result.
    spec : Specification
    worlds : int
        Of the result: with one, factors with a spread are taken at their medians.

    Returns
    -------
    dict
        ``method`` (for the methods paragraph) and ``rows``, one per set: ``name``, ``used``, ``k_B``, ``k_F``, ``ϱ_b``,
        ``source``.
    """
    here, factors = int(converted_arms(data).sum()), spec.data.factors
    if not here:
        return None
    known = "taken as known" if factors.fixed else "taken at their medians"
    known = known if factors.fixed or worlds == 1 else f"carried as distributions by {worlds} fits"
    apart = of_parts(data)
    made = "Fungal and bacterial necromass C were" if apart else "Necromass C was"
    formula = "k_F (GlcN − (179.17/251.23) ϱ_b MurN) and k_B MurN" if apart else _FORMULA
    spread = "their covariance" if apart else "that of necromass C"
    listed = "; ".join(f"{symbol} {said}" for symbol, said in _of_set(factors).items())
    method = (
        f"{made} computed from amino sugars in {numbers.plural(here, 'arm')} and taken as reported in "
        f"{_as_reported(data) or 'none'}: {formula}, with {factor_words(factors.name)}, {known}: {listed} (source: "
        f"{factors.source}). "
        f"Where SDs of the amino sugars were reported, {spread} follows from them, with a correlation of "
        f"{numbers.significant(float(data.attrs['rho_amino_sugars']))} assumed between the two over the plots of one "
        "arm."
    )
    rows = [
        {"name": name, "used": name == factors.name, "source": one.source} | _of_set(one)
        for name, one in sets_compared(spec).items()
    ]
    return {"method": method, "rows": rows}


def _of_set(factors: FactorSet) -> dict[str, str]:
    """Return the factors of a set by symbol, as phrases."""
    return {
        "k_B": _factor(factors.k_b),
        "k_F": _factor(factors.k_f),
        "ϱ_b": _factor(factors.rho_b),
    }


def _factor(factor: Factor) -> str:
    middle, spread = (numbers.significant(value) for value in (factor.middle, factor.spread))
    if factor.distribution == "lognormal":
        return f"log-normal, median {middle}, SD of the logarithm {spread}"
    if factor.distribution == "normal":
        return f"normal, mean {middle}, SD {spread}, above 0"
    return middle


def factor_words(name: str) -> str:
    """Return what a set of factors is called."""
    return f"the factors ‘{name}’"


def factor_sentences(result: xr.DataTree) -> list[str]:
    """Return where the factors come from, their share of the variance, and what single comparisons show."""
    factors = specification(result).data.factors
    source = f"The result uses {factor_words(factors.name)}: {factors.source}."
    carried = FACTORS in json.loads(result.attrs.get("worlds_values", "{}"))
    return [source, _shares(variance_shares(result), carried), _signs(factor_sets(result), factors.name)]


def _shares(shares: pd.DataFrame, carried: bool) -> str:
    if not carried:
        return "Their numbers are taken as known, so intervals do not hold any doubt about them."
    if shares.empty:  # no control has a ratio that they could be of
        return "Doubt about them is in the intervals."
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
