"""How far the conclusions move with what the table did not say: the rows and sentences of that section."""

import json
from itertools import combinations
from typing import Final

import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.parts import quantity_of_part
from mcpbayes.estimands.tree import specification
from mcpbayes.evidence import assumptions as evidence
from mcpbayes.evidence.leading import Leading, class_changes
from mcpbayes.output.document import numbers
from mcpbayes.output.document.conversion import factor_sentences, factor_words
from mcpbayes.output.document.estimates import cell, shown_name, unobserved_words
from mcpbayes.output.document.material import Row, heading, outcome_words
from mcpbayes.specification.structure import Specification

_HALF_TWICE: Final = {"x 1/2": "half the assumed CVs", "x 1": "the assumed CVs", "x 2": "twice the assumed CVs"}
_SHORT: Final = {"x 1/2": "half", "x 1": "as assumed", "x 2": "twice", evidence.MODEL: "from their model"}
#: Values that stand for the result itself.
_OWN: Final = (evidence.PRIOR, evidence.MODEL)

#: Whose most probable scenario is spoken of, the headline's level first.
_WHOSE: Final = {words.MEAN: "the typical comparison", words.NEW: "a comparison in a study not seen"}

_TITLES: Final = {
    evidence.CVS: "Assumed coefficients of variation",
    evidence.CORRELATION: "Assumed correlation of the pools among plots",
    evidence.FACTOR_SETS: "Conversion factors of amino sugars",
}
_HEADS: Final = {evidence.CVS: "CVs", evidence.CORRELATION: "Correlation", evidence.FACTOR_SETS: "Factors"}

#: What the sentences speak of, where it is there, and what stands behind a target's name where several are shown.
_RATIO: Final = "log_delta_mcp"
_QUANTITIES: Final = {
    _RATIO: "ratio necromass C/SOC",
    "delta_mcp": "ΔMCP, percentage points",
    **{quantity_of_part(part): f"ΔMCP of {outcome_words(part)}, percentage points" for part in words.PARTS},
}

#: Targets that the banner has columns for.
_IN_BANNER: Final = 4


def sensitivity(result: xr.DataTree, data: xr.Dataset) -> list[Row]:
    """Return one entry per assumption that was tried otherwise; none where the result has no group ``assumptions``.

    Returns
    -------
    list of dict
        ``title``, ``head`` (short), ``key`` (the assumption), ``imputed`` (in words), ``sentences``, ``outcomes``;
        ``settings``, one per value: ``words``, ``used``, ``studies``, ``comparisons`` (τ of each pool), ``passed``;
        ``targets``: ``name``, ``unobserved`` (a clause where a pool was never observed; sentences and ``banner`` leave
        these out) and ``rows``, one per value: ``words``, ``used``, ``value``, ``interval``, ``up``, ``label``,
        ``probability`` (of a scenario, in the rows of the ratio where there are several quantities); ``caption``;
        ``ratio``, whether sentences and ``banner`` are of the ratio; ``points``, whether ΔMCP is among the rows;
        ``banner``, a table of the whole in few columns: ``heads`` and ``rows``.
    """
    if words.ASSUMPTIONS not in result.children:
        return []
    table, spec = evidence.assumptions(result), specification(result)
    outcomes = [str(outcome) for outcome in data["outcome"].values]
    several = table["quantity"].nunique() > 1
    called = [
        shown_name(name, data) + (f", {_quantity_words(quantity)}" if several else "")
        for name, quantity in zip(table["name"], table["quantity"], strict=True)
    ]
    unobserved = {name: unobserved_words(name, data) for name in table["name"].unique()}
    table = table.assign(called=called, unobserved=table["name"].map(unobserved))
    more = {evidence.FACTOR_SETS: factor_sentences(result)} if evidence.FACTOR_SETS in set(table["assumption"]) else {}
    return [
        _entry(part, str(key), outcomes, spec, data, more.get(str(key), []))
        for key, part in table.groupby("assumption", sort=False)
    ]


