"""Random small hierarchies, and the same model as one dense multivariate normal: the brute-force route."""

from dataclasses import dataclass, replace

import numpy as np

from mcpbayes.inference import small_matrices as small
from mcpbayes.inference.hierarchy import Covariances
from mcpbayes.inference.root import CoefficientPrior
from mcpbayes.inference.tree import Hierarchy


def random_spd(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    root = rng.normal(size=(size, size + 1))
    return scale * (root @ root.T) / size + 0.02 * scale * np.eye(size)


def random_tree(
    seed: int,
    outcomes: int = 2,
    studies: int = 3,
    flat: bool = True,
    missing: float = 0.2,
    sites: bool = True,
    moderator: str = "within",
    shared: bool = True,
) -> Hierarchy:
    """Return a random hierarchy; every comparison keeps at least one outcome seen in both of its arms.

    ``moderator``: "within" varies within studies, "study" does not, "both" are two of them, "none" is none.
    ``shared``: contrast-based controls have sampling errors that their rows share; three of ten have none.
    """
    rng = np.random.default_rng(seed)
    study = np.sort(np.concatenate([np.arange(studies), rng.integers(0, studies, studies if sites else 0)]))
    site = np.sort(np.concatenate([np.arange(len(study)), rng.integers(0, len(study), 2)]))
    controls = len(site)
    of_comparison = np.sort(np.concatenate([np.arange(controls), rng.integers(0, controls, controls)]))
    control = np.concatenate([np.arange(controls), of_comparison]) if flat else of_comparison
    arm = np.arange(len(of_comparison)) + (controls if flat else 0)
    observed = rng.random((len(control), outcomes)) > missing
    observed[np.arange(len(control)), control % outcomes] = True
    block = observed[:, :, None] & observed[:, None, :]
    errors = np.array([random_spd(rng, outcomes, 0.01) * (shared and rng.random() > 0.3) for _ in range(controls)])
    within, between = rng.normal(size=len(arm)), rng.normal(size=studies)[study[site[of_comparison]]]
    columns = {"none": [], "within": [within], "study": [between], "both": [between, within]}[moderator]
    return Hierarchy(
        y=np.where(observed, rng.normal(0, 0.5, (len(control), outcomes)), 0.0),
        sampling=np.where(block, [random_spd(rng, outcomes, 0.02) for _ in control], 0.0),
        observed=observed,
        control=control,
        arm=arm,
        site=site,
        study=study,
        design=np.column_stack([np.ones(len(arm)), *columns]),
        kind=rng.integers(0, 2, len(arm)),
        control_covariance=None if flat else errors,
    )


def unknown_rho(tree: Hierarchy, seed: int) -> Hierarchy:
    """Let most arms in which two pools were seen depend on ϱ; some of them were seen in different numbers of plots."""
    rng = np.random.default_rng(seed)
    imputed = tree.observed.all(axis=1) & (rng.random(len(tree.y)) < 0.7)
    sd = np.sqrt(np.einsum("akk->ak", tree.sampling))
    per_rho = np.zeros_like(tree.sampling)
    per_rho[:, 0, 1] = per_rho[:, 1, 0] = sd.prod(axis=1) * rng.choice([1.0, 0.8], len(tree.y)) * imputed
    return replace(tree, sampling=np.where(per_rho != 0, 0.0, tree.sampling), per_rho=per_rho)


PAIRS = {1: 0, 2: 1, 3: 3, 4: 6}


def random_covariances(seed: int, outcomes: int, draws: int = 3, site: bool = True, edge: bool = False) -> Covariances:
    rng = np.random.default_rng(seed)

    def one() -> np.ndarray:
        if edge:
            tau = rng.choice([0.0, 0.3], (draws, outcomes))
            rho = np.full((draws, PAIRS[outcomes]), rng.choice([1.0, 0.999999]))
        else:
            tau = np.abs(rng.normal(0, 0.3, (draws, outcomes)))
            spd = np.array([random_spd(rng, outcomes, 1.0) for _ in range(draws)])
            sd = np.sqrt(np.diagonal(spd, axis1=1, axis2=2))
            i, j = np.triu_indices(outcomes, 1)
            rho = spd[:, i, j] / (sd[:, i] * sd[:, j])
        return small.covariance(tau, rho)

    return Covariances(one(), one(), one() if site else None)


def random_prior(seed: int, outcomes: int, coefficients: int = 2) -> CoefficientPrior:
    """A normal prior of the intercept and, by the seed, a normal, flat or fixed one of the last slope."""
    rng = np.random.default_rng(seed)
    factor = np.linalg.cholesky([random_spd(rng, outcomes, 0.3) for _ in range(coefficients)])
    precision = np.ones(coefficients)
    if coefficients > 1 and seed % 3 == 1:
        factor[-1], precision[-1] = np.eye(outcomes), 0.0
    if coefficients > 1 and seed % 3 == 2:
        factor[-1] = 0.0
    return CoefficientPrior(rng.normal(0, 0.2, (coefficients, outcomes)), factor, precision)


def expand(tree: Hierarchy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return y, observed and sampling covariance of all arms as one vector and matrices, outcome running fastest."""
    size, outcomes = tree.y.shape
    covariance = np.zeros((size * outcomes, size * outcomes))
    for a in range(size):
        covariance[a * outcomes : (a + 1) * outcomes, a * outcomes : (a + 1) * outcomes] = tree.sampling[a]
    return tree.y.ravel(), tree.observed.ravel(), covariance


def membership(index: np.ndarray, size: int, outcomes: int) -> np.ndarray:
    return np.kron(np.eye(size)[index], np.eye(outcomes))


def dense_log_marginal(
    tree: Hierarchy, covariances: Covariances, prior: CoefficientPrior, kind: np.ndarray | None, draw: int
) -> float:
    """Log density with B and κ integrated out: by their covariance, or as flat columns."""
    outcomes = tree.y.shape[1]
    design = np.kron(np.eye(1), np.einsum("cp,kl->ckpl", tree.design, np.eye(outcomes)))
    columns = design.reshape(len(tree.arm), outcomes, -1)
    prior_covariance = np.zeros((columns.shape[2], columns.shape[2]))
    flat = np.repeat(prior.precision == 0, outcomes)
    for i, factor in enumerate(prior.factor):
        at = slice(i * outcomes, (i + 1) * outcomes)
        prior_covariance[at, at] = factor @ factor.T * prior.precision[i]
    extra = np.zeros((*tree.y.shape, columns.shape[2]))
    extra[tree.arm] = columns
    wide = extra.reshape(-1, columns.shape[2])
    added = wide[:, ~flat] @ prior_covariance[np.ix_(~flat, ~flat)] @ wide[:, ~flat].T
    if kind is not None:
        kinds = tree.kind.max() + 1
        of_kind = np.zeros((*tree.y.shape, kinds * outcomes))
        of_kind[tree.arm] = membership(tree.kind, kinds, outcomes).reshape(len(tree.arm), outcomes, -1)
        of_kind = of_kind.reshape(-1, kinds * outcomes)
        added += of_kind @ np.kron(np.eye(kinds), kind[..., draw]) @ of_kind.T
    mean = np.repeat((tree.design @ prior.mean)[..., None], draw + 1, axis=2)
    return dense_log_likelihood(tree, covariances, mean, draw, added, wide[:, flat])


def dense_log_likelihood(
    tree: Hierarchy,
    covariances: Covariances,
    mean: np.ndarray,
    draw: int,
    added: np.ndarray | float = 0.0,
    flat: np.ndarray | None = None,
) -> float:
    """Log density of the within-control contrasts from the dense covariance of all arms; ``flat`` columns free."""
    y, seen, covariance = expand(tree)
    outcomes = tree.y.shape[1]
    treated = tree.treated
    controls, sites, studies = len(tree.site), len(tree.study), tree.study.max() + 1
    to_control = membership(tree.control, controls, outcomes)
    effect = treated.repeat(outcomes)[:, None]
    to_site = effect * membership(tree.site[tree.control], sites, outcomes)
    to_study = effect * membership(tree.study[tree.site[tree.control]], studies, outcomes)
    one_each = np.diag(treated.astype(float))
    covariance = covariance + np.kron(one_each, covariances.comparison[..., draw])
    covariance += to_study @ np.kron(np.eye(studies), covariances.study[..., draw]) @ to_study.T
    if covariances.site is not None:
        covariance += to_site @ np.kron(np.eye(sites), covariances.site[..., draw]) @ to_site.T
    y = y.copy()
    full_mean = np.zeros(tree.y.shape)
    full_mean[tree.arm] = mean[..., draw]
    residual = (y - full_mean.ravel())[seen]
    log_baselines = 0.0
    if tree.control_covariance is not None:
        for g, shared in enumerate(tree.control_covariance):
            part = to_control[:, g * outcomes : (g + 1) * outcomes]
            covariance += part @ shared @ part.T
    covariance = (covariance + added)[np.ix_(seen, seen)]
    precision = np.linalg.inv(covariance)
    columns = np.zeros((len(y), 0)) if flat is None else flat
    if tree.control_covariance is None:
        columns = np.column_stack([columns, to_control])
    columns = columns[seen]
    columns = columns[:, columns.any(axis=0)]
    if columns.shape[1]:
        normal = columns.T @ precision @ columns
        score = columns.T @ precision @ residual
        log_baselines = 0.5 * (
            len(normal) * np.log(2 * np.pi) - np.linalg.slogdet(normal)[1] + score @ np.linalg.solve(normal, score)
        )
    quadratic = residual @ precision @ residual
    return float(-0.5 * (seen.sum() * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + quadratic) + log_baselines)


@dataclass(frozen=True)
class Dense:
    """Mean and covariance of all unknowns of one draw, and where each name's unknowns stand.

    Names: "root" (coefficients, then kinds; only with a prior), "study", "site" (where on), "baseline", "comparison".
    """

    at: dict[str, slice]
    mean: np.ndarray
    covariance: np.ndarray


def dense_conditional(
    tree: Hierarchy,
    covariances: Covariances,
    draw: int,
    mean: np.ndarray,
    prior: CoefficientPrior | None = None,
    kind: np.ndarray | None = None,
) -> Dense:
    """Condition all unknowns on the data by one dense covariance; ``mean`` (comparison, K) is B'x + κ where known.

    Flat unknowns (baselines, flat coefficients) by generalised least squares; NaN where nothing was seen of them.
    """
    y, seen, sampling = expand(tree)
    outcomes = tree.y.shape[1]
    controls, sites, studies = len(tree.site), len(tree.study), tree.study.max() + 1
    effect = tree.treated.repeat(outcomes)[:, None]
    pieces = {}
    if prior is not None:
        x = np.zeros((len(tree.y), tree.design.shape[1] + (0 if kind is None else tree.kind.max() + 1)))
        x[tree.arm, : tree.design.shape[1]] = tree.design
        if kind is not None:
            x[tree.arm, tree.design.shape[1] + tree.kind] = 1.0
        covariance = [f @ f.T if p else np.full((outcomes, outcomes), np.nan)
                      for f, p in zip(prior.factor, prior.precision, strict=True)]  # fmt: skip
        covariance += [kind[..., draw]] * (x.shape[1] - len(covariance)) if kind is not None else []
        pieces["root"] = np.kron(x, np.eye(outcomes)), covariance
    pieces["study"] = (
        effect * membership(tree.study[tree.site[tree.control]], studies, outcomes),
        [covariances.study[..., draw]] * studies,
    )
    if covariances.site is not None:
        to_site = effect * membership(tree.site[tree.control], sites, outcomes)
        pieces["site"] = to_site, [covariances.site[..., draw]] * sites
    flat = np.full((outcomes, outcomes), np.nan)
    shared = [flat] * controls if tree.control_covariance is None else list(tree.control_covariance)
    pieces["baseline"] = membership(tree.control, controls, outcomes), shared
    own = np.zeros((len(y), len(tree.arm) * outcomes))
    own[(tree.arm[:, None] * outcomes + np.arange(outcomes)).ravel(), np.arange(own.shape[1])] = 1.0
    pieces["comparison"] = own, [covariances.comparison[..., draw]] * len(tree.arm)

    at, start = {}, 0
    for name, (columns, _) in pieces.items():
        at[name] = slice(start, start + columns.shape[1])
        start += columns.shape[1]
    columns = np.column_stack([columns for columns, _ in pieces.values()])[seen]
    before = block_diagonal([part for _, parts in pieces.values() for part in parts])
    centre = np.zeros(start)
    full_mean = np.zeros(tree.y.shape)
    full_mean[tree.arm] = mean
    if prior is not None:
        centre[: prior.mean.size] = prior.mean.ravel()
    free = np.isnan(np.diag(before))
    proper = np.nan_to_num(before)
    residual = (y - full_mean.ravel())[seen] - columns @ centre
    marginal = columns @ proper @ columns.T + sampling[np.ix_(seen, seen)]
    gain = np.linalg.solve(marginal, columns @ proper).T
    wide = columns[:, free]
    known = wide.any(axis=0)
    wide = wide[:, known]
    found = np.linalg.inv(wide.T @ np.linalg.solve(marginal, wide)) if known.any() else np.zeros((0, 0))
    fitted = found @ wide.T @ np.linalg.solve(marginal, residual)
    pull = -gain @ wide
    pull[np.flatnonzero(free)[known]] = np.eye(known.sum())
    mean_after = centre + gain @ residual + pull @ fitted
    covariance_after = proper - gain @ columns @ proper + pull @ found @ pull.T
    mean_after[np.flatnonzero(free)[~known]] = np.nan
    return Dense(at, mean_after, covariance_after)


def block_diagonal(parts: list[np.ndarray]) -> np.ndarray:
    size = sum(len(part) for part in parts)
    whole, start = np.zeros((size, size)), 0
    for part in parts:
        whole[start : start + len(part), start : start + len(part)] = part
        start += len(part)
    return whole
