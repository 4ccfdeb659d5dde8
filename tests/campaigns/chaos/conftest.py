"""One world for all tests of this folder: they hurt it one after the other, and each leaves it clean."""

from collections.abc import AsyncIterator

import pytest

from tests.campaigns.chaos.campaign import running_world
from tests.campaigns.chaos.world import World
from tests.support.stacks import data_dir


@pytest.fixture(scope="package")
async def running() -> AsyncIterator[tuple[World, str]]:
    """The world, and the address of the gateway whose customers have little time to pay."""
    with data_dir() as folder:
        async with running_world(folder / "stack") as world:
            yield world


@pytest.fixture(scope="package")
async def world(running: tuple[World, str]) -> World:
    return running[0]


@pytest.fixture(scope="package")
async def hasty(running: tuple[World, str]) -> str:
    return running[1]
