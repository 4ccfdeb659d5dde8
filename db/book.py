"""One payment with its refunds and disputes, locked for a transaction: what they add up to, and what may be entered.
Locks are taken in one order: the order's products (by SKU), the order, the payment."""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.ids import new_refund_id
from checkout.orders import Order
from checkout.payments import (
    CLOSED_DISPUTES,
    PaymentState,
    ProviderDispute,
    ProviderRefund,
    Refund,
    RefundState,
    RequestedBy,
    forbids_refund,
)
from db.catalogue import lock_order_products
from db.order_queries import lock_order
from db.orders import return_goods, tell

logger = logging.getLogger("worker")

_COLUMNS = """id, payment_intent_id, order_id, amount, state, requested_by, at, attempt, reason, requires_action,
    failure_reason, provider_refund_id, request_key, request, changed_at"""
_REFUNDS = text(f"SELECT {_COLUMNS} FROM shop.refunds WHERE payment_intent_id = :payment_intent_id ORDER BY at, id")
_REFUND = text(f"SELECT {_COLUMNS} FROM shop.refunds WHERE id = :id")
_DISPUTES = text("SELECT id, amount, state FROM shop.disputes WHERE payment_intent_id = :payment_intent_id")
_ORDER_OF = text("SELECT order_id FROM shop.payments WHERE payment_intent_id = :payment_intent_id")
_LOCK_PAYMENT = text("""
    UPDATE shop.payments SET version = version + 1 WHERE payment_intent_id = :payment_intent_id
    RETURNING payment_intent_id, order_id, amount, currency, state, version - 1 AS version, looks,
              clock_timestamp() AS now
""")
_BECOMES = text("UPDATE shop.payments SET state = :state WHERE payment_intent_id = :payment_intent_id")
_INSERT_REFUND = text(f"""
    INSERT INTO shop.refunds (id, payment_intent_id, order_id, provider_refund_id, amount, state, requested_by, reason,
                              request_key, request, attempt, requires_action, failure_reason)
    VALUES (:id, :payment_intent_id, :order_id, :provider_refund_id, :amount, :state, :requested_by, :reason,
            :request_key, :request, :attempt, :requires_action, :failure_reason)
    RETURNING {_COLUMNS}
""")
_CHANGE_REFUND = text(f"""
    UPDATE shop.refunds SET state = :state, requires_action = :requires_action, failure_reason = :failure_reason,
                            provider_refund_id = coalesce(provider_refund_id, :provider_refund_id)
     WHERE id = :id RETURNING {_COLUMNS}
""")
_ENTER_DISPUTE = text("""
    INSERT INTO shop.disputes AS d (id, payment_intent_id, order_id, amount, state, reason, evidence_due_by)
    VALUES (:id, :payment_intent_id, :order_id, :amount, :state, :reason, :evidence_due_by)
    ON CONFLICT (id) DO UPDATE SET amount = excluded.amount, state = excluded.state, reason = excluded.reason,
                                   evidence_due_by = excluded.evidence_due_by
     WHERE (d.amount, d.state, d.reason, d.evidence_due_by) IS DISTINCT FROM
           (excluded.amount, excluded.state, excluded.reason, excluded.evidence_due_by)
""")


