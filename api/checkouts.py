"""Start a checkout once and wait for its payment session. PostgreSQL is the authority for keys: an order under the key
is the answer, however old. Temporal's workflow id is the lock: of many requests with a new key, one starts the workflow
and the others join it."""

import contextlib
import logging
import secrets
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from api.limits import Limits
from api.polls import QUERY_TIMEOUT, SessionPolls
from api.problems import Problem, invalid
from api.waiting import Stopping
from checkout.contracts import CheckoutInput
from checkout.errors import BeyondPaymentLimits, MixedCurrencies, PriceChanged, ProductNotFound, UnstorableData
from checkout.ids import new_order_id
from checkout.orders import CartLine, Order, OrderStatus, cart_fingerprint
from db import order_queries
from db.catalogue import Selection, known_products, shelf
from db.engine import autocommit
from db.writing import WriteWatch
from runtime.failpoints import Step, around
from runtime.settings import Settings
from worker.keepers import describe, is_running
from worker.starting import FINGERPRINT, CheckoutHandle, Starter

logger = logging.getLogger("api")

_WRONG_CARTS = {
    error.__name__ for error in (ProductNotFound, PriceChanged, MixedCurrencies, BeyondPaymentLimits, UnstorableData)
}


@dataclass(frozen=True)
class Outcome:
    """`order` is None while there is no session yet. `is_replay`: this request did not start the checkout."""

    order: Order | None
    is_replay: bool


