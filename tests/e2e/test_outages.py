"""Parts that are away or killed in the middle of a checkout: what the customer is told, and how the order ends."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from temporalio.client import Client

from runtime.connection import data_converter
from stack.config import StackConfig
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.patience import longest_lost_task
from tests.support.shop import Shop
from tests.support.stacks import brisk

RECOVERY = 30.0  # seconds; how fast it really is, the chaos campaign measures


@pytest.fixture(scope="module")
async def fragile(scratch: Path) -> AsyncIterator[Stack]:
    """A stack of this module's own, to be broken."""
    settings = {
        "CHECKOUT_DISPATCH_DURATION": "1",
        "CHECKOUT_SWEEP_INTERVAL": "2",
        "CHECKOUT_SWEEP_GRACE": "3",
        "CHECKOUT_SESSION_WAIT": "3",
    }
    async with Stack(StackConfig.for_tests(scratch / "fragile", adapt=brisk, extra_env=settings)) as stack:
        yield stack


@pytest.fixture
async def shop(fragile: Stack) -> AsyncIterator[Shop]:
    async with Shop(fragile) as shop:
        yield shop


async def until_ready(shop: Shop, *parts: str, is_ready: bool = True) -> None:
    """Each part's own word. The time is what a probe every few seconds, and a reconnection, take."""
    for part in parts:

        async def says_so(url: str = f"{shop.stack.urls[part]}/readyz") -> bool:
            async with httpx.AsyncClient(timeout=5, verify=False) as client:
                return (await client.get(url)).status_code == (200 if is_ready else 503)

        await eventually(says_so, within=RECOVERY, what=f"the {part} being {'ready' if is_ready else 'not ready'}")


async def test_without_a_worker_the_checkout_waits_and_the_key_resumes_it(shop: Shop) -> None:
    await shop.stack["worker"].stop()
    key = shop.key()
    answer = await shop.post(key)
    assert (answer.status_code, answer.headers["retry-after"].isdigit()) == (202, True)
    await shop.stack["worker"].start()

    async def resumed() -> bool:
        return (await shop.post(key)).status_code == 200

    await eventually(resumed, within=RECOVERY)


@pytest.mark.parametrize("part", ["temporal", "postgres"])
async def test_while_a_server_is_away_the_answer_is_503_and_the_same_key_works_afterwards(
    shop: Shop, part: str
) -> None:
    await shop.stack[part].stop()
    key = shop.key()
    answer = await shop.post(key)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"].isdigit()
    assert (await shop.http.get("/readyz")).status_code == 503
    await until_ready(shop, "worker", is_ready=False)
    await shop.stack[part].start()
    await until_ready(shop, "worker", "gateway")

    async def works() -> bool:
        return (await shop.post(key)).status_code == 200

    await eventually(works, within=RECOVERY)


async def test_sessions_that_a_failover_left_read_only_are_given_up(shop: Shop) -> None:
    """They answer every `SELECT 1`, and refuse to write for as long as they live, long after the server takes writes
    again. Nobody kills a process here."""
    parts = ("gateway", "worker", "payment")
    before = await shop.buy()
    owner = await asyncpg.connect(shop.stack.database_url.rpartition("/")[0] + "/postgres")
    database = shop.stack.database_url.rpartition("/")[2]

    async def end_sessions() -> None:
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"
        await owner.execute(statement.replace("$1", f"'{database}'"))

    try:
        await owner.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
        await end_sessions()
        await until_ready(shop, *parts, is_ready=False)
        left = await shop.available("pen")
        answer = await shop.post()
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["idempotency-key"]
        assert (await shop.post(before["checkout_key"])).json() == before, "what is known can be read"
    finally:
        await owner.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only")
        await owner.close()
    await until_ready(shop, *parts)
    assert await shop.available("pen") == left
    assert (await shop.post(answer.headers["idempotency-key"])).status_code == 200
    assert (await shop.payment.pay(before["session_id"])).status_code == 204
    await shop.restock("pen", 1)
    await shop.until(before["order_id"], "fulfilled", "dispatched", within=RECOVERY)


