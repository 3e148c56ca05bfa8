"""A table in, labelled arms (or contrasts) out: every problem is found before anything is refused."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes.errors import DataError, Problem
from mcpbayes.measurement.factor_draws import central
from mcpbayes.specification.formula import build_design
from mcpbayes.specification.structure import DataSection, Specification
from mcpbayes.tables import (
    amino_checks,
    checks,
    contrast_checks,
    contrasts,
    durations,
    intervals,
    notes,
    plots,
    soil_traps,
    spread_notes,
    spreads,
    unit_checks,
)
from mcpbayes.tables.amino_parts import converted_parts, with_sugars_of_parts
from mcpbayes.tables.amino_sugars import converted, necromass_source, with_amino_sugars
from mcpbayes.tables.below import stray_rows, without_notes
from mcpbayes.tables.columns import CONTROL, measured
from mcpbayes.tables.controls import PLACE, control_rule, differing_controls, filled_from_group, group_controls
from mcpbayes.tables.cvs import with_cvs
from mcpbayes.tables.fungal import controls_as_read, controls_left_out, without_faint_fungi, without_fungi
from mcpbayes.tables.labels import hierarchy_dataset, name_rows
from mcpbayes.tables.layouts import CONTROL_ROW, arm_columns, comparisons
from mcpbayes.tables.levels import kind_level, kinds_of, site_level, site_names
from mcpbayes.tables.moderators import PREFIX, complete_rows, moderator_columns
from mcpbayes.tables.moments import arm_dataset, imputed_counts
from mcpbayes.tables.opening import Opened, open_table
from mcpbayes.tables.part_arms import most_bacterial
from mcpbayes.tables.reading import ENCODING, as_table, read_file
from mcpbayes.tables.recognising import other_layout
from mcpbayes.tables.schema import bad_rows
from mcpbayes.vocabulary import DERIVED, DURATION, PARTS, REPORTED, TWO_POOL, has_parts


def prepare(table: pd.DataFrame | str | Path, model: Specification) -> xr.Dataset:
    """Return the validated arms (or contrasts) of a table, ready for a fit.

    Parameters
    ----------
    table : DataFrame, str or Path
        A table from `mcpbayes.read_table`, a DataFrame of your own, or the path of a file.
    model : Specification
        From `mcpbayes.load_model`: layout, names and units of columns, defaults, moderators, levels.

    Returns
    -------
    Dataset
        Arm-based: ``log_mean(arm, outcome)`` in ln(g/kg), or ln(Mg/ha) where ``attrs["unit"]`` says so,
        ``sampling_covariance(arm, outcome, outcome_bis)``, where SDs and n come from, who belongs to whom,
        ``design(comparison, coefficient)``. Contrast-based: ``log_ratio(comparison, outcome)`` with its covariance.
        Warnings and notes: ``attrs["problems"]``, JSON. The order of rows and columns in the file leaves no trace but
        in ``source_row``.

    Raises
    ------
    DataError
        With all errors of the table, not only the first.
    SpecificationError
        If the formula cannot be used with the table.
    """
    data, problems = _examine(table, model)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors or data is None:
        raise DataError(errors)
    return data


def check_table(table: pd.DataFrame | str | Path, model: Specification) -> tuple[Problem, ...]:
    """Return every error, warning and note that `prepare` would find, without raising `DataError`.

    Parameters
    ----------
    table : DataFrame, str or Path
        As for `prepare`.
    model : Specification
        As for `prepare`.

    Returns
    -------
    tuple of Problem
        Errors first, then warnings, then notes. Warnings about the table as a whole need a table without errors.

    Raises
    ------
    SpecificationError
        If the formula cannot be used with the table.
    """
    try:
        problems = _examine(table, model)[1]
    except DataError as unreadable:
        problems = list(unreadable.problems)
    return tuple(problems)


def _examine(table: pd.DataFrame | str | Path, model: Specification) -> tuple[xr.Dataset | None, list[Problem]]:
    """Return the Dataset, where there are no errors, and all problems."""
    raw = as_table(table) if isinstance(table, pd.DataFrame) else read_file(table, model.data.sheet)
    wrong_layout = other_layout(list(raw.columns), model.data)
    if wrong_layout:
        return None, _placed([replace(wrong_layout, file=raw.attrs["source"])], raw)
    raw, below = without_notes(raw, model.data.columns.get("study", "study"))
    opened, problems = open_table(raw, model)
    if model.family == TWO_POOL:
        problems = durations.not_left_empty(problems, opened.names)
    problems += below + notes.encoding_note(raw.attrs.get(ENCODING))
    read = opened.frame
    opened, new = without_fungi(opened, model.data)
    problems += new
    problems += _row_problems(opened, model.data, problems)
    problems += soil_traps.soil_traps(raw, opened.names, model.data.layout, model.data.outcomes)
    if not opened.complete:
        return None, _placed(problems, raw)
    opened, arm_of_plot, new = _arms(opened, model.data)
    problems += new
    rows, names, new = _comparisons(opened, model, plots.at_arms(problems, arm_of_plot), read)
    problems += plots.at_plots(new, arm_of_plot)
    if _has_errors(problems):
        # of a part of the rows it would only echo the errors of the others
        spread = _structure(rows, model)[-1] if len(rows) == len(opened.frame) > 0 else []
        return None, _placed([*problems, *spread], raw)
    data, new = _dataset(opened, model, rows, names)
    if model.family == TWO_POOL:
        data, new = _unsaturated(opened, model, rows, names, data, new)
    problems = _placed([*problems, *plots.at_plots(new, arm_of_plot)], raw)
    if _has_errors(problems):
        return None, problems
    return data.assign_attrs(problems=json.dumps([p.as_dict() for p in problems], ensure_ascii=False)), problems


def _row_problems(opened: Opened, data: DataSection, known: Sequence[Problem]) -> list[Problem]:
    """Return what is wrong with single rows and with repeated ones."""
    frame, names, raw = opened.frame, opened.names, opened.raw
    problems = stray_rows(frame, names) + checks.depth_order(frame, names, raw)
    if not _has_errors(problem for problem in known if not problem.rows):
        # rows may look alike because their bad cells were emptied, or because a column is absent
        slips = sorted({problem.column for problem in known if problem.rows and problem.column})
        apart = plots.PLOT if data.layout == "plot" else "comparison"
        problems += checks.duplicated_rows(frame.join(raw[slips].add_prefix(checks.TYPED)), names, apart)
    if data.layout != "contrast":
        problems += spreads.contradicting_dispersions(opened, data) + intervals.interval_problems(opened, data)
    elif opened.complete:
        rows = comparisons(frame[~frame.index.isin(bad_rows(known))], names, data.layout, data.outcomes)[0]
        problems += contrast_checks.contrast_problems(rows, names, raw, data.outcomes, data.defaults.rho_within)
    if data.layout != "contrast" and all(stem in opened.factors for stem in measured(data.outcomes)):
        problems += unit_checks.implausible_units(opened, data)
    return problems


def _arms(opened: Opened, data: DataSection) -> tuple[Opened, dict[int, int], list[Problem]]:
    """Return the table with plots made arms and intervals made SEs, and the row of each plot's arm."""
    if data.layout == "plot":
        return plots.arms_of_plots(opened, data)
    return (opened if data.layout == "contrast" else intervals.with_standard_errors(opened, data)), {}, []


