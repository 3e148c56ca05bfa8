import numpy as np
import pytest
from fakes import fake_result
from scipy.stats import multivariate_normal
from variants import with_moderators, with_sites

from mcpbayes import vocabulary as words
from mcpbayes.estimands import shares as room
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.classes import tolerances
from mcpbayes.estimands.heterogeneity import total_covariance
from mcpbayes.estimands.orthants import class_probabilities
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.shares import share_draws
from mcpbayes.estimands.targets import population_points
from mcpbayes.specification.structure import Scheme

SCHEME = Scheme({"necromass": 5.0, "soc": 3.0, "ratio": 4.0})
EPS = tolerances(SCHEME)


def test_shares_are_the_normal_probabilities_of_each_draw() -> None:
    tree = fake_result(draws=30)
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    points = population_points(data, ("manure", "straw"))
    shares = share_draws(posterior, points, EPS)
    assert shares.shape == (4, 30, 3, 13)
    np.testing.assert_allclose(shares.sum(axis=-1), 1)
    np.testing.assert_allclose(shares[:, :, 2], shares[:, :, :2].mean(axis=2), atol=1e-12)
    at = dict(chain=2, draw=7)
    here = posterior.isel(at)
    tau = {level: here[f"tau_{level}"].values for level in ("study", "comparison")}
    sigma = sum(
        np.outer(t, t) * np.array([[1, here[f"rho_{level}"].item()], [here[f"rho_{level}"].item(), 1]])
        for level, t in tau.items()
    )
    centre = here["beta"].values[0] + here["kind_effect"].sel(kind="straw").values
    normal = multivariate_normal(centre, sigma)
    both_low = normal.cdf([-EPS.necromass, -EPS.soc])
    counted = shares[2, 7, 1][[code.startswith("N-C-") for code in words.SCENARIOS]].sum()
    assert counted == pytest.approx(both_low, abs=1e-9)
    no_soc_loss = 1 - multivariate_normal(centre[1], sigma[1, 1]).cdf(-EPS.soc)
    counted = shares[2, 7, 1][["C-" not in code for code in words.SCENARIOS]].sum()
    assert counted == pytest.approx(no_soc_loss, abs=1e-9)


def test_without_heterogeneity_all_comparisons_are_in_one_class() -> None:
    tree = fake_result(draws=5)
    posterior = tree["posterior"].to_dataset()
    for name in ("tau_study", "tau_comparison"):
        posterior[name] = posterior[name] * 0
    shares = share_draws(posterior, population_points(tree["data"].to_dataset(), ("manure", "straw")), EPS)
    assert (shares[:, :, :2].max(axis=-1) == 1).all()


def test_shares_depend_neither_on_further_points_nor_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = with_moderators(draws=50)
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    kinds = ("manure", "straw")
    few = share_draws(posterior, population_points(data, kinds), EPS)
    monkeypatch.setattr(room, "_BLOCK", 33)
    more = share_draws(posterior, population_points(data, kinds, {"duration_years": [5]}), EPS)
    np.testing.assert_allclose(more[:, :, :-1], few, atol=1e-14)


def test_categories_have_shares_averaged_over_kinds() -> None:
    tree = with_moderators(draws=20)
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    points = population_points(data, ("manure", "straw"))
    shares = share_draws(posterior, points, EPS)
    place = points["point"].values.tolist().index("ecosystem=forest")
    here = posterior.isel(chain=1, draw=3)
    typical = points["row"].values[place] @ here["beta"].values
    sigma = total_covariance(posterior)[1, 3]
    each = [class_probabilities(typical + kind, sigma, EPS) for kind in here["kind_effect"].values]
    np.testing.assert_allclose(shares[1, 3, place], np.mean(each, axis=0), atol=1e-12)


@pytest.mark.parametrize("kinds", [("manure", "straw"), ("manure",)])
def test_the_mean_share_is_the_probability_at_new(kinds: tuple[str, ...]) -> None:
    tree = classify(delta_mcp(with_sites(fake_result(kinds=kinds, draws=1000))))
    scenario = tree["scenario"].to_dataset()
    at_new = scenario.sel(target=[f"new: {name}" for name in scenario["group"].values])
    share = scenario["share"].mean(["chain", "draw"])
    difference = share.values - at_new["probability"].values
    # Fresh comparisons of `new` are one per draw; the error of the share is smaller.
    error = np.sqrt(at_new["probability"].values * (1 - at_new["probability"].values) / 4000) + 1e-3
    assert (np.abs(difference) < 4 * error).all()
