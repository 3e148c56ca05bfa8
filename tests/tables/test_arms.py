import json
import math

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import arm_table, comparison_table, spoilt

from mcpbayes.errors import DataError, SpecificationError
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table, prepare
from mcpbayes.tables.reading import read_table


def prepared(table, moderators=None, **settings):
    changes = {key.replace("__", "."): value for key, value in settings.items()}
    return prepare(
        table, load_model(settings={"data.dispersion.sd_model": "reported"} | changes, moderators=moderators)
    )


def test_log_means_and_covariances_are_those_of_the_formulas():
    data = prepared(comparison_table(rho_within=0.6))
    arm = data.sel(arm="S2: straw")
    necromass, soc, cv_n, cv_c = 7.3, 15.4, 1.0 / 7.3, 1.4 / 15.4
    assert arm["log_mean"].values == pytest.approx(
        [math.log(necromass) + cv_n**2 / 8, math.log(soc) + cv_c**2 / 8], rel=1e-14
    )
    c = 0.6 * cv_n * cv_c / 4
    np.testing.assert_allclose(arm["sampling_covariance"], [[cv_n**2 / 4, c], [c, cv_c**2 / 4]], rtol=1e-13)
    assert arm["source_sd"].values.tolist() == ["reported", "reported"]
    assert arm["source_n"].values.tolist() == ["reported", "reported"]
    assert arm["source_rho"] == "reported"
    assert json.loads(data.attrs["imputed"]) == {
        "sd": {"necromass": 0, "soc": 0},
        "n": {"necromass": 0, "soc": 0},
        "rho_within": 0,
    }


def test_without_bias_correction_the_log_mean_is_the_logarithm():
    data = prepared(comparison_table(), data__effect_size__bias_correction=False)
    np.testing.assert_array_equal(data["log_mean"], np.log(data["mean"]))


def test_silent_cells_take_the_defaults_and_are_counted():
    table = comparison_table()[
        ["study", "treatment", "necromass_control", "necromass_treatment", "soc_control", "soc_treatment"]
    ]
    data = prepared(table, data__defaults__n=5)
    assert (data["n"] == 5).all()
    np.testing.assert_array_equal(data["cv"], np.tile([0.2, 0.15], (12, 1)))
    assert json.loads(data.attrs["imputed"]) == {
        "sd": {"necromass": 12, "soc": 12},
        "n": {"necromass": 12, "soc": 12},
        "rho_within": 12,
    }
    assert set(data["source_rho"].values) == {"imputed"}


def test_se_and_cv_are_turned_into_cvs_and_called_derived():
    table = spoilt(comparison_table(), 2, soc_treatment_sd="", soc_treatment_se=0.7)
    table = spoilt(table, 3, soc_treatment_sd="", soc_treatment_cv=0.11)
    data = prepared(table).sel(outcome="soc")
    assert data["cv"].sel(arm="S1: manure") == pytest.approx(0.7 * 2 / 13.0, rel=1e-14)
    assert data["cv"].sel(arm="S1: straw") == pytest.approx(0.11, rel=1e-14)
    assert data["source_sd"].sel(arm=["S1: manure", "S1: straw"]).values.tolist() == ["derived", "derived"]


def test_an_se_gives_its_variance_whatever_n_is_assumed():
    table = (
        comparison_table().drop(columns=["n_control", "n_treatment", "soc_treatment_sd"]).assign(soc_treatment_se=0.7)
    )
    small, large = (prepared(table, data__defaults__n=n).sel(arm="S1: manure") for n in (3, 12))
    expected = (0.7 / 13.0) ** 2
    for data in (small, large):
        assert data["sampling_covariance"].values[1, 1] == pytest.approx(expected, rel=1e-13)
        assert data["source_n"].sel(outcome="soc") == "imputed"


def test_sd_and_se_together_tell_n():
    table = comparison_table(soc_treatment_se=1.4 / math.sqrt(6)).drop(columns=["n_treatment"])
    data = prepared(table).sel(arm="S1: manure")
    assert data["n"].values.tolist() == [3.0, 6.0]
    assert data["source_n"].values.tolist() == ["imputed", "derived"]


