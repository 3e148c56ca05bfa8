import numpy as np
import pytest
import xarray as xr

import mcpbayes as mb
from mcpbayes.analysis import estimate, reapply
from mcpbayes.estimands.tree import with_groups
from mcpbayes.evidence.assumptions import CORRELATION, CVS, assumptions, with_assumptions
from mcpbayes.inference.assumed import with_dispersion
from mcpbayes.inference.collapsed import sample
from mcpbayes.inference.one_fit import fit_once
from mcpbayes.inference.simulation import simulate
from mcpbayes.output.summary import scenario_table, summarise

SETTINGS = {"sampling.draws": 500, "sampling.engine": "collapsed"}


@pytest.fixture(scope="module")
def model():
    return mb.load_model(settings=SETTINGS)


@pytest.fixture(scope="module")
def result(model) -> xr.DataTree:
    table, _ = simulate(studies=10, seed=3, kinds=("manure", "straw"), missing_sd=1.0)
    return with_assumptions(estimate(mb.fit(mb.prepare(table, model), model, seed=2)))


@pytest.fixture(scope="module")
def table(result):
    return assumptions(result)


def without_sd(data: xr.Dataset, source: str) -> xr.Dataset:
    return data.assign(source_sd=data["source_sd"].copy(data=np.full(data["source_sd"].shape, source, dtype=object)))


def test_every_setting_has_every_target(result, table):
    settings = [(one.assumption, one.value) for one in table.drop_duplicates(["assumption", "value"]).itertuples()]
    assert settings == [(CVS, "x 1/2"), (CVS, "x 1"), (CVS, "x 2")] + [(CORRELATION, v) for v in ("0", "0.5", "0.9")]
    names = ["kind=manure", "kind=straw", "average over kinds"]
    assert list(table["name"]) == names * 12
    assert list(table["level"]) == (["mean"] * 3 + ["new"] * 3) * 6
    data = result["data"]
    assert set(table.loc[table["assumption"] == CVS, "imputed"]) == {2 * data.sizes["arm"]}
    assert set(table.loc[table["assumption"] == CORRELATION, "imputed"]) == {data.sizes["arm"]}
    assert table["as_analysed"].tolist() == [value in ("x 1", "0.5") for value in table["value"]]
    assert table["passed"].all()


def assert_same_numbers(rows, summary, classes):
    assert set(rows["level"]) == {"mean", "new"}
    for row in rows.itertuples(index=False):
        expected = summary.loc[(row.level, row.name, "log_delta_mcp")]
        for key in ("mean", "median", "lower", "upper", "prob_positive"):
            assert getattr(row, key) == pytest.approx(expected[key], rel=1e-12)
        here = classes.loc[(row.level, row.name)]["probability"]
        assert row.probability == pytest.approx(here[row.scenario], rel=1e-12)
        assert here[row.scenario] == here.max()


def test_the_values_as_analysed_give_the_numbers_of_the_result(result, table):
    summary = summarise(result).set_index(["level", "name", "quantity"]).sort_index()
    classes = scenario_table(result).set_index(["level", "name", "scenario"]).sort_index()
    assert_same_numbers(table[table["as_analysed"]], summary, classes)
    used = table[table["as_analysed"]].iloc[0]
    for name in ("tau_study[soc]", "tau_comparison[necromass]"):
        assert used[name] == pytest.approx(summary.loc[("parameter", "", name), "mean"])


def test_other_values_give_the_numbers_of_a_refit(result, table, model):
    doubled = with_dispersion(result["data"].to_dataset(), 2.0, bias_correction=True)
    summary = (
        summarise(estimate(fit_once(doubled, model, seed=2))).set_index(["level", "name", "quantity"]).sort_index()
    )
    for row in table[table["value"] == "x 2"].itertuples(index=False):
        expected = summary.loc[(row.level, row.name, "log_delta_mcp")]
        assert (row.mean, row.lower) == pytest.approx((expected["mean"], expected["lower"]), rel=1e-9)


def test_classes_of_a_refit_are_found_as_those_of_the_headline(result, table, model):
    doubled = with_dispersion(result["data"].to_dataset(), 2.0, bias_correction=True)
    made = estimate(fit_once(doubled, model, seed=2))
    assert made["scenario"].attrs["method"] == "exact"
    classes = scenario_table(made).set_index(["level", "name", "scenario"]).sort_index()
    for row in table[table["value"] == "x 2"].itertuples(index=False):
        expected = classes.loc[(row.level, row.name, row.scenario)]
        assert row.probability == pytest.approx(expected["probability"], abs=0.005)
        assert row.scenario in row.ties.split("|")


def test_refits_of_an_older_version_are_counted(result, table):
    kept = result["assumptions"].to_dataset()
    older = with_groups(result, {"assumptions": kept.drop_vars([name for name in kept if name.startswith("root_")])})
    found = assumptions(older)
    own = table["as_analysed"]
    assert found[own].equals(table[own])
    assert found.loc[~own, "probability"].to_numpy() == pytest.approx(table.loc[~own, "probability"], abs=0.06)


def test_the_headline_and_the_row_as_analysed_name_the_same_class(result, table):
    for level in ("mean", "new"):
        for decision in mb.decide(result, level):
            rows = table[table["as_analysed"] & (table["level"] == level) & (table["name"] == decision.name)]
            assert set(rows["scenario"]) == {decision.best.code}
            assert set(rows["probability"]) == {decision.best.probability}


