"""What single comparisons would show under other conversion factors of amino sugars: no model, no refit."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group, specification
from mcpbayes.measurement.amino_sugars import necromass
from mcpbayes.measurement.factor_draws import central
from mcpbayes.specification.factors import NAMED, FactorSet
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.observed import control_arms

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
        Empty where no arm has necromass of amino sugars.
    """
    data, spec = group(result, words.DATA), specification(result)
    arms, place = _arms_of_comparisons(data)
    if not len(place) or words.SOC not in data["outcome"].values:
        return pd.DataFrame(columns=COLUMNS)
    soc = data["mean"].sel(outcome=words.SOC).values
    glucosamine, muramic_acid = data["amino_mean"].transpose("amino_sugar", "arm").values
    complete = np.isfinite(soc[arms]).all(axis=0)
    arms, place = arms[:, complete], place[complete]
    parts = []
    for name, factors in sets_compared(spec).items():
        used = central(factors)
        control, treated = (necromass(glucosamine, muramic_acid, used.k_f, used.q) / soc)[arms]
        parts.append(
            pd.DataFrame(
                {
                    "comparison": data["comparison"].values[place],
                    "study": data["study_of_comparison"].values[place],
                    "factors": name,
                    "as_analysed": name == spec.data.factors.name,
                    "k_F": used.k_f,
                    "q": used.q,
                    "log_delta_mcp": np.log(treated / control),
                    "delta_mcp": treated - control,
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    own = table.loc[table["as_analysed"], ["comparison", "log_delta_mcp"]].set_index("comparison")["log_delta_mcp"]
    differs = np.sign(table["log_delta_mcp"]) != np.sign(table["comparison"].map(own))
    return table.assign(sign_changes=differs)[list(COLUMNS)]


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
