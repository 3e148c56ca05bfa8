"""The ready-to-run models in ``models/``: a specification and a card each.

Add a model by adding ``<name>.toml`` and ``<name>.md``; nothing else needs to know.
"""

from difflib import get_close_matches
from pathlib import Path

import mcpbayes
from mcpbayes.errors import SpecificationError

#: The installed package; in a checkout it lies beside ``models/`` and ``pyproject.toml``.
PACKAGE = Path(mcpbayes.__file__).resolve().parent


def models_folder() -> Path:
    """Return the folder of the catalogue: the checkout's where the package lies in one, else the package's own.

    Notes
    -----
    An editable install leaves a copy of the folder in site-packages that goes stale, hence the checkout comes first.
    """
    checkout = PACKAGE.parent
    if (checkout / "models").is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout / "models"
    return PACKAGE / "models"


def list_models() -> tuple[str, ...]:
    """Return the names of the shipped models."""
    return tuple(sorted(path.stem for path in models_folder().glob("*.toml")))


def model_file(name: str) -> Path:
    """Return the specification file of a shipped model.

    Raises
    ------
    SpecificationError
        For an unknown name, with the nearest one and how to name a file.
    """
    names = list_models()
    if name not in names:
        nearest = get_close_matches(name, names, n=1)
        advice = f"; did you mean {nearest[0]!r}?" if nearest else "."
        raise SpecificationError(
            f"unknown model {name!r}{advice} Shipped are {', '.join(names)}; the path of your own file ends with .toml"
        )
    return models_folder() / f"{name}.toml"


def read_card(name: str) -> str:
    """Return the card of a shipped model: question, equations, priors, assumptions, sources; Markdown.

    Raises
    ------
    SpecificationError
        For an unknown name.
    """
    return model_file(name).with_suffix(".md").read_text(encoding="utf-8")
