"""`POST /payment_webhook` under attack. Forged in any way: 400, and nothing is written. Genuine and odd: never a 500.

Sources: Stripe, "Check the webhook signatures" and "Verify webhook signatures manually".
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stack.stack import Stack
from tests.security.conftest import GatewayWith
from tests.security.counting import counts

Post = Callable[..., Any]
WRONG = "whsec_of_somebody_else"


def mac(body: bytes, secret: str, at: int | str) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def signed(body: bytes, secret: str, at: int | None = None) -> str:
    at = int(time.time()) if at is None else at
    return f"t={at},v1={mac(body, secret, at)}"


def event(session_id: str = "cs_test_unknown", **changes: Any) -> dict[str, Any]:
    subject = {"id": session_id, "object": "checkout.session", "client_reference_id": None, "payment_status": "paid"}
    made = {"id": f"evt_{secrets.token_hex(8)}", "object": "event", "type": "checkout.session.completed"}
    return made | {"data": {"object": subject}} | changes


def encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


async def send(client: httpx.AsyncClient, body: bytes, signature: str | bytes | None) -> httpx.Response:
    signed_as = signature.encode() if isinstance(signature, str) else signature
    headers = {} if signed_as is None else {b"Stripe-Signature": signed_as}
    return await client.post("/payment_webhook", content=body, headers=headers)


async def test_no_forgery_is_taken_and_none_leaves_a_trace(client: httpx.AsyncClient, guarded: Stack) -> None:
    order = (await client.post("/checkout")).json()
    body, now, secret = encoded(event(order["session_id"])), int(time.time()), guarded.credentials.webhook_secret
    good = mac(body, secret, now)
    forgeries = {
        "no signature": (body, None),
        "empty": (body, ""),
        "of another secret": (body, signed(body, WRONG)),
        "of the empty secret": (body, signed(body, "")),
        "stale by a second": (body, signed(body, secret, now - 302)),
        "of the future": (body, signed(body, secret, now + 310)),
        "of the year 9999": (body, signed(body, secret, 253402300799)),
        "negative time": (body, f"t=-1,v1={mac(body, secret, -1)}"),
        "time in unicode digits": (body, f"t=\u0661,v1={good}".encode()),
        "time with a sign": (body, f"t=+{now},v1={good}"),
        "time twice, the fresh one unsigned": (
            body,
            f"t={now - 9999},t={now},v1={mac(body, secret, now - 9999)}",
        ),
        "time twice, the stale one last": (body, f"t={now},t={now - 9999},v1={mac(body, secret, now - 9999)}"),
        "truncated": (body, f"t={now},v1={good[:-1]}"),
        "longer": (body, f"t={now},v1={good}0"),
        "upper case": (body, f"t={now},v1={good.upper()}"),
        "of an old scheme": (body, f"t={now},v0={good}"),
        "without time": (body, f"v1={good}"),
        "a thousand wrong ones": (body, f"t={now}," + ",".join(f"v1={secrets.token_hex(32)}" for _ in range(600))),
        "no pairs": (body, "t,v1"),
        "not latin": (body, b"t=\xff,v1=\xfe"),
        "not latin, at the right time": (body, b"t=%d,v1=\xfe" % now),
        "re-serialised": (json.dumps(json.loads(body), indent=1).encode(), f"t={now},v1={good}"),
        "one byte more": (body + b" ", f"t={now},v1={good}"),
        "one byte less": (body[:-1], f"t={now},v1={good}"),
        "another session": (body.replace(b"completed", b"expiredxx"), f"t={now},v1={good}"),
        "not utf-8": (b"\xff" + body, signed(b"\xff" + body, WRONG)),
    }
    await asyncio.sleep(0.3)
    before = await counts(guarded)
    answers = {name: await send(client, *forgery) for name, forgery in forgeries.items()}
    assert {name: a.status_code for name, a in answers.items() if a.status_code != 400} == {}
    assert len({answer.json()["code"] for answer in answers.values()}) == 1, "no oracle: all are told the same"
    await asyncio.sleep(0.3)
    assert await counts(guarded) == before
    assert (await client.get(f"/orders/{order['order_id']}")).json()["status"] == "awaiting_payment"


async def test_while_a_secret_is_rotated_both_are_valid_and_afterwards_only_the_new_one(
    gateway_with: GatewayWith,
) -> None:
    old, new, body = "whsec_the_old_one", "whsec_the_new_one", encoded(event(type="customer.created"))
    async with gateway_with(STRIPE_WEBHOOK_SECRET=f"{new},{old}") as during:
        assert (await send(during, body, signed(body, old))).status_code == 200
        assert (await send(during, body, signed(body, new))).status_code == 200
        both = f"{signed(body, old)},v1={mac(body, new, int(time.time()))}"
        assert (await send(during, body, both)).status_code == 200
        assert (await send(during, body, signed(body, WRONG))).status_code == 400
    async with gateway_with(STRIPE_WEBHOOK_SECRET=new) as after:
        assert (await send(after, body, signed(body, new))).status_code == 200
        assert (await send(after, body, signed(body, old))).status_code == 400


async def test_a_genuine_signature_among_wrong_ones_counts(client: httpx.AsyncClient, guarded: Stack) -> None:
    """Stripe signs with every active secret, and says: ignore schemes that are not v1."""
    body, now = encoded(event(type="customer.created")), int(time.time())
    header = f"t={now},v0=junk,v1={'0' * 64},v1={mac(body, guarded.credentials.webhook_secret, now)},v9=x"
    assert (await send(client, body, header)).status_code == 200
    for off in (-295, 295):
        at = int(time.time()) + off
        assert (await send(client, body, signed(body, guarded.credentials.webhook_secret, at))).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"7",
        b"[]",
        b'"text"',
        b"{}",
        b"{",
        b"\xff\xfe",
        b"\x00",
        b"[" * 100_000,
        encoded({"id": 7, "type": "checkout.session.completed", "data": {"object": {"id": "cs"}}}),
        encoded(
            {"id": 7, "type": "charge.refunded", "data": {"object": {"refunded": True, "metadata": {"order_id": "o"}}}}
        ),
        encoded({"id": "e", "type": 7, "data": {"object": {}}}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": None}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": []}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": {"object": "text"}}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": {"object": {"id": None}}}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": {"object": {"id": ""}}}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": {"object": {"id": "x" * 256}}}),
        encoded({"id": "e", "type": "checkout.session.completed", "data": {"object": {"id": {"a": 1}}}}),
        encoded({"id": "e" * 300, "type": "checkout.session.completed", "data": {"object": {"id": "cs"}}}),
    ],
    ids=lambda body: repr(body)[:60],
)
async def test_a_signed_body_that_is_no_event_is_refused(
    client: httpx.AsyncClient, guarded: Stack, body: bytes
) -> None:
    answer = await send(client, body, signed(body, guarded.credentials.webhook_secret))
    assert answer.status_code == 400, answer.text


async def test_an_event_that_is_not_needed_is_taken_also_under_the_address_with_a_slash(
    client: httpx.AsyncClient, guarded: Stack
) -> None:
    for body in (encoded({"object": "v2.core.event", "type": "v2.core.account.updated"}), encoded({"type": "x"})):
        headers = {"Stripe-Signature": signed(body, guarded.credentials.webhook_secret)}
        for path in ("/payment_webhook", "/payment_webhook/"):
            assert (await client.post(path, content=body, headers=headers)).status_code == 200
            assert (await client.post(path, content=body)).status_code == 400
    told = (await client.get("/metrics")).text
    assert 'checkout_webhook_events_total{outcome="not_needed"}' in told
    assert 'checkout_webhook_events_total{outcome="unsigned"}' in told


@pytest.mark.parametrize(
    "text", ["cs_\x00", "cs_\ud800", "cs_\n", "cs/../../x", "cs_'; DROP TABLE shop.orders; --", "😀"]
)
async def test_a_signed_event_with_odd_ids_breaks_nothing(client: httpx.AsyncClient, guarded: Stack, text: str) -> None:
    for body in (encoded(event(text)), encoded(event("cs_test_x", id=text))):
        answer = await send(client, body, signed(body, guarded.credentials.webhook_secret))
        assert answer.status_code in (200, 400), (answer.status_code, answer.text)


async def test_an_event_names_no_workflow_but_a_checkouts(client: httpx.AsyncClient, guarded: Stack) -> None:
    """`client_reference_id` must not reach the sweep, a dispatch or a settlement by its id."""
    await client.post("/checkout")
    for key in ("sweep/run", "settle:cs_x", "dispatch/ord_x", "../x", 7, {"a": 1}, ["x"], "a" * 201, "x\n"):
        body = encoded(event("cs_test_x"))
        made = json.loads(body)
        made["data"]["object"]["client_reference_id"] = key
        body = encoded(made)
        assert (await send(client, body, signed(body, guarded.credentials.webhook_secret))).status_code == 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("\x00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = [("id",), ("type",), ("data",), ("data", "object"), ("data", "object", "id"), ("created",), ("livemode",)]
PATHS += [("data", "object", "client_reference_id"), ("data", "object", "payment_status"), ("api_version",)]


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(PATHS), value=JSON, remove=st.booleans(), at=st.integers(-200, 200))
async def test_a_mutated_event_under_a_valid_signature_is_taken_or_refused(
    client: httpx.AsyncClient, guarded: Stack, path: tuple[str, ...], value: Any, remove: bool, at: int
) -> None:
    made: dict[str, Any] = event()
    inner = made
    for name in path[:-1]:
        inner = inner[name]
    if remove:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    body = encoded(made)
    answer = await send(client, body, signed(body, guarded.credentials.webhook_secret, int(time.time()) + at))
    assert answer.status_code in (200, 400), (answer.status_code, body)


async def test_a_genuine_event_that_lies_fulfils_nothing(client: httpx.AsyncClient, guarded: Stack) -> None:
    """Signed with our secret and "paid", but the provider says otherwise: the provider is asked, not the event."""
    order = (await client.post("/checkout")).json()
    for kind in ("completed", "async_payment_succeeded", "expired"):
        made = event(order["session_id"], type=f"checkout.session.{kind}")
        made["data"]["object"] |= {
            "client_reference_id": order["checkout_key"],
            "amount_total": 1,
            "status": "complete",
        }
        body = encoded(made)
        assert (await send(client, body, signed(body, guarded.credentials.webhook_secret))).status_code == 200
    await asyncio.sleep(1)
    assert (await client.get(f"/orders/{order['order_id']}")).json()["status"] == "awaiting_payment"
