import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import load_model


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("sampling.chain=2", "sampling.chain: unknown key; did you mean 'chains'"),
        ("chains=2", "chains: unknown key; did you mean 'sampling.chains'"),
        ("sampling=2", "sampling: expected a table, found 2"),
        ("sampling.chains=0", "sampling.chains: expected a whole number of at least 1, found 0"),
        ("sampling.draws=1.5", "sampling.draws: expected a whole number"),
        ("sampling.tune=true", "sampling.tune: expected a whole number"),
        ("sampling.engine=stan", "sampling.engine: expected one of 'auto', 'collapsed', 'nuts', found 'stan'"),
        ("sampling.target_accept=1", r"sampling.target_accept: expected a number in \(0, 1\), found 1"),
        ("summary.interval_kind=89", "summary.interval_kind: expected one of 'eti', 'hdi'"),
        ("summary.interval_prob=95", r"summary.interval_prob: expected a number in \(0, 1\), found 95"),
        ("family=armbased", "family: expected one of 'arm-based', 'contrast-based', 'two-pool'"),
        ("family=two-pool", "priors.tau_kind: the two-pool family has no such parameter"),
        ("name=''", "name: expected text that is not blank"),
        ("schema=0", "schema: expected a whole number"),
        ("data.layout=wide", "data.layout: expected one of"),
        ("data.layout=contrast", "data.layout: expected 'comparison', 'arm' or 'plot'"),
        ("data.outcomes=[]", "data.outcomes: expected a list of at least one outcome"),
        ("data.outcomes=['soc', 'soc']", "data.outcomes: expected outcomes that differ"),
        ("data.outcomes=['soc', 'mbc']", "data.outcomes: expected 'necromass', 'soc' or both"),
        ("data.outcomes=['a,b']", "data.outcomes: expected names of letters"),
        ("data.units.soc=1", "data.units.soc: expected text"),
        ("data.columns.n=5", "data.columns.n: expected text .*quotes"),
        ("data.column.n=N", "data.column: unknown key; did you mean 'columns'"),
        ("data.defaults.n=1", "data.defaults.n: expected a number of at least 2, found 1"),
        ("data.defaults.n={soc = 3}", "data.defaults.n: expected a number"),
        ("data.defaults.cv=0", "data.defaults.cv: expected a number above 0"),
        ("data.defaults.cv.soc=-1", "data.defaults.cv.soc: expected a number above 0"),
        ("data.defaults.cv.sco=1", "data.defaults.cv.sco: unknown outcome 'sco'; did you mean 'soc'"),
        ("data.defaults.cv=nan", "data.defaults.cv: expected a number above 0"),
        ("data.defaults.rho_within=1.5", r"data.defaults.rho_within: expected a number in \(-1, 1\)"),
        ("data.dispersion.sd_model=pool", "data.dispersion.sd_model: expected one of 'reported', 'pooled'"),
        ("priors.cv.distribution=half_normal", "priors.cv.distribution: expected one of 'lognormal'"),
        ("priors.cv.median.necromas=1", "priors.cv.median: .*necromas|unknown outcome 'necromas'"),
        ("priors.tau_cv.sd=0.5", r"priors.tau_cv.sd: expected a number in \(0, 0.5\)"),
        ("priors.tau_cv.sd={soc = 0.1, necromass = 0.1}", "priors.tau_cv.sd: expected a number"),
        ("priors.omega_cv.sd=0.7", r"priors.omega_cv.sd: expected a number in \(0, 0.5\)"),
        ("priors.tau_cv.distribution=lognormal", "priors.tau_cv.distribution: expected one of 'half_normal', 'fixed'"),
        ("data.effect_size.bias_correction=1", "data.effect_size.bias_correction: expected true or false"),
        ("moderators.missing=ignore", "moderators.missing: expected one of 'error', 'drop'"),
        ("moderators.formula=~ a * b", "moderators.formula: the formula"),
        ("moderators.formula=~ soc", "mathematical coupling"),
        ("levels.site=true", "levels.site: expected one of 'auto', 'on', 'off', found True"),
        ("levels.sites=on", "levels.sites: unknown key; did you mean 'site'"),
        ("delta_mcp.reference=1", r"delta_mcp.reference: expected a number in \(0, 1\), found 1"),
        ("delta_mcp.reference=mean", "delta_mcp.reference: expected 'observed' or a number"),
        ("priors.tau_stduy.sd=1", "priors.tau_stduy: unknown prior; did you mean 'tau_study'"),
        ("priors.tau_study.sd=0", "priors.tau_study.sd: expected a number above 0"),
        ("priors.tau_study.scale=1", "priors.tau_study.scale: unknown key of a half_normal prior"),
        ("priors.tau_study.sd={soc = 1}", "priors.tau_study.sd: a number for necromass is missing"),
        ("priors.tau_study.why=1", "priors.tau_study.why: expected text"),
        ("priors.tau_study.distribution=half_student_t", "priors.tau_study: a half_student_t prior needs df and scale"),
        ("priors.tau_study.distribution=half_cauchy", "unknown distribution 'half_cauchy'"),
        ("priors.tau_study.distribution=lkj", "priors.tau_study.distribution: expected one of 'half_normal'"),
        ("priors.rho_study.distribution=normal", "priors.rho_study.distribution: expected one of 'lkj'"),
        ("priors.rho_study.eta={soc = 1, necromass = 1}", r"priors.rho_study.eta: expected a number in \[0.1, 10000\]"),
        ("priors.intercept.correlation=1", r"priors.intercept.correlation: expected a number in \(-1, 1\)"),
        ("priors.baseline.distribution=normal", "'normal' is not available in this version: baselines are 'flat'"),
        ("priors.slope.clay.sd=1", "priors.slope.clay: unknown moderator 'clay'"),
    ],
)
def test_every_refusal_names_key_value_and_expectation(setting, message):
    with pytest.raises(SpecificationError, match=message) as refused:
        load_model(settings=[setting])
    assert refused.value.key is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["priors.tau_study.distribution=fixed", "priors.tau_study.value=-1"], "of at least 0"),
        (["priors.rho_study.distribution=fixed", "priors.rho_study.value=2"], r"in \[-1, 1\]"),
        (["priors.omega_cv.distribution=fixed", "priors.omega_cv.value=0"], "above 0"),
        (["priors.tau_cv.distribution=fixed", "priors.tau_cv.value=-0.1"], "of at least 0"),
        (["data.columns.soc_control=C0", "moderators.formula=~ C0"], "mathematical coupling"),
        (["data.columns.soc_control=C0", "data.columns.x=C0", "moderators.formula=~ x"], "mathematical coupling"),
    ],
)
def test_refusals_of_several_settings(settings, message):
    with pytest.raises(SpecificationError, match=message):
        load_model(settings=settings)


