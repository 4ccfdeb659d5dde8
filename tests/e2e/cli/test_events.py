"""`checkout events` and the streams behind `--watch` and `--follow`."""

import asyncio
import contextlib
import json
import secrets
import sys

from stack.stack import Stack
from tests.support.stacks import environment_of

from .conftest import Checkout


async def test_an_orders_events_come_as_they_happen_and_end_with_it(checkout_process: Checkout) -> None:
    key = f"cli-{secrets.token_hex(8)}"
    await checkout_process("buy", "--key", key)
    watching = asyncio.ensure_future(checkout_process("events", key, "--json"))
    await checkout_process("pay", key)
    ended = await watching
    kinds = [json.loads(line)["kind"] for line in ended.stdout.splitlines()]
    assert (ended.code, kinds) == (0, ["reserved", "awaiting_payment", "paid", "fulfilled", "dispatched"])


async def test_all_orders_events_survive_a_gateway_that_is_killed(stack: Stack, checkout_process: Checkout) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        "events",
        env=environment_of(stack),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    output = process.stdout

    async def until_an_order_is_told() -> None:
        """What happens before it listens is told to nobody: another customer comes, and another."""
        while True:
            order_id = (await checkout_process("buy", "--json")).json["order_id"].encode()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(3):
                    while order_id not in (line := await output.readline()):
                        assert line, "the command has ended"
                return

    try:
        async with asyncio.timeout(90):
            assert b"Waiting for orders" in await process.stderr.readline()
            await until_an_order_is_told()
            await stack["gateway"].kill()
            assert "Reconnecting" in (await process.stderr.readline()).decode()
            await stack["gateway"].wait_ready()
            await until_an_order_is_told()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_events_of_no_order_are_a_no_and_without_the_token_refused(checkout_process: Checkout) -> None:
    assert (await checkout_process("events", "ord_" + "0" * 32)).code == 1
    refused = await checkout_process("events", "--token", "guess")
    assert (refused.code, "operator token" in refused.stderr.lower()) == (1, True)
