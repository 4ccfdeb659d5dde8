"""The campaign's report: a Markdown table, a picture, and the raw figures as JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any

from tests.campaigns.chaos.matrix import Result
from tests.campaigns.chaos.race import RaceResult
from tests.campaigns.chaos.recovery import Recovery
from tests.campaigns.chaos.storm import StormResult


@dataclass
class Report:
    """Everything a campaign found out. Times in seconds."""

    seed: int
    machine: str
    results: list[Result] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    race: RaceResult | None = None
    storms: list[StormResult] = field(default_factory=list)
    schedules: tuple[int, float] | None = None
    """How many random schedules were acted out, and in how many seconds."""
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    """Of phases that are not rows: the race, a recovery, a storm."""
    seconds: float = 0.0

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if not result.ok]

    @property
    def ok(self) -> bool:
        return not self.failed and not self.problems

    @property
    def outcomes(self) -> Counter[str]:
        """How often each end occurred, in rows (several ends a row count once each) and storms."""
        counts: Counter[str] = Counter()
        for result in self.results:
            counts.update(end for end in result.outcome.split(", ") if end)
        for storm in self.storms:
            counts.update(storm.outcomes)
        return counts

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(self.markdown())
        (folder / "report.json").write_text(json.dumps(self._raw(), indent=1) + "\n")
        draw(self, folder / "report.png")

    def _raw(self) -> dict[str, Any]:
        return {"ok": self.ok, **_plain(vars(self))}

    def markdown(self) -> str:
        verdict = "Nothing was lost." if self.ok else f"{len(self.failed) + len(self.problems)} FAILED."
        lines = [
            "# Fault campaign",
            "",
            f"**{verdict}** Seed {self.seed}, {self.seconds / 60:.1f} minutes, on {self.machine}.",
            "",
            *self._table_of_groups(),
            *self._table_of_recoveries(),
            *self._race_lines(),
            *self._storm_lines(),
            *self._schedule_lines(),
            *_counts("Faults that happened", self.faults),
            *_counts("Ends that occurred", self.outcomes),
            *self._failures(),
            "![Faults, ends and recovery times](report.png)",
            "",
        ]
        return "\n".join(lines)

    def _table_of_groups(self) -> list[str]:
        lines = ["| scenarios | survived | of | slowest |", "| --- | --- | --- | --- |"]
        for group in dict.fromkeys(result.group for result in self.results):
            own = [result for result in self.results if result.group == group]
            slowest = max(result.seconds for result in own)
            lines.append(f"| {group} | {sum(result.ok for result in own)} | {len(own)} | {slowest:.1f} s |")
        return [*lines, ""] if self.results else []

    def _table_of_recoveries(self) -> list[str]:
        if not self.recoveries:
            return []
        lines = ["| killed with SIGKILL | samples | median | p99 | target | |", "| --- | --- | --- | --- | --- | --- |"]
        for one in self.recoveries:
            figures = f"{len(one.samples)} | {one.p50:.2f} s | {one.p99:.2f} s | {one.target:g} s"
            lines.append(f"| {one.what} | {figures} | {'met' if one.is_met else 'missed'} |")
        return [*lines, ""]

    def _race_lines(self) -> list[str]:
        race = self.race
        if race is None:
            return []
        offsets = sorted(set(race.paid) | set(race.closed))
        return [
            f"Payment against deadline: {race.total} races, with offsets of {offsets[0]} to {offsets[-1]} ms around"
            f" the closing: {race.paid.total()} were paid and dispatched, {race.closed.total()} closed and not charged,"
            " none both.",
            "",
        ]

    def _storm_lines(self) -> list[str]:
        return [
            line
            for storm in self.storms
            for line in (
                f"Storm of {storm.seconds / 60:.1f} minutes, seed {storm.seed}: {storm.customers} customers,"
                f" {storm.faults.total()} faults, {storm.audits} audits on the way; quiet and clean afterwards.",
                "",
            )
        ]

    def _schedule_lines(self) -> list[str]:
        if self.schedules is None:
            return []
        count, seconds = self.schedules
        return [f"{count:,} random schedules on the time-skipping server, {seconds / 60:.1f} minutes.", ""]

    def _failures(self) -> list[str]:
        lines = [f"- **{result.name}**: {result.problem}" for result in self.failed]
        lines += [f"- {problem}" for problem in self.problems]
        return ["## What failed", "", *lines, ""] if lines else []


def _plain(value: Any) -> Any:
    """For JSON. `dataclasses.asdict` cannot copy a Counter."""
    if is_dataclass(value):
        return _plain(vars(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _counts(title: str, counts: Counter[str]) -> list[str]:
    if not counts:
        return []
    body = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return [f"{title}: {body}.", ""]


def draw(report: Report, path: Path) -> None:
    """Three panels: what was done, what came of it, and how long customers waited."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(16, 6), layout="constrained")
    _bars(axes[0], "Faults that happened", report.faults.most_common(22), "#b4472f")
    _bars(axes[1], "Ends that occurred", report.outcomes.most_common(22), "#2f6f4f")
    _recoveries(axes[2], report.recoveries)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(axis: Any, title: str, counts: Sequence[tuple[str, int]], colour: str) -> None:
    names = [name for name, _ in reversed(counts)]
    bars = axis.barh(names, [count for _, count in reversed(counts)], color=colour)
    axis.bar_label(bars, padding=3, fontsize=8)
    axis.set_title(title)
    axis.tick_params(axis="y", labelsize=8)
    axis.margins(x=0.12)
    axis.spines[["top", "right"]].set_visible(False)


def _recoveries(axis: Any, recoveries: Sequence[Recovery]) -> None:
    axis.set_title("From SIGKILL until a customer is served (seconds)")
    for row, one in enumerate(reversed(recoveries)):
        axis.plot(one.samples, [row] * len(one.samples), "o", color="#2d5d8f", alpha=0.6, markersize=5)
        axis.plot([one.target, one.target], [row - 0.35, row + 0.35], color="#b4472f", linewidth=2)
    if not recoveries:
        axis.text(0.5, 0.5, "not measured this time", ha="center", va="center", transform=axis.transAxes)
    axis.set_yticks(range(len(recoveries)), [one.what for one in reversed(recoveries)], fontsize=8)
    axis.set_xlim(left=0)
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
