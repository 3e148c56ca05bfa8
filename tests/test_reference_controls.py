"""Shared controls are exact: the covariance that the hierarchy implies, from published contrasts and from arms.

Log response ratios of one control covary by sd²/(n m²) of the control (Lajeunesse 2011, doi:10.1890/11-0423.1).
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import mcpbayes as mb
from mcpbayes.inference.hierarchy import Covariances, log_likelihood
from mcpbayes.inference.root import log_restricted
from mcpbayes.inference.small_matrices import covariance
from mcpbayes.inference.tree import Hierarchy, build_hierarchy

#: SDs as they are, and log means without correction: what published log ratios hold.
PLAIN = ("data.effect_size.bias_correction=false", "data.dispersion.sd_model=reported")

#: Heterogeneity and mean of SOC for which the layouts are compared: usual, none at all, small, large.
TAU_STUDY = np.array([0.2, 0.0, 0.1, 1.0])
TAU_COMPARISON = np.array([0.1, 0.0, 0.3, 2.0])
MEAN = np.array([0.1, 0.2, -0.3, 0.0])


@pytest.fixture(scope="module")
def published(root) -> pd.DataFrame:
    """Means, standard deviations and n of six rows with three controls, and metafor's log ratios of them."""
    return pd.read_csv(root / "tests/reference/shared_control.csv")


@pytest.fixture(scope="module")
def exact(root) -> np.ndarray:
    return np.loadtxt(root / "tests/reference/shared_control_V.csv", delimiter=",", skiprows=1)


def names(published: pd.DataFrame) -> dict[str, pd.Series]:
    return {
        "study": published["study"],
        "comparison": published["obs"],
        "treatment": published["trt"],
        "control_id": published["ctlgrp"],
    }


def read(table: pd.DataFrame, folder, model) -> Hierarchy:
    """From a file to the hierarchy; rows must come out in the order they went in."""
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    data = mb.prepare(mb.read_table(path), model)
    assert list(data["source_row"].values) == list(range(2, len(table) + 2))
    return build_hierarchy(data)


@pytest.fixture
def contrasts(published, tmp_path) -> Hierarchy:
    """One outcome, log ratios with their variance and the control's part of it."""
    shared = published["sd2i"] ** 2 / (published["n2i"] * published["m2i"] ** 2)
    table = pd.DataFrame(names(published) | {"yi": published["yi"], "vi": published["vi"], "v_control": shared})
    return read(table, tmp_path, mb.load_model("contrast-based", settings={"data.outcomes": ["soc"]}))


@pytest.fixture
def arms(published, tmp_path) -> Hierarchy:
    """The same numbers arm by arm as SOC, the second of two pools; necromass was never measured."""
    means = {"soc_control": published["m2i"], "soc_treatment": published["m1i"]}
    spread = {"soc_control_sd": published["sd2i"], "soc_treatment_sd": published["sd1i"]}
    size = {"n_control": published["n2i"], "n_treatment": published["n1i"]}
    table = pd.DataFrame(names(published) | means | spread | size)
    settings = [*PLAIN, "data.outcomes=['soc']"]
    alone = read(table, tmp_path, mb.load_model("arm-based", settings=settings))
    # `prepare` refuses a pool that nobody measured, the hierarchy knows it.
    gap = ((0, 0), (1, 0))
    sampling = np.pad(alone.sampling, (*gap, (1, 0)))
    return replace(alone, y=np.pad(alone.y, gap), sampling=sampling, observed=np.pad(alone.observed, gap))


def implied_covariance(tree: Hierarchy) -> np.ndarray:
    """Sampling covariance (comparison, K, comparison, K) of the contrasts: own part, and the control's shared part."""
    if tree.control_covariance is None:
        shared = np.zeros((len(tree.site), *tree.sampling.shape[1:]))
        shared[tree.control[~tree.treated]] = tree.sampling[~tree.treated]
    else:
        shared = tree.control_covariance
    control = tree.control[tree.arm]
    same = np.equal.outer(control, control)
    whole = np.einsum("ij,ikl->ikjl", same, shared[control])
    rows = np.arange(len(control))
    whole[rows, :, rows, :] += tree.sampling[tree.arm]
    return whole


def test_published_contrasts_covary_as_their_controls_say(contrasts, exact):
    np.testing.assert_allclose(implied_covariance(contrasts)[:, 0, :, 0], exact, rtol=0, atol=1e-12)


def test_contrasts_of_arms_covary_exactly(arms, exact, published):
    soc = 1
    np.testing.assert_allclose(implied_covariance(arms)[:, soc, :, soc], exact, rtol=0, atol=1e-12)
    control = np.zeros(len(arms.site))
    control[arms.control[~arms.treated]] = arms.y[~arms.treated, soc]
    ratio = arms.y[arms.arm, soc] - control[arms.control[arms.arm]]
    np.testing.assert_allclose(ratio, published["yi"], rtol=0, atol=1e-12)


def test_restricted_likelihood_with_shared_controls_is_metafors(contrasts, root):
    """Without heterogeneity; with controls taken as independent metafor's value differs by 1.3."""
    found = json.loads((root / "tests/reference/shared_control_metafor.json").read_text())
    none = np.zeros((1, 1, 1))
    assert abs(found["exact"]["logLik"] - found["ignored"]["logLik"]) > 1
    assert log_restricted(contrasts, Covariances(none, none))[0] == pytest.approx(found["exact"]["logLik"], abs=1e-6)


