"""Land uses of one place, from amino sugars."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbayes.errors import DataError, SpecificationError
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.arms import check_table
from mcpbayes.tables.importers.amino_sugars import import_amino_sugars

HEADER = "Reference,Latitude,Longitude,Ecosystem.type,Site,MurA,GlcN,SOC,MAT,MAP,pH,Clay"


def compilation(tmp_path, *rows):
    """A file like the compilation, of invented samples: reference, latitude, land use, MurA, GlcN, SOC."""
    lines = [f"{r},{lat},20,{use},G\u00f6ttingen,{m},{g},{c},8,600,6,20" for r, lat, use, m, g, c in rows]
    path = tmp_path / "global.csv"
    path.write_bytes("\n".join([HEADER, *lines]).encode("cp1252"))
    return path


def test_land_uses_of_a_place_are_compared_with_the_first_reference(tmp_path):
    path = compilation(
        tmp_path,
        (1, 50, "Cropland", 60, 700, 15),
        (1, 50, "forest", 80, 1000, 30),
        (1, 50, "Forest", 100, 1200, 40),
        (1, 51, "Cropland", 60, 700, 15),
        (2, 50, "Grassland", 70, 900, 25),
    )
    imported = import_amino_sugars(path)
    (row,) = imported.table.to_dict("records")
    assert row["treatment"] == "cropland against forest"
    assert (row["muramic_acid_control"], row["glucosamine_control"], row["soc_control"]) == (0.09, 1.1, 35)
    assert row["necromass_treatment"] == pytest.approx((9 * 700 + 32.16 * 60) / 1000, rel=1e-4)
    assert row["necromass_control"] == pytest.approx((9 * 1100 + 32.16 * 90) / 1000, rel=1e-4)
    assert (row["rows_control"], row["rows_treatment"], row["region"]) == (2, 1, "G\u00f6ttingen")
    assert list(imported.rows["used_as"]) == ["treatment", "control", "control", "not used", "not used"]


def test_the_reference_can_be_chosen(tmp_path):
    path = compilation(tmp_path, (1, 50, "Cropland", 60, 700, 15), (1, 50, "Forest", 80, 1000, 30))
    assert list(import_amino_sugars(path, reference="Cropland").table["treatment"]) == ["forest against cropland"]
    with pytest.raises(SpecificationError, match="did you mean 'forest'"):
        import_amino_sugars(path, reference="forrest")


def test_samples_that_cannot_be_used_are_listed(tmp_path):
    path = compilation(
        tmp_path,
        (1, 50, "Forest", 80, 1000, 30),
        (1, 50, "Cropland", "", 700, 15),
        (1, 50, "Cropland", 60, 0, 15),
        (1, 50, "Cropland", 60, 700, ""),
        ("", 50, "Cropland", 60, 700, 15),
        (1, 50, "Cropland", 400, 500, 15),
    )
    imported = import_amino_sugars(path)
    assert list(imported.rows["used_as"]) == ["control", *["not used"] * 4, "treatment"]
    assert imported.rows["reason"].nunique() == 5  # four reasons, and none
    assert imported.rows["flag"].iloc[-1].startswith("fungal necromass is negative")
    assert [note.rows for note in imported.notes if note.check == "fungal-necromass-negative"] == [(7,)]


def test_text_among_numbers_is_refused(tmp_path):
    with pytest.raises(DataError, match="column MurA"):
        import_amino_sugars(compilation(tmp_path, (1, 50, "Forest", "trace", 1000, 30)))


@given(glucosamine=st.floats(1, 1e4), muramic=st.floats(0.1, 1e3))
def test_conventional_factors_are_the_published_short_form(glucosamine, muramic):
    necromass = 45 * muramic + 9 * (glucosamine - 2 * 179.17 / 251.23 * muramic)
    assert np.isclose(necromass, 9 * glucosamine + 32.16 * muramic, rtol=1e-3)


def test_every_row_of_the_compilation_is_used_or_listed(shared_data, tmp_path):
    imported = import_amino_sugars(shared_data / "global_soils_amino_sugars.csv")
    assert len(imported.rows) == 1794 and sum(imported.uses.values()) == 1794
    assert sum(imported.reasons.values()) == imported.uses["not used"]
    measured = imported.rows["reason"] != "muramic acid or glucosamine is not given"
    assert imported.table["control_id"].groupby(imported.table["study"]).nunique().sum() == 37
    assert measured.sum() == 1607
    path = tmp_path / "land-use.csv"
    imported.table.to_csv(path, index=False)
    problems = check_table(path, load_model("arm-based"))
    assert [problem for problem in problems if problem.severity == "error"] == []
    spellings = pd.read_csv(path)["treatment"]
    assert not spellings.str.contains("Forest").any()
