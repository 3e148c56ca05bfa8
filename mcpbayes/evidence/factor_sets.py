"""What single comparisons would show under other conversion factors of amino sugars: no model, no refit."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.parts import quantity_of_part
from mcpbayes.estimands.tree import group, specification
from mcpbayes.measurement.amino_sugars import bacterial_necromass, fungal_necromass, muramic_weight, necromass
from mcpbayes.measurement.factor_draws import central, central_of_parts
from mcpbayes.specification.factors import NAMED, FactorSet
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.observed import control_arms
from mcpbayes.tables.part_arms import of_parts

#: Columns of `factor_sets`.
COLUMNS: Final = (
    "comparison",
    "study",
    "factors",
    "as_analysed",
    "k_F",
    "q",
    "log_delta_mcp",
    "delta_mcp",
    "sign_changes",
)

#: The same where fungal and bacterial necromass are pools of their own.
COLUMNS_OF_PARTS: Final = (
    "comparison",
    "study",
    "factors",
    "as_analysed",
    "k_F",
    "k_B",
    "rho_b",
    "q",
    "log_delta_mcp",
    "delta_mcp",
    *(quantity_of_part(part) for part in words.PARTS),
    "sign_changes",
)


def sets_compared(spec: Specification) -> dict[str, FactorSet]:
    """Return the sets that are compared by name: those with a name, and one's own where that is used."""
    return dict(NAMED) | {spec.data.factors.name: spec.data.factors}


def factor_sets(result: xr.DataTree) -> pd.DataFrame:
    """Return the observed change of the ratio of every comparison under several sets of conversion factors.

    Parameters
    ----------
    result : DataTree
        With group ``data``.

    Returns
    -------
    DataFrame
        One row per set and comparison whose arms both have necromass of amino sugars, and SOC: ``log_delta_mcp``, the
        observed change of ln(necromass/SOC), ``delta_mcp``, that of the ratio (fraction), with the medians ``k_F`` and
        ``q`` of the set; ``sign_changes``: whether the change has another sign than with the factors ``as_analysed``.
        Where fungal and bacterial necromass are pools of their own, of comparisons that have both in both arms, also
        ``delta_mcp[fungal_necromass]`` and ``delta_mcp[bacterial_necromass]``, of which ``delta_mcp`` is the sum, with
        the medians ``k_B`` and ``rho_b``, from which q then follows. Empty where no arm has necromass of amino sugars.
    """
    data, spec = group(result, words.DATA), specification(result)
    apart = of_parts(data)
    columns = list(COLUMNS_OF_PARTS if apart else COLUMNS)
    arms, place = _arms_of_comparisons(data)
    if not len(place) or words.SOC not in data["outcome"].values:
        return pd.DataFrame(columns=columns)
    sugars = data["amino_mean"].transpose("amino_sugar", "arm").values
    pools = data["mean"].sel(outcome=[*words.PARTS, words.SOC] if apart else [words.SOC]).transpose("outcome", "arm")
    complete = np.isfinite(pools.values[:, arms]).all(axis=(0, 1))
    arms, place = arms[:, complete], place[complete]
    changes = _changes_of_parts if apart else _changes
    parts = [
        pd.DataFrame(
            {
                "comparison": data["comparison"].values[place],
                "study": data["study_of_comparison"].values[place],
                "factors": name,
                "as_analysed": name == spec.data.factors.name,
            }
            | changes(sugars[:, arms], pools.sel(outcome=words.SOC).values[arms], factors)
        )
        for name, factors in sets_compared(spec).items()
    ]
    table = pd.concat(parts, ignore_index=True)
    own = table.loc[table["as_analysed"], ["comparison", "log_delta_mcp"]].set_index("comparison")["log_delta_mcp"]
    differs = np.sign(table["log_delta_mcp"]) != np.sign(table["comparison"].map(own))
    return table.assign(sign_changes=differs)[columns]


def _changes(sugars: np.ndarray, soc: np.ndarray, factors: FactorSet) -> dict[str, object]:
    """Return the change of the ratio with a set, from glucosamine and muramic acid (sugar, 2, row) and SOC (2, row)."""
    used, (glucosamine, muramic_acid) = central(factors), sugars
    control, treated = necromass(glucosamine, muramic_acid, used.k_f, used.q) / soc
    return {"k_F": used.k_f, "q": used.q, "log_delta_mcp": np.log(treated / control), "delta_mcp": treated - control}


def _changes_of_parts(sugars: np.ndarray, soc: np.ndarray, factors: FactorSet) -> dict[str, object]:
    """Return the same with what fungal and bacterial necromass contribute."""
    used, (glucosamine, muramic_acid) = central_of_parts(factors), sugars
    fungal = fungal_necromass(glucosamine, muramic_acid, used.k_f, used.rho_b)
    made = np.stack([fungal, bacterial_necromass(muramic_acid, used.k_b)])
    control, treated = np.moveaxis(made / soc, 1, 0)
    change = treated - control
    return {
        **{"k_F": used.k_f, "k_B": used.k_b, "rho_b": used.rho_b},
        "q": float(muramic_weight(used.k_b, used.k_f, used.rho_b)),
        "log_delta_mcp": np.log(treated.sum(axis=0) / control.sum(axis=0)),
        "delta_mcp": change.sum(axis=0),
        **{quantity_of_part(part): values for part, values in zip(words.PARTS, change, strict=True)},
    }


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Return, per set, how many comparisons change their sign and how large the changes of the ratio are.

    Returns
    -------
    DataFrame
        ``factors``, ``comparisons``, ``changed`` (how many have another sign than as analysed), ``share_changed``,
        ``median_size`` (median of |Δr|, fraction).
    """
    by_set = table.assign(size=table["delta_mcp"].abs()).groupby("factors", sort=False)
    found = by_set.agg(
        comparisons=("comparison", "size"), changed=("sign_changes", "sum"), median_size=("size", "median")
    )
    return found.assign(share_changed=found["changed"] / found["comparisons"]).reset_index()


def _arms_of_comparisons(data: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of control and treated arm, (2, row), and of the comparison, where both are of amino sugars."""
    here = converted_arms(data)
    if not here.any():
        return np.zeros((2, 0), dtype=int), np.zeros(0, dtype=int)
    place = {str(arm): i for i, arm in enumerate(data["arm"].values)}
    treated = [place[str(arm)] for arm in data["arm_of_comparison"].values]
    arms = np.array([[place[arm] for arm in control_arms(data)], treated])
    both = here[arms].all(axis=0)
    return arms[:, both], np.flatnonzero(both)
