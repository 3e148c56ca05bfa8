"""Equally probable pieces of a prior, each by its midpoint in probability."""

from typing import Final

import numpy as np
from scipy.special import betaincinv

from mcpbayes.specification.priors import number
from mcpbayes.specification.structure import Prior

#: Largest correlation of a world: with 1 the two pools of an arm would be a single measurement.
_LARGEST: Final = 1 - 1e-6


def strata(prior: Prior, worlds: int) -> list[float]:
    """Return the midpoints (in probability) of equally probable strata of a prior of a correlation.

    Parameters
    ----------
    prior : Prior
        ``beta``, ``lkj`` (of two outcomes) or ``fixed``, which is one world.
    worlds : int
    """
    if prior.distribution == "fixed":
        return [number(prior, "value", "")]
    keys = ("eta", "eta") if prior.distribution == "lkj" else ("a", "b")
    a, b = (number(prior, key, "") for key in keys)
    rho = 2 * betaincinv(a, b, (np.arange(worlds) + 0.5) / worlds) - 1
    return [float(value) for value in np.clip(rho, -_LARGEST, _LARGEST)]
