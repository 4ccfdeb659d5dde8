from collections.abc import AsyncIterator

import pytest

from stack.stack import Stack
from tests.support.shop import Shop


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    async with Shop(stack) as shop:
        yield shop
