"""The cast and what they know; and what happens to them: clocks, operators, faults of the payment service."""

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from api.hints import MoneyEvent, SessionEvent
from checkout.contracts import RefundOrderInput
from checkout.errors import PaymentRefused, PaymentUnreachable
from checkout.ids import TASK_QUEUE, refund_workflow_id
from checkout.orders import CartLine, Order, OrderStatus
from checkout.payments import RefundLine
from checkout.sessions import SessionStatus
from db import catalogue
from tests.campaigns.schedules.provider import OPERATIONS
from tests.campaigns.schedules.steps import CUSTOMERS, Step
from tests.campaigns.schedules.world import World
from worker.workflows.refund import RefundWorkflow

_numbers = itertools.count(1)


def _operation(step: Step) -> str:
    return OPERATIONS[step.who][step.how]


@dataclass
class Customer:
    """What one remembers: the key, the cart, and the answer once given."""

    key: str
    cart: list[CartLine] | None = None
    answer: bytes | None = None


class Surroundings:
    """Everything that happens to a checkout and is not its customer or a webhook."""

    def __init__(self, world: World) -> None:
        self.world, self.provider = world, world.provider
        self.number = next(_numbers)
        self.wishes: dict[tuple[str, str], int] = {}
        """What operators wanted given back, by order and key: minor units."""
        self.customers = [Customer(f"schedule-{self.number}-{who}") for who in range(CUSTOMERS)]
        self.events: list[SessionEvent | MoneyEvent] = []
        # Events that are all that tells of some money: of a session closed before, or of none of ours.
        self.only_witnesses: set[str] = set()
        self.taken: list[SessionEvent | MoneyEvent] = []
        self._ids = itertools.count(1)

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

    def _announce(self, session_id: str, kind: str, key: str | None, *, only_witness: bool = False) -> None:
        """The payment service has an event for the shop. When it arrives, and whether, is another step's business."""
        event_id = self._event_id(only_witness)
        self.events.append(SessionEvent(event_id, f"checkout.session.{kind}", session_id, key))

    def _announce_money(self, kind: str, payment_intent_id: str, *, only_witness: bool = False, **told: object) -> None:
        self.events.append(MoneyEvent(self._event_id(only_witness), kind, payment_intent_id, told))

    async def _payment(self, step: Step) -> str | None:
        """The payment of the customer's session, once it is paid."""
        order = await self._order(step)
        session = self.provider.sessions.get(order.session.session_id) if order and order.session else None
        return session.payment_intent_id if session is not None and session.paid else None

    def _event_id(self, only_witness: bool) -> str:
        event_id = f"evt_{self.number}_{next(self._ids)}"
        if only_witness:
            self.only_witnesses.add(event_id)
        return event_id

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
        if not await self._at_workflow(step, lambda key: self.world.client.get_workflow_handle(key).terminate()):
            return False
        self._send_again()
        return True

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
        self._send_again()
        return True

    def _send_again(self) -> None:
        """What Temporal took and lost with a workflow, nothing of ours knows. Of an order still live the sweep finds
        out; money told by an event alone is the operator's to have sent again (Stripe: "resend")."""
        self.events += [event for event in self.taken if event.event_id in self.only_witnesses]
        self.taken.clear()

    async def do_restock(self, step: Step) -> None:
        async with self.world.engine.begin() as connection:
            await catalogue.restock(connection, "limited-print", 1 + step.how)

    async def do_refund(self, step: Step) -> bool:
        order = await self._order(step)
        if order is None or order.status not in (OrderStatus.FULFILLED, OrderStatus.DISPATCHED):
            return False
        await self._ask_for_refund(RefundOrderInput(order.order_id), order.amount_total)
        self._announce_money("charge.refunded", str(order.payment_intent_id))
        return True

    async def do_refund_part(self, step: Step) -> bool:
        """By amount or by lines, with the goods or without. Said twice, it is one wish; several may be too much."""
        order = await self._order(step)
        if order is None or not (order.status.is_kept or order.status is OrderStatus.REFUNDED):
            return False
        key, amount = f"part-{step.how}", order.amount_total // (2 + step.how % 2)
        wanted = RefundOrderInput(order.order_id, key, amount=amount)
        if step.how > 1:
            lines = f"SELECT sku, unit_amount FROM shop.order_lines WHERE order_id = '{order.order_id}' ORDER BY sku"
            sku, amount = (await self.world.query(lines))[0]
            wanted = RefundOrderInput(order.order_id, key, lines=[RefundLine(sku, 1)], restock=step.how == 2)
        await self._ask_for_refund(wanted, amount)
        return True

    async def _ask_for_refund(self, wanted: RefundOrderInput, amount: int) -> None:
        self.wishes[wanted.order_id, wanted.key] = amount
        await self.world.client.start_workflow(
            RefundWorkflow.run,
            wanted,
            id=refund_workflow_id(wanted.order_id, wanted.key),
            task_queue=TASK_QUEUE,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def do_refund_elsewhere(self, step: Step) -> bool:
        """Money of a paid session goes back past the shop, in the payment service's dashboard: all of it, or a part."""
        intent = await self._payment(step)
        if intent is None or intent in self.provider.refunded or self.provider.is_disputed(intent):
            return False
        left = self.provider.left(intent)
        self.provider.refund_elsewhere(intent, left // 2 or left if step.how % 2 else left)
        self._announce_money("charge.refunded", intent, only_witness=True)
        return True

    async def do_sweep(self, _: Step) -> None:
        await self.world.sweep()

    # ---- the payment service ----

    async def do_unreachable(self, step: Step) -> None:
        operation = _operation(step)
        # Away for a moment, or for longer than a click waits.
        times = (2, 5)[step.who]
        away = PaymentUnreachable("away")
        self.provider.plant(self.provider.fail, operation, f"unreachable {operation}", away, times)

    async def do_reply_lost(self, step: Step) -> None:
        operation = ("create", "create", "expire", "refund")[step.how]
        lost = PaymentUnreachable("lost")
        # Once for the local attempt, once for the regular one.
        self.provider.plant(self.provider.lose_reply, operation, f"reply lost {operation}", lost, times=2)

    async def do_refused(self, step: Step) -> None:
        operation = _operation(step)
        where = self.provider.lose_reply if step.who and operation == "create" else self.provider.fail
        self.provider.plant(where, operation, f"refused {operation}", PaymentRefused("4xx"), times=1)

    async def do_sticky_500(self, step: Step) -> None:
        self.provider.sticky_next = "effect" if step.how % 2 else "nothing"

    async def do_late_money(self, step: Step) -> bool:
        """Money for a session that was closed, or completed without it."""
        order = await self._order(step)
        session = self.provider.sessions.get(order.session.session_id) if order and order.session else None
        if session is None or session.paid or session.has_failed or session.status is SessionStatus.OPEN:
            return False
        self.provider.force_pay(session.session_id)
        kind = "completed" if session.status is SessionStatus.EXPIRED else "async_payment_succeeded"
        self._announce(session.session_id, kind, self.customers[step.who].key, only_witness=True)
        return True

    async def do_pay_at_expiry(self, step: Step) -> None:
        """The race: the next time a session is to be closed, its customer is a moment faster."""

        def pay(session_id: str) -> None:
            if self.provider.sessions[session_id].status is SessionStatus.OPEN:
                self.provider.on_expire = None
                self.provider.pay(session_id)
                self.provider.faults["paid at the deadline"] += 1

        self.provider.on_expire = pay
