"""The port on Stripe, through the official library over httpx. The mock speaks the same wire format.

Sources: Stripe API reference, "Create a Checkout Session", "Expire a Checkout Session", "Create a refund",
"Idempotent requests", "Error handling". Retries are Temporal's, so the library's own are off.
"""

import math
from collections.abc import Set
from typing import Any

import httpx
import stripe
from stripe import StripeClient

from checkout.contracts import PaymentSession, SessionState, SessionStatus
from checkout.errors import PaymentError, PaymentRefused, PaymentStuck, PaymentUnknown, PaymentUnreachable
from checkout.ids import refund_idempotency_key, session_idempotency_key
from runtime.boundaries import Step
from runtime.failpoints import around
from runtime.settings import Settings
from worker.payments.http_client import BoundedHTTPClient
from worker.payments.port import SessionRequest

# Below the activity's timeout (worker.policies), so that an unanswered call ends as an error of ours.
HTTP_TIMEOUT = httpx.Timeout(6.0, connect=2.0)
LOOKUP_SLACK = 300  # seconds between our clock and the provider's that a look-up tolerates
_PAGE = 100
_NOT_UNDONE = frozenset({"pending", "requires_action", "succeeded"})  # a refund's status
_UNDONE = frozenset({"failed", "canceled"})
# Stripe wants 30 minutes to 24 hours; this is only the last resort, we expire sessions ourselves. Counted from the
# order's time so that it is equal in every attempt.
PROVIDER_EXPIRY_SLACK = 2 * 3600
PROVIDER_EXPIRY_MAX = 24 * 3600 - 600


class StripeProvider:
    """`PaymentProvider` on Stripe's API. Holds a connection pool: one for the life of the worker."""

    def __init__(self, settings: Settings) -> None:
        self._public_url = settings.public_url
        self._may_be_simulator = settings.stripe_api_base is not None
        addresses: dict[str, Any] = {}
        if settings.stripe_api_base:
            addresses["base_addresses"] = {"api": settings.stripe_api_base}
        self._stripe = StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            http_client=BoundedHTTPClient(HTTP_TIMEOUT),
            max_network_retries=0,
            **addresses,
        )

    @around(Step.CREATE_AT_PROVIDER)
    async def create_session(self, request: SessionRequest) -> PaymentSession:
        session = await self._call(
            self._stripe.v1.checkout.sessions.create_async(
                self._parameters(request),  # type: ignore[arg-type] # a TypedDict of 200 optional keys
                {"idempotency_key": session_idempotency_key(request.order_id)},
            )
        )
        return self._payment_session(session)

    @around(Step.FIND_AT_PROVIDER)
    async def find_session(self, request: SessionRequest) -> PaymentSession | None:
        since = math.floor(request.created_at.timestamp()) - LOOKUP_SLACK
        parameters: dict[str, Any] = {"limit": _PAGE, "created": {"gte": since}}
        while True:
            page = await self._call(self._stripe.v1.checkout.sessions.list_async(parameters))  # type: ignore[arg-type]
            for session in page.data:
                if _metadata(session).get("order_id") == request.order_id:
                    return self._payment_session(session)
            if not page.has_more or not page.data:
                return None
            parameters["starting_after"] = page.data[-1].id

    @around(Step.RETRIEVE_AT_PROVIDER)
    async def retrieve_session(self, session_id: str) -> SessionState:
        return _state(await self._call(self._stripe.v1.checkout.sessions.retrieve_async(session_id)))

    @around(Step.EXPIRE_AT_PROVIDER)
    async def expire_session(self, session_id: str) -> SessionState:
        try:
            return _state(await self._call(self._stripe.v1.checkout.sessions.expire_async(session_id)))
        except PaymentRefused as refusal:
            # "Only open sessions can be expired": what it is instead, decides.
            state = await self.retrieve_session(session_id)
            if state.status is SessionStatus.OPEN:
                # Not for now (a payment under way) or not for us (a restricted key): no answer that decides anything.
                raise PaymentUnreachable(f"An open session is not closed: {refusal}") from refusal
            return state

    @around(Step.REFUND_AT_PROVIDER)
    async def refund(self, payment_intent_id: str) -> None:
        try:
            refund = await self._call(
                self._stripe.v1.refunds.create_async(
                    {"payment_intent": payment_intent_id},
                    {"idempotency_key": refund_idempotency_key(payment_intent_id)},
                )
            )
            _check_made(refund)
        except PaymentError as error:
            # One that is still on its way (`pending`) was made, too.
            if isinstance(error, PaymentUnreachable) or not await self._is_refunded(payment_intent_id, _NOT_UNDONE):
                raise

    @around(Step.LOOK_FOR_REFUND)
    async def is_refunded(self, payment_intent_id: str) -> bool:
        return await self._is_refunded(payment_intent_id, {"succeeded"})

    async def _is_refunded(self, payment_intent_id: str, counted: Set[str]) -> bool:
        intent = await self._call(self._stripe.v1.payment_intents.retrieve_async(payment_intent_id))
        refunds = await self._call(
            self._stripe.v1.refunds.list_async({"payment_intent": payment_intent_id, "limit": _PAGE})
        )
        returned = sum(refund.amount for refund in refunds.data if refund.status in counted)
        return bool(returned >= (intent.amount_received or intent.amount))

    def _parameters(self, request: SessionRequest) -> dict[str, Any]:
        metadata = {"order_id": request.order_id, "pay_by": str(math.floor(request.pay_by.timestamp()))}
        created = math.floor(request.created_at.timestamp())
        pay_by = math.ceil(request.pay_by.timestamp())
        parameters: dict[str, Any] = {
            "mode": "payment",
            "payment_method_types": ["card"],
            "client_reference_id": request.checkout_key,
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
            "success_url": f"{self._public_url}/checkout/success?session_id={{CHECKOUT_SESSION_ID}}",
            "cancel_url": f"{self._public_url}/checkout/cancel?order_id={request.order_id}",
            "expires_at": min(pay_by + PROVIDER_EXPIRY_SLACK, created + PROVIDER_EXPIRY_MAX),
            "line_items": [
                {
                    "quantity": line.quantity,
                    "price_data": {
                        "currency": request.currency,
                        "unit_amount": line.unit_amount,
                        "product_data": {"name": line.name},
                    },
                }
                for line in request.lines
            ],
        }
        if request.email:
            parameters["customer_email"] = request.email
        return parameters

    def _payment_session(self, session: Any) -> PaymentSession:
        if not isinstance(session.id, str) or not isinstance(session.url, str | None):
            raise PaymentUnreachable("The payment service answered something that is not a session")
        url = session.url or ""
        # Only the mock's pages lie under /payment/, and only it has the guide's `/api/*` endpoints to print.
        base, slash, rest = url.rpartition("/payment/")
        is_simulator = self._may_be_simulator and slash and rest == session.id
        return PaymentSession(session.id, url, base if is_simulator else None)

    async def _call(self, call: Any) -> Any:
        """Await a library call and sort its errors into the port's four."""
        try:
            return await call
        except stripe.APIConnectionError as error:
            raise PaymentUnreachable("No answer from the payment service") from error
        except stripe.StripeError as error:
            raise _sorted(error) from error
        except (httpx.HTTPError, ValueError, TypeError, AttributeError, KeyError) as error:
            # A body that is no JSON, or JSON of another shape: as good as no answer.
            raise PaymentUnreachable("The payment service's answer cannot be read") from error


