"""What a specification of the two-pool family may not ask for, each refused with what to do instead."""

from collections.abc import Mapping

from mcpbayes.errors import SpecificationError
from mcpbayes.specification import grammar
from mcpbayes.specification.prior_rules import WITHIN
from mcpbayes.specification.structure import DataSection, LevelSection, ModeratorSection, Prior, SamplingSection
from mcpbayes.vocabulary import DURATION


def check_two_pools(
    data: DataSection,
    moderators: ModeratorSection,
    levels: LevelSection,
    sampling: SamplingSection,
    priors: Mapping[str, Prior],
) -> None:
    """Refuse moderators, levels, engines and priors that the two-pool model does not have.

    Raises
    ------
    SpecificationError
        The duration as a moderator, kinds of treatment as a level, another engine than NUTS, an estimated correlation
        over plots, coefficients with flat priors.
    """
    durations = {DURATION, data.columns.get(DURATION, DURATION)}
    for name in grammar.parse(moderators.formula):
        if name in durations or data.columns.get(name) in durations:
            raise SpecificationError(
                f"{name} is the time in the two-pool equations, and no new steady state hangs on it; take it out",
                "moderators.formula",
            )
    if levels.kind != "off":
        raise SpecificationError(
            "the two-pool family has no level of treatment kinds; leave it 'off', and take treatment into the formula "
            "of the moderators where effects of kinds are wanted",
            "levels.kind",
        )
    if sampling.engine == "collapsed":
        raise SpecificationError(
            "the engine collapsed needs effects that are normal given their spread, which two pools over time are not; "
            "take 'nuts'",
            "sampling.engine",
        )
    if WITHIN in priors and priors[WITHIN].update:
        raise SpecificationError(
            "the two-pool family does not estimate this correlation; leave update out, so that worlds carry it",
            f"priors.{WITHIN}.update",
        )
    for role, prior in priors.items():
        if prior.distribution == "flat" and role != "baseline":
            raise SpecificationError(
                "short durations tell little of a new steady state, so that a flat prior has no proper posterior; take "
                "'normal' or 'fixed'",
                f"priors.{role}.distribution",
            )
