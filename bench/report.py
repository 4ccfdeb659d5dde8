"""What comes out of a comparison: its summary, and from its JSON document a table and pictures."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.contestants import CONTESTANTS
from bench.load import Json
from bench.machine import NOISY, of_the_parts

_COLOURS = dict(zip(CONTESTANTS, ("#1f6feb", "#d9822b", "#8250df", "#bf87ff", "#57606a", "#cf5b5b"), strict=True))
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


def summarize(results: Sequence[Json]) -> Json:
    """By contestant the medians over the rounds, and how they stand to ours."""
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
    """Markdown. Durations in milliseconds."""
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
    """SVG files: throughput, CPU by process, latency over the number of customers and over the rate."""
    results = document["results"]
    summary = {who: numbers for who, numbers in document["summary"].items() if numbers["throughput"]}
    if summary:
        _throughput(summary, folder / "throughput.svg")
        peaks = [each for each in results if each["workload"] == "peak" and each.get("cpu_seconds_per_checkout")]
        _cpu({each["who"]: each["cpu_seconds_per_checkout"] for each in peaks}, folder / "cpu.svg")
    for workload, x, label in (("closed", "clients", "customers at a time"), ("rates", "rate", "customers a second")):
        levels = {each["who"]: each["levels"] for each in results if each["workload"] == workload and "levels" in each}
        if levels:
            _curves(levels, x, label, folder / f"{workload}.svg")


def _throughput(summary: Json, path: Path) -> None:
    with _picture(path, height=0.5 + 0.4 * len(summary)) as axes:
        for row, (who, numbers) in enumerate(reversed(summary.items())):
            value, (low, high) = numbers["throughput"], numbers["throughput_range"]
            axes.barh(row, value, color=_COLOURS[who], xerr=[[value - low], [high - value]], ecolor="#888")
            axes.text(value, row + 0.28, f" {value:.1f}", va="center", fontsize=8)
        axes.set_yticks(range(len(summary)), [CONTESTANTS[who].title for who in reversed(summary)])
        axes.set_xlabel("paid and fulfilled checkouts a second, 30 customers; median, lowest and highest round")


def _cpu(spent: dict[str, dict[str, float]], path: Path) -> None:
    with _picture(path, height=0.5 + 0.4 * len(spent)) as axes:
        left = [0.0] * len(spent)
        for part in dict.fromkeys(part for parts in spent.values() for part in parts if part != "client"):
            widths = [parts.get(part, 0.0) * 1000 for parts in reversed(spent.values())]
            axes.barh(range(len(spent)), widths, left=left, label=part)
            left = [sum(both) for both in zip(left, widths, strict=True)]
        axes.set_yticks(range(len(spent)), [CONTESTANTS[who].title for who in reversed(spent)])
        axes.set_xlabel("CPU a checkout, ms, by process (last round)")
        axes.legend(fontsize=7, frameon=False)


def _curves(levels: dict[str, list[Json]], x: str, label: str, path: Path) -> None:
    with _picture(path, height=2.8, columns=2) as (speed, latency):
        for who, told in levels.items():
            served = [
                level for level in told if level["buy_to_answer"]
            ]  # the others are errors, which the results tell
            where = [level["load"][x] for level in served]
            style: Json = {"color": _COLOURS[who], "marker": "."}
            speed.plot(where, [level["throughput"] for level in served], label=CONTESTANTS[who].title, **style)
            for rank, line in (("p50", "-"), ("p99", ":")):
                latency.plot(where, [level["buy_to_answer"][rank] * 1000 for level in served], ls=line, **style)
        speed.set_ylabel("checkouts a second")
        latency.set_ylabel("Buy to answer, ms: p50, p99 dotted")
        for axes in (speed, latency):
            axes.set_xlabel(label)
        if speed.lines:
            speed.set_xscale("log")
            latency.loglog()
            speed.legend(fontsize=7, frameon=False)


@contextmanager
def _picture(path: Path, height: float, columns: int = 1) -> Iterator[Any]:
    """Axes to draw on, which become an SVG file: the same one of the same data."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "bench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, columns, figsize=(8, height), layout="constrained")
    yield axes
    figure.savefig(path, metadata={"Date": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
