import re

import numpy as np
import pytest
import xarray as xr
from fakes import fake_result
from hypothesis import given, settings
from hypothesis import strategies as st
from variants import contrast, rebuilt, with_moderators

from mcpbayes import vocabulary as words
from mcpbayes.errors import SpecificationError, StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.claims import UNIONS, union_claims, union_events, union_probabilities
from mcpbayes.estimands.classes import classify_effects
from mcpbayes.estimands.decision import decide, sentence
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.wording import decimals_of
from mcpbayes.specification.structure import Scheme

SCHEME = Scheme({"necromass": 5.0, "soc": 3.0, "ratio": 4.0})


def planted(necromass: float, soc: float, spread: float = 0.01, kinds: tuple[str, ...] = ("manure",)) -> xr.DataTree:
    """A result whose typical effects lie around one pair."""
    tree = fake_result(kinds=kinds, draws=100)
    posterior = tree["posterior"].to_dataset()
    rng = np.random.default_rng(2)
    posterior["beta"] = posterior["beta"].copy(data=rng.normal([[necromass, soc]], spread, posterior["beta"].shape))
    return classify(delta_mcp(rebuilt(tree, posterior=posterior)))


def test_a_probable_class_is_named() -> None:
    (found,) = decide(planted(0.4, 0.1))
    assert (found.level, found.name, found.chosen) == ("mean", "average", "N+C+r+")
    assert found.probability == 1.0
    assert not found.abstained
    assert found.reason == ""
    assert found.change.quantity == "delta_mcp"
    assert found.change.lower < found.change.median < found.change.upper
    text = sentence(found)
    assert text.startswith("typical comparison (mean): gain led by necromass (N+C+r+), probability > 0.99; ΔMCP +")
    assert re.search(r"percentage points \(95 % equal-tailed credible interval \d+\.\d to \d+\.\d\)$", text)


def test_the_numbers_are_those_of_the_draws() -> None:
    tree = planted(0.4, 0.1)
    (found,) = decide(tree)
    points = 100 * tree["delta_mcp"]["delta_mcp"].sel(target="mean: average").values
    assert found.change.median == pytest.approx(np.median(points))
    assert (found.change.lower, found.change.upper) == pytest.approx(tuple(np.quantile(points, [0.025, 0.975])))
    scenario = tree["scenario"].sel(target="mean: average", scenario="N+C+r+")
    assert found.prior_probability == float(scenario["prior_probability"])


def test_a_coarser_statement_stands_in_where_no_class_is_probable_enough() -> None:
    (found,) = decide(planted(0.4, np.log(1.05), spread=0.03))
    assert found.best.probability < 0.8
    assert found.chosen == "ratio+"
    assert found.probability > 0.99
    assert found.prior_probability is None
    text = sentence(found)
    assert "MCP efficacy increases, probability > 0.99 (no single scenario reaches 0.8; most probable: " in text


def test_nothing_is_said_where_nothing_is_probable() -> None:
    (found,) = decide(planted(0.05, 0.05, spread=0.1))
    assert found.abstained
    assert found.chosen is None
    assert all(union.probability < 0.8 for union in found.unions)
    assert found.reason == "no single scenario reaches 0.8, and no coarser statement does"
    assert "nothing can be claimed, since no single scenario reaches 0.8" in sentence(found)


@pytest.mark.parametrize(
    ("first", "second", "both"), [(0.26, 0.22, True), (0.26, 0.20, False), (0.49, 0.46, True), (0.51, 0.47, False)]
)
def test_a_near_tie_of_improbable_classes_is_named_with_both(first: float, second: float, both: bool) -> None:
    tree = planted(0.05, 0.05, spread=0.1)
    made = tree["scenario"].to_dataset().isel(target=slice(None)).copy(deep=True)
    values = np.full(made["probability"].shape, (1 - first - second) / 11)
    values[:, 3], values[:, 7] = second, first
    made["probability"] = made["probability"].copy(data=values)
    (found,) = decide(rebuilt(tree, scenario=made))
    assert found.best.code == words.SCENARIOS[7]
    assert (found.rival is not None) == both
    text = f", probability {first:.2f}" + (
        f", and {found.rival.label} ({words.SCENARIOS[3]}), {second:.2f}" if found.rival else ""
    )
    assert f"({found.best.code}){text})" in sentence(found)


def test_nothing_is_said_of_a_fit_that_failed() -> None:
    tree = planted(0.4, 0.1)
    tree.attrs["status"] = "failed"
    (found,) = decide(tree)
    assert found.abstained
    assert found.best.probability == 1.0
    assert "nothing can be claimed, since the diagnostics of the fit failed" in sentence(found)


