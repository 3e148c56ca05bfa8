"""Values that look a thousand times off, and necromass that exceeds the SOC it is part of."""

from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.measurement.units import CONCENTRATION, STOCK
from mcpbayes.specification.formula import natural_key
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.checks import called
from mcpbayes.tables.columns import CONTROL, TREATMENT
from mcpbayes.tables.layouts import CONTROL_ROW, arm_columns, cells_of, roles_of_row
from mcpbayes.tables.opening import Opened
from mcpbayes.vocabulary import NECROMASS, PARTS, POOLS, SOC, has_parts

#: Necromass/SOC outside these bounds is in no soil, a thousandth or thousandfold of it is: global soils span 0.02 to 3.
RATIO_BOUNDS: Final = (0.0005, 20.0)
#: Carbon, g/kg, of pure carbon, and of pure organic matter, which no soil exceeds.
PURE_CARBON: Final = 1000.0
RICHEST_SOIL: Final = 600.0
#: Units by their factor to g/kg and Mg/ha, to name the one that a column seems to be in.
_UNITS: Final = {
    CONCENTRATION: {1.0: "g/kg", 0.001: "mg/kg", 1e-6: "ug/kg"},
    STOCK: {1.0: "Mg/ha", 0.001: "kg/ha", 10.0: "kg/m2", 0.01: "g/m2"},
}


def implausible_units(opened: Opened, data: DataSection) -> list[Problem]:
    """Return errors for values that look a thousand times off.

    Parameters
    ----------
    opened : Opened
        Cells of a layout with arms or plots, all pools in one unit.
    data : DataSection
        Layout, outcomes and units.
    """
    problems: list[Problem] = []
    for role in roles_of_row(data.layout):
        columns = {outcome: arm_columns(data.layout, outcome, role).mean for outcome in data.outcomes}
        cells_by = {outcome: cells_of(opened.frame, columns.get(outcome, "")) for outcome in POOLS}
        suspects = _suspects(cells_by[NECROMASS], cells_by[SOC], opened.unit)
        if has_parts(data.outcomes):
            suspects = _suspects_of_parts(cells_by, opened.unit)
        for outcome, bad, size in suspects:
            if bad.any():
                cells = opened.frame.loc[bad, columns[outcome]]
                problems.append(_unit_problem(cells, opened, outcome, size, data.units.get(outcome, CONCENTRATION)))
    return problems


def _suspects(necromass: pd.Series, soc: pd.Series, unit: str) -> Iterator[tuple[str, pd.Series, str]]:
    """Yield pool, rows and size (large, small) of what is a thousand times off.

    Concentrations have bounds of their own, which tell the pool that is off. The stock of a layer has none that would
    hold for every thickness, so that only the ratio speaks; it is then the necromass that is named.
    """
    ratio = necromass / soc
    low, high = ratio < RATIO_BOUNDS[0], ratio > RATIO_BOUNDS[1]
    if unit == STOCK:
        yield NECROMASS, high, "large"
        yield NECROMASS, low, "small"
        return
    heavy_soc = (soc > PURE_CARBON) | (low & (soc > RICHEST_SOIL))
    light_soc = high & (soc < RICHEST_SOIL / 1000) & (necromass <= RICHEST_SOIL)
    yield NECROMASS, (necromass > PURE_CARBON) | (high & ~light_soc), "large"
    yield NECROMASS, low & ~heavy_soc, "small"
    yield SOC, heavy_soc, "large"
    yield SOC, light_soc, "small"


