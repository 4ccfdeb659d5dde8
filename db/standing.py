"""What is written of one payment: its refunds, its disputes, and what they add up to."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from checkout.money import MoneyState, ProviderRefund, Refund, RefundState, RequestedBy, forbids_refund
from checkout.orders import Order, Reason

REFUND_COLUMNS = """id, payment_intent_id, order_id, amount, state, requested_by, at, attempt, reason, requires_action,
    failure_reason, provider_refund_id, request_key, request, changed_at"""

_REFUNDS = text(
    f"SELECT {REFUND_COLUMNS} FROM shop.refunds WHERE payment_intent_id = :payment_intent_id ORDER BY at, id"
)
_DISPUTES = text("SELECT id, amount, state FROM shop.disputes WHERE payment_intent_id = :payment_intent_id")


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


class Standing:
    """One payment with its refunds and disputes, as they are in the database, and as they were changed since. `now` is
    the database's time."""

    def __init__(self, connection: AsyncConnection, row: Row[Any], order: Order | None) -> None:
        self.connection = connection
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
        rows = await self.connection.execute(_REFUNDS, given)
        self.entries = [self.entry_of(row) for row in rows]
        self.disputes = {row.id: (row.amount, row.state) for row in await self.connection.execute(_DISPUTES, given)}

    def entry_of(self, row: Row[Any]) -> Entry:
        return Entry(refund_of(row, self.currency), row.request_key, row.request, row.changed_at)

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
        return any(forbids_refund(state) for _, state in self.disputes.values())

    def head(self, key: str) -> Entry | None:
        """The latest attempt of a wish."""
        attempts = [one for one in self.entries if one.key == key]
        return max(attempts, key=lambda one: one.refund.attempt) if attempts else None

    def heads(self) -> list[Entry]:
        return [one for one in self.entries if one.key is not None and one is self.head(one.key)]

    def known(self, word: ProviderRefund) -> Entry | None:
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

    @property
    def may_keep(self) -> bool:
        order = self.order
        return order is not None and (order.status.is_live or order.status.is_kept)

    @property
    def why_given_back(self) -> Reason:
        """Why the money went back: by the shop's rule, else because somebody wanted it."""
        told = [one.refund.reason for one in self.entries if one.refund.requested_by is RequestedBy.SHOP]
        return Reason(told[0]) if told and told[0] in set(Reason) else Reason.OPERATOR

    @property
    def to_make(self) -> list[Refund]:
        return [one.refund for one in self.entries if one.refund.is_to_be_made]


def refund_of(row: Row[Any], currency: str) -> Refund:
    """The refund of a row with `REFUND_COLUMNS`."""
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
