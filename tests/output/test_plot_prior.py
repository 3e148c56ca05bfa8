"""The figure of what the priors of the two-pool model expect."""

import numpy as np
import pytest

import mcpbayes as mb
from mcpbayes.errors import SpecificationError
from mcpbayes.output.plots.prior_trajectories import typical_prior


@pytest.fixture(scope="module")
def figure():
    return mb.plots.prior_trajectories(until=50)


def medians(figure):
    return {
        axes.get_ylabel(): line.get_xydata()
        for axes in figure.axes
        for line in axes.get_lines()
        if line.get_gid() == "median"
    }


def test_there_is_a_panel_for_the_way_gone_and_for_each_answer(figure):
    assert list(medians(figure)) == [
        "share of the way, %",
        "necromass, change in %",
        "SOC, change in %",
        "ΔMCP, percentage points",
    ]


def test_half_of_the_prior_is_further_than_a_turnover_time_of_25_years_says(figure):
    """The median of k is 1/25 per year: at 25 years 1 − 1/e; 20,000 draws, so within one point."""
    years, gone = medians(figure)["share of the way, %"].T
    assert np.interp(25.0, years, gone) == pytest.approx(100 * (1 - np.exp(-1)), abs=1.0)


def test_nothing_has_happened_in_year_0(figure):
    for path in medians(figure).values():
        assert tuple(path[0]) == (0.0, 0.0)


def test_fixed_rates_leave_no_doubt_about_the_way():
    model = mb.load_model(
        "two-pool",
        settings={"priors.turnover_rate.distribution": "fixed", "priors.turnover_rate.value": 0.1},
    )
    assert (typical_prior(model).rate == 0.1).all()


def test_other_models_and_no_years_are_refused():
    with pytest.raises(SpecificationError, match="the family 'two-pool', found 'arm-based'"):
        mb.plots.prior_trajectories(mb.load_model("arm-based"))
    with pytest.raises(ValueError, match="a year after the change"):
        mb.plots.prior_trajectories(until=0)
