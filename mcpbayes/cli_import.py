"""The command ``mcpbayes import``: databases of other people become tables, every row of theirs accounted for."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcpbayes.cli_options import DONE
from mcpbayes.errors import McpbayesError, SpecificationError

if TYPE_CHECKING:
    from mcpbayes.tables.importers.ledger import Imported

app = typer.Typer(help="Make a table from a published database or from a data frame of metafor.")

Out = Annotated[Path, typer.Option(help="CSV file to write; <name>.rows.csv beside it accounts for every row.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")]


class Fractions(StrEnum):
    """Which soils of the database are paired."""

    bulk = "bulk"
    all = "all"


@app.command()
def sndb(
    file: Annotated[Path | None, typer.Argument(help="sndb_database_data.csv.", metavar="FILE")] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; <name>.rows.csv accounts for every row.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Your copy of the control spellings and kinds (.toml).")] = None,
    write_labels: Annotated[Path | None, typer.Option(help="Write the shipped spellings there, to be edited.")] = None,
    fractions: Annotated[Fractions, typer.Option(help="Bulk soil only, or aggregates and rhizosphere, too.")] = (
        Fractions.bulk
    ),
    total_c: Annotated[bool, typer.Option("--total-c", help="Total C stands in where SOC is not given.")] = False,
    overwrite: Overwrite = False,
) -> int:
    """Pair control and treated rows of the Soil Necromass Database."""
    from mcpbayes.tables.importers.labels import shipped_labels
    from mcpbayes.tables.importers.sndb import import_sndb

    if write_labels is not None:
        _require_free(write_labels, overwrite)
        write_labels.write_text(shipped_labels(), encoding="utf-8")
        print(f"{write_labels}: edit it, then: mcpbayes import sndb FILE --labels {shlex.quote(str(write_labels))}")
        if file is None:
            return DONE
    if file is None or out is None:
        raise McpbayesError("mcpbayes import sndb needs FILE and --out T.csv, or --write-labels LABELS.toml")
    imported = import_sndb(file, labels=labels, fractions=fractions.value, total_c=total_c)
    return _write(imported, out, overwrite)


@app.command()
def amino_sugars(
    file: Annotated[Path, typer.Argument(help="A compilation of soil amino sugars (.csv).", metavar="FILE")],
    out: Out,
    reference: Annotated[str | None, typer.Option(help="Land use to compare to, where it was sampled.")] = None,
    overwrite: Overwrite = False,
) -> int:
    """Compare land uses of one place, from glucosamine and muramic acid."""
    from mcpbayes.tables.importers.amino_sugars import import_amino_sugars

    return _write(import_amino_sugars(file, reference=reference), out, overwrite)


@app.command()
def escalc(
    file: Annotated[Path, typer.Argument(help="CSV file from R: write.csv(escalc(...)).", metavar="FILE")],
    out: Out,
    study: Annotated[str | None, typer.Option(help="Column of the studies.")] = None,
    comparison: Annotated[str | None, typer.Option(help="Column that tells a study's comparisons apart.")] = None,
    outcome_column: Annotated[str | None, typer.Option(help="Column that names the outcome of a row.")] = None,
    outcomes: Annotated[
        str | None, typer.Option(help="What the outcomes are, for example MNC=necromass,SOC=soc.")
    ] = None,
    overwrite: Overwrite = False,
) -> int:
    """Bring log response ratios of metafor into the layout contrast."""
    from mcpbayes.tables.importers.escalc import import_escalc

    imported = import_escalc(
        file, study=study, comparison=comparison, outcome_column=outcome_column, outcomes=_mapping(outcomes)
    )
    return _write(imported, out, overwrite)


def _mapping(text: str | None) -> dict[str, str]:
    """Read "MNC=necromass,SOC=soc"."""
    found: dict[str, str] = {}
    for part in (text or "").split(",") if text else ():
        name, equals, ours = part.partition("=")
        if not equals or not name.strip() or not ours.strip():
            raise SpecificationError(f"expected NAME=OUTCOME,NAME=OUTCOME; found {text!r}", "--outcomes")
        found[name.strip()] = ours.strip()
    return found


def _write(imported: "Imported", out: Path, overwrite: bool) -> int:
    """Write table and ledger, and say what was used, what not and why, and how to go on."""
    book = out.with_suffix(".rows.csv")
    if out.suffix != ".csv":
        raise McpbayesError(f"{out}: the table is written as .csv; name it so")
    _require_free(out, overwrite)
    _require_free(book, overwrite)
    if imported.table.empty:
        imported.rows.to_csv(book, index=False, lineterminator="\n")
        raise McpbayesError(f"no comparison was found; {book} says of every row why")
    imported.table.to_csv(out, index=False, lineterminator="\n")
    imported.rows.to_csv(book, index=False, lineterminator="\n")
    uses = ", ".join(f"{count} {use}" for use, count in imported.uses.items())
    print(f"{out}: {len(imported.table)} comparisons of {imported.table['study'].nunique()} studies")
    print(f"{book}: what became of the {len(imported.rows)} rows of the file ({uses})")
    for reason, count in imported.reasons.items():
        print(f"  {count:>5} not used: {reason}")
    for note in imported.notes:
        print(f"{note.severity.upper():<8}{note.check}: {note}")
    table = " ".join([shlex.quote(str(out)), *([imported.settings] if imported.settings else [])])
    print(f"Now: mcpbayes check {table}\nThen: mcpbayes run {table} --out {shlex.quote(out.stem)}")
    return DONE


def _require_free(path: Path, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise McpbayesError(f"{path} exists already; choose another name or pass --overwrite")
