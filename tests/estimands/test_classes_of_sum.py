"""Scenario classes of necromass as the sum of fungal and bacterial necromass: counts, prior, shares, what has none."""

import numpy as np
import pytest
from made_parts import THREE, part_result, part_table

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.absolute import ends_of
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.claims import UNIONS
from mcpbayes.estimands.classes import CLASS_TABLE, Tolerances, classify_effects, coarsening, tolerances
from mcpbayes.estimands.counting import count_targets
from mcpbayes.estimands.decision import decide, sentence
from mcpbayes.estimands.orthants import class_probabilities
from mcpbayes.estimands.pairs import has_pairs
from mcpbayes.estimands.parts import effect_of_both, part_changes
from mcpbayes.estimands.prior import prior_effects
from mcpbayes.estimands.reading import describe
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.shares_of_sum import classes_along_soc, share_of_sum_draws
from mcpbayes.estimands.targets import kinds_of, population_points
from mcpbayes.estimands.tree import specification, with_groups
from mcpbayes.estimands.walk import TargetDraws
from mcpbayes.output.summary import scenario_table

MEAN, NEW = "mean: kind=straw", "new: kind=straw"
#: The tolerance of the shipped models.
EPS = np.log(1.05)


@pytest.fixture(scope="module")
def tree():
    return part_result(draws=500, chains=2)


@pytest.fixture(scope="module")
def changed(tree):
    return delta_mcp(tree)


@pytest.fixture(scope="module")
def classified(changed):
    return classify(changed)


def sign(value, eps):
    return "+" if value > eps else "-" if value < -eps else "0"


def code_of(n, c):
    """The class of one pair of effects, spelt out from the definition."""
    first, second, third = sign(n, EPS), sign(c, EPS), sign(n - c, EPS)
    if not (first == second != "0"):
        rank = {"-": -1, "0": 0, "+": 1}
        third = {-1: "-", 0: "0", 1: "+"}[int(np.sign(rank[first] - rank[second]))]
    return f"N{first}C{second}r{third}"


def flat(variable):
    return variable.transpose("chain", "draw").values.ravel()


def without_bacteria(tree):
    """The same result with next to no bacteria in the controls."""
    posterior = tree["posterior"].to_dataset()
    bacteria = posterior["outcome"] == words.BACTERIAL_NECROMASS
    baseline = posterior["baseline"].where(~bacteria, -25.0).transpose(*posterior["baseline"].dims)
    return with_groups(tree, {words.POSTERIOR: posterior.assign(baseline=baseline)})


@pytest.mark.parametrize("target", [MEAN, NEW, "mean: average over kinds", "study: S3", "comparison: S2: straw"])
def test_probabilities_are_counts_of_the_stored_draws(changed, classified, target):
    """Effects made anew from r₀ of the parts, then one Python loop over the draws."""
    one = changed["delta_mcp"].to_dataset().sel(target=target)
    fungal, bacterial, soc = (flat(one["effect"].sel(outcome=pool)) for pool in THREE)
    before = [flat(one["mcp_efficacy_control_part"].sel(part=part)) for part in words.PARTS]
    after = before[0] * np.exp(fungal) + before[1] * np.exp(bacterial)
    necromass = np.log(after / (before[0] + before[1]))
    codes = [code_of(n, c) for n, c in zip(necromass, soc, strict=True)]
    found = classified["scenario"].to_dataset().sel(target=target)
    for code in words.SCENARIOS:
        assert float(found["probability"].sel(scenario=code)) == pytest.approx(
            codes.count(code) / len(codes), abs=1e-12
        )
    delta = necromass - soc
    expected = [np.mean(delta > EPS), np.mean(np.abs(delta) <= EPS), np.mean(delta < -EPS)]
    np.testing.assert_allclose(found["change_probability"], expected, atol=1e-12)
    unions = dict(zip(UNIONS, found["union_probability"].values, strict=True))
    assert unions["N+"] == pytest.approx(np.mean(necromass > EPS)) and unions["ratio+"] == pytest.approx(expected[0])


def test_they_are_counted_and_say_why(classified, changed):
    scenario = classified["scenario"].to_dataset()
    assert scenario.attrs["method"] == "counting"
    assert scenario.attrs["method_reason"].startswith("necromass is the sum of fungal and bacterial necromass")
    assert (scenario["probability"].sum("scenario").round(12) == 1).all() and (scenario["mcse"] >= 0).all()
    with pytest.raises(SpecificationError, match="cannot be had: necromass is the sum of fungal and bacterial"):
        classify(changed, method="exact")


