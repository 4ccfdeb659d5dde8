"""Who sent an event: `Stripe-Signature`, checked over the raw bytes. Whoever sent a wrong one is told only that it is
wrong. Why it is, the log and a counter tell: it is our own settings or clock more often than a stranger. Sources:
Stripe, "Check the webhook signatures", "Verify webhook signatures manually"."""

import collections
import logging
import time
from collections.abc import Callable, Sequence

import stripe
from prometheus_client import Counter

from api.problems import Problem

TOLERANCE = 300  # seconds, both ways; Stripe's default for the past
EVENTS = Counter(
    "checkout_webhook_events_total",
    "Events sent to us: taken, not_needed, or refused: malformed, unsigned, mismatch, too_old, in_the_future",
    ["outcome"],
)


class SparingLogger:
    """For lines that others can cause as often as they like: of each kind at most one every `pause` seconds, with how
    many were left out since the last one."""

    def __init__(
        self, logger: logging.Logger, pause: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._logger, self._pause, self._clock = logger, pause, clock
        self._next: dict[str, float] = {}
        self._left_out: collections.Counter[str] = collections.Counter()

    def forget(self) -> None:
        """Nothing has been said yet."""
        self._next.clear()
        self._left_out.clear()

    def log(self, level: int, kind: str, message: str, *arguments: object) -> None:
        now = self._clock()
        if now < self._next.get(kind, now):
            self._left_out[kind] += 1
            return
        self._next[kind] = now + self._pause
        left_out = self._left_out.pop(kind, 0)
        more = f" ({left_out} more like it since the last such line)" if left_out else ""
        self._logger.log(level, f"{message}{more}", *arguments)


sparing = SparingLogger(logging.getLogger("api"))


def verify(payload: bytes, header: str, secrets: Sequence[str]) -> None:
    """Any of the secrets may have signed, within the tolerance. Raises a 400 `Problem`."""
    signed_at = _timestamp(header)
    if signed_at is None:
        raise refused("unsigned", "it has no Stripe-Signature, or one without a time")
    if not any(_has_signed(secret, payload, header) for secret in secrets):
        raise refused(
            "mismatch",
            "no secret of STRIPE_WEBHOOK_SECRET has signed it. Compare it with the signing secret of this endpoint at "
            "the payment service; live and test mode have one each",
        )
    now = time.time()
    clock = f"this machine's clock says {time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(now))} UTC: is it right"
    if now - signed_at > TOLERANCE:
        seconds = round(now - signed_at)
        raise refused("too_old", f"it was signed {seconds} s ago; {clock}, or was an old event sent once more?")
    # Stripe's library takes those of the future, with which a recorded event could be kept for later.
    if signed_at - now > TOLERANCE:
        raise refused("in_the_future", f"it was signed {round(signed_at - now)} s in the future; {clock}?")


def refused(reason: str, told: str) -> Problem:
    """Count and log the reason, and answer what the sender is told: always the same."""
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
    """The first `t=` as it stands, which is the one that the library takes as signed."""
    for part in header.split(","):
        name, _, value = part.partition("=")
        if name == "t":
            return int(value) if value.isascii() and value.isdigit() and len(value) <= 12 else None
    return None
