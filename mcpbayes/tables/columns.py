"""The columns a table may have, layout by layout: the one place where their names are spelt.

Reading, checking, preparing and the template all ask here. Columns that are not listed may stand in a table as well:
they are moderators when the formula names them, and ignored otherwise.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

from mcpbayes.errors import SpecificationError
from mcpbayes.tables.column import Column as Column
from mcpbayes.vocabulary import (
    AMINO_SUGARS,
    BACTERIAL_NECROMASS,
    FUNGAL_NECROMASS,
    GLUCOSAMINE,
    MURAMIC_ACID,
    NECROMASS,
    PARTS,
    SOC,
    has_parts,
)

#: What a standard deviation may be given as; one of them per mean.
DISPERSIONS: Final = ("sd", "se", "cv")
#: A confidence interval of the mean: its half-width, or its bounds; it becomes an SE when it is read.
INTERVALS: Final = ("ci", "ci_lower", "ci_upper")
CI_LEVEL: Final = "ci_level"
#: Layouts of which one row holds one arm, or one plot of it.
SINGLE_ARM: Final = ("arm", "plot")
CONTROL: Final = "control"
TREATMENT: Final = "treatment"
ROLES: Final = (CONTROL, TREATMENT)
#: The unit of a column that is measured in the unit of its pool, ``[data.units]``.
UNIT_OF_POOL: Final = "unit of the pool (g/kg unless data.units says otherwise)"
#: First cell of the template's explaining sheet, by which the reader knows that it is not a table.
GUIDE_TITLE: Final = "What the columns of the sheet table mean"

_POOLS: Final = {
    NECROMASS: "microbial necromass C",
    SOC: "soil organic C",
    FUNGAL_NECROMASS: "fungal necromass C",
    BACTERIAL_NECROMASS: "bacterial necromass C",
    GLUCOSAMINE: "glucosamine",
    MURAMIC_ACID: "muramic acid",
}
_ARMS: Final = {CONTROL: "the control arm", TREATMENT: "the treated arm", "": "the arm"}
#: Mean, SD, SE, CV and half-width and bounds of a 95 % interval (n = 4) in the control and the treated arm of the
#: example rows, invented.
_EXAMPLES: Final = {
    NECROMASS: (("6.1", "7.4"), ("0.9", "1.2"), ("0.45", "0.6"), ("0.15", "0.16"), ("1.4", "1.9"), ("4.7", "5.5"),
                ("7.5", "9.3")),
    SOC: (("13.2", "14.9"), ("1.6", "1.9"), ("0.8", "0.95"), ("0.12", "0.13"), ("2.5", "3"), ("10.7", "11.9"),
          ("15.7", "17.9")),
    GLUCOSAMINE: (("0.51", "0.62"), ("0.08", "0.1"), ("0.04", "0.05"), ("0.16", "0.16"), ("0.13", "0.16"),
                  ("0.38", "0.46"), ("0.64", "0.78")),
    FUNGAL_NECROMASS: (("3.9", "4.8"), ("0.6", "0.8"), ("0.3", "0.4"), ("0.15", "0.17"), ("0.95", "1.3"),
                       ("2.95", "3.5"), ("4.85", "6.1")),
    BACTERIAL_NECROMASS: (("2.2", "2.6"), ("0.4", "0.5"), ("0.2", "0.25"), ("0.18", "0.19"), ("0.64", "0.8"),
                          ("1.56", "1.8"), ("2.84", "3.4")),
    MURAMIC_ACID: (("0.047", "0.056"), ("0.009", "0.01"), ("0.0045", "0.005"), ("0.19", "0.18"), ("0.014", "0.016"),
                   ("0.033", "0.04"), ("0.061", "0.072")),
}  # fmt: skip
_ANY_EXAMPLE: Final = (("10", "11"), ("1", "1"), ("0.5", "0.5"), ("0.1", "0.09"), ("1.6", "1.6"), ("8.4", "9.4"),
                       ("11.6", "12.6"))  # fmt: skip
#: What is said of necromass in plots.
_NO_SUGARS: Final = (
    " Amino sugars are not taken in this layout: convert those of each plot, or give one row per arm with their means."
)
#: Two control plots and two treated ones of the example rows, invented.
_EXAMPLE_PLOTS: Final = {
    NECROMASS: ("5.8", "6.4", "6.9", "7.9"),
    SOC: ("12.9", "13.5", "14.1", "15.7"),
    FUNGAL_NECROMASS: ("3.7", "4.1", "4.5", "5.1"),
    BACTERIAL_NECROMASS: ("2.1", "2.3", "2.4", "2.8"),
}
#: Log ratio and sampling variance of the example row, invented.
_EXAMPLE_CONTRASTS: Final = {NECROMASS: ("0.19", "0.015"), SOC: ("0.12", "0.008")}


def columns(layout: str, outcomes: Sequence[str] = (NECROMASS, SOC)) -> tuple[Column, ...]:
    """Return the columns of a layout in the order of the template.

    Parameters
    ----------
    layout : str
        ``comparison``, ``arm``, ``plot`` or ``contrast``.
    outcomes : sequence of str
        Pools, in the order of the outcome dimension.

    Raises
    ------
    SpecificationError
        If the layout is unknown.
    """
    if layout == "comparison":
        return _comparison(outcomes)
    if layout == "arm":
        return _arm(outcomes)
    if layout == "plot":
        return _plot(outcomes)
    if layout == "contrast":
        return _contrast(outcomes)
    raise SpecificationError(f"the layout {layout!r} is unknown; use comparison, arm, plot or contrast", "data.layout")


def measured(outcomes: Sequence[str]) -> tuple[str, ...]:
    """Return what arms may be measured for: the pools, and amino sugars where necromass or its parts are of them."""
    return (*outcomes, *(AMINO_SUGARS if _of_amino_sugars(outcomes) else ()))


def _of_amino_sugars(outcomes: Sequence[str]) -> bool:
    return NECROMASS in outcomes or has_parts(outcomes)


def instead_of(layout: str, name: str) -> tuple[str, ...]:
    """Return the columns that make a required one dispensable: amino sugars for a mean of necromass, not of plots."""
    for role in () if layout == "plot" else ROLES:
        if name in [mean_column(layout, pool, role) for pool in (NECROMASS, *PARTS)]:
            return tuple(mean_column(layout, amino_sugar, role) for amino_sugar in AMINO_SUGARS)
    return ()


def mean_column(layout: str, outcome: str, role: str) -> str:
    """Return the name of the column that holds the mean of a pool in a control or treated arm."""
    return outcome if layout in SINGLE_ARM else f"{outcome}_{role}"


def dispersion_column(layout: str, outcome: str, role: str, kind: str) -> str:
    """Return the name of the column with the SD, SE, CV or interval (`kind`) beside a mean."""
    return f"{mean_column(layout, outcome, role)}_{kind}"


def n_columns(layout: str, outcome: str, role: str) -> tuple[str, str]:
    """Return the names of the columns with the replicates: the pool's own, which goes first, and the arm's."""
    outcome = NECROMASS if outcome in AMINO_SUGARS else outcome  # both are measured in the plots of the necromass
    return (f"{outcome}_n", "n") if layout in SINGLE_ARM else (f"{outcome}_n_{role}", f"n_{role}")


def contrast_columns(outcomes: Sequence[str], outcome: str) -> tuple[str, str, str]:
    """Return the names of the log ratio, its variance and the variance of its control's log mean."""
    if len(outcomes) == 1:
        return "yi", "vi", "v_control"
    return f"yi_{outcome}", f"vi_{outcome}", f"v_control_{outcome}"


