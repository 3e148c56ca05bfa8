import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpbayes.errors import SpecificationError
from mcpbayes.measurement.factor_draws import central, draw_triples, strata
from mcpbayes.specification.factors import NAMED, Factor, written_set
from mcpbayes.specification.loading import from_toml, load_model, to_toml

POSITIVE = st.floats(1e-3, 1e3)
FACTOR = st.one_of(
    POSITIVE,
    st.fixed_dictionaries({"distribution": st.just("lognormal"), "median": POSITIVE, "sd_log": POSITIVE}),
    st.fixed_dictionaries({"distribution": st.just("normal"), "mean": POSITIVE, "sd": POSITIVE}),
)
OWN = {"set": "own", "k_B": 30, "k_F": {"distribution": "lognormal", "median": 10, "sd_log": 0.1}, "rho_b": 2}


@given(FACTOR, FACTOR, FACTOR)
def test_a_set_of_ones_own_survives_writing(k_b, k_f, rho_b):
    own = {"set": "own", "k_B": k_b, "k_F": k_f, "rho_b": rho_b, "source": "ours"}
    spec = load_model(settings={"data.factors": own})
    assert from_toml(to_toml(spec)) == spec
    assert spec.data.factors.source == "ours"


@pytest.mark.parametrize("name", NAMED)
def test_named_sets_survive_writing_and_have_a_source(name):
    spec = load_model(settings=[f"data.factors.set={name}"])
    assert from_toml(to_toml(spec)).data.factors == NAMED[name]
    assert written_set(NAMED[name])["source"] == NAMED[name].source
    assert set(written_set(NAMED[name])) == {"set", "k_B", "k_F", "rho_b", "source"}
    assert len(NAMED[name].source) > 20


def test_the_default_is_uncertain_and_another_set_drops_the_numbers_of_ones_own():
    assert load_model().data.factors == NAMED["uncertain"]
    own = load_model(settings={"data.factors": OWN})
    assert own.data.factors.k_f == Factor(10.0, 0.1, "lognormal")
    text = to_toml(own)
    assert 'set = "own"' in text
    from mcpbayes.specification.merging import merge

    assert merge({"factors": OWN}, {"factors": {"set": "conventional"}}) == {"factors": {"set": "conventional"}}
    written = {"factors": written_set(NAMED["uncertain"])}
    assert merge(written, {"factors": {"set": "hu2024"}}) == {"factors": {"set": "hu2024"}}


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"set": "convential"}, "data.factors.set: expected one of 'conventional'"),
        ({"set": "conventional", "k_B": 30}, "data.factors.k_B: the set 'conventional' has its own numbers"),
        ({"set": "own", "k_B": 30}, "data.factors: a set of your own needs k_F and rho_b"),
        ({**OWN, "k_B": -1}, "data.factors.k_B: expected a number above 0"),
        ({**OWN, "k_b": 1}, "data.factors.k_b: unknown key; did you mean 'k_B'"),
        ({**OWN, "k_B": {"distribution": "gamma"}}, "data.factors.k_B.distribution: expected one of 'lognormal'"),
        ({**OWN, "k_B": {"distribution": "normal", "mean": 1}}, "data.factors.k_B.sd: is missing"),
        (
            {**OWN, "k_B": {"distribution": "normal", "mean": 1, "sd": 0}},
            "data.factors.k_B.sd: expected a number above",
        ),
    ],
)
def test_what_is_wrong_is_said(factors, message):
    settings = {f"data.factors.{key}": value for key, value in factors.items()}
    with pytest.raises(SpecificationError, match=message):
        load_model(settings=settings)


def test_necromass_from_and_the_correlation_are_checked():
    with pytest.raises(SpecificationError, match="data.necromass_from: expected one of 'auto', 'reported'"):
        load_model(settings=["data.necromass_from=amino"])
    with pytest.raises(SpecificationError, match="rho_amino_sugars: expected a number in"):
        load_model(settings=["data.defaults.rho_amino_sugars=1"])


def test_triples_have_the_distributions_that_were_asked_for():
    """4096 triples, a Latin hypercube: quantiles to 1 %; the 1 % with q ≤ 0 are left out, which moves k_B a little."""
    triples = draw_triples(NAMED["uncertain"])
    assert np.all(np.diff(triples.q) >= 0) and triples.q[0] > 0
    assert 0.98 < len(triples.q) / 4096 < 1
    assert np.quantile(triples.k_f, [0.025, 0.5, 0.975]) == pytest.approx([7.90, 10.0, 12.65], rel=0.01)
    assert np.median(triples.k_b) == pytest.approx(34, rel=0.02)
    assert np.log(triples.k_f).std() == pytest.approx(0.12, rel=0.03)


def test_fixed_sets_are_one_triple():
    for name, q in (("conventional", 45 / 9 - 2 * 179.17 / 251.23), ("hu2024", 31.3 / 10.8 - 1.16)):
        triples = draw_triples(NAMED[name])
        assert len(triples.q) == 1 and triples.q[0] == pytest.approx(q)


def test_strata_are_the_triples_in_order_and_equally_probable():
    parts = strata(NAMED["uncertain"], 8)
    assert max(len(part.q) for part in parts) - min(len(part.q) for part in parts) <= 1
    assert np.array_equal(np.concatenate([part.q for part in parts]), draw_triples(NAMED["uncertain"]).q)
    medians = [float(np.median(part.q)) for part in parts]
    assert medians[3] < central(NAMED["uncertain"]).q < medians[4]
