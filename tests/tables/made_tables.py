"""Small tables for the tests of prepare: good rows, to be spoilt one by one."""

import pandas as pd

from mcpbayes.errors import Problem
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table


def comparison_table(studies: int = 4, **columns: object) -> pd.DataFrame:
    """Two treatments against one control in each study, SDs and n reported; `columns` replace or add."""
    rows = []
    for s in range(studies):
        for k, treatment in enumerate(("manure", "straw")):
            rows.append(
                {
                    "study": f"S{s + 1}",
                    "treatment": treatment,
                    "necromass_control": 5.0 + s,
                    "necromass_treatment": 6.0 + s + 0.3 * k,
                    "soc_control": 12.0 + 2 * s,
                    "soc_treatment": 13.0 + 2 * s + 0.4 * k,
                    "necromass_control_sd": 0.8 + 0.1 * s,
                    "necromass_treatment_sd": 0.9 + 0.1 * s,
                    "soc_control_sd": 1.2,
                    "soc_treatment_sd": 1.4,
                    "n_control": 4,
                    "n_treatment": 4,
                }
            )
    return pd.DataFrame(rows).assign(**columns)


def arm_table() -> pd.DataFrame:
    """The rows of `comparison_table` arm by arm."""
    wide = comparison_table()
    rows = []
    for study, group in wide.groupby("study"):
        first = group.iloc[0]
        rows.append({"study": study, "control_id": "CK", "role": "control", "treatment": ""} | _arm(first, "control"))
        for _, row in group.iterrows():
            own = {"study": study, "control_id": "CK", "role": "Treatment", "treatment": row["treatment"]}
            rows.append(own | _arm(row, "treatment"))
    return pd.DataFrame(rows)


def contrast_table(studies: int = 4, **columns: object) -> pd.DataFrame:
    """Two contrasts per study that name the same control."""
    rows = [
        {
            "study": f"S{s + 1}",
            "comparison": f"T{k + 1}",
            "control_id": "CK",
            "yi_necromass": 0.1 + 0.02 * s + 0.01 * k,
            "yi_soc": 0.05 + 0.01 * s,
            "vi_necromass": 0.012 + 0.001 * k,
            "vi_soc": 0.008 + 0.001 * s,
            "rho": 0.5,
        }
        for s in range(studies)
        for k in range(2)
    ]
    return pd.DataFrame(rows).assign(**columns)


def spoilt(table: pd.DataFrame, row: int, **cells: object) -> pd.DataFrame:
    """Return the table with other cells in one row, which is named by its number in the spreadsheet."""
    changed = table.astype(object)
    for name, value in cells.items():
        if name not in changed:
            changed[name] = pd.Series("", changed.index, dtype=object)
        changed.loc[changed.index[row - 2], name] = value
    return changed


def found(table: pd.DataFrame, check: str, model: str = "arm-based", **settings: object) -> Problem:
    """Return the one problem of a check."""
    problems = [p for p in check_table(table, load_model(model, settings=dots(settings))) if p.check == check]
    assert len(problems) == 1, problems
    return problems[0]


def checks_of(table: pd.DataFrame, model: str = "arm-based", **settings: object) -> list[str]:
    """Return the names of all checks that found something."""
    return [p.check for p in check_table(table, load_model(model, settings=dots(settings)))]


def dots(settings: dict[str, object]) -> dict[str, object]:
    """Return settings with dots for double underscores."""
    return {key.replace("__", "."): value for key, value in settings.items()}


def _arm(row: pd.Series, role: str) -> dict[str, object]:
    cells = {f"{o}{end}": row[f"{o}_{role}{end}"] for o in ("necromass", "soc") for end in ("", "_sd")}
    return cells | {"n": row[f"n_{role}"]}
