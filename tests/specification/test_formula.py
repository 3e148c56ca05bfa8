import json

import numpy as np
import pandas as pd
import pytest
from formulaic import model_matrix
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.formula import build_design, categories, design_row, natural_key, numeric

STUDIES = ["A", "A", "B", "B", "B", "C"]
FRAME = pd.DataFrame(
    {
        "clay": [10.0, 20.0, 30.0, 30.0, 30.0, 45.0],
        "ecosystem": ["grassland", "forest", "cropland", "forest", "grassland", "cropland"],
        "dose": [50.0, 150.0, 50.0, 100.0, 150.0, 100.0],
        "rainfall": [600.0, 600.0, 800.0, 800.0, 800.0, 900.0],
    }
)


def build(formula, frame=FRAME, studies=STUDIES, standardise=True, within_between=False):
    return build_design(frame, studies, formula, standardise=standardise, within_between=within_between)


def test_without_moderators_there_is_the_intercept():
    design = build("~ 1")
    assert design.coefficients == ("intercept",)
    np.testing.assert_array_equal(design.matrix, np.ones((6, 1)))
    np.testing.assert_array_equal(design_row(design.recipe), [1.0])
    assert categories(design.recipe) == {} and numeric(design.recipe) == {}


def test_numeric_moderators_are_scaled_by_the_study_means():
    design = build("~ clay")
    means = np.array([15.0, 30.0, 45.0])
    expected = (FRAME["clay"] - means.mean()) / means.std(ddof=1)
    np.testing.assert_allclose(design.matrix[:, 1], expected)
    assert numeric(design.recipe) == {"clay": (30.0, 15.0)}


def test_unscaled_moderators_keep_their_numbers():
    design = build("~ clay", standardise=False)
    np.testing.assert_array_equal(design.matrix[:, 1], FRAME["clay"])
    assert numeric(design.recipe) == {"clay": (0.0, 1.0)}
    np.testing.assert_array_equal(design_row(design.recipe), [1.0, 30.0])  # the mean of the study means


def test_equal_study_means_are_scaled_by_the_rows():
    frame = pd.DataFrame({"dose": [50.0, 150.0, 50.0, 150.0]})
    design = build("~ dose", frame, ["A", "A", "B", "B"])
    assert numeric(design.recipe)["dose"] == (100.0, pytest.approx(np.std([50, 150, 50, 150], ddof=1)))


def test_categories_are_coded_sum_to_zero():
    design = build("~ ecosystem")
    assert design.coefficients == ("intercept", "ecosystem[cropland]", "ecosystem[forest]")
    by_name = {"cropland": [1, 0], "forest": [0, 1], "grassland": [-1, -1]}
    np.testing.assert_array_equal(design.matrix[:, 1:], [by_name[name] for name in FRAME["ecosystem"]])
    assert categories(design.recipe) == {"ecosystem": ("cropland", "forest", "grassland")}


def test_levels_are_in_natural_order():
    assert sorted(["d10", "d2", "D1", "d02"], key=natural_key) == ["D1", "d02", "d2", "d10"]
    frame = pd.DataFrame({"depth": ["10-20", "0-10", "100-200", "0-10"]})
    design = build("~ depth", frame, ["A", "B", "C", "D"])
    assert categories(design.recipe) == {"depth": ("0-10", "10-20", "100-200")}


def test_agrees_with_formulaic():
    ours = build("~ clay + ecosystem + dose + clay:ecosystem + clay:dose", standardise=False)
    theirs = model_matrix(
        "clay + C(ecosystem, contr.sum) + dose + clay:C(ecosystem, contr.sum) + clay:dose", FRAME
    ).to_numpy()
    assert ours.matrix.shape == theirs.shape
    # the same columns, whatever their order
    np.testing.assert_allclose(
        ours.matrix[:, np.lexsort(ours.matrix)], theirs[:, np.lexsort(theirs)], rtol=0, atol=1e-12
    )


def test_interactions_are_products():
    design = build("~ clay + ecosystem + clay:ecosystem")
    assert design.coefficients[-2:] == ("clay:ecosystem[cropland]", "clay:ecosystem[forest]")
    np.testing.assert_allclose(design.matrix[:, 4], design.matrix[:, 1] * design.matrix[:, 2])


def test_within_between_splits_numeric_moderators():
    design = build("~ clay + ecosystem", within_between=True)
    assert design.coefficients[:3] == ("intercept", "clay[between]", "clay[within]")
    np.testing.assert_allclose(design.matrix[:, 1], np.array([-1, -1, 0, 0, 0, 1]))
    np.testing.assert_allclose(design.matrix[:, 2], np.array([-5, 5, 0, 0, 0, 0]) / 15)
    assert numeric(design.recipe) == {"clay[between]": (30.0, 15.0), "clay[within]": (0.0, 15.0)}
    np.testing.assert_allclose(design_row(design.recipe, {"clay": 60})[1:3], [2.0, 0.0])