def test_next_to_no_bacteria_leaves_the_classes_of_fungi_as_the_one_pool(tree):
    """By the counting of necromass as one pool, and the prior of one pool; priors of all pools are alike."""
    changed = delta_mcp(without_bacteria(tree))
    result, change = classify(changed), changed["delta_mcp"].to_dataset()
    scheme = specification(result).scenarios
    effect = change["effect"].transpose("target", "outcome", "chain", "draw").values
    draws = TargetDraws(np.arange(len(effect)), effect.reshape(*effect.shape[:2], -1))
    one_pool = count_targets(draws, (0, 2), 2, tolerances(scheme), coarsening(scheme)[2])
    found = result["scenario"].to_dataset()
    np.testing.assert_allclose(found["probability"], one_pool.probability, atol=1e-12)
    np.testing.assert_allclose(found["mcse"], one_pool.mcse, atol=1e-12)
    np.testing.assert_allclose(found["change_probability"], one_pool.change, atol=1e-12)
    np.testing.assert_allclose(found["union_probability"], one_pool.union, atol=1e-12)
    asked, pools = describe(result), (words.FUNGAL_NECROMASS, words.SOC)
    for members, theta in prior_effects(specification(result), result["posterior"].to_dataset(), asked, 1, pools):
        expected = np.bincount(classify_effects(theta[:, 0], theta[:, 1], scheme), minlength=13) / len(theta)
        for member in members:
            np.testing.assert_allclose(found["prior_probability"].values[member], expected, atol=1e-12)


def test_shares_without_bacteria_are_the_exact_ones_of_one_pool(tree):
    """1000 draws: the integral over 128 comparisons is off by less than 0.006 (root mean square), without a bias."""
    result = classify(delta_mcp(without_bacteria(tree)))
    posterior = result["posterior"].to_dataset()
    theta = posterior["beta"].isel(coefficient=0) + posterior["kind_effect"].sel(kind="straw")
    mean = np.stack([flat(theta.sel(outcome=pool)) for pool in (words.FUNGAL_NECROMASS, words.SOC)])
    sigma = np.zeros((2, 2, mean.shape[-1]))
    for level in ("study", "comparison"):
        taus = [flat(posterior[f"tau_{level}"].sel(outcome=pool)) for pool in (words.FUNGAL_NECROMASS, words.SOC)]
        rho = flat(posterior[f"rho_{level}"].sel(pair="fungal_necromass,soc"))
        cross = rho * taus[0] * taus[1]
        sigma += np.array([[taus[0] ** 2, cross], [cross, taus[1] ** 2]])
    exact = class_probabilities(mean, sigma, tolerances(specification(result).scenarios))
    share = result["scenario"]["share"].sel(group="kind=straw").transpose("scenario", "chain", "draw").values
    error = share.reshape(len(exact), -1) - exact
    assert np.sqrt((error**2).mean(axis=1)).max() < 0.006
    assert np.abs(error.mean(axis=1)).max() < 0.001


def test_a_share_is_the_fraction_of_fresh_comparisons_with_one_control_each(tree, classified):
    """Three draws, each against 200 000 comparisons of plain random numbers (seed 8): standard error 0.0011 at most."""
    posterior, rng = tree["posterior"].to_dataset(), np.random.default_rng(8)
    controls = posterior["control"].values
    share = classified["scenario"]["share"].sel(group="kind=manure")
    size = 200_000
    for chain, draw in ((0, 3), (1, 77), (1, 400)):
        one = posterior.isel(chain=chain, draw=draw)
        theta = (one["beta"].isel(coefficient=0) + one["kind_effect"].sel(kind="manure")).values
        sigma = np.zeros((3, 3))
        for level in ("study", "comparison"):
            tau, rho = one[f"tau_{level}"].values, one[f"rho_{level}"].values
            r = np.array([[1, rho[0], rho[1]], [rho[0], 1, rho[2]], [rho[1], rho[2], 1]])
            sigma += tau[:, None] * r * tau
        fresh = rng.multivariate_normal(theta, sigma, size)
        baseline = one["baseline"].values[rng.integers(len(controls), size=size)]  # one control in each of the studies
        before = np.exp(baseline)
        necromass = np.log((before[:, :2] * np.exp(fresh[:, :2])).sum(axis=1) / before[:, :2].sum(axis=1))
        triple = (necromass, fresh[:, 2], necromass - fresh[:, 2])
        n, c, r = (np.sign(values) * (np.abs(values) > EPS) for values in triple)
        codes = CLASS_TABLE[n.astype(int) + 1, c.astype(int) + 1, r.astype(int) + 1]
        expected = np.bincount(codes, minlength=13) / size
        np.testing.assert_allclose(share.isel(chain=chain, draw=draw).values, expected, atol=0.015)


