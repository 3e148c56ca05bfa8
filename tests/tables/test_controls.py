import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_tables import checks_of, comparison_table, found, spoilt

from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import prepare
from mcpbayes.tables.naming import canonical_order, natural_order, natural_rank, number_repeats


def prepared(table, **settings):
    return prepare(table, load_model(settings={key.replace("__", "."): value for key, value in settings.items()}))


def sharing(data):
    """Return which comparisons share a control, as sets of source rows."""
    rows = data["source_row"].to_series().groupby(data["control_of_comparison"].to_numpy())
    return sorted(tuple(sorted(group)) for _, group in rows)


def test_identical_control_cells_of_a_study_are_one_control():
    data = prepared(comparison_table())
    assert sharing(data) == [(2, 3), (4, 5), (6, 7), (8, 9)]
    assert data["control"].values.tolist() == [f"S{i}: control 1" for i in (1, 2, 3, 4)]
    assert data.attrs["control_rule"] == "4 controls of 8 comparisons: 4 by identical control cells and place."


@pytest.mark.parametrize(
    "cells",
    [
        {"necromass_control": 5.1},
        {"soc_control_sd": 1.3},
        {"n_control": 5},
        {"site": "north"},
        {"latitude": 41.0, "longitude": 12.0},
        {"depth_top": 10, "depth_bottom": 20},
        {"date": "2020-05-01"},
    ],
    ids=lambda cells: next(iter(cells)),
)
def test_without_ids_any_difference_in_cells_or_place_makes_another_control(cells):
    assert sharing(prepared(spoilt(comparison_table(), 3, **cells)))[:2] == [(2,), (3,)]


def test_a_copied_soc_alone_does_not_merge_controls():
    table = comparison_table()
    table["necromass_control"] = [5.0, 5.1, 6.0, 6.1, "", "", 8.0, ""]
    assert sharing(prepared(table)) == [(row,) for row in range(2, 10)]


def test_the_same_values_in_two_studies_are_two_controls():
    table = comparison_table(studies=2, necromass_control=5.0, soc_control=12.0, necromass_control_sd=1.0)
    assert sharing(prepared(table)) == [(2, 3), (4, 5)]


def test_a_control_id_merges_and_names_within_its_study_only():
    data = prepared(comparison_table(control_id="CK"))
    assert sharing(data) == [(2, 3), (4, 5), (6, 7), (8, 9)]
    assert data["control"].values.tolist() == ["S1: CK", "S2: CK", "S3: CK", "S4: CK"]
    assert data.attrs["control_rule"] == "4 controls of 8 comparisons: 4 by study and control_id."


def test_ids_separate_controls_with_identical_cells():
    data = prepared(comparison_table(control_id=list("abababab")))
    assert sharing(data) == [(row,) for row in range(2, 10)]


def test_rows_without_id_fall_back_to_their_cells():
    data = prepared(comparison_table(control_id=["CK", "CK", "", "", "", "", "", ""]))
    assert data["control"].values.tolist() == ["S1: CK", "S2: control 1", "S3: control 1", "S4: control 1"]
    assert data.attrs["control_rule"].endswith("1 by study and control_id, 3 by identical control cells and place.")


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        ({"necromass_control": 5.2}, "5 / 5.2"),
        ({"soc_control": ""}, "12 / (empty)"),
        ({"n_control": 5}, "4 / 5"),
        ({"soc_control_sd": 1.3}, "1.2 / 1.3"),
    ],
    ids=lambda case: str(case),
)
def test_one_id_with_two_different_controls_names_rows_and_cells(cells, value):
    problem = found(spoilt(comparison_table(control_id="CK"), 3, **cells), "control-differs")
    assert problem.rows == (2, 3)
    assert problem.column == next(iter(cells))
    assert problem.value == value
    assert "'S1: CK'" in problem.message


