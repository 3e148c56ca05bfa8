"""The spellings by which controls are told from treatments: a TOML file that the user can take and edit."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Final

from mcpbayes.errors import SpecificationError
from mcpbayes.tables.guess import nearest

#: Version of the file format.
SCHEMA: Final = 1
_SHIPPED: Final = "sndb.toml"
#: Keys of a study's rule and the types of their values.
_RULE: Final[Mapping[str, type]] = {
    "why": str,
    "not_used": str,
    "treatment": str,
    "label_from": str,
    "patterns": list,
    "controls": list,
    "kinds": dict,
    "leave_out": dict,
    "ignore": list,
    "without": list,
    "blocks": bool,
}
_POOLS: Final = ("necromass", "soc")


@dataclass(frozen=True)
class StudyRule:
    """How the levels of one study are read; the shipped file explains each key.

    Parameters
    ----------
    why : str
        The reason of the rule.
    not_used : str
        Reason why no row of the study is paired; empty where rows are.
    treatment : str
        One name in place of the database's column ``treatment``.
    label_from : str
        Column that holds the labels, in place of ``treatment_level``.
    patterns : tuple of re.Pattern
        Tried in turn on the whole level: group ``label`` is the treatment, ``experiment`` what tells experiments apart.
    controls : tuple of str
        The only labels that are controls; empty: those of the whole file hold.
    kinds : mapping of str to str
        Label → kind of treatment.
    leave_out : mapping of str to str
        Label → why its rows are not used.
    ignore : tuple of str
        Columns that do not tell experiments apart in this study.
    without : tuple of str
        Pools whose values of this study are not used.
    blocks : bool
        Whether each control row begins an experiment of its own, in the order of the record numbers.
    """

    why: str = ""
    not_used: str = ""
    treatment: str = ""
    label_from: str = "treatment_level"
    patterns: tuple[re.Pattern[str], ...] = ()
    controls: tuple[str, ...] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)
    leave_out: Mapping[str, str] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    blocks: bool = False

    def leaves_out(self, label: str) -> str:
        """Return why rows of a label (or a whole level) are not used, or ``""``."""
        return self.leave_out.get(_key(label), "")


@dataclass(frozen=True)
class Labels:
    """Control spellings, kinds of treatment and the rules of single studies; spellings are compared without case."""

    controls: tuple[str, ...]
    controls_of: Mapping[str, tuple[str, ...]]
    kinds_of_level: Mapping[str, str]
    kinds_of_treatment: Mapping[str, str]
    studies: Mapping[str, StudyRule]

    def rule(self, study: str) -> StudyRule:
        """Return the rule of a study, an empty one where there is none."""
        return self.studies.get(study, _NO_RULE)

    def is_control(self, study: str, treatment: str, label: str) -> bool:
        """Say whether a label is a control of a treatment in a study."""
        own = self.rule(study).controls
        spellings = own or (*self.controls, *self.controls_of.get(_key(treatment), ()))
        return _key(label) in map(_key, spellings)

    def kind(self, study: str, treatment: str, label: str) -> str:
        """Return the kind of treatment: by the study's label, any label, the treatment, else the treatment itself."""
        key = _key(label)
        own = self.rule(study).kinds.get(key) or self.kinds_of_level.get(key)
        return own or self.kinds_of_treatment.get(_key(treatment), treatment)


def shipped_labels() -> str:
    """Return the text of the file that is shipped, comments included."""
    return resources.files("mcpbayes.tables.importers").joinpath(_SHIPPED).read_text(encoding="utf-8")


def read_labels(path: Path | None = None) -> Labels:
    """Read a file of labels, the shipped one by default.

    Parameters
    ----------
    path : Path, optional
        A file of the same format.

    Raises
    ------
    SpecificationError
        Naming the key that cannot be understood.
    """
    name = str(path) if path else _SHIPPED
    text = path.read_text(encoding="utf-8") if path else shipped_labels()
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as broken:
        raise SpecificationError(f"the file is not valid TOML: {broken}", name) from broken
    _known(content, ("schema", "controls", "kinds", "studies"), name)
    if content.get("schema") != SCHEMA:
        raise SpecificationError(f"expected schema = {SCHEMA}; found {content.get('schema')!r}", f"{name}: schema")
    controls, kinds = _table(content, "controls", name), _table(content, "kinds", name)
    _known(controls, ("anywhere", "treatment"), f"{name}: controls")
    _known(kinds, ("level", "treatment"), f"{name}: kinds")
    of = _table(controls, "treatment", name)
    studies = _table(content, "studies", name)
    return Labels(
        _texts(controls.get("anywhere", []), f"{name}: controls.anywhere"),
        {_key(k): _texts(v, f"{name}: controls.treatment.{k}") for k, v in of.items()},
        _mapping(kinds.get("level", {}), f"{name}: kinds.level"),
        _mapping(kinds.get("treatment", {}), f"{name}: kinds.treatment"),
        {study: _study(rule, f"{name}: studies.{study}") for study, rule in studies.items()},
    )


def _study(rule: Any, place: str) -> StudyRule:
    if not isinstance(rule, dict):
        raise SpecificationError("expected a table of keys", place)
    _known(rule, tuple(_RULE), place)
    for key, value in rule.items():
        if not isinstance(value, _RULE[key]):
            raise SpecificationError(f"expected {_RULE[key].__name__}; found {value!r}", f"{place}.{key}")
    without = _texts(rule.get("without", []), f"{place}.without")
    _known(dict.fromkeys(without), _POOLS, f"{place}.without")
    return StudyRule(
        why=rule.get("why", ""),
        not_used=rule.get("not_used", ""),
        treatment=rule.get("treatment", ""),
        label_from=rule.get("label_from", "treatment_level"),
        patterns=tuple(_pattern(text, f"{place}.patterns") for text in rule.get("patterns", [])),
        controls=_texts(rule.get("controls", []), f"{place}.controls"),
        kinds=_mapping(rule.get("kinds", {}), f"{place}.kinds"),
        leave_out=_mapping(rule.get("leave_out", {}), f"{place}.leave_out"),
        ignore=_texts(rule.get("ignore", []), f"{place}.ignore"),
        without=without,
        blocks=rule.get("blocks", False),
    )


def _pattern(text: Any, place: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except (re.error, TypeError) as broken:
        raise SpecificationError(f"{text!r} is not a regular expression: {broken}", place) from broken
    if "label" not in pattern.groupindex:
        raise SpecificationError(f"{text!r} lacks the group (?P<label>...), which names the treatment", place)
    return pattern


def _known(content: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    for key in content:
        if key not in keys:
            near = nearest(key, keys)
            advice = f"did you mean {near!r}?" if near else f"expected {', '.join(keys)}"
            raise SpecificationError(f"the key {key!r} is unknown; {advice}", place)


def _table(content: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise SpecificationError(f"expected a table; found {value!r}", f"{name}: {key}")
    return value


def _texts(values: Any, place: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SpecificationError(f"expected a list of texts; found {values!r}", place)
    return tuple(values)


def _mapping(values: Any, place: str) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise SpecificationError(f"expected texts; found {values!r}", place)
    return {_key(name): value for name, value in values.items()}


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


_NO_RULE: Final = StudyRule()