def _comparisons(
    opened: Opened, model: Specification, known: Sequence[Problem], read: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, str], list[Problem]]:
    """Return the complete comparisons, each with the group of its control, and what is wrong between them.

    `read` holds the cells as the table has them, those of fungal necromass that cannot be used included.
    """
    data = model.data
    rows, names, problems = comparisons(opened.frame, opened.names, data.layout, data.outcomes)
    rows, incomplete = complete_rows(rows, names, model.moderators.missing, known)
    problems += incomplete
    if model.family == TWO_POOL:
        rows, new = durations.rows_over_time(rows, names, known)
        problems += new
    rows = rows[rows["study"] != ""]
    if rows.empty:
        return rows, names, problems + ([] if _has_errors([*known, *problems]) else [_NOTHING_LEFT])
    identifying: tuple[str, ...] = ()
    strict, silent = list[str](), list(PLACE)
    if data.layout == "contrast":
        silent += contrasts.control_columns(data.outcomes)
    else:
        identifying = data.outcomes
        stems = measured(identifying)
        strict = list(dict.fromkeys(c for stem in stems for c in arm_columns("comparison", stem, CONTROL).cells))
    as_read = controls_as_read(rows, read, data)
    group = group_controls(as_read, identifying)
    problems += differing_controls(as_read, group, names, opened.raw, strict, silent, known)
    if data.layout != "contrast":
        rows, new = _with_necromass(rows, group, model)
        bad = bad_rows([*known, *new])
        sound = rows[~(rows.index.isin(bad) | rows[CONTROL_ROW].isin(bad))]
        problems += new + checks.pools_in_both_arms(sound, names, data.outcomes)
        if all(outcome in opened.factors for outcome in data.outcomes):
            problems += unit_checks.necromass_above_soc(rows, group, names, two_pools=model.family == TWO_POOL)
        fraction, _ = soil_traps.soil_fractions(opened.raw, opened.names)
        problems += notes.identical_soc(rows, names, data.outcomes, fraction)
    return filled_from_group(rows, group, silent).assign(control_group=group), names, problems


def _with_necromass(rows: pd.DataFrame, group: pd.Series, model: Specification) -> tuple[pd.DataFrame, list[Problem]]:
    """Return the rows with necromass made of amino sugars, where it is, and what is to be said of that."""
    data = model.data
    if not amino_checks.has_amino_sugars(rows, data.outcomes):
        return rows, []
    if has_parts(data.outcomes):
        rho_b = most_bacterial(model)
        made = converted_parts(rows, necromass_source(rows, group, data.necromass_from, PARTS), data, rho_b)
    else:
        rho_b = data.factors.rho_b.middle
        made = converted(rows, necromass_source(rows, group, data.necromass_from), central(data.factors))
    return made, amino_checks.amino_problems(rows, made, group, data, rho_b)


