"""Forecasts of made-up draws: the equations, the levels, scenarios counted, crossings, and what is refused."""

import re

import fakes
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes.errors import SpecificationError, StageError
from mcpbayes.estimands.classes import classify_effects
from mcpbayes.estimands.crossings import first_crossings
from mcpbayes.estimands.curves import population_targets
from mcpbayes.estimands.paths import Paths, effects_at, prior_paths
from mcpbayes.estimands.targets import population_points
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.catalogue import read_card
from mcpbayes.specification.loading import load_model

YEARS = [5, 10, 50]


@pytest.fixture(scope="module")
def result() -> xr.DataTree:
    return mb.forecast(fake_two_pools(), YEARS)


def one_path(a, k, ratio, w=(0.0, 0.0)):
    columns = (np.array(pair, dtype=float) for pair in (a, w, k))
    change, residual, rate = columns
    return Paths(change[None, :, None], residual[None, :, None], rate[:, None], np.array([[ratio]]))


CHANGES, RATES, SHARES, TIMES = st.floats(-2, 2), st.floats(0.005, 1), st.floats(0.01, 0.99), st.floats(0, 300)


@given(CHANGES, CHANGES, RATES, RATES, SHARES)
def test_without_residuals_nothing_has_moved_at_first(a_n, a_p, k_n, k_p, ratio):
    assert effects_at(one_path((a_n, a_p), (k_n, k_p), ratio), 0.0) == pytest.approx(0.0, abs=1e-14)


@given(CHANGES, CHANGES, RATES, RATES, SHARES)
def test_in_the_end_each_pool_is_at_its_new_steady_state(a_n, a_p, k_n, k_p, ratio):
    theta_n, theta_c = effects_at(one_path((a_n, a_p), (k_n, k_p), ratio), np.inf)[0, :, 0]
    assert theta_n == pytest.approx(a_n, abs=1e-12)
    assert theta_c == pytest.approx(np.log(ratio * np.exp(a_n) + (1 - ratio) * np.exp(a_p)), abs=1e-12)


@given(CHANGES, RATES, SHARES, TIMES)
def test_pools_alike_never_change_their_ratio(a, k, ratio, t):
    theta_n, theta_c = effects_at(one_path((a, a), (k, k), ratio), t)[0, :, 0]
    assert theta_n - theta_c == pytest.approx(0.0, abs=1e-13)


@given(CHANGES, CHANGES, RATES, RATES, TIMES)
def test_soc_that_is_nearly_all_necromass_follows_it(a_n, a_p, k_n, k_p, t):
    theta_n, theta_c = effects_at(one_path((a_n, a_p), (k_n, k_p), 1 - 1e-12), t)[0, :, 0]
    assert theta_c == pytest.approx(theta_n, abs=1e-9)