@dataclass
class Book:
    """Written in one transaction; what was read or has changed in it may be read after it as well."""

    connection: AsyncConnection
    payment_intent_id: str
    order_id: str | None
    amount: int
    currency: str
    state: PaymentState
    version: int  # before this transaction
    looks: int  # so many times the provider was asked and had nothing new
    now: datetime  # the database's clock
    order: Order | None
    refunds: dict[str, Refund]  # by our id
    disputes: dict[str, tuple[int, str]]  # amount and state, by the provider's id
    is_changed: bool = field(default=False, init=False)  # something was entered
    alarms: list[str] = field(default_factory=list, init=False)  # sentences for an operator

    @property
    def refunded(self) -> int:
        """Given back, on its way, or asked for."""
        return sum(one.amount for one in self.refunds.values() if not one.state.is_undone)

    @property
    def succeeded(self) -> int:
        return sum(one.amount for one in self.refunds.values() if one.state is RefundState.SUCCEEDED)

    @property
    def left(self) -> int:
        """What can still be given back: a bank may have taken some for good."""
        return self.amount - self.refunded - sum(amount for amount, state in self.disputes.values() if state == "lost")

    @property
    def is_disputed(self) -> bool:
        return any(forbids_refund(state) for _, state in self.disputes.values())

    @property
    def may_keep(self) -> bool:
        return self.order is not None and (self.order.status.is_live or self.order.status.is_kept)

    @property
    def to_make(self) -> list[Refund]:
        return [one for one in self.refunds.values() if one.is_to_be_made]

    def latest_attempt(self, key: str | None) -> Refund | None:
        """Of the wish that `key` stands for."""
        attempts = [one for one in self.refunds.values() if key is not None and one.request_key == key]
        return max(attempts, key=lambda one: one.attempt, default=None)

    def row_of(self, word: ProviderRefund) -> Refund | None:
        """The refund that the provider speaks of, if it is in the book."""
        named = {one.provider_refund_id: one for one in self.refunds.values()}
        if word.provider_refund_id in named:
            return named[word.provider_refund_id]
        ours = self.refunds.get(word.refund_id or "")
        if ours is not None and ours.provider_refund_id is None:
            return ours
        nameless = (one for one in self.refunds.values() if one.is_nameless and one.amount == word.amount)
        return next(nameless, None) if word.state is RefundState.SUCCEEDED else None

    async def enter_wish(
        self, key: str, amount: int, requested_by: RequestedBy, reason: str | None, request: str | None = None
    ) -> Refund:
        """Enter a refund that the provider is to be asked for: the first, or the next, attempt of the wish `key`."""
        last = self.latest_attempt(key)
        attempt = last.attempt + 1 if last else 1
        wish = {"request_key": key, "request": request, "attempt": attempt, "amount": amount, "reason": reason}
        refund = await self._insert(state=RefundState.PENDING, requested_by=requested_by, **wish)
        await self._tell_of(refund, "requested")
        return refund

    async def hear_of_payment(self, state: PaymentState) -> None:
        """Enter the provider's word on the payment itself. Paid is final; failed may still become paid."""
        if self.state in (state, PaymentState.PAID) or state is PaymentState.PROCESSING:
            return
        self.state, self.is_changed = state, True
        await self.connection.execute(_BECOMES, {"payment_intent_id": self.payment_intent_id, "state": state})

    async def hear(self, word: ProviderRefund) -> Refund | None:
        """Enter what the provider says of one refund. None for what cannot be (it is logged, and nothing changes)."""
        said: dict[str, Any] = {
            "provider_refund_id": word.provider_refund_id,
            "state": word.state,
            "requires_action": word.requires_action,
            "failure_reason": word.failure_reason,
        }
        was = self.row_of(word)
        if was is None:
            await self._make_room(word)
            new = await self._insert(amount=word.amount, requested_by=RequestedBy.PROVIDER, reason=word.reason, **said)
            await self._tell_of(new)
            return new
        if not was.may_become(word.state):
            told = "Refund %s of payment %s, order %s, is %s, and the payment service says %s"
            logger.error(told, was.id, self.payment_intent_id, self.order_id, was.state, word.state)
            return None
        if replace(was, **said | {"failure_reason": was.failure_reason}) == was:
            return was
        is_first_heard = was.provider_refund_id is None
        if was.state.is_undone:  # it succeeded after all: what was to replace it is not made as well
            for again in [one for one in self.to_make if one.request_key == was.request_key]:
                await self.end(again, RefundState.CANCELLED, "It was given back after all")
            await self._make_room(word)
        refund = await self._write(_CHANGE_REFUND, replace(was, **said))
        if is_first_heard:
            await return_goods(self.connection, was)
        if refund.state is not was.state or (is_first_heard and not was.is_nameless):
            await self._tell_of(refund)
        return refund

    async def end(self, refund: Refund, state: RefundState, why: str) -> None:
        """End a refund that the provider has not taken: as `state`, because of `why` (a sentence)."""
        ended = replace(self.refunds[refund.id], state=state, requires_action=False, failure_reason=why[:500])
        await self._tell_of(await self._write(_CHANGE_REFUND, ended), "given_up")

    async def hear_of_dispute(self, word: ProviderDispute) -> None:
        """Enter what the provider says of a dispute."""
        _, was = self.disputes.get(word.dispute_id, (0, ""))
        if was in CLOSED_DISPUTES and word.state not in CLOSED_DISPUTES:
            told = "Dispute %s of payment %s, order %s, is %s, and the payment service says %s"
            logger.error(told, word.dispute_id, self.payment_intent_id, self.order_id, was, word.state)
            return
        given = vars(word) | {"id": word.dispute_id, "reason": word.reason[:200]}
        given |= {"payment_intent_id": self.payment_intent_id, "order_id": self.order_id}
        await self.connection.execute(_ENTER_DISPUTE, given)
        self.disputes[word.dispute_id] = (word.amount, word.state)
        if was == word.state:
            return
        self.is_changed = True
        kind = "dispute_opened" if not was else "dispute_updated"
        if word.state in CLOSED_DISPUTES:
            kind = f"dispute_{word.state}" if word.state in ("won", "lost") else "dispute_closed"
        await self._tell(kind, {"dispute_id": word.dispute_id, "amount": word.amount, "state": word.state})
        self.alarms.append(f"dispute {word.dispute_id} over {word.amount} {self.currency} is {word.state}")

    async def _make_room(self, word: ProviderRefund) -> None:
        """Cancel refunds that the provider has not made, if beside this one there is no money left for them."""
        if word.state.is_undone:
            return
        wanted = [one for one in self.refunds.values() if one.is_to_be_made or one.is_nameless]
        while wanted and self.refunded + word.amount > self.amount:
            await self.end(wanted.pop(), RefundState.CANCELLED, "It was given back at the payment service")

    async def _insert(self, **given: Any) -> Refund:
        given |= {"payment_intent_id": self.payment_intent_id, "order_id": self.order_id, "currency": self.currency}
        return await self._write(_INSERT_REFUND, Refund(id=new_refund_id(), at=self.now, **given))

    async def _write(self, statement: TextClause, refund: Refund) -> Refund:
        """Returns the refund as the database then has it."""
        written = _refund_of((await self.connection.execute(statement, vars(refund))).one(), self.currency)
        self.refunds[written.id] = written
        self.is_changed = True
        return written

    async def _tell_of(self, refund: Refund, what: str | None = None) -> None:
        await self._tell(f"refund_{what or refund.state}", {"refund_id": refund.id, "amount": refund.amount})

    async def _tell(self, kind: str, data: dict[str, Any]) -> None:
        if self.order_id is not None:
            await tell(self.connection, self.order_id, kind, data)