def _sorted(error: stripe.StripeError) -> PaymentError:
    status = error.http_status or 0
    code = error.code or type(error).__name__
    message = f"The payment service answered {status} ({code})"
    if code == "idempotency_key_in_use" or status in (408, 409, 429):
        return PaymentUnreachable(message)
    if error.error is None:
        # Whatever answered, Stripe would have said why: a proxy's page, another service at this address.
        return PaymentUnreachable(message)
    if status == 404 and code == "resource_missing":
        return PaymentUnknown(message)
    if 400 <= status < 500:
        return PaymentRefused(message)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if status >= 500 and headers.get("idempotent-replayed") == "true":
        return PaymentStuck(message)
    return PaymentUnreachable(message)


def _check_made(refund: Any) -> None:
    """Money is back only if the answer is a refund that stands: an empty 200 of something in between is none."""
    status = getattr(refund, "status", None)
    if status in _UNDONE:
        raise PaymentRefused(f"The refund is {status}")
    if status not in _NOT_UNDONE:
        raise PaymentUnreachable("The payment service answered something that is not a refund")


def _metadata(session: Any) -> dict[str, str]:
    return dict(session.metadata.to_dict()) if session.metadata else {}


def _state(session: Any) -> SessionState:
    try:
        if session.mode != "payment":
            # Of a subscription, say, that somebody else sells with the same account: nothing of it is for us to settle.
            raise PaymentUnknown("The session is not for a payment")
        return SessionState(
            session_id=session.id,
            status=SessionStatus(session.status),
            paid=session.payment_status == "paid",
            amount_total=int(session.amount_total),
            currency=str(session.currency),
            order_id=_metadata(session).get("order_id"),
            payment_intent_id=_identifier(session.payment_intent),
        )
    except (AttributeError, ValueError, TypeError) as error:
        raise PaymentUnreachable("The payment service answered something that is not a session") from error


def _identifier(expandable: Any) -> str | None:
    """Stripe's expandable fields are an id or the object itself."""
    return expandable if expandable is None or isinstance(expandable, str) else str(expandable.id)
