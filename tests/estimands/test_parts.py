"""Fungal and bacterial necromass as pools of their own: what each contributes to ΔMCP."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_parts import part_result, part_table, sugar_table

import mcpbayes as mb
from mcpbayes.errors import SpecificationError
from mcpbayes.estimands.change import delta_mcp
from mcpbayes.estimands.parts import part_changes

SIZE = st.floats(0.001, 1)
THETA = st.floats(-2, 2)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(fungal=SIZE, bacterial=SIZE, theta=st.tuples(THETA, THETA, THETA))
def test_the_parts_add_up_to_the_change_of_the_ratio_of_their_sum(fungal, bacterial, theta) -> None:
    before, after = np.array([fungal, bacterial]), np.array([fungal, bacterial]) * np.exp(theta[:2])
    found = part_changes(before.reshape(1, 2, 1), np.subtract(theta[:2], theta[2]).reshape(1, 2, 1))
    r0, treated = before.sum(), after.sum() / np.exp(theta[2])
    assert found.change.item() == pytest.approx(treated - r0, rel=1e-9, abs=1e-12)
    assert found.of_part[0, 0] + found.of_part[0, 1] == found.change[0]
    assert found.log_change.item() == pytest.approx(np.log(after.sum() / before.sum()) - theta[2], abs=1e-9)


def test_one_part_that_moves_like_soc_contributes_nothing() -> None:
    found = part_changes(np.array([[[0.3], [0.2]]]), np.array([[[0.0], [0.4]]]))
    assert found.of_part[0, :, 0] == pytest.approx([0.0, 0.2 * np.expm1(0.4)])


@pytest.fixture(scope="module")
def tree():
    return part_result()


@pytest.fixture(scope="module")
def change(tree):
    return delta_mcp(tree)["delta_mcp"].to_dataset()


def by_hand(tree, r0, theta):
    """Δr_F, Δr_B from r₀ of both parts and effects by pool, by the definition: ratio after less ratio before."""
    soc = np.exp(theta[2])
    return [before * np.exp(own) / soc - before for before, own in zip(r0, theta, strict=False)]


def ratios(tree, how, controls):
    """r₀ of both parts from the stored baselines, over some controls."""
    b = tree["posterior"]["baseline"].sel(control=controls)
    logs = [b.sel(outcome=part) - b.sel(outcome="soc") for part in ("fungal_necromass", "bacterial_necromass")]
    if how == "geometric":
        return [np.exp(one.mean("control")).values for one in logs]
    return [np.exp(one).mean("control").values for one in logs]


@pytest.mark.parametrize(
    ("target", "how", "controls"),
    [
        ("comparison: S2: straw", "geometric", ["S2: control 1"]),
        ("study: S3", "geometric", ["S3: control 1"]),
        ("mean: kind=manure", "arithmetic", [f"S{i}: control 1" for i in (1, 2, 3, 4)]),
    ],
)
def test_every_level_equals_the_definition_on_the_stored_draws(tree, change, target, how, controls) -> None:
    one = change.sel(target=target)
    theta = one["effect"].transpose("outcome", "chain", "draw").values
    before = ratios(tree, how, controls)
    fungal, bacterial = by_hand(tree, before, theta)
    of_part = one["delta_mcp_part"].transpose("part", "chain", "draw").values
    np.testing.assert_allclose(of_part, [fungal, bacterial], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one["delta_mcp"], fungal + bacterial, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(one["mcp_efficacy_control"], sum(before), rtol=1e-13)
    after = sum(b * np.exp(t - theta[2]) for b, t in zip(before, theta, strict=False))
    np.testing.assert_allclose(one["mcp_efficacy_treatment"], after, rtol=1e-12)
    np.testing.assert_allclose(one["log_delta_mcp"], np.log(after / sum(before)), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(one["necromass_effect"], np.log(after / sum(before)) + theta[2], rtol=1e-9, atol=1e-14)


def test_at_level_new_both_parts_come_from_one_control_per_draw(tree, change) -> None:
    one = change.sel(target="new: kind=straw")
    b = tree["posterior"]["baseline"]
    total = sum(np.exp(b.sel(outcome=p) - b.sel(outcome="soc")) for p in ("fungal_necromass", "bacterial_necromass"))
    hits = np.isclose(
        one["mcp_efficacy_control"].values[..., None], total.transpose("chain", "draw", "control"), rtol=1e-12
    )
    assert (hits.sum(axis=-1) == 1).all()


def test_the_identity_holds_in_every_draw_of_every_target_to_the_last_bit(change) -> None:
    of_part = change["delta_mcp_part"]
    assert change["part"].values.tolist() == ["fungal_necromass", "bacterial_necromass"]
    assert (change["delta_mcp"] == of_part.isel(part=0) + of_part.isel(part=1)).all()
    control = change["mcp_efficacy_control_part"]
    assert (change["mcp_efficacy_control"] == control.isel(part=0) + control.isel(part=1)).all()


def test_the_summary_has_the_parts_and_the_sum(tree) -> None:
    table = mb.summarise(delta_mcp(tree))
    before = ratios(tree, "arithmetic", [f"S{i}: control 1" for i in (1, 2, 3, 4)])
    means = table[(table["level"] == "mean") & (table["name"] == "kind=straw")].set_index("quantity")["mean"]
    assert list(means.index) == [
        *(f"effect[{pool}]" for pool in ("fungal_necromass", "bacterial_necromass", "soc")),
        *("log_delta_mcp", "delta_mcp", "mcp_efficacy_control", "mcp_efficacy_treatment"),
        *("delta_mcp[fungal_necromass]", "delta_mcp[bacterial_necromass]"),
        *("mcp_efficacy_control[fungal_necromass]", "mcp_efficacy_control[bacterial_necromass]", "effect[necromass]"),
        *(f"average_change[{pool}]" for pool in ("fungal_necromass", "bacterial_necromass", "soc")),
    ]
    both = means["delta_mcp[fungal_necromass]"] + means["delta_mcp[bacterial_necromass]"]
    assert means["delta_mcp"] == pytest.approx(both, rel=1e-12)
    control = [means[f"mcp_efficacy_control[{part}]"] for part in ("fungal_necromass", "bacterial_necromass")]
    assert means["mcp_efficacy_control"] == pytest.approx(sum(control), rel=1e-12)
    assert control == pytest.approx([one.mean() for one in before], rel=1e-12)
    assert means["log_delta_mcp"] + means["effect[soc]"] == pytest.approx(means["effect[necromass]"], rel=1e-12)


def test_a_walk_in_small_pieces_gives_the_same_parts(tree, monkeypatch) -> None:
    found = delta_mcp(tree)
    stored = mb.summarise(found)
    monkeypatch.setattr("mcpbayes.estimands.walk.TARGETS", 2)
    again = mb.summarise(delta_mcp(tree))
    np.testing.assert_array_equal(again["mean"], stored["mean"])


def test_a_control_without_fungal_necromass_has_no_ratio_and_says_why() -> None:
    table = part_table().astype(object)
    table.loc[table["study"] == "S1", ["fungal_necromass_control", "fungal_necromass_control_sd"]] = ""
    found = delta_mcp(part_result(table))
    change = found["delta_mcp"].to_dataset()
    one = change.sel(target="comparison: S1: straw")
    assert str(one["absent"].values) == "the control arm has no fungal_necromass"
    reason = "no control of this study reports fungal and bacterial necromass and SOC"
    assert str(change["absent"].sel(target="study: S1").values) == reason
    for name in ("delta_mcp", "log_delta_mcp", "necromass_effect", "delta_mcp_part", "mcp_efficacy_control_part"):
        assert np.isnan(one[name]).all()
    summary = mb.summarise(found)
    rows = summary[(summary["name"] == "S1: straw")].set_index("quantity")
    assert rows.loc[["log_delta_mcp", "delta_mcp[fungal_necromass]", "effect[necromass]"], "mean"].isna().all()
    assert np.isfinite(rows.loc["effect[bacterial_necromass]", "mean"])
    assert np.isfinite(change.sel(target="mean: kind=straw")["delta_mcp"]).all()


@pytest.mark.parametrize("made", ["reported", "amino sugars"])
def test_a_control_with_faint_fungi_has_no_ratio(made) -> None:
    table = (part_table() if made == "reported" else sugar_table()).astype(object)
    first = table["study"] == "S1"
    if made == "reported":
        table.loc[first, "fungal_necromass_control_sd"] = 1.5 * table.loc[first, "fungal_necromass_control"]
    else:
        table.loc[first, "muramic_acid_control"] = 0.48 * table.loc[first, "glucosamine_control"]
    tree = part_result(table)
    data = tree["data"].to_dataset()
    faint = ~data["treated"].values & (data["control_of_arm"].values == "S1: control 1")
    assert data["log_mean"].values[faint].shape == (1, 3) and np.isnan(data["log_mean"].values[faint, 0]).all()
    change = delta_mcp(tree)["delta_mcp"].to_dataset()
    one = change.sel(target="comparison: S1: straw")
    assert str(one["absent"].values) == "the control arm has no fungal_necromass"
    assert np.isnan(one["mcp_efficacy_control"]).all() and np.isnan(one["delta_mcp_part"]).all()
    before = ratios(tree, "arithmetic", [f"S{i}: control 1" for i in (2, 3, 4)])
    mean = change.sel(target="mean: kind=straw")["mcp_efficacy_control"]
    np.testing.assert_allclose(mean, sum(before), rtol=1e-13)


def test_without_any_complete_control_there_are_effects_only() -> None:
    table = part_table().astype(object)
    half = table["study"].isin(["S1", "S2"])
    table.loc[half, ["fungal_necromass_control", "fungal_necromass_control_sd"]] = ""
    table.loc[~half, ["soc_control", "soc_control_sd"]] = ""
    found = delta_mcp(part_result(table))
    quantities = set(mb.summarise(found).query("level == 'mean'")["quantity"])
    assert not {"log_delta_mcp", "delta_mcp"} & quantities and "effect[fungal_necromass]" in quantities
    assert str(found["delta_mcp"]["absent"].values[0]) == "no control reports fungal and bacterial necromass and SOC"


def test_a_given_ratio_is_refused_with_the_reason(tree) -> None:
    with pytest.raises(SpecificationError, match="each needs a ratio of its own"):
        delta_mcp(tree, settings=["delta_mcp.reference=0.4"])