@given(CHANGES, CHANGES, SHARES, st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_residual_shifts_its_pool_by_as_much(a_n, a_p, ratio, w_n, w_p):
    theta_n, theta_c = effects_at(one_path((a_n, a_p), (0.1, 0.1), ratio, (w_n, w_p)), 7.0)[0, :, 0]
    n, p = log_pool_change(a_n, 0.1, 7.0) + w_n, log_pool_change(a_p, 0.1, 7.0) + w_p
    assert theta_n == pytest.approx(n, abs=1e-13) and theta_c == pytest.approx(log_soc_change(n, p, ratio), abs=1e-12)


def test_level_mean_is_the_equations_at_every_draw(result):
    found, posterior = result["forecast"].to_dataset(), result["posterior"].to_dataset()
    a, k = (posterior[name].transpose(..., "pool").values for name in ("beta", "turnover_rate"))
    # two controls in each of five studies: equal weights
    r0 = posterior["mcp_efficacy_control"].mean("control").values
    mean = found.sel(target="mean: average")
    for i, year in enumerate([*YEARS, np.inf]):
        n, p = (log_pool_change(a[:, :, 0, j], k[..., j], year) for j in (0, 1))
        c = log_soc_change(n, p, r0)
        here = mean.isel(horizon=i)
        np.testing.assert_allclose(here["effect"].transpose(..., "outcome"), np.stack([n, c], axis=-1), atol=1e-12)
        np.testing.assert_allclose(here["log_delta_mcp"], n - c, atol=1e-12)
        np.testing.assert_allclose(here["delta_mcp"], r0 * np.expm1(n - c), atol=1e-12)
        np.testing.assert_allclose(here["mcp_efficacy_treatment"], r0 * np.exp(n - c), atol=1e-12)
        soc = np.exp(posterior["baseline"].sel(outcome="soc")).mean("control").values
        np.testing.assert_allclose(here["soc_change"], soc * np.expm1(c), atol=1e-12)
    assert found["soc_change"].attrs["units"] == "g/kg"


def test_level_new_spreads_by_all_levels():
    """4 × 2500 draws, a and k fixed: at t → ∞ Var(θ_N) is τ_study² + τ_comparison², within 5 of its errors."""
    found = mb.forecast(fake_two_pools(spread=0.0, residual=0.2, draws=2500), [1])["forecast"]
    last = found["effect"].sel(target="new: average", horizon="new steady state", outcome="necromass").values
    variance = 2 * 0.2**2
    assert abs(last.var() / variance - 1) < 5 * np.sqrt(2 / last.size)
    first = found["effect"].sel(target="mean: average", horizon="1 year", outcome="necromass").values
    assert np.ptp(first) == 0.0


def test_probabilities_are_frequencies_of_classes(result):
    found, scheme = result["forecast"].to_dataset(), load_model("two-pool").scenarios
    theta_n, theta_c = (found["effect"].sel(outcome=pool).values for pool in ("necromass", "soc"))
    codes = classify_effects(theta_n, theta_c, scheme)
    expected = np.stack([(codes == code).mean(axis=(0, 1)) for code in range(13)], axis=-1)
    np.testing.assert_allclose(found["probability"].values, expected, atol=1e-12)
    for name in ("probability", "prior_probability", "change_probability"):
        np.testing.assert_allclose(found[name].values.sum(axis=-1), 1.0, atol=1e-12)


def test_horizons_are_in_order_each_once_and_end_with_the_steady_state():
    found = mb.forecast(fake_two_pools(), [50, 1, 10, 50.0])["forecast"]
    assert found["horizon"].values.tolist() == ["1 year", "10 years", "50 years", "new steady state"]
    assert found["years"].values.tolist() == [1, 10, 50, np.inf]
    assert found["extrapolated"].values.tolist() == [0, 0, 1, 1] and found.attrs["longest_duration"] == 30


def test_a_single_year_needs_no_list():
    fake = fake_two_pools()
    assert mb.forecast(fake, 10)["forecast"].identical(mb.forecast(fake, [10])["forecast"])


def test_the_same_seed_gives_the_same_numbers_whatever_years_are_asked(result):
    again = mb.forecast(fake_two_pools(), [10, 70])["forecast"].to_dataset()
    for name in ("effect", "soc_change"):
        one, other = (each[name].sel(horizon="10 years") for each in (result["forecast"], again))
        assert np.array_equal(one.values, other.values)
    one, other = (mb.forecast(fake_two_pools(), years, since=2)["forecast"] for years in ([10], [3, 10, 200]))
    for name in ("crossed", "crossed_mcse", "crossing_year", "crossing_year_lower", "crossing_year_upper"):
        for horizon in ("10 years", "new steady state"):
            np.testing.assert_array_equal(one[name].sel(horizon=horizon), other[name].sel(horizon=horizon))


def test_a_reference_ratio_replaces_that_of_the_controls():
    found = mb.forecast(fake_two_pools(settings=("delta_mcp.reference=0.6",)), [10])["forecast"]
    ratio = found["mcp_efficacy_treatment"] / np.exp(found["log_delta_mcp"])
    np.testing.assert_allclose(ratio.values, 0.6, atol=1e-12)


def test_absolute_tolerances_hang_on_the_drawn_ratio():
    points = mb.forecast(fake_two_pools(), YEARS, settings=["scenarios.tolerance_points.delta_mcp=3"])["forecast"]
    change = points["delta_mcp"].values
    expected = np.stack([(change > 0.03), (abs(change) <= 0.03), (change < -0.03)], axis=-1).mean(axis=(0, 1))
    np.testing.assert_allclose(points["change_probability"].values, expected, atol=2e-3)


def test_merged_classes_are_one():
    settings_ = ['scenarios.merge.up=["N+C+r+", "N+C+r0", "N+C+r-"]']
    merged = mb.forecast(fake_two_pools(), YEARS, settings=settings_)["forecast"]["probability"]
    plain = mb.forecast(fake_two_pools(), YEARS)["forecast"]["probability"]
    three = plain.sel(scenario=["N+C+r+", "N+C+r0", "N+C+r-"]).sum("scenario")
    np.testing.assert_allclose(merged.sel(scenario="up").values, three.values, atol=1e-12)


def test_crossings_of_known_classes():
    """Class 0 up to year 4, then 1, and 0 again from year 8 on; a second trajectory never moves; a third at the end."""

    def codes_at(year):
        year = np.broadcast_to(year, (1, 3))
        return np.where([[1, 0, 0]], (year >= 4) & (year < 8), [[0, 0, 2]] * np.isinf(year)).astype(int)

    first, crossed = first_crossings(codes_at, 1.0, np.array([2.0, 4.001, 10.0, np.inf]))
    assert first[0, 0] == pytest.approx(4.0, abs=1e-4) and np.isinf(first[0, 1:]).all()
    assert crossed[:, 0].tolist() == [[False] * 3, [True, False, False], [True, False, False], [True, False, True]]


def test_crossings_grow_with_time_and_know_their_year():
    """Every draw alike, a_N = 0.5, k = 0.05: θ_N passes ln 1.05 at t = −ln(1 − 0.05/(e^0.5 − 1))/0.05 = 1.6 years."""
    fake = fake_two_pools(change=(0.5, 0.0), rate=(0.05, 0.05), spread=0.0, ratio=0.01)
    found = mb.forecast(fake, [1, 2, 40], since=0.0)["forecast"].sel(target="mean: average")
    assert found["crossed"].values.tolist() == [0, 1, 1, 1]
    expected = -np.log1p(-0.05 / np.expm1(0.5)) / 0.05
    assert found["crossing_year"].values[1] == pytest.approx(expected, abs=1e-4)
    assert np.isnan(found["crossing_year"].values[[0, 3]]).all()


def test_crossings_before_their_start_are_blank(result):
    found = mb.forecast(fake_two_pools(), [5, 20], since=10)["forecast"]
    assert np.isnan(found["crossed"].values[:, 0]).all() and np.isfinite(found["crossed"].values[:, 1:]).all()
    crossed = result["forecast"]["crossed"].values
    assert result["forecast"].attrs["since"] == pytest.approx(16.0)
    assert np.isnan(crossed[:, :2]).all() and (np.diff(crossed[:, 2:], axis=1) >= 0).all()


def test_saving_and_loading_keeps_a_forecast(result, tmp_path):
    assert mb.load(mb.save(result, tmp_path / "result.nc"))["forecast"].identical(result["forecast"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"years": []}, "years: no year is given"),
        ({"years": "10"}, r"years: expected numbers such as \[10, 20, 50\], found '10'"),
        ({"years": [-1]}, "years: expected a number of at least 0, found -1"),
        ({"years": ["ten"]}, "years: expected a number of at least 0, found 'ten'"),
        ({"years": [float("nan")]}, "years: expected a number of at least 0, found nan"),
        ({"years": [10], "since": -2}, "since: expected a number of at least 0"),
        ({"years": [10], "at": {"clay": [1]}}, "unknown moderator 'clay'"),
        ({"years": [10], "settings": ["sampling.draws=5"]}, "refit with this setting"),
    ],
)
def test_bad_questions_are_answered_with_what_was_expected(arguments, message):
    with pytest.raises(SpecificationError, match=message):
        mb.forecast(fake_two_pools(), **arguments)


