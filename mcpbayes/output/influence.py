"""What each study does to the answer, as a table: one row per study left out and target."""

from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group

#: Columns of ``influence.csv`` that tell of a refit as a whole.
OF_REFIT: Final = ("n_comparisons", "elpd", "elpd_mcse", "passed", "pareto_k", "attempt", "reason")

#: Whether class and claim are others than with all studies, beyond Monte-Carlo error.
OF_CHANGE: Final = ("class_changes", "claim_changes")

#: Columns that a result with both pools has for every target, besides the estimates.
OF_CLAIM: Final = ("prob_positive", "leading_class", "leading_probability", "claim", "claim_probability")


def influence_table(result: xr.DataTree) -> pd.DataFrame:
    """Return what leaving each study out does to every target of the levels mean and new.

    Parameters
    ----------
    result : DataTree
        With group ``influence``.

    Returns
    -------
    DataFrame
        ``left_out``, `OF_REFIT`, ``level``, ``name``, ``unseen``, ``shift``, ``effect_shift_<outcome>``; then without
        the study ``log_delta_mcp_mean`` (``sd``, ``lower``, ``upper``), ``delta_mcp_*``, ``effect_<outcome>_*``,
        `OF_CLAIM`, `OF_CHANGE`; with ``all_`` before it, means and claims of all studies; last ``interval_kind`` and
        ``interval_prob``. Without both pools there is no ratio and no claim. First all targets of the first study. Log
        ratios, ``delta_mcp`` as a fraction, shifts in posterior standard deviations of the result, full precision.
        Of a two-pool result ``left_out`` and `OF_REFIT` only.

    Raises
    ------
    StageError
        `mcpbayes.leave_one_study_out` was not called.
    """
    found = group(result, words.INFLUENCE)
    if "target" not in found.dims:
        return pd.DataFrame({name: found[name].values for name in ("left_out", *OF_REFIT)})
    studies, targets = found.sizes["left_out"], found.sizes["target"]
    columns: dict[str, np.ndarray] = {"left_out": np.repeat(found["left_out"].values.astype(str), targets)}
    columns |= {name: np.repeat(found[name].values, targets) for name in OF_REFIT}
    columns |= {name: np.tile(found[name].values.astype(str), studies) for name in ("level", "name")}
    columns["unseen"] = found["unseen"].values.ravel()
    both = "shift" in found
    quantities = ("log_delta_mcp", "delta_mcp") if both else ()
    if both:
        columns["shift"] = found["shift"].values.ravel()
    for k, outcome in enumerate(found["outcome"].values.astype(str)):
        columns[f"effect_shift_{outcome}"] = found["effect_shift"].values[..., k].ravel()
    for prefix, summaries in (("", ("mean", "sd", "lower", "upper")), ("all_", ("mean",))):
        for name in quantities:
            columns |= {f"{prefix}{name}_{what}": _rows(found, f"{prefix}{name}_{what}", None) for what in summaries}
        for k, outcome in enumerate(found["outcome"].values.astype(str)):
            columns |= {
                f"{prefix}effect_{outcome}_{what}": _rows(found, f"{prefix}effect_{what}", k) for what in summaries
            }
        claims = (*OF_CLAIM, *(() if prefix else OF_CHANGE)) if both else ()
        columns |= {prefix + name: _rows(found, prefix + name, None) for name in claims}
    constant = {name: found.attrs[name] for name in ("interval_kind", "interval_prob")}
    return pd.DataFrame(columns | constant)


def _rows(found: xr.Dataset, name: str, place: int | None) -> np.ndarray:
    """Return a variable in the order of the rows, one outcome of it; what holds for all studies stands in each row."""
    values = found[name].values if place is None else found[name].values[..., place]
    return values.ravel() if "left_out" in found[name].dims else np.tile(values, found.sizes["left_out"])
