import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path
from scipy.stats import chi2

from mcpbayes import vocabulary as words
from mcpbayes.estimands.classes import Tolerances, classify_effects
from mcpbayes.output.plots.regions import clip, highest_density_regions, kernel, rim_places, sectors
from mcpbayes.specification.structure import Scheme

EPSILON = Tolerances(necromass=0.05, soc=0.08, ratio=0.03)


def scheme_of(tolerance):
    percents = {name: 100 * np.expm1(getattr(tolerance, name)) for name in ("necromass", "soc", "ratio")}
    return Scheme(tolerance_percent=percents)


def area(polygon):
    x, y = np.asarray(polygon).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def draws(shape):
    rng = np.random.default_rng(3)
    normal = rng.multivariate_normal([0.3, 0.1], [[0.04, 0.038], [0.038, 0.04]], 4000).T
    if shape == "skewed":
        return np.exp(normal)
    if shape == "wild":
        return np.concatenate([normal, [[40.0, -60.0], [55.0, 3.0]]], axis=1)
    return normal


@pytest.mark.parametrize("shape", ["narrow", "skewed", "wild"])
def test_a_region_holds_its_share_of_the_draws(shape):
    x, y = draws(shape)
    for prob, outlines in zip((0.5, 0.95), highest_density_regions(x, y, (0.5, 0.95)), strict=True):
        inside = np.sum([Path(line).contains_points(np.stack([x, y], 1)) for line in outlines], axis=0)
        assert np.mean(inside % 2) == pytest.approx(prob, abs=0.015)


def test_regions_of_a_normal_are_its_ellipses():
    x, y = draws("narrow")
    determinant = np.linalg.det(np.cov(x, y))
    for prob, (line,) in zip((0.5, 0.95), highest_density_regions(x, y, (0.5, 0.95)), strict=True):
        assert area(line) == pytest.approx(np.pi * chi2.ppf(prob, 2) * np.sqrt(determinant), rel=0.12)


def test_one_wild_draw_does_not_blur_the_region():
    calm, wild = (area(highest_density_regions(*draws(s), (0.5,))[0][0]) for s in ("narrow", "wild"))
    assert wild == pytest.approx(calm, rel=0.05)


def test_a_density_integrates_to_one():
    values = draws("narrow")[0]
    grid = np.linspace(-1, 2, 600)
    assert np.trapezoid(kernel(values[None])(grid[None]), grid) == pytest.approx(1, abs=1e-3)


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(-2, 2))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_two_halves_of_a_square_are_the_square(a, b, c):
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    halves = [clip(square, a, b, c), clip(square, -a, -b, -c)]
    total = sum(area(half) for half in halves if len(half))
    whole = 8.0 if a == b == c == 0 else 4.0
    assert total == pytest.approx(whole)


@pytest.mark.parametrize("tolerance", [EPSILON, Tolerances(0.3, 0.02, 0.1), Tolerances(0.0, 0.0, 0.0)])
def test_sectors_partition_the_plane_as_the_classes_do(tolerance):
    polygons = sectors(-0.4, 0.9, tolerance)
    assert sum(area(polygon) for polygon in polygons.values() if len(polygon)) == pytest.approx(1.3**2)
    points = np.random.default_rng(0).uniform(-0.4, 0.9, (3000, 2))
    expected = np.array(words.SCENARIOS)[classify_effects(points[:, 1], points[:, 0], scheme_of(tolerance))]
    found = np.array([Path(p).contains_points(points) if len(p) else np.zeros(3000, bool) for p in polygons.values()])
    assert (found.sum(axis=0) == 1).all()
    assert (np.array(list(polygons))[found.argmax(axis=0)] == expected).all()


def test_every_sector_but_the_centre_is_named_at_the_rim_within_itself():
    places = rim_places(-0.5, 0.9, (0.05, 0.02), EPSILON)
    assert set(places) == set(words.SCENARIOS) - {"N0C0r0"}
    for code, (x, y) in places.items():
        assert classify_effects(np.array(y), np.array(x), scheme_of(EPSILON)) == words.SCENARIOS.index(code)


def test_strips_without_width_have_no_place_at_the_rim():
    assert len(rim_places(-0.5, 0.9, (0.05, 0.02), Tolerances(0.0, 0.0, 0.0))) == 6
