"""Time and memory of a table, from its log means to every number of the written tables.

    python -m benchmarks.speed                    the standard model, 150 to 30,000 rows, both kernels, cold and warm
    python -m benchmarks.speed --rows 150 --kernel numpy
    python -m benchmarks.speed --profile           what bounds it: shares of the stages and of functions, on one core

Warm: in one process, after a first run; the best of several, with the processor seconds of that run beside it, since
machines are shared. Memory is the peak of the whole process. Writes ``benchmarks/records/speed.json``.

The floor is NumPy's time, one thread, for as many standard normals as there are effects (studies, controls,
comparisons; two pools) times 4000 draws. It is the machine's yardstick (``floor_ns_per_normal``): ratios to it are
within one run and travel between machines, seconds do not. A bar that was given in seconds reads as a multiple of the
floor of the machine that it was written for: 0.013 s at 150 rows, 0.049 at 600, 0.245 at 3000 and 2.5 at 30,000.
"""

import argparse
import cProfile
import gc
import io
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.processes import clock

RECORD = Path(__file__).parent / "records" / "speed.json"
ROWS = (150, 600, 3000, 30_000)
SEED = 20263
#: Comparisons per study that the simulator gives on average.
PER_STUDY = 3


def arms_of(rows: int, kinds: int = 0):  # noqa: ANN201  a labelled dataset
    """Return model and prepared table with about so many comparisons; with kinds, sites are on too."""
    import mcpbayes as mb

    names = tuple(f"kind {letter}" for letter in "abcde"[:kinds]) or ("treatment",)
    given = ["data.dispersion.sd_model=reported"]  # V given: the bars are for one fit
    model = mb.load_model("arm-based", settings=given + (["levels.kind=on", "levels.site=on"] if kinds else []))
    table, _ = mb.simulate(model, studies=max(rows // PER_STUDY, 3), seed=SEED, kinds=names)
    table = table.iloc[:rows]
    if kinds:
        # Each control is a site of its own, so that studies hold one or two.
        table = table.assign(site=table["control_id"])
    return mb.prepare(table, model), model


def stages() -> list[tuple[str, Callable]]:
    """Return the road from prepared arms to the numbers of the tables, stage by stage."""
    import mcpbayes as mb
    from mcpbayes.analysis import conclude
    from mcpbayes.output.summary import scenario_table, share_table

    return [
        ("fit", lambda state: state | {"result": mb.fit(state["arms"], state["model"], seed=1)}),
        ("estimate", lambda state: state | dict(zip(("result", "summary"), conclude(state["result"]), strict=True))),
        ("tables", lambda state: state | {"a": scenario_table(state["result"]), "b": share_table(state["result"])}),
    ]


def floor_seconds(arms) -> tuple[float, int]:  # noqa: ANN001
    """Return NumPy's time for the standard normals of all effects, and how many they are."""
    rng = np.random.default_rng(1)
    effects = sum(arms.sizes[dim] for dim in ("study", "control", "comparison")) * arms.sizes["outcome"]
    block = np.empty((16, 4000))
    best = min(_timed(lambda: rng.standard_normal(out=block)) for _ in range(50))
    return best / block.size * effects * 4000, effects * 4000


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(rows: int, kinds: int, repeats: int) -> dict[str, object]:
    """Run one size in this process: first run, then the best of the repeats, stage by stage."""
    start = time.perf_counter()
    arms, model = arms_of(rows, kinds)
    prepared = time.perf_counter() - start
    runs = []
    state: dict = {}
    for _ in range(repeats + 1):
        state.clear()
        gc.collect()  # the result of the run before refers to itself: without this its memory is not free yet
        state = {"arms": arms, "model": model}
        wall, cpu = {}, 0.0
        for name, stage in stages():
            with clock() as spent:
                state = stage(state)
            wall[name] = spent["wall"]
            cpu += spent["cpu"]
        runs.append((wall, cpu))
    best, cpu = min(runs[1:], key=lambda run: sum(run[0].values()))
    total, (floor, normals) = sum(best.values()), floor_seconds(arms)
    summary, stats = state["summary"], state["result"]["sample_stats"].attrs
    bulk = summary.loc[summary["level"] == "parameter", "ess_bulk"].min()
    return {
        "rows": arms.sizes["comparison"],
        "studies": arms.sizes["study"],
        "kinds and sites": bool(kinds),
        "engine": state["result"].attrs["engine"],
        "attempt": int(stats.get("attempt", 0)),
        "kernel": os.environ.get("MCPBAYES_KERNEL", "auto"),
        "seconds": {"prepare (not counted)": prepared, "first run": sum(runs[0][0].values()), **best, "total": total},
        "cpu_seconds": cpu,
        "ess_per_second": float(bulk / total),
        "floor_seconds": floor,
        "floor_ns_per_normal": floor / normals * 1e9,
        "ratio_to_floor": total / floor,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def profile(rows: int, kinds: int) -> str:
    """Return the shares of the stages and the fifteen functions of most own time, on one core, after a first run."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, so no threads: a profile sees its own only
    arms, model = arms_of(rows, kinds)
    wall, profiler = {}, cProfile.Profile()
    for watched in (False, True):
        state: dict = {"arms": arms, "model": model}
        for name, stage in stages():
            if watched:
                profiler.enable()
            with clock() as spent:
                state = stage(state)
            profiler.disable()
            wall[name] = spent["cpu"]
    shares = ", ".join(f"{name} {value / sum(wall.values()):.0%}" for name, value in wall.items())
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(15)
    return f"{arms.sizes['comparison']} rows{', kinds and sites' if kinds else ''}: {shares}\n{text.getvalue()}"


def in_process(kernel: str, rows: int, kinds: int, *more: str) -> str:
    """Run one size in a process of its own, so that memory, and the core it is bound to, are its own too."""
    command = [sys.executable, "-m", "benchmarks.speed", "--one", str(rows), "--kinds", str(kinds), *more]
    environment = os.environ | {"MCPBAYES_KERNEL": kernel}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def cold() -> dict[str, float]:
    """Return whole-process seconds of ``mcpbayes run`` on 150 rows without report, and of the imports alone.

    "first" has no compiled bytecode of anything and an empty cache of compiled kernels, as after an installation that
    compiles nothing.
    """
    import mcpbayes as mb

    imports = "import pandas, xarray, scipy.special, h5netcdf, pandera, pint, mcpbayes.analysis"
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "table.csv", Path(folder) / "out"
        frame, _ = mb.simulate(studies=150 // PER_STUDY, seed=SEED)
        frame.iloc[:150].to_csv(table, index=False)
        program = [sys.executable, "-m", "mcpbayes.cli"]
        run = [*program, "run", str(table), "--out", str(out), "--no-report", "--overwrite"]
        run += ["--set", "data.dispersion.sd_model=reported"]
        # Python keeps its bytecode, as it does unless told otherwise; in a folder of this benchmark's own.
        usual = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        usual |= {"PYTHONPYCACHEPREFIX": f"{folder}/kept"}
        fresh = usual | {"PYTHONPYCACHEPREFIX": f"{folder}/bytecode", "NUMBA_CACHE_DIR": f"{folder}/kernels"}

        def seconds(command: list[str], environment: dict[str, str]) -> float:
            return _timed(lambda: subprocess.run(command, env=environment, check=True, capture_output=True))

        seconds(run, usual)
        return {
            "run, best of 3": min(seconds(run, usual) for _ in range(3)),
            "of which imports": min(seconds([sys.executable, "-c", imports], usual) for _ in range(3)),
            "first run after installation": seconds(run, fresh),
        }


def show(found: dict[str, object]) -> str:
    """Return one line for a measured size."""
    seconds: dict[str, float] = found["seconds"]  # type: ignore[assignment]
    parts = ", ".join(f"{name} {value:.3f}" for name, value in seconds.items() if name != "total")
    return (
        f"{found['rows']:>6} rows{', kinds and sites' if found['kinds and sites'] else ''}, {found['engine']}, kernel "
        f"{found['kernel']}, attempt {found['attempt']}: {seconds['total']:.3f} s = "
        f"{found['ratio_to_floor']:.1f} x floor of {found['floor_ns_per_normal']:.1f} ns per normal "
        f"({parts}; {found['cpu_seconds']:.3f} of the processors), "
        f"{found['ess_per_second']:.0f} ESS/s, {found['peak_mb']:.0f} MB"
    )


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--kernel", nargs="*", default=["numpy", "numba"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print what bounds each size; records nothing")
    parser.add_argument("--kinds", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is None:
        every = [(kernel, *size) for kernel in given.kernel for size in [*((rows, 0) for rows in given.rows), (150, 5)]]
        (print_profiles if given.profile else record)(every, given.repeats)
    elif given.profile:
        print(profile(given.one, given.kinds))
    else:
        print(json.dumps(measure(given.one, given.kinds, given.repeats)))


def print_profiles(every: list[tuple[str, int, int]], _: int) -> None:
    """Say of each kernel and size (rows, kinds) what bounds it."""
    for kernel, rows, kinds in every:
        print(f"kernel {kernel}, {in_process(kernel, rows, kinds, '--profile')}", flush=True)


def record(every: list[tuple[str, int, int]], repeats: int) -> None:
    """Measure each kernel and size (rows, kinds), warm and cold; keep it where these are the sizes of the record."""
    found = []
    for kernel, rows, kinds in every:
        best_of = repeats if rows < 30_000 else 1
        found.append(json.loads(in_process(kernel, rows, kinds, "--repeats", str(best_of))))
        print(show(found[-1]), flush=True)
    kernels = list(dict.fromkeys(kernel for kernel, *_ in every))
    exponents = {kernel: exponent([one for one in found if one["kernel"] == kernel]) for kernel in kernels}
    print(f"exponent of time over rows: {exponents}")
    starts = cold()
    print(f"cold, seconds: {starts}")
    if {rows for _, rows, kinds in every if not kinds} == set(ROWS):
        RECORD.write_text(json.dumps({"warm": found, "exponent": exponents, "cold": starts}, indent=1) + "\n")


def exponent(found: list[dict[str, object]]) -> float:
    """Return the slope of ln seconds over ln rows of the standard model, least squares."""
    plain = [one for one in found if not one["kinds and sites"]]
    rows, seconds = ([float(one["rows"]) for one in plain], [float(one["seconds"]["total"]) for one in plain])  # type: ignore[index,arg-type]
    return float(np.polyfit(np.log(rows), np.log(seconds), 1)[0]) if len(rows) > 1 else float("nan")


if __name__ == "__main__":
    main()
