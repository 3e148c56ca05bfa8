"""What was analysed and what was imputed, as plain values for the report."""

import json
import re
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import Problem
from mcpbayes.output.document import numbers
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.observed import control_arms, observed_effects
from mcpbayes.tables.part_arms import of_parts

#: Names of outcomes in prose and table heads; an outcome not listed is called by its own name.
OUTCOME_WORDS: Final = {
    words.NECROMASS: "necromass C",
    words.SOC: "SOC",
    words.FUNGAL_NECROMASS: "fungal necromass C",
    words.BACTERIAL_NECROMASS: "bacterial necromass C",
    words.NON_MICROBIAL: "non-microbial C",
}

#: Names at their first mention in the methods paragraph.
FULL_WORDS: Final = {
    words.NECROMASS: "microbial necromass carbon (necromass C)",
    words.SOC: "soil organic carbon (SOC)",
    words.FUNGAL_NECROMASS: "fungal necromass carbon (fungal necromass C)",
    words.BACTERIAL_NECROMASS: "bacterial necromass carbon (bacterial necromass C)",
}

Row = dict[str, object]

_GREEK: Final = re.compile("[\N{GREEK SMALL LETTER ALPHA}-\N{GREEK SMALL LETTER OMEGA}\N{GREEK RHO SYMBOL}]")


def outcome_words(outcome: str) -> str:
    """Return an outcome's name in prose."""
    return OUTCOME_WORDS.get(outcome, outcome)


def heading(text: str) -> str:
    """Return a text with its first letter in upper case, the rest as it is; a Greek letter is a symbol and stays."""
    return text if _GREEK.match(text) else text[:1].upper() + text[1:]


def is_true(value: object) -> bool:
    """Say whether an attribute is meant as yes; a file may bring it as a Boolean, a number or a word."""
    return str(value).strip().lower() not in ("", "0", "false", "no", "none")


def is_simulated(data: xr.Dataset) -> bool:
    """Say whether the data are marked as simulated."""
    return is_true(data.attrs.get("simulated", ""))


def analysed(data: xr.Dataset) -> Row:
    """Count what was analysed.

    Parameters
    ----------
    data : xr.Dataset
        Group ``data`` of a result.

    Returns
    -------
    dict
        Counts, the rule for controls, kinds of treatment, the largest study.
    """
    study = data["study_of_comparison"].values.astype(str)
    names, counts = np.unique(study, return_counts=True)
    largest = int(np.argmax(counts))
    return {
        "source": str(data.attrs.get("source", "")),
        "sha256": str(data.attrs.get("source_sha256", "")),
        "layout": str(data.attrs.get("layout", "")),
        "unit": str(data.attrs.get("unit", "g/kg")),
        "studies": int(data.sizes["study"]),
        "controls": int(data.sizes["control"]),
        "comparisons": int(data.sizes["comparison"]),
        "arms": int(data.sizes["arm"]) if "arm" in data.sizes else None,
        "sites": int(data.sizes["site"]) if is_on(data, "site") else None,
        "control_rule": str(data.attrs.get("control_rule", "")),
        "durations": durations(data),
        "largest_study": str(names[largest]),
        "largest_count": int(counts[largest]),
        "largest_share": f"{100 * counts[largest] / counts.sum():.0f} %",
        "kinds": kinds(data),
        "incomplete": [
            {"outcome": outcome_words(outcome), "comparisons": missing}
            for outcome, missing in missing_effects(data).items()
            if missing
        ],
    }


def durations(data: xr.Dataset) -> str:
    """Say which years since the change of management the table covers; empty where the model has no time."""
    if words.DURATION not in data:
        return ""
    years = data[words.DURATION].values
    return f"from {years.min():g} to {years.max():g} years, median {np.median(years):g}"


def is_on(data: xr.Dataset, level: str) -> bool:
    """Say whether an optional level (``kind``, ``site``) is part of the model."""
    return bool(data.attrs.get(f"level_{level}") == "on")


def kinds(data: xr.Dataset) -> list[Row]:
    """List the kinds of treatment with their numbers of comparisons and studies.

    Returns
    -------
    list of dict
        ``name``, ``spellings`` in the table where they differ, ``comparisons``, ``studies``, ``single`` (seen in one
        study only).
    """
    kind, study = (data[f"{name}_of_comparison"].values.astype(str) for name in ("kind", "study"))
    spelling = data["treatment"].values.astype(str) if "treatment" in data else kind
    rows: list[Row] = []
    for name in data["kind"].values.astype(str):
        mine = kind == name
        studies = len(np.unique(study[mine]))
        spellings = sorted(set(spelling[mine]) - {name, ""})
        rows.append(
            {
                "name": name,
                "spellings": numbers.listing(spellings) if spellings else "",
                "comparisons": int(mine.sum()),
                "studies": studies,
                "single": studies == 1,
            }
        )
    return rows


