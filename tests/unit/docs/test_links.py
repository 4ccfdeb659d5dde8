"""What a document points at exists."""

import re

import pytest

from tests.unit.docs.markdown import ROOT, Document, documents

# `worker/steps.py`, `docs/decisions/`: what looks like a path of ours must be one.
_OURS = re.compile(
    r"(?:checkout|runtime|db|worker|api|payment_mock|stack|cli|bench|deploy|tests|docs|requirements)/[\w./-]*"
    r"|[\w.-]+\.(?:lock|toml|yml)"
)


@pytest.mark.parametrize("document", documents(), ids=str)
def test_every_link_leads_to_a_file_and_its_anchor(document: Document) -> None:
    for link in document.links:
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.path.parent / path).resolve() if path else document.path
        assert target.exists(), f"{link}: no such file"
        assert target.is_relative_to(ROOT), f"{link}: outside the repository"
        if anchor:
            assert anchor in Document(target).anchors, f"{link}: no such heading"


@pytest.mark.parametrize("document", documents(), ids=str)
def test_every_path_that_is_named_exists(document: Document) -> None:
    for name in filter(_OURS.fullmatch, document.code):
        if "…" not in name and "N" not in name.rpartition("/")[2].partition("_")[0]:
            assert (ROOT / name).exists() or (document.path.parent / name).exists(), f"{name}: no such file"


@pytest.mark.parametrize("document", documents(), ids=str)
def test_no_document_speaks_of_the_machine_it_was_written_on(document: Document) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|home|work|Users)/", document.text)


def test_every_decision_is_in_the_index_short_and_complete() -> None:
    folder = ROOT / "docs/decisions"
    decisions = sorted(path for path in folder.glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    index = Document(folder / "README.md").links
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert path.name in index, path.name
        assert len(text.splitlines()) <= 50, path.name
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Turned down"], path.name
