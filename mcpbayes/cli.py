"""The command line: the only place that prints, writes files and exits.

Exit codes: 0 done; 1 a bug of ours; 2 input or usage; 3 done, but diagnostics failed; 130 interrupted.
"""

import json
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpbayes import __version__, cli_forecast, cli_import, cli_tables
from mcpbayes.cli_options import (
    BUG,
    DIAGNOSTICS,
    DONE,
    INTERRUPTED,
    USAGE,
    Influence,
    Model,
    Moderators,
    NoReport,
    Overwrite,
    Seed,
    Settings,
    Sheet,
    Table,
    progress,
    quoted,
    read_points,
)
from mcpbayes.errors import DataError, McpbayesError, Problem
from mcpbayes.vocabulary import ASSUMPTIONS, INFLUENCE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from mcpbayes.specification.structure import Specification

app = typer.Typer(
    help="Bayesian meta-analysis of the soil microbial carbon pump: both pools in one model, ΔMCP and scenarios out.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(cli_import.app, name="import")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process; without any, the help is shown.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = app(arguments, prog_name="mcpbayes", standalone_mode=False, obj=shlex.join(["mcpbayes", *arguments]))
    except typer.TyperException as error:
        print(f"mcpbayes: {error.format_message()} (mcpbayes --help shows the commands)", file=sys.stderr)
        return USAGE
    except McpbayesError as error:
        print(f"mcpbayes: {error}", file=sys.stderr)
        return USAGE
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"mcpbayes: {place}{error.strerror or error}", file=sys.stderr)
        return USAGE
    except Exception:
        traceback.print_exc()
        print(
            f"\nmcpbayes {__version__}: this is a bug of ours; please report it with the lines above", file=sys.stderr
        )
        return BUG
    if code == INTERRUPTED:  # Typer turns Ctrl-C into this code
        print("\nmcpbayes: interrupted; a folder without manifest.json is incomplete", file=sys.stderr)
    return code if isinstance(code, int) else DONE


def _show_version(value: bool) -> None:
    if value:
        print(f"mcpbayes {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("mcpbayes-demo"),
    seed: Seed = 1,
    overwrite: Overwrite = False,
) -> int:
    """Take the example table (simulated) through everything."""
    from mcpbayes.output.folder import require_place
    from mcpbayes.specification.loading import load_model
    from mcpbayes.tables.example import example_path, read_example

    require_place(out, overwrite)
    print(f"The example table is simulated: no field measured these numbers ({example_path().name}).")
    return _analyse(read_example(), load_model("arm-based"), out, seed=seed, overwrite=overwrite, command=context.obj)


@app.command()
def check(
    table: Table,
    model: Model = "arm-based",
    moderators: Moderators = None,
    settings: Settings = None,
    sheet: Sheet = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    write_model: Annotated[
        Path | None, typer.Option(help="Write the guesses for foreign column names to this .toml file.")
    ] = None,
) -> int:
    """Report every problem of a table and what a run would assume, without fitting."""
    from mcpbayes.specification.loading import load_model
    from mcpbayes.specification.scheme import tolerance_problems
    from mcpbayes.tables.arms import check_table

    specification = load_model(model, settings=settings or (), moderators=moderators)
    frame = None
    try:
        frame = _read(table, sheet, specification)
        problems = (*check_table(frame, specification), *tolerance_problems(specification.scenarios))
    except DataError as unreadable:
        problems = unreadable.problems
    if as_json:
        print(json.dumps([problem.as_dict() for problem in problems], indent=1, ensure_ascii=False))
    else:
        _print_problems(problems)
        if frame is not None:
            _print_outlook(frame, specification, write_model, any(problem.severity == "error" for problem in problems))
    failing = ("error", "warning") if strict else ("error",)
    return USAGE if any(problem.severity in failing for problem in problems) else DONE


def _print_problems(problems: Sequence[Problem]) -> None:
    for severity in ("error", "warning", "note"):
        found = [problem for problem in problems if problem.severity == severity]
        for problem in found:
            print(f"{severity.upper():<8}{problem.check}: {problem}")
    counts = [sum(problem.severity == severity for problem in problems) for severity in ("error", "warning", "note")]
    words = ("error", "warning", "note")
    print(", ".join(f"{n} {word}{'' if n == 1 else 's'}" for n, word in zip(counts, words, strict=True)))


def _print_outlook(frame: Any, specification: "Specification", write_model: Path | None, has_errors: bool) -> None:
    """Print best guesses for foreign columns and, where a run would start, what it would analyse and assume."""
    from mcpbayes.inference.engine import typical_data
    from mcpbayes.output.headline import assumption_lines
    from mcpbayes.tables.arms import prepare
    from mcpbayes.tables.guess import column_block

    block = column_block(frame, specification)
    if block and write_model is not None:
        if write_model.exists():
            raise McpbayesError(f"{write_model} exists already; choose another name")
        write_model.write_text(block if block.endswith("\n") else f"{block}\n", encoding="utf-8")
        print(f"\nBest guesses for the columns are in {write_model}; correct them, then: --model {quoted(write_model)}")
    elif block:
        print(f"\nBest guesses for the columns of this table; correct them and save as a .toml file:\n\n{block}")
    elif write_model is not None:
        print(f"\nno foreign column names recognised: nothing to write, so there is no {write_model}")
    if not has_errors:
        print()
        for line in assumption_lines(typical_data(prepare(frame, specification), specification)):
            print(line)


