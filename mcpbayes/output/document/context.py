"""From a result to everything that the report's template prints: plain values, already rounded."""

import json
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.decision import decide, sentence
from mcpbayes.estimands.parts import apart
from mcpbayes.estimands.reading import describe
from mcpbayes.estimands.scenarios import EXACT
from mcpbayes.estimands.shares_of_sum import COMPARISONS
from mcpbayes.estimands.tree import group, specification
from mcpbayes.estimands.unobserved import unobserved_at, unobserved_reason
from mcpbayes.evidence.diagnostics import diagnose
from mcpbayes.output.document import estimates, influence, material, numbers, sensitivity
from mcpbayes.output.document.basis import about_data, about_model, about_run, about_scheme
from mcpbayes.output.document.material import Row
from mcpbayes.output.document.parts import COLUMNS, contributions, controls_line
from mcpbayes.output.document.readings import readings
from mcpbayes.output.summary import share_table, summarise
from mcpbayes.specification.structure import Specification

_SETTINGS: Final = {words.MEAN: "typical comparison", words.NEW: "comparison in a study not seen"}


def context(result: xr.DataTree, *, command: str = "", summary: pd.DataFrame | None = None) -> Row:
    """Collect what the report says.

    Parameters
    ----------
    result : xr.DataTree
        With groups ``data``, ``posterior``, ``sample_stats``, ``delta_mcp`` and, for both pools, ``scenario``.
    command : str
        The exact call.
    summary : DataFrame, optional
        Of `mcpbayes.summarise` for the same result, where it is at hand.

    Returns
    -------
    dict
        Texts, counts and tables by the template's names; figures are not among them.

    Raises
    ------
    StageError
        A group is missing; the message names the verb to call first.
    """
    data, spec = group(result, words.DATA), specification(result)
    summary = summarise(result) if summary is None else summary
    found = diagnose(result, summary)
    return (
        {"headlines": headlines(result, data, summary)}
        | about_data(data)
        | about_model(result, data, spec)
        | _about_effects(result, data, summary)
        | _about_scenarios(result, spec)
        | {"readings": readings(result, data)}
        | {"sensitivity": sensitivity.sensitivity(result, data)}
        | {"influence": influence.influence(result, data)}
        | about_run(result, found, command)
    )


def headlines(result: xr.DataTree, data: xr.Dataset, summary: pd.DataFrame) -> list[Row]:
    """Return the headline of each kind: at level mean, and below it at level new.

    Returns
    -------
    list of dict
        ``name`` (empty where the sentences name no kind) and the rest of both sentences, ``mean`` and ``new``.
    """
    if words.SCENARIO not in result.children:
        return _headlines_of_effects(data, summary, failed=result.attrs["status"] == "failed")
    lines: list[Row] = []
    for typical, fresh in zip(decide(result, words.MEAN), decide(result, words.NEW), strict=True):
        name = estimates.shown_name(typical.name, data)
        said = [f"{sentence(decision)}." for decision in (typical, fresh)]
        named = all(text.startswith(name) for text in said)
        mean, new = (numbers.true_minus(text.removeprefix(name if named else "")) for text in said)
        lines.append({"name": name if named else "", "mean": mean, "new": new})
    return lines


def names_of_headlines(data: xr.Dataset, summary: pd.DataFrame) -> list[str]:
    """Return the targets that headlines speak of: the kinds of treatment, or the first target where there are none."""
    names = estimates.names_at(summary, words.MEAN)
    return [name for name in names if estimates.shown_name(name, data) != name] or names[:1]


def _headlines_of_effects(data: xr.Dataset, summary: pd.DataFrame, failed: bool) -> list[Row]:
    """Return the headlines of a result without scenarios: each effect with the probability of its sign."""
    found, kinds = estimates.by_quantity(summary), names_of_headlines(data, summary)
    unobserved = unobserved_at(data, words.MEAN, kinds)
    lines: list[Row] = []
    for name in kinds:
        for outcome in data["outcome"].values.astype(str):
            why = "the diagnostics of the fit failed" if failed else ""
            if not failed and outcome in unobserved[name]:
                why = unobserved_reason([outcome])
            said = {
                level: _effect_sentence(found[level, name, f"effect[{outcome}]"], outcome, level, why)
                for level in (words.MEAN, words.NEW)
            }
            lines.append({"name": estimates.shown_name(name, data), **said})
    return lines


