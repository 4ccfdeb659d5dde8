"""What the payment service does by itself: without it no event is sent, so its end must be noticed."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from payment_mock.housekeeping import work


async def test_when_its_work_ends_with_an_error_the_process_is_told_to_end() -> None:
    def broken() -> None:
        raise RuntimeError("a schema of the future")

    deaths: list[str] = []
    service = cast(Any, SimpleNamespace(is_ready=False, database=SimpleNamespace(single=broken)))
    with pytest.raises(RuntimeError, match="of the future"):
        await work(service, lambda: deaths.append("dead"))
    assert deaths == ["dead"]