@app.command()
def run(
    context: typer.Context,
    table: Table,
    out: Annotated[Path, typer.Option(help="Folder of the results.")],
    model: Model = "arm-based",
    moderators: Moderators = None,
    at: Annotated[
        list[str] | None, typer.Option(help="Evaluate there, too; repeatable.", metavar="MODERATOR=1,2")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="auto, collapsed or nuts.")] = None,
    seed: Seed = 1,
    settings: Settings = None,
    sheet: Sheet = None,
    influence: Influence = False,
    no_report: NoReport = False,
    overwrite: Overwrite = False,
) -> int:
    """Analyse a table: effects, ΔMCP, scenario probabilities, figures, report."""
    from mcpbayes.output.folder import require_place
    from mcpbayes.specification.loading import load_model

    require_place(out, overwrite)
    changes = [*(settings or ()), *([f"sampling.engine={engine}"] if engine else [])]
    specification = load_model(model, settings=changes, moderators=moderators)
    frame = _read(table, sheet, specification)
    points = read_points(at or [])
    return _analyse(
        frame,
        specification,
        out,
        seed=seed,
        at=points,
        influence=influence,
        with_report=not no_report,
        overwrite=overwrite,
        inputs=[Path(model)] if model.endswith(".toml") else [],
        command=context.obj,
    )


def _read(table: Path, sheet: str | None, specification: "Specification") -> Any:
    from mcpbayes.tables.reading import read_file

    return read_file(table, sheet or specification.data.sheet)


def _analyse(
    frame: Any,
    specification: "Specification",
    out: Path,
    *,
    seed: int,
    command: str,
    at: dict[str, list[object]] | None = None,
    influence: bool = False,
    with_report: bool = True,
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
) -> int:
    from mcpbayes.analysis import analyse_with_summary
    from mcpbayes.estimands.tree import has_two_pools, with_groups
    from mcpbayes.evidence.assumptions import with_assumptions
    from mcpbayes.evidence.influence import leave_one_study_out
    from mcpbayes.output.manifest import sha256

    print(f"seed {seed}")
    # On record in the result itself, beside its table, for every report that is made from it later.
    read = json.dumps([{"file": path.name, "sha256": sha256(path)} for path in inputs])
    result, summary = analyse_with_summary(frame, specification, seed=seed, at=at, report=progress, influence=influence)
    result = with_groups(result, {}, command=command, inputs=read)
    with_report = with_report and not has_two_pools(result)
    if with_report:
        result = with_assumptions(result)
    if influence:
        result = leave_one_study_out(result, report=progress)
    progress("writing results")
    return _conclude(result, summary, out, with_report=with_report, overwrite=overwrite)


def _conclude(
    result: "xr.DataTree", summary: "pd.DataFrame", out: Path, *, with_report: bool = True, overwrite: bool = True
) -> int:
    """Write the folder; print what was analysed, the headline, what was imputed and where the report is.

    Returns
    -------
    int
        The exit code.
    """
    from mcpbayes.estimands.tree import has_two_pools
    from mcpbayes.output.folder import write_folder
    from mcpbayes.output.headline import closing_lines

    command = result.attrs["command"]
    write_folder(result, out, report=with_report, overwrite=overwrite, command=command, summary=summary)
    for line in closing_lines(result, summary):
        print(line)
    problems = [Problem(**problem) for problem in json.loads(result.attrs["problems"])]
    for problem in problems:
        if problem.severity != "note":
            print(f"{problem.severity.upper()} {problem.check}: {problem}")
    if has_two_pools(result):
        print(f"Results: {out} (trajectories and scenarios: mcpbayes forecast {quoted(out)} --years 10,20,50)")
    elif with_report:
        print(f"Report: {out / 'report.html'}")
    else:
        print(f"Results: {out} (figures, report and assumptions.csv: mcpbayes report {quoted(out)})")
    if result.attrs["status"] != "ok":
        print(
            "mcpbayes: diagnostics failed; the results are saved and marked, do not use them as they are",
            file=sys.stderr,
        )
        return DIAGNOSTICS
    return DONE


@app.command()
def report(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder written by mcpbayes run, or its result.nc.", metavar="DIR")],
    settings: Settings = None,
    influence: Influence = False,
    out: Annotated[Path | None, typer.Option(help="Another folder to write to; default: the same, anew.")] = None,
) -> int:
    """Write tables, figures and report anew from a saved result, without sampling it again."""
    from mcpbayes.analysis import reapply
    from mcpbayes.estimands.tree import refuse_two_pools, with_groups
    from mcpbayes.evidence.assumptions import with_assumptions
    from mcpbayes.evidence.influence import leave_one_study_out
    from mcpbayes.output.folder import RESULT, load, require_place
    from mcpbayes.output.summary import summarise

    folder = folder.parent if folder.name == RESULT and folder.is_file() else folder
    result = load(folder / RESULT)
    refuse_two_pools(result)
    if out is not None:
        require_place(out)
    if settings:
        result = reapply(result, settings)
    if ASSUMPTIONS not in result.children:  # after run --no-report
        result = with_assumptions(result)
    if influence and INFLUENCE not in result.children:
        result = leave_one_study_out(result, report=progress)
    # The call that sampled stays on record beside every one that wrote the folder anew.
    command = " ; ".join(call for call in (result.attrs.get("command"), context.obj) if call)
    return _conclude(with_groups(result, {}, command=command), summarise(result), out or folder, overwrite=out is None)


for each in (cli_tables.template, cli_tables.models, cli_tables.simulate, cli_forecast.forecast):
    app.command()(each)


def entry() -> None:
    """Console entry point."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
