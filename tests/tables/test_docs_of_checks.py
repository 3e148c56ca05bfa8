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
from mcpbayes.vocabulary import POOLS

PACKAGE = Path(mcpbayes.__file__).parent
SEVERITIES = {"error", "warning", "note"}
#: Names that are made of parts, or stand in a constant or a loop: what they can be.
CONSTANTS = {"FAILED": {FAILED}, "UNCALCULATED": {UNCALCULATED}}
PARTS = {"outcome": POOLS, "size": ("large", "small")}
#: The parameter by which a function passes a name on; such a function is a maker, and its calls choose the name.
PASSED_ON = "check"


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def spelt(node: ast.expr) -> set[str]:
    """The names that the first argument of a call can be."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.Name):
        return set() if node.id == PASSED_ON else CONSTANTS[node.id]
    assert isinstance(node, ast.JoinedStr), ast.unparse(node)
    names = {""}
    for part in node.values:
        ends = [part.value] if isinstance(part, ast.Constant) else PARTS[part.value.id]
        names = {name + end for name in names for end in ends}
    return names


def functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def makers(tree: ast.AST) -> set[str]:
    """The functions of a module whose first parameter is the name of a check."""
    return {f.name for f in functions(tree) if f.args.args and f.args.args[0].arg == PASSED_ON}


def chosen(call: ast.Call) -> ast.expr | None:
    """The argument that names the check, None where a stored problem is read back."""
    named = [keyword.value for keyword in call.keywords if keyword.arg == PASSED_ON]
    return next(iter([*call.args[:1], *named]), None)


def severities(call: ast.Call) -> set[str]:
    """The severities that a call can give its problem; error where it gives none."""
    places = [*call.args[2:3], *(keyword.value for keyword in call.keywords if keyword.arg == "severity")]
    found = {node.value for place in places for node in ast.walk(place) if isinstance(node, ast.Constant)}
    return found & SEVERITIES or {"error"}


@pytest.fixture(scope="module")
def in_code() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {
        name: {"error"} for name in CHECKS if name not in ("one-chain", "failing-rows", "unusual-tolerance")
    }
    for layout in ("comparison", "arm", "plot", "contrast"):
        found |= {rule: {"error"} for column in columns(layout) for rule in rules_of(column)}
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")]
    shared = {"Problem", *(name for tree in trees for name in makers(tree) if not name.startswith("_"))}
    for tree in trees:
        own = shared | makers(tree)  # a private name means another function in another module
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and name_of(node) in own and (argument := chosen(node)):
                for name in spelt(argument):
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


def test_calls_are_found_in_every_form():
    tree = ast.parse("""def _told(check, message): return Problem(check=check, message=message)
_told("a", "x"); Problem(check="b", message="y", severity="note"); raise_(errors.Problem("c", "z"))""")
    assert makers(tree) == {"_told"}
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and name_of(n) in {"Problem", *makers(tree)}]
    assert sorted(name for call in calls for name in spelt(chosen(call))) == ["a", "b", "c"]


def test_newer_modules_are_scanned(in_code):
    assert {"one-bound", "single-plot", "necromass-from", "cv-model", "few-worlds", "stock-and-concentration"} <= set(
        in_code
    )


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
