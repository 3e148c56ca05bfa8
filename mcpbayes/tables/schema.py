"""What a cell may hold: texts become numbers, and every cell that breaks a rule is reported with its place.

The rules of a column follow from its entry in the catalogue (`mcpbayes.tables.columns`) and are run by pandera, lazily,
so that all bad cells of a table are found at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import pandas as pd
import pandera.pandas as pa

from mcpbayes.errors import Problem
from mcpbayes.tables.columns import CI_LEVEL, DISPERSIONS, INTERVALS, Column
from mcpbayes.vocabulary import FUNGAL_NECROMASS

#: A number as people and programs write it; with a real minus sign, too.
NUMBER: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?inf(?:inity)?"
LEAVE_EMPTY: Final = "Leave the cell empty if the value is not known."
#: Bacteria can explain all glucosamine of a plot, and more; what is left is then nothing, or less.
_FUNGI_OF_PLOTS: Final = (
    "Give one row per arm, with the mean over all its plots, SD and n (--set data.layout=arm): the mean counts as "
    "missing where it is nothing. With the cell left empty the arm's mean would be that of the other plots, too high."
)
FILL_IN: Final = "Fill in the cell, or delete the row if it is a mean or a note below the table."


@dataclass(frozen=True)
class Rule:
    """One rule of a column: what holds for a good cell, and what to say of a bad one."""

    holds: Callable[[pd.Series], pd.Series]
    message: str
    expected: str
    remedy: str = LEAVE_EMPTY


def read_cells(
    raw: pd.DataFrame, names: Mapping[str, str], known: Sequence[Column]
) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the cells of the known columns as numbers and texts, and every bad cell.

    Parameters
    ----------
    raw : DataFrame
        Cells as texts (missing = ``""``), the user's column names, spreadsheet row as index.
    names : mapping of str to str
        Canonical name → the user's, for the columns that exist.
    known : sequence of Column
        The columns of the layout, in the order of the catalogue.

    Returns
    -------
    frame : DataFrame
        Canonical column names in catalogue order; numbers as float (missing or unreadable = NaN), units as typed.
    problems : list of Problem
        One per check, column and value: equal values in several rows are one problem with several rows.
    """
    present = [column for column in known if column.name in names]
    cells: dict[str, pd.Series] = {}
    problems: list[Problem] = []
    for column in present:
        text = raw[names[column.name]]
        if column.kind == "number":
            cells[column.name], unreadable = numbers(text)
            problems += bad_cells(
                "not-a-number", "text stands where a number is needed", text[unreadable], "a number", LEAVE_EMPTY
            )
        else:
            cells[column.name] = _words(text, column.kind).astype(object)
    frame = pd.DataFrame(cells, index=raw.index)
    return frame, problems + _broken_rules(frame, raw, names, present)


