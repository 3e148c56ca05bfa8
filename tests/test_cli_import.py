"""The command mcpbayes import: what it writes and prints."""

import pandas as pd

from mcpbayes.cli import main


def written(tmp_path):
    path = tmp_path / "escalc.csv"
    path.write_text("study,obs,yi_MNC,vi_MNC,yi_SOC,vi_SOC\nA,1,0.1,0.01,0.2,0.02\nB,1,NA,NA,NA,NA\n", encoding="utf-8")
    return path


def test_table_and_ledger_are_written_and_the_way_on_is_shown(tmp_path, capsys):
    out = tmp_path / "T.csv"
    assert main(["import", "escalc", str(written(tmp_path)), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "1 comparisons of 1 studies" in said and "1 not used: yi is missing (NA)" in said
    assert f"mcpbayes check {out} --model contrast-based" in said
    assert len(pd.read_csv(out)) == 1 and len(pd.read_csv(tmp_path / "T.rows.csv")) == 2


def test_files_are_not_replaced_unless_asked_for(tmp_path, capsys):
    out = tmp_path / "T.csv"
    command = ["import", "escalc", str(written(tmp_path)), "--out", str(out)]
    assert main(command) == 0
    assert main(command) == 2 and "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0
    assert main([*command[:-1], str(tmp_path / "T.xlsx")]) == 2


def test_a_file_without_comparisons_is_an_error_with_its_ledger(tmp_path, capsys):
    path = tmp_path / "escalc.csv"
    path.write_text("study,yi,vi\nA,NA,NA\n", encoding="utf-8")
    assert main(["import", "escalc", str(path), "--out", str(tmp_path / "T.csv")]) == 2
    assert "no comparison was found" in capsys.readouterr().err
    assert (tmp_path / "T.rows.csv").is_file() and not (tmp_path / "T.csv").exists()


def test_outcomes_are_pairs_of_names(tmp_path, capsys):
    command = ["import", "escalc", str(written(tmp_path)), "--out", str(tmp_path / "T.csv")]
    assert main([*command, "--outcomes", "MNC"]) == 2
    assert "NAME=OUTCOME" in capsys.readouterr().err
    assert main([*command, "--outcomes", "MNC=fungi, SOC=soc"]) == 0
    assert "yi_fungi" in pd.read_csv(tmp_path / "T.csv")


def test_labels_can_be_taken_along(tmp_path, capsys):
    labels = tmp_path / "mine.toml"
    assert main(["import", "sndb", "--write-labels", str(labels)]) == 0
    assert "[controls]" in labels.read_text(encoding="utf-8")
    assert main(["import", "sndb", "--write-labels", str(labels)]) == 2
    assert main(["import", "sndb"]) == 2
    assert "needs FILE and --out" in capsys.readouterr().err


def test_three_commands_from_the_database_to_a_report(shared_data, tmp_path, capsys, blank):
    table, out = tmp_path / "pairs.csv", tmp_path / "results"
    assert main(["import", "sndb", str(shared_data / "sndb_database_data.csv"), "--out", str(table)]) == 0
    assert main(["check", str(table)]) == 0
    # all kinds of treatment make dozens of panels: minutes, which a test does not need
    code = main(["run", str(table), "--out", str(out), "--set", "levels.kind=off", "--set", "sampling.worlds=2"])
    assert code == 0, capsys.readouterr().err
    assert (out / "report.html").is_file()
