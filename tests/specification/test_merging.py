import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.merging import inherit, merge, settings_table


def test_tables_merge_and_the_rest_replaces():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(base, {"a": {"c": [3]}, "d": {"e": 2}}) == {"a": {"b": 1, "c": [3]}, "d": {"e": 2}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_another_distribution_drops_the_old_numbers_only():
    base = {"distribution": "half_normal", "sd": 0.3, "typo": 1, "why": "w"}
    assert merge(base, {"distribution": "fixed", "value": 0.1}) == {
        "distribution": "fixed",
        "value": 0.1,
        "typo": 1,
        "why": "w",
    }
    assert merge(base, {"distribution": "half_normal"}) == base


PRIORS = {
    "priors": {
        "tau": {"distribution": "half_normal", "sd": 0.3, "why": "old"},
        "slope": {"distribution": "normal", "sd": 0.2, "why": "old", "clay": {"sd": 0.1, "why": "clay"}},
    }
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sd": 0.5}, None),
        ({"sd": 0.3}, "old"),
        ({"sd": {"soc": 0.3}}, None),
        ({"distribution": "fixed", "value": 0.3}, None),
        ({"sd": 0.5, "why": "new"}, "new"),
        ({"why": "new"}, "new"),
        ({}, "old"),
    ],
)
def test_a_changed_prior_loses_its_reason(changes, why):
    assert inherit(PRIORS, {"priors": {"tau": changes}})["priors"]["tau"].get("why") == why


def test_reasons_of_single_slopes_are_their_own():
    changed = inherit(PRIORS, {"priors": {"slope": {"sd": 0.4}}})["priors"]["slope"]
    assert "why" not in changed and changed["clay"]["why"] == "clay"
    changed = inherit(PRIORS, {"priors": {"slope": {"clay": {"sd": 0.4}}}})["priors"]["slope"]
    assert changed["why"] == "old" and "why" not in changed["clay"]


@pytest.mark.parametrize(
    ("setting", "table"),
    [
        ("sampling.draws=2000", {"sampling": {"draws": 2000}}),
        (" sampling . draws = 2000 ", {"sampling": {"draws": 2000}}),
        ("data.columns.soc_control=SOC_CK", {"data": {"columns": {"soc_control": "SOC_CK"}}}),
        ("data.columns.soc_control=SOC (g/kg) = x", {"data": {"columns": {"soc_control": "SOC (g/kg) = x"}}}),
        ('data.kinds."N 1.5 = x"=mineral', {"data": {"kinds": {"N 1.5 = x": "mineral"}}}),
        ("data.kinds.'N 1.5'=\"a b\"", {"data": {"kinds": {"N 1.5": "a b"}}}),
        (r'data.kinds."say \"no\""=x', {"data": {"kinds": {'say "no"': "x"}}}),
        ("data.kinds.NPK fertiliser=mineral", {"data": {"kinds": {"NPK fertiliser": "mineral"}}}),
        ("x={a = 1}", {"x": {"a": 1}}),
        ("x=true", {"x": True}),
        ("x=0.5\ny=1", {"x": "0.5\ny=1"}),
        ("x=", {"x": ""}),
        ("moderators.formula=~ clay", {"moderators": {"formula": "~ clay"}}),
    ],
)
def test_one_setting(setting, table):
    assert settings_table([setting]) == table


def test_settings_are_read_from_left_to_right():
    assert settings_table(["a.b=1", "a.b=2", "a.c=3"]) == {"a": {"b": 2, "c": 3}}
    assert settings_table({"a.b": 1, "a.c": [2]}) == {"a": {"b": 1, "c": [2]}}
    assert settings_table("a=1") == {"a": 1}
    assert settings_table(["p.distribution=fixed", "p.value=1", "p.distribution=half_normal"]) == {
        "p": {"distribution": "half_normal"}
    }


@pytest.mark.parametrize("setting", ["draws", "=1", "a..b=1", ".a=1", 'a."b=1', ""])
def test_what_is_not_a_setting(setting):
    with pytest.raises(SpecificationError, match="KEY=VALUE"):
        settings_table([setting])


def test_what_is_not_a_key():
    with pytest.raises(SpecificationError, match="a key is dotted"):
        settings_table({"a..b": 1})
    with pytest.raises(SpecificationError, match="quoted part"):
        settings_table([r'a."\q"=1'])
