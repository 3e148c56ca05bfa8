"""What the commands share: exit codes, options, how their texts are read, and how they say what they are doing."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mcpbayes.errors import SpecificationError

#: Exit codes: done; a bug of ours; input or usage; done, but diagnostics failed; interrupted.
DONE, BUG, USAGE, DIAGNOSTICS, INTERRUPTED = 0, 1, 2, 3, 130

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


def read_points(options: Sequence[str]) -> dict[str, list[object]]:
    """Read --at options: "duration_years=10,20" becomes {"duration_years": [10.0, 20.0]}."""
    asked: dict[str, list[object]] = {}
    for option in options:
        name, found, values = option.partition("=")
        if not found or not values:
            raise SpecificationError(f"expected MODERATOR=VALUE,VALUE; found {option!r}", "--at")
        asked.setdefault(name.strip(), []).extend(_number_or_text(value.strip()) for value in values.split(","))
    return asked


def _number_or_text(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def progress(message: str) -> None:
    """Say what is being done, beside the results."""
    print(f"mcpbayes: {message}", file=sys.stderr)


def quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
