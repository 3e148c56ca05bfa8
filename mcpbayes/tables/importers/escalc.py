"""Data frames of metafor's escalc(), written to CSV from R: published log ratios become the layout ``contrast``.

Three shapes are understood: one outcome (``yi``, ``vi``), several outcomes side by side (``yi_necromass``,
``vi_necromass``, ...), and several outcomes below each other (a column that names the outcome of a row).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.columns import contrast_columns
from mcpbayes.tables.guess import pool_meant
from mcpbayes.tables.importers import ledger
from mcpbayes.tables.importers.escalc_columns import (
    OUTCOMES,
    both_shapes,
    comparison_labels,
    find_column,
    identifying_columns,
    ratio_columns,
    treatment_columns,
)
from mcpbayes.tables.importers.ledger import Imported
from mcpbayes.tables.reading import read_file
from mcpbayes.tables.schema import whole_ids
from mcpbayes.vocabulary import NECROMASS, SOC

#: What R calls the column with the names of the rows.
ROW_NAMES: Final = "row_names"
#: A single outcome that the file does not name.
UNNAMED: Final = "yi"

#: Log ratios and their variances, by the number of the comparison.
Ratios = tuple[pd.Series, pd.Series]


def import_escalc(
    path: str | Path,
    *,
    study: str | None = None,
    comparison: str | None = None,
    outcome_column: str | None = None,
    outcomes: Mapping[str, str] | None = None,
) -> Imported:
    """Return the contrasts of a data frame of metafor.

    Parameters
    ----------
    path : str or Path
        CSV file with ``yi`` and ``vi`` (log response ratios, measure ROM).
    study, comparison, outcome_column : str, optional
        Columns; by default those with a usual name, if there is one only.
    outcomes : mapping of str to str, optional
        Outcome in the file → our name, for example ``{"MNC": "necromass"}``; by default names that mean a pool.

    Returns
    -------
    Imported
        Layout ``contrast``; all other columns whose cells agree within a comparison go along as moderators.

    Raises
    ------
    DataError
        Where the shape, or what belongs together, can be read in more than one way.
    """
    frame = read_file(path, row_names=ROW_NAMES)
    file = frame.attrs["source"]
    names = identifying_columns(frame, study, comparison)
    pairs = ratio_columns(frame)
    long = find_column(frame, outcome_column, OUTCOMES, "outcome")
    long = long if long and (outcome_column or frame[long].replace("", None).nunique() > 1) else None
    if long and list(pairs) != [""]:
        raise DataError([both_shapes(long, pairs, file)])
    if long:
        rows, by_outcome = _below_each_other(frame, names, long, outcomes or {}, file)
    else:
        rows, by_outcome = _side_by_side(frame, pairs, outcomes or {})
    possible = [name for name in treatment_columns(frame) if name != long]
    if len(possible) == 1 and (frame.groupby(rows)[possible[0]].nunique() <= 1).all():
        names |= {"treatment": possible[0]}
    label = comparison_labels(frame, rows, names)
    taken = (*names.values(), *([long] if long else []))
    table, notes = _contrasts(frame, rows, by_outcome, names, label, taken, file)
    book = _book(frame, by_outcome, names, label, long)
    notes = (*notes, *_of_treatments(frame, names, possible, file))
    return Imported(table, book, notes, _settings(ordered_outcomes(by_outcome)))


def _of_treatments(
    frame: pd.DataFrame, names: Mapping[str, str], possible: Sequence[str], file: str
) -> tuple[Problem, ...]:
    """Return a note of the column that was taken as the treatment, a warning where several may be it."""
    if "treatment" in names:
        column = names["treatment"]
        count = frame[column].replace("", None).nunique()
        message = f"the column is taken as the treatment: {count} kind{'s' if count != 1 else ''}"
        return (Problem("treatment-taken", message, "note", file=file, column=column),)
    if len(possible) > 1:
        message = "several columns may be the treatment, so none is taken: all comparisons count as one kind"
        remedy = "Call the one that is meant treatment."
        listed = ", ".join(possible)
        return (Problem("treatment-unclear", message, "warning", file=file, column=listed, remedy=remedy),)
    return ()


def _settings(outcomes: Sequence[str]) -> str:
    """Return the options by which the table is read: the model, and the outcomes where they are not the two pools."""
    if list(outcomes) == [NECROMASS, SOC]:
        return "--model contrast-based"
    listed = ", ".join(f'"{NECROMASS if outcome == UNNAMED else outcome}"' for outcome in outcomes)
    return f"--model contrast-based --set 'data.outcomes=[{listed}]'"


def _named(outcome: str, given: Mapping[str, str]) -> str:
    """Return our name of an outcome: as given, else the pool that is meant, else its own in plain letters."""
    if outcome in given:
        return given[outcome]
    return pool_meant(outcome) or re.sub(r"\W+", "_", outcome.casefold()).strip("_")


def _side_by_side(
    frame: pd.DataFrame, pairs: Mapping[str, tuple[str, str]], given: Mapping[str, str]
) -> tuple[pd.Series, dict[str, Ratios]]:
    """Return each row's comparison, numbered, and by outcome (yi, vi) of the comparisons."""
    rows = pd.Series(range(len(frame)), frame.index)
    named = {(_named(key, given) if key else given.get(UNNAMED, UNNAMED)): columns for key, columns in pairs.items()}
    numbers = {name: ledger.source_numbers(frame, columns) for name, columns in named.items()}
    return rows, {
        name: (part.iloc[:, 0].set_axis(rows.to_numpy()), part.iloc[:, 1].set_axis(rows.to_numpy()))
        for name, part in numbers.items()
    }


