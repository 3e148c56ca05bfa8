"""What a cell alone does not show: rows that contradict themselves or repeat each other, values in the wrong unit."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.measurement.dispersion import sd_from_cv, sd_from_se
from mcpbayes.specification.formula import natural_key
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import CONTROL, ROLES, TREATMENT
from mcpbayes.tables.layouts import CONTROL_ROW, arm_columns, arms_of
from mcpbayes.tables.moderators import PREFIX
from mcpbayes.tables.schema import bad_cells
from mcpbayes.vocabulary import NECROMASS, SOC

#: Relative difference up to which SD, SE·√n and CV·mean count as one number: rounding in print.
ROUNDING: Final = 0.02
#: CV above which an SD is taken for a wrong cell where n is not known.
LARGEST_CV: Final = 5.0
#: Necromass/SOC outside these bounds is in no soil, a thousandth or thousandfold of it is: global soils span 0.02 to 3.
RATIO_BOUNDS: Final = (0.0005, 20.0)
#: Carbon, g/kg, of pure carbon, and of pure organic matter, which no soil exceeds.
PURE_CARBON: Final = 1000.0
RICHEST_SOIL: Final = 600.0
#: Units by their factor to g/kg, to name the one that a column seems to be in.
_UNITS: Final = {1.0: "g/kg", 0.001: "mg/kg", 1e-6: "ug/kg"}
#: Prefix of columns with cells as typed, which tell apart rows whose bad cells were emptied.
TYPED: Final = "typed "
_WHICH_SPREAD: Final = "Correct the cell: is it an SD, an SE, or a per cent value? Leave empty what is not known."


def duplicated_rows(frame: pd.DataFrame, names: Mapping[str, str]) -> list[Problem]:
    """Return an error for each set of rows that are the same in every column that is used.

    Parameters
    ----------
    frame : DataFrame
        Cells under canonical names, moderators under ``moderator_<name>``, cells as typed under `TYPED`.
    names : mapping of str to str
        Canonical name → the user's.
    """
    used = [str(name).removeprefix(PREFIX) for name in frame if not str(name).startswith(TYPED)]
    compared = ", ".join(dict.fromkeys(names.get(name, name) for name in used))
    twice = frame[frame.duplicated(keep=False)]
    sets = twice.groupby(list(twice), dropna=False, sort=False).ngroup() if len(twice) else pd.Series(dtype=int)
    return [
        Problem(
            "duplicated-row",
            "the rows are the same in every column that is used",
            rows=tuple(rows),
            column=compared,
            value=_called(twice[twice.index == rows.iloc[0]].iloc[0]),
            expected="each row once",
            remedy="Take out what is there twice; name different comparisons differently in a column comparison.",
        )
        for _, rows in sets.index.to_series().groupby(sets.to_numpy())
    ]


def _called(row: pd.Series) -> str:
    """Return what a row is called: ``study: treatment``, without a treatment its comparison or role."""
    what = next((str(row[name]) for name in ("treatment", "comparison", "role") if row.get(name)), "")
    return f"{row.get('study', '')}: {what}"


def depth_order(frame: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame) -> list[Problem]:
    """Return an error for each layer whose bottom is not below its top."""
    upside_down = frame.index[_cells(frame, "depth_bottom") <= _cells(frame, "depth_top")]
    return [
        Problem(
            "depth-order",
            "the bottom of the layer is not below its top",
            rows=(int(row),),
            column=names["depth_bottom"],
            value=str(raw.at[row, names["depth_bottom"]]),
            expected=f"more than the top, {str(raw.at[row, names['depth_top']])} cm: depths count downwards",
            remedy="Correct the depths; for a layer above the mineral soil give a negative top.",
        )
        for row in upside_down
    ]


def contradicting_dispersions(
    frame: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame, data: DataSection
) -> list[Problem]:
    """Return an error for each SD, SE or CV that contradicts another, or is larger than positive values allow.

    Notes
    -----
    Among n positive values the SD is at most √n times the mean (all but one of them zero), hence the SE at most the
    mean.
    """
    problems = []
    for arm in arms_of(data.layout, data.outcomes):
        mean, n = _cells(frame, arm.mean), _cells(frame, arm.own_n).fillna(_cells(frame, arm.n))
        sds = pd.DataFrame(
            {
                arm.sd: _cells(frame, arm.sd),
                arm.se: sd_from_se(_cells(frame, arm.se), n),
                arm.cv: sd_from_cv(_cells(frame, arm.cv), mean),
            }
        )
        apart = sds.max(axis=1) > (1 + ROUNDING) * sds.min(axis=1)
        for row in frame.index[apart]:
            given = {name: float(sd) for name, sd in sds.loc[row].dropna().items()}
            spelt = ", ".join(f"{names[str(name)]} gives {sd:.4g}" for name, sd in given.items())
            own = [names[str(name)] for name in given]
            typed = raw.loc[raw.index == row, own].iloc[0]
            problems.append(
                Problem(
                    "dispersions-contradict",
                    f"the SDs contradict each other: {spelt} g/kg",
                    rows=(int(row),),
                    column=", ".join(own),
                    value=", ".join(typed),
                    expected="one SD",
                    remedy=_WHICH_SPREAD,
                )
            )
        limit = (1 + ROUNDING) * np.sqrt(n).fillna(LARGEST_CV) * mean
        large = sds.gt(limit, axis=0).assign(**{arm.se: _cells(frame, arm.se) > (1 + ROUNDING) * mean})
        for row in frame.index[large.any(axis=1) & ~apart]:
            cell = raw.loc[[row], names[str(large.loc[row].idxmax())]]
            message, expected = "no positive values have so large a spread", "an SD of at most √n times the mean"
            problems += bad_cells("impossible-dispersion", message, cell, expected, _WHICH_SPREAD)
    return problems


def implausible_units(
    frame: pd.DataFrame, names: Mapping[str, str], raw: pd.DataFrame, data: DataSection, factors: Mapping[str, float]
) -> list[Problem]:
    """Return errors for means that look a thousand times off.

    Parameters
    ----------
    frame : DataFrame
        Cells of a layout with arms, means in g/kg.
    names : mapping of str to str
        Canonical name → the user's.
    raw : DataFrame
        The cells as typed.
    data : DataSection
        Layout, outcomes and units.
    factors : mapping of outcome to float
        What was multiplied by to get g/kg.
    """
    problems: list[Problem] = []
    for role in (TREATMENT,) if data.layout == "arm" else ROLES:
        columns = {outcome: arm_columns(data.layout, outcome, role).mean for outcome in data.outcomes}
        necromass, soc = (_cells(frame, columns.get(outcome, "")) for outcome in (NECROMASS, SOC))
        ratio = necromass / soc
        low, high = ratio < RATIO_BOUNDS[0], ratio > RATIO_BOUNDS[1]
        heavy_soc = (soc > PURE_CARBON) | (low & (soc > RICHEST_SOIL))
        light_soc = high & (soc < RICHEST_SOIL / 1000) & (necromass <= RICHEST_SOIL)
        suspects = (
            (NECROMASS, (necromass > PURE_CARBON) | (high & ~light_soc), "large"),
            (NECROMASS, low & ~heavy_soc, "small"),
            (SOC, heavy_soc, "large"),
            (SOC, light_soc, "small"),
        )
        for outcome, bad, size in suspects:
            if bad.any():
                values = frame.loc[bad, columns[outcome]]
                cells, unit = raw.loc[values.index, names[columns[outcome]]], data.units.get(outcome, "g/kg")
                problems.append(_unit_problem(cells, values, outcome, size, unit, factors[outcome]))
    return problems


def necromass_above_soc(rows: pd.DataFrame, group: pd.Series, names: Mapping[str, str]) -> list[Problem]:
    """Return a warning for controls and one for treated arms whose necromass exceeds their SOC.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, means in g/kg.
    group : Series of int
        Control of each row; a control counts once, however many treatments share it.
    names : mapping of str to str
        Canonical name → the user's.
    """
    problems = []
    for role, arms in ((CONTROL, "controls"), (TREATMENT, "treated arms")):
        columns = [arm_columns("comparison", outcome, role).mean for outcome in (NECROMASS, SOC)]
        ratio = _cells(rows, columns[0]) / _cells(rows, columns[1])
        bad = rows[(ratio > 1) & (ratio <= RATIO_BOUNDS[1])]
        if bad.empty:
            continue
        first = bad if role == TREATMENT else bad[~group[bad.index].duplicated()]
        total = len(rows) if role == TREATMENT else group.nunique()
        called = [
            f"{_called(row)} ({value:.2f})"
            for (_, row), value in zip(first.iterrows(), ratio[first.index], strict=True)
        ]
        source = sorted({int(row) for row in bad[CONTROL_ROW]}) if role == CONTROL else bad.index
        many = " With so many, check the units (per cent for g/kg?)." if 2 * len(first) > total else ""
        problems.append(
            Problem(
                "necromass-exceeds-soc",
                f"necromass exceeds SOC in {len(first)} of {total} {arms}; they are kept as they are",
                "warning",
                rows=tuple(int(row) for row in source),
                column=", ".join(dict.fromkeys(names[column] for column in columns if column in names)),
                value="; ".join(sorted(called, key=natural_key)),
                expected="necromass to be a part of SOC",
                remedy=f"Check the two values, and the conversion factors behind the necromass.{many}",
            )
        )
    return problems


def pools_in_both_arms(rows: pd.DataFrame, names: Mapping[str, str], outcomes: Iterable[str]) -> list[Problem]:
    """Return an error for comparisons that inform no pool, a note for each pool that some do not inform."""
    problems = []
    informed = pd.Series(False, rows.index)
    for outcome in outcomes:
        control, treated = (arm_columns("comparison", outcome, role).mean for role in (CONTROL, TREATMENT))
        has_control, has_treated = rows[control].notna(), rows[treated].notna()
        informed |= has_control & has_treated
        gap = ~(has_control & has_treated)
        if gap.any():
            neither = int((~has_control & ~has_treated).sum())
            problems.append(
                Problem(
                    "missing-pool",
                    f"{outcome} is missing in {int(gap.sum())} of {len(rows)} comparisons: in both arms of {neither}, "
                    f"in the control of {int((~has_control & has_treated).sum())}, in the treated arm of "
                    f"{int((has_control & ~has_treated).sum())}",
                    "note",
                    rows=tuple(rows.index[gap]),
                )
            )
    if not informed.all():
        needed = [names.get(arm_columns("comparison", o, role).mean, o) for o in outcomes for role in ROLES]
        problems.append(
            Problem(
                "no-pool-in-both-arms",
                "no pool was reported in both arms, so there is nothing to compare",
                rows=tuple(rows.index[~informed]),
                column=", ".join(dict.fromkeys(needed)),
                value="",
                expected="control and treated mean of at least one pool",
                remedy="Fill in the means, or take the row out.",
            )
        )
    return problems


def _cells(frame: pd.DataFrame, column: str) -> pd.Series:
    return frame[column] if column in frame else pd.Series(np.nan, frame.index)


def _unit_problem(cells: pd.Series, values: pd.Series, outcome: str, size: str, unit: str, factor: float) -> Problem:
    seems = _UNITS.get(float(f"{factor / 1000 if size == 'large' else factor * 1000:.6g}"))
    ends = [str(cells[values == end].iloc[0]) for end in (values.min(), values.max())]
    whole = f"If the column is in {seems}: --set data.units.{outcome}={seems}." if seems else "Convert it to g/kg."
    return Problem(
        f"{outcome}-1000-times-too-{size}",
        f"{outcome} looks 1000 times too {size} for its unit, {unit}",
        rows=tuple(cells.index),
        column=str(cells.name),
        value=" to ".join(dict.fromkeys(ends)),
        expected=f"{outcome} in {unit}",
        remedy=f"{whole} If only these rows are in another unit, convert them.",
    )
