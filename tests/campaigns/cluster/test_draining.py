"""SIGTERM under load, on real processes: whoever is being served is served. With figures: `make cluster`."""

import asyncio

import pytest

from tests.campaigns.chaos.world import World
from tests.campaigns.cluster.balance import HttpBalancer, gateway
from tests.campaigns.cluster.load import customers
from tests.support.stacks import data_dir


@pytest.mark.timeout(300)
async def test_workers_and_gateways_that_are_asked_to_end_lose_and_refuse_nothing() -> None:
    with data_dir() as folder:
        async with (
            World(folder / "stack") as world,
            world.another("worker", "worker-2"),
            world.another("gateway", "gateway-2") as second,
            HttpBalancer([gateway(_port(world.direct)), gateway(_port(second))]) as shop,
        ):
            world.shop = f"http://127.0.0.1:{shop.port}"
            async with customers(world, rate=1.5) as crowd:
                for part in ("worker", "gateway", "worker-2", "gateway-2"):
                    await asyncio.sleep(1)
                    await world.restart(part)
                await asyncio.sleep(1)
            told = crowd.summary()
            assert (told["failed_requests"], told["failures"]) == (0, [])
            assert told["fulfilled"] == told["orders"] > 5
            await world.quiet(60)


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