def test_the_mean_of_a_share_is_the_probability_at_level_new(classified):
    """1000 draws: the counted probability at level new has a standard error of 0.016 at most."""
    scenario = classified["scenario"].to_dataset()
    for name in scenario["group"].values:
        mean = scenario["share"].sel(group=name).mean(("chain", "draw")).values
        new = scenario["probability"].sel(target=f"new: {name}").values
        assert np.abs(mean - new).max() < 3.5 * 0.016
    kinds = [name for name in scenario["group"].values if str(name).startswith("kind=")]
    average = scenario["share"].sel(group=kinds).mean("group")
    np.testing.assert_allclose(scenario["share"].sel(group="average over kinds"), average, atol=1e-12)


def test_the_effect_on_both_is_that_of_the_parts():
    rng = np.random.default_rng(4)
    ratio, theta = rng.uniform(0.001, 0.5, (3, 2, 50)), rng.normal(0, 0.5, (3, 3, 50))
    found = part_changes(ratio, theta[:, :2] - theta[:, 2:])
    both = effect_of_both(ratio[:, 0] / ratio.sum(axis=1), theta[:, 0], theta[:, 1])
    np.testing.assert_allclose(both, found.log_change + theta[:, 2], atol=1e-12)


def test_a_tolerance_in_percentage_points_is_of_the_change_of_the_ratio(changed):
    result = classify(changed, ["scenarios.tolerance_points.delta_mcp=2"])
    scenario, change = result["scenario"].to_dataset(), changed["delta_mcp"].to_dataset()
    for target in (MEAN, "comparison: S1: manure"):
        points = 100 * flat(change["delta_mcp"].sel(target=target))
        expected = [np.mean(points > 2), np.mean(np.abs(points) <= 2), np.mean(points < -2)]
        np.testing.assert_allclose(scenario["change_probability"].sel(target=target), expected, atol=1e-12)
    assert np.allclose(scenario["share"].sum("scenario"), 1) and np.allclose(
        scenario["prior_probability"].sum("scenario"), 1
    )


@pytest.mark.parametrize("points", [False, True])
def test_classes_along_soc_are_those_of_its_draws(points):
    """200 000 draws of θ_C for each of six θ_N (seed 5): standard error 0.0011 at most."""
    rng = np.random.default_rng(5)
    theta_n, mean, sd = np.array([-0.3, -0.06, 0.0, 0.04, 0.08, 0.4]), rng.normal(0, 0.1, 6), rng.uniform(0.02, 0.3, 6)
    eps = Tolerances(0.05, 0.03, 0.07)
    ends = ends_of(rng.uniform(0.2, 0.6, 6), 3.0) if points else None
    rise, fall = ends or (0.07, 0.07)
    found = classes_along_soc(theta_n, mean, sd, eps, ends)
    assert np.allclose(sum(found.values()), 1.0) and min(p.min() for p in found.values()) >= 0
    soc = rng.normal(mean, sd, (200_000, 6))
    signs = [np.sign(x) * (np.abs(x) > e) for x, e in ((theta_n + 0 * soc, 0.05), (soc, 0.03))]
    signs.append(1.0 * (theta_n - soc > rise) - (theta_n - soc < -fall))
    codes = CLASS_TABLE[tuple(sign.astype(int) + 1 for sign in signs)]
    for place, code in enumerate(words.SCENARIOS):
        np.testing.assert_allclose(found[code], (codes == place).mean(axis=0), atol=0.005)


def test_classes_along_soc_without_any_spread_are_one():
    found = classes_along_soc(
        np.array([0.2, -0.2, 0.0]), np.array([0.1, -0.21, 0.0]), np.zeros(3), Tolerances(0.05, 0.05, 0.05)
    )
    assert [float(found[code][i]) for i, code in enumerate(("N+C+r+", "N-C-r0", "N0C0r0"))] == [1.0, 1.0, 1.0]


