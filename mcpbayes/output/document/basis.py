"""What every page says of its result, whatever was asked of it: the data, the model and its priors, the run."""

from typing import Final

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.evidence.diagnostics import Diagnostics
from mcpbayes.output.document import checks, material, model, numbers
from mcpbayes.output.document.conversion import conversion
from mcpbayes.output.document.dispersion import dispersion, plots
from mcpbayes.output.document.material import Row
from mcpbayes.output.manifest import versions
from mcpbayes.specification.structure import Scheme, Specification

#: Between which units the effects of a level vary, in the methods paragraph.
_BETWEEN: Final = {"kind": "kinds of treatment", "study": "studies", "site": "sites", "comparison": "comparisons"}


def about_data(data: xr.Dataset) -> Row:
    """Return what was analysed, imputed and listed, and what the data allow to be said."""
    return {
        "analysed": material.analysed(data),
        "imputed": material.imputed(data),
        "comparisons": material.comparisons(data),
        "simulated": material.is_simulated(data),
        "no_spread": material.no_spread_reported(data),
        "kind_level": material.is_on(data, "kind"),
        "site_level": material.is_on(data, "site"),
        "arm_based": model.is_arm_based(data),
        "two_pools": bool(data.attrs["family"] == words.TWO_POOL),
        "outcomes": [material.heading(material.outcome_words(str(o))) for o in data["outcome"].values],
        "outcome_listing": numbers.listing([material.FULL_WORDS.get(str(o), str(o)) for o in data["outcome"].values]),
    }


def about_model(result: xr.DataTree, data: xr.Dataset, spec: Specification) -> Row:
    """Return the model with its priors, moderators, CVs and conversion factors, and the kind of its intervals."""
    priors = model.priors(data, spec)
    interval = numbers.interval_words(spec.summary.interval_kind, spec.summary.interval_prob)
    return {
        "model": {
            "name": spec.name,
            "title": spec.title,
            "formula": spec.moderators.formula,
            "bias_correction": spec.data.bias_correction,
            "reference": spec.reference,
        },
        "interval": interval,
        "hdi": spec.summary.interval_kind == "hdi",
        "priors": priors,
        "prior_phrases": model.prior_phrases(priors),
        "moderators": model.moderators(data),
        "level_listing": numbers.listing([_BETWEEN[level] for level in model.levels(data)]),
        "specification": result.attrs["specification"],
        "dispersion": dispersion(result, data),
        "plots": plots(data),
        "conversion": conversion(data, spec, int(result.attrs.get("worlds", 1))),
        "where_typical": model.where_typical(data),
    }


def about_scheme(scheme: Scheme) -> Row:
    """Return what counts as a change, and from which probability on something is said."""
    return {
        "tolerance": model.tolerance_words(scheme),
        "tolerance_ratio": model.ratio_tolerance_words(scheme),
        "decide_at": f"{scheme.decide_at:g}",
        "merged": bool(scheme.merge or scheme.labels),
    }


def about_run(result: xr.DataTree, found: Diagnostics, command: str, *, judged_in: str = "summary.csv") -> Row:
    """Return how the draws were made and judged, what was found wrong, and the call.

    Parameters
    ----------
    result : xr.DataTree
        Its root attributes ``status`` and ``problems`` tell of the run.
    found : Diagnostics
        Of the same draws.
    command : str
        The exact call.
    judged_in : str
        The file that has the rows of single studies and comparisons.
    """
    problems = material.problems(result)
    failures = [*checks.failures(found), *(str(entry["text"]) for entry in problems["error"])]
    return {
        "failed": result.attrs["status"] != "ok" or not found.passed or bool(failures),
        "diagnostics": {
            "checks": checks.checks(found),
            "failures": list(dict.fromkeys(failures)),
            "rows_sentence": checks.rows_sentence(found, judged_in),
            "summary": checks.one_line(found),
        },
        "problems": problems,
        "sampling": model.sampling(result),
        "fitted_with": str(result.attrs["mcpbayes_version"]),
        "versions": versions(),
        "command": command,
    }
