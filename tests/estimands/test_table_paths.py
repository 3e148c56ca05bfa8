"""Trajectories of studies and comparisons, and what is said of them: the equations, the prior, piece by piece."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.estimands import forecast as module
from mcpbayes.estimands.forecast import of_table
from mcpbayes.estimands.paths import average_paths, effects_at, posterior_paths, prior_paths
from mcpbayes.estimands.table_paths import table_paths, table_targets
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.two_pool_completion import _effects
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.specification.loading import load_model

#: More than there are targets of one level.
ALL = 1000
LEAD = ("chain", "draw")


@pytest.fixture(scope="module")
def sites() -> xr.DataTree:
    """The fake with a moderator and with sites, one for each control."""
    rng, result = np.random.default_rng(3), fake_two_pools()
    data, posterior = (result[name].to_dataset() for name in (words.DATA, words.POSTERIOR))
    size = tuple(posterior.sizes[name] for name in LEAD)
    names, slope = [f"site of {one}" for one in data["control"].values], rng.standard_normal(data.sizes["comparison"])
    changed = {"site_of_control": ("control", np.array(names, dtype=object))}
    changed |= {"site_of_comparison": ("comparison", np.repeat(changed["site_of_control"][1], 2))}
    changed |= {"design": (("comparison", "coefficient"), np.stack([np.ones(len(slope)), slope], axis=1))}
    coords = {"site": names, "coefficient": ["intercept", "depth"]}
    beta = np.concatenate([posterior["beta"].values, 0.2 * rng.standard_normal((*size, 1, 2))], axis=2)
    added = {"beta": ((*LEAD, "coefficient", "pool"), beta)}
    added |= {"site_effect": ((*LEAD, "site", "pool"), 0.1 * rng.standard_normal((*size, len(names), 2)))}
    added |= {"tau_site": posterior["tau_study"], "rho_site": posterior["rho_study"]}
    data, posterior = (
        old.drop_vars([name for name in (*coords, *new) if name in old]).assign(new).assign_coords(coords)
        for old, new in ((data, changed), (posterior, added))
    )
    tree = xr.DataTree.from_dict({words.DATA: data, words.POSTERIOR: posterior})
    tree.attrs = result.attrs
    return tree


def flat(variable: xr.DataArray, *dims: str) -> np.ndarray:
    return variable.stack(sample=LEAD).transpose(*dims, "sample").values


def pieces(result: xr.DataTree, at_once: int = ALL) -> list[xr.Dataset]:
    return list(table_targets(result["data"].to_dataset(), at_once))


def test_studies_come_first_in_pieces_of_one_level(sites):
    sizes = [(str(piece["level"].values[0]), piece.sizes["target"]) for piece in pieces(sites, 3)]
    assert sizes == [("study", 3), ("study", 2), *[("comparison", 3)] * 6, ("comparison", 2)]
    studies, comparisons = pieces(sites)
    assert studies["target"].values[0] == "study: S1" and studies["controls"].values.tolist() == [2] * 5
    assert comparisons["name"].values.tolist() == sites["data"]["comparison"].values.tolist()
    assert (comparisons["controls"] == 1).all()


def test_at_its_own_duration_a_comparison_is_where_its_baseline_was_drawn_from(sites):
    """Two routes to θ: these trajectories, and the effects behind the exact conditional of the baselines."""
    data, posterior = sites["data"].to_dataset(), sites["posterior"].to_dataset()
    years = data[words.DURATION].values
    expected = _effects(build_hierarchy(data), posterior, years)
    paths, _ = table_paths(sites, pieces(sites)[1])
    here = np.repeat(years[:, None], expected.shape[-1], axis=1)
    np.testing.assert_allclose(effects_at(paths, here), expected, rtol=0, atol=1e-13)


def test_a_comparison_starts_from_its_own_control(sites):
    posterior = sites["posterior"].to_dataset().sel(control=sites["data"]["control_of_comparison"].values)
    paths, soc = table_paths(sites, pieces(sites)[1])
    np.testing.assert_allclose(paths.ratio, flat(posterior["mcp_efficacy_control"], "control"), rtol=1e-13)
    np.testing.assert_allclose(soc, np.exp(flat(posterior["baseline"].sel(outcome="soc"), "control")), rtol=1e-13)


def test_level_study_is_the_equations_at_every_draw(sites):
    """a = B'x̄ + u without site or residual; r₀ and SOC are geometric means over the study's controls."""
    data, posterior = sites["data"].to_dataset(), sites["posterior"].to_dataset()
    paths, soc = table_paths(sites, pieces(sites)[0])
    for place, name in enumerate(data["study"].values):
        row = data["design"].values[data["study_of_comparison"].values == name].mean(axis=0)
        a = np.einsum("p,pjd->jd", row, flat(posterior["beta"], "coefficient", "pool"))
        a = a + flat(posterior["study_effect"].sel(study=name), "pool")
        own = posterior.sel(control=data["control"].values[data["study_of_control"].values == name])
        r0 = np.sqrt(np.prod(flat(own["mcp_efficacy_control"], "control"), axis=0))
        k = flat(posterior["turnover_rate"], "pool")
        for year in (0.0, 12.5, np.inf):
            n, p = (log_pool_change(a[j], k[j], year) for j in (0, 1))
            expected = np.stack([n, log_soc_change(n, p, r0)])
            np.testing.assert_allclose(effects_at(paths, year)[place], expected, rtol=0, atol=1e-12)
        first, second = np.exp(flat(own["baseline"].sel(outcome="soc"), "control"))
        np.testing.assert_allclose(soc[place], np.sqrt(first * second), rtol=1e-12)


@pytest.mark.parametrize("table", [mb.forecast_table, mb.forecast_scenario_table, mb.crossing_table])
def test_tables_do_not_hang_on_how_many_targets_are_worked_on_at_once(table, monkeypatch):
    result = mb.forecast(fake_two_pools(draws=50), [10, 40], since=5)
    whole = table(result)
    monkeypatch.setattr(module, "_AT_ONCE", 7)
    pd.testing.assert_frame_equal(table(result), whole)


def test_a_reference_ratio_is_not_that_of_the_table():
    one, other = (fake_two_pools(draws=10, settings=given) for given in ((), ("delta_mcp.reference=0.9",)))
    for piece in pieces(one):
        assert np.array_equal(table_paths(one, piece)[0].ratio, table_paths(other, piece)[0].ratio)
        before = prior_paths(load_model("two-pool"), one["posterior"].to_dataset(), piece, 1)
        after = prior_paths(load_model("two-pool", settings=["delta_mcp.reference=0.9"]),
                            one["posterior"].to_dataset(), piece, 1)  # fmt: skip
        assert np.array_equal(before.ratio, after.ratio)


def test_a_priori_a_comparison_of_the_table_is_one_in_a_new_study():
    """Without moderators and sites both have the same effects and the r₀ of one control."""
    result = mb.forecast(fake_two_pools(draws=10), [10])
    new = result["forecast"]["prior_probability"].sel(target="new: average").values
    comparisons = [piece() for piece in of_table(result, "scenarios")][-1]
    assert (comparisons["level"] == "comparison").all()
    np.testing.assert_array_equal(comparisons["prior_probability"].values, np.broadcast_to(new, (20, *new.shape)))


def test_a_priori_a_study_has_its_effect_no_residual_and_as_many_controls_as_it_has():
    """20 000 prior draws, seed 1, μ_r and σ_r fixed: Var ln r₀ over m controls is that of one over m, within 5 %."""
    fixed = [f"priors.{name}.{key}" for name, value in (("mu_r", 0), ("sigma_r", 1))
             for key in ("distribution=fixed", f"value={value}")]  # fmt: skip
    result = fake_two_pools(draws=10)
    posterior, (studies, comparisons) = result["posterior"].to_dataset(), pieces(result)
    studies = studies.assign(controls=("target", [1, 2, 4, 8, 2]))
    model = load_model("two-pool", settings=fixed)
    prior, full = (prior_paths(model, posterior, piece, 1) for piece in (studies, comparisons))
    spread = np.log(prior.ratio).var(axis=1)
    np.testing.assert_allclose(spread * [1, 2, 4, 8, 2], spread[0], rtol=0.05)
    assert np.array_equal(prior.ratio[1], prior.ratio[4]) and np.array_equal(prior.ratio[0], full.ratio[0])
    assert (prior.residual == 0).all() and full.residual.std() > 0.1
    assert np.array_equal(prior.change[0], full.change[0])  # no sites: a = B'x + u of both


@pytest.mark.parametrize("years", [0.0, 15.0, np.inf])
def test_the_average_over_comparisons_is_that_of_fresh_ones(years):
    """4 × 5000 draws, all parameters fixed, r₀ from 0.2 to 0.6: the mean of exp(θ) at level new within 5 errors."""
    fake = fake_two_pools(spread=0.0, residual=0.3, draws=5000)
    posterior = fake["posterior"].to_dataset()
    ratio = np.broadcast_to(np.linspace(0.2, 0.6, 10), posterior["mcp_efficacy_control"].shape)
    posterior = posterior.assign(mcp_efficacy_control=posterior["mcp_efficacy_control"].copy(data=ratio))
    fake[words.POSTERIOR] = xr.DataTree(posterior)
    asked = module.population_targets(module.population_points(fake["data"].to_dataset(), ()))
    paths, _ = posterior_paths(fake, asked)
    average = np.exp(effects_at(average_paths(paths.of(np.array([True, False])), posterior), years))[0]
    assert np.ptp(average, axis=1) == pytest.approx(0.0, abs=1e-12)
    fresh = np.exp(effects_at(paths, years))[1]
    error = fresh.std(axis=1) / np.sqrt(fresh.shape[1])
    assert (abs(fresh.mean(axis=1) - average[:, 0]) < 5 * error).all()
