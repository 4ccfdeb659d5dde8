"""What the payment service does by itself: without it no event is sent, so its end must be noticed."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from payment_mock.app import _background


async def test_when_its_work_ends_with_an_error_the_process_is_told_to_end() -> None:
    async def broken() -> None:
        raise RuntimeError("a schema of the future")

    deaths: list[str] = []
    service = cast(Any, SimpleNamespace(prepare=broken))
    with pytest.raises(RuntimeError, match="of the future"):
        await _background(service, lambda: deaths.append("dead"))
    assert deaths == ["dead"]
