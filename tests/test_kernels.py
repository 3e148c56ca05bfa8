"""Who chooses compiled kernels, and that nobody loads numba who does not."""

import importlib.util
import os
import subprocess
import sys

import pytest

from mcpbayes import kernels
from mcpbayes.errors import SpecificationError


@pytest.mark.parametrize(
    ("choice", "comparisons", "compiled"),
    [
        ("auto", 150, False),
        ("auto", kernels.COMPILED_FROM - 1, False),
        ("auto", kernels.COMPILED_FROM, True),
        ("numpy", 10**6, False),
        ("numba", 1, True),
        (None, 150, False),
        (None, 30_000, True),
    ],
)
def test_large_tables_are_compiled_unless_told_otherwise(monkeypatch, choice, comparisons, compiled):
    monkeypatch.delenv(kernels.VARIABLE, raising=False)
    if choice is not None:
        monkeypatch.setenv(kernels.VARIABLE, choice)
    monkeypatch.setattr(kernels, "_installed", lambda: True)
    assert kernels.use_numba(comparisons) is compiled
    monkeypatch.setattr(kernels, "_installed", lambda: False)
    assert kernels.use_numba(comparisons) is False


def test_another_choice_is_an_error(monkeypatch):
    monkeypatch.setenv(kernels.VARIABLE, "numbra")
    with pytest.raises(SpecificationError, match="MCPBAYES_KERNEL is 'numbra'; it may be numpy, numba or auto"):
        kernels.use_numba(150)


PROGRAM = """
import sys
import mcpbayes as mb
model = mb.load_model("arm-based", settings=["data.dispersion.sd_model=reported"])
table, _ = mb.simulate(model, studies={studies}, seed=4)
arms = mb.prepare(table, model)
mb.fit(arms, model, seed=2)
print(arms.sizes["comparison"], "numba" in sys.modules)
"""


@pytest.mark.parametrize(
    ("choice", "studies", "loaded"), [("numpy", 400, False), ("auto", 40, False), ("auto", 400, True)]
)
def test_a_fit_loads_numba_for_large_tables_only(root, choice, studies, loaded):
    if loaded and importlib.util.find_spec("numba") is None:
        pytest.skip("numba, which PyTensor brings, is not installed")
    program = PROGRAM.format(studies=studies)
    environment = os.environ | {kernels.VARIABLE: choice}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    comparisons, found = done.stdout.split()
    assert (int(comparisons) >= kernels.COMPILED_FROM) is (studies == 400)
    assert found == str(loaded)
