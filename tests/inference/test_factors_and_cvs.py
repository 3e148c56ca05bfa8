"""Two doubts at once: CVs from their model and conversion factors."""

import json

import numpy as np
import pytest
from made_amino import amino_table

import mcpbayes as mb
from mcpbayes.inference.engine import data_of_fits
from mcpbayes.tables.amino_arms import converted_arms, necromass_cvs

SETTINGS = {"sampling.draws": 200, "sampling.worlds": 4, "sampling.engine": "collapsed"}


def test_worlds_carry_the_cvs_of_a_model_and_the_factors_together():
    sds = {f"{stem}_{role}_cv": cv for stem, cv in (("glucosamine", 0.2), ("muramic_acid", 0.25), ("soc", 0.1))
           for role in ("control", "treatment")}  # fmt: skip
    table = amino_table(studies=6, **sds).drop(columns=["necromass_control", "necromass_treatment"])
    model = mb.load_model(settings=SETTINGS | {"data.dispersion.sd_model": "hierarchical"})
    arms = mb.prepare(table, model)
    result = mb.fit(arms, model, seed=1)
    values = json.loads(result.attrs["worlds_values"])
    assert set(values) == {"factors", "dispersion"} and len(set(values["factors"])) == 4
    central = result["data"].to_dataset()
    pool, here = central["outcome"].values.tolist().index("necromass"), converted_arms(central)
    # the draw of the CV of necromass, as the weights of the two sugars in that world change it
    drawn = {
        tuple(np.round(cv[here, pool], 9)) for cv in arms["cv_draw"].transpose("cv_world", "arm", "outcome").values
    }
    for data, q in zip(data_of_fits(central, model), values["factors"], strict=True):
        assert data.attrs["q"] == q
        adjusted = necromass_cvs(data, q) / necromass_cvs(data, arms.attrs["q"])
        back = data["cv"].transpose("arm", "outcome").values[here, pool] / adjusted[here]
        assert tuple(np.round(back, 9)) in drawn
        expected = arms.attrs["k_F"] * (data["amino_mean"][:, 0] + q * data["amino_mean"][:, 1])
        assert data["mean"].sel(outcome="necromass").values == pytest.approx(expected.values)
    k_f = result["posterior"]["k_F"]
    assert float(k_f.std()) > 1 and float(result["posterior"]["q"].std()) > 0.5
