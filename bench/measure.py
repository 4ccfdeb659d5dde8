"""One benchmark from warm-up to audit, and its report: a plain document, the one that `--json` prints."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from bench import insight
from bench.http import Connection, HTTPFailed
from bench.processes import CpuMeter
from bench.run import run_load
from bench.stats import Latency, Tally
from bench.target import Load, Target
from bench.watch import Watch

Json = dict[str, Any]
Phase = Callable[[str, int, int], None]
"""Hears (phase, done, of)."""


def silent(name: str, done: int, total: int) -> None:
    """A `Phase` that nobody listens to."""


_STATISTICS_LAG = 1.2  # seconds until PostgreSQL's counters hold what was done
_AUDIT_TRIES, _AUDIT_EVERY, _AUDIT_GRACE = 5, 2.0, 1


async def measured(target: Target, load: Load, watch: Watch, phase: Phase) -> tuple[Json, Tally]:
    """Run the load, without its warm-up: how many a second, how long each, and whose CPU it took."""
    meter = CpuMeter(target.pids)
    meter.start()
    tally = await run_load(target, load, watch, lambda done: phase("measuring", done, load.checkouts))
    cpu = meter.stop()
    count = max(1, len(tally.fulfilled))
    return {
        "load": asdict(load),
        "seconds": tally.seconds if tally.fulfilled else 0.0,
        "fulfilled": len(tally.fulfilled),
        "throughput": tally.throughput,
        "buy_to_answer": latency(tally.answered),
        "buy_to_fulfilled": latency(tally.fulfilled),
        "errors": dict(tally.errors),
        "retries": tally.retries,
        "cpu_seconds_per_checkout": {name: spent / count for name, spent in cpu.items()},
        "others_cpu_share": meter.others if target.pids else None,
    }, tally


async def warm_up(target: Target, load: Load, watch: Watch, phase: Phase) -> None:
    if load.warmup:
        warmup = replace(load, checkouts=load.warmup, warmup=0, rate=None)
        await run_load(target, warmup, watch, lambda done: phase("warm-up", done, load.warmup))


async def measure(target: Target, load: Load, phase: Phase = silent) -> tuple[Json, Tally]:
    """Run the load and report. Nothing is raised for a failed checkout: the report's `ok` says so."""
    async with Watch(target) as watch:
        await warm_up(target, load, watch, phase)
        transactions_before = await insight.transactions(target)
        report, tally = await measured(target, load, watch, phase)
        watched_by = watch.by
    phase("auditing", 0, 1)
    await asyncio.sleep(_STATISTICS_LAG)
    transactions_after = await insight.transactions(target)
    transactions = None
    if transactions_before is not None and transactions_after is not None:
        transactions = (transactions_after - transactions_before) / max(1, len(tally.fulfilled))
    audit = await _audit(target)
    phase("auditing", 1, 1)
    is_ok = not tally.errors and len(tally.fulfilled) == load.checkouts and audit.get("ok") is True
    return {
        "ok": is_ok,
        **report,
        "history_events": await insight.history_length(target, tally.keys),
        "transactions_per_checkout": transactions,
        "watched_by": watched_by,
        "audit": audit,
    }, tally


def latency(values: list[float]) -> Json | None:
    return asdict(Latency.of(values)) if values else None


async def _audit(target: Target) -> Json:
    """The shop's own verdict, once the last dispatches have come to rest. `ok` is None when it cannot be had."""
    verdict: Json = {"ok": None, "detail": "the audit could not be read"}
    headers = {"Authorization": f"Bearer {target.admin_token}", "Accept": "application/json"}
    async with Connection(target.gateway_url, timeout=60) as gateway:
        for attempt in range(_AUDIT_TRIES):
            try:
                answer = await gateway.request("GET", f"/admin/audit?grace={_AUDIT_GRACE}", headers=headers)
                if answer.status == 200:
                    verdict = dict(json.loads(answer.body))
                else:
                    verdict = {"ok": None, "detail": f"HTTP {answer.status}"}
            except (HTTPFailed, ValueError):
                pass
            if verdict.get("ok") is True or attempt + 1 == _AUDIT_TRIES:
                break
            await asyncio.sleep(_AUDIT_EVERY)
    return verdict