def test_what_varies_on_one_side_only_is_not_split():
    design = build("~ rainfall", within_between=True)
    assert design.coefficients == ("intercept", "rainfall")
    frame = pd.DataFrame({"dose": [50.0, 150.0, 50.0, 150.0]})
    assert build("~ dose", frame, ["A", "A", "B", "B"], within_between=True).coefficients == ("intercept", "dose")


def test_numeric_leaves_out_what_has_no_slope_of_its_own():
    assert list(numeric(build("~ ecosystem + clay + dose:ecosystem").recipe)) == ["clay"]


@pytest.mark.parametrize("within_between", [False, True])
def test_the_row_of_a_point_of_the_table_is_its_row_in_the_matrix(within_between):
    design = build("~ rainfall + ecosystem + rainfall:ecosystem", within_between=within_between)
    for i, row in FRAME.iterrows():
        at = {"rainfall": row["rainfall"], "ecosystem": row["ecosystem"]}
        np.testing.assert_allclose(design_row(design.recipe, at), design.matrix[i])


def test_unnamed_moderators_are_averaged_over():
    design = build("~ clay + ecosystem + clay:ecosystem")
    names = categories(design.recipe)["ecosystem"]
    rows = [design_row(design.recipe, {"clay": 45, "ecosystem": name}) for name in names]
    np.testing.assert_allclose(design_row(design.recipe, {"clay": 45}), np.mean(rows, axis=0), atol=1e-15)
    np.testing.assert_allclose(design_row(design.recipe), [1, 0, 0, 0, 0, 0])


def test_numbers_may_come_as_text():
    recipe = build("~ clay").recipe
    np.testing.assert_array_equal(design_row(recipe, {"clay": "45"}), design_row(recipe, {"clay": 45.0}))


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"caly": 1}, "unknown moderator 'caly'; did you mean 'clay'"),
        ({"ecosystem": "forst"}, "unknown category 'forst'; did you mean 'forest'"),
        ({"ecosystem": "sea"}, "there is 'cropland', 'forest', 'grassland'"),
        ({"clay": "sandy"}, "expected a number, found 'sandy'"),
        ({"clay": float("nan")}, "expected a number"),
        ({"clay": True}, "expected a number"),
    ],
)
def test_points_that_do_not_exist(at, message):
    with pytest.raises(SpecificationError, match=message):
        design_row(build("~ clay + ecosystem").recipe, at)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"x": [3.0] * 6}, r"'x' is the same in every row \(3\)"),
        ({"x": ["a"] * 6}, "'x' is 'a' in every row"),
        ({"x": [1.0, np.nan] * 3}, "'x' has missing values"),
        ({"x": ["a", None] * 3}, "'x' has missing values"),
        ({"x": [1.0, np.inf] * 3}, "'x' has infinite values"),
        ({"xx": [1.0] * 6}, "no column 'x'"),
    ],
)
def test_columns_that_cannot_be_used(frame, message):
    with pytest.raises(SpecificationError, match=message):
        build("~ x", pd.DataFrame(frame))


def test_rounding_is_not_variation():
    frame = pd.DataFrame({"x": [0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2, 0.3, 0.3]})
    with pytest.raises(SpecificationError, match="the same in every row"):
        build("~ x", frame)


def test_two_coefficients_cannot_share_a_name():
    frame = FRAME.assign(**{"ecosystem[forest]": FRAME["dose"]})
    with pytest.raises(SpecificationError, match=r"two coefficients would be called 'ecosystem\[forest\]'"):
        build("~ ecosystem + `ecosystem[forest]`", frame)


def test_the_recipe_is_json_and_carries_odd_names():
    frame = pd.DataFrame({"Boden (Typ)": ["Löß", "Moor"] * 3})
    design = build("~ `Boden (Typ)`", frame)
    assert json.loads(design.recipe)["moderators"]["Boden (Typ)"]["levels"] == ["Löß", "Moor"]
    np.testing.assert_array_equal(design_row(design.recipe, {"Boden (Typ)": "Moor"}), [1, -1])


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(st.integers(-50, 50), min_size=6, max_size=6, unique=True), st.floats(0.1, 100), st.floats(-100, 100))
def test_units_of_a_moderator_do_not_matter(values, scale, shift):
    x = np.array(values, dtype=float)
    first = build("~ x", pd.DataFrame({"x": x}))
    second = build("~ x", pd.DataFrame({"x": shift + scale * x}))
    np.testing.assert_allclose(first.matrix, second.matrix, atol=1e-8)
