"""One payment with its refunds and disputes, locked for a transaction: what may be entered, and what follows.

Locks are taken in one order: the order's products (by SKU), the order, the payment.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.ids import OWED_REFUND, new_refund_id
from checkout.money import (
    CLOSED_DISPUTES,
    MoneyState,
    ProviderDispute,
    ProviderRefund,
    Refund,
    RefundState,
    RequestedBy,
)
from checkout.orders import Order, OrderStatus, Reason
from db.inventory import lock_order_products
from db.order_queries import find_by_id
from db.orders import close_order, tell

logger = logging.getLogger("worker")

# Seconds. What stands open is asked for again after this long, then ever more rarely; anything new begins anew.
FIRST_LOOK, LONGEST_LOOK = 30.0, 3600.0

REFUND_COLUMNS = """id, payment_intent_id, order_id, amount, state, requested_by, at, attempt, reason, requires_action,
    failure_reason, provider_refund_id, request_key, request, changed_at"""

_ORDER_OF = text("SELECT order_id FROM shop.payments WHERE payment_intent_id = :payment_intent_id")
_LOCK_ORDER = text("SELECT 1 FROM shop.orders WHERE id = :order_id FOR NO KEY UPDATE")
_LOCK_PAYMENT = text("""
    UPDATE shop.payments SET version = version + 1 WHERE payment_intent_id = :payment_intent_id
    RETURNING payment_intent_id, order_id, amount, currency, state, version - 1 AS version, looks,
              clock_timestamp() AS now
""")
_BECOMES = text("UPDATE shop.payments SET state = :state WHERE payment_intent_id = :payment_intent_id")
_LOOK_AT = text("UPDATE shop.payments SET look_at = :at, looks = :looks WHERE payment_intent_id = :payment_intent_id")
_REFUNDS = text(
    f"SELECT {REFUND_COLUMNS} FROM shop.refunds WHERE payment_intent_id = :payment_intent_id ORDER BY at, id"
)
_DISPUTES = text("SELECT id, amount, state FROM shop.disputes WHERE payment_intent_id = :payment_intent_id")
_INSERT_REFUND = text(f"""
    INSERT INTO shop.refunds (id, payment_intent_id, order_id, provider_refund_id, amount, state, requested_by, reason,
                              request_key, request, attempt, requires_action, failure_reason)
    VALUES (:id, :payment_intent_id, :order_id, :provider_refund_id, :amount, :state, :requested_by, :reason,
            :request_key, :request, :attempt, :requires_action, :failure_reason)
    RETURNING {REFUND_COLUMNS}
""")
_CHANGE_REFUND = text(f"""
    UPDATE shop.refunds SET state = :state, requires_action = :requires_action, failure_reason = :failure_reason,
                            provider_refund_id = coalesce(provider_refund_id, :provider_refund_id)
     WHERE id = :id RETURNING {REFUND_COLUMNS}
""")
# In the transaction in which the provider's taking it is written down, hence once.
_RESTOCK = text("""
    WITH back AS (
        UPDATE shop.refund_lines SET restocked = true WHERE refund_id = :id AND restock AND NOT restocked
        RETURNING sku, quantity
    ), returned AS (
        UPDATE shop.products p SET on_hand = p.on_hand + back.quantity FROM back WHERE p.sku = back.sku
    )
    INSERT INTO shop.stock_movements (sku, delta, cause, order_id) SELECT sku, quantity, 'return', :order_id FROM back
""")
_ENTER_DISPUTE = text("""
    INSERT INTO shop.disputes AS d (id, payment_intent_id, order_id, amount, state, reason, evidence_due_by)
    VALUES (:id, :payment_intent_id, :order_id, :amount, :state, :reason, :evidence_due_by)
    ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, state = excluded.state, reason = excluded.reason,
                                   evidence_due_by = excluded.evidence_due_by
     WHERE (d.amount, d.state, d.reason, d.evidence_due_by) IS DISTINCT FROM
           (excluded.amount, excluded.state, excluded.reason, excluded.evidence_due_by)
