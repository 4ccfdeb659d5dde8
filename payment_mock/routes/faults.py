"""The control plane: `PUT /_faults` sets a rule, `GET` lists them with how often each fired, `DELETE` resets. Rules
outlive a restart."""

import asyncio
import time
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import Field

from payment_mock.domain import payments, reversals, wire
from payment_mock.domain.objects import Json
from payment_mock.faults import ACTIONS, RuleInput
from payment_mock.outbox import signature_header
from payment_mock.routes.edge import Body, TheService

router = APIRouter(prefix="/_faults", tags=["control plane"])


class Release(Body):
    """Which barrier to open; null: all of them."""

    id: int | None = None


class Payment(Body):
    """A payment by the control plane: at an exact moment, or on a session that is over."""

    session_id: str
    at: float | None = Field(None, description="unix seconds to pay at; null: now")
    force: bool = Field(False, description="charge even an expired session (late money)")


class Becoming(Body):
    """What the outside world makes of a payment that takes days (`cs_…`: succeeded, failed), of a refund (`re_…`: its
    status) or of a dispute (`du_…`: its status)."""

    id: str
    status: str


class Reversal(Body):
    """A refund by the provider's dashboard, or a dispute by the customer's bank; null: of all that is left."""

    session_id: str
    amount: int | None = Field(None, ge=1)
    status: str | None = Field(None, description="the first one; null: as the payment method has it")
    reason: str | None = None


class Webhook(Body):
    """An event of one's own making. `data` is the event's `data.object`; `session_id` takes a stored session's."""

    type: str = "checkout.session.completed"
    session_id: str | None = None
    data: dict[str, Any] | None = None
    event_id: str | None = None
    body: str | None = Field(None, description="sent as it is, in place of an event")
    signed: Literal["right", "wrong", "none", "stale", "future", "altered"] = "right"
    copies: int = Field(1, ge=1, le=10_000)


@router.get("")
async def listed(service: TheService) -> dict[str, Any]:
    return {"rules": service.faults.listed(), "points": ACTIONS}


@router.put("", status_code=201)
async def add(service: TheService, rule: RuleInput) -> dict[str, Any]:
    return {"id": await service.faults.add(rule), **rule.model_dump(exclude_none=True)}


@router.delete("")
async def reset(service: TheService) -> dict[str, int]:
    return {"removed": await service.faults.remove(None)}


@router.delete("/{rule_id}")
async def remove(service: TheService, rule_id: int) -> dict[str, int]:
    if not (removed := await service.faults.remove(rule_id)):
        raise HTTPException(404, "no such rule")
    return {"removed": removed}


@router.post("/release")
async def release(service: TheService, what: Release) -> dict[str, int]:
    """Let requests go that a `hold` keeps. Answers how many there were."""
    return {"released": service.faults.release(what.id)}


@router.post("/pay")
async def pay(service: TheService, payment: Payment) -> dict[str, Any]:
    """Pay when `at` has come; `force` pays whatever the session's state. `{"paid": false}` when it is over."""
    await service.find(payment.session_id)
    if payment.at is not None:
        await asyncio.sleep(max(0.0, payment.at - time.time()))
    told: dict[str, Any] = {"paid": True}
    try:
        if payment.force:
            session = (await service.change(payment.session_id, payments.pay_late)).session
        else:
            session = await service.pay(payment.session_id)
    except payments.NotPayable as refusal:
        told, session = {"paid": False, "reason": refusal.reason}, refusal.session
    return {**told, "status": session.status, "at": time.time()}


@router.post("/become")
async def become(service: TheService, becoming: Becoming) -> dict[str, bool]:
    return {"changed": bool((await service.become(becoming.id, becoming.status)).events)}


@router.post("/refund")
async def refund(service: TheService, wanted: Reversal) -> Json:
    transition = partial(reversals.refund, amount=wanted.amount, status=wanted.status)
    return wire.reversal_of(await service.change(wanted.session_id, transition))


@router.post("/dispute")
async def dispute(service: TheService, wanted: Reversal) -> Json:
    transition = partial(reversals.dispute, amount=wanted.amount, reason=wanted.reason, status=wanted.status)
    return wire.reversal_of(await service.change(wanted.session_id, transition))


@router.post("/webhooks")
async def send_webhook(service: TheService, webhook: Webhook) -> dict[str, Any]:
    """Send an event now, past the outbox, signed as asked. Answers with the receiver's status for each copy."""
    if webhook.body is not None:
        body = webhook.body.encode()
    else:
        about: Json = {}
        if webhook.session_id is not None:
            about = wire.session_object(await service.find(webhook.session_id), service.settings.public_url)
        made = wire.event(webhook.type, {**about, **(webhook.data or {})})
        body = wire.encode({**made, "id": webhook.event_id or made["id"]}).encode()
    secrets, now = service.settings.signing_secrets, int(time.time())
    signature = {
        "right": signature_header(body, secrets),
        "wrong": signature_header(body, [b"whsec_of_somebody_else"]),
        "none": "",
        "stale": signature_header(body, secrets, now - 301),
        "future": signature_header(body, secrets, now + 330),  # with room for the delivery
        "altered": signature_header(body + b" ", secrets),
    }[webhook.signed]
    gate = asyncio.Semaphore(service.settings.webhook_concurrency)

    async def send() -> int | None:
        async with gate:
            return (await service.outbox.post(body, signature=signature))[0]

    return {"statuses": await asyncio.gather(*(send() for _ in range(webhook.copies))), "body": body.decode()}


@router.post("/webhooks/{event_id}/resend")
async def resend(service: TheService, event_id: str) -> dict[str, bool]:
    """Deliver a recorded event again through the outbox, as Stripe's dashboard can."""
    if not await service.outbox.resend(event_id):
        raise HTTPException(404, "no such delivered event")
    return {"queued": True}
