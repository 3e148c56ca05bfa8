"""Two leading classes differ only where neither might lead in the other fit."""

import numpy as np
import pytest

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.evidence.leading import Leading, class_changes
from mcpbayes.evidence.leading import _leading as leading


def made(first: float, second: float, error: float) -> Leading:
    probability = np.zeros((1, len(words.SCENARIOS)))
    probability[0, :3] = first, second, 1 - first - second
    mcse = np.full_like(probability, np.nan)
    mcse[0, :3] = error
    (found,) = leading(probability, mcse, mb.load_model().scenarios)
    return found


@pytest.mark.parametrize(("error", "changes"), [(0.0, True), (0.002, True), (0.01, False)])
def test_a_flip_within_the_error_is_no_change(error, changes):
    one, other = made(0.46, 0.44, error), made(0.44, 0.46, error)
    assert (one.scenario, other.scenario) == words.SCENARIOS[:2]
    assert class_changes(one, other) == class_changes(other, one) == changes


def test_one_clear_fit_is_no_change_of_an_open_one():
    assert not class_changes(made(0.46, 0.44, 0.01), made(0.2, 0.7, 0.01))
    assert class_changes(made(0.7, 0.2, 0.01), made(0.2, 0.7, 0.01))
