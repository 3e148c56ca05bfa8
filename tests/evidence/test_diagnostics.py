import json

import numpy as np
import pytest
import xarray as xr
from fakes import fake_result

from mcpbayes.errors import StageError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.evidence.diagnostics import convergence_table, diagnose, judge
from mcpbayes.output.summary import summarise


@pytest.fixture(scope="module")
def good() -> xr.DataTree:
    return delta_mcp(fake_result(draws=1000))


def altered(tree: xr.DataTree, group: str, name: str, change) -> xr.DataTree:
    """The tree with one variable changed in place of a copy."""
    made = tree.copy()
    dataset = tree[group].to_dataset().copy(deep=True)
    dataset[name] = dataset[name].copy(data=change(dataset[name].values.copy()))
    made[group] = xr.DataTree(dataset)
    return made


def checks(found) -> list[str]:
    return [problem.check for problem in found.problems]


def shift_first_chain(values: np.ndarray) -> np.ndarray:
    values[0] += 0.5
    return values


def slow(values: np.ndarray) -> np.ndarray:
    """Chains that repeat every value twenty times mix slowly but agree."""
    return np.repeat(values[:, ::20], 20, axis=1)[:, : values.shape[1]]


def test_good_draws_pass_and_the_worst_rows_are_named(good: xr.DataTree) -> None:
    found = diagnose(good)
    assert found.passed
    assert found.problems == ()
    assert (found.divergences, found.chains, found.draws) == (0, 4, 1000)
    assert found.pareto_k is None
    table = convergence_table(good)
    judged = table[table["level"].isin(["parameter", "mean", "new"])]
    assert found.r_hat is not None
    assert found.ess_tail is not None
    assert found.r_hat.value == judged["r_hat"].max()
    assert found.ess_tail.value == judged["ess_tail"].min()
    row = judged.loc[judged["r_hat"].idxmax()]
    assert (found.r_hat.level, found.r_hat.name, found.r_hat.quantity) == (row["level"], row["name"], row["quantity"])


def test_a_summary_at_hand_gives_the_same_verdict(good: xr.DataTree) -> None:
    assert diagnose(good, summarise(good)) == diagnose(good)


def test_divergences_fail(good: xr.DataTree) -> None:
    def diverge(values: np.ndarray) -> np.ndarray:
        values[2, 5:8] = True
        return values

    found = diagnose(altered(good, "sample_stats", "diverging", diverge))
    assert not found.passed
    assert found.divergences == 3
    assert checks(found) == ["divergences"]
    assert "target_accept" in str(found.problems[0])


def test_chains_that_disagree_fail_with_the_parameter_named(good: xr.DataTree) -> None:
    found = diagnose(altered(good, "posterior", "tau_study", shift_first_chain))
    assert not found.passed
    assert found.r_hat is not None
    assert found.r_hat.value > 1.5
    assert found.r_hat.quantity.startswith("tau_study[")
    (problem,) = [problem for problem in found.problems if problem.check == "r-hat"]
    assert "worst tau_study[" in problem.message
    assert "2 of " in problem.message


def test_too_few_effective_draws_fail(good: xr.DataTree) -> None:
    found = diagnose(altered(good, "posterior", "beta", slow))
    assert not found.passed
    assert {"ess-bulk", "ess-tail"} <= set(checks(found))
    assert found.ess_bulk is not None
    assert found.ess_bulk.value < 400


def test_a_high_pareto_k_fails_and_a_missing_one_too(good: xr.DataTree) -> None:
    for value, passed in ((0.5, True), (0.7, False), (float("nan"), False)):
        tree = good.copy()
        stats = xr.Dataset({"accepted": (("chain", "draw"), np.ones((4, 1000), bool))}, attrs={"pareto_k": value})
        tree["sample_stats"] = xr.DataTree(stats)
        found = diagnose(tree)
        assert found.passed is passed
        assert checks(found) == ([] if passed else ["pareto-k"])


def test_inefficient_proposals_fail(good: xr.DataTree) -> None:
    for value, passed in ((0.5, True), (0.3, False), (float("nan"), False)):
        tree = good.copy()
        attrs = {"pareto_k": 0.2, "efficiency": value}
        tree["sample_stats"] = xr.DataTree(
            xr.Dataset({"accepted": (("chain", "draw"), np.ones((4, 1000)))}, attrs=attrs)
        )
        found = diagnose(tree)
        assert found.passed is passed
        assert checks(found) == ([] if passed else ["proposal-efficiency"])


