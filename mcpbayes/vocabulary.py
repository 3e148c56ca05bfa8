"""Names of groups, dims, variables, levels, quantities and scenario codes: spelt once.

Scenario codes read "sign of the necromass effect, sign of the SOC effect, sign of the change of their ratio".
The labels are ours: the numbering and names of Zhu, Schimel & Liang (2025, doi:10.1016/j.soilbio.2025.109950)
are not public.
"""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

#: Version of the result tree's layout; raised when a group or variable changes its meaning.
SCHEMA_VERSION: Final = 1

NECROMASS: Final = "necromass"
SOC: Final = "soc"
FUNGAL_NECROMASS: Final = "fungal_necromass"
BACTERIAL_NECROMASS: Final = "bacterial_necromass"
#: The two pools whose sum is necromass, where they are outcomes of their own; in the order of the tables.
PARTS: Final = (FUNGAL_NECROMASS, BACTERIAL_NECROMASS)
#: Pools that an arm can be measured for.
POOLS: Final = (NECROMASS, SOC, *PARTS)
GLUCOSAMINE: Final = "glucosamine"
MURAMIC_ACID: Final = "muramic_acid"
#: What SOC holds besides necromass, and the two pools of which SOC is the sum: dim ``pool`` of the two-pool model.
NON_MICROBIAL: Final = "non_microbial"
PARTS_OF_SOC: Final = (NECROMASS, NON_MICROBIAL)
#: Where a table has both, necromass can be made of them.
AMINO_SUGARS: Final = (GLUCOSAMINE, MURAMIC_ACID)

#: Comparisons × draws up to which a result stores the effects of studies and comparisons; beyond, they are redrawn
#: block by block wherever they are needed, with the same numbers. A million of them takes 70 MB over the groups
#: posterior and delta_mcp: beyond four millions, writing fresh memory takes longer than drawing and summarising, and
#: the file of the result would grow past 300 MB.
STORED_AT_MOST: Final = 4_000_000

# Groups of the result tree.
DATA: Final = "data"
POSTERIOR: Final = "posterior"
SAMPLE_STATS: Final = "sample_stats"
LOG_LIKELIHOOD: Final = "log_likelihood"
OBSERVED_DATA: Final = "observed_data"
DELTA_MCP: Final = "delta_mcp"
SCENARIO: Final = "scenario"
INFLUENCE: Final = "influence"
ASSUMPTIONS: Final = "assumptions"
FORECAST: Final = "forecast"

# Families and layouts.
ARM_BASED: Final = "arm-based"
CONTRAST_BASED: Final = "contrast-based"
TWO_POOL: Final = "two-pool"
#: Families whose data are arms; those of the other are contrasts.
OF_ARMS: Final = (ARM_BASED, TWO_POOL)
LAYOUTS: Final = ("comparison", "arm", "plot", "contrast")

# Levels of an estimand; parameter is the level of the hyper-parameters in tables.
PARAMETER: Final = "parameter"
MEAN: Final = "mean"
NEW: Final = "new"
STUDY: Final = "study"
COMPARISON: Final = "comparison"

# Names of targets at the levels mean and new.
AVERAGE: Final = "average"
AVERAGE_OVER_KINDS: Final = "average over kinds"

#: Root attribute of a result that says what effects are given standard deviations and correlations, and its value.
CONDITIONAL: Final = "conditional"
GAUSSIAN: Final = "gaussian"

#: Attribute of a group ``posterior`` pooled over worlds that are random draws, not strata: 1.
WORLDS_DRAWN: Final = "worlds_drawn"

# Where a standard deviation, a group size or a correlation came from.
REPORTED: Final = "reported"
DERIVED: Final = "derived"
IMPUTED: Final = "imputed"
#: Where the necromass of an arm came from, if it was not reported.
FROM_AMINO_SUGARS: Final = "amino sugars"

#: Column of a table, and variable of group ``data`` (two-pool): years since the change of management.
DURATION: Final = "duration_years"

#: Variable of group ``data`` where the correlation over plots is estimated: what a unit of it adds to each covariance.
PER_RHO: Final = "covariance_per_rho"

#: Scenario classes: twelve sectors of the plane (x = SOC effect, y = necromass effect) counter-clockwise, then centre.
SCENARIO_LABELS: Final = MappingProxyType(
    {
        "N+C+r+": "gain led by necromass",
        "N+C0r+": "conversion to necromass",
        "N+C-r+": "necromass gain amid SOC loss",
        "N0C-r+": "selective loss of non-microbial C",
        "N-C-r+": "loss with necromass persisting",
        "N-C-r0": "synchronous loss",
        "N-C-r-": "loss led by necromass",
        "N-C0r-": "necromass replaced",
        "N-C+r-": "SOC gain amid necromass loss",
        "N0C+r-": "gain of non-microbial C only",
        "N+C+r-": "gain led by non-microbial C",
        "N+C+r0": "synchronous gain",
        "N0C0r0": "steady state",
    }
)
SCENARIOS: Final = tuple(SCENARIO_LABELS)

#: Classes in which both pools move together (or neither moves); the other ten are asynchronous.
SYNCHRONOUS: Final = ("N+C+r0", "N-C-r0", "N0C0r0")


#: Name of a figure, written as SVG and PNG → function of `mcpbayes.plots` that draws it; in the order of the report.
FIGURE_NAMES: Final = MappingProxyType(
    {
        "scenario-plane": "scenario_plane",
        "scenario-wheel": "scenario_wheel",
        "forest": "forest",
        "scenario-bars": "scenario_bars",
        "tolerance-sweep": "tolerance_sweep",
        "delta-mcp": "densities",
        "influence": "influence",
    }
)

#: The same of a forecast.
FORECAST_FIGURES: Final = MappingProxyType(
    {
        "forecast-trajectories": "trajectories",
        "forecast-path": "scenario_path",
        "forecast-scenarios": "scenarios_over_time",
    }
)


def has_parts(outcomes: Iterable[str]) -> bool:
    """Say whether fungal and bacterial necromass are outcomes of their own, instead of necromass as one."""
    return set(PARTS) <= set(outcomes)


def pair_name(outcomes: tuple[str, ...] | list[str], i: int, j: int) -> str:
    """Return the name of a pair of outcomes on dim ``pair``, for example ``"necromass,soc"``."""
    return f"{outcomes[i]},{outcomes[j]}"