@pytest.mark.parametrize(
    ("settings", "prior", "parameters"),
    [
        ({"priors.tau_study.sd": {"soc": 1, "necromass": 2}}, "tau_study", {"sd": {"necromass": 2.0, "soc": 1.0}}),
        ({"priors.tau_study": {"distribution": "fixed", "value": 0}}, "tau_study", {"value": 0.0}),
        ({"priors.rho_study": {"distribution": "fixed", "value": -1}}, "rho_study", {"value": -1.0}),
        ({"priors.rho_study": {"distribution": "beta", "a": 4, "b": 2}}, "rho_study", {"a": 4.0, "b": 2.0}),
        ({"priors.intercept.distribution": "flat"}, "intercept", {}),
        ({"priors.intercept": {"distribution": "fixed", "value": -0.1}}, "intercept", {"value": -0.1}),
        (
            {"priors.tau_site": {"distribution": "half_student_t", "df": 3, "scale": 0.2}},
            "tau_site",
            {"df": 3.0, "scale": 0.2},
        ),
        (
            {"priors.tau_kind": {"distribution": "lognormal", "median": 0.1, "sd_log": 1}},
            "tau_kind",
            {"median": 0.1, "sd_log": 1.0},
        ),
    ],
)
def test_the_closed_list_of_distributions(settings, prior, parameters):
    assert load_model(settings=settings).priors[prior].parameters == parameters


def test_what_is_accepted():
    assert load_model(settings=["data.layout=arm", "data.outcomes=['soc', 'necromass']"]).data.outcomes[0] == "soc"
    assert load_model(settings=["data.defaults.cv=0.1"]).data.defaults.cv == {"necromass": 0.1, "soc": 0.1}
    assert load_model(settings=["scenarios.decide_at=1"]).scenarios.decide_at == 1.0
    assert load_model(settings=["priors.tau_study.why="]).priors["tau_study"].why is None


def test_one_pool_alone_needs_no_other_setting():
    spec = load_model(settings=["data.outcomes=['soc']"])
    assert (spec.data.outcomes, spec.data.defaults.cv["soc"]) == (("soc",), 0.15)


@pytest.mark.parametrize("outcomes", [["yield"], ["necromass", "soc", "mbc"]])
def test_contrasts_may_have_any_outcomes(outcomes):
    spec = load_model("contrast-based", settings={"data.outcomes": outcomes})
    assert spec.data.outcomes == tuple(outcomes)


def test_contrasts_of_one_outcome_need_no_correlations():
    priors = load_model("contrast-based").priors
    assert set(priors) > {"rho_study"} and "baseline" not in priors
    with pytest.raises(SpecificationError, match="use lkj with more"):
        load_model(
            "contrast-based",
            settings={"data.outcomes": ["a", "b", "c"], "priors.rho_site": {"distribution": "beta", "a": 2, "b": 2}},
        )
    with pytest.raises(SpecificationError, match=r"priors.intercept.correlation: expected a number in \(-0.5, 1\)"):
        load_model("contrast-based", settings={"data.outcomes": ["a", "b", "c"], "priors.intercept.correlation": -0.6})
    with pytest.raises(SpecificationError, match="yield_control.*mathematical coupling"):
        load_model("contrast-based", settings={"data.outcomes": ["yield"]}, moderators="~ yield_control")
    with pytest.raises(SpecificationError, match="data.layout: expected 'contrast'"):
        load_model("contrast-based", settings={"data.layout": "arm"})
