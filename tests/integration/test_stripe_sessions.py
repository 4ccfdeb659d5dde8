"""The Stripe adapter against the payment service in this process: sessions, their ends, refunds."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest
import stripe

from checkout.contracts import SessionStatus
from checkout.errors import PaymentStuck, PaymentUnknown, PaymentUnreachable
from runtime.settings import load_settings
from tests.integration.payment_mock.serving import KEY, in_process
from tests.support.databases import DatabaseServer
from tests.support.eventually import eventually
from worker.payments.port import SessionLine, SessionRequest
from worker.payments.stripe_adapter import StripeProvider, _state


class Service:
    """The payment service, its customer and its tables."""

    def __init__(self, url: str, database_url: str, http: httpx.AsyncClient) -> None:
        self.provider = StripeProvider(load_settings(STRIPE_API_BASE=url, STRIPE_SECRET_KEY=KEY))
        self.http = http
        self._database_url = database_url

    async def fault(self, point: str, action: str, **more: object) -> None:
        (await self.http.put("/_faults", json={"point": point, "action": action, **more})).raise_for_status()

    async def pay(self, session_id: str) -> None:
        (await self.http.post("/api/submit_payment", data={"session_id": session_id})).raise_for_status()

    async def count(self, statement: str) -> int:
        connection = await asyncpg.connect(self._database_url)
        try:
            return int(await connection.fetchval(statement))
        finally:
            await connection.close()


@pytest.fixture
async def service(database_server: DatabaseServer) -> AsyncIterator[Service]:
    async with (
        database_server.empty() as database_url,
        in_process(database_url, "http://127.0.0.1:9/payment_webhook") as url,
        httpx.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Service(url, database_url, http)


def request() -> SessionRequest:
    now = datetime.now(UTC)
    lines = [SessionLine("Pen", 2, 1000)]
    return SessionRequest(f"ord_{secrets.token_hex(8)}", "key-1", "usd", lines, now, now + timedelta(minutes=15))


async def test_every_attempt_for_an_order_gets_the_same_session(service: Service) -> None:
    wanted = request()
    await service.fault("create.after", "drop")
    with pytest.raises(PaymentUnreachable):
        await service.provider.create_session(wanted)
    assert await service.provider.create_session(wanted) == await service.provider.create_session(wanted)
    assert await service.count("SELECT count(*) FROM payments.sessions") == 1


async def test_every_attempt_of_a_refund_carries_the_same_key(service: Service) -> None:
    session = await service.provider.create_session(request())
    await service.pay(session.session_id)
    intent = (await service.provider.retrieve_session(session.session_id)).payment_intent_id
    assert intent is not None
    for _ in range(2):
        await service.provider.refund(intent)
    assert await service.count("SELECT count(*) FROM payments.refunds") == 1
    assert await service.count("SELECT count(*) FROM payments.idempotency_keys WHERE endpoint LIKE '%refund%'") == 1


async def test_money_given_back_past_the_shop_is_seen_once_it_is_all(service: Service) -> None:
    session = await service.provider.create_session(request())
    await service.pay(session.session_id)
    intent = (await service.provider.retrieve_session(session.session_id)).payment_intent_id
    assert intent is not None
    for amount, is_all in ((None, False), (1, False), (1999, True)):
        if amount is not None:
            form = {"payment_intent": intent, "amount": amount}
            answer = await service.http.post("/v1/refunds", data=form, headers={"Authorization": f"Bearer {KEY}"})
            answer.raise_for_status()
        assert await service.provider.is_refunded(intent) is is_all


async def test_complete_is_not_paid(service: Service) -> None:
    session = await service.provider.create_session(request())
    await service.fault("pay.before", "complete_unpaid")
    await service.pay(session.session_id)
    state = await service.provider.retrieve_session(session.session_id)
    assert (state.status, state.paid) == (SessionStatus.COMPLETE, False)


async def test_expiring_what_is_paid_says_so(service: Service) -> None:
    session = await service.provider.create_session(request())
    await service.pay(session.session_id)
    assert (await service.provider.expire_session(session.session_id)).paid


async def test_an_open_session_that_is_not_closed_is_no_answer(service: Service) -> None:
    """Else whoever asks would ask again at once, for ever: it wants closed what it is told is open."""
    session = await service.provider.create_session(request())
    await service.fault("expire.before", "error", status=403)
    with pytest.raises(PaymentUnreachable, match="403"):
        await service.provider.expire_session(session.session_id)
    assert (await service.provider.expire_session(session.session_id)).status is SessionStatus.EXPIRED


@pytest.mark.parametrize("other", [{"mode": "setup", "amount_total": None}, {"mode": "subscription"}])
def test_a_session_that_is_not_for_a_payment_is_none_of_ours(other: dict[str, Any]) -> None:
    """Stripe tells an account's endpoints of all its sessions. One of another kind has no amount, or no payment."""
    paid: dict[str, Any] = {
        "id": "cs_1",
        "mode": "payment",
        "status": "complete",
        "payment_status": "paid",
        "amount_total": 700,
        "currency": "usd",
        "payment_intent": "pi_1",
        "metadata": {},
    }
    assert _state(stripe.checkout.Session.construct_from(paid, KEY)).paid
    with pytest.raises(PaymentUnknown):
        _state(stripe.checkout.Session.construct_from(paid | other | {"payment_intent": None}, KEY))


async def test_a_stored_error_is_told_from_a_passing_one(service: Service) -> None:
    wanted = request()
    await service.fault("create.before", "sticky_error", status=500)
    with pytest.raises(PaymentUnreachable):
        await service.provider.create_session(wanted)
    with pytest.raises(PaymentStuck):
        await service.provider.create_session(wanted)


async def test_of_two_refunds_that_saw_the_same_charge_one_is_made_and_the_other_is_told_so(service: Service) -> None:
    session = await service.provider.create_session(request())
    await service.pay(session.session_id)
    intent = (await service.provider.retrieve_session(session.session_id)).payment_intent_id

    async def refund() -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = await service.http.post("/v1/refunds", data={"payment_intent": intent}, headers=headers)
        return answer.status_code, answer.json().get("error", {}).get("code", "")

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def both_wait() -> bool:
        return await service.count(waiting) == 2

    # Somebody holds the row: both read what was paid, and neither can write before the other has read.
    connection = await asyncpg.connect(service._database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM payments.sessions WHERE id = $1 FOR UPDATE", session.session_id)
            refunds = [asyncio.create_task(refund()) for _ in range(2)]
            await eventually(both_wait, what="both refunds at the lock")
    finally:
        await connection.close()
    assert sorted(await asyncio.gather(*refunds)) == [(200, ""), (400, "charge_already_refunded")]
    assert await service.count("SELECT sum(amount) FROM payments.refunds") == 2000
