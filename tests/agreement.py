"""When two sets of draws agree: |a − b| ≤ z √(mcse_a² + mcse_b²), z = Φ⁻¹(1 − 0.005/m) over m summaries.

Means must also lie within 0.1 posterior sd. Monte-Carlo standard errors: mean sd/√ESS_bulk; sd sd/√(2 ESS_bulk);
quantile p √(p(1−p)/ESS_tail) · sd/φ(Φ⁻¹(p)); probability √(p(1−p)/ESS).
"""

from dataclasses import dataclass

import numpy as np
from arviz_stats.base import array_stats
from scipy.stats import norm

from mcpbayes.monte_carlo.summaries import convergence

QUANTILES = (0.025, 0.05, 0.5, 0.95, 0.975)


@dataclass(frozen=True)
class Summary:
    """One number of one posterior with its Monte-Carlo standard error."""

    name: str
    kind: str
    value: float
    mcse: float
    sd: float


def summaries(
    name: str, mean: float, sd: float, quantiles: dict[float, float], bulk: float, tail: float
) -> list[Summary]:
    found = [
        Summary(name, "mean", mean, sd / np.sqrt(bulk), sd),
        Summary(name, "sd", sd, sd / np.sqrt(2 * bulk), sd),
    ]
    for p, value in quantiles.items():
        mcse = np.sqrt(p * (1 - p) / tail) * sd / norm.pdf(norm.ppf(p))
        found.append(Summary(name, f"q{p}", value, mcse, sd))
    return found


def summaries_of_draws(name: str, draws: np.ndarray) -> list[Summary]:
    """Summaries of draws of shape (chain, draw)."""
    bulk = float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk"))
    tail = float(array_stats.ess(draws, chain_axis=0, draw_axis=1, method="tail", prob=(0.05, 0.95)))
    quantiles = {p: float(np.quantile(draws, p)) for p in QUANTILES}
    return summaries(name, float(draws.mean()), float(draws.std(ddof=1)), quantiles, bulk, tail)


def probability(name: str, p: float, ess: float) -> Summary:
    return Summary(name, "probability", p, float(np.sqrt(p * (1 - p) / ess)), np.inf)


def disagreements(ours: list[Summary], theirs: list[Summary]) -> list[str]:
    """Return a line per summary that breaks the rule; both lists hold the same summaries in the same order."""
    assert [(a.name, a.kind) for a in ours] == [(b.name, b.kind) for b in theirs]
    assert ours
    z = norm.ppf(1 - 0.005 / len(ours))
    found = []
    for a, b in zip(ours, theirs, strict=True):
        gap, limit = abs(a.value - b.value), z * np.hypot(a.mcse, b.mcse)
        if gap > limit:
            found.append(f"{a.name} {a.kind}: {a.value:.5g} against {b.value:.5g}, limit {limit:.2g}")
        if a.kind == "mean" and gap > 0.1 * b.sd:
            found.append(f"{a.name} mean: {a.value:.5g} against {b.value:.5g}, more than 0.1 sd ({b.sd:.3g})")
    return found


def rows_that_disagree(names: list[str], ours: np.ndarray, theirs: np.ndarray) -> list[str]:
    """Apply the rule to mean, sd and five quantiles of many quantities at once; draws (row, chain, draw)."""
    first, second = (_all_summaries(draws) for draws in (ours, theirs))
    kinds = ["mean", "sd", *(f"q{p}" for p in QUANTILES)]
    z = norm.ppf(1 - 0.005 / first[0].size)
    gap = np.abs(first[0] - second[0])
    limit = z * np.hypot(first[1], second[1])
    limit[:, 0] = np.minimum(limit[:, 0], 0.1 * second[0][:, 1])
    return [
        f"{names[row]} {kinds[kind]}: {first[0][row, kind]:.5g} against {second[0][row, kind]:.5g}, "
        f"limit {limit[row, kind]:.2g}"
        for row, kind in zip(*np.nonzero(gap > limit), strict=True)
    ]


def _all_summaries(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and Monte-Carlo standard errors, (row, 7); ESS by the package's own function, tested elsewhere."""
    found = convergence(draws)
    bulk, tail = found["ess_bulk"], found["ess_tail"]
    flat = draws.reshape(len(draws), -1)
    mean, sd = flat.mean(axis=1), flat.std(axis=1, ddof=1)
    values, errors = [mean, sd], [sd / np.sqrt(bulk), sd / np.sqrt(2 * bulk)]
    for p, quantile in zip(QUANTILES, np.quantile(flat, QUANTILES, axis=1), strict=True):
        values.append(quantile)
        errors.append(np.sqrt(p * (1 - p) / tail) * sd / norm.pdf(norm.ppf(p)))
    return np.stack(values, axis=1), np.stack(errors, axis=1)
