"""Decimal comma or decimal point: decided from the numbers of the table, and an error where they do not decide it.

``12,5`` can only be a decimal comma and ``12.5`` only a decimal point; ``1,234`` and ``1.234`` may be either a decimal
fraction or a group of thousands, and take the meaning of the unmistakable numbers of their column, or else their file.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mcpbayes.errors import Problem

_EXPONENT: Final = r"(?:[eE][+-]?[0-9]+)?"
_SIGN: Final = "[+\\-\N{MINUS SIGN}]?"
#: Shapes of a number, tried in this order.
_SHAPES: Final = {
    "whole": re.compile(rf"{_SIGN}[0-9]+{_EXPONENT}"),
    "comma?": re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}},[0-9]{{3}}"),
    "point?": re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}\.[0-9]{{3}}"),
    "comma": re.compile(rf"{_SIGN}[0-9]*,[0-9]+{_EXPONENT}"),
    "point": re.compile(rf"{_SIGN}(?:[0-9]*\.[0-9]+|[0-9]+\.){_EXPONENT}"),
    "grouped": re.compile(
        rf"{_SIGN}[0-9]{{1,3}}(?:(?:\.[0-9]{{3}})+,[0-9]*|(?:,[0-9]{{3}})+\.[0-9]*|(?:[.,][0-9]{{3}}){{2,}}"
        r"|(?:[ '\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{RIGHT SINGLE QUOTATION MARK}][0-9]{3})+(?:[.,][0-9]*)?)"
    ),
}
#: Share of the filled cells of a column that must look like numbers before its commas are taken for decimal commas.
_MOSTLY: Final = 0.5


@dataclass(frozen=True)
class _Numbers:
    """The numbers of one column: rows and texts by shape."""

    name: str
    shapes: Mapping[str, list[tuple[int, str]]]

    def has(self, shape: str) -> bool:
        return shape in self.shapes


def looks_like_number(text: str) -> bool:
    """Tell whether a text is a number in any spelling: decimal point or comma, groups of thousands."""
    return shape_of(text) is not None


def shape_of(text: str) -> str | None:
    """Return ``whole``, ``point``, ``comma``, ``point?``, ``comma?`` (maybe thousands), ``grouped`` or None."""
    return next((name for name, pattern in _SHAPES.items() if pattern.fullmatch(text)), None)


def settle_decimals(
    columns: Mapping[str, Sequence[tuple[int, str, bool]]], *, comma_separated: bool, file: str
) -> tuple[frozenset[str], list[Problem]]:
    """Return the columns with decimal commas, and for each other column the numbers that can be read in several ways.

    Parameters
    ----------
    columns : mapping of str to sequence of (int, str, bool)
        Row, text and whether the cell was stored as a number, of each column's filled cells.
    comma_separated : bool
        Whether commas stand between the cells, so that a comma inside a number must be a mistake.
    file : str
        Name of the file, for the problems.
    """
    numbers = [found for name, cells in columns.items() if (found := _numbers(name, cells))]
    comma = any(column.has("comma") for column in numbers)
    point = any(column.has("point") for column in numbers)
    converted, problems = set(), []
    for column in numbers:
        problem = _comma_between_commas(column, file) if comma_separated else _ambiguity(column, comma, point, file)
        if column.has("grouped"):
            problem = _thousands(column, "grouped", file)
        if problem:
            problems.append(problem)
        elif column.has("comma") or column.has("comma?"):
            converted.add(column.name)
    return frozenset(converted), problems


def with_point(text: str) -> str:
    """Return a number with a decimal point for its decimal comma; anything else as it is."""
    return text.replace(",", ".") if shape_of(text) in ("comma", "comma?") else text


def is_doubtful(text: str) -> bool:
    """Tell a number with a comma or with groups of thousands, maybe, from one that can be read in one way only."""
    return shape_of(text) not in (None, "whole", "point")


def _numbers(name: str, cells: Sequence[tuple[int, str, bool]]) -> _Numbers | None:
    """Return the numbers typed into a column, or None for a column of words."""
    shapes: dict[str, list[tuple[int, str]]] = {}
    like_numbers = 0
    for row, text, stored in cells:
        shape = "whole" if stored else shape_of(text)
        if shape:
            like_numbers += 1
            shapes.setdefault(shape, []).append((row, text))
    return _Numbers(name, shapes) if cells and like_numbers >= _MOSTLY * len(cells) else None


def _comma_between_commas(column: _Numbers, file: str) -> Problem | None:
    for shape in ("comma", "comma?"):
        if column.has(shape):
            return _problem(
                "comma-in-number",
                "commas stand between the cells and within numbers, so it is not certain what a comma means",
                column,
                (shape,),
                file,
                "Write the numbers with decimal points, or save the file with semicolons between the cells.",
            )
    return None


def _ambiguity(column: _Numbers, comma_in_file: bool, point_in_file: bool, file: str) -> Problem | None:
    """Return the problem of a column whose commas and points can be read in more than one way."""
    commas = [shape for shape in ("comma", "comma?") if column.has(shape)]
    points = [shape for shape in ("point", "point?") if column.has(shape)]
    if commas and points:
        return _mixed(column, commas, points, file)
    if commas == ["comma?"] and (point_in_file or not comma_in_file):
        return _thousands(column, "comma?", file)
    if points == ["point?"] and comma_in_file:
        return _thousands(column, "point?", file)
    return None


def _mixed(column: _Numbers, commas: list[str], points: list[str], file: str) -> Problem:
    return _problem(
        "mixed-decimals",
        f"decimal commas and points are mixed: {column.shapes[commas[0]][0][1]} in row "
        f"{column.shapes[commas[0]][0][0]}, {column.shapes[points[0]][0][1]} in row {column.shapes[points[0]][0][0]}",
        column,
        min((commas, points), key=lambda side: sum(len(column.shapes[shape]) for shape in side)),
        file,
        "Write all numbers of the table with the same decimal sign and without separators of thousands.",
    )


def _thousands(column: _Numbers, shape: str, file: str) -> Problem:
    what = {
        "grouped": "the number has a separator of thousands",
        "comma?": "the comma may be a decimal comma or a separator of thousands",
        "point?": "beside decimal commas, the point may be a decimal point or a separator of thousands",
    }[shape]
    return _problem(
        "thousands-separator",
        what,
        column,
        (shape,),
        file,
        "Write numbers without separators of thousands and with the same decimal sign throughout.",
    )


def _problem(check: str, message: str, column: _Numbers, shapes: Sequence[str], file: str, remedy: str) -> Problem:
    cells = sorted(cell for shape in shapes for cell in column.shapes[shape])
    return Problem(
        check,
        message,
        file=file,
        rows=tuple(row for row, _ in cells),
        column=column.name,
        value=cells[0][1],
        expected="a number such as 12.5",
        remedy=remedy,
    )
