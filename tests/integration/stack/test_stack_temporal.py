"""The embedded Temporal server, for real: killed, found again, and closed to others."""

import asyncio
import signal
import stat
from collections.abc import AsyncIterator
from urllib.request import urlopen

import pytest

from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.stacks import listening_addresses, running_stack


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    async with running_stack("temporal") as stack:
        yield stack


async def test_temporal_knows_our_search_attributes_when_it_is_ready(stack: Stack) -> None:
    from temporalio.common import SearchAttributePair, TypedSearchAttributes

    from runtime.search_attributes import CHECKOUT_STATUS, ORDER_ID

    client = await connect(stack)
    pairs = [SearchAttributePair(CHECKOUT_STATUS, "pending"), SearchAttributePair(ORDER_ID, "o1")]
    await client.start_workflow("Any", id="any", task_queue="nobody", search_attributes=TypedSearchAttributes(pairs))


async def test_temporal_and_its_web_ui_listen_on_loopback_only(stack: Stack) -> None:
    for port in (stack.config.settings.temporal_port, stack.config.settings.temporal_ui_port):
        await eventually(lambda port=port: bool(listening_addresses(port)), what=f"somebody on {port}")
        assert listening_addresses(port) == {"127.0.0.1"}
    page = await asyncio.to_thread(lambda: urlopen(stack.urls["temporal_ui"], timeout=30).read())
    assert b"<html" in page


async def test_temporal_histories_are_private(stack: Stack) -> None:
    assert stat.S_IMODE((stack.config.data_dir / "temporal").stat().st_mode) == 0o700


async def test_temporal_keeps_its_history_through_a_kill(stack: Stack) -> None:
    client = await connect(stack)
    await client.start_workflow("Kept", id="kept", task_queue="nobody-listens")
    await stack["temporal"].kill(signal.SIGKILL)
    await stack["temporal"].wait_ready(timeout=60)
    assert stack["temporal"].restarts == 1, "at the first attempt"
    found = await (await connect(stack)).get_workflow_handle("kept").describe()
    assert found.workflow_type == "Kept"


async def connect(stack: Stack):
    from temporalio.client import Client

    return await Client.connect(stack.urls["temporal"])
