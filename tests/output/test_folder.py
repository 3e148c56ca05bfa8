"""Saved results read back the same, and the output folder holds what the contract names."""

import json
import shutil
import tempfile
from pathlib import Path

import fakes
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from document_fakes import one_pool

from mcpbayes import vocabulary as words
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.scenarios import classify
from mcpbayes.output.folder import FolderError, load, require_place, save, tables, write_folder
from mcpbayes.output.plots import gallery
from mcpbayes.specification.loading import from_toml, load_model

SPECIFICATION = 'title = "ΔMCP"\n'


@pytest.fixture
def tree() -> xr.DataTree:
    result = fakes.fake_result(studies=3, chains=2, draws=20, specification=SPECIFICATION)
    data = result["data"].to_dataset()
    data = data.assign_coords(study=["Wögerbauer <b> 2020", 'quoted "x"', "土壤"])
    return result.assign({"data": xr.DataTree(data)})


def test_a_saved_result_reads_back_identical(tree, tmp_path):
    path = save(tree, tmp_path / "deep" / "result.nc")
    again = load(path)
    xr.testing.assert_identical(again, tree)
    assert again["data"]["treated"].dtype == bool
    assert list(again["data"]["study"].values) == ["Wögerbauer <b> 2020", 'quoted "x"', "土壤"]
    assert type(again.attrs["seed"]) is int
    assert again.attrs["specification"] == SPECIFICATION


def test_a_long_specification_and_empty_strings_survive(tree, tmp_path):
    tree.attrs["specification"] = "# ε\n" * 50_000
    tree["data"]["source_sd"] = xr.full_like(tree["data"]["source_sd"], "")
    again = load(save(tree, tmp_path / "result.nc"))
    assert again.attrs["specification"] == tree.attrs["specification"]
    assert set(again["data"]["source_sd"].values.ravel()) == {""}


def test_truth_values_among_attributes_become_numbers_and_the_tree_in_hand_stays(tree, tmp_path):
    tree["data"].attrs["simulated"] = True
    again = load(save(tree, tmp_path / "result.nc"))
    assert again["data"].attrs["simulated"] == 1
    assert tree["data"].attrs["simulated"] is True


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(tree, tmp_path):
    first = save(tree, tmp_path / "a.nc").read_bytes()
    assert save(tree, tmp_path / "a.nc").read_bytes() == first
    assert save(load(tmp_path / "a.nc"), tmp_path / "b.nc").read_bytes() == first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.nc", "b.nc"]


def test_a_folder_stands_for_its_result(tree, tmp_path):
    save(tree, tmp_path / "result.nc")
    assert load(tmp_path).identical(tree)


