"""What counts as another leading class or claim: only what Monte-Carlo error cannot explain."""

import numpy as np
import pytest

from mcpbayes.evidence.influence import _changes
from mcpbayes.evidence.said import OR, what_is_said
from mcpbayes.specification.structure import Scheme

SCHEME = Scheme(dict.fromkeys(("necromass", "soc", "ratio"), 5.0), decide_at=0.8)
#: Draws of θ_N, θ_C in three classes.
UP, DOWN, STILL = (0.6, 0.2), (-0.6, -0.2), (0.0, 0.0)


def said(shares, mute=False, draws=4000, asked=None):
    """Independent draws of UP, DOWN and STILL with exactly these shares."""
    counts = np.round(np.array(shares) * draws).astype(int)
    theta = np.repeat(np.array([UP, DOWN, STILL]), counts, axis=0)
    theta = np.random.default_rng(1).permutation(theta)
    return what_is_said(theta[:, 0], theta[:, 1], SCHEME, 1, 4, mute=mute, asked=asked)


@pytest.mark.parametrize(
    ("shares", "leader", "ties"),
    [
        ((0.5, 0.3, 0.2), "N+C+r+", {"N+C+r+"}),
        ((0.40, 0.395, 0.205), "N+C+r+", {"N+C+r+", "N-C-r-"}),  # the difference has an error of 0.014
        ((0.36, 0.42, 0.22), "N-C-r-", {"N-C-r-"}),
        ((1.0, 0.0, 0.0), "N+C+r+", {"N+C+r+"}),
    ],
)
def test_classes_tie_within_two_monte_carlo_errors(shares, leader, ties):
    found = said(shares)
    assert found.code == leader
    assert set(found.ties.split(OR)) == ties


@pytest.mark.parametrize(
    ("up", "claim", "possible"),
    [
        (0.9, "N+C+r+", {"N+C+r+"}),
        (0.803, "N+C+r+", {"N+C+r+", ""}),  # an error of 0.006
        (0.797, "", {"N+C+r+", "ratio+", "N+C+", "C+", "N+", ""}),
        (0.7, "", {""}),
    ],
)
def test_a_claim_at_the_threshold_may_be_made_or_not(up, claim, possible):
    found = said((up, 0.5 * (1 - up), 0.5 * (1 - up)))
    assert found.claim == claim
    assert set(found.possible.split(OR)) >= possible if claim == "N+C+r+" else set(found.possible.split(OR)) == possible


def test_the_probability_of_a_claim_is_its_share_of_the_draws_whoever_made_it():
    shares = (0.5, 0.3, 0.2)
    assert said((0.9, 0.1, 0.0)).asked_probability == 0.9
    assert [said(shares, asked=code).asked_probability for code in ("N+C+r+", "N-", "ratio0")] == [0.5, 0.3, 0.2]
    assert np.isnan(said(shares).asked_probability)
    assert np.isnan(said(shares, asked="").asked_probability)


def test_nothing_is_claimed_where_nothing_may_be():
    found = said((0.9, 0.1, 0.0), mute=True)
    assert (found.claim, found.possible) == ("", "")


def test_only_what_error_cannot_explain_is_a_change():
    every = said((0.40, 0.38, 0.22)), said((0.803, 0.1, 0.097))
    without = [(said((0.38, 0.40, 0.22)), said((0.797, 0.1, 0.103))), (said((0.2, 0.6, 0.2)), said((0.7, 0.2, 0.1)))]

    def columns(pairs):
        named = {"leading_class": 0, "leading_ties": 2, "claim": 3, "claims_possible": 4}
        return {
            name: np.array([[one[place] for one in pair] for pair in pairs], dtype=object)
            for name, place in named.items()
        }

    alone = {name: values[0] for name, values in columns([every]).items()}
    found = _changes(columns(without) | {"log_delta_mcp_mean": np.array([[0.0, 0.0], [0.0, np.nan]])}, alone)
    assert found["class_changes"].tolist() == [[False, False], [False, False]]  # the first is a tie with all studies
    found = _changes(columns(without) | {"log_delta_mcp_mean": np.zeros((2, 2))}, alone)
    assert not found["claim_changes"].any()  # with all studies it was made by a hair
    firm = said((0.5, 0.3, 0.2)), said((0.9, 0.1, 0.0))
    clear = {name: values[0] for name, values in columns([firm]).items()}
    found = _changes(columns(without) | {"log_delta_mcp_mean": np.zeros((2, 2))}, clear)
    assert found["claim_changes"].tolist() == [[False, False], [False, True]]
    assert found["class_changes"].tolist() == [[False, False], [True, False]]  # 0.38 and 0.40 tie