def _below_each_other(
    frame: pd.DataFrame, names: Mapping[str, str], long: str, given: Mapping[str, str], file: str
) -> tuple[pd.Series, dict[str, Ratios]]:
    """Return each row's comparison, numbered, and by outcome (yi, vi) of the comparisons."""
    keys = [names[key] for key in ("study", "comparison") if key in names]
    problems = _unclear_rows(frame, keys, long, file)
    if problems:
        raise DataError(problems)
    rows = frame.groupby(keys, sort=False).ngroup()
    numbers = ledger.source_numbers(frame, ("yi", "vi"))
    parts = {}
    for value in dict.fromkeys(frame[long]):
        own = frame.index[frame[long] == value]
        at = rows[own].to_numpy()
        name = _named(value, given)
        if name in parts:
            message = f"several outcomes of the column {long} are called {name}"
            remedy = "Give each a name of its own: --outcomes 'MNC=necromass,SOC=soc'."
            raise DataError([Problem("escalc-ambiguous", message, file=file, column=long, value=value, remedy=remedy)])
        parts[name] = (numbers.loc[own, "yi"].set_axis(at), numbers.loc[own, "vi"].set_axis(at))
    return rows, parts


def _unclear_rows(frame: pd.DataFrame, keys: Sequence[str], long: str, file: str) -> list[Problem]:
    """Return an error for rows without an outcome, and for rows of which it cannot be told what belongs together."""
    problems = []
    empty = frame.index[frame[long] == ""]
    if len(empty):
        problems.append(
            Problem(
                "escalc-no-outcome",
                "the outcome of the row is not named",
                file=file,
                rows=tuple(int(row) for row in empty),
                column=long,
                value="",
                expected="an outcome",
                remedy="Fill it in, or delete the row.",
            )
        )
    twice = frame.index[frame.duplicated([*keys, long], keep=False) & (frame[long] != "")]
    if len(twice):
        columns = ", ".join([*keys, long])
        problems.append(
            Problem(
                "escalc-ambiguous",
                "these rows agree in study, comparison and outcome: it cannot be told which outcomes belong together",
                file=file,
                rows=tuple(int(row) for row in twice),
                column=columns,
                expected="one row per study, comparison and outcome",
                remedy="Name the column that tells the comparisons of a study apart: --comparison COLUMN.",
            )
        )
    return problems


