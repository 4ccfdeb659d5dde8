"""The port on Stripe, through the official library over httpx. Retries are Temporal's, so the library's own are off.

Sources: Stripe API reference, "Create a Checkout Session", "Expire a Checkout Session", "Create a refund",
"Idempotent requests", "Error handling".
"""

import contextlib
import itertools
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import httpx
import stripe
from stripe import StripeClient

from checkout.errors import PaymentRefused, PaymentStuck, PaymentUnreachable
from checkout.ids import refund_idempotency_key, session_idempotency_key
from checkout.payments import ProviderDispute, ProviderPayment, ProviderRefund, Refund
from checkout.sessions import PaymentSession, ProviderSession, SessionRequest, SessionStatus
from runtime.egress import api_base, client_options
from runtime.failpoints import Step, around
from runtime.settings import Settings
from worker.payments.answers import (
    REFUND_ID,
    dispute_of,
    error_of,
    metadata_of,
    payment_of,
    refund_of,
    state_of,
    waits_for_its_payment,
    with_payment,
)

# Below the activity's timeout (worker.policies), so that an unanswered call ends as an error of ours.
HTTP_TIMEOUT = httpx.Timeout(6.0, connect=2.0)
MAX_RESPONSE_BYTES = 1_000_000
# With each request httpx looks at every connection of its pool whether it still lives: of 20, and a request costs
# 0.9 ms of CPU instead of 0.45. So many at once are spread over small pools; few share one, and its connections.
_POOLS = 8
LOOKUP_SLACK = 300  # seconds between our clock and the provider's that a look-up tolerates
_PAGE = 100
_PAGES = 20  # of one payment's refunds or disputes
# Stripe wants 30 minutes to 24 hours; this is only the last resort, we expire sessions ourselves. Counted from the
# order's time so that it is equal in every attempt.
PROVIDER_EXPIRY_SLACK = 2 * 3600
PROVIDER_EXPIRY_MAX = 24 * 3600 - 600


