"""A long list as pages, counted from 1."""

from dataclasses import dataclass
from urllib.parse import urlencode

DEEPEST = 100_000


@dataclass(frozen=True)
class Pager:
    """Where one is in the list at `path`, or in what `search` found there."""

    path: str
    page: int
    has_more: bool
    search: str

    def to(self, page: int) -> str:
        query = ({"q": self.search} if self.search else {}) | ({"page": page} if page > 1 else {})
        return f"{self.path}?{urlencode(query)}" if query else self.path

    @property
    def links(self) -> list[tuple[int, str, str]]:
        """`(page, words, rel)` of the pages beside this one."""
        before = [(self.page - 1, "Previous page", "prev")] if self.page > 1 else []
        return before + ([(self.page + 1, "Next page", "next")] if self.has_more else [])
