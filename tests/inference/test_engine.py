"""What `fit` adds around the sampler, tested on fake draws; sampling itself is tested against other software."""

import json
import subprocess
import sys
import types

import numpy as np
import pytest
import xarray as xr
from fakes import fake_data, fake_result

import mcpbayes as mb
from mcpbayes.evidence.diagnostics import judge
from mcpbayes.inference import collapsed, completion
from mcpbayes.inference.completion import complete_posterior


@pytest.fixture
def completed():
    data = fake_data()
    result = fake_result()
    data["design"].attrs["recipe"] = '{"terms": [], "moderators": {}}'
    posterior = result["posterior"].to_dataset()
    posterior = posterior[[name for name in posterior.data_vars if name.startswith(("tau", "rho"))]]
    return data, posterior, complete_posterior(data, mb.load_model("arm-based"), posterior, seed=3)


def test_completed_posterior_has_effects_units_and_labels(completed):
    data, _, (posterior, likelihood) = completed
    assert posterior["comparison_effect"].dims == ("chain", "draw", "comparison", "outcome")
    assert posterior["baseline"].dims == ("chain", "draw", "control", "outcome")
    assert list(posterior["comparison_effect"]["comparison"].values) == list(data["comparison"].values)
    assert all("units" in posterior[name].attrs for name in posterior.data_vars)
    assert likelihood["contrasts"].dims == ("chain", "draw", "study")
    assert np.isfinite(likelihood["contrasts"]).all()


def test_the_same_seed_gives_the_same_draws_and_another_does_not(completed):
    data, posterior, (first, _) = completed
    again, _ = complete_posterior(data, mb.load_model("arm-based"), posterior, seed=3)
    other, _ = complete_posterior(data, mb.load_model("arm-based"), posterior, seed=4)
    assert first.identical(again)
    assert not first.identical(other)


def arms_of(studies=8, **settings):
    model = mb.load_model("arm-based", settings={"data.dispersion.sd_model": "reported"} | settings)
    table, _ = mb.simulate(model, studies=studies, seed=4)
    return mb.prepare(table, model), model


def test_auto_takes_the_collapsed_engine():
    arms, model = arms_of()
    result = mb.fit(arms, model, seed=2)
    assert result.attrs["engine"] == "collapsed"
    stats = result["sample_stats"]
    assert stats["log_weight"].dims == stats["accepted"].dims == ("chain", "draw")
    assert stats.attrs["pareto_k"] < 0.7 and stats.attrs["efficiency"] > 0.3
    assert 1 <= stats.attrs["attempt"] <= stats.attrs["attempts"] and stats.attrs["passed"] == 1


@pytest.fixture
def uncovered(monkeypatch):
    """Let the collapsed engine say that it did not cover the posterior, and let NUTS give the same draws."""
    real = collapsed.sample

    def poor(data, model, seed, guide=None):
        posterior, stats = real(data, model, seed, guide)
        return posterior, stats.assign_attrs(passed=0, pareto_k=0.93)

    def nuts(data, model, seed, report=None):
        posterior, _ = real(data, model, seed)
        return posterior, xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 1000), dtype=bool))})

    monkeypatch.setattr(collapsed, "sample", poor)
    fake = types.ModuleType("mcpbayes.inference.nuts")
    fake.sample = nuts
    monkeypatch.setitem(sys.modules, "mcpbayes.inference.nuts", fake)


def test_auto_turns_to_nuts_where_the_posterior_is_not_covered_and_says_so(uncovered):
    arms, model = arms_of()
    said = []
    result = mb.fit(arms, model, seed=2, report=said.append)
    assert result.attrs["engine"] == "nuts"
    found = [problem for problem in json.loads(result.attrs["problems"]) if problem["check"] == "engine-nuts"]
    assert len(found) == 1 and "k̂ 0.93" in found[0]["message"]
    assert any("NUTS was used" in line for line in said)


def test_collapsed_when_asked_for_keeps_its_draws_and_fails_the_gate(uncovered):
    arms, model = arms_of(**{"sampling.engine": "collapsed"})
    result = judge(mb.delta_mcp(mb.fit(arms, model, seed=2)))
    assert result.attrs["engine"] == "collapsed" and result.attrs["status"] == "failed"
    assert "pareto-k" in {problem["check"] for problem in json.loads(result.attrs["problems"])}


def test_nothing_left_to_sample():
    fixed = {"distribution": "fixed", "value": 0.1}
    names = ["tau_study", "tau_comparison", "rho_study", "rho_comparison"]
    arms, model = arms_of(**{f"priors.{name}.{key}": value for name in names for key, value in fixed.items()})
    result = mb.fit(arms, model)
    assert (result["posterior"]["tau_study"] == 0.1).all()
    assert np.ptp(result["posterior"]["beta"].values) > 0


def test_effects_of_large_tables_are_not_stored(monkeypatch):
    arms, model = arms_of()
    stored = mb.fit(arms, model, seed=2)
    monkeypatch.setattr(completion, "STORED_AT_MOST", 1000)
    streamed = mb.fit(arms, model, seed=2)
    assert "comparison_effect" not in streamed["posterior"] and "log_likelihood" not in streamed.children
    assert streamed["posterior"]["beta"].equals(stored["posterior"]["beta"])


def test_the_engine_needs_neither_pymc_nor_a_compiler():
    program = (
        "import sys, mcpbayes as mb\n"
        "import mcpbayes.inference.collapsed\n"
        "model = mb.load_model('arm-based', settings=['data.dispersion.sd_model=reported'])\n"
        "table, _ = mb.simulate(model, studies=5, seed=1)\n"
        "mb.analyse(table, model)\n"
        "print(sorted({'pymc', 'pytensor', 'nutpie', 'numba', 'llvmlite', 'arviz'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_worlds_that_turn_to_nuts_say_so(uncovered):
    prior = {"distribution": "lkj", "eta": 2.0, "why": "test"}
    settings = {f"priors.rho_within.{key}": value for key, value in prior.items()}
    arms, model = arms_of(**settings, **{"sampling.worlds": 2, "sampling.draws": 1000})
    result = mb.fit(arms, model, seed=2)
    assert result.attrs["engine"] == "nuts"
    assert "engine-nuts" in {problem["check"] for problem in json.loads(result.attrs["problems"])}
