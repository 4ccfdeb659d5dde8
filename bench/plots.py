"""Pictures and the table of a comparison, from its JSON document."""

from pathlib import Path
from typing import Any

from bench.contestants import CONTESTANTS
from bench.report import NOISY

Json = dict[str, Any]
_COLOURS = dict(zip(CONTESTANTS, ("#1f6feb", "#d9822b", "#8250df", "#bf87ff", "#57606a", "#cf5b5b"), strict=True))


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


def draw(document: Json, folder: Path) -> list[Path]:
    """SVG files: throughput, CPU by process, latency over the number of customers and over the rate."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "bench", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    written = []
    if any(numbers["throughput"] for numbers in document["summary"].values()):
        written += [_bars(document, folder / "throughput.svg"), _cpu(document, folder / "cpu.svg")]
    for workload, x, label in (("closed", "clients", "customers at a time"), ("rates", "rate", "customers a second")):
        if any(each["workload"] == workload and "levels" in each for each in document["results"]):
            written.append(_curves(document, workload, x, label, folder / f"{workload}.svg"))
    return written


def _bars(document: Json, path: Path) -> Path:
    summary = {who: numbers for who, numbers in document["summary"].items() if numbers["throughput"]}
    figure, axes = _figure(height=0.5 + 0.4 * len(summary))
    for row, (who, numbers) in enumerate(reversed(summary.items())):
        value, (low, high) = numbers["throughput"], numbers["throughput_range"]
        axes.barh(row, value, color=_COLOURS[who], xerr=[[value - low], [high - value]], ecolor="#888")
        axes.text(value, row + 0.28, f" {value:.1f}", va="center", fontsize=8)
    axes.set_yticks(range(len(summary)), [CONTESTANTS[who].title for who in reversed(summary)])
    axes.set_xlabel("paid and fulfilled checkouts a second, 30 customers; median, lowest and highest round")
    return _saved(figure, path)


def _cpu(document: Json, path: Path) -> Path:
    rows = {
        each["who"]: each["cpu_seconds_per_checkout"]
        for each in document["results"]
        if each["workload"] == "peak" and each.get("cpu_seconds_per_checkout")
    }
    figure, axes = _figure(height=0.5 + 0.4 * len(rows))
    parts = list(dict.fromkeys(part for spent in rows.values() for part in spent if part != "client"))
    left = dict.fromkeys(rows, 0.0)
    for part in parts:
        widths = [rows[who].get(part, 0.0) * 1000 for who in reversed(rows)]
        axes.barh(range(len(rows)), widths, left=[left[who] for who in reversed(rows)], label=part)
        for who, width in zip(reversed(rows), widths, strict=True):
            left[who] += width
    axes.set_yticks(range(len(rows)), [CONTESTANTS[who].title for who in reversed(rows)])
    axes.set_xlabel("CPU a checkout, ms, by process (last round)")
    axes.legend(fontsize=7, frameon=False)
    return _saved(figure, path)


def _curves(document: Json, workload: str, x: str, label: str, path: Path) -> Path:
    figure, both = _figure(height=2.8, columns=2)
    for each in document["results"]:
        if each["workload"] != workload or "levels" not in each:
            continue
        levels = [level for level in each["levels"] if level["buy_to_answer"]]
        if not levels:
            continue  # nothing but errors, which the results tell
        where = [level["load"][x] for level in levels]
        style: Json = {"color": _COLOURS[each["who"]], "marker": ".", "label": CONTESTANTS[each["who"]].title}
        both[0].plot(where, [level["throughput"] for level in levels], **style)
        both[1].plot(where, [level["buy_to_answer"]["p50"] * 1000 for level in levels], **style)
        both[1].plot(
            where, [level["buy_to_answer"]["p99"] * 1000 for level in levels], **(style | {"label": None}), ls=":"
        )
    both[0].set_ylabel("checkouts a second")
    both[1].set_ylabel("Buy to answer, ms: p50, p99 dotted")
    for axes in both:
        axes.set_xlabel(label)
    if both[0].lines:
        both[0].set_xscale("log")
        both[1].loglog()
        both[0].legend(fontsize=7, frameon=False)
    return _saved(figure, path)


def _figure(height: float, columns: int = 1) -> Any:
    from matplotlib import pyplot

    return pyplot.subplots(1, columns, figsize=(8, height), layout="constrained")


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")
    return path


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"
