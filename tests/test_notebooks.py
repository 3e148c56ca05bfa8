"""Notebooks run from top to bottom, and what is committed is the output of such a run."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import mcpbayes as mb

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: Needs a download, and minutes: run by `make notebooks`.
REAL = ROOT / "notebooks" / "03-real-database.ipynb"
#: Fits six times by NUTS, which takes minutes: run by `make notebooks` too.
FORECAST = ROOT / "notebooks" / "04-forecast.ipynb"
SHIPPED = [path for path in NOTEBOOKS if path not in (REAL, FORECAST)]


def codes(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shape(notebook) -> list[list[tuple[str, tuple[str, ...]]]]:
    """Kinds of output by cell: numbers may differ in the last digits between machines, kinds may not."""
    return [
        [(output.output_type, tuple(sorted(output.get("data", {})))) for output in cell.outputs]
        for cell in codes(notebook)
    ]


def words_of(notebook) -> str:
    """Return what the cells printed and showed as text."""
    outputs = [output for cell in codes(notebook) for output in cell.outputs]
    return "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


def execute(path, folder):
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return fresh


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the Jupyter client, not ours
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_notebook_runs_and_its_committed_output_is_of_the_same_kinds(path, tmp_path):
    assert shape(execute(path, tmp_path)) == shape(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_was_run_in_order_without_errors(path):
    cells = codes(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_small_and_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    assert len(text) < 600_000
    for folder in (str(Path.home()), str(ROOT), str(ROOT.parent / "shared"), "/home/", "/tmp/", "Traceback"):
        assert folder not in text


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_the_download_the_notebook_says_where_to_get_it_and_stops(tmp_path, monkeypatch):
    monkeypatch.delenv("MCPBAYES_DATA", raising=False)
    first, *others = codes(execute(REAL, tmp_path))
    (output,) = first.outputs
    assert "github.com/kaizadp/necromass" in output.text and "MCPBAYES_DATA" in output.text
    assert not any(cell.outputs for cell in others)


def test_the_committed_run_accounts_for_every_row_of_the_database():
    (found,) = re.findall(r"(\d+) rows used \+ (\d+) rows listed with a reason = ([\d,]+) rows", words_of(committed()))
    used, listed, rows = (int(number.replace(",", "")) for number in found)
    assert used + listed == rows == 2713


def test_the_committed_run_shows_what_it_promises():
    text = words_of(committed())
    assert "status: ok" in text and "Assumed: CV" in text and "Limits" in text
    for label in ("another sign than conventional", "published, %", "complete case", "doubt about the factors"):
        assert label in text
    pictures = [
        output for cell in codes(committed()) for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 5


def test_the_committed_forecast_converged_and_shows_what_it_promises():
    notebook = nbformat.read(FORECAST, as_version=4)
    text = words_of(notebook)
    assert "passed: True, divergences: 0" in text and "simulated; durations" in text
    for label in ("prior_overlap", "new steady state", "necromass fast", "difference_se"):
        assert label in text
    outputs = [output for cell in codes(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4


def test_no_single_comparison_of_the_database_is_told_in_the_notebook(shared_data):
    """Tables hold counts and summaries; names of controls and comparisons tell their row or their study."""
    pairs = mb.import_sndb(shared_data / "sndb_database_data.csv").table
    text = words_of(committed())
    assert not [name for name in pairs["control_id"].unique() if name in text]
    assert not [name for name in pairs["study"] + ": " + pairs["comparison"] if name in text]


def committed():
    return nbformat.read(REAL, as_version=4)


def test_there_are_notebooks():
    assert SHIPPED and REAL.is_file() and FORECAST.is_file()
