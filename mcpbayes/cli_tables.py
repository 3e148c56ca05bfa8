"""The commands ``mcpbayes template``, ``models`` and ``simulate``: what is there before there are data."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mcpbayes.cli_options import DONE, Overwrite, Seed, quoted
from mcpbayes.errors import McpbayesError, SpecificationError


class Layout(StrEnum):
    """Layouts with a template."""

    comparison = "comparison"
    arm = "arm"
    plot = "plot"
    contrast = "contrast"


def template(
    out: Annotated[Path, typer.Option(help="File to write: .xlsx or .csv.")],
    layout: Annotated[Layout, typer.Option(help="What one row is.")] = Layout.comparison,
) -> int:
    """Write an empty table to fill in: columns, units, an example row, explanations."""
    from mcpbayes.tables.template import write_template

    if out.exists():
        raise McpbayesError(f"{out} exists already; choose another name, so that no filled table is overwritten")
    write_template(out, layout.value)
    print(f"{out}: fill it in, then run: mcpbayes check {quoted(out)}{_model_of(layout)}")
    return DONE


def _model_of(layout: Layout) -> str:
    if layout is Layout.contrast:
        return " --model contrast-based"
    return "" if layout is Layout.comparison else f" --set data.layout={layout.value}"


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
