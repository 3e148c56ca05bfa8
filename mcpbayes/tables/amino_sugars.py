"""Necromass made of the amino sugars of a table: where it is, its mean, and the spread that follows from theirs."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.measurement import amino_sugars as conversion
from mcpbayes.measurement.factor_draws import Central, central
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.columns import CONTROL, ROLES, TREATMENT
from mcpbayes.tables.cvs import with_cv
from mcpbayes.tables.labels import texts
from mcpbayes.tables.layouts import ArmColumns, arm_columns
from mcpbayes.tables.moments import Array, Texts, reported_cells, used_cv, used_n
from mcpbayes.vocabulary import (
    AMINO_SUGARS,
    DERIVED,
    FROM_AMINO_SUGARS,
    GLUCOSAMINE,
    IMPUTED,
    MURAMIC_ACID,
    NECROMASS,
    REPORTED,
)

#: Column of a frame of comparisons: where the necromass of both arms comes from.
SOURCE: Final = "necromass_from"


def has_both(rows: pd.DataFrame, role: str) -> pd.Series:
    """Return in which rows both amino sugars of an arm are there."""
    return _cells(rows, GLUCOSAMINE, role).notna() & _cells(rows, MURAMIC_ACID, role).notna()


def necromass_source(rows: pd.DataFrame, group: pd.Series, how: str, pools: Sequence[str] = (NECROMASS,)) -> pd.Series:
    """Return where the necromass of each comparison comes from: ``amino sugars`` or ``reported``.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison, from `mcpbayes.tables.layouts.comparisons`.
    group : Series of int
        Rows of one group share a control; they get one answer, since two methods must not meet in one log ratio.
    how : {"auto", "reported", "amino sugars"}
    pools : sequence of str
        What amino sugars are made into.

    Notes
    -----
    ``auto``: amino sugars, unless reported means inform more comparisons of the group.
    """
    if how != "auto":
        return pd.Series(how, rows.index, dtype=object)
    amino = has_both(rows, CONTROL) & has_both(rows, TREATMENT)
    cells = [_cells(rows, pool, role).notna() for pool in pools for role in ROLES]
    reported = pd.concat(cells, axis=1).all(axis=1)
    any_amino = has_both(rows, CONTROL) | has_both(rows, TREATMENT)
    by_group = pd.DataFrame({"amino": amino, "reported": reported, "any": any_amino}).groupby(group.to_numpy())
    informed = by_group.transform("sum")
    chosen = (informed["amino"] >= informed["reported"]) & (informed["any"] > 0)
    return pd.Series(np.where(chosen, FROM_AMINO_SUGARS, REPORTED), rows.index, dtype=object)


def converted(rows: pd.DataFrame, source: pd.Series, factors: Central) -> pd.DataFrame:
    """Return the rows with necromass, g/kg, made of amino sugars where `source` says so, and column ``necromass_from``.

    Notes
    -----
    An arm that lacks one of the two sugars lacks its necromass. SD and SE of reported necromass are scaled with the
    mean, so that their CV stays what it was.
    """
    changed: dict[str, pd.Series] = {SOURCE: source}
    for role in ROLES:
        columns, here = arm_columns("comparison", NECROMASS, role), source == FROM_AMINO_SUGARS
        glucosamine, muramic_acid = (_cells(rows, amino_sugar, role) for amino_sugar in AMINO_SUGARS)
        made = pd.Series(conversion.necromass(glucosamine, muramic_acid, factors.k_f, factors.q), rows.index)
        scale = made / rows[columns.mean]
        changed[columns.mean] = rows[columns.mean].where(~here, made)
        changed |= {name: rows[name].where(~here, rows[name] * scale) for name in (columns.sd, columns.se)}
    return rows.assign(**changed)


def with_amino_sugars(part: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str], data: DataSection) -> xr.Dataset:
    """Return the arms with their amino sugars, and the CV of necromass that follows from theirs.

    Parameters
    ----------
    part : Dataset
        From `mcpbayes.tables.moments.arm_dataset`.
    rows : DataFrame
        One row per comparison in canonical order; without column ``necromass_from`` the part stays as it is.
    controls : sequence of str
        Names of the controls in canonical order.
    data : DataSection
        Factors and defaults.

    Returns
    -------
    Dataset
        Further variables: ``source_necromass(arm)``, ``amino_mean`` (g/kg), ``amino_cv``, ``amino_n``,
        ``source_amino_sd(arm, amino_sugar)``, NaN and ``""`` in arms whose necromass is not made of them; attrs
        ``factors`` (name of the set), ``k_F`` and ``q`` behind ``mean``, and ``rho_amino_sugars``.

    Notes
    -----
    Where an amino sugar has no SD, its CV is that with which necromass has the CV that the table reports for it
    (derived) or, failing that, ``data.defaults.cv.necromass`` (imputed) at these factors: nothing is known of the
    spread of amino sugars that is not known of necromass.
    """
    if SOURCE not in rows:
        return part
    factors, rho = central(data.factors), data.defaults.rho_amino_sugars
    here, source = source_of_arms(part, rows, controls, (NECROMASS,))
    cells = reported_cells(rows, controls, AMINO_SUGARS)
    mean = np.where(here[:, None], cells.mean, np.nan)
    n, source_n = used_n(cells, data.defaults.n)
    n, source_n = _less(n, here), np.where(here[:, None], source_n, "").astype(object)
    pool = list(part["outcome"].values).index(NECROMASS)
    whole = {name: part[name].transpose("arm", "outcome").values.copy() for name in _CHANGED}
    share = conversion.muramic_share(mean[:, 0], mean[:, 1], factors.q)
    common = conversion.common_cv(share, whole["cv"][:, pool], rho)
    known = np.where(whole["source_sd"][:, pool] == IMPUTED, IMPUTED, DERIVED)
    cv, source_cv = used_cv(cells, n, common[:, None])
    source_cv = np.where(source_cv == IMPUTED, known[:, None], source_cv)
    cv, source_cv = _less(cv, here), np.where(here[:, None], source_cv, "").astype(object)
    made = conversion.necromass_cv(share, cv[:, 0], cv[:, 1], rho)
    whole["cv"][here, pool] = made[here]
    whole["source_sd"][here, pool] = _weakest(source_cv)[here]
    counted = here & (source_n[:, 0] != IMPUTED)
    whole["n"][counted, pool], whole["source_n"][counted, pool] = n[counted].min(axis=1), source_n[counted, 0]
    per_sugar = ("arm", "amino_sugar")
    added = {"amino_mean": mean, "amino_cv": cv, "amino_n": n, "source_amino_sd": source_cv}
    arms = part.assign({name: (("arm", "outcome"), values) for name, values in whole.items()})
    arms = arms.assign({name: (per_sugar, values) for name, values in added.items()})
    arms = arms.assign(source_necromass=("arm", source)).assign_coords(amino_sugar=texts(AMINO_SUGARS))
    attrs = {"factors": data.factors.name, "k_F": factors.k_f, "q": factors.q, "rho_amino_sugars": rho}
    return with_cv(arms, whole["cv"], bias_correction=data.bias_correction).assign_attrs(attrs)


#: Variables of the arms that amino sugars change.
_CHANGED: Final = ("cv", "n", "source_sd", "source_n")


def _cells(rows: pd.DataFrame, stem: str, role: str) -> pd.Series:
    columns: ArmColumns = arm_columns("comparison", stem, role)
    cells: pd.Series = rows[columns.mean]
    return cells


def source_of_arms(
    part: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str], pools: Sequence[str]
) -> tuple[NDArray[np.bool_], Texts]:
    """Return which arms have their necromass of amino sugars, and the source of every arm, "" where it is missing."""
    of_control = rows.drop_duplicates("control").set_index("control").loc[list(controls), SOURCE]
    source = np.concatenate([of_control.to_numpy(object), rows[SOURCE].to_numpy(object)])
    missing = part["mean"].sel(outcome=list(pools)).isnull().all("outcome").values
    source[missing] = ""
    return source == FROM_AMINO_SUGARS, source


def _less(values: Array, here: NDArray[np.bool_]) -> Array:
    return np.where(here[:, None], values, np.nan)


def _weakest(source: Texts) -> Texts:
    """Return per arm where the spread of its necromass is from: derived from that of its amino sugars, or imputed."""
    return np.where((source == IMPUTED).any(axis=1), IMPUTED, DERIVED).astype(object)
