"""What draws must satisfy to be believed: the same limits for the engine's own choice and for the gate of every run.

R-hat and ESS: Vehtari et al. 2021, doi:10.1214/20-BA1221; k̂: Vehtari et al. 2024, arXiv:1507.02646.
"""

from typing import Final

#: R-hat must be below this.
R_HAT_LIMIT: Final = 1.01

#: Bulk and tail ESS must be at least this.
ESS_LIMIT: Final = 400

#: k̂ of the collapsed engine's weights must be below this.
PARETO_K_LIMIT: Final = 0.7

#: ESS/N of the collapsed engine's proposals must be above this.
EFFICIENCY_LIMIT: Final = 0.3