def test_the_card_states_what_the_priors_expect():
    """20 000 prior draws, seed 1: every number of the card's table within 3 % of what stands there, or one point."""
    result = fake_two_pools()
    asked = population_targets(population_points(result["data"].to_dataset(), ()))
    prior = prior_paths(load_model("two-pool"), result["posterior"].to_dataset(), asked, 1)
    rows = re.findall(r"^\| (1|10|50|∞) \| (.+) \|$", read_card("two-pool"), flags=re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "10", "50", "∞"]
    for years, cells in rows:
        stated = [float(number) for number in re.findall(r"-?\d+", cells.replace("−", "-"))]
        theta_n, theta_c = effects_at(prior, float(years.replace("∞", "inf")))[0]
        change = prior.ratio[0] * np.expm1(theta_n - theta_c)
        found = [100 * np.quantile(x, [0.05, 0.95]) for x in (np.expm1(theta_n), np.expm1(theta_c), change)]
        np.testing.assert_allclose(np.concatenate(found), stated, rtol=0.03, atol=1.0)


def test_a_static_result_has_no_forecast():
    with pytest.raises(SpecificationError, match="a forecast needs a result of the model 'two-pool'"):
        mb.forecast(fakes.fake_result(), [10])


@pytest.mark.parametrize(
    "verb",
    [mb.delta_mcp, mb.classify, mb.tolerance_sweep, mb.scenario_table, mb.share_table,
     mb.decide, mb.assumptions, mb.plots.scenario_plane, mb.plots.scenario_wheel,
     mb.plots.forest, mb.plots.scenario_bars, mb.plots.tolerance_sweep, mb.plots.densities, mb.plots.influence],
    ids=lambda verb: verb.__name__,
)  # fmt: skip
def test_verbs_of_effects_without_a_year_say_which_verb_answers(verb):
    with pytest.raises(StageError, match=r"call mcpbayes.forecast\(result, years="):
        verb(fake_two_pools())


