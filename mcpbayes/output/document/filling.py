"""Templates filled: one environment for every page, in which names from the table are text, whatever they hold."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mcpbayes.output.document.material import Row
from mcpbayes.output.document.numbers import count, plural

_HERE: Final = Path(__file__).parent
_STYLE: Final = "style.css"


def fill(template: str, values: Row) -> str:
    """Return a complete page, its style inside.

    Parameters
    ----------
    template : str
        File name.
    values : dict
        What it prints, by name; a name that is missing is an error.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style = (_HERE / _STYLE).read_text(encoding="utf-8")
    return environment.get_template(template).render(**values, style=style, plural=plural, count=count)