def test_one_id_at_two_depths_is_an_error_but_an_empty_place_is_filled():
    table = comparison_table(control_id="CK", site=["a", "", "b", "b", "", "", "", ""], depth_top=0, depth_bottom=20)
    data = prepared(table)
    assert data["site"].values.tolist() == ["S1: a", "S2: b", "S3", "S4"]
    deeper = spoilt(table, 5, depth_top=20, depth_bottom=40)
    assert checks_of(deeper).count("control-differs") == 2


def test_numbered_controls_follow_necromass_soc_depth_and_date():
    rows = [(7.0, 12.0, 0, "2020"), (5.0, 15.0, 0, "2020"), (5.0, 11.0, 10, "2019"), (5.0, 11.0, 0, "2021")]
    table = pd.DataFrame(rows, columns=["necromass_control", "soc_control", "depth_top", "date"]).assign(
        study="S", treatment="t", necromass_treatment=6.0, soc_treatment=13.0, depth_bottom=30
    )
    data = prepared(table)
    assert data["source_row"].values.tolist() == [5, 4, 3, 2]
    assert data["control_of_comparison"].values.tolist() == [f"S: control {i}" for i in (1, 2, 3, 4)]
    assert data["comparison"].values.tolist() == ["S: t", "S: t (2)", "S: t (3)", "S: t (4)"]


def test_ten_controls_come_in_the_order_of_their_numbers():
    table = pd.DataFrame(
        {"study": "S", "treatment": "t", "necromass_control": np.arange(1.0, 13.0), "soc_control": 20.0}
    )
    data = prepared(table.assign(necromass_treatment=6.0, soc_treatment=21.0))
    assert data["control"].values.tolist() == [f"S: control {i}" for i in range(1, 13)]


def test_names_of_controls_are_unique_even_where_ids_imitate_numbers():
    table = comparison_table(studies=1, control_id=["control 1", ""], necromass_control=[5.0, 6.0])
    assert prepared(table)["control"].values.tolist() == ["S1: control 1", "S1: control 1 (2)"]


def test_comparisons_are_named_by_comparison_then_treatment_then_control():
    table = comparison_table(comparison=["10 t", "", "2 t", "10 t", "", "", "", ""])
    names = prepared(table)["comparison"].values.tolist()
    assert names[:4] == ["S1: 10 t", "S1: straw", "S2: 2 t", "S2: 10 t"]
    nameless = prepared(comparison_table(studies=1).drop(columns="treatment"))
    assert nameless["comparison"].values.tolist() == ["S1: control 1 treated", "S1: control 1 treated (2)"]
    assert nameless["kind"].values.tolist() == ["treatment"]


def test_a_repeat_does_not_take_a_name_that_is_in_use():
    assert number_repeats(["a", "a", "a (2)", "a"]) == ["a", "a (3)", "a (2)", "a (4)"]
    assert number_repeats([]) == []


def test_names_are_sorted_with_digits_as_numbers():
    assert natural_order(["S10", "S2", "s1", "S2", "S1"]) == ["S1", "s1", "S2", "S10"]
    assert natural_rank(["S10", "S2", "S10"]).tolist() == [1, 0, 1]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.text(alphabet="ab1(2) ", max_size=6), max_size=12))
def test_numbered_repeats_are_unique_and_keep_the_first_of_each_name(names):
    unique = number_repeats(names)
    assert len(set(unique)) == len(names)
    assert all(new == old or new.startswith(f"{old} (") for new, old in zip(unique, names, strict=True))
    for name in set(names):
        assert unique[names.index(name)] == name


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.permutations(range(6)))
def test_the_canonical_order_undoes_any_permutation(order):
    frame = pd.DataFrame({"name": ["S1", "S1", "S2", "S10", "S10", "S10"], "x": [1.0, np.nan, 3.0, 0.0, 2.0, np.nan]})
    shuffled = frame.iloc[list(order)]
    pd.testing.assert_frame_equal(shuffled.iloc[canonical_order(shuffled, ["name", "x"])], frame)
