"""Microbial necromass carbon from amino sugars, and what their spread among plots makes of its own: NumPy in and out.

Glucosamine G and muramic acid M are masses of the amino sugars per mass of soil. Every result is a mass of carbon per
mass of soil in the unit of G and M.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Mass of one mole of glucosamine (179.17 g) per mass of one mole of muramic acid (251.23 g).
MASS_RATIO: Final = 179.17 / 251.23


def bacterial_necromass(muramic_acid: ArrayLike, k_b: ArrayLike) -> Array:
    """Return bacterial necromass carbon, BNC = k_B M.

    Parameters
    ----------
    muramic_acid : array_like
        M, in any mass per mass of soil.
    k_b : array_like
        k_B, mass of bacterial carbon per mass of muramic acid; by convention 45.

    References
    ----------
    Appuhn, A. & Joergensen, R. G. (2006). Microbial colonisation of roots as a function of plant species. Soil Biology
    and Biochemistry 38. In use: Joergensen, R. G. (2018). Amino sugars as specific indices for fungal and bacterial
    residues in soil. Biology and Fertility of Soils 54, 559-568. doi:10.1007/s00374-018-1288-3
    """
    carbon: Array = np.asarray(k_b, dtype=float) * np.asarray(muramic_acid, dtype=float)
    return carbon


def fungal_necromass(glucosamine: ArrayLike, muramic_acid: ArrayLike, k_f: ArrayLike, rho_b: ArrayLike) -> Array:
    """Return fungal necromass carbon, FNC = k_F (G − ϱ_b M 179.17/251.23).

    Not positive where bacteria explain all glucosamine.

    Parameters
    ----------
    glucosamine, muramic_acid : array_like
        G and M, in one mass per mass of soil.
    k_f : array_like
        k_F, mass of fungal carbon per mass of fungal glucosamine; by convention 9.
    rho_b : array_like
        ϱ_b, moles of glucosamine per mole of muramic acid in bacteria; by convention 2.

    References
    ----------
    Engelking, B., Flessa, H. & Joergensen, R. G. (2007). Shifts in amino sugar and ergosterol contents after addition
    of sucrose and cellulose to soil. Soil Biology and Biochemistry 39. In use: Joergensen (2018),
    doi:10.1007/s00374-018-1288-3
    """
    of_bacteria = np.asarray(rho_b, dtype=float) * MASS_RATIO * np.asarray(muramic_acid, dtype=float)
    carbon: Array = np.asarray(k_f, dtype=float) * (np.asarray(glucosamine, dtype=float) - of_bacteria)
    return carbon


def muramic_weight(k_b: ArrayLike, k_f: ArrayLike, rho_b: ArrayLike) -> Array:
    """Return what a mass of muramic acid counts against one of glucosamine, q = k_B/k_F − ϱ_b 179.17/251.23.

    Notes
    -----
    BNC + FNC = k_F (G + q M): all that factors do to a ratio of two necromasses they do through q.
    """
    ratio = np.asarray(k_b, dtype=float) / np.asarray(k_f, dtype=float)
    weight: Array = ratio - MASS_RATIO * np.asarray(rho_b, dtype=float)
    return weight


def necromass(glucosamine: ArrayLike, muramic_acid: ArrayLike, k_f: ArrayLike, q: ArrayLike) -> Array:
    """Return microbial necromass carbon, N = k_F (G + q M), with q of `muramic_weight`.

    Notes
    -----
    The sum of `bacterial_necromass` and `fungal_necromass`. With the conventional 45, 9 and 2: N = 9 G + 32.16 M.

    References
    ----------
    Liang, C., Amelung, W., Lehmann, J. & Kästner, M. (2019). Quantitative assessment of microbial necromass
    contribution to soil organic matter. Global Change Biology 25, 3578-3590. doi:10.1111/gcb.14781
    """
    weighted = np.asarray(glucosamine, dtype=float) + np.asarray(q, dtype=float) * np.asarray(muramic_acid, dtype=float)
    carbon: Array = np.asarray(k_f, dtype=float) * weighted
    return carbon


def muramic_share(glucosamine: ArrayLike, muramic_acid: ArrayLike, q: ArrayLike) -> Array:
    """Return the share of necromass that muramic acid stands for, w = q M/(G + q M): d ln N/d ln M."""
    part = np.asarray(q, dtype=float) * np.asarray(muramic_acid, dtype=float)
    share: Array = part / (np.asarray(glucosamine, dtype=float) + part)
    return share


def necromass_cv(share: ArrayLike, cv_glucosamine: ArrayLike, cv_muramic_acid: ArrayLike, rho: ArrayLike) -> Array:
    """Return the coefficient of variation of necromass among plots.

    Parameters
    ----------
    share : array_like
        w of `muramic_share`, from the means of the arm.
    cv_glucosamine, cv_muramic_acid : array_like
        Coefficients of variation of the amino sugars among plots, as a fraction.
    rho : array_like
        Correlation of the amino sugars over the plots of one arm.

    Returns
    -------
    ndarray
        √((1 − w)² CV_G² + w² CV_M² + 2 ϱ w (1 − w) CV_G CV_M); over n plots the log mean has variance CV²/n.

    Notes
    -----
    The same as √(s_G² + q² s_M² + 2 q ϱ s_G s_M)/(G + q M) of standard deviations s. N is linear in G and M, so this is
    the exact CV of N; the variance of its log mean is first order (delta method).
    """
    w, g, m = (np.asarray(values, dtype=float) for values in (share, cv_glucosamine, cv_muramic_acid))
    first, second = (1 - w) * g, w * m
    cv: Array = np.sqrt(first**2 + second**2 + 2 * np.asarray(rho, dtype=float) * first * second)
    return cv


def common_cv(share: ArrayLike, cv_necromass: ArrayLike, rho: ArrayLike) -> Array:
    """Return the CV of both amino sugars with which necromass has a given CV: the inverse of `necromass_cv`."""
    cv: Array = np.asarray(cv_necromass, dtype=float) / necromass_cv(share, 1.0, 1.0, rho)
    return cv
