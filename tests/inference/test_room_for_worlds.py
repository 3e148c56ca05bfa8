"""Large tables at the defaults: fewer worlds, then fewer draws of each, then one world that says so; no refusal."""

import json

import pytest
import xarray as xr

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.inference.doubts import number_of_worlds
from mcpbayes.inference.simulation import simulate
from mcpbayes.inference.worlds import thinning, worlds_that_fit

QUICK = {"sampling.draws": 60, "sampling.engine": "collapsed"}


@pytest.fixture(scope="module")
def arms() -> xr.Dataset:
    return mb.prepare(simulate(studies=6, seed=3, missing_sd=0.5)[0], mb.load_model())


def problems(result: xr.DataTree, check: str) -> list[dict[str, str]]:
    return [problem for problem in json.loads(result.attrs["problems"]) if problem["check"] == check]


def room_for(monkeypatch: pytest.MonkeyPatch, arms: xr.Dataset, comparisons: int) -> None:
    """Make the small table as large, for what a result stores, as one of so many comparisons."""
    limit = words.STORED_AT_MOST * arms.sizes["comparison"] // comparisons
    monkeypatch.setattr(words, "STORED_AT_MOST", limit)


@pytest.mark.parametrize(
    ("comparisons", "worlds", "draws"), [(900, 20, 55), (1300, 15, 50), (3000, 8, 40), (6000, 8, 20), (7000, 1, None)]
)
def test_how_many_worlds_fit_at_the_defaults(arms, monkeypatch, comparisons, worlds, draws):
    room_for(monkeypatch, arms, comparisons)
    model = mb.load_model()
    assert number_of_worlds(arms, model) == min(20, worlds_that_fit(arms, model)) == worlds
    if draws is not None:
        assert model.sampling.draws // thinning(arms, model, worlds) == pytest.approx(draws, abs=4)
        assert 4 * worlds * (model.sampling.draws // thinning(arms, model, worlds)) >= 640


@pytest.mark.parametrize("draws", [1, 19, 60, 75, 120, 1000, 4000])
@pytest.mark.parametrize("comparisons", [1001, 2500, 6249])
def test_the_default_never_refuses(arms, monkeypatch, comparisons, draws):
    room_for(monkeypatch, arms, comparisons)
    model = mb.load_model(settings={"sampling.draws": draws})
    every = thinning(arms, model, number_of_worlds(arms, model))
    assert 1 <= every <= draws


def test_1300_comparisons_have_fewer_worlds_and_a_note():
    arms = mb.prepare(simulate(studies=430, seed=1, missing_sd=0.3)[0], mb.load_model())
    assert arms.sizes["comparison"] > 1200
    result = mb.fit(arms, mb.load_model(settings=QUICK), seed=1)
    assert result.attrs["worlds"] == number_of_worlds(arms, mb.load_model(settings=QUICK)) < 20
    (note,) = problems(result, "fewer-worlds")
    assert note["severity"] == "note"
    assert f"{result.attrs['worlds']} fits" in note["message"] and "not 20" in note["message"]
    assert f"{arms.sizes['comparison']:,} comparisons" in note["message"]


def test_large_tables_keep_eight_worlds_with_fewer_draws(arms, monkeypatch):
    room_for(monkeypatch, arms, 3000)
    result = mb.fit(arms, mb.load_model(settings=QUICK), seed=1)
    assert result.attrs["worlds"] == 8
    assert result["posterior"].sizes["draw"] == 30
    assert "8 fits" in problems(result, "fewer-worlds")[0]["message"]


def test_a_table_too_large_for_worlds_is_fitted_once_with_a_warning(arms, monkeypatch):
    room_for(monkeypatch, arms, 8000)
    result = mb.fit(arms, mb.load_model(settings=QUICK), seed=1)
    assert "world" not in result["posterior"].coords
    (said,) = problems(result, "one-world")
    assert said["severity"] == "warning" and "room" in said["message"]
    assert said["remedy"] == "Take --set sampling.chains=3."
    fewer = mb.load_model(settings=QUICK | {"sampling.chains": 3})
    assert number_of_worlds(arms, fewer) == 8
