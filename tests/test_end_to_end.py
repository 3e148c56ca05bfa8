"""The whole road by the command line, on one simulated table with planted effects and awkward names."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import mcpbayes as mb
from mcpbayes.cli import main

CSVS = ("summary.csv", "scenarios.csv", "shares.csv", "comparisons.csv")
AWKWARD = ['Zhu, "2025"', "Łódź <b>trial</b>", "土壤 & C", "O'Brien; 1999", "α/β $x$"]


def planted_table() -> pd.DataFrame:
    table, _ = mb.simulate(studies=12, seed=5, effect=(0.3, 0.1), tau_study=(0.02, 0.02), tau_comparison=(0.02, 0.02))
    names = {f"Simulated {i + 1:02d}": name for i, name in enumerate(AWKWARD)}
    return table.assign(study=table["study"].replace(names))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished run; its table lies beside it."""
    place = tmp_path_factory.mktemp("run")
    planted_table().to_csv(place / "table.csv", index=False)
    assert main(["run", str(place / "table.csv"), "--out", str(place / "out"), "--seed", "7"]) == 0
    return place


def test_the_folder_holds_what_the_contract_promises(folder):
    names = {path.name for path in (folder / "out").iterdir()}
    files = {*CSVS, "assumptions.csv", "result.nc", "specification.toml", "manifest.json", "report.html", "figures"}
    assert names == files  # the correlation of the pools over plots is imputed: assumptions.csv
    manifest = json.loads((folder / "out/manifest.json").read_text())
    assert manifest["seed"] == 7 and manifest["status"] == "ok" and manifest["command"].startswith("mcpbayes run")


def test_planted_effects_give_their_class(folder):
    scenarios = pd.read_csv(folder / "out/scenarios.csv")
    mean = scenarios[(scenarios["level"] == "mean") & (scenarios["scenario"] == "N+C+r+")]
    assert mean["probability"].item() >= 0.95


def test_rows_and_columns_in_another_order_give_the_same_bytes(folder):
    rng = np.random.default_rng(1)
    table = planted_table()
    table = table.iloc[rng.permutation(len(table)), rng.permutation(table.shape[1])]
    table.to_csv(folder / "permuted.csv", index=False)
    assert (
        main(["run", str(folder / "permuted.csv"), "--out", str(folder / "permuted"), "--seed", "7", "--no-report"])
        == 0
    )
    for name in ("summary.csv", "scenarios.csv", "shares.csv"):
        assert (folder / "permuted" / name).read_bytes() == (folder / "out" / name).read_bytes(), name
    ours, theirs = (pd.read_csv(folder / run / "comparisons.csv") for run in ("out", "permuted"))
    assert not ours["source_row"].equals(theirs["source_row"])
    pd.testing.assert_frame_equal(ours.drop(columns="source_row"), theirs.drop(columns="source_row"), check_exact=True)


def test_a_run_from_its_own_specification_and_seed_gives_the_same_bytes(folder):
    seed = str(json.loads((folder / "out/manifest.json").read_text())["seed"])
    model = str(folder / "out/specification.toml")
    arguments = ["run", str(folder / "table.csv"), "--model", model, "--seed", seed, "--out", str(folder / "again")]
    assert main([*arguments, "--no-report"]) == 0
    for name in CSVS:
        assert (folder / "again" / name).read_bytes() == (folder / "out" / name).read_bytes(), name


def test_awkward_names_are_shown_as_text(folder):
    page = (folder / "out/report.html").read_text(encoding="utf-8")
    assert "<b>trial</b>" not in page
    assert "Łódź &lt;b&gt;trial&lt;/b&gt;" in page and "土壤 &amp; C" in page
    studies = set(pd.read_csv(folder / "out/comparisons.csv")["study"])
    assert set(AWKWARD) <= studies


def test_report_reclassifies_where_no_sampler_can_be_imported(folder, tmp_path):
    shutil.copytree(folder / "out", tmp_path / "out")
    refuse = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('pymc', 'pytensor', 'nutpie'):\n"
        "            raise ImportError(f'{name} is refused here')\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    code = refuse + "from mcpbayes.cli import main\nsys.exit(main(sys.argv[1:]))"
    tolerances = ["scenarios.tolerance_percent.soc=3", "scenarios.tolerance_percent.necromass=3"]
    arguments = ["report", str(tmp_path / "out"), "--set", tolerances[0], "--set", tolerances[1]]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = (pd.read_csv(where / "out/scenarios.csv") for where in (folder, tmp_path))
    assert not before["probability"].equals(after["probability"])
    assert before["scenario"].equals(after["scenario"])
    assert "necromass = 3" in (tmp_path / "out/specification.toml").read_text()
    for unchanged in ("summary.csv", "comparisons.csv"):
        assert (folder / "out" / unchanged).read_bytes() == (tmp_path / "out" / unchanged).read_bytes()
    refused = subprocess.run([sys.executable, "-c", refuse + "import pymc"], capture_output=True, text=True)
    assert refused.returncode != 0 and "refused here" in refused.stderr


def test_report_refuses_what_would_need_another_fit(folder, capsys):
    assert main(["report", str(folder / "out"), "--set", "priors.tau_study.sd=1"]) == 2
    assert "refit" in capsys.readouterr().err


def test_mean_share_is_the_probability_at_new(folder):
    """Within 4.5 Monte-Carlo errors, 4000 draws."""
    scenarios = pd.read_csv(folder / "out/scenarios.csv").query("level == 'new'").set_index("scenario")
    shares = pd.read_csv(folder / "out/shares.csv").set_index("scenario")
    gap = (shares["mean"] - scenarios["probability"]).abs()
    error = np.hypot(shares["mcse"], scenarios["mcse"])
    assert (gap <= 4.5 * error + 1e-3).all()


def test_milligrams_per_kilogram_give_the_same_arms():
    table = planted_table()
    grams = mb.prepare(table, mb.load_model("arm-based"))
    pools = [name for name in table if name.startswith(("necromass_", "soc_"))]
    settings = {"data.units.necromass": "mg/kg", "data.units.soc": "mg/kg"}
    milli = mb.prepare(
        table.assign(**{n: 1000 * table[n] for n in pools}), mb.load_model("arm-based", settings=settings)
    )
    for name in ("log_mean", "sampling_covariance", "mean", "cv"):
        np.testing.assert_allclose(milli[name], grams[name], rtol=0, atol=1e-12)