""")


class Book:
    """One payment, locked, with its refunds and disputes: for the length of a transaction."""

    def __init__(self, connection: AsyncConnection, row: Row[Any], order: Order | None) -> None:
        self._connection = connection
        self.payment_intent_id: str = row.payment_intent_id
        self.order_id: str | None = row.order_id
        self.amount, self.currency = int(row.amount), str(row.currency)
        self.state, self.version, self.looks = MoneyState(row.state), int(row.version), int(row.looks)
        self.now: datetime = row.now
        self.order = order
        self.entries: list[Entry] = []
        self.disputes: dict[str, tuple[int, str]] = {}
        self.is_changed = False

    async def read(self) -> None:
        given = {"payment_intent_id": self.payment_intent_id}
        rows = await self._connection.execute(_REFUNDS, given)
        self.entries = [self._entry(row) for row in rows]
        self.disputes = {row.id: (row.amount, row.state) for row in await self._connection.execute(_DISPUTES, given)}

    def _entry(self, row: Row[Any]) -> "Entry":
        return Entry(_refund(row, self.currency), row.request_key, row.request, row.changed_at)

    @property
    def refunded(self) -> int:
        """Given back, on its way, or asked for."""
        return sum(one.refund.amount for one in self.entries if not one.refund.state.is_undone)

    @property
    def succeeded(self) -> int:
        return sum(one.refund.amount for one in self.entries if one.refund.state is RefundState.SUCCEEDED)

    @property
    def lost(self) -> int:
        return sum(amount for amount, state in self.disputes.values() if state == "lost")

    @property
    def left(self) -> int:
        """What can still be given back."""
        return self.amount - self.refunded - self.lost

    @property
    def is_disputed(self) -> bool:
        """Nothing is refunded on top of it. A bank that only inquires has taken nothing: refunding is an answer."""
        return any(
            state == "lost" or (state not in CLOSED_DISPUTES and not state.startswith("warning_"))
            for _, state in self.disputes.values()
        )

    def head(self, key: str) -> "Entry | None":
        """The latest attempt of a wish."""
        attempts = [one for one in self.entries if one.key == key]
        return max(attempts, key=lambda one: one.refund.attempt) if attempts else None

    def heads(self) -> list["Entry"]:
        return [one for one in self.entries if one.key is not None and one is self.head(one.key)]

    async def ask(
        self,
        key: str,
        amount: int,
        requested_by: RequestedBy,
        reason: str | None,
        *,
        attempt: int = 1,
        request: str | None = None,
    ) -> Refund:
        """Enter a refund that the provider is to be asked for."""
        return await self._insert(
            {"request_key": key, "amount": amount, "requested_by": requested_by, "reason": reason}
            | {"attempt": attempt, "request": request, "state": RefundState.PENDING},
        )

    async def _insert(self, given: dict[str, Any]) -> Refund:
        fresh = {
            "id": new_refund_id(),
            "payment_intent_id": self.payment_intent_id,
            "order_id": self.order_id,
            "provider_refund_id": None,
            "request_key": None,
            "request": None,
            "attempt": 1,
            "requires_action": False,
            "failure_reason": None,
        }
        entry = self._entry((await self._connection.execute(_INSERT_REFUND, fresh | given)).one())
        self.entries.append(entry)
        self.is_changed = True
        return entry.refund

    async def hear_of_payment(self, state: MoneyState) -> None:
        """What is paid stays paid."""
        if self.state in (state, MoneyState.PAID):
            return
        self.state, self.is_changed = state, True
        await self._connection.execute(_BECOMES, {"payment_intent_id": self.payment_intent_id, "state": state})

    async def hear(self, word: ProviderRefund) -> Refund | None:
        """Enter what the provider says of one refund. None for what cannot be (it is logged, and nothing changes)."""
        known = self._known(word)
        if known is None:
            await self._make_room(word)
            refund = await self._insert(
                {
                    "provider_refund_id": word.provider_refund_id,
                    "amount": word.amount,
                    "state": word.state,
                    "requested_by": RequestedBy.PROVIDER,
                    "reason": word.reason,
                    "requires_action": word.requires_action,
                    "failure_reason": word.failure_reason,
                }
            )
            await self._tell_of(refund)
            return refund
        was = known.refund
        if not _may_become(was, word.state):
            logger.error("Refund %s is %s, and the payment service says %s", was.id, was.state, word.state)
            return None
        now = (word.state, word.requires_action, word.provider_refund_id)
        if now == (was.state, was.requires_action, was.provider_refund_id):
            return was
        is_taken = was.provider_refund_id is None
        refund = await self._change(known, word.state, word.requires_action, word.failure_reason, word)
        if is_taken:
            await self._connection.execute(_RESTOCK, {"id": was.id, "order_id": self.order_id})
        if refund.state is not was.state or (is_taken and not known.is_nameless):
            await self._tell_of(refund)
        return refund

    async def end(self, refund: Refund, state: RefundState, why: str) -> Refund:
        """A refund that the provider has not taken comes to nothing."""
        [entry] = [one for one in self.entries if one.refund.id == refund.id]
        return await self._change(entry, state, False, why[:500])

    async def _change(
        self,
        entry: "Entry",
        state: RefundState,
        requires_action: bool,
        why: str | None,
        word: ProviderRefund | None = None,
    ) -> Refund:
        changed = {
            "id": entry.refund.id,
            "state": state,
            "requires_action": requires_action,
            "failure_reason": why,
            "provider_refund_id": word.provider_refund_id if word else None,
        }
        self.entries[self.entries.index(entry)] = now = self._entry(
            (await self._connection.execute(_CHANGE_REFUND, changed)).one()
        )
        self.is_changed = True
        return now.refund

    def _known(self, word: ProviderRefund) -> "Entry | None":
        for one in self.entries:
            if one.refund.provider_refund_id == word.provider_refund_id:
                return one
        for one in self.entries:
            if one.refund.provider_refund_id is None and one.refund.id == word.refund_id:
                return one
        # From before there was a ledger: it succeeded, and nobody wrote down what it is called.
        for one in self.entries:
            if one.is_nameless and (one.refund.amount, word.state) == (word.amount, RefundState.SUCCEEDED):
                return one
        return None

    async def _make_room(self, word: ProviderRefund) -> None:
        """What the provider has given back is a fact: what we only wanted, and no longer fits beside it, ends."""
        if word.state.is_undone:
            return
        wanted = [one for one in self.entries if one.refund.is_to_be_made or one.is_nameless]
        while wanted and self.refunded + word.amount > self.amount:
            await self.end(wanted.pop().refund, RefundState.CANCELLED, "It was given back at the payment service")

    async def hear_of_dispute(self, word: ProviderDispute) -> str | None:
        """Enter what the provider says of a dispute; answers what an operator has to hear of it."""
        _, was = self.disputes.get(word.dispute_id, (0, ""))
        if was in CLOSED_DISPUTES and word.state not in CLOSED_DISPUTES:
            logger.error("Dispute %s is %s, and the payment service says %s", word.dispute_id, was, word.state)
            return None
        given = vars(word) | {"id": word.dispute_id, "reason": word.reason[:200]}
        await self._connection.execute(
            _ENTER_DISPUTE, given | {"payment_intent_id": self.payment_intent_id, "order_id": self.order_id}
        )
        self.disputes[word.dispute_id] = (word.amount, word.state)
        if was == word.state:
            return None
        self.is_changed = True
        kind = "dispute_opened" if not was else "dispute_updated"
        if word.state in CLOSED_DISPUTES:
            kind = f"dispute_{word.state}" if word.state in ("won", "lost") else "dispute_closed"
        data = {"dispute_id": word.dispute_id, "amount": word.amount, "state": word.state}
        await self._tell(kind, data)
        return f"dispute {word.dispute_id} over {word.amount} {self.currency} is {word.state}"

    async def _tell_of(self, refund: Refund) -> None:
        await self._tell(f"refund_{refund.state}", {"refund_id": refund.id, "amount": refund.amount})

    async def _tell(self, kind: str, data: dict[str, Any]) -> None:
        if self.order_id is not None:
            await tell(self._connection, self.order_id, kind, data)

    async def drop_what_was_lost(self) -> None:
        """Money that a bank has taken for good is not given back as well."""
        wanted = [one.refund for one in self.entries if one.refund.is_to_be_made]
        while wanted and self.left < 0:
            await self.end(wanted.pop(), RefundState.CANCELLED, "The payment was lost to a dispute")

    async def ask_again(self) -> datetime | None:
        """Enter anew what is owed: what failed or was cancelled after the provider had taken it, and whatever is left
        of a payment that is none of ours to keep. Answers when the next of them is due, if one has to wait."""
        if self.state is not MoneyState.PAID or self.is_disputed:
            return None
        waiting: list[datetime] = []
        for head in self.heads():
            one = head.refund
            if not one.state.is_undone or one.provider_refund_id is None or self.left <= 0:
                continue
            pause = pause_before(one.attempt)
            if pause and head.changed_at + pause > self.now:
                waiting.append(head.changed_at + pause)
                continue
            amount = min(one.amount, self.left)
            await self.ask(str(head.key), amount, one.requested_by, one.reason, attempt=one.attempt + 1)
        if not waiting and self.left > 0 and not self._may_keep:
            last = self.head(OWED_REFUND)
            attempt = last.refund.attempt + 1 if last else 1
            await self.ask(OWED_REFUND, self.left, RequestedBy.SHOP, Reason.LATE_PAYMENT, attempt=attempt)
        return min(waiting, default=None)

    @property
    def _may_keep(self) -> bool:
        order = self.order
        return order is not None and (order.status.is_live or order.status.is_kept)

    async def finish_order(self) -> None:
        """All of the money has been given back: the order ends as refunded. All of it is on its way back, and the order
        was never fulfilled: it ends as cancelled for now."""
        order = self.order
        if order is None or self.state is not MoneyState.PAID:
            return
        if self.succeeded == self.amount and order.status is not OrderStatus.REFUNDED:
            closes = [one for one in OrderStatus if one not in (OrderStatus.PENDING, OrderStatus.REFUNDED)]
            status = OrderStatus.REFUNDED
        elif order.status.is_live and self.refunded == self.amount and not self.to_make:
            closes, status = [OrderStatus.AWAITING_PAYMENT, OrderStatus.PAYMENT_PROCESSING], OrderStatus.CANCELLED
        else:
            return
        self.order = await close_order(
            self._connection,
            order.order_id,
            status,
            self._reason,
            closes=closes,
            payment_intent_id=self.payment_intent_id,
        )

    @property
    def _reason(self) -> Reason:
        """Why the money went back: by the shop's rule, else because somebody wanted it."""
        told = [one.refund.reason for one in self.entries if one.refund.requested_by is RequestedBy.SHOP]
        return Reason(told[0]) if told and told[0] in set(Reason) else Reason.OPERATOR

    @property
    def to_make(self) -> list[Refund]:
        return [one.refund for one in self.entries if one.refund.is_to_be_made]

    async def plan_next_look(self, at: datetime | None = None) -> None:
        """When the provider is asked again by the sweep: never, if nothing stands open."""
        looks = 0 if self.is_changed else self.looks + 1
        pause = timedelta(seconds=min(FIRST_LOOK * 2 ** min(looks, 20), LONGEST_LOOK))
        is_open = (
            self.state is MoneyState.PROCESSING
            or any(one.refund.state is RefundState.PENDING for one in self.entries)
            or any(state not in CLOSED_DISPUTES for _, state in self.disputes.values())
        )
        times = [*([self.now + pause] if is_open else []), *([at] if at else [])]
        given = {"payment_intent_id": self.payment_intent_id, "at": min(times, default=None), "looks": looks}
        await self._connection.execute(_LOOK_AT, given)


