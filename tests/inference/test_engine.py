"""What `fit` adds around the sampler, tested on fake draws; sampling itself is tested against other software."""

import numpy as np
import pytest
from fakes import fake_data, fake_result

import mcpbayes as mb
from mcpbayes.errors import SpecificationError
from mcpbayes.inference.engine import complete_posterior


@pytest.fixture
def completed():
    data = fake_data()
    result = fake_result()
    data["design"].attrs["recipe"] = '{"terms": [], "moderators": {}}'
    posterior = result["posterior"].to_dataset()
    posterior = posterior[[name for name in posterior.data_vars if name.startswith(("tau", "rho"))]]
    return data, posterior, complete_posterior(data, mb.load_model("arm-based"), posterior, seed=3)


def test_completed_posterior_has_effects_units_and_labels(completed):
    data, _, (posterior, likelihood) = completed
    assert posterior["comparison_effect"].dims == ("chain", "draw", "comparison", "outcome")
    assert posterior["baseline"].dims == ("chain", "draw", "control", "outcome")
    assert list(posterior["comparison_effect"]["comparison"].values) == list(data["comparison"].values)
    assert all("units" in posterior[name].attrs for name in posterior.data_vars)
    assert likelihood["contrasts"].dims == ("chain", "draw", "study")
    assert np.isfinite(likelihood["contrasts"]).all()


def test_the_same_seed_gives_the_same_draws_and_another_does_not(completed):
    data, posterior, (first, _) = completed
    again, _ = complete_posterior(data, mb.load_model("arm-based"), posterior, seed=3)
    other, _ = complete_posterior(data, mb.load_model("arm-based"), posterior, seed=4)
    assert first.identical(again)
    assert not first.identical(other)


def test_the_collapsed_engine_is_refused_with_the_way_out():
    model = mb.load_model("arm-based", settings=["sampling.engine=collapsed"])
    with pytest.raises(SpecificationError, match=r"sampling\.engine.*not part of this version.*'nuts'"):
        mb.fit(fake_data(), model)
