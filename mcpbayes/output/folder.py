"""Results on disk: one netCDF file holds the whole tree, one folder holds what people read."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.errors import McpbayesError

if TYPE_CHECKING:
    from pandas import DataFrame

RESULT: Final = "result.nc"
SPECIFICATION: Final = "specification.toml"
MANIFEST: Final = "manifest.json"
REPORT: Final = "report.html"
FIGURES: Final = "figures"
SUMMARY: Final = "summary.csv"
SCENARIOS: Final = "scenarios.csv"
SHARES: Final = "shares.csv"
COMPARISONS: Final = "comparisons.csv"
INFLUENCE: Final = "influence.csv"
ASSUMPTIONS: Final = "assumptions.csv"
FACTOR_SETS: Final = "factor_sets.csv"
VARIANCE_SHARES: Final = "variance_shares.csv"
FORECAST: Final = "forecast.csv"
FORECAST_SCENARIOS: Final = "forecast_scenarios.csv"
CROSSINGS: Final = "forecast_crossings.csv"
FORECAST_SHARES: Final = "forecast_shares.csv"
FORECAST_TURNOVER: Final = "forecast_turnover.csv"
FORECAST_RECORD: Final = "forecast.json"
FORECAST_PAGE: Final = "forecast.html"

#: Every file that a run or its forecast can write beside figures; with overwriting these are replaced or removed, no
#: others.
FILES: Final = (
    *(RESULT, SUMMARY, SCENARIOS, SHARES, COMPARISONS, ASSUMPTIONS, INFLUENCE),
    *(FACTOR_SETS, VARIANCE_SHARES),
    *(FORECAST, FORECAST_SCENARIOS, CROSSINGS, FORECAST_SHARES, FORECAST_TURNOVER, FORECAST_RECORD, FORECAST_PAGE),
    *(SPECIFICATION, REPORT, MANIFEST),
)

#: netCDF through h5netcdf: the engine that writes strings and trees without a C library of netCDF.
_ENGINE: Final = "h5netcdf"


class FolderError(McpbayesError):
    """A saved result cannot be read, or an output folder cannot be written; the message says what to do."""


def save(result: xr.DataTree, path: str | Path) -> Path:
    """Save a result as one netCDF file.

    The file is written beside its place and moved there, so that an interrupted save leaves the old file intact.

    Parameters
    ----------
    result : xr.DataTree
        A result with all its groups; attributes that are Boolean become 0 or 1, which netCDF knows.
    path : str or Path
        The file; an existing one is replaced. Folders above it are made.

    Returns
    -------
    Path
        Where the file stands.

    Raises
    ------
    FolderError
        Nothing can be written there.
    """
    path = Path(path)
    with _beside(path) as scratch:
        draft = Path(scratch) / path.name
        result.map_over_datasets(_plain_attributes).to_netcdf(draft, engine=_ENGINE)
        draft.replace(path)
    return path


def load(path: str | Path) -> xr.DataTree:
    """Load a saved result into memory.

    Parameters
    ----------
    path : str or Path
        A ``result.nc`` or the folder that holds it.

    Returns
    -------
    xr.DataTree
        Identical to the saved one.

    Raises
    ------
    FolderError
        The file is missing, is not a result of mcpbayes, or was written by a newer mcpbayes.
    """
    path = Path(path)
    file = path / RESULT if path.is_dir() else path
    if not file.is_file():
        raise FolderError(f"No saved result at {file}. Give the output folder of a run, or its {RESULT}.")
    try:
        tree = xr.load_datatree(file, engine=_ENGINE)
    except OSError as error:
        raise FolderError(
            f"{file} cannot be read as netCDF ({error}). Is it complete? Run the analysis again."
        ) from error
    found = tree.attrs.get("schema_version")
    if found is None:
        raise FolderError(f"{file} is netCDF but not a result of mcpbayes: it has no attribute schema_version.")
    if found > words.SCHEMA_VERSION:
        raise FolderError(
            f"{file} has schema version {found} (written by mcpbayes {tree.attrs.get('mcpbayes_version', 'unknown')}); "
            f"this mcpbayes reads up to {words.SCHEMA_VERSION}. Update mcpbayes."
        )
    return tree.map_over_datasets(_python_attributes)


def require_place(out: str | Path, overwrite: bool = False) -> None:
    """Refuse a place where results cannot be written: before an hour of work, not after.

    Parameters
    ----------
    out : str or Path
        The folder meant; need not exist. Nothing is made or left there.
    overwrite : bool
        Whether a folder with contents may be used.

    Raises
    ------
    FolderError
        ``out`` is a file, or a folder that is not empty while ``overwrite`` is False, or nothing can be written there.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise FolderError(f"{out} is a file; the output needs a folder.")
    if out.is_dir() and not overwrite and any(out.iterdir()):
        raise FolderError(f"The folder {out} is not empty. Choose another, or allow overwriting (--overwrite).")
    place = out.resolve()
    while not place.exists():
        place = place.parent
    with _scratch(place, out.name):
        pass