async def test_a_webhook_that_finds_temporal_away_is_sent_again(shop: Shop) -> None:
    body = await shop.buy()
    await shop.stack["temporal"].stop()
    try:
        assert (await shop.payment.pay(body["session_id"])).status_code == 204
        # Before the payment service hangs up (10 s): it would hear of no status then.
        assert await shop.payment.send_webhook(session_id=body["session_id"]) == [503]
    finally:
        await shop.stack["temporal"].start()
    await shop.until(body["order_id"], "fulfilled", "dispatched", within=RECOVERY)


@pytest.mark.parametrize("part", ["worker", "gateway", "payment", "temporal", "postgres"])
@pytest.mark.parametrize("moment", ["while it is opened", "while it is paid"])
async def test_a_kill_at_any_moment_loses_nothing(shop: Shop, part: str, moment: str) -> None:
    key = shop.key()
    if moment == "while it is opened":
        await asyncio.gather(shop.post(key), shop.stack[part].kill(), return_exceptions=True)
    body = await _buy_patiently(shop, key)
    if moment == "while it is paid":
        await asyncio.gather(_pay_patiently(shop, body["session_id"]), shop.stack[part].kill())
    await _pay_patiently(shop, body["session_id"])
    await _until_fulfilled(shop, body["order_id"])
    assert shop.stack[part].restarts >= 1
    assert (await shop.post(key)).json() == body


async def test_what_a_dead_worker_had_at_hand_does_not_wait_for_it(shop: Shop) -> None:
    """Temporal keeps a checkout's tasks for the worker that knows it, for ten seconds unless it is told otherwise."""
    body = await shop.buy()
    await shop.stack["worker"].kill()
    await shop.stack["worker"].wait_ready()
    assert (await shop.payment.pay(body["session_id"])).status_code == 204
    await shop.until(body["order_id"], "fulfilled", "dispatched", within=RECOVERY)
    client = await Client.connect(shop.stack.urls["temporal"], data_converter=data_converter())
    assert longest_lost_task(await client.get_workflow_handle(str(body["checkout_key"])).fetch_history()) < 8


async def _buy_patiently(shop: Shop, key: str) -> dict[str, object]:
    """As a client that was cut off does: the same key again until there is an answer."""

    async def answer() -> dict[str, object] | None:
        try:
            response = await shop.post(key)
        except httpx.HTTPError:
            return None
        assert response.status_code in (200, 202, 503), response.text
        return dict(response.json()) if response.status_code == 200 else None

    body = await eventually(answer, within=RECOVERY, what="an answer to Buy")
    assert body is not None
    return body


async def _pay_patiently(shop: Shop, session_id: object) -> None:
    async def is_paid() -> bool:
        try:
            return (await shop.payment.pay(str(session_id))).status_code == 204
        except httpx.HTTPError:
            return False

    await eventually(is_paid, within=RECOVERY, what="the payment")


async def _until_fulfilled(shop: Shop, order_id: object) -> None:
    async def is_fulfilled() -> bool:
        try:
            answer = await shop.http.get(f"/orders/{order_id}")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and answer.json()["status"] in ("fulfilled", "dispatched")

    await eventually(is_fulfilled, within=RECOVERY, what="the fulfilment")


async def test_an_order_whose_workflow_was_terminated_is_settled_by_the_sweep(shop: Shop) -> None:
    body = await shop.buy()
    client = await Client.connect(shop.stack.urls["temporal"], data_converter=data_converter())
    await client.get_workflow_handle(body["checkout_key"]).terminate("by hand")
    await shop.payment.fault("webhook", "lose", times=None)
    await shop.payment.pay(body["session_id"])
    await shop.until(body["order_id"], "fulfilled", "dispatched", within=RECOVERY)


async def test_after_all_this_the_ledgers_are_right(shop: Shop) -> None:
    await shop.payment.reset()

    async def is_clean() -> bool:
        return await shop.is_clean()

    await eventually(is_clean, within=RECOVERY, what="a clean audit")
