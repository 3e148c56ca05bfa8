"""A table to fill in: the columns of a layout with units, example rows and a sheet that explains them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Border, Font, PatternFill, Side
from openpyxl.utils import get_column_letter
from openpyxl.workbook import Workbook
from openpyxl.worksheet.datavalidation import DataValidation

from mcpbayes.errors import SpecificationError
from mcpbayes.tables.columns import GUIDE_TITLE, Column, columns, instead_of
from mcpbayes.vocabulary import NECROMASS, SOC

TABLE_SHEET: Final = "table"
GUIDE_SHEET: Final = "columns"
#: What the explaining sheet says above its list.
_ADVICE: Final = (
    "Fill in the sheet table, one row each for {row}; write over or delete the example. Leave a cell empty where a "
    "value was not reported, and delete optional columns (pale headers) that you do not need. Columns of your own may "
    "be added: those named in the formula are moderators, the others are ignored."
)
_ROWS: Final = {
    "comparison": "one treatment against its control",
    "arm": "one arm, a control or a treatment",
    "plot": "one replicate plot of an arm",
    "contrast": "one published log response ratio",
}
_GUIDE_HEADER: Final = ("column", "needed", "unit", "meaning", "example")
_GUIDE_WIDTHS: Final = (28, 11, 22, 70, 24)

_TITLE: Final = Font(bold=True, size=14)
_REQUIRED: Final = (Font(bold=True, color="FFFFFF"), PatternFill("solid", fgColor="2F5D50"))
_OPTIONAL: Final = (Font(color="2F5D50"), PatternFill("solid", fgColor="DCE9E4"))
_EXAMPLE: Final = Font(italic=True, color="808080")
_LINE: Final = Border(bottom=Side(style="thin", color="2F5D50"))
_HEADER: Final = Alignment(horizontal="center", vertical="center", wrap_text=True)
_PROSE: Final = Alignment(vertical="top", wrap_text=True)
#: Rows for which the list of choices is offered.
_LAST_ROW: Final = 5000


class GuideRow(NamedTuple):
    """One line of the explanation of a layout."""

    column: str
    needed: str
    unit: str
    meaning: str
    example: str


def column_guide(layout: str, outcomes: Sequence[str] = (NECROMASS, SOC)) -> tuple[GuideRow, ...]:
    """Return what each column of a layout means.

    Parameters
    ----------
    layout : str
        ``comparison``, ``arm``, ``plot`` or ``contrast``.
    outcomes : sequence of str
        Pools.

    Returns
    -------
    tuple of GuideRow
        Name, ``required`` (or what stands in) or ``optional``, unit, meaning and example of every column, in the order
        of the template.

    Raises
    ------
    SpecificationError
        If the layout is unknown.
    """
    return tuple(
        GuideRow(
            column.name,
            _needed(layout, column),
            column.unit,
            column.meaning,
            " / ".join(dict.fromkeys(cell for cell in column.examples if cell)),
        )
        for column in columns(layout, outcomes)
    )


def _needed(layout: str, column: Column) -> str:
    """Return whether a column is required, and what makes it dispensable."""
    if not column.required:
        return "optional"
    return "required (or both amino sugars)" if instead_of(layout, column.name) else "required"


def write_template(path: str | Path, layout: str, outcomes: Sequence[str] = (NECROMASS, SOC)) -> None:
    """Write a table to fill in.

    Parameters
    ----------
    path : str or Path
        ``.xlsx`` (with comments, and a sheet that explains the columns) or ``.csv`` (header and example). An existing
        file is replaced.
    layout : str
        ``comparison``, ``arm``, ``plot`` or ``contrast``.
    outcomes : sequence of str
        Pools.

    Raises
    ------
    SpecificationError
        If the layout is unknown, or the name of the file ends otherwise.
    """
    path = Path(path)
    shown = [column for column in columns(layout, outcomes) if column.shown]
    suffix = path.suffix.lower()
    if suffix not in (".xlsx", ".csv"):
        raise SpecificationError(f"a template is an .xlsx or a .csv file, and {path.name!r} ends in {path.suffix!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".csv":
        _write_csv(path, shown)
    else:
        _workbook(layout, shown, column_guide(layout, outcomes)).save(path)


def _write_csv(path: Path, shown: Sequence[Column]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column.name for column in shown])
        writer.writerows(zip(*(column.examples for column in shown), strict=True))


def _workbook(layout: str, shown: Sequence[Column], guide: Sequence[GuideRow]) -> Workbook:
    workbook = Workbook()
    table = workbook.active
    table.title = TABLE_SHEET
    _fill_table(table, shown, {line.column: line.needed for line in guide})
    _fill_guide(workbook.create_sheet(GUIDE_SHEET), _ADVICE.format(row=_ROWS[layout]), guide)
    return workbook


def _fill_table(sheet: Any, shown: Sequence[Column], needed: Mapping[str, str]) -> None:
    """Write headers, example rows and the choices of each column."""
    for i, column in enumerate(shown, start=1):
        letter = get_column_letter(i)
        header = sheet.cell(1, i, column.name)
        header.font, header.fill = _REQUIRED if column.required else _OPTIONAL
        header.alignment, header.border = _HEADER, _LINE
        header.comment = _comment(column, needed[column.name])
        for row, text in enumerate(column.examples, start=2):
            cell = sheet.cell(row, i, _value(column, text))
            cell.font = _EXAMPLE
        sheet.column_dimensions[letter].width = max(11, len(column.name) + 3, *(len(t) + 2 for t in column.examples))
        if column.choices:
            choices = DataValidation(type="list", formula1=f'"{",".join(column.choices)}"', allow_blank=column.blank)
            sheet.add_data_validation(choices)
            choices.add(f"{letter}2:{letter}{_LAST_ROW}")
    sheet.row_dimensions[1].height = 32
    sheet.freeze_panes = "B2"


def _comment(column: Column, needed: str) -> Comment:
    comment = Comment(
        f"{needed.capitalize()}. {column.meaning}" + (f"\nUnit: {column.unit}" if column.unit else ""), "mcpbayes"
    )
    comment.width, comment.height = 280, 110
    return comment


def _value(column: Column, text: str) -> str | float | None:
    """Return an example as the spreadsheet would store it."""
    if not text:
        return None
    return float(text) if column.kind == "number" else text


def _fill_guide(sheet: Any, advice: str, guide: Sequence[GuideRow]) -> None:
    """Write the explaining sheet: title, advice, one line per column."""
    last = get_column_letter(len(_GUIDE_HEADER))
    sheet["A1"], sheet["A2"] = GUIDE_TITLE, advice
    sheet["A1"].font, sheet["A2"].alignment = _TITLE, _PROSE
    sheet.merge_cells(f"A2:{last}2")
    sheet.row_dimensions[1].height, sheet.row_dimensions[2].height = 24, 52
    for i, (name, width) in enumerate(zip(_GUIDE_HEADER, _GUIDE_WIDTHS, strict=True), start=1):
        header = sheet.cell(4, i, name)
        header.font, header.fill = _REQUIRED
        header.border = _LINE
        sheet.column_dimensions[get_column_letter(i)].width = width
    for row, line in enumerate(guide, start=5):
        for i, text in enumerate(line, start=1):
            cell = sheet.cell(row, i, text)
            cell.alignment = _PROSE
            if i == 1:
                cell.font, cell.fill = _REQUIRED if line.needed.startswith("required") else _OPTIONAL
    sheet.freeze_panes = "A5"