def _contrasts(
    frame: pd.DataFrame,
    rows: pd.Series,
    by_outcome: Mapping[str, Ratios],
    names: Mapping[str, str],
    label: pd.Series,
    taken: Sequence[str],
    file: str,
) -> tuple[pd.DataFrame, tuple[Problem, ...]]:
    """Return the table, and what the reader should know about it."""
    first = frame.groupby(rows, sort=True).first()
    outcomes = ordered_outcomes(by_outcome)
    table = pd.DataFrame({"study": whole_ids(first[names["study"]])})
    table["comparison"] = label.groupby(rows, sort=True).first()
    if "treatment" in names:
        table["treatment"] = first[names["treatment"]]
    for outcome in outcomes:
        yi, vi, _ = contrast_columns(outcomes, outcome)
        table[yi], table[vi] = (part.reindex(table.index) for part in by_outcome[outcome])
    measured = re.compile(r"(yi|vi)([._].+)?|.+[._](yi|vi)")
    others = [str(c) for c in frame if c not in (*taken, ROW_NAMES) and not measured.fullmatch(str(c))]
    agree = [name for name in others if (frame.groupby(rows)[name].nunique() <= 1).all()]
    table = table.join(first[[name for name in agree if name not in table]])
    given = table[[contrast_columns(outcomes, o)[0] for o in outcomes]].notna().any(axis=1)
    return table[given].reset_index(drop=True), _notes(others, agree, outcomes, table.columns, file)


def ordered_outcomes(outcomes: Mapping[str, object] | Sequence[str]) -> list[str]:
    """Return outcomes with necromass and SOC first, the others in alphabetical order."""
    return [o for o in (NECROMASS, SOC) if o in outcomes] + sorted(o for o in outcomes if o not in (NECROMASS, SOC))


def _notes(
    others: Sequence[str], agree: Sequence[str], outcomes: Sequence[str], columns: Sequence[str] | pd.Index, file: str
) -> tuple[Problem, ...]:
    notes = []
    differing = [name for name in others if name not in agree]
    if differing:
        message = "these columns differ between the outcomes of a comparison and are left out"
        notes.append(Problem("columns-left-out", message, "note", file=file, value=", ".join(differing)))
    if len(outcomes) > 1 and not {"cov", "rho"} & set(columns):
        message = (
            "a data frame of escalc() does not hold the sampling covariance between outcomes (metafor keeps it in V): "
            "data.defaults.rho_within is assumed"
        )
        notes.append(Problem("covariance-absent", message, "warning", remedy="Add a column cov or rho from your V."))
    if outcomes == [UNNAMED]:
        message = f"the file does not say which pool yi is; the next commands call it {NECROMASS}"
        remedy = f"If it is another: --outcomes {UNNAMED}={SOC}."
        notes.append(Problem("outcome-unnamed", message, "warning", remedy=remedy))
    return tuple(notes)


def _book(
    frame: pd.DataFrame,
    by_outcome: Mapping[str, Ratios],
    names: Mapping[str, str],
    label: pd.Series,
    long: str | None,
) -> pd.DataFrame:
    """Return what became of every row."""
    if long:
        given = pd.Series(False, frame.index)
        values = pd.concat([yi for yi, _ in by_outcome.values()])
        order = pd.concat([pd.Series(frame.index[frame[long] == v]) for v in dict.fromkeys(frame[long])])
        given.loc[order.to_numpy()] = values.notna().to_numpy()
    else:
        given = pd.DataFrame({o: yi for o, (yi, _) in by_outcome.items()}).notna().any(axis=1).set_axis(frame.index)
    called = whole_ids(frame[names["study"]]) + ": " + label
    return pd.DataFrame(
        {
            "row": frame.index,
            "study": whole_ids(frame[names["study"]]).to_numpy(),
            ledger.USED_AS: given.map({True: "contrast", False: ledger.NOT_USED}).to_numpy(),
            ledger.REASON: given.map({True: "", False: "yi is missing (NA)"}).to_numpy(),
            ledger.COMPARISON: called.where(given, "").to_numpy(),
            ledger.FLAG: "",
        }
    )
