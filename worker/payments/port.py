"""The port to the payment service: the questions that a worker asks it. (A gateway has one of its own, for events that
were lost: `api.missed_event`.)

Every call is safe to repeat: creating and refunding carry an idempotency key derived from what they are for.
All raise `PaymentRefused` (asking again cannot help; its kind `PaymentUnknown`: there is no such object),
`PaymentStuck` (the provider replays a stored error) or `PaymentUnreachable` (nobody knows; ask again).
"""

from typing import Protocol

from checkout.payments import ProviderDispute, ProviderPayment, ProviderRefund, Refund
from checkout.sessions import PaymentSession, ProviderSession, SessionRequest


class PaymentProvider(Protocol):
    async def create_session(self, request: SessionRequest, key_number: int = 1) -> PaymentSession:
        """Open the order's one checkout session, or get it again. Under another `key_number` it would be another one:
        only for when the number before is stuck, and `find_session` finds none."""

    async def find_session(self, request: SessionRequest) -> PaymentSession | None:
        """Look the order's session up without the idempotency key: for when the key's answer is unusable."""

    async def retrieve_session(self, session_id: str) -> ProviderSession:
        """The provider's word on a session, now. Of one that is not for a payment: `PaymentUnknown`."""

    async def expire_session(self, session_id: str) -> ProviderSession:
        """Close an open session. Returns it as it then is: one that was complete or expired already is no error. If it
        is still open, raises `PaymentUnreachable`."""

    async def payment(self, payment_intent_id: str) -> ProviderPayment:
        """The provider's word on a payment, now."""

    async def refunds_of(self, payment_intent_id: str) -> list[ProviderRefund]:
        """All refunds of a payment, by whomever, oldest first."""

    async def disputes_of(self, payment_intent_id: str) -> list[ProviderDispute]:
        """All disputes of a payment, oldest first."""

    async def refund(self, refund: Refund) -> ProviderRefund:
        """Give so much of a payment back, once. Returns a refund that was made already as it is now, even if it
        failed."""
