"""Exit codes and messages of the command line; what needs sampling is in test_end_to_end.py."""

import json
import subprocess
import sys

import pandas as pd
import pytest
from fakes import fake_result

import mcpbayes as mb
from mcpbayes.cli import main

pytestmark = pytest.mark.usefixtures("blank")


@pytest.fixture
def table(tmp_path):
    frame, _ = mb.simulate(studies=4, seed=1)
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"mcpbayes {mb.__version__}"
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in ("demo", "template", "models", "simulate", "check", "run", "forecast", "report"):
        assert command in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "No such command"),
        (["run"], "TABLE"),
        (["run", "{table}", "--out", "{out}", "--seed", "-1"], "seed"),
        (["run", "{table}", "--out", "{out}", "--engine", "stan"], "sampling.engine"),
        (["run", "{table}", "--out", "{out}", "--set", "scenarios.tolerence_percent.soc=3"], "tolerance_percent"),
        (["run", "{table}", "--out", "{out}", "--at", "duration_years"], "MODERATOR=VALUE"),
        (["run", "{table}", "--out", "{table}"], "is a file"),
        (["run", "missing.csv", "--out", "{out}"], "missing.csv"),
        (["run", "{table}", "--out", "{out}", "--model", "arm-bsed"], "arm-based"),
        (["models", "arm"], "arm-based"),
        (["report", "{out}"], "result.nc"),
        (["simulate", "--out", "{out}", "--effect", "0.3"], "two numbers"),
        (["simulate", "--out", "{out}", "--kinds", ""], "--kinds: expected at least one kind"),
        (["simulate", "--out", "{out}/x.csv"], "non-existent directory"),
        (["template", "--out", "{table}/x.csv"], "table.csv: "),
        (["run", "{table}", "--out", "{table}/out"], "Nothing can be written to"),
        (["report", "{table}"], "No saved result at"),
    ],
)
def test_usage_errors_exit_2_with_one_message(arguments, message, table, tmp_path, capsys):
    filled = [a.format(table=table, out=tmp_path / "out") for a in arguments]
    assert main(filled) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert not (tmp_path / "out").exists()


