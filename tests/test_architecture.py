"""The structure of the house, kept true: import order, third-party doors, names, what importing costs, the wheel."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import mcpbayes

PACKAGE = Path(mcpbayes.__file__).parent
ROOMS = [
    "errors",
    "vocabulary",
    "streams",
    "workers",
    "kernels",
    "monte_carlo",
    "specification",
    "measurement",
    "tables",
    "inference",
    "estimands",
    "evidence",
    "output",
    "analysis",
    "cli_options",
    "cli_import",
    "cli_tables",
    "cli_forecast",
    "cli",
]
#: Who may import what, besides what everybody may.
DOORS = {
    "pymc": ("inference/nuts.py", "inference/builders/"),
    "pytensor": ("inference/nuts.py", "inference/builders/"),
    "nutpie": ("inference/nuts.py", "inference/builders/"),
    "numba": ("kernels.py", "inference/compiled.py", "monte_carlo/compiled.py"),
    "matplotlib": ("output/plots/",),
    "PIL": ("output/plots/",),
    "arviz_plots": (),
    "arviz_stats": (),
    "rich": (),
    "typer": ("cli.py", "cli_options.py", "cli_import.py", "cli_tables.py", "cli_forecast.py"),
    "jinja2": ("output/document/",),
    "pandera": ("tables/",),
    "openpyxl": ("tables/",),
    "formulaic": (),
    "pint": ("measurement/",),
}
#: Declared, but imported nowhere in the package: what asks for it.
UNSEEN = {"h5netcdf": "xarray writes result.nc through it, chosen by name"}
#: Imported, but not declared: what brings it.
BROUGHT = {
    "pytensor": "pymc",
    "nutpie": "pymc[nutpie]",
    "numba": "pymc, by PyTensor",
    "contourpy": "matplotlib",
    "PIL": "matplotlib",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.append(node.module or "")
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_go_only_to_the_left(path):
    room = relative(path).split("/")[0].removesuffix(".py")
    if room == "__init__":
        return
    here = ROOMS.index(room)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "mcpbayes" and len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= here, f"{relative(path)} imports {name}, a room to its right"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_third_parties_enter_by_their_doors(path):
    for name in imports(path):
        allowed = DOORS.get(name.split(".")[0])
        assert allowed is None or relative(path).startswith(allowed), f"{relative(path)} imports {name}"


def test_declared_dependencies_are_those_that_are_imported(root):
    entries = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    declared = {re.split(r"[\[>=<~!]", entry)[0].replace("-", "_") for entry in entries}
    found = {name.split(".")[0] for path in MODULES for name in imports(path)} - sys.stdlib_module_names
    assert found - {"mcpbayes"} - set(BROUGHT) == declared - set(UNSEEN)
    assert set(BROUGHT) <= found and set(UNSEEN) <= declared


def test_every_module_is_in_a_known_room():
    rooms = {p.name.removesuffix(".py") for p in PACKAGE.iterdir() if p.name != "__pycache__"}
    assert rooms - {"__init__", "py.typed"} == set(ROOMS)


def test_no_module_is_named_like_a_public_function():
    """The lazy root would hand out the module on the second access."""
    modules = {p.name.removesuffix(".py") for p in PACKAGE.iterdir()}
    assert not modules & set(mcpbayes._HOMES)


def test_every_public_name_resolves_twice():
    for name in mcpbayes.__all__:
        first = getattr(mcpbayes, name)
        assert getattr(mcpbayes, name) is first
        if name in mcpbayes._HOMES:
            assert callable(first)
    with pytest.raises(AttributeError, match="no attribute 'analyze'"):
        _ = mcpbayes.analyze


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py" and p.parent != PACKAGE], ids=relative)
def test_subpackage_inits_hold_a_docstring_only(path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)


def loaded_after(code: str, banned: list[str]) -> str:
    program = (
        f"import sys\n{code}\n"
        f"roots = {{name.split('.')[0] for name in sys.modules}} | set(sys.modules)\n"
        f"print(sorted(name for name in {banned!r} if any(m == name or m.startswith(name + '.') for m in roots)), "
        "[m for m in roots if m.startswith('arviz')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


HEAVY = [
    "pymc",
    "pytensor",
    "nutpie",
    "numba",
    "matplotlib",
    "scipy.stats",
    "pandera",
    "formulaic",
    "pint",
    "plotly",
    "jinja2",
]


def test_importing_the_root_loads_nothing_heavy():
    assert loaded_after("import mcpbayes", HEAVY) == "[] []"


def test_help_loads_nothing_heavy_and_no_tables():
    code = "from mcpbayes.cli import main\nassert main(['--help']) == 0"
    assert loaded_after(code, [*HEAVY, "pandas", "xarray"]) == "[] []"


def test_the_check_for_heavy_imports_can_fail():
    assert loaded_after("import scipy.stats", HEAVY) == "['scipy.stats'] []"


def test_wheel_ships_models_templates_and_types(root, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    models = {f"mcpbayes/models/{path.name}" for path in (root / "models").iterdir()}
    assert models and models <= names
    sources = {
        f"mcpbayes/{relative(path)}"
        for path in PACKAGE.rglob("*")
        if path.suffix in {".py", ".csv", ".j2", ".css", ".toml"}
    }
    assert sources <= names
    assert "mcpbayes/py.typed" in names
    assert not [name for name in names if name.startswith(("tests/", "notebooks/"))]
