"""Whether a worker's `/readyz` tells the truth while parts of Temporal are silent."""

import asyncio
import signal
import time
from collections.abc import Callable
from typing import Any

from tests.campaigns.chaos.verdicts import expect, in_time
from tests.campaigns.cluster.world import ClusterWorld

WITHIN = 10.0  # seconds from the silence, or its end, until the probe says so


async def probe(world: ClusterWorld, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Freeze every process of a service, and thaw them. Raises `Violated` when a probe does not notice."""
    results = []
    for service in ("frontend", "matching"):
        frozen = [f"temporal/{role.name}" for role in world.plan.roles if role.service == service]
        expect(await _says(world, 200) is not None, "a worker that is ready")
        silent = time.monotonic()
        for name in frozen:
            await world.kill(name, signal.SIGSTOP)
        try:
            told = await in_time(lambda: _says(world, 503), WITHIN, f"/readyz did not notice that {service} is silent")
            noticed = time.monotonic() - silent
            await asyncio.sleep(3)
            expect(await _says(world, 503) is not None, f"/readyz to go on saying so while {service} is silent")
        finally:
            for name in frozen:
                await world.kill(name, signal.SIGCONT)
        back = time.monotonic()
        await in_time(lambda: _says(world, 200), 60, f"/readyz did not come back after {service}")
        result = {"service": service, "said": told, "after": noticed, "back_after": time.monotonic() - back}
        results.append(result)
        say(
            f"ok   {service} silent: 503 after {noticed:.1f} s ({told}), ready again {result['back_after']:.1f} s after"
        )
    return results


async def _says(world: ClusterWorld, status: int) -> str | None:
    answer = await world.http.get(f"{world.stack.urls['worker']}/readyz")
    return answer.text.strip() if answer.status_code == status else None