def _structure(rows: pd.DataFrame, model: Specification) -> tuple[pd.Series, str, str, list[Problem]]:
    """Return kinds of treatment, whether kinds and sites are levels, and how the comparisons are spread over them."""
    kind, problems = kinds_of(rows["treatment"], model.data.kinds)
    on_kind, of_kinds = kind_level(kind, rows["study"], model.levels.kind)
    on_site, of_sites = site_level(rows, site_names(rows), model.levels.site)
    problems += of_kinds + notes.spelling_variants(rows["treatment"], kind) + of_sites
    problems += notes.study_notes(rows["study"]) + notes.control_spellings(rows["study"], rows["control_id"])
    return kind, on_kind, on_site, problems + notes.example_rows(rows["study"])


def _dataset(
    opened: Opened, model: Specification, rows: pd.DataFrame, names: Mapping[str, str]
) -> tuple[xr.Dataset, list[Problem]]:
    """Return the Dataset of rows without errors, and what the reader should know about it."""
    data = model.data
    contrast = data.layout == "contrast"
    kind, on_kind, on_site, problems = _structure(rows, model)
    group = rows["control_group"]
    rule = control_rule(rows, group, by_cells=not contrast)
    rows, controls = name_rows(rows.drop(columns="control_group"), group, kind, data.outcomes, data.layout)
    section = model.moderators
    moderators = rows[moderator_columns(rows)].rename(columns=lambda name: name.removeprefix(PREFIX))
    design = build_design(
        moderators,
        list(rows["study"]),
        section.formula,
        standardise=section.standardise,
        within_between=section.within_between,
    )
    dataset = hierarchy_dataset(rows, controls, design)
    if contrast:
        part = contrasts.contrast_dataset(rows, controls, data.outcomes, data.defaults.rho_within)
        new = contrast_checks.sharing_problems(rows, names, part)
    else:
        part = arm_dataset(rows, controls, data.outcomes, data.defaults, data.bias_correction)
        with_sugars = with_sugars_of_parts if has_parts(data.outcomes) else with_amino_sugars
        part = with_sugars(part, rows, controls, data)
        if data.layout == "plot":
            part["source_rho"] = part["source_rho"].where(part["source_rho"] != REPORTED, DERIVED)
        part, new = with_cvs(part, rows, controls, model)
        if has_parts(data.outcomes):
            part, faint = without_faint_fungi(part, rows, most_bacterial(model))
            new += [*faint, *notes.controls_without_fungi(controls_left_out(part)), *notes.no_scenarios(part)]
        part.attrs |= {"imputed": json.dumps(imputed_counts(part)), "unit": opened.unit}
        new += spread_notes.dispersion_notes(opened, data)
    attrs = {
        "family": model.family,
        "layout": data.layout,
        "source": opened.raw.attrs["source"],
        "source_sha256": opened.raw.attrs["sha256"],
        "level_kind": on_kind,
        "level_site": on_site,
        "control_rule": rule,
        "simulated": int(_is_simulated(opened.raw)),
    }
    dataset = dataset.merge(part).assign_attrs(attrs | part.attrs)
    if model.family == TWO_POOL:
        dataset[DURATION] = xr.Variable("comparison", rows[DURATION].to_numpy(float), {"units": "years"})
        new += durations.equal_durations(rows[DURATION], names[DURATION])
    return dataset, problems + new + notes.never_observed(dataset)


def _unsaturated(
    opened: Opened,
    model: Specification,
    rows: pd.DataFrame,
    names: Mapping[str, str],
    data: xr.Dataset,
    problems: list[Problem],
) -> tuple[xr.Dataset, list[Problem]]:
    """Return the Dataset and its problems again, without controls that leave no second pool."""
    controls, left_out = durations.saturated_controls(data)
    if not left_out or _has_errors(left_out):
        return data, problems + left_out
    gone = data["source_row"].values[np.isin(data["control_of_comparison"].values.astype(str), controls)]
    data, problems = _dataset(opened, model, rows[~rows.index.isin(gone)], names)
    return data, problems + left_out


def _is_simulated(raw: pd.DataFrame) -> bool:
    """Say whether a column ``simulated`` marks any row, as in the tables of `mcpbayes.simulate`."""
    return "simulated" in raw and bool(raw["simulated"].str.lower().isin(["yes", "true", "1"]).any())


_SEVERITIES = ("error", "warning", "note")
_NOTHING_LEFT = Problem(
    "no-comparisons",
    "the table holds no comparison",
    expected="rows with a treated arm and its control",
    remedy="Add treated arms, or choose the layout that the table has: --set data.layout=comparison.",
)


def _has_errors(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _placed(problems: Iterable[Problem], raw: pd.DataFrame) -> list[Problem]:
    """Return the problems with the name of the file, where they have a place in it, in the order of its rows."""
    file = raw.attrs["source"]
    sorted_rows = (replace(p, rows=tuple(sorted(int(row) for row in p.rows))) for p in problems)
    placed = [replace(p, file=p.file or file) if p.rows or p.column else p for p in sorted_rows]
    return sorted(placed, key=lambda problem: (_SEVERITIES.index(problem.severity), problem.rows[:1]))