def write_folder(
    result: xr.DataTree,
    out: str | Path,
    *,
    report: bool = True,
    overwrite: bool = False,
    command: str = "",
    inputs: Iterable[str | Path] = (),
    summary: "DataFrame | None" = None,
) -> Path:
    """Write everything about a result into one folder.

    Everything is made in a temporary folder first and then moved, the manifest last: a folder with a manifest is
    complete. Files of other origin in an existing folder are left alone.

    Parameters
    ----------
    result : xr.DataTree
        A classified result.
    out : str or Path
        The folder; made where it does not exist.
    report : bool
        Write ``report.html`` and the figures too.
    overwrite : bool
        Replace the files of an earlier run; without it a folder that is not empty is refused.
    command : str
        The exact call, for the manifest and the report.
    inputs : iterable of path
        Files that the run read; their SHA-256 goes into the manifest.
    summary : DataFrame, optional
        Of `mcpbayes.summarise` for the same result, where it is at hand.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FolderError
        As `require_place`.
    """
    out = Path(out)
    require_place(out, overwrite)
    # Inside a folder that exists: it may be a disk of its own, and moving from another would not be one step.
    with _scratch(out, out.name) if out.is_dir() else _beside(out) as scratch:
        draft = Path(scratch) / "folder"
        draft.mkdir()
        _write_files(result, draft, report=report, command=command, inputs=inputs, summary=summary)
        _move(draft, out)
    return out


def _write_files(
    result: xr.DataTree,
    folder: Path,
    *,
    report: bool,
    command: str,
    inputs: Iterable[str | Path],
    summary: "DataFrame | None",
) -> None:
    # Imported here because reading a saved result needs none of the tables and figures.
    from mcpbayes.evidence.diagnostics import diagnose
    from mcpbayes.output.manifest import manifest

    save(result, folder / RESULT)
    made = tables(result, summary)
    for name, table in made.items():
        # The same bytes on every system: UTF-8, decimal point, shortest text that reads back to the same number.
        table.to_csv(folder / name, index=False, encoding="utf-8", lineterminator="\n")
    _write_text(folder / SPECIFICATION, result.attrs["specification"])
    if report:
        _write_report(result, folder, command, made[SUMMARY])
    found = manifest(result, command, inputs, diagnose(result, made[SUMMARY]).as_dict())
    _write_text(folder / MANIFEST, json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def _write_report(result: xr.DataTree, folder: Path, command: str, summary: "DataFrame") -> None:
    from mcpbayes.output.document.figures import as_files, draw  # brings Matplotlib
    from mcpbayes.output.document.report import render

    figures = as_files(draw(result))
    (folder / FIGURES).mkdir()
    for name, content in figures.items():
        (folder / FIGURES / name).write_bytes(content)
    _write_text(folder / REPORT, render(result, command=command, figures=figures, summary=summary))


def tables(result: xr.DataTree, summary: "DataFrame | None" = None) -> dict[str, "DataFrame"]:
    """Return the tables of the output folder by file name.

    Scenarios and shares exist for necromass, as one pool or two, and SOC only, factor sets and variance shares for
    necromass of amino sugars.
    """
    from mcpbayes.evidence.assumptions import assumptions
    from mcpbayes.evidence.factor_sets import factor_sets
    from mcpbayes.evidence.variance_shares import variance_shares
    from mcpbayes.output.comparisons import comparison_table
    from mcpbayes.output.influence import influence_table
    from mcpbayes.output.summary import scenario_table, share_table, summarise

    found = {SUMMARY: summarise(result) if summary is None else summary}
    if words.SCENARIO in result.children:
        found |= {SCENARIOS: scenario_table(result), SHARES: share_table(result)}
    if words.ASSUMPTIONS in result.children:
        found |= {ASSUMPTIONS: assumptions(result)}
    if words.INFLUENCE in result.children:
        found |= {INFLUENCE: influence_table(result)}
    of_factors = {FACTOR_SETS: factor_sets(result), VARIANCE_SHARES: variance_shares(result)}
    found |= {name: table for name, table in of_factors.items() if not table.empty}
    return found | {COMPARISONS: comparison_table(result)}


def _beside(path: Path) -> TemporaryDirectory[str]:
    """Return a temporary folder on the same disk, so that moving from it to the place is one step."""
    place = path.resolve()
    return _scratch(place.parent, place.name)


def _scratch(folder: Path, name: str) -> TemporaryDirectory[str]:
    """Return a temporary folder, named after what is made in it, within a folder; the folder is made where missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return TemporaryDirectory(prefix=f".{name}-", dir=folder)
    except OSError as error:
        raise FolderError(f"Nothing can be written to {folder}: {error.strerror}.") from error


def _move(draft: Path, out: Path) -> None:
    """Move a finished draft into its place; what an earlier run left and this one does not write is removed."""
    if not out.exists():
        draft.rename(out)
        return
    # First of all the old manifest goes and last of all the new one comes: it marks a folder as complete.
    for name in (
        MANIFEST,
        *(
            f"{FIGURES}/{name}.{end}"
            for name in (*words.FIGURE_NAMES, *words.FORECAST_FIGURES)
            for end in ("svg", "png")
        ),
        *FILES,
    ):
        if name == MANIFEST or not (draft / name).exists():
            (out / name).unlink(missing_ok=True)
    files = [file.relative_to(draft) for file in sorted(draft.rglob("*")) if file.is_file()]
    for file in sorted(files, key=lambda path: path == Path(MANIFEST)):
        (out / file).parent.mkdir(exist_ok=True)
        os.replace(draft / file, out / file)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _plain_attributes(dataset: xr.Dataset) -> xr.Dataset:
    return _with_attributes(dataset, lambda value: int(value) if isinstance(value, bool | np.bool_) else value)


def _python_attributes(dataset: xr.Dataset) -> xr.Dataset:
    plain = _with_attributes(dataset, lambda value: value.item() if isinstance(value, np.generic) else value)
    return plain.drop_encoding()


def _with_attributes(dataset: xr.Dataset, change: Callable[[Any], object]) -> xr.Dataset:
    dataset = dataset.copy()
    dataset.attrs = {key: change(value) for key, value in dataset.attrs.items()}
    for variable in dataset.variables.values():
        variable.attrs = {key: change(value) for key, value in variable.attrs.items()}
    return dataset
