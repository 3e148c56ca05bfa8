"""A forecast repeated with turnover rates fixed at quartiles of their prior: table, lines, folder and command."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from two_pool_fakes import fake_two_pools, without_nuts

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.cli import main
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.tree import specification
from mcpbayes.evidence import turnover
from mcpbayes.output.forecast_turnover import SENSITIVITY, side_by_side, turnover_lines, turnover_problems

TYPICAL = {"priors.mu_r.mean": -0.4, "priors.mu_r.sd": 0.1, "priors.sigma_r.sd": 0.2}
MODEL = mb.load_model("two-pool", settings={"data.dispersion.sd_model": "reported", "sampling.draws": 250})
LOW, HIGH = (0.04 * np.exp(sign * 0.6744898 * 0.7) for sign in (-1, 1))
RATES = {
    "both slow": (LOW, LOW),
    "both fast": (HIGH, HIGH),
    "necromass slow": (LOW, HIGH),
    "necromass fast": (HIGH, LOW),
}


@pytest.fixture(scope="module")
def compiled():
    with pytest.MonkeyPatch.context() as patch:
        yield without_nuts(patch)


@pytest.fixture(scope="module")
def result(compiled):
    table, _ = mb.simulate_two_pools(mb.load_model("two-pool", settings=TYPICAL), studies=5, seed=3)
    return mb.analyse(table, MODEL, seed=4)


@pytest.fixture(scope="module")
def table(result):
    return mb.turnover_sensitivity(result, [50])


def test_rates_are_the_quartiles_of_their_prior_equal_and_crossed():
    found = turnover.quartile_rates(MODEL.priors["turnover_rate"])
    assert {name: tuple(rates.values()) for name, rates in found.items()} == {
        name: pytest.approx(rates) for name, rates in RATES.items()
    }
    own = mb.load_model("two-pool", settings={"priors.turnover_rate.median": {"necromass": 0.1, "non_microbial": 0.02}})
    crossed = turnover.quartile_rates(own.priors["turnover_rate"])["necromass slow"]
    assert crossed == pytest.approx({"necromass": 0.1 * LOW / 0.04, "non_microbial": 0.02 * HIGH / 0.04})


def test_four_fits_of_one_compiled_model_each_with_its_rates(result, compiled):
    said, before = [], len(compiled)
    fits = turnover.refits_at_quartiles(result, said.append)
    assert len(compiled) == before + 1 and compiled[-1].identical(result["data"].to_dataset())
    assert said[0].startswith("4 fits with turnover rates fixed") and said[-1] == "fit 4 of 4: necromass fast"
    for name, fit in fits.items():
        drawn = fit["posterior"]["turnover_rate"].values
        np.testing.assert_allclose(drawn, np.broadcast_to(RATES[name], drawn.shape))
        assert specification(fit).priors["turnover_rate"].distribution == "fixed"
        assert fit.attrs["status"] in ("ok", "failed")


def test_the_table_has_every_setting_beside_the_result(result, table):
    assert tuple(table.columns) == SENSITIVITY and len(table) == 5 * 2 * 2 * 3
    assert table["setting"].unique().tolist() == ["as analysed", *RATES]
    assert set(table["quantity"]) == {"log_delta_mcp", "delta_mcp", "soc_change"}
    assert set(table["interval_kind"]) == {"eti"} and set(table["interval_prob"]) == {0.95}
    own = table[table["setting"] == "as analysed"]
    plain = mb.forecast_table(mb.forecast(result, [50]), every_row=False)
    plain = plain[plain["quantity"].isin(set(table["quantity"]))].reset_index(drop=True)
    pd.testing.assert_frame_equal(own[list(plain.columns)].reset_index(drop=True), plain)


def test_a_refit_has_its_own_numbers_rates_and_likeliest_class(result, table):
    refit = mb.forecast(turnover.refits_at_quartiles(result)["necromass slow"], [50])
    found, mine = mb.forecast_table(refit, every_row=False), table[table["setting"] == "necromass slow"]
    expected = found[found["quantity"].isin(set(table["quantity"]))]["median"]
    np.testing.assert_array_equal(mine["median"], expected)
    assert mine["turnover_rate[necromass]"].iloc[0] == pytest.approx(LOW)
    classes = mb.forecast_scenario_table(refit)
    here = classes[(classes["level"] == "new") & (classes["years"] == 50) & (classes["statement"] == "scenario")]
    row = mine[(mine["level"] == "new") & (mine["years"] == 50)].iloc[0]
    assert row["probability"] == here["probability"].max()
    assert row["scenario"] in here.loc[here["probability"] == here["probability"].max(), "code"].tolist()


def test_settings_agree_where_rates_do_not_matter_and_a_changed_sign_is_said():
    """Two pools that change alike: at the steady state no rate matters; a faster pool decides before."""
    fits = {
        name: mb.forecast(fake_two_pools(change=(0.5, 0.5), rate=rates, spread=0.0, residual=1e-6), [10])
        for name, rates in {"as analysed": (0.05, 0.04), **RATES}.items()
    }
    table = side_by_side(fits)
    rows = table[(table["level"] == "mean") & (table["quantity"] == "log_delta_mcp")]
    late = rows[rows["years"].isna()]
    np.testing.assert_allclose(late["median"], 0.0, atol=1e-9)
    early = rows[rows["years"] == 10].set_index("setting")["median"]
    assert early["necromass slow"] < 0 < early["necromass fast"]
    assert early["both slow"] == pytest.approx(0.0, abs=1e-9)
    lines = list(turnover_lines(fits["as analysed"], table))
    assert "0.025 and 0.064" in lines[0] and "95 % equal-tailed credible intervals of ΔMCP" in lines[0]
    assert lines[1].startswith("  average, 10 years: as analysed +") and "hangs on the rates" in lines[1]
    assert "new steady state*" in lines[2]


def test_a_fit_that_failed_is_an_error(table):
    bad = table.assign(passed=table["setting"] != "both fast", r_hat=1.0, ess_bulk=4000.0, ess_tail=4000.0)
    (problem,) = turnover_problems(bad)
    assert problem.check == "turnover-refits" and problem.severity == "error" and "both fast" in problem.message
    assert turnover_problems(bad.assign(passed=True)) == []


def test_the_command_writes_the_table_and_an_earlier_one_goes(result, tmp_path, capsys):
    mb.save(result, tmp_path / "result.nc")
    given = ["forecast", str(tmp_path), "--years", "50", "--no-figures", "--set", "summary.interval_prob=0.8"]
    assert main([*given, "--turnover"]) in (0, 3)
    out, err = capsys.readouterr()
    assert "Turnover rates fixed at quartiles of their prior" in out and "forecast_turnover.csv" in out
    assert "mcpbayes: fit 1 of 4: both slow" in err
    table = pd.read_csv(tmp_path / "forecast_turnover.csv")
    assert len(table) == 5 * 2 * 2 * 3 and set(table["interval_prob"]) == {0.8}
    assert main(given) in (0, 3)
    assert not (tmp_path / "forecast_turnover.csv").exists() and (tmp_path / "forecast.csv").exists()


def test_results_without_free_rates_are_refused(result):
    rates = "priors.turnover_rate.value={necromass=0.02, non_microbial=0.06}"
    fixed = mb.load_model("two-pool", settings=["priors.turnover_rate.distribution=fixed", rates])
    with pytest.raises(
        SpecificationError, match="priors.turnover_rate.distribution: the turnover rates are fixed alre"
    ):
        turnover.quartile_rates(fixed.priors["turnover_rate"])
    static = xr.DataTree.from_dict({words.DATA: result["data"].to_dataset().assign_attrs(family="arm-based")})
    with pytest.raises(SpecificationError, match="turnover rates are those of the model 'two-pool'"):
        turnover.refits_at_quartiles(static)