class StripeProvider:
    """`PaymentProvider` on Stripe's API. Holds a connection pool: one for the life of the worker."""

    def __init__(self, settings: Settings) -> None:
        self._public_url = settings.public_url
        self._payment_methods = settings.payment_methods
        self._may_be_simulator = settings.stripe_api_base is not None
        self._stripe = StripeClient(
            settings.stripe_secret_key.get_secret_value(),
            http_client=BoundedHTTPClient(HTTP_TIMEOUT, **client_options(settings)),
            max_network_retries=0,
            base_addresses={"api": api_base(settings)},
        )

    @around(Step.CREATE_AT_PROVIDER)
    async def create_session(self, request: SessionRequest, key_number: int = 1) -> PaymentSession:
        creating = self._stripe.v1.checkout.sessions.create_async(
            self._parameters(request),  # type: ignore[arg-type] # a TypedDict of 200 optional keys
            {"idempotency_key": session_idempotency_key(request.order_id, key_number)},
        )
        return self._payment_session(await self._call(creating))

    @around(Step.FIND_AT_PROVIDER)
    async def find_session(self, request: SessionRequest) -> PaymentSession | None:
        since = math.floor(request.created_at.timestamp()) - LOOKUP_SLACK
        async for session in self._every(self._stripe.v1.checkout.sessions.list_async, {"created": {"gte": since}}):
            if metadata_of(session).get("order_id") == request.order_id:
                return self._payment_session(session)
        return None

    @around(Step.RETRIEVE_AT_PROVIDER)
    async def retrieve_session(self, session_id: str) -> ProviderSession:
        session = state_of(await self._call(self._stripe.v1.checkout.sessions.retrieve_async(session_id)))
        if session.payment_intent_id is None or not waits_for_its_payment(session):
            return session
        return with_payment(session, await self.payment(session.payment_intent_id))

    @around(Step.EXPIRE_AT_PROVIDER)
    async def expire_session(self, session_id: str) -> ProviderSession:
        try:
            return state_of(await self._call(self._stripe.v1.checkout.sessions.expire_async(session_id)))
        except PaymentRefused as refusal:
            # "Only open sessions can be expired": what it is instead, decides.
            state = await self.retrieve_session(session_id)
            if state.status is SessionStatus.OPEN:
                # Not for now (a payment under way) or not for us (a restricted key): no answer that decides anything.
                raise PaymentUnreachable(f"An open session is not closed: {refusal}") from refusal
            return state

    @around(Step.LOOK_AT_PAYMENT)
    async def payment(self, payment_intent_id: str) -> ProviderPayment:
        return payment_of(await self._call(self._stripe.v1.payment_intents.retrieve_async(payment_intent_id)))

    async def refunds_of(self, payment_intent_id: str) -> list[ProviderRefund]:
        pages = self._every(self._stripe.v1.refunds.list_async, {"payment_intent": payment_intent_id}, _PAGES)
        return [refund_of(refund) async for refund in pages][::-1]

    async def disputes_of(self, payment_intent_id: str) -> list[ProviderDispute]:
        pages = self._every(self._stripe.v1.disputes.list_async, {"payment_intent": payment_intent_id}, _PAGES)
        return [dispute_of(dispute) async for dispute in pages][::-1]

    @around(Step.REFUND_AT_PROVIDER)
    async def refund(self, refund: Refund) -> ProviderRefund:
        """Stripe forgets keys after a day, so ours is looked for first; and again before the next number of its key,
        which is only for when Stripe repeats a stored error for the one before."""
        metadata = {REFUND_ID: refund.id} | ({"order_id": refund.order_id} if refund.order_id else {})
        for number in itertools.count(1):
            for made in await self.refunds_of(refund.payment_intent_id):
                if made.refund_id == refund.id:
                    return made
            creating = self._stripe.v1.refunds.create_async(
                {"payment_intent": refund.payment_intent_id, "amount": refund.amount, "metadata": metadata},
                {"idempotency_key": refund_idempotency_key(refund.id, number)},
            )
            with contextlib.suppress(PaymentStuck):
                return refund_of(await self._call(creating))
        raise AssertionError("numbers do not end")

    async def _every(
        self, listed: Callable[[Any], Awaitable[Any]], parameters: dict[str, Any], pages: int | None = None
    ) -> AsyncIterator[Any]:
        """All objects of a list, page by page. Raises `PaymentUnreachable` when there are more than `pages`."""
        parameters = parameters | {"limit": _PAGE}
        for number in itertools.count(1):
            page = await self._call(listed(parameters))
            for each in page.data:
                yield each
            if not page.has_more or not page.data:
                return
            if number == pages:
                raise PaymentUnreachable(f"The payment service lists more than {pages} pages for one payment")
            parameters["starting_after"] = page.data[-1].id

    def _parameters(self, request: SessionRequest) -> dict[str, Any]:
        metadata = {"order_id": request.order_id, "pay_by": str(math.floor(request.pay_by.timestamp()))}
        created = math.floor(request.created_at.timestamp())
        pay_by = math.ceil(request.pay_by.timestamp())
        parameters: dict[str, Any] = {
            "mode": "payment",
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
        if self._payment_methods:  # else those that the provider's dashboard has
            parameters["payment_method_types"] = list(self._payment_methods)
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
            raise error_of(error) from error
        except (httpx.HTTPError, ValueError, TypeError, AttributeError, KeyError) as error:
            # A body that is no JSON, or JSON of another shape: as good as no answer.
            raise PaymentUnreachable("The payment service's answer cannot be read") from error


class BoundedHTTPClient(stripe.HTTPClient):
    """The library's transport. Its own on httpx takes no client, so this is its documented extension point, in its
    asynchronous half. Raises `stripe.APIConnectionError` for what is not a whole answer of reasonable size."""

    name = "httpx"

    def __init__(self, timeout: httpx.Timeout, **options: Any) -> None:
        super().__init__()
        tls = httpx.create_ssl_context(trust_env=False)
        clients = (httpx.AsyncClient(timeout=timeout, verify=tls, **options) for _ in range(_POOLS))
        self._in_flight = dict.fromkeys(clients, 0)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        client = min(self._in_flight, key=self._in_flight.__getitem__)
        self._in_flight[client] += 1
        try:
            async with client.stream(method, url, headers=headers, content=post_data or None) as response:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_RESPONSE_BYTES:
                        raise httpx.DecodingError("answer too large", request=response.request)
                return bytes(body), response.status_code, response.headers
        except httpx.HTTPError as error:
            message = f"{type(error).__name__} at the payment service"
            raise stripe.APIConnectionError(message) from error  # type: ignore[no-untyped-call] # theirs
        finally:
            self._in_flight[client] -= 1
