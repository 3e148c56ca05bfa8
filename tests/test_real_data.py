"""The Soil Necromass Database pairs, end to end; skipped where the user's download is absent."""

import json

import pandas as pd
import pytest

import mcpbayes as mb
from mcpbayes.cli import main

CROSS_CHECK = [
    "levels.kind=off",
    "levels.site=off",
    "data.defaults.cv.necromass=0.15",
    "data.defaults.cv.soc=0.10",
    "data.effect_size.bias_correction=false",
]


def test_the_real_pairs_run_to_a_clean_report(shared_data, root, tmp_path, capsys):
    table, model = shared_data / "sndb_pairs_strict.csv", root / "notebooks/sndb-pairs.toml"
    code = main(["run", str(table), "--model", str(model), "--out", str(tmp_path / "sndb")])
    assert code == 0, capsys.readouterr().err
    out = capsys.readouterr().out
    assert "15 studies" in out and "39 controls" in out and "99 comparisons" in out
    summary = pd.read_csv(tmp_path / "sndb/summary.csv")
    judged = summary[summary["level"].isin(["parameter", "mean", "new"])]
    assert (judged["r_hat"].dropna() < 1.01).all()
    kinds = {"fertilizer", "fertilizer; warming", "stover", "tillage", "warming; eCO2"}
    for level in ("mean", "new"):
        names = set(summary.loc[summary["level"] == level, "name"])
        assert names == {f"kind={kind}" for kind in kinds} | {"average over kinds"}
    result = mb.load(tmp_path / "sndb/result.nc")
    assert result.attrs["engine"] == "collapsed" and result["sample_stats"].attrs["passed"] == 1
    assert result["data"].sizes["arm"] == 138
    imputed = json.loads(result["data"].attrs["imputed"])
    assert imputed["sd"] == {"necromass": 138, "soc": 138}


def test_posterior_means_match_an_independent_computation(shared_data, root):
    """Means of an independent sampler on the same model and data, with the margins stated for it."""
    model = mb.load_model(root / "notebooks/sndb-pairs.toml", settings=CROSS_CHECK)
    result = mb.fit(mb.prepare(shared_data / "sndb_pairs_strict.csv", model), model, seed=1)
    posterior = result["posterior"].to_dataset()
    mean = posterior.mean(("chain", "draw"))
    assert mean["tau_study"].values == pytest.approx([0.270, 0.130], abs=0.02)
    assert mean["rho_study"].item() == pytest.approx(0.02, abs=0.08)
    assert mean["tau_comparison"].values == pytest.approx([0.199, 0.190], abs=0.01)
    assert mean["rho_comparison"].item() == pytest.approx(0.787, abs=0.03)
    beta = posterior["beta"].sel(coefficient="intercept")
    delta = beta.sel(outcome="necromass") - beta.sel(outcome="soc")
    assert mean["beta"].sel(coefficient="intercept").values == pytest.approx([0.193, 0.108], abs=0.02)
    assert beta.std(("chain", "draw")).values == pytest.approx([0.078, 0.046], abs=0.01)
    assert float(delta.mean()) == pytest.approx(0.086, abs=0.02)
    assert float(delta.std()) == pytest.approx(0.081, abs=0.01)
    assert result.attrs["engine"] == "collapsed" and result["sample_stats"].attrs["passed"] == 1
