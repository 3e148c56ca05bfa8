"""A page of HTML as a test reads it."""

import re
from html.parser import HTMLParser


class Page(HTMLParser):
    """Text, section by section, and every attribute that could fetch something."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sections: dict[str, str] = {}
        self.links: list[str] = []
        self.cells: list[str] = []
        self._open, self._cell = ["before"], False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        self.links += [found[key] or "" for key in ("src", "href", "action", "data", "poster") if key in found]
        if tag == "section":
            self._open.append(found["id"] or "")
        if tag in ("td", "th"):
            self.cells.append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "section":
            self._open.pop()
        if tag in ("td", "th"):
            self._cell = False
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        place = self._open[-1]
        self.sections[place] = self.sections.get(place, "") + data
        if self._cell:
            self.cells[-1] += data

    def words(self, section: str) -> str:
        """Return a section's text on one line, true minus signs as hyphens."""
        return re.sub(r"\s+", " ", self.sections[section]).replace("\N{MINUS SIGN}", "-")
