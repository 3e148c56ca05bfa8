"""The page of a forecast: its numbers are those of the tables, what it assumes is said, and names are text."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from page_help import Page
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes.errors import Problem
from mcpbayes.estimands.tree import with_groups
from mcpbayes.output.document import numbers
from mcpbayes.output.document.forecast_page import render_forecast
from mcpbayes.output.folder import write_folder
from mcpbayes.output.forecast_folder import forecast_tables, write_forecast, write_turnover
from mcpbayes.output.forecast_turnover import side_by_side
from mcpbayes.output.forecast_words import horizon_lines

SECTIONS = [
    *("headline", "courses", "rates", "crossings", "shares", "methods", "model"),
    *("analysed", "imputed", "problems", "diagnostics", "call", "comparisons"),
]
ODD = "<b>trial</b> & \"co\" 'ü'"
CALL = 'mcpbayes forecast "my <folder>" --years 10,20,50'
QUANTITIES = ("effect[necromass]", "effect[soc]", "delta_mcp", "soc_change")
SETTINGS = {"as analysed": (0.05, 0.03), "both slow": (0.03, 0.03), "necromass fast": (0.06, 0.03)}


def fitted(**options: object) -> xr.DataTree:
    """A fake fit with odd names, and a note of its table."""
    tree = fake_two_pools(**options)
    data = tree["data"].to_dataset()
    study = data["study"].values.astype(str)[0]
    renamed = np.where(data["study_of_comparison"].values.astype(str) == study, ODD, data["study_of_comparison"].values)
    data = data.assign(study_of_comparison=("comparison", renamed))
    left_out = Problem("before-after", "2 of 22 comparisons are <i>before-after</i> pairs and left out", "warning")
    data.attrs |= {"source": f"{ODD}.csv", "problems": json.dumps([left_out.as_dict()])}
    tree = tree.assign({"data": xr.DataTree(data)})
    tree.attrs["command"] = "mcpbayes run pairs.csv --model two-pool --out out"
    return tree


def page_of(result: xr.DataTree, *turnover: object) -> Page:
    """Render without figures, which take most of the time."""
    tables = forecast_tables(result, every_row=False)
    return Page(render_forecast(result, tables | dict(turnover), figures={}))


@pytest.fixture(scope="module")
def result():
    return mb.forecast(fitted(), [10, 20, 50])


@pytest.fixture(scope="module")
def tables(result):
    return forecast_tables(result, every_row=False)


@pytest.fixture(scope="module")
def turnover():
    fits = {name: mb.forecast(fake_two_pools(rate=rates), [10, 20, 50]) for name, rates in SETTINGS.items()}
    return side_by_side(fits)


@pytest.fixture(scope="module")
def source(result, tables):
    return render_forecast(result, tables, command=CALL, figures={})


@pytest.fixture(scope="module")
def page(source):
    return Page(source)


def shown(row: dict, quantity: str) -> str:
    """A quantity as the page prints it, median and interval in one cell, without signs that are not hyphens."""
    values = [row[key] for key in ("median", "lower", "upper")]
    if quantity.startswith("effect"):
        values = [100 * np.expm1(value) for value in values]
    elif quantity == "delta_mcp":
        values = [100 * value for value in values]
    median, low, high = (f"{value:+.1f}" for value in values)
    return f"{median}[{low}, {high}]"


def test_sections_stand_in_order_and_the_contents_lead_to_them(page):
    assert [name for name in page.sections if name != "before"] == SECTIONS
    assert page.tags.count("section") == len(SECTIONS), "each stands once"
    assert [link[1:] for link in page.links if link.startswith("#") and link[1:] in SECTIONS][-13:] == SECTIONS


def test_the_page_is_well_formed_and_needs_nothing_else(source, page):
    assert source.startswith("<!DOCTYPE html>")
    assert [link for link in page.links if not link.startswith(("#", "https://doi.org/"))] == []
    assert not {"script", "link", "iframe", "object", "embed"} & set(page.tags)
    assert not re.search(r"@import|url\(", source)


def test_names_from_the_table_and_the_call_are_shown_as_text(source, page):
    assert f"{ODD}.csv" in page.words("before") and ODD in page.words("analysed")
    assert f"mcpbayes run pairs.csv --model two-pool --out out {CALL}" in page.words("call")
    assert "<i>before-after</i> pairs and left out. before-after" in page.words("problems")
    assert "<b>trial" not in source and "<i>before-after" not in source and "<folder>" not in source


def test_several_targets_are_told_apart_by_their_names_as_text(result, tables):
    other, at = "crop=<b>rye</b>", {"forecast_shares.csv": "group"}
    both = {
        file: pd.concat([table, table.assign(**{at.get(file, "name"): other})], ignore_index=True)
        for file, table in tables.items()
    }
    found = result["forecast"].to_dataset()
    named = [str(target).replace("average", other) for target in found["target"].values]
    more = found.assign_coords(target=named, name=("target", [other] * len(named)))
    found = xr.concat([found, more], dim="target", data_vars="minimal")
    source = render_forecast(with_groups(result, {"forecast": found}), both, figures={})
    page = Page(source)
    assert f"Typical comparison, {other}, 50 years*: necromass" in page.words("headline")
    assert page.words("courses").count(other) == 3
    assert page.words("crossings").count(other) == page.words("shares").count(other) == 1
    assert "<b>rye" not in source


def test_the_answer_is_what_the_command_says(result, tables, page):
    text = page.words("headline").replace("\N{NO-BREAK SPACE}", " ")
    said = {level: lines for (level, _), lines in horizon_lines(result, tables).items()}
    for level, whose in (("mean", "Typical comparison"), ("new", "Comparison in a new study")):
        assert list(said[level]) == ["10 years", "20 years", "50 years", "new steady state"]
        for horizon in ("20 years", "50 years", "new steady state"):
            assert f"{whose}, {said[level][horizon]}." in text
    assert "10 years:" not in text and "95 % equal-tailed credible intervals in brackets" in text


def test_every_number_of_the_answer_is_that_of_the_files(tables, page):
    text = page.words("courses")
    values, classes = tables["forecast.csv"], tables["forecast_scenarios.csv"]
    for (level, horizon), rows in values.groupby(["level", "horizon"], sort=False):
        row = rows.set_index("quantity")
        here = classes[(classes["level"] == level) & (classes["horizon"] == horizon)]
        change = here.loc[here["statement"] == "change", "probability"]
        best = here[here["statement"] == "scenario"].sort_values("probability").iloc[-1]
        mark = "*" if row["extrapolated"].any() else ""
        cells = [f"{horizon}{mark}", *(shown(row.loc[quantity], quantity) for quantity in QUANTITIES)]
        cells += [numbers.probability(p) for p in change]
        cells += [best["label"], best["code"], numbers.probability(best["probability"])]
        assert " ".join(cells) in text
        if level == "mean":
            average = 100 * row.loc["average_change[soc]", ["median", "lower", "upper"]].astype(float)
            assert f"{average.iloc[0]:+.1f} [{average.iloc[1]:+.1f}, {average.iloc[2]:+.1f}]" in text
    assert text.count("95 % equal-tailed credible interval") == 3, "two levels and their averages"
    assert text.count("its tolerance (5 % of the ratio)") == 2 and "g per kg" in text


def test_crossings_and_shares_are_those_of_the_files(tables, page):
    text = page.words("crossings")
    table = tables["forecast_crossings.csv"]
    mean, new = (table[(table["level"] == level) & (table["years"] == 50)].iloc[0] for level in ("mean", "new"))
    both = [
        f"{numbers.probability(row['probability'])} {row['median_year']:.1f} [{row['lower']:.1f}, {row['upper']:.1f}]"
        for row in (mean, new)
    ]
    assert f"50 years* {' '.join(both)}" in text and "than in year 16" in text
    assert f"10 years {numbers.ABSENT} {numbers.ABSENT} {numbers.ABSENT} {numbers.ABSENT}" in re.sub(r" +", " ", text)
    shares = tables["forecast_shares.csv"]
    for code in ("N+C+r+", "N0C0r0"):
        cells = [
            f"{numbers.probability(row['mean'])} "
            f"[{numbers.probability(row['lower'])}, {numbers.probability(row['upper'])}]"
            for row in shares[shares["scenario"] == code].to_dict("records")
        ]
        assert f"{code} {' '.join(cells)}" in page.words("shares")


def test_rates_stand_beside_their_prior_and_what_was_not_asked_for_is_said(result, page):
    text = page.words("rates").replace("\N{NO-BREAK SPACE}", " ")
    for _, row in mb.summarise(result).dropna(subset="prior_overlap").iterrows():
        numbers_ = f"{row['median']:.3f} [{row['lower']:.3f}, {row['upper']:.3f}] {100 * row['prior_overlap']:.0f} %"
        assert f"log-normal, median 0.04, SD of the logarithm 0.7 {numbers_}" in text
    assert "Posterior and prior of the turnover rates k overlap by" in text
    assert "on the rates was not computed here: --turnover repeats" in text


def test_the_forecast_with_fixed_rates_stands_beside_the_result(result, turnover):
    page = page_of(result, ("forecast_turnover.csv", turnover))
    text = page.words("rates")
    assert "not computed here" not in text and "as analysed ● 0.0" in text
    for (level, horizon, setting), rows in turnover.groupby(["level", "horizon", "setting"], sort=False):
        row = rows.set_index("quantity")
        first = rows.iloc[0]
        cells = [shown(row.loc[name], name).replace("[", " [") for name in ("delta_mcp", "soc_change")]
        chance = numbers.probability(first["probability"])
        mark = " ●" if setting == "as analysed" else ""
        assert f"{setting}{mark} {' '.join(cells)} {first['label']} {first['scenario']} {chance}" in text, (
            level,
            horizon,
        )
    assert "average, 50 years*: up at all rates, with a probability of at least 0.8." in text
    assert "the forecast was repeated with the rates fixed" in page.words("methods")


def test_fixed_rates_have_no_overlap():
    rates = "priors.turnover_rate.value={necromass=0.02, non_microbial=0.06}"
    settings = ("priors.turnover_rate.distribution=fixed", rates)
    page = page_of(mb.forecast(fake_two_pools(settings=settings, draws=60), [10]))
    assert "fixed by the specification" in page.words("rates") and "overlap by" not in page.words("rates")
    assert "--turnover" not in page.words("rates") and "Turnover rates were fixed." in page.words("methods")


def test_horizons_beyond_the_durations_are_announced(page, result):
    assert "Extrapolated: 50 years. The longest duration of the table is 30 years." in page.words("before")
    inside = page_of(mb.forecast(fitted(draws=60), [10, 20]))
    assert "Extrapolated" not in inside.words("before")
    assert "new steady state*: " in inside.words("headline"), "it always is, and is marked"


def test_failed_diagnostics_and_simulated_data_are_announced(page, result, turnover):
    assert "Diagnostics failed" not in page.words("before") and "Simulated data" not in page.words("before")
    simulated = fitted(draws=60)
    simulated["data"].attrs["simulated"] = "True"
    assert "Simulated data." in page_of(mb.forecast(simulated, [10])).words("before")
    failed = fitted(draws=60)
    failed.attrs["status"] = "failed"
    assert "Diagnostics failed: do not use" in page_of(mb.forecast(failed, [10])).words("before")
    refit = turnover.assign(passed=turnover["setting"] != "both slow")
    text = page_of(result, ("forecast_turnover.csv", refit)).words("before")
    assert "Fits with fixed turnover rates did not meet the limits of a run: both slow" in text


def test_draws_of_the_forecast_that_do_not_mix_are_announced(result, tables):
    table = tables["forecast.csv"].copy()
    table.loc[5, "r_hat"] = 1.2
    page = Page(render_forecast(result, tables | {"forecast.csv": table}, figures={}))
    assert "Diagnostics failed" in page.words("before") and "R-hat beyond the limit for 1 of" in page.words("before")
    assert "1.200 mcp_efficacy_treatment of mean: average, 10 years no" in page.words("diagnostics")


def test_the_methods_name_model_years_and_sources(page):
    text = page.words("methods")
    for said in ("model of two pools", "after 10, 20 and 50 years", "Years beyond 30", "overlapped by", "seed 1"):
        assert said in text
    for doi in ("10.2307/1932179", "10.1016/j.soilbio.2025.109950", "10.1214/20-BA1221"):
        assert f"https://doi.org/{doi}" in page.links
    assert "turnover rates k, per year log-normal, median 0.04" in page.words("model")
    assert "Our assumption: turnover times" in page.words("model"), "its reason"
    assert "Durationsfrom 2 to 30 years, median 16" in page.words("analysed").replace("Durations ", "Durations")


def test_the_same_result_gives_the_same_page(source, result, tables, tmp_path):
    mb.save(result, tmp_path / "result.nc")
    assert render_forecast(mb.load(tmp_path), tables, command=CALL, figures={}) == source


def test_the_page_of_an_earlier_forecast_goes(result, tables, tmp_path):
    old = tmp_path / "forecast.html"
    old.write_text("old", encoding="utf-8")
    write_forecast(result, tmp_path, tables, figures=False)
    assert not old.exists()
    old.write_text("old", encoding="utf-8")
    mb.save(result, tmp_path / "result.nc")
    write_folder(fitted(draws=60), tmp_path, report=False, overwrite=True)
    assert not old.exists() and not (tmp_path / "forecast.csv").exists()


def test_the_refits_are_put_into_the_page_where_there_is_one(result, tables, turnover, tmp_path):
    both = tables | {"forecast_turnover.csv": turnover}
    write_turnover(result, tmp_path, both)
    assert [path.name for path in tmp_path.iterdir()] == ["forecast_turnover.csv"]
    (tmp_path / "forecast.html").write_text("without", encoding="utf-8")
    write_turnover(result, tmp_path, both, CALL)
    found = (tmp_path / "forecast.html").read_text(encoding="utf-8")
    assert found == render_forecast(result, both, command=CALL, figures={})


def test_a_control_ratio_that_was_given_is_named_wherever_the_levels_are_told():
    page = page_of(mb.forecast(fitted(), [10], settings=["delta_mcp.reference=0.7"]))
    assert "where r₀ is a control ratio of 0.7" in page.words("methods")
    text = page.words("methods") + page.words("model")
    assert "a control ratio r₀ of 0.7" in text and "average r₀" not in text and "r₀ and SOC are" not in text
