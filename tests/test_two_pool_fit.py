"""One fit of the two-pool model by NUTS, small, for everything that needs one: from a file to a forecast."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest

import mcpbayes as mb
from mcpbayes.cli import main
from mcpbayes.estimands.tree import specification
from mcpbayes.evidence.two_pool_left_out import by_refit, by_weights
from mcpbayes.inference import nuts
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.two_pools import log_pool_change

#: Typical soils, so that hardly a control is saturated by chance: left-out controls would bias what is recovered.
TYPICAL = {
    "priors.mu_r.mean": -0.4,
    "priors.mu_r.sd": 0.2,
    "priors.sigma_r.distribution": "fixed",
    "priors.sigma_r.value": 0.3,
    "priors.tau_study.distribution": "fixed",
    "priors.tau_study.value": 0.25,
}
#: Truths far from zero, which no prior alone would find.
CHANGE, RATES = (0.7, -0.3), (0.06, 0.06)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The output of a run: 14 studies, 4 × 1500 draws, seed 1."""
    place = tmp_path_factory.mktemp("two-pool")
    model = mb.load_model("two-pool", settings=TYPICAL)
    table, truth = mb.simulate_two_pools(model, studies=14, seed=11, change=CHANGE, turnover_rate=RATES)
    table.to_csv(place / "table.csv", index=False)
    (place / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    settings = ["sampling.draws=1500", "sampling.tune=700", "data.dispersion.sd_model=reported"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    code = main(["run", str(place / "table.csv"), "--model", "two-pool", "--out", str(place / "out"), *arguments])
    assert code == 0
    return place


@pytest.fixture(scope="module")
def result(folder):
    return mb.load(folder / "out")


def test_the_run_writes_numbers_and_no_report(folder):
    found = {path.name for path in (folder / "out").iterdir()}
    assert found == {"result.nc", "summary.csv", "comparisons.csv", "specification.toml", "manifest.json"}
    summary = pd.read_csv(folder / "out" / "summary.csv")
    assert set(summary["level"]) == {"parameter"} and summary["prior_overlap"].between(0, 1).sum() == 2
    manifest = json.loads((folder / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["engine"] == "nuts" and manifest["diagnostics"]["divergences"] == 0
    comparisons = pd.read_csv(folder / "out" / "comparisons.csv")
    assert comparisons["duration_years"].notna().all()


def test_the_result_has_the_groups_and_units_of_the_card(result):
    posterior = result["posterior"].to_dataset()
    assert set(result.children) == {"data", "posterior", "sample_stats", "observed_data"}
    assert posterior["beta"].dims == ("chain", "draw", "coefficient", "pool")
    assert (
        posterior["turnover_rate"].attrs["units"] == "per year" and posterior["baseline"].attrs["units"] == "ln(g/kg)"
    )
    assert "conditional" not in result.attrs
    r0 = np.exp(posterior["baseline"].sel(outcome="necromass") - posterior["baseline"].sel(outcome="soc"))
    np.testing.assert_allclose(r0, posterior["mcp_efficacy_control"], atol=1e-12)
    (note,) = [each for each in json.loads(result.attrs["problems"]) if each["check"] == "turnover-overlap"]
    assert note["severity"] == "note"


def test_truths_are_recovered(folder, result):
    """One table, seed 11: typical changes, ratios and effects of comparisons where 99 % intervals should hold them.

    Of 14 studies' comparisons and controls at least 90 % of the truths lie within 95 % intervals.
    """
    truth, posterior = json.loads((folder / "truth.json").read_text(encoding="utf-8")), result["posterior"].to_dataset()
    low, high = (posterior["beta"].quantile(q, ("chain", "draw")).values[0] for q in (0.005, 0.995))
    assert (low < CHANGE).all() and (np.array(CHANGE) < high).all()
    assert low[0] > 0
    rows = result["data"]["source_row"].values - 2
    ratio = np.array(truth["rows"]["mcp_efficacy_control"])[rows]
    control = result["data"]["control_of_comparison"].values
    drawn = posterior["mcp_efficacy_control"].sel(control=control)
    inside = (drawn.quantile(0.025, ("chain", "draw")).values < ratio) & (
        ratio < drawn.quantile(0.975, ("chain", "draw")).values
    )
    assert inside.mean() >= 0.9


def test_forecasts_hold_the_true_trajectory(result):
    """The typical comparison's true effect on necromass lies within the 99 % interval at 5, 20 and ∞ years."""
    found = mb.forecast(result, [5, 20])["forecast"]["effect"].sel(target="mean: average", outcome="necromass")
    truth = log_pool_change(CHANGE[0], RATES[0], np.array([5, 20, np.inf]))
    low, high = (found.quantile(q, ("chain", "draw")).values for q in (0.005, 0.995))
    assert (low < truth).all() and (truth < high).all()


def test_weights_and_a_fit_without_the_study_agree_and_models_are_compared(folder, result, monkeypatch):
    """Left out by weights and by NUTS: densities of the most weighed study within four of their standard errors."""
    with monkeypatch.context() as patch:  # compiled once for both
        without = nuts.two_pools_without
        compiled = cache(lambda: without(result["data"].to_dataset(), specification(result)))
        patch.setattr(nuts, "two_pools_without", lambda *_: compiled())
        left_out = mb.leave_one_study_out(result)
    found = left_out["influence"].to_dataset()
    assert (found["passed"] == 1).all() and (found["elpd_mcse"] < 0.2).all()
    weighed = np.flatnonzero(found["attempt"].values == 0)
    number = int(weighed[found["pareto_k"].values[weighed].argmax()])
    data, seed = result["data"].to_dataset(), int(result.attrs["seed"])
    one, tree, posterior = found.isel(left_out=number), build_hierarchy(data), result["posterior"].to_dataset()
    drawn = compiled()(number, 5)
    again = by_refit(data, tree, *drawn, number, seed, by_weights(data, tree, posterior, number, seed))
    assert again.reason == ""
    assert abs(again.elpd - float(one["elpd"])) < 4 * np.hypot(again.elpd_mcse, float(one["elpd_mcse"]))

    model = mb.load_model("arm-based", settings=["data.dispersion.sd_model=reported"])
    table = mb.read_table(folder / "table.csv")
    static = mb.delta_mcp(mb.fit(mb.prepare(table.loc[data["source_row"].values], model), model))
    compared = mb.compare_models({"two-pool": left_out, "arm-based": mb.leave_one_study_out(static)})
    assert len(compared) == 15 and np.isfinite(compared["difference"]).all()


def test_the_command_line_goes_from_the_folder_to_a_forecast(folder, capsys):
    assert main(["forecast", str(folder / "out"), "--years", "10,50", "--no-figures"]) in (0, 3)
    assert "new steady state*" in capsys.readouterr().out
    table = pd.read_csv(folder / "out" / "forecast.csv")
    assert table["horizon"].unique().tolist() == ["10 years", "50 years", "new steady state"]


def test_points_and_studies_left_out_are_refused_before_the_fit(folder, capsys):
    for option in (["--at", "duration_years=1"], ["--influence"]):
        out = str(folder / "other")
        assert main(["run", str(folder / "table.csv"), "--model", "two-pool", "--out", out, *option]) == 2
        assert "mcpbayes forecast DIR --years" in capsys.readouterr().err


@pytest.fixture(scope="module")
def doubtful(folder, tmp_path_factory):
    """Two worlds of CVs, of few draws: not to be believed, but real ones of one compiled model."""
    out = tmp_path_factory.mktemp("two-pool-worlds") / "out"
    settings = ["sampling.draws=60", "sampling.tune=60", "sampling.chains=2", "sampling.worlds=2"]
    arguments = [part for setting in settings for part in ("--set", setting)]
    assert main(["run", str(folder / "table.csv"), "--model", "two-pool", "--out", str(out), *arguments]) == 3
    return out


def test_a_run_pools_its_worlds(doubtful):
    result = mb.load(doubtful)
    posterior = result["posterior"].to_dataset()
    assert posterior["world"].values.tolist() == [0, 0, 1, 1] and result.attrs["worlds"] == 2
    assert all(np.isfinite(values).all() for values in posterior.data_vars.values())
    r0 = np.exp(posterior["baseline"].sel(outcome="necromass") - posterior["baseline"].sel(outcome="soc"))
    np.testing.assert_allclose(r0, posterior["mcp_efficacy_control"], atol=1e-12)
    assert len(np.unique(posterior["tau_study"].values)) > 200  # every chain has moved
    assert json.loads((doubtful / "manifest.json").read_text(encoding="utf-8"))["diagnostics"]["chains"] == 4


def test_a_forecast_repeats_with_fixed_turnover_rates(doubtful, capsys):
    given = ["forecast", str(doubtful), "--years", "20", "--no-figures", "--turnover"]
    assert main(given) == 3
    assert "4 fits with turnover rates fixed" in capsys.readouterr().err
    table = pd.read_csv(doubtful / "forecast_turnover.csv")
    rates = table.groupby("setting", sort=False)[["turnover_rate[necromass]", "turnover_rate[non_microbial]"]].first()
    assert rates.loc["necromass slow"].round(3).tolist() == [0.025, 0.064]
    assert rates.loc["necromass fast"].round(3).tolist() == [0.064, 0.025]
    assert np.isfinite(table["median"]).all()