def _suspects_of_parts(cells: Mapping[str, pd.Series], unit: str) -> Iterator[tuple[str, pd.Series, str]]:
    """Yield what is a thousand times off where fungal and bacterial necromass are pools of their own.

    Fungal necromass, a difference, may be next to nothing: too little is only said of both together.
    """
    soc, whole = cells[SOC], cells[PARTS[0]] + cells[PARTS[1]]
    light_soc = (soc < RICHEST_SOIL / 1000) & (whole / soc > RATIO_BOUNDS[1]) & (whole <= RICHEST_SOIL)
    light_soc &= unit != STOCK
    for part in PARTS:
        heavy = (cells[part] > PURE_CARBON) & (unit != STOCK)
        yield part, heavy | ((cells[part] / soc > RATIO_BOUNDS[1]) & ~light_soc), "large"
        yield part, (whole / soc < RATIO_BOUNDS[0]) & ~((soc > RICHEST_SOIL) & (unit != STOCK)), "small"
    if unit != STOCK:
        yield SOC, (soc > PURE_CARBON) | ((whole / soc < RATIO_BOUNDS[0]) & (soc > RICHEST_SOIL)), "large"
        yield SOC, light_soc, "small"


def _unit_problem(values: pd.Series, opened: Opened, outcome: str, size: str, unit: str) -> Problem:
    cells = opened.raw.loc[values.index, opened.names[str(values.name)]]
    factor = opened.factors[outcome] / 1000 if size == "large" else opened.factors[outcome] * 1000
    seems = _UNITS[opened.unit].get(float(f"{factor:.6g}"))
    ends = [str(cells[values == end].iloc[0]) for end in (values.min(), values.max())]
    whole = f"If the column is in {seems}: --set data.units.{outcome}={seems}." if seems else ""
    whole = whole or f"Convert it to {opened.unit}."
    against = " against SOC" if opened.unit == STOCK else ""
    other = " Or SOC is in another unit than its own." if opened.unit == STOCK else ""
    return Problem(
        f"{outcome}-1000-times-too-{size}",
        f"{outcome} looks 1000 times too {size}{against} for its unit, {unit}",
        rows=tuple(cells.index),
        column=str(cells.name),
        value=" to ".join(dict.fromkeys(ends)),
        expected=f"{outcome} in {unit}",
        remedy=f"{whole} If only these rows are in another unit, convert them.{other}",
    )


def necromass_above_soc(
    rows: pd.DataFrame, group: pd.Series, names: Mapping[str, str], *, two_pools: bool = False
) -> list[Problem]:
    """Return a warning for controls and one for treated arms whose necromass exceeds their SOC.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, means in g/kg.
    group : Series of int
        Control of each row; a control counts once, however many treatments share it.
    names : mapping of str to str
        Canonical name → the user's.
    two_pools : bool
        The model is of the two-pool family, which leaves such controls out.
    """
    problems = []
    for role, arms in ((CONTROL, "controls"), (TREATMENT, "treated arms")):
        means = {pool: arm_columns("comparison", pool, role).mean for pool in POOLS}
        whole = [means[NECROMASS]] if means[NECROMASS] in rows else [means[part] for part in PARTS]
        columns = [*whole, means[SOC]]
        ratio = pd.DataFrame({name: cells_of(rows, name) for name in whole}).sum(axis=1, skipna=False)
        ratio /= cells_of(rows, means[SOC])
        bad = rows[(ratio > 1) & (ratio <= RATIO_BOUNDS[1])]
        if bad.empty:
            continue
        first = bad if role == TREATMENT else bad[~group[bad.index].duplicated()]
        total = len(rows) if role == TREATMENT else group.nunique()
        exceeding = [
            f"{called(row)} ({value:.2f})" for (_, row), value in zip(first.iterrows(), ratio[first.index], strict=True)
        ]
        source = sorted({int(row) for row in bad[CONTROL_ROW]}) if role == CONTROL else bad.index
        left_out = two_pools and role == CONTROL
        fate = "left out, since they leave no second pool (saturated-control)" if left_out else "kept as they are"
        many = " With so many, check the units (per cent for g/kg?)." if 2 * len(first) > total else ""
        problems.append(
            Problem(
                "necromass-exceeds-soc",
                f"necromass exceeds SOC in {len(first)} of {total} {arms}; they are {fate}",
                "warning",
                rows=tuple(int(row) for row in source),
                column=", ".join(dict.fromkeys(names[column] for column in columns if column in names)),
                value="; ".join(sorted(exceeding, key=natural_key)),
                expected="necromass to be a part of SOC",
                remedy=f"Check the two values, and the conversion factors behind the necromass.{many}",
            )
        )
    return problems