def pair_columns(outcomes: Sequence[str], first: str, second: str) -> tuple[str, str, str]:
    """Return the names of the covariance, the correlation and the control's covariance of two outcomes."""
    pair = "" if len(outcomes) == 2 else f"_{first}_{second}"
    return f"cov{pair}", f"rho{pair}", f"cov_control{pair}"


def _comparison(outcomes: Sequence[str]) -> tuple[Column, ...]:
    means: list[Column] = []
    for outcome in measured(outcomes):
        for i, role in enumerate(ROLES):
            means += _mean("comparison", outcome, role, slice(i, i + 1))
    counts = [_count(f"n_{role}", f"Replicate plots of {_ARMS[role]}.") for role in ROLES]
    own = [_own_count(f"{o}_n_{role}", o, _ARMS[role]) for o in _counted(outcomes) for role in ROLES]
    head = (_STUDY, _CONTROL_ID, replace(_TREATMENT, required=True), _COMPARISON)
    rest = (*counts, *own, _CI_LEVEL, _rho_within(outcomes), *_CIRCUMSTANCES)
    return tuple(_fill(column, 1) for column in (*head, *means, *rest))


def _arm(outcomes: Sequence[str]) -> tuple[Column, ...]:
    means: list[Column] = []
    for outcome in measured(outcomes):
        means += _mean("arm", outcome, "", slice(0, 2))
    own = [_own_count(f"{o}_n", o, _ARMS[""]) for o in _counted(outcomes)]
    count = _count("n", f"Replicate plots of {_ARMS['']}.")
    head = _head_of_arm("", "compost")
    rest = (count, *own, _CI_LEVEL, _rho_within(outcomes), *_CIRCUMSTANCES)
    return tuple(_fill(column, 2) for column in (*head, *means, *rest))


