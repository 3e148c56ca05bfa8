"""Studies left out of the two-pool model: against brute force, and which of two routes is taken."""

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit, logsumexp
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes.errors import StageError
from mcpbayes.estimands.tree import with_groups
from mcpbayes.evidence import two_pool_left_out
from mcpbayes.evidence.two_pool_left_out import REFITTED, by_refit, by_weights, shortcoming, weighted_log_mean
from mcpbayes.inference.refits import REWEIGHTED
from mcpbayes.inference.tree import build_hierarchy
from mcpbayes.inference.two_pool_integral import INNER
from mcpbayes.inference.two_pool_simulation import simulate_two_pools
from mcpbayes.inference.two_pools import log_pool_change, log_soc_change
from mcpbayes.monte_carlo.limits import PARETO_K_LIMIT
from mcpbayes.specification.loading import load_model, to_toml
from mcpbayes.tables.arms import prepare

#: Known but for the typical changes and the typical ratio.
TAU, RATE, SIGMA_R = np.array([[0.15, 0.10], [0.10, 0.08]]), np.array([0.05, 0.03]), 0.3
SIZE, KEPT = 400_000, 4000

#: Of k̂, so that some of the fakes' studies are left out by weights and some by another fit.
LIMIT = 0.36


@pytest.fixture(scope="module")
def arms():
    """Three studies of one comparison each, imprecise, so that draws from the prior suffice as a second route."""
    model = load_model("two-pool", settings={"priors.mu_r.mean": -0.4, "priors.mu_r.sd": 0.2, "priors.sigma_r.sd": 0.2})
    table, _ = simulate_two_pools(model, studies=3, seed=8, change=(0.5, -0.2))
    table = table.drop_duplicates("study")
    data = prepare(table, load_model("two-pool", settings=["data.dispersion.sd_model=reported"]))
    return data.assign(sampling_covariance=10 * data["sampling_covariance"])


@pytest.fixture(scope="module")
def prior(arms):
    """400 000 draws of everything, seed 7, and of every study ln p(all arms) and ln p(contrasts)."""
    rng = np.random.default_rng(7)
    beta = [0.3, 0.0] + 0.25 * rng.standard_normal((SIZE, 2))
    mu = -0.4 + 0.3 * rng.standard_normal(SIZE)
    u, w = (tau * rng.standard_normal((SIZE, 3, 2)) for tau in TAU)
    ratio = expit(mu[:, None] + SIGMA_R * rng.standard_normal((SIZE, 3)))
    years = arms["duration_years"].values
    pools = log_pool_change(beta[:, None] + u, RATE, years[:, None]) + w
    effect = np.stack([pools[..., 0], log_soc_change(pools[..., 0], pools[..., 1], ratio)], axis=-1)
    tree = build_hierarchy(arms)
    everything, contrasts = np.empty((3, SIZE)), np.empty((3, SIZE))
    for study in range(3):
        (control,) = np.flatnonzero(tree.site == study)
        treated = tree.arm[study]
        (own,) = np.flatnonzero((tree.control == control) & ~tree.treated)
        v = tree.sampling[treated] + tree.sampling[own]
        rest = tree.y[treated] - tree.y[own] - effect[:, study]
        contrasts[study] = log_normal(rest, v)
        # ln SOC is flat: the three contrasts with it are ln r₀ of the control and both effects.
        to_three = np.array([[1.0, -1, 0, 0], [-1, 0, 1, 0], [0, -1, 0, 1]])
        joint = np.zeros((4, 4))
        joint[:2, :2], joint[2:, 2:] = tree.sampling[own], tree.sampling[treated]
        seen = to_three @ np.concatenate([tree.y[own], tree.y[treated]])
        three = np.column_stack([np.log(ratio[:, study]), effect[:, study]])
        everything[study] = log_normal(seen - three, to_three @ joint @ to_three.T)
    return {"beta": beta, "mu": mu, "u": u, "w": w, "ratio": ratio, "arms": everything, "contrasts": contrasts}


def log_normal(rest, v):
    squares = np.einsum("di,ij,dj->d", rest, np.linalg.inv(v), rest)
    return -0.5 * (squares + np.linalg.slogdet(2 * np.pi * v)[1])


