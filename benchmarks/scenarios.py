"""Exact scenario probabilities against counting 4000 draws: their Monte-Carlo errors and what they take.

    python -m benchmarks.scenarios

Simulated tables of two to three comparisons per study under the standard model, each in a process of its own. Errors
are compared over the classes of all comparisons (level comparison) with a probability of 0.02 to 0.98. The fit comes
before the clock starts; the first call, which fills caches, is not timed. Writes ``benchmarks/records/scenarios.json``.
"""

import argparse
import json
import resource
from pathlib import Path

import numpy as np
import pandas as pd

import mcpbayes as mb
from benchmarks.processes import clock, pool

RECORD = Path(__file__).parent / "records" / "scenarios.json"
ROWS = (50, 150, 1000, 30_000)
SEED = 8
LOW, HIGH = 0.02, 0.98


def table(rows: int) -> pd.DataFrame:
    """Return a simulated table of exactly so many comparisons."""
    made, _ = mb.simulate(studies=max(rows // 2, 4), seed=SEED)
    return made.head(rows)


def measure(rows: int) -> dict[str, object]:
    """Classify one table both ways."""
    model = mb.load_model(
        "arm-based", settings=["data.dispersion.sd_model=reported"]
    )  # one fit: estimators are compared
    arms = mb.prepare(table(rows), model)
    result = mb.delta_mcp(mb.fit(arms, model, seed=SEED))
    mb.classify(result, method="exact")
    before = _peak()
    with clock() as seconds:
        exact = mb.classify(result, method="exact")["scenario"].to_dataset()
    peak = _peak()
    with clock() as counting:
        counted = mb.classify(result, method="counting")["scenario"].to_dataset()
    found: dict[str, object] = {
        "comparisons": arms.sizes["comparison"],
        "studies": arms.sizes["study"],
        "seconds": seconds,
        "seconds_of_counting": counting,
        "peak_mb": peak,
        "peak_mb_before": before,
    }
    for level in ("mean", "new", "study", "comparison"):
        at = (exact["level"] == level).values
        p = exact["probability"].values[at]
        some = (p > LOW) & (p < HIGH)
        errors = [made["mcse"].values[at][some] for made in (counted, exact)]
        found[f"error_ratio_{level}"] = float(np.median(errors[0] / errors[1])) if some.any() else None
        found[f"cells_{level}"] = int(some.sum())
        difference = (p - counted["probability"].values[at])[some] / errors[0]
        found[f"largest_difference_{level}"] = float(np.abs(difference).max()) if some.any() else None
    return found


def _peak() -> float:
    """Return the largest memory that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(found: dict[str, object]) -> str:
    """Return one line for a table."""
    seconds, counting = found["seconds"], found["seconds_of_counting"]
    return (
        f"{found['comparisons']} comparisons of {found['studies']} studies: exact in {seconds['wall']:.2f} s "  # type: ignore[index]
        f"({seconds['cpu']:.2f} s of the processors), counting in {counting['wall']:.2f} s ({counting['cpu']:.2f} s); "  # type: ignore[index]
        f"errors of comparisons {found['error_ratio_comparison']:.1f} times smaller; {found['peak_mb']:.0f} MB at most"
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(ROWS))
    given = parser.parse_args()
    record = []
    for rows in given.rows:
        with pool(1) as processes:
            record.append(processes.submit(measure, rows).result())
        print(show(record[-1]), flush=True)
    if tuple(given.rows) == ROWS:
        RECORD.write_text(json.dumps({"seed": SEED, "tables": record}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
