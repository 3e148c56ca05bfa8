"""Notebooks run from top to bottom, and what is committed is the output of such a run."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def shape(notebook) -> list[list[tuple[str, tuple[str, ...]]]]:
    """Kinds of output by cell: numbers may differ in the last digits between machines, kinds may not."""
    return [
        [(output.output_type, tuple(sorted(output.get("data", {})))) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter client, not ours
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs_and_its_committed_output_is_of_the_same_kinds(path, tmp_path):
    committed = nbformat.read(path, as_version=4)
    assert all(cell.execution_count for cell in committed.cells if cell.cell_type == "code"), "not executed"
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert shape(fresh) == shape(committed)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_small_and_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 600_000
    assert str(Path.home()) not in text and "/home/" not in text and "Traceback" not in text


def test_there_are_notebooks():
    assert NOTEBOOKS
