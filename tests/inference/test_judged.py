"""What the engine ``auto`` judges before it accepts a fit: all that the gate of a run looks at."""

import numpy as np
import pytest

import mcpbayes as mb
from mcpbayes.evidence.diagnostics import convergence_table
from mcpbayes.inference import cascade, collapsed
from mcpbayes.inference.cascade import explore
from mcpbayes.inference.completion import complete_posterior


@pytest.fixture(scope="module", params=[("manure",), ("manure", "straw return", "biochar")], ids=["one kind", "kinds"])
def sampled(request):
    model = mb.load_model("arm-based", settings=["data.dispersion.sd_model=reported"])
    table, _ = mb.simulate(studies=10, kinds=request.param, seed=5)
    data = mb.prepare(table, model)
    return data, model, *collapsed.sample(data, model, 3)


def test_the_judged_coefficients_are_those_of_the_posterior(sampled):
    data, model, posterior, stats = sampled
    assert stats.attrs["passed"]
    variances = posterior[[name for name in posterior.data_vars if name.startswith(("tau", "rho"))]]
    assert set(posterior.data_vars) - set(variances.data_vars) == (
        {"beta", "kind_effect"} if "tau_kind" in posterior else {"beta"}
    )
    drawn, _ = complete_posterior(data, model, variances, 3, store=False)
    taken, _ = complete_posterior(data, model, posterior, 3, store=False)
    assert drawn.identical(taken)


def test_every_parameter_of_the_gate_was_judged_and_every_kind(sampled, monkeypatch):
    data, model, *_ = sampled
    seen = []
    monkeypatch.setattr(cascade, "chains_mix", lambda rows: seen.append(rows) or True)
    result = mb.delta_mcp(mb.fit(data, model, seed=3))
    table = convergence_table(result, ["parameter"])
    rows = {tuple(row) for row in np.round(seen[-1][:, 0, :3], 12)}
    for name in ("beta", "kind_effect", "tau_study", "rho_comparison"):
        if name in result["posterior"]:
            values = np.moveaxis(result["posterior"][name].values[0, :3], 0, -1).reshape(-1, 3)
            assert {tuple(row) for row in np.round(values, 12)} <= rows
    kinds = result["posterior"]["kind_effect"][0, 0].size if "kind_effect" in result["posterior"] else 0
    assert len(seen[-1]) == len(table) + kinds  # the gate sees kinds in the rows of the levels mean and new


def test_coefficients_that_do_not_mix_lead_to_the_next_attempt(sampled, monkeypatch):
    """Each chain's coefficients stay near a value of their own in the first attempt only."""
    data, model, *_ = sampled
    real, calls = collapsed.draw_root, []

    def stuck(tree, sigma, prior, kind_factor, seed):
        beta, kind = real(tree, sigma, prior, kind_factor, seed)
        calls.append(seed)
        return (beta + np.repeat(np.arange(4), 1000) if len(calls) == 1 else beta), kind

    monkeypatch.setattr(collapsed, "draw_root", stuck)
    posterior, stats = collapsed.sample(data, model, 3)
    assert stats.attrs["attempt"] > 1 and stats.attrs["passed"] and len(calls) == 2
    assert np.ptp(posterior["beta"].mean("draw").values, axis=0).max() < 0.1


def test_coefficients_that_never_mix_are_not_passed(sampled, monkeypatch):
    data, model, *_ = sampled
    real = collapsed.draw_root

    def stuck(*given):
        beta, kind = real(*given)
        return beta + np.repeat(np.arange(4), 1000), kind

    monkeypatch.setattr(collapsed, "draw_root", stuck)
    first = collapsed.attempts(6)[:2]
    monkeypatch.setattr(cascade, "attempts", lambda d: first)
    _, stats = collapsed.sample(data, model, 3)
    assert not stats.attrs["passed"]


def test_rows_are_not_worked_out_where_weights_have_failed(monkeypatch):
    def never(z, system):
        raise AssertionError("judged although the weights had failed")

    def thin(z):
        return -0.5 * (z[:, 0] ** 2 + ((z[:, 1] - z[:, 0] ** 2) / 1e-4) ** 2 + np.sum(z[:, 2:] ** 2, axis=1))

    monkeypatch.setattr(cascade, "attempts", lambda d: (cascade.Attempt("quantile", 8, 3, 1000, particles=500),))
    found = explore(lambda system: thin, never, 6, np.random.default_rng(6))
    assert not found.passed and found.judged is None