@dataclass(frozen=True)
class Entry:
    """A refund with what only the ledger asks of it: the wish's key, what was wished for, when it last changed."""

    refund: Refund
    key: str | None
    request: str | None
    changed_at: datetime

    @property
    def is_nameless(self) -> bool:
        return self.refund.state is RefundState.SUCCEEDED and self.refund.provider_refund_id is None


def pause_before(attempt: int) -> timedelta:
    """How long a refund that failed waits for its next attempt: the first time not at all, then ever longer."""
    return timedelta(seconds=min(FIRST_LOOK * 2 ** min(attempt - 2, 20), LONGEST_LOOK) if attempt > 1 else 0)


async def open_book(connection: AsyncConnection, payment_intent_id: str) -> Book | None:
    """Lock a payment and all that hangs on it; None if there is no such payment here."""
    given = {"payment_intent_id": payment_intent_id}
    found = (await connection.execute(_ORDER_OF, given)).one_or_none()
    if found is None:
        return None
    if found.order_id is not None:
        await lock_order_products(connection, found.order_id)
        await connection.execute(_LOCK_ORDER, {"order_id": found.order_id})
    row = (await connection.execute(_LOCK_PAYMENT, given)).one()
    order = await find_by_id(connection, row.order_id) if row.order_id is not None else None
    book = Book(connection, row, order)
    await book.read()
    return book


def _may_become(was: Refund, state: RefundState) -> bool:
    """As `shop.guard_refund` has it."""
    if was.state is state:
        return True
    return was.state is RefundState.PENDING or (was.state, state) == (RefundState.SUCCEEDED, RefundState.FAILED)


def _refund(row: Row[Any], currency: str) -> Refund:
    return Refund(
        id=row.id,
        payment_intent_id=row.payment_intent_id,
        order_id=row.order_id,
        amount=row.amount,
        currency=currency,
        state=RefundState(row.state),
        requested_by=RequestedBy(row.requested_by),
        at=row.at,
        attempt=row.attempt,
        reason=row.reason,
        requires_action=row.requires_action,
        failure_reason=row.failure_reason,
        provider_refund_id=row.provider_refund_id,
    )
