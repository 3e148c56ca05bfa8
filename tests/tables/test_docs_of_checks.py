"""docs/checks.md names every check of the code with its severity, and none that is not there."""

import ast
import re
from pathlib import Path

import pytest

import mcpbayes
from mcpbayes.evidence.findings import CHECKS
from mcpbayes.tables.columns import columns
from mcpbayes.tables.grid import FAILED, UNCALCULATED
from mcpbayes.tables.schema import rules_of

PACKAGE = Path(mcpbayes.__file__).parent
MAKERS = {"Problem", "bad_cells", "_problem", "_problem_of_control"}
SEVERITIES = {"error", "warning", "note"}
#: Names that are made of parts, or stand in a constant or a loop: what they can be.
CONSTANTS = {"FAILED": {FAILED}, "UNCALCULATED": {UNCALCULATED}}
PARTS = {"outcome": ("necromass", "soc"), "size": ("large", "small")}
#: Calls that pass a name on, which is caught where it is chosen.
PASSED_ON = {"check"}


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def spelt(node: ast.expr) -> set[str]:
    """The names that the first argument of a call can be."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.Name):
        return set() if node.id in PASSED_ON else CONSTANTS[node.id]
    names = {""}
    for part in node.values:
        ends = [part.value] if isinstance(part, ast.Constant) else PARTS[part.value.id]
        names = {name + end for name in names for end in ends}
    return names


def severities(call: ast.Call) -> set[str]:
    """The severities that a call can give its problem; error where it gives none."""
    places = [*call.args[2:3], *(keyword.value for keyword in call.keywords if keyword.arg == "severity")]
    found = {node.value for place in places for node in ast.walk(place) if isinstance(node, ast.Constant)}
    return found & SEVERITIES or {"error"}


@pytest.fixture(scope="module")
def in_code() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {name: {"error"} for name in CHECKS if name not in ("one-chain", "failing-rows")}
    for layout in ("comparison", "arm", "contrast"):
        found |= {rule: {"error"} for column in columns(layout) for rule in rules_of(column)}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and name_of(node) in MAKERS and node.args:
                for name in spelt(node.args[0]):
                    found.setdefault(name, set()).update(severities(node))
    return found


@pytest.fixture(scope="module")
def in_docs(root) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in (root / "docs/checks.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and set(cells[1].split(", ")) <= SEVERITIES:
            assert cells[2] and cells[3]
            for name in re.findall(r"`([^`]+)`", cells[0]):
                found.setdefault(name, set()).update(cells[1].split(", "))
    return found


def test_every_check_of_the_code_is_documented(in_code, in_docs):
    assert sorted(set(in_code) - set(in_docs)) == []


def test_every_documented_check_is_in_the_code(in_code, in_docs):
    assert sorted(set(in_docs) - set(in_code)) == []


def test_severities_are_those_of_the_code(in_code, in_docs):
    both = set(in_code) & set(in_docs)
    assert {name: in_docs[name] for name in both} == {name: in_code[name] for name in both}


def test_every_trap_names_checks_that_are_there(root, in_code):
    text = (root / "docs/checks.md").read_text(encoding="utf-8")
    table = text.split("## Traps")[1].split("## Files")[0]
    named = set(re.findall(r"`([a-z][a-z0-9-]+)`", table))
    assert len(named) > 15 and named <= set(in_code)
