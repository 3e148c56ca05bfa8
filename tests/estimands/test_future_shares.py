"""Shares over time: fractions of fresh comparisons, one set for each draw of the parameters."""

import numpy as np
import pytest
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes.estimands.forecast import shares
from mcpbayes.estimands.future_shares import FRESH


def test_shares_of_a_draw_sum_to_one_and_average_to_the_probability_at_level_new():
    """4 × 250 draws: the mean share within 5 standard errors of the probability counted from these draws."""
    result = mb.forecast(fake_two_pools(residual=0.2), [5, 30])
    share = shares(result)["share"]
    assert share.sizes == {"chain": 4, "draw": 250, "group": 1, "horizon": 3, "scenario": 13}
    np.testing.assert_allclose(share.sum("scenario"), 1.0, atol=1e-12)
    expected = result["forecast"]["probability"].sel(target="new: average").transpose("horizon", "scenario").values
    found = share.sel(group="average").mean(("chain", "draw")).transpose("horizon", "scenario").values
    error = np.sqrt((expected * (1 - expected) + 1 / FRESH) / 1000)
    assert (abs(found - expected) < 5 * error).all()


def test_draws_alike_differ_by_counting_alone():
    """4 × 250 draws of one parameter value: sd √(p(1 − p)/1000) within 20 %, of classes that are not rare."""
    share = shares(mb.forecast(fake_two_pools(residual=0.2, spread=0.0), [5, 30]))["share"]
    p, sd = share.mean(("chain", "draw")).values, share.std(("chain", "draw")).values
    some = (p > 0.05) & (p < 0.95)
    assert some.sum() >= 3
    np.testing.assert_allclose(sd[some], np.sqrt(p * (1 - p) / FRESH)[some], rtol=0.2)


def test_where_comparisons_do_not_differ_all_are_in_the_class_of_the_typical_one():
    result = mb.forecast(fake_two_pools(residual=0.0, spread=0.0, draws=10), [1, 5, 30])
    found = shares(result)["share"].sel(group="average").transpose("chain", "draw", "horizon", "scenario").values
    expected = result["forecast"]["probability"].sel(target="mean: average").values
    assert set(np.unique(found)) == {0.0, 1.0}
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))


def test_a_horizon_has_the_same_shares_whatever_other_years_are_asked():
    fake = fake_two_pools(draws=30)
    one, other = (shares(mb.forecast(fake, years))["share"].sel(horizon="10 years") for years in ([10], [3, 10, 90]))
    np.testing.assert_array_equal(one.values, other.values)


@pytest.mark.parametrize("reference", [0.1, 0.8])
def test_a_reference_ratio_replaces_that_of_the_controls(reference):
    """A change of necromass alone moves SOC beyond 5 % where r₀(e^0.3 − 1) > 0.05, r₀ > 0.14."""
    setting = (f"delta_mcp.reference={reference}",)
    fake = fake_two_pools(change=(0.3, 0.0), residual=0.0, spread=0.0, draws=10, settings=setting)
    last = shares(mb.forecast(fake, [10]))["share"].isel(horizon=-1).mean(("chain", "draw", "group"))
    code = "N+C+r+" if reference > 0.14 else "N+C0r+"
    assert last.sel(scenario=code) == 1.0


def test_the_table_says_group_horizon_and_interval():
    result = mb.forecast(fake_two_pools(draws=50), [10, 40])
    table, share = mb.forecast_share_table(result), shares(result)["share"]
    assert len(table) == 3 * 13 and table["horizon"].unique().tolist() == ["10 years", "40 years", "new steady state"]
    assert table["extrapolated"].tolist() == [False] * 13 + [True] * 26
    np.testing.assert_allclose(table.groupby("horizon")["mean"].sum(), 1.0, atol=1e-12)
    for row in table.to_dict("records"):
        draws = share.sel(group=row["group"], horizon=row["horizon"], scenario=row["scenario"]).values
        assert row["mean"] == pytest.approx(draws.mean(), abs=1e-12)
        assert row["lower"] <= row["median"] <= row["upper"]


def test_the_card_says_how_many_comparisons_are_drawn():
    assert f"among {FRESH} comparisons drawn anew" in mb.read_card("two-pool").replace("\n", " ")
