"""From simple to thorough proposals until one covers the posterior: the attempts of the collapsed engine."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mcpbayes.inference.coordinates import System
from mcpbayes.inference.mixtures import Mixture, defended, draw, joined, learn, log_density, moments, single, spread_out
from mcpbayes.inference.mode import LogDensity, Mode, find_modes
from mcpbayes.inference.small_matrices import Array
from mcpbayes.inference.tempering import temper
from mcpbayes.monte_carlo.importance import Chains, efficiency, metropolis, normalised, pareto_k
from mcpbayes.monte_carlo.limits import EFFICIENCY_LIMIT, ESS_LIMIT, PARETO_K_LIMIT, R_HAT_LIMIT
from mcpbayes.monte_carlo.summaries import convergence

#: Proposals of which the final chains are made; adaptation is over when they are drawn.
PROPOSALS: Final = 16_000

#: Draws from which chains are judged: of fewer, another proposal would make no more.
_JUDGEABLE: Final = 4 * ESS_LIMIT

#: Up to this many coordinates the short attempts suffice; more need larger rounds.
_FEW: Final = 7

#: Proposals that a chain meets between two states that are kept, at least.
_THINNING: Final = 4

#: The same, where the proposal distribution of similar data is followed: of a world's draws only a part is kept.
_FOLLOWING: Final = 2

#: Rounds with one component, before the points are good enough to tell several apart.
_SINGLE: Final = 2

#: A round whose proposals have this ESS/N ends the adaptation, once several components have learnt in one: chosen, like
#: the components and the size of the rounds, for few evaluations on tables of `benchmarks.robustness`.
_ENOUGH: Final = 0.65

#: After a last round with less than this the final proposals would fail: what it taught may still help a little.
_HOPELESS: Final = 0.25

#: Share of several known modes in a first proposal made of particles: enough for them not to be lost.
_KNOWN: Final = 0.1

_T, _MIXTURE_T = 5.0, 8.0


@dataclass(frozen=True)
class Attempt:
    """One way of making a proposal: coordinate system, components, and at most so many rounds of a size each.

    The first proposal is fitted to the modes, or, where ``particles`` are asked for, to these from tempering (and to
    the modes where several are known).
    """

    system: System
    components: int
    rounds: int
    size: int
    particles: int = 0


@dataclass(frozen=True)
class Proposals:
    """The final proposals of the attempt that was taken.

    Parameters
    ----------
    z : array (draw, d)
    log_weight : array (draw,)
    path : Chains
        Independence Metropolis chains of these proposals.
    system : {"quantile", "polar"}
    attempt : int
        Counted from 1.
    pareto_k, efficiency : float
        k̂ and ESS/N of the final weights.
    passed : bool
        Whether weights and chains are good enough.
    judged : array (row, chain × draw) or None
        What the chains were judged by; None where the weights had failed already, or draws are too few to judge.
    mixture : Mixture or None
        The frozen proposal distribution; None where there was nothing to propose.
    """

    z: Array
    log_weight: Array
    path: Chains
    system: System
    attempt: int
    pareto_k: float
    efficiency: float
    passed: bool
    judged: Array | None = None
    mixture: Mixture | None = None


def attempts(d: int) -> tuple[Attempt, ...]:
    """Return the attempts for d coordinates, in the order in which they are made."""
    if d <= _FEW:
        return (
            Attempt("quantile", 8, 8, 1000),
            Attempt("polar", 8, 8, 1000),
            Attempt("polar", 8, 3, 2000, particles=2000),
            Attempt("polar", 16, 6, 6000, particles=3000),
            Attempt("quantile", 16, 6, 8000, particles=6000),
        )
    return (
        Attempt("quantile", 4, 5, 3000),
        Attempt("polar", 4, 5, 3000),
        Attempt("quantile", 16, 6, 8000),
        Attempt("polar", 24, 6, 12_000, particles=3000),
        Attempt("quantile", 32, 6, 16_000, particles=6000),
    )


def _starts(d: int) -> int:
    """Return how many prior draws the search for modes looks at: about a tenth of what an attempt evaluates."""
    return 2048 if d <= _FEW else 3072


def explore(
    density: Callable[[System], LogDensity],
    judged: Callable[[Array, System], Array],
    d: int,
    rng: np.random.Generator,
    *,
    chains: int = 4,
    draws: int = 1000,
    proposals: int = PROPOSALS,
) -> Proposals:
    """Return proposals and chains of the first attempt that passes, or of the best one.

    Parameters
    ----------
    density : callable
        Gives ln p(z, y) as a function of points (draw, d) in a coordinate system, prior N(0, I) included.
    judged : callable
        Gives the parameters (row, draw) whose chains are judged, from points (draw, d) and their coordinate system.
    d : int
        Number of coordinates.
    rng : numpy.random.Generator
    chains, draws : int
        Chains, and draws kept per chain.
    proposals : int
        Of which the chains are made, at least.

    Notes
    -----
    The proposal is frozen before the final proposals are drawn, and these alone decide. That later attempts are made
    only where earlier ones failed is a mild selection, so the number of the attempt is reported.
    """
    size = max(proposals, _THINNING * chains * draws)
    modes: dict[System, list[Mode]] = {}
    best: Proposals | None = None
    for number, attempt in enumerate(attempts(d), start=1):
        target = density(attempt.system)
        if attempt.system not in modes and not attempt.particles:
            modes[attempt.system] = find_modes(target, rng.standard_normal((_starts(d), d)))
        mixture = _adapt(attempt, target, modes.get(attempt.system, []), d, rng)
        if mixture is None:
            continue
        z, log_weight = _weigh(mixture, target, size, rng)
        found = assess(z, log_weight, attempt.system, number, judged, rng, chains=chains, draws=draws)
        found = replace(found, mixture=mixture)
        if found.passed:
            return found
        if best is None or found.efficiency > best.efficiency:
            best = found
    if best is None:
        raise ValueError("no attempt gave a proposal")  # the last one always does
    return best


def still(*, chains: int, draws: int) -> Proposals:
    """Return the proposals of a model of which nothing is unknown."""
    size = chains * draws
    path = Chains(np.arange(size).reshape(chains, draws), np.ones((chains, draws)))
    return Proposals(np.zeros((size, 0)), np.zeros(size), path, "quantile", 1, float("-inf"), 1.0, True)


def follow(
    guide: Proposals,
    density: Callable[[System], LogDensity],
    judged: Callable[[Array, System], Array],
    rng: np.random.Generator,
    *,
    chains: int = 4,
    draws: int = 1000,
    proposals: int = PROPOSALS // 2,
) -> Proposals | None:
    """Return new proposals from the frozen distribution of similar data, weighed for these data; None if it has none.

    Parameters
    ----------
    guide : Proposals
        Of the similar data.
    density, judged, rng, chains, draws, proposals
        As in `explore`.

    Notes
    -----
    Weights and chains are those of these data and judged as any: only the search for a distribution is spared.
    """
    if guide.mixture is None:
        return None
    size = max(proposals, _FOLLOWING * chains * draws)
    z, log_weight = _weigh(guide.mixture, density(guide.system), size, rng)
    return assess(z, log_weight, guide.system, guide.attempt, judged, rng, chains=chains, draws=draws)


def assess(
    z: Array,
    log_weight: Array,
    system: System,
    attempt: int,
    judged: Callable[[Array, System], Array],
    rng: np.random.Generator,
    *,
    chains: int = 4,
    draws: int = 1000,
) -> Proposals:
    """Make chains of weighted proposals and judge both.

    Parameters
    ----------
    z : array (draw, d)
    log_weight : array (draw,)
    system : {"quantile", "polar"}
    attempt : int
        Number of the attempt that made them.
    judged, rng, chains, draws
        As in `explore`.
    """
    path = metropolis(log_weight, chains, draws, rng)
    k, share = pareto_k(log_weight), efficiency(log_weight)
    passed = k < PARETO_K_LIMIT and share > EFFICIENCY_LIMIT
    rows = None
    if passed and chains * draws >= _JUDGEABLE:
        rows = judged(z[path.place.ravel()], system)
        passed = chains_mix(rows.reshape(-1, chains, draws))
    return Proposals(z, log_weight, path, system, attempt, k, share, passed, rows)


def _adapt(attempt: Attempt, target: LogDensity, modes: list[Mode], d: int, rng: np.random.Generator) -> Mixture | None:
    """Return the proposal of an attempt; None where its last round is so poor that final draws would be wasted.

    Notes
    -----
    Every round learns from the points of all rounds, weighted against the mixture of all proposals that they came
    from (Cornuet, Marin, Mira & Robert 2012, doi:10.1111/j.1467-9469.2011.00756.x): a poor early proposal then leaves
    no huge weights behind. The round that shows that the proposal is good enough teaches it nothing more.
    """
    mixture = _first(attempt, target, modes, d, rng)
    used: list[Mixture] = []
    z, value = np.empty((0, d)), np.empty(0)
    proposed = np.empty(0)  # ln Σ q over the rounds so far
    last = 0.0
    for number in range(attempt.rounds):
        new = draw(mixture, rng, attempt.size)
        new_value, own = target(new), log_density(mixture, new)
        last = efficiency(new_value - own)
        if last >= _ENOUGH and number > _SINGLE and not attempt.particles:
            break
        proposed = np.logaddexp(proposed, log_density(mixture, z)) if used else proposed
        before = [log_density(earlier, new) for earlier in used]
        proposed = np.concatenate([proposed, np.logaddexp.reduce([own, *before], axis=0)])
        z, value = np.concatenate([z, new]), np.concatenate([value, new_value])
        used.append(mixture)
        components = attempt.components if attempt.particles or number >= _SINGLE else 1
        mixture = _learn(components, mixture, z, _truncated(value - proposed), rng)
    if not last >= _HOPELESS and not attempt.particles:
        return None
    return defended(mixture)


def _first(attempt: Attempt, target: LogDensity, modes: list[Mode], d: int, rng: np.random.Generator) -> Mixture:
    """Return the first proposal: of the modes, or of particles, which may have missed one of several modes."""
    if not attempt.particles:
        return around(modes)
    mixture = _from_particles(attempt, temper(target, d, rng, attempt.particles), rng)
    return joined((mixture, around(modes)), (1 - _KNOWN, _KNOWN)) if len(modes) > 1 else mixture


def _learn(components: int, mixture: Mixture, z: Array, weight: Array, rng: np.random.Generator) -> Mixture:
    """Return the mixture adapted to weighted points; components of several modes are kept beside new ones."""
    known = len(mixture.weight)
    if components == known == 1:
        mean, covariance = moments(z, weight)
        return single(mean, covariance + 1e-6 * np.eye(len(mean)), _T)
    if known < components:
        fresh = spread_out(z, weight, components, _MIXTURE_T, rng)
        mixture = fresh if known == 1 else joined((mixture, fresh), (0.5, 0.5))
    return learn(mixture, z, weight)


def _from_particles(attempt: Attempt, z: Array, rng: np.random.Generator) -> Mixture:
    """Return a mixture fitted to unweighted particles."""
    weight = np.full(len(z), 1 / len(z))
    return learn(spread_out(z, weight, attempt.components, _MIXTURE_T, rng), z, weight)


def around(modes: list[Mode]) -> Mixture:
    """Return t distributions at the modes, weighted by the mass of the normal distributions that fit there."""
    parts = [single(mode.place, mode.covariance, _T) for mode in modes]
    mass = np.array([mode.value + 0.5 * np.linalg.slogdet(mode.covariance)[1] for mode in modes])
    return joined(parts, normalised(mass))


def _weigh(mixture: Mixture, target: LogDensity, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    z = draw(mixture, rng, size)
    return z, target(z) - log_density(mixture, z)


def _truncated(log_weight: Array) -> Array:
    """Return normalised weights of which none is above √N times the mean: less noise while a proposal learns."""
    weight = normalised(log_weight)
    weight = np.minimum(weight, 1 / np.sqrt(len(weight)))
    return np.asarray(weight / weight.sum())


def chains_mix(draws: Array) -> bool:
    """Return whether R-hat and effective sample sizes of all rows (row, chain, draw) are within their limits."""
    found = convergence(draws)
    # Rows that cannot move (a fixed parameter) have none; with one chain there is no R-hat.
    scale, ess = found["r_hat"], np.minimum(found["ess_bulk"], found["ess_tail"])
    return not bool((scale >= R_HAT_LIMIT).any() or (ess < ESS_LIMIT).any())
