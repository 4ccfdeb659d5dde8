"""Backup and restore of both halves on real servers, by the commands of docs/operations.md, and what follows from each.

The provider is never restored: it is somebody else's. So the shop's half is its schema only, and the payments that were
made meanwhile are still there afterwards.
"""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from checkout.ids import CHECKOUT_WORKFLOW, REFUND_WORKFLOW, SETTLEMENT_WORKFLOW
from stack.postgres import program
from stack.stack import Stack
from stack.temporal import program as temporal
from tests.support.databases import connected
from tests.support.eventually import eventually
from tests.support.shop import Shop
from tests.support.stacks import running_stack

CALM = {
    "CHECKOUT_DISPATCH_DURATION": "1",
    "CHECKOUT_SWEEP_INTERVAL": "2",
    "CHECKOUT_SWEEP_GRACE": "1",
    "CHECKOUT_PAYMENT_TIMEOUT": "7200",
}
LEDGER = """
    SELECT sum(amount) FILTER (WHERE kind = 'charge') AS taken, sum(amount) FILTER (WHERE kind = 'refund') AS given
      FROM payments.ledger WHERE session_id = $1
"""
DELIVERED = """
    SELECT DISTINCT e.id FROM payments.events e JOIN payments.deliveries d ON d.event_id = e.id WHERE e.session_id = $1
"""
PROCESSES = ("gateway", "worker")


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    """A whole stack of these tests' own: others' orders must not be lost."""
    async with running_stack(extra_env=CALM) as stack:
        yield stack


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    async with Shop(stack) as shop:
        yield shop


class Backups:
    """The commands of docs/operations.md, on the embedded servers."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self._temporal = stack.config.data_dir / "temporal" / "temporal.db"

    async def take_shop(self) -> None:
        await self._run("pg_dump", "--format=custom", "--schema=shop", f"--file={self._folder / 'shop.dump'}")

    def take_temporal(self) -> None:
        """While it runs: SQLite's own backup, as `pg_dump` is PostgreSQL's."""
        kept = self._folder / "temporal.db"
        # Closed at once: in one process, what a connection has open of a file is every later one's as well.
        with closing(sqlite3.connect(self._temporal)) as live, closing(sqlite3.connect(kept)) as copy:
            live.backup(copy)

    async def restore_shop(self) -> None:
        dump = self._folder / "shop.dump"
        await self._run("pg_restore", "--clean", "--if-exists", "--single-transaction", "--dbname={url}", str(dump))

    async def restore_temporal(self) -> None:
        await self._stack["temporal"].stop()
        for beside in self._temporal.parent.glob("temporal.db-*"):
            beside.unlink()
        shutil.copy(self._folder / "temporal.db", self._temporal)
        await self._stack["temporal"].start()

    async def _run(self, name: str, *arguments: str) -> None:
        url = self._stack.database_url
        words = [word.format(url=url) for word in arguments] + ([f"--dbname={url}"] if name == "pg_dump" else [])
        process = await asyncio.create_subprocess_exec(
            program(name), *words, env={"PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode().replace(str(urlsplit(url).password), "…")


@pytest.fixture
def backups(stack: Stack, tmp_path: Path) -> Backups:
    return Backups(stack, tmp_path)


async def forget_everything(stack: Stack) -> None:
    """All workflows of the shop, running and ended: they remember orders that may not exist any more, and one that has
    heard of an event takes no note of it when it is sent again."""
    client = await Client.connect(stack.urls["temporal"])
    query = f"WorkflowType IN ('{CHECKOUT_WORKFLOW}', '{SETTLEMENT_WORKFLOW}', '{REFUND_WORKFLOW}')"
    argv = ("workflow", "delete", "--query", query, "--yes", "--address", stack.urls["temporal"])
    process = await asyncio.create_subprocess_exec(temporal(), *argv)
    assert await process.wait() == 0

    async def are_gone() -> bool:
        return (await client.count_workflows(query)).count == 0

    await eventually(are_gone, within=40, what="every workflow being gone")


async def stop(stack: Stack) -> None:
    for part in PROCESSES:
        await stack[part].stop()


async def start(stack: Stack) -> None:
    for part in reversed(PROCESSES):
        await stack[part].start()


async def paid(shop: Shop, order: dict[str, str]) -> None:
    await shop.payment.pay(order["session_id"])
    await shop.until(order["order_id"], "fulfilled", "dispatched")


async def send_events_again(stack: Stack, shop: Shop, session_id: str) -> None:
    """As in Stripe's dashboard: "Resend" at each event of a session."""
    async with connected(stack.database_url) as database:
        events = await database.fetch(DELIVERED, session_id)
    assert events
    for event in events:
        (await shop.payment.http.post(f"/_faults/webhooks/{event['id']}/resend")).raise_for_status()