class Checkouts:
    """Wants a pool of connections and a Temporal client for the life of the process."""

    def __init__(
        self,
        engine: AsyncEngine,
        client: Client,
        settings: Settings,
        limits: Limits,
        stopping: Stopping,
        writing: WriteWatch,
    ) -> None:
        self._reads, self._client, self._settings = autocommit(engine), client, settings
        self._limits, self._writing = limits, writing
        self._start_workflow = around(Step.START_CHECKOUT)(Starter(client).checkout)
        self._polls = SessionPolls(client, settings.session_wait, stopping, writing)
        self._last_currency: dict[str, str] = {}

    @around(Step.BUY)
    async def buy(
        self, key: str, lines: list[CartLine], email: str | None, *, client: str | None = None, is_new_key: bool = False
    ) -> Outcome:
        """Start or join the checkout and wait for its session. Raises `Problem` for a cart that cannot be bought, and
        `WritesRefused` while nothing can be written: then none begins, and none that has begun is called under way.
        `client`'s caps (`api.limits`) hold for a key without an order: who repeats one reserves nothing more."""
        wish = CheckoutInput(
            checkout_key=key,
            lines=lines,
            fingerprint=cart_fingerprint(lines, email),
            payment_timeout=self._settings.payment_timeout,
            email=email,
            request_id=secrets.token_hex(8),
            order_id=new_order_id(),
            client=client,
        )
        known = None if is_new_key else await self._find(key)
        if known is None:
            await self._check_cart(lines)
            self._writing.check()
            async with self._limits.admitted(client, key):
                handle = await self._start(wish)
        else:
            _same_cart(known.fingerprint, wish)
            if answered := _answered(known):
                return Outcome(answered, is_replay=True)
            handle = self._client.get_workflow_handle(key)
        view = await self._polls.wait(handle)
        if view is not None:
            _same_cart(view.fingerprint, wish)
            return Outcome(view.order, is_replay=view.request_id != wish.request_id)
        # Perhaps no checkout runs (any more), and a settlement has gone on with the order.
        order = await self._find(key)
        if order is None:
            await self._check_begun(handle, wish)
        else:
            _same_cart(order.fingerprint, wish)
        answered = _answered(order)
        if answered is None:
            self._writing.check()
        return Outcome(answered, is_replay=known is not None)

    async def look(self, checkout_key: str) -> Order | None:
        """What has become of the checkout, without waiting: None while it has no answer yet. Raises a 404 `Problem` for
        a key under which nothing was begun, or nothing came of it."""
        order = await self._find(checkout_key)
        if order is None:
            is_under_way = await is_running(self._client, checkout_key)
            order = await self._find(checkout_key)  # it may have been opened, and have ended, while Temporal was asked
            if order is None and not is_under_way:
                raise Problem(404, "checkout-not-found", "There is no such checkout")
        return _answered(order)

    async def _start(self, wish: CheckoutInput) -> CheckoutHandle:
        key = wish.checkout_key
        try:
            handle = await self._start_workflow(wish)
        except WorkflowAlreadyStartedError:
            # A run with this key has ended. If it left an order, that is the answer (found by the poll's look into
            # the database); if it ended before there was one, a second run may open it: the key is unique there.
            if await self._find(key) is not None:
                return self._client.get_workflow_handle(key)
            handle = await self._start_workflow(wish, again=True)
        logger.info("Checkout workflow started with UUID: %s", key, extra={"checkout_key": key, "workflow_id": key})
        return handle

    async def _check_begun(self, handle: CheckoutHandle, wish: CheckoutInput) -> None:
        """There is no order yet, or there never will be: the checkout tells what it was started with, and what refused
        it, all the same."""
        with contextlib.suppress(RPCError):
            found = await describe(self._client, handle.id, QUERY_TIMEOUT)
            if found is None:
                return
            if FINGERPRINT in found.memo.fields:
                [stored] = await self._client.data_converter.decode([found.memo.fields[FINGERPRINT]])
                _same_cart(str(stored), wish)
            if found.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED:
                return
            try:
                await handle.result(rpc_timeout=QUERY_TIMEOUT)
            except WorkflowFailureError as failure:
                if isinstance(failure.cause, ApplicationError) and failure.cause.type in _WRONG_CARTS:
                    self._last_currency.clear()
                    raise await self._wrong_cart(failure.cause, wish) from None

    async def _wrong_cart(self, refusal: ApplicationError, wish: CheckoutInput) -> Problem:
        """What only the transaction that opens the order could know: the catalogue has changed since the cart was
        filled, or PostgreSQL cannot hold what was sent. All that a customer writes freely is the email."""
        told = refusal.message.removeprefix(f"{refusal.type}: ")
        if refusal.type == UnstorableData.__name__:
            field = "email" if wish.email else "items"
            return invalid([{"field": field, "message": "has characters that cannot be stored"}])
        if refusal.type != PriceChanged.__name__:
            return invalid([{"field": "items", "message": told}])
        selection = Selection(len(wish.lines), skus=tuple(line.sku for line in wish.lines))
        async with self._reads.connect() as connection:
            now = (await shelf(connection, selection)).products
        return Problem(
            409,
            PriceChanged.code,
            "The price has changed",
            f"{told}. Nothing was charged and nothing is reserved.",
            # What they cost now: who agrees sends that along, under the same key.
            products=[{"sku": one.sku, "unit_amount": one.unit_amount, "currency": one.currency} for one in now],
        )

    async def _find(self, checkout_key: str) -> Order | None:
        async with self._reads.connect() as connection:
            return await order_queries.find_by_key(connection, checkout_key)

    async def _check_cart(self, lines: list[CartLine]) -> None:
        """Refuse what is certainly wrong, by name: a SKU that does not exist, more than one currency. The transaction
        that locks the products has the last word (`db.opening.open_order`), so a cart that looked right a while ago
        need not be looked at again; it is never refused without a look."""
        known = {self._last_currency.get(line.sku) for line in lines}
        if len(known) == 1 and None not in known:
            return
        async with self._reads.connect() as connection:
            found = await known_products(connection, [line.sku for line in lines])
        self._last_currency |= found
        errors = [
            {"field": f"items[{index}].sku", "message": f"there is no product {line.sku}"}
            for index, line in enumerate(lines)
            if line.sku not in found
        ]
        if errors:
            raise invalid(errors)
        if len(set(found.values())) > 1:
            raise invalid([{"field": "items", "message": "all products of a cart must have one currency"}])


def _answered(order: Order | None) -> Order | None:
    """The order if it has an answer: a session, or the reason why there is none."""
    has_answer = order is not None and (order.session is not None or order.status is not OrderStatus.PENDING)
    return order if has_answer else None


def _same_cart(stored: str, wish: CheckoutInput) -> None:
    if stored != wish.fingerprint:
        raise Problem(
            422,
            "idempotency-key-reused",
            "This key belongs to another cart",
            "A key stands for one cart. Use a new key for another one; the first checkout is untouched.",
        )
