"""One payment with its refunds and disputes, locked for a transaction, and what may be entered.

Locks are taken in one order: the order's products (by SKU), the order, the payment.
"""

import logging
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.ids import new_refund_id
from checkout.money import (
    CLOSED_DISPUTES,
    MoneyState,
    ProviderDispute,
    ProviderRefund,
    Refund,
    RefundState,
    RequestedBy,
)
from db.inventory import lock_order_products
from db.order_queries import find_by_id
from db.orders import tell
from db.standing import REFUND_COLUMNS, Entry, Standing

logger = logging.getLogger("worker")

_ORDER_OF = text("SELECT order_id FROM shop.payments WHERE payment_intent_id = :payment_intent_id")
_LOCK_ORDER = text("SELECT 1 FROM shop.orders WHERE id = :order_id FOR NO KEY UPDATE")
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
    RETURNING {REFUND_COLUMNS}
""")
_CHANGE_REFUND = text(f"""
    UPDATE shop.refunds SET state = :state, requires_action = :requires_action, failure_reason = :failure_reason,
                            provider_refund_id = coalesce(provider_refund_id, :provider_refund_id)
     WHERE id = :id RETURNING {REFUND_COLUMNS}
""")
# In the transaction in which the provider's taking it is written down, hence once.
# Of a refund that counts by surprise, the goods may have been refunded anew: they come back once.
_RESTOCK = text("""
    WITH back AS (
        UPDATE shop.refund_lines l SET restocked = true WHERE refund_id = :id AND restock AND NOT restocked
           AND quantity + (SELECT coalesce(sum(o.quantity), 0) FROM shop.refunds r JOIN shop.refund_lines o
                               ON o.refund_id = r.id WHERE r.order_id = :order_id AND o.sku = l.sku AND r.id <> :id
                              AND (r.state IN ('pending', 'succeeded') OR r.provider_refund_id IS NOT NULL))
               <= (SELECT b.quantity FROM shop.order_lines b WHERE b.order_id = :order_id AND b.sku = l.sku)
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


class Book(Standing):
    """One payment, locked, to be written in: for the length of a transaction."""

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
        refund = await self._insert(
            {"request_key": key, "amount": amount, "requested_by": requested_by, "reason": reason}
            | {"attempt": attempt, "request": request, "state": RefundState.PENDING},
        )
        await self._tell_of(refund, "requested")
        return refund

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
        entry = self.entry_of((await self.connection.execute(_INSERT_REFUND, fresh | given)).one())
        self.entries.append(entry)
        self.is_changed = True
        return entry.refund

    async def hear_of_payment(self, state: MoneyState) -> None:
        """What is paid stays paid; what failed may still be paid, and until then it has failed."""
        if self.state in (state, MoneyState.PAID) or state is MoneyState.PROCESSING:
            return
        self.state, self.is_changed = state, True
        await self.connection.execute(_BECOMES, {"payment_intent_id": self.payment_intent_id, "state": state})

    async def hear(self, word: ProviderRefund) -> Refund | None:
        """Enter what the provider says of one refund. None for what cannot be (it is logged, and nothing changes)."""
        known = self.known(word)
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
        if was.state.is_undone:  # a surprise: what was to be made in its place is not made as well
            for again in [one for one in self.entries if one.key == known.key and one.refund.is_to_be_made]:
                await self.end(again.refund, RefundState.CANCELLED, "It was given back after all")
            await self._make_room(word)
        refund = await self._change(known, word.state, word.requires_action, word.failure_reason, word)
        if is_taken:
            await self.connection.execute(_RESTOCK, {"id": was.id, "order_id": self.order_id})
        if refund.state is not was.state or (is_taken and not known.is_nameless):
            await self._tell_of(refund)
        return refund

    async def end(self, refund: Refund, state: RefundState, why: str) -> Refund:
        """A refund that the provider has not taken comes to nothing."""
        [entry] = [one for one in self.entries if one.refund.id == refund.id]
        ended = await self._change(entry, state, False, why[:500])
        await self._tell_of(ended, "given_up")
        return ended

    async def _change(
        self,
        entry: Entry,
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
        self.entries[self.entries.index(entry)] = now = self.entry_of(
            (await self.connection.execute(_CHANGE_REFUND, changed)).one()
        )
        self.is_changed = True
        return now.refund

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
        await self.connection.execute(
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

    async def _tell_of(self, refund: Refund, what: str | None = None) -> None:
        await self._tell(f"refund_{what or refund.state}", {"refund_id": refund.id, "amount": refund.amount})

    async def _tell(self, kind: str, data: dict[str, Any]) -> None:
        if self.order_id is not None:
            await tell(self.connection, self.order_id, kind, data)


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
    if was.state is state or was.state is RefundState.PENDING:
        return True
    # Given up, and taken all the same: its answer was lost, say, and the next one was a refusal.
    is_a_surprise = was.state.is_undone and was.provider_refund_id is None
    return is_a_surprise or (was.state, state) == (RefundState.SUCCEEDED, RefundState.FAILED)
