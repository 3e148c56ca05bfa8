"""What the claims of a result may mean: each claim once, with whose it is and how probable."""

import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.decision import decide
from mcpbayes.estimands.tree import specification
from mcpbayes.output.document.estimates import shown_name
from mcpbayes.output.document.material import Row
from mcpbayes.output.interpretation import chance_text, claim_text, reading_of


def readings(result: xr.DataTree, data: xr.Dataset) -> list[Row]:
    """Return the readings of all claims at the levels ``mean`` and ``new``; what abstained is not among them.

    Returns
    -------
    list of dict
        ``claim``, ``hypothesis``, ``because``, ``test``, and ``whose``: a list of texts with name, probability, level.
    """
    if words.SCENARIO not in result.children:
        return []
    merged = specification(result).scenarios.merge
    found: dict[str, Row] = {}
    holders: dict[str, list[str]] = {}
    for decision in (*decide(result, words.MEAN), *decide(result, words.NEW)):
        reading = reading_of(decision, merged)
        if reading is None:
            continue
        whose = chance_text(decision)
        if decision.name != words.AVERAGE:
            whose = f"{shown_name(decision.name, data)}, {whose}"
        claim = claim_text(decision)
        holders.setdefault(claim, []).append(whose)
        found[claim] = {"claim": claim, **reading._asdict(), "whose": holders[claim]}
    return list(found.values())
