"""Rate and reservation caps: 429 with Retry-After, no burst slips through, nobody escapes by a header."""

import asyncio
import contextlib
import itertools
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from api.limits import MAX_CLIENTS, Limits, Rate
from api.problems import Problem
from db.engine import create_engine
from runtime.settings import Settings, load_settings
from stack.probes import free_ports
from stack.stack import Stack
from tests.security.conftest import GatewayWith
from tests.support.eventually import eventually
from tests.support.stacks import environment_of


def request_of(host: str, **headers: str) -> Request:
    sent = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (host, 1), "headers": sent})


_addresses = (f"198.51.100.{number}" for number in itertools.count(1))


def somebody_new() -> str:
    """An address that no other test has orders open from."""
    return next(_addresses)


def limits_of(settings: Settings, **changes: str) -> Limits:
    made: Any = settings.model_dump(by_alias=True) | changes
    return Limits(load_settings(**made), create_engine(settings.database_url.get_secret_value(), pool_size=1))


def test_caps_are_off_unless_set() -> None:
    settings = load_settings()
    assert settings.rate_limit_per_minute == 0
    assert settings.open_reservations_per_client == 0


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


async def test_a_burst_cannot_reserve_more_than_the_cap(gateway_with: GatewayWith, guarded: Stack) -> None:
    async with gateway_with(peer=somebody_new(), CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT="3") as client:
        answers = await asyncio.gather(*(client.post("/checkout") for _ in range(15)))
        opened = [answer.json() for answer in answers if answer.status_code == 200]
        assert 1 <= len(opened) <= 3
        while len(opened) < 3:
            opened.append((await client.post("/checkout")).json())
        refused = await client.post("/checkout")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        again = await client.post(f"/checkout/{opened[0]['checkout_key']}")
        assert again.status_code == 200, "a repeated key reserves nothing more"
        assert again.json() == opened[0]
        assert (await client.post(f"/orders/{opened[0]['order_id']}/cancel")).status_code == 200
        assert (await client.post("/checkout")).status_code == 200, "who gives one up may have another"


async def test_a_key_sent_many_times_at_once_does_not_slip_through(gateway_with: GatewayWith) -> None:
    caps = {"CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT": "1"}
    async with gateway_with(peer=somebody_new(), **caps) as client:
        assert (await client.post("/checkout")).status_code == 200
        key = secrets.token_hex(8)
        answers = await asyncio.gather(*(client.post(f"/checkout/{key}") for _ in range(10)))
        assert [answer.status_code for answer in answers] == [429] * 10


async def test_a_checkout_that_could_not_begin_counts_no_more(gateway_with: GatewayWith, guarded: Stack) -> None:
    caps = {"CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT": "1"}
    async with gateway_with(peer=somebody_new(), **caps) as client:
        await guarded["temporal"].stop()
        try:
            assert [(await client.post("/checkout")).status_code for _ in range(2)] == [503, 503]
        finally:
            await guarded["temporal"].start()
        await guarded["worker"].wait_ready(timeout=30)

        key = secrets.token_hex(8)  # one for all tries: of one that began though its answer was lost, each is a repeat

        async def is_let_in() -> bool:
            answer = await client.post(f"/checkout/{key}")
            assert answer.status_code != 429, "the two that could not begin must not count"
            return answer.status_code in (200, 202)

        await eventually(is_let_in, within=30, what="a checkout, once Temporal takes one")


async def test_a_repeat_that_fails_does_not_uncount_what_waits_for_a_worker(settings: Settings) -> None:
    limits = limits_of(settings, CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT="1")
    client = limits.client_of(request_of(somebody_new()))
    async with limits.admitted(client, "first"):
        pass
    with pytest.raises(ConnectionError):
        async with limits.admitted(client, "first"):
            raise ConnectionError("Temporal is away")
    with pytest.raises(Problem, match="Too many unpaid"):
        async with limits.admitted(client, "second"):
            pass


async def test_a_first_request_that_fails_does_not_uncount_what_its_repeat_has_begun(settings: Settings) -> None:
    limits = limits_of(settings, CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT="1")
    client = limits.client_of(request_of(somebody_new()))

    async def double_click() -> None:
        async with limits.admitted(client, "first"):
            async with limits.admitted(client, "first"):
                pass  # its start is answered before that of the first one is lost
            raise ConnectionError("Temporal is away")

    with pytest.raises(ConnectionError):
        await double_click()
    with pytest.raises(Problem, match="Too many unpaid"):
        async with limits.admitted(client, "second"):
            pass


async def test_checkouts_that_wait_for_a_worker_count_too(gateway_with: GatewayWith, guarded: Stack) -> None:
    """Else whoever presses Buy while no worker runs gets everything reserved as soon as one does."""
    caps = {"CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT": "2", "CHECKOUT_SESSION_WAIT": "0.3"}
    async with gateway_with(peer=somebody_new(), **caps) as client:
        await guarded["worker"].stop()
        try:
            waiting = [await client.post("/checkout") for _ in range(5)]
            assert [answer.status_code for answer in waiting] == [202, 202, 429, 429, 429]
            first, second = (answer.headers["idempotency-key"] for answer in waiting[:2])
            assert (await client.post(f"/checkout/{first}")).status_code == 202, "to wait on is no second checkout"
        finally:
            await guarded["worker"].start()

        async def order_of(key: str) -> str:
            answer = await client.post(f"/checkout/{key}")
            assert answer.status_code in (200, 202)
            return str(answer.json()["order_id"]) if answer.status_code == 200 else ""

        opened = [await eventually(lambda key=key: order_of(key), within=20) for key in (first, second)]
        assert (await client.post("/checkout")).status_code == 429
        assert (await client.post(f"/orders/{opened[0]}/cancel")).status_code == 200
        assert (await client.post("/checkout")).status_code in (200, 202)


async def test_another_client_is_not_held_up(gateway_with: GatewayWith) -> None:
    caps = {"CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT": "1", "CHECKOUT_RATE_LIMIT_PER_MINUTE": "1"}
    async with gateway_with(peer=somebody_new(), **caps) as one:
        assert (await one.post("/checkout")).status_code == 200
        assert (await one.post("/checkout")).status_code == 429
    async with gateway_with(peer=somebody_new(), **caps) as other:
        assert (await other.post("/checkout")).status_code == 200


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
