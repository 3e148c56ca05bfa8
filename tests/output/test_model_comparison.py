"""Two models on identical rows: sums and errors of made-up densities, and what is refused."""

import fakes
import numpy as np
import pytest
import xarray as xr
from two_pool_fakes import fake_two_pools

import mcpbayes as mb
from mcpbayes.errors import StageError
from mcpbayes.estimands.tree import with_groups
from mcpbayes.output.model_comparison import TOTAL


def densities(elpd, *, mcse=0.01, attempt=0, reason=""):
    size = len(elpd)
    return xr.Dataset(
        {
            "elpd": ("left_out", np.asarray(elpd, float)),
            "elpd_mcse": ("left_out", np.full(size, mcse)),
            "n_comparisons": ("left_out", np.full(size, 4)),
            "pareto_k": ("left_out", np.linspace(0.1, 0.5, size)),
            "attempt": ("left_out", np.full(size, attempt)),
            "passed": ("left_out", np.r_[np.ones(size - 1, int), int(not reason)]),
            "reason": ("left_out", np.array([*[""] * (size - 1), reason], dtype=object)),
        },
        {"left_out": [f"S{i + 1}" for i in range(size)]},
    )


ELPD = {"two-pool": [3.0, 2.5, -1.0, 4.0, 2.0], "static": [2.0, 2.7, -2.5, 4.1, 1.0]}


def results(change=lambda data: data, **given):
    two = with_groups(fake_two_pools(draws=20), {"influence": densities(ELPD["two-pool"], attempt=1)})
    static = fakes.fake_result(kinds=("treatment",), draws=20)
    data = change(static["data"].to_dataset())
    static = with_groups(static, {"data": data, "influence": densities(ELPD["static"], mcse=0.03, **given)})
    return {"two-pool": two, "static": static}


def test_differences_add_up_and_their_error_is_that_over_studies():
    table = mb.compare_models(results()).set_index("left_out")
    difference = np.subtract(ELPD["two-pool"], ELPD["static"])
    np.testing.assert_allclose(table["difference"], [*difference, difference.sum()])
    total = table.loc[TOTAL]
    assert total["difference_se"] == pytest.approx(np.sqrt(5) * difference.std(ddof=1))
    assert table["difference_se"].notna().sum() == 1
    assert total["difference_mcse"] == pytest.approx(np.sqrt(5 * (0.01**2 + 0.03**2)))
    assert total["elpd[two-pool]"] == pytest.approx(sum(ELPD["two-pool"])) and total["n_comparisons"] == 20
    assert table["how[two-pool]"].tolist() == ["refit"] * 5 + [""]
    assert table["how[static]"].tolist() == ["weights"] * 5 + [""]
    assert total["pareto_k[static]"] == 0.5 and table["passed[static]"].all()


def test_what_cannot_be_relied_on_is_marked_and_what_is_missing_stays_missing():
    given = results(reason="the proposals did not cover")
    table = mb.compare_models(given).set_index("left_out")
    assert not table.loc["S5", "passed[static]"] and not table.loc[TOTAL, "passed[static]"]
    assert table.loc[TOTAL, "passed[two-pool]"]
    assert table.loc["S5", "reason"] == "static: the proposals did not cover" and table.loc["S1", "reason"] == ""
    static = with_groups(given["static"], {"influence": densities([np.nan, *ELPD["static"][1:]])})
    total = mb.compare_models(given | {"static": static}).set_index("left_out").loc[TOTAL]
    assert np.isnan(total["difference"]) and np.isnan(total["elpd[static]"]) and np.isnan(total["difference_se"])
    assert np.isfinite(total["elpd[two-pool]"])


def renamed(data):
    names = data["comparison"].values.copy()
    names[3] = "S1: another"
    return data.assign_coords(comparison=names)


def regrouped(data):
    control = data["control_of_arm"]
    return data.assign(control_of_arm=control.copy(data=control.values[::-1]))


def moved(variable):
    def change(data):
        values = data[variable].values.copy()
        values[2, 0] += 1e-6
        return data.assign({variable: (data[variable].dims, values)})

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, r"Only in 'two-pool': S1: T4 \(of its table: row 5\).*before-after"),
        (moved("log_mean"), r"log means of 'two-pool' and 'static' differ, of S2: control 1\."),
        (moved("sampling_covariance"), r"sampling covariances of .* differ, of S2: .*data.dispersion"),
        (regrouped, "The controls of 'two-pool' and 'static' are not the same"),
        (lambda data: data.assign_attrs(family="contrast-based"), r"'static' \(contrast-based\) has published ratios"),
        (
            lambda data: data.assign_coords(outcome=["fungal_necromass", "soc"]),
            r"outcomes of 'two-pool' \(necromass, soc\) and 'static' \(fungal_necromass, soc\) differ",
        ),
    ],
)  # fmt: skip
def test_other_rows_are_refused(change, message):
    with pytest.raises(StageError, match=message):
        mb.compare_models(results(change))


def test_two_results_with_their_groups_are_needed():
    given = results()
    with pytest.raises(ValueError, match="expected two by name, found 1: static"):
        mb.compare_models({"static": given["static"]})
    with pytest.raises(StageError, match="call result = mcpbayes.leave_one_study_out"):
        mb.compare_models(given | {"two-pool": fake_two_pools(draws=20)})
