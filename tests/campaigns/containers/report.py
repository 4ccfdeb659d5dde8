"""What was exercised, what was seen, and what stand-ins could not show."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.containers.images import Image


@dataclass(frozen=True)
class Row:
    """One trial. `seen` is a sentence, or the failure."""

    title: str
    ok: bool
    seen: str
    seconds: float


@dataclass
class Report:
    """Everything a run found out, as Markdown in `report.md`."""

    engine: str
    version: str
    images: list[Image] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def passed(self, title: str, seen: str, seconds: float) -> None:
        self.rows.append(Row(title, True, seen, seconds))

    def failed(self, title: str, seen: str, seconds: float) -> None:
        self.rows.append(Row(title, False, seen, seconds))

    @property
    def ok(self) -> bool:
        return bool(self.rows) and all(row.ok for row in self.rows)

    @property
    def stand_ins(self) -> list[Image]:
        return [image for image in self.images if image.origin == "stand-in"]

    def markdown(self) -> str:
        lines = [
            f"# The containers, on {self.version}",
            "",
            f"{'All is well' if self.ok else 'NOT WELL'}: {sum(row.ok for row in self.rows)} of {len(self.rows)}.",
            "",
            "| tried | s | seen |",
            "| --- | --- | --- |",
        ]
        for row in self.rows:
            seen = row.seen.strip().replace("\n", "<br>").replace("|", "\\|")
            lines.append(f"| {row.title} | {row.seconds:.0f} | {'' if row.ok else '**failed:** '}{seen} |")
        lines += ["", "| image | here |", "| --- | --- |"]
        lines += [
            f"| {image.name} | {image.origin}{f': {image.note}' if image.note else ''} |" for image in self.images
        ]
        if self.stand_ins or self.notes:
            lines += ["", "What this run could not show:", ""]
            lines += [f"- {image.name}: {image.note}." for image in self.stand_ins]
            lines += [f"- {note}" for note in self.notes]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(self.markdown())
