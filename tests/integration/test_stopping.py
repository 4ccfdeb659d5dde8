"""SIGTERM while somebody waits: whoever waits is answered, with what lets him find his way back."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from checkout.orders import CartLine
from checkout.sessions import PaymentSession
from db import orders
from stack.probes import free_ports
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.orders import open_order
from tests.support.rig import TOKEN

OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@asynccontextmanager
async def gateway_process(database_url: str, temporal_port: int) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """`python -m api`, ready to answer; there is no worker."""
    [port] = free_ports(1)
    ours = {
        "DATABASE_URL": database_url,
        "CHECKOUT_API_PORT": str(port),
        "CHECKOUT_TEMPORAL_PORT": str(temporal_port),
        "CHECKOUT_ADMIN_TOKEN": TOKEN,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", env={**os.environ, **ours})
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/livez")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, within=60, what="the gateway")
            yield process, client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def stopped(process: Process, asked: "asyncio.Task[httpx.Response]") -> httpx.Response:
    """What is answered to somebody who already waits when the process is told to stop."""
    assert not asked.done()
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(30):
        answer = await asked
        await process.wait()
    return answer


async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A Temporal that takes the connection and says nothing."""
    try:
        await asyncio.sleep(60)
    finally:
        writer.close()


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
async def test_who_waits_for_a_session_hears_how_to_go_on(
    database_url: str, temporal_server: Stack, accept: str
) -> None:
    async with gateway_process(database_url, temporal_server.config.settings.temporal_port) as (process, client):
        form = {"data": {"sku": "pen", "quantity": "1"}} if accept == "text/html" else {}
        buying = asyncio.create_task(client.post("/checkout", headers={"Accept": accept}, **form))
        await asyncio.sleep(1.5)
        begun = asyncio.get_running_loop().time()
        answer = await stopped(process, buying)
        # Long before its ten seconds are over, and before the query that no worker answers gives up.
        assert asyncio.get_running_loop().time() - begun < 5
    assert answer.status_code == 202
    key = answer.headers["idempotency-key"]
    if accept == "text/html":
        assert key in answer.text
    else:
        assert answer.headers["location"] == f"/checkout/{key}"
        assert answer.json() == {"checkout_key": key, "status": "pending"}


async def test_who_waits_for_a_cancellation_hears_that_it_is_under_way(
    database_url: str, engine: AsyncEngine, temporal_server: Stack
) -> None:
    order = await open_order(engine, "k", CartLine("pen", 1))
    async with engine.begin() as connection:
        await orders.record_session(connection, order.order_id, PaymentSession("cs_k", "http://pay"))
    async with gateway_process(database_url, temporal_server.config.settings.temporal_port) as (process, client):
        cancelling = asyncio.create_task(client.post(f"/orders/{order.order_id}/cancel"))
        await asyncio.sleep(1)
        answer = await stopped(process, cancelling)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["code"] == "cancel-pending"


async def test_whoever_else_waits_is_told_to_come_again_with_the_key(database_url: str) -> None:
    """Temporal does not answer: nobody knows whether the checkout has begun."""
    temporal = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with temporal, gateway_process(database_url, temporal.sockets[0].getsockname()[1]) as (process, client):
        buying = asyncio.create_task(client.post("/checkout"))
        await asyncio.sleep(0.5)
        answer = await stopped(process, buying)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "restarted" in answer.json()["detail"]
    assert len(answer.headers["idempotency-key"]) > 20
    assert answer.headers["retry-after"]


async def test_streams_end_so_that_their_readers_connect_anew(
    database_url: str, engine: AsyncEngine, temporal_server: Stack
) -> None:
    order = await open_order(engine, "k", CartLine("pen", 1))
    async with gateway_process(database_url, temporal_server.config.settings.temporal_port) as (process, client):
        streams = [
            client.stream("GET", f"/orders/{order.order_id}/events"),
            client.stream("GET", "/admin/events", headers=OPERATOR),
        ]
        async with streams[0] as first, streams[1] as second:
            told = [first.aiter_text(), second.aiter_text()]
            begun = [await anext(each) for each in told]
            assert all("retry: 1000" in each for each in begun)  # from then on the browser comes again by itself
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                for each in told:
                    async for _ in each:  # whole, to its end: a cut one raises
                        pass
                await process.wait()


async def test_a_request_that_needs_no_waiting_is_answered_as_ever(
    database_url: str, engine: AsyncEngine, temporal_server: Stack
) -> None:
    async with gateway_process(database_url, temporal_server.config.settings.temporal_port) as (process, client):
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE shop.products IN ACCESS EXCLUSIVE MODE"))
            looking = asyncio.create_task(client.get("/products"))
            await asyncio.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
        async with asyncio.timeout(30):
            assert (await looking).status_code == 200
            await process.wait()
