"""Which of two models predicts studies better that it has not seen? On identical rows only."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import StageError
from mcpbayes.estimands.tree import group
from mcpbayes.inference.refits import REWEIGHTED

#: Name of the last row.
TOTAL: Final = "all studies"

#: Largest difference of log means, and of sampling covariances, that is rounding.
_ROUNDING: Final = 1e-9


def compare_models(results: Mapping[str, xr.DataTree]) -> pd.DataFrame:
    """Compare two models by how well they predict the contrasts of every study from those of the others.

    Parameters
    ----------
    results : mapping of str to DataTree
        Two results by names of your choice, the second the one to compare with, each with group ``influence`` (of
        `mcpbayes.leave_one_study_out`), for example ``{"two-pool": two, "arm-based": static}``. Both of the same rows:
        the same studies, controls and comparisons, log means and sampling covariances.

    Returns
    -------
    DataFrame
        One row per study, and a last one of `TOTAL`; with A and B the two names:

        * ``left_out``, ``n_comparisons``;
        * ``elpd[A]`` = ln p(contrasts of the study | the other studies), nats, ``elpd_mcse[A]`` its Monte-Carlo
          standard error, ``how[A]``: ``weights`` (the draws given all studies, weighed) or ``refit``, ``pareto_k[A]``
          (of what: see the notes), ``passed[A]``, whether it can be relied on; the same of B;
        * ``difference`` = elpd[A] − elpd[B], positive where A predicts better; ``difference_mcse``;
        * ``difference_se``, in the last row only: the standard error of the total, as of a sum over studies that are a
          sample of studies;
        * ``reason``: why a row cannot be relied on.

        Sums, the largest k̂ and whether all can be relied on in the last row; a sum with a missing number is missing.

    Raises
    ------
    StageError
        A group is missing, or the rows are not identical; the message says which differ.
    ValueError
        There are not two results.

    Notes
    -----
    Scored are within-control contrasts, the only thing that the static models predict: baselines of both pools are
    flat. The two-pool model takes r₀ of the controls of the left-out study from its population, not from the controls.
    The difference adds over studies, with the standard error √S sd(difference): rough with fewer than about ten studies
    and where one study makes most of it (Vehtari, Gelman & Gabry 2017, doi:10.1007/s11222-016-9696-4; Sivula, Magnusson
    & Vehtari 2020, arXiv:2008.10296, who find a difference below 4 nats small).
    Monte-Carlo errors of the last row take those of studies as independent; studies that were weighed share the draws,
    so that the error of their sum may be somewhat larger. ``pareto_k`` is that of the weights where ``how`` is weights;
    with two-pool refits that of the densities, with static ones that of the proposals.
    """
    if len(results) != 2:
        raise ValueError(f"results: expected two by name, found {len(results)}: {', '.join(map(str, results))}")
    (first, one), (second, other) = results.items()
    require_identical_rows(results)
    found = {first: _densities(one), second: _densities(other)}
    table = pd.DataFrame({name: found[first][name] for name in ("left_out", "n_comparisons")})
    for name, columns in found.items():
        for column in ("elpd", "elpd_mcse", "how", "pareto_k", "passed"):
            table[f"{column}[{name}]"] = columns[column]
    table["difference"] = table[f"elpd[{first}]"] - table[f"elpd[{second}]"]
    table["difference_mcse"] = np.hypot(table[f"elpd_mcse[{first}]"], table[f"elpd_mcse[{second}]"])
    table["difference_se"] = np.nan
    reasons = zip(*([f"{name}: {why}" if why else "" for why in found[name]["reason"]] for name in found), strict=True)
    table["reason"] = ["; ".join(filter(None, both)) for both in reasons]
    return pd.concat([table, _total(table, list(found))], ignore_index=True)


def _densities(result: xr.DataTree) -> dict[str, np.ndarray]:
    """Return the columns of one model."""
    found = group(result, words.INFLUENCE)
    columns = {name: found[name].values for name in ("n_comparisons", "elpd", "elpd_mcse", "pareto_k")}
    attempt = found["attempt"].values
    how = np.where(attempt == REWEIGHTED, "weights", np.where(attempt > REWEIGHTED, "refit", ""))
    return columns | {
        "left_out": found["left_out"].values.astype(str),
        "how": how,
        "passed": found["passed"].values.astype(bool),
        "reason": found["reason"].values.astype(str),
    }


def _total(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the last row."""
    row: dict[str, object] = {"left_out": TOTAL, "n_comparisons": table["n_comparisons"].sum(), "reason": ""}
    for name in names:
        row |= {f"elpd[{name}]": table[f"elpd[{name}]"].sum(skipna=False), f"how[{name}]": ""}
        row[f"elpd_mcse[{name}]"] = _root_of_squares(table[f"elpd_mcse[{name}]"])
        row[f"pareto_k[{name}]"] = table[f"pareto_k[{name}]"].max(skipna=False)
        row[f"passed[{name}]"] = bool(table[f"passed[{name}]"].all())
    row["difference"] = table["difference"].sum(skipna=False)
    row["difference_mcse"] = _root_of_squares(table["difference_mcse"])
    row["difference_se"] = np.sqrt(len(table)) * table["difference"].std(ddof=1, skipna=False)
    return pd.DataFrame([row])[list(table.columns)]


