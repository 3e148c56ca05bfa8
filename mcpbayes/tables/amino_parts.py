"""Fungal and bacterial necromass, each a pool of its own, made of the amino sugars of a table."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes.measurement import amino_sugars as conversion
from mcpbayes.measurement.factor_draws import central_of_parts
from mcpbayes.specification.structure import DataSection
from mcpbayes.tables.amino_sugars import SOURCE, source_of_arms
from mcpbayes.tables.columns import ROLES
from mcpbayes.tables.labels import texts
from mcpbayes.tables.layouts import arm_columns
from mcpbayes.tables.moments import reported_cells, used_cv, used_n
from mcpbayes.tables.part_arms import BACTERIAL_SHARE, with_factors_of_parts
from mcpbayes.vocabulary import AMINO_SUGARS, FROM_AMINO_SUGARS, IMPUTED, PARTS


def converted_parts(rows: pd.DataFrame, source: pd.Series, data: DataSection, rho_b: float) -> pd.DataFrame:
    """Return the rows with both pools, g/kg, made of amino sugars where `source` says so, and that in a column.

    Parameters
    ----------
    rows : DataFrame
        One row per comparison.
    source : Series of str
        From `mcpbayes.tables.amino_sugars.necromass_source`.
    data : DataSection
        Factors.
    rho_b : float
        The largest ϱ_b of any fit, from `mcpbayes.tables.part_arms.most_bacterial`.

    Notes
    -----
    Fungal necromass needs both sugars, bacterial necromass muramic acid alone. Fungal necromass is missing in an arm
    where it is not positive with `rho_b`: an arm is not to have a fungal pool in one fit and none in another. What is
    given of the spread of reported pools says nothing of the sugars'.
    """
    factors = central_of_parts(data.factors)
    changed: dict[str, pd.Series] = {SOURCE: source}
    here = source == FROM_AMINO_SUGARS
    for role in ROLES:
        glucosamine, muramic_acid = (rows[arm_columns("comparison", sugar, role).mean] for sugar in AMINO_SUGARS)
        made = (
            conversion.fungal_necromass(glucosamine, muramic_acid, factors.k_f, factors.rho_b),
            conversion.bacterial_necromass(muramic_acid, factors.k_b),
        )
        no_fungi = conversion.fungal_necromass(glucosamine, muramic_acid, 1.0, rho_b) <= 0
        for part, carbon in zip(PARTS, (np.where(no_fungi, np.nan, made[0]), made[1]), strict=True):
            columns = arm_columns("comparison", part, role)
            changed[columns.mean] = rows[columns.mean].where(~here, carbon)
            changed |= {name: rows[name].where(~here) for name in (columns.sd, columns.se, columns.cv)}
    return rows.assign(**changed)


def with_sugars_of_parts(
    part: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str], data: DataSection
) -> xr.Dataset:
    """Return the arms with their amino sugars, and what follows from them for both pools.

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
        Further variables: ``source_necromass(arm)``, ``amino_mean(arm, amino_sugar)`` (g/kg), ``bacterial_share(arm)``;
        attrs ``factors`` (name of the set), ``k_B``, ``k_F`` and ``rho_b`` behind ``mean``, ``rho_amino_sugars``. In
        these arms ``cv``, ``n`` and their sources are those of glucosamine and of muramic acid.

    Notes
    -----
    Where an amino sugar has no SD its CV is the default of the pool that it stands for: ``fungal_necromass`` of
    glucosamine, ``bacterial_necromass`` of muramic acid.
    """
    if SOURCE not in rows:
        return part
    here, source = source_of_arms(part, rows, controls, PARTS)
    cells = reported_cells(rows, controls, AMINO_SUGARS)
    n, source_n = used_n(cells, data.defaults.n)
    cv, source_cv = used_cv(cells, n, np.array([data.defaults.cv[pool] for pool in PARTS]))
    order, outcomes = ("arm", "outcome"), part["outcome"].values.astype(str).tolist()
    whole = {name: part[name].transpose(*order).values.copy() for name in ("mean", "cv", "n", "source_sd", "source_n")}
    counted = here & ~(source_n == IMPUTED).any(axis=1)
    fewest = np.fmin(n[:, 0], n[:, 1])
    for sugar, pool in enumerate(map(outcomes.index, PARTS)):
        there = here & np.isfinite(whole["mean"][:, pool])
        whole["cv"][there, pool], whole["source_sd"][there, pool] = cv[there, sugar], source_cv[there, sugar]
        there &= counted
        whole["n"][there, pool], whole["source_n"][there, pool] = fewest[there], source_n[there, sugar]
    mean = np.where(here[:, None], cells.mean, np.nan)
    arms = part.assign({name: (order, values) for name, values in whole.items()})
    arms = arms.assign({"source_necromass": ("arm", source), "amino_mean": (("arm", "amino_sugar"), mean)})
    arms = arms.assign({BACTERIAL_SHARE: ("arm", np.zeros(len(here)))}).assign_coords(amino_sugar=texts(AMINO_SUGARS))
    arms = arms.assign_attrs(factors=data.factors.name, rho_amino_sugars=data.defaults.rho_amino_sugars)
    return with_factors_of_parts(arms, central_of_parts(data.factors), bias_correction=data.bias_correction)
