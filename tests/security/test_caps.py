"""The cap on open reservations: no burst slips through, and what waits for a worker counts."""

import asyncio
import secrets

import pytest

from api.problems import Problem
from runtime.settings import Settings, load_settings
from stack.stack import Stack
from tests.security.clients import limits_of, request_of, somebody_new
from tests.security.conftest import GatewayWith
from tests.support.eventually import eventually


def test_caps_are_off_unless_set() -> None:
    settings = load_settings()
    assert settings.rate_limit_per_minute == 0
    assert settings.open_reservations_per_client == 0


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
