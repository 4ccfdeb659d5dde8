"""Act a schedule out: one method a verb. A step for which nothing is there to act on does nothing."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from api.answers import checkout_body
from api.checkouts import Buy
from api.problems import Problem
from api.routes.orders import _ask_to_cancel
from api.webhooks import SessionEvent, deliver
from checkout.contracts import CartLine, Order, OrderStatus, RefundOrderInput, SessionStatus
from checkout.errors import PaymentRefused, PaymentUnreachable
from checkout.ids import TASK_QUEUE, refund_workflow_id
from db import inventory
from tests.schedules.provider import OPERATIONS
from tests.schedules.steps import CUSTOMERS, Step
from tests.schedules.world import World
from worker.workflows.refund import RefundWorkflow

# Three fit into the ten limited prints only if somebody gives theirs up; eleven never fit.
CARTS = (
    [CartLine("pen", 1)],
    [CartLine("limited-print", 6)],
    [CartLine("pen", 2), CartLine("notebook", 1)],
    [CartLine("limited-print", 11)],
)
_OTHER_CART = [CartLine("ink-bottle", 1)]
_numbers = itertools.count(1)


class Violated(AssertionError):
    """A promise was broken."""


@dataclass
class Customer:
    """What one remembers: the key, the cart, and the answer once given."""

    key: str
    cart: list[CartLine] | None = None
    answer: bytes | None = None


class Actors:
    def __init__(self, world: World) -> None:
        self.world, self.provider = world, world.provider
        self.number = next(_numbers)
        self.customers = [Customer(f"schedule-{self.number}-{who}") for who in range(CUSTOMERS)]
        self.events: list[SessionEvent] = []
        self._ids = itertools.count(1)

    async def act(self, step: Step) -> None:
        verb: Callable[[Step], Awaitable[bool | None]] = getattr(self, f"do_{step.verb}")
        # A verb answers False when there was nothing to do.
        if await verb(step) is not False:
            self.world.counts[step.verb] += 1

    # ---- customers ----

    async def do_buy(self, step: Step) -> None:
        customer = self.customers[step.who]
        if customer.cart is None:
            customer.cart = CARTS[step.how % len(CARTS)]
        await self.click(customer)

    async def do_repeat(self, step: Step) -> bool:
        customer = self.customers[step.who]
        if customer.cart is None:
            return False
        await self.click(customer)
        return True

    async def click(self, customer: Customer) -> None:
        """Buy, or press it again. Whatever is answered must be what was answered before."""
        assert customer.cart is not None
        outcome = await self.world.checkouts.buy(Buy(customer.key, customer.cart, None), is_new_key=False)
        await self.world.order_of(customer.key)
        if outcome.order is None:
            self.world.counts["answered 202"] += 1
            return
        answer = _answer(outcome.order)
        if customer.answer not in (None, answer):
            raise Violated(f"key {customer.key} was answered {customer.answer!r} and now {answer!r}")
        customer.answer = answer

    async def do_other_cart(self, step: Step) -> bool:
        order = await self._order(step)
        if order is None:
            return False
        try:
            await self.world.checkouts.buy(Buy(order.checkout_key, _OTHER_CART, None), is_new_key=False)
        except Problem as problem:
            if problem.status == 422:
                return True
            raise
        raise Violated("another cart was answered under a key that has one")

    async def do_pay(self, step: Step) -> bool:
        return await self._pay(step)

    async def do_pay_twice(self, step: Step) -> bool:
        """Two clicks on Pay: the payment service takes one."""
        return await self._pay(step, clicks=2)

    async def do_mismatch(self, step: Step) -> bool:
        changes = ({"amount_total": 1}, {"currency": "eur"}, {"order_id": None}, {"amount_total": 999_999})
        return await self._pay(step, **changes[step.how])

    async def _pay(self, step: Step, clicks: int = 1, **changes: object) -> bool:
        session_id = await self._session(step, SessionStatus.OPEN)
        if session_id is None:
            return False
        for _ in range(clicks):
            if self.provider.sessions[session_id].status is SessionStatus.OPEN:
                self.provider.pay(session_id, **changes)
        self._announce(session_id, "completed", self.customers[step.who].key)
        return True

    async def do_decline(self, step: Step) -> bool:
        session_id = await self._session(step, SessionStatus.OPEN)
        if session_id is None:
            return False
        self._announce(session_id, "async_payment_failed", self.customers[step.who].key)
        return True

    async def do_complete_unpaid(self, step: Step) -> bool:
        session_id = await self._session(step, SessionStatus.OPEN)
        if session_id is None:
            return False
        self.provider.force_pay(session_id, paid=False)
        self._announce(session_id, "completed", self.customers[step.who].key)
        return True

    async def do_cancel(self, step: Step) -> bool:
        order = await self._order(step)
        if order is None or not order.status.is_live:
            return False
        await _ask_to_cancel(self.world.gateway, order)
        return True

    async def do_leave(self, step: Step) -> bool:
        """The customer cancels on the payment page."""
        session_id = await self._session(step, SessionStatus.OPEN)
        if session_id is None:
            return False
        self.provider.close(session_id)
        self._announce(session_id, "expired", self.customers[step.who].key)
        return True

    # ---- webhooks ----

    def _announce(self, session_id: str, kind: str, key: str | None) -> None:
        event_id = f"evt_{self.number}_{next(self._ids)}"
        self.events.append(SessionEvent(event_id, f"checkout.session.{kind}", session_id, key))

    async def deliver(self, event: SessionEvent) -> None:
        await deliver(event, self.world.client, self.world.engine)

    async def do_deliver(self, step: Step) -> bool:
        """Any of those under way: first come is not first served."""
        if not self.events:
            return False
        at = step.how % len(self.events)
        self.world.counts["reordered"] += at > 0
        await self.deliver(self.events.pop(at))
        return True

    async def do_duplicate(self, step: Step) -> bool:
        if not self.events:
            return False
        await self.deliver(self.events[step.how % len(self.events)])
        return True

    async def do_lose(self, step: Step) -> bool:
        """Lost for good. Not of money that came too late: of that only the event tells, so it is sent until taken."""
        for event in self.events:
            order = await self.world.order_of(event.checkout_key or "-")
            own = order.session.session_id if order is not None and order.session else None
            if order is not None and order.status.is_live and event.session_id == own:
                self.events.remove(event)
                return True
        return False

    async def do_foreign(self, step: Step) -> None:
        """Somebody else's session at the same payment service, paid or still open."""
        session_id = f"cs_foreign_{self.number}_{next(self._ids)}"
        self.provider.open_foreign(session_id, None if step.how % 2 else f"ord_unknown_{self.number}", 700)
        if step.how < 2:
            self.provider.pay(session_id)
        self._announce(session_id, "completed", f"nobody-{self.number}" if step.who else None)

    async def do_forged_order(self, step: Step) -> bool:
        """A paid session that claims to be for one of our orders, which it never was."""
        order = await self._order(step)
        if order is None:
            return False
        session_id = f"cs_forged_{self.number}_{next(self._ids)}"
        self.provider.open_foreign(session_id, order.order_id, order.amount_total)
        self.provider.pay(session_id)
        self._announce(session_id, "completed", order.checkout_key if step.how % 2 else None)
        return True

    # ---- clocks ----

    async def do_breathe(self, step: Step) -> None:
        """A while of real time: whatever was set going gets on."""
        await self.world.breathe(0.02 * (1 + step.how))

    async def do_to_deadline(self, step: Step) -> bool:
        return await self._skip_to(step, -1.0)

    async def do_past_deadline(self, step: Step) -> bool:
        return await self._skip_to(step, 1.0)

    async def _skip_to(self, step: Step, beyond: float) -> bool:
        order = await self._order(step)
        remaining = (order.expires_at - await self.world.now()).total_seconds() + beyond if order else 0
        if remaining <= 0:
            return False
        await self.world.skip(remaining)
        return True

    # ---- operators ----

    async def do_cancel_in_ui(self, step: Step) -> bool:
        return await self._at_workflow(step, lambda key: self.world.client.get_workflow_handle(key).cancel())

    async def do_terminate(self, step: Step) -> bool:
        return await self._at_workflow(step, lambda key: self.world.client.get_workflow_handle(key).terminate())

    async def _at_workflow(self, step: Step, act: Callable[[str], Awaitable[None]]) -> bool:
        key = self.customers[step.who].key
        if not await self.world.is_running(key):
            return False
        with self.world.forgotten():
            await act(key)
        return True

    async def do_lose_temporal(self, step: Step) -> bool:
        if step.how:  # a new server costs as much as three schedules: one in four is enough
            return False
        await self.world.lose_temporal()
        return True

    async def do_restock(self, step: Step) -> None:
        async with self.world.engine.begin() as connection:
            await inventory.restock(connection, "limited-print", 1 + step.how)

    async def do_refund(self, step: Step) -> bool:
        order = await self._order(step)
        if order is None or order.status not in (OrderStatus.FULFILLED, OrderStatus.DISPATCHED):
            return False
        await self.world.client.start_workflow(
            RefundWorkflow.run,
            RefundOrderInput(order.order_id),
            id=refund_workflow_id(order.order_id),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return True

    async def do_sweep(self, _: Step) -> None:
        await self.world.sweep()

    # ---- the payment service ----

    async def do_unreachable(self, step: Step) -> None:
        operation = OPERATIONS[step.how]
        self.provider.plant(self.provider.fail, operation, f"unreachable {operation}", PaymentUnreachable("away"))

    async def do_reply_lost(self, step: Step) -> None:
        operation = ("create", "expire", "refund")[step.how % 3]
        self.provider.plant(self.provider.lose_reply, operation, f"reply lost {operation}", PaymentUnreachable("lost"))

    async def do_refused(self, step: Step) -> None:
        operation = OPERATIONS[step.how]
        where = self.provider.lose_reply if step.who and operation == "create" else self.provider.fail
        self.provider.plant(where, operation, f"refused {operation}", PaymentRefused("4xx"))

    async def do_sticky_500(self, step: Step) -> None:
        self.provider.sticky_next = "effect" if step.how % 2 else "nothing"

    async def do_late_money(self, step: Step) -> bool:
        """Money for a session that was closed, or completed without it."""
        order = await self._order(step)
        session = self.provider.sessions.get(order.session.session_id) if order and order.session else None
        if session is None or session.paid or session.status is SessionStatus.OPEN:
            return False
        self.provider.force_pay(session.session_id)
        kind = "completed" if session.status is SessionStatus.EXPIRED else "async_payment_succeeded"
        self._announce(session.session_id, kind, self.customers[step.who].key)
        return True

    async def do_pay_at_expiry(self, step: Step) -> None:
        """The race: the next time a session is to be closed, its customer is a moment faster."""

        def pay(session_id: str) -> None:
            if self.provider.sessions[session_id].status is SessionStatus.OPEN:
                self.provider.on_expire = None
                self.provider.pay(session_id)
                self.provider.faults["paid at the deadline"] += 1

        self.provider.on_expire = pay

    # ---- what they know ----

    async def _order(self, step: Step) -> Order | None:
        return await self.world.order_of(self.customers[step.who].key)

    async def _session(self, step: Step, status: SessionStatus) -> str | None:
        """The customer's session, if it is in that state. A customer without an answer does not know it."""
        order = await self._order(step)
        if order is None or order.session is None:
            return None
        session = self.provider.sessions[order.session.session_id]
        return session.session_id if session.status is status else None


def _answer(order: Order) -> bytes:
    if order.session is not None:
        return checkout_body(order)
    return f"closed: {order.reason} {order.missing_skus}".encode()
