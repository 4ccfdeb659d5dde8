"""What comes out of a comparison: its summary, and from its JSON document a table and pictures."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.contestants import CONTESTANTS
from bench.load import Json
from bench.machine import NOISY, of_the_parts

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
# Each with the workload that tells it.
_FIGURES: dict[str, tuple[str, Callable[[Json], float | None]]] = {
    "throughput": ("peak", lambda found: found["throughput"]),
    "cpu_seconds": ("peak", lambda found: of_the_parts(found["cpu_seconds_per_checkout"])),
    "answer_p50_one_client": ("one", lambda found: found["buy_to_answer"]["p50"]),
    "fulfilled_p50_one_client": ("one", lambda found: found["buy_to_fulfilled"]["p50"]),
    "answer_p50_half_peak": ("half", lambda found: found["buy_to_answer"]["p50"]),
    "answer_p99_half_peak": ("half", lambda found: found["buy_to_answer"]["p99"]),
    "hot_to_spread": ("hot", lambda found: found["ratio"]),
    "others_cpu_share": ("peak", lambda found: found["others_cpu_share"]),
}

# What is shown over the load; of two, the second line is dotted.
_CURVES: dict[str, Sequence[Callable[[Json], float]]] = {
    "checkouts a second": [lambda level: level["throughput"]],
    "Buy to answer, ms: p50, p99 dotted": [
        lambda level: level["buy_to_answer"]["p50"] * 1000,
        lambda level: level["buy_to_answer"]["p99"] * 1000,
    ],
}


def summarize(results: Sequence[Json]) -> Json:
    """For each contestant, the medians over the rounds, and how many times its throughput ours is."""
    summary: dict[str, Any] = {}
    for who in dict.fromkeys(each["who"] for each in results):
        rounds: dict[str, list[float]] = {name: [] for name in _FIGURES}
        for name, (workload, tell) in _FIGURES.items():
            for each in results:
                with suppress(KeyError, TypeError):  # it failed, or nobody was served
                    if (each["who"], each["workload"]) == (who, workload) and (value := tell(each)) is not None:
                        rounds[name].append(value)
        summary[who] = {name: statistics.median(values) if values else None for name, values in rounds.items()}
        made = rounds["throughput"]
        summary[who]["throughput_range"] = [min(made), max(made)] if made else []
    ours = summary.get("ours", {}).get("throughput")
    for numbers in summary.values():
        if ours and numbers["throughput"]:
            numbers["ours_to_this"] = ours / numbers["throughput"]
    return summary


def table(document: Json) -> str:
    """The summary in Markdown. Durations in milliseconds."""
    head = ("", "checkouts/s (rounds)", "ours to it", "CPU each", "one customer: answer p50", "half peak: p50, p99")
    rows = [f"| {' | '.join(head)} |", "| --- | ---: | ---: | ---: | ---: | ---: |"]
    for who, numbers in document["summary"].items():
        low, high = numbers["throughput_range"] or (None, None)
        cells = [
            CONTESTANTS[who].title,
            f"**{_number(numbers['throughput'])}** ({_number(low)} to {_number(high)})",
            f"{numbers['ours_to_this']:.2f}" if numbers.get("ours_to_this") else "",
            _milliseconds(numbers["cpu_seconds"]),
            _milliseconds(numbers["answer_p50_one_client"]),
            f"{_milliseconds(numbers['answer_p50_half_peak'])}, {_milliseconds(numbers['answer_p99_half_peak'])}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    disturbed = max((each["others_cpu_share"] or 0.0 for each in document["summary"].values()), default=0.0)
    if disturbed > NOISY:
        rows += ["", f"Others took up to {disturbed:.0%} of this machine's CPU meanwhile: measure again in quiet."]
    return "\n".join(rows) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"


def draw(document: Json, folder: Path) -> None:
    """SVG files: throughput, CPU by process, and over the number of customers and over the rate how both the speed and
    the latency go."""
    made = {CONTESTANTS[who].title: numbers for who, numbers in document["summary"].items() if numbers["throughput"]}
    throughput = {title: {"checkouts": numbers["throughput"]} for title, numbers in made.items()}
    spent: dict[str, dict[str, float]] = {}
    for each in document["results"]:
        if each["workload"] == "peak" and (found := each.get("cpu_seconds_per_checkout")):
            parts = {part: seconds * 1000 for part, seconds in found.items() if part != "client"}
            spent[CONTESTANTS[each["who"]].title] = parts
    ranges = {title: numbers["throughput_range"] for title, numbers in made.items()}
    told = "paid and fulfilled checkouts a second, 30 customers; median, lowest and highest round"
    _bars(folder / "throughput.svg", told, throughput, ranges)
    _bars(folder / "cpu.svg", "CPU a checkout, ms, by process (last round)", spent, {})
    for workload, over, told in (("closed", "clients", "customers at a time"), ("rates", "rate", "customers a second")):
        levels = {
            CONTESTANTS[each["who"]].title: each["levels"]
            for each in document["results"]
            if each["workload"] == workload and "levels" in each
        }
        _curves(folder / f"{workload}.svg", told, over, levels)


def _bars(path: Path, told: str, rows: dict[str, dict[str, float]], ranges: dict[str, list[float]]) -> None:
    """A row for each title, with a part for each series. `ranges` are of those that have one."""
    if rows:
        path.write_text(_TEMPLATES.get_template("bars.svg.jinja").render(told=told, rows=rows, ranges=ranges) + "\n")


class Axis:
    """Logarithmic, and long enough for all `values`."""

    def __init__(self, values: Iterable[float]) -> None:
        logarithms = [math.log10(value) for value in values]
        self._start, end = min(logarithms) - 0.1, max(logarithms) + 0.1
        self._length = end - self._start
        powers = range(math.floor(self._start), math.ceil(end))
        steps = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
        self.marks = [step for step in steps if 0 <= self.place(step) <= 1]

    def place(self, value: float) -> float:
        """Where it lies, from 0 to 1."""
        return (math.log10(value) - self._start) / self._length


def _curves(path: Path, told: str, over: str, levels: Mapping[str, Sequence[Json]]) -> None:
    """Two pictures side by side. A level at which nobody was served has no point: the results tell of its errors."""
    served = {
        title: [one for one in each if one["throughput"] and one["buy_to_answer"]] for title, each in levels.items()
    }
    if not any(served.values()):
        return
    panels = []
    for name, told_by in _CURVES.items():
        points = {
            (title, number): [(one["load"][over], tell(one)) for one in each]
            for title, each in served.items()
            for number, tell in enumerate(told_by)
        }
        x, y = (Axis(both[axis] for line in points.values() for both in line) for axis in (0, 1))
        panels.append({"name": name, "lines": points, "x": x, "y": y})
    drawn = _TEMPLATES.get_template("curves.svg.jinja").render(told=told, titles=list(served), panels=panels)
    path.write_text(drawn + "\n")
