"""The optional prior of the correlation of the pools over plots of one arm."""

import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import from_toml, load_model, to_toml


def loaded(name="arm-based", **entries):
    return load_model(name, settings={f"priors.rho_within.{key}": value for key, value in entries.items()})


@pytest.mark.parametrize(
    "entries",
    [
        {"distribution": "beta", "a": 6.0, "b": 2.0, "why": "plots with much SOC hold much necromass"},
        {"distribution": "lkj", "eta": 2.0},
        {"distribution": "lkj", "eta": 2.0, "update": True},
        {"distribution": "fixed", "value": 0.3},
    ],
)
@pytest.mark.parametrize("name", ["arm-based", "contrast-based"])
def test_it_is_read_and_written(entries, name):
    spec = loaded(name, **entries)
    prior = spec.priors["rho_within"]
    assert prior.distribution == entries["distribution"]
    assert prior.why == entries.get("why")
    assert prior.update == entries.get("update", False)
    assert from_toml(to_toml(spec)) == spec


def test_it_is_absent_by_default_and_worlds_are_as_many_as_it_takes():
    spec = load_model()
    assert "rho_within" not in spec.priors
    assert spec.sampling.worlds is None
    assert 'worlds = "auto"' in to_toml(spec)
    assert from_toml(to_toml(spec)) == spec
    assert load_model(settings={"sampling.worlds": 20}).sampling.worlds == 20


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"distribution": "normal", "mean": 0.5, "sd": 0.1}, r"rho_within\.distribution.*'lkj', 'beta', 'fixed'"),
        ({"distribution": "bta", "a": 1.0, "b": 1.0}, "unknown distribution 'bta'; did you mean 'beta'"),
        ({"distribution": "fixed", "value": 1.0}, r"number in \(-1, 1\)"),
        ({"distribution": "beta", "a": 0.0, "b": 1.0}, r"number in \[0.1, 10000\]"),
        ({"distribution": "fixed", "value": 0.3, "update": True}, r"update: a fixed correlation cannot be estimated"),
        ({"distribution": "lkj", "eta": 2.0, "update": "yes"}, r"update: expected true or false"),
        ({"distribution": "beta", "a": 1.0}, "needs a and b|needs b"),
    ],
)
def test_what_is_not_a_correlation_is_refused(entries, message):
    with pytest.raises(SpecificationError, match=message):
        loaded(**entries)


def test_it_needs_two_outcomes_and_some_world():
    three = {"data.outcomes": ["a", "b", "c"], "priors.rho_within.distribution": "lkj", "priors.rho_within.eta": 2.0}
    with pytest.raises(SpecificationError, match="available for two outcomes"):
        load_model("contrast-based", settings=three)
    with pytest.raises(SpecificationError, match="whole number of at least 1"):
        load_model(settings={"sampling.worlds": 0})
