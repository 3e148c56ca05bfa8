"""What a claim may mean for management: hypotheses in our own words, printed only beside the claim's probability."""

from collections.abc import Collection
from typing import Final, NamedTuple

from mcpbayes.estimands.decision import Decision
from mcpbayes.estimands.wording import probability_text
from mcpbayes.vocabulary import MEAN, NEW, SCENARIOS


class Reading(NamedTuple):
    """How a claim may be read: a hypothesis for management, why one would think so, what would show it wrong."""

    hypothesis: str
    because: str
    test: str


#: By code of a class or of a coarser statement (`claims.UNIONS`).
READINGS: Final[dict[str, Reading]] = {
    "N+C+r+": Reading(
        "Where carbon that lasts is the aim, keep the practice, and look at what feeds the microbes rather than at the "
        "amount of carbon added.",
        "Both pools grow, the microbial one faster: more of the new carbon has passed through microbes, and residues "
        "on minerals tend to turn over more slowly than plant matter.",
        "sample again some years after the inputs stop; the increase should stay.",
    ),
    "N+C0r+": Reading(
        "Do not judge the practice by total carbon alone: it may be changing the kind of carbon that is stored.",
        "The total stays within the tolerance while the microbial part grows, so other carbon must have shrunk by "
        "about as much.",
        "measure particulate and mineral-associated carbon apart; one should fall as the other rises.",
    ),
    "N+C-r+": Reading(
        "Combine the practice with more plant carbon before relying on it.",
        "Residues increase while the total falls, as where nutrients speed up decomposition: the increase draws on a "
        "stock that is not renewed.",
        "follow inputs and respiration; with more plant carbon the decline of the total should slow down.",
    ),
    "N0C-r+": Reading(
        "Protect or replace plant carbon first; the rising ratio is not an increase of anything.",
        "The total falls and the microbial part does not follow, so that what goes had not passed through microbes.",
        "account for litter removal, burning and erosion; particulate carbon should carry the decline.",
    ),
    "N-C-r+": Reading(
        "Take the higher ratio for a remnant and not for a success: halt the decline first.",
        "Both pools shrink, the microbial one less; a ratio can rise while all that it is made of gets smaller.",
        "follow both stocks by depth over the years; the microbial part may come after the other.",
    ),
    "N-C-r0": Reading(
        "Look for a cause that acts on all carbon alike, such as smaller inputs or erosion, and act on that.",
        "Both pools shrink in proportion, so that nothing points at the microbes in particular.",
        "compare inputs and the removal of fine particles between treatment and control.",
    ),
    "N-C-r-": Reading(
        "Look for what hampers the microbes or exposes their residues: acidity, salt, drought, hunger, disturbance.",
        "Both pools shrink, the microbial one more, so that less is made of the inputs or more is eaten of the old.",
        "measure microbial biomass, growth and pH beside the residues; relieving the hardship should turn the ratio.",
    ),
    "N-C0r-": Reading(
        "Do not take an unchanged total for an unchanged soil: the part that tends to last longer gives way.",
        "Residues decline while the total stays within the tolerance, so other carbon must have grown by about as "
        "much.",
        "measure the fractions apart; particulate carbon should have taken the place.",
    ),
    "N-C+r-": Reading(
        "Do not count the added carbon as stored by microbes: how long it stays depends on the material itself.",
        "The total grows while the microbial part shrinks, so that carbon is stored past the microbes.",
        "trace the added material, and supply nitrogen; if hunger is the cause, residues should recover.",
    ),
    "N0C+r-": Reading(
        "Judge how lasting the storage is by the added material, since the microbial part has no share in it.",
        "The total grows and the microbial part does not change beyond the tolerance.",
        "measure the fractions apart, and sample again after the inputs stop.",
    ),
    "N+C+r-": Reading(
        "Before adding more carbon, give the microbes what they need to work it up, such as nutrients or time.",
        "Both pools grow, the other carbon faster, as if the inputs outran what microbes turn into residues.",
        "follow a longer series; a mere delay should end with the ratio catching up.",
    ),
    "N+C+r0": Reading(
        "Judge the practice by the total: it makes the store larger and leaves its composition as it was.",
        "Both pools grow in proportion, so that the ratio adds no argument of its own.",
        "sample later again; pools that turn over at different rates should drift apart first.",
    ),
    "N0C0r0": Reading(
        "Expect neither benefit nor harm for soil carbon over the time studied, and decide on other grounds.",
        "Both effects lie within the tolerance with this probability, which is evidence of a small effect and more "
        "than a lack of evidence.",
        "look at longer durations; slow pools need decades to show a change.",
    ),
    "ratio+": Reading(
        "Look at both pools before advising: the microbial share of the carbon grows, by growth or as what is left.",
        "No single class is probable enough, and in those that are in question necromass fares better than the rest.",
        "more comparisons that report both pools; they should settle which way the total goes.",
    ),
    "ratio-": Reading(
        "Look at both pools before advising: the microbial share of the carbon shrinks, by dilution or by decay.",
        "No single class is probable enough, and in those that are in question necromass fares worse than the rest.",
        "more comparisons that report both pools; they should settle which way the residues go.",
    ),
    "ratio0": Reading(
        "Judge the practice by the total: the microbial share of the carbon gives no further argument.",
        "No single class is probable enough, and in those that are in question both pools change by similar shares.",
        "more comparisons; they should settle whether the pools move at all.",
    ),
    "N+C+": Reading(
        "Advise on the amount of carbon that the practice builds and not on its kind.",
        "Both pools grow; which of them leads is open.",
        "more comparisons that report both pools, for the ratio.",
    ),
    "N-C-": Reading(
        "Halt the decline before asking what kind of carbon goes.",
        "Both pools shrink; which of them leads is open.",
        "more comparisons that report both pools, for the ratio.",
    ),
    "synchrony": Reading(
        "Take the total as a guide to the microbial part here, whichever way both go.",
        "Both pools change in proportion, or neither does.",
        "more comparisons; they should settle the direction.",
    ),
    "C+": Reading(
        "Count on more carbon in total, and leave open whether microbes have a part in it.",
        "The total grows; no statement on both pools together is probable enough.",
        "measure amino sugars in more of the comparisons.",
    ),
    "C-": Reading(
        "Count on less carbon in total, and leave open whether microbial residues go too.",
        "The total shrinks; no statement on both pools together is probable enough.",
        "measure amino sugars in more of the comparisons.",
    ),
    "N+": Reading(
        "Count on more microbial residues, and leave open whether the total follows.",
        "The microbial part grows; of the total no direction is probable enough.",
        "more comparisons over longer durations, for the total.",
    ),
    "N-": Reading(
        "Count on fewer microbial residues, and leave open whether the total follows.",
        "The microbial part shrinks; of the total no direction is probable enough.",
        "more comparisons over longer durations, for the total.",
    ),
}


