"""Can the question be answered with this table at all? Asked before sampling, so that nobody waits for an error."""

import numpy as np
import xarray as xr

from mcpbayes.errors import SpecificationError
from mcpbayes.inference.tree import Hierarchy
from mcpbayes.specification.formula import categories
from mcpbayes.specification.priors import prior_of_coefficient
from mcpbayes.specification.structure import Specification


def require_estimable(arms: xr.Dataset, model: Specification, tree: Hierarchy) -> None:
    """Refuse a model whose posterior would be improper, or whose rows per kind would mislead.

    Parameters
    ----------
    arms : xarray.Dataset
        From `mcpbayes.prepare`.
    model : Specification
    tree : Hierarchy
        Of the same table.

    Raises
    ------
    SpecificationError
        Coefficients with flat priors that the observed contrasts do not determine, or a categorical moderator that
        only groups the kinds of treatment.
    """
    _refuse_groups_of_kinds(arms)
    _refuse_undetermined_flat(arms, model, tree)


def _refuse_groups_of_kinds(arms: xr.Dataset) -> None:
    """Refuse a category that never varies within a kind: it is part of that kind's effect, and is averaged away."""
    if arms.attrs["level_kind"] != "on":
        return
    kind = arms["kind_of_comparison"].to_series()
    for name in categories(str(arms["design"].attrs.get("recipe", "{}"))):
        varies = arms[f"moderator_{name}"].to_series().groupby(kind.to_numpy()).nunique()
        if (varies == 1).all():
            raise SpecificationError(
                f"the moderator {name} is the same in all comparisons of each kind of treatment, so it only groups the "
                "kinds, which have effects of their own already; take it out of the formula, or set levels.kind=off",
                "moderators.formula",
            )


def _refuse_undetermined_flat(arms: xr.Dataset, model: Specification, tree: Hierarchy) -> None:
    """Flat coefficients need a design of full rank in every outcome's observed within-control contrasts."""
    names = [str(name) for name in arms["coefficient"].values]
    flat = [i for i, name in enumerate(names) if prior_of_coefficient(model, name).distribution == "flat"]
    if not flat:
        return
    seen = tree.observed[tree.arm]
    if tree.control_covariance is None:
        control_arms = np.flatnonzero(~tree.treated)
        at_control = np.zeros((len(tree.site), tree.y.shape[1]), dtype=bool)
        at_control[tree.control[control_arms]] = tree.observed[control_arms]
        seen = seen & at_control[tree.control[tree.arm]]
    for k, outcome in enumerate(model.data.outcomes):
        columns = tree.design[seen[:, k]][:, flat]
        if columns.shape[0] == 0 or np.linalg.matrix_rank(columns) < len(flat):
            raise SpecificationError(
                f"with flat priors the table does not determine {', '.join(names[i] for i in flat)} of {outcome}: "
                f"{len(columns)} observed contrasts, some moderators repeat others; give a normal prior, or a shorter "
                "formula",
                "priors",
            )
