import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import from_toml, load_model, to_toml, with_settings

TEXT = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=8).filter(lambda s: bool(s.strip()))
POSITIVE = st.floats(1e-6, 1e6)
SHAPE = st.floats(0.1, 1e4)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXT,
        "data.outcomes": st.permutations(["necromass", "soc"]),
        "data.sheet": TEXT,
        "data.columns": st.dictionaries(TEXT, TEXT, max_size=3),
        "data.kinds": st.dictionaries(TEXT, TEXT, max_size=3),
        "data.defaults.n": st.floats(2, 100),
        "data.defaults.cv": st.one_of(POSITIVE, st.fixed_dictionaries({"necromass": POSITIVE, "soc": POSITIVE})),
        "moderators.formula": st.sampled_from(["~ 1", "clay + `odd (%)` + clay:`odd (%)`"]),
        "levels.site": st.sampled_from(["auto", "on", "off"]),
        "priors.tau_study": st.one_of(
            st.fixed_dictionaries({"distribution": st.just("fixed"), "value": st.floats(0, 5)}),
            st.fixed_dictionaries({"distribution": st.just("lognormal"), "median": POSITIVE, "sd_log": POSITIVE}),
            st.fixed_dictionaries({"sd": st.fixed_dictionaries({"necromass": POSITIVE, "soc": POSITIVE})}),
        ),
        "priors.rho_study": st.fixed_dictionaries({"distribution": st.just("beta"), "a": SHAPE, "b": SHAPE}),
        "priors.intercept.why": TEXT,
        "delta_mcp.reference": st.one_of(st.just("observed"), st.floats(0.01, 0.99)),
        "scenarios.merge": st.sampled_from([{}, {"up": ["N+C+r+", "N+C0r+"], "steady": ["N0C0r0"]}]),
        "scenarios.labels": st.dictionaries(st.sampled_from(["N+C+r0", "N0C0r0"]), TEXT),
        "sampling.draws": st.integers(1, 10**9),
        "summary.interval_prob": st.floats(0.01, 0.99),
    },
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(CHANGES)
def test_every_specification_survives_its_text(changes):
    spec = load_model(settings=changes)
    assert from_toml(to_toml(spec)) == spec
    assert to_toml(from_toml(to_toml(spec))) == to_toml(spec)


@pytest.mark.parametrize("name", ["arm-based", "contrast-based"])
def test_shipped_models_survive_text_pickle_and_copy(name):
    spec = load_model(name, moderators="~ clay")
    assert from_toml(to_toml(spec)) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec == copy.deepcopy(spec)


def test_the_standard_model():
    spec = load_model()
    assert (spec.name, spec.family, spec.data.layout) == ("arm-based", "arm-based", "comparison")
    assert spec.data.outcomes == ("necromass", "soc")
    assert spec.data.defaults.cv == {"necromass": 0.20, "soc": 0.15}
    assert (spec.data.defaults.n, spec.data.defaults.rho_within) == (3, 0.5)
    assert spec.priors["intercept"].parameters == {"mean": 0.0, "sd": 0.5, "correlation": 0.7}
    assert spec.priors["slope"].parameters == {"mean": 0.0, "sd": 0.25, "correlation": 0.7}
    for level in ("study", "site", "kind", "comparison"):
        assert spec.priors[f"tau_{level}"].parameters == {"sd": 0.3}
        assert spec.priors[f"rho_{level}"].parameters == {"eta": 2.0}
    assert spec.reference is None
    assert spec.scenarios.tolerance_percent == {"necromass": 5.0, "soc": 5.0, "ratio": 5.0}


def test_the_contrast_model_differs_where_it_must():
    arms, contrasts = load_model("arm-based"), load_model("contrast-based")
    assert (contrasts.family, contrasts.data.layout) == ("contrast-based", "contrast")
    of_arms = ("baseline", "cv", "tau_cv", "omega_cv")
    assert {key: prior for key, prior in arms.priors.items() if key not in of_arms} == contrasts.priors
    assert contrasts.levels == arms.levels and contrasts.sampling == arms.sampling


def test_a_formula_is_short_for_a_setting_and_settings_come_last():
    assert load_model(moderators="~ clay") == load_model(settings=["moderators.formula=~ clay"])
    assert load_model(moderators="~ clay", settings=["moderators.formula=~ 1"]).moderators.formula == "~ 1"


def test_a_setting_replaces_a_prior():
    spec = load_model(settings=["priors.tau_comparison.distribution=fixed", "priors.tau_comparison.value=0.1"])
    prior = spec.priors["tau_comparison"]
    assert (prior.distribution, prior.parameters, prior.why) == ("fixed", {"value": 0.1}, None)
    # validated once, after the last: the other order is the same
    assert spec == load_model(settings=["priors.tau_comparison.value=0.1", "priors.tau_comparison.distribution=fixed"])


def test_a_reason_can_be_set_before_or_after_the_number():
    for order in (1, -1):
        spec = load_model(settings=["priors.tau_study.why=pilot data", "priors.tau_study.sd=0.5"][::order])
        assert spec.priors["tau_study"].why == "pilot data"


