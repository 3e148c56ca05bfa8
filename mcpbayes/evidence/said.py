"""What would be said of one target, and what might as well be said, within Monte-Carlo error."""

from typing import Final, NamedTuple

import numpy as np

from mcpbayes.estimands.claims import union_events
from mcpbayes.estimands.classes import CLASS_TABLE, coarsening, tolerances
from mcpbayes.estimands.counting import class_codes
from mcpbayes.estimands.layout import Array
from mcpbayes.estimands.pooled import mcse_mean
from mcpbayes.monte_carlo.summaries import frequencies
from mcpbayes.specification.structure import Scheme

#: A difference within so many Monte-Carlo standard errors could be chance.
ERRORS: Final = 2.0
#: A probability further off than this needs no error: with 400 effective draws, the least allowed, it is four of them.
_NEAR: Final = 0.1
#: Separates codes in a text.
OR: Final = "|"


class Said(NamedTuple):
    """Leading class and its probability; codes that might lead; the headline's claim, "" for none; claims possible.

    ``asked_probability`` is that of the claim that was asked for, by default its own; NaN of none.
    """

    code: str
    probability: float
    ties: str
    claim: str
    possible: str
    asked_probability: float


def what_is_said(
    theta_n: Array,
    theta_c: Array,
    scheme: Scheme,
    worlds: int,
    chains: int,
    *,
    mute: bool = False,
    asked: str | None = None,
) -> Said:
    """Count the classes of one target and say what its headline would name, as `decision.decide` does.

    Parameters
    ----------
    theta_n, theta_c : ndarray, shape (world × chain × draw,)
    scheme : Scheme
    worlds, chains : int
        How many worlds, and how many chains of all of them together.
    mute : bool
        Whether nothing is claimed in any case.
    asked : str, optional
        Code of the claim whose probability is wanted; "" for none.
    """
    codes, _, place = coarsening(scheme)
    found = class_codes(theta_n, theta_c, tolerances(scheme), place[CLASS_TABLE.ravel()].astype(np.int8))
    probability = frequencies(found[None], len(codes))[0]
    best = int(np.argmax(probability))

    def error(values: Array) -> float:
        return ERRORS * float(np.nan_to_num(mcse_mean(values.reshape(1, chains, -1).astype(float), worlds)[0]))

    ties = [best]
    for other in np.flatnonzero(probability > probability[best] - _NEAR):
        margin = (found == best).astype(float) - (found == other)
        if other != best and margin.mean() <= error(margin):
            ties.append(int(other))
    named = (codes[best], float(probability[best]), OR.join(codes[one] for one in sorted(ties)))
    if mute:
        return Said(*named, "", "", np.nan)
    claim, possible = "", list[str]()
    unions = union_events(theta_n, theta_c, scheme)
    events = {codes[one]: found == one for one in ties} | unions
    certain = False
    for code, event in events.items():
        p = float(event.mean())
        within = error(event) if abs(p - scheme.decide_at) < _NEAR else 0.0
        if not claim and p >= scheme.decide_at:
            claim = code
        if not certain and p + within >= scheme.decide_at:
            possible.append(code)
        certain = certain or p - within >= scheme.decide_at
        if claim and certain:
            break
    code = claim if asked is None else asked
    wanted = np.nan
    if code:
        wanted = float(np.mean(unions[code] if code in unions else found == codes.index(code)))
    return Said(*named, claim, OR.join(possible if certain else [*possible, ""]), wanted)
