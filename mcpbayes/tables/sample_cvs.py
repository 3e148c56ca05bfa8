"""The sample CVs of the arms as data: which say something of how much plots vary, and with how many degrees of freedom.

In complete blocks the arms of a control share one CV, which counts once. An SE without n says what the variance of the
mean is, and nothing of the CV.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from mcpbayes.tables.amino_arms import converted_arms
from mcpbayes.tables.columns import DISPERSIONS
from mcpbayes.tables.layouts import shared_df_column
from mcpbayes.tables.moments import reported_cells
from mcpbayes.tables.part_arms import of_parts
from mcpbayes.vocabulary import AMINO_SUGARS, DERIVED, IMPUTED, NECROMASS, PARTS, REPORTED

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SampleCVs:
    """Sample CVs, all arrays (arm, pool) but `study`.

    Parameters
    ----------
    given : array
        Sample CVs that are data of a model of CVs; NaN elsewhere.
    df : array
        Their degrees of freedom.
    shared_with : array of int
        The first arm of those that share one CV; an arm with a CV of its own itself.
    kept : array of bool
        Arms whose CV only carries an SE to its variance.
    study : array of int (arm,)
        Studies as numbers.
    """

    given: Array
    df: Array
    shared_with: NDArray[np.intp]
    kept: NDArray[np.bool_]
    study: NDArray[np.intp]

    @property
    def once(self) -> Array:
        """The sample CVs, of arms that share one that of the first."""
        return np.where(self.shared_with == np.arange(len(self.study))[:, None], self.given, np.nan)


def sample_cvs(arms: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str]) -> SampleCVs:
    """Return the sample CVs of arms; `rows` and `controls` as in `mcpbayes.tables.cvs.with_cvs`."""
    order = ("arm", "outcome")
    cv, n = (arms[name].transpose(*order).values for name in ("cv", "n"))
    source = arms["source_sd"].transpose(*order).values.astype(str)
    kept = se_without_n(arms, rows, controls)
    given = np.where(np.isin(source, (REPORTED, DERIVED)) & ~kept, cv, np.nan)
    of_control = rows.drop_duplicates("control").set_index("control")["study"].loc[list(controls)]
    study = np.unique(np.concatenate([of_control, rows["study"]]).astype(str), return_inverse=True)[1]
    shared_df = _shared_df(arms, rows, controls)
    together = ~np.isnan(shared_df) & ~np.isnan(given)
    df, control = np.where(together, shared_df, n - 1.0), arms["control_of_arm"].values.astype(str)
    return SampleCVs(given, df, _first_of_control(together, control), kept, study)


def any_spread(rows: pd.DataFrame) -> bool:
    """Say whether any arm of a table of comparisons has an SD, SE or CV of anything."""
    ends = tuple(f"_{kind}" for kind in DISPERSIONS)
    return any(rows[name].notna().any() for name in rows.columns if str(name).endswith(ends))


def se_without_n(arms: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str]) -> NDArray[np.bool_]:
    """Return of which arms and pools an SE, or an interval, is given without n: (arm, outcome)."""
    outcomes = arms["outcome"].values.astype(str).tolist()
    source, source_n = (arms[name].transpose("arm", "outcome").values for name in ("source_sd", "source_n"))
    found = _from_se(rows, controls, outcomes)
    here = converted_arms(arms)
    if of_parts(arms):
        found[np.ix_(here, list(map(outcomes.index, PARTS)))] = _from_se(rows, controls, AMINO_SUGARS)[here]
    elif here.any():
        pool = outcomes.index(NECROMASS)
        of_sugars = _from_se(rows, controls, AMINO_SUGARS)
        # without SDs of amino sugars the SE of necromass serves them
        found[here, pool] = np.where(of_sugars.any(axis=1), True, found[:, pool])[here]
    return np.asarray(found & (source == DERIVED) & (source_n == IMPUTED))


def _from_se(rows: pd.DataFrame, controls: Sequence[str], stems: Sequence[str]) -> NDArray[np.bool_]:
    cells = reported_cells(rows, controls, stems)
    return np.asarray(~np.isnan(cells.se) & np.isnan(cells.sd) & np.isnan(cells.cv))


def _shared_df(arms: xr.Dataset, rows: pd.DataFrame, controls: Sequence[str]) -> Array:
    """Return the degrees of freedom of CVs that the arms of a control share, (arm, outcome), NaN elsewhere."""
    columns = [shared_df_column(outcome) for outcome in arms["outcome"].values.astype(str)]
    treated = rows.reindex(columns=columns).astype(float)
    of_control = treated.groupby(rows["control"].to_numpy()).max().loc[list(controls)]
    return np.concatenate([of_control.to_numpy(), treated.to_numpy()])


def _first_of_control(together: NDArray[np.bool_], control: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the first arm of those of a control that share a CV; the arm itself elsewhere."""
    shared = np.repeat(np.arange(len(control))[:, None], together.shape[1], axis=1)
    for pool, here in enumerate(together.T):
        at = np.flatnonzero(here)
        _, first, place = np.unique(control[at], return_index=True, return_inverse=True)
        shared[at, pool] = at[first[place]]
    return shared