def test_a_folder_with_contents_is_refused_before_any_work(table, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    assert main(["run", str(table), "--out", str(tmp_path / "out")]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_without_arguments_the_help_is_shown(capsys):
    assert main([]) == 0
    captured = capsys.readouterr()
    assert "simulate" in captured.out and not captured.err


def _no_fit(*_: object, **__: object) -> None:
    raise AssertionError("the fit began")


@pytest.mark.parametrize(
    ("at", "message"), [("clay=20", "unknown moderator 'clay'"), ("kind=slag", "unknown kind 'slag'")]
)
def test_points_that_do_not_exist_are_found_before_the_fit(at, message, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mcpbayes.analysis.fit", _no_fit)
    path = tmp_path / "kinds.csv"
    mb.simulate(studies=6, seed=1, kinds=("manure", "straw"))[0].to_csv(path, index=False)
    assert main(["run", str(path), "--out", str(tmp_path / "out"), "--at", at]) == 2
    assert message in capsys.readouterr().err
    assert main(["run", str(path), "--out", str(tmp_path / "out"), "--at", "kind=straw"]) == 1
    assert "the fit began" in capsys.readouterr().err


def test_what_the_system_refuses_is_one_message_with_the_file(table, monkeypatch, capsys):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(table))

    monkeypatch.setattr("mcpbayes.tables.reading.read_file", refuse)
    assert main(["check", str(table)]) == 2
    assert capsys.readouterr().err == f"mcpbayes: {table}: Permission denied\n"


def test_a_bug_is_exit_1_with_traceback_and_please_report(monkeypatch, capsys):
    def broken() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr("mcpbayes.specification.catalogue.list_models", broken)
    assert main(["models"]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error and "boom" in error and "please report" in error


def test_interruption_is_exit_130(monkeypatch, capsys):
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mcpbayes.specification.catalogue.list_models", interrupted)
    assert main(["models"]) == 130
    assert "interrupted; a folder without manifest.json is incomplete" in capsys.readouterr().err


@pytest.fixture
def faked(monkeypatch):
    """Runs whose draws are made up."""
    monkeypatch.setattr("mcpbayes.analysis.fit", lambda arms, model, *, seed, report: fake_result())


def test_every_report_stays_on_record_with_the_model_file(faked, table, tmp_path, monkeypatch):
    # What is faked cannot be refitted.
    monkeypatch.setattr("mcpbayes.evidence.assumptions.with_assumptions", lambda result: result)
    (tmp_path / "mine.toml").write_text('extends = "arm-based"\n')
    out = str(tmp_path / "out")
    main(["run", str(table), "--out", out, "--model", str(tmp_path / "mine.toml"), "--no-report"])
    before = json.loads((tmp_path / "out/manifest.json").read_text())
    assert [entry["file"] for entry in before["inputs"]][-1] == "mine.toml"
    main(["report", out, "--set", "summary.interval_prob=0.9"])
    main(["report", f"{out}/result.nc", "--set", "summary.interval_prob=0.8"])
    after = json.loads((tmp_path / "out/manifest.json").read_text())
    calls = after["command"].split(" ; ")
    assert [call.split()[1] for call in calls] == ["run", "report", "report"]
    assert [call[-3:] for call in calls[1:]] == ["0.9", "0.8"]
    assert mb.load(out).attrs["command"] == after["command"]
    assert after["inputs"] == before["inputs"]
    other = tmp_path / "other"
    assert main(["report", out, "--set", "summary.interval_prob=0.5", "--out", str(other)]) in (0, 3)
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == after
    assert json.loads((other / "manifest.json").read_text())["command"].endswith(f"--out {other}")
    assert main(["report", out, "--out", str(other)]) == 2  # it is not empty any more


def test_one_study_with_influence_is_refused_before_the_fit(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("mcpbayes.analysis.fit", _no_fit)
    mb.simulate(studies=1, seed=1)[0].to_csv(tmp_path / "one.csv", index=False)
    assert main(["run", str(tmp_path / "one.csv"), "--out", str(tmp_path / "out"), "--influence"]) == 2
    assert "There is one study only" in capsys.readouterr().err


def test_a_run_works_its_summary_out_once_for_all_that_it_writes(faked, table, tmp_path, monkeypatch):
    from mcpbayes.output import conclusion, summary

    calls = []
    # What is faked cannot be refitted.
    monkeypatch.setattr("mcpbayes.evidence.assumptions.with_assumptions", lambda result: result)
    monkeypatch.setattr("mcpbayes.output.document.context.summarise", None)
    # In the walk that counts the classes, and nowhere else.
    summary_of = conclusion.summary_of
    monkeypatch.setattr(conclusion, "summary_of", lambda *given: calls.append(1) or summary_of(*given))
    monkeypatch.setattr(summary, "summarise", None)
    assert main(["run", str(table), "--out", str(tmp_path / "out")]) in (0, 3)
    assert len(calls) == 1 and (tmp_path / "out/report.html").exists()


def test_studies_are_left_out_in_a_run_or_later(faked, table, tmp_path, monkeypatch, capsys):
    from influence_fakes import with_influence

    calls = []

    def leave_out(result, *, report):
        calls.append(1)
        report("leaving out")
        return with_influence(result)

    # What is faked cannot be refitted.
    monkeypatch.setattr("mcpbayes.evidence.influence.leave_one_study_out", leave_out)
    monkeypatch.setattr("mcpbayes.evidence.assumptions.with_assumptions", lambda result: result)
    with_it, later = tmp_path / "with", tmp_path / "later"
    assert main(["run", str(table), "--out", str(with_it), "--influence", "--no-report"]) in (0, 3)
    assert (with_it / "influence.csv").exists()
    assert "Does one study decide? What the headline names changes without" in capsys.readouterr().out
    assert main(["run", str(table), "--out", str(later), "--no-report"]) in (0, 3)
    assert not (later / "influence.csv").exists()
    assert main(["report", str(later), "--influence"]) in (0, 3)
    assert (later / "influence.csv").exists()
    assert (later / "figures/influence.svg").exists()
    assert "Does one study decide?" in (later / "report.html").read_text(encoding="utf-8")
    assert "influence" in mb.load(later).children
    assert len(calls) == 2
    assert main(["report", str(later), "--influence"]) in (0, 3)
    assert len(calls) == 2  # it is there already


def test_failed_diagnostics_are_exit_3_and_everything_is_saved(monkeypatch, table, tmp_path, capsys):
    """The fit is faked with one divergence."""

    def fit(arms, model, *, seed, report):
        result = fake_result()
        result["sample_stats"]["diverging"][0, 0] = True
        return result

    monkeypatch.setattr("mcpbayes.analysis.fit", fit)
    assert main(["run", str(table), "--out", str(tmp_path / "out"), "--no-report"]) == 3
    captured = capsys.readouterr()
    assert "divergen" in captured.out and "diagnostics failed" in captured.err
    assert "nothing can be claimed" in captured.out
    saved = mb.load(tmp_path / "out/result.nc")
    assert saved.attrs["status"] == "failed"
    assert json.loads((tmp_path / "out/manifest.json").read_text())["status"] == "failed"


def test_check_reports_json_and_strictness(table, tmp_path, capsys):
    assert main(["check", str(table)]) == 0
    assert "0 errors" in capsys.readouterr().out
    frame = pd.read_csv(table)
    bare = frame.drop(columns=[name for name in frame if name.endswith("_sd")])
    bare.to_csv(tmp_path / "bare.csv", index=False)
    assert main(["check", str(tmp_path / "bare.csv")]) == 0
    capsys.readouterr()
    assert main(["check", str(tmp_path / "bare.csv"), "--strict", "--json"]) == 2
    assert "no-sd" in {problem["check"] for problem in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("name", "content", "check"),
    [("missing.csv", None, "file-not-found"), ("empty.csv", "", "empty-table"), ("x.pdf", "x", "file-kind")],
)
def test_check_reports_what_cannot_be_read_like_any_other_problem(name, content, check, tmp_path, capsys):
    if content is not None:
        (tmp_path / name).write_text(content)
    assert main(["check", str(tmp_path / name)]) == 2
    out = capsys.readouterr().out
    assert f"ERROR   {check}: " in out and out.endswith("1 error, 0 warnings, 0 notes\n")
    assert main(["check", str(tmp_path / name), "--json"]) == 2
    assert [problem["check"] for problem in json.loads(capsys.readouterr().out)] == [check]


def test_cells_that_cannot_be_read_are_problems_of_the_check_and_no_warnings(table, tmp_path, capsys, recwarn):
    frame = pd.read_csv(table, dtype=str)
    frame.loc[0, "soc_control"] = frame.loc[0, "soc_control"].replace(".", ",")
    frame.to_csv(tmp_path / "comma.csv", index=False)
    assert main(["check", str(tmp_path / "comma.csv"), "--json"]) == 2
    errors = [problem for problem in json.loads(capsys.readouterr().out) if problem["severity"] == "error"]
    assert [(problem["column"], problem["rows"]) for problem in errors] == [("soc_control", [2])]
    assert not recwarn.list


def test_check_ends_with_what_a_run_would_assume(table, capsys):
    assert main(["check", str(table)]) == 0
    *_, size, rule, imputed = capsys.readouterr().out.splitlines()
    assert size.startswith("4 studies, ") and "controls of" in rule and imputed.startswith("Imputed: ")
    assert main(["check", str(table), "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("distribution='beta', a=6.0, b=2.0", "ϱ = −0.157 to 0.927, 20 fits"),
        ("distribution='fixed', value=0.2", "ϱ = 0.2"),
    ],
)
def test_check_says_which_correlation_a_run_would_use(prior, said, table, tmp_path, capsys):
    setting = ["--set", f"priors.rho_within={{ {prior}, why='test' }}"]
    assert main(["check", str(table), *setting]) == 0
    imputed = capsys.readouterr().out.splitlines()[-1]
    assert f"({said})" in imputed
    quick = ["--set", "sampling.draws=100", "--engine", "collapsed", "--no-report"]
    assert main(["run", str(table), "--out", str(tmp_path / "out"), *setting, *quick]) in (0, 3)
    assert imputed in capsys.readouterr().out.splitlines()


def test_check_reads_the_moderators(table, capsys):
    assert main(["check", str(table), "--moderators", "~ clay"]) == 2
    out = capsys.readouterr().out
    assert "moderator-absent" in out and "Imputed" not in out


def test_check_ends_with_guesses_for_foreign_columns(table, tmp_path, capsys):
    renamed = pd.read_csv(table).rename(columns={"soc_control": "SOC_CK", "soc_treatment": "SOC_T"})
    renamed.to_csv(tmp_path / "foreign.csv", index=False)
    assert main(["check", str(tmp_path / "foreign.csv")]) == 2
    assert "[data.columns]" in capsys.readouterr().out
    model = tmp_path / "mine.toml"
    assert main(["check", str(tmp_path / "foreign.csv"), "--write-model", str(model)]) == 2
    assert main(["check", str(tmp_path / "foreign.csv"), "--model", str(model)]) == 0
    assert main(["check", str(tmp_path / "foreign.csv"), "--write-model", str(model)]) == 2
    assert "exists already" in capsys.readouterr().err


def test_check_says_that_there_is_nothing_to_write(table, tmp_path, capsys):
    model = tmp_path / "mine.toml"
    assert main(["check", str(table), "--write-model", str(model)]) == 0
    assert "no foreign column names recognised: nothing to write" in capsys.readouterr().out
    assert not model.exists()


def test_simulate_writes_table_and_truth_once(tmp_path, capsys):
    arguments = ["simulate", "--out", str(tmp_path / "s.csv"), "--studies", "3", "--seed", "2", "--kinds", "a, b"]
    assert main(arguments) == 0
    truth = json.loads((tmp_path / "s.truth.json").read_text())
    assert truth["kinds"] == ["a", "b"] and len(truth["rows"]) == len(pd.read_csv(tmp_path / "s.csv"))
    assert main(arguments) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("comparison", []),
        ("arm", ["--set", "data.layout=arm"]),
        ("contrast", ["--model", "contrast-based"]),
    ],
)
def test_templates_pass_their_own_check(layout, options, tmp_path, capsys):
    path = tmp_path / f"{layout}.xlsx"
    assert main(["template", "--layout", layout, "--out", str(path)]) == 0
    assert main(["check", str(path), *options]) == 0, capsys.readouterr().out


def test_models_lists_and_shows_cards(capsys):
    assert main(["models"]) == 0
    assert "contrast-based" in capsys.readouterr().out
    assert main(["models", "arm-based"]) == 0
    assert "When not to use" in capsys.readouterr().out


def test_the_example_table_is_what_its_command_makes(tmp_path):
    """The command stands in CONTRIBUTING.md."""
    from mcpbayes.tables.example import example_path

    arguments = "--studies 18 --seed 2688 --effect 0.18,0.16 --tau-study 0.10,0.08 --tau-comparison 0.08,0.06"
    more = ["--tau-kind", "0.18,0.08", "--missing-sd", "0.15", "--kinds", "manure,straw return,biochar"]
    assert main(["simulate", "--out", str(tmp_path / "example.csv"), *arguments.split(), *more]) == 0
    assert (tmp_path / "example.csv").read_bytes() == example_path().read_bytes()


def test_a_run_without_report_loads_no_figures_and_no_compiler(tmp_path):
    """Cold runs stay short: Matplotlib, Jinja, PyMC and numba are for those who need them."""
    program = (
        "import sys\n"
        "import mcpbayes as mb\n"
        "from mcpbayes.cli import main\n"
        f"mb.simulate(studies=5, seed=1)[0].to_csv({str(tmp_path / 't.csv')!r}, index=False)\n"
        f"code = main(['run', {str(tmp_path / 't.csv')!r}, '--out', {str(tmp_path / 'out')!r}, '--no-report'])\n"
        "names = ('matplotlib', 'jinja2', 'pymc', 'pytensor', 'numba', 'scipy.stats')\n"
        "print(code, [name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "0 []"
