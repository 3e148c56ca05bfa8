import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import from_toml, load_model, to_toml, with_settings
from mcpbayes.specification.scheme import tolerance_problems


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tolerance_percent.soc": -1}, "scenarios.tolerance_percent.soc: expected a number of at least 0"),
        ({"tolerance_percent.toc": 1}, "scenarios.tolerance_percent.toc: unknown key; did you mean 'soc'"),
        ({"tolerance_points.delta_mcp": -1}, "scenarios.tolerance_points.delta_mcp: expected a number in"),
        ({"tolerance_points.soc": 1}, "scenarios.tolerance_points.soc: unknown key"),
        ({"tolerance_percent": 5}, "scenarios.tolerance_percent: expected a table .*scenarios.tolerance_percent.soc=5"),
        ({"decide_at": 0.5}, r"scenarios.decide_at: expected a number in \(0.5, 1\], found 0.5"),
        ({"labels": {"N+C+": "x"}}, "scenarios.labels: unknown scenario 'N[+]C[+]'; did you mean 'N[+]C"),
        ({"labels": {"N+C+r+": ""}}, "scenarios.labels.N[+]C[+]r[+]: expected text"),
        ({"merge": {"up": []}}, "scenarios.merge.up: expected a list of scenario codes"),
        ({"merge": {"up": "N+C+r+"}}, "scenarios.merge.up: expected a list of scenario codes"),
        ({"merge": {"up": ["N+C+r9"]}}, "unknown scenario 'N[+]C[+]r9'"),
        ({"merge": {"up": ["N+C+r+", "N+C+r+"]}}, "is listed twice"),
        ({"merge": {"up": ["N+C+r+"], "more": ["N+C+r+"]}}, "is listed in 'up' too"),
        ({"merge": {"0up": ["N+C+r+"]}}, "starts with a letter"),
        ({"merge": {"N+C+r0": ["N+C+r+"]}}, "already the code of a class"),
    ],
)
def test_schemes_that_cannot_be_used(changes, message):
    with pytest.raises(SpecificationError, match=message):
        load_model(settings={f"scenarios.{key}": value for key, value in changes.items()})


def test_every_tolerance_is_needed():
    text = to_toml(load_model())
    assert text.count("ratio = 5.0") == 1
    with pytest.raises(SpecificationError, match="scenarios.tolerance_percent.ratio: is missing"):
        from_toml(text.replace("ratio = 5.0", ""))


def test_percentage_points_can_be_given_and_taken_back():
    spec = load_model(settings=["scenarios.tolerance_points.delta_mcp=1.5"])
    assert spec.scenarios.tolerance_points == {"delta_mcp": 1.5}
    assert from_toml(to_toml(spec)) == spec
    back = with_settings(spec, ["scenarios.tolerance_points.delta_mcp=none"])
    assert back.scenarios.tolerance_points == {} and to_toml(back) == to_toml(load_model())


def test_labels_and_coarser_classes():
    merge = {"increase": ["N+C+r+", "N+C0r+"], "N+C+r0": ["N+C+r0", "N0C0r0"]}
    scheme = load_model(
        settings={"scenarios.merge": merge, "scenarios.labels": {"increase": "pump up", "N-C-r0": "decline"}}
    ).scenarios
    assert scheme.merge == {code: tuple(members) for code, members in merge.items()}
    assert scheme.labels == {"increase": "pump up", "N-C-r0": "decline"}


@pytest.mark.parametrize("usual", [0, 0.1, 3, 50])
def test_usual_tolerances_are_taken_without_a_word(usual):
    assert list(tolerance_problems(load_model(settings={"scenarios.tolerance_percent.soc": usual}).scenarios)) == []


@pytest.mark.parametrize(
    ("odd", "remedy"),
    [(300, "such as --set scenarios.tolerance_percent.soc=5"), (0.03, "--set scenarios.tolerance_percent.soc=3")],
)
def test_a_tolerance_that_is_a_fraction_or_leaves_no_change_is_told(odd, remedy):
    (problem,) = tolerance_problems(load_model(settings={"scenarios.tolerance_percent.soc": odd}).scenarios)
    assert (problem.check, problem.severity, problem.value) == ("unusual-tolerance", "warning", f"{odd:g}")
    assert problem.remedy is not None and problem.remedy.endswith(remedy)
