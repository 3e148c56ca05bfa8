"""What is refused before sampling, and models in which nothing is left to sample."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import mcpbayes as mb
from mcpbayes.errors import SpecificationError
from mcpbayes.inference.estimable import require_estimable
from mcpbayes.inference.tree import build_hierarchy


def made(formula: str = "~ 1", settings: tuple[str, ...] = (), **columns: object):
    table, _ = mb.simulate(studies=8, seed=3, kinds=("manure", "straw"))
    table = table.assign(**{name: make(table) for name, make in columns.items()})
    given = ("data.dispersion.sd_model=reported", *settings)
    model = mb.load_model("arm-based", settings=given, moderators=formula)
    return mb.prepare(table, model), model


def check(arms, model):
    require_estimable(arms, model, build_hierarchy(arms))


def organic(table: pd.DataFrame) -> pd.Series:
    return table["treatment"].map({"manure": "organic", "straw": "mineral"})


@pytest.mark.parametrize("formula", ["~ group", "~ treatment"])
def test_a_moderator_that_only_groups_the_kinds_is_refused(formula):
    arms, model = made(formula, group=organic)
    with pytest.raises(SpecificationError, match=r"same in all comparisons of each kind.*levels\.kind=off"):
        check(arms, model)
    arms, model = made(formula, settings=("levels.kind=off",), group=organic)
    check(arms, model)


def test_flat_coefficients_that_the_table_does_not_determine_are_refused():
    flat = ("priors.slope.distribution=flat", "priors.intercept.distribution=flat")
    arms, model = made("~ duration_years + twice", flat, twice=lambda table: 2 * table["duration_years"])
    with pytest.raises(SpecificationError, match="does not determine intercept, duration_years, twice of necromass"):
        check(arms, model)
    arms, model = made("~ duration_years", flat)
    check(arms, model)


def test_a_flat_mean_effect_needs_contrasts_of_that_pool():
    table, _ = mb.simulate(studies=6, seed=1)
    settings = ["data.dispersion.sd_model=reported", "priors.intercept.distribution=flat"]
    model = mb.load_model("arm-based", settings=settings)
    arms = mb.prepare(table, model)
    # A table like this one does not pass `prepare`.
    arms["log_mean"].loc[{"outcome": "necromass"}] = np.nan
    with pytest.raises(SpecificationError, match="intercept of necromass: 0 observed contrasts"):
        check(arms, model)


def test_a_moderator_named_kind_is_refused():
    with pytest.raises(SpecificationError, match="'kind' names the kinds"):
        mb.load_model("arm-based", moderators="~ kind")


def test_with_everything_fixed_nothing_is_sampled_and_the_mean_is_the_closed_form():
    """2000 exact draws: means of the coefficients within 5 standard errors of generalised least squares."""
    settings = [
        f"priors.{symbol}_{level}.distribution=fixed" for level in ("study", "comparison") for symbol in ("tau", "rho")
    ]
    settings += [f"priors.tau_{level}.value=0.2" for level in ("study", "comparison")]
    settings += [f"priors.rho_{level}.value=0.5" for level in ("study", "comparison")]
    settings += ["levels.kind=off", "sampling.chains=2", "sampling.draws=1000"]
    arms, model = made(settings=tuple(settings))
    result = mb.fit(arms, model, seed=1)
    posterior = result["posterior"].to_dataset()
    assert (posterior["tau_study"] == 0.2).all() and (posterior["rho_study"] == 0.5).all()
    beta = posterior["beta"].to_numpy().reshape(2000, 2)
    controls = arms["log_mean"].sel(arm=arms["control_of_comparison"].values).to_numpy()
    contrast = arms["log_mean"].sel(arm=arms["arm_of_comparison"].values).to_numpy() - controls
    size = len(contrast)
    covariance = np.zeros((size, 2, size, 2))
    sampling = arms["sampling_covariance"]
    tau = 0.04 * np.array([[1, 0.5], [0.5, 1]])
    for i in range(size):
        for j in range(size):
            same_control = arms["control_of_comparison"].values[i] == arms["control_of_comparison"].values[j]
            same_study = arms["study_of_comparison"].values[i] == arms["study_of_comparison"].values[j]
            block = same_study * tau
            if same_control:
                block = block + sampling.sel(arm=arms["control_of_comparison"].values[i]).to_numpy()
            if i == j:
                block = block + tau + sampling.sel(arm=arms["arm_of_comparison"].values[i]).to_numpy()
            covariance[i, :, j, :] = block
    precision = np.linalg.inv(covariance.reshape(2 * size, 2 * size))
    design = np.tile(np.eye(2), (size, 1))
    prior = np.linalg.inv(0.25 * np.array([[1, 0.7], [0.7, 1]]))
    spread = np.linalg.inv(design.T @ precision @ design + prior)
    mean = spread @ design.T @ precision @ contrast.ravel()
    assert (np.abs(beta.mean(axis=0) - mean) < 5 * np.sqrt(np.diag(spread) / 2000)).all()


def test_half_normal_quantiles_are_exact_in_both_tails():
    import pymc as pm
    import pytensor
    from pytensor.compile.mode import Mode

    from mcpbayes.inference.builders.priors import standard_deviations
    from mcpbayes.specification.structure import Prior

    with pm.Model(coords={"outcome": ["a"]}) as model:
        tau = standard_deviations("tau_study", Prior("half_normal", {"sd": 0.3}), ["a"])
    compiled = pytensor.function([model["tau_study_standard"]], tau, mode=Mode(linker="py", optimizer=None))
    for z in (-8.0, -3.0, 0.0, 2.0, 7.0, 8.5, 20.0):
        expected = 0.3 * stats.halfnorm.isf(stats.norm.sf(z)) if z > 0 else 0.3 * stats.halfnorm.ppf(stats.norm.cdf(z))
        assert compiled([z])[0] == pytest.approx(expected, rel=1e-9)
