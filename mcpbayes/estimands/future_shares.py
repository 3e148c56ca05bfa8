"""Shares over time: what fraction of comparisons lies in each class by some years, for each draw of the parameters."""

from typing import Final

import numpy as np
import xarray as xr

from mcpbayes import vocabulary as words
from mcpbayes.estimands.baselines import draw_controls
from mcpbayes.estimands.classes import coarsening
from mcpbayes.estimands.courses import codes_at
from mcpbayes.estimands.layout import Array, node_major
from mcpbayes.estimands.paths import Paths, control_weights, departures
from mcpbayes.estimands.tree import group, specification
from mcpbayes.monte_carlo.summaries import frequencies
from mcpbayes.specification.prior_rules import TURNOVER
from mcpbayes.streams import generator
from mcpbayes.workers import in_threads

#: Fresh comparisons for each draw; a share among them has a standard error of at most 0.016.
FRESH: Final = 1000

#: Draws worked on at once.
_BLOCK: Final = 100


def future_shares(result: xr.DataTree, rows: Array, horizons: Array) -> Array:
    """Return shares for every draw.

    Parameters
    ----------
    result : DataTree
        Of the two-pool family.
    rows : ndarray, shape (point, coefficient)
        Design rows.
    horizons : ndarray, shape (horizon,)
        Years, infinity: new steady state.

    Returns
    -------
    ndarray, shape (point, horizon, class, draw)
        Relative frequencies among `FRESH` comparisons of level new, drawn anew given the parameters of each draw and
        the same ones at all points and horizons: there is no closed form.
    """
    data, posterior = group(result, words.DATA), group(result, words.POSTERIOR)
    spec, seed, weight = specification(result), result.attrs["seed"], control_weights(data)
    ratio, rate = node_major(posterior["mcp_efficacy_control"], "control"), node_major(posterior[TURNOVER], "pool")
    beta = node_major(posterior["beta"], "coefficient", "pool")
    classes = int(coarsening(spec.scenarios)[2].max()) + 1

    def work(start: int) -> Array:
        here = slice(start, min(start + _BLOCK, rate.shape[-1]))
        rng, draws = generator(seed, "share", start // _BLOCK), here.stop - here.start
        residual = _fresh(posterior, "comparison", here, rng)
        change = sum(_fresh(posterior, level, here, rng) for level in ("study", "site") if f"tau_{level}" in posterior)
        chosen = draw_controls(weight, FRESH * draws, rng).reshape(FRESH, draws)
        r0 = ratio[chosen, np.arange(here.start, here.stop)]
        if spec.reference is not None:
            r0 = np.full_like(r0, spec.reference)
        found = np.empty((len(rows), len(horizons), classes, draws))
        for i, row in enumerate(rows):
            paths = Paths(np.einsum("c,cpd->pd", row, beta[..., here]) + change, residual, rate[:, here], r0)
            for j, years in enumerate(horizons):
                found[i, j] = frequencies(codes_at(years, paths, spec.scenarios).T, classes).T
        return found

    return np.concatenate(list(in_threads(work, range(0, rate.shape[-1], _BLOCK))), axis=-1)


def _fresh(posterior: xr.Dataset, level: str, here: slice, rng: np.random.Generator) -> Array:
    """Draw effects of a level, (fresh, pool, draw)."""
    tau, rho = node_major(posterior[f"tau_{level}"], "pool"), node_major(posterior[f"rho_{level}"], "pair")[0]
    normals = rng.standard_normal((FRESH, 2, here.stop - here.start))
    return departures(tau[:, here], rho[here], normals)
