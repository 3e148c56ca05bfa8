"""What a reader should know about necromass that is made of amino sugars: errors of unit, warnings and notes."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.measurement.amino_parts import largest_rho_within
from mcpbayes.measurement.amino_sugars import MASS_RATIO, fungal_necromass
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.amino_sugars import SOURCE, has_both
from mcpbayes.tables.columns import CONTROL, ROLES
from mcpbayes.tables.fungal import MISSING_THERE
from mcpbayes.tables.layouts import CONTROL_ROW, arm_columns, rho_column
from mcpbayes.tables.naming import counted
from mcpbayes.tables.unit_checks import PURE_CARBON, RATIO_BOUNDS
from mcpbayes.vocabulary import (
    AMINO_SUGARS,
    FROM_AMINO_SUGARS,
    FUNGAL_NECROMASS,
    GLUCOSAMINE,
    MURAMIC_ACID,
    NECROMASS,
    PARTS,
    REPORTED,
    SOC,
    has_parts,
)

#: Muramic acid/glucosamine outside these bounds is in no soil, a thousandth or thousandfold of it is: 1,607 soils of a
#: global table span 0.01 to 2.2.
SUGAR_BOUNDS: Final = (0.0005, 20.0)


def has_amino_sugars(rows: pd.DataFrame, outcomes: Sequence[str]) -> bool:
    """Say whether a table of comparisons has any amino sugar beside analysed necromass, or its two parts."""
    return (NECROMASS in outcomes or has_parts(outcomes)) and any(
        bool(rows[arm_columns("comparison", sugar, role).mean].notna().any())
        for sugar in AMINO_SUGARS
        for role in ROLES
    )


def amino_problems(
    rows: pd.DataFrame, made: pd.DataFrame, group: pd.Series, data: DataSection, rho_b: float
) -> list[Problem]:
    """Return what is to be said of the necromass of a table with amino sugars.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, as the table has them.
    made : DataFrame
        The same with necromass made of amino sugars, from `mcpbayes.tables.amino_sugars.converted`, or its parts, from
        `mcpbayes.tables.amino_parts.converted_parts`.
    group : Series of int
        Rows of one group share a control.
    data : DataSection
        Factors and units.
    rho_b : float
        ϱ_b above which an arm is said to have no fungi.
    """
    arms = pd.concat([_arms(rows, made, group, role) for role in ROLES])
    here = arms[arms["source"] == FROM_AMINO_SUGARS]
    errors = [*_units(here.dropna(subset=[NECROMASS]), data)]
    if errors:
        return errors
    apart = has_parts(data.outcomes)
    found = [_origin(arms, data), *_left_out(arms), *_half(arms, apart), *_no_fungi(here, data, rho_b)]
    return found + (_unused_spreads(rows, made) + _too_close(rows, made, data) if apart else [])


def _arms(rows: pd.DataFrame, made: pd.DataFrame, group: pd.Series, role: str) -> pd.DataFrame:
    """Return the cells of the arms of a role with the spreadsheet row that they stand in, and which arm it is."""
    stems = (*AMINO_SUGARS, SOC)
    cells = {stem: rows.get(arm_columns("comparison", stem, role).mean) for stem in stems}
    reported, necromass = (_necromass(frame, role) for frame in (rows, made))
    row = rows[CONTROL_ROW] if role == CONTROL else rows.index
    arm = "control " + group.astype(str) if role == CONTROL else "row " + rows.index.astype(str)
    arms = pd.DataFrame(cells | {"reported": reported, NECROMASS: necromass, "both": has_both(rows, role)}, rows.index)
    return arms.assign(source=made[SOURCE], arm=np.asarray(arm), row=np.asarray(row, dtype=int))


def _necromass(rows: pd.DataFrame, role: str) -> pd.Series:
    """Return the necromass of the arms of a role; of its parts their sum, or the one that is there."""
    means = [arm_columns("comparison", pool, role).mean for pool in (NECROMASS, *PARTS)]
    if means[0] in rows:
        return rows[means[0]]
    return rows[means[1:]].sum(axis=1, min_count=1)


def _count(arms: pd.DataFrame) -> int:
    return int(arms["arm"].nunique())


def _origin(arms: pd.DataFrame, data: DataSection) -> Problem:
    there = arms[arms[NECROMASS].notna()]
    counts = [_count(there[there["source"] == source]) for source in (FROM_AMINO_SUGARS, REPORTED)]
    if not counts[0]:
        return Problem(
            "necromass-from",
            f"the amino sugars are not used: necromass of {counted(counts[1], 'arm')} is as reported",
            "note",
        )
    said = f"necromass of {counted(counts[0], 'arm')} is made of amino sugars with the factors {data.factors.name!r}"
    if counts[1]:
        said += f"; of {counts[1]} it is as reported, without any doubt about the factors behind it"
    return Problem("necromass-from", said, "note")


def _left_out(arms: pd.DataFrame) -> Iterator[Problem]:
    """Yield a warning for arms whose necromass is not used, since their control's comes from the other source."""
    other = {FROM_AMINO_SUGARS: arms["reported"].notna(), REPORTED: arms["both"]}
    for source, has_other in other.items():
        lost = arms[(arms["source"] == source) & arms[NECROMASS].isna() & has_other]
        if len(lost):
            yield Problem(
                "necromass-left-out",
                f"the necromass of {counted(_count(lost), 'arm')} is not used: within a control all comes from one "
                f"source, here {source}, and {'this one has' if _count(lost) == 1 else 'these have'} the other only",
                "warning",
                rows=tuple(dict.fromkeys(lost["row"])),
                remedy="Give both amino sugars of these arms, or choose: --set data.necromass_from=reported.",
            )