def _plot(outcomes: Sequence[str]) -> tuple[Column, ...]:
    values = [
        Column(o, f"Value of {_pool(o)} in the plot; empty where it was not measured." + ("" if o not in (NECROMASS,
               *PARTS) else _NO_SUGARS), examples=_plots(o), required=True, outcome=o, lower=0.0, strict=True,
               unit=UNIT_OF_POOL)
        for o in outcomes
    ]  # fmt: skip
    plot = Column("plot", "Name of the plot within its arm.", "id", ("1", "2", "1", "2"))
    block = Column(
        "block",
        "Block of the field; where every arm of a control has one plot in each block, blocks are no error.",
        "id",
        ("I", "II", "I", "II"),
    )
    head = _head_of_arm("", "", "compost", "compost")
    return tuple(_fill(column, 4) for column in (*head, plot, block, *values, *_CIRCUMSTANCES))


def _plots(outcome: str) -> tuple[str, ...]:
    return _EXAMPLE_PLOTS.get(outcome, ("9.5", "10.5", "10.6", "11.4"))


def _head_of_arm(*treatments: str) -> tuple[Column, ...]:
    """Return what names an arm; half of the example rows are its control."""
    controls = len(treatments) // 2
    role = Column(
        "role",
        "Whether the row is of a control arm or of a treated arm.",
        "choice",
        (CONTROL,) * controls + (TREATMENT,) * controls,
        required=True,
        blank=False,
        choices=ROLES,
    )
    treatment = replace(
        _TREATMENT,
        meaning="What was done to the treated arm, as the paper calls it; a control's cell may stay empty.",
        examples=treatments,
        required=True,
        blank=True,
    )
    control = replace(
        _CONTROL_ID,
        meaning="Name of the control within its study; the rows of a control and those treated against it share it.",
        required=True,
        blank=False,
    )
    comparison = replace(_COMPARISON, meaning=_COMPARISON.meaning + " Treated arms only.")
    return _STUDY, control, role, treatment, comparison


def _contrast(outcomes: Sequence[str]) -> tuple[Column, ...]:
    ratios: list[Column] = []
    controls: list[Column] = []
    for o in outcomes:
        yi, vi, v_control = contrast_columns(outcomes, o)
        cells = _EXAMPLE_CONTRASTS.get(o, ("0.1", "0.01"))
        several = len(outcomes) > 1
        ratios += [
            Column(yi, f"Log response ratio of {_pool(o)}, ln(treated/control).", examples=cells[:1], required=True,
                   blank=several, outcome=o),
            Column(vi, f"Sampling variance of {yi}.", examples=cells[1:], required=True, blank=several, outcome=o,
                   lower=0.0, strict=True),
        ]  # fmt: skip
        controls.append(
            Column(v_control, f"Part of {vi} that comes from a shared control: CV²/n of the control.",
                   examples=("0.004",), outcome=o, lower=0.0, shown=False)
        )  # fmt: skip
    for first, second in combinations(outcomes, 2):
        cov, rho, cov_control = pair_columns(outcomes, first, second)
        between = f"the log ratios of {_pool(first)} and {_pool(second)}"
        ratios += [
            Column(rho, f"Sampling correlation of {between}.", examples=("0.5",), lower=-1.0, upper=1.0, strict=True),
            Column(cov, f"Sampling covariance of {between}; instead of {rho}.", examples=("0.0055",), shown=False),
        ]
        shared = f"Part of {cov} that comes from a shared control."
        controls.append(Column(cov_control, shared, examples=("0.002",), shown=False))
    ratio = Column(
        "mcp_efficacy_control", "Necromass/SOC of the control; without it there is no absolute change of the ratio.",
        examples=("0.46",), unit="fraction", lower=0.0, strict=True, shown=False,
    )  # fmt: skip
    head = (_STUDY, replace(_COMPARISON, required=True, blank=False, shown=True), _TREATMENT, _CONTROL_ID)
    return tuple(_fill(column, 1) for column in (*head, *ratios, *controls, ratio, *_CIRCUMSTANCES))


