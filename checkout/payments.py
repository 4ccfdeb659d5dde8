"""The money after the sale: payments, refunds and disputes, as the payment service tells of them and as the shop keeps
them. Amounts are integer minor units, instants aware UTC.

Sources: docs.stripe.com/refunds, docs.stripe.com/api/disputes/object, docs.stripe.com/api/payment_intents/object.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PaymentState(StrEnum):
    """Of a payment. A bank debit is `processing` for days."""

    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"


class RefundState(StrEnum):
    """Of a refund: `succeeded` when the provider says so, and even then it may still fail."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_undone(self) -> bool:
        """The money is the shop's again, or has never left it."""
        return self in (RefundState.FAILED, RefundState.CANCELLED)


STRIPE_REFUND_STATES = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    None: RefundState.PENDING,  # Stripe's type allows it: not decided yet
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.CANCELLED,
}


class RequestedBy(StrEnum):
    """Who wants the money given back: the shop by its rule, an operator of it, or somebody at the provider."""

    SHOP = "shop"
    OPERATOR = "operator"
    PROVIDER = "provider"


# A dispute that is over, in Stripe's words; all others are open. Of these, only `lost` takes the money for good.
CLOSED_DISPUTES = frozenset({"won", "lost", "warning_closed", "prevented"})


def forbids_refund(dispute_state: str) -> bool:
    """Nothing is refunded on top of a dispute that is open or lost. A bank that only inquires has taken nothing: giving
    the money back is an answer (docs.stripe.com/disputes/how-disputes-work, "Inquiries")."""
    is_open = dispute_state not in CLOSED_DISPUTES
    return dispute_state == "lost" or (is_open and not dispute_state.startswith("warning_"))


@dataclass(frozen=True)
class ProviderPayment:
    """The provider's word on a payment. `order_id` is what we gave it along."""

    payment_intent_id: str
    state: PaymentState
    amount: int
    currency: str
    order_id: str | None = None


@dataclass(frozen=True)
class ProviderRefund:
    """The provider's word on a refund. `refund_id` is our row, if it is one that we asked for."""

    provider_refund_id: str
    amount: int
    state: RefundState
    requires_action: bool = False
    refund_id: str | None = None
    reason: str | None = None
    failure_reason: str | None = None


@dataclass(frozen=True)
class ProviderDispute:
    """The provider's word on a dispute: `state` is Stripe's `status`, as it says it."""

    dispute_id: str
    amount: int
    state: str
    reason: str
    evidence_due_by: datetime | None = None


@dataclass(frozen=True)
class RefundLine:
    """So many of a line of the order."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Refund:
    """A refund as the shop keeps it. Without `provider_refund_id` the provider has not taken it yet; `attempt` counts
    those of one wish, for which `request_key` stands, and `request` (a digest of it). `order_id` is None for money that
    belonged to no order of ours."""

    id: str
    payment_intent_id: str
    order_id: str | None
    amount: int
    currency: str
    state: RefundState
    requested_by: RequestedBy
    at: datetime
    attempt: int = 1
    reason: str | None = None
    requires_action: bool = False
    failure_reason: str | None = None
    provider_refund_id: str | None = None
    request_key: str | None = None
    request: str | None = None
    changed_at: datetime | None = None

    @property
    def is_to_be_made(self) -> bool:
        return self.state is RefundState.PENDING and self.provider_refund_id is None

    @property
    def was_never_taken(self) -> bool:
        """It came to nothing before the provider had taken it."""
        return self.state.is_undone and self.provider_refund_id is None

    @property
    def is_nameless(self) -> bool:
        """From before there was a ledger: it succeeded, and nobody wrote down what the provider calls it."""
        return self.state is RefundState.SUCCEEDED and self.provider_refund_id is None

    def may_become(self, state: RefundState) -> bool:
        """As `shop.guard_refund` has it."""
        if self.state is state or self.state is RefundState.PENDING:
            return True
        # Given up, and taken all the same: its answer was lost, say, and the next one was a refusal.
        return self.was_never_taken or (self.state, state) == (RefundState.SUCCEEDED, RefundState.FAILED)
