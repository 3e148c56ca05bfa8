"""The file of labels: what it says, and what is wrong with an edited one."""

import pytest

from mcpbayes.errors import SpecificationError
from mcpbayes.tables.importers.labels import read_labels, shipped_labels

HEAD = "schema = 1\n"


def test_the_shipped_file_is_read_and_can_be_taken_along(tmp_path):
    copy = tmp_path / "mine.toml"
    copy.write_text(shipped_labels(), encoding="utf-8")
    assert read_labels(copy) == read_labels()
    labels = read_labels()
    assert labels.is_control("none", "fertilizer", "ck") and labels.is_control("none", "tillage", "mouldboard")
    assert not labels.is_control("none", "fertilizer", "mouldboard")
    assert labels.is_control("116", "fertilizer", "") and not labels.is_control("116", "fertilizer", "CK")


def test_kinds_go_from_the_study_to_the_treatment(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        HEAD + '[kinds.treatment]\nt = "by treatment"\n[kinds.level]\nN = "by level"\n'
        '[studies.1]\nkinds = { N = "by study" }\n',
        encoding="utf-8",
    )
    labels = read_labels(path)
    assert labels.kind("1", "t", "n") == "by study"
    assert labels.kind("2", "t", "N") == "by level"
    assert labels.kind("2", "T", "x") == "by treatment"
    assert labels.kind("2", "other", "x") == "other"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = [", "not valid TOML"),
        ("schema = 2", "expected schema = 1; found 2"),
        (HEAD + "[control]\n", "did you mean 'controls'"),
        (HEAD + '[controls]\nanywhere = "CK"\n', "expected a list of texts; found 'CK'"),
        (HEAD + "[studies.3]\nblock = true\n", "did you mean 'blocks'"),
        (HEAD + "[studies.3]\nblocks = 1\n", "expected bool; found 1"),
        (HEAD + "[studies]\n3 = 1\n", "expected a table of keys"),
        (HEAD + "[studies.3]\npatterns = ['(?P<label>']\n", "is not a regular expression"),
        (HEAD + "[studies.3]\npatterns = ['.*']\n", "lacks the group"),
        (HEAD + "[studies.3]\nwithout = ['clay']\n", "the key 'clay' is unknown; expected necromass, soc"),
        (HEAD + "[kinds.level]\nN = 1\n", "expected texts"),
        (HEAD + "kinds = 3\n", "expected a table; found 3"),
    ],
)
def test_a_file_that_cannot_be_understood_says_where(tmp_path, text, said):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecificationError) as refused:
        read_labels(path)
    assert said in str(refused.value) and "mine.toml" in str(refused.value)
