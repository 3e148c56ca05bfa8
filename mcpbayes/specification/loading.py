"""From a name or a TOML file to a validated `Specification`, and back to TOML."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.catalogue import model_file
from mcpbayes.specification.fields import text
from mcpbayes.specification.merging import inherit, settings_table
from mcpbayes.specification.structure import Specification
from mcpbayes.specification.validation import check_schema, validate
from mcpbayes.specification.writing import plain


def load_model(
    name: str | Path = "arm-based",
    *,
    settings: Sequence[str] | Mapping[str, object] = (),
    moderators: str | None = None,
) -> Specification:
    """Load a model specification.

    Parameters
    ----------
    name : str or Path
        Name of a shipped model (`mcpbayes.list_models`), or the path of a TOML file of your own.
    settings : sequence of str, or mapping of str to object
        Changes, applied last: ``["sampling.draws=2000"]`` as on the command line, or ``{"sampling.draws": 2000}``.
    moderators : str, optional
        Formula, short for the setting ``moderators.formula``.

    Returns
    -------
    Specification

    Raises
    ------
    SpecificationError
        For an unknown model, a file that cannot be read, and anything in it that is not as it must be.

    Examples
    --------
    >>> load_model("arm-based", moderators="~ duration_years").moderators.formula
    '~ duration_years'
    """
    path = Path(name) if isinstance(name, Path) or name.endswith(".toml") else model_file(name)
    overlay = {} if moderators is None else {"moderators": {"formula": moderators}}
    resolved = inherit(_resolve(_read(path), path.parent, (path.resolve(),)), overlay)
    return validate(inherit(resolved, settings_table(settings)))


def with_settings(
    spec: Specification,
    settings: Sequence[str] | Mapping[str, object],
    *,
    only: Collection[str] | None = None,
) -> Specification:
    """Return a specification with changes.

    Parameters
    ----------
    spec : Specification
    settings : sequence of str, or mapping of str to object
        As in `load_model`.
    only : collection of str, optional
        Tables that may be changed, such as ``{"delta_mcp", "scenarios", "summary"}`` for a result that is already
        there.

    Raises
    ------
    SpecificationError
        As `load_model`; for another table than those in `only`, saying that the model must be refitted.
    """
    overlay = settings_table(settings)
    resolved = plain(spec)
    for part in overlay:
        if part in resolved and only is not None and part not in only:
            raise SpecificationError(
                f"cannot be changed in a saved result; refit with this setting ({', '.join(sorted(only))} can be)", part
            )
    return validate(inherit(resolved, overlay))


def to_toml(spec: Specification) -> str:
    """Return the complete, resolved specification as TOML; `from_toml` makes an equal one of it."""
    return tomli_w.dumps(plain(spec))


def from_toml(content: str) -> Specification:
    """Return the specification that a TOML text describes; ``extends`` can name a shipped model.

    Raises
    ------
    SpecificationError
        As `load_model`.
    """
    return validate(_resolve(_parse(content, "the specification"), None, ()))


def _resolve(raw: Mapping[str, Any], folder: Path | None, chain: tuple[Path, ...]) -> Mapping[str, Any]:
    """Return the tables of a file with those that it extends underneath."""
    check_schema(raw)
    own = {key: value for key, value in raw.items() if key != "extends"}
    if "extends" not in raw:
        return own
    path = _parent(text(raw["extends"], "extends"), folder).resolve()
    if path in chain:
        names = " → ".join(step.name for step in (*chain[chain.index(path) :], path))
        raise SpecificationError(f"these files extend each other in a circle: {names}", "extends")
    return inherit(_resolve(_read(path), path.parent, (*chain, path)), own)


def _parent(name: str, folder: Path | None) -> Path:
    if not name.endswith(".toml"):
        return model_file(name)
    if folder is None and not Path(name).is_absolute():
        raise SpecificationError(f"{name!r} is a path relative to a file, but this text is not in one", "extends")
    return (folder or Path()) / name


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SpecificationError(f"there is no file {path}")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path} is not UTF-8 text: {error}") from error
    return _parse(content, str(path))


def _parse(content: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(f"{source} is not valid TOML: {error}") from error
