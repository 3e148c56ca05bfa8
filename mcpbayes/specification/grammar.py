"""The language of moderator formulas: names, ``+``, ``:`` and the literal 1. Nothing in it can be executed.

Formula libraries evaluate Python inside a formula; a specification file from a stranger must not be able to.
"""

import re
from collections.abc import Collection
from typing import Final

from mcpbayes.errors import SpecificationError

Term = tuple[str, ...]

KEY: Final = "moderators.formula"

_NAME = re.compile(r"[^\W\d][\w.]*")
_TOKEN = re.compile(r"\s*(?:`(?P<quoted>[^`]+)`|(?P<name>[^\W\d][\w.]*)|1(?![\w.])|(?P<sign>[+:]))\s*")

#: Words by which a column is recognised as the mean of an analysed pool in one of the arms.
_POOLS: Final = frozenset(
    {"necromass", "mnc", "fnc", "bnc", "soc", "toc", "mcp", "glucosamine", "glcn", "muramic", "murn"}
)
_ARMS: Final = frozenset({"control", "ctrl", "ck", "treatment", "treated"})


def parse(formula: str) -> tuple[str, ...]:
    """Return the moderators of a formula in the order of their first appearance.

    Raises
    ------
    SpecificationError
        As `terms`.
    """
    return tuple(dict.fromkeys(name for term in terms(formula) for name in term))


def terms(formula: str) -> tuple[Term, ...]:
    """Return the terms of a formula, main effects before interactions; the intercept is always there.

    Parameters
    ----------
    formula : str
        For example ``"~ clay + ecosystem + clay:ecosystem"`` or ``"~ 1"``. Names that hold anything but letters,
        digits, ``_`` and ``.`` stand in backticks.

    Raises
    ------
    SpecificationError
        For anything outside the grammar, and for the mean of a pool in one of the arms as moderator.
    """
    found: dict[frozenset[str], Term] = {}
    for term in _split(formula):
        if len(set(term)) < len(term):
            raise SpecificationError(f"the term {written(term)} repeats a moderator", KEY)
        for name in term:
            _refuse_reserved(name)
        if term:
            found.setdefault(frozenset(term), term)
    return tuple(sorted(found.values(), key=len))


def term_of(coefficient: str, known: Collection[Term]) -> Term | None:
    """Return the term that a coefficient such as ``clay:ecosystem[forest]`` belongs to."""
    for term in sorted(known, key=len, reverse=True):
        if re.fullmatch(":".join(re.escape(name) + r"(\[.*\])?" for name in term), coefficient):
            return term
    return None


def written(term: Term) -> str:
    """Return a term as it is written in a formula."""
    return ":".join(name if _NAME.fullmatch(name) else f"`{name}`" for name in term)


def coupled(name: str) -> SpecificationError:
    """Return the error for a moderator that shares its sampling error with the effects."""
    return SpecificationError(
        f"{name!r} cannot be a moderator: the effect is ln(treatment/control), so its sampling error is that of the "
        "arm means, and a regression on one of them shows a slope where there is none (mathematical coupling). Use a "
        "measurement that is independent of the arms, such as clay or the SOC before the experiment",
        KEY,
    )


def _split(formula: str) -> list[Term]:
    """Return the terms as written; ``()`` is the literal 1."""
    body = formula.strip().removeprefix("~")
    tokens: list[re.Match[str]] = []
    position = 0
    while position < len(body):
        token = _TOKEN.match(body, position)
        sign_expected = len(tokens) % 2 == 1
        if token is None or (token["sign"] is not None) != sign_expected:
            raise _syntax(formula, body[position:].strip())
        tokens.append(token)
        position = token.end()
    if len(tokens) % 2 == 0:
        raise _syntax(formula, "")
    found: list[Term] = [()]
    for token in tokens:
        name = token["name"] or token["quoted"]
        if token["sign"] == "+":
            found.append(())
        elif name:
            found[-1] += (name,)
    return found


def _syntax(formula: str, rest: str) -> SpecificationError:
    place = f"cannot be read from {rest!r} on" if rest else "ends too early"
    return SpecificationError(
        f"the formula {formula!r} {place}: it may hold names, + and : (an interaction), such as "
        "'~ clay + ecosystem + clay:ecosystem', or '~ 1' for no moderator; odd names stand in `backticks`",
        KEY,
    )


def _refuse_reserved(name: str) -> None:
    if name == "intercept":
        raise SpecificationError("'intercept' is the name of the mean effect; rename the moderator", KEY)
    if name == "kind":
        raise SpecificationError("'kind' names the kinds of treatment in all results; rename the moderator", KEY)
    found = set(re.split(r"[\W_]+", name.casefold()))
    if found & _POOLS and found & _ARMS:
        raise coupled(name)
