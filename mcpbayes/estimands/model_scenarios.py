"""The catalogue of model scenarios: one two-pool trajectory per class, with a mechanism that could bring it about.

Parameters and mechanisms are ours, chosen to show each class; none was fitted to data or taken from a paper.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.trajectories import trajectories
from mcpbayes.specification.loading import load_model
from mcpbayes.specification.structure import Scheme

#: Years shown unless others are asked for: four times 25 years, the prior median of the turnover time.
YEARS: Final = tuple(range(101))


class Entry(NamedTuple):
    """One trajectory: change of each steady state in percent, turnover time in years, necromass share of SOC before."""

    necromass_percent: float
    non_microbial_percent: float
    necromass_years: float
    non_microbial_years: float
    ratio: float
    mechanism: str


#: By class, in ring order. Turnover times lie within 6 to 100 years, where the prior of the forward-looking model has
#: 95 % of its probability.
ENTRIES: Final[dict[str, Entry]] = {
    "N+C+r+": Entry(
        50, 10, 20, 20, 0.45,
        "Inputs that microbes grow on readily feed more growth and death, and minerals keep the residues better than "
        "the plant matter they were made of.",
    ),
    "N+C0r+": Entry(
        30, -24.5, 20, 20, 0.45,
        "Microbes turn plant matter into residues faster than before, so that stored carbon changes its form and not "
        "its amount.",
    ),
    "N+C-r+": Entry(
        20, -40, 15, 15, 0.40,
        "Added nitrogen lifts a shortage: microbes decompose plant matter faster than it is replaced, and part of it "
        "stays behind as their residues.",
    ),
    "N0C-r+": Entry(
        0, -35, 25, 12, 0.45,
        "Plant litter is removed or burnt while microbes on mineral surfaces live on as before: only unprotected "
        "carbon is lost.",
    ),
    "N-C-r+": Entry(
        -20, -55, 30, 10, 0.40,
        "Tillage opens aggregates: both pools lose, but residues bound to minerals go more slowly and less far than "
        "plant matter.",
    ),
    "N-C-r0": Entry(
        -35, -35, 20, 20, 0.45,
        "Less carbon enters the soil, and every pool shrinks by the same share.",
    ),
    "N-C-r-": Entry(
        -50, -15, 15, 15, 0.50,
        "Acid, salt or drought slows microbial growth, and hungry microbes feed on old residues: necromass loses more "
        "than plant matter does.",
    ),
    "N-C0r-": Entry(
        -25, 20.5, 20, 20, 0.45,
        "Microbes build less, so that plant matter stays undecomposed where residues used to be.",
    ),
    "N-C+r-": Entry(
        -20, 45, 20, 15, 0.40,
        "Woody or charred matter adds carbon that microbes hardly eat, while they, short of nitrogen, feed on old "
        "residues.",
    ),
    "N0C+r-": Entry(
        0, 40, 25, 20, 0.45,
        "Added carbon is out of the microbes' reach, by its chemistry or in aggregates: it is stored without passing "
        "through them.",
    ),
    "N+C+r-": Entry(
        20, 70, 15, 15, 0.45,
        "Large inputs of coarse matter outrun the microbes: residues increase, plant matter increases faster.",
    ),
    "N+C+r0": Entry(
        40, 40, 20, 20, 0.45,
        "Larger inputs of the same kind feed all pools alike, so that the soil holds more of the same mixture.",
    ),
    "N0C0r0": Entry(
        2, -2, 25, 25, 0.45,
        "Inputs and losses change too little, or cancel within both pools, to move either beyond the tolerance.",
    ),
}  # fmt: skip


def _parameters() -> xr.Dataset:
    """Return the catalogue's parameters, labelled."""
    entries = [ENTRIES[code] for code in words.SCENARIOS]
    percent = np.array([[e.necromass_percent, e.non_microbial_percent] for e in entries])
    turnover = np.array([[e.necromass_years, e.non_microbial_years] for e in entries])
    each = ("scenario", "pool")
    return xr.Dataset(
        {
            "log_change": (each, np.log1p(percent / 100)),
            "turnover_rate": (each, 1 / turnover),
            "mcp_efficacy_control": ("scenario", [e.ratio for e in entries]),
            "mechanism": ("scenario", np.array([e.mechanism for e in entries], dtype=object)),
        },
        coords={
            "scenario": list(words.SCENARIOS),
            "label": ("scenario", [words.SCENARIO_LABELS[code] for code in words.SCENARIOS]),
            "pool": list(words.PARTS_OF_SOC),
        },
    )


