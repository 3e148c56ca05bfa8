import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.formula import parse
from mcpbayes.specification.grammar import term_of, terms, written


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("~ 1", ()),
        ("1", ()),
        ("~clay", (("clay",),)),
        ("clay + 1 + ecosystem", (("clay",), ("ecosystem",))),
        ("~ a:b + b + a", (("b",), ("a",), ("a", "b"))),
        ("~ a + a + a:b + b:a", (("a",), ("a", "b"))),
        ("~ `clay content (%)` + soil.ph", (("clay content (%)",), ("soil.ph",))),
        ("~ Tonanteil_ß", (("Tonanteil_ß",),)),
        ("~ a:b:c", (("a", "b", "c"),)),
    ],
)
def test_terms(formula, expected):
    assert terms(formula) == expected


def test_parse_gives_each_moderator_once():
    assert parse("~ clay:ecosystem + duration_years + clay") == ("duration_years", "clay", "ecosystem")


@pytest.mark.parametrize(
    ("formula", "rest"),
    [
        ("~ a * b", r"\* b"),
        ("~ a - 1", "- 1"),
        ("~ 0 + a", r"0 \+ a"),
        ("~ log(a)", r"\(a\)"),
        ("~ a b", "b"),
        ("~ + a", r"\+ a"),
        ("~ a + : b", ": b"),
        ("~ 2", "2"),
        ("~ 1.5", "1.5"),
        ("y ~ x", "~ x"),
        ("~ {a}", r"\{a\}"),
        ("~ __import__('os').system('true')", r"\('os'\)"),
        ("~ `a", "`a"),
    ],
)
def test_anything_else_is_refused_and_shown(formula, rest):
    with pytest.raises(SpecificationError, match=rf"cannot be read from .{rest}"):
        terms(formula)


@pytest.mark.parametrize("formula", ["", "~", "~ a +", "~ a :", "  "])
def test_unfinished_formulas(formula):
    with pytest.raises(SpecificationError, match="ends too early"):
        terms(formula)


def test_a_term_cannot_repeat_a_moderator():
    with pytest.raises(SpecificationError, match="a:a repeats"):
        terms("~ a:a")


def test_the_name_of_the_mean_effect_is_taken():
    with pytest.raises(SpecificationError, match="rename the moderator"):
        terms("~ intercept")


@pytest.mark.parametrize(
    "name", ["necromass_control", "soc_control", "SOC_CK", "soc_treatment", "`ln SOC control`", "mcp_efficacy_control"]
)
def test_pools_of_an_arm_are_coupled_with_the_effect(name):
    with pytest.raises(SpecificationError, match="mathematical coupling"):
        terms(f"~ clay + {name}")


@pytest.mark.parametrize("name", ["soc_before", "control_crop", "initial_soc", "social"])
def test_other_moderators_are_not(name):
    assert terms(f"~ {name}") == ((name,),)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.text("abcxyz_ %:+~1é", min_size=1, max_size=5), min_size=1, max_size=3, unique=True))
def test_any_name_can_be_written_in_backticks(names):
    term = tuple(names)
    assert terms(f"~ {':'.join(f'`{name}`' for name in names)}") == (term,)
    assert set(terms(f"~ {written(term)}")) == {term}


def test_a_coefficient_belongs_to_the_longest_fitting_term():
    known = terms("~ clay + ecosystem + clay:ecosystem + `odd (name)`")
    assert term_of("clay", known) == ("clay",)
    assert term_of("clay[within]", known) == ("clay",)
    assert term_of("ecosystem[a:b]", known) == ("ecosystem",)
    assert term_of("clay:ecosystem[forest]", known) == ("clay", "ecosystem")
    assert term_of("odd (name)", known) == ("odd (name)",)
    assert term_of("silt", known) is None