def _effect_sentence(row: pd.Series, outcome: str, level: str, why_not: str) -> str:
    cell = estimates.cell(row, "effect[]")
    rises = float(row["prob_positive"])
    way, probability = ("rises", rises) if rises >= 0.5 else ("falls", 1.0 - rises)
    called = material.outcome_words(outcome)
    said = f"{called} {way}, probability {numbers.probability(probability)}"
    if why_not:
        said = f"nothing can be claimed about {called}, since {why_not}"
    interval = numbers.interval_words(str(row["interval_kind"]), float(row["interval_prob"]))
    return f", {_SETTINGS[level]} ({level}): {said}; change {cell['value']} % ({interval} {cell['interval']})."


def _about_effects(result: xr.DataTree, data: xr.Dataset, summary: pd.DataFrame) -> Row:
    outcomes = [str(o) for o in data["outcome"].values]
    pools = numbers.listing([material.outcome_words(outcome) for outcome in outcomes])
    columns = estimates.effect_columns(outcomes, estimates.by_quantity(summary))
    change = group(result, words.DELTA_MCP)
    subject = "Fungal and bacterial necromass, SOC and their ratio" if apart(data) else "Necromass, SOC and their ratio"
    return {
        "both": "log_delta_mcp" in change,
        "apart": apart(data),
        "contributions": contributions(data, summary),
        "contribution_columns": COLUMNS,
        "controls_line": controls_line(data),
        "subject": subject if "log_delta_mcp" in change else material.heading(pools),
        "points": any(column["quantity"] == "delta_mcp" for column in columns),
        "effect_columns": columns,
        "effects": estimates.effects(data, summary),
        "averages": estimates.averages(data, summary),
        "reference": estimates.reference_ratios(data, summary),
        "studies": estimates.studies(data, summary),
        "parameters": estimates.parameters(summary),
        "share_above_one": _above_one(change),
        "absent": absences(describe(result)),
    }


def _above_one(change: xr.Dataset) -> str:
    """Return in which share of the draws the treated ratio exceeds 1 at the levels mean and new; empty: in none."""
    shares = json.loads(change.attrs["share_above_one"])
    return numbers.listing(
        [f"{_percentage(shares[level])} (level {level})" for level in _SETTINGS if shares.get(level, 0) > 0]
    )


def _percentage(fraction: float) -> str:
    return "less than 0.1 %" if fraction < 0.001 else f"{100 * fraction:.1f} %"


def absences(targets: xr.Dataset) -> list[Row]:
    """Return why ΔMCP in percentage points is absent: ``targets`` in words and ``why``, one entry per reason."""
    level, name, reason = (targets[coord].values.astype(str) for coord in ("level", "name", "absent"))
    rows: list[Row] = []
    for why in dict.fromkeys(reason[reason != ""]):
        found: list[str] = []
        for one in dict.fromkeys(level[reason == why]):
            here = (level == one) & (reason == why)
            whole = here.sum() == (level == one).sum()
            found += [f"level {one}"] if whole else [f"{one} {target}" for target in name[here]]
        rows.append({"why": str(why).rstrip("."), "targets": _some(found)})
    return rows


def _some(names: list[str], most: int = 6) -> str:
    more = len(names) - most
    return numbers.listing(names[:most] + [f"{more} more"] if more > 0 else names)


def _about_scenarios(result: xr.DataTree, spec: Specification) -> Row:
    common = about_scheme(spec.scenarios) | {
        "level_words": {level: material.heading(setting) for level, setting in _SETTINGS.items()},
        "has_scenarios": words.SCENARIO in result.children,
        "exact": False,
    }
    if words.SCENARIO not in result.children:
        return common | {"changes": [], "scenarios": [], "worst_mcse": ""}
    scenario = group(result, words.SCENARIO)
    shown = scenario["mcse"].isel(target=np.isin(scenario["level"].values, [words.MEAN, words.NEW]))
    return common | {
        "changes": estimates.changes(result),
        "scenarios": estimates.scenarios(result, share_table(result)),
        "worst_mcse": f"{float(shown.max()):.3f}",
        "exact": scenario.attrs.get("method") == EXACT,
        "fresh_comparisons": COMPARISONS,
    }
