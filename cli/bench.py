"""`checkout bench`: measure a running stack with whole paid checkouts."""

import asyncio
import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.customer import Target
from bench.load import Load, measure
from bench.machine import NOISY
from bench.progress import showing, silent
from cli import render
from cli.client import Shop
from cli.output import NO, UNREACHABLE, USAGE, CommandFailed, Json, Output

_AUDIT_TRIES, _AUDIT_EVERY, _AUDIT_GRACE = 5, 2.0, 1


def bench(
    output: Output,
    shop: Shop,
    clients: Annotated[int, typer.Option("--clients", "-c", min=1, max=1000, help="Customers at a time.")] = 30,
    checkouts: Annotated[int, typer.Option("--checkouts", "-n", min=1, help="How many to measure.")] = 300,
    warmup: Annotated[int, typer.Option(min=0, help="How many to make first, unmeasured.")] = 30,
    sku: Annotated[str, typer.Option(help="What is bought, one piece each.")] = "pen",
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Begin at most so many a second; else as fast as it goes.")
    ] = None,
    patience: Annotated[float, typer.Option("--timeout", min=1, help="Seconds a checkout may take.")] = 60.0,
    keep: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep every measurement: one JSON line a checkout.")
    ] = None,
) -> None:
    """Measure whole checkouts: Buy, pay, wait until fulfilled. Ends with an audit.

        checkout bench --clients 30 --checkouts 300
        checkout bench -c 1 -n 50 --json

    Exit codes: 0 every checkout was fulfilled and the audit is clean, 1 not so.
    """
    # A clear sentence before the load, not a thousand errors in it.
    shop.orders(limit=1)  # the token, without which nothing is seen in time and no audit is made
    if not shop.sells(sku):
        raise CommandFailed(NO, "No such product", f"The shop does not sell {sku}")
    place = shop.location
    for address in (place.gateway_url, place.payment_url):
        if not address.startswith("http://"):
            raise CommandFailed(UNREACHABLE, "Plain http only", f"The benchmark cannot speak to {address}")
    target = Target(place.gateway_url, place.payment_url, place.admin_token, place.database_url, place.pids)
    load = Load(clients, checkouts, warmup, (sku,), rate, patience)
    try:  # before the load: afterwards all would be lost
        kept = keep.open("w") if keep is not None else None
    except OSError as error:
        raise CommandFailed(USAGE, "Wrong --keep", f"{keep} cannot be written: {error.strerror}") from None
    with showing() if output.err.is_terminal and not output.as_json else nullcontext(silent) as phase:
        report, tally = asyncio.run(measure(target, load, phase))
        phase("auditing", 0, 1)
        report["audit"] = _audit(shop)
        phase("auditing", 1, 1)
    if kept is not None:
        with kept:
            for order_id, seconds in tally.fulfilled.items():
                kept.write(json.dumps({"order_id": order_id, "seconds": seconds}) + "\n")
    report["ok"] = report["ok"] and report["audit"]["ok"] is True
    output.result(report, "", shown, ok=report["ok"])


def _audit(shop: Shop) -> Json:
    """The shop's own verdict, once the last dispatches have come to rest. `ok` is None when it cannot be had."""
    for attempt in range(_AUDIT_TRIES):
        time.sleep(_AUDIT_EVERY if attempt else 0)
        try:
            verdict = shop.audit(grace=_AUDIT_GRACE)
        except CommandFailed as failed:
            verdict = {"ok": None, "detail": str(failed)}
        if verdict.get("ok"):
            break
    return {"ok": None, **verdict}


def shown(report: Json) -> RenderableType:
    """What was reached, and where the CPU went."""
    head = Text.assemble(
        (f"{report['throughput']:.1f}", "bold"),
        f" paid and fulfilled checkouts a second: {report['fulfilled']} in {report['seconds']:.1f} s "
        f"by {report['load']['clients']} clients",
    )
    notes = [f"heard of the end by {report['watched_by']}"]
    if report["retries"]:
        notes.append(f"{report['retries']} times told to ask again")
    lines = [Text(", ".join(notes), style="dim")]
    if (report["others_cpu_share"] or 0) > NOISY:
        told = f"Others took {report['others_cpu_share']:.0%} of this machine's CPU meanwhile: measure again in quiet."
        lines.append(Text(told, style="yellow"))
    for kind, count in sorted(report["errors"].items(), key=lambda item: -item[1]):
        lines.append(Text(f"{count} times {kind}", style="red"))
    verdicts = {
        True: Text("audit: every promise is kept", style="green"),
        False: Text("audit: VIOLATIONS", style="bold red"),
        None: Text("audit: not available", style="yellow"),
    }
    return Group(head, "", _latencies(report), "", _cpu(report), "", *lines, verdicts[report["audit"]["ok"]])


def _latencies(report: Json) -> Table:
    ranks = ("p50", "p90", "p99", "max")
    table = render.columns("", *ranks)
    for name, field in (("Buy → answer", "buy_to_answer"), ("Buy → fulfilled", "buy_to_fulfilled")):
        if values := report[field]:
            table.add_row(name, *(_seconds(values[rank]) for rank in ranks))
    return table


def _cpu(report: Json) -> Table:
    table = render.columns("CPU a checkout", "ms", "share")
    spent: dict[str, float] = report["cpu_seconds_per_checkout"]
    total = sum(spent.values())
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{seconds * 1000:.1f}", f"{seconds / (total or 1.0):.0%}")
    table.add_row("all", f"{total * 1000:.1f}", "")
    return table


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"