async def money(stack: Stack, session_id: str) -> tuple[int, int]:
    """What the provider took for a session and what it gave back, in minor units."""
    async with connected(stack.database_url) as database:
        row = await database.fetchrow(LEDGER, session_id)
    return int(row["taken"] or 0), int(row["given"] or 0)


@pytest.mark.parametrize("store", ["kept", "older"])
async def test_the_shop_restored_to_an_earlier_moment_fulfils_what_was_paid_and_gives_back_what_it_lost(
    stack: Stack, shop: Shop, backups: Backups, store: str
) -> None:
    """With Temporal's store as it was, and with one that is older still."""
    ended = await shop.buy(f"ended-{store}")
    await paid(shop, ended)
    waiting = await shop.buy(f"waiting-{store}")
    if store == "older":
        backups.take_temporal()
    waiting_too = await shop.buy(f"waiting-too-{store}")
    await backups.take_shop()
    await paid(shop, waiting)
    lost, lost_unpaid = await shop.buy(f"lost-{store}"), await shop.buy(f"lost-unpaid-{store}")
    await paid(shop, lost)

    await stop(stack)
    await backups.restore_shop()
    if store == "older":
        await backups.restore_temporal()
    await forget_everything(stack)
    await start(stack)

    # What the shop still knows is settled against the provider: paid is fulfilled, ended stays, unpaid goes on waiting.
    await shop.until(waiting["order_id"], "fulfilled", "dispatched", within=40)
    assert (await shop.order(ended["order_id"]))["status"] in ("fulfilled", "dispatched")
    await paid(shop, waiting_too)
    # What it lost is money without an order: told of it again, or for the first time, it gives the money back.
    assert (await shop.http.get(f"/orders/{lost['order_id']}")).status_code == 404
    await shop.payment.pay(lost_unpaid["session_id"])
    await send_events_again(stack, shop, lost["session_id"])
    for session_id in (lost["session_id"], lost_unpaid["session_id"]):

        async def is_back(session_id: str = session_id) -> bool:
            taken, given = await money(stack, session_id)
            return 0 < taken == given

        await eventually(is_back, within=40, what="the money being back")
    await eventually(shop.is_clean, within=40, what="a clean audit")


async def test_temporal_restored_to_an_earlier_moment_hears_of_what_it_missed(
    stack: Stack, shop: Shop, backups: Backups
) -> None:
    """The shop is newer: one checkout waits for what has happened, another has no workflow."""
    waiting = await shop.buy("waiting")
    backups.take_temporal()
    await paid(shop, waiting)
    unknown = await shop.buy("unknown")

    await stop(stack)
    await backups.restore_temporal()
    await start(stack)

    await paid(shop, unknown)
    client = await Client.connect(stack.urls["temporal"])
    async with connected(stack.database_url) as database:  # nobody waits for half a minute
        await database.execute("SET session_replication_role = replica")
        await database.execute("UPDATE shop.orders SET updated_at = updated_at - interval '30 seconds'")

    async def has_ended() -> bool:
        return (await client.get_workflow_handle("waiting").describe()).status is WorkflowExecutionStatus.COMPLETED

    await eventually(has_ended, within=40, what="the checkout that waited for the past")
    assert (await shop.post("unknown")).json()["order_id"] == unknown["order_id"]
    await eventually(shop.is_clean, within=40, what="a clean audit")
