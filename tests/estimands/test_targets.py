import numpy as np
import pytest
from fakes import fake_result
from variants import with_moderators

from mcpbayes.errors import SpecificationError, StageError
from mcpbayes.estimands.targets import kinds_of, observed_points, population_points, targets
from mcpbayes.specification.formula import design_row

KINDS = ("manure", "straw")


@pytest.fixture(scope="module")
def moderated():
    return with_moderators(draws=5)


def names(points) -> list[str]:
    return [str(name) for name in points["point"].values]


def test_kinds_come_first_then_their_average() -> None:
    points = population_points(fake_result(draws=5)["data"].to_dataset(), KINDS)
    assert names(points) == ["kind=manure", "kind=straw", "average over kinds"]
    np.testing.assert_allclose(points["kind_weight"], [[1, 0], [0, 1], [0.5, 0.5]])


def test_without_the_level_of_kinds_there_is_one_average() -> None:
    tree = fake_result(kinds=("manure",), draws=5)
    assert kinds_of(tree["posterior"].to_dataset()) == ()
    points = population_points(tree["data"].to_dataset(), ())
    assert names(points) == ["average"]
    assert points["kind_weight"].shape == (1, 0)


def test_categories_and_points_asked_for_follow(moderated) -> None:
    data = moderated["data"].to_dataset()
    points = population_points(data, KINDS, {"duration_years": [10, "20"], "ecosystem": ["forest"]})
    assert names(points) == [
        "kind=manure",
        "kind=straw",
        "average over kinds",
        "ecosystem=cropland",
        "ecosystem=forest",
        "ecosystem=grassland",
        "duration_years=10, ecosystem=forest",
        "duration_years=20, ecosystem=forest",
    ]
    recipe = data["design"].attrs["recipe"]
    np.testing.assert_allclose(points["row"][2], design_row(recipe))
    np.testing.assert_allclose(points["row"][4], design_row(recipe, {"ecosystem": "forest"}))
    np.testing.assert_allclose(points["row"][7], design_row(recipe, {"ecosystem": "forest", "duration_years": 20.0}))
    np.testing.assert_allclose(points["kind_weight"][3:], 0.5)


def test_kind_is_a_variable_that_stands_first_in_a_name(moderated) -> None:
    points = population_points(moderated["data"].to_dataset(), KINDS, {"duration_years": [10.0], "kind": ["straw"]})
    assert names(points)[-1] == "kind=straw, duration_years=10"
    np.testing.assert_allclose(points["kind_weight"][-1], [0, 1])


def test_a_point_asked_for_twice_stands_once(moderated) -> None:
    data = moderated["data"].to_dataset()
    points = population_points(data, KINDS, {"ecosystem": ["forest", "forest"]})
    assert names(points).count("ecosystem=forest") == 1
    assert names(points) == names(population_points(data, KINDS))
    assert names(population_points(data, KINDS, {"duration_years": [0.1, "0.10"]}))[-2:] == [
        "ecosystem=grassland",
        "duration_years=0.1",
    ]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"duration": [1]}, "did you mean 'duration_years'"),
        ({"duration_years": ["ten"]}, "expected a number, found 'ten'"),
        ({"duration_years": []}, "at.duration_years: no value is given"),
        ({"ecosystem": ["forrest"]}, "did you mean 'forest'"),
        ({"kind": ["manur"]}, "unknown kind 'manur'; did you mean 'manure'"),
    ],
)
def test_points_that_do_not_exist_are_refused(moderated, at, message) -> None:
    with pytest.raises(SpecificationError, match=message):
        population_points(moderated["data"].to_dataset(), KINDS, at)


def test_kinds_cannot_be_asked_for_where_the_level_is_off(moderated) -> None:
    with pytest.raises(SpecificationError, match="level of treatment kinds is off"):
        population_points(moderated["data"].to_dataset(), (), {"kind": ["manure"]})


def test_without_moderators_no_point_can_be_asked_for() -> None:
    with pytest.raises(SpecificationError, match="unknown moderator 'clay'; there is none"):
        population_points(fake_result(draws=5)["data"].to_dataset(), KINDS, {"clay": [1]})


def test_a_design_without_recipe_is_refused_unless_it_is_the_intercept(moderated) -> None:
    data = moderated["data"].to_dataset()
    data["design"].attrs = {}
    with pytest.raises(StageError, match="no recipe"):
        population_points(data, KINDS)


def test_studies_average_rows_and_kinds_over_their_comparisons(moderated) -> None:
    data = moderated["data"].to_dataset()
    comparisons, studies = observed_points(data, KINDS, "comparison"), observed_points(data, KINDS, "study")
    np.testing.assert_allclose(comparisons["row"], data["design"])
    assert comparisons["kind_weight"].sum() == data.sizes["comparison"]
    np.testing.assert_allclose(studies["row"][1], data["design"].values[4:8].mean(axis=0))
    np.testing.assert_allclose(studies["kind_weight"], 0.5)


def test_targets_stand_level_by_level_under_unique_names() -> None:
    tree = fake_result(draws=5)
    made = targets(tree["data"].to_dataset(), tree["posterior"].to_dataset())
    levels = made["level"].values.tolist()
    assert list(dict.fromkeys(levels)) == ["mean", "new", "study", "comparison"]
    assert [levels.count(level) for level in ("mean", "new", "study", "comparison")] == [3, 3, 5, 20]
    assert made["target"].values[0] == "mean: kind=manure"
    assert len(set(made["target"].values)) == 31


def test_levels_whose_effects_are_not_stored_are_targets_all_the_same() -> None:
    tree = fake_result(draws=5)
    data, posterior = tree["data"].to_dataset(), tree["posterior"].to_dataset()
    made = targets(data, posterior.drop_vars(["study_effect", "comparison_effect", "baseline"]))
    assert made.identical(targets(data, posterior))
