"""The model of CVs of one pool by brute force: sums over grids, nothing integrated in closed form."""

import numpy as np
from scipy.special import gammaln

X = np.linspace(-7.0, 3.0, 1601)


def log_chi(log_s, x, nu):
    """Ln density of ln s given x = ln σ."""
    y = log_s - x
    constant = np.log(2) + nu / 2 * np.log(nu / 2) - gammaln(nu / 2)
    return constant + nu * y - nu / 2 * np.exp(2 * y)


def log_normal(x, mean, sd):
    return -0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi)


def arm_density(cv, nu, m, omega):
    """Density of a sample CV, and E[σ²] times it, given x ~ N(m, ω²), for an array of m."""
    step = X[1] - X[0]
    joint = np.exp(log_normal(X, m[:, None], omega) + log_chi(np.log(cv), X, nu))
    return joint.sum(axis=1) * step, (joint * np.exp(2 * X)).sum(axis=1) * step


def log_marginal(cv, nu, study, mu, omega, tau):
    """Ln density of all sample CVs of one pool, study effects and CVs summed over grids."""
    effect = np.linspace(-7, 7, 561) * tau
    step = effect[1] - effect[0]
    total = 0.0
    for name in np.unique(study):
        each = [arm_density(cv[i], nu[i], mu + effect, omega)[0] for i in np.flatnonzero(study == name)]
        total += np.log((np.exp(log_normal(effect, 0.0, tau)) * np.prod(each, axis=0)).sum() * step)
    return total


def posterior(cv, nu, study, location, spread, tau_scale, omega_scale, silent_study):
    """Posterior means of μ, ω, τ, and mean squares of the CVs of all arms and of a silent arm of one study."""
    mus = location + spread * np.linspace(-3.5, 3.5, 21)
    omegas, taus = omega_scale * np.linspace(0.05, 3.25, 17), tau_scale * np.linspace(0.05, 3.25, 17)
    grid = np.linspace(-6.5, 2.5, 451)  # of m = μ + effect
    step = grid[1] - grid[0]
    weight = np.zeros((len(mus), len(omegas), len(taus)))
    squares = np.zeros((len(cv) + 1, *weight.shape))
    for j, omega in enumerate(omegas):
        found = [arm_density(c, n, grid, omega) for c, n in zip(cv, nu, strict=True)]
        for k, tau in enumerate(taus):
            for i, mu in enumerate(mus):
                prior = np.exp(log_normal(grid, mu, tau)) * step
                prior = prior / prior.sum()  # of narrow ones the grid sees few points
                total, parts = 1.0, {}
                for name in np.unique(study):
                    rows = np.flatnonzero(study == name)
                    product = prior * np.prod([found[r][0] for r in rows], axis=0)
                    mass = product.sum()
                    total *= mass
                    for r in rows:
                        parts[r] = (product * found[r][1] / np.maximum(found[r][0], 1e-300)).sum() / mass
                    if name == silent_study:
                        parts[len(cv)] = (product * np.exp(2 * grid + 2 * omega**2)).sum() / mass
                lp = (
                    -0.5 * ((mu - location) / spread) ** 2
                    - 0.5 * (omega / omega_scale) ** 2
                    - 0.5 * (tau / tau_scale) ** 2
                )
                weight[i, j, k] = total * np.exp(lp)
                for r, value in parts.items():
                    squares[r, i, j, k] = value
    weight /= weight.sum()
    means = [(weight * axis).sum() for axis in np.meshgrid(mus, omegas, taus, indexing="ij")]
    return np.array(means), (weight * squares).sum(axis=(1, 2, 3))