def test_nothing_is_said_of_a_kind_of_which_a_pool_was_never_observed() -> None:
    tree = planted(0.4, 0.1, kinds=("manure", "straw"))
    data = tree["data"].to_dataset().copy(deep=True)
    kinds = data["kind_of_comparison"].values.astype(str)
    lost = data["arm_of_comparison"].values[kinds == "straw"]
    data["log_mean"].loc[{"arm": lost, "outcome": "necromass"}] = np.nan
    data.attrs["level_kind"] = "on"
    made = rebuilt(tree, data=data)
    manure, straw = decide(made)
    assert not manure.abstained
    assert (straw.abstained, straw.chosen, straw.unobserved) == (True, None, ("necromass",))
    assert {type(pool) for pool in straw.unobserved} == {str}  # prints as text, whatever holds the table
    said = "nothing can be claimed, since necromass was not observed in any comparison of this kind"
    assert sentence(straw) == f"straw, typical comparison (mean): {said}"
    assert sentence(decide(made, "new")[1]).endswith(said)
    of_comparison = {found.name: found.unobserved for found in decide(made, "comparison")}
    assert of_comparison == {
        name: ("necromass",) if kind == "straw" else ()
        for name, kind in zip(data["comparison"].values, kinds, strict=True)
    }
    (average,) = decide(made, name="average over kinds")
    assert not average.abstained


def test_the_headline_is_every_kind_and_never_their_average() -> None:
    tree = planted(0.4, 0.1, kinds=("manure", "straw"))
    assert [found.name for found in decide(tree)] == ["kind=manure", "kind=straw"]
    assert [found.name for found in decide(tree, "new")] == ["kind=manure", "kind=straw"]
    (average,) = decide(tree, name="average over kinds")
    assert sentence(average).startswith("average over kinds, typical comparison (mean): ")
    assert len(decide(tree, "study")) == 5
    assert sentence(decide(tree, "study")[0]).startswith("S1 (study): ")
    assert sentence(decide(tree, "new")[1]).startswith("straw, a comparison in a study not seen (new): ")


def test_a_kind_seen_in_one_study_is_marked() -> None:
    tree = planted(0.4, 0.1, kinds=("manure", "straw"))
    data = tree["data"].to_dataset().copy(deep=True)
    kinds = np.array(["straw"] * data.sizes["comparison"], dtype=object)
    kinds[:2] = "manure"
    data["kind_of_comparison"] = ("comparison", kinds)
    manure, straw = decide(rebuilt(tree, data=data))
    assert (manure.studies, straw.studies) == (1, 5)
    assert sentence(manure).startswith("manure (seen in one study), typical comparison (mean): ")
    assert "seen in one study" not in sentence(straw)


def test_points_asked_for_can_be_decided() -> None:
    tree = classify(delta_mcp(with_moderators(draws=50), {"kind": ["straw"], "duration_years": [10]}))
    (found,) = decide(tree, name="kind=straw, duration_years=10")
    assert found.studies == 5
    assert sentence(found).startswith("straw, duration_years=10, typical comparison (mean): ")


def test_without_a_control_ratio_the_relative_change_is_given() -> None:
    tree = classify(delta_mcp(contrast(fake_result(draws=100)), settings=["summary.interval_kind=hdi"]))
    found = decide(tree)[0]
    assert found.change.quantity == "relative_change"
    delta = tree["delta_mcp"]["log_delta_mcp"].sel(target="mean: kind=manure").values
    assert found.change.median == pytest.approx(100 * np.expm1(np.median(delta)), rel=1e-3)
    assert re.search(
        r"ratio necromass/SOC [+-][\d.]+ % relative to the control \(95 % highest-density credible interval",
        sentence(found),
    )


def test_what_does_not_exist_is_told() -> None:
    tree = planted(0.4, 0.1)
    with pytest.raises(SpecificationError, match="unknown level 'means'; did you mean 'mean'"):
        decide(tree, "means")
    with pytest.raises(SpecificationError, match="unknown name 'averag'; did you mean 'average'"):
        decide(tree, name="averag")
    with pytest.raises(StageError, match=r"no group 'scenario': call result = mcpbayes\.classify\(result\) first"):
        decide(delta_mcp(fake_result(draws=5)))
    older = rebuilt(tree, scenario=tree["scenario"].to_dataset().drop_vars("union_probability"))
    with pytest.raises(StageError, match=r"older version's: call result = mcpbayes\.classify\(result\) again"):
        decide(older)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.02, 0.1, 0.4]))