def test_merged_classes_are_sums_of_shares_and_probabilities(changed, classified):
    merged = classify(changed, ["scenarios.merge.gain=['N+C+r+', 'N+C+r0', 'N+C+r-']"])["scenario"].to_dataset()
    apart = classified["scenario"].to_dataset()
    for name in ("probability", "share"):
        whole = apart[name].sel(scenario=["N+C+r+", "N+C+r0", "N+C+r-"]).sum("scenario")
        np.testing.assert_allclose(merged[name].sel(scenario="gain"), whole, atol=1e-12)


def test_the_sweep_gives_the_same_numbers_at_the_tolerance_in_use(changed, classified):
    sweep = mb.tolerance_sweep(changed, [5.0])
    scenario = classified["scenario"].to_dataset()
    for level in ("mean", "new"):
        part = sweep[(sweep["level"] == level) & (sweep["name"] == "kind=straw")]
        here = scenario.sel(target=f"{level}: kind=straw")
        np.testing.assert_allclose(part.loc[part["statement"] == "scenario", "probability"], here["probability"])
        np.testing.assert_allclose(part.loc[part["statement"] == "change", "probability"], here["change_probability"])


@pytest.fixture(scope="module")
def with_a_gap():
    table = part_table().astype(object)
    table.loc[table["study"] == "S1", ["fungal_necromass_control", "fungal_necromass_control_sd"]] = ""
    return classify(delta_mcp(part_result(table)))


@pytest.mark.parametrize("points", ["none", "2"])
def test_what_has_no_ratio_has_no_class_and_nothing_is_claimed_of_it(with_a_gap, points):
    result = classify(with_a_gap, [f"scenarios.tolerance_points.delta_mcp={points}"])
    scenario = result["scenario"].to_dataset()
    lacking = scenario["target"].values[np.isnan(scenario["probability"]).all("scenario")]
    assert set(lacking) == {"study: S1", "comparison: S1: straw", "comparison: S1: manure"}
    for name in ("prior_probability", "change_probability", "union_probability", "entropy"):
        assert np.isnan(scenario[name].sel(target=lacking)).all(), name
        assert np.isfinite(scenario[name].drop_sel(target=lacking)).all(), name
    (one,) = decide(result, "comparison", "S1: straw")
    assert one.abstained and one.reason == "the control arm has no fungal_necromass"
    assert (
        sentence(one) == "S1: straw (comparison): nothing can be claimed, since the control arm has no fungal_necromass"
    )
    (other,) = decide(result, "comparison", "S2: straw")
    assert "ΔMCP" in sentence(other)
    rows = scenario_table(result)
    assert (
        rows.loc[rows["name"] == "S1: straw", "probability"].isna().all() and len(rows) == scenario["probability"].size
    )


def test_without_any_complete_control_there_are_no_classes():
    table = part_table().astype(object)
    half = table["study"].isin(["S1", "S2"])
    table.loc[half, ["fungal_necromass_control", "fungal_necromass_control_sd"]] = ""
    table.loc[~half, ["soc_control", "soc_control_sd"]] = ""
    result = delta_mcp(part_result(table, draws=20))
    assert not has_pairs(result["delta_mcp"].to_dataset())
    reason = "but no control reports fungal and bacterial necromass and SOC; effects are in group delta_mcp"
    for verb in (classify, mb.tolerance_sweep):
        with pytest.raises(SpecificationError, match=reason):
            verb(result)
    assert "no-scenarios" in {problem.check for problem in mb.check_table(table, specification(result))}
    assert "no-scenarios" not in {problem.check for problem in mb.check_table(part_table(), specification(result))}


def test_shares_do_not_hang_on_the_pieces_of_work(changed, monkeypatch):
    data, posterior = (changed[name].to_dataset() for name in ("data", "posterior"))
    asked, points = describe(changed), population_points(data, kinds_of(posterior), {})
    one = share_of_sum_draws(changed, asked, points)
    monkeypatch.setattr("mcpbayes.estimands.shares_of_sum._BLOCK", 37)
    np.testing.assert_allclose(share_of_sum_draws(changed, asked, points), one, atol=1e-12)
