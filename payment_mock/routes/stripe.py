"""Stripe's API, as far as the simulator has it (docs.stripe.com/api): one handler a route, which reads the parameters,
has the service do it, and shows the object."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from payment_mock import reversals
from payment_mock.domain import errors, wire
from payment_mock.domain.creation import session_of
from payment_mock.domain.objects import Change, Dispute, Refund, Session
from payment_mock.domain.params import (
    Expand,
    ExpandIntent,
    ListedEvents,
    ListedReversals,
    ListedSessions,
    NewRefund,
    NewSession,
    Response,
)
from payment_mock.http import Handler, query, read_form, stripe_route
from payment_mock.provider import Step
from payment_mock.service import Run, Service
from payment_mock.store import idempotency
from payment_mock.store.idempotency import Answer, Key
from payment_mock.store.objects import DISPUTES, EVENTS, REFUNDS, SESSIONS, Kind

_SESSIONS = "/v1/checkout/sessions"


async def create_session(service: Service, request: Request) -> Answer:
    params, key = await read_form(request)
    try:
        new = NewSession.of(params)
        session = session_of(new)
    except errors.StripeError:
        # A repeat gets the first one's answer, though `expires_at` has come too near meanwhile.
        if key is not None:
            async with service.database.single() as connection:
                if (known := await idempotency.recall(connection, key)) is not None:
                    return known
        raise
    return await service.create(session, new.expand, key)


async def retrieve_session(service: Service, request: Request) -> wire.Json:
    expand = Expand.of(query(request)).expand
    find = partial(SESSIONS.get, value=request.path_params["id"], param="session")
    async with service.operation("retrieve", find) as run:
        session = await find(run.connection)
    return wire.session_object(await service.faults.report(session), service.settings.public_url, expand)


async def line_items(service: Service, request: Request) -> wire.Json:
    return wire.line_items_object(await service.find(request.path_params["id"]))


async def expire_session(service: Service, request: Request) -> Answer:
    params, key = await read_form(request)
    expand, session_id = Expand.of(params).expand, request.path_params["id"]

    async def work(run: Run) -> wire.Json:
        expired = await run.change(session_id, service.provider.expire)
        return wire.session_object(expired.session, service.settings.public_url, expand)

    return await service.answer("expire", partial(SESSIONS.get, value=session_id, param="session"), key, work)


async def list_sessions(service: Service, request: Request) -> wire.Json:
    wanted = ListedSessions.of(query(request))
    async with service.operation("list") as run:
        status, intent = [wanted.status], [wanted.payment_intent]
        found, has_more = await SESSIONS.page(run.connection, wanted.page, status=status, payment_intent=intent)
    shown = [await service.faults.report(session) for session in found]
    data = [wire.session_object(session, service.settings.public_url, wanted.expand) for session in shown]
    return wire.list_object(data, _SESSIONS, has_more=has_more)


async def payment_intent(service: Service, request: Request) -> wire.Json:
    """Exists from the first attempt to pay on; `expand[]=latest_charge` is understood."""
    expand = ExpandIntent.of(query(request)).expand
    async with service.database.single() as connection:
        session = await _of_intent(connection, request.path_params["id"], "intent")
    return wire.payment_intent_object(session, bool(expand))


async def charge(service: Service, request: Request) -> wire.Json:
    async with service.database.single() as connection:
        return wire.charge_object(await _of_charge(connection, request.path_params["id"], "id"))


async def create_refund(service: Service, request: Request) -> Answer:
    params, key = await read_form(request)
    new = NewRefund.of(params)
    if new.payment_intent is None and new.charge is None:
        raise errors.invalid_request(
            "One of the following params should be provided for this request: payment_intent or charge."
        )

    async def find(connection: AsyncConnection) -> Session:
        if new.payment_intent is not None:
            session = await _of_intent(connection, new.payment_intent, "payment_intent")
            if new.charge not in (None, session.charge):
                raise errors.no_such("charge", str(new.charge), "charge")
            return session
        return await _of_charge(connection, str(new.charge), "charge")

    async def work(run: Run) -> wire.Json:
        session = await find(run.connection)
        step = partial(reversals.refund, amount=new.amount, reason=new.reason, metadata=new.metadata)
        return _refund((await run.change(session.id, step)).refund)

    return await service.answer("refund", find, key, work)


async def cancel_refund(service: Service, request: Request) -> Answer:
    return await _of(service, request, REFUNDS, reversals.cancel_refund, lambda made: _refund(made.refund))


def listed(kind: Kind[Any], show: Callable[[Any], wire.Json], url: str) -> Handler:
    """Refunds or disputes, of all payments or of one."""

    async def endpoint(service: Service, request: Request) -> wire.Json:
        wanted = ListedReversals.of(query(request))
        of = {"payment_intent": [wanted.payment_intent], "charge": [wanted.charge]}
        async with service.database.single() as connection:
            found, has_more = await kind.page(connection, wanted.page, **of)
        return wire.list_object([show(one) for one in found], url, has_more=has_more)

    return endpoint


def retrieved(kind: Kind[Any], show: Callable[[Any], wire.Json]) -> Handler:
    async def endpoint(service: Service, request: Request) -> wire.Json:
        async with service.database.single() as connection:
            return show(await kind.get(connection, request.path_params["id"]))

    return endpoint


async def respond_to_dispute(service: Service, request: Request) -> Answer:
    """Evidence; `submit=false` keeps it back. Its `uncategorized_text` decides, as in Stripe's test mode."""
    params, key = await read_form(request)
    response = Response.of(params)
    text = response.evidence.get("uncategorized_text", "")
    step = partial(reversals.respond, text=text, submit=response.submit == "true")
    return await _of(service, request, DISPUTES, step, lambda made: _dispute(made.dispute), key)


