"""What people read of a forecast: tables, lines, figures, the folder and the command."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from page_help import Page
from plot_help import outside, overlaps, words_of
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.cli import main
from mcpbayes.errors import StageError
from mcpbayes.estimands.claims import union_claims
from mcpbayes.estimands.paths import effects_at
from mcpbayes.estimands.table_paths import table_paths, table_targets
from mcpbayes.estimands.wording import probability_text
from mcpbayes.output.forecast_checks import forecast_problems
from mcpbayes.output.forecast_folder import forecast_tables, write_forecast
from mcpbayes.output.forecast_words import forecast_lines

#: Files with rows of all levels.
TABLES = ("forecast.csv", "forecast_scenarios.csv", "forecast_crossings.csv")
MERGED = "scenarios.merge.gain=['N+C+r+', 'N+C+r0']"
FIGURES = list(words.FORECAST_FIGURES.values())


@pytest.fixture(scope="module")
def result():
    return mb.forecast(fake_two_pools(), [10, 20, 50])


@pytest.fixture(scope="module")
def tables(result):
    return forecast_tables(result)


@pytest.fixture(scope="module")
def figures(result):
    return {name: getattr(mb.plots, name)(result) for name in FIGURES}


@pytest.fixture
def folder(tmp_path):
    mb.save(fake_two_pools(), tmp_path / "result.nc")
    return tmp_path


def test_the_table_states_what_the_draws_say(result, tables):
    table, found = tables["forecast.csv"], result["forecast"].to_dataset()
    population = table[table["level"].isin(["mean", "new"])]
    assert len(population) == 4 * (8 + 6)
    assert set(table["interval_kind"]) == {"eti"} and set(table["interval_prob"]) == {0.95}
    for row in population.to_dict("records"):
        name, _, pool = row["quantity"].rstrip("]").partition("[")
        assert row["units"] == {"soc_change": "g/kg"}.get(name, found[name].attrs["units"])
        if name == "average_change":
            draws = found[name].sel(mean_target=row["name"], horizon=row["horizon"])
        else:
            draws = found[name].sel(target=f"{row['level']}: {row['name']}", horizon=row["horizon"])
        draws = (draws.sel(outcome=pool) if pool else draws).values
        assert row["mean"] == pytest.approx(draws.mean(), abs=1e-12)
        assert [row["lower"], row["upper"]] == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=1e-2)
        assert row["extrapolated"] == (row["horizon"] in ("50 years", "new steady state"))
    assert table.loc[table["horizon"] == "new steady state", "years"].isna().all()
    assert table.loc[table["quantity"] == "mcp_efficacy_treatment", "prob_positive"].isna().all()
    averages = table[table["quantity"].str.startswith("average_change")]
    assert set(averages["level"]) == {"mean"} and set(averages["units"]) == {"fraction"}


def test_studies_and_comparisons_follow_in_every_table(result, tables):
    """Each target of the data has its rows, with the numbers of its own trajectory."""
    data = result["data"].to_dataset()
    for name in TABLES:
        table = tables[name]
        places = table[["level", "name"]].drop_duplicates()
        assert places["level"].tolist() == ["mean", "new"] + 5 * ["study"] + 20 * ["comparison"]
        assert places["name"].tolist()[2:] == [*data["study"].values, *data["comparison"].values]
        assert table.groupby(["level", "name"])["horizon"].nunique().eq(4).all()
    values, classes = tables["forecast.csv"], tables["forecast_scenarios.csv"]
    assert tables["forecast.csv"]["level"].value_counts()[["study", "comparison"]].tolist() == [5 * 24, 20 * 24]
    tolerance = np.log(1.05)
    for asked in table_targets(data, 1000):
        effect = effects_at(table_paths(result, asked)[0], 20.0)
        for name, (theta_n, theta_c) in zip(asked["name"].values, effect, strict=True):
            level = str(asked["level"].values[0])
            mine, said = (
                t[(t["level"] == level) & (t["name"] == name) & (t["years"] == 20)] for t in (values, classes)
            )
            mean = mine.set_index("quantity")["mean"]
            assert mean["effect[soc]"] == pytest.approx(theta_c.mean(), abs=1e-12)
            assert mean["log_delta_mcp"] == pytest.approx((theta_n - theta_c).mean(), abs=1e-12)
            assert not mine["extrapolated"].any()
            rises = said.set_index("code").loc["increase", "probability"]
            assert rises == pytest.approx((theta_n - theta_c > tolerance).mean(), abs=1e-12)


def test_scenarios_add_up_and_crossings_state_their_interval(result, tables):
    scenarios, crossings = tables["forecast_scenarios.csv"], tables["forecast_crossings.csv"]
    sums = scenarios.groupby(["statement", "level", "name", "horizon"])[["probability", "prior_probability"]].sum()
    np.testing.assert_allclose(sums["probability"], 1.0, atol=1e-12)
    np.testing.assert_allclose(sums.loc["scenario", "prior_probability"], 1.0, atol=1e-12)
    changes = scenarios[scenarios["statement"] == "change"]
    assert changes["code"].tolist() == 27 * 4 * ["increase", "no change", "decrease"]
    stored = result["forecast"]["change_probability"].values.ravel()
    np.testing.assert_array_equal(changes["probability"].to_numpy()[: stored.size], stored)
    assert changes[["mcse", "prior_probability"]].isna().all(axis=None)
    assert len(scenarios) == 27 * 4 * 16 and (crossings["since"] == 16.0).all()
    assert crossings["interval_prob"].tolist() == [0.95] * 27 * 4
    inside = crossings.dropna(subset="median_year")
    assert ((inside["lower"] <= inside["median_year"]) & (inside["median_year"] <= inside["upper"])).all()
    assert (inside["upper"] <= inside["years"]).all()


@pytest.mark.parametrize(
    "table", [mb.forecast_table, mb.forecast_scenario_table, mb.crossing_table, mb.forecast_share_table]
)
def test_tables_without_a_forecast_say_what_to_call(table):
    with pytest.raises(StageError, match=r"call result = mcpbayes.forecast\(result, years=\[10, 20, 50\]\) first"):
        table(fake_two_pools())


def test_lines_hold_the_numbers_of_the_tables_and_mark_extrapolation(result, tables):
    lines = list(forecast_lines(result, tables))
    assert "95 % equal-tailed credible interval" in lines[0]
    assert len(lines) == 1 + 2 * 6 + 6  # two levels of five lines and a head each, and what holds for all
    table = tables["forecast.csv"]
    row = table[(table["level"] == "mean") & (table["horizon"] == "20 years") & (table["quantity"] == "effect[soc]")]
    change = 100 * np.expm1(row[["median", "lower", "upper"]].to_numpy()[0].astype(float))
    text = f"SOC {change[0]:+.0f} % ({change[1]:.0f} to {change[2]:.0f})"
    (line,) = [line for line in lines[:6] if line.startswith("  20 years:")]
    assert text in line and "most probable" in line
    assert sum("by 50 years*" in line and "by 20 years (" in line for line in lines) == 2
    assert sum("years*:" in line for line in lines) == 2 and sum("state*:" in line for line in lines) == 2
    assert "longest duration of the table, 30 years" in lines[-2]
    assert "turnover rates k overlap by" in lines[-1] and "--turnover" in lines[-1]
    assert "more than its tolerance, 5 % of the ratio" in "".join(lines)


def test_lines_say_what_the_ratio_does_and_where_no_scenario_is_probable_enough():
    sure = mb.forecast(fake_two_pools(spread=0.0), [20])  # every draw alike: probabilities of 0 and 1
    open_ = mb.forecast(fake_two_pools(change=(0.1, 0.0)), [20], settings=["scenarios.decide_at=1"])
    one, other = (list(forecast_lines(each, forecast_tables(each)))[2] for each in (sure, open_))
    assert "; probability of ΔMCP up > 0.99, within its tolerance < 0.01, down < 0.01; most probable N" in one
    up, same, down = open_["forecast"]["change_probability"].sel(target="mean: average", horizon="20 years").values
    up, same, down = (probability_text(float(p)) for p in (up, same, down))
    assert f"up {up}, within its tolerance {same}, down {down}; no scenario reaches 1 (most pro" in other


def test_where_no_scenario_is_probable_enough_a_coarser_statement_is_made():
    """As the headline of other models: from the tables' own probabilities, which effects of draws give too."""
    result = mb.forecast(fake_two_pools(change=(0.6, 0.6), rate=(0.05, 0.05), spread=0.1), [20])
    tables = forecast_tables(result)
    rows = tables["forecast_scenarios.csv"]
    rows = rows[(rows["level"] == "mean") & (rows["horizon"] == "20 years")]
    here = result["forecast"].sel(target="mean: average", horizon="20 years")
    claims = {claim.code: claim for claim in union_claims(here["union_probability"].values)}
    both = (here["effect"] > np.log(1.05)).all("outcome")
    assert claims["N+C+"].probability == pytest.approx(float(both.mean()), abs=1e-12)
    assert claims["ratio+"].probability == rows.loc[rows["statement"] == "change", "probability"].iloc[0]
    assert rows.loc[rows["statement"] == "scenario", "probability"].max() < 0.8 < claims["N+C+"].probability
    first = next(claim for claim in claims.values() if claim.probability >= 0.8)
    line = list(forecast_lines(result, tables))[2]
    said = (
        f"; {first.label}, probability {probability_text(first.probability, 0.8)} (no single scenario reaches 0.8; most"
    )
    assert said in line


