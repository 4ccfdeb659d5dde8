from collections.abc import AsyncIterator

import pytest

from stack.stack import Stack
from tests.support.shop import Shop
from tests.support.stacks import shared_stack


@pytest.fixture(scope="package")
async def stack() -> AsyncIterator[Stack]:
    async with shared_stack() as stack:
        yield stack


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    async with Shop(stack) as shop:
        yield shop