def test_n_of_a_pool_goes_before_n_of_the_arm():
    data = prepared(spoilt(comparison_table(), 2, necromass_n_treatment=3)).sel(arm="S1: manure")
    assert data["n"].values.tolist() == [3.0, 4.0]
    cv = data["cv"].values
    assert data["sampling_covariance"].values[0, 1] == pytest.approx(0.5 * cv[0] * cv[1] / 4, rel=1e-13)


def test_a_missing_pool_is_missing_everywhere_and_nothing_else_is():
    data = prepared(spoilt(comparison_table(), 2, necromass_treatment=""))
    arm = data.sel(arm="S1: manure")
    assert np.isnan(arm["log_mean"].values).tolist() == [True, False]
    assert np.isnan(arm["sampling_covariance"].values).tolist() == [[True, True], [True, False]]
    assert arm["source_sd"].values.tolist() == ["", "reported"]
    assert arm["source_rho"] == ""
    others = data.drop_sel(arm="S1: manure")
    assert np.isfinite(others["sampling_covariance"]).all()


def test_mg_per_kg_gives_the_same_arms():
    grams = comparison_table()
    milligrams = grams.copy()
    for column in grams:
        if column.startswith("necromass"):
            milligrams[column] = 1000 * grams[column]
    same, other = prepared(grams), prepared(milligrams, data__units__necromass="mg/kg")
    np.testing.assert_allclose(other["log_mean"], same["log_mean"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(other["sampling_covariance"], same["sampling_covariance"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(other["mean"], same["mean"], rtol=1e-12)


def test_arm_by_arm_gives_what_row_by_row_gives():
    wide, long = prepared(comparison_table(control_id="CK")), prepared(arm_table(), data__layout="arm")
    assert long["source_row"].values.tolist() == [3, 4, 6, 7, 9, 10, 12, 13]
    xr.testing.assert_identical(
        long.drop_vars("source_row").drop_attrs(deep=False), wide.drop_vars("source_row").drop_attrs(deep=False)
    )


def test_arms_of_a_layout_may_have_their_own_correlations_and_take_their_place_from_the_control():
    table = spoilt(arm_table(), 2, rho_within=0.3, site="north", clay=17)
    table = spoilt(table, 3, rho_within=0.8, clay=18)
    table = spoilt(table, 4, clay="").assign(depth_top=0, depth_bottom=20)
    table["clay"] = table["clay"].where(table["study"] == "S1", 25)
    data = prepared(table, moderators="~ clay", data__layout="arm")
    assert data["rho_within"].sel(arm=["S1: CK", "S1: manure", "S1: straw"]).values.tolist() == [0.3, 0.8, 0.5]
    assert data["site"].values.tolist() == ["S1: north", "S2", "S3", "S4"]
    assert data["moderator_clay"].values.tolist() == [18, 17, 25, 25, 25, 25, 25, 25]


def test_the_correlation_of_a_shared_control_does_not_depend_on_the_order_of_its_rows():
    table = comparison_table(rho_within=[0.2, 0.8] * 4)
    forward, backward = prepared(table), prepared(table.iloc[::-1])
    assert forward["rho_within"].sel(arm="S1: control 1") == 0.5
    xr.testing.assert_equal(forward.drop_vars("source_row"), backward.drop_vars("source_row"))


def test_controls_come_first_then_treated_arms_in_the_order_of_the_comparisons():
    data = prepared(comparison_table())
    assert data["arm"].values.tolist() == data["control"].values.tolist() + data["comparison"].values.tolist()
    assert data["treated"].values.tolist() == [False] * 4 + [True] * 8
    assert data["arm_of_comparison"].values.tolist() == data["comparison"].values.tolist()
    assert data["control_of_arm"].sel(arm="S3: straw") == "S3: control 1"


def test_a_control_that_is_called_like_a_comparison_is_told_apart():
    data = prepared(comparison_table(studies=2, control_id="manure"))
    assert data["arm"].values.tolist()[:3] == ["S1: manure (control)", "S2: manure (control)", "S1: manure"]
    assert data["control"].values.tolist() == ["S1: manure", "S2: manure"]
    assert data["control_of_arm"].sel(arm="S1: manure (control)") == "S1: manure"


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.permutations(range(8)), st.randoms(use_true_random=False))
def test_the_order_of_rows_and_columns_leaves_no_trace(order, random):
    table = comparison_table(
        site=["a", "a", "b", "b", "c", "c", "d", ""],
        depth_top=0,
        depth_bottom=[10, 20, 10, 10, 20, 20, 20, 20],
        clay=[20.0, 21.0, 10.1, 10.2, 33.3, 15.0, 17.0, 40.0],
        comparison=["x", "x", "x", "10", "9", "", "", "x"],
    )
    table = spoilt(table, 7, necromass_control="")
    shuffled = table.iloc[list(order)][random.sample(list(table), len(table.columns))]
    first, second = (prepared(t, moderators="~ clay") for t in (table, shuffled))
    xr.testing.assert_equal(first.drop_vars("source_row"), second.drop_vars("source_row"))
    assert list(first["comparison"].values) == list(second["comparison"].values)
    assert first["design"].attrs == second["design"].attrs
    by_name = dict(zip(second["comparison"].values, second["source_row"].values, strict=True))
    assert [order[by_name[name] - 2] + 2 for name in first["comparison"].values] == first["source_row"].values.tolist()


def test_odd_names_survive_and_can_be_saved(tmp_path):
    odd = 'Müller, "Boden" <b>& co</b> 土壌'
    table = comparison_table(studies=2, study=[odd, odd, "S2", "S2"], treatment=["<i>N, P</i>", "é", "ü'ß", '"q"'])
    path = tmp_path / "odd, näme.csv"
    table.to_csv(path, index=False)
    data = prepared(path, data__layout="comparison")
    assert data["study"].values.tolist() == [odd, "S2"]
    assert f"{odd}: <i>N, P</i>" in data["comparison"].values
    file = tmp_path / "data.nc"
    xr.DataTree.from_dict({"data": data}).to_netcdf(file, engine="h5netcdf")
    with xr.open_datatree(file, engine="h5netcdf") as tree:
        loaded = tree["data"].load().to_dataset()
    assert loaded["comparison"].values.tolist() == data["comparison"].values.tolist()
    assert loaded["source_sd"].values.tolist() == data["source_sd"].values.tolist()
    assert loaded.attrs["problems"] == data.attrs["problems"]


def test_the_design_and_the_moderators_travel_with_the_data():
    table = comparison_table(clay=[20, 22, 10, 12, 30, 32, 15, 17], crop=list("aabbaabb"))
    data = prepared(table, moderators="~ clay + crop")
    assert data["coefficient"].values.tolist() == ["intercept", "clay", "crop[a]"]
    assert data["moderator_clay"].values.tolist() == table["clay"].tolist()
    assert data["moderator_crop"].values.tolist() == table["crop"].tolist()
    assert "terms" in json.loads(data["design"].attrs["recipe"])
    mapped = table.rename(columns={"clay": "Clay (%)"})
    same = prepared(mapped, moderators="~ clay + crop", data__columns__clay="Clay (%)")
    np.testing.assert_array_equal(same["design"], data["design"])


def test_problems_and_source_travel_with_the_data(tmp_path):
    path = tmp_path / "pairs.csv"
    spoilt(comparison_table(), 3, necromass_treatment=15.0).to_csv(path, index=False)
    table = read_table(path)
    data = prepare(table, load_model())
    assert data.attrs["source"] == "pairs.csv"
    assert data.attrs["source_sha256"] == table.attrs["sha256"]
    (problem,) = json.loads(data.attrs["problems"])
    assert problem["check"] == "necromass-exceeds-soc"
    assert problem["rows"] == [3]


def test_errors_raise_and_warnings_do_not():
    with pytest.raises(DataError, match="row 3, column soc_control") as caught:
        prepare(spoilt(comparison_table(), 3, soc_control=-1, necromass_treatment=15.0), load_model())
    assert [p.severity for p in caught.value.problems] == ["error"]


def test_a_constant_moderator_is_refused():
    with pytest.raises(SpecificationError, match="same in every row"):
        prepared(comparison_table(clay=20), moderators="~ clay")


def test_findings_come_errors_first():
    table = spoilt(spoilt(comparison_table(), 3, necromass_treatment=15.0), 9, soc_control="?")
    assert [p.severity for p in check_table(table, load_model())] == ["error", "warning"]


def test_many_rows_share_their_controls_in_pairs():
    rng = np.random.default_rng(0)
    n = 3_000
    table = pd.DataFrame(
        {
            "study": np.char.add("S", (np.arange(n) // 20).astype(str)),
            "treatment": rng.choice(["a", "b", "c"], n),
            "necromass_control": rng.uniform(5, 6, n // 2).repeat(2),
            "soc_control": rng.uniform(12, 20, n // 2).repeat(2),
            "necromass_treatment": rng.uniform(5, 6, n),
            "soc_treatment": rng.uniform(12, 20, n),
        }
    )
    data = prepared(table)
    assert (data.sizes["study"], data.sizes["control"], data.sizes["arm"]) == (150, 1_500, 4_500)
    assert sorted(data["source_row"].values) == list(range(2, n + 2))


def test_the_real_pairs_are_read_as_they_are(shared_data, root):
    model = load_model(root / "notebooks" / "sndb-pairs.toml")
    data = prepare(shared_data / "sndb_pairs_strict.csv", model)
    sizes = {dim: data.sizes[dim] for dim in ("study", "control", "comparison", "arm", "site", "kind")}
    assert sizes == {"study": 15, "control": 39, "comparison": 99, "arm": 138, "site": 18, "kind": 5}
    assert (data.attrs["level_kind"], data.attrs["level_site"]) == ("on", "off")
    assert {"151: No tillage", "151: Grubber (24)", "25: stover compost (2)"} <= set(data["comparison"].values)
    problems = {p["check"]: p for p in json.loads(data.attrs["problems"])}
    notes = {"largest-study", "columns-unused", "which-carbon"}
    assert set(problems) == {"kind-in-one-study", "several-depths-of-one-site", "no-sd"} | notes
    assert problems["several-depths-of-one-site"]["message"].startswith("5 sites")
    assert problems["largest-study"]["value"] == "151"
    assert json.loads(data.attrs["imputed"])["sd"] == {"necromass": 138, "soc": 138}
    assert check_table(shared_data / "sndb_pairs_strict.csv", model)


def test_the_real_pairs_have_the_covariance_of_the_reference(shared_data, shared_reference, root):
    settings = {"data.effect_size.bias_correction": False, "data.defaults.cv": {"necromass": 0.15, "soc": 0.10}}
    data = prepare(
        shared_data / "sndb_pairs_strict.csv", load_model(root / "notebooks" / "sndb-pairs.toml", settings=settings)
    )
    data = data.isel(comparison=np.argsort(data["source_row"].values))
    n, control, arm = data.sizes["comparison"], data["control_of_comparison"].values, data["arm_of_comparison"].values
    covariance = data["sampling_covariance"]
    dense = np.einsum("ij,ikl->ikjl", control[:, None] == control, covariance.sel(arm=control).values)
    dense += np.einsum("ij,ikl->ikjl", np.eye(n), covariance.sel(arm=arm).values)
    expected = np.loadtxt(shared_reference / "h_sndb_V.csv", delimiter=",")
    np.testing.assert_allclose(dense.reshape(2 * n, 2 * n), expected, atol=1e-11)
    contrast = data["log_mean"].sel(arm=arm).values - data["log_mean"].sel(arm=control).values
    long = pd.read_csv(shared_reference / "h_sndb_long.csv")
    np.testing.assert_allclose(contrast.ravel(), long["yi"], atol=1e-12)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.data())
def test_spoilt_tables_are_refused_or_prepared_never_a_crash(data):
    junk = st.sampled_from(
        ["", "n.d.", "0", "-1", "1e400", "nan", "1000", "0.0001", "CK", "<b>", "5,3", "1e-300", " x "]
    )
    layout = data.draw(st.sampled_from(["comparison", "arm"]))
    table = (
        comparison_table(control_id="CK", clay=range(8))
        if layout == "comparison"
        else arm_table().assign(clay=range(12))
    )
    for _ in range(data.draw(st.integers(0, 4))):
        row = data.draw(st.integers(2, len(table) + 1))
        table = spoilt(table, row, **{data.draw(st.sampled_from(list(table))): data.draw(junk)})
    model = load_model(moderators="~ clay", settings={"data.layout": layout, "moderators.missing": "drop"})
    errors = [p for p in check_table(table, model) if p.severity == "error"]
    if errors:
        with pytest.raises(DataError) as caught:
            prepare(table, model)
        assert set(caught.value.problems) == set(errors)
    else:
        assert np.isfinite(prepare(table, model)["design"]).all()
