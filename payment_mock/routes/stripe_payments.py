"""`/v1/payment_intents`, `/v1/charges`, `/v1/refunds`, `/v1/events` (docs.stripe.com/api/refunds and siblings)."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.routing import Route

from payment_mock import provider
from payment_mock.domain import errors, form, wire
from payment_mock.domain.creation import integer, metadata_of, refuse_unknown
from payment_mock.domain.money import MOST_OF_ALL
from payment_mock.domain.session import Session
from payment_mock.faults.plane import subject_of
from payment_mock.faults.rules import Subject
from payment_mock.http import answer, idempotency_key, query, read_form, stripe_endpoint, text_param
from payment_mock.service import Answer, Effect, Service
from payment_mock.store import events, refunds, sessions

_REASONS = ("duplicate", "fraudulent", "requested_by_customer")


async def payment_intent(service: Service, request: Request) -> Answer:
    """Exists from the first attempt to pay on; `expand[]=latest_charge` is understood."""
    expand = _expand(query(request), ("latest_charge",))
    identifier = request.path_params["id"]
    async with service.database.single() as connection:
        session = await sessions.get_by_intent(connection, identifier)
    if session is None:
        raise errors.no_such("payment_intent", identifier, "intent")
    return answer(wire.payment_intent_object(session, "latest_charge" in expand))


async def charge(service: Service, request: Request) -> Answer:
    identifier = request.path_params["id"]
    async with service.database.single() as connection:
        session = await sessions.get_by_charge(connection, identifier)
    if session is None:
        raise errors.no_such("charge", identifier)
    return answer(wire.charge_object(session))


async def create_refund(service: Service, request: Request) -> Answer:
    params, body = await read_form(request)
    refuse_unknown(params, {"payment_intent", "charge", "amount", "reason", "metadata", "expand"}, "")
    intent, of_charge = text_param(params, "payment_intent"), text_param(params, "charge")
    if intent is None and of_charge is None:
        raise errors.invalid_request(
            "One of the following params should be provided for this request: payment_intent or charge."
        )
    amount = integer(params["amount"], "amount", 1, MOST_OF_ALL) if "amount" in params else None
    reason = text_param(params, "reason")
    if reason is not None and reason not in _REASONS:
        raise errors.invalid_request(f"Invalid reason: must be one of {', '.join(_REASONS)}", param="reason")
    metadata = metadata_of(params)

    async def work(connection: AsyncConnection) -> Effect:
        session = await _charged(connection, intent, of_charge)
        refund, deliveries = await provider.refund(connection, session, amount, reason, metadata)
        return Effect(wire.encode(wire.refund_object(refund)), deliveries)

    subject = Subject()
    if service.faults.armed("refund"):
        async with service.database.single() as connection:
            subject = subject_of(await _charged(connection, intent, of_charge))
    return await service.write("refund", subject, idempotency_key(request, body), work)


async def retrieve_refund(service: Service, request: Request) -> Answer:
    identifier = request.path_params["id"]
    async with service.database.single() as connection:
        refund = await refunds.get(connection, identifier)
    if refund is None:
        raise errors.no_such("refund", identifier)
    return answer(wire.refund_object(refund))


async def list_refunds(service: Service, request: Request) -> Answer:
    params = query(request)
    refuse_unknown(params, {"limit", "starting_after", "payment_intent", "charge"}, "")
    limit = integer(params.get("limit", "10"), "limit", 1, 100)
    async with service.database.single() as connection:
        found = await refunds.listed(
            connection,
            payment_intent=text_param(params, "payment_intent"),
            charge=text_param(params, "charge"),
            after=text_param(params, "starting_after"),
            limit=limit + 1,
        )
    data = [wire.refund_object(refund) for refund in found[:limit]]
    return answer(wire.list_object(data, "/v1/refunds", has_more=len(found) > limit))


async def retrieve_event(service: Service, request: Request) -> Answer:
    identifier = request.path_params["id"]
    async with service.database.single() as connection:
        event = await events.get(connection, identifier)
    if event is None:
        raise errors.no_such("event", identifier)
    return answer(event)


async def list_events(service: Service, request: Request) -> Answer:
    """Newest first; `type` or `types[]` select, with a trailing `*` left to real Stripe."""
    params = query(request)
    refuse_unknown(params, {"limit", "starting_after", "type", "types"}, "")
    limit = integer(params.get("limit", "10"), "limit", 1, 100)
    types = form.strings(params, "types")
    if (one := text_param(params, "type")) is not None:
        types.append(one)
    async with service.database.single() as connection:
        found = await events.listed(
            connection, types=types or None, after=text_param(params, "starting_after"), limit=limit + 1
        )
    return answer(wire.list_object(list(found[:limit]), "/v1/events", has_more=len(found) > limit))


async def unrecognized(_: Service, request: Request) -> Answer:
    """Whatever else Stripe has and the simulator has not."""
    raise errors.invalid_request(f"Unrecognized request URL ({request.method}: {request.url.path}).", status=404)


async def _charged(connection: AsyncConnection, intent: str | None, of_charge: str | None) -> Session:
    if intent is not None:
        session = await sessions.get_by_intent(connection, intent)
        if session is None:
            raise errors.no_such("payment_intent", intent, "payment_intent")
    else:
        session = await sessions.get_by_charge(connection, str(of_charge))
    if session is None or (of_charge is not None and session.charge != of_charge):
        raise errors.no_such("charge", str(of_charge), "charge")
    return session


def _expand(params: dict[str, Any], known: tuple[str, ...]) -> list[str]:
    refuse_unknown(params, {"expand"}, "")
    paths = form.strings(params, "expand")
    for path in paths:
        if path not in known:
            raise errors.invalid_request(f"This property cannot be expanded ({path}).", param="expand")
    return paths


routes = [
    Route("/v1/payment_intents/{id}", stripe_endpoint(payment_intent), methods=["GET"]),
    Route("/v1/charges/{id}", stripe_endpoint(charge), methods=["GET"]),
    Route("/v1/refunds", stripe_endpoint(create_refund), methods=["POST"]),
    Route("/v1/refunds", stripe_endpoint(list_refunds), methods=["GET"]),
    Route("/v1/refunds/{id}", stripe_endpoint(retrieve_refund), methods=["GET"]),
    Route("/v1/events", stripe_endpoint(list_events), methods=["GET"]),
    Route("/v1/events/{id}", stripe_endpoint(retrieve_event), methods=["GET"]),
    Route("/v1/{rest:path}", stripe_endpoint(unrecognized), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
]