def test_coarser_statements_do_not_hang_on_merged_classes():
    one, merged = (mb.forecast(fake_two_pools(), [20], settings=given) for given in ((), [MERGED]))
    xr.testing.assert_identical(*(each["forecast"]["union_probability"] for each in (one, merged)))


def test_draws_that_do_not_mix_are_named_with_their_horizon(tables):
    table = tables["forecast.csv"].copy()
    table.loc[5, "r_hat"] = 1.2
    (problem,) = [found for found in forecast_problems(table) if found.check == "r-hat"]
    assert problem.severity == "error" and "mean: average, 10 years" in problem.message


def test_draws_of_single_studies_that_do_not_mix_are_counted_and_decide_nothing(tables):
    table = tables["forecast.csv"].copy()
    before = [problem.as_dict() for problem in forecast_problems(table) if problem.check != "failing-rows"]
    table.loc[table["level"] == "study", "r_hat"] = 1.2
    *others, problem = forecast_problems(table)
    assert problem.check == "failing-rows" and problem.severity == "warning"
    assert f"{(table['level'] == 'study').sum()} study rows" in problem.message
    assert [other.as_dict() for other in others] == before


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_overlaps_another_or_leaves_the_figure(figures, name):
    assert overlaps(figures[name]) == []
    assert outside(figures[name]) == []


