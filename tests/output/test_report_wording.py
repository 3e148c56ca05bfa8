"""The report and the closing lines say where necromass, CVs, correlations and probabilities come from."""

import json

import fakes
import numpy as np
import pandas as pd
import pytest
from made_amino import amino_table

from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import classify
from mcpbayes.inference.doubts import CARRIED, doubts
from mcpbayes.inference.engine import _why_so_many
from mcpbayes.output.document import model
from mcpbayes.output.document.context import context
from mcpbayes.output.document.conversion import conversion, source_line
from mcpbayes.output.document.dispersion import dispersion, plots
from mcpbayes.output.document.material import heading, imputed
from mcpbayes.output.document.report import render
from mcpbayes.specification.factors import NAMED
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import prepare

SDS = {
    f"{sugar}_{role}_sd": sd
    for sugar, sd in (("glucosamine", 0.1), ("muramic_acid", 0.01))
    for role in ("control", "treatment")
}


def plot_table(studies=6):
    """Simulated plots in blocks: a control and one treatment per study, four plots of each, correlated pools."""
    rng = np.random.default_rng(1)
    rows = []
    for study in range(studies):
        for role in ("control", "treatment"):
            for plot in range(1, 5):
                necromass, soc = np.exp(rng.multivariate_normal([1.8, 2.7], [[0.02, 0.008], [0.008, 0.01]]))
                told = {"study": f"S{study}", "control_id": "c", "role": role, "treatment": "manure", "plot": str(plot)}
                rows.append(told | {"block": str(plot), "necromass": necromass, "soc": soc})
    return pd.DataFrame(rows)


def read(table, **settings):
    spec = load_model(settings={key.replace("__", "."): value for key, value in settings.items()})
    return prepare(table, spec), spec


def row_of(data, quantity):
    return next(row for row in imputed(data) if row["quantity"] == quantity)


@pytest.mark.parametrize("name", NAMED)
def test_methods_name_formula_factors_numbers_source_and_arms(name):
    data, spec = read(amino_table(), data__factors__set=name)
    said = conversion(data, spec, worlds=8)["method"]
    assert f"in {data.sizes['arm']} arms and taken as reported in none" in said
    assert "k_B MurN + k_F (GlcN − (179.17/251.23) ϱ_b MurN)" in said and f"‘{name}’" in said
    factors = NAMED[name]
    for factor in (factors.k_b, factors.k_f, factors.rho_b):
        assert f"{factor.middle:.3g}" in said
    assert factors.source in said and "a correlation of 0.7 assumed" in said
    assert ("taken as known" in said) == factors.fixed
    assert ("carried as distributions by 8 fits" in said) == (not factors.fixed)


def test_the_table_of_factors_has_the_named_sets_and_ones_own():
    own = {"set": "own", "k_B": 30.0, "k_F": 8.0, "rho_b": 1.5, "source": "ours"}
    data, spec = read(amino_table(), data__factors=own)
    rows = conversion(data, spec, worlds=1)["rows"]
    assert [row["name"] for row in rows] == [*NAMED, "own"]
    assert [row["name"] for row in rows if row["used"]] == ["own"]
    assert (rows[-1]["k_B"], rows[-1]["k_F"], rows[-1]["ϱ_b"], rows[-1]["source"]) == ("30", "8", "1.5", "ours")


def test_without_amino_sugars_nothing_is_said_of_factors():
    data, spec = read(plot_table(), data__layout="plot")
    assert conversion(data, spec, worlds=1) is None and source_line(data) == ""


def test_the_closing_line_counts_arms_from_amino_sugars():
    data, _ = read(amino_table())
    assert source_line(data) == (
        f"Necromass of {data.sizes['arm']} arms from amino sugars, with the factors ‘uncertain’."
    )


def test_sds_of_necromass_from_amino_sugars_are_derived_and_the_correlation_is_listed():
    data, _ = read(amino_table(**SDS))
    arms = data.sizes["arm"]
    row = row_of(data, "standard deviation of necromass C")
    assert (row["reported"], row["derived"], row["imputed"]) == (0, arms, 0)
    row = row_of(data, "correlation of the amino sugars over plots of an arm")
    assert (row["imputed"], row["used"]) == (arms, "ϱ = 0.7")


def test_with_modelled_cvs_no_other_cv_of_the_amino_sugars_is_suggested():
    table = amino_table(studies=5, **SDS)
    table.loc[0, ["glucosamine_treatment_sd", "muramic_acid_treatment_sd"]] = np.nan
    data, _ = read(table, data__dispersion__sd_model="hierarchical")
    row = row_of(data, "standard deviation of glucosamine")
    assert row["imputed"] == 1 and row["entered"] is False and "CV 0" not in row["used"]
    plain, _ = read(table, data__dispersion__sd_model="reported")
    assert "CV 0" in row_of(plain, "standard deviation of glucosamine")["used"]