def test_an_interrupted_save_leaves_the_old_file(tree, tmp_path, monkeypatch):
    path = save(tree, tmp_path / "result.nc")
    before = path.read_bytes()

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(xr.DataTree, "to_netcdf", stop)
    with pytest.raises(KeyboardInterrupt):
        save(tree, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["result.nc"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FolderError, match=r"No saved result at .*nowhere\.nc"):
        load(tmp_path / "nowhere.nc")
    with pytest.raises(FolderError, match=r"No saved result at .*result\.nc"):
        load(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "result.nc").write_text("not netCDF")
    with pytest.raises(FolderError, match="cannot be read as netCDF"):
        load(tmp_path / "result.nc")
    xr.Dataset({"x": ("i", np.arange(3))}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(FolderError, match="not a result of mcpbayes"):
        load(tmp_path / "other.nc")


def test_a_newer_layout_is_refused(tree, tmp_path):
    tree.attrs["schema_version"] = 99
    save(tree, tmp_path / "result.nc")
    with pytest.raises(FolderError, match=r"schema version 99 .*reads up to 1\. Update"):
        load(tmp_path / "result.nc")


FILES = {
    "result.nc",
    "summary.csv",
    "scenarios.csv",
    "shares.csv",
    "comparisons.csv",
    "specification.toml",
    "manifest.json",
    "report.html",
}
FIGURES = {
    f"figures/{n}.{e}"
    for n in ("scenario-plane", "scenario-wheel", "forest", "scenario-bars", "tolerance-sweep", "delta-mcp")
    for e in ("svg", "png")
}


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def classified() -> xr.DataTree:
    return classify(delta_mcp(fakes.fake_result(kinds=("Gülle", "straw, chopped"), studies=4, draws=60)))


@pytest.fixture(scope="module")
def written(classified, tmp_path_factory) -> Path:
    return write_folder(classified, tmp_path_factory.mktemp("runs") / "out", command="mcpbayes run x.csv --out out")


def test_a_folder_holds_what_the_contract_names_and_nothing_else(written):
    assert files_in(written) == FILES | FIGURES
    assert [path.name for path in written.parent.iterdir()] == ["out"]


def test_every_figure_of_the_folder_is_one_of_the_gallery():
    assert set(words.FIGURE_NAMES.values()) <= set(gallery.__all__)


def test_tables_are_plain_csv_in_full_precision(written, classified):
    for name, table in tables(classified).items():
        raw = (written / name).read_bytes()
        assert b"\r" not in raw and not raw.startswith(b"\xef\xbb\xbf")
        again = pd.read_csv(written / name, dtype=str, keep_default_na=False)
        assert list(again.columns) == list(table.columns)
        for column in table.select_dtypes("number"):
            values = [float(cell) if cell else np.nan for cell in again[column]]
            np.testing.assert_array_equal(values, table[column].to_numpy(float))
    assert "kind=Gülle" in (written / "summary.csv").read_text(encoding="utf-8")


def test_the_specification_can_be_run_again(written, classified):
    text = (written / "specification.toml").read_text(encoding="utf-8")
    assert text == classified.attrs["specification"]
    assert load_model(written / "specification.toml") == from_toml(text)


def test_the_manifest_of_a_folder_says_how_and_what_was_found(written):
    made = json.loads((written / "manifest.json").read_text(encoding="utf-8"))
    assert made["command"] == "mcpbayes run x.csv --out out"
    assert made["diagnostics"]["divergences"] == 0
    assert made["diagnostics"]["r_hat"]["quantity"]


def test_the_saved_result_is_the_result(written, classified):
    xr.testing.assert_identical(load(written), classified)


def test_two_writes_differ_in_the_manifest_only(written, classified, tmp_path):
    again = write_folder(load(written), tmp_path / "again", command="mcpbayes run x.csv --out out")
    different = {name for name in files_in(written) if (written / name).read_bytes() != (again / name).read_bytes()}
    assert different <= {"manifest.json"}


def test_a_folder_that_is_not_empty_is_refused(classified, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match="is not empty"):
        write_folder(classified, tmp_path)
    assert files_in(tmp_path) == {"notes.txt"}


def test_a_file_in_the_place_of_the_folder_is_refused(classified, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FolderError, match="is a file"):
        write_folder(classified, tmp_path / "out", overwrite=True)


def test_a_place_that_cannot_be_written_is_named(tree, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="Nothing can be written to .*file"):
        save(tree, tmp_path / "file" / "deep" / "result.nc")


@pytest.mark.parametrize("place", ["file/out", "file/deep/out"])
def test_a_place_that_cannot_be_written_is_found_beforehand(place, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderError, match="Nothing can be written to .*file"):
        require_place(tmp_path / place)


def test_a_folder_without_permission_is_found_beforehand(tmp_path, monkeypatch):
    """The refusal is made up, since the administrator may write everywhere."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mcpbayes.output.folder.TemporaryDirectory", refuse)
    with pytest.raises(FolderError, match="Nothing can be written to .*: Permission denied"):
        require_place(tmp_path)


def test_asking_for_a_place_makes_and_leaves_nothing(tmp_path):
    require_place(tmp_path / "deep" / "out")
    require_place(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_written_from_within(classified, tmp_path, monkeypatch):
    """Its parent may be of another disk, or closed to us."""
    places = []
    made = tempfile.TemporaryDirectory

    def seen(*, prefix: str, dir: Path) -> object:
        places.append(dir)
        return made(prefix=prefix, dir=dir)

    monkeypatch.setattr("mcpbayes.output.folder.TemporaryDirectory", seen)
    write_folder(classified, tmp_path, report=False)
    assert tmp_path.parent not in places and tmp_path in places


def test_overwriting_replaces_our_files_only(written, classified, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(written, out)
    (out / "notes.txt").write_text("mine")
    (out / "figures" / "mine.svg").write_text("mine")
    (out / "summary.csv").write_text("old")
    write_folder(classified, out, overwrite=True, report=False)
    assert files_in(out) == (FILES - {"report.html"}) | {"notes.txt", "figures/mine.svg"}, "stale report and figures go"
    assert (out / "summary.csv").read_bytes() == (written / "summary.csv").read_bytes()
    assert (out / "notes.txt").read_text() == "mine"


def test_an_empty_folder_is_used(classified, tmp_path):
    write_folder(classified, tmp_path, report=False)
    assert files_in(tmp_path) == FILES - {"report.html"}


def test_an_interrupted_write_leaves_nothing(classified, tmp_path, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcpbayes.output.document.report.render", stop)
    with pytest.raises(KeyboardInterrupt):
        write_folder(classified, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_one_pool_alone_has_no_scenario_tables(tmp_path):
    result = delta_mcp(one_pool())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "scenarios.csv").write_text("of an earlier run")
    out = write_folder(result, tmp_path / "out", overwrite=True)
    assert files_in(out) == FILES - {"scenarios.csv", "shares.csv"} | {"figures/forest.svg", "figures/forest.png"}