def _half(arms: pd.DataFrame, apart: bool) -> Iterator[Problem]:
    one = arms[arms[GLUCOSAMINE].notna() ^ arms[MURAMIC_ACID].notna()]
    made = "no fungal necromass can be made" if apart else "no necromass can be made"
    if len(one):
        yield Problem(
            "one-amino-sugar",
            f"{counted(_count(one), 'arm')} {'has' if _count(one) == 1 else 'have'} one of the two amino sugars only, "
            f"of which {made}",
            "note",
            rows=tuple(dict.fromkeys(one["row"])),
        )


def _no_fungi(here: pd.DataFrame, data: DataSection, rho_b: float) -> Iterator[Problem]:
    """Yield a warning for arms in which bacteria explain all glucosamine: their fungal necromass is not positive."""
    apart = has_parts(data.outcomes)
    with_some = f" with some of the factors {data.factors.name!r}" if apart and not data.factors.fixed else ""
    fungal = fungal_necromass(here[GLUCOSAMINE], here[MURAMIC_ACID], 1.0, rho_b)
    none = here[fungal <= 0]
    if len(none):
        count = _count(none)
        kept = f"not positive; {'they are kept as they are' if count > 1 else 'it is kept as it is'}"
        kept = f"nothing; {MISSING_THERE}" if apart else kept
        yield Problem(
            "no-fungal-necromass",
            f"in {counted(count, 'arm')} bacteria explain all glucosamine{with_some}, so that "
            f"fungal necromass is {kept}",
            "warning",
            rows=tuple(dict.fromkeys(none["row"])),
            value=f"muramic acid/glucosamine up to {(none[MURAMIC_ACID] / none[GLUCOSAMINE]).max():.3g}",
            expected=f"less than {1 / (rho_b * MASS_RATIO):.3g} with {rho_b:.3g} moles of glucosamine per mole",
            remedy="Check the two cells and their unit.",
        )


def _unused_spreads(rows: pd.DataFrame, made: pd.DataFrame) -> list[Problem]:
    """Return a note where the spread of a reported pool is given beside amino sugars, of which it says nothing."""
    here, unused = made[SOURCE] == FROM_AMINO_SUGARS, pd.Series(False, rows.index)
    for role in ROLES:
        for part in PARTS:
            columns = arm_columns("comparison", part, role)
            unused |= here & rows[[columns.sd, columns.se, columns.cv]].notna().any(axis=1)
    if not unused.any():
        return []
    return [
        Problem(
            "spread-of-part-unused",
            f"in {counted(int(unused.sum()), 'row')} both pools are made of amino sugars, and what is given of the "
            "spread of fungal or bacterial necromass is not used",
            "note",
            rows=tuple(int(row) for row in rows.index[unused]),
            remedy="Give SDs of glucosamine and muramic acid, or choose: --set data.necromass_from=reported.",
        )
    ]


def _too_close(rows: pd.DataFrame, made: pd.DataFrame, data: DataSection) -> list[Problem]:
    """Return an error for correlations with SOC, reported or assumed, that the two amino sugars cannot both have."""
    rho, limit = data.defaults.rho_amino_sugars, largest_rho_within(data.defaults.rho_amino_sugars)
    values = rows[[rho_column(role) for role in ROLES]].fillna(data.defaults.rho_within)
    bad = (values.abs() >= limit).any(axis=1) & (made[SOURCE] == FROM_AMINO_SUGARS)
    if not bad.any():
        return []
    return [
        Problem(
            "rho-within-too-close",
            "the correlation with SOC is closer than both amino sugars can have it that go with each other as they do",
            rows=tuple(int(row) for row in rows.index[bad]),
            column="rho_within",
            value=", ".join(dict.fromkeys(f"{value:g}" for value in values[bad].to_numpy().ravel())),
            expected=f"less than {limit:.3g} in size with data.defaults.rho_amino_sugars = {rho:g}",
            remedy="Correct the cells or data.defaults.rho_within, or give the correlation of the amino sugars: "
            "data.defaults.rho_amino_sugars.",
        )
    ]


def _units(here: pd.DataFrame, data: DataSection) -> Iterator[Problem]:
    """Yield errors for amino sugars that look a thousand times off, together or one against the other."""
    ratio, sugars = here[NECROMASS] / here[SOC], here[MURAMIC_ACID] / here[GLUCOSAMINE]
    apart = (sugars < SUGAR_BOUNDS[0]) | (sugars > SUGAR_BOUNDS[1])
    off = ((ratio < RATIO_BOUNDS[0]) | (ratio > RATIO_BOUNDS[1]) | (here[NECROMASS] > PURE_CARBON)) & ~apart
    unit = data.units.get(FUNGAL_NECROMASS if has_parts(data.outcomes) else NECROMASS, "g/kg")
    units = ", ".join(f"{sugar} in {data.units.get(sugar, unit)}" for sugar in AMINO_SUGARS)
    for bad, what, values in (
        (apart, "muramic acid/glucosamine", sugars),
        (off, "necromass made of amino sugars/SOC", ratio),
    ):
        if bad.any():
            yield Problem(
                "amino-sugars-unit",
                f"{what} is that of no soil: an amino sugar seems to be in another unit",
                rows=tuple(dict.fromkeys(here.loc[bad, "row"])),
                value=f"{what} {values[bad].min():.3g} to {values[bad].max():.3g}",
                expected=units,
                remedy="Name their units: --set data.units.glucosamine=mg/kg --set data.units.muramic_acid=mg/kg.",
            )
