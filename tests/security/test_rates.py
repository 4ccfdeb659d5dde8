"""The rate limit: 429 with Retry-After for a client, which is a network, and nobody escapes by a header."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from api.limits import MAX_CLIENTS, Rate
from api.problems import Problem
from runtime.settings import Settings
from stack.probes import free_ports
from stack.stack import Stack
from tests.security.clients import limits_of, request_of
from tests.security.conftest import GatewayWith
from tests.support.stacks import environment_of


async def test_over_the_rate_every_request_is_told_when_to_come_back(gateway_with: GatewayWith) -> None:
    async with gateway_with(CHECKOUT_RATE_LIMIT_PER_MINUTE="5") as client:
        answers = await asyncio.gather(*(client.post("/checkout") for _ in range(20)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert sorted({answer.status_code for answer in answers}) == [200, 429]
        assert len(refused) == 15, "a burst gets its five and no more"
        assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in refused)
        assert all(answer.headers["content-type"] == "application/problem+json" for answer in refused)


async def test_invalid_requests_count_too(gateway_with: GatewayWith) -> None:
    async with gateway_with(CHECKOUT_RATE_LIMIT_PER_MINUTE="3") as client:
        asked = [("/checkout", b"{"), ("/checkout/settle:x", b""), ("/checkout", b"{")] * 2
        statuses = [(await client.post(path, content=content)).status_code for path, content in asked]
        assert statuses == [400, 400, 400, 429, 429, 429]


def test_a_client_is_its_network_and_no_header_changes_that(settings: Settings) -> None:
    limits = limits_of(settings, CHECKOUT_RATE_LIMIT_PER_MINUTE="1")
    client = limits.client_of(request_of("192.0.2.9"))
    assert client is not None
    assert "192.0.2.9" not in client
    spoofed = request_of("192.0.2.9", X_Forwarded_For="10.0.0.1", Forwarded="for=10.0.0.1", X_Real_IP="10.0.0.1")
    assert limits.client_of(spoofed) == client
    assert limits.client_of(request_of("192.0.2.10")) != client
    assert limits.client_of(request_of("::ffff:192.0.2.9")) == client
    one, same, other = (request_of(f"2001:db8:0:{net}::1") for net in ("1", "1:2", "2"))
    assert limits.client_of(one) == limits.client_of(same) != limits.client_of(other)


def test_the_buckets_of_a_million_addresses_stay_bounded(settings: Settings) -> None:
    limits = limits_of(settings, CHECKOUT_RATE_LIMIT_PER_MINUTE="1")
    for number in range(MAX_CLIENTS + 500):
        limits.take(str(number))
    assert limits._requests._bucket.cache_info().currsize == MAX_CLIENTS


def test_a_bucket_refills_with_time_and_never_overflows() -> None:
    clock = [1000.0]
    rate = Rate(2, lambda: clock[0])

    def taken() -> int:
        count = 0
        while True:
            try:
                rate.check("a", "Too many")
            except Problem:
                return count
            rate.count("a")
            count += 1

    assert taken() == 2
    clock[0] += 30
    assert taken() == 1
    clock[0] += 1e6
    assert taken() == 2
    clock[0] += 10
    assert taken() == 0, "a refused request must not empty what has refilled"
    clock[0] += 20
    assert taken() == 1


@asynccontextmanager
async def serving(stack: Stack, **changes: str) -> AsyncIterator[httpx.AsyncClient]:
    """The gateway's own process, as `python -m api` runs it, on a port of its own."""
    (port,) = free_ports(1)
    environment = environment_of(stack) | changes | {"CHECKOUT_API_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "api", env=environment, cwd="/")
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            for _ in range(200):
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get("/livez")).status_code == 200:
                        break
                await asyncio.sleep(0.1)
            yield client
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.parametrize(("proxies", "is_believed"), [("", False), ("127.0.0.1", True)])
async def test_x_forwarded_for_is_believed_from_named_proxies_only(
    guarded: Stack, proxies: str, is_believed: bool
) -> None:
    """On the real server: uvicorn, left to itself, believes everybody who comes from 127.0.0.1."""
    changes = {"CHECKOUT_RATE_LIMIT_PER_MINUTE": "1", "CHECKOUT_TRUSTED_PROXIES": proxies}
    async with serving(guarded, **changes) as client:
        statuses = [
            (await client.post("/checkout", content=b"{", headers={"X-Forwarded-For": f"10.0.0.{number}"})).status_code
            for number in range(3)
        ]
    assert statuses == ([400, 400, 400] if is_believed else [400, 429, 429])
