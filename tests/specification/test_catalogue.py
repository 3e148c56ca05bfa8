import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.specification import catalogue
from mcpbayes.specification.catalogue import list_models, models_folder, read_card
from mcpbayes.specification.loading import load_model

SECTIONS = ["Question", "Model", "Priors", "Assumptions", "When not to use it", "Sources and citation"]
OWN_SECTIONS = {
    "arm-based": ["What a row may be"],
    "two-pool": [
        "What is asked of a result",
        "Does time matter? Comparison with the static model",
        "Is it recovered?",
    ],
}  # beside those of all cards
SHIPPED = ("arm-based", "contrast-based", "two-pool")


def test_the_checkout_comes_first(root):
    assert models_folder() == root / "models"
    assert list_models() == SHIPPED


def test_an_unknown_model_is_answered_with_the_nearest_and_the_list():
    with pytest.raises(SpecificationError, match="did you mean 'arm-based'.*Shipped are arm-based, contrast-based"):
        read_card("armbased")


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_prior_has_a_reason(name):
    priors = load_model(name).priors
    assert [key for key, prior in priors.items() if not prior.why] == []
    reasons = [prior.why for prior in priors.values()]
    assert len(set(reasons)) == len(reasons)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_card_is_complete(name):
    card = read_card(name)
    assert card.startswith(f"# {name}: ")
    sections = [line[3:] for line in card.splitlines() if line.startswith("## ")]
    own = OWN_SECTIONS.get(name, [])
    assert [section for section in sections if section not in own] == SECTIONS
    assert set(own) <= set(sections)
    missing = [key for key in load_model(name).priors if f"`{key}`" not in card]
    assert missing == []
    assert "doi:10.1016/j.soilbio.2025.109950" in card


def test_the_card_states_the_numbers_of_the_file():
    card, spec = read_card("arm-based"), load_model("arm-based")
    for role in ("intercept", "slope"):
        numbers = spec.priors[role].parameters
        row = next(line for line in card.splitlines() if line.startswith(f"| `{role}`"))
        assert f"mean {numbers['mean']:g}, sd {numbers['sd']:g}, correlation {numbers['correlation']}" in row
    for key, prior in spec.priors.items():
        row = next(line for line in card.splitlines() if line.startswith("| ") and f"`{key}`" in line)
        numbers = [
            each
            for value in prior.parameters.values()
            for each in (value.values() if hasattr(value, "values") else [value])
        ]
        assert all(f"{value:g}" in row for value in numbers)
    defaults = spec.data.defaults
    stated = f"CV {defaults.cv['necromass']:.2f} (necromass) and {defaults.cv['soc']:.2f} (SOC), n = {defaults.n:g}"
    assert stated in card and f"correlation {defaults.rho_within}." in card


@pytest.fixture
def mini_checkout(tmp_path: Path, root: Path) -> Path:
    """A checkout with as much of the package as loading a model needs."""
    package = tmp_path / "mcpbayes"
    shutil.copytree(root / "mcpbayes" / "specification", package / "specification")
    for module in (root / "mcpbayes").glob("*.py"):
        shutil.copy(module, package)
    shutil.copytree(root / "models", tmp_path / "models")
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    return tmp_path


def draws_of(folder: Path) -> str:
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r});"
        "from mcpbayes.specification.loading import load_model; print(load_model('arm-based').sampling.draws)"
    )
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder
    ).stdout.strip()


def test_editing_the_checkouts_file_changes_the_model(mini_checkout):
    file = mini_checkout / "models" / "arm-based.toml"
    # a stale copy, as an editable install leaves one, must not win
    shutil.copytree(mini_checkout / "models", mini_checkout / "mcpbayes" / "models")
    text = file.read_text(encoding="utf-8")
    assert text.count("draws = 1000") == 1
    file.write_text(text.replace("draws = 1000", "draws = 1234"), encoding="utf-8")
    assert draws_of(mini_checkout) == "1234"


def test_an_installed_package_brings_its_own(mini_checkout):
    (mini_checkout / "models").rename(mini_checkout / "mcpbayes" / "models")
    assert draws_of(mini_checkout) == "1000"


def test_a_models_folder_without_a_project_is_not_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path / "mcpbayes")
    (tmp_path / "models").mkdir()
    assert models_folder() == tmp_path / "mcpbayes" / "models"
    (tmp_path / "pyproject.toml").touch()
    assert models_folder() == tmp_path / "models"
