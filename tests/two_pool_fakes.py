"""Fake two-pool results: made-up draws in the layout of a fit, so that a forecast is tested without sampling."""

import sys
import types

import fakes
import numpy as np
import pytest
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.inference.two_pool_simulation import simulate_two_pools
from mcpbayes.specification.loading import load_model, to_toml
from mcpbayes.specification.structure import Specification
from mcpbayes.tables.arms import prepare

REPORTED = load_model("two-pool", settings=["data.dispersion.sd_model=reported"])
#: Controls at a typical share of 0.4: none saturated by chance.
TYPICAL = {"priors.mu_r.mean": -0.4, "priors.mu_r.sd": 0.1, "priors.sigma_r.sd": 0.2}


def three_studies() -> xr.Dataset:
    """Arms of three simulated studies; one comparison without necromass, one study whose controls lack it."""
    table, _ = simulate_two_pools(load_model("two-pool", settings=TYPICAL), studies=3, seed=5)
    table.loc[0, ["necromass_treatment", "necromass_treatment_sd"]] = np.nan
    of_control = table.columns[table.columns.str.startswith("necromass_control")]
    table.loc[table["study"] == "Simulated 2", of_control] = np.nan
    return prepare(table, REPORTED)


def fake_two_pools(
    *,
    change: tuple[float, float] = (0.5, -0.2),
    rate: tuple[float, float] = (0.05, 0.03),
    ratio: float = 0.4,
    residual: float = 0.1,
    spread: float = 0.05,
    chains: int = 4,
    draws: int = 250,
    settings: tuple[str, ...] = (),
) -> xr.DataTree:
    """A result with groups data, posterior and sample_stats; `spread` 0: every draw is the centre."""
    rng, size, lead = np.random.default_rng(2), (chains, draws), ("chain", "draw")
    data = fakes.fake_data(kinds=("treatment",))
    years = np.linspace(2, 30, data.sizes["comparison"])
    data = data.assign({words.DURATION: ("comparison", years)}).assign_attrs(family=words.TWO_POOL)
    controls, studies, comparisons = (data.sizes[name] for name in ("control", "study", "comparison"))

    def normal(centre: object, sd: float, *shape: int) -> np.ndarray:
        return np.asarray(centre) + sd * rng.standard_normal((*size, *shape))

    r0 = 1 / (1 + np.exp(-normal(np.log(ratio / (1 - ratio)), spread, controls)))
    soc = normal(np.log(15.0), spread, controls)
    pool = (*lead, "pool")
    variables = {
        "beta": ((*lead, "coefficient", "pool"), normal([change], spread, 1, 2)),
        "tau_study": (pool, residual * np.exp(normal(0, spread, 2))),
        "rho_study": ((*lead, "pair"), np.tanh(normal(0.3, spread, 1))),
        "tau_comparison": (pool, residual * np.exp(normal(0, spread, 2))),
        "rho_comparison": ((*lead, "pair"), np.tanh(normal(0.3, spread, 1))),
        "turnover_rate": (pool, np.asarray(rate) * np.exp(normal(0, spread, 2))),
        "mu_r": (lead, normal(np.log(ratio / (1 - ratio)), spread)),
        "sigma_r": (lead, 0.3 * np.exp(normal(0, spread))),
        "mcp_efficacy_control": ((*lead, "control"), r0),
        "baseline": ((*lead, "control", "outcome"), np.stack([soc + np.log(r0), soc], axis=-1)),
        "study_effect": ((*lead, "study", "pool"), normal(0, spread, studies, 2)),
        "comparison_effect": ((*lead, "comparison", "pool"), normal(0, spread, comparisons, 2)),
    }
    coords = {"chain": range(chains), "draw": range(draws), "pair": ["necromass,non_microbial"]}
    coords |= {"pool": list(words.PARTS_OF_SOC)}
    coords |= {name: data[name].values for name in ("coefficient", "outcome", "control", "study", "comparison")}
    stats = xr.Dataset({"diverging": (lead, np.zeros(size, bool))}, {name: coords[name] for name in lead})
    groups = {words.DATA: data, words.POSTERIOR: xr.Dataset(variables, coords), words.SAMPLE_STATS: stats}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = {
        "schema_version": words.SCHEMA_VERSION,
        "mcpbayes_version": "0.1.0",
        "engine": "nuts",
        "seed": 1,
        "specification": to_toml(load_model("two-pool", settings=settings)),
        "status": "ok",
        "problems": "[]",
    }
    return tree


def fake_draws(data: xr.Dataset, model: Specification, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """What NUTS returns of a table: draws around the measured effect on necromass, and three divergences."""
    rng, lead = np.random.default_rng(seed), ("chain", "draw")
    size = (model.sampling.chains, model.sampling.draws)
    log_mean = data["log_mean"].sel(outcome="necromass")
    treated = data["treated"].values.astype(bool)
    centre = float(log_mean.values[treated].mean() - log_mean.values[~treated].mean())

    def normal(middle: object, *shape: int) -> np.ndarray:
        return np.asarray(middle) + 0.1 * rng.standard_normal((*size, *shape))

    controls, studies, comparisons = (data.sizes[name] for name in ("control", "study", "comparison"))
    rates = model.priors["turnover_rate"].parameters.get("value", {"necromass": 0.05, "non_microbial": 0.03})
    rate = np.array([rates[pool] for pool in words.PARTS_OF_SOC])
    free = model.priors["turnover_rate"].distribution != "fixed"
    both = (*lead, "pool")
    variables = {
        "beta": ((*lead, "coefficient", "pool"), normal([[centre, -centre]], 1, 2)),
        "tau_study": (both, np.abs(normal(0.3, 2))),
        "rho_study": ((*lead, "pair"), np.tanh(normal(0.0, 1))),
        "tau_comparison": (both, np.abs(normal(0.2, 2))),
        "rho_comparison": ((*lead, "pair"), np.tanh(normal(0.0, 1))),
        "turnover_rate": (both, rate * np.exp(free * normal(0.0, 2))),
        "mu_r": (lead, normal(-0.4)),
        "sigma_r": (lead, np.abs(normal(0.3))),
        "mcp_efficacy_control": ((*lead, "control"), 1 / (1 + np.exp(-normal(-0.4, controls)))),
        "study_effect": ((*lead, "study", "pool"), normal(0.0, studies, 2)),
        "comparison_effect": ((*lead, "comparison", "pool"), normal(0.0, comparisons, 2)),
    }
    coords = {"chain": range(size[0]), "draw": range(size[1]), "pair": ["necromass,non_microbial"]}
    coords |= {"pool": list(words.PARTS_OF_SOC)}
    coords |= {name: data[name].values.astype(str) for name in ("coefficient", "control", "study", "comparison")}
    diverging = np.zeros(size, dtype=bool)
    diverging[0, :3] = True
    return xr.Dataset(variables, coords), xr.Dataset({"diverging": (lead, diverging)})


def without_nuts(monkeypatch: pytest.MonkeyPatch) -> list[xr.Dataset]:
    """Let `fake_draws` stand for NUTS; return the list of tables that a model is compiled for."""
    compiled: list[xr.Dataset] = []

    def compiled_once(data: xr.Dataset, model: Specification, report: object = None) -> object:
        compiled.append(data)
        return fake_draws

    fake = types.ModuleType("mcpbayes.inference.nuts")
    fake.compiled_once = compiled_once
    fake.sample = lambda data, model, seed, report=None: compiled_once(data, model)(data, model, seed)
    monkeypatch.setitem(sys.modules, "mcpbayes.inference.nuts", fake)
    return compiled
