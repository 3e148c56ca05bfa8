"""The manifest says what was run, on what, with which versions."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib
from datetime import datetime, timedelta
from importlib.metadata import version

import fakes
import pytest

import mcpbayes
from mcpbayes.output.manifest import NOT_INSTALLED, PACKAGES, input_files, manifest, versions


@pytest.fixture(scope="module")
def result():
    return fakes.fake_result(studies=2, chains=2, draws=10, specification='title = "x"\n')


def test_it_names_the_run(result):
    made = manifest(result, "mcpbayes run 'ä b.csv' --out o", diagnostics={"divergences": 0})
    assert made["command"] == "mcpbayes run 'ä b.csv' --out o"
    assert (made["seed"], made["engine"], made["status"], made["schema_version"]) == (1, "nuts", "ok", 1)
    assert made["fitted_with"] == "mcpbayes 0.1.0"
    assert made["diagnostics"] == {"divergences": 0}
    assert json.loads(json.dumps(made)) == made


def test_the_time_is_now_and_in_utc(result):
    written = datetime.fromisoformat(manifest(result)["written"])
    assert written.utcoffset() == timedelta(0)
    assert abs(datetime.now(written.tzinfo) - written) < timedelta(minutes=1)


def test_versions_come_from_metadata():
    found = versions()
    assert list(found)[:2] == ["python", "mcpbayes"]
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["mcpbayes"] == mcpbayes.__version__
    assert found["numpy"] == version("numpy")
    assert NOT_INSTALLED not in found.values()


def test_every_declared_dependency_is_listed(root):
    declared = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    names = {re.split(r"[\[>=<~!]", entry)[0] for entry in declared}
    assert set(PACKAGES) == names | {"pytensor", "nutpie", "numba"}


def test_an_absent_package_is_said_to_be_absent(monkeypatch):
    monkeypatch.setattr("mcpbayes.output.manifest.PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert versions()["no-such-package-anywhere"] == NOT_INSTALLED


def test_reading_versions_imports_nothing():
    code = (
        "import sys; from mcpbayes.output.manifest import versions; versions(); "
        "print([m for m in ('pymc', 'pytensor', 'nutpie', 'matplotlib', 'arviz_stats', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_inputs_are_hashed_once_and_named_without_their_folder(result, tmp_path):
    model = tmp_path / "my model.toml"
    model.write_bytes(b"schema = 1\n")
    expected = {"file": "my model.toml", "sha256": hashlib.sha256(b"schema = 1\n").hexdigest()}
    assert input_files(result, [model, str(model)]) == [{"file": "fake.csv", "sha256": "0" * 64}, expected]


def test_what_a_result_has_on_record_is_listed_again(result):
    entry = {"file": "model.toml", "sha256": "1" * 64}
    recorded = result.copy()
    recorded.attrs["inputs"] = json.dumps([entry])
    assert input_files(recorded) == [*input_files(result), entry]


def test_the_analysed_table_is_listed_once_when_it_is_among_the_inputs(result, tmp_path):
    table = tmp_path / "fake.csv"
    table.write_bytes(b"a\n")
    result = result.copy()
    result["data"].attrs["source_sha256"] = hashlib.sha256(b"a\n").hexdigest()
    assert [entry["file"] for entry in input_files(result, [table])] == ["fake.csv"]