async def close_dispute(service: Service, request: Request) -> Answer:
    """The shop accepts that it is lost."""
    step = partial(reversals.dispute_becomes, status="lost")
    return await _of(service, request, DISPUTES, step, lambda made: _dispute(made.dispute))


async def list_events(service: Service, request: Request) -> wire.Json:
    wanted = ListedEvents.of(query(request))
    async with service.database.single() as connection:
        found, has_more = await EVENTS.page(connection, wanted.page, type=[*wanted.types, wanted.type])
    return wire.list_object(found, "/v1/events", has_more=has_more)


async def unrecognized(_: Service, request: Request) -> wire.Json:
    """Whatever else Stripe has and the simulator has not."""
    raise errors.invalid_request(f"Unrecognized request URL ({request.method}: {request.url.path}).", status=404)


async def _of(
    service: Service,
    request: Request,
    kind: Kind[Any],
    step: Step,
    show: Callable[[Change], wire.Json],
    key: Key | None = None,
) -> Answer:
    """A step of the refund or dispute that the address names."""
    identifier = request.path_params["id"]

    async def work(run: Run) -> wire.Json:
        session_id = (await kind.get(run.connection, identifier)).session_id
        return show(await run.change(session_id, step, (kind, identifier)))

    return await service.answer(kind.name, None, key, work)


def _refund(refund: Refund | None) -> wire.Json:
    assert refund is not None, "what is not refused is made"
    return wire.refund_object(refund)


def _dispute(dispute: Dispute | None) -> wire.Json:
    if dispute is None:
        raise errors.invalid_request("This dispute is already closed.")
    return wire.dispute_object(dispute)


async def _session_by(column: str, connection: AsyncConnection, value: str, param: str) -> Session:
    """By its `payment_intent` or its `charge`. Raises `StripeError` 404."""
    session = await SESSIONS.find(connection, value, column)
    if session is None:
        raise errors.no_such(column, value, param)
    return session


_of_intent, _of_charge = partial(_session_by, "payment_intent"), partial(_session_by, "charge")


routes = [
    stripe_route("POST", _SESSIONS, create_session),
    stripe_route("GET", _SESSIONS, list_sessions),
    stripe_route("GET", f"{_SESSIONS}/{{id}}", retrieve_session),
    stripe_route("GET", f"{_SESSIONS}/{{id}}/line_items", line_items),
    stripe_route("POST", f"{_SESSIONS}/{{id}}/expire", expire_session),
    stripe_route("GET", "/v1/payment_intents/{id}", payment_intent),
    stripe_route("GET", "/v1/charges/{id}", charge),
    stripe_route("POST", "/v1/refunds", create_refund),
    stripe_route("GET", "/v1/refunds", listed(REFUNDS, wire.refund_object, "/v1/refunds")),
    stripe_route("GET", "/v1/refunds/{id}", retrieved(REFUNDS, wire.refund_object)),
    stripe_route("POST", "/v1/refunds/{id}/cancel", cancel_refund),
    stripe_route("GET", "/v1/disputes", listed(DISPUTES, wire.dispute_object, "/v1/disputes")),
    stripe_route("GET", "/v1/disputes/{id}", retrieved(DISPUTES, wire.dispute_object)),
    stripe_route("POST", "/v1/disputes/{id}", respond_to_dispute),
    stripe_route("POST", "/v1/disputes/{id}/close", close_dispute),
    stripe_route("GET", "/v1/events", list_events),
    stripe_route("GET", "/v1/events/{id}", retrieved(EVENTS, dict)),
    stripe_route("", "/v1/{rest:path}", unrecognized),
]
