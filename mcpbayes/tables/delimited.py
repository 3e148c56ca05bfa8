"""Text files: encoding, separator, quotation marks."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Final

from mcpbayes.errors import DataError, Problem
from mcpbayes.tables.grid import Grid

SEPARATORS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
#: A first line by which spreadsheets are told the separator; it is not a row of the table.
_HINT: Final = re.compile(r"\A\"?sep=(.)\"?\r?\n")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
#: So many accented letters in a row are no Western text, but words in an encoding of Cyrillic or of East Asia.
_FOREIGN_WORD: Final = re.compile(rb"[\x80-\xff]{4}")
_SAVE_AS: Final = 'Save it as "CSV UTF-8", or as .xlsx.'

Records = list[list[str]]


def read_delimited(content: bytes, file: str) -> Grid:
    """Return the cells of a text file with comma, semicolon or tab between them.

    Parameters
    ----------
    content : bytes
        The file: UTF-8 with or without BOM, UTF-16 with BOM, or Windows-1252.
    file : str
        Its name, for the problems.

    Returns
    -------
    Grid
        Rows are counted in records: a line break within quotation marks does not begin a row.

    Raises
    ------
    DataError
        If the encoding, the separator or the quotation marks cannot be made out.
    """
    text, encoding = _decode(content, file)
    hint = _HINT.match(text)
    if hint:
        text = text[hint.end() :]
    separator, records = _separate(text, hint.group(1) if hint else SEPARATORS, file)
    header = tuple(records[0]) if records else ()
    rows = tuple((row, tuple(cells)) for row, cells in enumerate(records[1:], start=2))
    return Grid(header, rows, separator=separator, encoding=encoding)


def _decode(content: bytes, file: str) -> tuple[str, str]:
    """Return the text of a file and its encoding."""
    encodings = ("utf-16",) if content.startswith(_UTF16) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding != "cp1252" or not _FOREIGN_WORD.search(content):
            return text, encoding
    message = "the encoding of the file's letters is neither UTF-8 nor Windows-1252"
    raise DataError([Problem("encoding", message, file=file, remedy=_SAVE_AS)])


def _separate(text: str, separators: Iterable[str], file: str) -> tuple[str, Records]:
    """Return the separator and the stripped cells of each record."""
    found = {separator: _records(text, separator, file) for separator in separators}
    heads = {separator: records[0] for separator, (records, _) in found.items() if records}
    for separator, head in heads.items():
        if not any(head):  # an empty first row: whatever the separator, there is no header
            return separator, found[separator][0]
    if not text.strip():
        return ",", []
    wide = [separator for separator, head in heads.items() if len(head) > 1]
    if not wide:
        raise DataError([_no_separator(text, file)])
    separator = _likeliest({separator: found[separator][0] for separator in wide}, file)
    records, broken = found[separator]
    if broken:
        raise DataError([broken])
    return separator, records


def _likeliest(candidates: Mapping[str, Records], file: str) -> str:
    """Return the separator that makes rows as long as the header, and of several the one with the most columns."""
    regular = {
        separator: records
        for separator, records in candidates.items()
        if all(len(cells) == len(records[0]) for cells in records if cells)
    }
    widths = {separator: len(records[0]) for separator, records in (regular or candidates).items()}
    widest = [separator for separator, width in widths.items() if width == max(widths.values())]
    if len(widest) == 1:
        return widest[0]
    problem = Problem(
        "ambiguous-separator",
        f"the cells may be separated by {' or '.join(SEPARATORS[separator] for separator in widest)}",
        file=file,
        rows=(1,),
        remedy=f"Put names that hold one of them into quotation marks. {_SAVE_AS}",
    )
    raise DataError([problem])


def _records(text: str, separator: str, file: str) -> tuple[Records, Problem | None]:
    """Return the records up to the first that cannot be taken apart, and that one's problem."""
    records: Records = []
    try:
        # a loop, not a comprehension: the records before the broken one are needed
        for cells in csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True):
            records.append([cell.strip() for cell in cells])
    except csv.Error as broken:
        return records, Problem(
            "quotation-marks",
            f"the row cannot be taken apart into cells ({broken})",
            file=file,
            rows=(len(records) + 1,),
            remedy="A quotation mark that opens a cell must close it; one within a cell is written twice.",
        )
    return records, None


def _no_separator(text: str, file: str) -> Problem:
    return Problem(
        "no-separator",
        "the first row has one cell only",
        file=file,
        rows=(1,),
        value=text.splitlines()[0][:60],
        expected="names separated by comma, semicolon or tab",
        remedy="Save the table as .csv or .xlsx, with the names of the columns in the first row.",
    )
