"""Sends events: at once after the commit that made them, and again with backoff until they are answered 2xx.

The first attempt starts from memory, without a look at the database; its row is already leased to us. Everything
later goes through the table, which alone remembers, so a crash at any point only means that an event is sent again.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterable

import httpx

from payment_mock.database import UNREACHABLE, Database, brief
from payment_mock.faults.plane import Faults
from payment_mock.faults.rules import Rule, Subject
from payment_mock.outbox.signature import signature_header
from payment_mock.settings import Settings
from payment_mock.store import deliveries as store
from payment_mock.store.changes import Delivery

log = logging.getLogger(__name__)

_REORDER_PATIENCE = 5.0
_READ_AT_MOST = 65_536


class Outbox:
    """Delivers to one endpoint, or to a session's own address. At least once, in no promised order."""

    def __init__(
        self, settings: Settings, database: Database, faults: Faults, transport: httpx.AsyncHTTPTransport
    ) -> None:
        self._settings = settings
        self._database = database
        self._faults = faults
        self._transport = transport
        self._slots = asyncio.Semaphore(settings.webhook_concurrency)
        self._wake = asyncio.Event()
        self._in_hand: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._overtaken: list[int] = []

    def dispatch(self, deliveries: Iterable[Delivery]) -> None:
        """Attempt freshly committed deliveries now, in the background."""
        for delivery in deliveries:
            task = asyncio.create_task(self.attempt(delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Attempt what is due, for ever: retries, and what an earlier life left behind."""
        first = True
        while True:
            self._wake.clear()
            try:
                async with self._database.single() as connection:
                    if first:
                        await store.reclaim(connection)
                    lease = self._settings.delivery_lease
                    claimed = await store.claim(connection, self._settings.webhook_concurrency, lease)
                first = False
            except UNREACHABLE as error:
                log.warning("The outbox cannot reach PostgreSQL: %s", brief(error))
                claimed = []
            fresh = [delivery for delivery in claimed if delivery.id not in self._in_hand]
            self.dispatch(fresh)
            if fresh:
                await asyncio.wait(list(self._tasks), return_when=asyncio.FIRST_COMPLETED)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_interval):
                    await self._wake.wait()

    def wake(self) -> None:
        """Something is due now."""
        self._wake.set()

    async def attempt(self, delivery: Delivery) -> None:
        """One attempt, recorded. Never raises: what goes wrong is tried again."""
        if delivery.id in self._in_hand:
            return
        self._in_hand.add(delivery.id)
        try:
            async with self._slots:
                if self._faults.has("webhook") and not await self._live_through_faults(delivery):
                    return
                await self._send_and_record(delivery)
        except UNREACHABLE as error:
            # Sent or not, it is not recorded: the lease runs out and it is sent again.
            log.warning("Delivery of %s could not be recorded: %s", delivery.event_id, brief(error))
        finally:
            self._in_hand.discard(delivery.id)

    async def _send_and_record(self, delivery: Delivery) -> None:
        code, error = await self.post(delivery.payload.encode(), delivery.url)
        if code is not None and 200 <= code < 300:
            async with self._database.single() as connection:
                await store.delivered(connection, delivery.id, code)
            await self._let_overtaken_go()
            return
        await self._postpone(delivery, self.backoff(delivery.attempts), code=code, error=error or f"status {code}")

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after `attempts` earlier failures: exponential, capped, with jitter."""
        settings = self._settings
        full = min(settings.webhook_retry_cap, settings.webhook_retry_base * 2.0 ** min(attempts, 30))
        return full * random.uniform(0.5, 1.0)  # noqa: S311

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
                try:
                    await _skip(response)
                finally:
                    await response.aclose()
                return response.status_code, ""
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return None, f"{type(error).__name__}: {error}"[:300]

    async def _postpone(
        self, delivery: Delivery, delay: float, *, code: int | None = None, error: str, attempts: int = 1
    ) -> None:
        async with self._database.single() as connection:
            await store.postponed(connection, delivery.id, delay, code=code, error=error, attempts=attempts)
        # A hair later than the row's own time, so that the look finds it due.
        asyncio.get_running_loop().call_later(delay + 0.005, self._wake.set)

    async def _let_overtaken_go(self) -> None:
        """A reordered event waits until another has passed it; one just has."""
        while self._overtaken:
            delivery_id = self._overtaken.pop()
            async with self._database.single() as connection:
                await store.postponed(connection, delivery_id, 0, code=None, error="overtaken", attempts=0)
            self._wake.set()

    async def _live_through_faults(self, delivery: Delivery) -> bool:
        """Apply the `webhook` rules. False: this attempt is not to be made."""
        subject = Subject(delivery.session_id, delivery.client_reference_id, delivery.order_id, delivery.event_type)
        for rule in await self._faults.fire("webhook", subject):
            if not await self._carry_out(rule, delivery):
                return False
        return True

    async def _carry_out(self, rule: Rule, delivery: Delivery) -> bool:
        body = delivery.payload.encode()
        match rule.action:
            case "lose":
                async with self._database.single() as connection:
                    await store.lost(connection, delivery.id)
                return False
            case "delay":
                await self._postpone(delivery, rule.delay_seconds, error="delayed by a fault", attempts=0)
                return False
            case "reorder":
                self._overtaken.append(delivery.id)
                patience = rule.delay_seconds or _REORDER_PATIENCE
                await self._postpone(delivery, patience, error="held to be overtaken", attempts=0)
                return False
            case "duplicate":
                copies = (self.post(body, delivery.url) for _ in range(rule.copies or 1))
                await asyncio.gather(*copies)
            case "forge":
                # The genuine event follows at once: forging must not hide it.
                forged = signature_header(body, [b"whsec_of_somebody_else"])
                await self.post(body, delivery.url, forged)
        return True

    async def close(self) -> None:
        """Give attempts under way a moment; what does not finish is sent again by the next life."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=2)


async def _skip(response: httpx.Response) -> None:
    """Read a short answer to its end, so that the connection can be used again; never a long one."""
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > _READ_AT_MOST:
            return
