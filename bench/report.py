"""The report for people: what was reached, and where the CPU went."""

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]
NOISY = 0.05
"""The share of the machine's CPU that others may take before a measurement is called disturbed."""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def render(report: Json) -> RenderableType:
    load = report["load"]
    head = Text.assemble(
        (f"{report['throughput']:.1f}", "bold"),
        f" paid and fulfilled checkouts a second: {report['fulfilled']} in {report['seconds']:.1f} s "
        f"by {load['clients']} clients",
    )
    parts: list[RenderableType] = [head, "", _latencies(report), "", _cpu(report)]
    notes = [f"heard of the end by {report['watched_by']}"]
    if report["history_events"] is not None:
        notes.append(f"{report['history_events']:.0f} events in a history")
    if report["transactions_per_checkout"] is not None:
        notes.append(f"{report['transactions_per_checkout']:.1f} database transactions a checkout")
    if report["retries"]:
        notes.append(f"{report['retries']} times told to ask again")
    parts += ["", Text(", ".join(notes), style="dim")]
    if (report["others_cpu_share"] or 0) > NOISY:
        share = f"{report['others_cpu_share']:.0%}"
        parts.append(
            Text(f"Others took {share} of this machine's CPU meanwhile: measure again in quiet.", style="yellow")
        )
    for kind, count in sorted(report["errors"].items(), key=lambda item: -item[1]):
        parts.append(Text(f"{count} times {kind}", style="red"))
    parts.append(_verdict(report))
    return Group(*parts)


def _latencies(report: Json) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "p50", "p90", "p99", "max"):
        table.add_column(name, justify="right" if name else "left")
    for name, field in (("Buy → answer", "buy_to_answer"), ("Buy → fulfilled", "buy_to_fulfilled")):
        values = report[field]
        if values:
            table.add_row(name, *(milliseconds(values[rank]) for rank in ("p50", "p90", "p99", "max")))
    return table


def _cpu(report: Json) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("CPU a checkout", "ms", "share"):
        table.add_column(name, justify="left" if name.startswith("CPU") else "right")
    spent = report["cpu_seconds_per_checkout"]
    total = sum(spent.values()) or 1.0
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{seconds * 1000:.1f}", f"{seconds / total:.0%}")
    table.add_row("all", f"{sum(spent.values()) * 1000:.1f}", "")
    return table


def _verdict(report: Json) -> Text:
    audit = report["audit"].get("ok")
    words = {True: "audit: every promise is kept", False: "audit: VIOLATIONS", None: "audit: not available"}
    return Text(words[audit], style="green" if audit else "bold red" if audit is False else "yellow")
