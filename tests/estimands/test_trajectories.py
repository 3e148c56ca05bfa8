"""Two pools after a change of management, and the catalogue of one trajectory per class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import classify_effects
from mcpbayes.estimands.model_scenarios import ENTRIES, model_scenario_table, model_scenarios
from mcpbayes.estimands.trajectories import SOC_BEFORE
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.loading import load_model

CHANGES = st.floats(-2.5, 2.5)
RATES = st.floats(1 / 200, 1.0)
SHARES = st.floats(0.01, 0.99)
TIMES = st.floats(0.0, 400.0)


def effects(a_n, a_p, k_n, k_p, ratio, t):
    theta_n = log_pool_change(a_n, k_n, t)
    return theta_n, log_soc_change(theta_n, log_pool_change(a_p, k_p, t), ratio)


@given(CHANGES, CHANGES, RATES, RATES, SHARES)
def test_nothing_has_moved_when_the_change_begins(a_n, a_p, k_n, k_p, ratio):
    assert effects(a_n, a_p, k_n, k_p, ratio, 0.0) == (0.0, 0.0)


@given(CHANGES, CHANGES, RATES, RATES, SHARES)
def test_in_the_end_each_pool_has_its_new_steady_state(a_n, a_p, k_n, k_p, ratio):
    theta_n, theta_c = effects(a_n, a_p, k_n, k_p, ratio, np.inf)
    assert theta_n == pytest.approx(a_n, abs=1e-13)
    assert log_pool_change(a_p, k_p, np.inf) == pytest.approx(a_p, abs=1e-13)
    assert theta_c == pytest.approx(np.log(ratio * np.exp(a_n) + (1 - ratio) * np.exp(a_p)), abs=1e-13)


@given(CHANGES, RATES, SHARES, TIMES)
def test_pools_alike_in_change_and_turnover_never_change_their_ratio(a, k, ratio, t):
    theta_n, theta_c = effects(a, a, k, k, ratio, t)
    assert theta_n - theta_c == pytest.approx(0.0, abs=1e-14)


@given(CHANGES, CHANGES, RATES, RATES, TIMES)
def test_soc_that_is_all_necromass_follows_it_and_without_any_follows_the_rest(a_n, a_p, k_n, k_p, t):
    theta_n, all_necromass = effects(a_n, a_p, k_n, k_p, 1.0, t)
    assert all_necromass == pytest.approx(theta_n, abs=1e-14)
    assert effects(a_n, a_p, k_n, k_p, 1 - 1e-12, t)[1] == pytest.approx(theta_n, abs=1e-9)
    assert effects(a_n, a_p, k_n, k_p, 0.0, t)[1] == pytest.approx(log_pool_change(a_p, k_p, t), abs=1e-14)


@given(CHANGES, RATES, TIMES, TIMES)
def test_a_pool_moves_towards_its_new_steady_state_and_never_beyond(a, k, one, other):
    early, late = (abs(float(log_pool_change(a, k, t))) for t in sorted((one, other)))
    assert early <= late + 1e-15 and late <= abs(a) + 1e-13


@given(CHANGES, CHANGES, RATES, RATES, SHARES, TIMES)
def test_soc_lies_between_its_pools(a_n, a_p, k_n, k_p, ratio, t):
    theta_n, theta_c = effects(a_n, a_p, k_n, k_p, ratio, t)
    low, high = sorted((float(theta_n), float(log_pool_change(a_p, k_p, t))))
    assert low - 1e-13 <= theta_c <= high + 1e-13


def test_the_closed_form_solves_the_balance_of_inputs_and_losses():
    """dx/dt = input − k x, the input raised at t = 0 by the factor e^a: integrated numerically as the other route."""
    a, k, before = np.log([1.6, 0.7]), np.array([1 / 30, 1 / 12]), np.array([9.0, 11.0])
    years = np.linspace(0, 80, 9)
    solved = solve_ivp(
        lambda t, x: k * before * np.exp(a) - k * x, (0, 80), before, t_eval=years, rtol=1e-10, atol=1e-12
    ).y
    theta_n, theta_p = (log_pool_change(a[j], k[j], years) for j in (0, 1))
    assert np.allclose(theta_n, np.log(solved[0] / before[0]), atol=1e-8)
    soc = log_soc_change(theta_n, theta_p, before[0] / before.sum())
    assert np.allclose(soc, np.log(solved.sum(axis=0) / before.sum()), atol=1e-8)


# The catalogue


def test_the_catalogue_has_one_entry_per_class_in_ring_order():
    assert tuple(ENTRIES) == words.SCENARIOS
    assert tuple(model_scenarios()["scenario"].values) == words.SCENARIOS


@pytest.mark.parametrize("code", words.SCENARIOS)
def test_an_entry_ends_in_its_class_stays_there_most_of_the_time_and_in_the_long_run(code):
    at = model_scenarios()["scenario_at"].sel(scenario=code)
    assert at.values[-1] == code
    assert (at == code).mean() > 0.8
    assert model_scenarios([0, 1e6])["scenario_at"].sel(scenario=code).values.tolist() == ["N0C0r0", code]


def test_pools_ratio_and_effects_belong_together():
    found = model_scenarios([0, 7.5, 60])
    theta_n, theta_c = (found["effect"].sel(outcome=pool) for pool in ("necromass", "soc"))
    assert np.allclose(found["mcp_efficacy"], found["necromass"] / found["soc"], rtol=1e-13)
    assert np.allclose(theta_n, np.log(found["necromass"] / found["necromass"].sel(year=0)), atol=1e-13)
    assert np.allclose(theta_c, np.log(found["soc"] / SOC_BEFORE), atol=1e-13)
    assert np.allclose(found["log_delta_mcp"], theta_n - theta_c, atol=1e-14)
    assert (found["necromass"] < found["soc"]).all()
    scheme = load_model("arm-based").scenarios
    codes = classify_effects(theta_n.values, theta_c.values, scheme)
    assert (np.array(words.SCENARIOS)[codes] == found["scenario_at"].values).all()


def test_the_turnover_times_lie_where_the_prior_has_its_probability():
    rates = model_scenarios()["turnover_rate"].values
    low, high = np.exp(np.log(1 / 25) + 0.7 * 1.96 * np.array([-1, 1]))
    assert (rates > low).all() and (rates < high).all()


def test_mechanisms_are_one_sentence_each_and_all_different():
    mechanisms = [str(text) for text in model_scenarios()["mechanism"].values]
    assert len(set(mechanisms)) == 13
    for text in mechanisms:
        assert text[0].isupper() and text.endswith(".") and text.count(".") == 1


def test_the_table_says_what_the_trajectories_do():
    table, found = mb.model_scenario_table(), mb.model_scenarios()
    assert table["scenario"].tolist() == list(words.SCENARIOS)
    last = found.isel(year=-1)
    assert np.allclose(table["delta_mcp"], last["mcp_efficacy"] - found["mcp_efficacy_control"])
    assert np.allclose(table["soc_change_percent"], 100 * (last["soc"] / SOC_BEFORE - 1))
    for row, code in zip(table.itertuples(), words.SCENARIOS, strict=True):
        at = found["scenario_at"].sel(scenario=code)
        assert (at.sel(year=slice(row.first_year, None)) == code).all()
        assert row.first_year == 0 or at.sel(year=row.first_year - 1) != code


def test_other_tolerances_can_leave_a_class_unreached_and_the_table_says_so():
    scheme = load_model("arm-based", settings=["scenarios.tolerance_percent.soc=60"]).scenarios
    table = model_scenario_table(scheme).set_index("scenario")
    assert np.isnan(table.loc["N+C+r0", "first_year"])
    assert table.loc["N0C0r0", "first_year"] == 0
