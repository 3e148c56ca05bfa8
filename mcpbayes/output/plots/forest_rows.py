"""The rows of a forest plot: which targets, under which heads, with how many comparisons and plots."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import lettering, targets

#: More studies than this are not drawn one by one: no page would hold them.
MOST_STUDIES: Final = 60

#: Head over the studies whose comparisons belong to more than one kind.
SEVERAL_KINDS = "several kinds each"


class Row(NamedTuple):
    """One line of the figure: a head, or a target with what it rests on."""

    role: Literal["head", "mean", "new", "study"]
    text: str
    name: str = ""
    headline: bool = False
    comparisons: str = ""
    replicates: str = ""
    plots: str = ""


def rows(result: xr.DataTree, names: Sequence[str] | None, *, studies: bool = True) -> list[Row]:
    """Return all lines from the top: kinds and averages at levels ``mean`` and ``new``, then the studies by kind."""
    headline = targets.headline_names(result)
    population = targets.names_at(result, words.MEAN) if names is None else targets.chosen_names(result, names)
    several = targets.kind_of(result, headline[0]) is not None
    found = [Row("head", "Treatment kinds" if several else "All comparisons")]
    for name in population:
        kind = targets.kind_of(result, name)
        # A point asked for, or a category, is no set of comparisons that could be counted.
        whole = kind is not None or name in (words.AVERAGE, words.AVERAGE_OVER_KINDS)
        counts = _counts(result, _mask(result, kind)) if whole else ("", "", "")
        seen = targets.no_pool(result, name)
        seen = seen or (" (one study)" if targets.kind_counts(result, name)[1] == 1 else "")
        shown = lettering.fit(targets.shown_name(name), 1.2 if seen else 2.1, 7.5, "bold") + seen
        found.append(Row("mean", shown, name, name in headline, *counts))
        found.append(Row("new", "in a new study", name))
    return found + (_study_rows(result, several) if studies else [])


def shows_studies(result: xr.DataTree) -> bool:
    """Say whether the studies have rows of their own."""
    return len(targets.names_at(result, words.STUDY)) <= MOST_STUDIES


def _study_rows(result: xr.DataTree, several: bool) -> list[Row]:
    """Return the studies, under the kind that all their comparisons have; none where they are too many."""
    if not shows_studies(result):
        return []
    data = targets.group(result, words.DATA)
    study_of, kind_of = data["study_of_comparison"].values, data["kind_of_comparison"].values
    if not several:
        kind_of = np.full(len(study_of), "")
    blocks: dict[str, list[Row]] = {str(kind): [] for kind in ("", *data["kind"].values, SEVERAL_KINDS)}
    for study in targets.names_at(result, words.STUDY):
        mine = study_of == study
        kinds = sorted(set(kind_of[mine]))
        block = str(kinds[0]) if len(kinds) == 1 else SEVERAL_KINDS
        blocks[block].append(Row("study", study, study, False, *_counts(result, mine)))
    found: list[Row] = []
    for kind, members in blocks.items():
        if members:
            found += [Row("head", f"Studies: {kind}" if kind else "Studies"), *members]
    return found


def _mask(result: xr.DataTree, kind: str | None) -> np.ndarray:
    """Return which comparisons are of a kind; all for None."""
    kinds = targets.group(result, words.DATA)["kind_of_comparison"].values
    return np.ones(len(kinds), dtype=bool) if kind is None else np.asarray(kinds == kind)


def _counts(result: xr.DataTree, comparisons: np.ndarray) -> tuple[str, str, str]:
    """Return number of comparisons, replicates per arm and total plots as text; brackets where some are assumed.

    A control shared by several comparisons counts once; an arm's plots are those of its better replicated pool.
    """
    data = targets.group(result, words.DATA)
    total = str(int(comparisons.sum()))
    if "n" not in data:
        return total, "", ""
    treated = data["arm_of_comparison"].values[comparisons]
    control_of = dict(zip(data["arm"].values, data["control_of_arm"].values, strict=True))
    wanted = {control_of[arm] for arm in treated}
    is_control = ~data["treated"].values
    controls = [arm for arm in data["arm"].values[is_control] if control_of[arm] in wanted]
    arms = data.sel(arm=[*controls, *treated])
    per_arm = arms["n"].max("outcome").values
    assumed = bool((arms["source_n"] == words.IMPUTED).any())
    shown = _bracketed((_range(per_arm), f"{np.nansum(per_arm):.0f}"), assumed)
    return total, *shown


def _range(values: np.ndarray) -> str:
    """Return the extremes of replicate numbers, ``3`` or ``3–6``."""
    if not np.isfinite(values).any():
        return "–"
    low, high = np.nanmin(values), np.nanmax(values)
    return f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"


def _bracketed(texts: Iterable[str], brackets: bool) -> tuple[str, str]:
    first, second = (f"({text})" if brackets else text for text in texts)
    return first, second
