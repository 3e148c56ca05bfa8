"""The two-pool equations: necromass and the rest of SOC after one change of management, in closed form.

Written once for NumPy and PyTensor: `xp` is the module whose elementwise functions are used.
"""

from typing import Any

import numpy as np

#: An array of NumPy or a variable of PyTensor.
Numbers = Any


def log_pool_change(log_change: Numbers, rate: Numbers, years: Numbers, xp: Any = np) -> Numbers:
    """Return the log ratio of a pool to its old steady state, so many years after the change of management.

    Parameters
    ----------
    log_change : array
        a = ln(new / old steady state).
    rate : array
        k, turnover rate per year, not negative.
    years : array
        t, not negative, infinity for the new steady state; all three broadcast.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array
        ln f(t), f(t) = 1 + (e^a − 1)(1 − e^(−kt)): a pool with first-order losses whose input or rate of loss changed
        once. 0 at t = 0, a for t → ∞.
    """
    return xp.log1p(xp.expm1(log_change) * -xp.expm1(-rate * years))


def log_soc_change(necromass: Numbers, non_microbial: Numbers, ratio: Numbers, xp: Any = np) -> Numbers:
    """Return the log ratio of SOC from those of its two pools.

    Parameters
    ----------
    necromass, non_microbial : array
        ln f_N and ln f_P.
    ratio : array
        r₀, necromass share of SOC before the change, between 0 and 1; all three broadcast.
    xp : module
        ``numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array
        θ_C = ln(r₀ f_N + (1 − r₀) f_P).
    """
    return xp.log1p(ratio * xp.expm1(necromass) + (1 - ratio) * xp.expm1(non_microbial))
