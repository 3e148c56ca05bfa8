"""Fungal necromass, bacterial necromass and SOC from the table to the summary, by fits."""

import numpy as np
import pytest
from made_parts import REPORTED, sugar_table

import mcpbayes as mb
from mcpbayes.inference import completion

QUICK = REPORTED | {"data.factors.set": "conventional", "sampling.engine": "collapsed", "sampling.draws": 250}


def analysed(**settings):
    model = mb.load_model(settings=QUICK | {name.replace("__", "."): value for name, value in settings.items()})
    return mb.analyse(sugar_table(), model)


@pytest.fixture(scope="module")
def result():
    return analysed()


def test_parts_add_up_in_a_result_that_went_through_a_file(result, tmp_path):
    mb.save(result, tmp_path / "result.nc")
    again = mb.load(tmp_path / "result.nc")
    change = again["delta_mcp"].to_dataset()
    assert (change["delta_mcp"] == change["delta_mcp_part"].sum("part")).all()
    assert mb.summarise(again).equals(mb.summarise(result))
    assert "scenario" not in again.children and "no-scenarios" in again["data"].attrs["problems"]


def test_effects_that_are_not_stored_are_redrawn_with_the_same_parts(result, monkeypatch):
    monkeypatch.setattr(completion, "STORED_AT_MOST", 0)
    redrawn = analysed()
    assert "comparison_effect" not in redrawn["posterior"] and "comparison_effect" in result["posterior"]
    one, other = mb.summarise(result), mb.summarise(redrawn)
    assert one[["level", "name", "quantity"]].equals(other[["level", "name", "quantity"]])
    np.testing.assert_allclose(one["mean"], other["mean"], rtol=1e-9, atol=1e-12)


def test_both_pools_together_change_as_necromass_as_one_pool_does(result):
    """Another model of the same table, with priors on other pools: alike, not equal."""
    two = mb.summarise(analysed(data__outcomes=["necromass", "soc"]))
    three = mb.summarise(result)
    for quantity in ("effect[necromass]", "log_delta_mcp", "delta_mcp", "mcp_efficacy_control"):
        one, other = (table[(table["level"] == "mean") & (table["quantity"] == quantity)] for table in (two, three))
        far = np.abs(one["mean"].to_numpy() - other["mean"].to_numpy()) / one["sd"].to_numpy()
        assert np.all(far < 0.3), quantity
        assert np.all(np.abs(np.log(other["sd"].to_numpy() / one["sd"].to_numpy())) < 0.25), quantity
