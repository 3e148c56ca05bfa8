"""What a reader of the result should know about a table that is not wrong: warnings and notes that travel with it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
import xarray as xr

from mcpbayes.errors import Problem
from mcpbayes.tables.columns import CONTROL, EXAMPLE_STUDY, TREATMENT
from mcpbayes.tables.layouts import arm_columns
from mcpbayes.tables.naming import natural_order
from mcpbayes.tables.observed import observed_effects, unobserved_pools
from mcpbayes.vocabulary import ARM_BASED, PARTS, SOC, TWO_POOL, has_parts

#: Share of the comparisons from which the largest study is named.
LARGE_SHARE: Final = 0.25


def identical_soc(
    rows: pd.DataFrame, names: Mapping[str, str], outcomes: Sequence[str], fraction: pd.Series
) -> list[Problem]:
    """Return a warning for comparisons whose arms have the same SOC: a site's value may have been copied.

    `fraction` says which rows hold fractions of the soil; where there are any, bulk soil is counted apart.
    """
    if SOC not in outcomes:
        return []
    control, treated = (arm_columns("comparison", SOC, role).mean for role in (CONTROL, TREATMENT))
    same = rows.index[rows[control] == rows[treated]]
    if same.empty:
        return []
    bulk = ~fraction.reindex(rows.index, fill_value=False)
    alike, whole = int(bulk[same].sum()), int(bulk.sum())
    apart = f", {alike} of {whole} in bulk soil ({100 * alike / whole:.0f} %)" if 0 < whole < len(rows) else ""
    return [
        Problem(
            "identical-soc",
            f"SOC is the same in both arms of {len(same)} of {len(rows)} comparisons{apart}",
            "warning",
            rows=tuple(same),
            column=", ".join(dict.fromkeys((names[control], names[treated]))),
            expected="SOC measured in each arm",
            remedy="If one value of the site was copied into both arms, leave the treated arm's cell empty.",
        )
    ]


def encoding_note(encoding: str | None) -> list[Problem]:
    """Return a note where the letters of a file had to be read as Windows-1252."""
    if encoding != "cp1252":
        return []
    message = "the file is not in UTF-8; its letters were read as Windows-1252 (cp1252)"
    remedy = 'If names look wrong, save the file as "CSV UTF-8".'
    return [Problem("windows-1252", message, "note", remedy=remedy)]


def never_observed(data: xr.Dataset) -> list[Problem]:
    """Return an error for a pool that no comparison reports, a warning for one that no comparison of a kind does.

    Parameters
    ----------
    data : xarray.Dataset
        Of `mcpbayes.prepare`.
    """
    observed, outcomes = observed_effects(data), data["outcome"].values.astype(str).tolist()
    absent = [outcome for outcome, seen in zip(outcomes, observed.any(axis=0), strict=True) if not seen]
    if absent:
        rest = [outcome for outcome in outcomes if outcome not in absent]
        two_pools = data.attrs["family"] == TWO_POOL
        if data.attrs["family"] == ARM_BASED and not has_parts(rest):  # one part alone is no outcome
            rest = [outcome for outcome in rest if outcome not in PARTS]
        return [_unobserved_pool(outcome, rest, len(observed), two_pools) for outcome in absent]
    if data.attrs["level_kind"] != "on":
        return []
    comparisons = data["kind_of_comparison"].to_series().value_counts()
    others = "other pools" if len(outcomes) > 2 else "other pool"
    return [
        Problem(
            "pool-unobserved-in-kind",
            f"{outcome} was not observed in any comparison of {kind} ({comparisons[kind]} of them): its effect there "
            f"is what the priors, the {others} and the other kinds say, and nothing is claimed of this kind",
            "warning",
        )
        for kind, pools in unobserved_pools(data).items()
        for outcome in pools
    ]


def _unobserved_pool(outcome: str, rest: Sequence[str], comparisons: int, two_pools: bool) -> Problem:
    listed = ", ".join(f'"{one}"' for one in rest)
    model = "--model arm-based " if two_pools else ""  # the two-pool family needs both
    return Problem(
        "pool-never-observed",
        f"{outcome} was not observed in both arms of any of the {comparisons} comparisons, so what the model says of "
        "it, and of the ratio, would be its prior",
        expected=f"{outcome} of control and treatment in some rows",
        remedy=f"To analyse what there is: {model}--set 'data.outcomes=[{listed}]'."
        if rest
        else "Add what the papers report.",
    )


def controls_without_fungi(said: str) -> list[Problem]:
    """Return the note that r₀ is not of all controls, with what `mcpbayes.tables.fungal.controls_left_out` says."""
    return [Problem("controls-without-fungi", said, "note")] if said else []


def no_scenarios(arms: xr.Dataset) -> list[Problem]:
    """Return the note that there are no scenario classes, where no control has both pools of necromass, and SOC.

    Parameters
    ----------
    arms : xarray.Dataset
        Arms with fungal and bacterial necromass and SOC as outcomes.
    """
    own = arms["log_mean"].sel(outcome=[*PARTS, SOC]).transpose("arm", "outcome").values[~arms["treated"].values]
    if np.isfinite(own).all(axis=1).any():
        return []
    return [
        Problem(
            "no-scenarios",
            "no control has fungal and bacterial necromass and SOC, so there are effects on each pool, but none on "
            "necromass as a whole, no ΔMCP and no scenario classes",
            "note",
            expected="a control with all three pools",
            remedy='With a column of their sum, or with amino sugars: --set \'data.outcomes=["necromass", "soc"]\'.',
        )
    ]


def spelling_variants(treatment: pd.Series, kind: pd.Series) -> list[Problem]:
    """Return a warning for treatments that differ in capitals, spaces or signs only, or in the order of their parts."""
    kind_of = dict(zip(treatment, kind, strict=True))
    alike: dict[tuple[str, ...], list[str]] = {}
    for spelling in natural_order(kind_of):
        parts = re.split(r"[;,+&/×]| x | and ", spelling.casefold())
        key = tuple(sorted(re.sub(r"[\W_]+", "", part) for part in parts))
        alike.setdefault(key, []).append(spelling)
    return [
        Problem(
            "spelling-variants",
            "these treatments differ in spelling only, but count as different kinds",
            "warning",
            value=" / ".join(spellings),
            remedy="If they are one kind, name it in [data.kinds].",
        )
        for spellings in alike.values()
        if len({kind_of[spelling] for spelling in spellings}) > 1
    ]


def control_spellings(study: pd.Series, control_id: pd.Series) -> list[Problem]:
    """Return a warning for names of controls of one study that differ in capitals only: one control counted twice."""
    given = pd.DataFrame({"study": study, "control": control_id})[control_id != ""].drop_duplicates()
    alike = given.groupby(["study", given["control"].str.casefold()])["control"].agg(list).droplevel(1)
    return [
        Problem(
            "control-spelling",
            f"names of controls of study {name} differ in capitals only, but count as different controls",
            "warning",
            value=" / ".join(natural_order(spellings)),
            remedy="If they are one control, give it one name: its error is counted once then.",
        )
        for name, spellings in alike.items()
        if len(spellings) > 1
    ]


def example_rows(study: pd.Series) -> list[Problem]:
    """Return a warning where the template's example row was not deleted."""
    rows = study.index[study == EXAMPLE_STUDY]
    if rows.empty:
        return []
    message = "the example row of the template is still in the table, and would be analysed"
    return [Problem("example-row", message, "warning", rows=tuple(rows), remedy="Delete it.")]


def study_notes(study: pd.Series) -> list[Problem]:
    """Return what follows from how comparisons are spread over studies; `study` has one entry per comparison."""
    counts = study.value_counts()
    problems = []
    if counts.max() == 1 and len(counts) > 1:
        message = (
            "every study holds one comparison, so heterogeneity between studies and between comparisons cannot be told "
            "apart: their sum is estimated, the split comes from the priors"
        )
        problems.append(Problem("levels-confounded", message, "warning"))
    if len(counts) == 1:
        message = "there is one study only: heterogeneity between studies comes from its prior"
        problems.append(Problem("one-study", message, "warning"))
    elif counts.max() > LARGE_SHARE * len(study):
        largest = natural_order(counts.index[counts == counts.max()])[0]
        share = counts.max() / len(study)
        message = f"one study holds {counts.max()} of {len(study)} comparisons ({100 * share:.0f} %)"
        problems.append(Problem("largest-study", message, "note", value=str(largest)))
    return problems