def missing_effects(data: xr.Dataset) -> dict[str, int]:
    """Count, per outcome, the comparisons whose own effect cannot be computed because a mean is missing."""
    found = (~observed_effects(data)).sum(axis=0)
    return {str(o): int(count) for o, count in zip(data["outcome"].values, found, strict=True)}


def imputed(data: xr.Dataset) -> list[Row]:
    """Count where dispersion, replicates and correlation came from.

    Returns
    -------
    list of dict
        Per quantity: ``quantity``, ``unit`` counted, ``reported``, ``derived``, ``imputed``, ``used`` (the value or
        range of values that stands in for the missing ones).
    """
    if data.attrs["family"] == words.CONTRAST_BASED:
        return _imputed_contrast(data)
    rows = []
    for outcome in data["outcome"].values.astype(str):
        one = data.sel(outcome=outcome)
        called = _measured_as(outcome, data)
        origins = _origins(f"standard deviation of {called}", one["source_sd"], one["cv"], "CV")
        if outcome in json.loads(data.attrs.get("cv_model", '{"typical": {}}'))["typical"] and origins["used"]:
            origins["used"] = f"{origins['used']}, from the model of CVs"
        rows.append(origins)
        rows.append(_origins(f"replicates n of {called}", one["source_n"], one["n"], "n ="))
    rows += _imputed_amino_sugars(data)
    if "source_rho" in data and data.sizes["outcome"] > 1:
        rows.append(
            _origins("correlation of the pools over plots of an arm", data["source_rho"], data["rho_within"], "ϱ =")
            | _from_plots(data)
            | _not_one_value(data)
        )
    return rows


def _measured_as(outcome: str, data: xr.Dataset) -> str:
    """Return a pool's name, with the amino sugar whose spread and plots stand for its own."""
    sugar = dict(zip(words.PARTS, words.AMINO_SUGARS, strict=True)).get(outcome, "").replace("_", " ")
    return f"{outcome_words(outcome)} (of {sugar})" if sugar and of_parts(data) else outcome_words(outcome)


def _imputed_amino_sugars(data: xr.Dataset) -> list[Row]:
    """Return the rows of amino sugars that necromass is made of; ``entered`` is false where their CVs do not enter."""
    if of_parts(data):
        used = f"ϱ = {numbers.significant(float(data.attrs['rho_amino_sugars']))}"
        row = {"quantity": "correlation of the amino sugars over plots of an arm", "reported": 0, "derived": 0}
        return [row | {"imputed": int(converted_arms(data).sum()), "used": used}]
    if "amino_sugar" not in data.sizes:
        return []
    replaced = "cv_sample" in data and bool(np.isfinite(data["cv_sample"].sel(outcome=words.NECROMASS)).any())
    rows = []
    for amino_sugar in data["amino_sugar"].values.astype(str):
        one = data.sel(amino_sugar=amino_sugar)
        called = f"standard deviation of {amino_sugar.replace('_', ' ')}"
        row = _origins(called, one["source_amino_sd"], one["amino_cv"], "CV")
        if replaced and row["used"]:
            row |= {"used": "none: see necromass C, whose CV counts", "entered": False}
        rows.append(row)
    count = int((data["source_amino_sd"].isel(amino_sugar=0).values.astype(str) != "").sum())
    used = f"ϱ = {numbers.significant(float(data.attrs['rho_amino_sugars']))}"
    row = {"quantity": "correlation of the amino sugars over plots of an arm", "reported": 0, "derived": 0}
    return [*rows, row | {"imputed": count, "used": used}]


def _from_plots(data: xr.Dataset) -> Row:
    """Return the correlation where it was estimated from the plots of the table; else nothing."""
    origin = data["source_rho"].values.astype(str)
    found = np.unique(data["rho_within"].values[origin == words.DERIVED])
    return {"used": f"{_range(found, 'ϱ =')}, estimated from the plots"} if found.size else {}


def _not_one_value(data: xr.Dataset) -> Row:
    """Say what stands for the imputed correlation where it is estimated or the result is pooled; else nothing."""
    if words.PER_RHO in data:
        return {"used": "one ϱ for all of them, estimated"}
    if "rho_within_worlds" not in data.attrs:
        return {}
    values = json.loads(data.attrs["rho_within_worlds"])
    return {"used": f"{_range(np.array([min(values), max(values)]), 'ϱ =')}, {len(values)} fits"}


