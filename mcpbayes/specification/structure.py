"""What a specification holds: frozen dataclasses that mirror the TOML file, section by section."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mcpbayes.specification.factors import NAMED, UNCERTAIN, FactorSet

#: One number for all outcomes, or one per outcome.
Number = float | Mapping[str, float]


@dataclass(frozen=True)
class Prior:
    """One prior: a distribution of the closed list, its numbers and the reason for them.

    Parameters
    ----------
    distribution : str
        ``flat``, ``normal``, ``half_normal``, ``half_student_t``, ``lognormal``, ``lkj``, ``beta`` or ``fixed``.
    parameters : mapping of str to Number
        The distribution's numbers by name, for example ``{"mean": 0.0, "sd": 0.5, "correlation": 0.7}``.
    why : str or None
        The reason; None is printed as "no reason given".
    update : bool
        Of ``rho_within`` only: whether it is estimated with the rest of the model instead of carried by worlds.
    """

    distribution: str
    parameters: Mapping[str, Number] = field(default_factory=dict)
    why: str | None = None
    update: bool = False


@dataclass(frozen=True)
class Defaults:
    """Values used where the table is silent; every use is counted and shown.

    Parameters
    ----------
    n : float
        Replicates per arm.
    cv : mapping of outcome to float
        Root-mean-square coefficient of variation among plots.
    rho_within : float
        Correlation of the pools over plots of one arm.
    rho_amino_sugars : float
        Correlation of glucosamine and muramic acid over plots of one arm.
    """

    n: float
    cv: Mapping[str, float]
    rho_within: float
    rho_amino_sugars: float = 0.7


@dataclass(frozen=True)
class DataSection:
    """How a table is read: ``[data]`` with ``[data.dispersion]`` and ``[data.effect_size]`` folded in.

    ``necromass_from`` is ``auto``, ``reported`` or ``amino sugars``; ``factors`` make necromass of amino sugars.
    """

    layout: str
    outcomes: tuple[str, ...]
    defaults: Defaults
    sheet: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    sd_model: str = "reported"
    bias_correction: bool = True
    kinds: Mapping[str, str] = field(default_factory=dict)
    necromass_from: str = "auto"
    factors: FactorSet = NAMED[UNCERTAIN]


@dataclass(frozen=True)
class ModeratorSection:
    """The formula and what is done to its columns: ``[moderators]``."""

    formula: str = "~ 1"
    standardise: bool = True
    within_between: bool = False
    missing: str = "error"


@dataclass(frozen=True)
class LevelSection:
    """Which optional levels the hierarchy has: ``[levels]``, each ``auto``, ``on`` or ``off``."""

    site: str = "auto"
    kind: str = "auto"


@dataclass(frozen=True)
class Scheme:
    """How effects are sorted into scenario classes: ``[scenarios]``.

    Parameters
    ----------
    tolerance_percent : mapping
        ``necromass``, ``soc``, ``ratio``: changes smaller than this count as none; ε = ln(1 + p/100).
    decide_at : float
        Probability from which a class is named; below it the decision abstains.
    tolerance_points : mapping
        ``delta_mcp``: changes of the ratio by fewer percentage points than this count as none, in place of the
        tolerance of the ratio in percent; empty where that holds.
    labels : mapping of code to label
        The user's names of classes, replacing ours.
    merge : mapping of new code to tuple of codes
        Coarser classes; codes not listed stay as they are.
    """

    tolerance_percent: Mapping[str, float]
    decide_at: float = 0.8
    labels: Mapping[str, str] = field(default_factory=dict)
    merge: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerance_points: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SamplingSection:
    """Engine and size of the run: ``[sampling]``.

    ``worlds`` is how many fits carry what the data do not inform; None, ``auto`` in the file: as many as it takes.
    """

    engine: str = "auto"
    chains: int = 4
    draws: int = 1000
    tune: int = 1000
    target_accept: float = 0.95
    worlds: int | None = None


@dataclass(frozen=True)
class SummarySection:
    """Kind and probability of every interval: ``[summary]``."""

    interval_kind: str = "eti"
    interval_prob: float = 0.95


@dataclass(frozen=True)
class Specification:
    """A complete, validated model specification; written and read as TOML.

    Parameters
    ----------
    schema : int
        Version of the file format.
    name, title, family : str
        ``family`` is ``arm-based``, ``contrast-based`` or ``two-pool``.
    priors : mapping of str to Prior
        Keys as in the file: ``baseline``, ``intercept``, ``slope``, ``tau_study``, ``rho_study``, ... One
        coefficient's own prior has a dotted key, ``slope.duration_years``.
    reference : float or None
        ``[delta_mcp] reference``: None means ``observed``, a number in (0, 1) is r₀ of the levels mean and new.
    """

    schema: int
    name: str
    title: str
    family: str
    data: DataSection
    moderators: ModeratorSection
    levels: LevelSection
    priors: Mapping[str, Prior]
    scenarios: Scheme
    sampling: SamplingSection
    summary: SummarySection
    reference: float | None = None
