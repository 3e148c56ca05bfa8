"""The lines of the figure of studies left out: which target, which studies, and what is said of each."""

from typing import Final, NamedTuple

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.output.plots import targets
from mcpbayes.output.plots.targets import group

#: With more studies than this, only the `SHOWN` that move the estimate most are drawn.
MOST: Final = 40
SHOWN: Final = 20


class Line(NamedTuple):
    """One line of the figure: the estimate from all studies, or without one."""

    name: str
    comparisons: int
    of_kind: int
    mean: float
    lower: float
    upper: float
    shift: float
    scenario: str
    probability: float
    claim: str
    elpd: float
    passed: bool
    unseen: bool
    class_moves: bool = False
    claim_moves: bool = False


def target_shown(result: xr.DataTree) -> str:
    """Return the headline target whose headline one study changes, else whose class, else that is moved most."""
    found = group(result, words.INFLUENCE)
    names = targets.headline_names(result)
    at_mean = found.sel(target=[f"{words.MEAN}: {name}" for name in names])
    moved = np.abs(at_mean["shift"].values)
    fair = np.isfinite(moved) & (at_mean["unseen"].values == 0) & (at_mean["passed"].values[:, None] == 1)
    changes = [(fair & (at_mean[what].values == 1)).any(axis=0) for what in ("claim_changes", "class_changes")]
    most = np.where(fair, moved, -1.0).max(axis=0)
    return names[max(range(len(names)), key=lambda i: (changes[0][i], changes[1][i], most[i], -i))]


def of_kind(result: xr.DataTree, name: str) -> dict[str, int]:
    """Return how many comparisons of the target's kind each study holds; all where it is not one kind."""
    data, kind = group(result, words.DATA), targets.kind_of(result, name)
    study = data["study_of_comparison"].values.astype(str)
    mine = np.ones(len(study), dtype=bool) if kind is None else data["kind_of_comparison"].values.astype(str) == kind
    return {str(one): int(np.sum(mine & (study == str(one)))) for one in data["study"].values}


def lines_of(found: xr.Dataset, name: str, held: dict[str, int]) -> tuple[Line, list[Line], int]:
    """Return the line of all studies, those of the studies that are shown, in order, and how many studies there are."""
    one = found.sel(target=f"{words.MEAN}: {name}")
    lines = [_line(one.isel(left_out=i), "", held) for i in range(one.sizes["left_out"])]
    every = _line(one, "all_", held)._replace(comparisons=sum(line.comparisons for line in lines))
    moved = [abs(line.shift) if np.isfinite(line.shift) and not line.claim_moves else np.inf for line in lines]
    if len(lines) > MOST:
        lines = [lines[i] for i in np.argsort(moved, kind="stable")[::-1][:SHOWN]]
    lines.sort(key=lambda line: -line.shift if np.isfinite(line.shift) else np.inf)
    return every, lines, one.sizes["left_out"]


def _line(one: xr.Dataset, prefix: str, held: dict[str, int]) -> Line:
    mean, lower, upper = (float(one[f"{prefix}log_delta_mcp_{what}"]) for what in ("mean", "lower", "upper"))
    scenario, claim = (str(one[f"{prefix}{what}"].item()) for what in ("leading_class", "claim"))
    common = (scenario, float(one[f"{prefix}leading_probability"]), claim)
    if prefix:
        return Line("all studies", 0, sum(held.values()), mean, lower, upper, 0.0, *common, float("nan"), True, False)
    return Line(
        str(one["left_out"].item()), int(one["n_comparisons"]), held[str(one["left_out"].item())], mean, lower,
        upper, float(one["shift"]), *common, float(one["elpd"]), bool(one["passed"]), bool(one["unseen"]),
        bool(one["class_changes"]), bool(one["claim_changes"]),
    )  # fmt: skip
