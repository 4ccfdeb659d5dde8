"""Rolling restarts under load: one process after another is asked to end (SIGTERM), and comes back."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from tests.campaigns.cluster.load import Crowd, customers
from tests.campaigns.cluster.world import GATEWAYS, WORKERS, ClusterWorld

_PAUSE = 2.0  # seconds between two restarts
_CALM = 5.0  # before the first and after the last


def groups(world: ClusterWorld) -> dict[str, list[str]]:
    """What is restarted together, one after the other."""
    kinds: dict[str, list[str]] = {"workers": list(WORKERS), "gateways": list(GATEWAYS)}
    for role in world.plan.roles:
        kinds.setdefault(f"Temporal's {role.service}", []).append(f"temporal/{role.name}")
    return kinds


async def roll(
    world: ClusterWorld, rate: float, say: Callable[[str], None], *, only: str = "", rounds: int = 1
) -> list[dict[str, Any]]:
    """By kind: what customers met while its processes were restarted. Raises `Violated` when the audit is not clean."""
    results = []
    for kind, parts in groups(world).items():
        if only and only not in kind:
            continue
        async with customers(world, rate) as crowd:
            await asyncio.sleep(_CALM)
            took = []
            begin = time.time()
            for part in parts * rounds:
                took.append(await world.restart(part))
                await asyncio.sleep(_PAUSE)
            end = time.time()
            await asyncio.sleep(_CALM)
        result = {"kind": kind, "restarts": len(took), "seconds_each": took, "rate": rate}
        result |= {"all": crowd.summary(), "meanwhile": crowd.during(begin, end).summary()}
        result["ok"] = is_met(crowd)
        results.append(result)
        say(line(result))
    await world.quiet(within=90)
    return results


def is_met(crowd: Crowd) -> bool:
    """No failed request, no order late, none lost."""
    told = crowd.summary()
    return not told["failed_requests"] and not told["late"] and told["fulfilled"] == told["orders"]


def line(result: dict[str, Any]) -> str:
    told = result["all"]
    took = max(result["seconds_each"])
    waits = []
    for name, key in (("session", "to_session"), ("fulfilled", "paid_to_fulfilled")):
        found = told[key]
        figures = "p50 {p50:.2f} p99 {p99:.2f} max {max:.2f} s".format(**found) if found else "never"
        waits.append(f"{name} {figures}")
    return (
        f"{'ok  ' if result['ok'] else 'FAIL'} {result['kind']}: {result['restarts']} restarts, {took:.1f} s at most; "
        f"{told['orders']} orders, {told['failed_requests']} failed requests, {told['late']} late; {'; '.join(waits)}"
        + (f"  {told['failures']}" if told["failures"] else "")
    )