def _entry(
    levels: pd.DataFrame, key: str, outcomes: list[str], spec: Specification, data: xr.Dataset, more: list[str]
) -> Row:
    """Return one entry; numbers are of the headline's level, mean, but for one sentence."""
    part = levels[levels["level"] == words.MEAN]
    several = part["quantity"].nunique() > 1 and _RATIO in set(part["quantity"])
    spoken = levels
    if several:  # sentences are of the ratio, under the names of the targets alone
        spoken = levels[levels["quantity"] == _RATIO]
        spoken = spoken.assign(called=[shown_name(name, data) for name in spoken["name"]])
    observed = spoken[spoken["unobserved"] == ""]
    typical = observed[observed["level"] == words.MEAN]
    settings = part.drop_duplicates("value")
    carried = json.loads(data.attrs.get("rho_within_worlds", "[]"))
    return {
        "key": key,
        "title": _TITLES[key],
        "head": _HEADS[key],
        "imputed": _imputed_words(key, int(part["imputed"].iloc[0]), data),
        "sentences": [
            _tau_sentence(settings[~settings["value"].isin(_OWN)], key, outcomes),
            _move_sentence(typical[~typical["value"].isin(_OWN)], key),
            *(_class_sentence(observed[observed["level"] == level], what) for level, what in _WHOSE.items()),
            _carried_sentence(key, carried),
            *more,
            _modelled_sentence(key, settings),
        ],
        "outcomes": [heading(outcome_words(outcome)) for outcome in outcomes],
        "settings": [
            _setting_row(row, key, outcomes, None if "cv_draw" in data else spec) for _, row in settings.iterrows()
        ],
        "targets": [
            {
                "name": name,
                "unobserved": rows["unobserved"].iloc[0],
                "rows": [_target_row(row, key, several) for _, row in rows.iterrows()],
            }
            for name, rows in part.groupby("called", sort=False)
        ],
        "ratio": bool(spoken["quantity"].iloc[0] == _RATIO),
        "caption": _caption(bool(part["quantity"].iloc[0] == _RATIO), several),
        "points": several,
        "banner": _banner(spoken[spoken["level"] == words.MEAN], outcomes),
    }


def _caption(ratio: bool, several: bool) -> str:
    if several:
        return "Effects, change of the ratio necromass C/SOC, and what either pool of necromass contributes,"
    return "Change of the ratio necromass C/SOC" if ratio else "Effect"


def _quantity_words(quantity: str) -> str:
    """Return a quantity as words, an effect by its pool."""
    return _QUANTITIES.get(quantity) or outcome_words(quantity.removeprefix("effect[").removesuffix("]"))


def _banner(part: pd.DataFrame, outcomes: list[str]) -> Row:
    """Return all of it in few columns: τ between comparisons, and the estimates of the first targets."""
    observed = part[part["unobserved"] == ""]
    names = [str(name) for name in observed["called"].unique() if name != words.AVERAGE_OVER_KINDS]
    shown = names[:_IN_BANNER]
    rows = [
        {
            "words": _SHORT.get(str(value), str(value)),
            "cells": [
                *(_tau(rows.iloc[0], "comparison", outcome) for outcome in outcomes),
                *(f"{_percent(rows[rows['called'] == name].iloc[0]['median'])} %" for name in shown),
            ],
        }
        for value, rows in part.groupby("value", sort=False)
    ]
    heads = [*(f"τ {outcome_words(outcome)}" for outcome in outcomes), *shown]
    return {"heads": heads, "rows": rows, "more": len(names) > len(shown) or len(observed) < len(part)}


def _tau(row: pd.Series, level: str, outcome: str) -> str:
    return numbers.plain(float(row[f"tau_{level}[{outcome}]"]), 2)


def _percent(log_ratio: float) -> str:
    return numbers.signed(numbers.percent_change(float(log_ratio)))


def _imputed_words(key: str, count: int, data: xr.Dataset) -> str:
    if key == evidence.CVS:
        return f"{numbers.plural(count, 'CV')} of arms and pools"
    return numbers.plural(count, "arm" if "arm" in data.sizes else "row")


def _setting_words(value: str, key: str, spec: Specification | None = None) -> str:
    if value in _OWN:
        return "ϱ from its prior" if value == evidence.PRIOR else "CVs from their model"
    if key == evidence.FACTOR_SETS:
        return factor_words(value)
    if key != evidence.CVS:
        return f"ϱ = {value}"
    if spec is None:
        return _HALF_TWICE[value]
    factor = evidence.FACTORS[value]
    cvs = {outcome: spec.data.defaults.cv[outcome] for outcome in spec.data.outcomes}
    used = [f"{numbers.significant(factor * cv)} for {outcome_words(o)}" for o, cv in cvs.items()]
    return f"{heading(_HALF_TWICE[value])} ({numbers.listing(used)})"


