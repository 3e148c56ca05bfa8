"""Which columns of a data frame of metafor hold studies, comparisons, outcomes, log ratios and their variances."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import pandas as pd

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.guess import nearest

#: Names under which data frames hold what we need, in lower case; several of them at once are ambiguous.
STUDIES: Final = ("study", "study_id", "studyid", "study.id", "paper", "author", "reference", "trial")
COMPARISONS: Final = ("comparison", "esid", "es_id", "es.id", "effect_id", "obs", "id")
OUTCOMES: Final = ("outcome", "pool", "variable", "response", "measure")
TREATMENTS: Final = ("treatment", "treatments", "treat", "trt")
#: Names under which data frames of metafor keep what a row is called in a forest plot.
LABELS: Final = ("slab", "label")


def identifying_columns(frame: pd.DataFrame, study: str | None, comparison: str | None) -> dict[str, str]:
    """Return the columns of study and comparison, as given or by a usual name; the comparison's may be absent."""
    file = frame.attrs["source"]
    wanted = {"study": (study, STUDIES), "comparison": (comparison, COMPARISONS)}
    found = {name: find_column(frame, given, usual, name) for name, (given, usual) in wanted.items()}
    if not found["study"]:
        problem = Problem(
            "escalc-no-study",
            "no column is known as the study, whose effects share heterogeneity",
            file=file,
            expected=f"one of {', '.join(STUDIES)}",
            remedy="Name it: --study COLUMN.",
        )
        raise DataError([problem])
    return {name: column for name, column in found.items() if column}


def find_column(frame: pd.DataFrame, given: str | None, usual: Sequence[str], what: str) -> str | None:
    """Return a column by the name given, else by the only usual name that is there, else None.

    Raises
    ------
    DataError
        If the name given is absent, or several usual ones are there and none is plainly `what`.
    """
    file = frame.attrs["source"]
    option = "--outcome-column" if what == "outcome" else f"--{what}"
    if given is not None:
        if given in frame:
            return given
        near = nearest(given, [str(name) for name in frame])
        remedy = f"The nearest existing column is {near!r}." if near else f"Columns: {', '.join(map(str, frame))}."
        raise DataError(
            [
                Problem(
                    "column-absent",
                    f"there is no column {given!r}",
                    file=file,
                    expected=f"a column for {option}",
                    remedy=remedy,
                )
            ]
        )
    found = [str(name) for name in frame if str(name).casefold() in usual]
    exact = [name for name in found if name.casefold() == what]
    found = exact or found
    if len(found) > 1:
        message = f"several columns may be the {what}: {', '.join(found)}"
        raise DataError([Problem("escalc-ambiguous", message, file=file, remedy=f"Name one: {option} {found[0]}.")])
    return found[0] if found else None


def treatment_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns that may hold the treatments; one only where it is plain which one does."""
    found = [str(name) for name in frame if str(name).casefold() in TREATMENTS]
    exact = [name for name in found if name.casefold() == TREATMENTS[0]]
    return exact if len(exact) == 1 else found


def comparison_labels(frame: pd.DataFrame, rows: pd.Series, names: Mapping[str, str]) -> pd.Series:
    """Return what the comparison of each row is called.

    Parameters
    ----------
    frame : DataFrame
        One row per log ratio, or per comparison.
    rows : Series
        Comparison of each row, numbered.
    names : mapping of str to str
        Columns of study and, where there are, comparison and treatment.

    Notes
    -----
    Without a column of comparisons: its label in R or its treatment, with the spreadsheet row where a study has it
    twice; its spreadsheet row where there are none.
    """
    first = frame.assign(row=frame.index).groupby(rows.to_numpy(), sort=True).first()
    if "comparison" in names:
        return rows.map(first[names["comparison"]])
    row = "row " + first["row"].astype(str)
    usual = [str(name) for name in frame if str(name).casefold() in LABELS]
    sources = [name for name in (*usual[:1], names.get("treatment")) if name]
    if not sources:
        return rows.map(row)
    label = first[sources[0]].astype(str)
    twice = pd.DataFrame({"study": first[names["study"]], "label": label}).duplicated(keep=False)
    return rows.map(label.where(~twice, label + " (" + row + ")").where(label != "", row))


def ratio_columns(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Return the columns of log ratio and variance by outcome, which is ``""`` for plain ``yi`` and ``vi``."""
    file, columns = frame.attrs["source"], [str(name) for name in frame]
    found: dict[str, tuple[str, str]] = {}
    alone = []
    for name in columns:
        match = re.fullmatch(r"yi(?:[._](.+))?|(.+)[._]yi", name)
        if match:
            variance = "vi".join(name.rsplit("yi", 1)) if name.endswith("yi") else name.replace("yi", "vi", 1)
            outcome = match[1] or match[2] or ""
            if variance in columns:
                found[outcome] = (name, variance)
            else:
                alone.append((name, variance))
    if alone or not found:
        name, variance = alone[0] if alone else ("yi", "vi")
        message = f"{name} has no variance beside it" if alone else "there is no log ratio yi with its variance vi"
        remedy = f"Give its variance in a column {variance}; write the data frame of escalc() with write.csv."
        raise DataError(
            [
                Problem(
                    "escalc-no-variance",
                    message,
                    file=file,
                    column=name,
                    expected=f"{name} and {variance}",
                    remedy=remedy,
                )
            ]
        )
    if "" in found and len(found) > 1:
        message = f"log ratios stand in yi and, by outcome, in {', '.join(yi for key, (yi, _) in found.items() if key)}"
        raise DataError(
            [Problem("escalc-ambiguous", message, file=file, remedy="Delete the columns that are not meant.")]
        )
    return found


def both_shapes(long: str, pairs: Mapping[str, tuple[str, str]], file: str) -> Problem:
    """Return an error for outcomes that stand below each other and side by side."""
    listed = ", ".join(yi for yi, _ in pairs.values())
    message = f"outcomes stand below each other (column {long}) and side by side ({listed})"
    return Problem("escalc-ambiguous", message, file=file, remedy="Delete the columns that are not meant.")
