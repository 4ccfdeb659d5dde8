"""The report of `make cluster`: Markdown for people, JSON for programs."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def write(report: Json, folder: Path) -> str:
    """Into `report.md` and `report.json` of `folder`. Answers the former."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(report)
    (folder / "report.md").write_text(text)
    (folder / "report.json").write_text(json.dumps(report, indent=1, default=str) + "\n")
    return text


def markdown(report: Json) -> str:
    verdict = "Everything held." if report["ok"] else "NOT everything held."
    lines = ["# The shop on a cluster", "", f"**{verdict}** {report['seconds'] / 60:.1f} minutes.", ""]
    lines += [f"- {line}" for line in report.get("first", [])]
    lines += [
        f"- {one['service']} silent: the worker's /readyz says 503 after {one['after']:.1f} s, 200 again "
        f"{one['back_after']:.1f} s after its return"
        for one in report.get("probes", [])
    ]
    lines += ["", *_rolling(report.get("rolling", [])), *_bench(report.get("bench")), *_chaos(report.get("chaos"))]
    lines += [f"- **{problem}**" for problem in report["problems"]]
    return "\n".join(lines) + "\n"


def _rolling(results: list[Json]) -> list[str]:
    if not results:
        return []
    lines = [
        f"Restarted by SIGTERM, one after the other, under {results[0]['rate']:g} orders a second; seconds:",
        "",
        "| restarted | times | orders | failed requests | over 5 s | Buy to session p50 / p99 / max "
        "| paid to fulfilled p50 / p99 / max |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in results:
        told = one["all"]
        lines.append(
            f"| {one['kind']} | {one['restarts']} | {told['orders']} | {told['failed_requests']} | {told['late']} "
            f"| {_waits(told['to_session'])} | {_waits(told['paid_to_fulfilled'])} |"
        )
    return [*lines, ""]


def _waits(found: Json | None) -> str:
    return " / ".join(f"{found[rank]:.2f}" for rank in ("p50", "p99", "max")) if found else "none"


def _bench(bench: Json | None) -> list[str]:
    if bench is None:
        return []
    lines = []
    for one in (bench["peak"], bench["one"]):
        spent = {part: seconds * 1000 for part, seconds in one["cpu_seconds_per_checkout"].items() if part != "client"}
        parts = ", ".join(f"{part} {ms:.1f}" for part, ms in sorted(by_kind(spent).items(), key=lambda item: -item[1]))
        others = one["others_cpu_share"]
        lines.append(
            f"- {one['load']['clients']} customers: {one['throughput']:.1f} paid checkouts a second, "
            f"{sum(spent.values()):.0f} ms CPU each ({parts}); Buy to answer {_waits(one['buy_to_answer'])} s, "
            f"to fulfilled {_waits(one['buy_to_fulfilled'])} s"
            + (f"; others took {others:.0%} of the machine" if others is not None else "")
        )
    return [*lines, ""]


def by_kind(spent: dict[str, float]) -> dict[str, float]:
    """Processes of a kind together: `worker` and `worker-2`, `temporal/history-1` and `temporal/history-2`."""
    together: dict[str, float] = {}
    for part, amount in spent.items():
        head, _, tail = part.rpartition("-")
        kind = head if tail.isdigit() else part
        together[kind] = together.get(kind, 0.0) + amount
    return together


def _chaos(chaos: Json | None) -> list[str]:
    if chaos is None:
        return []
    lines = [f"- {chaos['survived']} of {chaos['scenarios']} scenarios of the fault campaign survived"]
    for storm in chaos["storms"]:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(storm["faults"].items()))
        lines.append(f"- a storm of {storm['seconds'] / 60:.0f} minutes, {storm['customers']} customers: {kinds}")
    return [*lines, ""]
