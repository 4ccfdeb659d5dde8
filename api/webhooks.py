"""The payment service's events as they come in: who sent them, what they are about, and how many were taken. Sources:
Stripe, "Best practices for using webhooks", "Verify webhook signatures manually"."""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.hints import DISPUTE_EVENTS, MoneyEvent, SessionEvent, deliver
from api.metrics import EVENTS
from api.problems import Problem
from checkout.errors import InvalidKey
from checkout.ids import is_provider_id, parse_checkout_key
from runtime.logs import SparingLogger
from runtime.settings import Settings

logger = logging.getLogger("api")
sparing = SparingLogger(logger)

TOLERANCE = 300  # seconds, both ways; Stripe's default for the past
_MONEY_EVENTS = ("charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed")


async def take(payload: bytes, signature: str, settings: Settings, client: Client, engine: AsyncEngine) -> None:
    """Verify a webhook's body, read it, pass it on as a hint, and count it. Returns once Temporal has stored the hint,
    or there is none to give. Raises a 400 `Problem` as `verify` and `parse` do, and `RPCError` when Temporal is away:
    the provider shall send the event again."""
    verify(payload, signature, [secret.get_secret_value() for secret in settings.stripe_webhook_secrets])
    event = parse(payload, settings.is_live)
    if event is not None:
        await deliver(event, client, engine)
        EVENTS.labels("taken").inc()


def verify(payload: bytes, header: str, secrets: Sequence[str]) -> None:
    """Check that one of the secrets has signed the raw bytes (`header` is `Stripe-Signature`), within the tolerance.
    Raises a 400 `Problem`, which says only that the signature is wrong; the log and a counter say why, for the cause is
    more often our own settings or clock than a stranger."""
    signed_at = _timestamp(header)
    if signed_at is None:
        raise _refused("unsigned", "it has no Stripe-Signature, or one without a time")
    if not any(_has_signed(secret, payload, header) for secret in secrets):
        raise _refused(
            "mismatch",
            "no secret of STRIPE_WEBHOOK_SECRET has signed it. Compare it with the signing secret of this endpoint at "
            "the payment service; live and test mode have one each",
        )
    now = time.time()
    clock = f"this machine's clock says {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC: is it right"
    if now - signed_at > TOLERANCE:
        seconds = round(now - signed_at)
        raise _refused("too_old", f"it was signed {seconds} s ago; {clock}, or was an old event sent once more?")
    # Stripe's library takes those of the future, with which a recorded event could be kept for later.
    if signed_at - now > TOLERANCE:
        raise _refused("in_the_future", f"it was signed {round(signed_at - now)} s in the future; {clock}?")


def _refused(reason: str, told: str) -> Problem:
    EVENTS.labels(reason).inc()
    sparing.log(logging.WARNING, reason, "An event of the payment service was refused: %s", told)
    if reason == "malformed":
        return Problem(400, "malformed-event", "The body is not an event")
    return Problem(400, "bad-signature", "The signature does not verify")


def _has_signed(secret: str, payload: bytes, header: str) -> bool:
    try:
        # The library compares in constant time. Without a tolerance: what is too old is to be told from what is wrong.
        return bool(stripe.WebhookSignature.verify_header(payload.decode(), header, secret, None))
    # TypeError: it cannot compare what is not ASCII.
    except (stripe.SignatureVerificationError, ValueError, TypeError):
        return False


def _timestamp(header: str) -> int | None:
    """The first `t=` of the header, which is the one that Stripe's library takes; None without one, or if it is no
    number."""
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "t":
            return int(value) if value.isascii() and value.isdigit() and len(value) <= 12 else None
    return None


def parse(payload: bytes, is_live: bool | None = None) -> SessionEvent | MoneyEvent | None:
    """The event, if it is about a checkout session, a refund or a dispute. None for what is not needed: other types (of
    which nothing but the type is read), payments without an intent, and events of another mode than our key's
    (`is_live`; None if the key does not tell). Raises a 400 `Problem` for what is no event."""
    try:
        event: Any = json.loads(payload)
        kind = event["type"]
        # Stripe's test and live mode share nothing; an endpoint may be subscribed in both by mistake.
        if is_live is not None and event.get("livemode") is (not is_live):
            EVENTS.labels("not_needed").inc()
            told = "An event of the payment service is of another mode than our key, and is let go: %.100r"
            sparing.log(logging.WARNING, "another mode", told, kind)
            return None
        known: SessionEvent | MoneyEvent | None = None
        if kind.startswith("checkout.session."):
            known = session_event(event)
        elif kind in _MONEY_EVENTS or kind.startswith(DISPUTE_EVENTS):
            known = _money_event(_provider_id(event["id"]), kind, event["data"]["object"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _refused("malformed", f"it is signed, but no event ({type(error).__name__})") from None
    if known is None:
        EVENTS.labels("not_needed").inc()
        told = "An event of the payment service is not needed: %.100r"
        sparing.log(logging.INFO, f"not needed: {kind}", told, kind)
    return known


def session_event(event: Any) -> SessionEvent:
    """Raises `KeyError`, `TypeError` or `AttributeError` for anything but an event about a session."""
    session = event["data"]["object"]
    key = _checkout_key(session.get("client_reference_id"))
    return SessionEvent(_provider_id(event["id"]), event["type"], _provider_id(session["id"]), key)


def _money_event(event_id: str, kind: str, subject: Any) -> MoneyEvent | None:
    """None for a charge without a payment intent: each of our payments has one, so it is not ours."""
    intent = subject.get("payment_intent")
    if isinstance(intent, Mapping):  # expanded
        intent = intent.get("id")
    return None if intent is None else MoneyEvent(event_id, kind, _provider_id(intent), subject)


def _provider_id(given: object) -> str:
    if not isinstance(given, str) or not is_provider_id(given):
        raise TypeError
    return given


def _checkout_key(given: object) -> str | None:
    try:
        return parse_checkout_key(given) if isinstance(given, str) else None
    except InvalidKey:
        return None
