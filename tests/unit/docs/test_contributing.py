"""CONTRIBUTING.md says where a change goes, by file and by name: the names are in those files."""

import re

import pytest

from tests.unit.docs.markdown import ROOT, document


def _rows(section: str) -> list[str]:
    """Those of the section's table, without its heading."""
    text = document("CONTRIBUTING.md").text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| ")][2:]


CHANGES = _rows("Where does a change go?")


def test_it_knows_the_commonest_changes() -> None:
    assert len(CHANGES) >= 15


@pytest.mark.parametrize("row", CHANGES, ids=lambda row: row.split("|")[1].strip())
def test_a_change_begins_in_a_file_that_has_what_is_named(row: str) -> None:
    begins = row.split("|")[2]
    assert [file for file in re.findall(r"`([\w./]+/[\w.]+)`", begins) if (ROOT / file).is_file()], begins
    for cell in row.split("|")[2:4]:
        for name, file in re.findall(r"`(\w+)` in `([\w./-]+)`", cell):
            assert re.search(rf"\b{name}\b", (ROOT / file).read_text()), f"{file} has no {name}"


@pytest.mark.parametrize("row", _rows("What a test stands on"), ids=lambda row: row.split("|")[1].strip())
def test_what_a_test_stands_on_is_a_fixture_there(row: str) -> None:
    _, names, _, places, _ = row.split("|")
    files = [ROOT / place for place in re.findall(r"`([\w./]+)`", places)]
    sources = [file for place in files for file in ([place] if place.is_file() else place.rglob("*.py"))]
    sources += [place.parent / "conftest.py" for place in files if place.is_file()]
    text = "".join(file.read_text() for file in {*sources, ROOT / "tests/conftest.py"} if file.exists())
    for name in re.findall(r"`(\w+)`", names):
        assert re.search(rf"^async def {name}\(|^def {name}\(", text, re.MULTILINE), name
