"""Act a schedule out: one method a verb. A step for which nothing is there to act on does nothing."""

from collections.abc import Awaitable, Callable

from temporalio.service import RPCError

from api.checkout_answers import checkout_body
from api.hints import MoneyEvent, SessionEvent, deliver
from api.problems import Problem
from checkout.orders import CartLine, Order
from checkout.sessions import SessionStatus
from tests.campaigns.schedules.banks import Banks
from tests.campaigns.schedules.steps import Step
from tests.campaigns.schedules.surroundings import Customer

# Three fit into the ten limited prints only if somebody gives theirs up; eleven never fit.
CARTS = (
    [CartLine("pen", 1)],
    [CartLine("limited-print", 6)],
    [CartLine("pen", 2), CartLine("notebook", 1)],
    [CartLine("limited-print", 11)],
)
_OTHER_CART = [CartLine("ink-bottle", 1)]


class Violated(AssertionError):
    """A promise was broken."""


class Actors(Banks):
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
        outcome = await self.world.checkouts.buy(customer.key, customer.cart, None)
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
            await self.world.checkouts.buy(order.checkout_key, _OTHER_CART, None)
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
        await self.world.service.ask_to_cancel(order)
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

    async def deliver(self, event: SessionEvent | MoneyEvent) -> None:
        """What the gateway does with a genuine event. Not taken means 503, and then the payment service sends again."""
        try:
            await deliver(event, self.world.client, self.world.engine)
        except (RPCError, Problem):
            self.world.counts["event answered 503"] += 1
            self.events.append(event)
        else:
            self.taken.append(event)

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
        """Lost for good. Not what alone tells of some money: that is sent until it is taken."""
        losable = [event for event in self.events if event.event_id not in self.only_witnesses]
        if not losable:
            return False
        self.events.remove(losable[step.how % len(losable)])
        return True

    async def do_foreign(self, step: Step) -> None:
        """Somebody else's session at the same payment service, paid or still open."""
        session_id = f"cs_foreign_{self.number}_{next(self._ids)}"
        self.provider.open_foreign(session_id, None if step.how % 2 else f"ord_unknown_{self.number}", 700)
        if step.how < 2:
            self.provider.pay(session_id)
        self._announce(session_id, "completed", f"nobody-{self.number}" if step.who else None, only_witness=True)

    async def do_forged_order(self, step: Step) -> bool:
        """A paid session that claims to be for one of our orders, which it never was."""
        order = await self._order(step)
        if order is None:
            return False
        session_id = f"cs_forged_{self.number}_{next(self._ids)}"
        self.provider.open_foreign(session_id, order.order_id, order.amount_total)
        self.provider.pay(session_id)
        key = order.checkout_key if step.how % 2 else None
        self._announce(session_id, "completed", key, only_witness=True)
        return True


def _answer(order: Order) -> bytes:
    if order.session is not None:
        return checkout_body(order)
    return f"closed: {order.reason} {order.missing_skus}".encode()
