"""The durable outbox: events leave in the transaction that made them, and are sent until somebody answers 2xx.

The table alone remembers. A delivery is claimed under a lease (`next_attempt_at`), so that crashes and several
processes are both fine: what goes wrong at any point only means that an event is sent again.
"""

import asyncio
import contextlib
import hmac
import logging
import random
import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from payment_mock.database import SQL, UNREACHABLE, Database, brief
from payment_mock.faults import Faults
from payment_mock.settings import Settings

log = logging.getLogger(__name__)

_REORDER_PATIENCE = 5.0
_READ_AT_MOST = 65_536

Delivery = Mapping[str, Any]  # an event on its way to one address, as `claim` has it


def signature_header(body: bytes, secrets: Iterable[bytes], at: int | None = None) -> str:
    """`Stripe-Signature` for exactly these bytes (docs.stripe.com/webhooks/signature): `t=<unix seconds>,v1=<hex
    HMAC-SHA256 of "t.body">[,v1=…]`, one `v1` for each secret while one is being rotated out. `at`: by default now."""
    stamp = int(time.time()) if at is None else at
    signed = b"%d.%b" % (stamp, body)
    signatures = [f"v1={hmac.digest(secret, signed, 'sha256').hex()}" for secret in secrets]
    return ",".join([f"t={stamp}", *signatures])


class Outbox:
    """Delivers to one endpoint, or to a session's own address. At least once, in no promised order."""

    def __init__(self, settings: Settings, database: Database, faults: Faults) -> None:
        self._settings, self._database, self._faults = settings, database, faults
        # The bare transport: an event needs no cookies, no redirects and no proxy from the environment, and httpx's
        # client around it would cost half as much again.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=settings.webhook_concurrency)
        self._transport = httpx.AsyncHTTPTransport(limits=limits, trust_env=False)
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._attempts: set[asyncio.Task[None]] = set()
        self._overtaken: list[int] = []

    def wake(self) -> None:
        """Something is due now."""
        self._wake.set()

    async def run(self) -> None:
        """Attempt what is due, for ever: at once what is new, and again what failed."""
        while True:
            self._wake.clear()
            try:
                await self._look()
            except UNREACHABLE as error:
                log.warning("The outbox cannot reach PostgreSQL: %s", brief(error))
            if len(self._attempts) >= self._settings.webhook_concurrency:  # then there may be more
                await asyncio.wait(self._attempts, return_when=asyncio.FIRST_COMPLETED)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_interval):
                    await self._wake.wait()

    async def empty(self) -> None:
        """Attempt what is due now, and wait for that."""
        await self._look()
        if self._attempts:
            await asyncio.wait(self._attempts)

    async def close(self) -> None:
        """Give attempts under way a moment; what does not finish is sent again by the next life."""
        if self._attempts:
            await asyncio.wait(self._attempts, timeout=2)
        await self._transport.aclose()

    async def _look(self) -> None:
        """Begin to attempt what is due, or what of it can be done at a time."""
        async with self._looking:
            room = self._settings.webhook_concurrency - len(self._attempts)
            if room <= 0:
                return
            # Longer than the attempt may take, with a forged or doubled one before it.
            lease = 3 * self._settings.webhook_timeout
            for row in await self._database.run(SQL["claim"], limit=room, lease=lease):
                task = asyncio.create_task(self._attempt(row))
                self._attempts.add(task)
                task.add_done_callback(self._attempts.discard)

    async def _attempt(self, delivery: Delivery) -> None:
        """One attempt, recorded. Never raises: what goes wrong is tried again."""
        try:
            if not await self._live_through_faults(delivery):
                return
            code, complaint = await self.post(delivery["payload"].encode(), delivery["url"])
            if code is not None and 200 <= code < 300:
                await self._end(delivery["id"], "delivered", code)
                # A reordered event waits until another has passed it; one just has.
                while self._overtaken:
                    await self._postpone(self._overtaken.pop(), 0, "overtaken")
                return
            # Exponential, capped, with jitter.
            full = self._settings.webhook_retry_base * 2.0 ** min(delivery["attempts"], 30)
            delay = min(full, self._settings.webhook_retry_cap) * random.uniform(0.5, 1.0)  # noqa: S311
            await self._postpone(delivery["id"], delay, complaint or f"status {code}", code, attempts=1)
        except UNREACHABLE as error:
            # Sent or not, it is not recorded: the lease runs out and it is sent again.
            log.warning("Delivery of %s could not be recorded: %s", delivery["event_id"], brief(error))

    async def post(self, body: bytes, url: str | None = None, signature: str | None = None) -> tuple[int | None, str]:
        """Post an event, signed unless given a signature ("" for none). Redirects are not followed.

        Returns the status, or None and what went wrong.
        """
        headers = {
            "content-type": "application/json; charset=utf-8",
            "user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        if signature != "":
            headers["stripe-signature"] = signature or signature_header(body, self._settings.signing_secrets)
        try:
            async with asyncio.timeout(self._settings.webhook_timeout):
                request = httpx.Request("POST", url or self._settings.webhook_url, content=body, headers=headers)
                response = await self._transport.handle_async_request(request)
                async with contextlib.aclosing(response):
                    # A short answer is read to its end, so that the connection can be used again; a long one is not.
                    read = 0
                    async for chunk in response.aiter_raw():
                        if (read := read + len(chunk)) > _READ_AT_MOST:
                            break
                return response.status_code, ""
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return None, f"{type(error).__name__}: {error}"[:300]

    async def resend(self, event_id: str) -> bool:
        """Deliver an old event once more. False: there is no such event, or it is not one that is delivered."""
        queued = await self._database.run(SQL["resend"], event_id=event_id)
        self.wake()
        return bool(queued)

    async def _end(self, delivery_id: int, status: str, code: int | None = None) -> None:
        """It is delivered, or lost."""
        await self._database.run(SQL["ended"], id=delivery_id, status=status, code=code)

    async def _postpone(
        self, delivery_id: int, delay: float, why: str, code: int | None = None, attempts: int = 0
    ) -> None:
        """There is another attempt in `delay` seconds."""
        values = {"delay": delay, "error": why, "code": code, "attempts": attempts}
        await self._database.run(SQL["postponed"], id=delivery_id, **values)
        # A hair later than the row's own time, so that the look finds it due.
        asyncio.get_running_loop().call_later(delay + 0.005, self.wake)

    async def _live_through_faults(self, delivery: Delivery) -> bool:
        """Carry out the `webhook` rules. False: this attempt is not to be made."""
        delivery_id, body = delivery["id"], delivery["payload"].encode()
        for rule in await self._faults.fire("webhook", delivery):
            match rule.action:
                case "lose":
                    await self._end(delivery_id, "lost")
                    return False
                case "delay":
                    await self._postpone(delivery_id, rule.delay_seconds, "delayed by a fault")
                    return False
                case "reorder":
                    self._overtaken.append(delivery_id)
                    await self._postpone(delivery_id, rule.delay_seconds or _REORDER_PATIENCE, "held to be overtaken")
                    return False
                case "duplicate":
                    await asyncio.gather(*(self.post(body, delivery["url"]) for _ in range(rule.copies or 1)))
                case "forge":  # the genuine event follows at once: forging must not hide it
                    await self.post(body, delivery["url"], signature_header(body, [b"whsec_of_somebody_else"]))
        return True