def test_rows_of_studies_and_comparisons_are_counted_but_do_not_decide(good: xr.DataTree) -> None:
    place = list(good["delta_mcp"]["target"].values).index("study: S2")

    def spoil(values: np.ndarray) -> np.ndarray:
        values[0, :, place] += 1.0
        values[0, :, -1] += 1.0
        return values

    found = diagnose(altered(good, "delta_mcp", "log_delta_mcp", spoil))
    assert found.passed
    assert (found.failing_study, found.failing_comparison) == (1, 1)
    assert checks(found) == ["failing-rows"]
    assert found.problems[0].severity == "warning"
    assert "1 study rows and 1 comparison rows" in found.problems[0].message


def test_constant_draws_do_not_fail(good: xr.DataTree) -> None:
    found = diagnose(altered(good, "posterior", "tau_comparison", lambda values: np.full_like(values, 0.1)))
    assert found.passed
    table = convergence_table(altered(good, "posterior", "tau_comparison", lambda values: np.full_like(values, 0.1)))
    row = table[table["quantity"] == "tau_comparison[soc]"].iloc[0]
    assert row["finite"]
    assert np.isnan([row["r_hat"], row["ess_bulk"], row["ess_tail"]]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_are_not_finite_fail(good: xr.DataTree, value: float) -> None:
    def spoil(values: np.ndarray) -> np.ndarray:
        values[1, 3, 0, 1] = value
        return values

    tree = altered(good, "delta_mcp", "effect", spoil)
    for found in (diagnose(tree), diagnose(tree, summarise(tree))):
        assert not found.passed
        assert "not-finite" in checks(found)
        assert "effect[soc] of mean: kind=manure" in found.problems[0].message


def test_an_absent_delta_mcp_is_not_a_failure(good: xr.DataTree) -> None:
    data = good["data"].to_dataset().copy(deep=True)
    data["log_mean"].loc[{"arm": "S1: control 1", "outcome": "soc"}] = np.nan
    tree = fake_result(draws=1000)
    tree["data"] = xr.DataTree(data)
    made = delta_mcp(tree)
    assert made["delta_mcp"]["delta_mcp"].isnull().any()
    found = diagnose(made)
    assert found.passed
    assert found.failing_comparison == 0


def test_one_chain_is_judged_without_r_hat() -> None:
    found = diagnose(delta_mcp(fake_result(chains=1, draws=1000)))
    assert found.r_hat is None
    assert found.passed
    assert checks(found) == ["one-chain"]


def test_the_verdict_is_written_on_the_result_once(good: xr.DataTree) -> None:
    tree = good.copy()
    own = {"check": "units", "message": "total C", "severity": "warning"}
    tree.attrs = good.attrs | {"problems": json.dumps([own])}
    bad = altered(tree, "posterior", "tau_study", shift_first_chain)
    bad.attrs = tree.attrs
    judged = judge(judge(bad))
    assert judged.attrs["status"] == "failed"
    found = [problem["check"] for problem in json.loads(judged.attrs["problems"])]
    assert found == ["units", "r-hat", "ess-bulk", "ess-tail"]
    assert bad.attrs["status"] == "ok"
    healed = judge(delta_mcp(fake_result(draws=1000)))
    assert (healed.attrs["status"], healed.attrs["problems"]) == ("ok", "[]")


@pytest.mark.parametrize(("pareto_k", "said"), [(1.2, "Pareto k̂ 1.20, ESS 40"), (None, "Pareto k̂ undefined, ESS 40")])
def test_a_model_of_the_cvs_that_failed_fails_the_run(good: xr.DataTree, pareto_k: float | None, said: str) -> None:
    tree = good.copy()
    warning = {"check": "cv-model", "message": "the CVs of the arms are not to be relied on", "severity": "warning"}
    tree.attrs = good.attrs | {"problems": json.dumps([warning])}
    model = {"pareto_k": pareto_k, "ess": 40.0, "passed": False}
    tree["data"] = xr.DataTree(good["data"].to_dataset().assign_attrs(cv_model=json.dumps(model)))
    found = diagnose(tree)
    assert not found.passed and checks(found) == ["cv-model"]
    assert found.problems[0].value == said
    judged = judge(judge(tree))
    assert judged.attrs["status"] == "failed"
    assert [(one["check"], one["severity"]) for one in json.loads(judged.attrs["problems"])] == [("cv-model", "error")]
    passed = good.copy()
    passed["data"] = xr.DataTree(tree["data"].to_dataset().assign_attrs(cv_model=json.dumps(model | {"passed": True})))
    assert diagnose(passed).passed


def test_the_verdict_can_be_written_as_json(good: xr.DataTree) -> None:
    found = json.loads(json.dumps(diagnose(altered(good, "posterior", "tau_study", shift_first_chain)).as_dict()))
    assert found["passed"] is False
    assert found["r_hat"]["level"] == "parameter"
    assert found["problems"][0]["check"] == "r-hat"


def test_a_result_without_delta_mcp_says_what_to_call() -> None:
    with pytest.raises(StageError, match=r"call result = mcpbayes\.delta_mcp\(result\) first"):
        diagnose(fake_result(draws=5))