def reading_of(decision: Decision, merged: Collection[str] = ()) -> Reading | None:
    """Return how the claim of a decision may be read; None where nothing is claimed, or a class of the user's own.

    Parameters
    ----------
    decision : Decision
    merged : collection of str
        Codes of classes that the user merged (``scenarios.merge``): they mean something else than ours.
    """
    if decision.abstained or decision.chosen is None or decision.chosen in merged:
        return None
    return READINGS.get(decision.chosen)


#: What a claim at a level is about.
_WHOSE: Final = {MEAN: " in the typical comparison", NEW: " in a single new field"}


def claim_text(decision: Decision) -> str:
    """Return what a decision claims, for example ``"gain led by necromass (N+C+r+)"``, as `mcpbayes.sentence` does."""
    return f"{decision.label} ({decision.chosen})" if decision.chosen in SCENARIOS else decision.label


def chance_text(decision: Decision) -> str:
    """Return the probability of the claim as `mcpbayes.sentence` prints it, with what it is about."""
    whose = _WHOSE.get(decision.level, "")
    return f"probability {probability_text(decision.probability, decision.threshold)}{whose} (level {decision.level})"


def interpret(decision: Decision, merged: Collection[str] = ()) -> str:
    """Return what the claim of a decision may mean for management; empty where nothing is claimed.

    Parameters
    ----------
    decision : Decision
        From `mcpbayes.decide`.
    merged : collection of str
        Codes of classes that the user merged (``scenarios.merge``); of these there is no reading.

    Returns
    -------
    str
        Claim with its probability and level, a hypothesis, its reasoning, a test. The words are ours and of no paper;
        they speak of the class, not of the data at hand.
    """
    reading = reading_of(decision, merged)
    if reading is None:
        return ""
    return (
        f"{claim_text(decision)}, {chance_text(decision)}. Hypothesis: {reading.hypothesis} "
        f"Reasoning: {reading.because} A test: {reading.test}"
    )