def test_summary_holds_the_parameters_and_the_overlap_of_turnover_with_its_prior():
    table = mb.summarise(fake_two_pools()).set_index("quantity")
    assert set(table["level"]) == {"parameter"} and table["prior_overlap"].notna().sum() == 2
    assert list(table.index) == [
        *(f"beta[{pool},intercept]" for pool in ("necromass", "non_microbial")),
        *(f"tau_study[{pool}]" for pool in ("necromass", "non_microbial")), "rho_study[necromass,non_microbial]",
        *(f"tau_comparison[{pool}]" for pool in ("necromass", "non_microbial")),
        "rho_comparison[necromass,non_microbial]",
        *(f"turnover_rate[{pool}]" for pool in ("necromass", "non_microbial")), "mu_r", "sigma_r",
    ]  # fmt: skip
    assert table.loc[["turnover_rate[necromass]", "sigma_r"], "prob_positive"].isna().all()
    assert mb.diagnose(fake_two_pools()).passed


@settings(max_examples=5, deadline=None)
@given(st.floats(0.05, 0.9), st.integers(0, 5))
def test_controls_are_weighted_by_study_whatever_their_number(ratio, extra):
    """All controls alike: the mean level's r₀ is theirs."""
    found = mb.forecast(fake_two_pools(ratio=ratio, spread=0.0, draws=10 + extra), [0])["forecast"]
    start = found["mcp_efficacy_treatment"].sel(target="mean: average", horizon="0 years").values
    np.testing.assert_allclose(start, ratio, atol=1e-12)