def model_scenarios(years: Sequence[float] | None = None, scheme: Scheme | None = None) -> xr.Dataset:
    """Return the catalogue of model scenarios: for every class a trajectory of two pools that ends in it.

    Parameters
    ----------
    years : sequence of float, optional
        Years since the change of management; default 0 to 100.
    scheme : Scheme, optional
        Tolerances of the classes; default those of the model ``arm-based``.

    Returns
    -------
    Dataset
        Dims scenario (ring order, then the centre), year, pool, outcome. Parameters: ``log_change(scenario, pool)``,
        ln(new / old steady state); ``turnover_rate(scenario, pool)`` per year; ``mcp_efficacy_control(scenario)``, r₀.
        Year by year: ``necromass``, ``soc`` (g per kg), ``mcp_efficacy``, ``effect(..., outcome)`` (θ_N, θ_C),
        ``log_delta_mcp`` and ``scenario_at``, the class of that year. ``mechanism(scenario)``: one sentence, our
        hypothesis of what could bring the class about.

    Notes
    -----
    P = C − N. From steady state f_j(t) = 1 + (e^(a_j) − 1)(1 − e^(−k_j t)), θ_N = ln f_N,
    θ_C = ln(r₀ f_N + (1 − r₀) f_P). The parameters illustrate the classes: they are no estimates, and other parameters
    lead to the same class.
    """
    scheme = scheme or load_model("arm-based").scenarios
    return trajectories(_parameters(), np.asarray(YEARS if years is None else years, dtype=float), scheme)


def model_scenario_table(scheme: Scheme | None = None) -> pd.DataFrame:
    """Return the catalogue as a table, one row per class.

    Parameters
    ----------
    scheme : Scheme, optional
        As `model_scenarios`.

    Returns
    -------
    DataFrame
        ``scenario``, ``label``; parameters: ``necromass_percent``, ``non_microbial_percent`` (change of the steady
        states), ``necromass_years``, ``non_microbial_years`` (turnover times), ``mcp_efficacy_control`` (r₀); what they
        lead to after 100 years: ``necromass_change_percent``, ``soc_change_percent``, ``delta_mcp`` (fraction);
        ``first_year``, in which the class is entered for good; ``mechanism``.
    """
    found = model_scenarios(scheme=scheme)
    last = found.isel(year=-1)
    change = 100 * xr.apply_ufunc(np.expm1, last["effect"])
    within = (found["scenario_at"] == found["scenario"]).values
    first = [int(np.flatnonzero(~row)[-1]) + 1 if not row.all() else 0 for row in within]
    entries = [ENTRIES[code]._asdict() for code in words.SCENARIOS]
    columns = {name: [entry[name] for entry in entries] for name in Entry._fields[:4]}
    return pd.DataFrame(
        {
            "scenario": found["scenario"].values.astype(object),
            "label": found["label"].values.astype(object),
            **columns,
            "mcp_efficacy_control": found["mcp_efficacy_control"].values,
            "necromass_change_percent": change.sel(outcome=words.NECROMASS).values,
            "soc_change_percent": change.sel(outcome=words.SOC).values,
            "delta_mcp": (last["mcp_efficacy"] - last["mcp_efficacy_control"]).values,
            "first_year": [float(found["year"][at]) if at < len(found["year"]) else np.nan for at in first],
            "mechanism": found["mechanism"].values,
        }
    )