def _setting_row(row: pd.Series, key: str, outcomes: list[str], spec: Specification | None) -> Row:
    return {
        "words": _setting_words(str(row["value"]), key, spec),
        "used": bool(row["as_analysed"]),
        "studies": [_tau(row, "study", outcome) for outcome in outcomes],
        "comparisons": [_tau(row, "comparison", outcome) for outcome in outcomes],
        "passed": bool(row["passed"]),
    }


def _target_row(row: pd.Series, key: str, several: bool) -> Row:
    known = bool(pd.notna(row["mean"]))
    classed = not several or str(row["quantity"]) == _RATIO
    return {
        "words": _setting_words(str(row["value"]), key),
        "used": bool(row["as_analysed"]),
        **cell(row if known else None, str(row["quantity"])),
        "up": numbers.probability(float(row["prob_positive"])) if known else numbers.ABSENT,
        "label": str(row["label"]) if classed else "",
        "probability": numbers.probability(float(row["probability"])) if classed else "",
    }


def _tau_sentence(settings: pd.DataFrame, key: str, outcomes: list[str]) -> str:
    """Say what the heterogeneity between comparisons becomes under each value."""
    parts: list[str] = []
    for _, row in settings.iterrows():
        called = [f" ({outcome_words(outcome)})" if not parts else "" for outcome in outcomes]
        taus = [_tau(row, "comparison", outcome) + name for outcome, name in zip(outcomes, called, strict=True)]
        parts.append(f"{numbers.listing(taus)} with {_setting_words(str(row['value']), key)}")
    return f"The heterogeneity τ between comparisons of a study is {'; '.join(parts)}."


def _move_sentence(part: pd.DataFrame, key: str) -> str:
    """Say how far the estimate of the typical comparison moves, and for which target most; nothing without targets."""
    if part.empty:
        return ""
    percent = {
        str(name): [numbers.percent_change(float(value)) for value in rows["median"]]
        for name, rows in part.groupby("called", sort=False)
    }
    moves = {name: max(values) - min(values) for name, values in percent.items()}
    most = max(moves, key=lambda name: moves[name])
    shown = numbers.listing([f"{numbers.signed(value)} %" for value in percent[most]])
    what = "change of the ratio necromass C/SOC" if part["quantity"].iloc[0] == _RATIO else "effect"
    whose = f" for {most}" if len(moves) > 1 else ""
    values = [str(value) for value in part["value"].unique()]
    ends = " and ".join("half" if value == "x 1/2" else _setting_words(value, key) for value in (values[0], values[-1]))
    most_where = f", most{whose}" if whose else ""
    return f"Between {ends} the {what} of the typical comparison moves{most_where}: {shown}."


def _class_sentence(part: pd.DataFrame, what: str) -> str:
    """Say whether the most probable scenario depends on the assumption, beyond Monte-Carlo error; `what`: whose."""
    if part.empty or not part["scenario"].astype(bool).all():
        return ""
    found = {
        str(name): [Leading(*row) for row in rows[list(Leading._fields)].itertuples(index=False)]
        for name, rows in part.groupby("called", sort=False)
    }
    differing = [name for name, rows in found.items() if any(class_changes(*pair) for pair in combinations(rows, 2))]
    if not differing:
        same = all(len({one.scenario for one in rows}) == 1 for rows in found.values())
        return f"The most probable scenario of {what} stays the same{'' if same else ', within Monte-Carlo error'}."
    whose = f" for {numbers.listing(differing)}" if part["called"].nunique() > 1 else ""
    return f"The most probable scenario of {what} depends on it{whose}."


def _carried_sentence(key: str, values: list[float]) -> str:
    """Say what carries the prior of the correlation, or at which correlation CVs were tried."""
    if not values or key == evidence.FACTOR_SETS:
        return ""
    if key == evidence.CVS:
        return f"The result carries the prior of ϱ; these fits are at its middle, ϱ = {values[len(values) // 2]:.2f}."
    ends = f"{numbers.plain(min(values))} to {numbers.plain(max(values))}"
    return f"The result itself carries the prior of ϱ by {len(values)} fits, ϱ from {ends}."


def _modelled_sentence(key: str, settings: pd.DataFrame) -> str:
    """Say which CVs were multiplied, where the result carries draws of their model."""
    if key != evidence.CVS or evidence.MODEL not in set(settings["value"]):
        return ""
    return (
        "The result carries draws of all CVs from their model; in the other fits CVs are their root mean squares, and "
        "of the arms without a reported SD half or twice that."
    )
