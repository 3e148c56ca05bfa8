"""A package that lies where nobody may write: no bytecode, no cache of compiled kernels, the same results."""

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import mcpbayes as mb
from mcpbayes import kernels

#: Starts Python as one that permissions bind: root's own leave to ignore them (1, CAP_DAC_OVERRIDE) is dropped from
#: what the next program may have (24, PR_CAPBSET_DROP).
BOUND = """
import ctypes, os, sys
if sys.platform == "linux" and os.geteuid() == 0:
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
#: Elsewhere caches would find a place.
HIDDEN = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="chmod does not close folders of Windows")


@pytest.fixture
def closed(root, tmp_path):
    """The package as a wheel lays it out, and a home; nobody may write to either."""
    site, home = tmp_path / "site", tmp_path / "home"
    shutil.copytree(root / "mcpbayes", site / "mcpbayes", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "models", site / "mcpbayes/models")
    home.mkdir()
    for path in [site, home, *site.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    return site, home


@pytest.fixture
def python(closed, tmp_path):
    """Run Python with the closed package and home; there is no other place for a cache."""
    site, home = closed
    usual = {name: value for name, value in os.environ.items() if name not in HIDDEN}

    def run(*arguments, kernel="auto"):
        environment = usual | {"PYTHONPATH": str(site), "HOME": str(home), kernels.VARIABLE: kernel}
        command = [sys.executable, "-c", BOUND, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    for folder in (site / "mcpbayes/inference", site / "mcpbayes/monte_carlo", home):
        if "PermissionError" not in run("-c", f"open({str(folder / 'probe')!r}, 'w')").stderr:
            pytest.skip("this user cannot be bound by permissions")
    return run


#: One fit: where it writes does not depend on their number.
PLAIN = ("--set", "data.dispersion.sd_model=reported")


@pytest.mark.parametrize(("kernel", "more"), [("numpy", []), ("numba", ["--no-report"])])
def test_a_run_writes_to_its_folder_only(closed, python, tmp_path, kernel, more):
    pytest.importorskip(kernel)
    site, home = closed
    before = sorted(site.rglob("*"))
    imported = python("-c", "import mcpbayes; print(mcpbayes.__file__)")
    assert imported.stdout.strip() == str(site / "mcpbayes/__init__.py")
    table, out = tmp_path / "table.csv", tmp_path / "out"
    mb.simulate(studies=6, seed=1)[0].to_csv(table, index=False)
    done = python("-m", "mcpbayes.cli", "run", str(table), "--out", str(out), *PLAIN, *more, kernel=kernel)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8"))["kernel"] == kernel
    assert pd.read_csv(out / "summary.csv")["mean"].notna().any()
    assert (out / "report.html").exists() is (more == [])
    assert sorted(site.rglob("*")) == before and list(home.iterdir()) == []
