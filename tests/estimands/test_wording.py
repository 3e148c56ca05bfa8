import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.estimands.wording import decimals_of, interval_name, number_text, probability_text

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)


@BOUNDED
@given(p=st.floats(0, 1), threshold=st.sampled_from([0.5001, 0.8, 0.805, 0.95, 0.99, 1.0]))
def test_a_printed_probability_stays_on_its_side_of_the_threshold(p: float, threshold: float) -> None:
    text = probability_text(p, threshold)
    if text[0] in "<>":
        assert p < 0.01 if text[0] == "<" else p > 0.99
        return
    assert 0 < float(text) < 1
    assert abs(float(text) - p) <= 0.005 + 1e-12
    if abs(p - threshold) > 1e-6:
        assert (float(text) >= threshold) == (p >= threshold)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.0, "< 0.01"),
        (0.0099, "< 0.01"),
        (0.01, "0.01"),
        (0.5, "0.50"),
        (0.99, "0.99"),
        (0.991, "> 0.99"),
        (1.0, "> 0.99"),
    ],
)
def test_probabilities_are_never_printed_as_certain(p: float, text: str) -> None:
    assert probability_text(p) == text


def test_digits_are_added_where_rounding_would_cross_the_threshold() -> None:
    assert probability_text(0.797, 0.8) == "0.797"
    assert probability_text(0.79996, 0.8) == "0.79996"
    assert probability_text(0.803, 0.8) == "0.80"


@BOUNDED
@given(values=st.tuples(*[st.one_of(st.just(0.0), st.floats(-300, 300))] * 3))
def test_rounding_keeps_the_sign_and_two_digits_of_the_range(values: tuple[float, float, float]) -> None:
    decimals = decimals_of(values)
    for value in values:
        shown = float(number_text(value, decimals))
        assert abs(shown - value) <= 0.5 * 10**-decimals + 1e-9
        assert shown * value >= 0
        if abs(value) > 1e-6:
            assert (shown > 0) == (value > 0)
    if max(values) - min(values) > 1e-4:
        assert 10**-decimals <= (max(values) - min(values))


def test_digits_are_added_where_an_interval_end_would_be_rounded_to_zero() -> None:
    assert decimals_of([3.14, 1.02, 5.23]) == 1
    assert decimals_of([3.14, -0.0012, 5.23]) == 3
    assert decimals_of([0.021, 0.014, 0.033]) == 3
    assert decimals_of([2.0, 2.0, 2.0]) == 1


def test_zero_has_no_minus() -> None:
    assert number_text(-0.0001, 1) == "0.0"
    assert number_text(3.14, 1, sign=True) == "+3.1"
    assert number_text(-3.14, 1, sign=True) == "-3.1"


def test_intervals_are_named_in_full() -> None:
    assert interval_name("eti", 0.95) == "95 % equal-tailed credible interval"
    assert interval_name("hdi", 0.895) == "89.5 % highest-density credible interval"
