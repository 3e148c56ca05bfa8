import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.errors import SpecificationError
from mcpbayes.inference.assumed import (
    imputed_correlations,
    imputed_dispersions,
    with_correlation,
    with_dispersion,
)
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import prepare


def comparison_table(**columns):
    """Two treatments against one control in each of four studies, SDs and n reported."""
    s, k = np.divmod(np.arange(8), 2)
    table = pd.DataFrame({"study": [f"S{i + 1}" for i in s], "treatment": np.where(k, "straw", "manure")})
    table = table.assign(necromass_control=5.0 + s, necromass_treatment=6.0 + s + 0.3 * k)
    table = table.assign(soc_control=12.0 + 2 * s, soc_treatment=13.0 + 2 * s + 0.4 * k, n_control=4, n_treatment=4)
    table = table.assign(necromass_control_sd=0.8 + 0.1 * s, necromass_treatment_sd=0.9, soc_control_sd=1.2)
    return table.assign(soc_treatment_sd=1.4, **columns)


def contrast_table(**columns):
    """Two contrasts that name the same control in each of four studies."""
    s, k = np.divmod(np.arange(8), 2)
    table = pd.DataFrame(
        {"study": [f"S{i + 1}" for i in s], "comparison": [f"T{i + 1}" for i in k], "control_id": "CK"}
    )
    table = table.assign(yi_necromass=0.1 + 0.02 * s, yi_soc=0.05 + 0.01 * s, rho=0.5)
    return table.assign(vi_necromass=0.012 + 0.001 * k, vi_soc=0.008 + 0.001 * s).assign(**columns)


def spoilt(table, row, **cells):
    """The table with some cells of one spreadsheet row replaced."""
    table = table.astype(object)
    for column, value in cells.items():
        table.loc[row - 2, column] = value
    return table


SDS = [f"{pool}_{arm}_sd" for pool in ("necromass", "soc") for arm in ("control", "treatment")]


def arms(rows_without_sd=(2, 3, 6), **changes):
    table = comparison_table()
    for row in rows_without_sd:
        table = spoilt(table, row, **dict.fromkeys(SDS, ""))
    settings = {key.replace("__", "."): value for key, value in changes.items()}
    return prepare(table, load_model(settings={"data.dispersion.sd_model": "reported"} | settings))


def test_it_is_known_what_was_imputed():
    data = arms()
    flags = imputed_dispersions(data)
    assert flags.sum() == (data["source_sd"] == "imputed").sum() > 0
    assert not flags.all()
    assert imputed_correlations(data).all()
    contrasts = prepare(spoilt(contrast_table(), 2, rho=""), load_model("contrast-based"))
    assert imputed_dispersions(contrasts).size == 0
    assert imputed_correlations(contrasts).tolist() == [True] + [False] * 7
    one = prepare(
        contrast_table(),
        load_model(
            "contrast-based", settings={"data.outcomes": ["soc"], "data.columns": {"yi": "yi_soc", "vi": "vi_soc"}}
        ),
    )
    assert imputed_correlations(one).size == 0


@settings(max_examples=15, deadline=None, derandomize=True)
@given(factor=st.floats(0.3, 3.0), rho=st.floats(-0.9, 0.9), correct=st.booleans())
def test_replacing_assumptions_is_preparing_with_other_defaults(factor, rho, correct):
    """The table prepared anew with these defaults is the reference: means, CVs, covariances, to rounding."""
    data = arms(data__effect_size__bias_correction=correct)
    made = with_correlation(with_dispersion(data, factor, bias_correction=correct), rho)
    expected = arms(
        data__effect_size__bias_correction=correct,
        data__defaults__cv={"necromass": 0.20 * factor, "soc": 0.15 * factor},
        data__defaults__rho_within=rho,
    )
    for name in ("log_mean", "cv", "rho_within", "sampling_covariance"):
        np.testing.assert_allclose(made[name], expected[name], rtol=1e-12, err_msg=name)
    assert not np.allclose(data["sampling_covariance"], made["sampling_covariance"]) or (factor, rho) == (1.0, 0.5)


def test_what_was_reported_stays_to_the_bit():
    data = arms()
    made = with_dispersion(data, 2.0, bias_correction=True)
    reported = ~imputed_dispersions(data)
    assert (made["log_mean"].values[reported] == data["log_mean"].values[reported]).all()
    whole = reported.all(axis=1)
    assert (made["sampling_covariance"].values[whole] == data["sampling_covariance"].values[whole]).all()
    assert (made["log_mean"].values[~reported] > data["log_mean"].values[~reported]).all()
    with_rho = prepare(comparison_table(rho_within=0.3), load_model(settings={"data.dispersion.sd_model": "reported"}))
    assert with_correlation(with_rho, 0.8).equals(with_rho)


@pytest.mark.parametrize("rho", [-0.4, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("own", [{"rho": 0.2}, {}])
@pytest.mark.parametrize("given", [{}, {"v_control_necromass": 0.004, "v_control_soc": 0.003}])
def test_contrasts_and_what_their_controls_share_follow(rho, own, given):
    """Rows of one control, perhaps one with a correlation of its own; V_0g assumed wholly, or its covariance only."""
    if own and given and rho == 0.9:
        pytest.skip("no covariance is both: the next test")
    table = spoilt(contrast_table(**{"rho": ""} | given), 4, **own)
    made = with_correlation(prepare(table, load_model("contrast-based")), rho)
    expected = prepare(table, load_model("contrast-based", settings={"data.defaults.rho_within": rho}))
    for name in ("sampling_covariance", "control_covariance"):
        np.testing.assert_allclose(made[name], expected[name], rtol=1e-9, atol=1e-15, err_msg=name)
    assert made.attrs["rho_assumed"] == rho


def test_what_a_control_and_other_rows_report_can_exclude_a_correlation():
    table = spoilt(contrast_table(rho="", v_control_necromass=0.004, v_control_soc=0.003), 4, rho=0.2)
    data = prepare(table, load_model("contrast-based"))
    with pytest.raises(SpecificationError, match=r"0\.9 does not go together with .* rows of one control report"):
        with_correlation(data, 0.9)


def test_a_reported_covariance_of_a_control_stays():
    shared = {"v_control_necromass": 0.004, "v_control_soc": 0.003, "cov_control": 0.001}
    data = prepare(contrast_table(rho="", **shared), load_model("contrast-based"))
    made = with_correlation(data, 0.3)
    np.testing.assert_array_equal(made["control_covariance"], data["control_covariance"])
    assert not made["sampling_covariance"].equals(data["sampling_covariance"])