def _imputed_contrast(data: xr.Dataset) -> list[Row]:
    rows: list[Row] = []
    if "source_rho" in data:
        value = xr.full_like(data["log_ratio"].isel(outcome=0, drop=True), float(data.attrs["rho_assumed"]))
        origins = _origins("correlation of the sampling errors of a row", data["source_rho"], value, "ϱ =")
        rows.append(origins | _not_one_value(data))
    if assumed := int(data.attrs.get("assumed_control_variance", 0)):
        rows.append(
            {
                "quantity": "variance of a shared control",
                "reported": data.sizes["control"] - assumed,
                "derived": 0,
                "imputed": assumed,
                "used": "half the smallest variance among its rows",
            }
        )
    return rows


def _origins(quantity: str, source: xr.DataArray, value: xr.DataArray, symbol: str) -> Row:
    origin = source.values.astype(str)
    used = np.unique(value.values[origin == words.IMPUTED])
    row: Row = {"quantity": quantity, "used": _range(used, symbol)}
    return row | {name: int((origin == name).sum()) for name in (words.REPORTED, words.DERIVED, words.IMPUTED)}


def _range(values: np.ndarray, symbol: str) -> str:
    """Return the imputed value, or the range where it differs between arms."""
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    low, high = numbers.significant(float(values[0])), numbers.significant(float(values[-1]))
    return f"{symbol} {low}" if low == high else f"{symbol} {low} to {high}"


def no_spread_reported(data: xr.Dataset) -> bool:
    """Say whether not one standard deviation was in the table, so that the split of the variance is assumed."""
    if "source_sd" not in data:
        return False
    origin = set(data["source_sd"].values.astype(str).ravel()) - {""}
    return origin == {words.IMPUTED}


def problems(result: xr.DataTree) -> dict[str, list[Row]]:
    """Sort the problems of data and fit by severity.

    Returns
    -------
    dict of str to list
        ``error``, ``warning`` and ``note``; each entry has ``check`` and ``text``, none is listed twice.
    """
    raw = [*json.loads(result.attrs["problems"]), *json.loads(result[words.DATA].attrs.get("problems", "[]"))]
    sorted_out: dict[str, list[Row]] = {"error": [], "warning": [], "note": []}
    for fields in raw:
        problem = Problem(**(fields | {"rows": tuple(fields.get("rows", ()))}))
        placed = problem.file or problem.rows or problem.column
        entry: Row = {"check": problem.check, "text": str(problem) if placed else heading(str(problem))}
        if entry not in sorted_out[problem.severity]:
            sorted_out[problem.severity].append(entry)
    return sorted_out


def comparisons(data: xr.Dataset) -> list[Row]:
    """List the comparisons with their rows in the source and their means.

    Returns
    -------
    list of dict
        ``name``, ``study``, ``control``, ``kind``, ``row``, ``years`` (empty where the model has no time) and
        ``values``: per outcome the text of
        control and treated mean (arm-based, g/kg or Mg/ha) or of the log ratio and its standard error (contrast-based).
    """
    values = _contrast_values(data) if data.attrs["family"] == words.CONTRAST_BASED else _arm_values(data)
    columns = ("study_of_comparison", "control_of_comparison", "kind_of_comparison")
    study, control, kind = (data[name].values.astype(str) for name in columns)
    years = [f"{value:g}" for value in data[words.DURATION].values] if words.DURATION in data else [""] * len(study)
    return [
        {
            "name": str(name),
            "study": study[i],
            "control": control[i],
            "kind": kind[i],
            "row": int(data["source_row"].values[i]),
            "years": years[i],
            "values": values[i],
        }
        for i, name in enumerate(data["comparison"].values)
    ]


def _arm_values(data: xr.Dataset) -> list[list[str]]:
    mean = data["mean"].transpose("arm", "outcome")
    control, treated = (mean.sel(arm=arms).values for arms in (control_arms(data), data["arm_of_comparison"].values))
    return [
        [numbers.significant(float(m)) for pair in zip(c, t, strict=True) for m in pair]
        for c, t in zip(control, treated, strict=True)
    ]


def _contrast_values(data: xr.Dataset) -> list[list[str]]:
    ratio = data["log_ratio"].transpose("comparison", "outcome").values
    error = np.sqrt(np.einsum("ikk->ik", data["sampling_covariance"].values))
    return [
        [
            text
            for y, e in zip(ys, es, strict=True)
            for text in (numbers.signed(float(y), 3), numbers.plain(float(e), 3))
        ]
        for ys, es in zip(ratio, error, strict=True)
    ]
