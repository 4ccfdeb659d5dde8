"""Just enough of Markdown to check what the documents claim."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_FENCE = re.compile(r"^( *)```(\S*)\n(.*?)^\1```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
_ROW = re.compile(r"^\|(.+)\|\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Fence:
    language: str
    text: str


@dataclass(frozen=True)
class Document:
    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """Everything outside fences."""
        return _FENCE.sub("", self.text)

    @cached_property
    def fences(self) -> list[Fence]:
        return [Fence(match[2], match[3]) for match in _FENCE.finditer(self.text)]

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(_CODE.sub("", self.prose))

    @cached_property
    def code(self) -> list[str]:
        """Every `inline` code."""
        return _CODE.findall(self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        """As GitHub makes them: lower case, no punctuation, blanks to hyphens."""
        titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(self.prose))
        return {title.replace(" ", "-") for title in titles}

    @cached_property
    def rows(self) -> list[list[str]]:
        """The cells of every table, headings included."""
        return [[cell.strip() for cell in row.split("|")] for row in _ROW.findall(self.prose)]

    def commands(self) -> list[str]:
        """The lines of its shell fences, without comments and prompts."""
        text = "\n".join(fence.text for fence in self.fences if fence.language in ("sh", "bash"))
        lines = (re.sub(r"\s+#.*$|^#.*$", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
        return [line for line in lines if line]


def documents() -> list[Document]:
    """Every Markdown file that is ours to keep true. (A licence's source note quotes others.)"""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "deploy/README.md", ROOT / "bench/README.md"]
    return [Document(path) for path in sorted(found)]


def document(name: str) -> Document:
    return Document(ROOT / name)