def numbers(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return texts as numbers (NaN where empty or unreadable) and where they are unreadable."""
    text = text.str.replace("\N{MINUS SIGN}", "-")
    readable = text.str.fullmatch(NUMBER, case=False).astype(bool)
    values = pd.Series(np.nan, index=text.index, dtype=float)
    values[readable] = text[readable].to_numpy(object).astype(float)
    return values, ~readable & (text != "")


def whole_ids(text: pd.Series) -> pd.Series:
    """Return ids without the ``.0`` of a spreadsheet's floats, where no id of the column has another decimal."""
    if text.str.fullmatch(r"-?[0-9]+\.[0-9]*[1-9][0-9]*").any():
        return text
    return text.str.replace(r"^(-?[0-9]+)\.0+$", r"\1", regex=True)


def _words(text: pd.Series, kind: str) -> pd.Series:
    if kind == "choice":
        return text.str.casefold()
    return whole_ids(text) if kind == "id" else text


def bad_cells(check: str, message: str, cells: pd.Series, expected: str, remedy: str = LEAVE_EMPTY) -> list[Problem]:
    """Return one error per distinct value among bad cells (index: spreadsheet row, name: the user's column)."""
    rows: dict[str, list[int]] = {}
    for row, value in cells.items():
        rows.setdefault(str(value), []).append(int(str(row)))
    return [
        Problem(
            check, message, rows=tuple(found), column=str(cells.name), value=value, expected=expected, remedy=remedy
        )
        for value, found in rows.items()
    ]


def bad_rows(problems: Iterable[Problem], column: str | None = None) -> set[int]:
    """Return the rows with errors, or with errors in one column (the user's name)."""
    errors = (problem for problem in problems if problem.severity == "error")
    return {row for problem in errors if column in (None, problem.column) for row in problem.rows}


def rules_of(column: Column) -> dict[str, Rule]:
    """Return the rules of a column, keyed by the name of the check; an empty number breaks none."""
    if column.kind != "number":
        return _rules_of_words(column)
    rules = {"infinite": Rule(np.isfinite, "the number is infinite", "a finite number")}
    if column.unit == "plots":
        return rules | _COUNT_RULES
    if column.outcome and column.strict and column.lower == 0.0:
        positive = _rules_of_positive(_measured(column.name))
        if column.name == FUNGAL_NECROMASS:  # of a plot: means of arms may be nothing
            positive = {check: replace(rule, remedy=_FUNGI_OF_PLOTS) for check, rule in positive.items()}
        return rules | positive
    if column.lower is None and column.upper is None:
        return rules
    bounds = _bounds(column)
    if column.name == CI_LEVEL:
        bounds = replace(bounds, remedy="Write a fraction: 0.95 for 95 %.")
    return rules | {"out-of-range": bounds}


def _broken_rules(
    frame: pd.DataFrame, raw: pd.DataFrame, names: Mapping[str, str], known: Sequence[Column]
) -> list[Problem]:
    """Return every cell that breaks a rule of its column."""
    rules = {column.name: rules_of(column) for column in known}
    checks = {name: [pa.Check(rule.holds, name=check) for check, rule in own.items()] for name, own in rules.items()}
    schema = pa.DataFrameSchema({name: pa.Column(None, own, nullable=True) for name, own in checks.items()})
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as failed:
        cases = failed.failure_cases
    else:
        return []
    problems = []
    for (name, check), found in cases.groupby(["column", "check"], sort=False):
        rule, rows = rules[name][check], found["index"].astype(int)
        problems += bad_cells(check, rule.message, raw.loc[rows, names[name]], rule.expected, rule.remedy)
    return problems


def _measured(name: str) -> str:
    """Return what a positive number is: sd, se, cv or ci by the end of its column's name, vi, v_control, else mean."""
    for kind in (*DISPERSIONS, *INTERVALS):
        if name.endswith(f"_{kind}"):
            return kind
    return "variance" if name.startswith(("vi", "v_control")) else "mean"


def _rules_of_positive(what: str) -> dict[str, Rule]:
    """Return the rules of means, SDs, SEs, CVs and variances: zero and negative ones have reasons of their own."""
    zero = {
        "mean": "the logarithm of a zero mean does not exist",
        "variance": "a sampling variance of zero would outweigh all other rows",
    }.get(what, f"with a zero {what.upper()} the arm would have no sampling error and outweigh all others")
    hint = " A value below the detection limit is not a zero." if what == "mean" else ""
    name = what if what in ("mean", "variance") else what.upper()
    return {
        f"zero-{what}": Rule(lambda x: x != 0, zero, "a number above 0", LEAVE_EMPTY + hint),
        f"negative-{what}": Rule(lambda x: x >= 0, f"the {name} is negative", "a number above 0"),
    }


def _rules_of_words(column: Column) -> dict[str, Rule]:
    """Return the rules of names and choices."""
    rules = {}
    if column.choices:
        expected = " or ".join(column.choices)
        rules[f"unknown-{column.name}"] = Rule(
            lambda x: x.isin((*column.choices, "")), f"the {column.name} is not known", expected, f"Write {expected}."
        )
    if not column.blank:
        remedy = FILL_IN if column.name in ("study", "treatment") else "Fill in the cell."
        rules[f"empty-{column.name}"] = Rule(
            lambda x: x != "", "the cell is empty", f"a {column.name.replace('_', ' ')}", remedy
        )
    return rules


def _bounds(column: Column) -> Rule:
    """Return the rule of a number's range."""
    lower = -np.inf if column.lower is None else column.lower
    upper = np.inf if column.upper is None else column.upper
    edges: Literal["neither", "both"] = "neither" if column.strict else "both"
    if np.isinf(upper):
        expected = f"a number {'above' if column.strict else 'of at least'} {lower:g}"
    else:
        expected = (
            f"a number {'between' if column.strict else 'from'} {lower:g} {'and' if column.strict else 'to'} {upper:g}"
        )
    unit = f" ({column.unit})" if column.unit else ""
    return Rule(
        lambda x: np.isinf(x) | x.between(lower, upper, inclusive=edges), "the number is out of range", expected + unit
    )


_COUNT_RULES: Final = {
    "n-below-two": Rule(
        lambda x: x >= 2,
        "fewer than two plots have no variation among plots",
        "2 or more replicate plots",
        "Leave the cell empty if the number of plots is not known; leave the row out if there was one plot only.",
    ),
    "fractional-n": Rule(
        lambda x: ~np.isfinite(x) | (x % 1 == 0), "plots are counted in whole numbers", "a whole number"
    ),
}