def test_coarser_statements_are_unions_of_classes(seed: int, scale: float) -> None:
    theta = np.random.default_rng(seed).normal(0, scale, (2, 300))
    events = union_events(theta[0], theta[1], SCHEME)
    codes = classify_effects(theta[0], theta[1], SCHEME)
    classes = np.array(words.SCENARIOS)[codes]
    ratio = [events[code].mean() for code in ("ratio+", "ratio0", "ratio-")]
    summed = union_probabilities(np.bincount(codes, minlength=13) / 300, np.array(ratio))
    found = {claim.code: claim.probability for claim in union_claims(summed)}
    assert list(found) == list(UNIONS) == list(events)
    assert list(found.values()) == pytest.approx([event.mean() for event in events.values()])

    def share(member: object) -> float:
        return float(np.mean([member(code) for code in classes]))

    assert found["synchrony"] == pytest.approx(share(lambda code: code in words.SYNCHRONOUS))
    assert "asynchrony" not in found, "nearly certain before any data: claiming it would say nothing"
    assert found["C+"] == pytest.approx(share(lambda code: "C+" in code))
    assert found["C-"] == pytest.approx(share(lambda code: "C-" in code))
    assert found["N+"] == pytest.approx(share(lambda code: "N+" in code))
    assert found["N-"] == pytest.approx(share(lambda code: "N-" in code))
    assert found["N+C+"] == pytest.approx(share(lambda code: code.startswith("N+C+")))
    assert found["N-C-"] == pytest.approx(share(lambda code: code.startswith("N-C-")))
    assert found["ratio+"] + found["ratio0"] + found["ratio-"] == pytest.approx(1)
    assert found["ratio+"] == pytest.approx(np.mean(theta[0] - theta[1] > np.log(1.04)))


@pytest.fixture(scope="module")
def base() -> xr.DataTree:
    return delta_mcp(fake_result(kinds=("manure",), draws=50))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    centre=st.tuples(st.floats(-0.4, 0.4), st.floats(-0.4, 0.4)),
    spread=st.sampled_from([0.0, 0.005, 0.03, 0.1, 0.3]),
    decide_at=st.sampled_from([0.51, 0.8, 0.95, 1.0]),
    kind=st.sampled_from(["eti", "hdi"]),
)
def test_the_sentence_never_contradicts_the_numbers(
    base: xr.DataTree, centre: tuple[float, float], spread: float, decide_at: float, kind: str
) -> None:
    group = base["delta_mcp"].to_dataset().isel(target=[0])
    theta = np.random.default_rng(0).normal(centre, spread, group["effect"].shape)
    delta = theta[..., 0] - theta[..., 1]
    group["effect"] = group["effect"].copy(data=theta)
    group["log_delta_mcp"] = group["log_delta_mcp"].copy(data=delta)
    group["delta_mcp"] = group["delta_mcp"].copy(data=0.3 * np.expm1(delta))
    spec = [f"scenarios.decide_at={decide_at}", f"summary.interval_kind={kind}"]
    scenario = classify(base, spec)
    probability = (
        np.bincount(
            classify_effects(
                theta[..., 0].ravel(), theta[..., 1].ravel(), Scheme(dict.fromkeys(("necromass", "soc", "ratio"), 5.0))
            ),
            minlength=13,
        )
        / delta.size
    )
    made = scenario["scenario"].to_dataset().isel(target=[0])
    made["probability"] = made["probability"].copy(data=probability[None])
    ratio = np.array([(delta > np.log(1.05)).mean(), 0.0, (delta < -np.log(1.05)).mean()])
    ratio[1] = 1 - ratio.sum()
    made["union_probability"] = made["union_probability"].copy(data=union_probabilities(probability, ratio)[None])
    (found,) = decide(rebuilt(scenario, delta_mcp=group, scenario=made))
    text = sentence(found)

    named = re.search(r"\((N.C.r.)\)", text)
    assert named is not None
    assert named[1] == words.SCENARIOS[int(probability.argmax())] == found.best.code
    assert (found.reason == "") == (found.best.probability >= decide_at)
    second = float(np.sort(probability)[-2])
    near = found.best.probability < 0.5 and found.best.probability - second <= 0.05
    assert (found.rival is not None) == near == (len(re.findall(r"\((N.C.r.)\)", text)) == 2)
    assert found.rival is None or found.rival.probability == second
    assert found.abstained == ("nothing can be claimed" in text) == (found.chosen is None)
    if not found.abstained:
        assert found.probability >= decide_at
    printed = [float(number) for number in re.findall(r"probability (\d\.\d+)", text)]
    assert all(0 < number < 1 for number in printed)
    for number in printed:
        assert min(abs(number - found.probability), abs(number - found.best.probability)) <= 0.005 + 1e-9
    shown = re.search(
        r"ΔMCP ([+-][\d.]+) percentage points \(95 % [a-z-]+ credible interval (-?[\d.]+) to (-?[\d.]+)\)", text
    )
    assert shown is not None
    assert ("highest-density" in text) == (kind == "hdi")
    change = found.change
    numbers = (change.median, change.lower, change.upper)
    for number, exact in zip(map(float, shown.groups()), numbers, strict=True):
        assert abs(number - exact) <= 0.5 * 10 ** -decimals_of(numbers) + 1e-9
        assert number * exact >= 0
