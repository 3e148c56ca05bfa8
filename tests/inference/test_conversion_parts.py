"""Worlds of conversion factors where fungal and bacterial necromass are pools of their own."""

import numpy as np
import pytest
from made_parts import REPORTED, THREE, part_result, sugar_table

import mcpbayes as mb
from mcpbayes.errors import SpecificationError
from mcpbayes.inference.assumed import with_correlation, with_dispersion
from mcpbayes.inference.conversion_parts import factor_doubt_of_parts
from mcpbayes.inference.doubts import doubts
from mcpbayes.measurement.amino_parts import parts_correlation, parts_covariance
from mcpbayes.measurement.factor_draws import central_of_parts, draw_triples, strata_of_parts
from mcpbayes.specification.factors import NAMED
from mcpbayes.tables.part_arms import with_factors_of_parts

UNCERTAIN = NAMED["uncertain"]
MODEL = mb.load_model(settings=REPORTED)
OWN = {"set": "own", "k_B": 30.0, "k_F": 11.0, "rho_b": 1.5}


@pytest.fixture(scope="module")
def arms():
    return mb.prepare(sugar_table(), MODEL)


def test_strata_are_of_the_factor_that_effects_hang_on_and_hold_every_triple_once():
    parts, whole = strata_of_parts(UNCERTAIN, 8), draw_triples(UNCERTAIN)
    assert np.all(np.diff(np.concatenate([part.rho_b for part in parts])) >= 0)
    triples = np.concatenate([np.stack([part.k_b, part.k_f, part.rho_b], axis=1) for part in parts])
    expected = np.stack([whole.k_b, whole.k_f, whole.rho_b], axis=1)
    assert np.array_equal(np.sort(triples[:, 0]), np.sort(whole.k_b))
    assert {tuple(row) for row in triples} == {tuple(row) for row in expected}


def test_other_factors_make_the_data_that_preparing_with_them_makes(arms):
    made = with_factors_of_parts(arms, central_of_parts(UNCERTAIN), bias_correction=True)
    for name in ("mean", "log_mean", "sampling_covariance", "bacterial_share"):
        np.testing.assert_allclose(made[name], arms[name], rtol=1e-12)
    own = mb.load_model(settings=REPORTED | {"data.factors": OWN})
    made = with_factors_of_parts(arms, central_of_parts(own.data.factors), bias_correction=True)
    expected = mb.prepare(sugar_table(), own)
    for name in ("mean", "log_mean", "sampling_covariance", "bacterial_share"):
        np.testing.assert_allclose(made[name], expected[name], rtol=1e-12)


def test_factors_that_scale_a_pool_leave_its_contrasts_and_bacterial_ones_hang_on_none(arms):
    doubt = factor_doubt_of_parts(arms, MODEL, 8)
    assert doubt is not None and len(doubt.values) == 8 and doubt.values[0] < 1.3 and doubt.values[-1] > 2.7
    assert [one.name for one in doubts(arms, MODEL)] == ["factors"]
    low, high = doubt.apply(arms, 0), doubt.apply(arms, 7)
    treated = arms["treated"].values
    contrast = (high["log_mean"] - low["log_mean"]).values
    assert contrast[:, 1] == pytest.approx(0, abs=1e-12) and contrast[:, 2] == pytest.approx(0, abs=1e-12)
    assert np.ptp(contrast[treated, 0]) > 1e-3, "fungal contrasts hang on ϱ_b"
    assert "ϱ_b, moles of bacterial glucosamine per mole of muramic acid" in doubt.says(arms)
    fixed = mb.load_model(settings=REPORTED | {"data.factors.set": "conventional"})
    assert factor_doubt_of_parts(mb.prepare(sugar_table(), fixed), fixed, 8) is None


def test_arms_that_were_prepared_for_fewer_worlds_are_refused():
    table = sugar_table().astype(object)
    table.loc[1, "muramic_acid_treatment"] = 0.52 * table.loc[1, "glucosamine_treatment"]
    once = mb.prepare(table, mb.load_model(settings=REPORTED | {"sampling.worlds": 1}))
    with pytest.raises(SpecificationError, match=r"glucosamine of 1 arm.*prepare the table with the same number"):
        factor_doubt_of_parts(once, MODEL, 8)


def test_each_draw_has_factors_of_one_triple_which_shift_the_baselines(arms):
    tree = part_result(sugar_table(), draws=64)
    doubt = factor_doubt_of_parts(arms, MODEL, 8)
    done = doubt.finish(tree, 3, 1)["posterior"].to_dataset()
    before = tree["posterior"]["baseline"]
    moved = (done["baseline"] - before).transpose("chain", "draw", "control", "outcome").values
    expected = np.stack([np.log(done[name] / arms.attrs[name]) for name in ("k_F", "k_B")], axis=-1)
    np.testing.assert_allclose(moved[..., :2], np.broadcast_to(expected[:, :, None], moved[..., :2].shape), atol=1e-12)
    assert np.all(moved[..., 2] == 0)
    part = strata_of_parts(UNCERTAIN, 8)[3]
    triples = set(zip(part.k_f, part.k_b, strict=True))
    assert set(zip(done["k_F"].values.ravel(), done["k_B"].values.ravel(), strict=True)) <= triples
    assert np.median(done["k_F"]) == pytest.approx(np.median(part.k_f), rel=0.01)


def test_assumed_cvs_and_correlations_are_those_of_the_amino_sugars():
    table = sugar_table().drop(columns=[c for c in sugar_table() if c.startswith("muramic") and c.endswith("_sd")])
    arms = mb.prepare(table, MODEL)
    doubled = with_dispersion(arms, 2.0, bias_correction=True)
    cv, n = arms["cv"].values * [1, 2, 2], arms["n"].values
    share, rho = arms["bacterial_share"].values, np.full(arms.sizes["arm"], 0.5)
    expected = parts_covariance(share, cv, n, parts_correlation(0.7, rho))
    np.testing.assert_allclose(doubled["sampling_covariance"], expected, rtol=1e-12)
    means = np.log(arms["mean"]) + np.einsum("akk->ak", expected) / 2
    np.testing.assert_allclose(doubled["log_mean"], means, rtol=1e-12)
    none = with_correlation(arms, 0.0)["sampling_covariance"]
    assert none.sel(outcome=THREE[:2], outcome_bis="soc").values == pytest.approx(0)
    two = {"outcome": THREE[:2], "outcome_bis": THREE[:2]}
    np.testing.assert_allclose(none.sel(two), arms["sampling_covariance"].sel(two), rtol=1e-12)
    with pytest.raises(SpecificationError, match="does not go together with theirs"):
        with_correlation(arms, 0.95)
