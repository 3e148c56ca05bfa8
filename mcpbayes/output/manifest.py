"""The manifest: what was run, on what, with which versions; the one file of a folder that may hold clock time."""

import hashlib
import json
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import xarray as xr

from mcpbayes import __version__
from mcpbayes import vocabulary as words

#: The declared dependencies, and the two that PyMC samples with: what can change a number, a table or a figure.
PACKAGES: Final = (
    "numpy",
    "scipy",
    "pandas",
    "xarray",
    "h5netcdf",
    "pymc",
    "pytensor",
    "nutpie",
    "numba",
    "matplotlib",
    "pandera",
    "pint",
    "openpyxl",
    "jinja2",
    "tomli-w",
    "typer",
)

NOT_INSTALLED: Final = "not installed"


def versions() -> dict[str, str]:
    """Return the versions of Python, mcpbayes and its dependencies, read from their metadata without importing them.

    Returns
    -------
    dict of str to str
        ``python`` and ``mcpbayes`` first; a package that is absent is ``"not installed"``.
    """
    found = {"python": platform.python_version(), "mcpbayes": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = NOT_INSTALLED
    return found


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def input_files(result: xr.DataTree, inputs: Iterable[str | Path] = ()) -> list[dict[str, str]]:
    """List the analysed table and further input files with their SHA-256.

    Parameters
    ----------
    result : xr.DataTree
        Its data group names the table and carries the hash taken when the table was read; root attribute ``inputs``,
        where there is one, lists (JSON) what else was read when the result was made.
    inputs : iterable of path
        Files that the run read besides, such as a model file; the table itself may be among them.

    Returns
    -------
    list of dict
        ``file`` (name without folder) and ``sha256``, each file once, the table first.
    """
    source = result[words.DATA].attrs
    table = {"file": str(source.get("source", "")), "sha256": str(source.get("source_sha256", ""))}
    rest = [{"file": Path(path).name, "sha256": sha256(path)} for path in inputs]
    listed: list[dict[str, str]] = []
    for entry in [table, *json.loads(result.attrs.get("inputs", "[]")), *rest]:
        if entry["file"] and entry not in listed:
            listed.append(entry)
    return listed


def manifest(
    result: xr.DataTree,
    command: str = "",
    inputs: Iterable[str | Path] = (),
    diagnostics: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Describe a run so that it can be repeated and told apart from others.

    Parameters
    ----------
    result : xr.DataTree
        A fitted result.
    command : str
        The exact call.
    inputs : iterable of path
        Files that the run read, see `input_files`.
    diagnostics : mapping, optional
        What the diagnostics found, in JSON's types.

    Returns
    -------
    dict
        Ready for JSON. ``versions`` are those of the environment that writes the folder, ``fitted_with`` is the
        version of mcpbayes that sampled; ``written`` is the time in UTC, ISO 8601.
    """
    attrs = result.attrs
    return {
        "command": command,
        "seed": int(attrs["seed"]),
        "engine": str(attrs["engine"]),
        "kernel": str(attrs.get("kernel", "numpy")),
        "status": str(attrs["status"]),
        "schema_version": int(attrs["schema_version"]),
        "fitted_with": f"mcpbayes {attrs['mcpbayes_version']}",
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "inputs": input_files(result, inputs),
        "diagnostics": dict(diagnostics or {}),
        "versions": versions(),
        "platform": {
            "system": platform.system(),
            "release": platform.release(),
            "machine": platform.machine(),
            "implementation": sys.implementation.name,
        },
    }