def posterior_of(arms, prior, log_weight):
    """Draws chosen from those of the prior by weight, in the layout of a fit."""
    rng = np.random.default_rng(9)
    chosen = rng.choice(SIZE, KEPT, p=np.exp(log_weight - logsumexp(log_weight)))
    lead, shape = ("chain", "draw"), (4, KEPT // 4)

    def rows(values):
        return values[chosen].reshape(*shape, *values.shape[1:])

    def constant(values):
        return np.broadcast_to(values, (*shape, *np.shape(values)))

    variables = {
        "beta": ((*lead, "coefficient", "pool"), rows(prior["beta"])[:, :, None]),
        "turnover_rate": ((*lead, "pool"), constant(RATE)),
        "mu_r": (lead, rows(prior["mu"])),
        "sigma_r": (lead, constant(SIGMA_R)),
        "mcp_efficacy_control": ((*lead, "control"), rows(prior["ratio"])),
    }
    for level, tau, effects in (("study", TAU[0], "u"), ("comparison", TAU[1], "w")):
        variables[f"tau_{level}"] = ((*lead, "pool"), constant(tau))
        variables[f"rho_{level}"] = ((*lead, "pair"), constant(np.zeros(1)))
        variables[f"{level}_effect"] = ((*lead, level, "pool"), rows(prior[effects]))
    return xr.Dataset(variables, {name: arms[name].values for name in ("study", "comparison", "control")})


@pytest.mark.parametrize("study", [0, 1, 2])
def test_both_routes_agree_with_brute_force(arms, prior, study):
    """elpd_s = ln of the mean of p(c_s | everything) over draws of the prior weighed by the other studies."""
    tree = build_hierarchy(arms)
    others = prior["arms"].sum(axis=0) - prior["arms"][study]
    weight = np.exp(others - logsumexp(others))
    truth = logsumexp(others + prior["contrasts"][study]) - logsumexp(others)
    error = np.sqrt(np.sum(weight**2 * np.expm1(prior["contrasts"][study] - truth) ** 2))
    assert error < 0.05
    weighed = by_weights(arms, tree, posterior_of(arms, prior, prior["arms"].sum(axis=0)), study, seed=1)
    assert weighed.pareto_k < 0.7 and weighed.attempt == REWEIGHTED and 0 < weighed.elpd_mcse < 0.1
    assert abs(weighed.elpd - truth) < 4 * np.hypot(error, weighed.elpd_mcse)
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, KEPT // 4), bool))})
    again = by_refit(arms, tree, posterior_of(arms, prior, others), stats, study, 1, weighed)
    # k̂ is that of the densities of its own draws, not of the weights that were given up.
    assert again.attempt == REFITTED and again.pareto_k < 0.7 and again.pareto_k != weighed.pareto_k
    assert abs(again.elpd - truth) < 4 * np.hypot(error, again.elpd_mcse)


def test_weighted_mean_and_its_error():
    """Weights and values of independent draws, 4 × 1000, seed 2: the error is that of a ratio of means."""
    rng = np.random.default_rng(2)
    log_weight, values = rng.normal(0, 0.5, 4000) - 300, rng.normal(0, 0.7, 4000) + 900
    found, mcse = weighted_log_mean(log_weight, values, 4)
    w, p = np.exp(log_weight + 300), np.exp(values - 900)
    mean = (w * p).sum() / w.sum()
    assert found == pytest.approx(np.log(mean) + 900)
    error = np.sqrt(np.sum((w / w.sum()) ** 2 * (p - mean) ** 2)) / mean
    assert mcse == pytest.approx(error, rel=0.1)
    assert weighted_log_mean(np.zeros(4000), values, 4)[0] == pytest.approx(logsumexp(values) - np.log(4000))


@pytest.fixture(scope="module")
def left_out():
    """Made-up draws, among which k̂ of S5 is largest, of S1 least; with a limit between them some are fitted again."""
    result = fake_two_pools()
    asked = []

    def pretended(data, model):
        def sample(study, seed):
            asked.append((data["study"].values[study], seed))
            other = fake_two_pools()
            return other["posterior"].to_dataset(), other["sample_stats"].to_dataset()

        return sample

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mcpbayes.inference.nuts.two_pools_without", pretended)
        patch.setattr(two_pool_left_out, "PARETO_K_LIMIT", LIMIT)
        said = []
        found = mb.leave_one_study_out(result, report=said.append)
    return found, asked, said


def test_where_weights_cannot_be_trusted_the_model_is_fitted_again(left_out):
    result, asked, said = left_out
    found = result["influence"].to_dataset()
    again = found["attempt"].values == REFITTED
    assert 0 < again.sum() < 5
    data, posterior = result["data"].to_dataset(), result["posterior"].to_dataset()
    tree, seed = build_hierarchy(data), int(result.attrs["seed"])
    weighed = np.array([by_weights(data, tree, posterior, study, seed).pareto_k for study in range(5)])
    assert ((weighed >= LIMIT) == again).all() and (found["pareto_k"].values[~again] == weighed[~again]).all()
    assert [name for name, _ in asked] == found["left_out"].values[again].tolist()
    assert len({seed for _, seed in asked}) == len(asked)
    assert "5 studies" in said[0] and f"{len(asked)} of 5 studies" in said[1]
    assert ((found["passed"].values == 1) == (~again | (found["pareto_k"].values < LIMIT))).all()
    assert np.isfinite(found["elpd"]).all()
    assert found["n_comparisons"].values.tolist() == [4] * 5


def test_the_group_is_kept_in_files_and_shown_as_a_table(left_out, tmp_path):
    result, *_ = left_out
    mb.save(result, tmp_path / "result.nc")
    loaded = mb.load(tmp_path / "result.nc")
    assert loaded["influence"].to_dataset().identical(result["influence"].to_dataset())
    table = mb.influence_table(loaded)
    columns = ["left_out", "n_comparisons", "elpd", "elpd_mcse", "passed", "pareto_k", "attempt", "reason"]
    assert table.columns.tolist() == columns and len(table) == 5
    with pytest.raises(StageError, match="call mcpbayes.forecast"):
        mb.plots.influence(loaded)


def test_draws_that_did_not_converge_are_marked(monkeypatch):
    result = fake_two_pools()
    posterior, stats = result["posterior"].to_dataset(), result["sample_stats"].to_dataset()
    assert shortcoming(posterior, stats) == ""
    stuck = posterior.assign(mu_r=posterior["mu_r"] + posterior["chain"])
    broken = stats.assign(diverging=stats["diverging"] | (stats["draw"] < 2))
    said = shortcoming(stuck, broken)
    assert said.startswith("8 divergences, R-hat ") and "ESS" in said
    monkeypatch.setattr(two_pool_left_out, "PARETO_K_LIMIT", np.inf)
    groups = {"posterior": stuck, "sample_stats": broken}
    marked = mb.leave_one_study_out(with_groups(result, groups))["influence"]
    assert not marked["passed"].any()
    assert str(marked["reason"].values[0]) == f"the fit to all studies: {said}"


def test_the_card_says_how_many_draws_and_which_limit():
    card = mb.read_card("two-pool")
    assert f"by {INNER} draws each" in card
    assert f"where k̂ of these weights is {PARETO_K_LIMIT} or more" in card


def test_arms_prepared_for_one_model_and_fitted_by_another_are_refused():
    static = with_groups(fake_two_pools(draws=20), {}, specification=to_toml(load_model("arm-based")))
    with pytest.raises(StageError, match="prepared for the two-pool model, and the arm-based model was fitted"):
        mb.leave_one_study_out(static)


def test_studies_of_a_result_pooled_over_worlds_are_not_left_out():
    """A draw of another world was made of other data than the study's own."""
    result = fake_two_pools()
    posterior = result["posterior"].to_dataset()
    pooled = posterior.assign_coords(world=("chain", np.arange(posterior.sizes["chain"])))
    with pytest.raises(StageError, match=r"pooled over \d+ fits.*sampling.worlds=1"):
        mb.leave_one_study_out(with_groups(result, {"posterior": pooled}))


def test_one_study_cannot_be_left_out():
    result = fake_two_pools(draws=20)
    data = result["data"].to_dataset()
    one = data.isel(study=[0])
    with pytest.raises(StageError, match="There is one study only"):
        mb.leave_one_study_out(result.assign({"data": xr.DataTree(one)}))
