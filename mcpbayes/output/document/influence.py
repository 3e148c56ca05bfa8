"""Does one study decide? What the report says of studies left out."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.tree import group
from mcpbayes.estimands.unobserved import unobserved_at
from mcpbayes.estimands.wording import number_text
from mcpbayes.evidence.said import OR
from mcpbayes.output.document import numbers
from mcpbayes.output.document.estimates import shown_name
from mcpbayes.output.document.material import Row, heading, outcome_words

#: Names listed in a sentence at most.
_MOST: Final = 6


def influence(result: xr.DataTree, data: xr.Dataset) -> Row | None:
    """Return what the section says; None where no study was left out.

    Returns
    -------
    dict
        ``verdict`` (sentences), ``rows`` (one per kind and quantity: the study that moves it most), ``worst`` (the
        study that the others predict worst), ``total`` (elpd of all), ``failed`` and ``unseen`` (sentences, may be
        empty), ``both`` (whether there is a ratio), ``central`` (whether studies were left out of the central data).
    """
    if words.INFLUENCE not in result.children:
        return None
    found = group(result, words.INFLUENCE)
    both = "shift" in found
    names = headline_names(found, data)
    return {
        "verdict": [*verdict(found, data, names)] if both else [],
        "rows": [row for name in names for row in _rows(found, data, name)],
        "worst": _worst(found),
        "total": _elpd(float(found["elpd"].sum(skipna=False)), _root_sum(found["elpd_mcse"].values)),
        "failed": _failed(found),
        "unseen": _unseen(found, data, names),
        "both": both,
        "central": bool(found.attrs.get("central", 0)),
    }


def finding(result: xr.DataTree) -> str:
    """Return what the studies left out show, in one line, and where the numbers are; empty where none was left out."""
    if words.INFLUENCE not in result.children:
        return ""
    found, data = group(result, words.INFLUENCE), group(result, words.DATA)
    names = headline_names(found, data)
    said = [*verdict(found, data, names)] if "shift" in found else []
    unreliable = int((found["passed"].values == 0).sum())
    if unreliable:
        said.append(f"{numbers.plural(unreliable, 'fit')} without a study cannot be relied on.")
    return " ".join(["Does one study decide?", *said, "All numbers: influence.csv."])


def headline_names(found: xr.Dataset, data: xr.Dataset) -> list[str]:
    """Return the kinds of which all pools were observed, or the average where there are none."""
    names = [str(name) for name in found["name"].values[found["level"].values == words.MEAN]]
    unobserved = unobserved_at(data, words.MEAN, names)
    kinds = [name for name in names if shown_name(name, data) != name and not unobserved[name]]
    return kinds or names[:1]


def _sound(found: xr.Dataset, name: str) -> np.ndarray:
    """Return which refits tell something about a target: they passed, and its kind is in other studies too."""
    target = found.sel(target=f"{words.MEAN}: {name}")
    return np.asarray((target["passed"].values == 1) & (target["unseen"].values == 0))


def _rows(found: xr.Dataset, data: xr.Dataset, name: str) -> Iterator[Row]:
    """Yield the study that moves a target most, for the ratio or for each pool."""
    at_mean = found.sel(target=f"{words.MEAN}: {name}")
    sound = _sound(found, name)
    whole = [("log_delta_mcp", "shift", at_mean, "")] if "shift" in found else []
    parts = [
        ("effect", "effect_shift", at_mean.isel(outcome=k), outcome_words(str(outcome)))
        for k, outcome in enumerate(found["outcome"].values)
    ]
    for quantity, shift, one, pool in whole or parts:
        moved = np.where(sound & np.isfinite(one[shift].values), np.abs(one[shift].values), -1.0)
        if moved.max() < 0:
            continue
        without = one.isel(left_out=int(np.argmax(moved)))
        row: Row = {
            "name": ", ".join(filter(None, [shown_name(name, data), pool])),
            "study": str(without["left_out"].item()),
            "shift": numbers.signed(float(without[shift]), 2),
            "without": _change(without, quantity),
            "all": _change(one, f"all_{quantity}"),
        }
        if whole:
            row |= {"class_without": _class(without, ""), "class_all": _class(one, "all_")}
            row["moved"] = bool(without["class_changes"])
        yield row


def _change(one: xr.Dataset, quantity: str) -> Row:
    """Return a change in percent, with its interval."""
    value, *ends = (
        numbers.signed(numbers.percent_change(float(one[f"{quantity}_{what}"]))) for what in ("mean", "lower", "upper")
    )
    return {"value": value, "interval": numbers.interval(*ends)}


def _class(one: xr.Dataset, prefix: str) -> str:
    return str(one[f"{prefix}leading_class"].item())


def verdict(found: xr.Dataset, data: xr.Dataset, names: list[str]) -> Iterator[str]:
    """Yield what changes when a study is left out: what the headline names, and the most probable class."""
    for variable, what in (
        ("claim", "what the headline names"),
        ("class", "the most probable scenario of the typical comparison"),
    ):
        changes = []
        for name in names:
            one = found.sel(target=f"{words.MEAN}: {name}")
            other = one[f"{variable}_changes"].values == 1
            moved = np.flatnonzero(other & _sound(found, name))
            studies = one["left_out"].values[moved].astype(str).tolist()
            if variable == "claim":
                studies = [f"{study} ({_claims(one, int(i))})" for study, i in zip(studies, moved, strict=True)]
            if studies:
                of = "" if len(names) == 1 and name == shown_name(name, data) else f"for “{shown_name(name, data)}” "
                changes.append(f"{of}{_some(studies)}")
        if changes:
            yield f"{heading(what)} changes without one of these studies: {'; '.join(changes)}."
        else:
            yield f"No single study changes {what}{' of any kind' if len(names) > 1 else ''}."
    for name in names:
        tied = str(found["all_leading_ties"].sel(target=f"{words.MEAN}: {name}").item()).split(OR)
        if len(tied) > 1:
            whose = "" if name == shown_name(name, data) else f" of {shown_name(name, data)}"
            yield (
                f"Which scenario{whose} is the most probable is open with all studies already: {numbers.listing(tied)} "
                "are equal within Monte-Carlo error."
            )


def _claims(one: xr.Dataset, place: int) -> str:
    """Return the claim of all studies with its probability with and without one; what is named without it, else."""
    claim, without = str(one["all_claim"].item()), one.isel(left_out=place)
    if not claim:
        return f"nothing named → {without['claim'].item()}"
    found = (one["all_claim_probability"], without["claim_probability"])
    before, after = (numbers.probability(float(value)) for value in found)
    return f"{claim} {before} → {after}"


def _some(names: list[str]) -> str:
    more = len(names) - _MOST
    return numbers.listing(names[:_MOST] + ([f"{more} more"] if more > 0 else []))


def _root_sum(errors: np.ndarray) -> float:
    return float(np.sqrt(np.sum(errors**2)))


def _elpd(value: float, error: float) -> Row:
    return {"value": numbers.plain(value, 2), "error": number_text(error, 2)} if np.isfinite(value) else {}


def _worst(found: xr.Dataset) -> Row:
    """Return the study with the lowest elpd per comparison; empty where there is none."""
    each = np.where(found["passed"].values == 1, found["elpd"].values / found["n_comparisons"].values, np.nan)
    if np.isnan(each).all():
        return {}
    one = found.isel(left_out=int(np.nanargmin(each)))
    count = numbers.plural(int(one["n_comparisons"]), "comparison")
    return {"study": str(one["left_out"].item()), "count": count} | _elpd(float(one["elpd"]), float(one["elpd_mcse"]))


def _failed(found: xr.Dataset) -> list[str]:
    """Return one sentence per refit that cannot be relied on."""
    reasons = found["reason"].values.astype(str)
    named = zip(found["left_out"].values.astype(str), reasons, strict=True)
    return [f"{study}: {reason.rstrip('.')}." for study, reason in named if reason]


def _unseen(found: xr.Dataset, data: xr.Dataset, names: list[str]) -> list[str]:
    """Return the kinds that one study only holds, each with that study."""
    at_mean = found.sel(target=[f"{words.MEAN}: {name}" for name in names])
    place = zip(*np.nonzero(at_mean["unseen"].values), strict=True)
    return [f"{shown_name(names[j], data)} ({found['left_out'].values[i]})" for i, j in place]
