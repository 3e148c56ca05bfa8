"""The gate's findings as rows of a table and as sentences."""

from collections.abc import Callable
from typing import Final

from mcpbayes.evidence.diagnostics import Diagnostics
from mcpbayes.evidence.findings import Worst
from mcpbayes.monte_carlo import limits as gate
from mcpbayes.output.document import numbers
from mcpbayes.output.document.material import Row, heading

_NOT_DEFINED: Final = "not defined for any quantity"
_ONE_PROPOSAL: Final = "but the chains share one proposal"


def checks(found: Diagnostics) -> list[Row]:
    """List the checks of the gate.

    Returns
    -------
    list of dict
        ``name``, ``required``, ``worst``, ``where``, ``met``, and ``note``: what a check that is met leaves open.

    Notes
    -----
    The collapsed engine has weights: Pareto k̂ and ESS/N judge its N proposals, ESS the draws of the chains made of
    them. All of these chains come from one proposal distribution, so that R-hat compares nothing that is independent.
    """
    rows: list[Row] = []
    if found.pareto_k is None:
        rows.append(_row("divergent transitions", "0", numbers.count(found.divergences), "", found.divergences == 0))
    else:
        met = found.pareto_k < gate.PARETO_K_LIMIT
        rows.append(
            _row("Pareto k̂", f"< {gate.PARETO_K_LIMIT}", f"{found.pareto_k:.2f}", "weights of the proposals", met)
        )
    if found.efficiency is not None:
        met = found.efficiency > gate.EFFICIENCY_LIMIT
        shown = f"{found.efficiency:.2f}"
        rows.append(
            _row("ESS/N of the proposals", f"> {gate.EFFICIENCY_LIMIT}", shown, "weights of the proposals", met)
        )
    least = f"≥ {gate.ESS_LIMIT}"
    rows.append(
        _judged("R-hat", f"< {gate.R_HAT_LIMIT}", found.r_hat, 3, lambda value: value < gate.R_HAT_LIMIT)
        | {"note": "" if found.pareto_k is None else _ONE_PROPOSAL}
    )
    rows.append(_judged("ESS of the chains, bulk", least, found.ess_bulk, 0, lambda value: value >= gate.ESS_LIMIT))
    rows.append(_judged("ESS of the chains, tail", least, found.ess_tail, 0, lambda value: value >= gate.ESS_LIMIT))
    return rows


def _judged(name: str, required: str, worst: Worst | None, digits: int, met: Callable[[float], bool]) -> Row:
    if worst is None:
        return _row(name, required, numbers.ABSENT, _NOT_DEFINED, True)
    return _row(name, required, numbers.plain(worst.value, digits), str(worst), met(worst.value))


def _row(name: str, required: str, worst: str, where: str, met: bool) -> Row:
    return {"name": name, "required": required, "worst": worst, "where": where, "met": met, "note": ""}


def failures(found: Diagnostics) -> list[str]:
    """Return what made the gate fail, one sentence each."""
    return [heading(str(problem)) for problem in found.problems if problem.severity == "error"]


def rows_sentence(found: Diagnostics, file: str = "summary.csv") -> str:
    """Say how many rows of single studies and comparisons in a file are beyond a limit; they do not decide.

    Nothing is said where no file has such rows.
    """
    if not file:
        return ""
    counts = {"study": found.failing_study, "comparison": found.failing_comparison}
    bad = [numbers.plural(count, f"{level} row") for level, count in counts.items() if count]
    if not bad:
        return "No row of a single study or comparison is beyond these limits."
    return (
        f"{numbers.listing(bad)} of {file} {'is' if sum(counts.values()) == 1 else 'are'} beyond these limits; "
        "such rows are shown there and do not decide."
    )


def one_line(found: Diagnostics) -> str:
    """Return the diagnostics as a clause for the methods paragraph."""
    parts = []
    if found.r_hat is not None:
        parts.append(f"the largest R-hat was {found.r_hat.value:.3f}")
    ess = [worst.value for worst in (found.ess_bulk, found.ess_tail) if worst is not None]
    if ess:
        parts.append(f"the smallest effective sample size {min(ess):.0f}")
    if found.pareto_k is None:
        parts.append(
            numbers.plural(found.divergences, "divergent transition")
            if found.divergences
            else "no divergent transition"
        )
    else:
        parts.append(f"Pareto k̂ {found.pareto_k:.2f}")
    return numbers.listing(parts)
