"""What the spread of amino sugars among plots makes of fungal and bacterial necromass beside SOC: NumPy in and out.

The two pools are made of the same two measurements, so their errors go together; the covariance follows from those of
glucosamine G, muramic acid M and SOC C to first order.
"""

import numpy as np
from numpy.typing import ArrayLike

from mcpbayes.measurement.amino_sugars import MASS_RATIO, Array
from mcpbayes.measurement.effect_sizes import correlated_covariance


def bacterial_share(glucosamine: ArrayLike, muramic_acid: ArrayLike, rho_b: ArrayLike) -> Array:
    """Return the share of glucosamine that is of bacteria, f = ϱ_b (179.17/251.23) M/G; from 1 on there are no fungi.

    Parameters
    ----------
    glucosamine, muramic_acid : array_like
        G and M, in one mass per mass of soil.
    rho_b : array_like
        ϱ_b, moles of glucosamine per mole of muramic acid in bacteria.
    """
    ratio = np.asarray(muramic_acid, dtype=float) / np.asarray(glucosamine, dtype=float)
    share: Array = MASS_RATIO * np.asarray(rho_b, dtype=float) * ratio
    return share


def parts_correlation(rho_sugars: ArrayLike, rho_within: ArrayLike) -> Array:
    """Return the correlations of G, M and C over the plots of an arm, (..., 3, 3): ϱ_GM, and ϱ of either with C.

    Notes
    -----
    Positive definite where ϱ² < (1 + ϱ_GM)/2, see `largest_rho_within`.
    """
    sugars, within = np.broadcast_arrays(np.asarray(rho_sugars, dtype=float), np.asarray(rho_within, dtype=float))
    one = np.ones_like(sugars)
    rows = ([one, sugars, within], [sugars, one, within], [within, within, one])
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def largest_rho_within(rho_sugars: float) -> float:
    """Return the correlation of either amino sugar with SOC, in size, from which on there is none between the two."""
    return float(np.sqrt((1.0 + rho_sugars) / 2.0))


def parts_covariance(share: ArrayLike, cv: ArrayLike, n: ArrayLike, correlation: ArrayLike) -> Array:
    """Return the sampling covariance of the log means of fungal necromass, bacterial necromass and SOC of one arm.

    Parameters
    ----------
    share : array_like, shape (...)
        f of `bacterial_share`, below 1; 0 where the two pools are as reported, then `cv` are theirs.
    cv : array_like, shape (..., 3)
        Coefficients of variation of G, M and C among plots, as a fraction; NaN where the first pool, the second or SOC
        is missing.
    n : array_like, shape (..., 3)
        Replicate plots.
    correlation : array_like, shape (..., 3, 3)
        Correlations of G, M and C over plots, of `parts_correlation`.

    Returns
    -------
    ndarray, shape (..., 3, 3)
        NaN in the rows and columns of what is missing.

    Notes
    -----
    First order (delta method), V = J S J' with S the covariance of ln G, ln M and ln C and

        ln F = ln k_F + ln(G − f G),   J = [[1/(1 − f), −f/(1 − f), 0], [0, 1, 0], [0, 0, 1]],

    so v_F = (s_GG − 2 f s_GM + f² s_MM)/(1 − f)²: the less is left for fungi, the less is known of them. Factors enter
    V through f alone. Positive definite where the correlations are.
    """
    f = np.asarray(share, dtype=float)
    s = correlated_covariance(cv, n, correlation)
    fungal = (s[..., 0, 0] - 2 * f * s[..., 0, 1] + f**2 * s[..., 1, 1]) / (1 - f) ** 2
    with_others = [(s[..., 0, k] - f * s[..., 1, k]) / (1 - f) for k in (1, 2)]
    covariance = s.copy()
    covariance[..., 0, 0] = fungal
    for k, value in zip((1, 2), with_others, strict=True):
        covariance[..., 0, k] = covariance[..., k, 0] = value
    return covariance
