"""Fake result trees: the contract's layout with made-up draws, so that later stages are tested without sampling."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import xarray as xr

from mcpbayes import vocabulary as words

OUTCOMES = ["necromass", "soc"]


def fake_data(seed: int = 0, kinds: tuple[str, ...] = ("manure", "straw"), studies: int = 5) -> xr.Dataset:
    """Return an arm-based data group: two controls per study, two comparisons per control."""
    rng = np.random.default_rng(seed)
    study = [f"S{i + 1}" for i in range(studies)]
    control = [f"{s}: control {k}" for s in study for k in (1, 2)]
    comparison = [f"{c.split(':')[0]}: T{2 * (j % 2) + k}" for j, c in enumerate(control) for k in (1, 2)]
    control_of_comparison = np.repeat(control, 2)
    arm = control + comparison
    treated = np.array([False] * len(control) + [True] * len(comparison))
    mean = np.exp(rng.normal(np.log([6.0, 15.0]), 0.3, (len(arm), 2)))
    cv = np.tile([0.20, 0.15], (len(arm), 1))
    v = cv**2 / 3
    covariance = np.zeros((len(arm), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = v.T
    covariance[:, 0, 1] = covariance[:, 1, 0] = 0.5 * np.sqrt(v[:, 0] * v[:, 1])
    study_of = {c: c.split(":")[0] for c in control}
    per_arm = ("arm", "outcome")
    return xr.Dataset(
        {
            "log_mean": (per_arm, np.log(mean) + cv**2 / 6),
            "sampling_covariance": (("arm", "outcome", "outcome_bis"), covariance),
            "mean": (per_arm, mean),
            "cv": (per_arm, cv),
            "n": (per_arm, np.full((len(arm), 2), 3.0)),
            "rho_within": ("arm", np.full(len(arm), 0.5)),
            "source_sd": (per_arm, np.full((len(arm), 2), "imputed", dtype=object)),
            "source_n": (per_arm, np.full((len(arm), 2), "reported", dtype=object)),
            "source_rho": ("arm", np.full(len(arm), "imputed", dtype=object)),
            "treated": ("arm", treated),
            "control_of_arm": ("arm", np.array(control + list(control_of_comparison), dtype=object)),
            "arm_of_comparison": ("comparison", np.array(comparison, dtype=object)),
            "study_of_control": ("control", np.array([study_of[c] for c in control], dtype=object)),
            "site_of_control": ("control", np.array([study_of[c] for c in control], dtype=object)),
            "control_of_comparison": ("comparison", np.array(control_of_comparison, dtype=object)),
            "study_of_comparison": ("comparison", np.array([study_of[c] for c in control_of_comparison], dtype=object)),
            "site_of_comparison": ("comparison", np.array([study_of[c] for c in control_of_comparison], dtype=object)),
            "kind_of_comparison": (
                "comparison",
                np.array([kinds[i % len(kinds)] for i in range(len(comparison))], dtype=object),
            ),
            "treatment": (
                "comparison",
                np.array([kinds[i % len(kinds)] for i in range(len(comparison))], dtype=object),
            ),
            "source_row": ("comparison", np.arange(2, 2 + len(comparison))),
            "design": (("comparison", "coefficient"), np.ones((len(comparison), 1))),
        },
        coords={
            "arm": arm,
            "outcome": OUTCOMES,
            "outcome_bis": OUTCOMES,
            "study": study,
            "site": study,
            "control": control,
            "comparison": comparison,
            "kind": list(kinds),
            "coefficient": ["intercept"],
        },
        attrs={
            "family": words.ARM_BASED,
            "layout": "comparison",
            "source": "fake.csv",
            "source_sha256": "0" * 64,
            "level_kind": "on" if len(kinds) > 1 else "off",
            "level_site": "off",
            "control_rule": f"{len(control)} controls (fake)",
            "problems": "[]",
            "imputed": json.dumps(
                {"sd": {o: len(arm) for o in OUTCOMES}, "n": {o: 0 for o in OUTCOMES}, "rho_within": len(arm)}
            ),
        },
    )


def fake_result(
    seed: int = 0,
    kinds: tuple[str, ...] = ("manure", "straw"),
    studies: int = 5,
    chains: int = 4,
    draws: int = 250,
    specification: str | None = None,
) -> xr.DataTree:
    """Return a result with groups data, posterior and sample_stats; mean effects near (0.3, 0.1)."""
    data = fake_data(seed, kinds, studies)
    rng = np.random.default_rng(seed + 1)
    size = (chains, draws)

    def normal(centre: object, sd: float, *shape: int) -> np.ndarray:
        return rng.normal(centre, sd, (*size, *shape))

    controls, comparisons = data.sizes["control"], data.sizes["comparison"]
    lead = ("chain", "draw")
    variables = {
        "beta": ((*lead, "coefficient", "outcome"), normal([[0.3, 0.1]], 0.05, 1, 2)),
        "tau_study": ((*lead, "outcome"), np.abs(normal([0.15, 0.1], 0.03, 2))),
        "rho_study": ((*lead, "pair"), np.tanh(normal(0.5, 0.2, 1))),
        "tau_comparison": ((*lead, "outcome"), np.abs(normal([0.1, 0.08], 0.02, 2))),
        "rho_comparison": ((*lead, "pair"), np.tanh(normal(0.5, 0.2, 1))),
        "baseline": ((*lead, "control", "outcome"), normal(np.log([6.0, 15.0]), 0.08, controls, 2)),
        "study_effect": ((*lead, "study", "outcome"), normal(rng.normal(0, 0.1, (studies, 2)), 0.05, studies, 2)),
        "comparison_effect": ((*lead, "comparison", "outcome"), normal(0.0, 0.05, comparisons, 2)),
    }
    if len(kinds) > 1:
        variables["kind_effect"] = (
            (*lead, "kind", "outcome"),
            normal(rng.normal(0, 0.05, (len(kinds), 2)), 0.04, len(kinds), 2),
        )
        variables["tau_kind"] = ((*lead, "outcome"), np.abs(normal([0.1, 0.1], 0.04, 2)))
        variables["rho_kind"] = ((*lead, "pair"), np.tanh(normal(0.3, 0.3, 1)))
    names = ("coefficient", "outcome", "control", "study", "comparison", "kind")
    posterior = xr.Dataset(
        variables,
        coords={"chain": range(chains), "draw": range(draws), "pair": ["necromass,soc"]}
        | {n: data[n].values for n in names if n != "kind" or len(kinds) > 1},
    )
    sample_stats = xr.Dataset(
        {"diverging": (lead, np.zeros(size, bool))}, coords={"chain": range(chains), "draw": range(draws)}
    )
    tree = xr.DataTree.from_dict({words.DATA: data, words.POSTERIOR: posterior, words.SAMPLE_STATS: sample_stats})
    if specification is None:
        from mcpbayes.specification.loading import load_model, to_toml

        specification = to_toml(load_model("arm-based"))
    tree.attrs = {
        "schema_version": words.SCHEMA_VERSION,
        "mcpbayes_version": "0.1.0",
        "engine": "nuts",
        "seed": 1,
        "specification": specification,
        "status": "ok",
        "problems": "[]",
    }
    return tree


@contextmanager
def blank_figures() -> Iterator[None]:
    """Write empty figures, for tests of all else: drawing a report's takes seconds, and tests of its own."""
    from mcpbayes.output.plots import gallery, style  # bring Matplotlib

    with pytest.MonkeyPatch.context() as patch:
        for function in words.FIGURE_NAMES.values():
            patch.setattr(gallery, function, lambda result: style.picture(1, 1))
        yield
