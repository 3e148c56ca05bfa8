import numpy as np
import pytest
from fakes import fake_result
from variants import respecified, with_moderators, with_sites

from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.prior import SIZE, prior_effects
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.targets import targets
from mcpbayes.specification.loading import from_toml


def prior_by_target(tree):
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    made = targets(data, posterior)
    found = {}
    groups = list(prior_effects(from_toml(tree.attrs["specification"]), posterior, made, seed=1))
    for members, theta in groups:
        for member in members:
            assert member not in found
            found[int(member)] = theta
    names = made["target"].values
    return {str(names[place]): theta for place, theta in found.items()}, len(groups)


def test_the_prior_of_each_level_has_the_spread_of_its_parts() -> None:
    tree = with_sites(fake_result(draws=5))
    theta, groups = prior_by_target(tree)
    assert len(theta) == 31
    assert groups == 5
    # N(0, 0.5²) of the intercept; each τ is half-normal(0.3), so it adds 0.3² on average.
    levels = {
        "mean: kind=straw": 1,
        "mean: average over kinds": 0.5,
        "new: kind=straw": 4,
        "new: average over kinds": 4,
        "study: S1": 1.5,
        "comparison: S1: T1": 4,
    }
    for name, parts in levels.items():
        expected = np.sqrt(0.5**2 + parts * 0.3**2)
        np.testing.assert_allclose(theta[name].std(axis=0), expected, rtol=0.05, err_msg=name)
        np.testing.assert_allclose(theta[name].mean(axis=0), 0, atol=5 * expected / np.sqrt(SIZE))
    assert np.corrcoef(theta["mean: average over kinds"].T)[0, 1] == pytest.approx(0.7 * 0.25 / 0.295, abs=0.03)


def test_fixed_priors_leave_their_numbers() -> None:
    settings = [f"priors.tau_{level}.distribution=fixed" for level in ("study", "comparison")]
    settings += [f"priors.tau_{level}.value=0" for level in ("study", "comparison")]
    settings += ["priors.intercept.distribution=fixed", "priors.intercept.value={necromass=0.2, soc=0.1}"]
    theta, _ = prior_by_target(respecified(fake_result(kinds=("manure",), draws=5), *settings))
    np.testing.assert_array_equal(theta["new: average"], np.tile([0.2, 0.1], (SIZE, 1)))


def test_a_flat_coefficient_leaves_no_prior_where_it_matters() -> None:
    tree = respecified(with_moderators(draws=5), "priors.slope.distribution=flat")
    theta, _ = prior_by_target(tree)
    assert np.isfinite(theta["mean: average over kinds"]).all()
    assert np.isnan(theta["mean: ecosystem=forest"]).all()
    scenario = classify(delta_mcp(tree))["scenario"]
    prior = scenario["prior_probability"]
    assert prior.sel(target="mean: ecosystem=forest").isnull().all()
    assert prior.sel(target="mean: kind=straw").sum() == pytest.approx(1)


def test_the_prior_prefers_neither_direction() -> None:
    scenario = classify(delta_mcp(fake_result(draws=5)))["scenario"]
    prior = scenario["prior_probability"].sel(target="new: kind=straw")
    for code in ("N+C+r+", "N+C0r+", "N0C-r+", "N+C+r0"):
        mirrored = code.translate(str.maketrans("+-", "-+"))
        assert float(prior.sel(scenario=code)) == pytest.approx(float(prior.sel(scenario=mirrored)), abs=0.015)