def _root_of_squares(errors: pd.Series) -> float:
    return float(np.sqrt(np.square(errors.to_numpy(dtype=float)).sum()))


def require_identical_rows(results: Mapping[str, xr.DataTree]) -> None:
    """Refuse two results that were not made of the same rows.

    Parameters
    ----------
    results : mapping of str to DataTree
        Two, by name.

    Raises
    ------
    StageError
        Saying which comparisons or arms differ, and what to do.
    """
    (first, one), (second, other) = ((name, group(result, words.DATA)) for name, result in results.items())
    families = {first: one.attrs["family"], second: other.attrs["family"]}
    contrasts = [f"'{name}' ({family})" for name, family in families.items() if family not in words.OF_ARMS]
    if contrasts:
        raise StageError(
            f"Models are compared on contrasts of arms, and {' and '.join(contrasts)} has published ratios: expected "
            f"results of the families {' or '.join(words.OF_ARMS)}."
        )
    if one["outcome"].values.tolist() != other["outcome"].values.tolist():
        pools = (", ".join(each["outcome"].values.astype(str)) for each in (one, other))
        raise StageError(f"The outcomes of '{first}' ({next(pools)}) and '{second}' ({next(pools)}) differ.")
    for name, here, there in ((first, one, other), (second, other, one)):
        _refuse_further(name, here, there)
    if one["arm"].values.tolist() != other["arm"].values.tolist() or not _same(one, other, "control_of_arm"):
        raise StageError(
            f"The controls of '{first}' and '{second}' are not the same, although their comparisons are: prepare both "
            "from one table."
        )
    for variable, what in (("log_mean", "log means"), ("sampling_covariance", "sampling covariances")):
        _refuse_other_numbers((first, second), one[variable], other[variable], what)


def _refuse_further(name: str, here: xr.Dataset, there: xr.Dataset) -> None:
    """Refuse comparisons that one result has and the other has not."""
    known = set(zip(*(there[key].values.astype(str) for key in ("comparison", "study_of_comparison")), strict=True))
    keys = zip(*(here[key].values.astype(str) for key in ("comparison", "study_of_comparison")), strict=True)
    further = np.array([key not in known for key in keys])
    if further.any():
        shown = _listed(here["comparison"].values.astype(str)[further])
        rows = _listed(np.array([f"row {row}" for row in np.sort(here["source_row"].values[further])]))
        raise StageError(
            f"The rows are not identical. Only in '{name}': {shown} (of its table: {rows}). Prepare, fit and leave "
            "studies out again from a table without them; the two-pool model leaves out before-after pairs and "
            "saturated controls."
        )


def _refuse_other_numbers(names: tuple[str, str], one: xr.DataArray, other: xr.DataArray, what: str) -> None:
    """Refuse numbers of arms that differ by more than rounding."""
    here, there = (np.asarray(each.transpose("arm", ...).values, dtype=float) for each in (one, other))
    apart = ~np.isclose(here, there, rtol=0, atol=_ROUNDING, equal_nan=True)
    if apart.any():
        arms = one["arm"].values.astype(str)[apart.reshape(len(apart), -1).any(axis=1)]
        raise StageError(
            f"The rows are not identical: {what} of '{names[0]}' and '{names[1]}' differ, of {_listed(arms)}. Prepare "
            "both from one table with the same [data] settings, data.dispersion included."
        )


def _same(one: xr.Dataset, other: xr.Dataset, variable: str) -> bool:
    return bool(np.array_equal(one[variable].values.astype(str), other[variable].values.astype(str)))


def _listed(values: np.ndarray) -> str:
    """Return a few values, and how many more there are."""
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(str, values[:5])) + more