def test_plots_are_in_the_methods_with_blocks_and_correlation():
    data, _ = read(plot_table(), data__layout="plot")
    notes = {one["check"]: one["message"] for one in json.loads(data.attrs["problems"])}
    assert {"blocks-taken-out", "correlation-from-plots"} <= set(notes)
    for check in ("blocks-taken-out", "correlation-from-plots"):
        assert heading(notes[check]) in plots(data)
    row = row_of(data, "correlation of the pools over plots of an arm")
    assert row["derived"] > 0 and row["used"] == f"ϱ = {data['rho_within'].values[0]:.3g}, estimated from the plots"
    assert plots(read(amino_table())[0]) == ""


def test_the_method_of_the_probabilities_is_told():
    fitted = delta_mcp(fakes.fake_result(studies=4, draws=60))
    exact, counted = "were averaged over posterior draws", "fractions of draws that fall"
    page = render(classify(fitted, method="counting"), figures={})
    assert counted in page and exact not in page
    tree = classify(fitted, method="counting")
    tree["scenario"].attrs["method"] = "exact"
    page = render(tree, figures={})
    assert exact in page and counted not in page


def test_nothing_imputed_is_not_called_taken_as_known():
    tree = classify(delta_mcp(fakes.fake_result(studies=4, draws=60)))
    assert "An imputed value is taken as known" in render(tree, figures={})
    for name in ("source_sd", "source_n", "source_rho"):
        tree["data"][name] = tree["data"][name].copy(data=np.full(tree["data"][name].shape, "reported", dtype=object))
    assert "An imputed value is taken as known" not in render(tree, figures={})


def test_why_there_are_several_fits_is_in_plain_words():
    data, spec = read(amino_table(**SDS), data__dispersion__sd_model="hierarchical")
    found = doubts(data, spec)
    assert _why_so_many(found) == (
        "20 fits, because the CVs of the arms and the conversion factors of amino sugars are uncertain"
    )
    assert {doubt.name for doubt in found} < set(CARRIED)


def test_the_variance_between_fits_names_quantity_kind_and_what_is_carried():
    data, _ = read(amino_table(**SDS), data__dispersion__sd_model="hierarchical")
    tree = fakes.fake_result(studies=4, draws=60)
    tree.attrs |= {
        "worlds": 20,
        "share_between_worlds": 0.006,
        "worlds_values": json.dumps({"dispersion": [0.1] * 20, "factors": [1.0] * 20}),
    }
    found = dispersion(tree, data.assign_attrs(level_kind="on"))
    assert (
        "Of the posterior variance of the change of ln(necromass C/SOC) in the typical comparison (level mean), for "
        "the kind of treatment where it is largest, 0.6 % lies between the fits"
    ) in found["share"]
    assert found["share"].endswith(f"{CARRIED['dispersion']} and {CARRIED['factors']}.")
    assert [row["what"][0] for row in found["rows"]] == ["T", "τ", "ω"]  # of SOC no arm has an SD


def test_kept_draws_and_asked_draws_are_told_apart():
    tree = fakes.fake_result(studies=4, chains=8, draws=100)
    tree["posterior"] = tree["posterior"].to_dataset().assign_coords(world=("chain", np.repeat([0, 1], 4)))
    tree.attrs |= {"worlds": 2, "worlds_values": json.dumps({"dispersion": [0.1, 0.2]})}
    found = model.sampling(tree)
    assert (found["worlds"], found["chains"], found["draws"], found["every"]) == (2, 4, 100, 10)
    page = " ".join(render(classify(delta_mcp(tree)), figures={}).split())
    assert "2 fits of 4 chains of 1000 draws each, of which one in 10 was kept (100 per chain)" in page
    assert "of which one" not in render(classify(delta_mcp(fakes.fake_result(studies=4, draws=60))), figures={})


@pytest.mark.parametrize(
    ("text", "shown"),
    [("τ of ln CV", "τ of ln CV"), ("ϱ of", "ϱ of"), ("typical CV", "Typical CV"), ("ΔMCP", "ΔMCP"), ("", "")],
)
def test_symbols_keep_their_case(text, shown):
    assert heading(text) == shown


def test_moderators_have_their_value_beside_the_headline():
    table = amino_table().assign(duration_years=lambda t: 10.0 + t.index, tillage=["no", "yes"] * 4)
    spec = load_model(moderators="~ duration_years + tillage")
    data = prepare(table, spec)
    study_means = table.groupby("study")["duration_years"].mean()
    said = model.where_typical(data)
    assert f"at duration_years = {study_means.mean():.4g}, the mean of the studies" in said
    assert "averaged over the categories of tillage" in said
    assert model.where_typical(read(amino_table())[0]) == ""
    assert context(classify(delta_mcp(fakes.fake_result(studies=4, draws=60))))["where_typical"] == ""
