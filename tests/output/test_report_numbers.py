"""Numbers as the report prints them, and the counts behind its first sections."""

import json

import fakes
import numpy as np
import pytest
import xarray as xr
from document_fakes import contrast_result
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.errors import Problem
from mcpbayes.output.document import estimates, material, model, numbers
from mcpbayes.specification.structure import Prior, Scheme

NARROW = "\N{NARROW NO-BREAK SPACE}"
NORMAL = Prior("normal", {"mean": 0.0, "sd": 0.5, "correlation": 0.7})
BY_OUTCOME = Prior("half_normal", {"sd": {"necromass": 0.3, "soc": 0.2}})


@given(st.floats(0.0, 1.0))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_probability_is_never_printed_as_zero_or_one(p):
    text = numbers.probability(p)
    assert text.startswith(("<", ">")) or 0.01 <= float(text) <= 0.99
    assert text not in ("0.00", "1.00")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "< 0.01"), (0.0099, "< 0.01"), (0.01, "0.01"), (0.5, "0.50"), (0.995, "> 0.99"), (1.0, "> 0.99")],
)
def test_probabilities_at_the_ends_are_bounds(value, text):
    assert numbers.probability(value) == text
    assert numbers.probability(float("nan")) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.25, "+1.2"), (-0.04, "0.0"), (0.04, "0.0"), (-3.14, "\N{MINUS SIGN}3.1"), (1234.5, f"+1{NARROW}234.5")],
)
def test_signed_numbers(value, text):
    assert numbers.signed(value) == text


def test_missing_numbers_are_dashes_and_their_intervals_empty():
    assert numbers.signed(float("nan")) == numbers.count(float("inf")) == numbers.significant(float("nan")) == "–"
    assert numbers.interval("–", "+1.0") == ""
    assert numbers.interval("+0.5", "+1.0") == "[+0.5, +1.0]"


@pytest.mark.parametrize(
    ("value", "text"), [(1, "1 study"), (0, "0 studies"), (15, "15 studies"), (1500, f"1{NARROW}500 studies")]
)
def test_plurals(value, text):
    assert numbers.plural(value, "study", "studies") == text


def test_listings():
    assert numbers.listing([]) == ""
    assert numbers.listing(["a"]) == "a"
    assert numbers.listing(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("prior", "text"),
    [
        (Prior("flat"), "flat"),
        (NORMAL, "normal, mean 0, SD 0.5, correlation of the pools 0.7"),
        (BY_OUTCOME, "half-normal, scale 0.3 (necromass C) and 0.2 (SOC)"),
        (Prior("half_student_t", {"df": 3.0, "scale": 0.3}), "half-Student-t, 3 degrees of freedom, scale 0.3"),
        (Prior("lognormal", {"median": 0.2, "sd_log": 0.5}), "log-normal, median 0.2, SD of the logarithm 0.5"),
        (Prior("lkj", {"eta": 2.0}), "LKJ, η = 2"),
        (Prior("beta", {"a": 2.0, "b": 3.0}), "beta(2, 3) on (1 + ρ)/2"),
        (Prior("fixed", {"value": -0.1}), "fixed at \N{MINUS SIGN}0.1"),
    ],
)
def test_every_distribution_has_words(prior, text):
    assert model.prior_words(prior) == text


def test_the_correlation_over_plots_has_a_sign_of_its_own():
    assert model.prior_words(Prior("beta", {"a": 6.0, "b": 2.0}), symbol="ϱ") == "beta(6, 2) on (1 + ϱ)/2"


def test_one_pool_has_no_correlation_to_tell():
    assert model.prior_words(NORMAL, pools=1) == "normal, mean 0, SD 0.5"


def test_priors_that_differ_are_told_apart_in_prose():
    rows = [
        {"role": "SDs τ", "of": "between studies", "prior": "half-normal, scale 0.3"},
        {"role": "SDs τ", "of": "between comparisons", "prior": "fixed at 0.1"},
        {"role": "correlations ρ", "of": "between studies", "prior": "LKJ, η = 2"},
    ]
    assert model.prior_phrases(rows) == [
        "SDs τ, between studies: half-normal, scale 0.3",
        "SDs τ, between comparisons: fixed at 0.1",
        "correlations ρ: LKJ, η = 2",
    ]


