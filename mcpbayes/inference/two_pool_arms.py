"""What the two-pool likelihood needs of the arms, and what it integrates out: ln SOC of every control."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tree import Hierarchy, sum_into

#: Largest measured r₀ whose logit is taken as it is.
MOST: Final = 0.98
#: Largest measured share of necromass in the SOC of a treated arm that is taken as it is; the rest is the other pool.
MOST_TREATED: Final = 0.9


@dataclass(frozen=True, eq=False)
class Observed:
    """The arms as measured, outcomes in the order necromass, SOC.

    Parameters
    ----------
    log_mean : array (arm, 2)
        ln(g/kg); 0 where not observed.
    precision : array (arm, 2, 2)
        Inverse of the sampling covariance of the observed pools, 0 elsewhere.
    per_control : array (control,)
        1'P 1 summed over the arms of a control: how precisely they know its baseline.
    constant : float
        What the log density holds besides squares.
    logit, logit_precision : array (control,)
        Logit of the measured r₀ and its precision, which is 0 where a pool was not observed.
    contrast : array (comparison, 2)
        Measured θ_N and θ_C, 0 where an arm lacks the pool.
    contrast_precision : array (comparison, 2, 2)
        Inverse of their covariance on the observed pools, 0 elsewhere.
    """

    log_mean: Array
    precision: Array
    per_control: Array
    constant: float
    logit: Array
    logit_precision: Array
    contrast: Array
    contrast_precision: Array


def observed_arms(tree: Hierarchy) -> Observed:
    """Return what was measured.

    Parameters
    ----------
    tree : Hierarchy
        Of a two-pool table.

    Notes
    -----
    y_a ~ N(b_g 1 + m_a, V_a) for the arms a of a control g, b_g flat. With P_a the inverse of V_a on the observed
    pools, e_a = y_a − m_a, T_g = Σ 1'P_a e_a and S_g = Σ 1'P_a 1 the baseline is integrated out:
    ln p = −½ Σ_a (k_a ln 2π + ln|V_a|) + ½ Σ_g (ln 2π − ln S_g) − ½ (Σ_a e_a'P_a e_a − Σ_g T_g²/S_g).
    """
    inverse, log_determinant = small.observed_inverse(tree.sampling[..., None], tree.observed)
    precision = inverse[..., 0]
    per_control = sum_into(tree.control, len(tree.site), precision.sum(axis=(1, 2)))
    log_2pi = np.log(2 * np.pi)
    arms = tree.observed.sum() * log_2pi + log_determinant.sum()
    constant = 0.5 * (len(per_control) * log_2pi - np.log(per_control).sum() - arms)
    return Observed(tree.y, precision, per_control, float(constant), *_measured(tree))


def _measured(tree: Hierarchy) -> tuple[Array, Array, Array, Array]:
    """Return what the controls say of r₀ and the comparisons of θ, each with its precision; for the sampler alone."""
    control_arm = np.full(len(tree.site), -1)
    control_arm[tree.control[~tree.treated]] = np.flatnonzero(~tree.treated)
    own = control_arm[tree.control[tree.arm]]
    v = tree.sampling
    seen = tree.observed[tree.arm] & tree.observed[own]
    contrast = np.where(seen, tree.y[tree.arm] - tree.y[own], 0.0)
    inverse, _ = small.observed_inverse((v[tree.arm] + v[own])[..., None], seen)

    # A measured ratio may exceed 1, of which there is no logit.
    both = tree.observed[control_arm].all(axis=1)
    ratio = np.clip(np.exp(tree.y[control_arm, 0] - tree.y[control_arm, 1]), 0.0, MOST)
    ratio = np.where(both, ratio, 0.5)
    own_v = v[control_arm]
    of_log_ratio = own_v[:, 0, 0] + own_v[:, 1, 1] - 2 * own_v[:, 0, 1]
    precision = np.divide((1 - ratio) ** 2, of_log_ratio, out=np.zeros(len(both)), where=both)
    return np.log(ratio / (1 - ratio)), precision, contrast, inverse[..., 0]


def draw_baselines(tree: Hierarchy, log_ratio: Array, effect: Array, rng: np.random.Generator) -> Array:
    """Draw ln SOC of every control from its exact conditional.

    Parameters
    ----------
    tree : Hierarchy
    log_ratio : array (control, draw)
        ln r₀.
    effect : array (comparison, 2, draw)
        θ_N and θ_C of the comparisons.
    rng : numpy.random.Generator

    Returns
    -------
    array (control, draw)
        b_g | rest ~ N(T_g/S_g, 1/S_g), ln(g/kg).
    """
    seen = observed_arms(tree)
    rest = np.repeat(seen.log_mean[..., None], log_ratio.shape[1], axis=2)
    rest[:, 0] -= log_ratio[tree.control]
    rest[tree.arm] -= effect
    total = sum_into(tree.control, len(tree.site), np.einsum("aij,ajd->ad", seen.precision, rest))
    spread = 1 / np.sqrt(seen.per_control)[:, None]
    return np.asarray(spread**2 * total + spread * rng.standard_normal(total.shape))