async def open_book(connection: AsyncConnection, payment_intent_id: str) -> Book | None:
    """Lock a payment and all that hangs on it; None if there is no such payment here."""
    given = {"payment_intent_id": payment_intent_id}
    if (found := (await connection.execute(_ORDER_OF, given)).one_or_none()) is None:
        return None
    order = None
    if found.order_id is not None:
        await lock_order_products(connection, found.order_id)
        order = await lock_order(connection, found.order_id)
    payment = (await connection.execute(_LOCK_PAYMENT, given)).one()
    known = payment._asdict() | {"state": PaymentState(payment.state)}
    refunds = {row.id: _refund_of(row, payment.currency) for row in await connection.execute(_REFUNDS, given)}
    disputes = {row.id: (row.amount, row.state) for row in await connection.execute(_DISPUTES, given)}
    return Book(connection, **known, order=order, refunds=refunds, disputes=disputes)


async def find_refund(connection: AsyncConnection, refund: Refund) -> Refund:
    """The refund as it now is, without a lock."""
    return _refund_of((await connection.execute(_REFUND, {"id": refund.id})).one(), refund.currency)


def _refund_of(row: Row[Any], currency: str) -> Refund:
    enums = {"state": RefundState(row.state), "requested_by": RequestedBy(row.requested_by)}
    return Refund(**row._asdict() | enums, currency=currency)
