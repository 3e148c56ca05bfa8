import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import classify_effects, coarsening, tolerances
from mcpbayes.monte_carlo.summaries import frequencies
from mcpbayes.specification.structure import Scheme

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)
PERCENT = st.sampled_from([0.0, 1.0, 5.0, 20.0])
SCHEMES = st.builds(lambda n, c, r: Scheme({"necromass": n, "soc": c, "ratio": r}), PERCENT, PERCENT, PERCENT)
FIVE = Scheme({"necromass": 5.0, "soc": 5.0, "ratio": 5.0})
MIRROR = str.maketrans("+-", "-+")


def code_of(theta_n: float, theta_c: float, scheme: Scheme) -> str:
    return words.SCENARIOS[int(classify_effects(np.array(theta_n), np.array(theta_c), scheme))]


def in_words(theta_n: float, theta_c: float, scheme: Scheme) -> str:
    """The definition, spelt out for one pair."""

    def sign(value: float, percent: float) -> int:
        epsilon = np.log1p(percent / 100)
        return 1 if value > epsilon else -1 if value < -epsilon else 0

    percent = scheme.tolerance_percent
    n, c = sign(theta_n, percent["necromass"]), sign(theta_c, percent["soc"])
    r = sign(theta_n - theta_c, percent["ratio"]) if n == c and n != 0 else int(np.sign(n - c))
    show = {1: "+", 0: "0", -1: "-"}
    return f"N{show[n]}C{show[c]}r{show[r]}"


@BOUNDED
@given(scheme=SCHEMES, seed=st.integers(0, 10_000), scale=st.sampled_from([0.02, 0.1, 0.5]))
def test_classes_follow_their_definition(scheme: Scheme, seed: int, scale: float) -> None:
    theta = np.random.default_rng(seed).normal(0, scale, (2, 40))
    codes = classify_effects(theta[0], theta[1], scheme)
    expected = [in_words(n, c, scheme) for n, c in theta.T]
    assert [words.SCENARIOS[code] for code in codes] == expected


@BOUNDED
@given(scheme=SCHEMES, seed=st.integers(0, 10_000))
def test_opposite_effects_give_the_mirrored_class(scheme: Scheme, seed: int) -> None:
    theta = np.random.default_rng(seed).normal(0, 0.1, (2, 200))
    codes, mirrored = (classify_effects(sign * theta[0], sign * theta[1], scheme) for sign in (1, -1))
    assert [words.SCENARIOS[c].translate(MIRROR) for c in codes] == [words.SCENARIOS[c] for c in mirrored]


@pytest.mark.parametrize("percent", [(5, 5, 5), (1, 10, 3), (10, 1, 5), (0, 5, 5), (5, 0, 5)])
def test_there_are_thirteen_classes_and_every_draw_is_in_one(percent: tuple[float, float, float]) -> None:
    scheme = Scheme(dict(zip(("necromass", "soc", "ratio"), map(float, percent), strict=True)))
    theta = np.random.default_rng(0).normal(0, 0.1, (2, 300_000))
    found = frequencies(classify_effects(theta[0], theta[1], scheme)[None], 13)[0]
    assert found.sum() == pytest.approx(1)
    # Without a tolerance a pool is never unchanged: classes that say so are empty.
    empty = {
        code for code in words.SCENARIOS if ("N0" in code and percent[0] == 0) or ("C0" in code and percent[1] == 0)
    }
    assert {code for code, share in zip(words.SCENARIOS, found, strict=True) if share == 0} == empty
    assert len(words.SCENARIOS) == 13


def test_six_classes_remain_without_tolerances() -> None:
    scheme = Scheme({"necromass": 0.0, "soc": 0.0, "ratio": 0.0})
    theta = np.random.default_rng(0).normal(0, 0.1, (2, 100_000))
    assert len(np.unique(classify_effects(theta[0], theta[1], scheme))) == 6


def test_planted_effects_fall_where_they_should() -> None:
    planted = {
        "N+C+r+": (0.4, 0.1),
        "N+C+r0": (0.2, 0.2),
        "N+C+r-": (0.1, 0.4),
        "N+C0r+": (0.2, 0.0),
        "N+C-r+": (0.2, -0.2),
        "N0C-r+": (0.0, -0.2),
        "N-C-r+": (-0.1, -0.4),
        "N-C-r0": (-0.2, -0.2),
        "N-C-r-": (-0.4, -0.1),
        "N-C0r-": (-0.2, 0.0),
        "N-C+r-": (-0.2, 0.2),
        "N0C+r-": (0.0, 0.2),
        "N0C0r0": (0.01, -0.01),
    }
    assert set(planted) == set(words.SCENARIOS)
    for code, (theta_n, theta_c) in planted.items():
        assert code_of(theta_n, theta_c, FIVE) == code


def test_the_order_of_the_classes_goes_round_the_plane() -> None:
    middle = [(0.4, 0.1), (0.2, 0.0), (0.2, -0.2), (0.0, -0.2), (-0.1, -0.4), (-0.2, -0.2), (-0.4, -0.1)]
    middle += [(-0.2, 0.0), (-0.2, 0.2), (0.0, 0.2), (0.1, 0.4), (0.2, 0.2)]
    theta = np.array(middle).T
    assert classify_effects(theta[0], theta[1], FIVE).tolist() == list(range(12))


def test_a_change_of_exactly_the_tolerance_counts_as_none() -> None:
    edge = tolerances(FIVE).necromass
    assert edge == pytest.approx(np.log(1.05))
    assert code_of(edge, 0.0, FIVE) == "N0C0r0"
    assert code_of(np.nextafter(edge, 1), 0.0, FIVE) == "N+C0r+"
    assert code_of(-edge, 0.0, FIVE) == "N0C0r0"


def test_coarser_classes_stand_where_their_first_member_stood() -> None:
    scheme = Scheme(
        FIVE.tolerance_percent,
        labels={"gain": "gain of both pools", "N0C0r0": "nothing happens"},
        merge={"gain": ("N+C+r-", "N+C+r+", "N+C+r0")},
    )
    codes, labels, place = coarsening(scheme)
    assert codes[0] == "gain"
    assert len(codes) == 11
    assert labels[0] == "gain of both pools"
    assert labels[-1] == "nothing happens"
    assert labels[1] == words.SCENARIO_LABELS["N+C0r+"]
    assert [code for code, at in zip(words.SCENARIOS, place, strict=True) if at == 0] == ["N+C+r+", "N+C+r-", "N+C+r0"]


def test_a_merged_class_without_label_shows_its_code() -> None:
    _, labels, _ = coarsening(Scheme(FIVE.tolerance_percent, merge={"loss": ("N-C-r-", "N-C-r+")}))
    assert "loss" in labels


def test_frequencies_count_along_the_last_axis() -> None:
    codes = np.array([[[0, 0, 1, 2]], [[2, 2, 2, 2]]])
    np.testing.assert_allclose(frequencies(codes, 4), [[[0.5, 0.25, 0.25, 0]], [[0, 0, 1, 0]]])