@pytest.mark.parametrize("name", FIGURES)
def test_figures_say_where_the_data_end(figures, name):
    text = " ".join(words_of(figures[name], "note")).replace("\n", " ")
    assert "longest" in text


def test_the_path_marks_the_years_asked_for(figures):
    assert ", ".join(words_of(figures["scenario_path"], "year")) == "10, 20, 50, ∞"  # neighbours share a name


def test_trajectories_state_kind_and_probability(figures):
    note = " ".join(words_of(figures["trajectories"], "note")).replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")
    assert "95 % equal-tailed credible intervals" in note


def test_the_median_line_is_that_of_the_equations(tables, figures):
    axes = figures["trajectories"].axes[1]
    (line,) = [line for line in axes.lines if line.get_gid() == "median"]
    x, y = line.get_data()
    table = tables["forecast.csv"]
    row = table[(table["level"] == "mean") & (table["years"] == 50) & (table["quantity"] == "effect[necromass]")]
    assert x[-1] == 50 and y[0] == 0.0 and y[-1] == pytest.approx(float(row["median"].iloc[0]), abs=1e-9)


@pytest.mark.parametrize("name", FIGURES)
def test_unknown_targets_are_refused_with_those_that_exist(result, name):
    with pytest.raises(ValueError, match=r"name must be among \['average'\], got 'clay=3'"):
        getattr(mb.plots, name)(result, name="clay=3")


