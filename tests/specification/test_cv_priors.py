"""The priors of the model of CVs: where they are needed, and that they fit the default CVs."""

import math

import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification.loading import from_toml, load_model, to_toml
from mcpbayes.specification.priors import number

#: Median of a half-normal distribution of scale 1.
MEDIAN = 0.6745


def test_the_hierarchical_model_is_the_default_of_arms_and_touches_no_contrasts():
    assert load_model().data.sd_model == "hierarchical"
    assert not {"cv", "tau_cv", "omega_cv"} & set(load_model("contrast-based").priors)


def test_prior_medians_give_the_default_cvs_as_root_mean_squares():
    spec = load_model()
    spreads = [MEDIAN * number(spec.priors[name], "sd", "soc") for name in ("tau_cv", "omega_cv")]
    inflation = math.exp(sum(spread**2 for spread in spreads))  # of the root mean square over the median
    for outcome, default in spec.data.defaults.cv.items():
        assert number(spec.priors["cv"], "median", outcome) * inflation == pytest.approx(default, rel=0.01)


def test_a_complete_file_needs_them_only_for_the_hierarchical_model(tmp_path):
    whole = to_toml(load_model(settings={"data.dispersion.sd_model": "reported"}))
    start = whole.index("[priors.cv]")
    end = whole.index("[delta_mcp]")
    without = whole[:start] + whole[end:]
    assert "omega_cv" not in without and "rho_comparison" in without
    assert "cv" not in from_toml(without).priors
    with pytest.raises(SpecificationError, match=r"priors.cv: is missing"):
        from_toml(without.replace('"reported"', '"hierarchical"'))


@pytest.mark.parametrize("outcomes", [["soc"], ["soc", "necromass"]])
def test_pools_that_are_not_analysed_may_keep_their_numbers(outcomes):
    spec = load_model(settings={"data.outcomes": outcomes})
    assert number(spec.priors["cv"], "median", "soc") == 0.138
    assert from_toml(to_toml(spec)) == spec


def test_contrasts_of_other_outcomes_inherit_them_without_effect():
    spec = load_model("contrast-based", settings={"data.outcomes": ["yield"]})
    assert "cv" not in spec.priors
    assert from_toml(to_toml(spec)) == spec