def test_a_single_slope_says_only_what_differs():
    spec = load_model(moderators="~ clay", settings=["priors.slope.clay.sd=0.1"])
    assert spec.priors["slope.clay"].parameters == {"mean": 0.0, "sd": 0.1, "correlation": 0.7}
    assert spec.priors["slope.clay"].why is None
    assert from_toml(to_toml(spec)) == spec


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def test_a_file_beside_a_notebook(tmp_path):
    file = write(
        tmp_path / "pairs.toml",
        'extends = "arm-based"\n[data.columns]\nsoc_control = "SOC_CK"\n[data.kinds]\n"N P.K" = "mineral"\n',
    )
    spec = load_model(str(file))
    assert spec == load_model(file)
    assert spec.data.columns == {"soc_control": "SOC_CK"}
    assert spec.data.kinds == {"N P.K": "mineral"}
    assert spec.priors == load_model().priors


def test_a_path_in_extends_is_relative_to_its_file(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    write(tmp_path / "base.toml", 'extends = "arm-based"\ntitle = "base"\n[priors.tau_study]\nsd = 0.6\nwhy = "base"\n')
    write(tmp_path / "sub" / "middle.toml", 'extends = "../base.toml"\n[priors.rho_study]\neta = 4\n')
    write(tmp_path / "top.toml", 'extends = "sub/middle.toml"\n[priors.tau_study]\ndistribution = "fixed"\nvalue = 0\n')
    monkeypatch.chdir(tmp_path / "sub")
    middle, top = load_model("middle.toml"), load_model("../top.toml")
    assert (middle.title, middle.priors["tau_study"].why, middle.priors["rho_study"].why) == ("base", "base", None)
    assert top.priors["rho_study"].parameters == {"eta": 4.0}
    assert (top.priors["tau_study"].parameters, top.priors["tau_study"].why) == ({"value": 0.0}, None)


def test_a_circle_is_an_error(tmp_path):
    write(tmp_path / "a.toml", 'extends = "b.toml"')
    write(tmp_path / "b.toml", 'extends = "./a.toml"')
    with pytest.raises(SpecificationError, match="circle: a.toml → b.toml → a.toml"):
        load_model(tmp_path / "a.toml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("schema = \nname = 1", "model.toml is not valid TOML.*line 1"),
        ('extends = "arm-bsed"', "unknown model 'arm-bsed'; did you mean 'arm-based'"),
        ('extends = "other.toml"', "there is no file .*other.toml"),
        ("extends = 1", "extends: expected text"),
        ('extends = "arm-based"\nschema = 2', "schema: this file has format 2.*reads up to 1"),
        ('name = "x"', "schema: is missing"),
        ('extends = "arm-based"\n[smpling]\ndraws = 3', "smpling: unknown key; did you mean 'sampling'"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, content, message):
    with pytest.raises(SpecificationError, match=message):
        load_model(write(tmp_path / "model.toml", content))


def test_a_newer_format_is_refused_before_its_keys_are_judged(tmp_path):
    write(tmp_path / "newer.toml", 'schema = 2\nextends = "arm-based"\nunheard_of = 1')
    with pytest.raises(SpecificationError, match="install a newer one"):
        load_model(write(tmp_path / "model.toml", 'schema = 1\nextends = "newer.toml"'))


def test_files_from_other_editors(tmp_path):
    (tmp_path / "bom.toml").write_bytes('extends = "arm-based"\r\ntitle = "é"\r\n'.encode("utf-8-sig"))
    assert load_model(tmp_path / "bom.toml").title == "é"
    (tmp_path / "latin.toml").write_bytes('title = "é"'.encode("cp1252"))
    with pytest.raises(SpecificationError, match="latin.toml is not UTF-8 text"):
        load_model(tmp_path / "latin.toml")


def test_missing_files_and_unknown_names():
    with pytest.raises(SpecificationError, match="there is no file nowhere.toml"):
        load_model("nowhere.toml")
    with pytest.raises(SpecificationError, match="unknown model 'nowhere'"):
        load_model("nowhere")


def test_a_text_has_no_folder():
    with pytest.raises(SpecificationError, match="not in one"):
        from_toml('extends = "base.toml"')
    assert from_toml('extends = "arm-based"') == load_model()


def test_settings_of_a_saved_result():
    only = {"delta_mcp", "scenarios", "summary"}
    spec = load_model()
    changed = with_settings(spec, ["scenarios.tolerance_percent.soc=3", "delta_mcp.reference=0.4"], only=only)
    assert changed.scenarios.tolerance_percent == {"necromass": 5.0, "soc": 3.0, "ratio": 5.0}
    assert changed.reference == 0.4
    with pytest.raises(SpecificationError, match="priors: .*refit"):
        with_settings(spec, ["summary.interval_prob=0.9", "priors.tau_study.sd=1"], only=only)
    with pytest.raises(SpecificationError, match="did you mean 'summary'"):
        with_settings(spec, ["sumary.interval_prob=0.9"], only=only)
    assert with_settings(spec, {}) == spec
    assert with_settings(spec, ["priors.tau_study.sd=1"]).priors["tau_study"].why is None