def test_both_layouts_have_one_likelihood(contrasts, arms):
    """Study by study; whatever is assumed of necromass, which was not measured, changes nothing."""
    alone = np.zeros((len(MEAN), 0))
    one = Covariances(covariance(TAU_COMPARISON[:, None], alone), covariance(TAU_STUDY[:, None], alone))
    rho = np.array([[0.6], [-0.9], [1.0], [0.0]])
    both = Covariances(
        covariance(np.column_stack([3 * TAU_COMPARISON + 0.1, TAU_COMPARISON]), rho),
        covariance(np.column_stack([2 * TAU_STUDY, TAU_STUDY]), -rho),
    )
    rows = len(contrasts.arm)
    from_contrasts = log_likelihood(contrasts, one, np.tile(MEAN, (rows, 1, 1)))
    from_arms = log_likelihood(arms, both, np.tile([np.full(len(MEAN), 5.0), MEAN], (rows, 1, 1)))
    np.testing.assert_allclose(from_arms, from_contrasts, rtol=0, atol=1e-10)


def test_both_layouts_have_one_likelihood_with_two_pools(tmp_path):
    """Simulated arms with unequal n, shared controls and gaps, written down as contrasts with ``cov_control``."""
    simulated, _ = mb.simulate(studies=8, seed=5, missing_necromass=0.2)
    model = mb.load_model("arm-based", settings=[*PLAIN, "levels.site=off"])
    data = mb.prepare(simulated, model)
    tree = build_hierarchy(data)
    table = as_contrasts(data)
    assert table["control_id"].duplicated().any() and table["yi_necromass"].isna().any()
    again = read(table, tmp_path, mb.load_model("contrast-based", settings=["levels.site=off"]))
    rng = np.random.default_rng(1)
    one, two = (covariance(rng.gamma(2, 0.1, (5, 2)), rng.uniform(-1, 1, (5, 1))) for _ in range(2))
    mean = rng.normal(0, 0.3, (len(tree.arm), 2, 5))
    values = [log_likelihood(of, Covariances(one, two), mean) for of in (tree, again)]
    np.testing.assert_allclose(values[0], values[1], rtol=0, atol=1e-10)


def as_contrasts(data) -> pd.DataFrame:
    """Turn arms into a table of contrasts: differences of log means, sums of variances."""
    control, treated = data["control_of_comparison"].values, data["arm_of_comparison"].values
    y = data["log_mean"].sel(arm=treated).values - data["log_mean"].sel(arm=control).values
    shared = data["sampling_covariance"].sel(arm=control).values
    whole = data["sampling_covariance"].sel(arm=treated).values + shared
    columns = {"study": data["study_of_comparison"], "comparison": data["comparison"], "control_id": control}
    for k, outcome in enumerate(data["outcome"].values):
        columns |= {f"yi_{outcome}": y[:, k], f"vi_{outcome}": whole[:, k, k], f"v_control_{outcome}": shared[:, k, k]}
    return pd.DataFrame(columns | {"cov": whole[:, 0, 1], "cov_control": shared[:, 0, 1]})


def prepared_soc(table: pd.DataFrame, **names: str) -> tuple[np.ndarray, np.ndarray]:
    """Log ratios and their covariance, by `prepare`, of published means, SDs and n as SOC; 1 is treated, 2 control."""
    cells = {
        f"{stem}{role}{end}": table[f"{letter}{i}i"]
        for role, i in (("treatment", 1), ("control", 2))
        for stem, end, letter in (("soc_", "", "m"), ("soc_", "_sd", "sd"), ("n_", "", "n"))
    }
    given = {name: table[column] for name, column in names.items()}
    # plants in one of the tables are heavier than any soil's carbon: as stocks, which have no such bound
    settings = [*PLAIN, "data.outcomes=['soc']", "data.units.soc=Mg/ha"]
    data = mb.prepare(pd.DataFrame(given | cells), mb.load_model("arm-based", settings=settings))
    data = data.isel(comparison=np.argsort(data["source_row"].values))
    own = ~data["treated"].values
    arm_of = dict(zip(data["control_of_arm"].values[own], data["arm"].values[own], strict=True))
    group = data["control_of_comparison"].values
    control, treated = [arm_of[name] for name in group], data["arm_of_comparison"].values
    y, v = data["log_mean"].isel(outcome=0), data["sampling_covariance"].isel(outcome=0, outcome_bis=0)
    covariance = np.equal.outer(group, group) * v.sel(arm=control).values + np.diag(v.sel(arm=treated).values)
    return y.sel(arm=treated).values - y.sel(arm=control).values, covariance


def test_prepare_gives_the_effects_of_other_software_for_102_published_contrasts(shared_reference):
    table = pd.read_csv(shared_reference / "d_curtis1998_effects.csv")
    table = table.assign(row=range(len(table)))
    ratio, covariance = prepared_soc(table, study="paper", control_id="row", treatment="row")
    assert len(ratio) == 102
    np.testing.assert_allclose(ratio, table["yi_ROM_LS"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(np.diag(covariance), table["vi_ROM_LS"], rtol=0, atol=1e-10)


def test_prepare_gives_the_covariance_of_other_software_for_shared_controls(shared_reference):
    table = pd.read_csv(shared_reference / "e_shared_control_data.csv")
    ratio, covariance = prepared_soc(table, study="study", control_id="ctlgrp", treatment="trt")
    np.testing.assert_allclose(ratio, table["yi"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(np.diag(covariance), table["vi"], rtol=0, atol=1e-10)
    exact = pd.read_csv(shared_reference / "e_V_exact_lajeunesse.csv").to_numpy()
    np.testing.assert_allclose(covariance, exact, rtol=0, atol=1e-10)
