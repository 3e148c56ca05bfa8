"""The command line: the only place that prints, writes files and exits.

Exit codes: 0 done; 1 a bug of ours; 2 input or usage; 3 done, but diagnostics failed; 130 interrupted.
"""

import json
import shlex
import sys
import traceback
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcpbayes import __version__, cli_import
from mcpbayes.errors import DataError, McpbayesError, Problem, SpecificationError
from mcpbayes.vocabulary import ASSUMPTIONS, INFLUENCE

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from mcpbayes.specification.structure import Specification

DONE, BUG, USAGE, DIAGNOSTICS, INTERRUPTED = 0, 1, 2, 3, 130

app = typer.Typer(
    help="Bayesian meta-analysis of the soil microbial carbon pump: both pools in one model, ΔMCP and scenarios out.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(cli_import.app, name="import")

Table = Annotated[Path, typer.Argument(help="Table: .csv, .tsv or .xlsx.", metavar="TABLE")]
Model = Annotated[str, typer.Option(help="Name of a shipped model, or a .toml file.", metavar="NAME|FILE")]
Moderators = Annotated[str | None, typer.Option(help="Formula, for example '~ duration_years'.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Set one key of the specification; repeatable.", metavar="KEY=VALUE")
]
Sheet = Annotated[str | None, typer.Option(help="Sheet of an .xlsx file.")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results in the folder.")]
Influence = Annotated[bool, typer.Option("--influence", help="Leave out every study in turn: does one decide?")]
NoReport = Annotated[bool, typer.Option("--no-report", help="Numbers only: no figures, no report.html.")]


class Layout(StrEnum):
    """Layouts with a template."""

    comparison = "comparison"
    arm = "arm"
    plot = "plot"
    contrast = "contrast"


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
def template(
    out: Annotated[Path, typer.Option(help="File to write: .xlsx or .csv.")],
    layout: Annotated[Layout, typer.Option(help="What one row is.")] = Layout.comparison,
) -> int:
    """Write an empty table to fill in: columns, units, an example row, explanations."""
    from mcpbayes.tables.template import write_template

    if out.exists():
        raise McpbayesError(f"{out} exists already; choose another name, so that no filled table is overwritten")
    write_template(out, layout.value)
    print(f"{out}: fill it in, then run: mcpbayes check {_quoted(out)}{_model_of(layout)}")
    return DONE


def _model_of(layout: Layout) -> str:
    if layout is Layout.contrast:
        return " --model contrast-based"
    return "" if layout is Layout.comparison else f" --set data.layout={layout.value}"


@app.command()
def models(name: Annotated[str | None, typer.Argument(help="Model whose card to show.")] = None) -> int:
    """List the shipped models, or show the card of one."""
    from mcpbayes.specification.catalogue import list_models, read_card
    from mcpbayes.specification.loading import load_model

    if name is not None:
        print(read_card(name))
        return DONE
    for model in list_models():
        print(f"{model:<16}{load_model(model).title}")
    print("\nmcpbayes models NAME shows the card: question, equations, priors with reasons, when not to use it.")
    return DONE


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="CSV file; the truth goes to <name>.truth.json beside it.")],
    studies: Annotated[int, typer.Option(min=1)] = 50,
    seed: Seed = 1,
    kinds: Annotated[str, typer.Option(help="Treatment kinds, separated by commas.")] = "treatment",
    effect: Annotated[str | None, typer.Option(help="True mean ln ratios: necromass,soc.", metavar="N,C")] = None,
    tau_study: Annotated[str | None, typer.Option(help="Heterogeneity between studies.", metavar="N,C")] = None,
    tau_comparison: Annotated[str | None, typer.Option(help="... between comparisons.", metavar="N,C")] = None,
    tau_kind: Annotated[str | None, typer.Option(help="... between kinds.", metavar="N,C")] = None,
    missing_sd: Annotated[float, typer.Option(help="Fraction of SDs left out.", min=0, max=1)] = 0.0,
    missing_necromass: Annotated[float, typer.Option(help="Fraction of SOC-only studies.", min=0, max=1)] = 0.0,
    overwrite: Overwrite = False,
) -> int:
    """Simulate a table from the standard model, with the truth behind it."""
    from mcpbayes.inference.simulation import simulate as draw

    truth_file = out.with_suffix(".truth.json")
    if not overwrite and (out.exists() or truth_file.exists()):
        raise McpbayesError(f"{out} or {truth_file} exists; pass --overwrite to replace them")
    names = tuple(kind.strip() for kind in kinds.split(",") if kind.strip())
    if not names:
        raise SpecificationError(f"expected at least one kind of treatment; found {kinds!r}", "--kinds")
    table, truth = draw(
        studies=studies,
        seed=seed,
        kinds=names,
        effect=_two(effect, "--effect"),
        tau_study=_two(tau_study, "--tau-study"),
        tau_comparison=_two(tau_comparison, "--tau-comparison"),
        tau_kind=_two(tau_kind, "--tau-kind"),
        missing_sd=missing_sd,
        missing_necromass=missing_necromass,
    )
    table.to_csv(out, index=False, lineterminator="\n")
    truth_file.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    print(f"{out}: {len(table)} simulated comparisons of {studies} studies; truth in {truth_file}")
    return DONE


