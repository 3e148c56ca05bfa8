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


def test_it_says_how_chains_fared_and_how_long_it_took(record):
    assert 0 <= record["tables_with_divergences"] <= record["tables"]
    assert record["worst_r_hat"] >= 1 and record["least_ess_bulk"] > 0
    assert all(record["seconds"][part]["wall"] > 0 for part in ("compiling", "sampling"))
