"""The compiled kernels give what NumPy gives, and are not loaded where NumPy is asked for."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_summaries import FAMILIES, chains, families

from mcpbayes import kernels
from mcpbayes.estimands import pooled
from mcpbayes.estimands.classes import Tolerances
from mcpbayes.estimands.counting import count_targets
from mcpbayes.estimands.walk import TargetDraws
from mcpbayes.monte_carlo import summaries as mc

compiled = pytest.importorskip("mcpbayes.monte_carlo.compiled")

BOUNDED = settings(max_examples=50, deadline=None, derandomize=True)


def agree(draws: np.ndarray, kind: str = "eti", rtol: float = 1e-10) -> None:
    by_kernel = mc.summarise_draws(draws, kind, 0.9, compiled=True)
    for name, values in mc.summarise_draws(draws, kind, 0.9).items():
        np.testing.assert_allclose(by_kernel[name], values, rtol=rtol, atol=1e-14, err_msg=name)
    for name, values in mc.convergence(draws).items():
        np.testing.assert_allclose(mc.convergence(draws, compiled=True)[name], values, rtol=rtol, err_msg=name)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("chain, draw", [(4, 250), (4, 251), (4, 1000), (2, 6), (3, 4), (1, 132), (2, 3)])
def test_summary_rows_agree_with_numpy(name: str, chain: int, draw: int) -> None:
    draws = families((12, chain, draw))[name]
    for kind in ("eti", "hdi"):
        # A million standard deviations from zero, sums in another order differ more.
        agree(draws, kind, rtol=1e-8 if name == "far from zero" else 1e-10)


def test_the_kernel_does_the_rows_itself() -> None:
    _, known = compiled.summarise_rows(families((12, 4, 1000))["white noise"], "eti", 0.9, mc.TAILS)
    assert known.all()


def test_rows_out_of_the_ordinary_are_left_to_numpy() -> None:
    draws = chains(1, 6, 4, 100, 0.3)
    draws[1], draws[2, 0, 5], draws[3, 1, 1], draws[4, 2, 7] = 0.7, np.nan, np.inf, draws[4, 0, 3]
    _, known = compiled.summarise_rows(draws, "eti", 0.9, mc.TAILS)
    assert known.tolist() == [True, False, False, False, False, True]
    agree(draws)
    # No lag of the first 128 ends Geyer's sequence.
    still = np.repeat(chains(2, 1, 4, 2, 0.0), 500, axis=2) + 1e-9 * chains(3, 1, 4, 1000, 0.0)
    assert not compiled.summarise_rows(still, "eti", 0.9, mc.TAILS)[1].any()
    agree(still)


@BOUNDED
@given(st.integers(1, 3), st.sampled_from([(2, 4), (1, 6), (3, 8)]), st.data())
def test_awkward_draws_agree_too(rows: int, shape: tuple[int, int], data: st.DataObject) -> None:
    size = rows * shape[0] * shape[1]
    few = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 3.5, np.nextafter(1, 2), -2.0, 5e-324])
    number = st.one_of(few, st.floats(-1e3, 1e3))
    agree(np.array(data.draw(st.lists(number, min_size=size, max_size=size))).reshape(rows, *shape), rtol=1e-9)


@pytest.mark.parametrize("digits", [2, 3, 12])
def test_folded_draws_that_tie_beside_the_median_agree(digits: int) -> None:
    rng = np.random.default_rng(digits)
    half = rng.permuted(np.round(np.cumsum(rng.uniform(0.01, 1, (40, 100)), axis=1), digits), axis=1)
    signed = np.concatenate([half[:, :50], -half[:, 50:]], axis=1)
    agree(signed.reshape(40, 2, 50))
    # Symmetric about the median: every distance occurs twice.
    agree(rng.permuted(np.concatenate([half, -half], axis=1), axis=1).reshape(40, 4, 50))


def targets_of(seed: int, chain: int, draw: int, phi: float) -> TargetDraws:
    pairs = chains(seed, 18, chain, draw, phi).reshape(6, 3, -1) * 0.1
    pairs[0] = 0.3  # one class for certain
    pairs[1, 0, : pairs.shape[2] // 2], pairs[1, 0, pairs.shape[2] // 2 :] = -0.05, 0.05  # at the limits
    return TargetDraws(np.arange(6), pairs)


@BOUNDED
@given(
    seed=st.integers(0, 1000),
    world=st.sampled_from([1, 2]),
    chain=st.integers(1, 4),
    draw=st.integers(3, 300),
    phi=st.sampled_from([-0.5, 0.0, 0.5, 0.95, 1.0]),
    ratio=st.sampled_from([0.0, 0.05, 0.2]),
)
def test_classes_agree_with_numpy(seed: int, world: int, chain: int, draw: int, phi: float, ratio: float) -> None:
    eps, place = Tolerances(0.05, 0.03, ratio), np.arange(13)
    for merged in (place, np.maximum(place - 3, 0)):
        given_ = (targets_of(seed, world * chain, draw, phi), (2, 0), world * chain, eps, merged, world)
        ours, expected = count_targets(*given_, compiled=True), count_targets(*given_)
        assert ours.probability.shape == (6, merged.max() + 1)
        for name in ("probability", "mcse", "change", "union"):
            np.testing.assert_allclose(
                getattr(ours, name), getattr(expected, name), rtol=1e-9, atol=1e-15, err_msg=name
            )


def test_worlds_agree_with_numpy() -> None:
    draws = families((12, 4, 100))["persistent"]
    for name, values in pooled.summarise_draws(draws, "hdi", 0.8, 2).items():
        found = pooled.summarise_draws(draws, "hdi", 0.8, 2, compiled=True)[name]
        np.testing.assert_allclose(found, values, rtol=1e-10, err_msg=name)
    for name, values in pooled.convergence(draws, 2).items():
        np.testing.assert_allclose(pooled.convergence(draws, 2, compiled=True)[name], values, rtol=1e-10)


def test_draws_that_may_not_be_written_are_read() -> None:
    draws = chains(1, 3, 2, 20, 0.3)
    draws.flags.writeable = False
    agree(draws)


def test_without_a_place_for_the_machine_code_kernels_are_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = compiled.numba.njit

    def njit(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return whole(**options)

    monkeypatch.setattr(compiled.numba, "njit", njit)
    twice = compiled._compiled(lambda value: 2 * value)
    assert twice(4) == 8


_SMALL = """
import sys
from fakes import fake_result
from mcpbayes.output.conclusion import conclude
conclude(fake_result(draws=20))
print("numba" in sys.modules)
"""


@pytest.mark.parametrize("choice", ["numpy", "auto", "numba"])
def test_numba_is_loaded_only_where_it_is_used(choice: str) -> None:
    folder = Path(__file__).parents[1]
    environment = os.environ | {kernels.VARIABLE: choice, "PYTHONPATH": str(folder)}
    found = subprocess.run([sys.executable, "-c", _SMALL], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(choice == "numba")
