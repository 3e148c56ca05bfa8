import numpy as np
import pandas as pd
import pytest

import mcpbayes as mb


def test_same_seed_same_table_and_another_seed_another():
    first, truth = mb.simulate(studies=6, seed=4)
    again, same_truth = mb.simulate(studies=6, seed=4)
    pd.testing.assert_frame_equal(first, again)
    assert truth == same_truth
    other, _ = mb.simulate(studies=6, seed=5)
    assert not first["soc_control"].equals(other["soc_control"])


def test_simulated_tables_are_labelled_and_accepted():
    table, _ = mb.simulate(studies=8, seed=1, kinds=("manure", "straw"), missing_sd=0.3, missing_necromass=0.3)
    assert (table["simulated"] == "yes").all()
    arms = mb.prepare(table, mb.load_model("arm-based"))
    assert arms.sizes["comparison"] == len(table)
    assert arms.sizes["control"] == len(table[["study", "control_id"]].drop_duplicates())


def test_missing_parts_have_about_the_fractions_asked_for():
    table, _ = mb.simulate(studies=400, seed=2, missing_sd=0.3, missing_necromass=0.25)
    assert table["soc_treatment_sd"].isna().mean() == pytest.approx(0.3, abs=0.05)
    by_study = table.groupby("study")["necromass_control"].apply(lambda column: column.isna().all())
    assert by_study.mean() == pytest.approx(0.25, abs=0.07)


def test_planted_effects_come_back_as_raw_log_ratios():
    """400 studies, no heterogeneity: raw mean log ratios are within four standard errors of the truth."""
    table, truth = mb.simulate(studies=400, seed=3, effect=(0.3, 0.1), tau_study=(0, 0), tau_comparison=(0, 0))
    assert truth["effect"] == [0.3, 0.1]
    for outcome, true in (("necromass", 0.3), ("soc", 0.1)):
        ratios = np.log(table[f"{outcome}_treatment"] / table[f"{outcome}_control"]).groupby(table["study"]).mean()
        assert abs(ratios.mean() - true) < 4 * ratios.std() / np.sqrt(len(ratios))


def test_outcomes_in_another_order_are_refused():
    model = mb.load_model("arm-based", settings=['data.outcomes=["soc", "necromass"]'])
    with pytest.raises(ValueError, match="needs the outcomes necromass, soc"):
        mb.simulate(model, studies=2)
