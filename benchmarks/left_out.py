"""Every study of a table left out in turn: how long it takes, and how many of the fits can be relied on.

    python -m benchmarks.left_out

Two tables that are not part of the project (``MCPBAYES_DATA``, ``MCPBAYES_REFERENCE``; without them their row is
skipped): 15 studies with kinds of treatment and sites, and 200 studies under the standard model. The fit to all studies
comes before the clock starts. Writes ``benchmarks/records/left_out.json``.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import mcpbayes as mb
from benchmarks.processes import clock
from mcpbayes.inference.refits import REWEIGHTED
from mcpbayes.specification.structure import Specification

ROOT = Path(__file__).parent.parent
RECORD = Path(__file__).parent / "records" / "left_out.json"


@dataclass(frozen=True)
class Table:
    """A table, the model it goes through, and the points at which the refits are evaluated."""

    file: Path
    model: Specification
    at: dict[str, list[object]] | None = None


def tables() -> dict[str, Table]:
    """Return the tables by name."""
    data = Path(os.environ.get("MCPBAYES_DATA", ROOT.parent / "shared" / "data"))
    reference = Path(os.environ.get("MCPBAYES_REFERENCE", ROOT.parent / "shared" / "reference"))
    scale = ["data.columns.comparison=obs", "moderators.standardise=false"]
    simulated = mb.load_model("contrast-based", settings=scale, moderators="~ x")
    return {
        "SNDB": Table(data / "sndb_pairs_strict.csv", mb.load_model(ROOT / "notebooks/sndb-pairs.toml")),
        "J200": Table(reference / "g_sim_J200.csv", simulated, {"x": [0.0]}),
    }


def measure(table: Table) -> dict[str, object]:
    """Leave every study of a table out."""
    arms = mb.prepare(mb.read_table(table.file), table.model)
    result = mb.delta_mcp(mb.fit(arms, table.model, seed=1), at=table.at)
    with clock() as seconds:
        found = mb.leave_one_study_out(result)["influence"].to_dataset()
    return {
        "studies": arms.sizes["study"],
        "comparisons": arms.sizes["comparison"],
        "seconds": seconds,
        "passed": int(found["passed"].sum()),
        "reweighted": int((found["attempt"] == REWEIGHTED).sum()),
        "largest_pareto_k": float(found["pareto_k"].max()),
        "least_efficiency": float(found["efficiency"].min()),
    }


def show(name: str, found: dict[str, object]) -> str:
    """Return one line for a table."""
    seconds: dict[str, float] = found["seconds"]  # type: ignore[assignment]
    return (
        f"{name}: {found['studies']} studies left out in {seconds['wall']:.1f} s ({seconds['cpu']:.1f} s of the "
        f"processors), {found['passed']} within the limits, {found['reweighted']} from the draws of the whole; "
        f"k̂ at most {found['largest_pareto_k']:.2f}, ESS/N at least {found['least_efficiency']:.2f}"
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    record = {}
    for name, table in tables().items():
        if not table.file.is_file():
            print(f"{name}: skipped, there is no {table.file}")
            continue
        record[name] = measure(table)
        print(show(name, record[name]), flush=True)
    if len(record) == len(tables()):
        RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
