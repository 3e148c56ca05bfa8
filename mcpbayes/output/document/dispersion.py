"""Where the CVs behind the sampling covariances come from, in words: replicate plots, pooled CVs, the model of CVs."""

import json
from typing import Final

import xarray as xr

from mcpbayes.inference.doubts import CARRIED
from mcpbayes.output.document import numbers
from mcpbayes.output.document.material import Row, heading, is_on, outcome_words
from mcpbayes.vocabulary import IMPUTED, TWO_POOL

_POOLED: Final = (
    "The sampling variances of all arms, with and without a reported SD, were taken from one CV per pool, the mean "
    "square over studies (Nakagawa et al. 2023, doi:10.1111/ele.14144): {}."
)


#: Notes on replicate plots that belong in the methods.
_OF_PLOTS: Final = ("blocks-taken-out", "incomplete-blocks", "correlation-from-plots")


def dispersion(result: xr.DataTree, data: xr.Dataset) -> Row | None:
    """Return what is said of pooled or modelled CVs; None where SDs enter as they are.

    Returns
    -------
    dict
        ``method`` (a sentence for the methods paragraph); of modelled CVs also ``rows`` (``what``, ``value`` and
        ``interval``, 95 %), ``check`` (how the sampler fared), ``passed`` and ``share``, a sentence on the variance
        that lies between the fits, empty with one fit.
    """
    if "cv_sample" not in data:
        return None
    if "cv_model" not in data.attrs:
        return {"method": _POOLED.format(numbers.listing(_pooled(data)))}
    found = json.loads(data.attrs["cv_model"])
    pools = list(found["typical"])
    rows = [_row(f"typical CV, {outcome_words(pool)}", found["typical"][pool]) for pool in pools]
    rows.append(_row("τ of ln CV, between studies", found["tau"]))
    rows += [
        _row(f"ω of ln CV, between arms of a study, {outcome_words(pool)}", found["omega"][pool]) for pool in pools
    ]
    k = "none (constant weights)" if found["pareto_k"] is None else numbers.plain(found["pareto_k"])
    return {
        "method": "The CV of every arm, with and without a reported SD, was drawn from a hierarchical model of ln CV "
        "fitted first and alone: normal between studies and between arms, reported SDs with their χ² sampling error.",
        "rows": rows,
        "check": f"Pareto k̂ {k}, ESS {numbers.count(found['ess'])} of the weighted proposals",
        "passed": bool(found["passed"]),
        "share": _share(result, data),
    }


def _pooled(data: xr.Dataset) -> list[str]:
    """Return the pooled CV of each pool, in words; arms with an SE without n have none of it."""
    pools = data["outcome"].values.astype(str)
    cv = data["cv"].where(data["cv_sample"].notnull() | (data["source_sd"] == IMPUTED))
    return [f"{numbers.significant(float(cv.sel(outcome=o).max()))} for {outcome_words(o)}" for o in pools]


def _row(what: str, said: list[float]) -> Row:
    value, low, high = (numbers.significant(one) for one in said)
    return {"what": heading(what), "value": value, "interval": numbers.interval(low, high)}


def _share(result: xr.DataTree, data: xr.Dataset) -> str:
    """Say how much of the variance of the typical effect lies between the fits, of which quantity and kind."""
    worlds = int(result.attrs.get("worlds", 1))
    if worlds == 1 or "share_between_worlds" not in result.attrs:
        return ""
    share = 100 * float(result.attrs["share_between_worlds"])
    text = "less than 0.1" if share < 0.1 else numbers.plain(share, 1)
    of, largest = "the effects on the log scale", ["pool"]
    if data.attrs["family"] == TWO_POOL:
        of = "the changes of the steady states on the log scale"
    elif data.sizes["outcome"] == 2:
        of, largest = "the change of ln(necromass C/SOC)", []
    largest += ["kind of treatment"] if is_on(data, "kind") else []
    whose = f", for the {' and '.join(largest)} where it is largest," if largest else ""
    carried = numbers.listing([CARRIED[name] for name in json.loads(result.attrs.get("worlds_values", "{}"))])
    return (
        f"Each of {worlds} fits took one draw of all CVs. Of the posterior variance of {of} in the typical comparison "
        f"(level mean){whose} {text} % lies between the fits: that much is due to what they carry"
        f"{f', {carried}' if carried else ''}."
    )


def plots(data: xr.Dataset) -> str:
    """Return what was made of replicate plots, in sentences for the methods paragraph; empty in other layouts."""
    if data.attrs.get("layout") != "plot":
        return ""
    found = json.loads(data.attrs.get("problems", "[]"))
    told = [str(one["message"]) for check in _OF_PLOTS for one in found if one["check"] == check]
    first = "Mean, CV and n of each pool in each arm were computed from its replicate plots"
    return " ".join(f"{heading(text)}." for text in [first, *told])
