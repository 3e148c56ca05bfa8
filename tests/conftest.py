"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = (
    "the Soil Necromass Database (CC BY-NC 4.0, repository kaizadp/necromass) and global soil amino sugars "
    "(CC BY 4.0, repository aubreyfine/necromass-CF-models)"
)


def _folder(variable: str, default: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"needs {what}: set {variable} to its folder")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data, which are not ours to ship."""
    return _folder("MCPBAYES_DATA", ROOT.parent / "shared" / "data", SOURCE)


@pytest.fixture(scope="session")
def shared_reference() -> Path:
    """Folder of results of other software."""
    return _folder("MCPBAYES_REFERENCE", ROOT.parent / "shared" / "reference", "reference results of metafor and Stan")


@pytest.fixture
def blank():
    """Reports hold empty figures."""
    from fakes import blank_figures

    with blank_figures():
        yield
