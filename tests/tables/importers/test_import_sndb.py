"""The Soil Necromass Database: pairing on made-up rows, and every row of the user's download accounted for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.errors import DataError
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table
from mcpbayes.tables.importers.labels import shipped_labels
from mcpbayes.tables.importers.sndb import NUMBERS, TEXTS, import_sndb

COLUMNS = [*dict.fromkeys((*TEXTS, *NUMBERS)), "elevation_m"]
ROW = {
    "SNDB_study_number": "900",
    "treatment": "fertilizer",
    "Latitude": "40",
    "Longitude": "10",
    "lyrtop_cm": "0",
    "lyrbot_cm": "20",
    "ecosystem": "cropland",
    "fraction_scheme": "bulk soil",
    "gluN": "800",
    "murA": "50",
    "microbial_necromass_C": "8800",
    "fungal_necromass_C": "6500",
    "bacterial_necromass_C": "2300",
    "soc": "20",
}


def database(tmp_path, rows, name="sndb.csv"):
    """A file like the database, of invented rows: `ROW` with changes."""
    filled = [ROW | {"SNDB_record_number": str(i + 1)} | row for i, row in enumerate(rows)]
    path = tmp_path / name
    pd.DataFrame(filled, columns=COLUMNS).to_csv(path, index=False)
    return path


def control(**changes):
    return {"treatment_level": "CK"} | changes


def treated(level="NPK", **changes):
    return {"treatment_level": level, "microbial_necromass_C": "11000", "soc": "25"} | changes


def test_a_control_and_a_treatment_become_a_comparison_in_one_unit(tmp_path):
    imported = import_sndb(database(tmp_path, [control(pH="6.1", MAT="8"), treated(pH="5")]))
    (row,) = imported.table.to_dict("records")
    assert (row["study"], row["treatment"], row["comparison"]) == ("900", "mineral fertiliser", "NPK")
    assert (row["necromass_control"], row["necromass_treatment"]) == (8.8, 11.0)
    assert (row["soc_control"], row["soc_treatment"]) == (20, 25)
    assert (row["glucosamine_control"], row["muramic_acid_control"]) == (0.8, 0.05)
    assert (row["fungal_necromass_control"], row["bacterial_necromass_treatment"]) == (6.5, 2.3)
    assert (row["latitude"], row["depth_bottom"], row["ph"], row["mat"]) == (40, 20, 6.1, 8)
    assert row["fraction"] == "bulk soil" and row["carbon"] == "soc"
    assert list(imported.rows["used_as"]) == ["control", "treatment"]
    assert list(imported.rows["comparison"]) == ["900: NPK"] * 2
    assert list(imported.rows["row"]) == [2, 3]


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"SNDB_study_number": "901"},
        {"Latitude": "41"},
        {"lyrtop_cm": "20", "lyrbot_cm": "40"},
        {"horizon": "O horizon"},
        {"ecosystem": "forest"},
        {"treatment": "tillage"},
    ],
)
def test_only_rows_of_one_place_are_compared(tmp_path, elsewhere):
    rows = [control(), treated(), treated("NP", **elsewhere)]
    imported = import_sndb(database(tmp_path, rows))
    assert list(imported.table["comparison"]) == ["NPK"]
    assert imported.rows.iloc[2]["used_as"] == "not used"
    assert imported.rows.iloc[2]["reason"].startswith("no control row of its study")


@pytest.mark.parametrize("column", ["year_sampled", "plant_species", "wetland_type", "soil_type", "elevation_m"])
def test_what_all_rows_name_tells_experiments_apart(tmp_path, column):
    rows = [control(**{column: "2010"}), treated(**{column: "2010"}), treated("NP", **{column: "2011"})]
    assert list(import_sndb(database(tmp_path, rows)).table["comparison"]) == ["NPK"]
    rows = [control(**{column: "2010"}), treated(), treated("NP", **{column: "2011"})]  # not all of them do
    assert len(import_sndb(database(tmp_path, rows)).table) == 2


def test_replicates_are_averaged_and_counted(tmp_path):
    rows = [
        control(),
        control(microbial_necromass_C="9200", soc="22"),
        treated(),
        treated(microbial_necromass_C="12000", soc=""),
    ]
    imported = import_sndb(database(tmp_path, rows))
    (row,) = imported.table.to_dict("records")
    assert (row["necromass_control"], row["soc_control"]) == pytest.approx((9.0, 21))
    assert (row["necromass_treatment"], row["soc_treatment"]) == pytest.approx((11.5, 25))
    assert (row["rows_control"], row["rows_treatment"]) == (2, 2)
    assert (imported.rows["used_as"] != "not used").all()
    note = next(note for note in imported.notes if note.check == "rows-averaged")
    assert "1 of 1 controls and 1 of 1 treated arms" in note.message


def test_treatments_share_their_control_by_name(tmp_path):
    table = import_sndb(database(tmp_path, [control(), treated(), treated("NP")])).table
    assert table["control_id"].nunique() == 1 and len(table) == 2


def test_aggregates_are_left_out_unless_asked_for(tmp_path):
    fraction = {"fraction_scheme": "aggregate", "aggregate_size": ">2mm"}
    path = database(tmp_path, [control(), treated(), control(**fraction), treated(**fraction)])
    bulk = import_sndb(path)
    assert len(bulk.table) == 1
    assert bulk.reasons == {"aggregate: only bulk soil is paired (--fractions all)": 2}
    everything = import_sndb(path, fractions="all").table
    assert list(everything["aggregate"]) == ["", ">2mm"]
    assert list(everything["comparison"]) == ["NPK", "NPK, >2mm"]


def test_total_carbon_stands_in_for_both_arms_only_if_asked_for(tmp_path):
    path = database(tmp_path, [control(soil_C="21"), treated(soc="", soil_C="26")])
    table = import_sndb(path).table
    assert np.isnan(table["soc_control"]).all() and np.isnan(table["soc_treatment"]).all()
    imported = import_sndb(path, total_c=True)
    (row,) = imported.table.to_dict("records")
    assert (row["soc_control"], row["soc_treatment"], row["carbon"]) == (21, 26, "soil_C")
    assert [note.check for note in imported.notes] == ["total-c-for-soc"]


def test_a_fungal_part_set_to_zero_is_no_measurement(tmp_path):
    zero = {"fungal_necromass_C": "0", "microbial_necromass_C": "2300"}
    imported = import_sndb(database(tmp_path, [control(), treated(**zero), treated("NP")]))
    row = imported.table.set_index("comparison").loc["NPK"]
    assert np.isnan(row["necromass_treatment"]) and np.isnan(row["fungal_necromass_treatment"])
    assert row["soc_treatment"] == 25
    assert "fungal_necromass_C of zero or less" in imported.rows.iloc[1]["flag"]
    assert any(note.check == "fungal-necromass-zero" and note.rows == (3,) for note in imported.notes)


def test_necromass_in_another_unit_is_flagged_and_not_used(tmp_path):
    imported = import_sndb(database(tmp_path, [control(), treated(microbial_necromass_C="8.9")]))
    assert np.isnan(imported.table["necromass_treatment"]).all()
    assert "their unit must be another one" in imported.rows.iloc[1]["flag"]


def test_a_depth_that_became_a_date_is_flagged(tmp_path):
    dated = {"lyrtop_cm": "43961", "lyrbot_cm": ""}
    imported = import_sndb(database(tmp_path, [control(**dated), treated(**dated)]))
    assert len(imported.table) == 1 and "depth_top" not in imported.table
    assert imported.rows["flag"].str.contains("date").all()


def test_two_control_spellings_in_one_group_are_not_chosen_between(tmp_path):
    imported = import_sndb(database(tmp_path, [control(), {"treatment_level": "N0"}, treated()]))
    assert imported.table.empty
    assert imported.reasons == {"its group holds several control labels, so the control cannot be told": 3}


def test_own_labels_replace_the_shipped_ones(tmp_path):
    labels = tmp_path / "mine.toml"
    labels.write_text(
        'schema = 1\n[controls]\nanywhere = ["unfertilised plot"]\n'
        '[studies.900]\npatterns = [\'(?P<experiment>\\d{4}) (?P<label>.+)\']\nkinds = { "NPK" = "complete" }\n'
        'leave_out = { "NP" = "not of interest" }\n',
        encoding="utf-8",
    )
    levels = ["2001 Unfertilised  plot", "2001 NPK", "2001 NP", "2002 NPK", "CK"]
    rows = [{"treatment_level": level, "soc": str(20 + i)} for i, level in enumerate(levels)]
    imported = import_sndb(database(tmp_path, rows), labels=labels)
    assert list(imported.table["treatment"]) == ["complete"]
    assert list(imported.rows["reason"]) == [
        "",
        "",
        "not of interest",
        "no control row of its study, treatment, place, depth, ecosystem and fraction",
        "the label fits no pattern of its study",
    ]


def test_what_a_study_is_used_without_joins_its_other_flags(tmp_path):
    labels = tmp_path / "mine.toml"
    text = 'schema = 1\n[controls]\nanywhere = ["CK"]\n[studies.900]\nwithout = ["necromass"]\n'
    labels.write_text(text, encoding="utf-8")
    rows = [control(lyrtop_cm="45056", murA="0"), treated(), control(SNDB_study_number="901")]
    flags = import_sndb(database(tmp_path, rows), labels=labels).rows["flag"].tolist()
    without = "necromass is not used in this study"
    date = "the depth is a spreadsheet's date and left empty"
    assert flags == [f"{date}; murA of zero or less is not used; {without}", without, ""]


def test_blocks_begin_with_their_control(tmp_path):
    labels = tmp_path / "mine.toml"
    labels.write_text('schema = 1\n[controls]\nanywhere = ["CK"]\n[studies.900]\nblocks = true\n', encoding="utf-8")
    rows = [control(soc="20"), treated(), control(soc="30"), treated()]
    table = import_sndb(database(tmp_path, rows), labels=labels).table
    assert list(table["soc_control"]) == [20, 30]


def test_another_file_is_refused_with_every_absent_column(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("study,soc\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError) as refused:
        import_sndb(path)
    assert {problem.check for problem in refused.value.problems} == {"source-column-absent"}
    assert len(refused.value.problems) == len(TEXTS) + len(NUMBERS) - 1  # soc is there


def test_cells_that_are_no_numbers_are_refused(tmp_path):
    with pytest.raises(DataError, match="row 3, column soc: text stands where a number is needed"):
        import_sndb(database(tmp_path, [control(), treated(soc="about 20")]))


def test_a_record_number_twice_is_refused(tmp_path):
    with pytest.raises(DataError, match="rows 2, 3, column SNDB_record_number"):
        import_sndb(database(tmp_path, [control(SNDB_record_number="7"), treated(SNDB_record_number="7")]))


LEVELS = st.sampled_from(["CK", "N0", "NPK", "NP", ""])
PLACES = st.sampled_from(["0", "10"])
FRACTIONS = st.sampled_from(["bulk soil", "bulk soil", "aggregate"])
AMOUNTS = st.sampled_from(["20", "25", ""])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(LEVELS, PLACES, FRACTIONS, AMOUNTS), min_size=1, max_size=9))
def test_every_row_is_used_once_or_listed(tmp_path_factory, cells):
    rows = [
        {"treatment_level": level, "lyrtop_cm": top, "fraction_scheme": fraction, "soc": soc}
        for level, top, fraction, soc in cells
    ]
    imported = import_sndb(database(tmp_path_factory.mktemp("sndb"), rows))
    book, table = imported.rows, imported.table
    used = book["used_as"] != "not used"
    assert len(book) == len(rows) and (book["reason"] == "").equals(used) and (book["comparison"] != "").equals(used)
    assert not used[book["treatment_level"] == ""].any()
    assert not used[[fraction == "aggregate" for _, _, fraction, _ in cells]].any()
    if len(table):
        assert table["rows_treatment"].sum() == (book["used_as"] == "treatment").sum()
        assert table.groupby("control_id")["rows_control"].first().sum() == (book["used_as"] == "control").sum()


@pytest.fixture(scope="module")
def real(shared_data):
    return import_sndb(shared_data / "sndb_database_data.csv")


def test_every_row_of_the_database_is_used_or_listed(real):
    rows = real.rows
    assert len(rows) == rows["record"].nunique() == 2713
    assert set(rows["used_as"]) == {"control", "treatment", "not used"}
    unused = rows["used_as"] == "not used"
    assert (rows["reason"] != "").equals(unused) and (rows["comparison"] == "").equals(unused)
    assert sum(real.uses.values()) == 2713 and sum(real.reasons.values()) == unused.sum()
    names = {name for cell in rows.loc[~unused, "comparison"] for name in cell.split("; ")}
    assert names == set(real.table["study"] + ": " + real.table["comparison"]) and len(names) == len(real.table)


def test_each_mean_is_the_mean_of_the_listed_rows(real, shared_data):
    database = pd.read_csv(shared_data / "sndb_database_data.csv", dtype={"SNDB_study_number": str})
    necromass = database.set_index("SNDB_record_number")["microbial_necromass_C"]
    for role in ("control", "treatment"):
        used = real.rows[real.rows["used_as"] == role]
        exploded = used.assign(name=used["comparison"].str.split("; ")).explode("name")
        mean = exploded.assign(n=exploded["record"].map(necromass)).groupby("name")["n"].mean() / 1000
        table = real.table.set_index(real.table["study"] + ": " + real.table["comparison"])[f"necromass_{role}"]
        assert table.to_numpy() == pytest.approx(mean.loc[table.index].to_numpy(), nan_ok=True)
        count = exploded.groupby("name").size()
        table = real.table.set_index(real.table["study"] + ": " + real.table["comparison"])[f"rows_{role}"]
        assert (count.loc[table.index] == table).all()


def test_the_table_needs_no_model_file(real, tmp_path):
    path = tmp_path / "pairs.csv"
    real.table.to_csv(path, index=False)
    problems = check_table(path, load_model("arm-based"))
    assert [problem for problem in problems if problem.severity == "error"] == []
    shared = real.rows.loc[real.rows["used_as"] == "control", "comparison"].str.contains("; ")
    assert shared.any()  # one control, several treatments


def test_simple_label_matching_is_contained(real, shared_data):
    """Bulk pairs of matching by labels alone are all here, but for two in a wrong unit."""
    pairs = pd.read_csv(shared_data / "sndb_pairs_all.csv")
    bulk = set(pairs.loc[pairs["fraction_scheme"] == "bulk soil", "record_trt"].astype(int))
    absent = real.rows[real.rows["record"].isin(bulk) & (real.rows["used_as"] != "treatment")]
    assert set(absent["study"]) == {"84"}
    assert absent["flag"].str.contains("unit").all()


def test_the_order_of_the_file_leaves_no_trace(real, shared_data, tmp_path):
    frame = pd.read_csv(shared_data / "sndb_database_data.csv", dtype=str, keep_default_na=False)
    shuffled = tmp_path / "shuffled.csv"
    frame.sample(frac=1, random_state=3).to_csv(shuffled, index=False)
    again = import_sndb(shuffled)
    pd.testing.assert_frame_equal(again.table, real.table)
    pd.testing.assert_frame_equal(again.rows.drop(columns="row"), real.rows.drop(columns="row"))


def test_every_rule_of_the_shipped_labels_meets_a_study(shared_data):
    import tomllib

    studies = set(pd.read_csv(shared_data / "sndb_database_data.csv", dtype=str)["SNDB_study_number"])
    assert set(tomllib.loads(shipped_labels())["studies"]) <= studies
