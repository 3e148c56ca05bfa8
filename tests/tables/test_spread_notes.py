"""Spreads that look like something else, judged on simulated tables: found where they are, rare where they are not."""

import numpy as np
import pandas as pd
from made_tables import checks_of, comparison_table, found, spoilt

from mcpbayes.inference.simulation import simulate
from mcpbayes.specification.loading import load_model
from mcpbayes.tables.opening import open_table
from mcpbayes.tables.reading import as_table
from mcpbayes.tables.spread_notes import constant_cvs, dispersion_notes, sds_like_ses

MEANS = [f"{pool}_{role}" for pool in ("necromass", "soc") for role in ("control", "treatment")]


def noisy(studies: int, seed: int, decimals: int | None = None) -> pd.DataFrame:
    """Simulated table whose SDs are those of n plots, SD²(n - 1)/σ² being chi-square; a control has one SD."""
    table, _ = simulate(studies=studies, seed=seed)
    rng = np.random.default_rng([seed, 1])
    for mean in MEANS:
        n = table[f"n_{mean.partition('_')[2]}"]
        noise = pd.Series(np.sqrt(rng.chisquare(n - 1) / (n - 1)), table.index)
        if mean.endswith("control"):
            noise = noise.groupby([table["study"], table["control_id"]]).transform("first")
        table[f"{mean}_sd"] *= noise
        if decimals is not None:
            table[[mean, f"{mean}_sd"]] = table[[mean, f"{mean}_sd"]].round(decimals)
    return table


def notes_of(table: pd.DataFrame) -> dict[str, object]:
    model = load_model()
    opened, _ = open_table(as_table(table), model)
    return {problem.check: problem for problem in dispersion_notes(opened, model.data)}


def cells(seed: int, studies: int = 30, spread: float = 0.3, like_se: int | None = None) -> pd.DataFrame:
    """Simulated SDs of 2 to 7 arms and two pools per study, n = 3 to 10, CVs that differ between studies."""
    rng = np.random.default_rng(seed)
    study = np.repeat(np.arange(studies), rng.integers(2, 8, studies))
    n = rng.integers(3, 11, studies)[study]
    parts = []
    for pool, typical in (("necromass", 0.2), ("soc", 0.15)):
        cv = typical * np.exp(rng.normal(0, spread, studies))[study] * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        cv = np.where(study == like_se, cv / np.sqrt(n), cv)
        own = {"row": np.arange(len(n)), "study": np.char.add("S", study.astype(str)), "pool": pool, "column": "sd"}
        parts.append(pd.DataFrame(own | {"mean": 1.0, "sd": cv, "cv": cv, "n": n, "rounding": 1e-4}))
    return pd.concat(parts, ignore_index=True)


def test_false_alarms_are_rare_and_ses_of_one_study_are_often_named():
    """100 simulated tables of 30 studies, seeds 0 to 99: at most 8 alarms without a reason."""
    alarms = sum(bool(sds_like_ses(cells(seed))) for seed in range(100))
    assert alarms <= 8
    assert not any(constant_cvs(cells(seed)) for seed in range(20))
    spoilt_tables = [sds_like_ses(cells(seed, like_se=0)) for seed in range(100)]
    named = sum(any("S0 (" in problem.value for problem in problems) for problems in spoilt_tables)
    assert named >= 20  # n = 3 to 10 plots: SEs are 0.3 to 0.6 of SDs, and SDs of few plots vary as much


def test_simulated_tables_that_are_read_are_not_suspected():
    """Simulated tables of 30 studies, seeds 1 to 4, as written and rounded to two, one and no decimals."""
    for seed, decimals in ((1, None), (2, 2), (3, 1), (4, 0)):
        assert "constant-cv" not in notes_of(noisy(30, seed, decimals))


def test_ses_of_one_study_are_named_with_its_rows():
    table = noisy(30, 1)
    study = table["study"].value_counts().index[0]
    rows = tuple(table.index[table["study"] == study] + 2)
    table.loc[table["study"] == study, [f"{mean}_sd" for mean in MEANS]] /= 4.0  # as of 16 plots
    problem = notes_of(table)["sd-may-be-se"]
    assert study in problem.value and "the others: " in problem.value
    assert set(rows) <= set(problem.rows)
    assert problem.column == ", ".join(f"{mean}_sd" for mean in MEANS)


def test_sds_below_what_fields_vary_are_named_by_study():
    table = noisy(10, 2)
    small = table["study"] == table["study"].value_counts().index[0]
    for mean in MEANS:
        table.loc[small, f"{mean}_sd"] = 0.02 * table[mean] * np.linspace(0.9, 1.1, len(table))
    problem = notes_of(table)["sd-may-be-se"]
    assert problem.rows == tuple(table.index[small] + 2)
    assert "below 3 % of their mean" in problem.message and "in 1 study" in problem.message


def test_one_cv_in_many_rows_is_found_among_measured_ones():
    """Of a simulated table, four fifths of the studies get SDs of a tenth of the mean, rounded to three decimals."""
    table = noisy(50, 3, decimals=3)
    studies = table["study"].unique()
    assumed = table["study"].isin(studies[:40])
    for mean in MEANS[2:]:
        table.loc[assumed, f"{mean}_sd"] = (0.1 * table[mean]).round(3)
    problem = notes_of(table)["constant-cv"]
    assert problem.message.startswith(f"{2 * assumed.sum()} of {2 * len(table)} SDs of soc are 0.1 times their mean")
    assert "in 40 studies" in problem.message
    assert problem.rows == tuple(table.index[assumed] + 2)
    assert problem.column == "soc_control_sd, soc_treatment_sd"


def test_a_study_that_has_one_cv_of_its_own_is_no_pattern():
    table, _ = simulate(studies=20, seed=5)  # one CV per study and pool, and no noise
    assert "constant-cv" not in notes_of(table)


def test_one_cv_throughout_is_named_in_tables_of_any_size():
    for studies in (1, 4):
        table = comparison_table(studies=studies)
        for mean in MEANS:
            table[f"{mean}_sd"] = 0.1 * table[mean]
        assert "constant-cv" in checks_of(table)
        assert "sd-may-be-se" not in checks_of(table)


def test_a_constant_cv_may_be_given_as_cv():
    table = comparison_table(studies=5).drop(columns=[f"{mean}_sd" for mean in MEANS])
    table = table.assign(**{f"{mean}_cv": 0.15 for mean in MEANS})
    assert found(table, "constant-cv", data__outcomes=["soc"]).message.startswith("all 20 SDs of soc are 0.15 times")
    odd_one = found(spoilt(table, 2, soc_control_cv=0.11), "constant-cv", data__outcomes=["soc"])
    assert odd_one.message.startswith("19 of 20 SDs of soc are 0.15 times")