def test_tolerances_that_differ_are_told_apart():
    assert model.tolerance_words(Scheme({"necromass": 5.0, "soc": 5.0, "ratio": 5.0})) == "±5 %"
    apart = model.tolerance_words(Scheme({"necromass": 5.0, "soc": 3.0, "ratio": 2.5}))
    assert apart == "±5 % for necromass C, ±3 % for SOC and ±2.5 % for their ratio"


def test_comparisons_without_a_pool_are_counted_also_when_the_control_lacks_it():
    data = fakes.fake_data(studies=3)
    assert material.missing_effects(data) == {"necromass": 0, "soc": 0}
    log_mean = data["log_mean"].copy()
    log_mean.loc[{"arm": "S1: control 1", "outcome": "necromass"}] = np.nan
    log_mean.loc[{"arm": "S2: T1", "outcome": "soc"}] = np.nan
    assert material.missing_effects(data.assign(log_mean=log_mean)) == {"necromass": 2, "soc": 1}
    ratios = contrast_result()["data"].to_dataset()
    ratios["log_ratio"][0, 1] = np.nan
    assert material.missing_effects(ratios) == {"necromass": 0, "soc": 1}


def test_an_arm_with_another_name_than_its_control_is_found():
    data = fakes.fake_data(studies=2)
    arms = [f"{name} (control)" if "control" in name else name for name in data["arm"].values]
    first = material.comparisons(data.assign_coords(arm=arms))[0]
    control = data["mean"].sel(arm="S1: control 1").values
    assert first["control"] == "S1: control 1" and first["row"] == 2
    assert [first["values"][0], first["values"][2]] == [f"{value:.3g}" for value in control]


def test_imputed_values_that_vary_are_given_as_a_range():
    data = fakes.fake_data(studies=2)
    data["cv"][:, 0] = np.linspace(0.1, 0.3, data.sizes["arm"])
    data["source_sd"][0, 0] = "reported"
    data["source_sd"][1, 0] = "derived"
    data["source_sd"][2, 0] = ""
    row = material.imputed(data)[0]
    assert (row["reported"], row["derived"], row["imputed"]) == (1, 1, data.sizes["arm"] - 3)
    assert row["used"] == f"CV {data['cv'].values[3, 0]:.3g} to 0.3"


def test_spellings_that_were_mapped_are_shown():
    data = fakes.fake_data(studies=2)
    data["treatment"][0] = "FYM"
    assert material.kinds(data)[0]["spellings"] == "FYM"
    assert material.kinds(data)[1]["spellings"] == ""


def test_problems_are_sorted_and_none_is_told_twice():
    tree = fakes.fake_result(studies=2, chains=2, draws=4, specification="")
    note = Problem("largest-study", "one study holds most", "note").as_dict()
    bad = Problem("r-hat", "chains disagree", "error", rows=(2, 3), file="f.csv").as_dict()
    tree["data"].attrs["problems"] = json.dumps([note])
    tree.attrs["problems"] = json.dumps([note, bad])
    found = material.problems(tree)
    assert [entry["check"] for entry in found["note"]] == ["largest-study"]
    assert found["note"][0]["text"] == "One study holds most."
    assert found["error"][0]["text"].startswith("f.csv, rows 2, 3: chains disagree")
    assert found["warning"] == []


def test_names_of_kinds_lose_their_prefix_and_others_keep_theirs():
    data = fakes.fake_data()
    assert estimates.shown_name("kind=manure", data) == "manure"
    assert estimates.shown_name("ecosystem=forest", data) == "ecosystem=forest"
    assert estimates.shown_name("kind=manure, clay=10", data) == "manure, clay=10"


@pytest.mark.parametrize("quantity", ["effect[soc]", "delta_mcp", "mcp_efficacy_control"])
def test_an_absent_quantity_is_a_dash(quantity):
    assert estimates.cell(None, quantity) == {"value": "–", "interval": ""}


def test_quantities_are_shown_in_their_units():
    row = {"median": 0.1, "lower": -0.1, "upper": 0.2}
    series = xr.Dataset({key: ((), value) for key, value in row.items()}).to_pandas()
    assert estimates.cell(series, "log_delta_mcp") == {"value": "+10.5", "interval": "[\N{MINUS SIGN}9.5, +22.1]"}
    assert estimates.cell(series, "delta_mcp") == {"value": "+10.0", "interval": "[\N{MINUS SIGN}10.0, +20.0]"}
    assert estimates.cell(series, "mcp_efficacy_control")["value"] == "10.0"
