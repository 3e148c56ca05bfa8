"""Every random number of the package comes from here: one generator per (seed, purpose, block).

Keying the generators, instead of passing one along, makes numbers independent of the order of the stages, of the
number of workers and of whether draws are stored or streamed.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

#: Purposes and their keys; a key is never reused or renumbered, or saved results could not be reproduced.
PURPOSES: Final = {
    "effects": 1,  # baselines and comparison effects drawn from their Gaussian conditional, block = block of studies
    "new": 2,  # a comparison in a study not seen
    "reference": 3,  # the control drawn for r0 at level new
    "share": 4,  # fresh comparisons behind the scenario shares of a forecast, block = block of draws
    "prior": 5,  # prior draws behind the prior probabilities
    "simulate": 6,  # simulated tables
    "root": 7,  # coefficients and kinds drawn from their Gaussian conditional
    "proposals": 8,  # proposals of the collapsed engine, and its chains
    "influence": 9,  # chains without one study, and proposals where those of all studies do not suffice, block = study
    "worlds": 10,  # one seed per world of a result that is pooled over worlds
    "doubts": 11,  # which value of one doubt goes with which of another in a world, block = place of the doubt
    "factors": 12,  # conversion factors of amino sugars: the triples (block 0), and which of them each draw has
    "cvs": 13,  # draws of the model of CVs, always with seed 0: they belong to the table
    "two_pool_simulate": 14,  # simulated tables with durations: truths and numbers (block 0), design (block 1)
    "two_pool_baselines": 15,  # ln SOC of controls, drawn from its Gaussian conditional
    "two_pool_prior": 16,  # prior draws of trajectories
    "forecast": 17,  # a comparison in a study not seen, over time, and its control; block = place among those targets
    "two_pool_left_out": 18,  # effects behind the density of a study, block = 2 × study, + 1 in the fit without it
}


def generator(seed: int, purpose: str, block: int = 0) -> "np.random.Generator":
    """Return the random generator of one purpose and block.

    Parameters
    ----------
    seed : int
        The user's seed, non-negative.
    purpose : str
        A key of `PURPOSES`.
    block : int
        Number of the block of work within the purpose.
    """
    import numpy as np

    return np.random.default_rng([seed, PURPOSES[purpose], block])
