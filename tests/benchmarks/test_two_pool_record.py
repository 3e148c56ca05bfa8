"""The recorded recovery of the two-pool model: it meets its bars, and its verdicts follow from its numbers."""

import json

import numpy as np
import pytest
from scipy import stats

from benchmarks import rank_statistics, two_pool


@pytest.fixture(scope="module")
def record() -> dict:
    return json.loads(two_pool.RECORD.read_text(encoding="utf-8"))


def test_the_study_is_as_large_as_it_says(record):
    assert record["tables"] >= 200 and record["studies"] == 30
    assert list(record["ranks"]) == list(record["covered_90"]) == two_pool.names()
    assert all(len(ranks) == record["tables"] for ranks in record["ranks"].values())


def test_intervals_of_90_percent_cover(record):
    """The count of each of four quantities lies in the exact binomial interval at 1 %/4."""
    low, high = stats.binom.interval(1 - 0.01 / 4, record["tables"], 0.90)
    assert record["limits"] == [low, high]
    assert all(low <= count <= high for count in record["covered_90"].values()) and record["calibrated"]


def test_ranks_of_the_truths_are_uniform(record):
    size = rank_statistics.DRAWS + 1
    counts = np.stack([np.bincount(ranks, minlength=size) for ranks in record["ranks"].values()])
    least = rank_statistics.least_tail(counts, record["tables"])
    assert least == pytest.approx(list(record["least_tail"].values()))
    assert (least >= record["limit"]).all() and record["ranks_uniform"]


def test_chains_mixed_and_it_says_how_long_it_took(record):
    """No divergence in any table; R-hat below 1.01 of all parameters and effects in 98 %, and nowhere far above."""
    assert record["tables_with_divergences"] == 0
    assert record["tables_below_1.01"] >= 0.98 * record["tables"]
    assert record["worst_r_hat"] < 1.02 and record["least_ess_bulk"] > 200
    assert all(record["seconds"][part]["wall"] > 0 for part in ("compiling", "sampling"))


def test_the_card_says_what_is_recorded(record, root):
    card = " ".join((root / "models" / "two-pool.md").read_text(encoding="utf-8").split())
    necromass, rest, ten, fifty = record["covered_90"].values()
    held = f"held a_N in {necromass}, a_P in {rest}, ΔMCP at 10 years in {ten} and at 50 years in {fifty} of"
    assert f"{held} {record['tables']} tables" in card
    assert f"{record['tables_with_divergences']} tables had divergences" in card
    assert f"in {record['tables_below_1.01']}, at worst {record['worst_r_hat']:.3f}" in card