def test_the_folder_gets_tables_and_figures_and_keeps_what_was_there(result, tables, folder):
    (folder / "own.txt").write_text("mine", encoding="utf-8")
    write_forecast(result, folder, tables)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    pictures = {f"figures/{name}.{end}" for name in words.FORECAST_FIGURES for end in ("svg", "png")}
    written = {*TABLES, "forecast_shares.csv"}
    assert (
        set(tables) == written
        and found == {"own.txt", "result.nc", "forecast.json", "forecast.html"} | written | pictures
    )
    page = Page((folder / "forecast.html").read_text(encoding="utf-8"))
    assert page.tags.count("img") == 3 and page.words("figures").count("Strokes: durations of the table") == 2
    for name, table in tables.items():
        pd.testing.assert_frame_equal(pd.read_csv(folder / name), table, check_dtype=False)


def test_the_command_writes_and_says_the_same(folder, capsys):
    assert main(["forecast", str(folder), "--years", "10,20", "--since", "5", "--no-figures"]) == 0
    out = capsys.readouterr().out
    assert "typical comparison, average" in out and "in another scenario than after 5 years" in out
    assert (folder / "forecast_crossings.csv").is_file() and not (folder / "figures").exists()
    assert not (folder / "forecast.html").exists() and "Report:" not in out


def test_figures_of_an_earlier_forecast_go_and_the_record_says_what_was_asked(folder):
    (folder / "figures").mkdir()
    for name in ("forecast-path.svg", "forecast-trajectories.png", "own.svg"):
        (folder / "figures" / name).write_text("old", encoding="utf-8")
    setting = "scenarios.decide_at=0.9"
    assert main(["forecast", str(folder), "--years", "20,10", "--since", "5", "--set", setting, "--no-figures"]) == 0
    assert [path.name for path in (folder / "figures").iterdir()] == ["own.svg"]
    record = json.loads((folder / "forecast.json").read_text(encoding="utf-8"))
    assert record.pop("command").startswith("mcpbayes forecast ") and record.pop("mcpbayes_version")
    assert record == {"years": [10, 20], "since": 5, "at": {}, "settings": [setting]}


def test_year_0_alone_has_tables(folder):
    assert main(["forecast", str(folder), "--years", "0", "--no-figures"]) == 0
    assert (pd.read_csv(folder / "forecast.csv")["years"].dropna() == 0).all()


def test_a_failed_fit_has_a_forecast_that_says_so(folder, capsys):
    failed = fake_two_pools()
    failed.attrs["status"] = "failed"
    mb.save(failed, folder / "result.nc")
    assert main(["forecast", str(folder), "--years", "10", "--no-figures"]) == 3
    assert "diagnostics failed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast", "{folder}", "--years", "soon"], "--years: expected years, separated by commas"),
        (["forecast", "{folder}", "--years=-5"], "years: expected a number of at least 0"),
        (["forecast", "{folder}", "--years", "0"], "--years: the figures need a year after the change"),
        (["forecast", "{folder}"], "--years"),
        (["forecast", "{folder}/none", "--years", "10"], "No saved result at"),
        (["report", "{folder}"], "mcpbayes forecast DIR --years 10,20,50"),
    ],
)
def test_usage_errors_exit_2_with_one_message(arguments, message, folder, capsys):
    assert main([part.format(folder=folder) for part in arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
