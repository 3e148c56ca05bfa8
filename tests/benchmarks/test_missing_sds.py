"""The study of missing SDs: its tables are what it says, and its rule is that of the design."""

import json

import numpy as np
import pytest
from scipy import stats

import mcpbayes
from benchmarks.missing_sds import PLOTS, RECORD, STUDIES, limits, simulated, study_of_arm, verdict, with_cvs


@pytest.fixture(scope="module")
def recorded():
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table():
    return simulated(mcpbayes.load_model("arm-based"), np.random.default_rng(1))


def test_the_limits_are_exact_binomial_ones():
    low, high = limits(1000, 3)
    assert (round(low, 3), round(high, 3)) == (0.929, 0.969)


def test_a_table_has_plots_with_cvs_of_their_own(table):
    assert len(np.unique(study_of_arm(table.tree))) == STUDIES
    assert (np.ptp(table.true_cv, axis=0) > 0).all()
    ratio = np.log(table.sample_cv / table.true_cv)
    # ln s of three plots: mean -0.29, standard deviation 0.64
    assert ratio.std() == pytest.approx(0.64, abs=0.12)
    assert ratio.mean() == pytest.approx(-0.29, abs=0.12)


def test_cvs_enter_as_prepare_lets_them(table):
    made = with_cvs(table.tree, table.true_cv)
    variance = table.true_cv**2 / PLOTS
    np.testing.assert_allclose(np.einsum("akk->ak", made.sampling), variance)
    np.testing.assert_allclose(made.y - table.tree.y, variance / 2)
    np.testing.assert_allclose(made.sampling[:, 0, 1], 0.5 * np.sqrt(variance.prod(axis=1)))


def test_a_verdict_pools_worlds():
    draws = np.stack([np.linspace(0.0, 1.0, 1001), np.linspace(1.0, 2.0, 1001)])
    found = verdict(draws, 1.99)
    assert (found["holds"], found["below"]) == (0.0, 0.0)
    assert found["width"] == pytest.approx(1.9, abs=0.01)
    assert found["between"] == pytest.approx(0.5 / draws.var())
    assert verdict(draws, 0.01)["below"] == 1.0 and verdict(draws, 1.0)["holds"] == 1.0


def test_recorded_intervals_of_the_hierarchical_model_hold_the_truth(recorded):
    tables, removed = recorded["tables"], recorded["removed"]
    assert tables >= 1000 and list(removed) == ["0.2", "0.5", "0.8"] and recorded["plots"] == 3
    low, high = stats.binom.interval(1 - 0.01 / len(removed), tables, 0.95)
    for methods in removed.values():
        assert low <= tables * methods["hierarchical"]["coverage"] <= high
        assert {"complete_case", "reported", "pooled"} < set(methods)
    assert recorded["fits"]["failed"] == 0


def test_the_card_says_what_was_recorded(recorded, root):
    card = " ".join((root / "models/arm-based.md").read_text(encoding="utf-8").split())
    held, wider = [], []
    for methods in recorded["removed"].values():
        held.append(f"{100 * methods['hierarchical']['coverage']:.1f}")
        wider.append(f"{methods['complete_case']['mean_width'] / methods['hierarchical']['mean_width']:.1f}")
    assert f"held the truth in {held[0]}, {held[1]} and {held[2]} %" in card
    assert f"intervals {wider[0]}, {wider[1]} and {wider[2]} times as wide" in card