def test_in_percentage_points_only_the_result_itself_has_classes(result):
    found = assumptions(reapply(result, ["scenarios.tolerance_points.delta_mcp=1"]))
    own = found["as_analysed"]
    assert found.loc[own, "probability"].notna().all() and (found.loc[own, "scenario"] != "").all()
    assert found.loc[~own, "probability"].isna().all() and set(found.loc[~own, "scenario"]) == {""}


def test_larger_assumed_errors_leave_less_heterogeneity(table):
    taus = table[table["assumption"] == CVS].groupby("value")["tau_comparison[necromass]"].first()
    assert taus["x 1/2"] > taus["x 1"] > taus["x 2"]


def test_a_value_that_was_used_and_is_not_among_the_usual_is_added(model):
    other = mb.load_model(settings=SETTINGS | {"data.defaults.rho_within": 0.3})
    made = simulate(studies=6, seed=3, missing_sd=1.0)[0]
    found = assumptions(mb.fit(mb.prepare(made, other), other, seed=2))
    rows = found[found["assumption"] == CORRELATION]
    rows = rows[rows["level"] == "mean"]
    assert rows["value"].tolist() == ["0", "0.3", "0.5", "0.9"]
    assert rows["as_analysed"].tolist() == [False, True, False, False]


def test_a_correlation_carried_by_its_prior_has_a_row_of_its_own(model):
    prior = {"priors.rho_within.distribution": "beta", "priors.rho_within.a": 6.0, "priors.rho_within.b": 2.0}
    carried = mb.load_model(settings=SETTINGS | prior | {"sampling.worlds": 3})
    made = simulate(studies=6, seed=3, missing_sd=1.0)[0]
    result = estimate(mb.fit(mb.prepare(made, carried), carried, seed=2))
    found = assumptions(result)
    own = found[found["as_analysed"]]
    assert set(zip(own["assumption"], own["value"], strict=True)) == {(CORRELATION, "prior")}
    assert found.loc[found["assumption"] == CORRELATION, "value"].unique().tolist() == ["prior", "0", "0.5", "0.9"]
    summary = summarise(result).set_index(["level", "name", "quantity"]).sort_index()
    assert_same_numbers(own, summary, scenario_table(result).set_index(["level", "name", "scenario"]).sort_index())


def test_nothing_imputed_gives_an_empty_table_with_the_same_columns(result, table):
    data = without_sd(result["data"].to_dataset(), "reported")
    some = with_groups(result, {"data": data}, drop=["assumptions"])
    assert set(assumptions(some)["assumption"]) == {CORRELATION}
    none = with_groups(
        some, {"data": data.assign(source_rho=data["source_rho"].copy(data=data["source_sd"][:, 0].values))}
    )
    assert assumptions(none).empty
    assert list(assumptions(none).columns) == list(table.columns)
    assert with_assumptions(none) is none


def test_stored_refits_are_summarised_anew_without_sampling(result, table, monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("no sampling")

    monkeypatch.setattr("mcpbayes.evidence.assumptions.sample", refuse)
    assert assumptions(result).equals(table)
    again = reapply(result, ["summary.interval_prob=0.5", "scenarios.tolerance_percent.soc=50"])
    changed = assumptions(again)
    assert (changed["lower"] > table["lower"]).all()
    assert set(changed["interval_prob"]) == {0.5}
    assert not changed["probability"].equals(table["probability"])


def test_it_survives_saving(result, table, tmp_path):
    assert assumptions(mb.load(mb.save(result, tmp_path / "r.nc"))).equals(table)


def test_a_result_of_another_engine_speaks_for_itself_and_is_not_sampled_again(result, table, monkeypatch):
    moved = result["posterior"].to_dataset().copy(deep=True)
    moved["beta"] += [0.5, 0.0]
    nuts = with_groups(result, {"posterior": moved}, drop=["assumptions"], engine="nuts")
    fits = []
    monkeypatch.setattr("mcpbayes.evidence.assumptions.sample", lambda *given: fits.append(1) or sample(*given))
    found = assumptions(nuts)
    assert len(fits) == 4  # half and twice the CVs, correlations 0 and 0.9
    own = table["as_analysed"]
    assert found.loc[own, "mean"].to_numpy() == pytest.approx(table.loc[own, "mean"].to_numpy() + 0.5)
    assert found.loc[~own, "mean"].to_numpy() == pytest.approx(table.loc[~own, "mean"].to_numpy(), rel=1e-12)


def test_necromass_database_heterogeneity_falls_and_the_mean_stays(shared_data, root):
    model = mb.load_model(root / "notebooks" / "sndb-pairs.toml", settings=SETTINGS)
    arms = mb.prepare(shared_data / "sndb_pairs_strict.csv", model)
    found = assumptions(mb.fit(arms, model, seed=1))
    cvs = found[found["assumption"] == CVS]
    tau = cvs.groupby("value")["tau_comparison[necromass]"].first()
    assert tau["x 1/2"] == pytest.approx(0.22, abs=0.02)
    assert tau["x 2"] == pytest.approx(0.03, abs=0.01)
    delta = cvs[(cvs["name"] == "kind=fertilizer") & (cvs["level"] == "mean")]["mean"]
    assert delta.max() - delta.min() < 0.01
