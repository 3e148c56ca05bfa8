"""Moderator formulas: the columns of the design matrix, and the row of a point that is in no table.

The grammar is small (`grammar`), and so is what follows from it; columns are built here, without a formula library.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.fields import suggestion, unknown
from mcpbayes.specification.grammar import KEY, Term, parse, terms

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Design", "build_design", "categories", "design_row", "natural_key", "numeric", "parse", "typical"]

Array = np.ndarray[Any, np.dtype[Any]]
Columns = dict[str, Array]

#: Spread below which values count as equal, relative to their size: rounding of means, not variation.
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Design:
    """A design matrix and how to make further rows of it.

    Parameters
    ----------
    matrix : ndarray of float, (comparison, coefficient)
    coefficients : tuple of str
        Names of the columns; the first is ``intercept``.
    recipe : str
        JSON, for `design_row`, `categories` and `numeric`.
    """

    matrix: Array
    coefficients: tuple[str, ...]
    recipe: str


def build_design(
    frame: "pd.DataFrame", studies: Sequence[str], formula: str, *, standardise: bool, within_between: bool
) -> Design:
    """Return the design matrix of the comparisons of a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per comparison, one column per moderator of the formula; numbers are numeric moderators, anything else
        is categorical. Nothing missing.
    studies : sequence of str
        Study of each row.
    formula : str
        As `grammar.terms`.
    standardise : bool
        Centre and scale numeric moderators by the mean and the SD (ddof 1) of their study means; where those do not
        vary, the SD over the rows takes the SD's place.
    within_between : bool
        Split numeric moderators into study mean, ``clay[between]``, and deviation from it, ``clay[within]``, both
        on the scale of the study means. One that varies only between or only within studies stays one column.

    Returns
    -------
    Design
        Coefficients ``intercept``, ``clay``, ``ecosystem[forest]``, ``clay:ecosystem[forest]``.

    Raises
    ------
    SpecificationError
        When a moderator is not in the frame, is constant or has missing values, or two coefficients share a name.

    Notes
    -----
    Categories are coded sum-to-zero: one column per level in natural order without the last, which is −1 in all of
    them. So the intercept is the effect averaged over categories with equal weights, and a slope is the average slope.
    An interaction is the product of the columns of its parts.
    """
    groups = np.unique(np.asarray(studies, dtype=str), return_inverse=True)[1]
    moderators: dict[str, dict[str, Any]] = {}
    columns: dict[str, Columns] = {}
    for name in parse(formula):
        if name not in frame:
            raise SpecificationError(f"no column {name!r}; {suggestion(name, [str(c) for c in frame])}", KEY)
        if frame[name].isna().any():
            raise SpecificationError(f"the moderator {name!r} has missing values", KEY)
        values = frame[name].to_numpy()
        if np.issubdtype(values.dtype, np.number):
            x = values.astype(float)
            moderators[name], columns[name] = _numeric_columns(name, x, groups, standardise, within_between)
        else:
            labels = np.array([str(value) for value in values], dtype=object)
            moderators[name], columns[name] = _categorical_columns(name, labels)
    expanded = _expand(terms(formula), columns, len(groups))
    recipe = {"terms": terms(formula), "moderators": moderators}
    return Design(
        np.column_stack(list(expanded.values())),
        tuple(expanded),
        json.dumps(recipe, ensure_ascii=False, allow_nan=False),
    )


def design_row(recipe: str, at: Mapping[str, object] | None = None) -> Array:
    """Return the design row of a point.

    Parameters
    ----------
    recipe : str
        Of a `Design`.
    at : mapping of moderator to value, optional
        Numbers in the table's unit, or names of categories. Moderators not named: numeric ones at the mean of the
        study means, categories weighted equally. With ``within_between`` a number is a study mean, the deviation is 0.

    Returns
    -------
    ndarray of float, (coefficient,)

    Raises
    ------
    SpecificationError
        For an unknown moderator or category, naming those that exist.
    """
    made, at = json.loads(recipe), at or {}
    for name in at:
        if name not in made["moderators"]:
            raise unknown("moderator", name, list(made["moderators"]), "at")
    columns = {name: _point(name, entry, at.get(name)) for name, entry in made["moderators"].items()}
    return np.concatenate(list(_expand(made["terms"], columns, 1).values()))


def categories(recipe: str) -> dict[str, tuple[str, ...]]:
    """Return the categories of each categorical moderator, in natural order."""
    moderators = json.loads(recipe)["moderators"]
    return {name: tuple(entry["levels"]) for name, entry in moderators.items() if "levels" in entry}


def typical(recipe: str) -> dict[str, float]:
    """Return the value of each numeric moderator where none is asked for: the mean of its study means."""
    moderators = json.loads(recipe)["moderators"]
    return {name: float(entry["at"]) for name, entry in moderators.items() if "at" in entry}


def numeric(recipe: str) -> dict[str, tuple[float, float]]:
    """Return mean and scale of each coefficient that is the slope of a numeric moderator on its own.

    Returns
    -------
    dict of str to (float, float)
        Coefficient (``clay``, or ``clay[between]`` and ``clay[within]``) → what was subtracted and what was divided
        by, (0, 1) for a column left as it was. The slope per unit of the moderator is β / scale.
    """
    made = json.loads(recipe)
    alone = [term[0] for term in made["terms"] if len(term) == 1 and "levels" not in made["moderators"][term[0]]]
    found: dict[str, tuple[float, float]] = {}
    for name in alone:
        entry = made["moderators"][name]
        if entry["split"]:
            found[f"{name}[between]"] = (entry["centre"], entry["scale"])
            found[f"{name}[within]"] = (0.0, entry["scale"])
        else:
            found[name] = (entry["centre"], entry["scale"])
    return found


def natural_key(text: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key that reads runs of digits as numbers; the text itself breaks ties."""
    parts = re.split(r"(\d+)", text)
    return tuple(int(part) if i % 2 else part.casefold() for i, part in enumerate(parts)), text


