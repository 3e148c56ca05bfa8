"""Readings say what the decision says, with its probability as printed, and nothing where it says nothing."""

import re

import fakes
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcpbayes as mb
from mcpbayes import vocabulary as words
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.claims import UNIONS, Claim
from mcpbayes.estimands.decision import Decision, Estimate, decide, sentence
from mcpbayes.estimands.scenarios import classify
from mcpbayes.estimands.wording import probability_text
from mcpbayes.output.document.readings import readings
from mcpbayes.output.interpretation import READINGS, interpret
from mcpbayes.specification.loading import load_model, to_toml

LABELS = dict(words.SCENARIO_LABELS) | UNIONS
WHOSE = {
    words.MEAN: " in the typical comparison (level mean)",
    words.NEW: " in a single new field (level new)",
    words.STUDY: " (level study)",
}
CHANGE = Estimate("delta_mcp", 1.0, 0.5, 1.5, "eti", 0.95)


@st.composite
def decisions(draw, abstained=None):
    """Any decision: a class, a coarser statement, or nothing."""
    threshold = draw(st.floats(0.55, 0.99))
    best = draw(st.sampled_from(words.SCENARIOS))
    if draw(st.booleans()) if abstained is None else abstained:
        chosen, probability = None, draw(st.floats(0, threshold, exclude_max=True))
    else:
        chosen, probability = draw(st.sampled_from([best, *UNIONS])), draw(st.floats(threshold, 1))
    claim = Claim(best, LABELS[best], probability if chosen in (best, None) else 0.5)
    return Decision(
        level=draw(st.sampled_from([words.MEAN, words.NEW, words.STUDY])),
        name="kind=manure",
        threshold=threshold,
        chosen=chosen,
        label=LABELS[chosen or best],
        probability=probability,
        prior_probability=None,
        abstained=chosen is None,
        reason="" if chosen == best else "no single scenario reaches it",
        best=claim,
        unions=(),
        change=CHANGE,
    )


@given(decisions(abstained=False))
def test_it_names_exactly_the_claim_and_its_probability_as_printed(decision):
    text = interpret(decision)
    chance = probability_text(decision.probability, decision.threshold)
    assert text.startswith(decision.label) and f"probability {chance}{WHOSE[decision.level]}." in text
    assert f"probability {chance}" in sentence(decision)
    rest = text.removeprefix(decision.label)
    codes = [code for code in words.SCENARIOS if code in rest]
    assert codes == ([decision.chosen] if decision.chosen in words.SCENARIOS else [])
    assert not [label for label in LABELS.values() if label in rest]
    assert re.findall(r"\d\.\d+", rest) == re.findall(r"\d\.\d+", chance)


@given(decisions(abstained=True))
def test_it_says_nothing_where_the_decision_abstained(decision):
    assert interpret(decision) == ""


@given(decisions())
def test_of_merged_classes_there_is_no_reading(decision):
    assert interpret(decision, merged=[str(decision.chosen)]) == ""


def test_every_claim_has_a_reading_of_its_own():
    assert set(READINGS) == set(words.SCENARIOS) | set(UNIONS)
    for part in ("hypothesis", "because"):
        classes = [getattr(READINGS[code], part) for code in words.SCENARIOS]
        assert len(set(classes)) == 13
    for reading in READINGS.values():
        assert reading.hypothesis[0].isupper() and reading.because[0].isupper() and reading.test[0].islower()
        assert all(text.endswith(".") for text in reading)
        assert not re.search(r"\d|doi|Zhu", " ".join(reading))


@pytest.mark.parametrize("settings", [(), ("scenarios.decide_at=0.99",), ("scenarios.decide_at=0.55",)])
def test_the_report_reads_every_claim_of_the_headline_once(settings):
    result = _result(settings)
    rows = readings(result, result["data"].to_dataset())
    assert len({row["claim"] for row in rows}) == len(rows)
    said = [f"{row['claim']}|{whose}" for row in rows for whose in row["whose"]]
    claims = [d for level in (words.MEAN, words.NEW) for d in decide(result, level) if not d.abstained]
    assert len(said) == len(claims)
    for decision in claims:
        chance = probability_text(decision.probability, decision.threshold)
        whose = f"{decision.name.removeprefix('kind=')}, probability {chance}{WHOSE[decision.level]}"
        assert [text for text in said if text.startswith(decision.label) and text.endswith(f"|{whose}")]


def test_a_failed_fit_is_not_interpreted():
    result = _result(())
    result.attrs["status"] = "failed"
    assert readings(result, result["data"].to_dataset()) == []


def test_the_public_verb_takes_the_public_decision():
    for decision in mb.decide(_result(())):
        assert bool(mb.interpret(decision)) != decision.abstained


def _result(settings):
    specification = to_toml(load_model("arm-based", settings=settings))
    return classify(delta_mcp(fakes.fake_result(studies=4, draws=100, specification=specification)))