def _mean(layout: str, outcome: str, role: str, rows: slice) -> list[Column]:
    """Return the column of a mean and those of its SD, SE, CV and interval; `rows` are the arms of the example."""
    of = f"{_pool(outcome)} in {_ARMS[role]}"
    examples: tuple[tuple[str, ...], ...] = _EXAMPLES.get(outcome, _ANY_EXAMPLE)
    kinds = [dispersion_column(layout, outcome, role, kind) for kind in (*DISPERSIONS, *INTERVALS)]
    meanings = (
        f"Mean of {of}; empty where it was not reported.",
        f"Standard deviation among plots of {of}.",
        f"Standard error of the mean of {of}; instead of the SD.",
        f"Coefficient of variation (SD/mean) of {of}; instead of the SD.",
        f"Half-width of the confidence interval of the mean of {of} (95 % unless ci_level says otherwise); instead of "
        "the SD.",
        f"Lower bound of the confidence interval of the mean of {of}; with {kinds[-1]} instead of the SD.",
        f"Upper bound of the confidence interval of the mean of {of}.",
    )
    mean, sd, se, cv, ci, lower, upper = (
        Column(name, meaning, examples=cells[rows], outcome=outcome, lower=0.0, strict=True, unit=UNIT_OF_POOL)
        for name, meaning, cells in zip((mean_column(layout, outcome, role), *kinds), meanings, examples, strict=True)
    )
    if outcome in AMINO_SUGARS:
        mean = replace(mean, meaning=mean.meaning + " With the other amino sugar: instead of necromass.", shown=False)
    hidden = (replace(se, shown=False), replace(cv, unit="fraction", shown=False), replace(ci, shown=False))
    bounds = (replace(bound, lower=None, strict=False, shown=False) for bound in (lower, upper))
    if outcome == FUNGAL_NECROMASS:  # less than nothing where bacteria explain more glucosamine than was measured
        mean = replace(mean, meaning=mean.meaning + " Zero or less: missing.", lower=None, strict=False)
    own = outcome not in AMINO_SUGARS
    return [replace(mean, required=own), replace(sd, shown=own), *hidden, *bounds]


def _count(name: str, meaning: str) -> Column:
    return Column(name, meaning, examples=("4",), unit="plots", lower=2.0)


def _counted(outcomes: Sequence[str]) -> tuple[str, ...]:
    """Return the pools with replicates of their own; those of amino sugars are counted as necromass."""
    return (*outcomes, *([NECROMASS] if _of_amino_sugars(outcomes) and NECROMASS not in outcomes else []))


def _own_count(name: str, outcome: str, arm: str) -> Column:
    return replace(_count(name, f"Plots of {arm} with {_pool(outcome)}, where they are not all plots."), shown=False)


def _rho_within(outcomes: Sequence[str]) -> Column:
    """Return the column of ϱ, one number for all pairs of K pools: a correlation matrix above −1/(K − 1)."""
    lower = -1.0 / max(len(outcomes) - 1, 1)
    meaning = "Correlation of the pools over the plots of one arm."
    return Column("rho_within", meaning, examples=("0.5",), lower=lower, upper=1.0, strict=True, shown=False)


def _pool(outcome: str) -> str:
    return _POOLS.get(outcome, outcome)


def _fill(column: Column, rows: int) -> Column:
    """Give a column one example per example row: the only one repeated, or empty cells."""
    cells = column.examples
    return replace(column, examples=cells if len(cells) == rows else (cells or ("",)) * rows)


#: Study of the template's example row.
EXAMPLE_STUDY: Final = "Example (delete this row)"

_STUDY: Final = Column("study", "Name of the study or paper.", "id", (EXAMPLE_STUDY,), required=True, blank=False)
_CONTROL_ID: Final = Column(
    "control_id", "Name of the control within its study; rows that share a control carry the same one.", "id", ("CK",)
)
_TREATMENT: Final = Column("treatment", "What was done, as the paper calls it.", "text", ("compost",), blank=False)
_COMPARISON: Final = Column(
    "comparison", "Name of the comparison within its study, if the treatment does not tell.", "id", ("compost 10 t",),
    shown=False,
)  # fmt: skip
_CI_LEVEL: Final = Column(
    CI_LEVEL, "Confidence level of the row's intervals; 0.95 where it is empty.", examples=("0.95",), unit="fraction",
    lower=0.5, upper=1.0, strict=True, shown=False,
)  # fmt: skip
#: Where, when and how deep, for every layout.
_CIRCUMSTANCES: Final = (
    Column("site", "Name of the site within its study.", "id", ("north field",)),
    Column("latitude", "Latitude, north positive.", examples=("41.5",), unit="decimal degrees", lower=-90.0,
           upper=90.0),
    Column("longitude", "Longitude, east positive.", examples=("123.4",), unit="decimal degrees", lower=-180.0,
           upper=180.0),
    Column("depth_top", "Top of the sampled layer.", examples=("0",), unit="cm"),
    Column("depth_bottom", "Bottom of the sampled layer.", examples=("20",), unit="cm"),
    Column("date", "Date of sampling.", "text", ("2019-09-15",), unit="YYYY-MM-DD"),
    Column("duration_years", "Years between the start of the treatment and sampling.", examples=("8",), unit="years",
           lower=0.0),
    Column("design", "Design of the study, for example paired plots or before-after.", "text", ("randomised blocks",),
           shown=False),
)  # fmt: skip
