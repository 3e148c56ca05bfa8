"""The command ``mcpbayes forecast``: from the folder of a two-pool run to what both pools will have done."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mcpbayes.cli_options import DIAGNOSTICS, DONE, Settings, progress, read_points
from mcpbayes.errors import SpecificationError


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
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Tables only: no figures, no page.")] = False,
    no_rows: Annotated[
        bool, typer.Option("--no-rows", help="Leave studies and comparisons of the table out: faster with many.")
    ] = False,
    turnover: Annotated[
        bool, typer.Option("--turnover", help="Repeat with turnover rates at quartiles of their prior: four fits.")
    ] = False,
) -> int:
    """Say from a two-pool result what both pools will have done by some years, and in the end: forecast.html."""
    from mcpbayes.estimands.forecast import forecast as foretell
    from mcpbayes.estimands.tree import specification
    from mcpbayes.evidence.turnover import quartile_rates
    from mcpbayes.output.folder import FORECAST, FORECAST_PAGE, FORECAST_TURNOVER, RESULT, load
    from mcpbayes.output.forecast_checks import forecast_problems
    from mcpbayes.output.forecast_folder import forecast_tables, write_forecast, write_turnover
    from mcpbayes.output.forecast_turnover import turnover_lines, turnover_problems, turnover_sensitivity
    from mcpbayes.output.forecast_words import forecast_lines
    from mcpbayes.specification.prior_rules import TURNOVER

    folder = folder.parent if folder.name == RESULT and folder.is_file() else folder
    result = load(folder / RESULT)
    asked = _years(years)
    if not no_figures and max(asked) == 0:
        raise SpecificationError("the figures need a year after the change; give one, or --no-figures", "--years")
    points = read_points(at or []) or None
    fitted, result = result, foretell(result, asked, at=points, since=since, settings=settings or ())
    if turnover:
        quartile_rates(specification(fitted).priors[TURNOVER])  # refuses fixed rates before anything is made
    tables = forecast_tables(result, every_row=not no_rows)
    if (folder / FORECAST_TURNOVER).exists():
        progress(f"{FORECAST_TURNOVER} of the earlier forecast goes{'' if turnover else '; --turnover makes it anew'}")
    write_forecast(result, folder, tables, figures=not no_figures, command=context.obj, settings=settings or ())
    for line in forecast_lines(result, tables):
        print(line)
    problems = forecast_problems(tables[FORECAST])
    if turnover:
        # The forecast is safe before the fits begin.
        tables[FORECAST_TURNOVER] = turnover_sensitivity(
            fitted, asked, at=points, settings=settings or (), report=progress
        )
        write_turnover(result, folder, tables, context.obj)
        for line in turnover_lines(result, tables[FORECAST_TURNOVER]):
            print(line)
        problems += turnover_problems(tables[FORECAST_TURNOVER])
    for problem in problems:
        print(f"{problem.severity.upper()} {problem.check}: {problem}")
    print(f"Forecast: {', '.join(str(folder / name) for name in tables)}{'' if no_figures else ' and figures'}")
    if not no_figures:
        print(f"Report: {folder / FORECAST_PAGE}")
    if any(problem.severity == "error" for problem in problems) or result.attrs["status"] != "ok":
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