def _numeric_columns(
    name: str, x: Array, groups: Array, standardise: bool, within_between: bool
) -> tuple[dict[str, Any], Columns]:
    if not np.isfinite(x).all():
        raise SpecificationError(f"the moderator {name!r} has infinite values", KEY)
    if _spread(x) == 0.0:
        raise SpecificationError(f"the moderator {name!r} is the same in every row ({x[0]:g}); leave it out", KEY)
    study_means = np.bincount(groups, x) / np.bincount(groups)
    deviation = x - study_means[groups]
    between = _spread(study_means)
    split = within_between and between > 0.0 and _spread(deviation, np.abs(x).max()) > 0.0
    entry: dict[str, Any] = {"at": float(study_means.mean()), "centre": 0.0, "scale": 1.0, "split": split}
    if standardise:
        entry |= {"centre": entry["at"], "scale": between or _spread(x)}
    if not split:
        return entry, {name: (x - entry["centre"]) / entry["scale"]}
    return entry, {
        f"{name}[between]": (study_means[groups] - entry["centre"]) / entry["scale"],
        f"{name}[within]": deviation / entry["scale"],
    }


def _categorical_columns(name: str, labels: Array) -> tuple[dict[str, Any], Columns]:
    levels = sorted(set(labels), key=natural_key)
    if len(levels) < 2:
        raise SpecificationError(f"the moderator {name!r} is {levels[0]!r} in every row; leave it out", KEY)
    last = (labels == levels[-1]).astype(float)
    return {"levels": levels}, {f"{name}[{level}]": (labels == level) - last for level in levels[:-1]}


def _spread(x: Array, size: float | None = None) -> float:
    """Return the SD (ddof 1), and 0 where it is only rounding or there is a single value."""
    if len(x) < 2:
        return 0.0
    spread = float(np.std(x, ddof=1))
    return spread if spread > NEGLIGIBLE * (np.abs(x).max() if size is None else size) else 0.0


def _expand(parts: Sequence[Term], columns: Mapping[str, Columns], rows: int) -> Columns:
    """Return the named columns of all terms; the columns of an interaction are the products of its parts'."""
    expanded: Columns = {"intercept": np.ones(rows)}
    for term in parts:
        products = dict(columns[term[0]])
        for name in term[1:]:
            products = {f"{a}:{b}": x * y for a, x in products.items() for b, y in columns[name].items()}
        if clash := [name for name in products if name in expanded]:
            raise SpecificationError(f"two coefficients would be called {clash[0]!r}; rename a moderator", KEY)
        expanded |= products
    return expanded


def _point(name: str, entry: Mapping[str, Any], value: object) -> Columns:
    """Return the columns of one moderator at one value, or averaged where the value is None."""
    if "levels" in entry:
        levels = entry["levels"]
        if value is None:
            return {f"{name}[{level}]": np.zeros(1) for level in levels[:-1]}
        value = str(value)
        if value not in levels:
            raise unknown("category", value, levels, f"at.{name}")
        last = float(value == levels[-1])
        return {f"{name}[{level}]": np.array([float(value == level) - last]) for level in levels[:-1]}
    x = entry["at"] if value is None else _number(name, value)
    scaled = np.array([(x - entry["centre"]) / entry["scale"]])
    return {f"{name}[between]": scaled, f"{name}[within]": np.zeros(1)} if entry["split"] else {name: scaled}


def _number(name: str, value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = np.nan
    if isinstance(value, bool) or not np.isfinite(number):
        raise SpecificationError(f"{name!r} is numeric, expected a number, found {value!r}", f"at.{name}")
    return number