def _two(text: str | None, option: str) -> tuple[float, float] | None:
    """Read "0.3,0.1" as numbers for necromass and SOC."""
    if text is None:
        return None
    try:
        necromass, soc = (float(part) for part in text.split(","))
    except ValueError:
        raise SpecificationError(
            f"expected two numbers, necromass,soc, for example 0.3,0.1; found {text!r}", option
        ) from None
    return necromass, soc


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
        print(
            f"\nBest guesses for the columns are in {write_model}; correct them, then: --model {_quoted(write_model)}"
        )
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
    points = _points(at or [])
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


def _points(options: Sequence[str]) -> dict[str, list[object]]:
    """Read --at options: "duration_years=10,20" becomes {"duration_years": [10.0, 20.0]}."""
    points: dict[str, list[object]] = {}
    for option in options:
        name, found, values = option.partition("=")
        if not found or not values:
            raise SpecificationError(f"expected MODERATOR=VALUE,VALUE; found {option!r}", "--at")
        points.setdefault(name.strip(), []).extend(_number_or_text(value.strip()) for value in values.split(","))
    return points


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def _progress(message: str) -> None:
    print(f"mcpbayes: {message}", file=sys.stderr)


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
    result, summary = analyse_with_summary(
        frame, specification, seed=seed, at=at, report=_progress, influence=influence
    )
    result = with_groups(result, {}, command=command, inputs=read)
    with_report = with_report and not has_two_pools(result)
    if with_report:
        result = with_assumptions(result)
    if influence:
        result = leave_one_study_out(result, report=_progress)
    _progress("writing results")
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
        print(f"Results: {out} (trajectories and scenarios: mcpbayes forecast {_quoted(out)} --years 10,20,50)")
    elif with_report:
        print(f"Report: {out / 'report.html'}")
    else:
        print(f"Results: {out} (figures, report and assumptions.csv: mcpbayes report {_quoted(out)})")
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
        result = leave_one_study_out(result, report=_progress)
    # The call that sampled stays on record beside every one that wrote the folder anew.
    command = " ; ".join(call for call in (result.attrs.get("command"), context.obj) if call)
    return _conclude(with_groups(result, {}, command=command), summarise(result), out or folder, overwrite=out is None)


@app.command()
def forecast(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder written by mcpbayes run, or its result.nc.", metavar="DIR")],
    years: Annotated[str, typer.Option(help="Years since the change, separated by commas.", metavar="10,20,50")],
    since: Annotated[
        float | None, typer.Option(help="Year from which crossings count; default: the median duration.")
    ] = None,
    at: Annotated[
        list[str] | None, typer.Option(help="Evaluate there, too; repeatable.", metavar="MODERATOR=1,2")
    ] = None,
    settings: Settings = None,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Tables only.")] = False,
) -> int:
    """Say from a two-pool result what both pools will have done by some years, and in the end."""
    from mcpbayes.estimands.forecast import forecast as foretell
    from mcpbayes.output.folder import RESULT, load
    from mcpbayes.output.forecast_folder import forecast_lines, forecast_problems, forecast_tables, write_forecast

    folder = folder.parent if folder.name == RESULT and folder.is_file() else folder
    result = load(folder / RESULT)
    asked = _years(years)
    if not no_figures and max(asked) == 0:
        raise SpecificationError("the figures need a year after the change; give one, or --no-figures", "--years")
    result = foretell(result, asked, at=_points(at or []) or None, since=since, settings=settings or ())
    tables = forecast_tables(result)
    write_forecast(result, folder, tables, figures=not no_figures, command=context.obj, settings=settings or ())
    for line in forecast_lines(result, tables):
        print(line)
    problems = forecast_problems(next(iter(tables.values())))
    for problem in problems:
        print(f"{problem.severity.upper()} {problem.check}: {problem}")
    print(f"Forecast: {', '.join(str(folder / name) for name in tables)}{'' if no_figures else ' and figures'}")
    if problems or result.attrs["status"] != "ok":
        print("mcpbayes: diagnostics failed; do not use the forecast as it is", file=sys.stderr)
        return DIAGNOSTICS
    return DONE


def _years(text: str) -> list[float]:
    """Read "10,20,50" as numbers."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise SpecificationError(
            f"expected years, separated by commas, for example 10,20,50; found {text!r}", "--years"
        ) from None


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def entry() -> None:
    """Console entry point."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
