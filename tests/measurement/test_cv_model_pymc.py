"""The model of CVs written again in PyMC, every CV and study effect sampled: the other route to the same numbers."""

import numpy as np
import pytest

from mcpbayes.measurement.cv_model import fit_cvs
from mcpbayes.measurement.cv_posterior import Priors

pm = pytest.importorskip("pymc")

PRIORS = Priors(np.log([0.185, 0.138]), np.array([0.5, 0.5]), 0.3, np.array([0.3, 0.3]))


def test_nuts_agrees():
    rng = np.random.default_rng(3)
    study = np.repeat(np.arange(5), 3)
    x = np.log([0.2, 0.12]) + 0.3 * rng.standard_normal(5)[study][:, None] + 0.2 * rng.standard_normal((15, 2))
    sample = np.exp(x) * np.sqrt(rng.chisquare(2, x.shape) / 2)
    sample[study == 4, 0] = np.nan
    n = np.full(x.shape, 3.0)
    fit = fit_cvs(sample, n - 1, study, np.ones(x.shape, dtype=bool), PRIORS, rng)
    draws = nuts(sample, study)
    for ours, theirs in (
        *((fit.parameters.mu[:, k], draws["mu"][:, k]) for k in range(2)),
        *((fit.parameters.omega[:, k], draws["omega"][:, k]) for k in range(2)),
        (fit.parameters.tau, draws["tau"]),
    ):
        error = np.hypot(ours.std() / np.sqrt(fit.ess), theirs.std() / np.sqrt(200))
        assert ours.mean() == pytest.approx(theirs.mean(), abs=3.5 * error)
    np.testing.assert_allclose(fit.rms, np.sqrt(np.mean(np.exp(2 * draws["x"]), axis=0)), rtol=0.12)


def nuts(sample: np.ndarray, study: np.ndarray) -> dict[str, np.ndarray]:
    """Draws of μ, ω, τ and ln CV of all arms; two chains of 500."""
    seen = ~np.isnan(sample)
    with pm.Model():
        mu = pm.Normal("mu", PRIORS.location, PRIORS.spread)
        omega = pm.HalfNormal("omega", PRIORS.omega)
        tau = pm.HalfNormal("tau", PRIORS.tau)
        effect = tau * pm.Normal("effect", 0, 1, shape=int(study.max()) + 1)
        x = pm.Deterministic("x", mu + effect[study][:, None] + omega * pm.Normal("z", 0, 1, shape=sample.shape))
        # s² ~ Gamma(ν/2, rate ν/(2σ²)) with ν = 2
        pm.Gamma("squares", alpha=1.0, beta=pm.math.exp(-2 * x[seen]), observed=sample[seen] ** 2)
        found = pm.sample(
            tune=500, draws=500, chains=2, cores=1, random_seed=4, progressbar=False, nuts_sampler="nutpie"
        )
    posterior = found["posterior"]
    return {
        name: posterior[name].values.reshape(1000, *posterior[name].shape[2:]) for name in ("mu", "omega", "tau", "x")
    }
