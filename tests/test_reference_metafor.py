"""Log-likelihoods at metafor's estimates: simulated contrasts, and the real pairs with shared controls."""

import json

import numpy as np
import pytest

import mcpbayes as mb
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import log_restricted
from mcpbayes.inference.small_matrices import covariance
from mcpbayes.inference.tree import build_hierarchy

PAIRS = [
    "levels.kind=off",
    "levels.site=off",
    "data.defaults.cv={ necromass = 0.15, soc = 0.10 }",
    "data.effect_size.bias_correction=false",
]


def levels(tau_study, rho_study, tau_comparison, rho_comparison) -> Covariances:
    def one(tau, rho):
        return covariance(np.array([tau]), np.array([[rho]]))

    return Covariances(one(tau_comparison, rho_comparison), one(tau_study, rho_study))


def contrasts(shared_reference):
    model = mb.load_model(
        "contrast-based", moderators="~ x", settings=["data.columns.comparison=obs", "moderators.standardise=false"]
    )
    return build_hierarchy(mb.prepare(shared_reference / "g_sim_J50.csv", model))


@pytest.mark.parametrize("design", ["dense", "sparse"])
def test_restricted_likelihood_of_the_simulated_contrasts(shared_reference, design):
    found = json.loads((shared_reference / f"g_metafor_J50_REML_{design}.json").read_text())
    at = levels(np.sqrt(found["tau2"]), found["rho"], np.sqrt(found["gamma2"]), found["phi"])
    value = log_restricted(contrasts(shared_reference), at)[0]
    assert value == pytest.approx(found["logLik"], abs=1e-6)


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_likelihoods_of_the_real_pairs_with_shared_controls(shared_data, shared_reference, root, method):
    found = json.loads((shared_reference / "h_sndb_metafor.json").read_text())[method]
    model = mb.load_model(root / "notebooks/sndb-pairs.toml", settings=PAIRS)
    tree = build_hierarchy(mb.prepare(shared_data / "sndb_pairs_strict.csv", model))
    at = levels(found["tau_study"], found["rho_study"], found["tau_comparison"], found["rho_comparison"])
    if method == "REML":
        value = log_restricted(tree, at)[0]
    else:
        mean = np.repeat(np.array(found["coef"])[None, :, None], len(tree.arm), axis=0)
        value = log_likelihood(tree, at, mean).sum()
    assert value == pytest.approx(found["logLik"], abs=1e-6)
